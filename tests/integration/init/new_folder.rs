//! `init` in a folder without the unit: the files, the messages, and what it does not touch.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use test_support::{World, project_dir, to_text};

/// The files of `terraform/`, without its folders.
pub(crate) fn embedded_unit_files() -> BTreeMap<String, Vec<u8>> {
    read_files(&project_dir().join("terraform"))
}

/// The files of a folder by name.
pub(crate) fn read_files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry"));
    let files = entries.filter(|entry| entry.file_type().expect("a type").is_file());
    files
        .map(|entry| {
            (
                entry.file_name().to_string_lossy().into_owned(),
                fs::read(entry.path()).expect("a file"),
            )
        })
        .collect()
}

/// A customer folder that `init` accepts.
pub(crate) fn create_customer_folder(world: &World) -> PathBuf {
    let folder = world.path().join("customers of ours/airbnb");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("config.yaml"), test_support::CONFIG).expect("a config");
    fs::write(folder.join("../root.hcl"), "").expect("a root.hcl");
    folder
}

/// Runs `init` without Terragrunt in PATH; returns exit code and stdout, and asserts an empty
/// stderr.
pub(crate) fn run_init(world: &World, arguments: &[&str]) -> (Option<i32>, String) {
    run_init_with_path(world, "/usr/bin:/bin", arguments)
}

/// Runs `init` with this PATH.
pub(crate) fn run_init_with_path(
    world: &World,
    path: &str,
    arguments: &[&str],
) -> (Option<i32>, String) {
    let output = world
        .helper_command(&["init"])
        .args(arguments)
        .env("PATH", path)
        .output()
        .expect("init");
    assert_eq!(to_text(&output.stderr), "", "{output:?}");
    (output.status.code(), to_text(&output.stdout))
}

#[test]
fn an_empty_customer_folder_gets_the_unit_byte_for_byte() {
    let world = World::new();
    let folder = create_customer_folder(&world);
    let (code, said) = run_init(&world, &[folder.to_str().expect("UTF-8")]);
    assert_eq!(code, Some(0), "{said}");
    let written = read_files(&folder.join("config-backup"));
    assert_eq!(
        written.keys().collect::<Vec<_>>(),
        embedded_unit_files().keys().collect::<Vec<_>>()
    );
    assert_eq!(written, embedded_unit_files());
    for name in ["main.tf", "terragrunt.hcl", "view_usage_logs.sh"] {
        assert!(
            said.contains(&format!("created config-backup/{name}\n")),
            "{said}"
        );
    }
    assert!(
        said.contains("Deploy with `terragrunt apply --all`"),
        "{said}"
    );
    assert!(
        said.contains("Not checked by terragrunt: it is not in PATH."),
        "{said}"
    );
    assert!(!said.contains("Note:"), "there is nothing to note: {said}");
    assert_eq!(
        fs::read_dir(folder.join("config-backup"))
            .expect("it")
            .count(),
        embedded_unit_files().len(),
        "no folders"
    );
}

#[test]
fn scripts_can_be_run_and_nothing_else_can() {
    let world = World::new();
    let folder = create_customer_folder(&world);
    run_init(&world, &[folder.to_str().expect("UTF-8")]);
    for name in embedded_unit_files().keys() {
        let mode = fs::metadata(folder.join("config-backup").join(name))
            .expect("it")
            .permissions()
            .mode();
        assert_eq!(
            mode & 0o111 != 0,
            name.rsplit_once('.').is_some_and(|(_, kind)| kind == "sh"),
            "{name}: {mode:o}"
        );
    }
}

#[test]
fn the_files_fit_their_own_list_of_digests() {
    let world = World::new();
    let folder = create_customer_folder(&world);
    run_init(&world, &[folder.to_str().expect("UTF-8")]);
    let script = "import hashlib,sys\n\
                  lines = [line.split() for line in open('unit.sha256') if not line.startswith('#')]\n\
                  assert lines and all(hashlib.sha256(open(name, 'rb').read()).hexdigest() == digest for digest, name in lines), lines\n\
                  print(len(lines))";
    let output = std::process::Command::new("python3")
        .args(["-c", script])
        .current_dir(folder.join("config-backup"))
        .output();
    let output = output.expect("python3");
    assert_eq!(
        to_text(&output.stdout).trim(),
        (embedded_unit_files().len() - 1).to_string(),
        "{}",
        to_text(&output.stderr)
    );
}

#[test]
fn a_second_run_says_up_to_date_and_changes_nothing() {
    let world = World::new();
    let folder = create_customer_folder(&world);
    let path = folder.to_str().expect("UTF-8");
    run_init(&world, &[path]);
    let (code, said) = run_init(&world, &[path]);
    assert_eq!(code, Some(0));
    let up_to_date = said
        .lines()
        .filter(|line| line.ends_with(" is up to date"))
        .count();
    assert_eq!(
        up_to_date,
        embedded_unit_files().len() - 1,
        "all but the list of digests: {said}"
    );
    assert!(
        !said.contains("created") && !said.contains("upgraded"),
        "{said}"
    );
    assert_eq!(
        read_files(&folder.join("config-backup")),
        embedded_unit_files()
    );
}

#[test]
fn a_script_that_lost_its_mode_gets_it_back() {
    let world = World::new();
    let folder = create_customer_folder(&world);
    let path = folder.to_str().expect("UTF-8");
    run_init(&world, &[path]);
    let script = folder.join("config-backup/view_usage_logs.sh");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o644)).expect("a mode");
    run_init(&world, &[path]);
    assert_eq!(
        fs::metadata(&script).expect("it").permissions().mode() & 0o111,
        0o111
    );
}

#[test]
fn without_an_argument_uses_the_current_folder() {
    let world = World::new();
    let folder = create_customer_folder(&world);
    let output = world
        .helper_command(&["init"])
        .current_dir(&folder)
        .env("PATH", "/usr/bin:/bin")
        .output()
        .expect("init");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(
        read_files(&folder.join("config-backup")),
        embedded_unit_files()
    );
}

#[test]
fn notes_what_the_unit_will_miss() {
    let world = World::new();
    let folder = world.path().join("bare");
    fs::create_dir(&folder).expect("a folder");
    let (code, said) = run_init(&world, &["bare"]);
    assert_eq!(code, Some(0));
    assert!(
        said.contains("has no config.yaml yet")
            && said.contains("neither this folder nor one above has the root file `root.hcl`"),
        "{said}"
    );
}

#[test]
fn a_missing_folder_exits_3_and_is_not_created() {
    let world = World::new();
    let output = world
        .helper_command(&["init", "no such folder"])
        .output()
        .expect("init");
    assert_eq!(output.status.code(), Some(3));
    let said = to_text(&output.stdout) + &to_text(&output.stderr);
    assert!(said.contains("`no such folder` is not a folder"), "{said}");
    assert!(!world.path().join("no such folder").exists());
}

#[test]
fn init_needs_no_network_and_no_credentials() {
    let world = World::new();
    let folder = create_customer_folder(&world);
    fs::remove_dir_all(world.home()).expect("gone");
    assert_eq!(
        run_init(&world, &[folder.to_str().expect("UTF-8")]).0,
        Some(0)
    );
    assert_eq!(world.server.requests(), Vec::new());
}

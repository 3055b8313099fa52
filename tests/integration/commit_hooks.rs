//! `.pre-commit-hooks.yaml`: the entry of each hook, run with the files that its pattern matches.

use std::fs;
use std::path::Path;

use serde_json::Value;

use test_support::{CONFIG, World, assert_no_secret, project_dir, to_text};

/// One hook of the file.
struct CommitHook {
    /// The words of its entry.
    entry: Vec<String>,
    pattern: String,
}

fn read_hook(id: &str) -> CommitHook {
    let text = fs::read_to_string(project_dir().join(".pre-commit-hooks.yaml")).expect("it");
    let hooks: Vec<Value> = serde_yaml::from_str(&text).expect("YAML");
    let hook = hooks.iter().find(|hook| hook["id"] == id);
    let hook = hook.unwrap_or_else(|| panic!("no hook `{id}`"));
    assert_eq!(
        (&hook["language"], &hook["require_serial"]),
        (&"script".into(), &true.into())
    );
    let entry = hook["entry"].as_str().expect("an entry").split(' ');
    CommitHook {
        entry: entry.map(str::to_owned).collect(),
        pattern: hook["files"].as_str().expect("a pattern").to_owned(),
    }
}

/// The files below the folder of the world that pre-commit gives to a hook, by Python's `re`.
fn matched_files(world: &World, pattern: &str) -> Vec<String> {
    let script = "import os,re,sys\n\
                  for base,_,names in os.walk('.'):\n\
                  \x20 for name in names:\n\
                  \x20  path = os.path.normpath(os.path.join(base, name))\n\
                  \x20  if re.search(sys.argv[1], path): print(path)";
    let output = world
        .command("python3")
        .args(["-c", script, pattern])
        .output()
        .expect("python3");
    let text = to_text(&output.stdout);
    let mut files: Vec<String> = text.lines().map(str::to_owned).collect();
    files.sort();
    files
}

/// Runs a hook on all files; returns exit code, output and the number of files.
fn run_hook(world: &World, id: &str) -> (Option<i32>, String, usize) {
    let hook = read_hook(id);
    let files = matched_files(world, &hook.pattern);
    let output = world
        .command(project_dir().join(&hook.entry[0]))
        .args(&hook.entry[1..])
        .args(&files)
        .output()
        .expect("a hook");
    let said = to_text(&output.stdout) + &to_text(&output.stderr);
    assert_no_secret("the output of a hook", &said);
    (output.status.code(), said, files.len())
}

/// Customer folders with the unit, and configs of other tools.
fn deployments(world: &World) {
    for customer in ["acme", "air bnb"] {
        let folder = world.path().join("live").join(customer);
        fs::create_dir_all(&folder).expect("a folder");
        let config = CONFIG.replace("name: airbnb", &format!("name: {customer}"));
        fs::write(folder.join("config.yaml"), config).expect("a config");
        let init = world.helper_command(&["init"]).arg(&folder).output();
        assert!(init.expect("init").status.success());
    }
    fs::create_dir_all(world.path().join("other/config-backup")).expect("a folder");
    fs::write(world.path().join("other/config-backup/notes.md"), "x\n").expect("a file");
    fs::write(world.path().join("other/config.yaml"), "a: [\n").expect("a file");
}

fn edit(path: &Path, change: &dyn Fn(String) -> String) {
    let text = fs::read_to_string(path).expect("a file");
    fs::write(path, change(text)).expect("a file");
}

#[test]
fn both_hooks_accept_what_init_wrote_and_skip_the_files_of_other_tools() {
    let world = World::new();
    deployments(&world);
    let said = "`live/acme` is up to date\n`live/air bnb` is up to date\n";
    for (id, files) in [("config-backup-unit", 27), ("config-backup-config", 3)] {
        let expected = (Some(0), said.to_owned(), files);
        assert_eq!(run_hook(&world, id), expected, "{id}");
    }
    fs::remove_dir_all(world.path().join("live")).expect("gone");
    for (id, files) in [("config-backup-unit", 1), ("config-backup-config", 1)] {
        assert_eq!(run_hook(&world, id), (Some(0), String::new(), files));
    }
}

#[test]
fn the_unit_hook_refuses_a_changed_unit_and_nothing_else() {
    let world = World::new();
    deployments(&world);
    let folder = world.path().join("live/air bnb");
    edit(&folder.join("config-backup/main.tf"), &|text| text + "#\n");
    edit(&folder.join("config.yaml"), &|_| "a: [\n".to_owned());
    let (code, said, _) = run_hook(&world, "config-backup-unit");
    assert_eq!((code, said.lines().count()), (Some(7), 2), "{said}");
    assert!(
        said.contains("`live/air bnb/config-backup/main.tf` was changed by hand; run "),
        "{said}"
    );
}

#[test]
fn the_config_hook_refuses_another_name_and_what_is_not_yaml() {
    let world = World::new();
    deployments(&world);
    let folder = world.path().join("live/acme");
    fs::remove_file(folder.join("config-backup/main.tf")).expect("gone");
    let config = folder.join("config.yaml");
    edit(&config, &|text| text.replace("name: acme", "name: zeta"));
    let (code, said, _) = run_hook(&world, "config-backup-config");
    assert_eq!((code, said.lines().count()), (Some(7), 2), "{said}");
    assert!(
        said.contains("customer.name is not the folder's name"),
        "{said}"
    );
    edit(&config, &|text| text + "x: [\n");
    let (code, said, _) = run_hook(&world, "config-backup-config");
    assert_eq!(code, Some(7), "{said}");
    assert!(said.contains("not valid YAML at line"), "{said}");
}

#[test]
fn a_file_of_the_current_folder_belongs_to_it_and_a_missing_helper_is_named() {
    let mut world = World::new();
    fs::write(world.path().join("config.yaml"), "customer: {}\n").expect("a config");
    let init = world.helper_command(&["init"]).output().expect("init");
    assert!(init.status.success());
    let (code, said, _) = run_hook(&world, "config-backup-config");
    assert_eq!(code, Some(7), "{said}");
    assert!(
        said.starts_with("`./config.yaml`: it names no customer"),
        "{said}"
    );
    assert_eq!(run_hook(&world, "config-backup-unit").0, Some(0));

    world.set_variable("CONFIG_BACKUP_HELPER", Some("/nonexistent"));
    let (code, said, _) = run_hook(&world, "config-backup-unit");
    assert_eq!(code, Some(1));
    assert!(
        said.contains("the helper '/nonexistent' is not installed; "),
        "{said}"
    );
}

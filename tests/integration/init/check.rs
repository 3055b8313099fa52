//! `init --check`, and `init` with several folders.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::init::new_folder::{create_customer_folder, run_init};
use test_support::{CONFIG, World, assert_no_secret, to_text};

/// A customer folder `live/airbnb` with the unit in it.
fn deployed_folder(world: &World) -> PathBuf {
    let folder = world.path().join("live/airbnb");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("config.yaml"), CONFIG).expect("a config");
    fs::write(world.path().join("live/root.hcl"), "").expect("a root file");
    assert_eq!(run_init(world, &["live/airbnb"]).0, Some(0));
    folder
}

fn check(world: &World, arguments: &[&str]) -> (Option<i32>, String) {
    let all: Vec<&str> = ["--check"].iter().chain(arguments).copied().collect();
    let (code, said) = run_init(world, &all);
    assert_no_secret("the output of init --check", &said);
    (code, said)
}

/// Content, mode and time of every file below a folder.
fn snapshot(folder: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            lines.extend(snapshot(&path));
            continue;
        }
        let metadata = fs::metadata(&path).expect("a file");
        lines.push(format!(
            "{} {:o} {:?} {:?}",
            path.display(),
            metadata.permissions().mode(),
            metadata.modified().expect("a time"),
            fs::read(&path).expect("a file")
        ));
    }
    lines.sort();
    lines
}

#[test]
fn what_init_wrote_is_up_to_date() {
    let world = World::new();
    deployed_folder(&world);
    let before = snapshot(world.path());
    for part in ["--check", "--check=all", "--check=unit", "--check=config"] {
        assert_eq!(
            run_init(&world, &[part, "live/airbnb"]),
            (Some(0), "`live/airbnb` is up to date\n".to_owned()),
            "{part}"
        );
    }
    assert_eq!(snapshot(world.path()), before);
    assert_eq!(world.server.requests(), Vec::new());
}

#[test]
fn every_difference_is_a_line_with_a_way_out_and_nothing_is_written() {
    let world = World::new();
    let unit = deployed_folder(&world).join("config-backup");
    let edit = |name: &str, change: &dyn Fn(String) -> String| {
        let text = fs::read_to_string(unit.join(name)).expect("a file");
        fs::write(unit.join(name), change(text)).expect("a file");
    };
    fs::remove_file(unit.join(".gitignore")).expect("gone");
    edit("main.tf", &|text| text + "# mine\n");
    edit("helper.sh", &|text| text.replace('\n', "\r\n"));
    // As an older version wrote it: other bytes, whose digest is in the manifest.
    edit("outputs.tf", &|_| "old\n".to_owned());
    edit("unit.sha256", &|text| {
        let line = text.lines().find(|line| line.ends_with("  outputs.tf"));
        let digest = line.expect("a line").split(' ').next().expect("a digest");
        // printf 'old\n' | sha256sum
        text.replace(
            digest,
            "01d09d19c2139a46aebfb577780d123d7396e97201bc7ead210a2ebff8239dee",
        )
    });
    fs::set_permissions(
        unit.join("view_usage_logs.sh"),
        fs::Permissions::from_mode(0o644),
    )
    .expect("a mode");

    let before = snapshot(world.path());
    let (code, said) = check(&world, &["live/airbnb"]);
    assert_eq!(code, Some(7), "{said}");
    let by_init = "run `config-backup init live/airbnb`";
    let by_force =
        "run `config-backup init --force live/airbnb`, which keeps the old files as *.bak";
    let expected = [
        (".gitignore", "does not exist", by_init),
        ("helper.sh", "has the line ends of Windows", by_init),
        ("main.tf", "was changed by hand", by_force),
        ("outputs.tf", "is of another version", by_init),
        ("view_usage_logs.sh", "is not executable", by_init),
    ];
    let expected: String = expected
        .map(|(name, problem, fix)| {
            format!("`live/airbnb/config-backup/{name}` {problem}; {fix}\n")
        })
        .concat();
    assert_eq!(said, expected);
    assert_eq!(snapshot(world.path()), before);

    run_init(&world, &["--force", "live/airbnb"]);
    let (code, said) = check(&world, &["live/airbnb"]);
    assert_eq!(code, Some(0), "the way out leads there: {said}");
}

#[test]
fn settings_belong_to_the_user_and_the_rest_of_terragrunt_hcl_does_not() {
    let world = World::new();
    let path = deployed_folder(&world).join("config-backup/terragrunt.hcl");
    let shipped = fs::read_to_string(&path).expect("it");
    let set = shipped.replace("timeout                = 10", "timeout                = 30");
    assert_ne!(set, shipped);
    fs::write(&path, &set).expect("it");
    assert_eq!(check(&world, &["live/airbnb"]).0, Some(0));

    fs::write(&path, set + "# mine\n").expect("it");
    let (code, said) = check(&world, &["live/airbnb"]);
    assert_eq!(code, Some(7));
    assert!(
        said.starts_with("`live/airbnb/config-backup/terragrunt.hcl` was changed by hand; "),
        "{said}"
    );
}

#[test]
fn changed_settings_do_not_hide_another_version() {
    let world = World::new();
    let unit = deployed_folder(&world).join("config-backup");
    let manifest = fs::read_to_string(unit.join("unit.sha256")).expect("it");
    let line = manifest
        .lines()
        .find(|line| line.ends_with("  terragrunt.hcl"))
        .expect("a line");
    let digest = line.split(' ').next().expect("a digest");
    fs::write(
        unit.join("unit.sha256"),
        manifest.replace(digest, &digest.replace('a', "b")),
    )
    .expect("it");
    let (code, said) = check(&world, &["live/airbnb"]);
    assert_eq!(
        (code, said.as_str()),
        (
            Some(7),
            "`live/airbnb/config-backup/unit.sha256` does not fit the files of this version; \
             run `config-backup init live/airbnb`\n"
        )
    );
}

#[test]
fn a_missing_unit_and_the_legacy_module_are_differences() {
    let world = World::new();
    create_customer_folder(&world);
    let (code, said) = check(&world, &["customers of ours/airbnb"]);
    assert_eq!(
        (code, said.as_str()),
        (
            Some(7),
            "`customers of ours/airbnb/config-backup` does not exist; \
             run `config-backup init customers of ours/airbnb`\n"
        )
    );
    let unit = world.path().join("customers of ours/airbnb/config-backup");
    fs::create_dir(&unit).expect("a folder");
    fs::write(
        unit.join("main.tf"),
        "resource \"aws_s3_object\" \"usage_log\" {\n}\n",
    )
    .expect("a file");
    let (code, said) = check(&world, &["customers of ours/airbnb"]);
    assert_eq!(code, Some(7));
    assert!(
        said.contains("config-backup` has the legacy module; run `config-backup init --force "),
        "{said}"
    );
}

#[test]
fn another_root_file_is_a_difference_only_if_it_is_asked_for() {
    let world = World::new();
    deployed_folder(&world);
    fs::write(world.path().join("env.hcl"), "").expect("a file");
    let (code, said) = check(&world, &["--root", "env.hcl", "live/airbnb"]);
    assert_eq!(
        (code, said.as_str()),
        (
            Some(7),
            "`live/airbnb/config-backup/terragrunt.hcl` includes another root file; \
             run `config-backup init --root env.hcl live/airbnb`\n"
        )
    );
    run_init(&world, &["--root", "env.hcl", "live/airbnb"]);
    assert_eq!(check(&world, &["live/airbnb"]).0, Some(0));
}

#[test]
fn a_config_that_a_record_cannot_be_made_of_is_a_finding() {
    let world = World::new();
    let config = deployed_folder(&world).join("config.yaml");
    let other_name = CONFIG.replace("name: airbnb", "name: acme");
    assert_ne!(other_name, CONFIG);
    let not_yaml = CONFIG.replace("customer:", "customer: [\n");
    for (text, problem, fix) in [
        (
            other_name.as_str(),
            "customer.name is not the folder's name",
            "give both the same name",
        ),
        (not_yaml.as_str(), "not valid YAML at line", "correct it"),
        ("mongodb: {}\n", "it names no customer", "set customer.name"),
    ] {
        fs::write(&config, text).expect("a config");
        let (code, said) = check(&world, &["live/airbnb"]);
        assert_eq!(code, Some(7), "{said}");
        assert!(
            said.starts_with("`live/airbnb/config.yaml`: ")
                && said.contains(problem)
                && said.contains(&format!("; {fix}"))
                && said.lines().count() == 1,
            "{said}"
        );
        assert_eq!(
            run_init(&world, &["--check=unit", "live/airbnb"]).0,
            Some(0)
        );
    }
    fs::remove_file(&config).expect("gone");
    let (code, said) = run_init(&world, &["--check=config", "live/airbnb"]);
    assert_eq!(code, Some(7));
    assert!(
        said.contains("cannot read `live/airbnb/config.yaml`"),
        "{said}"
    );
}

#[test]
fn several_folders_are_named_and_an_error_does_not_stop_the_others() {
    let world = World::new();
    let root = world.path().join("live");
    for customer in ["acme", "airbnb", "zeta"] {
        fs::create_dir_all(root.join(customer)).expect("a folder");
        let config = CONFIG.replace("name: airbnb", &format!("name: {customer}"));
        fs::write(root.join(customer).join("config.yaml"), config).expect("a config");
    }
    fs::write(root.join("acme/config-backup"), "a file").expect("a file");
    fs::write(root.join("root.hcl"), "").expect("a root file");

    let folders = ["live/acme", "live/none", "live/airbnb", "live/zeta"];
    let output = world
        .helper_command(&["init"])
        .args(folders)
        .env("PATH", "/usr/bin:/bin")
        .output()
        .expect("init");
    let said = to_text(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "the worst of 1, 3 and 0");
    for folder in folders {
        assert_eq!(said.matches(&format!("{folder}:\n")).count(), 1, "{said}");
    }
    assert!(said.contains("`live/none` is not a folder"), "{said}");
    let errors = to_text(&output.stderr);
    assert!(
        errors.starts_with("config-backup: cannot ") && errors.lines().count() == 1,
        "{errors}"
    );

    let (code, said) = check(&world, &["live/airbnb", "live/zeta"]);
    assert_eq!(
        (code, said.as_str()),
        (
            Some(0),
            "`live/airbnb` is up to date\n`live/zeta` is up to date\n"
        )
    );
    fs::remove_file(root.join("zeta/config-backup/main.tf")).expect("gone");
    let (code, said) = check(&world, &["live/airbnb", "live/zeta"]);
    assert_eq!((code, said.lines().count()), (Some(7), 2), "{said}");
    let (code, said) = check(&world, &["live/zeta", "live/none"]);
    assert_eq!((code, said.lines().count()), (Some(3), 2), "{said}");
}

#[test]
fn check_and_force_exclude_each_other() {
    let world = World::new();
    let output = world.helper_command(&["init", "--check", "--force"]);
    let output = { output }.output().expect("init");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

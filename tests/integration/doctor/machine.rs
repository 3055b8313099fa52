//! `doctor` on a machine or customer folder that does not fit: it names each problem and a fix.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::doctor::healthy::{Diagnosis, prepare_customer_folder, run_doctor};
use test_support::terraform_steps::CustomerUnit;
use test_support::{CONFIG, SECRET_CANARIES, World, assert_no_secret, refused_endpoint, to_text};

fn prepared_world() -> (World, PathBuf) {
    let mut world = World::new();
    let folder = prepare_customer_folder(&mut world);
    (world, folder)
}

fn examine(world: &World, folder: &Path) -> Diagnosis {
    run_doctor(world, &[folder.to_str().expect("UTF-8")])
}

/// Writes a program that prints `answer`, and returns its folder.
fn write_program(world: &World, name: &str, answer: &str) -> PathBuf {
    let folder = world.path().join("programs");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join(name), format!("#!/bin/sh\necho '{answer}'\n")).expect("a program");
    fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).expect("executable");
    folder
}

#[test]
fn names_a_missing_helper_and_one_of_another_version() {
    let (mut world, folder) = prepared_world();
    world.set_variable("CONFIG_BACKUP_HELPER", None);
    let found = examine(&world, &folder);
    found.assert_failed(1, &["helper"]).assert_check(
        "helper",
        "bad",
        "`config-backup` is not in PATH",
        "CONFIG_BACKUP_HELPER",
    );

    world.set_variable(
        "CONFIG_BACKUP_HELPER_URL",
        Some("https://example.com/config-backup"),
    );
    examine(&world, &folder).assert_failed(1, &["helper"]);
    world.set_variable("CONFIG_BACKUP_HELPER_SHA256", Some("0"));
    examine(&world, &folder).assert_check(
        "helper",
        "note",
        "not in PATH: deployments use the one from",
        "install it",
    );
    world.set_variable("CONFIG_BACKUP_HELPER_URL", None);
    for (helper, words) in [
        ("../config-backup", "relative"),
        ("/no/such/helper", "not an executable file"),
    ] {
        world.set_variable("CONFIG_BACKUP_HELPER", Some(helper));
        examine(&world, &folder)
            .assert_failed(1, &["helper"])
            .assert_check("helper", "bad", words, "absolute path");
    }
    for (answer, words) in [
        ("config-backup 9.8.7", "is version 9.8.7"),
        ("something else", "does not say which version"),
    ] {
        let programs = write_program(&world, "another", answer);
        world.set_variable("CONFIG_BACKUP_HELPER", programs.join("another").to_str());
        examine(&world, &folder)
            .assert_failed(1, &["helper"])
            .assert_check("helper", "bad", words, "install");
    }
}

#[test]
fn names_missing_and_outdated_tools() {
    let (mut world, folder) = prepared_world();
    world.set_variable("PATH", Some("/usr/bin:/bin"));
    let found = examine(&world, &folder);
    found
        .assert_failed(1, &["terraform", "terragrunt"])
        .assert_check(
            "terraform",
            "bad",
            "`tofu` and no `terraform`",
            "install OpenTofu 1.11",
        );
    found.assert_check(
        "terragrunt",
        "bad",
        "no program `terragrunt`",
        "install Terragrunt",
    );
    for (name, answer, bad) in [
        ("tofu", "OpenTofu v1.10.9", "OpenTofu 1.10.9 is too old"),
        ("tofu", "Terraform v1.9.8", "Terraform 1.9.8 is too old"),
        (
            "terragrunt",
            "terragrunt version v0.68.0",
            "Terragrunt 0.68.0 is too old",
        ),
    ] {
        let (mut world, folder) = prepared_world();
        let programs = write_program(&world, name, answer);
        world.set_variable(
            "PATH",
            Some(&format!(
                "{}:{}:/usr/bin:/bin",
                programs.display(),
                pinned_tools_dir()
            )),
        );
        let check = if name == "tofu" { "terraform" } else { name };
        examine(&world, &folder)
            .assert_failed(1, &[check])
            .assert_check(check, "bad", bad, "install");
    }
    let programs = write_program(&world, "terragrunt", "terragrunt version v0.99.1");
    write_program(&world, "tofu", "OpenTofu v1.11.0");
    world.set_variable(
        "PATH",
        Some(&format!("{}:/usr/bin:/bin", programs.display())),
    );
    examine(&world, &folder).assert_no_problem().assert_check(
        "terragrunt",
        "note",
        "0.99.1, older than",
        "install Terragrunt 1.0",
    );
}

#[test]
fn the_oldest_accepted_tools_are_those_of_the_module() {
    for (file, product) in [
        ("requirements.tf", "Terraform"),
        ("requirements.tofu", "OpenTofu"),
    ] {
        let module = fs::read_to_string(test_support::project_dir().join("terraform").join(file))
            .expect("a file");
        let least = module
            .split_once(">= ")
            .expect("a version")
            .1
            .split('"')
            .next()
            .expect("a version");
        let (major, minor) = least.split_once('.').expect("major and minor");
        let minor: u64 = minor
            .split('.')
            .next()
            .expect("a minor")
            .parse()
            .expect("a number");
        for (version, status) in [
            (format!("{major}.{minor}.0"), "ok"),
            (format!("{major}.{}.99", minor - 1), "bad"),
        ] {
            let (mut world, folder) = prepared_world();
            let programs = write_program(&world, "tofu", &format!("{product} v{version}"));
            world.set_variable(
                "PATH",
                Some(&format!(
                    "{}:{}:/usr/bin:/bin",
                    programs.display(),
                    pinned_tools_dir()
                )),
            );
            examine(&world, &folder).assert_check(
                "terraform",
                status,
                &format!("{product} {version}"),
                "",
            );
        }
    }
}

fn pinned_tools_dir() -> String {
    test_support::project_dir()
        .join(".tools/bin")
        .display()
        .to_string()
}

#[test]
fn reports_spooled_items_and_how_to_send_them() {
    let (mut world, folder) = prepared_world();
    world.set_endpoint(&refused_endpoint());
    CustomerUnit::new(&world).deploy(&world).expect_warning();
    world.restore_endpoints();
    let before = world.spooled_items();
    let found = examine(&world, &folder);
    found.assert_no_problem().assert_check(
        "spool",
        "note",
        "2 spooled, since 20",
        "config-backup replay",
    );
    assert_eq!(world.spooled_items(), before, "it is only looked at");
    fs::write(world.state_dir().join("spool/notes.txt"), "not of ours").expect("a file");
    examine(&world, &folder).assert_check(
        "spool",
        "note",
        "1 quarantined, damaged, or of another program",
        "config-backup status",
    );
}

#[test]
fn names_a_state_directory_that_is_not_writable() {
    let (mut world, folder) = prepared_world();
    fs::create_dir_all(world.home().join(".local/state")).expect("a folder");
    fs::write(world.state_dir(), "not a folder").expect("a file");
    let found = examine(&world, &folder);
    found.assert_no_problem().assert_check(
        "state folder",
        "note",
        ".local/state/config-backup",
        "make the usual folder writable",
    );
    let file = world.path().join("in the way");
    fs::write(&file, "not a folder").expect("a file");
    world.set_variable("TMPDIR", file.to_str());
    let found = examine(&world, &folder);
    found.assert_failed(1, &["state folder"]).assert_check(
        "state folder",
        "bad",
        "failed uploads are lost",
        "XDG_STATE_HOME",
    );
}

#[test]
fn names_the_line_of_an_invalid_config_without_its_text() {
    let (world, folder) = prepared_world();
    // Line 7 of the sample holds a secret; its closing quote goes missing.
    fs::write(
        folder.join("config.yaml"),
        CONFIG.replace(&format!("{}\"", SECRET_CANARIES[1]), SECRET_CANARIES[1]),
    )
    .expect("a config");
    let found = examine(&world, &folder);
    found.assert_failed(3, &["config.yaml"]).assert_check(
        "config.yaml",
        "bad",
        "it is not valid YAML at line ",
        "correct it",
    );
    let output = world
        .helper_command(&["doctor"])
        .arg(&folder)
        .output()
        .expect("doctor");
    assert_no_secret("the table", &to_text(&output.stdout));
    fs::write(
        folder.join("config.yaml"),
        "customer: {name: airbnb}\nmongodb: {additional_users_count: canary-user-password}\n",
    )
    .expect("one");
    let found = examine(&world, &folder);
    found.assert_failed(3, &["config.yaml"]).assert_check(
        "config.yaml",
        "bad",
        "its mongodb.additional_users_count is not a whole number",
        "",
    );
    fs::remove_file(folder.join("config.yaml")).expect("gone");
    examine(&world, &folder)
        .assert_failed(3, &["config.yaml"])
        .assert_check("config.yaml", "bad", "No such file", "customer folder");
}

#[test]
fn reports_a_customer_name_that_differs_from_its_folder() {
    let (world, folder) = prepared_world();
    fs::write(
        folder.join("config.yaml"),
        CONFIG.replace("  name: airbnb\n", "  name: other\n"),
    )
    .expect("a config");
    let found = examine(&world, &folder);
    found
        .assert_no_problem()
        .assert_check(
            "config.yaml",
            "note",
            "is not the folder's name",
            "same name",
        )
        .assert_check("s3:PutObject", "ok", "usage-logs/other/", "");
}

#[test]
fn names_the_problems_of_a_changed_unit() {
    let (world, folder) = prepared_world();
    let unit = folder.join("config-backup");
    let edit = |name: &str, from: &str, to: &str| {
        let text = fs::read_to_string(unit.join(name)).expect("a file");
        fs::write(unit.join(name), text.replace(from, to)).expect("written");
    };
    edit("main.tf", "terraform_data", "terraform_data ");
    examine(&world, &folder).assert_no_problem().assert_check(
        "unit",
        "note",
        "changed since they were written: main.tf",
        "--force",
    );
    // As another version wrote it: other content that matches its manifest.
    let sum = test_support::oracle::python_digest(
        "sha256",
        &fs::read(unit.join("main.tf")).expect("a file"),
    );
    let manifest = fs::read_to_string(unit.join("unit.sha256")).expect("a manifest");
    let line = manifest
        .lines()
        .find(|line| line.ends_with("  main.tf"))
        .expect("a line");
    fs::write(
        unit.join("unit.sha256"),
        manifest.replace(line, &format!("{sum}  main.tf")),
    )
    .expect("a manifest");
    examine(&world, &folder)
        .assert_failed(1, &["unit"])
        .assert_check(
            "unit",
            "bad",
            "files are of another version: main.tf",
            "config-backup init",
        );
    fs::remove_file(unit.join("unit.sha256")).expect("gone");
    examine(&world, &folder)
        .assert_failed(1, &["unit"])
        .assert_check(
            "unit",
            "bad",
            "has files that config-backup did not write",
            "--force",
        );
    let legacy = "resource \"aws_s3_object\" \"usage_log\" {\n  bucket = \"mongodb-arena\"\n}\n";
    fs::write(unit.join("main.tf"), legacy).expect("written");
    examine(&world, &folder)
        .assert_failed(1, &["unit"])
        .assert_check("unit", "bad", "has the legacy module", "--force");
}

/// Whether Terragrunt reports a dependency on the unit.
fn terragrunt_accepts(world: &World, folder: &Path) -> bool {
    let mut command = world.command(Path::new(&pinned_tools_dir()).join("terragrunt"));
    let output = command
        .args(["find", "--json", "--dependencies"])
        .current_dir(folder)
        .output()
        .expect("terragrunt");
    let units: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let dependencies = units
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|unit| unit["dependencies"].as_array());
    dependencies.flatten().any(|path| path == "config-backup")
}

#[test]
fn names_units_that_depend_on_the_unit_in_any_spelling() {
    let (world, folder) = prepared_world();
    let other = folder.join("deep er/eks-cluster");
    fs::create_dir_all(other.join(".terragrunt-cache/x")).expect("folders");
    fs::create_dir_all(folder.join("atlas-cluster")).expect("a folder");
    let file = other.join("terragrunt.hcl");
    fs::write(
        other.join(".terragrunt-cache/x/terragrunt.hcl"),
        "dependencies { paths = [\"../../../../config-backup\"] }\n",
    )
    .expect("a cache");
    for harmless in [
        "# dependency \"x\" { config_path = \"../../config-backup\" }\n",
        "dependency \"x\" {\n  config_path = \"../../atlas-cluster\"\n}\n",
        "locals {\n  note = \"dependency \\\"x\\\" { config_path = \\\"../../config-backup\\\" }\"\n}\n",
        "dependencies {\n  paths = [\"../config-backup\"]\n}\n",
    ] {
        fs::write(&file, harmless).expect("written");
        assert!(!terragrunt_accepts(&world, &folder), "{harmless}");
        examine(&world, &folder)
            .assert_no_problem()
            .assert_check("dependents", "ok", "", "");
    }
    for dependent in [
        "dependency \"x\" {\n  config_path  = \"../../config-backup\"\n  mock_outputs = {}\n}\n",
        "dependencies {\n  paths = [\n    \"../../atlas-cluster\",\n    \"../../config-backup/\",\n  ]\n}\n",
        "dependencies { paths = [\"${get_terragrunt_dir()}/../../config-backup\"] }\n",
        "dependency \"x\" {\n  config_path = \"${dirname(find_in_parent_folders(\"root.hcl\"))}/config-backup\"\n}\n",
    ] {
        fs::write(&file, dependent).expect("written");
        assert!(terragrunt_accepts(&world, &folder), "{dependent}");
        let found = examine(&world, &folder);
        found.assert_failed(1, &["dependents"]).assert_check(
            "dependents",
            "bad",
            "deep er/eks-cluster/terragrunt.hcl",
            "remove those",
        );
        assert!(
            !found.field_of_check("dependents", "seen").contains("cache"),
            "{found:?}"
        );
    }
}

#[test]
fn empty_variables_count_as_unset() {
    let (mut world, folder) = prepared_world();
    for name in [
        "CONFIG_BACKUP_BUCKET",
        "CONFIG_BACKUP_BUCKET_REGION",
        "CONFIG_BACKUP_BUCKET_OWNER",
        "CONFIG_BACKUP_BUCKET_ENCRYPTION",
        "CONFIG_BACKUP_HELPER_URL",
    ] {
        world.set_variable(name, Some(""));
    }
    let found = examine(&world, &folder);
    found
        .assert_no_problem()
        .assert_check("region", "ok", "us-east-1", "");
    assert_eq!(found.said["bucket"], test_support::BUCKET);
    let report = world
        .helper_command(&["report", "--profile", "default"])
        .output()
        .expect("report");
    assert_eq!(
        (report.status.code(), to_text(&report.stderr).as_str()),
        (Some(0), "")
    );
}

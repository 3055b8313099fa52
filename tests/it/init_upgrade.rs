//! `init` where there is something already: an older unit, changed files, the earlier module, or somebody else's files.

use std::fs;
use std::path::PathBuf;

use crate::init::{customer_folder, files, init, unit};
use crate::oracle::digest;
use crate::support::World;

const EARLIER_MAIN: &str = "terraform {\n  required_providers {\n    aws = { source = \"hashicorp/aws\" }\n  }\n}\n\n\
                            resource \"aws_s3_object\" \"config_backup\" {\n  bucket = \"mongodb-arena\"\n}\n\n\
                            resource \"aws_s3_object\" \"usage_log\" {\n  bucket = \"mongodb-arena\"\n}\n";

/// A customer folder with the unit in it.
fn with_the_unit(world: &World) -> (String, PathBuf) {
    let folder = customer_folder(world);
    let path = folder.to_str().expect("UTF-8").to_owned();
    assert_eq!(init(world, &[&path]).0, Some(0));
    (path, folder.join("config-backup"))
}

/// A customer folder whose unit's folder holds these files.
fn with_files(world: &World, files: &[(&str, &str)]) -> (String, PathBuf) {
    let folder = customer_folder(world);
    fs::create_dir(folder.join("config-backup")).expect("a folder");
    for (name, content) in files {
        fs::write(folder.join("config-backup").join(name), content).expect("a file");
    }
    (folder.to_str().expect("UTF-8").to_owned(), folder.join("config-backup"))
}

#[test]
fn a_file_that_was_changed_is_kept_and_said_to_be() {
    let world = World::new();
    let (path, unit_folder) = with_the_unit(&world);
    fs::write(unit_folder.join("outputs.tf"), "# mine\n").expect("a change");
    fs::remove_file(unit_folder.join("versions.tf")).expect("gone");
    let (code, said) = init(&world, &[&path]);
    assert_eq!(code, Some(0));
    assert!(said.contains("kept config-backup/outputs.tf") && said.contains("--force"), "{said}");
    assert!(said.contains("created config-backup/versions.tf"), "{said}");
    let mut expected = unit();
    expected.insert("outputs.tf".to_owned(), b"# mine\n".to_vec());
    assert_eq!(files(&unit_folder), expected);
    assert!(init(&world, &[&path]).1.contains("kept config-backup/outputs.tf"), "a second run does not forget that it was changed");
}

#[test]
fn force_replaces_what_was_changed_and_keeps_it_beside() {
    let world = World::new();
    let (path, unit_folder) = with_the_unit(&world);
    let mut expected = unit();
    for (backup, content) in [("outputs.tf.bak", "# mine\n"), ("outputs.tf.bak2", "# mine again\n")] {
        fs::write(unit_folder.join("outputs.tf"), content).expect("a change");
        let (code, said) = init(&world, &[&path, "--force"]);
        assert_eq!(code, Some(0));
        assert!(said.contains(&format!("config-backup/{backup}\n")), "it says where the old one is: {said}");
        expected.insert(backup.to_owned(), content.into());
        assert_eq!(files(&unit_folder), expected);
    }
}

#[test]
fn files_of_an_older_version_that_nobody_changed_are_upgraded() {
    let world = World::new();
    let (path, unit_folder) = with_the_unit(&world);
    // As a version before this one would have left it: other bytes, and their digests in the list.
    let (old, changed) = ("# older main.tf\n", "# older outputs.tf\n");
    let list = format!("# head\n{}  main.tf\n{}  outputs.tf\n", digest("sha256", old.as_bytes()), digest("sha256", changed.as_bytes()));
    fs::write(unit_folder.join("unit.sha256"), list).expect("a list");
    fs::write(unit_folder.join("main.tf"), old).expect("a file");
    fs::write(unit_folder.join("outputs.tf"), "# changed by hand\n").expect("a file");
    let (code, said) = init(&world, &[&path]);
    assert_eq!(code, Some(0));
    assert!(said.contains("upgraded config-backup/main.tf\n") && said.contains("kept config-backup/outputs.tf"), "{said}");
    let mut expected = unit();
    expected.insert("outputs.tf".to_owned(), b"# changed by hand\n".to_vec());
    assert_eq!(files(&unit_folder), expected);
}

#[test]
fn the_earlier_module_is_recognised_and_nothing_is_written_without_force() {
    let world = World::new();
    let before = [("main.tf", EARLIER_MAIN), ("locals.tf", "locals {}\n"), ("view_usage_logs.sh", "#!/bin/bash\n")];
    let (path, unit_folder) = with_files(&world, &before);
    let there = files(&unit_folder);
    let (code, said) = init(&world, &[&path]);
    assert_eq!(code, Some(1));
    assert_eq!(files(&unit_folder), there);
    for words in ["holds the earlier module", "Nothing was written", "init --force", "main.tf", "view_usage_logs.sh", "locals.tf", "*.bak"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }

    let (code, said) = init(&world, &[&path, "--force"]);
    assert_eq!(code, Some(0), "{said}");
    let mut expected = unit();
    expected.insert("main.tf.bak".to_owned(), EARLIER_MAIN.into());
    expected.insert("view_usage_logs.sh.bak".to_owned(), b"#!/bin/bash\n".to_vec());
    expected.insert("locals.tf".to_owned(), b"locals {}\n".to_vec());
    assert_eq!(files(&unit_folder), expected);
    assert!(said.contains("locals.tf") && !said.contains("Nothing was written"), "{said}");
}

#[test]
fn the_earlier_modules_upgrade_forgets_its_objects_and_does_not_destroy_them() {
    let world = World::new();
    let (path, unit_folder) = with_files(&world, &[("main.tf", EARLIER_MAIN)]);
    init(&world, &[&path, "--force"]);
    let upgrade = fs::read_to_string(unit_folder.join("upgrade.tf")).expect("it");
    for resource in ["aws_s3_object.config_backup", "aws_s3_object.usage_log"] {
        assert!(upgrade.contains(&format!("from = {resource}")), "{upgrade}");
    }
    assert_eq!(upgrade.matches("destroy = false").count(), 2);
}

#[test]
fn somebody_elses_files_are_left_alone() {
    let world = World::new();
    let (path, unit_folder) = with_files(&world, &[("main.tf", "module \"x\" {}\n"), ("README.md", "ours\n")]);
    let there = files(&unit_folder);
    let (code, said) = init(&world, &[&path]);
    assert_eq!((code, files(&unit_folder)), (Some(1), there));
    assert!(said.contains("holds files that config-backup did not write") && said.contains("Nothing was written"), "{said}");
}

#[test]
fn what_terraform_left_in_the_folder_stays() {
    let world = World::new();
    let (path, unit_folder) = with_files(&world, &[(".terraform.lock.hcl", "# lock\n"), ("terraform.tfstate", "{}\n")]);
    let (code, said) = init(&world, &[&path]);
    assert_eq!(code, Some(0), "{said}");
    let mut expected = unit();
    expected.insert(".terraform.lock.hcl".to_owned(), b"# lock\n".to_vec());
    expected.insert("terraform.tfstate".to_owned(), b"{}\n".to_vec());
    assert_eq!(files(&unit_folder), expected);
}

#[test]
fn a_unit_that_is_a_file_is_an_error_in_one_line() {
    let world = World::new();
    let folder = customer_folder(&world);
    fs::write(folder.join("config-backup"), "mine").expect("a file");
    let output = world.helper(&["init"]).arg(&folder).output().expect("init");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let messages = crate::support::text(&output.stderr);
    assert!(messages.starts_with("config-backup: ") && messages.lines().count() == 1, "{messages}");
    assert_eq!(fs::read_to_string(folder.join("config-backup")).expect("it"), "mine");
}

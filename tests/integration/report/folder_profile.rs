//! The profile of commands for people, if the user does not name one: that of the customer folder.

use std::fs;
use std::path::Path;

use test_support::terraform_steps::CustomerUnit;
use test_support::{World, to_text};

const NOTE: &str = "config-backup: uses the AWS profile `jane` of ";

/// A world in whose bucket `jane` has deployed, without a default profile.
fn world_of_jane() -> World {
    let world = World::new();
    let mut unit = CustomerUnit::new(&world);
    unit.set_variable("aws_profile", "jane");
    unit.deploy(&world).expect_success();
    let path = world.home().join(".aws/credentials");
    let profiles = fs::read_to_string(&path).expect("profiles");
    fs::write(path, profiles.replace("[default]", "[other]")).expect("profiles");
    world
}

/// The exit code and the messages of `report` in a folder.
fn report_in(world: &World, folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = world.helper_command(&["report"]);
    let output = command.args(arguments).current_dir(folder).output();
    let output = output.expect("report");
    (output.status.code(), to_text(&output.stderr))
}

fn write_config(folder: &Path, text: &str) {
    fs::create_dir_all(folder).expect("a folder");
    fs::write(folder.join("config.yaml"), text).expect("a config");
}

#[test]
fn it_is_that_of_the_folder_or_of_the_one_above() {
    let world = world_of_jane();
    let folder = world.path().join("customer");
    write_config(&folder, "aws: {profile: jane}\n");
    let found = report_in(&world, &folder, &[]);
    assert_eq!(found, (Some(0), format!("{NOTE}`config.yaml`\n")));

    let unit = folder.join("config-backup");
    fs::create_dir(&unit).expect("a folder");
    let found = report_in(&world, &unit, &[]);
    assert_eq!(found, (Some(0), format!("{NOTE}`../config.yaml`\n")));
}

#[test]
fn a_named_profile_and_the_environment_come_first() {
    let mut world = world_of_jane();
    let folder = world.path().join("customer");
    write_config(&folder, "aws: {profile: jane}\n");
    let found = report_in(&world, &folder, &["--profile", "max"]);
    assert_eq!(found, (Some(0), String::new()));

    world.set_variable("AWS_DEFAULT_PROFILE", Some("max"));
    assert_eq!(report_in(&world, &folder, &[]), (Some(0), String::new()));
    world.set_variable("AWS_DEFAULT_PROFILE", None);
    world.set_variable("AWS_ACCESS_KEY_ID", Some("AKIAMAX"));
    world.set_variable("AWS_SECRET_ACCESS_KEY", Some("secret-of-max"));
    assert_eq!(report_in(&world, &folder, &[]), (Some(0), String::new()));
}

#[test]
fn a_folder_without_one_needs_credentials() {
    let world = world_of_jane();
    let folder = world.path().join("customer");
    for text in ["customer: {name: acme}\n", "{", "aws: [jane]\n"] {
        write_config(&folder, text);
        let (code, messages) = report_in(&world, &folder, &[]);
        assert_eq!(code, Some(4), "{messages}");
        assert!(messages.contains("no AWS credentials found"), "{messages}");
    }
}

//! Who is named in a record that was sent late: never the person who sent it.

use std::fs;

use serde_json::Value;

use test_support::terraform_steps::{AppliedDeployment, CustomerUnit, string_field};
use test_support::{CONFIG, JANE_ARN, JOHN_ARN, World, refused_endpoint, to_text};

const NO_USER: &str = "names no user: STS did not answer during that deployment";

/// A unit whose config names no profile, so that the environment has the credentials.
fn unit_without_profile(world: &World) -> CustomerUnit {
    let unit = CustomerUnit::new(world);
    let config = CONFIG.replace("  profile: default\n", "");
    assert_ne!(config, CONFIG);
    unit.write_config(config);
    unit
}

/// Gives the environment the access key of a person, and takes the profiles away.
fn become_person(world: &mut World, name: &str) {
    world.set_variable("AWS_SHARED_CREDENTIALS_FILE", Some("/nonexistent"));
    let access_key = format!("AKIA{}", name.to_uppercase());
    world.set_variable("AWS_ACCESS_KEY_ID", Some(&access_key));
    world.set_variable("AWS_SECRET_ACCESS_KEY", Some(&format!("secret-of-{name}")));
}

/// Runs `work` without a network.
fn offline<T>(world: &mut World, work: impl FnOnce(&World) -> T) -> T {
    world.set_endpoint(&refused_endpoint());
    let done = work(world);
    world.restore_endpoints();
    done
}

fn run_replay(world: &World) -> String {
    let output = world.helper_command(&["replay"]).output().expect("replay");
    assert!(output.status.code().is_some(), "{output:?}");
    to_text(&output.stderr)
}

fn record_of(world: &World, deployed: &AppliedDeployment) -> Value {
    deployed.record(world).1
}

/// Exchanges the access key of the profile `default`.
fn give_default_profile_to_jane(world: &World) {
    let file = world.home().join(".aws/credentials");
    let profiles = fs::read_to_string(&file).expect("profiles");
    let profiles = profiles
        .replace("AKIADEFAULT", "AKIAJANE")
        .replace("secret-of-default", "secret-of-jane");
    fs::write(file, profiles).expect("written");
}

#[test]
fn the_sender_is_not_named_for_a_deployment_of_another_person() {
    let mut world = World::new();
    let unit = unit_without_profile(&world);
    become_person(&mut world, "default");
    let johns = offline(&mut world, |world| unit.deploy(world));
    become_person(&mut world, "jane");
    let janes = unit.deploy(&world);
    let said = janes.expect_warning();
    assert!(said.contains(NO_USER), "{said}");
    assert_eq!(string_field(&record_of(&world, &janes), "user"), JANE_ARN);
    let late = record_of(&world, &johns);
    for field in ["user", "user_id", "account"] {
        assert_eq!(string_field(&late, field), "", "{late}");
    }
    // It is said once.
    unit.deploy(&world).expect_success();
}

#[test]
fn a_sender_with_the_credentials_of_then_is_named() {
    let mut world = World::new();
    let unit = unit_without_profile(&world);
    become_person(&mut world, "default");
    let johns = offline(&mut world, |world| unit.deploy(world));
    assert_eq!(run_replay(&world), "");
    assert_eq!(string_field(&record_of(&world, &johns), "user"), JOHN_ARN);
}

#[test]
fn who_planned_with_the_same_credentials_is_named_without_sts() {
    let mut world = World::new();
    let unit = unit_without_profile(&world);
    become_person(&mut world, "default");
    let context = unit.plan(&world);
    let johns = offline(&mut world, |world| unit.apply(world, context));
    become_person(&mut world, "jane");
    unit.deploy(&world).expect_success();
    assert_eq!(string_field(&record_of(&world, &johns), "user"), JOHN_ARN);
}

#[test]
fn who_planned_is_not_named_for_an_apply_with_other_credentials() {
    let mut world = World::new();
    let unit = unit_without_profile(&world);
    become_person(&mut world, "default");
    let context = unit.plan(&world);
    become_person(&mut world, "jane");
    let janes = offline(&mut world, |world| unit.apply(world, context));
    become_person(&mut world, "default");
    let said = unit.deploy(&world);
    assert!(said.expect_warning().contains(NO_USER), "{said:?}");
    assert_eq!(string_field(&record_of(&world, &janes), "user"), "");
}

#[test]
fn a_dead_sts_does_not_hold_up_the_record_of_who_planned() {
    let mut world = World::new();
    let unit = CustomerUnit::new(&world);
    let context = unit.plan(&world);
    world.set_variable("AWS_ENDPOINT_URL_STS", Some(&refused_endpoint()));
    let deployed = unit.apply(&world, context).expect_success();
    let record = record_of(&world, &deployed);
    assert_eq!(string_field(&record, "user"), JOHN_ARN);
    assert_eq!(record.get("late"), None);
}

#[test]
fn a_profile_that_is_another_persons_by_now_names_no_user() {
    let mut world = World::new();
    let unit = CustomerUnit::new(&world);
    unit.deploy(&world).expect_success();
    let johns = offline(&mut world, |world| unit.deploy(world));
    give_default_profile_to_jane(&world);
    let said = run_replay(&world);
    assert!(said.contains(NO_USER), "{said}");
    assert_eq!(string_field(&record_of(&world, &johns), "user"), "");
}

#[test]
fn expired_credentials_of_a_profile_are_those_of_its_last_user() {
    for (by_now, named) in [("the same person", JOHN_ARN), ("another person", "")] {
        let world = World::new();
        let unit = CustomerUnit::new(&world);
        unit.deploy(&world).expect_success();
        // As with an expired login, there are no credentials at all for a while.
        let file = world.home().join(".aws/credentials");
        let profiles = fs::read_to_string(&file).expect("profiles");
        fs::write(&file, "[default]\ncredential_process = /bin/false\n").expect("written");
        let johns = unit.deploy(&world);
        johns.expect_warning();
        fs::write(&file, profiles).expect("written");
        if by_now == "another person" {
            give_default_profile_to_jane(&world);
        }
        let said = run_replay(&world);
        assert_eq!(said.contains(NO_USER), named.is_empty(), "{by_now}: {said}");
        let late = record_of(&world, &johns);
        assert_eq!(string_field(&late, "user"), named, "{by_now}");
    }
}

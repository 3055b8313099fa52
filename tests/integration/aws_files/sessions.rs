//! The sessions of roles: who deployed is the same person in each deployment.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;
use test_support::s3_servers::MotoServer;
use test_support::terraform_steps::CustomerUnit;
use test_support::{World, to_text};

const ROLE: &str = "[profile team]\nrole_arn = arn:aws:iam::123456789012:role/Deployer\n\
                    source_profile = default\n";

/// Deploys twice on moto, and returns the ARNs in the records.
fn deploy_twice(config: &str) -> (World, MotoServer, BTreeSet<String>) {
    let mut world = World::new();
    let moto = MotoServer::start(&world);
    world.set_endpoint(&moto.endpoint);
    let mut unit = CustomerUnit::new(&world);
    let folder = world.home().display().to_string();
    fs::write(world.home().join("token"), "token").expect("a token");
    let config = config.replace("<folder>", &folder);
    fs::write(world.home().join(".aws/config"), config).expect("a profile");
    unit.set_variable("aws_profile", "team");
    let mut arns = BTreeSet::new();
    for _ in 0..2 {
        let deployed = unit.deploy(&world).expect_success();
        let arn = deployed.answer["caller_arn"].as_str().expect("an ARN");
        arns.insert(arn.to_owned());
    }
    (world, moto, arns)
}

fn report_users(world: &World) -> Vec<String> {
    let output = world
        .helper_command(&["report", "--profile", "team", "--format", "json"])
        .output()
        .expect("report");
    assert!(output.status.success(), "{}", to_text(&output.stderr));
    let rows: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let rows = rows.as_array().expect("rows");
    let users = rows
        .iter()
        .map(|row| row["user"].as_str().expect("a user").to_owned());
    users.collect()
}

#[test]
fn a_role_without_a_session_name_gets_that_of_who_assumes_it() {
    let (world, _moto, arns) = deploy_twice(ROLE);
    // moto's name for each access key that it does not know.
    let arn = "arn:aws:sts::123456789012:assumed-role/Deployer/moto";
    assert_eq!(arns, BTreeSet::from([arn.to_owned()]));
    assert_eq!(report_users(&world), ["moto"]);
}

#[test]
fn a_session_name_of_the_profile_stays() {
    let (world, _moto, arns) = deploy_twice(&format!("{ROLE}role_session_name = jane\n"));
    let arn = "arn:aws:sts::123456789012:assumed-role/Deployer/jane";
    assert_eq!(arns, BTreeSet::from([arn.to_owned()]));
    assert_eq!(report_users(&world), ["jane"]);
}

#[test]
fn each_role_of_a_chain_has_the_name_of_the_first_person() {
    let config = format!(
        "{}[profile middle]\nrole_arn = arn:aws:iam::123456789012:role/Middle\n\
         source_profile = default\n",
        ROLE.replace("= default", "= middle")
    );
    let (world, _moto, arns) = deploy_twice(&config);
    let arn = "arn:aws:sts::123456789012:assumed-role/Deployer/moto";
    assert_eq!(arns, BTreeSet::from([arn.to_owned()]));
    assert_eq!(report_users(&world), ["moto"]);
}

#[test]
fn the_user_of_a_web_identity_is_its_role() {
    let config = "[profile team]\nrole_arn = arn:aws:iam::123456789012:role/Runner\n\
                  web_identity_token_file = <folder>/token\n";
    let (world, _moto, arns) = deploy_twice(config);
    assert_eq!(arns.len(), 2, "a session for each deployment: {arns:?}");
    assert_eq!(report_users(&world), ["Runner"]);
}

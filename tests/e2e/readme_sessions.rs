//! The console sessions of README.md, run with the real tools in a new customer folder and in one
//! of the legacy module, whose state is written by hand.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::customer_stack::{CustomerStack, TerraformTool};
use test_support::console_sessions::{play_session, read_session};
use test_support::{BUCKET, CONFIG, World, project_dir};

const README: &str = "README.md";
const INSTALL: &str = "docs/install.md";

fn session_shell(stack: &CustomerStack) -> Command {
    let mut shell = stack.command(Path::new("bash"));
    shell.current_dir(stack.world.path());
    shell
}

/// All objects except states, by their folders.
fn list_folders(world: &World) -> Vec<String> {
    let keys = world
        .server
        .keys(BUCKET, "")
        .into_iter()
        .filter(|key| !key.ends_with(".tfstate"));
    keys.map(|key| key.rsplit_once('/').unwrap().0.to_owned())
        .collect()
}

#[test]
fn the_first_session_prints_what_the_readme_shows() {
    let stack = CustomerStack::without_unit(TerraformTool::Tofu, "airbnb").unwrap();
    play_session(session_shell(&stack), &read_session(README, "deploy"));
}

#[test]
fn the_session_for_a_new_folder_works() {
    let stack = CustomerStack::without_unit(TerraformTool::Tofu, "deployments/airbnb").unwrap();
    play_session(session_shell(&stack), &read_session(INSTALL, "adopt"));
    let (customer, history) = ("terragrunt/airbnb", "terragrunt/airbnb/config-history");
    let logs = "usage-logs/airbnb";
    assert_eq!(
        list_folders(&stack.world),
        [
            history,
            customer,
            "terragrunt/airbnb/usage-chain",
            logs,
            logs
        ]
    );
    assert_eq!(stack.world.stored_config(), CONFIG.as_bytes());
}

/// The record that the legacy module left.
const OF_LOG: &str = "usage-logs/airbnb/d188280766a258ccc135ef480b49230c.json";

/// A customer folder with the legacy module, and what it left in the bucket.
fn of_the_legacy_module() -> (CustomerStack, Vec<u8>) {
    let stack = CustomerStack::without_unit(TerraformTool::Tofu, "deployments/airbnb").unwrap();
    let fixtures = project_dir().join("tests/fixtures");
    let unit = stack.folder.join("config-backup");
    fs::create_dir(&unit).unwrap();
    for name in ["main.tf", "terragrunt.hcl"] {
        fs::copy(fixtures.join("earlier-module").join(name), unit.join(name)).unwrap();
    }
    let put = |key: &str, body: &[u8]| stack.world.server.put(BUCKET, key, body, &[]).unwrap();
    let log = fs::read(fixtures.join("legacy-log.json")).unwrap();
    put(OF_LOG, &log);
    put("terragrunt/airbnb/config.yaml", CONFIG.as_bytes());
    put(
        "terragrunt/airbnb/config-backup/terraform.tfstate",
        &fs::read(fixtures.join("earlier-module/state.json")).unwrap(),
    );
    (stack, log)
}

#[test]
fn the_session_for_the_legacy_module_works_and_keeps_its_logs() {
    let (stack, log) = of_the_legacy_module();
    play_session(session_shell(&stack), &read_session(INSTALL, "legacy"));
    assert_eq!(stack.world.server.object(BUCKET, OF_LOG).unwrap().body, log);
    let records = stack.world.usage_records();
    assert_eq!(records.len(), 2, "{records:?}");
    assert_eq!(stack.world.count_deletions(), 0);
    stack.apply_all().expect_success().assert_healthy();
}

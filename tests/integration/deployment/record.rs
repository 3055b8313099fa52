//! The optional parts of a usage record: the checkout, the CI job, and version differences.

use std::fs;

use test_support::terraform_steps::{CustomerUnit, string_field};
use test_support::{World, to_text};

fn run_git(world: &World, arguments: &[&str]) -> String {
    let mut command = world.command("git");
    for role in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{role}_NAME"), "Jane")
            .env(format!("GIT_{role}_EMAIL"), "jane@example.com");
    }
    let output = command
        .current_dir(world.path().join("customers of ours"))
        .args(arguments)
        .output()
        .expect("git");
    assert!(
        output.status.success(),
        "git {arguments:?}: {}",
        to_text(&output.stderr)
    );
    to_text(&output.stdout).trim().to_owned()
}

#[test]
fn the_record_has_the_deployed_commit() {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    run_git(&world, &["init", "--quiet", "--initial-branch=trunk"]);
    run_git(&world, &["add", "."]);
    run_git(&world, &["commit", "--quiet", "--message=first"]);
    let commit = run_git(&world, &["rev-parse", "HEAD"]);
    let block = |deployed: test_support::terraform_steps::AppliedDeployment| {
        deployed.expect_success().record(&world).1["git"].clone()
    };

    let clean = block(unit.deploy(&world));
    assert_eq!(
        clean,
        serde_json::json!({"commit": commit, "branch": "trunk", "dirty": false})
    );
    fs::write(unit.config.with_file_name("untracked"), "x").expect("a file");
    assert_eq!(
        block(unit.deploy(&world)),
        clean,
        "files that git does not know change nothing that is deployed"
    );
    unit.write_config("customer: {name: airbnb}\naws: {profile: default}\n");
    assert_eq!(block(unit.deploy(&world))["dirty"], true);
    run_git(&world, &["checkout", "--quiet", "--detach"]);
    assert_eq!(block(unit.deploy(&world))["branch"], "");
}

#[test]
fn reading_the_checkout_changes_nothing_in_it() {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    run_git(&world, &["init", "--quiet"]);
    run_git(&world, &["add", "."]);
    run_git(&world, &["commit", "--quiet", "--message=first"]);
    let index = || fs::read(world.path().join("customers of ours/.git/index")).expect("an index");
    let before = index();
    unit.write_config(test_support::CONFIG); // the same bytes, another time: a plain `git status` would refresh the index
    unit.deploy(&world).expect_success();
    assert_eq!(index(), before);
}

#[test]
fn a_checkout_without_a_commit_and_no_checkout_give_no_git_block() {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    assert!(
        unit.deploy(&world)
            .expect_success()
            .record(&world)
            .1
            .get("git")
            .is_none()
    );
    run_git(&world, &["init", "--quiet"]);
    assert!(
        unit.deploy(&world)
            .expect_success()
            .record(&world)
            .1
            .get("git")
            .is_none()
    );
}

#[test]
fn deploys_without_git() {
    let mut world = World::new();
    let unit = CustomerUnit::new(&world);
    world.set_variable("PATH", Some("/nonexistent"));
    assert!(
        unit.deploy(&world)
            .expect_success()
            .record(&world)
            .1
            .get("git")
            .is_none()
    );
}

#[test]
fn the_record_has_the_ci_job_without_passwords() {
    let mut world = World::new();
    let unit = CustomerUnit::new(&world);
    // GitHub's documentation, "Default environment variables".
    for (name, value) in [
        ("CI", "true"),
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_SERVER_URL", "https://bot:s3cret@github.com"),
        ("GITHUB_REPOSITORY", "octocat/Hello-World"),
        ("GITHUB_RUN_ID", "1658821493"),
    ] {
        world.set_variable(name, Some(value));
    }
    let (_, record) = unit.deploy(&world).expect_success().record(&world);
    let url = "https://github.com/octocat/Hello-World/actions/runs/1658821493";
    assert_eq!(
        record["ci"],
        serde_json::json!({"provider": "github", "run_url": url})
    );
}

#[test]
fn names_a_unit_of_another_version_and_the_fix() {
    let world = World::new();
    let mut unit = CustomerUnit::new(&world);
    unit.set_variable("unit_version", "0.0.9");
    let deployed = unit.deploy(&world);
    let said = deployed.expect_warning();
    for words in ["0.0.9", env!("CARGO_PKG_VERSION"), "`config-backup init`"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(
        string_field(&deployed.answer, "status"),
        "warning",
        "a misfit is no failure"
    );
    assert_eq!(deployed.record(&world).1["backup"], "uploaded");
}

#[test]
fn the_record_has_the_overrides_of_the_module() {
    let world = World::new();
    let mut unit = CustomerUnit::new(&world);
    for (key, value) in [
        ("customer_name", "acme"),
        ("project_name", "p"),
        ("cluster_name", "c"),
        ("additional_users_count", "0"),
    ] {
        unit.set_variable(key, value);
    }
    let (key, record) = unit.deploy(&world).expect_success().record(&world);
    assert!(key.starts_with("usage-logs/acme/"), "{key}");
    let names =
        ["customer", "project_name", "cluster_name"].map(|name| string_field(&record, name));
    assert_eq!(
        (names, &record["additional_users_count"]),
        (["acme", "p", "c"], &serde_json::json!(0))
    );
}

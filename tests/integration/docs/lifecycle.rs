//! The rules for expiring objects in docs/operations.md, "Lifecycle rules": which objects may
//! expire, and what the commands report then.

use crate::commands::run_command;
use test_support::oracle::{unix_now, wait_for_next_second};
use test_support::terraform_steps::CustomerUnit;
use test_support::{BUCKET, CONFIG, World};

/// Three deployments, of two configs: the second changes it, the third does not.
fn deployed_world() -> World {
    let world = World::new();
    let unit = CustomerUnit::in_folder(&world, "airbnb");
    for config in [
        CONFIG.to_owned(),
        CONFIG.replace("M30", "M40"),
        CONFIG.replace("M30", "M40"),
    ] {
        wait_for_next_second(unix_now());
        unit.write_config(config);
        unit.deploy(&world).expect_success();
    }
    world
}

/// Deletes the first object below a prefix, as if it had expired.
fn expire_objects(world: &World, prefix: &str) {
    let key = world.server.keys(BUCKET, prefix).remove(0);
    world.server.delete(BUCKET, &key).expect("deleted");
}

fn finding_lines(world: &World, arguments: &[&str]) -> Vec<String> {
    let (code, output, messages) = run_command(world, arguments);
    let kinds: Vec<String> = output
        .lines()
        .map(|line| line.split([' ', ':']).next().expect("a word").to_owned())
        .collect();
    assert_eq!(
        code,
        Some(if kinds.is_empty() { 0 } else { 7 }),
        "{arguments:?}: {messages}"
    );
    kinds
}

#[test]
fn an_expired_record_is_reported_as_missing() {
    let world = deployed_world();
    expire_objects(&world, "usage-logs/airbnb/");
    assert_eq!(
        finding_lines(&world, &["verify"]),
        ["missing", "unrecorded"]
    );
    assert_eq!(
        finding_lines(&world, &["coverage"]),
        ["missing-record", "missing-record"]
    );
    // Tomorrow all objects are old enough.
    let tomorrow = test_support::oracle::format_rfc3339(unix_now() + 86_400);
    assert_eq!(
        finding_lines(&world, &["coverage", "--since", &tomorrow]),
        Vec::<String>::new()
    );
    // The loss of a chain is reported once, for any number of missing records.
    expire_objects(&world, "usage-logs/airbnb/");
    assert_eq!(
        finding_lines(&world, &["verify"])
            .iter()
            .filter(|kind| *kind == "missing")
            .count(),
        1
    );
}

#[test]
fn objects_written_by_doctor_may_expire() {
    let world = deployed_world();
    assert!(
        world
            .server
            .put(BUCKET, "usage-logs/airbnb/_config-backup-doctor", b"x", &[])
            .is_ok()
    );
    assert!(
        world
            .server
            .put(BUCKET, "terragrunt/airbnb/_config-backup-doctor", b"x", &[])
            .is_ok()
    );
    let clean = |world: &World| {
        [
            finding_lines(world, &["verify"]),
            finding_lines(world, &["coverage"]),
        ]
        .concat()
    };
    assert_eq!(clean(&world), Vec::<String>::new());
    for place in ["usage-logs", "terragrunt"] {
        expire_objects(&world, &format!("{place}/airbnb/_config-backup-doctor"));
    }
    assert_eq!(clean(&world), Vec::<String>::new());
}

#[test]
fn reports_expired_objects_that_must_not_expire() {
    for (prefix, by_verify, by_coverage) in [
        (
            "terragrunt/airbnb/config-history/",
            "missing",
            "missing-version",
        ),
        ("terragrunt/airbnb/config.yaml", "missing", "outdated"),
        ("terragrunt/airbnb/usage-chain/", "unsealed", ""),
    ] {
        let world = deployed_world();
        expire_objects(&world, prefix);
        assert_eq!(finding_lines(&world, &["verify"]), [by_verify], "{prefix}");
        assert_eq!(
            finding_lines(&world, &["coverage"]).concat(),
            by_coverage,
            "{prefix}"
        );
    }
}

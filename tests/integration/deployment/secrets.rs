//! The secrets of a config appear in its copies and nowhere else, also after a failure.

use std::fs;
use std::path::Path;

use crate::deployment::failure_cases::{ALL_FAILURES, end_failure};
use test_support::terraform_steps::{AppliedDeployment, CustomerUnit};
use test_support::{BUCKET, CONFIG, SECRET_CANARIES, World, assert_no_secret, to_text};

/// Further secrets: the keys that sign requests.
const SECRET_KEYS: [&str; 4] = [
    "secret-of-default",
    "secret-of-jane",
    "secret-of-reader",
    "secret-of-denied",
];

fn assert_nothing_leaks(what: &str, content: &str) {
    assert_no_secret(what, content);
    for key in SECRET_KEYS {
        assert!(!content.contains(key), "`{key}` stands in {what}");
    }
}

pub(crate) fn read_all_files(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.expect("an entry"))
    {
        if entry.file_type().expect("a type").is_dir() {
            found.extend(read_all_files(&entry.path()));
        } else {
            found.push((
                entry.path().display().to_string(),
                to_text(&fs::read(entry.path()).expect("a file")),
            ));
        }
    }
    found
}

fn in_the_bucket(world: &World) {
    for key in world.server.keys(BUCKET, "") {
        assert_nothing_leaks("a key", &key);
        let object = world.server.object(BUCKET, &key).expect("it");
        assert_nothing_leaks(
            &format!("the metadata of {key}"),
            &format!("{:?}", object.metadata),
        );
        if !key.starts_with("terragrunt/") {
            assert_nothing_leaks(&key, &to_text(&object.body));
        }
    }
    for request in world.server.requests() {
        assert_nothing_leaks("a request's address", &format!("{request:?}"));
    }
}

/// Output, state files except the spool, and all file names.
fn on_this_machine(world: &World, deployed: &AppliedDeployment) {
    assert_nothing_leaks("what was printed", &format!("{deployed:?}"));
    for (name, content) in read_all_files(&world.state_dir()) {
        assert_nothing_leaks("a file's name", &name);
        if name.contains("/spool/") {
            // The spool contains the config by design, but its header and the records must not.
            assert_nothing_leaks(&name, &content.replace(CONFIG, ""));
        } else {
            assert_nothing_leaks(&name, &content);
        }
    }
}

#[test]
fn the_canaries_are_in_the_config_that_is_deployed() {
    assert!(
        SECRET_CANARIES.iter().all(|canary| CONFIG.contains(canary)),
        "without them the tests below claim nothing"
    );
}

#[test]
fn a_successful_deployment_shows_no_secret() {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    for _ in 0..2 {
        let deployed = unit.deploy(&world).expect_success();
        on_this_machine(&world, &deployed);
    }
    in_the_bucket(&world);
    assert_eq!(world.usage_records().len(), 2);
    fs::write(
        world.path().join("config.yaml"),
        CONFIG.replace("canary-", "another-canary-"),
    )
    .expect("a file");
    for arguments in [&["history", "airbnb"][..], &["diff", "airbnb"]] {
        let output = world
            .helper_command(arguments)
            .args(["--profile", "default"])
            .output()
            .expect("it starts");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_nothing_leaks(
            "what looks back",
            &format!("{}{}", to_text(&output.stdout), to_text(&output.stderr)),
        );
    }
}

#[test]
fn no_failure_shows_a_secret_during_or_after_it() {
    for trouble in &ALL_FAILURES {
        let mut world = World::new();
        let mut unit = CustomerUnit::new(&world);
        let proxy = (trouble.arrange)(&mut world, &mut unit);
        let deployed = unit.deploy(&world);
        deployed.expect_warning();
        on_this_machine(&world, &deployed);
        // Other commands wait longer for an answer than a test should.
        if trouble.name != crate::deployment::failure_cases::BLACK_HOLE.name {
            for arguments in [&["replay"][..], &["report", "--profile", "default"]] {
                let output = world.helper_command(arguments).output().expect("it starts");
                assert_nothing_leaks(
                    trouble.name,
                    &format!("{}{}", to_text(&output.stdout), to_text(&output.stderr)),
                );
            }
        }
        end_failure(&mut world, &mut unit, proxy);
        let next = unit.deploy(&world);
        on_this_machine(&world, &next);
        in_the_bucket(&world);
    }
}

#[test]
fn a_config_that_cannot_be_parsed_is_not_quoted() {
    let broken = [
        CONFIG.replace(&format!("{}\"", SECRET_CANARIES[1]), SECRET_CANARIES[1]),
        CONFIG.replace(
            "  project_name: airbnb-project",
            "  project_name: [canary-admin-password",
        ),
        CONFIG.replace(
            "additional_users_count: 5",
            "additional_users_count: canary-user-password",
        ),
        CONFIG.replace("  name: airbnb", "  name: {canary-portal-password: 1}"),
        CONFIG.replace(
            "  profile: default",
            "  profile: canary-portal-password\n  profile: default",
        ),
        format!("{CONFIG}\u{0}canary-user-password"),
        format!("{CONFIG}*canary-user-password"),
        format!("{CONFIG}x: !canary-user-password y\n"),
    ];
    for content in broken {
        let world = World::new();
        let unit = CustomerUnit::new(&world);
        unit.write_config(&content);
        let deployed = unit.deploy(&world);
        let record = deployed.record(&world).1.to_string();
        // One value may be shown: the configured project name.
        assert_nothing_leaks("what was printed", &format!("{deployed:?}"));
        assert_nothing_leaks("the record", &record);
        for (name, body) in read_all_files(&world.state_dir()) {
            assert_nothing_leaks(&name, &body);
        }
    }
}

#[test]
fn a_query_is_not_quoted_when_it_is_refused() {
    let world = World::new();
    for query in [
        "{\"canary-admin-password\":",
        "{\"config_file_path\":\"c\",\"timeout\":\"canary-admin-password\"}",
    ] {
        for command in ["context", "deploy", "fallback"] {
            let output =
                test_support::run_with_input(world.helper_command(&[command]), query.as_bytes());
            assert_nothing_leaks(
                command,
                &format!("{}{}", to_text(&output.stdout), to_text(&output.stderr)),
            );
        }
    }
}

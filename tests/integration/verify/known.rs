//! What `verify` remembers, and deletions that only this shows.

use std::fs;
use std::process::Output;

use serde_json::Value;

use test_support::oracle::{format_rfc3339, unix_now, wait_for_next_second};
use test_support::terraform_steps::{CustomerUnit, string_field};
use test_support::{BUCKET, CONFIG, World, to_text};

use super::{parse_findings, run_verify};

/// Deployments of CI runners, each of which starts without any state.
fn deploy_on_runners(world: &mut World, count: usize) {
    for number in 0..count {
        world.move_to(&format!("runner {number}"));
        let unit = CustomerUnit::new(world);
        unit.write_config(CONFIG.replace("M30", ["M30", "M40"][number / 2 % 2]));
        unit.deploy(world).expect_success();
        wait_for_next_second(unix_now());
    }
    world.move_to("home of the auditor");
}

/// Deletes a record and the seal of its chain, as if it had never been.
fn delete_deployment(world: &World, record_key: &str, record: &Value) {
    let writer = string_field(&record["chain"], "writer");
    let seal = format!("terragrunt/airbnb/usage-chain/{writer}.json");
    for key in [record_key, &seal] {
        world.server.delete(BUCKET, key).expect("deleted");
    }
}

fn kinds_and_keys(output: &Output) -> Vec<(String, String)> {
    let found = parse_findings(output);
    found
        .into_iter()
        .map(|(_, kind, key)| (kind, key))
        .collect()
}

/// The line that CI keeps.
fn known_line(output: &Output) -> String {
    let stdout = to_text(&output.stdout);
    let line = stdout.lines().last().expect("a line");
    assert!(line.starts_with("known: ["), "{output:?}");
    line.to_owned()
}

#[test]
fn a_deployment_of_a_runner_does_not_disappear_with_its_seal() {
    let mut world = World::new();
    deploy_on_runners(&mut world, 5);
    let records = world.usage_records();
    for (number, (key, record)) in records.iter().enumerate() {
        let before = number.checked_sub(1).map(|it| records[it].0.as_str());
        assert_eq!(record["chain"]["newest"].as_str(), before, "{key}");
        assert_eq!(record["chain"]["number"], 1);
    }
    for (key, record) in &records[1..4] {
        delete_deployment(&world, key, record);
    }
    let found = kinds_and_keys(&run_verify(&world, &["--json"]));
    let missing = ("missing".to_owned(), records[3].0.clone());
    assert!(found.contains(&missing), "{found:?}");
}

#[test]
fn the_newest_deployment_and_a_whole_customer_are_remembered() {
    let mut world = World::new();
    deploy_on_runners(&mut world, 3);
    let first = run_verify(&world, &["--json"]);
    assert_eq!(kinds_and_keys(&first), []);

    let (key, record) = world.usage_records().pop().expect("a record");
    delete_deployment(&world, &key, &record);
    let missing = ("missing".to_owned(), key);
    for _ in 0..2 {
        let found = kinds_and_keys(&run_verify(&world, &["--json"]));
        assert!(found.contains(&missing), "it is not learned: {found:?}");
    }

    for key in world.server.keys(BUCKET, "") {
        world.server.delete(BUCKET, &key).expect("deleted");
    }
    for arguments in [&["--json"][..], &["--json", "airbnb"]] {
        let found = kinds_and_keys(&run_verify(&world, arguments));
        let gone = ("missing".to_owned(), "usage-logs/airbnb/".to_owned());
        assert!(found.contains(&gone), "{found:?}");
    }
    world.move_to("home of another auditor");
    assert_eq!(kinds_and_keys(&run_verify(&world, &["--json"])), []);
}

#[test]
fn a_file_and_a_line_remember_without_the_state_directory() {
    let mut world = World::new();
    deploy_on_runners(&mut world, 2);
    let file = world.path().join("known.jsonl");
    let file = file.to_str().expect("UTF-8");
    let learned = run_verify(&world, &["--known", file]);
    assert_eq!(
        (learned.status.code(), to_text(&learned.stdout)),
        (Some(0), String::new())
    );
    let line = known_line(&run_verify(&world, &["--known", "-"]));
    assert!(
        !world.state_dir().join("known").exists(),
        "nothing is left on this machine"
    );

    // Another machine has the file, or the line.
    world.move_to("home of another auditor");
    assert_eq!(
        known_line(&run_verify(&world, &["--known", &line])).len(),
        line.len()
    );
    let (key, record) = world.usage_records().pop().expect("a record");
    delete_deployment(&world, &key, &record);
    let without = run_verify(&world, &["--known", ""]);
    assert_eq!(without.status.code(), Some(0), "{without:?}");
    for known in [file, &line] {
        let found = kinds_and_keys(&run_verify(&world, &["--json", "--known", known]));
        assert!(
            found.contains(&("missing".to_owned(), key.clone())),
            "{found:?}"
        );
    }
    // The deletion is not learned, so the next line still shows it.
    let output = run_verify(&world, &["--known", &line]);
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    let again = run_verify(&world, &["--known", &known_line(&output)]);
    assert_eq!(again.status.code(), Some(7), "{again:?}");
}

#[test]
fn damaged_memory_is_reported() {
    let mut world = World::new();
    deploy_on_runners(&mut world, 1);
    let file = world.path().join("known.jsonl");
    fs::write(&file, "{}\n").expect("a file");
    let file = file.to_str().expect("UTF-8");
    for (known, cause) in [
        (
            file,
            "known.jsonl`: line 1 is damaged; take it from a backup",
        ),
        (
            "known: {",
            "cannot read `--known`: it is not a line of `verify --known -`",
        ),
    ] {
        let output = run_verify(&world, &["--known", known]);
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        let message = to_text(&output.stderr);
        assert!(message.contains(cause), "{message}");
    }

    run_verify(&world, &[]);
    let folder = world.state_dir().join("known");
    let state_file = fs::read_dir(folder)
        .expect("a folder")
        .next()
        .expect("a file");
    fs::write(state_file.expect("a file").path(), "?").expect("damaged");
    let output = run_verify(&world, &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(
        to_text(&output.stderr).contains(": line 1 is damaged; "),
        "{output:?}"
    );
}

#[test]
fn what_expired_is_no_finding_with_a_retention() {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    for _ in 0..3 {
        unit.deploy(&world).expect_success();
        wait_for_next_second(unix_now());
    }
    assert_eq!(run_verify(&world, &[]).status.code(), Some(0));
    let (key, _) = world.usage_records().remove(0);
    world.server.delete(BUCKET, &key).expect("expired");
    assert_eq!(run_verify(&world, &[]).status.code(), Some(7));
    let tomorrow = format_rfc3339(unix_now() + 24 * 3600);
    let output = run_verify(&world, &["--retention", &tomorrow]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(
        run_verify(&world, &["--retention", "soon"]).status.code(),
        Some(3)
    );
}

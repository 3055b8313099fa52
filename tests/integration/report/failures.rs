//! `report`: its errors, its outputs and its exit codes.

use std::fs;

use test_support::faulty_proxy::{FaultyProxy, RequestFate};
use test_support::terraform_steps::CustomerUnit;
use test_support::{BUCKET, World, refused_endpoint, to_text};

const HEADER: &str = "timestamp,customer,user,additional_users_count,project_name,cluster_name\n";

fn run_report(world: &World, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = world
        .helper_command(&["report"])
        .args(arguments)
        .output()
        .expect("report");
    (
        output.status.code(),
        to_text(&output.stdout),
        to_text(&output.stderr),
    )
}

/// Asserts the exit code, one line on stderr with `words`, and nothing on stdout.
fn assert_fails(world: &World, arguments: &[&str], code: i32, words: &str) {
    let (got, output, messages) = run_report(world, arguments);
    assert_eq!(
        (got, output.as_str()),
        (Some(code), ""),
        "{arguments:?}: {messages}"
    );
    assert!(
        messages.starts_with("config-backup: ") && messages.lines().count() == 1,
        "{messages}"
    );
    assert!(
        messages.contains(words),
        "{arguments:?}: no `{words}` in {messages}"
    );
}

#[test]
fn a_report_to_a_file_says_where_it_is_and_how_long() {
    let world = World::new();
    CustomerUnit::new(&world).deploy(&world).expect_success();
    let path = world.path().join("my reports.csv");
    let path = path.to_str().expect("UTF-8");
    fs::write(path, "of yesterday\n".repeat(1000)).expect("an old report");
    let (code, output, messages) = run_report(&world, &["--profile", "default", "--output", path]);
    assert_eq!((code, output.as_str()), (Some(0), ""));
    assert_eq!(messages, format!("config-backup: wrote 1 row to {path}\n"));
    let csv = fs::read_to_string(path).expect("a report");
    assert!(csv.starts_with(HEADER) && csv.lines().count() == 2, "{csv}");
    assert!(
        csv.ends_with(",airbnb,john.doe,5,airbnb-project,arena-cluster\n"),
        "{csv}"
    );
    let left = fs::read_dir(world.path())
        .expect("a folder")
        .filter_map(Result::ok)
        .map(|entry| entry.file_name());
    assert!(
        left.into_iter()
            .all(|name| !name.to_string_lossy().contains("tmp")),
        "no temporary file is left"
    );
}

#[test]
fn a_relative_output_is_in_the_current_folder_and_a_dash_is_stdout() {
    let world = World::new();
    assert_eq!(
        run_report(&world, &["--profile", "default", "-o", "-"]),
        (Some(0), HEADER.to_owned(), String::new())
    );
    assert!(!world.path().join("-").exists());
    assert_eq!(
        run_report(&world, &["--profile", "default", "-o", "usage.csv"]).0,
        Some(0)
    );
    assert_eq!(
        fs::read_to_string(world.path().join("usage.csv")).expect("a report"),
        HEADER
    );
}

#[test]
fn refuses_an_unwritable_output_before_any_request() {
    let world = World::new();
    fs::create_dir(world.path().join("folder")).expect("a folder");
    for (place, words) in [
        ("folder", "it is a folder"),
        ("missing/usage.csv", "there is no folder"),
        ("folder/", "it is a folder"),
    ] {
        assert_fails(
            &world,
            &["--profile", "default", "--output", place],
            1,
            words,
        );
    }
    assert_eq!(world.server.requests(), Vec::new());
}

#[test]
fn a_failed_report_leaves_the_old_file() {
    let mut world = World::new();
    fs::write(world.path().join("usage.csv"), "of yesterday\n").expect("an old report");
    world.set_endpoint(&refused_endpoint());
    assert_eq!(
        run_report(&world, &["--profile", "default", "-o", "usage.csv"]).0,
        Some(6)
    );
    assert_eq!(
        fs::read_to_string(world.path().join("usage.csv")).expect("it"),
        "of yesterday\n"
    );
}

#[test]
fn a_closed_pipe_is_not_an_error() {
    let world = World::new();
    for number in 0..400 {
        let record = format!(
            "{{\"timestamp\":\"2026-03-02T08:00:00Z\",\"user\":\"arn:x:user/{}{number}\"}}",
            "u".repeat(300)
        );
        world
            .server
            .put(
                BUCKET,
                &format!("usage-logs/acme/{number}.json"),
                record.as_bytes(),
                &[],
            )
            .expect("a record");
    }
    let mut shell = world.command("sh");
    let script = "{ \"$1\" report --profile default; echo \"exit $?\" >&2; } | head -1";
    let output = shell
        .args(["-c", script, "sh"])
        .arg(test_support::helper_path())
        .output()
        .expect("sh");
    assert_eq!(
        (to_text(&output.stdout), to_text(&output.stderr)),
        (HEADER.to_owned(), "exit 0\n".to_owned())
    );
}

#[test]
fn missing_credentials_exit_4() {
    let world = World::new();
    fs::remove_dir_all(world.home().join(".aws")).expect("gone");
    assert_fails(&world, &[], 4, "no AWS credentials found");
    assert_fails(
        &world,
        &["--profile", "gone"],
        4,
        "find the AWS profile `gone`",
    );
}

#[test]
fn rejected_credentials_exit_4() {
    let mut world = World::new();
    world.set_variable("AWS_ACCESS_KEY_ID", Some("AKIADELETED"));
    world.set_variable("AWS_SECRET_ACCESS_KEY", Some("x"));
    assert_fails(&world, &[], 4, "AWS does not know these credentials");
    world.set_variable("AWS_ACCESS_KEY_ID", Some("AKIADEFAULT"));
    assert_fails(&world, &[], 4, "the secret key does not match");
}

#[test]
fn a_denied_listing_and_a_missing_bucket_exit_5_with_a_fix() {
    let world = World::new();
    assert_fails(&world, &["--profile", "denied"], 5, "s3:ListBucket");
    assert_fails(
        &world,
        &["--profile", "default", "--bucket", "no-such-bucket"],
        5,
        "there is no such bucket",
    );
}

#[test]
fn a_missing_network_and_a_captive_portal_exit_6() {
    let mut world = World::new();
    world.set_endpoint(&refused_endpoint());
    assert_fails(&world, &["--profile", "default"], 6, "refused");
    let portal = FaultyProxy::captive_portal();
    world.set_endpoint(&portal.endpoint());
    assert_fails(&world, &["--profile", "default"], 6, "captive portal");
}

#[test]
fn a_record_that_cannot_be_fetched_is_an_error() {
    let mut world = World::new();
    CustomerUnit::new(&world).deploy(&world).expect_success();
    let broken = FaultyProxy::start(&world.server.endpoint(), |line| {
        if line.starts_with("GET /mongodb-arena/usage-logs/") {
            RequestFate::Answer(
                "500 Internal Server Error",
                "<Error><Code>InternalError</Code><Message>later</Message></Error>",
            )
        } else {
            RequestFate::Pass
        }
    });
    world.set_endpoint(&broken.endpoint());
    assert_fails(
        &world,
        &["--profile", "default"],
        1,
        "HTTP 500, InternalError",
    );
}

#[test]
fn a_wrong_command_line_exits_2() {
    let world = World::new();
    for arguments in [
        &["--no-such-flag"][..],
        &["--by", "age"],
        &["--output"],
        &["--format", "pdf"],
        &["--sort", "age"],
        &["--limit", "-1"],
        &["--summary", "--all"],
        &["--no-cache", "--refresh"],
    ] {
        let (code, output, messages) = run_report(&world, arguments);
        assert_eq!((code, output.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(messages.starts_with("error: "), "{messages}");
    }
    assert_eq!(
        world
            .helper_command(&["no-such-command"])
            .output()
            .expect("it")
            .status
            .code(),
        Some(2)
    );
}

#[test]
fn the_profile_is_that_of_the_config_file_unless_one_is_named() {
    let world = World::new();
    fs::write(world.path().join("config.yaml"), "aws: {profile: jane}\n").expect("a config");
    let last_key = || world.server.requests().pop().expect("a request").access_key;
    assert_eq!(
        run_report(&world, &["--config-file", "config.yaml"]).0,
        Some(0)
    );
    assert_eq!(last_key(), "AKIAJANE");
    assert_eq!(
        run_report(
            &world,
            &["--config-file", "config.yaml", "--profile", "default"]
        )
        .0,
        Some(0)
    );
    assert_eq!(last_key(), "AKIADEFAULT");
    assert_fails(
        &world,
        &["--config-file", "missing.yaml"],
        3,
        "missing.yaml",
    );
}

#[test]
fn bucket_and_profile_can_come_from_the_environment() {
    let mut world = World::new();
    world.set_variable("CONFIG_BACKUP_BUCKET", Some("another-bucket"));
    assert_fails(&world, &["--profile", "default"], 5, "another-bucket");
    world.set_variable("CONFIG_BACKUP_BUCKET", None);
    world.set_variable("AWS_PROFILE", Some("jane"));
    assert_eq!(run_report(&world, &[]).0, Some(0));
    assert_eq!(
        world.server.requests().pop().expect("a request").access_key,
        "AKIAJANE"
    );
}

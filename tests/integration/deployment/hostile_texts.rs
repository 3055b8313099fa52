//! Texts from outside, in every place from which one reaches an output: none makes a second line or
//! tells a terminal what to do.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use test_support::faulty_proxy::{FaultyProxy, RequestFate};
use test_support::terraform_steps::{CustomerUnit, string_field, wrap_request};
use test_support::world::run_with_input;
use test_support::{World, project_dir, refused_endpoint, to_text};

/// Forges a line of output, hides what follows it, and turns the writing direction.
const HOSTILE: &str =
    "x`\nconfig-backup: all is well\r\u{1b}[8m\u{9b}2J\u{85}\u{2028}\u{202e}\u{2066}\u{7f}y";

/// What an answer of S3 can hold, which is XML.
const HOSTILE_ANSWER: &str = "<Error><Code>Bad\nconfig-backup: all is well\u{9b}2J\u{202e}</Code>\
     <Message>no\nconfig-backup: all is well\u{85}\u{2028}</Message>\
     <RequestId>1\nconfig-backup: all is well</RequestId></Error>";

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn assert_harmless(what: &str, text: &str) {
    let found = text.chars().find(|&c| c != '\n' && is_unsafe(c));
    assert_eq!(found, None, "{what}: {text:?}");
    let forged = text
        .lines()
        .find(|line| line.starts_with("config-backup: all is well"));
    assert_eq!(forged, None, "{what}: {text:?}");
}

/// Both steps and the fallback; each text of an answer is one line.
fn check_deployment(what: &str, world: &World, unit: &CustomerUnit) {
    let context = world.run_protocol_command("context", &unit.query());
    let answer: Value = serde_json::from_str(&context).expect("JSON");
    let request = wrap_request(&unit.deploy_request(&answer));
    let deploy = world.run_protocol_command("deploy", &request);
    for line in [&context, &deploy] {
        assert_eq!(line.matches('\n').count(), 1, "{what}: {line}");
        assert_harmless(what, line);
        let answer: Value = serde_json::from_str(line).expect("JSON");
        for (key, value) in answer.as_object().expect("an object") {
            let text = value.as_str().expect("a text");
            assert!(!text.contains(is_unsafe), "{what}: {key}: {text:?}");
        }
    }

    let settings = json!({ "unit_settings": unit.query() }).to_string();
    let fallback = run_with_input(world.helper_command(&["fallback"]), settings.as_bytes());
    let line = to_text(&fallback.stdout);
    assert_eq!(line.matches('\n').count(), 1, "{what}: {line}");
    assert_harmless(what, &line);
}

fn check_output(what: &str, mut command: Command) {
    let output = command.output().expect("it runs");
    assert_harmless(what, &to_text(&output.stdout));
    assert_harmless(what, &to_text(&output.stderr));
}

/// Commands for people, in the customer's folder, and with hostile arguments.
fn check_commands(what: &str, world: &World, unit: &CustomerUnit) {
    let folder = unit.config.parent().expect("a folder");
    let config = unit.config.to_str().expect("UTF-8");
    for arguments in [
        &["status"][..],
        &["status", "--json"],
        &["replay"],
        &["doctor", "--config-file", config],
        &["doctor", "--json", "--config-file", config],
        &["report", "--no-cache"],
        &["report", "-f", "table"],
        &["history", "airbnb"],
        &["verify"],
        &["coverage"],
        &["init", "--check", "."],
    ] {
        let mut command = world.helper_command(arguments);
        command.current_dir(folder);
        check_output(&format!("{what}: {arguments:?}"), command);
    }
}

#[test]
fn settings_and_configs_make_one_harmless_line() {
    for key in [
        "customer_name",
        "aws_profile",
        "project_name",
        "cluster_name",
        "additional_users_count",
        "bucket",
        "bucket_region",
        "expected_bucket_owner",
        "bucket_encryption",
        "timeout",
        "unit_version",
        "backup_id",
        HOSTILE,
    ] {
        let world = World::new();
        let mut unit = CustomerUnit::new(&world);
        unit.set_variable(key, HOSTILE);
        check_deployment(&format!("the setting {key:?}"), &world, &unit);
    }

    let quoted = json!(HOSTILE.replace('\u{7f}', "")).to_string();
    for config in [
        format!("customer: {{name: airbnb}}\naws: {{profile: {quoted}}}\n"),
        format!("customer: {{name: {quoted}}}\naws: {{profile: default}}\n"),
        format!("customer: {{name: airbnb, {quoted}: 1}}\naws: {{profile: [{quoted}]}}\n"),
        format!(
            "mongodb: {{project_name: {quoted}, cluster_name: {quoted}}}\naws: {{profile: default}}\n"
        ),
        format!("customer: [{quoted}"),
    ] {
        let world = World::new();
        let unit = CustomerUnit::new(&world);
        unit.write_config(&config);
        check_deployment(&config, &world, &unit);
        check_commands(&config, &world, &unit);
    }
}

#[test]
fn paths_and_variables_make_one_harmless_line() {
    let world = World::new();
    let unit = CustomerUnit::in_folder(&world, &format!("customers/{HOSTILE}"));
    check_deployment("the path of the config", &world, &unit);
    check_commands("the path of the config", &world, &unit);
    fs::remove_file(&unit.config).expect("removed");
    check_deployment("the path of a missing config", &world, &unit);

    for (name, value) in [
        ("AWS_PROFILE", HOSTILE.to_owned()),
        ("AWS_REGION", HOSTILE.to_owned()),
        ("AWS_ENDPOINT_URL_S3", format!("http://{HOSTILE}")),
        ("AWS_ENDPOINT_URL_S3", format!("http://host/{HOSTILE}")),
        ("AWS_CA_BUNDLE", format!("/nowhere/{HOSTILE}")),
        ("AWS_CONFIG_FILE", format!("/nowhere/{HOSTILE}")),
        ("AWS_SHARED_CREDENTIALS_FILE", format!("/nowhere/{HOSTILE}")),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", format!("/nowhere/{HOSTILE}")),
        ("HTTP_PROXY", format!("http://jane:s3cret@{HOSTILE}:1")),
        ("NO_PROXY", HOSTILE.to_owned()),
        ("HOME", format!("/proc/{HOSTILE}")),
        ("XDG_STATE_HOME", format!("/proc/{HOSTILE}")),
        ("TMPDIR", format!("/proc/{HOSTILE}")),
        ("CONFIG_BACKUP_HELPER", HOSTILE.to_owned()),
        ("CONFIG_BACKUP_BUCKET", HOSTILE.to_owned()),
        ("CONFIG_BACKUP_BUCKET_REGION", HOSTILE.to_owned()),
        ("CONFIG_BACKUP_BUCKET_OWNER", HOSTILE.to_owned()),
        ("CONFIG_BACKUP_BUCKET_ENCRYPTION", HOSTILE.to_owned()),
        ("USER", HOSTILE.to_owned()),
        ("TG_TF_PATH", HOSTILE.to_owned()),
    ] {
        let mut world = World::new();
        let unit = CustomerUnit::new(&world);
        world.set_variable(name, Some(&value));
        check_deployment(name, &world, &unit);
        check_commands(name, &world, &unit);
    }
}

#[test]
fn arguments_make_one_harmless_line() {
    let world = World::new();
    CustomerUnit::new(&world).deploy(&world).expect_success();
    for arguments in [
        &["report", HOSTILE][..],
        &["report", "--since", HOSTILE],
        &["report", "--profile", HOSTILE],
        &["report", "--bucket", HOSTILE],
        &["report", "-f", HOSTILE],
        &[
            "report",
            "-o",
            "/nowhere/\u{1b}[8m\nconfig-backup: all is well",
        ],
        &["history", HOSTILE, "--profile", "default"],
        &["diff", HOSTILE, "a", "b", "--profile", "default"],
        &["diff", "airbnb", HOSTILE, "latest", "--profile", "default"],
        &[
            "restore",
            "airbnb",
            "--version",
            HOSTILE,
            "--stdout",
            "--profile",
            "default",
        ],
        &["restore", "airbnb", "--at", HOSTILE, "--stdout"],
        &["verify", HOSTILE, "--profile", "default"],
        &["coverage", "--profile", HOSTILE],
        &["compact", "--before", HOSTILE],
        &["replay", "--bucket-encryption", HOSTILE],
        &["init", HOSTILE],
        &["init", "--check", HOSTILE],
        &["iam", "writer", "--bucket", HOSTILE],
        &["doctor", "--config-file", HOSTILE],
        &["status", HOSTILE],
        &[HOSTILE],
    ] {
        check_output(&format!("{arguments:?}"), world.helper_command(arguments));
    }
}

#[test]
fn answers_of_servers_make_one_harmless_line() {
    for status in [
        "403 Forbidden",
        "400 Bad Request",
        "500 Internal Server Error",
    ] {
        let mut world = World::new();
        let unit = CustomerUnit::new(&world);
        let proxy = FaultyProxy::start(&world.server.endpoint(), move |_| {
            RequestFate::Answer(status, HOSTILE_ANSWER)
        });
        world.set_endpoint(&proxy.endpoint());
        check_deployment(status, &world, &unit);
        check_commands(status, &world, &unit);
    }
}

#[test]
fn answers_of_the_script_in_place_of_the_helper_are_harmless() {
    let world = World::new();
    let script = project_dir().join("terraform/helper.sh");
    let sum = "0".repeat(64);
    let url = "http://jane:s3cret@127.0.0.1:1/x?s3cret=s3cret#s3cret";
    for command in ["context", "deploy", "fallback"] {
        for more in [&[HOSTILE][..], &["no-helper", url, &sum, "1"]] {
            let mut shell = world.command("/bin/sh");
            shell.arg(&script).arg(command).args(more);
            let output = shell.output().expect("a shell");
            let line = to_text(&output.stdout);
            assert_eq!(line.matches('\n').count(), 1, "{command}: {line}");
            assert_harmless(command, &line);
            assert!(!line.contains("s3cret"), "{line}");
            assert!(line.contains("is not installed"), "{line}");
            if command != "fallback" {
                let answer: Value = serde_json::from_str(&line).expect("JSON");
                let message = string_field(&answer, "message");
                assert!(!message.contains(is_unsafe), "{message:?}");
            }
        }
    }
}

#[test]
fn the_url_of_a_ci_job_has_no_secret_and_no_query() {
    for (url, shown) in [
        (
            "https://jane:s3cret@ci.example:8443/run/1?token=s3cret#s3cret",
            "https://ci.example:8443/run/1",
        ),
        ("jane:s3cret@ci.example/run", ""),
        ("https://ci.example/run\\s3cret\u{202e}", ""),
        ("https://[::1", ""),
    ] {
        let mut world = World::new();
        let unit = CustomerUnit::new(&world);
        world.set_variable("GITLAB_CI", Some("true"));
        world.set_variable("CI_JOB_URL", Some(url));
        let (_, record) = unit.deploy(&world).expect_success().record(&world);
        assert_eq!(string_field(&record["ci"], "run_url"), shown, "{url}");
    }
}

#[test]
fn no_part_of_a_proxy_or_endpoint_is_shown_but_its_host() {
    for (name, value) in [
        ("HTTPS_PROXY", "jane:s3cret@127.0.0.1:1"),
        (
            "HTTPS_PROXY",
            "http://jane:s3cret@127.0.0.1:1/s3cret?s3cret#s3cret",
        ),
        ("HTTPS_PROXY", "http:\\\\jane:s3cret@127.0.0.1:1"),
        ("HTTPS_PROXY", "http://jane:s3c\tret@127.0.0.1:1"),
        ("HTTPS_PROXY", "http://[::1"),
        ("HTTPS_PROXY", "http://s3cret:s3cret"),
        (
            "AWS_ENDPOINT_URL_S3",
            "https://127.0.0.1:1/s3cret?s3cret=s3cret",
        ),
        ("AWS_ENDPOINT_URL_S3", "https://jane:s3cret@127.0.0.1:1"),
        ("AWS_ENDPOINT_URL_S3", "jane:s3cret@127.0.0.1:1"),
        ("AWS_ENDPOINT_URL_S3", "https://[::1/s3cret"),
    ] {
        let mut world = World::new();
        let unit = CustomerUnit::new(&world);
        if name.starts_with("AWS") {
            world.set_endpoint(&refused_endpoint());
            world.set_variable("AWS_ENDPOINT_URL_S3", None);
        } else {
            world.set_endpoint("https://s3.invalid");
        }
        world.set_variable(name, Some(value));
        let deployed = unit.deploy(&world);
        let mut said = format!("{deployed:?}");
        for arguments in [&["doctor", "--json"][..], &["replay"], &["status"]] {
            let output = world.helper_command(arguments).output().expect("it runs");
            said += &(to_text(&output.stdout) + &to_text(&output.stderr));
        }
        assert!(!said.contains("s3cret"), "{name}={value}: {said}");
        assert!(!said.contains("s3c\\tret"), "{name}={value}: {said}");
    }
}

#[test]
fn a_queue_with_odd_names_is_listed_in_harmless_lines() {
    let mut world = World::new();
    let mut unit = CustomerUnit::new(&world);
    unit.set_variable("customer_name", HOSTILE);
    world.set_endpoint(&refused_endpoint());
    unit.deploy(&world);
    let foreign = world
        .state_dir()
        .join("spool")
        .join("x\u{1b}[8m\nconfig-backup: all is well");
    fs::write(foreign, "x").expect("a file");
    check_commands("the queue", &world, &unit);
}

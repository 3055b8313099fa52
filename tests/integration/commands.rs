//! Runs commands with a profile, and writes versions and records by hand.

use test_support::oracle::{key_timestamp, python_digest};
use test_support::s3_backend::S3Backend;
use test_support::{World, to_text};

/// An exit code, stdout and stderr.
pub(crate) type CommandOutput = (Option<i32>, String, String);

/// Runs a command with the profile `default`.
pub(crate) fn run_command(world: &World, arguments: &[&str]) -> CommandOutput {
    run_command_as(world, "default", arguments)
}

pub(crate) fn run_command_as(world: &World, profile: &str, arguments: &[&str]) -> CommandOutput {
    let output = world
        .helper_command(arguments)
        .args(["--profile", profile])
        .output()
        .expect("it starts");
    (
        output.status.code(),
        to_text(&output.stdout),
        to_text(&output.stderr),
    )
}

/// Runs a command that must exit 0 without messages, and returns its answer.
pub(crate) fn command_answer(world: &World, arguments: &[&str]) -> String {
    let (code, answer, messages) = run_command(world, arguments);
    assert_eq!((code, messages.as_str()), (Some(0), ""), "{arguments:?}");
    answer
}

/// The MD5 of a body, by python3.
pub(crate) fn md5_of(body: &str) -> String {
    python_digest("md5", body.as_bytes())
}

/// Writes a version of the customer `acme`, without metadata, and returns its key.
pub(crate) fn put_version(backend: &S3Backend, at: &str, body: &str) -> String {
    let key = format!(
        "terragrunt/acme/config-history/{}_{}.yaml",
        key_timestamp(at),
        md5_of(body)
    );
    backend.client.put(&key, body);
    key
}

/// Writes the record of a deployment of `acme` that used the version with this key.
pub(crate) fn put_record(backend: &S3Backend, at: &str, user: &str, key: &str) {
    let record = format!(
        "{{\"timestamp\":\"{at}\",\"customer\":\"acme\",\"user\":\"arn:aws:iam::123456789012:user/{user}\",\"config_hash\":\"\",\
         \"deployment_id\":\"{}-{user}\",\"backup_key\":\"{key}\"}}\n",
        at.replace(['-', ':'], "")
    );
    backend.client.put(
        &format!("usage-logs/acme/{}.json", key_timestamp(at)),
        &record,
    );
}

/// Asserts an exit code with nothing on stdout and one line on stderr.
pub(crate) fn assert_refused((code, output, messages): CommandOutput, exit: i32, words: &str) {
    assert_eq!(
        (code, output.as_str(), messages.lines().count()),
        (Some(exit), "", 1),
        "{messages}"
    );
    assert!(messages.contains(words), "{messages}");
}

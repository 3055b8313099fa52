//! Runs commands with a profile, and writes versions and records by hand.

use test_support::oracle::{key_timestamp, python_digest, unix_time};
use test_support::s3_backend::S3Backend;
use test_support::{BUCKET, World, to_text};

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
    put_version_with_md5(backend, at, body, &md5_of(body))
}

/// As [`put_version`], for a body whose MD5 is known: Python takes longer to start than most tests.
pub(crate) fn put_version_with_md5(backend: &S3Backend, at: &str, body: &str, md5: &str) -> String {
    let key = format!(
        "terragrunt/acme/config-history/{}_{md5}.yaml",
        key_timestamp(at)
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

/// Writes two versions of `acme` with a deployment each, and returns their keys.
pub(crate) fn put_two_versions(backend: &S3Backend, [first, second]: [&str; 2]) -> [String; 2] {
    let keys = [
        put_version(backend, "2026-10-01T08:00:00Z", first),
        put_version(backend, "2026-10-02T08:00:00Z", second),
    ];
    put_record(backend, "2026-10-01T08:00:05Z", "jane", &keys[0]);
    put_record(backend, "2026-10-02T08:00:05Z", "joe", &keys[1]);
    keys
}

/// Writes a config of `acme` as the legacy module did, without a copy: on 2025-10-30T14:30:52Z.
pub(crate) fn put_legacy_config(backend: &S3Backend, body: &str) {
    // date -u -d 2025-10-30T14:30:52Z +%s
    let modified = unix_time(1_761_834_652);
    let key = "terragrunt/acme/config.yaml";
    let server = &backend.world.server;
    server
        .put_at(BUCKET, key, body.as_bytes(), &[], modified)
        .expect("an object");
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

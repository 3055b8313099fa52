//! `restore` writes the selected version byte for byte, or nothing.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use crate::commands::{
    assert_refused, md5_of, put_legacy_config, put_record, put_two_versions, put_version,
    run_command, run_command_as,
};
use test_support::BUCKET;
use test_support::s3_backend::{S3Backend, S3ServerKind, on_each_server};

on_each_server!(
    restores_each_version_byte_for_byte,
    does_not_write_bytes_that_mismatch_their_name
);

const FIRST: &str = "# Z\u{fc}rich\r\nmongodb: {password: canary-one}\t";
const SECOND: &str = "mongodb: {password: canary-two}\n";

fn output_path(backend: &S3Backend) -> PathBuf {
    backend.world.path().join("restored.yaml")
}

/// Restores into [`output`].
fn run_restore(backend: &S3Backend, arguments: &[&str]) -> crate::commands::CommandOutput {
    run_command(
        &backend.world,
        &[&["restore", "acme", "--output", "restored.yaml"], arguments].concat(),
    )
}

/// Asserts that a restore was refused and wrote no file, not even a partial one.
fn assert_nothing_written(backend: &S3Backend, arguments: &[&str], exit: i32, words: &str) {
    assert_refused(run_restore(backend, arguments), exit, words);
    let left = fs::read_dir(backend.world.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name());
    assert!(
        left.into_iter()
            .all(|name| !name.to_string_lossy().contains("restored"))
    );
}

fn restores_each_version_byte_for_byte(backend: &mut S3Backend) {
    let [first, _] = put_two_versions(backend, [FIRST, SECOND]);
    for (arguments, expected) in [
        (&["--version", &md5_of(FIRST)][..], FIRST),
        (&["--version", &md5_of(FIRST)[..6]], FIRST),
        (&["--version", "2026-10-01_080000"], FIRST),
        (&["--at", "2026-10-01"], FIRST),
        (&["--at", "2026-10-02T07:59:59Z"], FIRST),
        (&["--deployment", "20261001T080005Z-jane"], FIRST),
        (&["--deployment", "20261001"], FIRST),
        (&["--at", "2026-10-02"], SECOND),
        (&["--at", "1h"], SECOND),
        (&[], SECOND),
    ] {
        let (code, said, messages) = run_restore(backend, arguments);
        assert_eq!(
            (code, said.as_str(), messages.lines().count()),
            (Some(0), "", 1),
            "{arguments:?}: {messages}"
        );
        assert_eq!(
            fs::read(output_path(backend)).expect("a file"),
            expected.as_bytes(),
            "{arguments:?}"
        );
        fs::remove_file(output_path(backend)).expect("it is there");
        let (code, printed, _) = run_command(
            &backend.world,
            &[&["restore", "acme", "--stdout"], arguments].concat(),
        );
        assert_eq!(
            (code, printed.as_str()),
            (Some(0), expected),
            "{arguments:?}"
        );
    }
    let (.., messages) = run_restore(backend, &["--version", &md5_of(FIRST)]);
    let words = format!(
        "wrote `restored.yaml`: deployed 2026-10-01T08:00:05Z by arn:aws:iam::123456789012:user/jane (20261001T080005Z-jane), \
         from s3://{BUCKET}/{first}; md5 and size verified\n"
    );
    assert_eq!(messages, format!("config-backup: {words}"));
}

fn does_not_write_bytes_that_mismatch_their_name(backend: &mut S3Backend) {
    let [_, second] = put_two_versions(backend, [FIRST, SECOND]);
    backend.client.put(&second, &SECOND.replace("two", "six"));
    assert_nothing_written(backend, &[], 1, "md5 mismatch");
    assert_eq!(
        run_command(&backend.world, &["restore", "acme", "--stdout"]).1,
        ""
    );
    assert_eq!(
        run_restore(backend, &["--at", "2026-10-01"]).0,
        Some(0),
        "the others are as good as before"
    );
}

#[test]
fn reports_metadata_that_does_not_match_the_bytes() {
    let backend = S3Backend::new(S3ServerKind::Embedded);
    let key = put_version(&backend, "2026-10-01T08:00:00Z", FIRST);
    for (name, value) in [
        ("md5", md5_of(SECOND)),
        (
            "sha256",
            test_support::oracle::python_digest("sha256", SECOND.as_bytes()),
        ),
    ] {
        backend
            .world
            .server
            .put(BUCKET, &key, FIRST.as_bytes(), &[(name, &value)])
            .expect("an object");
        assert_nothing_written(&backend, &[], 1, &format!("{name} mismatch"));
    }
}

#[test]
fn refuses_an_ambiguous_selector_and_lists_the_candidates() {
    let backend = S3Backend::new(S3ServerKind::Embedded);
    for (time, md5) in [
        ("2026-10-01_080000", "abcd1"),
        ("2026-10-02_080000", "abcd2"),
    ] {
        backend.client.put(
            &format!("terragrunt/acme/config-history/{time}_{md5:0<32}.yaml"),
            "x\n",
        );
    }
    put_record(&backend, "2026-10-01T08:00:05Z", "jane", "");
    for (arguments, words) in [
        (["--version", "abcd"], "`abcd` matches 2 versions: abcd2"),
        (
            ["--version", "ffff"],
            "there is no version `ffff`; `config-backup history` lists them",
        ),
        (["--version", "abc"], "give at least 4 digits"),
        (
            ["--at", "2026-09-30"],
            "there was no version at 2026-09-30T23:59:59Z; the oldest is of 2026-10-01T08:00:00Z",
        ),
        (["--at", "yesterday"], "read `--at yesterday`; use a date"),
        (
            ["--deployment", "20261001T080005Z-jane"],
            "the config of the deployment 20261001T080005Z-jane is not in the bucket",
        ),
        (
            ["--deployment", "nobody"],
            "there is no deployment `nobody`",
        ),
    ] {
        assert_nothing_written(&backend, &arguments, 3, words);
    }
}

#[test]
fn a_config_of_the_legacy_module_is_verified_by_a_record_or_not_at_all() {
    let backend = S3Backend::new(S3ServerKind::Embedded);
    put_legacy_config(&backend, FIRST);
    let (code, _, messages) = run_restore(&backend, &[]);
    assert_eq!((code, messages.lines().count()), (Some(0), 2), "{messages}");
    assert!(
        messages.contains("not verified: the bucket has no digest of this object"),
        "{messages}"
    );
    let record = format!(
        "{{\"timestamp\":\"2025-10-30T14:30:52Z\",\"user\":\"arn:x:user/jane\",\"config_hash\":\"{}\"}}",
        md5_of(FIRST)
    );
    backend
        .client
        .put(&format!("usage-logs/acme/{}.json", md5_of(FIRST)), &record);
    let (.., messages) = run_restore(&backend, &[]);
    assert!(
        messages.contains("deployed 2025-10-30T14:30:52Z by arn:x:user/jane, from ")
            && messages.ends_with("; md5 and size verified\n")
    );
}

#[test]
fn replaces_another_file_only_by_force_and_keeps_a_copy() {
    let backend = S3Backend::new(S3ServerKind::Embedded);
    put_two_versions(&backend, [FIRST, SECOND]);
    fs::write(output_path(&backend), "mine\n").expect("a file");
    assert_refused(
        run_restore(&backend, &[]),
        1,
        "it has other content; choose another file, or use `--force`",
    );
    assert_eq!(
        fs::read_to_string(output_path(&backend)).expect("a file"),
        "mine\n"
    );
    let (code, _, messages) = run_restore(&backend, &["--force"]);
    assert!(
        code == Some(0) && messages.contains("and its old content to `"),
        "{messages}"
    );
    let aside = backend.world.path().join("restored.yaml.bak");
    assert_eq!(
        (
            fs::read_to_string(output_path(&backend)).expect("it"),
            fs::read_to_string(&aside).expect("it")
        ),
        (SECOND.into(), "mine\n".into())
    );
    assert_eq!(
        fs::metadata(output_path(&backend))
            .expect("it")
            .permissions()
            .mode()
            & 0o777,
        0o600
    );

    let written = fs::metadata(output_path(&backend))
        .expect("it")
        .modified()
        .expect("a time");
    let (code, _, messages) = run_restore(&backend, &[]);
    assert!(
        code == Some(0) && messages.contains("already has this content"),
        "{messages}"
    );
    assert_eq!(
        fs::metadata(output_path(&backend))
            .expect("it")
            .modified()
            .expect("a time"),
        written
    );
    run_restore(&backend, &["--force", "--at", "2026-10-01"]);
    assert_eq!(
        fs::read_to_string(backend.world.path().join("restored.yaml.bak2")).expect("it"),
        SECOND,
        "no copy is lost"
    );
    assert_eq!(fs::read_to_string(aside).expect("it"), "mine\n");
}

#[test]
fn follows_a_link_and_refuses_an_output_that_cannot_be_a_file() {
    let backend = S3Backend::new(S3ServerKind::Embedded);
    put_two_versions(&backend, [FIRST, SECOND]);
    fs::create_dir(backend.world.path().join("elsewhere")).expect("a folder");
    fs::write(backend.world.path().join("elsewhere/config.yaml"), "mine\n").expect("a file");
    symlink("elsewhere/config.yaml", output_path(&backend)).expect("a link");
    assert_eq!(run_restore(&backend, &["--force"]).0, Some(0));
    assert!(output_path(&backend).is_symlink());
    assert_eq!(
        fs::read_to_string(backend.world.path().join("elsewhere/config.yaml")).expect("it"),
        SECOND
    );
    assert!(
        backend
            .world
            .path()
            .join("elsewhere/config.yaml.bak")
            .exists()
    );

    let asked = backend.world.server.requests().len();
    for (place, words) in [
        ("elsewhere", "it is a folder"),
        ("none/x", "there is no such folder"),
        ("/dev/null", "use `--stdout`"),
    ] {
        assert_refused(
            run_command(&backend.world, &["restore", "acme", "--output", place]),
            3,
            words,
        );
    }
    for arguments in [
        &["restore", "acme"][..],
        &["restore", "acme", "--stdout", "--output", "x"],
        &["restore", "acme", "--stdout", "--force"],
    ] {
        assert_eq!(
            run_command(&backend.world, arguments).0,
            Some(2),
            "{arguments:?}"
        );
    }
    assert_eq!(backend.world.server.requests().len(), asked);
}

#[test]
fn a_restore_only_reads_and_fails_with_the_documented_codes() {
    let mut backend = S3Backend::new(S3ServerKind::Embedded);
    put_two_versions(&backend, [FIRST, SECOND]);
    let before = backend.world.server.requests().len();
    assert_eq!(
        run_command_as(&backend.world, "reader", &["restore", "acme", "--stdout"]).1,
        SECOND
    );
    let requests = backend.world.server.requests();
    assert!(requests[before..].iter().all(|it| {
        [
            "ListObjectsV2",
            "ListObjectVersions",
            "GetObject",
            "HeadObject",
        ]
        .contains(&it.operation.as_str())
    }));
    assert_refused(
        run_command(&backend.world, &["restore", "nobody-we-know", "--stdout"]),
        3,
        "check the customer's name",
    );
    assert_refused(
        run_command_as(
            &backend.world,
            "no-such-profile",
            &["restore", "acme", "--stdout"],
        ),
        4,
        "no-such-profile",
    );
    assert_refused(
        run_command_as(&backend.world, "denied", &["restore", "acme", "--stdout"]),
        5,
        "access denied",
    );
    backend
        .world
        .set_s3_endpoint(&test_support::refused_endpoint());
    assert_nothing_written(&backend, &[], 6, "check the network");
}

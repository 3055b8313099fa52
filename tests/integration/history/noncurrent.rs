//! Overwritten configs without a copy: with versioning and permission they are versions like all
//! others, otherwise they do not exist.

use std::fs;

use crate::commands::{command_answer, md5_of, put_record, put_version, run_command};
use test_support::faulty_proxy::RequestFate;
use test_support::oracle::parse_csv_rows;
use test_support::s3_backend::{S3Backend, S3ServerKind};

const KEY: &str = "terragrunt/acme/config.yaml";
const DENIED: &str = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
/// The configs that the legacy module wrote, in order.
const BODIES: [&str; 3] = [
    "a: 1\r\nmongodb: {password: canary-one}\t",
    "a: 2\nmongodb: {password: canary-two}\n",
    "a: 3\nmongodb: {password: canary-two}\n",
];

/// A bucket of the legacy module whose config was overwritten twice; the first and the last
/// deployment are logged.
fn overwrite_configs(backend: &S3Backend) {
    for body in BODIES {
        backend.client.put(KEY, body);
    }
    for (body, user) in [(BODIES[0], "jane"), (BODIES[2], "joe")] {
        let line = format!(
            "{{\"timestamp\":\"2026-10-01T08:00:05Z\",\"user\":\"arn:x:user/{user}\",\"config_hash\":\"{}\"}}",
            md5_of(body)
        );
        backend
            .client
            .put(&format!("usage-logs/acme/{}.json", md5_of(body)), &line);
    }
}

/// A versioned bucket on moto.
fn versioned_backend() -> S3Backend {
    let backend = S3Backend::new(S3ServerKind::Moto);
    backend.client.enable_versioning();
    backend
}

/// The rows of `history` without the header.
fn history_rows(backend: &S3Backend) -> Vec<Vec<String>> {
    parse_csv_rows(command_answer(&backend.world, &["history", "acme"]).as_bytes()).split_off(1)
}

fn column(rows: &[Vec<String>], number: usize) -> Vec<&str> {
    rows.iter().map(|row| row[number].as_str()).collect()
}

#[test]
fn lists_noncurrent_versions_with_key_and_version_id() {
    let backend = versioned_backend();
    overwrite_configs(&backend);
    // A key that only begins like that of the config.
    backend.client.put(&format!("{KEY}.bak"), "x\n");
    backend.client.put(&format!("{KEY}.bak"), "y\n");
    put_record(&backend, "2026-10-02T08:00:05Z", "max", KEY);
    let found = history_rows(&backend);
    assert_eq!(
        column(&found, 2),
        ["2", "0", "1"],
        "a key without a version id is that of the object that is there"
    );
    let md5s = [2, 1, 0].map(|number: usize| md5_of(BODIES[number]));
    assert_eq!(
        column(&found, 4),
        md5s.each_ref().map(String::as_str),
        "the newest first, also within a second"
    );
    assert_eq!(column(&found, 8), [KEY; 3]);
    assert_eq!(
        column(&found, 1),
        ["joe", "", "jane"],
        "users by the MD5 in their records"
    );
    assert_eq!(
        column(&found, 5),
        [
            "1 key changed: a",
            "2 keys changed: a, mongodb.password",
            "first version"
        ]
    );
    let ids = column(&found, 9);
    assert!(
        ids[0].is_empty() && !ids[1].is_empty() && !ids[2].is_empty() && ids[1] != ids[2],
        "{ids:?}"
    );
    let of_server: Vec<String> = backend.client.version_ids(KEY).split_off(1);
    assert_eq!(
        ids[1..],
        of_server.iter().map(String::as_str).collect::<Vec<_>>()
    );
}

#[test]
fn restores_each_noncurrent_version_byte_for_byte() {
    let backend = versioned_backend();
    overwrite_configs(&backend);
    let ids: Vec<String> = column(&history_rows(&backend), 9)
        .into_iter()
        .map(str::to_owned)
        .collect();
    let restore = |version: &str| {
        let (code, output, messages) = run_command(
            &backend.world,
            &[
                "restore",
                "acme",
                "--version",
                version,
                "--output",
                "restored.yaml",
                "--force",
            ],
        );
        assert_eq!((code, output.as_str()), (Some(0), ""), "{messages}");
        (
            fs::read(backend.world.path().join("restored.yaml")).expect("a file"),
            messages,
        )
    };
    for (number, body) in BODIES.iter().enumerate() {
        assert_eq!(restore(&md5_of(body)).0, body.as_bytes(), "by MD5");
        let id = &ids[2 - number];
        if !id.is_empty() {
            let (bytes, messages) = restore(id);
            assert_eq!(bytes, body.as_bytes(), "by version id");
            assert!(
                messages.contains(&format!("s3://mongodb-arena/{KEY}?versionId={id}")),
                "{messages}"
            );
        }
    }
    let restore_messages = |number: usize| restore(&md5_of(BODIES[number])).1;
    assert!(
        restore_messages(0).contains("md5 and size verified")
            && !restore_messages(0).contains("not verified"),
        "a record does"
    );
    assert!(restore_messages(1).contains("not verified: the bucket has no digest of this object"));
}

#[test]
fn compares_two_noncurrent_versions() {
    let backend = versioned_backend();
    overwrite_configs(&backend);
    let ids: Vec<String> = column(&history_rows(&backend), 9)
        .into_iter()
        .map(str::to_owned)
        .collect();
    let said = command_answer(
        &backend.world,
        &["diff", "acme", &ids[2], &md5_of(BODIES[1])],
    );
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(
        lines[0],
        format!("--- s3://mongodb-arena/{KEY}?versionId={}", ids[2])
    );
    assert_eq!(
        lines[1],
        format!("+++ s3://mongodb-arena/{KEY}?versionId={}", ids[1])
    );
    assert!(
        lines[2] == "~ a: 1 -> 2"
            && lines[3].starts_with("~ mongodb.password: changed (masked")
            && lines.len() == 4,
        "{said}"
    );
}

#[test]
fn lists_a_noncurrent_version_with_a_copy_once() {
    let mut backend = versioned_backend();
    backend.client.put(KEY, BODIES[0]);
    let put = |time: &str, body: &str| {
        let key = put_version(&backend, time, body);
        let metadata = [("md5", md5_of(body)), ("captured-at", time.to_owned())];
        backend
            .client
            .put_all_with([(KEY, body, &metadata[..])].into_iter());
        key
    };
    // The client retries an upload whose answer is lost.
    let second = put("2026-10-02T08:00:00Z", BODIES[1]);
    put("2026-10-02T08:00:00Z", BODIES[1]);
    let third = put("2026-10-03T08:00:00Z", BODIES[2]);
    let proxy = backend.start_proxy(|_| RequestFate::Pass);
    let found = history_rows(&backend);
    assert_eq!(
        proxy.count_requests(&format!("GET /mongodb-arena/{KEY}?")),
        2,
        "the first alone is fetched, to be known and to be compared"
    );
    assert_eq!(column(&found, 8), [KEY, &third, &second], "{found:?}");
    put_record(&backend, "2026-10-03T08:00:05Z", "joe", &third);
    backend.client.delete(&second);
    let found = history_rows(&backend);
    assert_eq!(column(&found, 8), [KEY, &third, KEY]);
    assert_eq!(
        (found[2][0].as_str(), found[2][4].as_str()),
        ("2026-10-02T08:00:00Z", md5_of(BODIES[1]).as_str()),
        "once, by its metadata"
    );
    // Without permission to list versions, the object does not exist.
    backend.client.delete(KEY);
    assert_eq!(column(&history_rows(&backend), 8), [KEY, &third, KEY]);
}

#[test]
fn without_versioning_or_permission_lists_the_copies_alone() {
    let expect_one = |backend: &S3Backend| {
        let found = history_rows(backend);
        assert_eq!(
            (column(&found, 4), column(&found, 9)),
            (vec![md5_of(BODIES[2]).as_str()], vec![""])
        );
        let (code, _, messages) = run_command(
            &backend.world,
            &[
                "restore",
                "acme",
                "--version",
                &md5_of(BODIES[0]),
                "--stdout",
            ],
        );
        assert!(
            code == Some(3) && messages.contains("there is no version"),
            "{messages}"
        );
    };
    for kind in [
        S3ServerKind::Embedded,
        S3ServerKind::Versitygw,
        S3ServerKind::Moto,
    ] {
        let backend = S3Backend::new(kind);
        overwrite_configs(&backend);
        expect_one(&backend);
    }
    // Without permission to list versions, and with permission to list but not to read them.
    for part in ["versions", "versionId="] {
        let mut backend = versioned_backend();
        overwrite_configs(&backend);
        assert_eq!(history_rows(&backend).len(), 3);
        let _proxy = backend.start_proxy(move |line| {
            if line.contains(part) {
                RequestFate::Answer("403 Forbidden", DENIED)
            } else {
                RequestFate::Pass
            }
        });
        expect_one(&backend);
    }
}

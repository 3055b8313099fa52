//! `history`: versions, users and changes of a bucket that was filled by hand.

use serde_json::{Value, json};

use crate::commands::{
    assert_refused, command_answer, md5_of, put_legacy_config, put_record, put_version,
    run_command, run_command_as,
};
use crate::report::terminal::helper_on_a_terminal;
use test_support::BUCKET;
use test_support::oracle::parse_csv_rows;
use test_support::s3_backend::{S3Backend, S3ServerKind, on_each_server};

on_each_server!(
    lists_versions_newest_first_with_users_counts_and_changes,
    lists_no_version_of_another_customer
);

const FIRST: &str = "mongodb: {instance_size: M10, region: US, password: canary-one}\n";
const SECOND: &str =
    "# in Europe\nmongodb: {instance_size: M30, region: EU, password: canary-two}\n";
const THIRD: &str = "mongodb: {password: canary-two, region: EU, instance_size: M30}\n";

/// Three versions: the second was deployed twice, the third has no record.
fn put_three_versions(backend: &S3Backend) -> [String; 3] {
    let keys = [("01", FIRST), ("02", SECOND), ("03", THIRD)]
        .map(|(day, body)| put_version(backend, &format!("2026-10-{day}T08:00:00Z"), body));
    put_record(backend, "2026-10-01T08:00:05Z", "jane", &keys[0]);
    put_record(backend, "2026-10-02T08:00:05Z", "joe", &keys[1]);
    put_record(backend, "2026-10-02T09:00:00Z", "jane", &keys[1]);
    keys
}

fn lists_versions_newest_first_with_users_counts_and_changes(backend: &mut S3Backend) {
    let [first, second, third] = put_three_versions(backend);
    let csv = command_answer(&backend.world, &["history", "acme"]);
    assert!(!csv.contains("canary"), "{csv}");
    let arn = |user: &str| format!("arn:aws:iam::123456789012:user/{user}");
    let row = |cells: [&str; 10]| cells.map(str::to_owned).to_vec();
    let expected = [
        row([
            "timestamp",
            "user",
            "deployments",
            "size",
            "config_hash",
            "change",
            "arn",
            "deployment_id",
            "key",
            "version_id",
        ]),
        row([
            "2026-10-03T08:00:00Z",
            "",
            "0",
            "64",
            &md5_of(THIRD),
            "comments or order only",
            "",
            "",
            &third,
            "",
        ]),
        row([
            "2026-10-02T08:00:00Z",
            "joe",
            "2",
            "76",
            &md5_of(SECOND),
            "3 keys changed: mongodb.instance_size, mongodb.password, … (+1)",
            &arn("joe"),
            "20261002T080005Z-joe",
            &second,
            "",
        ]),
        row([
            "2026-10-01T08:00:00Z",
            "jane",
            "1",
            "64",
            &md5_of(FIRST),
            "first version",
            &arn("jane"),
            "20261001T080005Z-jane",
            &first,
            "",
        ]),
    ];
    assert_eq!(parse_csv_rows(csv.as_bytes()), expected);
    assert_eq!(
        parse_csv_rows(
            command_answer(&backend.world, &["history", "acme", "--limit", "2"]).as_bytes()
        ),
        expected[..3]
    );
    let json: Value = serde_json::from_str(&command_answer(
        &backend.world,
        &["history", "acme", "--format", "json", "--limit", "1"],
    ))
    .expect("JSON");
    assert_eq!(
        (
            &json[0]["config_hash"],
            &json[0]["deployments"],
            json.as_array().map(Vec::len)
        ),
        (&json!(md5_of(THIRD)), &json!(0), Some(1))
    );
}

fn lists_no_version_of_another_customer(backend: &mut S3Backend) {
    put_version(backend, "2026-10-01T08:00:00Z", FIRST);
    for (folder, key) in [
        ("acme-2", "config.yaml"),
        ("acme", "config-backup/terraform.tfstate"),
        ("~Foo~20Bar", "config.yaml"),
    ] {
        backend
            .client
            .put(&format!("terragrunt/{folder}/{key}"), "{}");
    }
    assert_eq!(
        command_answer(&backend.world, &["history", "acme"])
            .lines()
            .count(),
        2
    );
    assert_eq!(
        command_answer(&backend.world, &["history", "Foo Bar"])
            .lines()
            .count(),
        2
    );
    for unknown_name in ["acm", "~Foo~20Bar", "..", ""] {
        assert_refused(
            run_command(&backend.world, &["history", unknown_name]),
            3,
            "there is none; check the customer's name",
        );
    }
}

#[test]
fn a_config_of_the_legacy_module_is_a_version() {
    let backend = S3Backend::new(S3ServerKind::Embedded);
    put_legacy_config(&backend, FIRST);
    let record = format!(
        "{{\"timestamp\":\"2025-10-30T14:30:52Z\",\"user\":\"arn:x:user/jane\",\"config_hash\":\"{}\"}}",
        md5_of(FIRST)
    );
    backend
        .client
        .put(&format!("usage-logs/acme/{}.json", md5_of(FIRST)), &record);
    let csv = parse_csv_rows(command_answer(&backend.world, &["history", "acme"]).as_bytes());
    assert_eq!(
        csv[1][..6],
        [
            "2025-10-30T14:30:52Z",
            "jane",
            "1",
            "64",
            &md5_of(FIRST),
            "first version"
        ]
    );
    assert_eq!(csv[1][8], "terragrunt/acme/config.yaml");
    put_version(&backend, "2026-10-01T08:00:00Z", SECOND);
    let csv = parse_csv_rows(command_answer(&backend.world, &["history", "acme"]).as_bytes());
    assert_eq!(
        (csv.len(), csv[1][5].as_str()),
        (
            3,
            "3 keys changed: mongodb.instance_size, mongodb.password, … (+1)"
        )
    );
}

#[test]
fn lists_a_config_whose_copy_is_missing() {
    let backend = S3Backend::new(S3ServerKind::Embedded);
    put_version(&backend, "2026-10-01T08:00:00Z", FIRST);
    let put = |captured_at: &str, body: &str| {
        let metadata = [
            ("md5", md5_of(body)),
            ("captured-at", captured_at.to_owned()),
        ];
        let metadata = metadata
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        backend
            .world
            .server
            .put(
                BUCKET,
                "terragrunt/acme/config.yaml",
                body.as_bytes(),
                &metadata,
            )
            .expect("an object");
    };
    put("2026-10-01T08:00:00Z", FIRST);
    assert_eq!(
        command_answer(&backend.world, &["history", "acme"])
            .lines()
            .count(),
        2,
        "it is the version that is there"
    );
    put("2026-10-02T08:00:00Z", SECOND);
    let csv = parse_csv_rows(command_answer(&backend.world, &["history", "acme"]).as_bytes());
    let names: Vec<(&str, &str)> = csv[1..]
        .iter()
        .map(|row| (row[0].as_str(), row[4].as_str()))
        .collect();
    assert_eq!(
        names,
        [
            ("2026-10-02T08:00:00Z", md5_of(SECOND).as_str()),
            ("2026-10-01T08:00:00Z", md5_of(FIRST).as_str())
        ]
    );
}

#[test]
fn reports_a_difference_of_invalid_yaml() {
    let backend = S3Backend::new(S3ServerKind::Embedded);
    put_version(&backend, "2026-10-01T08:00:00Z", "a: [canary");
    put_version(&backend, "2026-10-02T08:00:00Z", "a: {canary");
    put_version(&backend, "2026-10-03T08:00:00Z", "a: 1\n");
    let csv = parse_csv_rows(command_answer(&backend.world, &["history", "acme"]).as_bytes());
    let changes: Vec<&str> = csv[1..].iter().map(|row| row[5].as_str()).collect();
    assert_eq!(
        changes,
        [
            "not YAML: bytes differ",
            "not YAML: bytes differ",
            "first version"
        ]
    );
}

#[test]
fn names_and_skips_a_damaged_record() {
    let backend = S3Backend::new(S3ServerKind::Embedded);
    put_three_versions(&backend);
    backend
        .client
        .put("usage-logs/acme/2026-10-04_080000.json", "{\"torn");
    let (code, csv, messages) = run_command(&backend.world, &["history", "acme"]);
    assert_eq!((code, csv.lines().count()), (Some(0), 4));
    assert_eq!(messages.lines().count(), 1);
    assert!(
        messages.starts_with(
            "config-backup: skipped `usage-logs/acme/2026-10-04_080000.json`: not valid JSON"
        ),
        "{messages}"
    );
}

#[test]
fn history_only_reads_and_names_missing_permissions() {
    let mut backend = S3Backend::new(S3ServerKind::Embedded);
    put_three_versions(&backend);
    let before = backend.world.server.requests().len();
    assert_eq!(
        run_command_as(&backend.world, "reader", &["history", "acme"]).0,
        Some(0)
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
    assert!(!backend.world.state_dir().exists());
    assert_refused(
        run_command_as(&backend.world, "denied", &["history", "acme"]),
        5,
        "access denied; ask for the permission s3:ListBucket",
    );
    assert_refused(
        run_command(
            &backend.world,
            &["history", "acme", "--bucket", "none-of-ours"],
        ),
        5,
        "there is no such bucket",
    );
    backend
        .world
        .set_s3_endpoint(&test_support::refused_endpoint());
    assert_refused(
        run_command(&backend.world, &["history", "acme"]),
        6,
        "check the network",
    );
}

#[test]
fn prints_a_table_that_fits_the_terminal() {
    let mut backend = S3Backend::new(S3ServerKind::Embedded);
    put_three_versions(&backend);
    backend.world.set_variable("NO_COLOR", Some("1"));
    let shown = helper_on_a_terminal(&backend.world, &["history", "acme", "--profile", "default"]);
    let lines: Vec<&str> = shown.lines().collect();
    assert!(
        lines.len() == 4 && lines[0].starts_with("timestamp ") && lines[3].contains("first"),
        "{shown}"
    );
    assert!(
        lines.iter().all(|line| line.chars().count() <= 60) && !shown.contains('\u{1b}'),
        "{shown:?}"
    );
}

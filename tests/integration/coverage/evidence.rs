//! What counts as evidence for `coverage`: times, late listings, foreign keys and damaged records.

use serde_json::{Value, json};

use crate::bucket_fixture::{BucketObject, draw_objects, put_objects};
use crate::commands::{assert_refused, run_command, run_command_as};
use crate::coverage::gaps::{SEED, assert_no_gaps, object_of_customer, run_coverage};
use test_support::faulty_proxy::RequestFate;
use test_support::oracle::{format_rfc3339, unix_now, unix_time};
use test_support::s3_backend::{S3Backend, S3ServerKind};
use test_support::{BUCKET, JOHN_ARN, refused_endpoint};

#[test]
fn coverage_only_reads_and_names_the_missing_permission() {
    let mut backend = S3Backend::new(S3ServerKind::Embedded);
    put_objects(
        &backend,
        &draw_objects(&mut fastrand::Rng::with_seed(SEED), 3),
    );
    let before = backend.world.server.requests().len();
    let (code, output, messages) = run_command_as(&backend.world, "today", &["coverage"]);
    assert_eq!((code, output.as_str()), (Some(0), ""), "{messages}");
    assert!(
        messages.ends_with("; state versions: not listed (s3:ListBucketVersions)\n"),
        "{messages}"
    );
    let requests = backend.world.server.requests();
    let reads = [
        "ListObjectsV2",
        "ListObjectVersions",
        "GetObject",
        "HeadObject",
    ];
    assert!(
        requests[before..]
            .iter()
            .all(|it| reads.contains(&it.operation.as_str())),
        "{requests:?}"
    );
    assert!(!backend.world.state_dir().exists());
    assert_refused(
        run_command_as(&backend.world, "denied", &["coverage"]),
        5,
        "access denied; ask for the permission s3:ListBucket",
    );
    assert_refused(
        run_command(&backend.world, &["coverage", "--bucket", "none-of-ours"]),
        5,
        "there is no such bucket",
    );
    assert_refused(
        run_command(&backend.world, &["coverage", "--since", "soon"]),
        3,
        "read `--since soon`; use a date",
    );
    assert_eq!(
        run_command(&backend.world, &["coverage", "--window", "soon"]).0,
        Some(2)
    );
    backend.world.set_s3_endpoint(&refused_endpoint());
    assert_refused(
        run_command(&backend.world, &["coverage"]),
        6,
        "check the network",
    );
}

#[test]
fn times_are_compared_to_the_second() {
    let backend = S3Backend::new(S3ServerKind::Embedded);
    let put = |key: &str, body: &str, unix: u64| {
        backend
            .world
            .server
            .put_at(BUCKET, key, body.as_bytes(), &[], unix_time(unix))
            .expect("an object");
    };
    let changed = 1_761_834_652; // date -u -d 2025-10-30T14:30:52Z +%s
    put("terragrunt/acme/eks/terraform.tfstate", "{}", changed);
    put("terragrunt/acme/config.yaml", "a: 1\n", changed);
    for (record, expected) in [
        ("2025-10-30T11:30:51Z", 1),
        ("2025-10-30T11:30:52Z", 0),
        ("2025-10-30T14:45:52Z", 0),
        ("2025-10-30T14:45:53Z", 1),
    ] {
        put(
            "usage-logs/acme/x.json",
            &format!("{{\"timestamp\":\"{record}\",\"user\":\"{JOHN_ARN}\"}}"),
            changed,
        );
        assert_eq!(
            run_coverage(&backend, &["--window", "3h"]).len(),
            expected,
            "{record}"
        );
    }
}

#[test]
fn a_deployment_between_the_listings_is_no_gap() {
    let mut backend = S3Backend::new(S3ServerKind::Embedded);
    put_objects(
        &backend,
        &draw_objects(&mut fastrand::Rng::with_seed(SEED), 3),
    );
    let late = draw_objects(&mut fastrand::Rng::with_seed(SEED + 1), 14).split_off(3);
    let late: Vec<BucketObject> = late
        .into_iter()
        .filter(|it| it.customer == "customer-12")
        .collect();
    let copies = late
        .iter()
        .filter(|it| it.key.contains("/config-history/"))
        .count();
    let (client, first) = (backend.client.clone(), std::sync::Once::new());
    let proxy = backend.start_proxy(move |line| {
        if line.contains("prefix=usage-logs") {
            first.call_once(|| {
                client.put_all_with(
                    late.iter()
                        .map(|it| (it.key.as_str(), it.body.as_str(), it.metadata.as_slice())),
                );
            });
        }
        RequestFate::Pass
    });
    assert_no_gaps(&backend, &[]);
    assert_eq!(
        (
            proxy.count_requests("HEAD /mongodb-arena/terragrunt/customer-12/config-history/"),
            copies > 0
        ),
        (copies, true)
    );
}

#[test]
fn ignores_a_backup_key_of_another_customer() {
    let backend = S3Backend::new(S3ServerKind::Embedded);
    let objects = draw_objects(&mut fastrand::Rng::with_seed(SEED), 14);
    put_objects(&backend, &objects);
    let others = object_of_customer(&objects, "customer-12", "/config-history/")
        .key
        .clone();
    for (number, key) in ["x".repeat(2000), "../../etc/passwd".to_owned(), others]
        .into_iter()
        .enumerate()
    {
        let line =
            json!({ "timestamp": format_rfc3339(unix_now()), "user": "u", "backup_key": key });
        backend
            .client
            .put(&format!("usage-logs/acme/{number}.json"), &line.to_string());
        assert_eq!(
            run_coverage(&backend, &[]).last().expect("a gap")["kind"],
            json!("missing-version")
        );
        assert_eq!(run_coverage(&backend, &["acme"]).len(), number + 1);
    }
    assert_no_gaps(&backend, &["customer-12"]);
}

#[test]
fn names_a_damaged_record_and_still_counts_it() {
    let backend = S3Backend::new(S3ServerKind::Embedded);
    put_objects(
        &backend,
        &draw_objects(&mut fastrand::Rng::with_seed(SEED), 3),
    );
    backend
        .client
        .put("terragrunt/acme/eks/terraform.tfstate", "{}");
    backend.client.put("terragrunt/acme/config.yaml", "a: 1\n");
    backend
        .client
        .put("usage-logs/acme/x.json", "{\"torn \u{1b}[31m");
    let (code, output, messages) = run_command(&backend.world, &["coverage"]);
    assert_eq!(
        (code, output.as_str(), messages.lines().count()),
        (Some(0), "", 2),
        "{messages}"
    );
    assert!(
        messages.starts_with("config-backup: skipped `usage-logs/acme/x.json`: not valid JSON"),
        "{messages}"
    );
}

#[test]
fn text_from_the_bucket_cannot_control_the_terminal() {
    let backend = S3Backend::new(S3ServerKind::Embedded);
    backend
        .client
        .put("terragrunt/a\u{1b}[31mb/e\nks/terraform.tfstate", "{}");
    let (code, output, messages) = run_command(&backend.world, &["coverage"]);
    assert_eq!((code, output.lines().count()), (Some(7), 2), "{output}");
    assert!(output.contains("`a\u{fffd}[31mb`") && !(output + &messages).contains('\u{1b}'));
    let (_, json, _) = run_command(&backend.world, &["coverage", "--json"]);
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["gaps"][0]["units"], json!(["e\nks"]));
}

//! `coverage` names each gap alone, and nothing in a complete bucket.

use serde_json::{Value, json};

use crate::bucket_fixture::{BucketObject, draw_objects, put_objects};
use crate::commands::{assert_refused, md5_of, run_command};
use test_support::oracle::{format_rfc3339, unix_now};
use test_support::refused_endpoint;
use test_support::s3_backend::{S3Backend, S3ServerKind, on_each_server};
use test_support::terraform_steps::CustomerUnit;

on_each_server!(
    names_each_gap_alone,
    reports_spooled_items_as_pending,
    checks_one_customer_alone
);

pub(crate) const SEED: u64 = 0x2026_1124;
/// How the message begins if there are no gaps.
const NOTHING: &str = "config-backup: no gaps in ";

/// Asserts that there are no gaps, and returns the message.
pub(crate) fn assert_no_gaps(backend: &S3Backend, arguments: &[&str]) -> String {
    let (code, output, messages) =
        run_command(&backend.world, &[&["coverage"], arguments].concat());
    assert_eq!((code, output.as_str()), (Some(0), ""), "{messages}");
    assert!(
        messages.starts_with(NOTHING) && messages.lines().count() == 1,
        "{messages}"
    );
    messages
}

/// Runs `coverage --json` and returns the gaps.
pub(crate) fn run_coverage(backend: &S3Backend, arguments: &[&str]) -> Vec<Value> {
    let (code, output, messages) = run_command(
        &backend.world,
        &[&["coverage", "--json"], arguments].concat(),
    );
    let answer: Value =
        serde_json::from_str(&output).unwrap_or_else(|_| panic!("{output}{messages}"));
    let gaps = answer["gaps"].as_array().expect("a list").clone();
    assert_eq!(
        (code, messages.as_str(), output.matches('\n').count()),
        (Some(if gaps.is_empty() { 0 } else { 7 }), "", 1),
        "{output}"
    );
    gaps
}

/// Asserts that there is exactly one gap, in both formats, and returns it.
fn only_gap(backend: &S3Backend, kind: &str, customer: &str) -> Value {
    let found = run_coverage(backend, &[]);
    assert_eq!(found.len(), 1, "{kind} of {customer}: {found:?}");
    let (code, output, messages) = run_command(&backend.world, &["coverage"]);
    assert!(
        code == Some(7) && messages.starts_with("config-backup: 1 gap in "),
        "{messages}"
    );
    let line = format!(
        "{kind} `{customer}`: {}\n",
        found[0]["text"].as_str().expect("a phrase")
    );
    assert_eq!(
        (output.as_str(), &found[0]["kind"], &found[0]["customer"]),
        (line.as_str(), &json!(kind), &json!(customer))
    );
    found[0].clone()
}

/// The oldest object of a customer whose key contains `part`.
pub(crate) fn object_of_customer<'a>(
    objects: &'a [BucketObject],
    customer: &str,
    part: &str,
) -> &'a BucketObject {
    let matching = |it: &&BucketObject| it.key.contains(part) && it.customer == customer;
    objects
        .iter()
        .find(matching)
        .unwrap_or_else(|| panic!("no {part}"))
}

/// A customer with two versions or more.
fn customer_with_changes(objects: &[BucketObject]) -> &str {
    let versions = |customer: &str| {
        objects
            .iter()
            .filter(|it| it.customer == customer && it.key.contains("/config-history/"))
            .count()
    };
    &objects
        .iter()
        .find(|it| versions(&it.customer) > 1)
        .expect("a user")
        .customer
}

fn names_each_gap_alone(backend: &mut S3Backend) {
    let objects = draw_objects(&mut fastrand::Rng::with_seed(SEED), 14);
    put_objects(backend, &objects);
    assert_no_gaps(backend, &[]);
    let again = |objects: &[&BucketObject]| {
        put_objects(
            backend,
            &objects.iter().map(|it| (*it).clone()).collect::<Vec<_>>(),
        );
    };

    // A customer whose last deployment is long ago, and a state of today.
    let old = "2026-01-02T08:00:00Z";
    let config = "a: 1\n";
    backend.client.put("terragrunt/quiet/config.yaml", config);
    backend.client.put(
        "usage-logs/quiet/2026-01-02_080000.json",
        &format!(
            "{{\"timestamp\":\"{old}\",\"config_hash\":\"{}\"}}",
            md5_of(config)
        ),
    );
    assert_no_gaps(backend, &[]);
    for unit in ["eks", "atlas"] {
        backend
            .client
            .put(&format!("terragrunt/quiet/{unit}/terraform.tfstate"), "{}");
    }
    let gap = only_gap(backend, "unlogged", "quiet");
    assert_eq!(
        (&gap["units"], &gap["count"]),
        (&json!(["atlas", "eks"]), &json!(2))
    );
    assert_eq!(
        run_coverage(backend, &["--window", "9999d"]),
        [] as [Value; 0]
    );
    assert_eq!(
        run_coverage(backend, &["--since", "2100-01-01"]),
        [] as [Value; 0]
    );
    let record = format!(
        "{{\"timestamp\":\"{}\",\"user\":\"u\"}}",
        format_rfc3339(unix_now())
    );
    backend.client.put("usage-logs/quiet/x.json", &record);
    assert_no_gaps(backend, &[]);

    // States without a config.
    backend.client.put("usage-logs/bare/x.json", &record);
    backend
        .client
        .put("terragrunt/bare/eks/terraform.tfstate", "{}");
    let gap = only_gap(backend, "no-backup", "bare");
    assert!(
        gap["text"]
            .as_str()
            .expect("a phrase")
            .contains("a config under `customer.name`"),
        "{gap}"
    );
    backend.client.put("terragrunt/bare/config.yaml", config);
    assert_no_gaps(backend, &[]);

    // The config of a deployment before the last one.
    let name = customer_with_changes(&objects);
    let (current, copy) = (
        object_of_customer(&objects, name, "/config.yaml"),
        object_of_customer(&objects, name, "/config-history/"),
    );
    again(&[&BucketObject {
        key: current.key.clone(),
        ..copy.clone()
    }]);
    assert_eq!(
        only_gap(backend, "outdated", name)["key"],
        json!(current.key)
    );
    again(&[current]);
    assert_no_gaps(backend, &[]);

    backend.client.delete(&copy.key);
    assert_eq!(
        only_gap(backend, "missing-version", name)["key"],
        json!(copy.key)
    );
    again(&[copy]);

    let record = object_of_customer(&objects, name, "usage-logs/");
    backend.client.delete(&record.key);
    let id = serde_json::from_str::<Value>(&record.body).expect("JSON")["deployment_id"].clone();
    let gap = only_gap(backend, "missing-record", name);
    assert_eq!(
        (&gap["deployment_id"], &gap["key"]),
        (&id, &json!(copy.key))
    );
    again(&[record]);
    assert_no_gaps(backend, &[]);
}

#[test]
fn names_each_gap_alone_in_a_versioned_bucket() {
    let mut backend = S3Backend::new(S3ServerKind::Moto);
    backend.client.enable_versioning();
    names_each_gap_alone(&mut backend);
}

fn reports_spooled_items_as_pending(backend: &mut S3Backend) {
    put_objects(
        backend,
        &draw_objects(&mut fastrand::Rng::with_seed(SEED), 2),
    );
    let unit = CustomerUnit::new(&backend.world);
    backend.world.set_s3_endpoint(&refused_endpoint());
    let deployed = unit.deploy(&backend.world);
    backend.world.set_s3_endpoint(&backend.endpoint.clone());
    let found = run_coverage(backend, &[]);
    assert_eq!(found.len(), 2, "{found:?}");
    for (gap, what) in found.iter().zip(["config.yaml of", "usage record of"]) {
        let text = gap["text"].as_str().expect("a phrase");
        assert_eq!(
            (&gap["kind"], &gap["customer"], &gap["deployment_id"]),
            (
                &json!("pending"),
                &json!("airbnb"),
                &json!(deployed.deployment_id())
            )
        );
        assert!(text.contains(what) && text.contains("/spool/"), "{text}");
    }
    backend
        .client
        .put("terragrunt/airbnb/eks/terraform.tfstate", "{}");
    assert_eq!(
        run_coverage(backend, &["airbnb"]),
        found,
        "what it left is explained by what is kept"
    );
    assert_no_gaps(backend, &["Foo Bar"]);
    backend
        .client
        .delete("terragrunt/airbnb/eks/terraform.tfstate");
    let sent = backend
        .world
        .helper_command(&["replay"])
        .output()
        .expect("replay");
    assert_eq!(sent.status.code(), Some(0), "{sent:?}");
    assert_no_gaps(backend, &[]);
}

fn checks_one_customer_alone(backend: &mut S3Backend) {
    put_objects(
        backend,
        &draw_objects(&mut fastrand::Rng::with_seed(SEED), 12),
    );
    backend
        .client
        .put("terragrunt/customer-11-2/eks/terraform.tfstate", "{}");
    assert_eq!(
        run_coverage(backend, &[]).len(),
        2,
        "it is neither logged nor backed up"
    );
    for customer in ["customer-11", "Foo Bar", "%41", &"é".repeat(120)] {
        let said = assert_no_gaps(backend, &[customer]);
        assert!(said.contains(" in 1 customer: "), "{said}");
    }
    assert_refused(
        run_command(&backend.world, &["coverage", "customer-1"]),
        3,
        "there are none; check the customer's name",
    );
}

#[test]
fn finds_no_gap_in_a_clean_bucket_of_500_customers() {
    let backend = S3Backend::new(S3ServerKind::Embedded);
    let objects = draw_objects(&mut fastrand::Rng::with_seed(SEED), 500);
    put_objects(&backend, &objects);
    let before = backend.world.server.requests().len();
    let said = assert_no_gaps(&backend, &[]);
    let count = |part: &str| objects.iter().filter(|it| it.key.contains(part)).count();
    let (states, records, copies) = (
        count("/terraform.tfstate"),
        count("usage-logs/"),
        count("/config-history/"),
    );
    let words = format!(
        "500 customers: checked {states} state changes, {records} records and {copies} config versions"
    );
    assert!(said.contains(&words), "{said}");
    let requests = backend.world.server.requests();
    let asked = |operation: &str| {
        requests[before..]
            .iter()
            .filter(|it| it.operation == operation)
            .count()
    };
    assert_eq!(asked("HeadObject"), 500, "no copy needs a look");
    assert_eq!(
        asked("GetObject"),
        records + 125,
        "the configs of the earlier module have no MD5 of their own"
    );
    // At least one page for each of configs, records and the missing archive.
    assert!(
        asked("ListObjectsV2") <= 3 + (states + records + copies + 500) / 1000,
        "{}",
        asked("ListObjectsV2")
    );
}

#[test]
fn counts_earlier_state_changes_where_versions_may_be_listed() {
    let change = |backend: &S3Backend| {
        for serial in 0..3 {
            backend.client.put(
                "terragrunt/acme/eks/terraform.tfstate",
                &format!("{{\"serial\":{serial}}}"),
            );
        }
        backend.client.put("terragrunt/acme/config.yaml", "a: 1\n");
    };
    let backend = S3Backend::new(S3ServerKind::Moto);
    change(&backend);
    assert_eq!(
        only_gap(&backend, "unlogged", "acme")["count"],
        json!(1),
        "nothing is kept of what was overwritten"
    );
    let backend = S3Backend::new(S3ServerKind::Moto);
    backend.client.enable_versioning();
    change(&backend);
    assert_eq!(only_gap(&backend, "unlogged", "acme")["count"], json!(3));
    assert!(
        !run_command(&backend.world, &["coverage"])
            .2
            .contains("not listed")
    );
}

#[test]
fn a_config_logged_by_the_legacy_module_may_be_overwritten() {
    let backend = S3Backend::new(S3ServerKind::Moto);
    backend.client.enable_versioning();
    let record = |body: &str, time: &str| {
        let key = format!("usage-logs/acme/{}.json", md5_of(body));
        backend.client.put(
            &key,
            &format!(
                "{{\"timestamp\":\"{time}\",\"user\":\"u\",\"config_hash\":\"{}\"}}",
                md5_of(body)
            ),
        );
    };
    backend.client.put("terragrunt/acme/config.yaml", "a: 1\n");
    record("a: 1\n", "2026-01-02T08:00:00Z");
    backend.client.put("terragrunt/acme/config.yaml", "a: 2\n");
    record("a: 2\n", "2026-01-03T08:00:00Z");
    assert_no_gaps(&backend, &[]);
    record("a: 3\n", "2026-01-01T08:00:00Z");
    assert!(
        only_gap(&backend, "missing-version", "acme")["text"]
            .as_str()
            .expect("a phrase")
            .contains(&md5_of("a: 3\n"))
    );
}

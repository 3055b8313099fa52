//! Removes one object from a random bucket without gaps: `coverage` must name it.

use serde_json::Value;

use crate::bucket_fixture::{BucketObject, draw_objects, put_objects};
use crate::commands::run_command;
use test_support::s3_backend::{S3Backend, S3ServerKind};

const SEED: u64 = 0x2026_1125;

#[test]
fn names_every_object_that_was_removed() {
    let backend = S3Backend::new(S3ServerKind::Embedded);
    let mut chance = fastrand::Rng::with_seed(SEED);
    let objects = draw_objects(&mut chance, 30);
    put_objects(&backend, &objects);
    let removable: Vec<&BucketObject> = objects
        .iter()
        .filter(|it| !it.key.ends_with("/terraform.tfstate"))
        .collect();
    let mut kinds = std::collections::BTreeSet::new();
    for round in 0..40 {
        let one = removable[chance.usize(..removable.len())];
        backend.client.delete(&one.key);
        let (code, output, messages) = run_command(&backend.world, &["coverage", "--json"]);
        let why = format!(
            "seed {SEED}, round {round}, {}: {output}{messages}",
            one.key
        );
        assert_eq!(code, Some(7), "{why}");
        let answer: Value = serde_json::from_str(&output).expect("JSON");
        let gaps = answer["gaps"].as_array().expect("a list");
        assert!(
            !gaps.is_empty()
                && gaps
                    .iter()
                    .all(|gap| gap["customer"] == one.customer.as_str()),
            "{why}"
        );
        let id = serde_json::from_str::<Value>(&one.body)
            .map(|record| record["deployment_id"].clone())
            .unwrap_or_default();
        let is_record = one.key.starts_with("usage-logs/");
        let is_named = |gap: &Value| match gap["kind"].as_str().expect("a kind") {
            "unlogged" => is_record,
            "missing-record" => is_record && gap["deployment_id"] == id,
            "missing-version" => gap["key"] == one.key.as_str(),
            "outdated" | "no-backup" => one.key.ends_with("/config.yaml"),
            _ => false,
        };
        assert!(gaps.iter().all(is_named), "{why}");
        kinds.extend(gaps.iter().map(|gap| gap["kind"].to_string()));
        put_objects(&backend, std::slice::from_ref(one));
    }
    assert_eq!(
        kinds.len(),
        5,
        "every kind but what is pending was met: {kinds:?}"
    );
    assert_eq!(run_command(&backend.world, &["coverage"]).0, Some(0));
}

//! The lines that are remembered, and what is compared with them.

use super::*;
use crate::record::ChainLink;

fn time(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

fn record(key: &str, sha256: &str, is_chained: bool) -> StoredRecord {
    let mut record = StoredRecord {
        key: format!("usage-logs/acme/{key}.json"),
        last_modified: time("2026-11-24T12:08:49Z"),
        sha256: Some(sha256.to_owned()),
        ..StoredRecord::default()
    };
    record.parsed.chain = is_chained.then(ChainLink::default);
    record
}

fn snapshot_of(records: Vec<StoredRecord>) -> BucketSnapshot {
    let customer = CustomerSnapshot {
        name: "acme".to_owned(),
        records,
        ..CustomerSnapshot::default()
    };
    BucketSnapshot {
        customers: [("acme".to_owned(), customer)].into(),
        version_listing: None,
        archived_records: 0,
        denied_archives: Vec::new(),
    }
}

fn learn(records: Vec<StoredRecord>) -> KnownBucket {
    let mut known = KnownBucket::parse("b", "").expect("nothing");
    let seen = time("2026-11-24T12:10:00Z");
    known.learn(&snapshot_of(records), |_| false, seen);
    known
}

fn compare(known: &KnownBucket, records: Vec<StoredRecord>) -> Vec<(FindingKind, String)> {
    let snapshot = snapshot_of(records);
    let mut found = known.compare(&snapshot, None, RecordRetention::default());
    let found = found.remove("acme").unwrap_or_default();
    found.into_iter().map(|it| (it.kind, it.key)).collect()
}

#[test]
fn what_was_learned_is_read_again_as_lines_and_as_a_list() {
    let known = learn(vec![record("2026-11-24_120848", "aa", true)]);
    let lines = known.to_lines();
    assert_eq!(
        lines,
        "{\"bucket\":\"b\",\"customer\":\"acme\",\"seen\":\"2026-11-24T12:10:00Z\",\
         \"records\":{\"cutoff\":\"2026-11-24T11:10:00Z\",\
         \"recent\":{\"2026-11-24_120848.json\":\"aa\"},\"months\":{}},\
         \"configs\":{\"cutoff\":\"2026-11-24T11:10:00Z\",\"recent\":{},\"months\":{}},\
         \"legacy\":{\"count\":0,\"digest\":\"e3b0c44298fc1c149afbf4c8996fb924\"}}\n"
    );
    assert_eq!(KnownBucket::parse("b", &lines), Ok(known.clone()));
    let list = KnownBucket::parse_list("b", &known.to_list()).expect("a list");
    assert_eq!(list, known);
    assert_eq!(KnownBucket::parse("b", "\n{}\n"), Err(2));
    assert!(KnownBucket::parse_list("b", "[1]").is_err());
    let empty = KnownBucket::parse_list("b", " ").expect("nothing");
    assert_eq!(empty.to_list(), "[]");
}

#[test]
fn the_lines_of_other_buckets_stay_and_are_not_compared() {
    let lines = learn(vec![record("2026-11-24_120848", "aa", true)]).to_lines();
    let other = KnownBucket::parse("other", &lines).expect("lines");
    assert!(!other.has_customer("acme"));
    assert_eq!(compare(&other, Vec::new()), []);
    assert_eq!(other.to_lines(), lines);
}

#[test]
fn a_customer_that_is_gone_is_found() {
    let known = learn(vec![record("2026-11-24_120848", "aa", true)]);
    let mut snapshot = snapshot_of(Vec::new());
    snapshot.customers.clear();
    let retention = RecordRetention::default();
    assert_eq!(known.compare(&snapshot, None, retention).len(), 1);
    assert_eq!(known.compare(&snapshot, Some("acme"), retention).len(), 1);
    assert_eq!(known.compare(&snapshot, Some("acme-2"), retention).len(), 0);
    let denied = crate::snapshot::SkippedObject::new("k", "denied");
    snapshot.denied_archives.push(denied);
    assert_eq!(known.compare(&snapshot, None, retention).len(), 0);
}

#[test]
fn what_was_found_is_not_learned() {
    let mut known = learn(vec![record("2026-11-24_120848", "aa", true)]);
    let before = known.clone();
    let now = snapshot_of(Vec::new());
    known.learn(
        &now,
        |segment| segment == "acme",
        time("2026-11-25T00:00:00Z"),
    );
    assert_eq!(known, before);
}

#[test]
fn legacy_records_change_until_the_customer_has_chains() {
    let legacy = |sha256: &str| record(&"a".repeat(32), sha256, false);
    let chained = || record("2026-11-24_120848", "aa", true);
    let prefix = || "usage-logs/acme/".to_owned();

    let known = learn(vec![legacy("1")]);
    assert_eq!(compare(&known, vec![legacy("2")]), []);
    assert_eq!(
        compare(&known, vec![chained()]),
        [(FindingKind::Missing, prefix())]
    );

    let known = learn(vec![legacy("1"), chained()]);
    assert_eq!(compare(&known, vec![legacy("1"), chained()]), []);
    assert_eq!(
        compare(&known, vec![legacy("2"), chained()]),
        [(FindingKind::Edited, prefix())]
    );
}

//! Chains of a few records, each with one change.

use super::*;
use crate::record::parse::ParsedRecord;

fn chained_record(writer: &str, number: u64, sha256: &str, previous: &str) -> StoredRecord {
    let chain = Some(ChainLink {
        writer: writer.into(),
        number,
        previous: previous.into(),
        newest: None,
    });
    let deployment_id = format!("d{number}");
    StoredRecord {
        key: format!("{writer}{number}"),
        sha256: Some(sha256.into()),
        parsed: ParsedRecord {
            deployment_id,
            chain,
            ..ParsedRecord::default()
        },
        ..StoredRecord::default()
    }
}

fn add_seal(customer: &mut CustomerSnapshot, writer: &str, number: u64, key: &str, sha256: &str) {
    let seal = ChainSeal {
        writer: writer.into(),
        number,
        key: key.into(),
        sha256: sha256.into(),
        deployment_id: format!("d{number}"),
    };
    customer
        .seals
        .insert(format!("chain/{writer}.json"), Some(seal));
}

/// Four records of one writer; the digests are words here.
fn intact_chain() -> CustomerSnapshot {
    let records = [("a", ""), ("b", "a"), ("c", "b"), ("d", "c")];
    let records = records
        .iter()
        .zip(1..)
        .map(|((sha256, previous), number)| chained_record("w", number, sha256, previous))
        .collect();
    let mut customer = CustomerSnapshot {
        records,
        ..CustomerSnapshot::default()
    };
    add_seal(&mut customer, "w", 4, "w4", "d");
    customer
}

fn kinds_and_keys(customer: &CustomerSnapshot) -> Vec<(FindingKind, String)> {
    walk_chains(customer, RecordRetention::default())
        .into_iter()
        .map(|finding| (finding.kind, finding.key))
        .collect()
}

#[test]
fn an_intact_chain_has_no_findings() {
    assert_eq!(kinds_and_keys(&intact_chain()), []);
    assert_eq!(kinds_and_keys(&CustomerSnapshot::default()), []);
}

#[test]
fn only_the_edited_record_is_reported() {
    for place in 0..4 {
        let mut customer = intact_chain();
        customer.records[place].sha256 = Some("x".into());
        assert_eq!(
            kinds_and_keys(&customer),
            [(FindingKind::Edited, format!("w{}", place + 1))]
        );
    }
}

#[test]
fn two_edited_records_in_a_row_are_both_reported() {
    let mut customer = intact_chain();
    for place in [2, 3] {
        customer.records[place].sha256 = Some(format!("x{place}"));
    }
    assert_eq!(
        kinds_and_keys(&customer),
        [
            (FindingKind::Edited, "w4".into()),
            (FindingKind::Edited, "w3".into())
        ]
    );
}

#[test]
fn deleted_records_are_one_finding_and_the_records_before_them_are_followed() {
    for (deleted, key) in [(0, "w2"), (1, "w3"), (2, "w4"), (3, "w4")] {
        let mut customer = intact_chain();
        customer.records.remove(deleted);
        let findings = walk_chains(&customer, RecordRetention::default());
        assert_eq!(
            kinds_and_keys(&customer),
            [(FindingKind::Missing, key.to_owned())],
            "{findings:?}"
        );
        assert!(
            findings[0]
                .detail
                .starts_with(&format!("record {} of the chain w", deleted + 1)),
            "{findings:?}"
        );
    }
    let mut customer = intact_chain();
    customer.records.drain(1..3);
    assert!(
        walk_chains(&customer, RecordRetention::default())[0]
            .detail
            .starts_with("records 2 to 3 of the chain w"),
        "{:?}",
        walk_chains(&customer, RecordRetention::default())
    );
    customer.records.clear();
    assert!(
        walk_chains(&customer, RecordRetention::default())[0]
            .detail
            .starts_with("records 1 to 4 of the chain w"),
        "{:?}",
        walk_chains(&customer, RecordRetention::default())
    );
}

#[test]
fn a_second_object_with_the_same_bytes_does_not_taint_the_first() {
    let mut customer = intact_chain();
    customer.records.push(StoredRecord {
        key: "copy".into(),
        ..chained_record("w", 2, "b", "a")
    });
    assert_eq!(kinds_and_keys(&customer), []);
}

#[test]
fn a_seal_ahead_of_its_record_does_not_taint_another_record_with_its_key() {
    let mut customer = intact_chain();
    add_seal(&mut customer, "w", 5, "w4", "e");
    let findings = walk_chains(&customer, RecordRetention::default());
    assert_eq!(
        kinds_and_keys(&customer),
        [(FindingKind::Missing, "w4".into())]
    );
    assert!(
        findings[0].detail.starts_with("record 5 of the chain w")
            && findings[0].detail.contains("still be queued"),
        "{findings:?}"
    );
    // Of the same deployment, or of none that can be read, it is the one.
    for id in ["d5", ""] {
        customer.records[3].parsed.deployment_id = id.into();
        assert!(
            kinds_and_keys(&customer).contains(&(FindingKind::Edited, "w4".into())),
            "{id}"
        );
    }
}

#[test]
fn the_largest_number_is_followed_to_an_end() {
    let mut customer = intact_chain();
    add_seal(&mut customer, "w", u64::MAX, "w4", "d");
    assert_eq!(
        kinds_and_keys(&customer).len(),
        2,
        "the number, and the deployment of it: {:?}",
        walk_chains(&customer, RecordRetention::default())
    );
    add_seal(&mut customer, "v", u64::MAX, "v9", "z");
    assert!(
        walk_chains(&customer, RecordRetention::default())
            .iter()
            .any(|it| {
                it.detail
                    .starts_with(&format!("records 1 to {} of the chain v", u64::MAX))
            })
    );
}

#[test]
fn a_record_behind_the_seal_is_unsealed() {
    let mut customer = intact_chain();
    customer.records.push(chained_record("w", 5, "e", "d"));
    assert_eq!(
        kinds_and_keys(&customer),
        [(FindingKind::Unsealed, "w5".into())]
    );
}

#[test]
fn a_chain_without_a_seal_is_one_finding() {
    let mut customer = intact_chain();
    customer.seals.clear();
    assert_eq!(
        kinds_and_keys(&customer),
        [(FindingKind::Unsealed, "w4".into())]
    );
    customer.seals.insert("chain/w.json".into(), None);
    assert_eq!(
        kinds_and_keys(&customer),
        [(FindingKind::Edited, "chain/w.json".into())]
    );
}

#[test]
fn a_forked_chain_is_intact_if_both_heads_are_sealed() {
    let mut customer = intact_chain();
    customer.records.push(StoredRecord {
        key: "other3".into(),
        ..chained_record("w", 3, "f", "b")
    });
    assert_eq!(
        kinds_and_keys(&customer),
        [(FindingKind::Unsealed, "other3".into())]
    );
    customer.records.push(chained_record("v", 4, "g", "f"));
    add_seal(&mut customer, "v", 4, "v4", "g");
    assert_eq!(kinds_and_keys(&customer), []);
}

#[test]
fn a_seal_with_the_key_of_another_is_reported() {
    let mut customer = intact_chain();
    let other = customer.seals.remove("chain/w.json").expect("it");
    customer.seals.insert("chain/v.json".into(), other);
    assert_eq!(
        kinds_and_keys(&customer),
        [
            (FindingKind::Edited, "chain/v.json".into()),
            (FindingKind::Unsealed, "w4".into())
        ]
    );
}

#[test]
fn the_first_record_of_a_chain_holds_the_newest_record_of_before() {
    let mut customer = intact_chain();
    let mut first = chained_record("v", 1, "e", "");
    let newest = "usage-logs/airbnb/2026-11-24_120848.json";
    if let Some(chain) = &mut first.parsed.chain {
        chain.newest = Some(newest.into());
    }
    add_seal(&mut customer, "v", 1, "v1", "e");
    customer.records.push(first);
    let missing = [(FindingKind::Missing, newest.to_owned())];
    assert_eq!(kinds_and_keys(&customer), missing);

    let expired = |until: &str| {
        let retention = RecordRetention::until(until.parse().expect("a time"));
        walk_chains(&customer, retention).is_empty()
    };
    assert!(expired("2026-11-25T00:00:00Z"));
    assert!(!expired("2026-11-24T00:00:00Z"));

    customer.records[3].key = newest.into();
    if let Some(seal) = customer.seals.get_mut("chain/w.json") {
        seal.as_mut().expect("a seal").key = newest.into();
    }
    assert_eq!(kinds_and_keys(&customer), []);
}

#[test]
fn the_beginning_of_a_chain_may_expire_and_nothing_else() {
    let limited = RecordRetention::until("2026-11-25T00:00:00Z".parse().expect("a time"));
    let found = |gone: std::ops::Range<usize>| {
        let mut customer = intact_chain();
        customer.records.drain(gone);
        walk_chains(&customer, limited).len()
    };
    assert_eq!(found(0..3), 0);
    assert_eq!(found(1..2), 1, "in the middle");
    // The key of the last record has no time here.
    assert_eq!(found(0..4), 0, "the seal does not expire");
}

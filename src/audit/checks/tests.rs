//! An intact customer, and what is found after one change.

use super::*;
use crate::chain::seal::ChainSeal;
use crate::digest::ContentDigests;
use crate::record::ChainLink;
use crate::record::parse::{ParsedRecord, RecordError};
use crate::snapshot::{ConfigContent, ConfigMetadata, CopyName, RecordReadError};

fn hour(hours: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_761_834_652 + hours * 3600, 0).expect("a time")
}

fn config_object(key: &str, digest: &str, captured: i64) -> ConfigVersion {
    let digests = ContentDigests {
        md5: digest.repeat(32),
        sha256: digest.repeat(64),
    };
    let metadata = ConfigMetadata {
        md5: Some(digests.md5.clone()),
        sha256: Some(digests.sha256.clone()),
        captured_at: Some(hour(captured)),
        deployment_id: Some(format!("d{}", captured / 2 + 1)),
        ..ConfigMetadata::default()
    };
    ConfigVersion {
        key: key.to_owned(),
        size: 1,
        metadata: Some(metadata),
        content: Some(ConfigContent { digests, size: 1 }),
        ..ConfigVersion::default()
    }
}

fn unchained_record(hours: i64, digest: &str, backup: &str) -> StoredRecord {
    StoredRecord {
        key: format!("r{hours}"),
        parsed: ParsedRecord {
            deployed_at: Some(hour(hours)),
            config_hash: digest.repeat(32),
            backup: backup.to_owned(),
            ..ParsedRecord::default()
        },
        ..StoredRecord::default()
    }
}

/// Whether a config of a time and a content passes for the last one.
fn passes_as_latest(copy: &ConfigVersion, records: Vec<StoredRecord>) -> bool {
    let customer = CustomerSnapshot {
        records,
        ..CustomerSnapshot::default()
    };
    find_later_deployment(&customer, content_md5(copy), copy.captured_at()).is_none()
}

/// The record with a time so many seconds after hour 0.
fn record_after(seconds: i64, mut record: StoredRecord) -> StoredRecord {
    record.parsed.deployed_at = Some(hour(0) + TimeDelta::seconds(seconds));
    record
}

#[test]
fn a_record_belongs_to_the_key_of_its_time_and_deployment() {
    let ours = |key: &str, customer: &str| {
        let mut record = unchained_record(0, "a", "");
        record.key = key.into();
        record.parsed.deployment_id = "20251030T143052Z-00".into();
        record.parsed.customer = customer.into();
        explain_misplacement("airbnb", &record)
    };
    assert_eq!(
        ours("usage-logs/airbnb/2025-10-30_143052.json", "airbnb"),
        None
    );
    // printf 20251030T143052Z-00 | sha256sum
    assert_eq!(
        ours(
            "usage-logs/airbnb/2025-10-30_143052-465b93c4.json",
            "airbnb"
        ),
        None
    );
    for (key, customer) in [
        (
            "usage-logs/airbnb/2025-10-30_143052-465b93c5.json",
            "airbnb",
        ),
        ("usage-logs/airbnb/2025-10-30_143053.json", "airbnb"),
        ("usage-logs/airbnb/2025-10-30_143052.json", "acme"),
    ] {
        assert!(ours(key, customer).is_some(), "{key} {customer}");
    }
    let legacy = |stem: &str| StoredRecord {
        key: format!("usage-logs/airbnb/{stem}.json"),
        ..unchained_record(0, "a", "")
    };
    assert_eq!(
        explain_misplacement("airbnb", &legacy(&"a".repeat(32))),
        None
    );
    assert!(explain_misplacement("airbnb", &legacy(&"b".repeat(32))).is_some());
    for other in ["b".repeat(31), "g".repeat(32)] {
        assert_eq!(
            explain_misplacement("airbnb", &legacy(&other)),
            None,
            "no MD5, and nothing to hold against it"
        );
    }
}

/// A copy of a config with its metadata; the digit stands for its bytes.
fn version_object(hours: i64, digit: &str) -> ConfigVersion {
    let key = keys::config_version_key("airbnb", hour(hours), &digit.repeat(32));
    let copy_name = CopyName {
        captured_at: hour(hours),
        md5: digit.repeat(32),
    };
    ConfigVersion {
        copy_name: Some(copy_name),
        ..config_object(&key, digit, hours)
    }
}

/// The record of a deployment a minute after it read its config.
fn chained_record(hours: i64, number: u64, backup: &str, of: &ConfigVersion) -> StoredRecord {
    let at = hour(hours) + TimeDelta::minutes(1);
    let previous = if number == 1 {
        String::new()
    } else {
        format!("s{}", number - 1)
    };
    StoredRecord {
        key: keys::record_key("airbnb", at),
        sha256: Some(format!("s{number}")),
        parsed: ParsedRecord {
            deployed_at: Some(at),
            customer: "airbnb".into(),
            deployment_id: format!("d{number}"),
            config_hash: content_md5(of).to_owned(),
            backup: backup.into(),
            backup_key: of.key.clone(),
            chain: Some(ChainLink {
                writer: "w".into(),
                number,
                previous,
                newest: None,
            }),
            ..ParsedRecord::default()
        },
        ..StoredRecord::default()
    }
}

/// `a`, then `b`, then nothing new.
fn intact_customer() -> CustomerSnapshot {
    let versions = vec![version_object(0, "a"), version_object(2, "b")];
    let records = vec![
        chained_record(0, 1, "uploaded", &versions[0]),
        chained_record(2, 2, "uploaded", &versions[1]),
        chained_record(4, 3, "unchanged", &versions[1]),
    ];
    let last = &records[2];
    let seal = ChainSeal {
        writer: "w".into(),
        number: 3,
        key: last.key.clone(),
        sha256: last.sha256.clone().expect("a digest"),
        deployment_id: last.parsed.deployment_id.clone(),
    };
    let current = vec![config_object("terragrunt/airbnb/config.yaml", "b", 2)];
    CustomerSnapshot {
        seals: [(keys::seal_key("airbnb", "w"), Some(seal))].into(),
        name: "airbnb".into(),
        records,
        config_copies: versions,
        current_configs: current,
        ..CustomerSnapshot::default()
    }
}

fn stated(config: &mut ConfigVersion) -> &mut ConfigMetadata {
    config.metadata.as_mut().expect("metadata")
}

/// What is found after a change, with the beginnings of the reasons.
fn findings_after(
    change: impl FnOnce(&mut CustomerSnapshot),
) -> Vec<(FindingKind, String, String)> {
    let mut customer = intact_customer();
    change(&mut customer);
    audit_customer(&customer, RecordRetention::default())
        .into_iter()
        .map(|it| (it.kind, it.key, it.detail))
        .collect()
}

/// The one finding after a change must be this, of this key.
fn assert_found(
    what: FindingKind,
    key: &str,
    why: &str,
    change: impl FnOnce(&mut CustomerSnapshot),
) {
    let found = findings_after(change);
    assert!(
        found.len() == 1 && found[0].0 == what && found[0].1 == key && found[0].2.starts_with(why),
        "{key}, {why}: {found:?}"
    );
}

#[test]
fn an_intact_customer_has_no_findings() {
    assert_eq!(findings_after(|_| ()), []);
    assert_eq!(
        audit_customer(&CustomerSnapshot::default(), RecordRetention::default()),
        []
    );
}

#[test]
fn records_are_compared_with_their_key_and_each_other() {
    let keys: Vec<String> = intact_customer()
        .records
        .into_iter()
        .map(|it| it.key)
        .collect();
    assert_found(FindingKind::Edited, &keys[1], "not a JSON object", |it| {
        it.records[1].read_error = Some(RecordReadError::Invalid(RecordError::NotAnObject));
    });
    assert_found(
        FindingKind::Misplaced,
        &keys[1],
        "it is the record of another customer",
        |it| it.records[1].parsed.customer = "acme".into(),
    );
    assert_found(
        FindingKind::Misplaced,
        &keys[1],
        "it has no usable `timestamp`",
        |it| it.records[1].parsed.deployed_at = None,
    );
    let another = "usage-logs/airbnb/2030-01-01_000000.json";
    let twice = findings_after(|it| {
        it.records.push(StoredRecord {
            key: another.into(),
            ..it.records[1].clone()
        });
    });
    assert!(twice.iter().all(|(_, key, _)| key == another), "{twice:?}");
    assert_eq!(
        twice.iter().map(|(what, ..)| *what).collect::<Vec<_>>(),
        [FindingKind::Misplaced, FindingKind::Twice]
    );
    assert!(twice[1].2.contains(&keys[1]), "{twice:?}");
}

#[test]
fn a_record_without_a_chain_is_fine_before_the_first_chain() {
    let outside = |hours, seconds| {
        let at = hour(hours) + TimeDelta::seconds(seconds);
        let mut record = chained_record(0, 1, "uploaded", &version_object(0, "a"));
        record.parsed.chain = None;
        record.parsed.deployed_at = Some(at);
        record.sha256 = Some("o".into());
        record.key = keys::record_key("airbnb", at);
        record
    };
    assert_eq!(
        findings_after(|it| it.records.insert(0, outside(0, 30))),
        []
    );
    assert_eq!(
        findings_after(|it| {
            let mut record = it.records[0].clone();
            record.sha256 = Some("o".into());
            record.parsed.chain = None;
            it.records.insert(0, record);
        })
        .len(),
        0,
        "of the same second"
    );
    let later = outside(1, 0);
    assert_found(
        FindingKind::Unsealed,
        &later.key.clone(),
        "it is not part of a chain",
        |it| it.records.push(later),
    );
    let count = |change: fn(&mut CustomerSnapshot)| {
        let mut customer = intact_customer();
        change(&mut customer);
        count_unchained_records(&customer)
    };
    assert_eq!(count(|_| ()), 0);
    assert_eq!(
        count(|it| it
            .records
            .iter_mut()
            .for_each(|record| record.parsed.chain = None)),
        3
    );
    assert_eq!(
        count(|it| it.records.iter_mut().for_each(|record| {
            record.parsed.chain = None;
            record.read_error = Some(RecordReadError::Invalid(RecordError::Empty));
        })),
        0
    );
}

#[test]
fn a_record_without_a_time_counts_as_one_of_now() {
    let mut record = unchained_record(0, "a", "");
    record.parsed.deployed_at = None;
    record.sha256 = Some("o".into());
    record.key = format!("usage-logs/airbnb/{}.json", "a".repeat(32));
    assert_found(
        FindingKind::Unsealed,
        &record.key.clone(),
        "it is not part of a chain",
        |it| it.records.push(record),
    );
}

#[test]
fn what_cannot_be_read_is_a_finding_beside_the_others() {
    let found = findings_after(|it| {
        let reason = "cannot get it";
        it.unreadable_seals
            .push(crate::snapshot::SkippedObject::new("k", reason));
        it.records[1].read_error = Some(RecordReadError::NotFetched(reason.into()));
        it.records[2].parsed.customer = "acme".into();
    });
    let kinds: Vec<FindingKind> = found.iter().map(|(kind, ..)| *kind).collect();
    assert!(kinds.contains(&FindingKind::Misplaced), "{found:?}");
    let unreadable = kinds.iter().filter(|it| **it == FindingKind::Unreadable);
    assert_eq!(unreadable.count(), 2, "{found:?}");
}

mod configs;

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
fn a_config_that_was_rolled_back_is_not_that_of_the_last_deployment() {
    let deployments = || {
        vec![
            unchained_record(0, "a", "uploaded"),
            unchained_record(2, "b", "uploaded"),
            unchained_record(3, "b", "unchanged"),
        ]
    };
    assert!(passes_as_latest(&config_object("c", "b", 2), deployments()));
    assert!(!passes_as_latest(
        &config_object("c", "a", 0),
        deployments()
    ));
    assert!(
        passes_as_latest(&config_object("c", "c", 4), deployments()),
        "of a deployment that was not logged"
    );
    // A record that could not say whether its config was sent proves nothing.
    assert!(passes_as_latest(
        &config_object("c", "a", 0),
        vec![
            unchained_record(0, "a", "uploaded"),
            unchained_record(2, "b", "spooled")
        ]
    ));
}

#[test]
fn each_of_concurrent_deployments_may_have_been_the_last() {
    let both = vec![
        unchained_record(0, "a", "uploaded"),
        record_after(20, unchained_record(0, "b", "uploaded")),
    ];
    assert!(
        passes_as_latest(&config_object("c", "a", 0), both.clone())
            && passes_as_latest(&config_object("c", "b", 0), both)
    );
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
fn a_config_that_a_record_names_must_exist_unless_its_backup_failed() {
    let gone = version_object(2, "b").key;
    // The current one names it, too; it is found once.
    assert_found(
        FindingKind::Missing,
        &gone,
        "the config of the deployment at `",
        |it| drop(it.config_copies.pop()),
    );
    let of = |backup: &str| {
        let found = findings_after(|it| {
            it.records[0].parsed.backup = backup.into();
            it.config_copies.remove(0);
        });
        found
            .into_iter()
            .map(|(what, _, why)| {
                (
                    what,
                    why.contains("; it may still be queued on the machine"),
                )
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(of("uploaded"), [(FindingKind::Missing, false)]);
    assert_eq!(of("unchanged"), [(FindingKind::Missing, false)]);
    assert_eq!(of("spooled"), [(FindingKind::Missing, true)]);
    assert_eq!(of("failed"), []);
    let unnamed = findings_after(|it| {
        it.records[0].parsed.backup_key = String::new();
        it.config_copies.remove(0);
    });
    assert_eq!(unnamed, [], "its key is unknown");
}

#[test]
fn copies_are_compared_with_their_metadata_key_and_records() {
    let key = version_object(0, "a").key;
    assert_found(FindingKind::Edited, &key, "its metadata is missing", |it| {
        stated(&mut it.config_copies[0]).captured_at = None;
    });
    assert_found(FindingKind::Edited, &key, "its metadata is missing", |it| {
        stated(&mut it.config_copies[0]).md5 = None;
    });
    assert_found(FindingKind::Edited, &key, "its metadata is missing", |it| {
        stated(&mut it.config_copies[0]).sha256 = None;
    });
    for id in ["d2", "unknown", ""] {
        assert_found(
            FindingKind::Edited,
            &key,
            "its metadata names another deployment",
            |it| stated(&mut it.config_copies[0]).deployment_id = Some(id.into()),
        );
    }
    assert_found(
        FindingKind::Misplaced,
        &key,
        "its key and its metadata have different times",
        |it| stated(&mut it.config_copies[0]).captured_at = Some(hour(1)),
    );
    assert_found(FindingKind::Edited, &key, "md5 and sha256 mismatch", |it| {
        it.config_copies[0].content = config_object("", "c", 0).content;
    });
    let unknown = version_object(1, "c");
    assert_found(
        FindingKind::Unrecorded,
        &unknown.key.clone(),
        "no usage record names it",
        |it| it.config_copies.push(unknown),
    );
}

#[test]
fn the_current_config_is_intact_has_a_copy_and_is_of_the_last_deployment() {
    let key = "terragrunt/airbnb/config.yaml";
    assert_found(
        FindingKind::Missing,
        key,
        "it is missing, but copies of its versions exist",
        |it| it.current_configs.clear(),
    );
    assert_eq!(
        findings_after(
            |it| (it.current_configs, it.config_copies, it.records, it.seals) = Default::default()
        ),
        []
    );
    assert_found(FindingKind::Edited, key, "size mismatch", |it| {
        it.current_configs[0]
            .content
            .as_mut()
            .expect("a content")
            .size = 2;
    });
    assert_found(
        FindingKind::Edited,
        key,
        "it is not the config of the last deployment",
        |it| {
            it.current_configs[0] = config_object("terragrunt/airbnb/config.yaml", "a", 0);
        },
    );
    // Without metadata, it must be that of the last deployment, unless there are no copies yet.
    assert_eq!(
        findings_after(|it| stated(&mut it.current_configs[0]).captured_at = None),
        []
    );
    let strange = |it: &mut CustomerSnapshot| {
        it.current_configs[0] = config_object("terragrunt/airbnb/config.yaml", "c", 2);
        stated(&mut it.current_configs[0]).captured_at = None;
    };
    assert_found(
        FindingKind::Edited,
        key,
        "its metadata is missing, and it is not the config of the last deployment",
        strange,
    );
    assert_found(
        FindingKind::Edited,
        key,
        "its metadata is missing, and it is not the config of the last deployment",
        |it| {
            it.current_configs[0] = config_object("terragrunt/airbnb/config.yaml", "a", 0);
            stated(&mut it.current_configs[0]).captured_at = None;
        },
    );
    let alone = findings_after(|it| {
        strange(it);
        (it.config_copies, it.records, it.seals) = Default::default();
    });
    assert_eq!(alone, []);
    // A config without a record is reported by its missing copy.
    let unlogged = findings_after(|it| {
        it.current_configs[0] = config_object("terragrunt/airbnb/config.yaml", "c", 6);
    });
    assert_eq!(unlogged.len(), 1, "{unlogged:?}");
    assert_eq!(
        (unlogged[0].0, &unlogged[0].1),
        (FindingKind::Missing, &version_object(6, "c").key)
    );
}

#[test]
fn deployments_within_five_minutes_are_concurrent() {
    let (first, last) = (
        unchained_record(0, "a", "uploaded"),
        unchained_record(0, "b", "uploaded"),
    );
    let after = |seconds| vec![first.clone(), record_after(seconds, last.clone())];
    assert!(
        passes_as_latest(&config_object("c", "a", 0), after(299))
            && passes_as_latest(&config_object("c", "c", 0), after(300))
    );
    assert!(
        passes_as_latest(&config_object("c", "a", -1), after(299))
            && !passes_as_latest(&config_object("c", "a", -1), after(300))
    );
    assert!(
        !passes_as_latest(&config_object("c", "a", 0), after(301))
            && !passes_as_latest(&config_object("c", "c", 0), after(301))
    );
}

#[test]
fn a_record_is_compared_with_the_config_that_it_names() {
    let copy = version_object(0, "a").key;
    let sha256 = |it: &mut CustomerSnapshot, digit: &str| {
        it.records[0].parsed.config_sha256 = digit.repeat(64);
    };
    assert_eq!(findings_after(|it| sha256(it, "a")), []);
    assert_found(
        FindingKind::Edited,
        &copy,
        "it is not the config of the deployment at `",
        |it| sha256(it, "c"),
    );
    let record = intact_customer().records[0].key.clone();
    assert_found(
        FindingKind::Edited,
        &record,
        "its `backup_key` names another config",
        |it| {
            it.records[0].parsed.config_hash = "c".repeat(32);
            it.records[0].parsed.backup = "unchanged".into();
        },
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
        it.unreadable
            .push(crate::snapshot::SkippedObject::new("k", reason));
        it.records[1].read_error = Some(RecordReadError::NotFetched(reason.into()));
        it.records[2].parsed.customer = "acme".into();
    });
    let kinds: Vec<FindingKind> = found.iter().map(|(kind, ..)| *kind).collect();
    assert!(kinds.contains(&FindingKind::Misplaced), "{found:?}");
    let unreadable = kinds.iter().filter(|it| **it == FindingKind::Unreadable);
    assert_eq!(unreadable.count(), 2, "{found:?}");
}

#[test]
fn only_the_copies_of_expired_records_may_be_unrecorded() {
    let found = |until: i64| {
        let mut customer = intact_customer();
        customer.records.remove(0);
        audit_customer(&customer, RecordRetention::until(hour(until))).len()
    };
    assert_eq!(found(1), 0);
    assert_eq!(found(-2), 1);
}

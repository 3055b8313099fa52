//! A customer of whom all is as it was, and what is found once one thing is not.

use super::*;

fn hour(hours: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_761_834_652 + hours * 3600, 0).expect("a time")
}

fn config_object(key: &str, digest: &str, captured: i64) -> AuditedConfig {
    let digests = ContentDigests {
        md5: digest.repeat(32),
        sha256: digest.repeat(64),
    };
    let stated = StatedDigests {
        md5: digests.md5.clone(),
        sha256: digests.sha256.clone(),
        size: 1,
        known_md5: String::new(),
    };
    AuditedConfig {
        key: key.to_owned(),
        named_at: None,
        captured_at: Some(hour(captured)),
        stated,
        digests,
        byte_count: 1,
    }
}

fn unchained_record(hours: i64, digest: &str, backup: &str) -> AuditedRecord {
    let config_hash = digest.repeat(32);
    AuditedRecord {
        key: format!("r{hours}"),
        at: Some(hour(hours)),
        config_hash,
        backup: backup.to_owned(),
        ..AuditedRecord::default()
    }
}

/// Whether a config of a time and a content passes for the last one.
fn passes_as_latest(copy: &AuditedConfig, records: Vec<AuditedRecord>) -> bool {
    let holdings = CustomerHoldings {
        records,
        ..CustomerHoldings::default()
    };
    find_later_deployment(&holdings, copy, copy.captured_at.expect("a time")).is_none()
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
fn of_deployments_at_once_either_may_have_been_the_last() {
    let both = vec![
        unchained_record(0, "a", "uploaded"),
        AuditedRecord {
            at: Some(hour(0) + TimeDelta::seconds(20)),
            ..unchained_record(0, "b", "uploaded")
        },
    ];
    assert!(
        passes_as_latest(&config_object("c", "a", 0), both.clone())
            && passes_as_latest(&config_object("c", "b", 0), both)
    );
}

#[test]
fn a_record_lies_where_its_time_and_its_deployment_say() {
    let ours = |key: &str, customer: &str| {
        let record = AuditedRecord {
            key: key.into(),
            deployment_id: "20251030T143052Z-00".into(),
            customer: customer.into(),
            ..unchained_record(0, "a", "")
        };
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
    let earlier = |stem: &str| AuditedRecord {
        key: format!("usage-logs/airbnb/{stem}.json"),
        ..unchained_record(0, "a", "")
    };
    assert_eq!(
        explain_misplacement("airbnb", &earlier(&"a".repeat(32))),
        None
    );
    assert!(explain_misplacement("airbnb", &earlier(&"b".repeat(32))).is_some());
    for other in ["b".repeat(31), "g".repeat(32)] {
        assert_eq!(
            explain_misplacement("airbnb", &earlier(&other)),
            None,
            "no MD5, and nothing to hold against it"
        );
    }
}

/// A version that a deployment brought at an hour, with what vouches for it; its bytes are told by a digit.
fn version_object(hours: i64, digit: &str) -> AuditedConfig {
    let key = keys::config_version_key("airbnb", hour(hours), &digit.repeat(32));
    AuditedConfig {
        named_at: Some(hour(hours)),
        ..config_object(&key, digit, hours)
    }
}

/// The record of a deployment a minute after it read its config.
fn chained_record(hours: i64, number: u64, backup: &str, of: &AuditedConfig) -> AuditedRecord {
    let at = hour(hours) + TimeDelta::minutes(1);
    let previous = if number == 1 {
        String::new()
    } else {
        format!("s{}", number - 1)
    };
    AuditedRecord {
        key: keys::record_key("airbnb", at),
        sha256: format!("s{number}"),
        at: Some(at),
        customer: "airbnb".into(),
        deployment_id: format!("d{number}"),
        config_hash: of.digests.md5.clone(),
        backup: backup.into(),
        backup_key: of.key.clone(),
        chain: Some(ChainLink {
            writer: "w".into(),
            number,
            previous,
        }),
        read_error: None,
    }
}

/// `a`, then `b`, then nothing new.
fn intact_holdings() -> CustomerHoldings {
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
        sha256: last.sha256.clone(),
        deployment_id: last.deployment_id.clone(),
    };
    let current = vec![config_object("terragrunt/airbnb/config.yaml", "b", 2)];
    CustomerHoldings {
        seals: [(keys::seal_key("airbnb", "w"), Some(seal))].into(),
        records,
        versions,
        current,
        ..CustomerHoldings::default()
    }
}

/// What is found after a change, with the beginnings of the reasons.
fn findings_after(
    change: impl FnOnce(&mut CustomerHoldings),
) -> Vec<(FindingKind, String, String)> {
    let mut holdings = intact_holdings();
    change(&mut holdings);
    audit_customer("airbnb", &holdings)
        .into_iter()
        .map(|it| (it.kind, it.key, it.detail))
        .collect()
}

/// The one finding after a change must be this, of this key.
fn assert_found(
    what: FindingKind,
    key: &str,
    why: &str,
    change: impl FnOnce(&mut CustomerHoldings),
) {
    let found = findings_after(change);
    assert!(
        found.len() == 1 && found[0].0 == what && found[0].1 == key && found[0].2.starts_with(why),
        "{key}, {why}: {found:?}"
    );
}

#[test]
fn of_what_is_as_it_was_nothing_is_found() {
    assert_eq!(findings_after(|_| ()), []);
    assert_eq!(audit_customer("airbnb", &CustomerHoldings::default()), []);
}

#[test]
fn each_record_is_held_against_its_object_its_name_and_the_others() {
    let keys: Vec<String> = intact_holdings()
        .records
        .into_iter()
        .map(|it| it.key)
        .collect();
    assert_found(FindingKind::Edited, &keys[1], "it is no JSON", |it| {
        it.records[1].read_error = Some("it is no JSON".into());
    });
    assert_found(
        FindingKind::Misplaced,
        &keys[1],
        "it is of another customer",
        |it| it.records[1].customer = "acme".into(),
    );
    assert_found(
        FindingKind::Misplaced,
        &keys[1],
        "it does not say when",
        |it| it.records[1].at = None,
    );
    let another = "usage-logs/airbnb/2030-01-01_000000.json";
    let twice = findings_after(|it| {
        it.records.push(AuditedRecord {
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
fn a_record_without_a_chain_is_no_alarm_as_long_as_there_were_no_chains() {
    let outside = |hours, seconds| {
        let at = hour(hours) + TimeDelta::seconds(seconds);
        AuditedRecord {
            chain: None,
            sha256: "o".into(),
            at: Some(at),
            key: keys::record_key("airbnb", at),
            ..chained_record(0, 1, "uploaded", &version_object(0, "a"))
        }
    };
    assert_eq!(
        findings_after(|it| it.records.insert(0, outside(0, 30))),
        []
    );
    assert_eq!(
        findings_after(|it| it.records.insert(
            0,
            AuditedRecord {
                sha256: "o".into(),
                chain: None,
                ..it.records[0].clone()
            }
        ))
        .len(),
        0,
        "of the same second"
    );
    let later = outside(1, 0);
    assert_found(
        FindingKind::Unsealed,
        &later.key.clone(),
        "it is in no chain",
        |it| it.records.push(later),
    );
    let count = |change: fn(&mut CustomerHoldings)| {
        let mut holdings = intact_holdings();
        change(&mut holdings);
        holdings.count_unchained_records()
    };
    assert_eq!(count(|_| ()), 0);
    assert_eq!(
        count(|it| it.records.iter_mut().for_each(|record| record.chain = None)),
        3
    );
    assert_eq!(
        count(|it| it
            .records
            .iter_mut()
            .for_each(|record| (record.chain, record.read_error) = (None, Some("x".into())))),
        0
    );
}

#[test]
fn a_config_that_a_record_names_must_be_there_unless_it_never_was() {
    let gone = version_object(2, "b").key;
    // The current one names it, too; it is found once.
    assert_found(
        FindingKind::Missing,
        &gone,
        "the config of the deployment at `",
        |it| drop(it.versions.pop()),
    );
    let of = |backup: &str| {
        let found = findings_after(|it| {
            it.records[0].backup = backup.into();
            it.versions.remove(0);
        });
        found
            .into_iter()
            .map(|(what, _, why)| (what, why.contains("; it may still be kept on the machine")))
            .collect::<Vec<_>>()
    };
    assert_eq!(of("uploaded"), [(FindingKind::Missing, false)]);
    assert_eq!(of("unchanged"), [(FindingKind::Missing, false)]);
    assert_eq!(of("spooled"), [(FindingKind::Missing, true)]);
    assert_eq!(of("failed"), []);
    let unnamed = findings_after(|it| {
        it.records[0].backup_key = String::new();
        it.versions.remove(0);
    });
    assert_eq!(unnamed, [], "nobody knows where it was");
}

#[test]
fn each_version_is_held_against_its_metadata_its_name_and_the_records() {
    let key = version_object(0, "a").key;
    assert_found(
        FindingKind::Edited,
        &key,
        "it has lost its metadata",
        |it| it.versions[0].captured_at = None,
    );
    assert_found(
        FindingKind::Edited,
        &key,
        "it has lost its metadata",
        |it| it.versions[0].stated.md5 = String::new(),
    );
    assert_found(
        FindingKind::Misplaced,
        &key,
        "it is of another time",
        |it| it.versions[0].captured_at = Some(hour(1)),
    );
    assert_found(
        FindingKind::Edited,
        &key,
        "its md5 and sha256 is not",
        |it| it.versions[0].digests = config_object("", "c", 0).digests,
    );
    let unknown = version_object(1, "c");
    assert_found(
        FindingKind::Unrecorded,
        &unknown.key.clone(),
        "no usage record names it",
        |it| it.versions.push(unknown),
    );
}

#[test]
fn the_current_config_is_that_of_the_last_deployment_whole_and_one_of_the_versions() {
    let key = "terragrunt/airbnb/config.yaml";
    assert_found(
        FindingKind::Missing,
        key,
        "versions of it are there",
        |it| it.current.clear(),
    );
    assert_eq!(
        findings_after(|it| (it.current, it.versions, it.records, it.seals) = Default::default()),
        []
    );
    assert_found(FindingKind::Edited, key, "its size is not", |it| {
        it.current[0].byte_count = 2;
    });
    assert_found(
        FindingKind::Edited,
        key,
        "it is not the config of the last deployment",
        |it| {
            it.current[0] = config_object("terragrunt/airbnb/config.yaml", "a", 0);
        },
    );
    // Without its metadata its MD5 must be one that a deployment had, as it is where there are no versions yet.
    assert_eq!(findings_after(|it| it.current[0].captured_at = None), []);
    let strange = |it: &mut CustomerHoldings| {
        it.current[0] = AuditedConfig {
            captured_at: None,
            ..config_object("terragrunt/airbnb/config.yaml", "c", 2)
        }
    };
    assert_found(
        FindingKind::Edited,
        key,
        "it has lost its metadata",
        strange,
    );
    let alone = findings_after(|it| {
        strange(it);
        (it.versions, it.records, it.seals) = Default::default();
    });
    assert_eq!(alone, []);
    // One that nobody logged is told by the version that it must be.
    let unlogged =
        findings_after(|it| it.current[0] = config_object("terragrunt/airbnb/config.yaml", "c", 6));
    assert_eq!(unlogged.len(), 1, "{unlogged:?}");
    assert_eq!(
        (unlogged[0].0, &unlogged[0].1),
        (FindingKind::Missing, &version_object(6, "c").key)
    );
}

#[test]
fn deployments_within_five_minutes_are_at_once() {
    let (first, last) = (
        unchained_record(0, "a", "uploaded"),
        unchained_record(0, "b", "uploaded"),
    );
    let after = |seconds| {
        vec![
            first.clone(),
            AuditedRecord {
                at: Some(hour(0) + TimeDelta::seconds(seconds)),
                ..last.clone()
            },
        ]
    };
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

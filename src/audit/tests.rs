//! A customer of whom all is as it was, and what is found once one thing is not.

use super::*;

fn at(hours: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_761_834_652 + hours * 3600, 0).expect("a time")
}

fn copy(key: &str, digest: &str, captured: i64) -> Copy {
    let digests = Digests { md5: digest.repeat(32), sha256: digest.repeat(64) };
    let stated = Stated { md5: digests.md5.clone(), sha256: digests.sha256.clone(), size: 1, known_md5: String::new() };
    Copy { key: key.to_owned(), named_at: None, captured_at: Some(at(captured)), stated, digests, length: 1 }
}

fn record(hours: i64, digest: &str, backup: &str) -> Record {
    let config_hash = digest.repeat(32);
    Record { key: format!("r{hours}"), at: Some(at(hours)), config_hash, backup: backup.to_owned(), ..Record::default() }
}

/// Whether a config of a time and a content passes for the last one.
fn passes(copy: &Copy, records: Vec<Record>) -> bool {
    let holdings = Holdings { records, ..Holdings::default() };
    overtaken(&holdings, copy, copy.captured_at.expect("a time")).is_none()
}

#[test]
fn a_config_that_was_rolled_back_is_not_that_of_the_last_deployment() {
    let deployments = || vec![record(0, "a", "uploaded"), record(2, "b", "uploaded"), record(3, "b", "unchanged")];
    assert!(passes(&copy("c", "b", 2), deployments()));
    assert!(!passes(&copy("c", "a", 0), deployments()));
    assert!(passes(&copy("c", "c", 4), deployments()), "of a deployment that was not logged");
    // A record that could not say whether its config was sent proves nothing.
    assert!(passes(&copy("c", "a", 0), vec![record(0, "a", "uploaded"), record(2, "b", "spooled")]));
}

#[test]
fn of_deployments_at_once_either_may_have_been_the_last() {
    let both = vec![record(0, "a", "uploaded"), Record { at: Some(at(0) + TimeDelta::seconds(20)), ..record(0, "b", "uploaded") }];
    assert!(passes(&copy("c", "a", 0), both.clone()) && passes(&copy("c", "b", 0), both));
}

#[test]
fn a_record_lies_where_its_time_and_its_deployment_say() {
    let ours = |key: &str, customer: &str| {
        let record =
            Record { key: key.into(), deployment_id: "20251030T143052Z-00".into(), customer: customer.into(), ..record(0, "a", "") };
        belongs("airbnb", &record)
    };
    assert_eq!(ours("usage-logs/airbnb/2025-10-30_143052.json", "airbnb"), None);
    // printf 20251030T143052Z-00 | sha256sum
    assert_eq!(ours("usage-logs/airbnb/2025-10-30_143052-465b93c4.json", "airbnb"), None);
    for (key, customer) in [
        ("usage-logs/airbnb/2025-10-30_143052-465b93c5.json", "airbnb"),
        ("usage-logs/airbnb/2025-10-30_143053.json", "airbnb"),
        ("usage-logs/airbnb/2025-10-30_143052.json", "acme"),
    ] {
        assert!(ours(key, customer).is_some(), "{key} {customer}");
    }
    let earlier = |stem: &str| Record { key: format!("usage-logs/airbnb/{stem}.json"), ..record(0, "a", "") };
    assert_eq!(belongs("airbnb", &earlier(&"a".repeat(32))), None);
    assert!(belongs("airbnb", &earlier(&"b".repeat(32))).is_some());
    for other in ["b".repeat(31), "g".repeat(32)] {
        assert_eq!(belongs("airbnb", &earlier(&other)), None, "no MD5, and nothing to hold against it");
    }
}

/// A version that a deployment brought at an hour, with what vouches for it; its bytes are told by a digit.
fn version(hours: i64, digit: &str) -> Copy {
    let key = layout::history_key("airbnb", at(hours), &digit.repeat(32));
    Copy { named_at: Some(at(hours)), ..copy(&key, digit, hours) }
}

/// The record of a deployment a minute after it read its config.
fn logged(hours: i64, number: u64, backup: &str, of: &Copy) -> Record {
    let at = at(hours) + TimeDelta::minutes(1);
    let previous = if number == 1 { String::new() } else { format!("s{}", number - 1) };
    Record {
        key: layout::log_key("airbnb", at),
        sha256: format!("s{number}"),
        at: Some(at),
        customer: "airbnb".into(),
        deployment_id: format!("d{number}"),
        config_hash: of.digests.md5.clone(),
        backup: backup.into(),
        backup_key: of.key.clone(),
        chain: Some(Chain { writer: "w".into(), number, previous }),
        damage: None,
    }
}

/// `a`, then `b`, then nothing new.
fn whole() -> Holdings {
    let versions = vec![version(0, "a"), version(2, "b")];
    let records =
        vec![logged(0, 1, "uploaded", &versions[0]), logged(2, 2, "uploaded", &versions[1]), logged(4, 3, "unchanged", &versions[1])];
    let last = &records[2];
    let seal = Seal {
        writer: "w".into(),
        number: 3,
        key: last.key.clone(),
        sha256: last.sha256.clone(),
        deployment_id: last.deployment_id.clone(),
    };
    let current = vec![copy("terragrunt/airbnb/config.yaml", "b", 2)];
    Holdings { seals: [(layout::seal_key("airbnb", "w"), Some(seal))].into(), records, versions, current, ..Holdings::default() }
}

/// What is found after a change, with the beginnings of the reasons.
fn found(change: impl FnOnce(&mut Holdings)) -> Vec<(What, String, String)> {
    let mut holdings = whole();
    change(&mut holdings);
    audit("airbnb", &holdings).into_iter().map(|it| (it.what, it.key, it.why)).collect()
}

/// The one finding after a change must be this, of this key.
fn assert_found(what: What, key: &str, why: &str, change: impl FnOnce(&mut Holdings)) {
    let found = found(change);
    assert!(found.len() == 1 && found[0].0 == what && found[0].1 == key && found[0].2.starts_with(why), "{key}, {why}: {found:?}");
}

#[test]
fn of_what_is_as_it_was_nothing_is_found() {
    assert_eq!(found(|_| ()), []);
    assert_eq!(audit("airbnb", &Holdings::default()), []);
}

#[test]
fn each_record_is_held_against_its_object_its_name_and_the_others() {
    let keys: Vec<String> = whole().records.into_iter().map(|it| it.key).collect();
    assert_found(What::Edited, &keys[1], "it is no JSON", |it| it.records[1].damage = Some("it is no JSON".into()));
    assert_found(What::Misplaced, &keys[1], "it is of another customer", |it| it.records[1].customer = "acme".into());
    assert_found(What::Misplaced, &keys[1], "it does not say when", |it| it.records[1].at = None);
    let another = "usage-logs/airbnb/2030-01-01_000000.json";
    let twice = found(|it| it.records.push(Record { key: another.into(), ..it.records[1].clone() }));
    assert!(twice.iter().all(|(_, key, _)| key == another), "{twice:?}");
    assert_eq!(twice.iter().map(|(what, ..)| *what).collect::<Vec<_>>(), [What::Misplaced, What::Twice]);
    assert!(twice[1].2.contains(&keys[1]), "{twice:?}");
}

#[test]
fn a_record_without_a_chain_is_no_alarm_as_long_as_there_were_no_chains() {
    let outside = |hours, seconds| {
        let at = at(hours) + TimeDelta::seconds(seconds);
        Record {
            chain: None,
            sha256: "o".into(),
            at: Some(at),
            key: layout::log_key("airbnb", at),
            ..logged(0, 1, "uploaded", &version(0, "a"))
        }
    };
    assert_eq!(found(|it| it.records.insert(0, outside(0, 30))), []);
    assert_eq!(
        found(|it| it.records.insert(0, Record { sha256: "o".into(), chain: None, ..it.records[0].clone() })).len(),
        0,
        "of the same second"
    );
    let later = outside(1, 0);
    assert_found(What::Unsealed, &later.key.clone(), "it is in no chain", |it| it.records.push(later));
    let count = |change: fn(&mut Holdings)| {
        let mut holdings = whole();
        change(&mut holdings);
        holdings.earlier()
    };
    assert_eq!(count(|_| ()), 0);
    assert_eq!(count(|it| it.records.iter_mut().for_each(|record| record.chain = None)), 3);
    assert_eq!(count(|it| it.records.iter_mut().for_each(|record| (record.chain, record.damage) = (None, Some("x".into())))), 0);
}

#[test]
fn a_config_that_a_record_names_must_be_there_unless_it_never_was() {
    let gone = version(2, "b").key;
    // The current one names it, too; it is found once.
    assert_found(What::Missing, &gone, "the config of the deployment at `", |it| drop(it.versions.pop()));
    let of = |backup: &str| {
        let found = found(|it| {
            it.records[0].backup = backup.into();
            it.versions.remove(0);
        });
        found.into_iter().map(|(what, _, why)| (what, why.contains("; it may still be kept on the machine"))).collect::<Vec<_>>()
    };
    assert_eq!(of("uploaded"), [(What::Missing, false)]);
    assert_eq!(of("unchanged"), [(What::Missing, false)]);
    assert_eq!(of("spooled"), [(What::Missing, true)]);
    assert_eq!(of("failed"), []);
    let unnamed = found(|it| {
        it.records[0].backup_key = String::new();
        it.versions.remove(0);
    });
    assert_eq!(unnamed, [], "nobody knows where it was");
}

#[test]
fn each_version_is_held_against_its_metadata_its_name_and_the_records() {
    let key = version(0, "a").key;
    assert_found(What::Edited, &key, "it has lost its metadata", |it| it.versions[0].captured_at = None);
    assert_found(What::Edited, &key, "it has lost its metadata", |it| it.versions[0].stated.md5 = String::new());
    assert_found(What::Misplaced, &key, "it is of another time", |it| it.versions[0].captured_at = Some(at(1)));
    assert_found(What::Edited, &key, "its md5 and sha256 is not", |it| it.versions[0].digests = copy("", "c", 0).digests);
    let unknown = version(1, "c");
    assert_found(What::Unrecorded, &unknown.key.clone(), "no usage record names it", |it| it.versions.push(unknown));
}

#[test]
fn the_current_config_is_that_of_the_last_deployment_whole_and_one_of_the_versions() {
    let key = "terragrunt/airbnb/config.yaml";
    assert_found(What::Missing, key, "versions of it are there", |it| it.current.clear());
    assert_eq!(found(|it| (it.current, it.versions, it.records, it.seals) = Default::default()), []);
    assert_found(What::Edited, key, "its size is not", |it| it.current[0].length = 2);
    assert_found(What::Edited, key, "it is not the config of the last deployment", |it| {
        it.current[0] = copy("terragrunt/airbnb/config.yaml", "a", 0);
    });
    // Without its metadata its MD5 must be one that a deployment had, as it is where there are no versions yet.
    assert_eq!(found(|it| it.current[0].captured_at = None), []);
    let strange = |it: &mut Holdings| it.current[0] = Copy { captured_at: None, ..copy("terragrunt/airbnb/config.yaml", "c", 2) };
    assert_found(What::Edited, key, "it has lost its metadata", strange);
    let alone = found(|it| {
        strange(it);
        (it.versions, it.records, it.seals) = Default::default();
    });
    assert_eq!(alone, []);
    // One that nobody logged is told by the version that it must be.
    let unlogged = found(|it| it.current[0] = copy("terragrunt/airbnb/config.yaml", "c", 6));
    assert_eq!(unlogged.len(), 1, "{unlogged:?}");
    assert_eq!((unlogged[0].0, &unlogged[0].1), (What::Missing, &version(6, "c").key));
}

#[test]
fn deployments_within_five_minutes_are_at_once() {
    let (first, last) = (record(0, "a", "uploaded"), record(0, "b", "uploaded"));
    let after = |seconds| vec![first.clone(), Record { at: Some(at(0) + TimeDelta::seconds(seconds)), ..last.clone() }];
    assert!(passes(&copy("c", "a", 0), after(299)) && passes(&copy("c", "c", 0), after(300)));
    assert!(passes(&copy("c", "a", -1), after(299)) && !passes(&copy("c", "a", -1), after(300)));
    assert!(!passes(&copy("c", "a", 0), after(301)) && !passes(&copy("c", "c", 0), after(301)));
}

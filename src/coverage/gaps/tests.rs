//! Each gap alone, and the times and values at which it begins.

use super::*;
use crate::record::parse::ParsedRecord;
use crate::snapshot::{ConfigMetadata, CopyName};

mod records;

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn october(text: &str) -> DateTime<Utc> {
    format!("2026-10-{text}Z").parse().expect("a time")
}

fn stored_copy(time: &str, md5: &str, id: &str) -> ConfigVersion {
    let captured_at = october(time);
    ConfigVersion {
        key: format!("copy of {time} {md5}"),
        copy_name: Some(CopyName {
            captured_at,
            md5: md5.to_owned(),
        }),
        metadata: Some(metadata(captured_at, md5, id)),
        ..ConfigVersion::default()
    }
}

fn metadata(captured_at: DateTime<Utc>, md5: &str, id: &str) -> ConfigMetadata {
    let optional = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    ConfigMetadata {
        md5: optional(md5),
        captured_at: Some(captured_at),
        deployment_id: optional(id),
        ..ConfigMetadata::default()
    }
}

fn current_config(captured_at: DateTime<Utc>, md5: &str, id: &str) -> ConfigVersion {
    ConfigVersion {
        key: "config.yaml".to_owned(),
        metadata: Some(metadata(captured_at, md5, id)),
        ..ConfigVersion::default()
    }
}

fn as_current_config(of: &ConfigVersion) -> ConfigVersion {
    ConfigVersion {
        key: "config.yaml".to_owned(),
        copy_name: None,
        ..of.clone()
    }
}

fn record_at(time: &str, id: &str, of: &ConfigVersion) -> StoredRecord {
    StoredRecord {
        deployed_at: october(time),
        parsed: ParsedRecord {
            deployment_id: id.to_owned(),
            config_hash: of.md5().expect("an MD5").to_owned(),
            backup_key: of.key.clone(),
            ..ParsedRecord::default()
        },
        ..StoredRecord::default()
    }
}

/// A record that says nothing of its config.
fn bare_record(time: &str, id: &str) -> StoredRecord {
    let deployment_id = id.to_owned();
    StoredRecord {
        deployed_at: october(time),
        parsed: ParsedRecord {
            deployment_id,
            ..ParsedRecord::default()
        },
        ..StoredRecord::default()
    }
}

fn spooled_record(path: &str, record: &StoredRecord) -> SpooledEvidence {
    SpooledEvidence {
        path: path.to_owned(),
        at: record.deployed_at,
        deployment_id: record.parsed.deployment_id.clone(),
        content: SpooledContent::Record {
            backup_key: record.parsed.backup_key.clone(),
        },
    }
}

fn spooled_config(path: &str, config: &ConfigVersion) -> SpooledEvidence {
    let md5 = config.md5().expect("an MD5").to_owned();
    SpooledEvidence {
        path: path.to_owned(),
        at: config.captured_at(),
        deployment_id: config.deployment_id().expect("an id").to_owned(),
        content: SpooledContent::Config {
            key: config.key.clone(),
            md5,
        },
    }
}

fn change_at(time: &str, unit: &str) -> StateChange {
    StateChange {
        at: october(time),
        unit: unit.to_owned(),
    }
}

/// Deployments of A, B and B again, each with its record and its changes.
fn complete_customer() -> CustomerEvidence {
    let copies = vec![
        stored_copy("01T08:00:00", A, "one"),
        stored_copy("02T08:00:00", B, "two"),
    ];
    let records = vec![
        record_at("02T08:00:09", "two", &copies[1]),
        record_at("01T08:00:09", "one", &copies[0]),
        record_at("03T08:00:09", "three", &copies[1]),
    ];
    CustomerEvidence {
        name: "acme".to_owned(),
        units: BTreeSet::from(["atlas".to_owned(), "eks".to_owned()]),
        changes: vec![
            change_at("03T09:00:00", "eks"),
            change_at("03T08:01:00", "atlas"),
            change_at("02T10:59:00", "eks"),
        ],
        current_config: Some(as_current_config(&copies[1])),
        records,
        copies,
        ..CustomerEvidence::default()
    }
}

const SCOPE: GapScope = GapScope {
    window: Duration::hours(3),
    since: None,
};

fn kinds_and_texts(customer: &CustomerEvidence) -> Vec<(GapKind, String)> {
    customer
        .find_gaps(&SCOPE)
        .into_iter()
        .map(|gap| (gap.kind, gap.text))
        .collect()
}

/// The text of the only gap, which must be of this kind.
fn only_gap_text(customer: &CustomerEvidence, kind: GapKind) -> String {
    let found = kinds_and_texts(customer);
    assert_eq!(
        found.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(),
        [kind],
        "{found:?}"
    );
    found[0].1.clone()
}

#[test]
fn a_complete_customer_has_no_gaps() {
    assert_eq!(kinds_and_texts(&complete_customer()), []);
    assert_eq!(kinds_and_texts(&CustomerEvidence::default()), []);
}

#[test]
fn unlogged_changes_are_one_gap_with_their_units() {
    let mut customer = complete_customer();
    customer.changes.extend([
        change_at("05T08:00:00", "eks"),
        change_at("05T09:30:00", "atlas"),
        change_at("05T09:30:01", "eks"),
    ]);
    let text = only_gap_text(&customer, GapKind::Unlogged);
    assert_eq!(
        text,
        "2026-10-05T08:00:00Z to 2026-10-05T09:30:01Z: 3 state changes of `atlas`, `eks`, but no usage record \
         from 3 h before to 15 min after"
    );
    let gap = &customer.find_gaps(&SCOPE)[0];
    assert_eq!(
        (
            gap.at.as_str(),
            gap.count,
            gap.units.len(),
            gap.customer.as_str()
        ),
        ("2026-10-05T08:00:00Z", 3, 2, "acme")
    );
    let since = |time| {
        customer
            .find_gaps(&GapScope {
                since: Some(october(time)),
                ..SCOPE
            })
            .iter()
            .map(|gap| gap.count)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (since("05T09:30:01"), since("05T09:30:02")),
        (vec![1], vec![])
    );
    let longer = GapScope {
        window: Duration::days(3),
        ..SCOPE
    };
    assert_eq!(customer.find_gaps(&longer), []);
}

#[test]
fn a_state_without_any_config_is_a_customer_without_a_backup() {
    let mut customer = complete_customer();
    (customer.current_config, customer.copies) = (None, Vec::new());
    let text = only_gap_text(&customer, GapKind::NoBackup);
    assert!(
        text.starts_with("no config, but a state of `atlas`, `eks`; ")
            && text.contains("`customer.name`"),
        "{text}"
    );
    for has in [
        CustomerEvidence {
            current_config: complete_customer().current_config,
            ..customer.clone()
        },
        CustomerEvidence {
            copies: complete_customer().copies,
            ..customer.clone()
        },
        CustomerEvidence {
            units: BTreeSet::new(),
            ..customer.clone()
        },
    ] {
        assert!(
            kinds_and_texts(&has)
                .iter()
                .all(|(kind, _)| *kind != GapKind::NoBackup)
        );
    }
}

#[test]
fn a_config_that_the_last_deployment_did_not_have_is_outdated() {
    let mut customer = complete_customer();
    customer.current_config = Some(as_current_config(&customer.copies[0]));
    let text = only_gap_text(&customer, GapKind::Outdated);
    assert_eq!(
        text,
        "config.yaml is aaaaaaaaaaaa of 2026-10-01T08:00:00Z, but the last deployment \
         (2026-10-03T08:00:09Z) used bbbbbbbbbbbb"
    );
    customer.current_config = None;
    assert!(
        only_gap_text(&customer, GapKind::Outdated)
            .starts_with("config.yaml is missing, only copies")
    );
}

#[test]
fn a_deployment_of_an_older_config_needs_it_in_the_bucket() {
    let mut customer = complete_customer();
    let again = record_at(
        "04T08:00:09",
        "four",
        &stored_copy("04T08:00:00", A, "four"),
    );
    let mut reused = again.clone();
    reused.parsed.backup_key.clone_from(&customer.copies[0].key);
    customer.records.push(reused);
    only_gap_text(&customer, GapKind::Outdated);
    // That deployment uploaded it, with a copy of its own time.
    customer.records.pop();
    customer.copies.push(stored_copy("04T08:00:00", A, "four"));
    customer.records.push(again);
    customer.current_config = Some(as_current_config(&customer.copies[2]));
    assert_eq!(kinds_and_texts(&customer), []);
    // The record of the deployment between them comes late.
    customer.records.rotate_left(1);
    assert_eq!(kinds_and_texts(&customer), []);
}

#[test]
fn an_unknown_md5_is_not_a_gap() {
    let mut customer = complete_customer();
    // The last deployment could not read its config.
    customer.records.push(bare_record("04T08:00:00", "four"));
    assert_eq!(kinds_and_texts(&customer), []);
    // Two deployments within a second, in either order.
    let mut customer = complete_customer();
    customer
        .records
        .push(record_at("03T08:00:09", "four", &customer.copies[0]));
    customer.records.rotate_left(2);
    assert_eq!(kinds_and_texts(&customer), []);
    // It could not be read either.
    let mut customer = complete_customer();
    customer.current_config = Some(current_config(october("01T08:00:00"), "", "one"));
    assert_eq!(kinds_and_texts(&customer), []);
    // The record of the deployment that uploaded it is missing, which is a gap of its own.
    let mut customer = complete_customer();
    customer
        .records
        .retain(|it| it.parsed.deployment_id == "one");
    customer.changes.clear();
    only_gap_text(&customer, GapKind::MissingRecord);
}

#[test]
fn records_of_the_legacy_module_are_compared_by_md5() {
    let mut customer = CustomerEvidence {
        copies: Vec::new(),
        ..complete_customer()
    };
    let mut record = bare_record("03T08:00:09", "");
    record.parsed.config_hash = B.to_owned();
    customer.records = vec![record];
    customer.changes.truncate(2);
    customer.current_config = Some(current_config(october("04T08:00:00"), B, ""));
    assert_eq!(kinds_and_texts(&customer), []);
    customer.current_config = Some(current_config(october("04T08:00:00"), A, ""));
    let found = kinds_and_texts(&customer);
    assert_eq!(found[0].0, GapKind::Outdated);
    assert!(
        found.len() == 2
            && found[1]
                .1
                .starts_with(&format!("no config with the MD5 {B}, by 1 record of ")),
        "{found:?}"
    );
    customer.other_md5s.insert(B.to_owned());
    only_gap_text(&customer, GapKind::Outdated);
}

#[test]
fn a_version_that_records_name_must_be_there() {
    let mut customer = complete_customer();
    let gone = customer.copies.remove(1);
    let text = only_gap_text(&customer, GapKind::MissingVersion);
    assert_eq!(
        text,
        format!(
            "`{}` is missing, by 2 records of 2026-10-02T08:00:09Z to 2026-10-03T08:00:09Z",
            gone.key
        )
    );
    let since = |time| {
        customer
            .find_gaps(&GapScope {
                since: Some(october(time)),
                ..SCOPE
            })
            .iter()
            .map(|gap| gap.count)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (since("03T08:00:09"), since("03T08:00:10")),
        (vec![1], vec![])
    );
    let mut customer = complete_customer();
    let mut failed = bare_record("03T08:00:00", "");
    failed.parsed.backup = "failed".to_owned();
    customer.records.push(failed);
    assert!(
        only_gap_text(&customer, GapKind::MissingVersion)
            .starts_with("the config was unreadable and has no backup, by 1 record")
    );
}

#[test]
fn without_a_config_nothing_is_outdated() {
    let customer = CustomerEvidence {
        current_config: None,
        copies: Vec::new(),
        units: BTreeSet::new(),
        changes: Vec::new(),
        ..complete_customer()
    };
    assert!(
        kinds_and_texts(&customer)
            .iter()
            .all(|(kind, _)| *kind == GapKind::MissingVersion),
        "{:?}",
        kinds_and_texts(&customer)
    );
}

#[test]
fn a_config_of_the_last_deployments_second_is_not_later() {
    let mut customer = complete_customer();
    customer.current_config = Some(current_config(october("03T08:00:09"), A, "x"));
    assert!(
        kinds_and_texts(&customer)
            .iter()
            .any(|(kind, _)| *kind == GapKind::Outdated)
    );
    customer.current_config = Some(current_config(october("03T08:00:10"), A, "x"));
    assert!(
        kinds_and_texts(&customer)
            .iter()
            .all(|(kind, _)| *kind != GapKind::Outdated)
    );
}

#[test]
fn of_many_units_four_are_named() {
    let names = |count: usize| {
        (1..=count)
            .map(|number| format!("u{number}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(list_names(&names(4)), "`u1`, `u2`, `u3`, `u4`");
    assert_eq!(list_names(&names(6)), "`u1`, `u2`, `u3`, `u4`, … (+2)");
}

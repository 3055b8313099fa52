//! Gaps in the records: missing ones, pending ones and broken chains.

use super::*;
use crate::chain::seal::ChainSeal;
use crate::record::ChainLink;

const SEALED_KEY: &str = "usage-logs/acme/2026-11-03_080000.json";

/// Three records of one chain with its seal.
fn chained_customer() -> CustomerEvidence {
    let record = |number, sha256: &str, previous: &str| {
        let mut record = bare_record("03T08:00:00", &format!("d{number}"));
        record.sha256 = Some(sha256.to_owned());
        record.parsed.chain = Some(ChainLink {
            writer: "w".to_owned(),
            number,
            previous: previous.to_owned(),
            newest: None,
        });
        record
    };
    let seal = ChainSeal {
        writer: "w".to_owned(),
        number: 3,
        key: SEALED_KEY.to_owned(),
        sha256: "c".to_owned(),
        deployment_id: "d3".to_owned(),
    };
    CustomerEvidence {
        name: "acme".to_owned(),
        records: vec![record(1, "a", ""), record(2, "b", "a"), record(3, "c", "b")],
        seals: vec![seal],
        ..CustomerEvidence::default()
    }
}

#[test]
fn a_deployment_that_left_a_config_and_no_record_is_named_once() {
    let mut customer = complete_customer();
    customer.copies.push(stored_copy("04T08:00:00", A, "four"));
    customer.current_config = Some(as_current_config(&customer.copies[2]));
    let text = only_gap_text(&customer, GapKind::MissingRecord);
    assert_eq!(
        text,
        format!(
            "2026-10-04T08:00:00Z: the deployment four left `{}`, but no usage record",
            customer.copies[2].key
        )
    );
    assert_eq!(
        customer.find_gaps(&GapScope {
            since: Some(october("04T08:00:01")),
            ..SCOPE
        }),
        []
    );
    customer.copies[2].metadata = Some(metadata(october("04T08:00:00"), A, ""));
    customer.current_config = Some(as_current_config(&customer.copies[1]));
    assert_eq!(kinds_and_texts(&customer), [], "the deployment is unknown");
}

#[test]
fn copies_without_a_record_of_their_time_are_unexplained() {
    let mut customer = complete_customer();
    assert_eq!(customer.unexplained_copies(), Vec::<usize>::new());
    customer
        .records
        .retain(|it| it.parsed.deployment_id != "two");
    assert_eq!(
        customer.unexplained_copies(),
        [1],
        "a later deployment names it, but did not bring it"
    );
    for (time, expected) in [
        ("02T07:59:59", true),
        ("02T08:00:00", false),
        ("02T08:15:00", false),
        ("02T08:15:01", true),
    ] {
        let mut customer = customer.clone();
        customer
            .records
            .push(record_at(time, "two", &customer.copies[1]));
        assert_eq!(customer.unexplained_copies() == [1], expected, "{time}");
    }
}

#[test]
fn a_spooled_item_is_pending_and_not_also_missing() {
    let mut customer = complete_customer();
    let config = stored_copy("05T08:00:00", A, "five");
    let logged = record_at("05T08:00:09", "five", &config);
    customer.spooled = vec![spooled_record("/spool/1", &logged)];
    customer.changes.push(change_at("05T09:00:00", "eks"));
    let text = only_gap_text(&customer, GapKind::Pending);
    assert_eq!(
        text,
        "2026-10-05T08:00:09Z: the usage record of the deployment five is queued on this machine: \
         /spool/1"
    );
    customer.spooled = vec![spooled_config("/spool/2", &config)];
    customer.records.push(logged);
    assert!(
        only_gap_text(&customer, GapKind::Pending)
            .contains("config.yaml of the deployment five is queued on this machine: /spool/2")
    );
    (customer.current_config, customer.copies) = (None, Vec::new());
    customer
        .records
        .retain(|it| it.parsed.deployment_id == "five");
    customer.changes.retain(|it| it.at > october("05T00:00:00"));
    only_gap_text(&customer, GapKind::Pending);
}

#[test]
fn a_gap_in_a_chain_is_a_missing_record() {
    let last_key = SEALED_KEY;
    for (deleted, expected) in [
        (0, "record 1 of the chain w"),
        (1, "record 2 of the chain w"),
        (2, last_key),
    ] {
        let mut customer = chained_customer();
        customer.records.remove(deleted);
        let gaps = customer.broken_chains(&SCOPE);
        assert_eq!(gaps.len(), 1, "{gaps:?}");
        assert!(gaps[0].text.contains(expected), "{gaps:?}");
        if deleted == 2 {
            let named = (gaps[0].key.as_str(), gaps[0].deployment_id.as_str());
            assert_eq!(named, (last_key, "d3"));
        }
    }
}

#[test]
fn a_chain_with_all_its_records_has_no_gap_even_if_one_was_edited() {
    let mut customer = chained_customer();
    assert_eq!(customer.broken_chains(&SCOPE), []);
    customer.records[1].sha256 = Some("x".to_owned());
    assert_eq!(customer.broken_chains(&SCOPE), []);
}

#[test]
fn each_gap_has_the_object_and_the_deployment() {
    let summarize = |customer: &CustomerEvidence| -> Vec<String> {
        let line = |it: CoverageGap| {
            format!(
                "{} {} {} {} {:?}",
                it.kind.as_str(),
                it.count,
                it.key,
                it.deployment_id,
                it.units
            )
        };
        customer.find_gaps(&SCOPE).into_iter().map(line).collect()
    };
    let mut outdated = complete_customer();
    outdated.current_config = Some(ConfigVersion {
        key: "current".into(),
        ..as_current_config(&outdated.copies[0])
    });
    assert_eq!(summarize(&outdated), ["outdated 1 current three []"]);
    let mut missing = complete_customer();
    let gone = missing.copies.remove(1);
    assert_eq!(
        summarize(&missing),
        [format!("missing-version 2 {} two []", gone.key)]
    );
    let mut left = complete_customer();
    left.copies.push(stored_copy("04T08:00:00", B, "four"));
    assert_eq!(
        summarize(&left),
        [format!("missing-record 1 {} four []", left.copies[2].key)]
    );
    let bare = CustomerEvidence {
        current_config: None,
        copies: Vec::new(),
        changes: vec![change_at("20T08:00:00", "eks")],
        ..complete_customer()
    };
    assert_eq!(
        summarize(&bare),
        [
            "unlogged 1   [\"eks\"]",
            "no-backup 1   [\"atlas\", \"eks\"]"
        ]
    );
    let with_spooled = |item| CustomerEvidence {
        spooled: vec![item],
        ..complete_customer()
    };
    let config = stored_copy("05T08:00:00", B, "five");
    let record = record_at("05T08:00:09", "five", &config);
    assert_eq!(
        summarize(&with_spooled(spooled_config("p", &config))),
        [format!("pending 1 {} five []", config.key)]
    );
    assert_eq!(
        summarize(&with_spooled(spooled_record("p", &record))),
        ["pending 1  five []"]
    );
}

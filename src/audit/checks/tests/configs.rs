//! `config.yaml` and its copies, compared with each other and with the records.

use super::*;

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
}

#[test]
fn without_metadata_the_current_config_must_be_of_the_legacy_module() {
    let key = "terragrunt/airbnb/config.yaml";
    assert_found(FindingKind::Edited, key, "its metadata is missing", |it| {
        stated(&mut it.current_configs[0]).captured_at = None;
    });
    let legacy = findings_after(|it| {
        it.records.push(unchained_record(-1, "b", ""));
        stated(&mut it.current_configs[0]).captured_at = None;
    });
    assert_eq!(legacy, [], "the legacy module wrote it");
    let strange = |it: &mut CustomerSnapshot| {
        it.current_configs[0] = config_object("terragrunt/airbnb/config.yaml", "c", 2);
        stated(&mut it.current_configs[0]).captured_at = None;
    };
    assert_found(FindingKind::Edited, key, "its metadata is missing", strange);
    assert_found(FindingKind::Edited, key, "its metadata is missing", |it| {
        it.current_configs[0] = config_object("terragrunt/airbnb/config.yaml", "a", 0);
        stated(&mut it.current_configs[0]).captured_at = None;
    });
    let alone = findings_after(|it| {
        strange(it);
        (it.config_copies, it.records, it.seals) = Default::default();
    });
    assert_eq!(alone, [], "before there are copies");
}

#[test]
fn a_config_without_a_record_is_reported_by_its_missing_copy() {
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
fn only_the_copies_of_expired_records_may_be_unrecorded() {
    let found = |until: i64| {
        let mut customer = intact_customer();
        customer.records.remove(0);
        audit_customer(&customer, RecordRetention::until(hour(until))).len()
    };
    assert_eq!(found(1), 0);
    assert_eq!(found(-2), 1);
}

#[test]
fn the_current_config_and_its_copy_are_of_one_deployment() {
    let key = "terragrunt/airbnb/config.yaml";
    for id in [None, Some("d1"), Some("d9")] {
        assert_found(
            FindingKind::Edited,
            key,
            "its metadata names another deployment than `",
            |it| stated(&mut it.current_configs[0]).deployment_id = id.map(str::to_owned),
        );
    }
    // Two deployments of the same second with the same bytes: one wrote the copy.
    let found = findings_after(|it| {
        it.records[2].parsed.backup = "uploaded".into();
        stated(&mut it.current_configs[0]).deployment_id = Some("d3".into());
    });
    assert_eq!(found, []);
}

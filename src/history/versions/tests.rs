//! Which version a word means, and which deployments used a version.

use super::*;
use crate::record::ChainLink;
use crate::record::parse::ParsedRecord;
use crate::snapshot::CopyName;

fn parse_time(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

fn version_at(time: &str, md5: &str) -> ConfigVersion {
    let at = parse_time(time);
    ConfigVersion {
        key: keys::config_version_key("acme", at, md5),
        copy_name: Some(CopyName {
            captured_at: at,
            md5: md5.to_owned(),
        }),
        size: 1,
        ..ConfigVersion::default()
    }
}

fn deployment_at(time: &str, id: &str, config_hash: &str, backup_key: &str) -> StoredRecord {
    let [deployment_id, config_hash, backup_key] = [id, config_hash, backup_key].map(str::to_owned);
    let parsed = ParsedRecord {
        config_hash,
        deployment_id,
        backup_key,
        ..ParsedRecord::default()
    };
    StoredRecord {
        deployed_at: parse_time(time),
        parsed,
        ..StoredRecord::default()
    }
}

const A: &str = "aaaa1aaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "aaaa2bbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// A, then B, then A again; deployed with a key, without one, and with a config that is not there.
fn sample_history() -> ConfigHistory {
    let versions = vec![
        version_at("2026-10-02T08:00:00Z", B),
        version_at("2026-10-03T08:00:00Z", A),
        version_at("2026-10-01T08:00:00Z", A),
    ];
    let key = versions[0].key.clone();
    let deployments = vec![
        deployment_at("2026-10-02T09:00:00Z", "20261002T090000Z-02", "", &key),
        deployment_at("2026-10-02T08:00:00Z", "20261002T080000Z-01", B, &key),
        deployment_at("2026-10-02T10:00:00Z", "", A, ""),
        deployment_at("2026-09-01T10:00:00Z", "", A, ""),
        deployment_at(
            "2026-10-04T10:00:00Z",
            "20261004T100000Z-03",
            "0123",
            "gone",
        ),
    ];
    ConfigHistory::new(versions, deployments)
}

fn cause_and_hint(error: &Error) -> String {
    let text = error.to_string();
    text.strip_prefix("cannot choose a version: ")
        .expect("a refused choice")
        .to_owned()
}

fn find_time(wanted: &VersionSelector) -> String {
    let history = sample_history();
    match history.find_version(wanted) {
        Ok(index) => format_rfc3339(history.versions()[index].captured_at()),
        Err(error) => cause_and_hint(&error),
    }
}

#[test]
fn deployments_match_a_version_by_key_and_else_by_md5() {
    let history = sample_history();
    let used = |place| {
        history
            .deployments_of(place)
            .map(|it| format_rfc3339(it.deployed_at))
            .collect::<Vec<_>>()
    };
    assert_eq!(used(0), Vec::<String>::new());
    assert_eq!(used(1), ["2026-10-02T08:00:00Z", "2026-10-02T09:00:00Z"]);
    assert_eq!(used(2), ["2026-09-01T10:00:00Z", "2026-10-02T10:00:00Z"]);
}

#[test]
fn finds_a_version_by_name_or_prefix() {
    let by = |name: &str| find_time(&VersionSelector::Version(name.to_owned()));
    assert_eq!(by(B), "2026-10-02T08:00:00Z");
    assert_eq!(by("AAAA2"), "2026-10-02T08:00:00Z");
    assert_eq!(
        by("aaaa1"),
        "2026-10-03T08:00:00Z",
        "the newest of those with the same bytes"
    );
    assert_eq!(by("2026-10-01_080000"), "2026-10-01T08:00:00Z");
    assert_eq!(by("aaa"), "`aaa` is too short; give at least 4 digits");
    assert_eq!(
        by("bbbb"),
        "there is no version `bbbb`; `config-backup history` lists them"
    );
    let several = by("aaaa");
    assert!(
        several.starts_with("`aaaa` matches 3 versions: ")
            && [A, B].iter().all(|md5| several.contains(md5)),
        "{several}"
    );
    assert_eq!(find_time(&VersionSelector::Latest), "2026-10-03T08:00:00Z");
}

#[test]
fn a_word_means_one_thing_or_is_refused() {
    let meant =
        |word: &str| sample_history().parse_selector(word, parse_time("2026-10-10T00:00:00Z"));
    assert_eq!(meant("latest"), Ok(VersionSelector::Latest));
    assert_eq!(
        meant("2026-10-01"),
        Ok(VersionSelector::At(parse_time(
            "2026-10-01T23:59:59.999999999Z"
        )))
    );
    assert_eq!(
        meant("2d"),
        Ok(VersionSelector::At(parse_time("2026-10-08T00:00:00Z")))
    );
    assert_eq!(
        meant("aaaa"),
        Ok(VersionSelector::Version("aaaa".into())),
        "which of them, is asked later"
    );
    assert_eq!(
        meant("20261002T"),
        Ok(VersionSelector::Deployment("20261002T".into()))
    );
    let refused = cause_and_hint(&meant("zzzz").expect_err("nothing has this name"));
    assert!(
        refused.starts_with("`zzzz` is not a version, a deployment or a time; "),
        "{refused}"
    );
    let odd = ConfigHistory::new(
        vec![version_at(
            "2026-10-01T08:00:00Z",
            "300d0000000000000000000000000000",
        )],
        Vec::new(),
    );
    assert!(
        odd.parse_selector("300d", parse_time("2026-10-10T00:00:00Z"))
            .is_err_and(|error| error.message.contains("more than one")),
        "an age and a version"
    );
    assert!(
        odd.parse_selector("300d0", parse_time("2026-10-10T00:00:00Z"))
            .is_ok()
    );
}

#[test]
fn finds_the_newest_version_at_a_time() {
    for (time, expected) in [
        ("2026-10-01T08:00:00Z", "2026-10-01T08:00:00Z"),
        ("2026-10-02T07:59:59Z", "2026-10-01T08:00:00Z"),
        ("2030-01-01T00:00:00Z", "2026-10-03T08:00:00Z"),
        (
            "2026-10-01T07:59:59Z",
            "there was no version at 2026-10-01T07:59:59Z; the oldest is of 2026-10-01T08:00:00Z",
        ),
    ] {
        assert_eq!(
            find_time(&VersionSelector::At(parse_time(time))),
            expected,
            "{time}"
        );
    }
}

#[test]
fn finds_the_version_of_a_deployment() {
    let by = |id: &str| find_time(&VersionSelector::Deployment(id.to_owned()));
    assert_eq!(by("20261002T090000Z-02"), "2026-10-02T08:00:00Z");
    assert_eq!(by("20261002T08"), "2026-10-02T08:00:00Z");
    assert_eq!(
        by("20261002"),
        "`20261002` matches 2 deployments: 20261002T080000Z-01, 20261002T090000Z-02; give more of its name"
    );
    assert!(by("20261004T").contains("is not in the bucket"));
    assert!(by("2025").starts_with("there is no deployment `2025`"));
}

#[test]
fn a_noncurrent_version_has_its_id_in_its_key() {
    let there = version_at("2026-10-01T08:00:00Z", A);
    let key =
        "terragrunt/acme/config-history/2026-10-01_080000_aaaa1aaaaaaaaaaaaaaaaaaaaaaaaaaa.yaml";
    assert_eq!(there.versioned_key(), key);
    let noncurrent = ConfigVersion {
        version_id: Some("v1".into()),
        ..there
    };
    assert_eq!(noncurrent.versioned_key(), format!("{key}?versionId=v1"));
    let history = ConfigHistory::new(vec![noncurrent], Vec::new());
    let refused = history.find_version(&VersionSelector::Version("v1".into()));
    let refused = cause_and_hint(&refused.expect_err("too short"));
    assert_eq!(refused, "`v1` is too short; give at least 4 digits");
}

#[test]
fn finds_a_deployment_by_id_or_prefix() {
    let used = |id: &str, time: &str| deployment_at(time, id, "", "");
    let history = ConfigHistory::new(
        Vec::new(),
        vec![
            used("abc", "2026-10-01T08:00:00Z"),
            used("ab", "2026-10-02T08:00:00Z"),
            used("", "2026-10-03T08:00:00Z"),
        ],
    );
    let found = |id| {
        history
            .find_deployment(id)
            .map(|it| it.parsed.deployment_id.as_str())
    };
    assert_eq!(
        [found("ab"), found("a"), found("abc"), found("b"), found("")],
        [Some("ab"), Some("abc"), Some("abc"), None, None]
    );
}

#[test]
fn lists_at_most_six_candidates() {
    let deployments = |count: usize| {
        (0..count)
            .map(|number| deployment_at("2026-10-01T08:00:00Z", &format!("abcd{number}"), "", ""))
            .collect()
    };
    let said = |count| {
        let history = ConfigHistory::new(Vec::new(), deployments(count));
        let refused = history.find_version(&VersionSelector::Deployment("abcd".into()));
        cause_and_hint(&refused.expect_err("several"))
    };
    assert_eq!(
        said(6),
        "`abcd` matches 6 deployments: abcd0, abcd1, abcd2, abcd3, abcd4, abcd5; give more of its name"
    );
    assert_eq!(
        said(7),
        "`abcd` matches 7 deployments: abcd0, abcd1, abcd2, abcd3, abcd4, abcd5, …; give more of its name"
    );
}

#[test]
fn the_latest_version_is_that_of_the_newest_deployment() {
    // A, then B without a network, then A again; B was sent late.
    let versions = vec![
        version_at("2026-10-01T08:00:00Z", A),
        version_at("2026-10-02T08:00:00Z", B),
    ];
    let (key_of_a, key_of_b) = (versions[0].key.clone(), versions[1].key.clone());
    let deployments = vec![
        deployment_at("2026-10-01T08:00:00Z", "1", A, &key_of_a),
        deployment_at("2026-10-02T08:00:00Z", "2", B, &key_of_b),
        deployment_at("2026-10-03T08:00:00Z", "3", A, &key_of_a),
    ];
    let history = ConfigHistory::new(versions, deployments);
    let find = |selector| {
        let index = history.find_version(&selector).expect("a version");
        version_md5(&history.versions()[index]).to_owned()
    };
    assert_eq!(find(VersionSelector::Latest), A);
    let at = |time: &str| VersionSelector::At(parse_time(time));
    assert_eq!(find(at("2026-10-03T08:00:00Z")), A);
    assert_eq!(find(at("2026-10-03T07:59:59Z")), B);
    assert_eq!(find(at("2026-10-01T08:00:00Z")), A);
}

#[test]
fn versions_of_one_second_have_the_order_of_their_deployments() {
    let time = "2026-10-01T08:00:00Z";
    for newest in [A, B] {
        let versions = vec![version_at(time, A), version_at(time, B)];
        let deployments = [(B, 1), (A, 2)].map(|(md5, number)| {
            let key = keys::config_version_key("acme", parse_time(time), md5);
            let mut deployment = deployment_at(time, "id", md5, &key);
            let number = if newest == A { number } else { 3 - number };
            deployment.parsed.chain = Some(ChainLink {
                number,
                ..ChainLink::default()
            });
            deployment
        });
        let history = ConfigHistory::new(versions, deployments.to_vec());
        assert_eq!(version_md5(&history.versions()[0]), newest);
        let latest = history.find_version(&VersionSelector::Latest);
        assert_eq!(latest.expect("a version"), 0);
    }
}

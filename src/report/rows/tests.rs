//! Which deployments become rows, in which order, and what stands in them.

use chrono::Utc;

use super::*;
use crate::record::parse::ParsedRecord;
use crate::record::{CiJob, GitCommit};
use crate::report::compact_row::split_key;

fn parse_time(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

fn sample_deployment(when: &str, user: &str, cluster: &str) -> Deployment {
    Deployment {
        deployed_at: parse_time(when),
        last_modified: parse_time("2026-01-01T00:00:00Z"),
        key: "usage-logs/airbnb/k.json".into(),
        customer: "airbnb".into(),
        record: ParsedRecord {
            user: user.into(),
            additional_users_count: 5,
            project_name: "p".into(),
            cluster_name: cluster.into(),
            ..ParsedRecord::default()
        },
    }
}

fn render_lines(mut rows: ReportRows, sort: &[&str], limit: Option<usize>) -> Vec<String> {
    let sort: Vec<SortKey> = sort
        .iter()
        .map(|name| name.parse().expect("a column"))
        .collect();
    rows.sort_and_limit(&sort, limit);
    let line = |cells: Vec<TableCell<'_>>| {
        cells
            .iter()
            .map(|cell| cell.to_text().into_owned())
            .collect::<Vec<_>>()
            .join(",")
    };
    rows.iter_cells().map(line).collect()
}

fn rows_of(kind: RowKind, deployments: &[Deployment]) -> ReportRows {
    let mut rows = ReportRows::new(UserIdentity::Name, kind);
    for one in deployments {
        rows.add_deployment(one);
    }
    rows
}

#[test]
fn the_last_deployment_of_a_day_wins_in_any_order() {
    let mut all = [
        sample_deployment("2026-11-23T08:00:00Z", "arn:aws:iam::1:user/jane", "first"),
        sample_deployment("2026-11-23T23:59:59.5Z", "arn:aws:iam::1:user/jane", "last"),
        sample_deployment(
            "2026-11-24T00:00:00Z",
            "arn:aws:iam::1:user/jane",
            "next-day",
        ),
        sample_deployment("2026-11-23T09:00:00Z", "arn:aws:iam::1:user/adam", "adam"),
    ];
    for turn in 0..all.len() {
        all.rotate_left(turn);
        assert_eq!(
            render_lines(rows_of(RowKind::LastOfDay, &all), &[], None),
            [
                "2026-11-23,airbnb,adam,5,p,adam",
                "2026-11-23,airbnb,jane,5,p,last",
                "2026-11-24,airbnb,jane,5,p,next-day"
            ]
        );
    }
}

#[test]
fn ties_are_broken_by_last_modified_and_then_by_key() {
    let tie = sample_deployment("2026-11-23T08:00:00Z", "a/b", "one");
    let mut later = tie.clone();
    later.last_modified = parse_time("2026-01-02T00:00:00Z");
    later.record.cluster_name = "later".into();
    let mut key = later.clone();
    key.key = "usage-logs/airbnb/l.json".into();
    key.record.cluster_name = "key".into();
    assert_eq!(
        render_lines(rows_of(RowKind::LastOfDay, &[later, key, tie]), &[], None),
        ["2026-11-23,airbnb,b,5,p,key"]
    );
}

#[test]
fn keys_are_compared_in_full_although_they_are_split() {
    let keys = [
        "usage-logs/a/0.json",
        "usage-logs/a/2026-03-02_080000-00000000.json",
        "usage-logs/a/2026-03-02_080000-ffffffff.json",
        "usage-logs/a/2026-03-02_080000.json",
        "usage-logs/a/d188280766a258ccc135ef480b49230c.json",
        "usage-logs/a/d188280766a258ccc135ef480b49230d.json",
        "usage-logs/~20a/0.json",
    ];
    for pair in keys.windows(2) {
        let one = |key: &str| Deployment {
            key: key.into(),
            ..sample_deployment("2026-11-23T08:00:00Z", "u", key)
        };
        let rows = rows_of(RowKind::LastOfDay, &[one(pair[1]), one(pair[0])]);
        assert!(
            render_lines(rows, &[], None)[0].ends_with(pair[1]),
            "{pair:?}"
        );
    }
    assert_eq!(
        split_key("usage-logs/a/2026-03-02_08000é.json").1,
        "a/é.json",
        "not within a character"
    );
}

#[test]
fn early_deduplication_changes_nothing() {
    let many: Vec<Deployment> = (0..MIN_ROWS_TO_DEDUP * 3)
        .map(|number| {
            sample_deployment(
                &format!("2026-11-{:02}T08:00:00.{number:06}Z", number % 7 + 1),
                "u",
                &number.to_string(),
            )
        })
        .collect();
    let mut rows = rows_of(RowKind::LastOfDay, &many);
    assert!(rows.len() < many.len() / 2, "{} rows are kept", rows.len());
    rows.sort_and_limit(&[], None);
    assert_eq!(
        (
            rows.len(),
            rows.is_empty(),
            rows_of(RowKind::LastOfDay, &[]).is_empty()
        ),
        (7, false, true)
    );
    let last: Vec<String> = (MIN_ROWS_TO_DEDUP * 3 - 7..MIN_ROWS_TO_DEDUP * 3)
        .map(|number| format!("2026-11-{:02},airbnb,u,5,p,{number}", number % 7 + 1))
        .collect();
    let mut last = last;
    last.sort();
    assert_eq!(render_lines(rows, &[], None), last);
}

#[test]
fn rows_of_a_day_are_sorted_by_customer_and_user_and_not_by_hour() {
    let of = |customer: &str, one: Deployment| Deployment {
        customer: customer.into(),
        ..one
    };
    let all = [
        of("b", sample_deployment("2026-11-23T08:00:00Z", "adam", "1")),
        of("a", sample_deployment("2026-11-23T09:00:00Z", "jane", "2")),
        of("a", sample_deployment("2026-11-23T10:00:00Z", "adam", "3")),
        of("c", sample_deployment("2026-11-22T11:00:00Z", "zoe", "4")),
    ];
    let clusters = |rows: ReportRows, sort: &[&str]| -> Vec<String> {
        render_lines(rows, sort, None)
            .iter()
            .map(|line| line.split(',').nth(5).expect("a cluster").to_owned())
            .collect()
    };
    assert_eq!(
        clusters(rows_of(RowKind::LastOfDay, &all), &[]),
        ["4", "3", "2", "1"]
    );
    assert_eq!(
        clusters(rows_of(RowKind::LastOfDay, &all), &["-customer"]),
        ["4", "1", "3", "2"]
    );
    assert_eq!(
        clusters(rows_of(RowKind::EveryDeployment, &all), &["-timestamp"]),
        ["3", "2", "1", "4"],
        "of all deployments the hours count"
    );
}

#[test]
fn counts_are_sorted_as_numbers_and_flags_with_false_first() {
    let git = |dirty| {
        Some(GitCommit {
            commit: String::new(),
            branch: String::new(),
            dirty,
        })
    };
    let one = |count, cluster: &str, is_late, git| {
        let mut deployment = sample_deployment("2026-11-23T08:00:00Z", cluster, cluster);
        deployment.record.additional_users_count = count;
        deployment.record.is_late = is_late;
        deployment.record.git = git;
        deployment
    };
    let all = [
        one(10, "x", true, git(true)),
        one(9, "y", false, None),
        one(100, "z", true, git(false)),
    ];
    let clusters = |sort: &[&str]| -> Vec<String> {
        render_lines(rows_of(RowKind::EveryDeployment, &all), sort, None)
            .iter()
            .map(|line| line.split(',').nth(5).expect("a cluster").to_owned())
            .collect()
    };
    assert_eq!(clusters(&["additional_users_count"]), ["y", "x", "z"]);
    assert_eq!(clusters(&["late", "-cluster_name"]), ["y", "z", "x"]);
    assert_eq!(clusters(&["git_dirty"]), ["y", "z", "x"]);
    assert_eq!(clusters(&["-git_dirty"]), ["x", "z", "y"]);
}

#[test]
fn rows_are_sorted_and_limited() {
    let all = [
        sample_deployment("2026-11-23T08:00:00Z", "x/jane", "b"),
        sample_deployment("2026-11-24T08:00:00Z", "x/adam", "a"),
        sample_deployment("2026-11-25T08:00:00Z", "x/jane", "c"),
    ];
    let days = |sort: &[&str], limit| -> Vec<String> {
        render_lines(rows_of(RowKind::LastOfDay, &all), sort, limit)
            .iter()
            .map(|line| line[8..10].to_owned())
            .collect()
    };
    assert_eq!(days(&["-timestamp"], Some(2)), ["25", "24"]);
    assert_eq!(days(&["user", "-timestamp"], None), ["24", "25", "23"]);
    assert_eq!(days(&["cluster_name"], None), ["24", "23", "25"]);
}

#[test]
fn all_deployments_are_listed_in_full_and_by_time() {
    let git = GitCommit {
        commit: "c0ffee".into(),
        branch: "main".into(),
        dirty: true,
    };
    let ci = CiJob {
        provider: "github".into(),
        run_url: "https://ci/1".into(),
    };
    let mut full = sample_deployment("2026-11-23T08:00:00.25Z", "x/jane", "c");
    full.record = ParsedRecord {
        account: "1".into(),
        backup: "uploaded".into(),
        config_hash: "h".into(),
        is_late: true,
        deployment_id: "d".into(),
        git: Some(git),
        ci: Some(ci),
        ..full.record
    };
    let bare = sample_deployment("2026-11-23T07:00:00Z", "x/jane", "c");
    assert_eq!(
        render_lines(rows_of(RowKind::EveryDeployment, &[full, bare]), &[], None),
        [
            "2026-11-23T07:00:00Z,airbnb,jane,5,p,c,x/jane,,,,false,,,,,,",
            "2026-11-23T08:00:00.250Z,airbnb,jane,5,p,c,x/jane,1,h,uploaded,true,d,\
             c0ffee,main,true,github,https://ci/1"
        ]
    );
}

#[test]
fn ambiguous_user_names_are_reported_and_arns_distinguish_them() {
    let mut by_name = ReportRows::new(UserIdentity::Name, RowKind::LastOfDay);
    let mut by_arn = ReportRows::new(UserIdentity::Arn, RowKind::LastOfDay);
    for arn in [
        "arn:aws:iam::1:user/jane",
        "arn:aws:iam::2:user/jane",
        "arn:aws:iam::2:user/adam",
    ] {
        by_name.add_deployment(&sample_deployment("2026-11-23T08:00:00Z", arn, "c"));
        by_arn.add_deployment(&sample_deployment("2026-11-23T08:00:00Z", arn, "c"));
    }
    assert_eq!(
        by_name
            .ambiguous_names()
            .map(|(name, arns)| (name, arns.len()))
            .collect::<Vec<_>>(),
        [("jane", 2)]
    );
    assert_eq!(by_arn.ambiguous_names().count(), 0);
    assert_eq!(
        (
            render_lines(by_name, &[], None).len(),
            render_lines(by_arn, &[], None).len()
        ),
        (2, 3)
    );
}

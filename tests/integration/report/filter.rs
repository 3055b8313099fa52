//! The filters of `report`: exact names, times, and no GET for a record that its key already
//! excludes.

use test_support::oracle::{format_rfc3339, key_timestamp, unix_now};
use test_support::{BUCKET, World, to_text};

fn put_record(world: &World, customer: &str, time: &str, user: &str, project: &str) {
    let record = format!(
        "{{\"timestamp\":\"{time}\",\"customer\":\"{customer}\",\"user\":\"arn:aws:iam::1:user/{user}\",\"additional_users_count\":1,\
         \"project_name\":\"{project}\",\"cluster_name\":\"{project}-cluster\"}}\n"
    );
    world
        .server
        .put(
            BUCKET,
            &format!("usage-logs/{customer}/{}.json", key_timestamp(time)),
            record.as_bytes(),
            &[],
        )
        .expect("a record");
}

fn world_with_records() -> World {
    let world = World::new();
    put_record(&world, "acme", "2026-09-30T23:59:59Z", "jane", "p1");
    put_record(&world, "acme", "2026-10-01T00:00:00Z", "adam", "p2");
    put_record(&world, "acme-2", "2026-10-02T12:00:00Z", "jane", "p1");
    put_record(&world, "zeta", "2026-10-03T23:59:59Z", "jane", "p3");
    put_record(&world, "zeta", "2026-10-04T00:00:00Z", "adam", "p3");
    world
}

/// The days of the report, as `MM-DD`.
fn reported_days(world: &World, arguments: &[&str]) -> Vec<String> {
    let output = world
        .helper_command(&["report", "--profile", "default", "--no-cache"])
        .args(arguments)
        .output()
        .expect("report");
    assert_eq!(
        (output.status.code(), to_text(&output.stderr).as_str()),
        (Some(0), ""),
        "{arguments:?}"
    );
    to_text(&output.stdout)
        .lines()
        .skip(1)
        .map(|line| line[5..10].to_owned())
        .collect()
}

#[test]
fn customers_users_projects_and_clusters_are_chosen_by_their_exact_names() {
    let world = world_with_records();
    for (arguments, expected) in [
        (&["acme"][..], &["09-30", "10-01"][..]),
        (&["acme", "acme-2"], &["09-30", "10-01", "10-02"]),
        (&["acme", "acme"], &["09-30", "10-01"]),
        (&["acm"], &[]),
        (&["--user", "jane"], &["09-30", "10-02", "10-03"]),
        (&["--user", "arn:aws:iam::1:user/adam"], &["10-01", "10-04"]),
        (&["--user", "jan"], &[]),
        (
            &["--user", "jane", "--user", "adam", "zeta"],
            &["10-03", "10-04"],
        ),
        (&["--project", "p1"], &["09-30", "10-02"]),
        (
            &["--cluster", "p2-cluster", "--cluster", "p3-cluster"],
            &["10-01", "10-03", "10-04"],
        ),
        (&["--project", "p1", "--cluster", "p2-cluster"], &[]),
    ] {
        assert_eq!(reported_days(&world, arguments), expected, "{arguments:?}");
    }
}

#[test]
fn a_date_is_a_day_in_utc_and_until_includes_it() {
    let world = world_with_records();
    for (arguments, expected) in [
        (
            &["--since", "2026-10-01"][..],
            &["10-01", "10-02", "10-03", "10-04"][..],
        ),
        (
            &["--until", "2026-10-03"],
            &["09-30", "10-01", "10-02", "10-03"],
        ),
        (
            &["--since", "2026-10-01", "--until", "2026-10-01"],
            &["10-01"],
        ),
        (
            &[
                "--since",
                "2026-10-02T12:00:00Z",
                "--until",
                "2026-10-03T23:59:58Z",
            ],
            &["10-02"],
        ),
        (
            &["--until", "2026-10-01T02:00:00+02:00"],
            &["09-30", "10-01"],
        ),
    ] {
        assert_eq!(reported_days(&world, arguments), expected, "{arguments:?}");
    }
}

#[test]
fn an_age_counts_from_now() {
    let world = World::new();
    let now = unix_now();
    put_record(&world, "acme", &format_rfc3339(now - 3 * 3600), "jane", "p");
    put_record(
        &world,
        "acme",
        &format_rfc3339(now - 15 * 86_400),
        "jane",
        "p",
    );
    assert_eq!(reported_days(&world, &["--since", "4h"]).len(), 1);
    assert_eq!(reported_days(&world, &["--since", "2h"]).len(), 0);
    assert_eq!(reported_days(&world, &["--since", "3w"]).len(), 2);
    assert_eq!(reported_days(&world, &["--until", "14d"]).len(), 1);
}

#[test]
fn does_not_fetch_records_that_their_keys_exclude() {
    let world = world_with_records();
    reported_days(&world, &["--since", "2026-10-03"]);
    assert_eq!(world.count_requests("GetObject", ""), 2);
    let earlier = include_str!("../../fixtures/legacy-log.json");
    world
        .server
        .put(
            BUCKET,
            "usage-logs/airbnb/d188280766a258ccc135ef480b49230c.json",
            earlier.as_bytes(),
            &[],
        )
        .expect("put");
    assert_eq!(
        reported_days(&world, &["--until", "2025-12-31"]),
        ["10-30"],
        "its key says nothing of time, so it was asked"
    );
    assert_eq!(world.count_requests("GetObject", ""), 3);
}

#[test]
fn a_filtered_report_does_not_make_a_later_full_report_incomplete() {
    let world = world_with_records();
    for arguments in [
        &["--since", "2026-10-03"][..],
        &["acme"],
        &["--user", "adam"],
        &[],
    ] {
        let output = world
            .helper_command(&["report", "--profile", "default"])
            .args(arguments)
            .output()
            .expect("report");
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(
            to_text(&output.stdout),
            to_text(
                &world
                    .helper_command(&["report", "--profile", "default", "--no-cache"])
                    .args(arguments)
                    .output()
                    .expect("it")
                    .stdout
            )
        );
    }
}

#[test]
fn refuses_invalid_times_before_any_request() {
    let world = World::new();
    for (arguments, words) in [
        (
            &["--since", "yesterday"][..],
            "use a date (2026-10-01), an age (36h, 30d, 2w) or RFC 3339",
        ),
        (&["--until", "2026-02-30"], "`--until 2026-02-30`"),
        (
            &["--since", "2026-10-02", "--until", "2026-10-01"],
            "`--since` is later than `--until`",
        ),
    ] {
        let output = world
            .helper_command(&["report", "--profile", "default"])
            .args(arguments)
            .output()
            .expect("report");
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        assert!(
            to_text(&output.stderr).contains(words) && to_text(&output.stderr).lines().count() == 1,
            "{output:?}"
        );
    }
    assert_eq!(world.server.requests(), Vec::new());
}

#[test]
fn rows_are_sorted_and_limited_as_asked() {
    let world = world_with_records();
    assert_eq!(
        reported_days(&world, &["--sort=-timestamp", "--limit", "2"]),
        ["10-04", "10-03"]
    );
    assert_eq!(
        reported_days(&world, &["--sort", "user,-timestamp"]),
        ["10-04", "10-01", "10-03", "10-02", "09-30"]
    );
    assert_eq!(
        reported_days(&world, &["--limit", "0"]),
        Vec::<String>::new()
    );
}

//! `report`: the CSV, cell by cell, for records whose rows were computed by hand.

use test_support::oracle::{parse_csv_rows, unix_time};
use test_support::{BUCKET, World, to_text};

const HEADER: &str = "timestamp,customer,user,additional_users_count,project_name,cluster_name\n";
const ALICE: &str =
    "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Admin_0123456789abcdef/alice";

/// Writes a record whose Last-Modified is `unix`.
fn put_record(world: &World, key: &str, record: &str, unix: u64) {
    world
        .server
        .put_at(BUCKET, key, record.as_bytes(), &[], unix_time(unix))
        .expect("a record");
}

fn record_json(timestamp: &str, user: &str, count: u64, cluster: &str) -> String {
    format!(
        "{{\"timestamp\":\"{timestamp}\",\"customer\":\"acme\",\"user\":\"{user}\",\"additional_users_count\":{count},\
         \"project_name\":\"p\",\"cluster_name\":\"{cluster}\",\"new_field\":{{\"a\":[1]}}}}\n"
    )
}

/// A record of another customer.
fn with_customer(customer: &str, record: &str) -> String {
    record.replace(
        "\"customer\":\"acme\"",
        &format!("\"customer\":\"{customer}\""),
    )
}

/// Runs `report` with the profile `default`, which must exit 0; returns stdout and stderr.
pub(super) fn run_report(world: &World, arguments: &[&str]) -> (String, String) {
    let output = world
        .helper_command(&["report", "--profile", "default"])
        .args(arguments)
        .output()
        .expect("report");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    (to_text(&output.stdout), to_text(&output.stderr))
}

#[test]
fn an_empty_bucket_gives_the_header() {
    let world = World::new();
    assert_eq!(run_report(&world, &[]), (HEADER.to_owned(), String::new()));
}

#[test]
fn the_last_deployment_of_a_day_wins_for_each_customer_and_user() {
    let world = World::new();
    put_record(
        &world,
        "usage-logs/acme/2026-03-02_080000.json",
        &record_json("2026-03-02T08:00:00Z", ALICE, 1, "first"),
        3,
    );
    put_record(
        &world,
        "usage-logs/acme/2026-03-02_235959.json",
        &record_json("2026-03-02T23:59:59Z", ALICE, 2, "last"),
        2,
    );
    put_record(
        &world,
        "usage-logs/acme/2026-03-02_120000.json",
        &record_json("2026-03-02T12:00:00Z", ALICE, 3, "noon"),
        1,
    );
    put_record(
        &world,
        "usage-logs/acme/2026-03-03_000000.json",
        &record_json("2026-03-03T00:00:00Z", ALICE, 4, "next"),
        1,
    );
    put_record(
        &world,
        "usage-logs/acme/2026-03-02_100000.json",
        &record_json(
            "2026-03-02T10:00:00Z",
            "arn:aws:iam::123456789012:root",
            5,
            "root",
        ),
        1,
    );
    put_record(
        &world,
        "usage-logs/zeta/2026-03-02_100000.json",
        &with_customer(
            "zeta",
            &record_json("2026-03-02T10:00:00Z", ALICE, 6, "zeta"),
        ),
        1,
    );
    put_record(
        &world,
        "usage-logs/acme/2026-02-28_100000.json",
        &record_json("2026-02-28T10:00:00Z", ALICE, 7, "february"),
        1,
    );
    let expected = format!(
        "{HEADER}\
         2026-02-28,acme,alice,7,p,february\n\
         2026-03-02,acme,alice,2,p,last\n\
         2026-03-02,acme,root,5,p,root\n\
         2026-03-02,zeta,alice,6,p,zeta\n\
         2026-03-03,acme,alice,4,p,next\n"
    );
    assert_eq!(run_report(&world, &[]), (expected, String::new()));
}

#[test]
fn of_two_records_of_one_time_the_later_object_or_greater_key_wins() {
    let world = World::new();
    let same = |cluster: &str| record_json("2026-03-02T08:00:00Z", ALICE, 1, cluster);
    put_record(
        &world,
        "usage-logs/acme/2026-03-02_080000.json",
        &same("written-later"),
        2000,
    );
    put_record(
        &world,
        "usage-logs/acme/2026-03-02_080000-00000000.json",
        &same("written-earlier"),
        1000,
    );
    assert!(
        run_report(&world, &[])
            .0
            .ends_with("2026-03-02,acme,alice,1,p,written-later\n")
    );
    put_record(
        &world,
        "usage-logs/acme/2026-03-02_080000-00000000.json",
        &same("lesser-key"),
        3000,
    );
    put_record(
        &world,
        "usage-logs/acme/2026-03-02_080000-ffffffff.json",
        &same("greater-key"),
        3000,
    );
    assert!(
        run_report(&world, &[])
            .0
            .ends_with("2026-03-02,acme,alice,1,p,greater-key\n")
    );
}

#[test]
fn converts_time_zones_and_fractions_to_utc() {
    let world = World::new();
    // 2026-03-02T23:30:00-02:00 is 01:30 of the next day in UTC.
    put_record(
        &world,
        "usage-logs/acme/a.json",
        &record_json("2026-03-02T23:30:00-02:00", ALICE, 1, "west"),
        1,
    );
    put_record(
        &world,
        "usage-logs/acme/b.json",
        &record_json("2026-03-03T01:29:59.999Z", ALICE, 2, "before"),
        2,
    );
    assert_eq!(
        run_report(&world, &[]).0,
        format!("{HEADER}2026-03-03,acme,alice,1,p,west\n")
    );
}

#[test]
fn reads_a_record_of_the_legacy_module() {
    let world = World::new();
    let record = include_str!("../../fixtures/legacy-log.json");
    put_record(
        &world,
        "usage-logs/airbnb/d188280766a258ccc135ef480b49230c.json",
        record,
        1,
    );
    let expected = format!("{HEADER}2025-10-30,airbnb,john.doe,5,airbnb-project,arena-cluster\n");
    assert_eq!(run_report(&world, &[]), (expected.clone(), String::new()));
    assert_eq!(run_report(&world, &["airbnb"]), (expected, String::new()));
}

#[test]
fn a_customer_with_an_odd_name_is_found_in_the_keys_of_both_modules() {
    let world = World::new();
    let odd = |cluster: &str| {
        record_json("2026-03-02T08:00:00Z", ALICE, 1, cluster).replace("acme", "Foo Bar")
    };
    put_record(
        &world,
        "usage-logs/~Foo~20Bar/2026-03-02_080000.json",
        &odd("ours"),
        2,
    );
    let expected = format!("{HEADER}2026-03-02,Foo Bar,alice,1,p,ours\n");
    assert_eq!(run_report(&world, &["Foo Bar"]).0, expected);
    let earlier = odd("earlier").replace("03-02T", "03-01T");
    put_record(
        &world,
        "usage-logs/Foo Bar/d188280766a258ccc135ef480b49230c.json",
        &earlier,
        1,
    );
    let expected = format!(
        "{HEADER}2026-03-01,Foo Bar,alice,1,p,earlier\n2026-03-02,Foo Bar,alice,1,p,ours\n"
    );
    assert_eq!(run_report(&world, &[]).0, expected, "of all customers");
    assert_eq!(run_report(&world, &["Foo Bar"]).0, expected, "by name");
}

#[test]
fn the_customer_in_the_key_wins_and_the_difference_is_named() {
    let world = World::new();
    put_record(
        &world,
        "usage-logs/beta/2026-03-02_080000.json",
        &record_json("2026-03-02T08:00:00Z", ALICE, 1, "c"),
        1,
    );
    let (csv, messages) = run_report(&world, &[]);
    assert_eq!(csv, format!("{HEADER}2026-03-02,beta,alice,1,p,c\n"));
    assert!(
        messages.contains("beta/2026-03-02_080000.json`: `customer` differs from its key"),
        "{messages}"
    );
    assert_eq!(run_report(&world, &["acme"]).0, HEADER);
}

#[test]
fn a_missing_time_falls_back_to_the_keys_and_then_to_last_modified() {
    let world = World::new();
    let timeless =
        |cluster: &str| record_json("", ALICE, 1, cluster).replace("\"timestamp\":\"\",", "");
    put_record(
        &world,
        "usage-logs/acme/2026-03-02_080000.json",
        &timeless("of-the-key"),
        1,
    );
    put_record(
        &world,
        "usage-logs/acme/d188280766a258ccc135ef480b49230c.json",
        &timeless("of-s3"),
        1_761_834_652,
    ); // date -u -d 2025-10-30T14:30:52Z +%s
    let expected =
        format!("{HEADER}2025-10-30,acme,alice,1,p,of-s3\n2026-03-02,acme,alice,1,p,of-the-key\n");
    assert_eq!(run_report(&world, &[]), (expected, String::new()));
}

#[test]
fn a_customers_report_holds_no_customer_whose_name_only_starts_alike() {
    let world = World::new();
    for customer in ["acme", "acme-2", "acme2", "Acme"] {
        put_record(
            &world,
            &format!("usage-logs/{customer}/2026-03-02_080000.json"),
            &record_json("2026-03-02T08:00:00Z", ALICE, 1, customer),
            1,
        );
    }
    assert_eq!(
        run_report(&world, &["acme"]).0,
        format!("{HEADER}2026-03-02,acme,alice,1,p,acme\n")
    );
    assert_eq!(run_report(&world, &["acm"]).0, HEADER);
    assert_eq!(run_report(&world, &[]).0.lines().count(), 5);
}

#[test]
fn merges_users_of_one_name_with_a_message_and_separates_them_by_arn() {
    let world = World::new();
    let other = "arn:aws:iam::210987654321:user/alice";
    put_record(
        &world,
        "usage-logs/acme/2026-03-02_080000.json",
        &record_json("2026-03-02T08:00:00Z", ALICE, 1, "sso"),
        1,
    );
    put_record(
        &world,
        "usage-logs/acme/2026-03-02_090000.json",
        &record_json("2026-03-02T09:00:00Z", other, 2, "iam"),
        1,
    );
    let (csv, messages) = run_report(&world, &[]);
    assert_eq!(csv, format!("{HEADER}2026-03-02,acme,alice,2,p,iam\n"));
    assert_eq!(messages.lines().count(), 1, "{messages}");
    assert!(
        [ALICE, other, "--by arn"]
            .iter()
            .all(|words| messages.contains(words)),
        "{messages}"
    );
    let expected =
        format!("{HEADER}2026-03-02,acme,{other},2,p,iam\n2026-03-02,acme,{ALICE},1,p,sso\n");
    assert_eq!(
        run_report(&world, &["--by", "arn"]),
        (expected, String::new())
    );
}

#[test]
fn quotes_cells_so_that_other_parsers_read_them_unchanged() {
    let world = World::new();
    let cluster = "a \\\"quoted\\\", comma and é";
    put_record(
        &world,
        "usage-logs/acme/2026-03-02_080000.json",
        &record_json(
            "2026-03-02T08:00:00Z",
            "arn:x:user/o'neil, \\\"bob\\\"",
            1,
            cluster,
        ),
        1,
    );
    let (csv, _) = run_report(&world, &[]);
    let expected = [
        "2026-03-02",
        "acme",
        "o'neil, \"bob\"",
        "1",
        "p",
        "a \"quoted\", comma and é",
    ];
    assert_eq!(parse_csv_rows(csv.as_bytes())[1], expected);
    assert!(
        csv.contains("\"a \"\"quoted\"\", comma and é\""),
        "RFC 4180, section 2.7: {csv}"
    );
}

#[test]
fn a_cell_contains_no_formula_or_line_break() {
    let world = World::new();
    let cluster = "=cmd|' /C calc'!A0";
    put_record(
        &world,
        "usage-logs/acme/2026-03-02_080000.json",
        &record_json("2026-03-02T08:00:00Z", "arn:x:user/a\\r\\nb", 1, cluster),
        1,
    );
    let parsed = parse_csv_rows(run_report(&world, &[]).0.as_bytes());
    assert_eq!(parsed.len(), 2);
    assert!(
        !parsed[1][2].contains(['\r', '\n']) && !parsed[1][5].starts_with('='),
        "{parsed:?}"
    );
}

#[test]
fn a_report_of_more_records_than_a_page_of_s3_has_all_of_them() {
    let world = World::new();
    for number in 0..2500_u64 {
        let user = format!("arn:aws:iam::123456789012:user/u{number:04}");
        let key = format!(
            "usage-logs/c{:02}/2026-03-02_080000-{number:08x}.json",
            number % 25
        );
        put_record(
            &world,
            &key,
            &with_customer(
                &format!("c{:02}", number % 25),
                &record_json("2026-03-02T08:00:00Z", &user, number, "c"),
            ),
            1,
        );
    }
    let (csv, messages) = run_report(&world, &[]);
    assert_eq!((csv.lines().count(), messages.as_str()), (2501, ""));
    assert!((0..2500).all(|number| csv.contains(&format!(",u{number:04},{number},p,c\n"))));
    assert_eq!(
        world.count_requests("ListObjectsV2", ""),
        3 + 1,
        "S3 lists 1,000 keys a page, and there is no archive"
    );
    assert_eq!(run_report(&world, &["c07"]).0.lines().count(), 101);
}

#[test]
fn a_report_only_reads() {
    let world = World::new();
    put_record(
        &world,
        "usage-logs/acme/2026-03-02_080000.json",
        &record_json("2026-03-02T08:00:00Z", ALICE, 1, "c"),
        1,
    );
    let output = world
        .helper_command(&["report", "--profile", "reader"])
        .output()
        .expect("report");
    assert_eq!(output.status.code(), Some(0));
    let operations: Vec<String> = world
        .server
        .requests()
        .into_iter()
        .map(|it| it.operation)
        .collect();
    assert_eq!(operations, ["ListObjectsV2", "ListObjectsV2", "GetObject"]);
    assert!(!world.state_dir().exists());
}

//! `report --format html`: one self-contained page with the numbers of the summary, in which text
//! of records never runs.

use std::process::Command;

use serde_json::Value;

use test_support::oracle::{python_path, unix_time};
use test_support::{BUCKET, World, run_with_input, to_text};

/// Text that a browser would run or render, if the page did not escape it.
const HOSTILE: [&str; 7] = [
    "<script>alert(1)</script>",
    "</td></tr></table><h1>gone</h1>",
    "\"><img src=x onerror=\"alert(1)\">",
    "' onmouseover='alert(1)",
    "</title></style></script><!--",
    "&lt;b&gt; {{style}} ]]>",
    "\u{202e}gnp.exe\u{200f}\u{0}",
];

struct DeploymentRow<'a> {
    timestamp: &'a str,
    customer: &'a str,
    user: &'a str,
    project: &'a str,
    hash: &'a str,
}

const USUAL: DeploymentRow<'_> = DeploymentRow {
    timestamp: "2026-03-02T08:00:00Z",
    customer: "acme",
    user: "jane",
    project: "p",
    hash: "00000000000000000000000000000001",
};

/// Writes the records of deployments, below the prefix of the customer or, for unusual names, that
/// of the legacy module.
fn put_records(world: &World, deployed: &[DeploymentRow<'_>]) {
    for (number, it) in deployed.iter().enumerate() {
        let record = serde_json::json!({
            "timestamp": it.timestamp, "customer": it.customer, "user": format!("arn:aws:iam::123456789012:user/{}", it.user),
            "config_hash": it.hash, "additional_users_count": number, "project_name": it.project, "cluster_name": it.project,
            "git": {"commit": it.project, "branch": it.project, "dirty": true},
            "ci": {"provider": it.project, "run_url": it.project},
        });
        let key = format!(
            "usage-logs/{}/{number:032x}.json",
            config_backup::keys::customer_segment(it.customer)
        );
        world
            .server
            .put_at(
                BUCKET,
                &key,
                record.to_string().as_bytes(),
                &[],
                unix_time(1),
            )
            .expect("a record");
    }
}

fn run_report(world: &World, arguments: &[&str]) -> String {
    let output = world
        .helper_command(&["report", "--profile", "default"])
        .args(arguments)
        .output()
        .expect("report");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    to_text(&output.stdout)
}

/// The page, and its content according to the HTML parser of python3.
fn report_page(world: &World, arguments: &[&str]) -> (String, Value) {
    let page = run_report(world, &[&["--format", "html"], arguments].concat());
    let parsed = parse_page(&page);
    (page, parsed)
}

/// Parses a complete page with the HTML parser of python3.
pub(crate) fn parse_page(page: &str) -> Value {
    let mut parser = Command::new(python_path());
    parser.args(["-c", include_str!("page.py")]);
    let output = run_with_input(parser, page.as_bytes());
    assert!(output.status.success(), "{}", to_text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn all_texts(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| it.as_str().expect("a text"))
        .collect()
}

#[test]
fn the_page_is_complete_and_its_policy_allows_only_its_own_style_and_script() {
    let world = World::new();
    put_records(
        &world,
        &[
            USUAL,
            DeploymentRow {
                timestamp: "2026-03-05T08:00:00Z",
                ..USUAL
            },
        ],
    );
    for arguments in [&[][..], &["--all"], &["--summary"], &["nobody"]] {
        let (source, page) = report_page(&world, arguments);
        let (styles, scripts) = (all_texts(&page["styles"]), all_texts(&page["scripts"]));
        assert_eq!((styles.len(), scripts.len()), (1, 1));
        let expected = format!(
            "default-src 'none'; style-src '{}'; script-src '{}'; base-uri 'none'; form-action 'none'",
            styles[0], scripts[0]
        );
        assert_eq!(page["policy"], expected);
        assert!(source.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"));
        for reference in ["://", "src=", "url(", "@import", "{{", "}}\n<"] {
            assert!(!source.contains(reference), "{reference}");
        }
        let attributes = all_texts(&page["attributes"]);
        assert!(
            !attributes.iter().any(|name| name.starts_with("on")
                || ["style", "src", "srcset", "action"].contains(name)),
            "{attributes:?}"
        );
    }
}

/// Five deployments from January to March 2026.
fn put_deployments_of_three_months(world: &World) {
    let deployed = |timestamp, customer, user, hash| DeploymentRow {
        timestamp,
        customer,
        user,
        hash,
        ..USUAL
    };
    put_records(
        world,
        &[
            deployed(
                "2026-01-01T00:00:00Z",
                "acme",
                "jane",
                "00000000000000000000000000000001",
            ),
            deployed(
                "2026-01-04T23:59:59Z",
                "zeta",
                "jane",
                "00000000000000000000000000000001",
            ),
            deployed(
                "2026-01-05T00:00:00Z",
                "zeta",
                "adam",
                "00000000000000000000000000000002",
            ),
            deployed(
                "2026-01-05T08:00:00Z",
                "zeta",
                "adam",
                "00000000000000000000000000000003",
            ),
            deployed(
                "2026-03-31T08:00:00Z",
                "株式会社",
                "jane",
                "00000000000000000000000000000003",
            ),
        ],
    );
}

#[test]
fn the_numbers_are_those_of_the_summary() {
    let world = World::new();
    put_deployments_of_three_months(&world);
    let (_, page) = report_page(&world, &[]);
    let summary: Value =
        serde_json::from_str(&run_report(&world, &["--summary", "--format", "json"]))
            .expect("JSON");
    let of = |group: &str| {
        let lines = summary
            .as_array()
            .expect("lines")
            .iter()
            .filter(|line| line["group"] == group);
        lines.cloned().collect::<Vec<Value>>()
    };
    let total = &of("total")[0];
    for (place, name) in ["deployments", "customers", "users", "configs"]
        .iter()
        .enumerate()
    {
        assert_eq!(page["tiles"][place][1], total[name].to_string(), "{name}");
    }
    assert_eq!(
        (&page["times"][1], &page["times"][2]),
        (&total["first"], &total["last"])
    );
    for (place, group) in ["customer", "user"].iter().enumerate() {
        let mut expected: Vec<(i64, String)> = of(group)
            .iter()
            .map(|line| {
                (
                    -line["deployments"].as_i64().expect("it"),
                    line["name"].as_str().expect("it").to_owned(),
                )
            })
            .collect();
        expected.sort();
        let bars = page["bars"][place]
            .as_array()
            .expect("bars")
            .iter()
            .map(all_texts);
        let shown: Vec<(i64, String)> = bars
            .map(|bar| (-bar[2].parse::<i64>().expect("a number"), bar[0].to_owned()))
            .collect();
        assert_eq!(shown, expected, "{group}");
    }
    // 90 days are shown by week: 2026-W01 to W14, most of them empty.
    let weeks: Vec<Vec<&str>> = page["numbers"][0]
        .as_array()
        .expect("weeks")
        .iter()
        .skip(1)
        .map(all_texts)
        .collect();
    assert_eq!(weeks.len(), 14);
    let filled: Vec<(&str, &str)> = weeks
        .iter()
        .filter(|week| week[1] != "0")
        .map(|week| (&week[0][..8], week[1]))
        .collect();
    let expected: Vec<(String, String)> = of("week")
        .iter()
        .map(|line| {
            (
                line["name"].as_str().expect("a name").to_owned(),
                line["deployments"].to_string(),
            )
        })
        .collect();
    assert_eq!(
        filled,
        expected
            .iter()
            .map(|(name, count)| (name.as_str(), count.as_str()))
            .collect::<Vec<_>>()
    );
    let calendar: Vec<Vec<&str>> = page["numbers"][1]
        .as_array()
        .expect("weeks")
        .iter()
        .skip(1)
        .map(all_texts)
        .collect();
    assert_eq!((calendar.len(), calendar[52][0]), (53, "2026-W14"));
    // A Thursday and a Sunday; a Monday.
    assert_eq!(
        (&calendar[39][1..], calendar[40][1]),
        (&["0", "0", "0", "1", "0", "0", "1"][..], "2")
    );
}

#[test]
fn hostile_text_is_shown_as_text() {
    let (usual, hostile) = (World::new(), World::new());
    put_records(&usual, &[USUAL]);
    let deployed: Vec<DeploymentRow<'_>> = HOSTILE
        .iter()
        .map(|text| DeploymentRow {
            customer: text,
            user: text,
            project: text,
            ..USUAL
        })
        .collect();
    put_records(&hostile, &deployed);
    let plain = |text: &str| config_backup::output::sanitize::sanitize(text).into_owned();
    let (_, expected) = report_page(&usual, &["--all"]);
    let (source, page) = report_page(&hostile, &["--all"]);
    assert_eq!(
        (&page["tags"], &page["attributes"]),
        (&expected["tags"], &expected["attributes"])
    );
    assert!(
        !source.contains(
            |c: char| c != '\n' && config_backup::output::sanitize::is_unsafe_for_display(c)
        )
    );
    let rows: Vec<Vec<&str>> = page["rows"]
        .as_array()
        .expect("rows")
        .iter()
        .map(all_texts)
        .collect();
    assert_eq!((rows.len(), rows[0].len()), (HOSTILE.len(), 17));
    for text in HOSTILE.map(plain) {
        let row = rows
            .iter()
            .find(|row| row[1] == text.trim())
            .unwrap_or_else(|| panic!("{text} is no customer of {rows:?}"));
        for cell in [4, 5, 12, 13, 15, 16] {
            assert_eq!(row[cell], text.trim());
        }
    }
}

#[test]
fn the_newest_row_comes_first_unless_another_order_is_asked_for() {
    let world = World::new();
    let deployed = |timestamp, customer| DeploymentRow {
        timestamp,
        customer,
        ..USUAL
    };
    put_records(
        &world,
        &[
            deployed("2026-03-02T08:00:00Z", "b"),
            deployed("2026-03-04T08:00:00Z", "c"),
            deployed("2026-03-04T08:00:00Z", "a"),
        ],
    );
    let customers = |arguments: &[&str]| {
        let (source, page) = report_page(&world, arguments);
        let names: Vec<String> = page["rows"]
            .as_array()
            .expect("rows")
            .iter()
            .map(|row| all_texts(row)[1].to_owned())
            .collect();
        (
            names.concat(),
            source.contains(
                "<th scope=\"col\" class=\"time\" data-kind=\"time\" aria-sort=\"descending\">",
            ),
        )
    };
    assert_eq!(customers(&[]), ("acb".to_owned(), true));
    assert_eq!(customers(&["--sort=customer"]), ("abc".to_owned(), false));
}

#[test]
fn totals_and_reports_without_deployments_have_pages_too() {
    let world = World::new();
    let (_, empty) = report_page(&world, &[]);
    assert_eq!(
        all_texts(&empty["notices"]),
        ["There are no deployments in this report."]
    );
    world
        .server
        .put_at(BUCKET, "usage-logs/acme/0.json", b"{", &[], unix_time(1))
        .expect("a record");
    let (_, broken) = report_page(&world, &[]);
    assert!(
        all_texts(&broken["notices"])[0]
            .starts_with("1 record could not be used and is not part of this page"),
        "{broken}"
    );
    put_records(&world, &[USUAL]);
    let (_, totals) = report_page(&world, &["--summary"]);
    assert_eq!(
        all_texts(&totals["head"])[..3],
        ["Group", "Name", "Deployments"]
    );
    assert_eq!(totals["rows"].as_array().map(Vec::len), Some(5));
    assert!(
        all_texts(&totals["notices"])[0].starts_with("1 record could not be used"),
        "{totals}"
    );
}

//! Ten thousand records and hundreds of damaged ones, compared with an oracle that shares no code
//! with the product.
//!
//! `tests/golden/corpus.py` generates the objects from a seed, `tests/golden/oracle.py` computes
//! their report.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use test_support::oracle::{parse_csv_rows, python_path, unix_time};
use test_support::{BUCKET, World, project_dir, to_text};

const SEED: &str = "20261124";

/// A bucket with the corpus, and the expected report; shared by all tests, which only read it.
struct GoldenCorpus {
    world: World,
    expected: Value,
}

fn load_corpus() -> &'static GoldenCorpus {
    static GOLDEN: OnceLock<GoldenCorpus> = OnceLock::new();
    GOLDEN.get_or_init(|| {
        let world = World::new();
        let corpus = run_python(&["corpus.py", SEED]);
        let file = world.path().join("corpus.ndjson");
        fs::write(&file, &corpus).expect("written");
        for line in to_text(&corpus).lines() {
            let object: Value = serde_json::from_str(line).expect("an object");
            let body = aws_smithy_types::base64::decode(object["body"].as_str().expect("text"))
                .expect("base64");
            let modified = unix_time(object["modified"].as_u64().expect("seconds"));
            world
                .server
                .put_at(
                    BUCKET,
                    object["key"].as_str().expect("a key"),
                    &body,
                    &[],
                    modified,
                )
                .expect("put");
        }
        let expected =
            serde_json::from_slice(&run_python(&["oracle.py", file.to_str().expect("UTF-8")]))
                .expect("what to expect");
        let golden = GoldenCorpus { world, expected };
        // This run fills the cache for the others.
        golden.run_report(&[]);
        golden
    })
}

fn run_python(arguments: &[&str]) -> Vec<u8> {
    let mut command = Command::new(python_path());
    command
        .arg(project_dir().join("tests/golden").join(arguments[0]))
        .args(&arguments[1..]);
    let output = command.output().expect("python3 starts");
    assert!(
        output.status.success(),
        "seed {SEED}: {}",
        to_text(&output.stderr)
    );
    output.stdout
}

impl GoldenCorpus {
    /// Runs `report`; gives exit code, stdout and stderr.
    fn run_report(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let output = self
            .world
            .helper_command(&["report", "--profile", "default"])
            .args(arguments)
            .output()
            .expect("report");
        let output = (
            output.status.code(),
            to_text(&output.stdout),
            to_text(&output.stderr),
        );
        assert_eq!(
            find_unruly_char(&output.1),
            None,
            "{arguments:?}: control characters on stdout"
        );
        assert_eq!(
            find_unruly_char(&output.2),
            None,
            "{arguments:?}: control characters on stderr"
        );
        output
    }

    fn report_json(&self, arguments: &[&str]) -> Vec<Value> {
        let (code, json, _) = self.run_report(&[arguments, &["--format", "json"]].concat());
        assert_eq!(code, Some(0));
        serde_json::from_str(&json).expect("JSON")
    }
}

/// The first control character or bidirectional control in a text.
fn find_unruly_char(text: &str) -> Option<char> {
    let is_mark = |c| {
        "\u{61c}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}".contains(c)
    };
    text.chars()
        .find(|c| (c.is_control() && *c != '\n') || is_mark(*c))
}

/// The displayed form of a text: U+FFFD replaces unsafe characters.
fn plain_text(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c == '\n' || find_unruly_char(c.encode_utf8(&mut [0; 4])).is_some() {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

/// The cell as text, also for numbers.
fn value_words(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn as_list(value: &Value) -> &Vec<Value> {
    value.as_array().expect("a list")
}

#[test]
fn every_row_of_the_csv_is_right_and_every_bad_object_is_named_once() {
    let golden = load_corpus();
    let (code, csv, messages) = golden.run_report(&["--no-cache"]);
    assert_eq!(code, Some(0));
    let shown = parse_csv_rows(csv.as_bytes());
    let expected: Vec<Vec<String>> = as_list(&golden.expected["cells"])
        .iter()
        .map(|row| as_list(row).iter().map(value_words).collect())
        .collect();
    assert!(expected.len() > 3000, "{}", expected.len());
    for (got, wanted) in shown[1..].iter().zip(&expected) {
        assert_eq!(got, wanted, "seed {SEED}");
    }
    assert_eq!(shown.len() - 1, expected.len(), "seed {SEED}");
    assert!(
        shown
            .iter()
            .flatten()
            .all(|cell| !cell.trim_start().starts_with(['=', '+', '-', '@'])),
        "a formula"
    );

    let mut named: BTreeMap<String, usize> = BTreeMap::new();
    for line in messages
        .lines()
        .filter(|line| line.contains("`usage-logs/") || line.contains("/usage-logs/"))
    {
        let key = line.split_once("usage-logs/").expect("a key").1;
        let (key, _) = key.rsplit_once(".json`").expect("its end");
        *named.entry(format!("usage-logs/{key}.json")).or_default() += 1;
    }
    let partial = golden.expected["partial"].as_object().expect("an object");
    let bad: BTreeSet<String> = as_list(&golden.expected["left_out"])
        .iter()
        .map(|key| plain_text(key.as_str().expect("a key")))
        .chain(partial.keys().map(|key| plain_text(key)))
        .collect();
    assert!(bad.len() >= 140, "{}", bad.len());
    assert_eq!(
        named.keys().cloned().collect::<BTreeSet<String>>(),
        bad,
        "seed {SEED}"
    );
    assert!(named.values().all(|times| *times == 1), "{named:?}");
    for (key, fields) in partial {
        let shown = plain_text(key);
        let line = messages
            .lines()
            .find(|line| line.contains(&format!("`{shown}`")))
            .expect("a line");
        assert!(line.starts_with("config-backup: partly used "), "{line}");
        for field in as_list(fields) {
            assert!(
                line.contains(&format!("`{}`", value_words(field))),
                "{field}: {line}"
            );
        }
    }
    assert!(
        messages.contains(&format!(
            "skipped {} records in all",
            as_list(&golden.expected["left_out"]).len()
        )),
        "seed {SEED}"
    );
    assert_eq!(
        golden.run_report(&["--strict"]),
        (Some(7), csv, messages),
        "the same from the cache"
    );
}

#[test]
fn json_holds_the_exact_values() {
    let golden = load_corpus();
    let columns = [
        "timestamp",
        "customer",
        "user",
        "additional_users_count",
        "project_name",
        "cluster_name",
    ];
    let shown = golden.report_json(&[]);
    let expected = as_list(&golden.expected["rows"]);
    assert_eq!(shown.len(), expected.len());
    for (got, wanted) in shown.iter().zip(expected) {
        let got: Vec<Value> = columns.iter().map(|column| got[*column].clone()).collect();
        assert_eq!(&Value::from(got), wanted, "seed {SEED}");
    }
}

#[test]
fn all_deployments_are_listed_with_their_times() {
    let golden = load_corpus();
    let shown = golden.report_json(&["--all"]);
    let expected = as_list(&golden.expected["all"]);
    assert_eq!(shown.len(), expected.len());
    for (got, wanted) in shown.iter().zip(expected) {
        for field in [
            "customer",
            "user",
            "arn",
            "additional_users_count",
            "project_name",
            "cluster_name",
            "config_hash",
        ] {
            assert_eq!(got[field], wanted[field], "seed {SEED}: {wanted}");
        }
        // A leap second is shown as the end of the second before.
        let time = value_words(&wanted["timestamp"]);
        let time = time.split_once(":60").map_or(time.clone(), |(minute, _)| {
            format!("{minute}:59.999999999Z")
        });
        assert_eq!(
            value_words(&got["timestamp"]),
            time,
            "seed {SEED}: {wanted}"
        );
    }
}

#[test]
fn the_totals_are_those_of_the_oracle() {
    let golden = load_corpus();
    let shown = golden.report_json(&["--summary"]);
    let summary = &golden.expected["summary"];
    assert_eq!(
        (&shown[0]["group"], &shown[0]["deployments"]),
        (&Value::from("total"), &summary["total"])
    );
    for (group, name) in [
        ("customers", "customer"),
        ("users", "user"),
        ("months", "month"),
        ("weeks", "week"),
    ] {
        let expected = summary[group].as_object().expect("members");
        let of_group: Vec<&Value> = shown.iter().filter(|line| line["group"] == name).collect();
        assert_eq!(of_group.len(), expected.len(), "{group}");
        for line in of_group {
            let wanted = &expected[line["name"].as_str().expect("a name")];
            assert_eq!(
                (&line["deployments"], &line["configs"]),
                (&wanted["deployments"], &wanted["configs"]),
                "seed {SEED}: {line}"
            );
            for end in ["first", "last"] {
                // A leap second is shown as the end of the second before.
                assert_eq!(
                    value_words(&line[end])[..19],
                    value_words(&wanted[end])[..19].replace(":60", ":59"),
                    "seed {SEED}: {line}"
                );
            }
        }
    }
}

#[test]
fn every_format_has_every_row() {
    let golden = load_corpus();
    let count = as_list(&golden.expected["rows"]).len();
    for (format, around) in [("ndjson", 0), ("markdown", 2), ("table", 1)] {
        let (code, output, _) = golden.run_report(&["--format", format]);
        assert_eq!(
            (code, output.lines().count()),
            (Some(0), count + around),
            "{format}"
        );
    }
}

#[test]
fn the_page_shows_every_row_as_text() {
    let golden = load_corpus();
    let (code, html, _) = golden.run_report(&["--format", "html"]);
    assert_eq!(code, Some(0));
    let page = crate::report::html::parse_page(&html);
    // The parser trims the text of cells.
    let lines = |rows: &Value, shown: &dyn Fn(&Value) -> String| {
        let mut lines: Vec<Vec<String>> = as_list(rows)
            .iter()
            .map(|row| {
                as_list(row)
                    .iter()
                    .map(|cell| shown(cell).trim().to_owned())
                    .collect()
            })
            .collect();
        lines.sort();
        lines
    };
    assert_eq!(
        lines(&page["rows"], &value_words),
        lines(&golden.expected["rows"], &|cell| plain_text(&value_words(
            cell
        ))),
        "seed {SEED}"
    );
    assert_eq!(
        page["scripts"].as_array().map(Vec::len),
        Some(1),
        "what records hold is no script"
    );
}

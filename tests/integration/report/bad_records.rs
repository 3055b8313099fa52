//! `report` with damaged, foreign or unusual records: it names each once, counts them, and reports
//! the others.

use test_support::oracle::parse_csv_rows;
use test_support::{BUCKET, World, to_text};

const GOOD: &str = "{\"timestamp\":\"2026-03-02T08:00:00Z\",\"customer\":\"acme\",\"user\":\"arn:x:user/alice\",\
                    \"additional_users_count\":1,\"project_name\":\"p\",\"cluster_name\":\"c\"}\n";

fn world_with(objects: &[(&str, &[u8])]) -> World {
    let world = World::new();
    for (name, body) in objects {
        world
            .server
            .put(BUCKET, &format!("usage-logs/acme/{name}"), body, &[])
            .expect("an object");
    }
    world
}

fn run_report(world: &World, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = world
        .helper_command(&["report", "--profile", "default"])
        .args(arguments)
        .output()
        .expect("report");
    (
        output.status.code(),
        to_text(&output.stdout),
        to_text(&output.stderr),
    )
}

#[test]
fn names_each_damaged_record_once_and_reports_the_others() {
    let damaged: [(&str, &[u8]); 8] = [
        ("truncated.json", &GOOD.as_bytes()[..GOOD.len() / 2]),
        ("empty.json", b""),
        ("blank.json", b" \n"),
        ("array.json", b"[{\"timestamp\":\"2026-03-02T08:00:00Z\"}]"),
        ("binary.json", b"\x00\xff\xfe\x80"),
        ("page.json", b"<!DOCTYPE html><html>"),
        ("null.json", b"null"),
        ("other.json", b"{\"unrelated\":true}"),
    ];
    let mut objects = damaged.to_vec();
    objects.push(("2026-03-02_080000.json", GOOD.as_bytes()));
    let world = world_with(&objects);
    for (arguments, expected) in [(&[][..], 0), (&["--strict"][..], 7)] {
        let (code, csv, messages) = run_report(&world, arguments);
        assert_eq!(code, Some(expected), "{messages}");
        assert_eq!(parse_csv_rows(csv.as_bytes()).len(), 2, "{csv}");
        assert!(csv.ends_with("2026-03-02,acme,alice,1,p,c\n"), "{csv}");
        for (name, _) in damaged {
            assert_eq!(
                messages
                    .lines()
                    .filter(|line| line.contains(&format!("`usage-logs/acme/{name}`")))
                    .count(),
                1,
                "{name}: {messages}"
            );
        }
        assert_eq!(messages.lines().count(), 9, "{messages}");
        assert!(messages.contains("skipped 8 records"), "{messages}");
    }
}

#[test]
fn strict_accepts_valid_records() {
    let world = world_with(&[("2026-03-02_080000.json", GOOD.as_bytes())]);
    assert_eq!(run_report(&world, &["--strict"]).0, Some(0));
}

#[test]
fn names_an_unusable_value_and_reports_the_record_without_it() {
    let odd = GOOD
        .replace(
            "\"additional_users_count\":1",
            "\"additional_users_count\":\"many\"",
        )
        .replace("\"p\"", "[1]");
    let world = world_with(&[("2026-03-02_080000.json", odd.as_bytes())]);
    let (code, csv, messages) = run_report(&world, &[]);
    assert_eq!(code, Some(0));
    assert!(csv.ends_with("2026-03-02,acme,alice,0,,c\n"), "{csv}");
    assert_eq!(messages.lines().count(), 1, "{messages}");
    assert!(
        [
            "2026-03-02_080000.json",
            "additional_users_count",
            "project_name"
        ]
        .iter()
        .all(|words| messages.contains(words)),
        "{messages}"
    );
    assert_eq!(run_report(&world, &["--strict"]).0, Some(7));
}

#[test]
fn skips_objects_that_are_not_records_silently() {
    let world = world_with(&[
        ("2026-03-02_080000.json", GOOD.as_bytes()),
        ("notes.txt", b"hello"),
        ("old/2025.json", b"{}"),
        ("", b""),
    ]);
    world
        .server
        .put(BUCKET, "usage-logs/readme.json", b"hello", &[])
        .expect("an object");
    let (code, csv, messages) = run_report(&world, &["--strict"]);
    assert_eq!(
        (code, csv.lines().count(), messages.as_str()),
        (Some(0), 2, "")
    );
}

#[test]
fn names_a_huge_object_without_fetching_it() {
    let world = world_with(&[
        ("2026-03-02_080000.json", GOOD.as_bytes()),
        ("huge.json", &vec![b' '; 3 << 20]),
    ]);
    let (code, csv, messages) = run_report(&world, &["--strict"]);
    assert_eq!((code, csv.lines().count()), (Some(7), 2));
    assert!(
        messages.contains("huge.json") && messages.contains("skipped 1 record"),
        "{messages}"
    );
}

#[test]
fn shows_names_without_terminal_control_characters() {
    let world = world_with(&[("\u{1b}[2J.json", b"x"), ("two\nlines.json", b"x")]);
    let (code, _, messages) = run_report(&world, &[]);
    assert_eq!(code, Some(0));
    assert!(!messages.contains('\u{1b}'), "{messages:?}");
    assert_eq!(messages.lines().count(), 3, "{messages:?}");
}

#[test]
fn keys_with_odd_characters_are_fetched_by_their_own_names() {
    let name = "2026-03-02_080000-+ %2F&=é\u{1}.json";
    let world = world_with(&[(name, GOOD.as_bytes())]);
    let (code, csv, messages) = run_report(&world, &["--strict"]);
    assert_eq!(
        (code, csv.lines().count(), messages.as_str()),
        (Some(0), 2, "")
    );
}

#[test]
fn a_record_of_several_lines_is_read() {
    let pretty = GOOD.replace(',', ",\r\n  ");
    let world = world_with(&[("2026-03-02_080000.json", pretty.as_bytes())]);
    let (_, csv, messages) = run_report(&world, &["--strict"]);
    assert_eq!((csv.lines().count(), messages.as_str()), (2, ""));
}

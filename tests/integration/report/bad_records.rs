//! `report` over records that are damaged, foreign or odd: named once each, counted, and never in the way of the others.

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
fn damaged_records_are_named_once_each_and_counted_and_the_others_are_reported() {
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
fn strict_is_content_with_good_records() {
    let world = world_with(&[("2026-03-02_080000.json", GOOD.as_bytes())]);
    assert_eq!(run_report(&world, &["--strict"]).0, Some(0));
}

#[test]
fn a_record_with_an_unusable_value_is_reported_without_it_and_named() {
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
fn objects_that_are_no_records_are_passed_over_in_silence() {
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
fn a_huge_object_is_named_and_not_fetched_into_memory() {
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
fn a_name_that_a_terminal_would_obey_is_shown_without_its_commands() {
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

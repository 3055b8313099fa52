//! What version 0.1.0 wrote is read, sent and written in the same form: `tests/fixtures/version-0.1.0`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use test_support::oracle::{python_digest, unix_time};
use test_support::terraform_steps::CustomerUnit;
use test_support::{BUCKET, World, project_dir, refused_endpoint, to_text};

use crate::commands::run_command;

fn fixture_path(name: &str) -> PathBuf {
    project_dir()
        .join("tests/fixtures/version-0.1.0")
        .join(name)
}

fn fixture_text(name: &str) -> String {
    fs::read_to_string(fixture_path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A world whose bucket has all that version 0.1.0 left there.
fn world_with_old_bucket() -> World {
    let world = World::new();
    let objects: Vec<Value> = serde_json::from_str(&fixture_text("bucket.json")).unwrap();
    for object in &objects {
        let metadata: Vec<(&str, &str)> = object["metadata"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
            .collect();
        let key = object["key"].as_str().unwrap();
        let body = object["body"].as_str().unwrap().as_bytes();
        let modified = unix_time(object["last_modified"].as_u64().unwrap());
        world
            .server
            .put_at(BUCKET, key, body, &metadata, modified)
            .unwrap();
    }
    world
}

/// Copies a folder of the old state directory to this world's machine.
fn restore_state_folder(world: &World, folder: &str) {
    let target = world.state_dir().join(folder);
    fs::create_dir_all(&target).unwrap();
    for private in [world.state_dir(), target.clone()] {
        fs::set_permissions(private, fs::Permissions::from_mode(0o700)).unwrap();
    }
    for entry in fs::read_dir(fixture_path("state").join(folder)).unwrap() {
        let entry = entry.unwrap();
        let copy = target.join(entry.file_name());
        fs::copy(entry.path(), &copy).unwrap();
        fs::set_permissions(copy, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

/// JSON with every string value emptied and every number 0: names, order, punctuation and blanks stay.
fn json_skeleton(json: &str) -> String {
    let mut skeleton = String::new();
    let mut rest = json;
    while let Some(next) = rest.chars().next() {
        if next == '"' {
            let end = string_end(rest);
            let (text, tail) = rest.split_at(end);
            let is_name = tail.trim_start().starts_with(':');
            skeleton.push_str(if is_name { text } else { "\"\"" });
            rest = tail;
        } else if next.is_ascii_digit() || next == '-' {
            skeleton.push('0');
            rest = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-');
        } else {
            skeleton.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    skeleton
}

/// Fields may be added at the end of an object.
fn assert_only_appended(now: &str, before: &str) {
    let fields = before.strip_suffix("}\n").expect("one object");
    let added = now.strip_prefix(fields);
    let is_appended = added.is_some_and(|it| it.starts_with(',') || it == "}\n");
    assert!(is_appended, "{now}, {before}");
}

/// Where the string ends that `text` begins with.
fn string_end(text: &str) -> usize {
    let mut is_escaped = false;
    for (index, character) in text.char_indices().skip(1) {
        match character {
            '"' if !is_escaped => return index + 1,
            '\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    panic!("no end: {text}");
}

/// The only file of a folder whose name contains `part`.
fn read_only_file(folder: &Path, part: &str) -> String {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains(part))
        .collect();
    assert_eq!(paths.len(), 1, "{part} in {}: {paths:?}", folder.display());
    to_text(&fs::read(paths.remove(0)).unwrap())
}

/// The body of an object of the old bucket, by the beginning of its key.
fn old_object(prefix: &str) -> String {
    let objects: Vec<Value> = serde_json::from_str(&fixture_text("bucket.json")).unwrap();
    let object = objects
        .iter()
        .find(|object| object["key"].as_str().unwrap().starts_with(prefix))
        .unwrap_or_else(|| panic!("{prefix}"));
    object["body"].as_str().unwrap().to_owned()
}

#[test]
fn commands_print_what_they_printed_for_the_same_bucket() {
    let world = world_with_old_bucket();
    let mut commands: Vec<(Vec<&str>, String)> = Vec::new();
    for format in ["csv", "json", "ndjson", "markdown", "table"] {
        commands.push((vec!["report", "-f", format], format!("report.{format}")));
    }
    for format in ["csv", "json", "ndjson"] {
        commands.push((
            vec!["report", "--all", "-f", format],
            format!("report-all.{format}"),
        ));
    }
    for format in ["csv", "json"] {
        let file = format!("report-summary.{format}");
        commands.push((vec!["report", "--summary", "-f", format], file));
    }
    for format in ["csv", "json", "table"] {
        commands.push((
            vec!["history", "airbnb", "-f", format],
            format!("history.{format}"),
        ));
    }
    commands.push((vec!["coverage", "--json"], "coverage.json".to_owned()));
    commands.push((vec!["verify", "--json"], "verify.json".to_owned()));

    for (arguments, file) in commands {
        let (code, output, messages) = run_command(&world, &arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {messages}");
        let expected = fixture_text(&format!("outputs/{file}"));
        let output = if file.starts_with("report-all.") {
            without_appended_columns(&output, &expected)
        } else {
            output
        };
        assert_eq!(output, expected, "{arguments:?}");
    }
}

/// `--all` may get more columns, at the end: docs/reference/formats.md.
fn without_appended_columns(output: &str, expected: &str) -> String {
    let mut lines = Vec::new();
    for (line, expected) in output.split('\n').zip(expected.split('\n')) {
        let row_end = expected.trim_end_matches(',').trim_end_matches('}').len();
        let (row, end) = expected.split_at(row_end);
        let is_longer = line
            .strip_prefix(row)
            .is_some_and(|more| more.starts_with(','));
        lines.push(if is_longer && line.ends_with(end) {
            expected.to_owned()
        } else {
            line.to_owned()
        });
    }
    assert_eq!(output.split('\n').count(), lines.len(), "{output}");
    lines.join("\n")
}

#[test]
fn only_columns_at_the_end_of_a_row_are_ignored() {
    for (output, expected, is_same) in [
        ("a,b\n", "a,b\n", true),
        ("a,b,c\n", "a,b\n", true),
        ("a,c\n", "a,b\n", false),
        ("c,a,b\n", "a,b\n", false),
        ("a,bc\n", "a,b\n", false),
        ("[\n{\"a\":1,\"b\":2},\n]\n", "[\n{\"a\":1},\n]\n", true),
        ("{\"a\":12}\n", "{\"a\":1}\n", false),
    ] {
        let cut = without_appended_columns(output, expected);
        assert_eq!(cut == expected, is_same, "{output}");
    }
}

#[test]
fn uploads_that_an_older_version_spooled_are_sent() {
    let world = world_with_old_bucket();
    restore_state_folder(&world, "spool");
    restore_state_folder(&world, "chains");
    let item = read_only_file(&fixture_path("state/spool"), "-config-");
    let (_, config) = item.split_once('\n').unwrap();

    let output = world.helper_command(&["replay"]).output().unwrap();

    assert!(output.status.success(), "{output:?}");
    assert_eq!(world.spooled_items(), [""; 0]);
    let current = world
        .server
        .object(BUCKET, "terragrunt/airbnb/config.yaml")
        .unwrap();
    assert_eq!(to_text(&current.body), config);
    let md5 = python_digest("md5", config.as_bytes());
    let copy = format!("terragrunt/airbnb/config-history/2026-11-28_012636_{md5}.yaml");
    assert!(world.server.keys(BUCKET, "terragrunt/").contains(&copy));
    let record = world
        .server
        .object(BUCKET, "usage-logs/airbnb/2026-11-28_012636.json")
        .unwrap();
    let record: Value = serde_json::from_slice(&record.body).unwrap();
    assert_eq!(record["late"], true);
    let (code, _, messages) = run_command(&world, &["verify"]);
    assert_eq!(code, Some(0), "{messages}");
}

#[test]
fn everything_is_written_in_the_same_form() {
    let mut world = World::new();
    let unit = CustomerUnit::in_folder(&world, "airbnb");
    let context = world.run_protocol_command("context", &unit.query());
    let expected = json_skeleton(&fixture_text("outputs/context.json"));
    assert_eq!(
        without_appended_columns(&json_skeleton(&context), &expected),
        expected
    );
    let mut answer = String::new();
    unit.apply_with(
        serde_json::from_str(&context).unwrap(),
        |command, request| {
            answer = world.run_protocol_command(command, request);
            answer.clone()
        },
    );
    assert_eq!(
        json_skeleton(&answer),
        json_skeleton(&fixture_text("outputs/deploy.json"))
    );
    for prefix in ["usage-logs/airbnb/2026", "terragrunt/airbnb/usage-chain/"] {
        let key = world
            .server
            .keys(BUCKET, prefix.trim_end_matches("2026"))
            .remove(0);
        let body = to_text(&world.server.object(BUCKET, &key).unwrap().body);
        assert_only_appended(&json_skeleton(&body), &json_skeleton(&old_object(prefix)));
    }
    let chain = read_only_file(&world.state_dir().join("chains"), ".free");
    assert_eq!(
        json_skeleton(&chain),
        json_skeleton(&read_only_file(&fixture_path("state/chains"), ".free"))
    );

    world.move_to("another home");
    world.set_endpoint(&refused_endpoint());
    unit.deploy(&world);

    let spool = world.state_dir().join("spool");
    for kind in ["-config-", "-record-"] {
        let name = world
            .spooled_items()
            .into_iter()
            .find(|name| name.contains(kind))
            .unwrap();
        let item = to_text(&fs::read(spool.join(name)).unwrap());
        let (head, body) = item.split_once('\n').unwrap();
        let old_item = read_only_file(&fixture_path("state/spool"), kind);
        let (old_head, old_body) = old_item.split_once('\n').unwrap();
        let line = |head: &str| json_skeleton(head) + "\n";
        assert_only_appended(&line(head), &line(old_head));
        if kind == "-record-" {
            assert_only_appended(&json_skeleton(body), &json_skeleton(old_body));
        }
    }
    let claim = read_only_file(&world.state_dir().join("deployments"), ".json");
    assert_eq!(
        json_skeleton(&claim),
        json_skeleton(&read_only_file(&fixture_path("state/deployments"), ".json"))
    );
}

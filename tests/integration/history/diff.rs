//! `diff`: changes by path with masked secrets, between any two states.

use std::fs;

use crate::commands::{
    assert_refused, command_answer, md5_of, put_two_versions, put_version, run_command,
    run_command_as,
};
use crate::report::terminal::helper_on_a_terminal;
use test_support::BUCKET;
use test_support::s3_backend::{S3Backend, S3ServerKind, on_each_server};

on_each_server!(
    finds_a_state_by_each_way_to_name_it,
    shows_values_and_masks_secrets
);

const FIRST: &str =
    "mongodb: {instance_size: M10, region: US, password: canary-one}\nusers: [ann, bob]\n";
const SECOND: &str = "# in Europe\nusers: [ann, eve, bob]\nmongodb: {instance_size: M30, region: US, password: canary-two}\n";

/// A difference with `F` in place of each fingerprint.
fn without_fingerprints(shown: &str) -> String {
    let is_one = |word: &str| word.len() == 8 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let word = |word: &str| {
        if is_one(word.trim_end_matches(')')) {
            format!("F{}", &word[8..])
        } else {
            word.to_owned()
        }
    };
    let line = |line: &str| line.split(' ').map(word).collect::<Vec<_>>().join(" ") + "\n";
    shown.lines().map(line).collect()
}

fn shows_values_and_masks_secrets(backend: &mut S3Backend) {
    let [first, second] = put_two_versions(backend, [FIRST, SECOND]);
    let shown = command_answer(&backend.world, &["diff", "acme", "2026-10-01", "latest"]);
    let expected = format!(
        "--- s3://{BUCKET}/{first}\n+++ s3://{BUCKET}/{second}\n\
         ~ mongodb.instance_size: M10 -> M30\n\
         ~ mongodb.password: changed (masked, F -> F)\n\
         ~ users[1]: bob -> eve\n\
         + users[2]: bob\n"
    );
    assert_eq!(without_fingerprints(&shown), expected);
    assert_ne!(
        shown,
        command_answer(&backend.world, &["diff", "acme", "2026-10-01", "latest"]),
        "a fingerprint is worth nothing in the next run"
    );
    let (code, clear, messages) = run_command(
        &backend.world,
        &["diff", "acme", "2026-10-01", "latest", "--show-secrets"],
    );
    assert_eq!(
        (code, messages.as_str()),
        (
            Some(0),
            "config-backup: WARNING: secrets are shown in clear\n"
        )
    );
    assert_eq!(
        clear,
        expected.replace("changed (masked, F -> F)", "canary-one -> canary-two")
    );
}

fn finds_a_state_by_each_way_to_name_it(backend: &mut S3Backend) {
    put_two_versions(backend, [FIRST, SECOND]);
    fs::write(backend.world.path().join("config.yaml"), SECOND).expect("a file");
    let (one, two) = (md5_of(FIRST), md5_of(SECOND));
    for (first, second) in [
        (&["2026-10-01"][..], &["2026-10-02"][..]),
        (&["2026-10-01T12:00:00Z"], &["1h"]),
        (&[&one], &[&two]),
        (&[&one[..8]], &[&two[..8]]),
        (&["2026-10-01_080000"], &["2026-10-02_080000"]),
        (&["20261001T080005Z-jane"], &["20261002T"]),
        (&["2026-10-01"], &["latest"]),
        (&["2026-10-01"], &["local"]),
        // Without a second state, the local file is compared.
        (&["2026-10-01"], &[]),
    ] {
        let shown = command_answer(&backend.world, &[&["diff", "acme"], first, second].concat());
        assert!(
            shown.contains("\n~ mongodb.instance_size: M10 -> M30\n"),
            "{first:?} and {second:?}: {shown}"
        );
    }
    assert_eq!(
        command_answer(&backend.world, &["diff", "acme"]),
        "",
        "the latest and the file here"
    );
    fs::write(backend.world.path().join("other.yaml"), FIRST).expect("a file");
    let shown = command_answer(
        &backend.world,
        &["diff", "acme", "--config-file", "other.yaml"],
    );
    assert!(
        shown.contains("+++ other.yaml\n~ mongodb.instance_size: M30 -> M10\n"),
        "{shown}"
    );
}

#[test]
fn as_text_it_is_what_diff_u_prints() {
    let backend = S3Backend::new(S3ServerKind::Embedded);
    let first = "a: 1\nb: 2\nc: 3\nd: 4\npassword: canary-one\ne: 5\nf: |\n  x\ng: 6\n";
    let second = "# new\na: 1\nb: 2\nc: 3\nd: 4\npassword: canary-two\ne: 5\nf: |\n  y\ng: 6";
    put_version(&backend, "2026-10-01T08:00:00Z", first);
    put_version(&backend, "2026-10-02T08:00:00Z", second);
    for (name, body) in [("first", first), ("second", second)] {
        fs::write(backend.world.path().join(name), body).expect("a file");
    }
    let without_names = |text: &str| text.split_inclusive('\n').skip(2).collect::<String>();
    let diff = backend
        .world
        .command("diff")
        .args(["-u", "first", "second"])
        .output()
        .expect("diff");
    let expected = without_names(&String::from_utf8(diff.stdout).expect("UTF-8"));
    assert!(
        expected.contains("+password: canary-two\n")
            && expected.ends_with("\\ No newline at end of file\n"),
        "{expected}"
    );

    let (code, clear, _) = run_command(
        &backend.world,
        &[
            "diff",
            "acme",
            "2026-10-01",
            "latest",
            "--text",
            "--show-secrets",
            "--exit-code",
        ],
    );
    assert_eq!((code, without_names(&clear)), (Some(1), expected));
}

#[test]
fn as_text_it_is_shown_only_with_all_secrets_also_where_it_is_not_yaml() {
    let backend = S3Backend::new(S3ServerKind::Embedded);
    put_version(&backend, "2026-10-01T08:00:00Z", "a: [canary\n");
    put_version(&backend, "2026-10-02T08:00:00Z", "a: {canary\n");
    let arguments = ["diff", "acme", "2026-10-01", "latest", "--text"];
    let (code, shown, messages) = run_command(&backend.world, &arguments);
    assert_eq!((code, shown.as_str()), (Some(2), ""));
    assert!(
        messages.contains("required arguments were not provided")
            && messages.contains("--show-secrets"),
        "{messages}"
    );
    let (code, shown, _) = run_command(
        &backend.world,
        &[&arguments[..], &["--show-secrets"]].concat(),
    );
    assert!(
        code == Some(0) && shown.ends_with("@@ -1 +1 @@\n-a: [canary\n+a: {canary\n"),
        "{shown}"
    );
}

#[test]
fn the_exit_code_reports_a_difference_if_asked() {
    let backend = S3Backend::new(S3ServerKind::Embedded);
    put_two_versions(&backend, [FIRST, SECOND]);
    let code = |arguments: &[&str]| {
        run_command(&backend.world, &[&["diff", "acme"], arguments].concat()).0
    };
    assert_eq!(code(&["2026-10-01", "latest"]), Some(0));
    assert_eq!(code(&["2026-10-01", "latest", "--exit-code"]), Some(1));
    assert_eq!(code(&["latest", "latest", "--exit-code"]), Some(0));
    fs::write(
        backend.world.path().join("config.yaml"),
        SECOND.replace("Europe", "the EU"),
    )
    .expect("a file");
    let (code, shown, messages) = run_command(&backend.world, &["diff", "acme", "--exit-code"]);
    assert_eq!((code, shown.as_str()), (Some(0), ""));
    assert_eq!(messages, "config-backup: only comments or order differ\n");
}

#[test]
fn the_local_file_is_found_from_a_units_folder_too() {
    let backend = S3Backend::new(S3ServerKind::Embedded);
    put_two_versions(&backend, [FIRST, SECOND]);
    assert_refused(
        run_command(&backend.world, &["diff", "acme"]),
        3,
        "no config.yaml in this folder or the one above",
    );
    fs::create_dir(backend.world.path().join("config-backup")).expect("a folder");
    fs::write(backend.world.path().join("config.yaml"), FIRST).expect("a file");
    let mut diff = backend
        .world
        .helper_command(&["diff", "acme", "--profile", "default"]);
    let output = diff
        .current_dir(backend.world.path().join("config-backup"))
        .output()
        .expect("it starts");
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("+++ ../config.yaml\n"),
        "{output:?}"
    );
}

#[test]
fn refuses_states_that_cannot_be_found_or_compared() {
    let mut backend = S3Backend::new(S3ServerKind::Embedded);
    put_two_versions(&backend, [FIRST, SECOND]);
    put_version(&backend, "2026-10-03T08:00:00Z", "a: [canary");
    for (arguments, words) in [
        (["latest", "2026-10-02"], "it is not valid YAML at line "),
        (
            ["2026-09-01", "latest"],
            "there was no version at 2026-09-01T23:59:59Z",
        ),
        (
            ["zzzz", "latest"],
            "`zzzz` is not a version, a deployment or a time",
        ),
        (
            ["2026", "latest"],
            "`2026` matches 2 deployments: 20261001T080005Z-jane, 20261002T080005Z-joe",
        ),
    ] {
        assert_refused(
            run_command(
                &backend.world,
                &[&["diff", "acme"], &arguments[..]].concat(),
            ),
            3,
            words,
        );
    }
    assert_eq!(
        command_answer(&backend.world, &["diff", "acme", "latest", "latest"]),
        "",
        "the same bytes need no parser"
    );
    assert_refused(
        run_command_as(
            &backend.world,
            "denied",
            &["diff", "acme", "latest", "latest"],
        ),
        5,
        "access denied",
    );
    backend
        .world
        .set_s3_endpoint(&test_support::refused_endpoint());
    assert_refused(
        run_command(&backend.world, &["diff", "acme", "latest", "latest"]),
        6,
        "check the network",
    );
}

#[test]
fn prints_colours_to_a_terminal_unless_disabled() {
    let mut backend = S3Backend::new(S3ServerKind::Embedded);
    put_two_versions(&backend, [FIRST, SECOND]);
    let shown = |backend: &S3Backend| {
        helper_on_a_terminal(
            &backend.world,
            &[
                "diff",
                "acme",
                "2026-10-01",
                "latest",
                "--profile",
                "default",
            ],
        )
    };
    let coloured = shown(&backend);
    assert!(
        coloured.contains("\u{1b}[33m~ mongodb.instance_size: M10 -> M30\u{1b}[0m\n"),
        "{coloured:?}"
    );
    assert!(
        coloured.contains("\u{1b}[32m+ users[2]: bob\u{1b}[0m\n"),
        "{coloured:?}"
    );
    backend.world.set_variable("NO_COLOR", Some("1"));
    assert!(!shown(&backend).contains('\u{1b}'));
}

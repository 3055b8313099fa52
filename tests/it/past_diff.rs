//! `diff`: what differs, by path and with secrets masked, between whichever states are meant.

use std::fs;

use config_backup::documents::read;
use config_backup::masks::Masks;
use serde_json::{Map, Value, json};

use crate::past::{answer, assert_refused, md5, record, run, run_as, version};
use crate::report_terminal::helper_on_a_terminal;
use crate::site::{Kind, Site, on_each_server};
use crate::support::BUCKET;

on_each_server!(each_way_to_name_a_state_means_it, values_are_shown_and_secrets_are_not);

const FIRST: &str = "mongodb: {instance_size: M10, region: US, password: canary-one}\nusers: [ann, bob]\n";
const SECOND: &str = "# in Europe\nusers: [ann, eve, bob]\nmongodb: {instance_size: M30, region: US, password: canary-two}\n";

/// Two versions with a deployment each.
fn two_versions(site: &Site) -> [String; 2] {
    let keys = [("2026-10-01T08:00:00Z", FIRST), ("2026-10-02T08:00:00Z", SECOND)].map(|(time, body)| version(site, time, body));
    record(site, "2026-10-01T08:00:05Z", "jane", &keys[0]);
    record(site, "2026-10-02T08:00:05Z", "joe", &keys[1]);
    keys
}

/// A difference with `F` in the place of each fingerprint.
fn without_fingerprints(shown: &str) -> String {
    let is_one = |word: &str| word.len() == 8 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let word = |word: &str| if is_one(word.trim_end_matches(')')) { format!("F{}", &word[8..]) } else { word.to_owned() };
    let line = |line: &str| line.split(' ').map(word).collect::<Vec<_>>().join(" ") + "\n";
    shown.lines().map(line).collect()
}

fn values_are_shown_and_secrets_are_not(site: &mut Site) {
    let [first, second] = two_versions(site);
    let shown = answer(&site.world, &["diff", "acme", "2026-10-01", "latest"]);
    let expected = format!(
        "--- s3://{BUCKET}/{first}\n+++ s3://{BUCKET}/{second}\n\
         ~ mongodb.instance_size: M10 -> M30\n\
         ~ mongodb.password: changed (masked, F -> F)\n\
         ~ users[1]: bob -> eve\n\
         + users[2]: bob\n"
    );
    assert_eq!(without_fingerprints(&shown), expected);
    assert_ne!(shown, answer(&site.world, &["diff", "acme", "2026-10-01", "latest"]), "a fingerprint is worth nothing in the next run");
    let (code, clear, messages) = run(&site.world, &["diff", "acme", "2026-10-01", "latest", "--show-secrets"]);
    assert_eq!((code, messages.as_str()), (Some(0), "config-backup: WARNING: secrets are shown in clear\n"));
    assert_eq!(clear, expected.replace("changed (masked, F -> F)", "canary-one -> canary-two"));
}

fn each_way_to_name_a_state_means_it(site: &mut Site) {
    two_versions(site);
    fs::write(site.world.path().join("config.yaml"), SECOND).expect("a file");
    let (one, two) = (md5(FIRST), md5(SECOND));
    for (first, second) in [
        (&["2026-10-01"][..], &["2026-10-02"][..]),
        (&["2026-10-01T12:00:00Z"], &["1h"]),
        (&[&one], &[&two]),
        (&[&one[..8]], &[&two[..8]]),
        (&["2026-10-01_080000"], &["2026-10-02_080000"]),
        (&["20261001T080005Z-jane"], &["20261002T"]),
        (&["2026-10-01"], &["latest"]),
        (&["2026-10-01"], &["local"]),
        // Without a second one it is the file here.
        (&["2026-10-01"], &[]),
    ] {
        let shown = answer(&site.world, &[&["diff", "acme"], first, second].concat());
        assert!(shown.contains("\n~ mongodb.instance_size: M10 -> M30\n"), "{first:?} and {second:?}: {shown}");
    }
    assert_eq!(answer(&site.world, &["diff", "acme"]), "", "the latest and the file here");
    fs::write(site.world.path().join("other.yaml"), FIRST).expect("a file");
    let shown = answer(&site.world, &["diff", "acme", "--config-file", "other.yaml"]);
    assert!(shown.contains("+++ other.yaml\n~ mongodb.instance_size: M30 -> M10\n"), "{shown}");
}

#[test]
fn the_exit_code_tells_whether_anything_differs_if_asked() {
    let site = Site::new(Kind::Embedded);
    two_versions(&site);
    let code = |arguments: &[&str]| run(&site.world, &[&["diff", "acme"], arguments].concat()).0;
    assert_eq!(code(&["2026-10-01", "latest"]), Some(0));
    assert_eq!(code(&["2026-10-01", "latest", "--exit-code"]), Some(1));
    assert_eq!(code(&["latest", "latest", "--exit-code"]), Some(0));
    fs::write(site.world.path().join("config.yaml"), SECOND.replace("Europe", "the EU")).expect("a file");
    let (code, shown, messages) = run(&site.world, &["diff", "acme", "--exit-code"]);
    assert_eq!((code, shown.as_str()), (Some(0), ""));
    assert_eq!(messages, "config-backup: they differ in comments or order only\n");
}

#[test]
fn the_local_file_is_found_from_a_units_folder_too() {
    let site = Site::new(Kind::Embedded);
    two_versions(&site);
    assert_refused(run(&site.world, &["diff", "acme"]), 3, "there is no config.yaml here, nor in the folder above");
    fs::create_dir(site.world.path().join("config-backup")).expect("a folder");
    fs::write(site.world.path().join("config.yaml"), FIRST).expect("a file");
    let mut diff = site.world.helper(&["diff", "acme", "--profile", "default"]);
    let output = diff.current_dir(site.world.path().join("config-backup")).output().expect("it starts");
    assert!(String::from_utf8_lossy(&output.stdout).contains("+++ ../config.yaml\n"), "{output:?}");
}

#[test]
fn what_cannot_be_compared_or_found_is_refused() {
    let mut site = Site::new(Kind::Embedded);
    two_versions(&site);
    version(&site, "2026-10-03T08:00:00Z", "a: [canary");
    for (arguments, words) in [
        (["latest", "2026-10-02"], "it is not valid YAML at line "),
        (["2026-09-01", "latest"], "there was none yet at 2026-09-01T23:59:59Z"),
        (["zzzz", "latest"], "`zzzz` is no version, no deployment and no time"),
        (["2026", "latest"], "`2026` stands for 2 deployments: 20261001T080005Z-jane, 20261002T080005Z-joe"),
    ] {
        assert_refused(run(&site.world, &[&["diff", "acme"], &arguments[..]].concat()), 3, words);
    }
    assert_eq!(answer(&site.world, &["diff", "acme", "latest", "latest"]), "", "the same bytes need no parser");
    assert_refused(run_as(&site.world, "nobody", &["diff", "acme", "latest", "latest"]), 5, "access denied");
    site.world.set_s3_endpoint(&crate::support::nobody_there());
    assert_refused(run(&site.world, &["diff", "acme", "latest", "latest"]), 6, "check the network");
}

#[test]
fn on_a_terminal_it_has_colours_unless_nobody_wants_them() {
    let mut site = Site::new(Kind::Embedded);
    two_versions(&site);
    let shown = |site: &Site| helper_on_a_terminal(&site.world, &["diff", "acme", "2026-10-01", "latest", "--profile", "default"]);
    let coloured = shown(&site);
    assert!(coloured.contains("\u{1b}[33m~ mongodb.instance_size: M10 -> M30\u{1b}[0m\n"), "{coloured:?}");
    assert!(coloured.contains("\u{1b}[32m+ users[2]: bob\u{1b}[0m\n"), "{coloured:?}");
    site.world.set_variable("NO_COLOR", Some("1"));
    assert!(!shown(&site).contains('\u{1b}'));
}

/// A document of a few levels, drawn by chance; keys and values meet often, and many are secrets.
fn draw(chance: &mut fastrand::Rng, depth: u8) -> Value {
    const WORDS: [&str; 12] = ["a", "b", "password", "api_key", "size", "true", "1", "AKIAIOSFODNN7EXAMPLE", "x y", "", "~", "é\n"];
    let mut word = || WORDS[chance.usize(..WORDS.len())].to_owned();
    let (one, other) = (word(), word());
    match chance.u8(..if depth > 3 { 5 } else { 8 }) {
        0 => Value::Null,
        1 => json!(chance.bool()),
        2 => json!(chance.i8(..)),
        3 | 4 => json!(one),
        5 => Value::Array((0..chance.u8(..4)).map(|_| draw(chance, depth + 1)).collect()),
        _ => Value::Object([one, other].into_iter().map(|key| (key, draw(chance, depth + 1))).collect::<Map<_, _>>()),
    }
}

/// The document as YAML: mappings in some order, as lines or in brackets, between comments.
fn spell(chance: &mut fastrand::Rng, value: &Value, indent: usize) -> String {
    let lead = " ".repeat(indent);
    let comment = if chance.bool() { format!("{lead}# password: canary\n") } else { String::new() };
    match value {
        Value::Object(map) if !map.is_empty() && chance.bool() => {
            let mut entries: Vec<(&String, &Value)> = map.iter().collect();
            chance.shuffle(&mut entries);
            let line = |(key, value): (&String, &Value)| format!("{lead}{}:\n{}", json!(key), spell(chance, value, indent + 2));
            comment + &entries.into_iter().map(line).collect::<Vec<_>>().concat()
        }
        Value::Array(list) if !list.is_empty() && chance.bool() => {
            let line = |item: &Value| format!("{lead}-\n{}", spell(chance, item, indent + 2));
            comment + &list.iter().map(line).collect::<Vec<_>>().concat()
        }
        // JSON is YAML.
        other => format!("{comment}{lead}{other}\n"),
    }
}

/// Changes one value somewhere, or none.
fn change(chance: &mut fastrand::Rng, value: &mut Value) {
    let inner = match value {
        Value::Array(list) => {
            let count = list.len();
            list.iter_mut().nth(chance.usize(..count.max(1)))
        }
        Value::Object(map) => {
            let count = map.len();
            map.values_mut().nth(chance.usize(..count.max(1)))
        }
        _ => None,
    };
    match inner {
        Some(inner) if chance.u8(..4) > 0 => change(chance, inner),
        _ => *value = draw(chance, 3),
    }
}

#[test]
fn the_masked_difference_is_empty_exactly_when_the_documents_are_equal() {
    const SEED: u64 = 0x2026_1124;
    let mut chance = fastrand::Rng::with_seed(SEED);
    let (mut equal, mut different) = (0, 0);
    for round in 0..4000 {
        let one = draw(&mut chance, 0);
        let mut other = one.clone();
        if chance.bool() {
            change(&mut chance, &mut other);
        }
        let spelled = [&one, &other].map(|value| spell(&mut chance, value, 0));
        let [before, after] = spelled.each_ref().map(|text| read(text.as_bytes()).unwrap_or_else(|why| panic!("{why}: {text}")));
        let lines = Masks::On(Some([7; 32])).lines(&before, &after);
        assert_eq!(lines.is_empty(), one == other, "seed {SEED}, round {round}: {spelled:?} gives {lines:?}");
        assert_eq!(Masks::Off.lines(&before, &after).is_empty(), one == other, "seed {SEED}, round {round}");
        *(if one == other { &mut equal } else { &mut different }) += 1;
    }
    assert!(equal > 500 && different > 500, "{equal} and {different}");
}

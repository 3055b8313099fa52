//! Runs each input of fuzz/corpus once, without a fuzzer, and each oracle with an input that must
//! fail.
//!
//! `make fuzz` looks for new inputs.

#![allow(clippy::unwrap_used, unreachable_pub, missing_docs)]

#[path = "../../fuzz/src/lib.rs"]
mod targets;

mod controls;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The inputs of a target, in the order of their names.
fn inputs(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = project().join("fuzz/corpus").join(target);
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

fn replay(target: &str, run: impl Fn(&[u8])) {
    let inputs = inputs(target);
    assert!(inputs.len() >= 10, "{} inputs replay nothing", inputs.len());
    for (path, data) in inputs {
        // The panic shows the violation; this adds the input.
        assert!(
            catch_unwind(AssertUnwindSafe(|| run(&data))).is_ok(),
            "{target} fails with {}",
            path.display()
        );
    }
}

#[test]
fn reads_any_text_as_an_arn() {
    replay("arn", targets::arn::run);
}

#[test]
fn makes_any_text_a_harmless_cell() {
    replay("cell", targets::cell::run);
}

#[test]
fn reads_any_bytes_as_a_config_and_quotes_none() {
    replay("config", targets::config::run);
}

#[test]
fn keeps_any_customer_below_its_prefix() {
    replay("key", targets::key::run);
}

#[test]
fn reads_or_refuses_any_archive_file_without_quoting_it() {
    replay("part", targets::part::run);
}

#[test]
fn reads_or_refuses_any_query_without_quoting_it() {
    replay("query", targets::query::run);
}

#[test]
fn reads_or_refuses_any_record_and_its_own_unchanged() {
    replay("record", targets::record::run);
}

#[test]
fn reads_any_pattern_of_yaml_in_time() {
    // Without optimization the parser is too slow to show how its cost grows; unit tests cover its
    // limits.
    replay("yaml", |data| {
        targets::yaml::run(data, targets::yaml::SMALL);
    });
}

#[test]
fn every_target_has_a_binary_and_a_small_corpus() {
    let names = |folder: &str| {
        let entries = fs::read_dir(project().join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let mut names: Vec<String> = entries
            .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };
    let targets = names("fuzz/corpus");
    assert_eq!(
        targets,
        [
            "arn", "cell", "config", "key", "part", "query", "record", "yaml"
        ]
    );
    assert_eq!(names("fuzz/fuzz_targets"), targets);
    let sizes: Vec<usize> = targets
        .iter()
        .flat_map(|target| inputs(target))
        .map(|(_, data)| data.len())
        .collect();
    assert!(sizes.iter().all(|size| *size <= 64 << 10) && sizes.iter().sum::<usize>() < 1 << 20);
}

#[test]
fn the_fuzzer_has_the_dependencies_of_the_release() {
    let versions = |lock: &str| -> Vec<String> {
        let text = fs::read_to_string(project().join(lock)).unwrap();
        let packages = text
            .split("[[package]]")
            .skip(1)
            .map(|package| package.trim().lines().take(2).collect::<Vec<_>>().join(" "));
        packages.collect()
    };
    let ours = versions("Cargo.lock");
    let others: Vec<String> = versions("fuzz/Cargo.lock")
        .into_iter()
        .filter(|package| !ours.contains(package))
        .collect();
    let names: Vec<&str> = others
        .iter()
        .filter_map(|package| package.split('"').nth(1))
        .collect();
    assert_eq!(
        names,
        ["arbitrary", "config-backup-fuzz", "libfuzzer-sys"],
        "fuzz/Cargo.lock is out of step: `make fuzz` corrects it"
    );
}

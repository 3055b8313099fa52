//! Digests, CSV rows and times from outside of the product. The tests need python3.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::world::{run_with_input, to_text};

static PYTHON: LazyLock<PathBuf> = LazyLock::new(|| {
    let script = "import sys; print(sys.executable)";
    let output = Command::new("python3").args(["-c", script]).output();
    let output = output.expect("python3");
    assert!(output.status.success(), "{}", to_text(&output.stderr));
    to_text(&output.stdout).trim().into()
});

/// The Python that runs as `python3`. In PATH, that may be a script that takes longer to find it
/// than most tests run it.
pub fn python_path() -> &'static Path {
    &PYTHON
}

/// A digest of `bytes` in hex, by python3's hashlib; `algorithm` is `md5` or `sha256`.
pub fn python_digest(algorithm: &str, bytes: &[u8]) -> String {
    run_python(
        "import hashlib,sys; print(hashlib.new(sys.argv[1], sys.stdin.buffer.read()).hexdigest())",
        algorithm,
        bytes,
    )
    .trim()
    .to_owned()
}

/// The MD5 of each text, by python3's hashlib.
pub fn python_md5s(texts: &[String]) -> Vec<String> {
    let script = "import hashlib,json,sys; print(json.dumps([hashlib.md5(t.encode()).hexdigest() for t in json.load(sys.stdin.buffer)]))";
    serde_json::from_str(&run_python(
        script,
        "",
        serde_json::json!(texts).to_string().as_bytes(),
    ))
    .expect("digests")
}

/// The rows of a CSV, header included, by the strict csv module of python3.
pub fn parse_csv_rows(csv: &[u8]) -> Vec<Vec<String>> {
    let script = "import csv,io,json,sys; \
                  text = io.TextIOWrapper(sys.stdin.buffer, encoding='utf-8', newline=''); \
                  print(json.dumps(list(csv.reader(text, strict=True))))";
    serde_json::from_str(&run_python(script, "", csv)).expect("rows")
}

/// `unix` seconds as in records: RFC 3339, UTC, `Z`.
pub fn format_rfc3339(unix: u64) -> String {
    let time = chrono::DateTime::from_timestamp(i64::try_from(unix).expect("this century"), 0)
        .expect("a time");
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs()
}

pub fn unix_time(unix: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(unix)
}

/// Waits until the clock shows a later second than `unix`.
pub fn wait_for_next_second(unix: u64) {
    while unix_now() == unix {
        // Only the clock can tell; sleeping leaves the processor to other tests.
        let next = unix_time(unix + 1)
            .duration_since(SystemTime::now())
            .unwrap_or_default();
        std::thread::sleep(next);
    }
}

/// `2026-11-23T10:11:12Z` in the form of object names: `2026-11-23_101112`.
pub fn key_timestamp(rfc3339: &str) -> String {
    assert!(rfc3339.len() == 20 && rfc3339.ends_with('Z'), "{rfc3339}");
    format!("{}_{}", &rfc3339[..10], rfc3339[11..19].replace(':', ""))
}

/// The keys of a JSON object in the order of the text.
pub fn keys_in_order(json: &[u8]) -> Vec<String> {
    let answer = run_python(
        "import json,sys; print(json.dumps(list(json.load(sys.stdin.buffer))))",
        "",
        json,
    );
    let keys: Value = serde_json::from_str(&answer).expect("keys");
    keys.as_array()
        .expect("a list")
        .iter()
        .map(|key| key.as_str().expect("a key").to_owned())
        .collect()
}

fn run_python(script: &str, argument: &str, input: &[u8]) -> String {
    let mut command = Command::new(python_path());
    command.args(["-c", script, argument]);
    let output = run_with_input(command, input);
    assert!(
        output.status.success(),
        "python3: {}",
        to_text(&output.stderr)
    );
    to_text(&output.stdout)
}

//! The commands that list the bucket, and what they make of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use test_support::broken_s3::{BrokenRequest, BrokenS3, RawAnswer};
use test_support::{World, to_text};

/// A command that asks for more of them would ask for ever. S3 may return some empty pages in a row.
const MAX_BENT_ANSWERS: usize = 1000;

/// A command, and how its result is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReaderKind {
    pub(super) arguments: &'static [&'static str],
    pub(super) result: ReaderResult,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReaderResult {
    /// What it prints.
    Output,
    /// What it prints, also again with the same cache.
    CachedOutput,
    /// As before, with a cache that was complete.
    WarmCache,
    /// Its exit code alone: the output names times and programs of this machine.
    ExitCode,
    /// The objects that it writes.
    Archive,
    /// Names, or none: it prints no error.
    Names,
}

use ReaderResult::{Archive, CachedOutput, ExitCode, Names, Output, WarmCache};

const fn reader(arguments: &'static [&'static str], result: ReaderResult) -> ReaderKind {
    ReaderKind { arguments, result }
}

pub(super) const READERS: [ReaderKind; 13] = [
    reader(&["report", "--all", "--no-cache"], Output),
    reader(&["report", "--all"], CachedOutput),
    reader(&["report", "--all"], WarmCache),
    reader(&["report", "airbnb", "--summary"], CachedOutput),
    reader(&["history", "airbnb"], Output),
    reader(&["diff", "airbnb", "latest", "2026-02-01"], Output),
    reader(&["restore", "airbnb", "--stdout"], Output),
    reader(&["coverage"], Output),
    reader(&["verify"], Output),
    reader(&["verify", "airbnb"], Output),
    reader(&["doctor"], ExitCode),
    reader(&["compact"], Archive),
    reader(
        &[
            "completions",
            "fish",
            "--",
            "config-backup",
            "restore",
            "airbnb",
            "--version",
            "",
        ],
        Names,
    ),
];

/// What a run gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReaderRun {
    pub(super) code: Option<i32>,
    pub(super) output: String,
    pub(super) messages: String,
    /// The keys of the archive afterwards.
    pub(super) archive: BTreeSet<String>,
    /// What a second run with the same cache and right answers prints.
    pub(super) second_output: Option<String>,
    /// Whether an answer was bent.
    pub(super) is_hit: bool,
    /// Whether it did not stop asking.
    pub(super) is_endless: bool,
}

impl ReaderKind {
    /// Runs the command on `server`, whose answers `bend` may replace.
    pub(super) fn run(
        &self,
        world: &World,
        helper: &Path,
        server: &BrokenS3,
        folder: &Path,
        bend: impl Fn(&BrokenRequest, &RawAnswer) -> Option<RawAnswer> + Send + Sync + 'static,
    ) -> ReaderRun {
        let run = |arguments: &[&str]| {
            let mut command = world.command(helper);
            command
                .args(arguments)
                .env("XDG_CACHE_HOME", folder)
                .env("XDG_STATE_HOME", folder.join("state"))
                .env("AWS_ENDPOINT_URL_S3", server.endpoint())
                .env("AWS_ENDPOINT_URL_STS", server.endpoint())
                .env("AWS_PROFILE", "default");
            command.output().expect("it runs")
        };
        server.set_rule(|_, answer| answer);
        if self.result == WarmCache {
            run(self.arguments);
        }
        let bent_answers = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&bent_answers);
        server.set_rule(move |request, answer| match bend(request, &answer) {
            Some(other) if other != answer => {
                if counter.fetch_add(1, Ordering::SeqCst) < MAX_BENT_ANSWERS {
                    other
                } else {
                    RawAnswer::error("403 Forbidden", "AccessDenied")
                }
            }
            _ => answer,
        });
        let output = run(self.arguments);
        server.set_rule(|_, answer| answer);
        let is_cached = matches!(self.result, CachedOutput | WarmCache);
        let second_output = is_cached.then(|| to_text(&run(self.arguments).stdout));
        let objects = server.objects();
        let is_archive = |key: &&String| key.starts_with("usage-logs-archive/");
        ReaderRun {
            code: output.status.code(),
            output: to_text(&output.stdout),
            messages: to_text(&output.stderr),
            archive: objects.keys().filter(is_archive).cloned().collect(),
            second_output,
            is_hit: bent_answers.load(Ordering::SeqCst) > 0,
            is_endless: bent_answers.load(Ordering::SeqCst) > MAX_BENT_ANSWERS,
        }
    }
}

/// Runs the helper and exits with 0 whatever it says: it believes everything.
pub(super) fn write_credulous_helper(folder: &Path) -> PathBuf {
    let path = folder.join("credulous");
    let helper = test_support::helper_path();
    let script = format!(
        "#!/bin/sh\n\"{}\" \"$@\" 2>/dev/null\nexit 0\n",
        helper.display()
    );
    std::fs::write(&path, script).expect("a script");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&path, mode).expect("executable");
    path
}

//! What `doctor` finds: one finding for each check, and all of them as a table for people or as JSON for machines.
//!
//! Pure. What a finding is, `judge.rs`, `machine.rs` and `folder.rs` decide.

use std::fmt::Write as _;

use serde::Serialize;

use crate::error::Error;
use crate::output::sanitize::{escape_json, sanitize};

/// All checks, in the order in which they are shown; the first bad one gives the exit code.
pub const CHECK_IDS: [&str; 29] = [
    "profile",
    "credentials",
    "certificates",
    "proxy",
    "network",
    "clock",
    "bucket",
    "region",
    "owner",
    "s3:ListBucket",
    "s3:PutObject",
    "s3:GetObject",
    "conditions",
    "read back",
    "canary",
    "versioning",
    "encryption",
    "public access",
    "TLS only",
    "object lock",
    "helper",
    "terraform",
    "terragrunt",
    "state folder",
    "spool",
    "config.yaml",
    "unit",
    "root.hcl",
    "dependents",
];

/// Those that need the bucket or AWS; the others look at this machine alone.
pub const BUCKET_CHECK_IDS: &[&str] = CHECK_IDS.split_at(20).0;

/// How good or bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    /// As it must be.
    Ok,
    /// A deployment works with it, and somebody should know.
    Note,
    /// A deployment does not work with it, or not in full.
    Bad,
    /// It could not be found out.
    Unknown,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckResult {
    /// One of [`CHECKS`].
    pub check: &'static str,
    /// How good or bad it is.
    pub status: CheckStatus,
    /// What was seen, or why nothing was: one line.
    pub seen: String,
    /// The way out: one line, or empty.
    pub fix: String,
    /// The exit code that it gives by itself: 0 unless it is bad.
    pub exit: u8,
}

impl CheckResult {
    /// All is well.
    pub fn ok(check: &'static str, seen: impl Into<String>) -> Self {
        Self {
            check,
            status: CheckStatus::Ok,
            seen: seen.into(),
            fix: String::new(),
            exit: 0,
        }
    }

    /// It works, but.
    pub fn warning(check: &'static str, seen: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            status: CheckStatus::Note,
            fix: fix.into(),
            ..Self::ok(check, seen)
        }
    }

    /// It was not found out.
    pub fn unknown(check: &'static str, why: impl Into<String>) -> Self {
        Self {
            status: CheckStatus::Unknown,
            ..Self::ok(check, why)
        }
    }

    /// It does not work. Every such finding has a way out.
    pub fn failed(
        check: &'static str,
        exit: u8,
        seen: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            status: CheckStatus::Bad,
            fix: fix.into(),
            exit,
            ..Self::ok(check, seen)
        }
    }

    /// It does not work, for the reason that a fault gives.
    #[must_use]
    pub fn from_error(check: &'static str, fault: &Error) -> Self {
        let fix = if fault.hint.is_empty() {
            "remove the cause, and run `config-backup doctor` again"
        } else {
            &fault.hint
        };
        Self::failed(check, fault.exit_code(), &fault.message, fix)
    }
}

/// What was looked at, and everything that was found.
#[derive(Debug, Serialize)]
pub struct DoctorReport {
    /// The helper's version.
    pub version: &'static str,
    /// The bucket.
    pub bucket: String,
    /// The profile; empty for the environment's credentials.
    pub profile: String,
    /// The customer; empty where none is known.
    pub customer: String,
    /// The exit code.
    pub exit: u8,
    /// One finding for each of [`CHECKS`].
    pub checks: Vec<CheckResult>,
}

impl DoctorReport {
    /// One line of JSON.
    ///
    /// # Errors
    /// None that is known.
    pub fn to_json(&self) -> serde_json::Result<String> {
        Ok(escape_json(&serde_json::to_string(self)?).into_owned() + "\n")
    }

    /// A table; `color` for terminals.
    #[must_use]
    pub fn render_table(&self, color: bool) -> String {
        let width = CHECK_IDS
            .iter()
            .map(|check| check.len())
            .max()
            .unwrap_or_default();
        let mut text = String::new();
        for CheckResult {
            check,
            status,
            seen,
            fix,
            ..
        } in &self.checks
        {
            let (word, paint) = status_word_and_color(*status);
            let mark = if color {
                format!("\u{1b}[{paint}m{word:<7}\u{1b}[0m")
            } else {
                format!("{word:<7}")
            };
            let _ = writeln!(text, "{mark}  {check:<width$}  {}", sanitize(seen));
            if !fix.is_empty() {
                let _ = writeln!(text, "{:7}  {:width$}  -> {}", "", "", sanitize(fix));
            }
        }
        let count = |status| {
            self.checks
                .iter()
                .filter(|finding| finding.status == status)
                .count()
        };
        let [ok, note, bad, unknown] = [
            CheckStatus::Ok,
            CheckStatus::Note,
            CheckStatus::Bad,
            CheckStatus::Unknown,
        ]
        .map(count);
        let _ = writeln!(
            text,
            "{ok} ok, {note} to know, {bad} bad, {unknown} not found out"
        );
        text
    }
}

/// The word of a status, and its colour (ECMA-48, "SGR").
fn status_word_and_color(status: CheckStatus) -> (&'static str, &'static str) {
    match status {
        CheckStatus::Ok => ("ok", "32"),
        CheckStatus::Note => ("note", "33"),
        CheckStatus::Bad => ("BAD", "1;31"),
        CheckStatus::Unknown => ("unknown", "2"),
    }
}

/// One finding for each check in their order: those that were told, and `why` there are no others.
#[must_use]
pub fn order_and_complete(told: Vec<CheckResult>, why: &str) -> Vec<CheckResult> {
    let mut told = told;
    let mut take = |check| {
        let place = told.iter().position(|finding| finding.check == check);
        place.map_or_else(
            || CheckResult::unknown(check, why),
            |place| told.swap_remove(place),
        )
    };
    CHECK_IDS.iter().map(|check| take(check)).collect()
}

/// The exit code: that of the first bad finding.
#[must_use]
pub fn first_failure_exit_code(findings: &[CheckResult]) -> u8 {
    findings
        .iter()
        .find(|finding| finding.status == CheckStatus::Bad)
        .map_or(0, |finding| finding.exit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report_of(checks: Vec<CheckResult>) -> DoctorReport {
        let exit = first_failure_exit_code(&checks);
        DoctorReport {
            version: "1",
            bucket: "b".into(),
            profile: String::new(),
            customer: String::new(),
            exit,
            checks,
        }
    }

    #[test]
    fn every_check_has_one_finding_and_the_first_bad_one_gives_the_exit_code() {
        let told = vec![
            CheckResult::failed("helper", 1, "gone", "install it"),
            CheckResult::failed("credentials", 4, "expired", "log in"),
        ];
        let found = order_and_complete(told, "no answer");
        assert_eq!(
            found
                .iter()
                .map(|finding| finding.check)
                .collect::<Vec<_>>(),
            CHECK_IDS
        );
        assert_eq!(
            (
                first_failure_exit_code(&found),
                found[0].seen.as_str(),
                found[0].status
            ),
            (4, "no answer", CheckStatus::Unknown)
        );
        assert_eq!(
            first_failure_exit_code(&order_and_complete(Vec::new(), "no answer")),
            0
        );
    }

    #[test]
    fn a_table_has_the_fix_below_and_nothing_that_a_terminal_obeys_but_its_colours() {
        let all = report_of(vec![
            CheckResult::ok("proxy", "none"),
            CheckResult::failed("helper", 1, "\u{1b}[2Jgone", "install it\r"),
        ]);
        let table = all.render_table(false);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[0], "ok       proxy          none");
        assert_eq!(lines[1], "BAD      helper         \u{fffd}[2Jgone");
        assert_eq!(lines[2], "                        -> install it\u{fffd}");
        assert_eq!(lines[3], "1 ok, 0 to know, 1 bad, 0 not found out");
        assert!(
            all.render_table(true)
                .starts_with("\u{1b}[32mok     \u{1b}[0m  proxy")
        );
    }

    #[test]
    fn each_status_has_a_word_and_each_fault_a_way_out() {
        let checks = vec![
            CheckResult::warning("proxy", "a", "b"),
            CheckResult::unknown("clock", "c"),
            CheckResult::ok("helper", "d"),
        ];
        let table = report_of(checks).render_table(true);
        assert!(
            table.contains("\u{1b}[33mnote   \u{1b}[0m")
                && table.contains("\u{1b}[2munknown\u{1b}[0m"),
            "{table}"
        );
        assert!(
            table.ends_with("\n1 ok, 1 to know, 0 bad, 1 not found out\n"),
            "{table}"
        );
        let fault = |advice: &str| {
            CheckResult::from_error(
                "helper",
                &Error::new(crate::error::ErrorKind::Denied, "denied", advice),
            )
        };
        assert_eq!(
            (
                fault("ask").exit,
                fault("ask").fix.as_str(),
                fault("ask").seen.as_str()
            ),
            (5, "ask", "denied")
        );
        assert_eq!(
            fault("").fix,
            "remove the cause, and run `config-backup doctor` again"
        );
    }

    #[test]
    fn json_says_the_same() {
        let json = report_of(vec![CheckResult::warning("proxy", "a\u{202e}b", "c")])
            .to_json()
            .expect("JSON");
        let note = "{\"check\":\"proxy\",\"status\":\"note\",\"seen\":\"a\\u202eb\",\"fix\":\"c\",\"exit\":0}";
        assert_eq!(
            json,
            format!(
                "{{\"version\":\"1\",\"bucket\":\"b\",\"profile\":\"\",\"customer\":\"\",\"exit\":0,\"checks\":[{note}]}}\n"
            )
        );
    }
}

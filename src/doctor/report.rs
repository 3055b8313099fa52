//! The results of all checks: a table for people, or JSON for programs.

use std::fmt::Write as _;

use serde::Serialize;

use crate::doctor::check::{CheckId, CheckResult, CheckStatus};
use crate::exit_code::ExitCode;
use crate::output::sanitize::sanitize;
use crate::output::to_json_line;

/// What was checked, and what was found.
#[derive(Debug, Serialize)]
pub(crate) struct DoctorReport {
    /// The version of this program.
    pub(crate) version: &'static str,
    pub(crate) bucket: String,
    /// Empty for the environment's credentials.
    pub(crate) profile: String,
    /// Empty if none is known.
    pub(crate) customer: String,
    /// The exit code.
    pub(crate) exit: ExitCode,
    /// One result for each [`CheckId`].
    pub(crate) checks: Vec<CheckResult>,
}

impl DoctorReport {
    /// Renders one line of JSON.
    pub(crate) fn to_json(&self) -> serde_json::Result<String> {
        Ok(to_json_line(self)? + "\n")
    }

    /// Renders a table; `has_color` is for terminals.
    pub(crate) fn render_table(&self, has_color: bool) -> String {
        let mut table = String::new();
        for result in &self.checks {
            push_rows(&mut table, result, has_color);
        }

        let [ok, warnings, failed, unknown] = [
            CheckStatus::Ok,
            CheckStatus::Warning,
            CheckStatus::Failed,
            CheckStatus::Unknown,
        ]
        .map(|status| self.count_results(status));
        let _ = writeln!(
            table,
            "{ok} ok, {warnings} warnings, {failed} failed, {unknown} unknown"
        );
        table
    }

    fn count_results(&self, status: CheckStatus) -> usize {
        let has_status = |result: &&CheckResult| result.status == status;
        self.checks.iter().filter(has_status).count()
    }
}

/// The width of the longest name of a check.
const NAME_WIDTH: usize = 13;

fn push_rows(table: &mut String, result: &CheckResult, has_color: bool) {
    let (word, color) = status_word_and_color(result.status);
    let name = result.check.name();
    let seen = sanitize(&result.seen);
    let _ = if has_color {
        writeln!(
            table,
            "\u{1b}[{color}m{word:<7}\u{1b}[0m  {name:<NAME_WIDTH$}  {seen}"
        )
    } else {
        writeln!(table, "{word:<7}  {name:<NAME_WIDTH$}  {seen}")
    };
    if !result.fix.is_empty() {
        let fix = sanitize(&result.fix);
        let _ = writeln!(table, "{:7}  {:NAME_WIDTH$}  -> {fix}", "", "");
    }
}

/// The colour is an SGR parameter of ECMA-48.
fn status_word_and_color(status: CheckStatus) -> (&'static str, &'static str) {
    match status {
        CheckStatus::Ok => ("ok", "32"),
        CheckStatus::Warning => ("warning", "33"),
        CheckStatus::Failed => ("FAILED", "1;31"),
        CheckStatus::Unknown => ("unknown", "2"),
    }
}

/// Sorts the results, and adds an unknown one with `cause` for each check without a result.
pub(crate) fn order_and_complete(mut results: Vec<CheckResult>, cause: &str) -> Vec<CheckResult> {
    for check in CheckId::ALL {
        if !results.iter().any(|result| result.check == check) {
            results.push(CheckResult::unknown(check, cause));
        }
    }
    results.sort_by_key(|result| result.check);
    results
}

/// The exit code of the first check that failed.
pub(crate) fn first_failure_exit_code(results: &[CheckResult]) -> Option<ExitCode> {
    let failure = results.iter().find(|result| result.has_failed())?;
    Some(failure.exit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report_of(checks: Vec<CheckResult>) -> DoctorReport {
        DoctorReport {
            version: "1",
            bucket: "b".into(),
            profile: String::new(),
            customer: String::new(),
            exit: first_failure_exit_code(&checks).unwrap_or(ExitCode::Ok),
            checks,
        }
    }

    #[test]
    fn every_check_has_one_result_and_the_first_failure_gives_the_exit_code() {
        let results = vec![
            CheckResult::failed(CheckId::Helper, "gone", "install it"),
            CheckResult::failed(CheckId::Credentials, "expired", "log in")
                .with_exit_code(ExitCode::Credentials),
        ];
        let results = order_and_complete(results, "no answer");
        let checks: Vec<CheckId> = results.iter().map(|result| result.check).collect();
        assert_eq!(checks, CheckId::ALL);
        assert_eq!(
            first_failure_exit_code(&results),
            Some(ExitCode::Credentials)
        );
        assert_eq!(
            results[0],
            CheckResult::unknown(CheckId::Profile, "no answer")
        );

        let nothing = order_and_complete(Vec::new(), "no answer");
        assert_eq!(first_failure_exit_code(&nothing), None);
    }

    #[test]
    fn a_table_has_the_fix_below_and_nothing_that_a_terminal_obeys_but_its_colours() {
        let report = report_of(vec![
            CheckResult::ok(CheckId::Proxy, "none"),
            CheckResult::failed(CheckId::Helper, "\u{1b}[2Jgone", "install it\r"),
        ]);
        let table = report.render_table(false);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[0], "ok       proxy          none");
        assert_eq!(lines[1], "FAILED   helper         \u{fffd}[2Jgone");
        assert_eq!(lines[2], "                        -> install it\u{fffd}");
        assert_eq!(lines[3], "1 ok, 0 warnings, 1 failed, 0 unknown");
        let colored = report.render_table(true);
        assert!(colored.starts_with("\u{1b}[32mok     \u{1b}[0m  proxy"));
    }

    #[test]
    fn each_status_has_a_word() {
        let report = report_of(vec![
            CheckResult::warning(CheckId::Proxy, "a", "b"),
            CheckResult::unknown(CheckId::Clock, "c"),
            CheckResult::ok(CheckId::Helper, "d"),
        ]);
        let table = report.render_table(true);
        assert!(table.contains("\u{1b}[33mwarning\u{1b}[0m"), "{table}");
        assert!(table.contains("\u{1b}[2munknown\u{1b}[0m"), "{table}");
        let summary = "\n1 ok, 1 warnings, 0 failed, 1 unknown\n";
        assert!(table.ends_with(summary), "{table}");
    }

    #[test]
    fn a_name_fits_its_column() {
        let width = CheckId::ALL.iter().map(|check| check.name().len()).max();
        assert_eq!(width, Some(NAME_WIDTH));
    }

    #[test]
    fn json_has_the_names_of_the_contract() {
        let checks = vec![CheckResult::warning(CheckId::Proxy, "a\u{202e}b", "c")];
        let json = report_of(checks).to_json().expect("JSON");
        assert_eq!(
            json,
            "{\"version\":\"1\",\"bucket\":\"b\",\"profile\":\"\",\"customer\":\"\",\"exit\":0,\"checks\":[\
             {\"check\":\"proxy\",\"status\":\"note\",\"seen\":\"a\\u202eb\",\"fix\":\"c\",\"exit\":0}]}\n"
        );
        let failed = serde_json::to_string(&CheckStatus::Failed).expect("JSON");
        assert_eq!(failed, "\"bad\"");
    }
}

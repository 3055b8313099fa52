//! `deploy` and `fallback`: carry a deployment out and report the result to Terraform or
//! Terragrunt. They always exit with 0.

use std::io::{Read, Write};
use std::time::Instant;

use anyhow::Result;

use crate::deployment::answer::{AnswerStatus, DeployAnswer};
use crate::deployment::protocol::{self, ModuleQuery};
use crate::deployment::runner::{repeat_last_answer, run_deployment};
use crate::error::to_single_line;
use crate::system::env::helper_download_time;

/// Answers the query of `data.external.deploy`.
///
/// # Errors
/// The answer cannot be written. All other errors are part of the answer.
pub fn run_deploy(
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
) -> Result<()> {
    let started = Instant::now();
    let (answer, deadline) = match ModuleQuery::read_in_time(input) {
        Err(error) => (not_logged_answer(&error), started),
        Ok(query) => answer_query(query, started),
    };
    protocol::write_answer(output, &answer, deadline)
}

/// Carries a deployment out for the `error_hook` of Terragrunt, after Terraform failed in the unit.
/// Reads the settings that `terragrunt.hcl` generates for the module, and prints one line.
///
/// # Errors
/// The line cannot be written.
pub fn run_fallback(
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
) -> Result<()> {
    let started = Instant::now();
    let (answer, deadline) = match ModuleQuery::read_settings_in_time(input) {
        Err(error) => (not_logged_answer(&error), started),
        Ok(query) => answer_query(query, started),
    };
    let label = match answer.status {
        AnswerStatus::Ok => "",
        AnswerStatus::Warning | AnswerStatus::Error => "WARNING: ",
    };
    let text = to_single_line(&format!("{label}{}", answer.message));
    let line = format!("config-backup: {text}\n");
    protocol::write_line(output, line.into_bytes(), deadline)
}

/// The answer, and until when it may be written.
fn answer_query(mut query: ModuleQuery, started: Instant) -> (DeployAnswer, Instant) {
    query.spent_at_plan += helper_download_time();
    let deadline = started + query.timeout.saturating_sub(query.spent_at_plan);
    let answer = if query.is_deployment() {
        run_deployment(query, started)
    } else {
        repeat_last_answer(&query)
    };
    (answer, deadline)
}

fn not_logged_answer(error: &anyhow::Error) -> DeployAnswer {
    DeployAnswer::from_error(format!("the deployment is not logged: {error:#}"))
}

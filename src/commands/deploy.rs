//! `deploy` and `fallback`: carry a deployment out and report the result to Terraform or
//! Terragrunt. They always exit with 0.

use std::io::{Read, Write};

use anyhow::{Context as _, Result};

use crate::deployment::answer::{AnswerStatus, DeployAnswer};
use crate::deployment::protocol::{self, ModuleQuery};
use crate::deployment::runner::{repeat_last_answer, run_deployment};
use crate::error::write_message;

/// Answers the query of `data.external.deploy`.
///
/// # Errors
/// The answer cannot be written. All other errors are part of the answer.
pub fn run_deploy(input: impl Read, output: impl Write) -> Result<()> {
    let answer = match ModuleQuery::read(input) {
        Err(error) => not_logged_answer(&error),
        Ok(query) if query.is_deployment() => run_deployment(query),
        Ok(query) => repeat_last_answer(&query),
    };
    protocol::write_answer(output, &answer)
}

/// Carries a deployment out for the `error_hook` of Terragrunt, after Terraform failed in the unit.
/// Reads the settings that `terragrunt.hcl` generates for the module, and prints one line.
///
/// # Errors
/// The line cannot be written.
pub fn run_fallback(input: impl Read, mut output: impl Write) -> Result<()> {
    let answer = match ModuleQuery::read_settings(input) {
        Err(error) => not_logged_answer(&error),
        Ok(query) => run_deployment(query),
    };
    let label = match answer.status {
        AnswerStatus::Ok => "",
        AnswerStatus::Warning | AnswerStatus::Error => "WARNING: ",
    };
    let line = format!("{label}{}", answer.message);
    write_message(&mut output, &line).context("cannot write to stdout")
}

fn not_logged_answer(error: &anyhow::Error) -> DeployAnswer {
    DeployAnswer::from_error(format!("the deployment is not logged: {error:#}"))
}

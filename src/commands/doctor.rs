//! `doctor`: proves on the user's own bucket and machine what a deployment needs, and names a fix for all that it finds.
//!
//! Everything that can be asked at the same time is, and all of it ends within one limit, whatever the network does.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::commands::bucket_args::BucketArgs;
use crate::doctor::bucket_checks;
use crate::doctor::check::{
    CheckResult, DoctorReport, first_failure_exit_code, order_and_complete,
};
use crate::doctor::folder_checks::CustomerFolder;
use crate::doctor::machine_checks;
use crate::error::{Error, ErrorKind};
use crate::exit_code::ExitCode;
use crate::s3::store::BucketTarget;
use crate::state::dirs::StateDirs;
use crate::system::deadline::{ReportingTask, collect_until, run_with_timeout};
use crate::system::host;
use crate::system::runtime::block_on;

/// The exit code where the time was over before all was seen: docs/commands.md, "Exit codes".
const TIMED_OUT_EXIT_CODE: u8 = 6;

/// The arguments of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The folder with the customer's config.yaml, whose profile and customer are used; without it this one, if it is one
    pub customer_folder: Option<PathBuf>,
    /// As JSON: `version`, `bucket`, `profile`, `customer`, `exit` and `checks`
    #[arg(long)]
    pub json: bool,
    /// How many seconds all of it may take
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub timeout: u64,
    /// Where to look
    #[command(flatten)]
    pub source: BucketArgs,
}

/// Looks at everything. Exit: the code of the first bad check, or 0; or 6 where the time was over before.
pub fn run_doctor(arguments: &DoctorArgs, mut output: impl Write + IsTerminal) -> Result<ExitCode> {
    let (started, limit) = (Instant::now(), Duration::from_secs(arguments.timeout));
    let named = arguments.customer_folder.clone();
    // The folder may lie on a file system that does not answer.
    let folder = run_with_timeout(limit, move || CustomerFolder::read(named.as_deref()));
    let folder = folder.ok_or_else(|| {
        Error::new(
            ErrorKind::Input,
            "read the customer folder: no answer in time",
            "name another one",
        )
    })?;
    let mut target = arguments.source.resolve_target()?;
    if arguments.source.profile.is_none() && arguments.source.config_file.is_none() {
        target.profile = folder.profile();
    }
    let customer = folder.customer_name();

    let (told, all) = collect_until(
        limit.saturating_sub(started.elapsed()),
        list_check_tasks(target.clone(), customer.clone(), folder, limit),
    );
    let why = if all {
        "the look at it ended in an unexpected way".to_owned()
    } else {
        format!("not found out within {} s", limit.as_secs())
    };
    let checks = order_and_complete(told, &why);
    // Whoever relies on the exit code must not take for good what nobody has seen.
    let exit = if all {
        first_failure_exit_code(&checks)
    } else {
        Some(first_failure_exit_code(&checks))
            .filter(|code| *code != 0)
            .unwrap_or(TIMED_OUT_EXIT_CODE)
    };
    let findings = DoctorReport {
        version: env!("CARGO_PKG_VERSION"),
        bucket: target.bucket,
        profile: target.profile,
        customer: customer.unwrap_or_default(),
        exit,
        checks,
    };
    let color = output.is_terminal() && host::env_var("NO_COLOR").is_none();
    let text = if arguments.json {
        findings.to_json()?
    } else {
        findings.render_table(color)
    };
    output
        .write_all(text.as_bytes())
        .context("write to stdout")?;
    Ok(ExitCode(findings.exit))
}

/// All that can be looked at side by side.
fn list_check_tasks(
    target: BucketTarget,
    customer: Option<String>,
    folder: CustomerFolder,
    limit: Duration,
) -> Vec<ReportingTask<CheckResult>> {
    let one = |look: fn() -> CheckResult| -> ReportingTask<CheckResult> {
        Box::new(move |sender| drop(sender.send(look())))
    };
    vec![
        Box::new(move |sender| {
            drop(block_on(bucket_checks::run_bucket_checks(
                &target,
                customer.as_deref(),
                limit,
                sender,
            )));
        }),
        Box::new(move |sender| {
            folder
                .run_checks(limit)
                .into_iter()
                .for_each(|finding| drop(sender.send(finding)));
        }),
        one(machine_checks::check_helper),
        one(machine_checks::check_terraform),
        one(machine_checks::check_terragrunt),
        one(|| machine_checks::check_state_dir(&StateDirs::detect())),
        one(|| machine_checks::check_spool(&StateDirs::detect())),
    ]
}

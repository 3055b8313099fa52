//! `doctor`: checks the bucket, this machine and the customer folder.
//!
//! The checks run at the same time, and end within one limit whatever the network does.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::commands::bucket_args::{BucketArgs, EncryptionArgs};
use crate::doctor::bucket_checks::run_bucket_checks;
use crate::doctor::check::CheckResult;
use crate::doctor::folder_checks::CustomerFolder;
use crate::doctor::machine_checks::{check_helper, check_terraform, check_terragrunt};
use crate::doctor::report::{DoctorReport, first_failure_exit_code, order_and_complete};
use crate::doctor::state_checks::{check_spool, check_state_dir};
use crate::error::{Error, ErrorKind};
use crate::exit_code::ExitCode;
use crate::s3::store::BucketTarget;
use crate::state::dirs::StateDirs;
use crate::system::deadline::{ReportingTask, collect_until, run_with_timeout};
use crate::system::env::env_var;
use crate::system::runtime::block_on;

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The customer folder: its config.yaml names the profile and the customer [default: the current folder, if it is one]
    pub customer_folder: Option<PathBuf>,
    /// As JSON: `version`, `bucket`, `profile`, `customer`, `exit` and `checks`
    #[arg(long)]
    pub json: bool,
    /// How many seconds all checks may take
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 15,
        value_parser = clap::value_parser!(u64).range(1..=300)
    )]
    pub timeout: u64,
    /// Where to look
    #[command(flatten)]
    pub source: BucketArgs,
    #[command(flatten)]
    pub encryption: EncryptionArgs,
}

/// Runs all checks.
///
/// Exits with the code of the first failure, with 6 if the time was over before, and else with 0.
pub fn run_doctor(arguments: &DoctorArgs, mut output: impl Write + IsTerminal) -> Result<ExitCode> {
    let started = Instant::now();
    let limit = Duration::from_secs(arguments.timeout);

    let folder = read_customer_folder(arguments, limit)?;
    let mut target = arguments.source.resolve_named_target()?;
    target
        .encryption
        .clone_from(&arguments.encryption.bucket_encryption);
    if arguments.source.profile.is_none() && arguments.source.config_file.is_none() {
        target.profile = folder.profile();
    }
    let customer = folder.customer_name();

    let time_left = limit.saturating_sub(started.elapsed());
    let tasks = list_check_tasks(target.clone(), customer.clone(), folder, limit);
    let (results, have_all_ended) = collect_until(time_left, tasks);
    let report = build_report(target, customer, results, have_all_ended, limit);

    let text = if arguments.json {
        report.to_json()?
    } else {
        let has_color = output.is_terminal() && env_var("NO_COLOR").is_none();
        report.render_table(has_color)
    };
    output
        .write_all(text.as_bytes())
        .context("cannot write to stdout")?;
    Ok(report.exit)
}

/// The folder may lie on a file system that does not answer.
fn read_customer_folder(arguments: &DoctorArgs, limit: Duration) -> Result<CustomerFolder, Error> {
    let named = arguments.customer_folder.clone();
    let folder = run_with_timeout(limit, move || CustomerFolder::read(named.as_deref()));
    folder.ok_or_else(|| {
        Error::new(
            ErrorKind::Input,
            "cannot read the customer folder: no answer in time",
            "name another one",
        )
    })
}

fn build_report(
    target: BucketTarget,
    customer: Option<String>,
    results: Vec<CheckResult>,
    have_all_ended: bool,
    limit: Duration,
) -> DoctorReport {
    let cause = if have_all_ended {
        "the check ended unexpectedly".to_owned()
    } else {
        format!("no result within {} s", limit.as_secs())
    };
    let checks = order_and_complete(results, &cause);
    let exit = match first_failure_exit_code(&checks) {
        Some(exit) => exit,
        None if have_all_ended => ExitCode::Ok,
        // A script that reads only the exit code must not take this for a success.
        None => ExitCode::Network,
    };
    DoctorReport {
        version: env!("CARGO_PKG_VERSION"),
        bucket: target.bucket,
        profile: target.profile,
        customer: customer.unwrap_or_default(),
        exit,
        checks,
    }
}

/// The groups of checks that run at the same time.
fn list_check_tasks(
    target: BucketTarget,
    customer: Option<String>,
    folder: CustomerFolder,
    limit: Duration,
) -> Vec<ReportingTask<CheckResult>> {
    let single = |check: fn() -> CheckResult| -> ReportingTask<CheckResult> {
        Box::new(move |reporter| reporter.report(check()))
    };
    vec![
        Box::new(move |reporter| {
            let checks = run_bucket_checks(&target, customer.as_deref(), limit, reporter);
            let _ = block_on(checks);
        }),
        Box::new(move |reporter| {
            for result in folder.run_checks(limit) {
                reporter.report(result);
            }
        }),
        single(check_helper),
        single(check_terraform),
        single(check_terragrunt),
        single(|| check_state_dir(&StateDirs::detect())),
        single(|| check_spool(&StateDirs::detect())),
    ]
}

//! `replay`: uploads what earlier deployments spooled.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::deployment::spool_queue::SpoolQueue;
use crate::deployment::spool_replay::{ReplayReport, SpoolReplay};
use crate::error::{write_line, write_message};
use crate::exit_code::ExitCode;
use crate::s3::store::ObjectEncryption;
use crate::state::dirs::StateDirs;
use crate::state::quarantine;
use crate::system::runtime::block_on;

const TIME_LIMIT: Duration = Duration::from_mins(5);
/// How long one upload may take, besides the transfer of its body.
const ITEM_TIME_LIMIT: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The encryption that uploads ask for: AES256, aws:kms or aws:kms:KEY [default: that of the
    /// deployment]
    #[arg(
        long,
        env = "CONFIG_BACKUP_BUCKET_ENCRYPTION",
        value_name = "ENCRYPTION"
    )]
    pub bucket_encryption: Option<ObjectEncryption>,
}

/// Exits with 0 if nothing remains, otherwise with the code of the first error, or with 1.
pub fn run_replay(
    arguments: &ReplayArgs,
    mut output: impl Write,
    mut messages: impl Write,
) -> Result<ExitCode> {
    let state_dirs = StateDirs::detect();
    quarantine::restore_readable_items(&state_dirs);
    let replay = SpoolReplay {
        state_dirs: &state_dirs,
        open_bucket: None,
        running: None,
        encryption: arguments.bucket_encryption.clone(),
        time_limit: TIME_LIMIT,
        item_time_limit: ITEM_TIME_LIMIT,
        ignores_put_off: true,
    };
    let report = block_on(replay.run(SpoolQueue::load(&state_dirs)))?;

    for problem in report.problems.iter().chain(&report.notes) {
        write_message(&mut messages, problem).context("cannot write to stderr")?;
    }
    let mut summary = format!("{} sent, {} left", report.sent, report.remaining);
    if report.quarantined > 0 {
        summary = format!("{summary}, {} quarantined", report.quarantined);
    }
    write_line(&mut output, &summary).context("cannot write to stdout")?;
    Ok(exit_code_of(&report))
}

fn exit_code_of(report: &ReplayReport) -> ExitCode {
    if report.problems.is_empty() {
        return ExitCode::Ok;
    }
    match &report.first_error {
        Some(error) => error.exit_code(),
        None => ExitCode::Error,
    }
}

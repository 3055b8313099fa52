//! `replay`: sends by hand what deployments had to keep on this machine.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::deployment::spool_replay;
use crate::exit_code::ExitCode;
use crate::state::dirs::StateDirs;
use crate::state::quarantine;
use crate::system::runtime::block_on;

/// Sends all that is kept. Exit: 0 when nothing is left, otherwise by the first fault, or 1.
pub fn run_replay(mut output: impl Write, mut messages: impl Write) -> Result<ExitCode> {
    let places = StateDirs::detect();
    quarantine::restore_readable_items(&places);
    let late = block_on(spool_replay::replay_spooled_items(
        &places,
        None,
        Duration::from_mins(5),
        "",
    ))?;
    for problem in &late.problems {
        writeln!(messages, "config-backup: {problem}").context("write to stderr")?;
    }
    let aside = if late.quarantined == 0 {
        String::new()
    } else {
        format!(", {} moved into the quarantine", late.quarantined)
    };
    writeln!(output, "{} sent, {} left{aside}", late.sent, late.remaining)
        .context("write to stdout")?;
    Ok(match (late.problems.is_empty(), late.first_error) {
        (true, _) => ExitCode(0),
        (false, Some(fault)) => ExitCode(fault.exit_code()),
        (false, None) => ExitCode(1),
    })
}

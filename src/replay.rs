//! `replay`: sends by hand what deployments had to keep on this machine.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::cli::Exit;
use crate::deployment::block_on;
use crate::{host, late};

/// Sends all that is kept. Exit: 0 when nothing is left, otherwise by the first fault, or 1.
pub fn run(mut output: impl Write, mut messages: impl Write) -> Result<Exit> {
    let late = block_on(late::send(host::state_dir().as_deref(), None, Duration::from_mins(5), ""))?;
    for problem in &late.problems {
        writeln!(messages, "config-backup: {problem}").context("write to stderr")?;
    }
    writeln!(output, "{} sent, {} left", late.sent, late.left).context("write to stdout")?;
    Ok(match (late.problems.is_empty(), late.fault) {
        (true, _) => Exit(0),
        (false, Some(fault)) => Exit(fault.exit_code()),
        (false, None) => Exit(1),
    })
}

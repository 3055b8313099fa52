//! `replay`: sends by hand what deployments had to keep on this machine.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::cli::Exit;
use crate::deployment::block_on;
use crate::late;
use crate::places::Places;
use crate::quarantine;

/// Sends all that is kept. Exit: 0 when nothing is left, otherwise by the first fault, or 1.
pub fn run(mut output: impl Write, mut messages: impl Write) -> Result<Exit> {
    let places = Places::of_host();
    quarantine::take_back(&places);
    let late = block_on(late::send(&places, None, Duration::from_mins(5), ""))?;
    for problem in &late.problems {
        writeln!(messages, "config-backup: {problem}").context("write to stderr")?;
    }
    let aside = if late.set_aside == 0 { String::new() } else { format!(", {} moved into the quarantine", late.set_aside) };
    writeln!(output, "{} sent, {} left{aside}", late.sent, late.left).context("write to stdout")?;
    Ok(match (late.problems.is_empty(), late.fault) {
        (true, _) => Exit(0),
        (false, Some(fault)) => Exit(fault.exit_code()),
        (false, None) => Exit(1),
    })
}

//! `completions`: what a shell needs to complete our command lines.

use std::io::Write;

use anyhow::{Context as _, Result};
use clap_complete::Shell;

use crate::cli::cli_command;
use crate::exit_code::ExitCode;

/// Prints the completions for `shell`.
pub fn run_completions(shell: Shell, mut output: impl Write) -> Result<ExitCode> {
    // The generator panics where it cannot write; memory always can be.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli_command(), "config-backup", &mut script);
    output.write_all(&script).context("write to stdout")?;
    Ok(ExitCode(0))
}

//! `completions`: prints what a shell needs to complete our command lines.

use std::io::Write;

use anyhow::{Context as _, Result};
use clap::Command;
use clap_complete::Shell;

use crate::exit_code::ExitCode;

/// Prints the completions of `command` for a shell.
pub fn run_completions(
    shell: Shell,
    command: &mut Command,
    mut output: impl Write,
) -> Result<ExitCode> {
    // The generator panics where it cannot write, so it writes to memory.
    let mut script = Vec::new();
    clap_complete::generate(shell, command, "config-backup", &mut script);
    output
        .write_all(&script)
        .context("cannot write to stdout")?;
    Ok(ExitCode::Ok)
}

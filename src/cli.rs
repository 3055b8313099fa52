//! The command line. The doc comments are the help.

use std::ffi::OsString;
use std::io::{IsTerminal, Read, Write};

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::commands::compact;
use crate::commands::completions;
use crate::commands::context;
use crate::commands::coverage;
use crate::commands::deploy;
use crate::commands::diff;
use crate::commands::diff::DiffArgs;
use crate::commands::doctor;
use crate::commands::history;
use crate::commands::history::HistoryArgs;
use crate::commands::iam;
use crate::commands::init;
use crate::commands::init::InitArgs;
use crate::commands::replay;
use crate::commands::report;
use crate::commands::report::{EXAMPLES, ReportArgs};
use crate::commands::restore;
use crate::commands::restore::RestoreArgs;
use crate::commands::status;
use crate::commands::status::StatusArgs;
use crate::commands::verify;
use crate::error::Error;
use crate::exit_code::ExitCode;
use crate::system::panics;

/// Keeps a deployment's config.yaml and a record of every deployment in S3.
///
/// Terraform calls it during `terragrunt apply --all`; the verbs below are for people. With no verb and no terminal
/// on stdin it answers like `context`.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = false, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 ok, 1 error, 2 usage, 3 bad input, 4 credentials, 5 denied or no such bucket,\n6 network or timeout, 7 something is missing or wrong (report --strict, coverage, verify), 130 interrupted.\nThe commands that Terraform and Terragrunt call (context, deploy, fallback) always exit 0."
)]
struct CommandLine {
    #[command(subcommand)]
    verb: Option<CliCommand>,
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    /// Print who deployed what: one row per day, customer and user, the last deployment of the day winning
    #[command(after_help = EXAMPLES)]
    Report(Box<ReportArgs>),
    /// List the versions of a customer's config, newest first: when, by whom, and which keys changed
    History(HistoryArgs),
    /// Show what differs between two versions of a customer's config, or from the file here, with secrets masked
    Diff(Box<DiffArgs>),
    /// Give back a version of a customer's config, byte for byte
    Restore(Box<RestoreArgs>),
    /// Find out whether the records and configs in the bucket are what was written there
    Verify(verify::VerifyArgs),
    /// Find deployments that nobody logged and customers that nobody backed up
    Coverage(Box<coverage::CoverageArgs>),
    /// Roll the usage records of months that have ended up into a few objects, for reports and SQL; deletes nothing
    Compact(Box<compact::CompactArgs>),
    /// Put the Terragrunt unit into a customer folder, or bring it up to this version
    Init(InitArgs),
    /// Prove on your own bucket and machine what a deployment needs, with a fix for each finding
    Doctor(Box<doctor::DoctorArgs>),
    /// Send what deployments had to keep on this machine
    Replay,
    /// Show what is kept on this machine because it could not be sent yet
    Status(StatusArgs),
    /// Print the IAM policies that this needs: for who deploys, for who looks back, for the bucket
    #[command(after_help = iam::IAM_EXAMPLES)]
    Iam(iam::IamArgs),
    /// Print a script that makes a shell complete our command lines
    ///
    /// bash: source <(config-backup completions bash)
    /// zsh:  config-backup completions zsh >"${fpath[1]}/_config-backup"
    /// fish: config-backup completions fish >~/.config/fish/completions/config-backup.fish
    #[command(verbatim_doc_comment)]
    #[allow(rustdoc::broken_intra_doc_links)] // the help, in which `[1]` is zsh's
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// For Terraform: what a plan needs to know (external protocol, read-only)
    #[command(hide = true)]
    Context,
    /// For Terraform: upload the config, write the usage record, and report the result (external protocol)
    #[command(hide = true)]
    Deploy,
    /// For Terragrunt: do what `deploy` does where Terraform has failed in the unit
    #[command(hide = true)]
    Fallback,
}

/// Runs the command line `arguments` (with the program's name) and gives the exit code.
pub fn run_cli(
    arguments: impl IntoIterator<Item = OsString>,
    input: impl Read + IsTerminal,
    output: impl Write + IsTerminal,
    mut messages: impl Write + IsTerminal,
) -> ExitCode {
    let cli = match CommandLine::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return print_usage_error(&error, output, messages),
    };
    panics::install_panic_hook();
    let for_terraform = matches!(
        cli.verb,
        None | Some(CliCommand::Context | CliCommand::Deploy | CliCommand::Fallback)
    );
    let watched = messages.is_terminal();
    let result =
        panics::catch_panic(|| run_command(cli.verb, input, output, &mut messages, watched))
            .unwrap_or_else(|fault| Err(fault.into()));
    result.unwrap_or_else(|error| {
        if for_terraform {
            return ExitCode(0);
        }
        let _ = writeln!(
            messages,
            "config-backup: {}",
            crate::error::to_single_line(&format!("{error:#}"))
        );
        ExitCode(error.downcast_ref::<Error>().map_or(1, Error::exit_code))
    })
}

fn run_command(
    verb: Option<CliCommand>,
    input: impl Read + IsTerminal,
    mut output: impl Write + IsTerminal,
    messages: &mut impl Write,
    watched: bool,
) -> Result<ExitCode> {
    match verb {
        None if input.is_terminal() => Ok(print_help(output)),
        None | Some(CliCommand::Context) => context::run_context(input, output).map(exit_ok),
        Some(CliCommand::Deploy) => deploy::run_deploy(input, output).map(exit_ok),
        Some(CliCommand::Fallback) => deploy::run_fallback(input, output).map(exit_ok),
        Some(CliCommand::Report(arguments)) => {
            report::run_report(&arguments, output, messages, watched)
        }
        Some(CliCommand::History(arguments)) => history::run_history(&arguments, output, messages),
        Some(CliCommand::Diff(arguments)) => diff::run_diff(&arguments, output, messages),
        Some(CliCommand::Restore(arguments)) => restore::run_restore(&arguments, output, messages),
        Some(CliCommand::Verify(arguments)) => verify::run_verify(&arguments, output, messages),
        Some(CliCommand::Coverage(arguments)) => {
            coverage::run_coverage(&arguments, output, messages)
        }
        Some(CliCommand::Compact(arguments)) => compact::run_compact(&arguments, output, messages),
        Some(CliCommand::Init(arguments)) => init::run_init(&arguments, &mut output),
        Some(CliCommand::Doctor(arguments)) => doctor::run_doctor(&arguments, output),
        Some(CliCommand::Replay) => replay::run_replay(output, messages),
        Some(CliCommand::Status(arguments)) => status::run_status(&arguments, output),
        Some(CliCommand::Iam(arguments)) => iam::run_iam(&arguments, output, messages),
        Some(CliCommand::Completions { shell }) => completions::run_completions(shell, output),
    }
}

/// A deployment goes on whatever happened to us; what did is told in the answer or by its absence.
fn exit_ok((): ()) -> ExitCode {
    ExitCode(0)
}

fn print_usage_error(
    error: &clap::Error,
    mut output: impl Write,
    mut messages: impl Write,
) -> ExitCode {
    let text = error.render();
    let _ = if error.use_stderr() {
        write!(messages, "{text}")
    } else {
        write!(output, "{text}")
    };
    ExitCode(u8::try_from(error.exit_code()).unwrap_or(2))
}

fn print_help(mut output: impl Write) -> ExitCode {
    let _ = write!(output, "{}", cli_command().render_help());
    ExitCode(2)
}

/// The command line's description, for completions and manual pages.
#[must_use]
pub fn cli_command() -> clap::Command {
    <CommandLine as clap::CommandFactory>::command()
}

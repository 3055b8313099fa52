//! The command line. The doc comments are the help.

use std::ffi::OsString;
use std::io::{IsTerminal, Read, Write};

use anyhow::Result;
use clap::error::ContextValue;
use clap::{CommandFactory as _, Parser, Subcommand};

use crate::commands::compact::{CompactArgs, run_compact};
use crate::commands::completions::{CompletionsArgs, run_completions};
use crate::commands::context::run_context;
use crate::commands::coverage::{CoverageArgs, run_coverage};
use crate::commands::deploy::{run_deploy, run_fallback};
use crate::commands::diff::{DiffArgs, run_diff};
use crate::commands::doctor::{DoctorArgs, run_doctor};
use crate::commands::history::{HistoryArgs, run_history};
use crate::commands::iam::{IAM_EXAMPLES, IamArgs, run_iam};
use crate::commands::init::{InitArgs, run_init};
use crate::commands::replay::{ReplayArgs, run_replay};
use crate::commands::report::{EXAMPLES, ReportArgs, run_report};
use crate::commands::restore::{RestoreArgs, run_restore};
use crate::commands::status::{StatusArgs, run_status};
use crate::commands::verify::{VerifyArgs, run_verify};
use crate::error::{print_error, to_single_line};
use crate::exit_code::ExitCode;
use crate::system::panics;

/// What `--help` ends with.
const EXIT_CODES: &str = "\
Exit codes: 0 ok, 1 error, 2 usage, 3 bad input, 4 credentials, 5 denied or no such bucket,
6 network or timeout, 7 something is missing or wrong (report --strict, coverage, verify,
init --check), 130 interrupted.
The commands that Terraform and Terragrunt call (context, deploy, fallback) always exit 0.";

/// Keeps a deployment's config.yaml and a record of every deployment in S3.
///
/// Terraform calls it during `terragrunt apply --all`; the commands below are for people. With no
/// command and no terminal on stdin it answers like `context`.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = false, max_term_width = 100, after_help = EXIT_CODES)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<CliCommand>,
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    /// Print who deployed what: the last deployment of each day, customer and user
    #[command(after_help = EXAMPLES)]
    Report(Box<ReportArgs>),
    /// List the versions of a customer's config, newest first: when, by whom, which keys changed
    History(HistoryArgs),
    /// Show what differs between two versions of a config, or a version and the local file
    Diff(Box<DiffArgs>),
    /// Restore a version of a customer's config, byte for byte
    Restore(Box<RestoreArgs>),
    /// Check whether the records and configs in the bucket are what was written there
    Verify(VerifyArgs),
    /// Find deployments without a usage record and customers without a backup
    Coverage(Box<CoverageArgs>),
    /// Archive the usage records of past months, for reports and SQL; deletes nothing
    Compact(Box<CompactArgs>),
    /// Put the Terragrunt unit into customer folders, or upgrade it to this version
    Init(InitArgs),
    /// Check credentials, bucket, tools and folder for a deployment, with a fix for each problem
    Doctor(Box<DoctorArgs>),
    /// Send what deployments had to queue on this machine
    Replay(ReplayArgs),
    /// Show what is queued on this machine because it could not be sent yet
    Status(StatusArgs),
    /// Print the IAM policies: for who deploys, for auditors, for the bucket
    #[command(after_help = IAM_EXAMPLES)]
    Iam(IamArgs),
    /// Print a script that makes a shell complete our command lines
    ///
    /// It completes commands, options, formats, customers, versions and profiles. Customers and
    /// versions are those that this machine knows; if none fits, those that S3 lists in a second.
    ///
    /// bash:       echo 'source <(config-backup completions bash)' >>~/.bashrc
    /// zsh:        echo 'source <(config-backup completions zsh)' >>~/.zshrc  (behind compinit)
    /// fish:       config-backup completions fish >~/.config/fish/completions/config-backup.fish
    /// Elvish:     echo 'eval (config-backup completions elvish | slurp)' >>~/.config/elvish/rc.elv
    /// PowerShell: config-backup completions powershell >>$PROFILE
    #[command(verbatim_doc_comment)]
    Completions(CompletionsArgs),
    /// For Terraform: what a plan needs to know (external protocol, read-only)
    #[command(hide = true)]
    Context,
    /// For Terraform: upload the config and the usage record, and report the result (external protocol)
    #[command(hide = true)]
    Deploy,
    /// For Terragrunt: do what `deploy` does where Terraform has failed in the unit
    #[command(hide = true)]
    Fallback,
}

impl CliCommand {
    /// A deployment must never fail because of us, so its commands exit with 0 whatever happens.
    fn is_part_of_deployment(command: Option<&Self>) -> bool {
        matches!(
            command,
            None | Some(Self::Context | Self::Deploy | Self::Fallback)
        )
    }
}

/// Runs a command line, which begins with the program's name.
pub fn run_cli(
    args: impl IntoIterator<Item = OsString>,
    input: impl Read + IsTerminal + Send + 'static,
    output: impl Write + IsTerminal + Send + 'static,
    mut messages: impl Write + IsTerminal,
) -> ExitCode {
    let command = match CommandLine::try_parse_from(args) {
        Ok(command_line) => command_line.command,
        Err(error) => return print_usage_error(error, output, messages),
    };
    let is_part_of_deployment = CliCommand::is_part_of_deployment(command.as_ref());
    let has_terminal = messages.is_terminal();

    panics::install_panic_hook(if is_part_of_deployment {
        ExitCode::Ok
    } else {
        ExitCode::Error
    });
    match run_command(command, input, output, &mut messages, has_terminal) {
        Ok(exit_code) => exit_code,
        Err(_) if is_part_of_deployment => ExitCode::Ok,
        Err(error) => print_error(&error, &mut messages),
    }
}

fn run_command(
    command: Option<CliCommand>,
    input: impl Read + IsTerminal + Send + 'static,
    mut output: impl Write + IsTerminal + Send + 'static,
    messages: &mut impl Write,
    has_terminal: bool,
) -> Result<ExitCode> {
    let Some(command) = command else {
        if input.is_terminal() {
            return Ok(print_help(output));
        }
        run_context(input, output)?;
        return Ok(ExitCode::Ok);
    };

    match command {
        CliCommand::Report(args) => run_report(&args, output, messages, has_terminal),
        CliCommand::History(args) => run_history(&args, output, messages),
        CliCommand::Diff(args) => run_diff(&args, output, messages),
        CliCommand::Restore(args) => run_restore(&args, output, messages),
        CliCommand::Verify(args) => run_verify(&args, output, messages),
        CliCommand::Coverage(args) => run_coverage(&args, output, messages),
        CliCommand::Compact(args) => run_compact(&args, output, messages),
        CliCommand::Init(args) => run_init(&args, &mut output, messages),
        CliCommand::Doctor(args) => run_doctor(&args, output),
        CliCommand::Replay(args) => run_replay(&args, output, messages),
        CliCommand::Status(args) => run_status(&args, output),
        CliCommand::Iam(args) => run_iam(&args, output, messages),
        CliCommand::Completions(args) => run_completions(&args, &cli_command(), output),
        CliCommand::Context => run_context(input, output).map(|()| ExitCode::Ok),
        CliCommand::Deploy => run_deploy(input, output).map(|()| ExitCode::Ok),
        CliCommand::Fallback => run_fallback(input, output).map(|()| ExitCode::Ok),
    }
}

/// clap also reports `--help` and `--version` as errors, and these go to stdout.
fn print_usage_error(
    error: clap::Error,
    mut output: impl Write,
    mut messages: impl Write,
) -> ExitCode {
    let error = with_harmless_values(error);
    let text = error.render();
    if error.use_stderr() {
        let _ = write!(messages, "{text}");
        ExitCode::Usage
    } else {
        let _ = write!(output, "{text}");
        ExitCode::Ok
    }
}

/// An error of clap quotes arguments, and variables that stand for them. Neither may add a line.
fn with_harmless_values(mut error: clap::Error) -> clap::Error {
    let mut harmless = Vec::new();
    for (kind, value) in error.context() {
        if let ContextValue::String(text) = value {
            harmless.push((kind, ContextValue::String(to_single_line(text))));
        }
    }
    for (kind, value) in harmless {
        error.insert(kind, value);
    }
    error
}

fn print_help(mut output: impl Write) -> ExitCode {
    let _ = write!(output, "{}", cli_command().render_help());
    ExitCode::Usage
}

/// The command line's description, for completions and manual pages.
#[must_use]
pub fn cli_command() -> clap::Command {
    CommandLine::command()
}

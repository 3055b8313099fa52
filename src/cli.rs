//! The command line. The doc comments are the help.

use std::ffi::OsString;
use std::io::{IsTerminal, Read, Write};
use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::arguments::{DiffArguments, EXAMPLES, HistoryArguments, ReportArguments, RestoreArguments};
use crate::fault::Fault;
use crate::{
    compact, completions, context, coverage, deploy, diff, doctor, history, iam, init, panics, replay, report, restore, status, verify,
};

/// An exit code; README.md, "Exit codes", lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit(pub u8);

/// Keeps a deployment's config.yaml and a record of every deployment in S3.
///
/// Terraform calls it during `terragrunt apply --all`; the verbs below are for people. With no verb and no terminal
/// on stdin it answers like `context`.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = false, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 ok, 1 error, 2 usage, 3 bad input, 4 credentials, 5 denied or no such bucket,\n6 network or timeout, 7 something is missing or wrong (report --strict, coverage, verify), 130 interrupted.\nThe commands that Terraform and Terragrunt call (context, deploy, fallback) always exit 0."
)]
struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Print who deployed what: one row per day, customer and user, the last deployment of the day winning
    #[command(after_help = EXAMPLES)]
    Report(Box<ReportArguments>),
    /// List the versions of a customer's config, newest first: when, by whom, and which keys changed
    History(HistoryArguments),
    /// Show what differs between two versions of a customer's config, or from the file here, with secrets masked
    Diff(Box<DiffArguments>),
    /// Give back a version of a customer's config, byte for byte
    Restore(Box<RestoreArguments>),
    /// Find out whether the records and configs in the bucket are what was written there
    Verify(verify::Arguments),
    /// Find deployments that nobody logged and customers that nobody backed up
    Coverage(Box<coverage::Arguments>),
    /// Roll the usage records of months that have ended up into a few objects, for reports and SQL; deletes nothing
    Compact(Box<compact::Arguments>),
    /// Put the Terragrunt unit into a customer folder, or bring it up to this version
    Init(InitArguments),
    /// Prove on your own bucket and machine what a deployment needs, with a fix for each finding
    Doctor(Box<doctor::Arguments>),
    /// Send what deployments had to keep on this machine
    Replay,
    /// Show what is kept on this machine because it could not be sent yet
    Status(StatusArguments),
    /// Print the IAM policies that this needs: for who deploys, for who looks back, for the bucket
    #[command(after_help = iam::EXAMPLES)]
    Iam(iam::Arguments),
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

/// The arguments of `init`.
#[derive(Debug, Args)]
pub struct InitArguments {
    /// The folder with the customer's config.yaml
    #[arg(default_value = ".")]
    pub customer_folder: PathBuf,
    /// Replace changed files and set aside Terraform files that are not of the unit, each as *.bak
    #[arg(long)]
    pub force: bool,
    /// The root file whose state settings the unit uses [default: the one that the other units include]
    #[arg(long, value_name = "NAME")]
    pub root: Option<String>,
}

/// The arguments of `status`.
#[derive(Debug, Args)]
pub struct StatusArguments {
    /// As JSON: `kept`, `quarantine` and `problems`
    #[arg(long)]
    pub json: bool,
}

/// Runs the command line `arguments` (with the program's name) and gives the exit code.
pub fn run(
    arguments: impl IntoIterator<Item = OsString>,
    input: impl Read + IsTerminal,
    output: impl Write + IsTerminal,
    mut messages: impl Write + IsTerminal,
) -> Exit {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, output, messages),
    };
    panics::silence();
    let for_terraform = matches!(cli.verb, None | Some(Verb::Context | Verb::Deploy | Verb::Fallback));
    let watched = messages.is_terminal();
    let result = panics::caught(|| dispatch(cli.verb, input, output, &mut messages, watched)).unwrap_or_else(|fault| Err(fault.into()));
    result.unwrap_or_else(|error| {
        if for_terraform {
            return Exit(0);
        }
        let _ = writeln!(messages, "config-backup: {}", crate::fault::one_line(&format!("{error:#}")));
        Exit(error.downcast_ref::<Fault>().map_or(1, Fault::exit_code))
    })
}

fn dispatch(
    verb: Option<Verb>,
    input: impl Read + IsTerminal,
    mut output: impl Write + IsTerminal,
    messages: &mut impl Write,
    watched: bool,
) -> Result<Exit> {
    match verb {
        None if input.is_terminal() => Ok(help(output)),
        None | Some(Verb::Context) => context::run(input, output).map(done),
        Some(Verb::Deploy) => deploy::run(input, output).map(done),
        Some(Verb::Fallback) => deploy::run_fallback(input, output).map(done),
        Some(Verb::Report(arguments)) => report::run(&arguments, output, messages, watched),
        Some(Verb::History(arguments)) => history::run(&arguments, output, messages),
        Some(Verb::Diff(arguments)) => diff::run(&arguments, output, messages),
        Some(Verb::Restore(arguments)) => restore::run(&arguments, output, messages),
        Some(Verb::Verify(arguments)) => verify::run(&arguments, output, messages),
        Some(Verb::Coverage(arguments)) => coverage::run(&arguments, output, messages),
        Some(Verb::Compact(arguments)) => compact::run(&arguments, output, messages),
        Some(Verb::Init(arguments)) => init::run(&arguments, &mut output),
        Some(Verb::Doctor(arguments)) => doctor::run(&arguments, output),
        Some(Verb::Replay) => replay::run(output, messages),
        Some(Verb::Status(arguments)) => status::run(&arguments, output),
        Some(Verb::Iam(arguments)) => iam::run(&arguments, output, messages),
        Some(Verb::Completions { shell }) => completions::run(shell, output),
    }
}

/// A deployment goes on whatever happened to us; what did is told in the answer or by its absence.
fn done((): ()) -> Exit {
    Exit(0)
}

fn usage(error: &clap::Error, mut output: impl Write, mut messages: impl Write) -> Exit {
    let text = error.render();
    let _ = if error.use_stderr() { write!(messages, "{text}") } else { write!(output, "{text}") };
    Exit(u8::try_from(error.exit_code()).unwrap_or(2))
}

fn help(mut output: impl Write) -> Exit {
    let _ = write!(output, "{}", command().render_help());
    Exit(2)
}

/// The command line's description, for completions and manual pages.
#[must_use]
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

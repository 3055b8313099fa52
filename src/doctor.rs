//! `doctor`: proves on the user's own bucket and machine what a deployment needs, and names a fix for all that it finds.
//!
//! Everything that can be asked at the same time is, and all of it ends within one limit, whatever the network does.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::aws::Target;
use crate::cli::Exit;
use crate::deadline::{Telling, told_within, within};
use crate::deployment::block_on;
use crate::fault::{Fault, Kind};
use crate::finding::{Finding, Findings, exit_code, in_order};
use crate::folder::Folder;
use crate::places::Places;
use crate::source::Source;
use crate::{bucket, host, machine};

/// The exit code where the time was over before all was seen: README.md, "Exit codes".
const LATE: u8 = 6;

/// The arguments of `doctor`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The folder with the customer's config.yaml, whose profile and customer are used; without it this one, if it is one
    pub customer_folder: Option<PathBuf>,
    /// As JSON: `version`, `bucket`, `profile`, `customer`, `exit` and `checks`
    #[arg(long)]
    pub json: bool,
    /// How many seconds all of it may take
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub timeout: u64,
    /// Where to look
    #[command(flatten)]
    pub source: Source,
}

/// Looks at everything. Exit: the code of the first bad check, or 0; or 6 where the time was over before.
pub fn run(arguments: &Arguments, mut output: impl Write + IsTerminal) -> Result<Exit> {
    let (started, limit) = (Instant::now(), Duration::from_secs(arguments.timeout));
    let named = arguments.customer_folder.clone();
    // The folder may lie on a file system that does not answer.
    let folder = within(limit, move || Folder::read(named.as_deref()));
    let folder = folder.ok_or_else(|| Fault::new(Kind::Input, "read the customer folder: no answer in time", "name another one"))?;
    let mut target = arguments.source.target()?;
    if arguments.source.profile.is_none() && arguments.source.config_file.is_none() {
        target.profile = folder.profile();
    }
    let customer = folder.customer();

    let (told, all) = told_within(limit.saturating_sub(started.elapsed()), works(target.clone(), customer.clone(), folder, limit));
    let why =
        if all { "the look at it ended in an unexpected way".to_owned() } else { format!("not found out within {} s", limit.as_secs()) };
    let checks = in_order(told, &why);
    // Whoever relies on the exit code must not take for good what nobody has seen.
    let exit = if all { exit_code(&checks) } else { Some(exit_code(&checks)).filter(|code| *code != 0).unwrap_or(LATE) };
    let findings = Findings {
        version: env!("CARGO_PKG_VERSION"),
        bucket: target.bucket,
        profile: target.profile,
        customer: customer.unwrap_or_default(),
        exit,
        checks,
    };
    let color = output.is_terminal() && host::var("NO_COLOR").is_none();
    let text = if arguments.json { findings.json()? } else { findings.table(color) };
    output.write_all(text.as_bytes()).context("write to stdout")?;
    Ok(Exit(findings.exit))
}

/// All that can be looked at side by side.
fn works(target: Target, customer: Option<String>, folder: Folder, limit: Duration) -> Vec<Telling<Finding>> {
    let one = |look: fn() -> Finding| -> Telling<Finding> { Box::new(move |sender| drop(sender.send(look()))) };
    vec![
        Box::new(move |sender| drop(block_on(bucket::look(&target, customer.as_deref(), limit, sender)))),
        Box::new(move |sender| folder.findings(limit).into_iter().for_each(|finding| drop(sender.send(finding)))),
        one(machine::helper),
        one(machine::terraform),
        one(machine::terragrunt),
        one(|| machine::state(&Places::of_host())),
        one(|| machine::spool(&Places::of_host())),
    ]
}

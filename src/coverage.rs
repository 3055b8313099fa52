//! `coverage`: deployments that nobody logged, customers that nobody backed up, and whatever else is missing in the bucket.
//!
//! Reads only.

use std::fmt::Write as _;
use std::io::Write;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use chrono::{DateTime, Duration, Utc};
use clap::Args;
use serde::Serialize;

use crate::aws::Store;
use crate::choice::{End, length, moment};
use crate::cli::Exit;
use crate::deployment::block_on;
use crate::earlier::Access;
use crate::fault::{Fault, Kind};
use crate::formats::until_closed;
use crate::gaps::{Gap, Scope};
use crate::host;
use crate::past::PATIENCE;
use crate::places::Places;
use crate::source::Source;
use crate::spool::Spool;
use crate::survey::{self, Survey};
use crate::text::{counted, escape_json, plain};

/// Exits so where there is a gap.
const GAPS: Exit = Exit(7);

/// The arguments of `coverage`.
#[derive(Debug, Args)]
#[command(after_help = KINDS)]
pub struct Arguments {
    /// Only this customer, by the exact name
    pub customer: Option<String>,
    /// How long before a state's change its usage record may be (90m, 3h); it may be up to 15 minutes after it
    #[arg(long, value_name = "LENGTH", default_value = "3h", value_parser = window)]
    pub window: Duration,
    /// Nothing that happened before: a date (2026-10-01), an age (36h, 30d, 2w) or RFC 3339
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// As JSON: `gaps`, and what they were looked for in
    #[arg(long)]
    pub json: bool,
    /// Where to look
    #[command(flatten)]
    pub source: Source,
}

/// What `coverage --help` ends with.
const KINDS: &str = "\
Each line is a gap:
  unlogged         a unit's state changed, and no usage record is near
  no-backup        units have a state, and there is no config
  outdated         config.yaml is not that of the last deployment
  missing-version  usage records whose config is not there
  missing-record   a deployment left a config, but no usage record
  pending          something is kept on this machine, and not sent yet

Who may list versions (s3:ListBucketVersions) of a versioned bucket sees all changes of a state, not the last one alone.
Exits with 0 where there are no gaps, with 7 where there are.";

/// What `coverage --json` prints.
#[derive(Debug, Serialize)]
struct Sheet {
    /// By customer, kind and time.
    gaps: Vec<Gap>,
    customers: usize,
    /// Changes of states.
    changes: usize,
    records: usize,
    /// Copies of configs.
    copies: usize,
    /// Whether versions of states could be listed.
    versions: Access,
    /// What could not be read, with the reason.
    left_out: Vec<String>,
}

/// Prints the gaps. Exit: see README.md, "Exit codes"; 7 where there are any.
pub fn run(arguments: &Arguments, output: impl Write, messages: impl Write) -> Result<Exit> {
    let target = arguments.source.target()?;
    let scope = Scope { window: arguments.window, since: since(arguments, host::now())? };
    let survey = block_on(async {
        let store = Arc::new(Store::open(&target, PATIENCE).await?);
        survey::look(&store, arguments.customer.as_deref(), &Spool::new(&Places::of_host())).await
    })??;
    if let Some(name) = arguments.customer.as_deref().filter(|_| survey.customers.is_empty()) {
        let text = format!("look for states, configs and usage records of `{name}` in the bucket {}: there are none", target.bucket);
        return Err(Fault::new(Kind::Input, text, "check the customer's name, as in `config-backup report`").into());
    }
    let sheet = sheet(survey, &scope);
    until_closed(write(&sheet, arguments.json, output, messages)).context("write the gaps to stdout")?;
    Ok(if sheet.gaps.is_empty() { Exit(0) } else { GAPS })
}

fn window(text: &str) -> Result<Duration, String> {
    length(text).ok_or_else(|| "use a length of time (90m, 3h)".to_owned())
}

fn since(arguments: &Arguments, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, Fault> {
    let Some(text) = &arguments.since else { return Ok(None) };
    moment(text, End::First, now).map(Some).map_err(|why| Fault::new(Kind::Input, format!("read `--since {text}`"), why))
}

fn sheet(survey: Survey, scope: &Scope) -> Sheet {
    let customers = survey.customers.values();
    let mut gaps: Vec<Gap> = customers.clone().flat_map(|customer| customer.gaps(scope)).collect();
    gaps.sort_by(|a, b| (&a.customer, a.kind, &a.at).cmp(&(&b.customer, b.kind, &b.at)));
    Sheet {
        gaps,
        customers: survey.customers.len(),
        changes: customers.clone().map(|it| it.changes.len()).sum(),
        records: customers.clone().map(|it| it.records.len()).sum(),
        copies: customers.map(|it| it.copies.len()).sum(),
        versions: survey.versions,
        left_out: survey.left_out,
    }
}

fn write(sheet: &Sheet, json: bool, mut output: impl Write, mut messages: impl Write) -> std::io::Result<()> {
    if json {
        output.write_all((escape_json(&serde_json::to_string(sheet)?).into_owned() + "\n").as_bytes())?;
        return output.flush();
    }
    for line in &sheet.left_out {
        writeln!(messages, "config-backup: left out {}", plain(line))?;
    }
    let mut lines = String::new();
    for Gap { kind, customer, text, .. } in &sheet.gaps {
        let _ = writeln!(lines, "{} `{}`: {}", kind.name(), plain(customer), plain(text));
    }
    output.write_all(lines.as_bytes())?;
    output.flush()?;
    writeln!(messages, "config-backup: {}", summary(sheet))
}

/// What was looked at, so that nobody takes an empty bucket for a clean one.
fn summary(sheet: &Sheet) -> String {
    let gaps = if sheet.gaps.is_empty() { "no gaps".to_owned() } else { counted(sheet.gaps.len(), "gap") };
    let versions = match sheet.versions {
        Access::Listed => "",
        Access::Denied => "; state versions: not listed (s3:ListBucketVersions)",
        Access::Unsupported => "; state versions: not listed (the server has none)",
    };
    let Sheet { customers, changes, records, copies, .. } = sheet;
    let (customers, changes, records) = (counted(*customers, "customer"), counted(*changes, "state change"), counted(*records, "record"));
    format!("{gaps} in {customers}: {changes}, {records}, {} looked at{versions}", counted(*copies, "config version"))
}

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

use crate::commands::bucket_args::BucketArgs;
use crate::coverage::collect::{self, CoverageEvidence};
use crate::coverage::gaps::{Gap, GapScope};
use crate::error::{Error, ErrorKind};
use crate::exit_code::ExitCode;
use crate::history::load::READ_TIMEOUTS;
use crate::output::ignore_broken_pipe;
use crate::output::sanitize::{count_noun, escape_json, sanitize};
use crate::s3::store::ObjectStore;
use crate::s3::versions::VersionListing;
use crate::state::dirs::StateDirs;
use crate::state::spool::Spool;
use crate::system::host;
use crate::system::runtime::block_on;
use crate::time_spec::{DayBoundary, parse_duration, parse_time_spec};

/// Exits so where there is a gap.
const GAPS_FOUND: ExitCode = ExitCode(7);

/// The arguments of `coverage`.
#[derive(Debug, Args)]
#[command(after_help = GAP_KINDS_HELP)]
pub struct CoverageArgs {
    /// Only this customer, by the exact name
    pub customer: Option<String>,
    /// How long before a state's change its usage record may be (90m, 3h); it may be up to 15 minutes after it
    #[arg(long, value_name = "LENGTH", default_value = "3h", value_parser = parse_window)]
    pub window: Duration,
    /// Nothing that happened before: a date (2026-10-01), an age (36h, 30d, 2w) or RFC 3339
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// As JSON: `gaps`, and what they were looked for in
    #[arg(long)]
    pub json: bool,
    /// Where to look
    #[command(flatten)]
    pub source: BucketArgs,
}

/// What `coverage --help` ends with.
const GAP_KINDS_HELP: &str = "\
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
struct CoverageReport {
    /// By customer, kind and time.
    gaps: Vec<Gap>,
    customers: usize,
    /// Changes of states.
    changes: usize,
    records: usize,
    /// Copies of configs.
    copies: usize,
    /// Whether versions of states could be listed.
    versions: VersionListing,
    /// What could not be read, with the reason.
    left_out: Vec<String>,
}

/// Prints the gaps. Exit: see docs/commands.md, "Exit codes"; 7 where there are any.
pub fn run_coverage(
    arguments: &CoverageArgs,
    output: impl Write,
    messages: impl Write,
) -> Result<ExitCode> {
    let target = arguments.source.resolve_target()?;
    let scope = GapScope {
        window: arguments.window,
        since: parse_since(arguments, host::utc_now())?,
    };
    let survey = block_on(async {
        let store = Arc::new(ObjectStore::open(&target, READ_TIMEOUTS).await?);
        collect::collect_evidence(
            &store,
            arguments.customer.as_deref(),
            &Spool::new(&StateDirs::detect()),
        )
        .await
    })??;
    if let Some(name) = arguments
        .customer
        .as_deref()
        .filter(|_| survey.customers.is_empty())
    {
        let text = format!(
            "look for states, configs and usage records of `{name}` in the bucket {}: there are none",
            target.bucket
        );
        return Err(Error::new(
            ErrorKind::Input,
            text,
            "check the customer's name, as in `config-backup report`",
        )
        .into());
    }
    let sheet = build_report(survey, &scope);
    ignore_broken_pipe(write_report(&sheet, arguments.json, output, messages))
        .context("write the gaps to stdout")?;
    Ok(if sheet.gaps.is_empty() {
        ExitCode(0)
    } else {
        GAPS_FOUND
    })
}

fn parse_window(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "use a length of time (90m, 3h)".to_owned())
}

fn parse_since(
    arguments: &CoverageArgs,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, Error> {
    let Some(text) = &arguments.since else {
        return Ok(None);
    };
    parse_time_spec(text, DayBoundary::Start, now)
        .map(Some)
        .map_err(|why| Error::new(ErrorKind::Input, format!("read `--since {text}`"), why))
}

fn build_report(survey: CoverageEvidence, scope: &GapScope) -> CoverageReport {
    let customers = survey.customers.values();
    let mut gaps: Vec<Gap> = customers
        .clone()
        .flat_map(|customer| customer.find_gaps(scope))
        .collect();
    gaps.sort_by(|a, b| (&a.customer, a.kind, &a.at).cmp(&(&b.customer, b.kind, &b.at)));
    CoverageReport {
        gaps,
        customers: survey.customers.len(),
        changes: customers.clone().map(|it| it.changes.len()).sum(),
        records: customers.clone().map(|it| it.records.len()).sum(),
        copies: customers.map(|it| it.copies.len()).sum(),
        versions: survey.version_access,
        left_out: survey.skipped,
    }
}

fn write_report(
    sheet: &CoverageReport,
    json: bool,
    mut output: impl Write,
    mut messages: impl Write,
) -> std::io::Result<()> {
    if json {
        output.write_all(
            (escape_json(&serde_json::to_string(sheet)?).into_owned() + "\n").as_bytes(),
        )?;
        return output.flush();
    }
    for line in &sheet.left_out {
        writeln!(messages, "config-backup: left out {}", sanitize(line))?;
    }
    let mut lines = String::new();
    for Gap {
        kind,
        customer,
        text,
        ..
    } in &sheet.gaps
    {
        let _ = writeln!(
            lines,
            "{} `{}`: {}",
            kind.as_str(),
            sanitize(customer),
            sanitize(text)
        );
    }
    output.write_all(lines.as_bytes())?;
    output.flush()?;
    writeln!(messages, "config-backup: {}", summarize_report(sheet))
}

/// What was looked at, so that nobody takes an empty bucket for a clean one.
fn summarize_report(sheet: &CoverageReport) -> String {
    let gaps = if sheet.gaps.is_empty() {
        "no gaps".to_owned()
    } else {
        count_noun(sheet.gaps.len(), "gap")
    };
    let versions = match sheet.versions {
        VersionListing::Listed => "",
        VersionListing::Denied => "; state versions: not listed (s3:ListBucketVersions)",
        VersionListing::Unsupported => "; state versions: not listed (the server has none)",
    };
    let CoverageReport {
        customers,
        changes,
        records,
        copies,
        ..
    } = sheet;
    let (customers, changes, records) = (
        count_noun(*customers, "customer"),
        count_noun(*changes, "state change"),
        count_noun(*records, "record"),
    );
    format!(
        "{gaps} in {customers}: {changes}, {records}, {} looked at{versions}",
        count_noun(*copies, "config version")
    )
}

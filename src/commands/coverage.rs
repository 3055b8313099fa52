//! `coverage`: what is missing in the bucket: records, configs and their versions.
//!
//! Reads only.

use std::io::{BufWriter, Write};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use chrono::{DateTime, Duration, Utc};
use clap::Args;
use serde::Serialize;

use crate::commands::bucket_args::BucketArgs;
use crate::coverage::collect::{CoverageEvidence, collect_evidence};
use crate::coverage::gaps::{CoverageGap, GapScope};
use crate::error::{Error, ErrorKind, write_line, write_message};
use crate::exit_code::ExitCode;
use crate::output::ignore_broken_pipe;
use crate::output::sanitize::{count_noun, sanitize};
use crate::output::to_json_line;
use crate::s3::store::ObjectStore;
use crate::s3::versions::VersionListing;
use crate::snapshot::{READ_TIMEOUTS, SkippedObject, write_skipped};
use crate::state::dirs::StateDirs;
use crate::state::spool::Spool;
use crate::system::clock::utc_now;
use crate::system::runtime::block_on;
use crate::time_spec::{DayBoundary, parse_duration, parse_time_argument};

#[derive(Debug, Args)]
#[command(after_help = GAP_KINDS_HELP)]
pub struct CoverageArgs {
    /// Only this customer, by its exact name
    pub customer: Option<String>,
    /// How long a usage record may be older than the change of a state (90m, 3h)
    #[arg(long, value_name = "LENGTH", default_value = "3h", value_parser = parse_window)]
    pub window: Duration,
    /// Only what happened since: a date (2026-10-01), an age (36h, 30d, 2w) or RFC 3339
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// Print JSON: `gaps`, and what was compared
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub source: BucketArgs,
}

/// What `coverage --help` ends with.
const GAP_KINDS_HELP: &str = "\
Each line is a gap:
  unlogged         a unit's state changed without a usage record near it
  no-backup        units have a state, but the customer has no config
  outdated         config.yaml is not that of the last deployment
  missing-version  usage records whose config is missing
  missing-record   a deployment left a config, but no usage record
  pending          an upload is queued on this machine

In a versioned bucket, the permission s3:ListBucketVersions shows all changes of a state,
otherwise only the last one. Exits with 0 without gaps and with 7 otherwise.";

/// What `coverage --json` prints.
#[derive(Debug, Serialize)]
struct CoverageReport {
    /// By customer, kind and time.
    gaps: Vec<CoverageGap>,
    customers: usize,
    /// Changes of states.
    changes: usize,
    records: usize,
    /// Copies of configs.
    copies: usize,
    /// Whether versions of states could be listed.
    versions: VersionListing,
    /// What cannot be read, with the reason.
    left_out: Vec<String>,
}

/// Prints the gaps, and exits with 7 if there are any.
pub fn run_coverage(
    arguments: &CoverageArgs,
    output: impl Write,
    mut messages: impl Write,
) -> Result<ExitCode> {
    let target = arguments.source.resolve_target(&mut messages)?;
    let since = parse_since(arguments, utc_now())?;
    let scope = GapScope {
        window: arguments.window,
        since,
    };
    let customer = arguments.customer.as_deref();
    let evidence = block_on(async {
        let store = Arc::new(ObjectStore::open(&target, READ_TIMEOUTS).await?);
        let spool = Spool::new(&StateDirs::detect());
        collect_evidence(&store, customer, &spool).await
    })??;
    if let Some(name) = customer
        && evidence.customers.is_empty()
    {
        let bucket = &target.bucket;
        let message = format!(
            "cannot compare states, configs and usage records of `{name}` in the bucket {bucket}: \
             there are none"
        );
        let hint = "check the customer's name, as in `config-backup report`";
        return Err(Error::new(ErrorKind::Input, message, hint).into());
    }

    let skipped = evidence.skipped.clone();
    let report = build_report(&evidence, &scope);
    let written = write_report(&report, &skipped, arguments.json, output, messages);
    ignore_broken_pipe(written).context("cannot write the gaps to stdout")?;
    Ok(if report.gaps.is_empty() {
        ExitCode::Ok
    } else {
        ExitCode::FindingsReported
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
    parse_time_argument("--since", text, DayBoundary::Start, now).map(Some)
}

fn build_report(evidence: &CoverageEvidence, scope: &GapScope) -> CoverageReport {
    let mut report = CoverageReport {
        gaps: Vec::new(),
        customers: evidence.customers.len(),
        changes: 0,
        records: 0,
        copies: 0,
        versions: evidence.version_listing,
        left_out: evidence.skipped.iter().map(ToString::to_string).collect(),
    };
    for customer in evidence.customers.values() {
        report.gaps.extend(customer.find_gaps(scope));
        report.changes += customer.changes.len();
        report.records += customer.records.len();
        report.copies += customer.copies.len();
    }
    report
        .gaps
        .sort_by(|a, b| (&a.customer, a.kind, &a.at).cmp(&(&b.customer, b.kind, &b.at)));
    report
}

fn write_report(
    report: &CoverageReport,
    skipped: &[SkippedObject],
    json: bool,
    output: impl Write,
    mut messages: impl Write,
) -> std::io::Result<()> {
    let mut output = BufWriter::new(output);
    if json {
        write_line(&mut output, &to_json_line(report)?)?;
        return output.flush();
    }
    write_skipped(skipped, &mut messages)?;
    for CoverageGap {
        kind,
        customer,
        text,
        ..
    } in &report.gaps
    {
        let (kind, customer, text) = (kind.as_str(), sanitize(customer), sanitize(text));
        write_line(&mut output, &format!("{kind} `{customer}`: {text}"))?;
    }
    output.flush()?;
    write_message(&mut messages, &summarize_report(report))
}

/// What was compared, so that an empty bucket does not pass for a bucket without gaps.
fn summarize_report(report: &CoverageReport) -> String {
    let gaps = match report.gaps.len() {
        0 => "no gaps".to_owned(),
        count => count_noun(count, "gap"),
    };
    let versions = match report.versions {
        VersionListing::Listed => "",
        VersionListing::Denied => "; state versions: not listed (s3:ListBucketVersions)",
        VersionListing::Unsupported => "; state versions: not listed (the server has none)",
    };
    format!(
        "{gaps} in {}: checked {}, {} and {}{versions}",
        count_noun(report.customers, "customer"),
        count_noun(report.changes, "state change"),
        count_noun(report.records, "record"),
        count_noun(report.copies, "config version")
    )
}

//! `verify`: whether the bucket holds what was written.

use std::collections::BTreeSet;
use std::io::{BufWriter, Write};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use serde::Serialize;

use crate::audit::checks::{audit_customer, count_unchained_records};
use crate::audit::finding::{AuditFinding, FindingKind};
use crate::audit::known::KnownBucket;
use crate::audit::retention::{RecordRetention, key_time};
use crate::commands::bucket_args::BucketArgs;
use crate::error::{Error, ErrorKind, write_line, write_message};
use crate::exit_code::ExitCode;
use crate::keys::{customer_segment, parse_customer_segment};
use crate::output::ignore_broken_pipe;
use crate::output::sanitize::{count_noun, sanitize};
use crate::output::to_json_line;
use crate::s3::store::ObjectStore;
use crate::snapshot::{
    BucketSnapshot, CustomerSnapshot, READ_TIMEOUTS, SnapshotPart, write_skipped,
};
use crate::state::known_file::{KNOWN_LINE_PREFIX, KnownPlace};
use crate::system::clock::utc_now;
use crate::system::runtime::block_on;
use crate::time_spec::{DayBoundary, parse_time_argument};

/// How long to wait before each further look. The first one follows at once. The others are only for
/// what may be a deployment of this moment.
const CONFIRMATION_PAUSES: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(1500),
];

/// A deployment has uploaded everything so long after its time, or spooled it.
const IN_FLIGHT_AGE: TimeDelta = TimeDelta::seconds(15);

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Only this customer, by its exact name
    pub customer: Option<String>,
    /// Print JSON: `findings`, and the numbers of objects that were verified
    #[arg(long)]
    pub json: bool,
    /// Where to remember what was verified: a file, or the line that `--known -` prints [default: a
    /// file in the state directory]
    #[arg(long, value_name = "FILE")]
    pub known: Option<String>,
    /// Records older than this may have expired: an age (400d) or a date
    #[arg(long, value_name = "TIME")]
    pub retention: Option<String>,
    #[command(flatten)]
    pub source: BucketArgs,
}

/// What `verify --json` prints.
#[derive(Debug, Serialize)]
struct VerifyReport {
    findings: Vec<CustomerFinding>,
    customers: usize,
    records: usize,
    seals: usize,
    /// Objects with a config.
    versions: usize,
    /// Records outside of chains, which nothing can verify: of the legacy module, or of helpers
    /// before there were chains.
    unsealed: usize,
    /// Records that only the archive has.
    archived: usize,
    /// What `--known` takes the next time, if the user keeps it.
    #[serde(skip_serializing_if = "Option::is_none")]
    known: Option<String>,
    /// The customers for which something was found, also if it was not confirmed.
    #[serde(skip)]
    suspicious_segments: BTreeSet<String>,
}

/// A finding and whose it is.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct CustomerFinding {
    customer: String,
    #[serde(flatten)]
    finding: AuditFinding,
}

/// What the bucket is compared with, in addition to itself.
struct VerifyScope<'a> {
    customer: Option<&'a str>,
    known: &'a KnownBucket,
    retention: RecordRetention,
}

/// A snapshot and what is wrong in it.
struct VerifiedSnapshot {
    snapshot: BucketSnapshot,
    report: VerifyReport,
}

/// Prints the findings, and exits with 7 if there are any.
pub fn run_verify(
    arguments: &VerifyArgs,
    output: impl Write,
    mut messages: impl Write,
) -> Result<ExitCode> {
    let target = arguments.source.resolve_target(&mut messages)?;
    let started_at = utc_now();
    let retention = parse_retention(arguments.retention.as_deref(), started_at)?;
    let (place, mut known, verified) = block_on(async {
        let store = Arc::new(ObjectStore::open(&target, READ_TIMEOUTS).await?);
        let place = KnownPlace::from_argument(arguments.known.as_deref(), &store.bucket_identity());
        let known = read_known(&place, &target.bucket, &mut messages)?;
        let scope = VerifyScope {
            customer: arguments.customer.as_deref(),
            known: &known,
            retention,
        };
        let verified = verify_bucket(&store, &scope).await?;
        Ok::<_, Error>((place, known, verified))
    })??;

    let VerifiedSnapshot {
        snapshot,
        mut report,
    } = verified;
    let has_findings = |segment: &str| report.suspicious_segments.contains(segment);
    known.learn(&snapshot, has_findings, started_at);
    let remembered = place.write(&known.to_lines());
    let is_line = matches!(place, KnownPlace::Line(_));
    report.known = is_line.then(|| known.to_list());

    let written = write_report(&report, arguments.json, &mut BufWriter::new(output));
    ignore_broken_pipe(written).context("cannot write the findings to stdout")?;
    write_skipped(&snapshot.denied_archives, &mut messages)?;
    write_message(&mut messages, &summarize_report(&report))?;
    match remembered {
        Err(error) if arguments.known.is_some() && report.findings.is_empty() => {
            return Err(error.into());
        }
        Err(error) => write_message(&mut messages, &error.to_string())?,
        Ok(()) => {}
    }
    if report.findings.is_empty() {
        Ok(ExitCode::Ok)
    } else {
        Ok(ExitCode::FindingsReported)
    }
}

fn parse_retention(argument: Option<&str>, now: DateTime<Utc>) -> Result<RecordRetention, Error> {
    let Some(text) = argument else {
        return Ok(RecordRetention::default());
    };
    let limit = parse_time_argument("--retention", text, DayBoundary::Start, now)?;
    Ok(RecordRetention::until(limit))
}

/// What earlier runs saw. A damaged file in the state directory must not stop every later run, but
/// one that the user named must be repaired.
fn read_known(
    place: &KnownPlace,
    bucket: &str,
    messages: &mut impl Write,
) -> Result<KnownBucket, Error> {
    let parsed = place.read().and_then(|text| match place {
        KnownPlace::Line(_) => KnownBucket::parse_list(bucket, &text)
            .map_err(|_| place.damaged_error("it is not a line of `verify --known -`")),
        _ => KnownBucket::parse(bucket, &text)
            .map_err(|line| place.damaged_error(&format!("line {line} is damaged"))),
    });
    match parsed {
        Err(error) if matches!(place, KnownPlace::StateDir(..)) => {
            // A closed stderr does not stop the command.
            let _ = write_message(messages, &error.to_string());
            KnownBucket::parse(bucket, "").map_err(|_| error)
        }
        parsed => parsed,
    }
}

/// Verifies a snapshot, and confirms what is wrong with another one: a deployment that is running has
/// uploaded only a part, and what is wrong stays wrong.
async fn verify_bucket(
    store: &Arc<ObjectStore>,
    scope: &VerifyScope<'_>,
) -> Result<VerifiedSnapshot, Error> {
    let snapshot = load_snapshot(store, scope).await?;
    let report = build_report(&snapshot, scope);
    let mut verified = VerifiedSnapshot { snapshot, report };
    for pause in CONFIRMATION_PAUSES {
        let is_confirmed = pause > Duration::ZERO
            && !verified
                .report
                .findings
                .iter()
                .any(CustomerFinding::may_be_in_flight);
        if verified.report.findings.is_empty() || is_confirmed {
            break;
        }
        tokio::time::sleep(pause).await;
        let snapshot = load_snapshot(store, scope).await?;
        let mut report = build_report(&snapshot, scope);
        let found_before = &verified.report.findings;
        report
            .findings
            .retain(|finding| found_before.binary_search(finding).is_ok());
        verified = VerifiedSnapshot { snapshot, report };
    }
    Ok(verified)
}

impl CustomerFinding {
    /// Whether a deployment that is still running could explain it.
    fn may_be_in_flight(&self) -> bool {
        let is_of_parts = matches!(
            self.finding.kind,
            FindingKind::Missing | FindingKind::Unsealed | FindingKind::Unrecorded
        );
        let age = key_time(&self.finding.key).map(|at| utc_now() - at);
        is_of_parts && age.is_some_and(|age| age.abs() < IN_FLIGHT_AGE)
    }
}

async fn load_snapshot(
    store: &Arc<ObjectStore>,
    scope: &VerifyScope<'_>,
) -> Result<BucketSnapshot, Error> {
    let customer = scope.customer;
    let mut snapshot = BucketSnapshot::load(store, customer, &[SnapshotPart::Seals]).await?;
    snapshot.load_config_contents(store).await?;
    for customer in snapshot.customers.values_mut() {
        customer.records.sort_by(|a, b| a.key.cmp(&b.key));
    }
    let is_known = |name: &str| scope.known.has_customer(&customer_segment(name));
    match customer {
        Some(name) if snapshot.customers.is_empty() && !is_known(name) => {
            let bucket = store.object_uri("");
            let message = format!("cannot verify `{name}`: there is nothing in `{bucket}`");
            let hint = "check the customer's name, as in `config-backup report`";
            Err(Error::new(ErrorKind::Input, message, hint))
        }
        _ => Ok(snapshot),
    }
}

fn build_report(snapshot: &BucketSnapshot, scope: &VerifyScope<'_>) -> VerifyReport {
    let retention = scope.retention;
    let only = scope.customer.map(customer_segment);
    let mut by_segment = scope.known.compare(snapshot, only.as_deref(), retention);
    for (segment, customer) in &snapshot.customers {
        let findings = audit_customer(customer, retention);
        by_segment
            .entry(segment.clone())
            .or_default()
            .extend(findings);
    }
    by_segment.retain(|_, findings| !findings.is_empty());
    let suspicious_segments = by_segment.keys().cloned().collect();

    let mut findings = Vec::new();
    for (segment, found) in by_segment {
        let customer = match snapshot.customers.get(&segment) {
            Some(customer) => customer.name.clone(),
            None => parse_customer_segment(&segment).unwrap_or(segment),
        };
        for finding in found {
            let customer = customer.clone();
            findings.push(CustomerFinding { customer, finding });
        }
    }
    findings.sort();
    // The first reason is enough for an object that was edited.
    findings.dedup_by(|a, b| {
        (&a.finding.key, a.finding.kind) == (&b.finding.key, b.finding.kind)
            && a.customer == b.customer
    });

    let sum = |count: fn(&CustomerSnapshot) -> usize| snapshot.customers.values().map(count).sum();
    VerifyReport {
        findings,
        customers: snapshot.customers.len(),
        records: sum(|it| it.records.len()),
        seals: sum(|it| it.seals.len()),
        versions: sum(|it| it.config_copies.len() + it.current_configs.len()),
        unsealed: sum(count_unchained_records),
        archived: snapshot.archived_records,
        known: None,
        suspicious_segments,
    }
}

fn write_report(report: &VerifyReport, json: bool, output: &mut impl Write) -> std::io::Result<()> {
    if json {
        write_line(output, &to_json_line(report)?)?;
        return output.flush();
    }
    for CustomerFinding { customer, finding } in &report.findings {
        let kind = serde_json::to_value(finding.kind)?;
        let kind = kind.as_str().unwrap_or_default();
        let key = sanitize(&finding.key);
        let detail = sanitize(&finding.detail);
        let customer = sanitize(customer);
        let line = format!("{kind}: {key}: {detail} (customer {customer})");
        write_line(output, &line)?;
    }
    if let Some(known) = &report.known {
        write_line(output, &format!("{KNOWN_LINE_PREFIX} {known}"))?;
    }
    output.flush()
}

fn summarize_report(report: &VerifyReport) -> String {
    let result = match report.findings.len() {
        0 => "no problems".to_owned(),
        count => count_noun(count, "problem"),
    };
    let archived = match report.archived {
        0 => String::new(),
        count => format!("; {} only in the archive", count_noun(count, "record")),
    };
    let unsealed = match report.unsealed {
        0 => String::new(),
        count => {
            let records = count_noun(count, "record");
            format!("; {records} outside of chains, which nothing can verify")
        }
    };
    format!(
        "verified {}, {} and {} of {}: {result}{archived}{unsealed}",
        count_noun(report.records, "record"),
        count_noun(report.seals, "seal"),
        count_noun(report.versions, "config"),
        count_noun(report.customers, "customer")
    )
}

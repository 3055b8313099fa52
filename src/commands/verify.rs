//! `verify`: whether the bucket holds what was written.

use std::io::{BufWriter, Write};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::Args;
use serde::Serialize;

use crate::audit::checks::{audit_customer, count_unchained_records};
use crate::audit::finding::AuditFinding;
use crate::commands::bucket_args::BucketArgs;
use crate::error::{Error, ErrorKind};
use crate::exit_code::ExitCode;
use crate::output::ignore_broken_pipe;
use crate::output::sanitize::{count_noun, sanitize};
use crate::output::to_json_line;
use crate::s3::store::ObjectStore;
use crate::snapshot::{
    BucketSnapshot, CustomerSnapshot, READ_TIMEOUTS, SnapshotPart, write_skipped,
};
use crate::system::runtime::block_on;

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Only this customer, by its exact name
    pub customer: Option<String>,
    /// Print JSON: `findings`, and the numbers of objects that were verified
    #[arg(long)]
    pub json: bool,
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
}

/// A finding and whose it is.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct CustomerFinding {
    customer: String,
    #[serde(flatten)]
    finding: AuditFinding,
}

/// Prints the findings, and exits with 7 if there are any.
pub fn run_verify(
    arguments: &VerifyArgs,
    output: impl Write,
    mut messages: impl Write,
) -> Result<ExitCode> {
    let target = arguments.source.resolve_target(&mut messages)?;
    let customer = arguments.customer.as_deref();
    let (report, denied_archives) = block_on(async {
        let store = Arc::new(ObjectStore::open(&target, READ_TIMEOUTS).await?);
        let snapshot = load_snapshot(&store, customer).await?;
        let mut report = build_report(&snapshot);
        if !report.findings.is_empty() {
            // A deployment that is running has uploaded only a part. What is wrong stays wrong.
            let again = build_report(&load_snapshot(&store, customer).await?);
            let is_confirmed = |finding: &_| again.findings.binary_search(finding).is_ok();
            report.findings.retain(is_confirmed);
        }
        Ok::<_, Error>((report, snapshot.denied_archives))
    })??;

    let written = write_report(&report, arguments.json, &mut BufWriter::new(output));
    ignore_broken_pipe(written).context("cannot write the findings to stdout")?;
    write_skipped(&denied_archives, &mut messages)?;
    writeln!(messages, "config-backup: {}", summarize_report(&report))?;
    if report.findings.is_empty() {
        Ok(ExitCode::Ok)
    } else {
        Ok(ExitCode::FindingsReported)
    }
}

async fn load_snapshot(
    store: &Arc<ObjectStore>,
    customer: Option<&str>,
) -> Result<BucketSnapshot, Error> {
    let mut snapshot = BucketSnapshot::load(store, customer, &[SnapshotPart::Seals]).await?;
    snapshot.load_config_contents(store).await?;
    for customer in snapshot.customers.values_mut() {
        customer.records.sort_by(|a, b| a.key.cmp(&b.key));
    }
    match customer {
        Some(name) if snapshot.customers.is_empty() => {
            let bucket = store.object_uri("");
            let message = format!("cannot verify `{name}`: there is nothing in `{bucket}`");
            let hint = "check the customer's name, as in `config-backup report`";
            Err(Error::new(ErrorKind::Input, message, hint))
        }
        _ => Ok(snapshot),
    }
}

fn build_report(snapshot: &BucketSnapshot) -> VerifyReport {
    let mut findings = Vec::new();
    for customer in snapshot.customers.values() {
        for finding in audit_customer(customer) {
            findings.push(CustomerFinding {
                customer: customer.name.clone(),
                finding,
            });
        }
    }
    findings.sort();

    let sum = |count: fn(&CustomerSnapshot) -> usize| snapshot.customers.values().map(count).sum();
    VerifyReport {
        findings,
        customers: snapshot.customers.len(),
        records: sum(|it| it.records.len()),
        seals: sum(|it| it.seals.len()),
        versions: sum(|it| it.config_copies.len() + it.current_configs.len()),
        unsealed: sum(count_unchained_records),
        archived: snapshot.archived_records,
    }
}

fn write_report(report: &VerifyReport, json: bool, output: &mut impl Write) -> std::io::Result<()> {
    if json {
        writeln!(output, "{}", to_json_line(report)?)?;
        return output.flush();
    }
    for CustomerFinding { customer, finding } in &report.findings {
        let kind = serde_json::to_value(finding.kind)?;
        let kind = kind.as_str().unwrap_or_default();
        let key = sanitize(&finding.key);
        let detail = sanitize(&finding.detail);
        writeln!(
            output,
            "{kind}: {key}: {detail} (customer {})",
            sanitize(customer)
        )?;
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

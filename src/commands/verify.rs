//! `verify`: whether what the bucket holds is what was written. Reads only.

use std::io::{BufWriter, Write};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::Args;
use serde::Serialize;

use crate::audit::checks::{AuditFinding, CustomerHoldings, audit_customer};
use crate::audit::inventory::{self, LoadedInventory};
use crate::commands::bucket_args::BucketArgs;
use crate::error::Error;
use crate::exit_code::ExitCode;
use crate::history::load::READ_TIMEOUTS;
use crate::output::ignore_broken_pipe;
use crate::output::sanitize::{count_noun, escape_json, sanitize};
use crate::s3::store::ObjectStore;
use crate::system::runtime::block_on;

/// The arguments of `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The customer, by the exact name; without one all are looked at
    pub customer: Option<String>,
    /// As JSON: `findings`, and how many `customers`, `records`, `seals`, `versions` and `unsealed` records there are
    #[arg(long)]
    pub json: bool,
    /// Where to look
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
    /// Records in no chain, which nothing vouches for: of the earlier module, and of helpers before there were chains.
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

/// Prints what is not as it was. Exit: 0, or 7 where something is; see docs/commands.md, "Exit codes".
pub fn run_verify(
    arguments: &VerifyArgs,
    output: impl Write,
    mut messages: impl Write,
) -> Result<ExitCode> {
    let target = arguments.source.resolve_target()?;
    let customer = arguments.customer.as_deref();
    let (report, refused) = block_on(async {
        let store = Arc::new(ObjectStore::open(&target, READ_TIMEOUTS).await?);
        let taken = inventory::load_inventory(&store, customer).await?;
        let mut report = build_report(&taken);
        if !report.findings.is_empty() {
            // Of a deployment that is under way, a part is there already. What is wrong stays wrong.
            let again = build_report(&inventory::load_inventory(&store, customer).await?).findings;
            report
                .findings
                .retain(|found| again.binary_search(found).is_ok());
        }
        Ok::<_, Error>((report, taken.unreadable_archives))
    })??;
    let written = write_report(&report, arguments.json, &mut BufWriter::new(output));
    ignore_broken_pipe(written).context("write the findings to stdout")?;
    for line in refused {
        writeln!(messages, "config-backup: left out {}", sanitize(&line))?;
    }
    writeln!(messages, "config-backup: {}", summarize_report(&report))?;
    Ok(ExitCode(if report.findings.is_empty() { 0 } else { 7 }))
}

fn build_report(
    LoadedInventory {
        inventory,
        archived_records: archived,
        ..
    }: &LoadedInventory,
) -> VerifyReport {
    let mut findings: Vec<CustomerFinding> = Vec::new();
    for (customer, holdings) in inventory {
        findings.extend(
            audit_customer(customer, holdings)
                .into_iter()
                .map(|finding| CustomerFinding {
                    customer: customer.clone(),
                    finding,
                }),
        );
    }
    findings.sort();
    let sum = |count: fn(&CustomerHoldings) -> usize| inventory.values().map(count).sum();
    VerifyReport {
        findings,
        customers: inventory.len(),
        records: sum(|it| it.records.len()),
        seals: sum(|it| it.seals.len()),
        versions: sum(|it| it.versions.len() + it.current.len()),
        unsealed: sum(CustomerHoldings::count_unchained_records),
        archived: *archived,
    }
}

fn write_report(report: &VerifyReport, json: bool, output: &mut impl Write) -> std::io::Result<()> {
    if json {
        let line = serde_json::to_string(report)?;
        writeln!(output, "{}", escape_json(&line))?;
    } else {
        for CustomerFinding { customer, finding } in &report.findings {
            let what = serde_json::to_value(finding.kind)?;
            let what = what.as_str().unwrap_or_default();
            writeln!(
                output,
                "{what}: {}: {} (customer {})",
                sanitize(&finding.key),
                sanitize(&finding.detail),
                sanitize(customer)
            )?;
        }
    }
    output.flush()
}

fn summarize_report(report: &VerifyReport) -> String {
    let VerifyReport {
        findings,
        customers,
        records,
        seals,
        versions,
        unsealed,
        archived,
    } = report;
    let found = if findings.is_empty() {
        "all is as it was written".to_owned()
    } else {
        count_noun(findings.len(), "finding")
    };
    let [records, seals, configs, customers] = [
        (records, "record"),
        (seals, "seal"),
        (versions, "config"),
        (customers, "customer"),
    ]
    .map(|(number, what)| count_noun(*number, what));
    let beside = |number: usize, words: &dyn Fn(&str) -> String| {
        if number == 0 {
            String::new()
        } else {
            words(&count_noun(number, "record"))
        }
    };
    let archived = beside(*archived, &|them| format!("; {them} only in the archive"));
    let unsealed = beside(*unsealed, &|them| {
        format!("; nothing vouches for {them}, in no chain")
    });
    format!("{found}: {records}, {seals} and {configs} of {customers}{archived}{unsealed}")
}

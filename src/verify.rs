//! `verify`: whether what the bucket holds is what was written. Reads only.

use std::io::{BufWriter, Write};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::Args;
use serde::Serialize;

use crate::audit::{Finding, Holdings, audit};
use crate::aws::Store;
use crate::cli::Exit;
use crate::deployment::block_on;
use crate::fault::Fault;
use crate::formats::until_closed;
use crate::inventory::{self, Taken};
use crate::past::PATIENCE;
use crate::source::Source;
use crate::text::{counted, escape_json, plain};

/// The arguments of `verify`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The customer, by the exact name; without one all are looked at
    pub customer: Option<String>,
    /// As JSON: `findings`, and how many `customers`, `records`, `seals`, `versions` and `unsealed` records there are
    #[arg(long)]
    pub json: bool,
    /// Where to look
    #[command(flatten)]
    pub source: Source,
}

/// What `verify --json` prints.
#[derive(Debug, Serialize)]
struct Report {
    findings: Vec<Found>,
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
struct Found {
    customer: String,
    #[serde(flatten)]
    finding: Finding,
}

/// Prints what is not as it was. Exit: 0, or 7 where something is; see README.md, "Exit codes".
pub fn run(arguments: &Arguments, output: impl Write, mut messages: impl Write) -> Result<Exit> {
    let target = arguments.source.target()?;
    let customer = arguments.customer.as_deref();
    let (report, refused) = block_on(async {
        let store = Arc::new(Store::open(&target, PATIENCE).await?);
        let taken = inventory::take(&store, customer).await?;
        let mut report = look(&taken);
        if !report.findings.is_empty() {
            // Of a deployment that is under way, a part is there already. What is wrong stays wrong.
            let again = look(&inventory::take(&store, customer).await?).findings;
            report.findings.retain(|found| again.binary_search(found).is_ok());
        }
        Ok::<_, Fault>((report, taken.refused))
    })??;
    let written = write(&report, arguments.json, &mut BufWriter::new(output));
    until_closed(written).context("write the findings to stdout")?;
    for line in refused {
        writeln!(messages, "config-backup: left out {}", plain(&line))?;
    }
    writeln!(messages, "config-backup: {}", summary(&report))?;
    Ok(Exit(if report.findings.is_empty() { 0 } else { 7 }))
}

fn look(Taken { inventory, archived, .. }: &Taken) -> Report {
    let mut findings: Vec<Found> = Vec::new();
    for (customer, holdings) in inventory {
        findings.extend(audit(customer, holdings).into_iter().map(|finding| Found { customer: customer.clone(), finding }));
    }
    findings.sort();
    let sum = |count: fn(&Holdings) -> usize| inventory.values().map(count).sum();
    Report {
        findings,
        customers: inventory.len(),
        records: sum(|it| it.records.len()),
        seals: sum(|it| it.seals.len()),
        versions: sum(|it| it.versions.len() + it.current.len()),
        unsealed: sum(Holdings::earlier),
        archived: *archived,
    }
}

fn write(report: &Report, json: bool, output: &mut impl Write) -> std::io::Result<()> {
    if json {
        let line = serde_json::to_string(report)?;
        writeln!(output, "{}", escape_json(&line))?;
    } else {
        for Found { customer, finding } in &report.findings {
            let what = serde_json::to_value(finding.what)?;
            let what = what.as_str().unwrap_or_default();
            writeln!(output, "{what}: {}: {} (customer {})", plain(&finding.key), plain(&finding.why), plain(customer))?;
        }
    }
    output.flush()
}

fn summary(report: &Report) -> String {
    let Report { findings, customers, records, seals, versions, unsealed, archived } = report;
    let found = if findings.is_empty() { "all is as it was written".to_owned() } else { counted(findings.len(), "finding") };
    let [records, seals, configs, customers] =
        [(records, "record"), (seals, "seal"), (versions, "config"), (customers, "customer")].map(|(number, what)| counted(*number, what));
    let beside =
        |number: usize, words: &dyn Fn(&str) -> String| if number == 0 { String::new() } else { words(&counted(number, "record")) };
    let archived = beside(*archived, &|them| format!("; {them} only in the archive"));
    let unsealed = beside(*unsealed, &|them| format!("; nothing vouches for {them}, in no chain"));
    format!("{found}: {records}, {seals} and {configs} of {customers}{archived}{unsealed}")
}

//! `report`: who deployed what, one row per day, customer and user, as CSV.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_util::stream::{self, StreamExt as _};

use crate::aws::{Listed, Patience, Store, Target};
use crate::cli::{Exit, ReportArguments};
use crate::config;
use crate::deployment::block_on;
use crate::facts;
use crate::fault::{Fault, Kind};
use crate::files::{self, Mode};
use crate::layout::{self, LogKey};
use crate::record;
use crate::rows::{Deployment, HEADER, Rows};

/// How many records are fetched at once.
const AT_ONCE: usize = 64;
/// The largest record that is read, in bytes.
const LARGEST: u64 = 1 << 20;
const PATIENCE: Patience = Patience { operation: Duration::from_mins(1), attempt: Duration::from_secs(20), attempts: 4 };

/// What was found beside the rows.
#[derive(Debug, Default)]
struct Findings {
    /// Objects that gave no row, with the reason.
    unusable: Vec<String>,
    /// Objects of which something was left out.
    partial: Vec<String>,
}

/// Prints the report. Exit: see README.md, "Exit codes".
pub fn run(arguments: &ReportArguments, output: impl Write, mut messages: impl Write) -> Result<Exit> {
    let target = target(arguments)?;
    if let Some(path) = to_file(arguments) {
        check_place(path)?;
    }
    let mut rows = Rows::new(arguments.by);
    let customer = arguments.customer.as_deref();
    let findings = block_on(async {
        let store = Store::open(&target, PATIENCE).await?;
        collect(&store, customer, &mut rows).await
    })??;
    let csv = csv(&rows)?;
    match to_file(arguments) {
        Some(path) => {
            files::put(path, &[&csv], Mode::Plain).with_context(|| format!("write `{}`", path.display()))?;
            writeln!(messages, "config-backup: wrote {} to {}", count(rows.len(), "row"), path.display())?;
        }
        None => print(output, &csv).context("write the report to stdout")?,
    }
    tell(&rows, &findings, &mut messages)?;
    Ok(Exit(if arguments.strict && !(findings.unusable.is_empty() && findings.partial.is_empty()) { 7 } else { 0 }))
}

fn target(arguments: &ReportArguments) -> Result<Target> {
    let profile = match (&arguments.profile, &arguments.config_file) {
        (Some(profile), _) => profile.clone(),
        (None, Some(path)) => facts::read(&config::read(path)?.bytes).profile,
        (None, None) => String::new(),
    };
    Ok(Target { bucket: arguments.bucket.clone(), region: arguments.bucket_region.clone(), profile })
}

fn to_file(arguments: &ReportArguments) -> Option<&Path> {
    arguments.output.as_deref().filter(|path| *path != Path::new("-"))
}

/// Says at once that the report could not be written, not after minutes of fetching.
fn check_place(path: &Path) -> Result<(), Fault> {
    let refuse = |words: String| Fault::new(Kind::Local, format!("write `{}`: {words}", path.display()), "");
    if path.is_dir() {
        return Err(refuse("it is a folder".to_owned()));
    }
    let folder = files::folder_of(path);
    if folder.is_dir() { Ok(()) } else { Err(refuse(format!("there is no folder `{}`", folder.display()))) }
}

/// Lists page by page and fetches the records of a page at the same time as the next page is listed.
async fn collect(store: &Store, customer: Option<&str>, rows: &mut Rows) -> Result<Findings, Fault> {
    let mut findings = Findings::default();
    let prefixes = customer.map_or_else(|| vec![layout::LOGS.to_owned()], layout::prefixes_to_read);
    for prefix in prefixes {
        collect_prefix(store, &prefix, rows, &mut findings).await?;
    }
    Ok(findings)
}

async fn collect_prefix(store: &Store, prefix: &str, rows: &mut Rows, findings: &mut Findings) -> Result<(), Fault> {
    let (mut page, mut token) = store.list(prefix, None).await?;
    loop {
        let next = async {
            match token.take() {
                Some(token) => store.list(prefix, Some(token)).await.map(Some),
                None => Ok(None),
            }
        };
        let records = fetch(store, page, rows, findings);
        let (next, done) = futures_util::join!(next, records);
        done?;
        match next? {
            Some(more) => (page, token) = more,
            None => return Ok(()),
        }
    }
}

async fn fetch(store: &Store, page: Vec<Listed>, rows: &mut Rows, findings: &mut Findings) -> Result<(), Fault> {
    let wanted = page.into_iter().filter(|listed| layout::parse_log_key(&listed.key).is_some());
    let mut fetched = stream::iter(wanted.map(|listed| async move {
        let body = store.get(&listed.key, LARGEST).await;
        (listed, body)
    }))
    .buffer_unordered(AT_ONCE);
    while let Some((listed, body)) = fetched.next().await {
        match body {
            Ok(Some(body)) => take(&listed, &body, rows, findings),
            // Deleted since it was listed: as if it had never been there.
            Ok(None) => {}
            // An object that is too large is its own fault; one that S3 cannot give now would be missing without a word.
            Err(fault) if fault.kind == Kind::Service && fault.status.is_none() => findings.unusable.push(fault.text),
            Err(fault) => return Err(fault),
        }
    }
    Ok(())
}

fn take(listed: &Listed, body: &[u8], rows: &mut Rows, findings: &mut Findings) {
    let Some(key) = layout::parse_log_key(&listed.key) else { return };
    match record::read(body) {
        Ok(reading) => {
            if !reading.problems.is_empty() {
                findings.partial.push(format!("`{}`: {}", listed.key, reading.problems.join(", ")));
            }
            rows.add(Deployment {
                at: reading.at.or(key.at).unwrap_or(listed.modified),
                modified: listed.modified,
                key: listed.key.clone(),
                customer: customer(&key, reading.customer),
                user: reading.user,
                additional_users_count: reading.additional_users_count,
                project_name: reading.project_name,
                cluster_name: reading.cluster_name,
            });
        }
        Err(reason) => findings.unusable.push(format!("`{}`: {reason}", listed.key)),
    }
}

/// The customer in the key wins: permissions are given by prefix, so the key is what a writer cannot choose freely.
fn customer(key: &LogKey<'_>, in_record: String) -> String {
    if layout::segment(&in_record) == key.segment {
        in_record
    } else {
        layout::customer_of(key.segment).unwrap_or_else(|| key.segment.to_owned())
    }
}

fn csv(rows: &Rows) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(HEADER).context("make the CSV")?;
    for cells in rows.cells() {
        writer.write_record(cells).context("make the CSV")?;
    }
    writer.into_inner().context("make the CSV")
}

/// A reader that has seen enough (`| head`) is no failure.
fn print(mut output: impl Write, bytes: &[u8]) -> io::Result<()> {
    match output.write_all(bytes).and_then(|()| output.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

fn tell(rows: &Rows, findings: &Findings, messages: &mut impl Write) -> io::Result<()> {
    for line in &findings.unusable {
        writeln!(messages, "config-backup: left out {}", plain(line))?;
    }
    for line in &findings.partial {
        writeln!(messages, "config-backup: used in part {}", plain(line))?;
    }
    for (name, arns) in rows.folded() {
        let arns: Vec<&str> = arns.iter().map(String::as_str).collect();
        let line = format!("{name} stands for {}; `--by arn` keeps them apart", arns.join(" and "));
        writeln!(messages, "config-backup: {}", plain(&line))?;
    }
    if !findings.unusable.is_empty() {
        writeln!(messages, "config-backup: left out {} in all", count(findings.unusable.len(), "record"))?;
    }
    Ok(())
}

/// Keys and ARNs come from others and may hold what a terminal would obey.
fn plain(line: &str) -> String {
    line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

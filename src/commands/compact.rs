//! `compact`: archives the usage records of months that are over into a few large objects.
//!
//! Must not change or delete records: see [`archive::writer`](crate::archive::writer).

use std::io::Write;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use chrono::{DateTime, Datelike as _, NaiveTime, Utc};
use futures_util::{StreamExt as _, stream};

use crate::archive::writer::{CompactResult, compact_customer};
use crate::commands::bucket_args::{BucketArgs, EncryptionArgs};
use crate::error::{Error, write_line, write_message};
use crate::exit_code::ExitCode;
use crate::keys::{self, RECORDS_PREFIX};
use crate::output::ignore_broken_pipe;
use crate::output::sanitize::{count_noun, sanitize};
use crate::s3::bulk_get;
use crate::s3::listing::ListRequest;
use crate::s3::object_failures::ObjectFailures;
use crate::s3::store::{BucketTarget, ObjectStore};
use crate::snapshot::READ_TIMEOUTS;
use crate::system::clock::utc_now;
use crate::system::runtime::block_on;
use crate::time_spec::{DayBoundary, parse_time_argument};

const CUSTOMER_CONCURRENCY: usize = 4;

#[derive(Debug, clap::Args)]
pub struct CompactArgs {
    /// Archive only the records of this customer
    pub customer: Option<String>,
    /// Archive the months that ended by this day (2026-10-01) or age (90d) [default: now]
    #[arg(long, value_name = "DATE")]
    pub before: Option<String>,
    /// Print what would be archived, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    source: BucketArgs,
    #[command(flatten)]
    encryption: EncryptionArgs,
}

/// What was archived of all customers.
#[derive(Debug, Default)]
struct CompactSummary {
    record_count: usize,
    file_count: usize,
    customer_count: usize,
    already_archived: usize,
    skipped: Vec<String>,
    failures: ObjectFailures,
}

impl CompactSummary {
    fn add_customer(&mut self, result: CompactResult) {
        for (_, record_count) in &result.files {
            self.record_count += record_count;
        }
        self.file_count += result.files.len();
        self.customer_count += usize::from(!result.files.is_empty());
        self.already_archived += result.already_archived;
        self.skipped.extend(result.skipped);
        self.failures.merge(result.failures);
    }
}

/// Archives records and prints each archive file that it writes.
pub fn run_compact(
    arguments: &CompactArgs,
    mut output: impl Write,
    mut messages: impl Write,
) -> Result<ExitCode> {
    let now = utc_now();
    let cutoff = archive_cutoff(arguments.before.as_deref(), now)?;
    let mut target = arguments.source.resolve_target(&mut messages)?;
    target
        .encryption
        .clone_from(&arguments.encryption.bucket_encryption);

    let mut summary = CompactSummary::default();
    let compacted = block_on(compact_all(
        arguments,
        &target,
        cutoff,
        &mut summary,
        &mut output,
    ))?;

    summary.skipped.sort();
    for line in &summary.skipped {
        write_message(&mut messages, &format!("skipped {line}"))?;
    }
    // After a failure as well: what was written stays, and the next run continues from there.
    let line = format_summary(&summary, arguments.dry_run);
    write_message(&mut messages, &line)?;
    compacted?;
    Ok(ExitCode::Ok)
}

async fn compact_all(
    arguments: &CompactArgs,
    target: &BucketTarget,
    cutoff: DateTime<Utc>,
    summary: &mut CompactSummary,
    output: &mut impl Write,
) -> Result<()> {
    let store = Arc::new(ObjectStore::open(target, READ_TIMEOUTS).await?);
    let prefixes = list_record_prefixes(&store, arguments.customer.as_deref()).await?;

    let mut customers = Vec::new();
    for prefix in &prefixes {
        customers.push(compact_customer(&store, prefix, cutoff, arguments.dry_run));
    }
    let mut customers = stream::iter(customers).buffered(CUSTOMER_CONCURRENCY);
    while let Some(result) = customers.next().await {
        let result = result?;
        for (key, record_count) in &result.files {
            let records = count_noun(*record_count, "record");
            let written = write_line(output, &format!("{}: {records}", sanitize(key)));
            ignore_broken_pipe(written).context("cannot write to stdout")?;
        }
        summary.add_customer(result);
    }
    std::mem::take(&mut summary.failures)
        .confirm(&store)
        .await?;
    Ok(())
}

/// The beginning of the first month that must not be archived.
///
/// That month is not over yet, or was not over by the day that `--before` names.
fn archive_cutoff(before: Option<&str>, now: DateTime<Utc>) -> Result<DateTime<Utc>, Error> {
    let end = match before {
        None => now,
        Some(text) => parse_time_argument("--before", text, DayBoundary::Start, now)?.min(now),
    };
    let first_day = end.date_naive().with_day(1).unwrap_or_default();
    Ok(first_day.and_time(NaiveTime::MIN).and_utc())
}

/// The prefixes of the records of `customer`, or of each customer.
async fn list_record_prefixes(
    store: &Arc<ObjectStore>,
    customer: Option<&str>,
) -> Result<Vec<String>, Error> {
    if let Some(name) = customer {
        return Ok(keys::customer_record_prefixes(name));
    }
    let request = ListRequest {
        prefix: RECORDS_PREFIX.to_owned(),
        delimiter: "/",
        ..ListRequest::default()
    };
    bulk_get::list_folders(store, &request).await
}

fn format_summary(summary: &CompactSummary, is_dry_run: bool) -> String {
    let action = if is_dry_run {
        "would archive"
    } else {
        "archived"
    };
    let records = count_noun(summary.record_count, "record");
    let customers = count_noun(summary.customer_count, "customer");
    let objects = count_noun(summary.file_count, "object");
    let before = summary.already_archived;
    format!("{action} {records} of {customers} in {objects}; already archived: {before}")
}

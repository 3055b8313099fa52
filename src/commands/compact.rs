//! `compact`: rolls the usage records of months that have ended up into a few objects of the archive.
//!
//! Adds only: no record is changed or deleted, and what is in the archive stays as it is. Two at once, or one that is cut off,
//! do no harm, for an object of the archive is whole or not there, and who reads takes each record once.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use chrono::{DateTime, Datelike as _, NaiveTime, Utc};
use futures_util::{StreamExt as _, stream};

use crate::archive::parquet::{ArchiveRow, ArchivedRecord, encode_archive};
use crate::archive::reader;
use crate::archive::reader::ArchiveVisitor;
use crate::commands::bucket_args::BucketArgs;
use crate::digest::sha256_hex;
use crate::error::{Error, ErrorKind};
use crate::exit_code::ExitCode;
use crate::keys::{self, ArchiveKey, RECORDS_PREFIX};
use crate::output::sanitize::{count_noun, sanitize};
use crate::output::table_formats::ignore_broken_pipe;
use crate::report::collector::MAX_RECORD_BYTES;
use crate::s3::bulk_get::{self, ObjectSink, retry_with_backoff};
use crate::s3::listing::{ListPage, ListRequest, ObjectMeta};
use crate::s3::store::{ObjectStore, PutCondition, PutOutcome};
use crate::snapshot::READ_TIMEOUTS;
use crate::system::host;
use crate::system::runtime::block_on;
use crate::time_spec::{DayBoundary, parse_time_spec};

/// Records of one customer under way at once.
const GET_CONCURRENCY: usize = 64;
/// Customers under way at once.
const CUSTOMER_CONCURRENCY: usize = 4;
/// The most records in one object of the archive.
const MAX_RECORDS_PER_FILE: usize = 10_000;
/// The most bytes of records in one object of the archive.
const MAX_RECORD_BYTES_PER_FILE: u64 = 16 << 20;
/// What objects of the archive are.
const PARQUET_MEDIA_TYPE: &str = "application/vnd.apache.parquet";

/// The arguments of `compact`.
#[derive(Debug, clap::Args)]
pub struct CompactArgs {
    /// Archive the records of this customer alone
    pub customer: Option<String>,
    /// Archive the months that ended by this day (2026-10-01) or age (90d); without it, all that have ended
    #[arg(long, value_name = "DATE")]
    pub before: Option<String>,
    /// Say what would be archived, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    source: BucketArgs,
}

/// What was done, for one customer or for all.
#[derive(Debug, Default)]
struct CompactSummary {
    /// The objects of the archive, by key, with how many records each has.
    files: Vec<(String, usize)>,
    customer_count: usize,
    /// How many records of these months had been archived before.
    already_archived: usize,
    /// What stays outside, with the reason.
    left_out: Vec<String>,
}

/// Archives records and prints each object that it wrote. Exit: see README.md, "Exit codes".
pub fn run_compact(
    arguments: &CompactArgs,
    mut output: impl Write,
    mut messages: impl Write,
) -> Result<ExitCode> {
    let now = host::utc_now();
    let end = archive_cutoff(arguments.before.as_deref(), now)?;
    let target = arguments.source.resolve_target()?;
    let mut all = CompactSummary::default();
    let done = block_on(async {
        let store = Arc::new(ObjectStore::open(&target, READ_TIMEOUTS).await?);
        let prefixes = list_record_prefixes(&store, arguments.customer.as_deref()).await?;
        let customers = prefixes
            .iter()
            .map(|prefix| compact_customer(&store, prefix, end, arguments.dry_run));
        let mut customers =
            stream::iter(customers.collect::<Vec<_>>()).buffered(CUSTOMER_CONCURRENCY);
        while let Some(done) = customers.next().await {
            let mut done = done?;
            for (key, records) in &done.files {
                let written = writeln!(
                    output,
                    "{}: {}",
                    sanitize(key),
                    count_noun(*records, "record")
                );
                ignore_broken_pipe(written).context("write to stdout")?;
            }
            all.customer_count += usize::from(!done.files.is_empty());
            all.already_archived += done.already_archived;
            all.files.append(&mut done.files);
            all.left_out.append(&mut done.left_out);
        }
        Ok::<_, anyhow::Error>(())
    })?;
    all.left_out.sort();
    for line in &all.left_out {
        writeln!(messages, "config-backup: left out {}", sanitize(line))?;
    }
    // Also after a failure: what was written until then stays, and the next run goes on behind it.
    writeln!(
        messages,
        "config-backup: {}",
        format_summary(&all, arguments.dry_run)
    )?;
    done.map(|()| ExitCode(0))
}

/// The first moment that is not archived: that of a month which has not ended, or not by the day that was named.
fn archive_cutoff(before: Option<&str>, now: DateTime<Utc>) -> Result<DateTime<Utc>, Error> {
    let read = |text: &str| {
        parse_time_spec(text, DayBoundary::Start, now)
            .map_err(|why| Error::new(ErrorKind::Input, format!("read `--before {text}`"), why))
    };
    let by = before.map_or(Ok(now), read)?.min(now);
    let first = by.date_naive().with_day(1).unwrap_or_default();
    Ok(first.and_time(NaiveTime::MIN).and_utc())
}

/// The prefixes of the records of `customer`, or of each customer.
async fn list_record_prefixes(
    store: &Arc<ObjectStore>,
    customer: Option<&str>,
) -> Result<Vec<String>, Error> {
    match customer {
        Some(name) => Ok(keys::customer_record_prefixes(name)),
        None => {
            bulk_get::list_folders(
                store,
                &ListRequest {
                    prefix: RECORDS_PREFIX.to_owned(),
                    delimiter: "/",
                    ..ListRequest::default()
                },
            )
            .await
        }
    }
}

/// What the bucket has of one customer.
#[derive(Debug)]
struct ArchiveCandidates {
    cutoff: DateTime<Utc>,
    /// Records of months that have ended, by key.
    records: BTreeMap<String, ObjectMeta>,
    /// How many of them are in the archive.
    archived_count: usize,
    left_out: Vec<String>,
}

impl ObjectSink for ArchiveCandidates {
    fn accept_page(
        &mut self,
        _: &ListRequest,
        _: &str,
        page: ListPage,
    ) -> Result<Vec<ObjectMeta>, Error> {
        for listed in page.objects {
            let Some(key) = keys::parse_record_key(&listed.key) else {
                continue;
            };
            if key.deployed_at.unwrap_or(listed.last_modified) >= self.cutoff {
                continue;
            }
            if listed.size > MAX_RECORD_BYTES {
                self.left_out.push(format!(
                    "`{}`: it has {} bytes, and at most {MAX_RECORD_BYTES} are read",
                    listed.key, listed.size
                ));
            } else {
                self.records.insert(listed.key.clone(), listed);
            }
        }
        Ok(Vec::new())
    }

    fn accept_object(&mut self, _: &ObjectMeta, _: Result<Option<Vec<u8>>, Error>) {}
}

impl ArchiveVisitor for ArchiveCandidates {
    fn wants_file(&mut self, _: &ObjectMeta, key: &ArchiveKey<'_>) -> bool {
        key.months.is_none_or(|(first, _)| first < self.cutoff)
    }

    fn visit_records(&mut self, part: &ObjectMeta, records: Result<Vec<ArchivedRecord>, String>) {
        match records {
            Ok(records) => {
                for record in records {
                    if self.records.get(&record.object.key) == Some(&record.object) {
                        self.records.remove(&record.object.key);
                        self.archived_count += 1;
                    }
                }
            }
            Err(why) => self.left_out.push(format!("`{}`: {why}", part.key)),
        }
    }
}

/// Archives what is not in the archive yet of the records below a prefix.
async fn compact_customer(
    store: &Arc<ObjectStore>,
    prefix: &str,
    end: DateTime<Utc>,
    dry_run: bool,
) -> Result<CompactSummary> {
    let mut holdings = ArchiveCandidates {
        cutoff: end,
        records: BTreeMap::new(),
        archived_count: 0,
        left_out: Vec::new(),
    };
    let listing = ListRequest {
        prefix: prefix.to_owned(),
        ..ListRequest::default()
    };
    bulk_get::list_and_fetch(
        Arc::clone(store),
        vec![listing],
        MAX_RECORD_BYTES,
        &mut holdings,
    )
    .await?;
    if let Some(refused) = reader::read_archive(store, &[prefix.to_owned()], &mut holdings)
        .await?
        .pop()
    {
        // Whoever does not see what is there would write it again and again.
        return Err(Error::new(
            ErrorKind::Denied,
            format!("look for what is archived already: {refused}"),
            "",
        )
        .into());
    }
    let mut done = CompactSummary {
        already_archived: holdings.archived_count,
        left_out: holdings.left_out,
        ..CompactSummary::default()
    };
    let (dated, undated): (Vec<ObjectMeta>, Vec<ObjectMeta>) = holdings
        .records
        .into_values()
        .partition(|it| record_key_time(it).is_some());
    for records in [dated, undated].into_iter().flat_map(split_into_files) {
        if dry_run {
            done.files.push((prefix.to_owned(), records.len()));
        } else {
            let rows = fetch_rows(store, records, &mut done.left_out).await?;
            done.files
                .extend(write_archive_file(store, prefix, &rows).await?);
        }
    }
    Ok(done)
}

/// Fetches records; those that are none are named.
async fn fetch_rows(
    store: &ObjectStore,
    records: Vec<ObjectMeta>,
    left_out: &mut Vec<String>,
) -> Result<Vec<ArchiveRow>, Error> {
    let get = |listed: ObjectMeta| async move {
        let body =
            retry_with_backoff(|| store.get_small_object(&listed.key, MAX_RECORD_BYTES)).await;
        (listed, body)
    };
    let mut bodies = stream::iter(records).map(get).buffered(GET_CONCURRENCY);
    let mut rows = Vec::new();
    while let Some((listed, body)) = bodies.next().await {
        let key = listed.key.clone();
        match body {
            // Overwritten since it was listed, as the earlier module does it: the next run knows what is there then.
            Ok(Some(body)) if body.len() as u64 != listed.size => {}
            Ok(Some(body)) => match ArchiveRow::from_record(ArchivedRecord {
                object: listed,
                body,
            }) {
                Ok(row) => rows.push(row),
                Err(why) => left_out.push(format!("`{key}`: {why}")),
            },
            // Deleted since it was listed.
            Ok(None) => {}
            Err(fault) if fault.is_object_error() => left_out.push(fault.message),
            Err(fault) => return Err(fault),
        }
    }
    Ok(rows)
}

/// Writes records as one object of the archive; gives its key, and how many they are.
async fn write_archive_file(
    store: &ObjectStore,
    prefix: &str,
    rows: &[ArchiveRow],
) -> Result<Option<(String, usize)>, Error> {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
        return Ok(None);
    };
    let months = record_key_time(first.object()).zip(record_key_time(last.object()));
    let bytes = encode_archive(rows)
        .map_err(|why| Error::new(ErrorKind::Local, format!("archive `{prefix}`: {why}"), ""))?;
    let key = keys::archive_key(
        keys::record_key_segment(prefix).unwrap_or_default(),
        months,
        &sha256_hex(&bytes),
    );
    let metadata = HashMap::new();
    // Its name says what it is: if it is there, somebody else was faster.
    let (PutOutcome::Written(_) | PutOutcome::ConditionFailed) = retry_with_backoff(|| {
        store.put_object(
            &key,
            &bytes,
            PARQUET_MEDIA_TYPE,
            &metadata,
            PutCondition::IfAbsent,
        )
    })
    .await?;
    Ok(Some((key, rows.len())))
}

/// The time in the key of a record.
fn record_key_time(listed: &ObjectMeta) -> Option<DateTime<Utc>> {
    keys::parse_record_key(&listed.key).and_then(|key| key.deployed_at)
}

/// Splits records into what fits into one object each.
fn split_into_files(records: Vec<ObjectMeta>) -> Vec<Vec<ObjectMeta>> {
    let mut parts: Vec<Vec<ObjectMeta>> = Vec::new();
    let mut bytes = 0;
    for listed in records {
        bytes += listed.size;
        match parts.last_mut() {
            Some(part)
                if part.len() < MAX_RECORDS_PER_FILE && bytes <= MAX_RECORD_BYTES_PER_FILE =>
            {
                part.push(listed);
            }
            _ => {
                bytes = listed.size;
                parts.push(vec![listed]);
            }
        }
    }
    parts
}

fn format_summary(done: &CompactSummary, dry_run: bool) -> String {
    let records: usize = done.files.iter().map(|(_, records)| records).sum();
    let [objects, customers] = [
        (done.files.len(), "object"),
        (done.customer_count, "customer"),
    ]
    .map(|(number, what)| count_noun(number, what));
    let did = if dry_run { "would archive" } else { "archived" };
    let before = done.already_archived;
    format!(
        "{did} {} of {customers} in {objects}; {before} of these months had been archived before",
        count_noun(records, "record")
    )
}

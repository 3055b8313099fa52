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

use crate::archive::Shelf;
use crate::aws::{Condition, Store, Written};
use crate::choice::{End, moment};
use crate::cli::Exit;
use crate::deployment::block_on;
use crate::digest::sha256_hex;
use crate::fault::{Fault, Kind};
use crate::fetch::{self, Sink, patiently};
use crate::formats::until_closed;
use crate::gather::LARGEST;
use crate::layout::{self, LOGS, PartKey};
use crate::listing::{Listed, Listing, Page};
use crate::parts::{Archived, Row, encode};
use crate::past::PATIENCE;
use crate::source::Source;
use crate::text::{counted, plain};
use crate::{archive, host};

/// Records of one customer under way at once.
const AT_ONCE: usize = 64;
/// Customers under way at once.
const CUSTOMERS_AT_ONCE: usize = 4;
/// The most records in one object of the archive.
const RECORDS: usize = 10_000;
/// The most bytes of records in one object of the archive.
const BYTES: u64 = 16 << 20;
/// What objects of the archive are.
const PARQUET: &str = "application/vnd.apache.parquet";

/// The arguments of `compact`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Archive the records of this customer alone
    pub customer: Option<String>,
    /// Archive the months that ended by this day (2026-10-01) or age (90d); without it, all that have ended
    #[arg(long, value_name = "DATE")]
    pub before: Option<String>,
    /// Say what would be archived, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    source: Source,
}

/// What was done, for one customer or for all.
#[derive(Debug, Default)]
struct Done {
    /// The objects of the archive, by key, with how many records each has.
    objects: Vec<(String, usize)>,
    customers: usize,
    /// How many records of these months had been archived before.
    before: usize,
    /// What stays outside, with the reason.
    left_out: Vec<String>,
}

/// Archives records and prints each object that it wrote. Exit: see README.md, "Exit codes".
pub fn run(arguments: &Arguments, mut output: impl Write, mut messages: impl Write) -> Result<Exit> {
    let now = host::now();
    let end = end(arguments.before.as_deref(), now)?;
    let target = arguments.source.target()?;
    let mut all = Done::default();
    let done = block_on(async {
        let store = Arc::new(Store::open(&target, PATIENCE).await?);
        let prefixes = prefixes(&store, arguments.customer.as_deref()).await?;
        let customers = prefixes.iter().map(|prefix| customer(&store, prefix, end, arguments.dry_run));
        let mut customers = stream::iter(customers.collect::<Vec<_>>()).buffered(CUSTOMERS_AT_ONCE);
        while let Some(done) = customers.next().await {
            let mut done = done?;
            for (key, records) in &done.objects {
                let written = writeln!(output, "{}: {}", plain(key), counted(*records, "record"));
                until_closed(written).context("write to stdout")?;
            }
            all.customers += usize::from(!done.objects.is_empty());
            all.before += done.before;
            all.objects.append(&mut done.objects);
            all.left_out.append(&mut done.left_out);
        }
        Ok::<_, anyhow::Error>(())
    })?;
    all.left_out.sort();
    for line in &all.left_out {
        writeln!(messages, "config-backup: left out {}", plain(line))?;
    }
    // Also after a failure: what was written until then stays, and the next run goes on behind it.
    writeln!(messages, "config-backup: {}", summary(&all, arguments.dry_run))?;
    done.map(|()| Exit(0))
}

/// The first moment that is not archived: that of a month which has not ended, or not by the day that was named.
fn end(before: Option<&str>, now: DateTime<Utc>) -> Result<DateTime<Utc>, Fault> {
    let read = |text: &str| moment(text, End::First, now).map_err(|why| Fault::new(Kind::Input, format!("read `--before {text}`"), why));
    let by = before.map_or(Ok(now), read)?.min(now);
    let first = by.date_naive().with_day(1).unwrap_or_default();
    Ok(first.and_time(NaiveTime::MIN).and_utc())
}

/// The prefixes of the records of `customer`, or of each customer.
async fn prefixes(store: &Arc<Store>, customer: Option<&str>) -> Result<Vec<String>, Fault> {
    match customer {
        Some(name) => Ok(layout::prefixes_to_read(name)),
        None => fetch::folders(store, &Listing { prefix: LOGS.to_owned(), delimiter: "/", ..Listing::default() }).await,
    }
}

/// What the bucket has of one customer.
#[derive(Debug)]
struct Holdings {
    end: DateTime<Utc>,
    /// Records of months that have ended, by key.
    records: BTreeMap<String, Listed>,
    /// How many of them are in the archive.
    archived: usize,
    left_out: Vec<String>,
}

impl Sink for Holdings {
    fn page(&mut self, _: &Listing, _: &str, page: Page) -> Result<Vec<Listed>, Fault> {
        for listed in page.objects {
            let Some(key) = layout::parse_log_key(&listed.key) else { continue };
            if key.at.unwrap_or(listed.modified) >= self.end {
                continue;
            }
            if listed.size > LARGEST {
                self.left_out.push(format!("`{}`: it has {} bytes, and at most {LARGEST} are read", listed.key, listed.size));
            } else {
                self.records.insert(listed.key.clone(), listed);
            }
        }
        Ok(Vec::new())
    }

    fn object(&mut self, _: &Listed, _: Result<Option<Vec<u8>>, Fault>) {}
}

impl Shelf for Holdings {
    fn wants(&mut self, _: &Listed, key: &PartKey<'_>) -> bool {
        key.months.is_none_or(|(first, _)| first < self.end)
    }

    fn take(&mut self, part: &Listed, records: Result<Vec<Archived>, String>) {
        match records {
            Ok(records) => {
                for record in records {
                    if self.records.get(&record.listed.key) == Some(&record.listed) {
                        self.records.remove(&record.listed.key);
                        self.archived += 1;
                    }
                }
            }
            Err(why) => self.left_out.push(format!("`{}`: {why}", part.key)),
        }
    }
}

/// Archives what is not in the archive yet of the records below a prefix.
async fn customer(store: &Arc<Store>, prefix: &str, end: DateTime<Utc>, dry_run: bool) -> Result<Done> {
    let mut holdings = Holdings { end, records: BTreeMap::new(), archived: 0, left_out: Vec::new() };
    let listing = Listing { prefix: prefix.to_owned(), ..Listing::default() };
    fetch::all(Arc::clone(store), vec![listing], LARGEST, &mut holdings).await?;
    if let Some(refused) = archive::read(store, &[prefix.to_owned()], &mut holdings).await?.pop() {
        // Whoever does not see what is there would write it again and again.
        return Err(Fault::new(Kind::Denied, format!("look for what is archived already: {refused}"), "").into());
    }
    let mut done = Done { before: holdings.archived, left_out: holdings.left_out, ..Done::default() };
    let (dated, undated): (Vec<Listed>, Vec<Listed>) = holdings.records.into_values().partition(|it| time(it).is_some());
    for records in [dated, undated].into_iter().flat_map(parts) {
        if dry_run {
            done.objects.push((prefix.to_owned(), records.len()));
        } else {
            let rows = rows(store, records, &mut done.left_out).await?;
            done.objects.extend(part(store, prefix, &rows).await?);
        }
    }
    Ok(done)
}

/// Fetches records; those that are none are named.
async fn rows(store: &Store, records: Vec<Listed>, left_out: &mut Vec<String>) -> Result<Vec<Row>, Fault> {
    let get = |listed: Listed| async move {
        let body = patiently(|| store.get_quickly(&listed.key, LARGEST)).await;
        (listed, body)
    };
    let mut bodies = stream::iter(records).map(get).buffered(AT_ONCE);
    let mut rows = Vec::new();
    while let Some((listed, body)) = bodies.next().await {
        let key = listed.key.clone();
        match body {
            // Overwritten since it was listed, as the earlier module does it: the next run knows what is there then.
            Ok(Some(body)) if body.len() as u64 != listed.size => {}
            Ok(Some(body)) => match Row::of(Archived { listed, body }) {
                Ok(row) => rows.push(row),
                Err(why) => left_out.push(format!("`{key}`: {why}")),
            },
            // Deleted since it was listed.
            Ok(None) => {}
            Err(fault) if fault.is_of_the_object() => left_out.push(fault.text),
            Err(fault) => return Err(fault),
        }
    }
    Ok(rows)
}

/// Writes records as one object of the archive; gives its key, and how many they are.
async fn part(store: &Store, prefix: &str, rows: &[Row]) -> Result<Option<(String, usize)>, Fault> {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(None) };
    let months = time(first.listed()).zip(time(last.listed()));
    let bytes = encode(rows).map_err(|why| Fault::new(Kind::Local, format!("archive `{prefix}`: {why}"), ""))?;
    let key = layout::part_key(layout::segment_of(prefix).unwrap_or_default(), months, &sha256_hex(&bytes));
    let metadata = HashMap::new();
    // Its name says what it is: if it is there, somebody else was faster.
    let (Written::Yes(_) | Written::ConditionFailed) = patiently(|| store.put(&key, &bytes, PARQUET, &metadata, Condition::Absent)).await?;
    Ok(Some((key, rows.len())))
}

/// The time in the key of a record.
fn time(listed: &Listed) -> Option<DateTime<Utc>> {
    layout::parse_log_key(&listed.key).and_then(|key| key.at)
}

/// Splits records into what fits into one object each.
fn parts(records: Vec<Listed>) -> Vec<Vec<Listed>> {
    let mut parts: Vec<Vec<Listed>> = Vec::new();
    let mut bytes = 0;
    for listed in records {
        bytes += listed.size;
        match parts.last_mut() {
            Some(part) if part.len() < RECORDS && bytes <= BYTES => part.push(listed),
            _ => {
                bytes = listed.size;
                parts.push(vec![listed]);
            }
        }
    }
    parts
}

fn summary(done: &Done, dry_run: bool) -> String {
    let records: usize = done.objects.iter().map(|(_, records)| records).sum();
    let [objects, customers] = [(done.objects.len(), "object"), (done.customers, "customer")].map(|(number, what)| counted(number, what));
    let did = if dry_run { "would archive" } else { "archived" };
    let before = done.before;
    format!("{did} {} of {customers} in {objects}; {before} of these months had been archived before", counted(records, "record"))
}

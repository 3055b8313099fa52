//! The archive of usage records: which of its objects there are, and the records in them.
//!
//! Reads only. An object whose bytes are not those that its key names is left out, and that is said.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::aws::Store;
use crate::digest::sha256_hex;
use crate::fault::{Fault, Kind};
use crate::fetch::{self, Sink};
use crate::layout::{self, LOGS, PartKey};
use crate::listing::{Listed, Listing, Page};
use crate::parts::{self, Archived};

/// The largest object that is read, in bytes: several times what is ever written.
pub const LARGEST: u64 = 64 << 20;

/// Whoever wants records out of the archive.
pub trait Shelf {
    /// Whether an object of the archive is to be read.
    fn wants(&mut self, part: &Listed, key: &PartKey<'_>) -> bool;
    /// Takes what is in it, or why that cannot be had.
    fn take(&mut self, part: &Listed, records: Result<Vec<Archived>, String>);
}

/// Goes through the archive of the records below `logs`, which are prefixes of records; gives what of it may not be read, as one
/// phrase each: a profile that is allowed to read the records alone is allowed enough.
///
/// # Errors
/// A request that failed for good.
pub async fn read(store: &Arc<Store>, logs: &[String], shelf: &mut impl Shelf) -> Result<Vec<String>, Fault> {
    let mut refused = Vec::new();
    for prefix in logs.iter().map(|prefix| layout::archive_prefix(prefix)) {
        let listing = Listing { prefix, ..Listing::default() };
        match fetch::all(Arc::clone(store), vec![listing], LARGEST, &mut Parts(shelf)).await {
            Ok(()) => {}
            Err(fault) if fault.kind == Kind::Denied => refused.push(format!("the archive: {fault}")),
            Err(fault) => return Err(fault),
        }
    }
    Ok(refused)
}

struct Parts<'a, S>(&'a mut S);

impl<S: Shelf> Sink for Parts<'_, S> {
    fn page(&mut self, _: &Listing, _: &str, page: Page) -> Result<Vec<Listed>, Fault> {
        let wants = |part: &Listed| layout::parse_part_key(&part.key).is_some_and(|key| self.0.wants(part, &key));
        let (small, large): (Vec<Listed>, Vec<Listed>) = page.objects.into_iter().filter(wants).partition(|part| part.size <= LARGEST);
        for part in large {
            self.0.take(&part, Err(format!("it has {} bytes, and at most {LARGEST} are read", part.size)));
        }
        Ok(small)
    }

    fn object(&mut self, part: &Listed, body: Result<Option<Vec<u8>>, Fault>) {
        let records = match body {
            Ok(Some(body)) => open(&part.key, body),
            // Deleted since it was listed: as if it had never been there.
            Ok(None) => return,
            Err(fault) => Err(fault.text),
        };
        self.0.take(part, records);
    }
}

/// The records in an object of the archive, whose key says what its bytes are, and whose they are.
fn open(key: &str, body: Vec<u8>) -> Result<Vec<Archived>, String> {
    let Some(PartKey { segment, digest, .. }) = layout::parse_part_key(key) else { return Err("its name is none".to_owned()) };
    if !sha256_hex(&body).starts_with(digest) {
        return Err("its bytes are not those that its name stands for".to_owned());
    }
    let records = parts::decode(body)?;
    // Permissions are given by prefix: who may archive one customer must not have a word in another one's report.
    let is_own = |record: &Archived| layout::segment_of(&record.listed.key) == Some(segment);
    if records.iter().all(is_own) { Ok(records) } else { Err("it has records of another customer".to_owned()) }
}

/// What the archive was good for, and what of it could not be read.
#[derive(Debug, Default)]
pub struct Rest {
    /// How many records were taken out of it.
    pub records: usize,
    /// Objects that are not what was written, with the reason.
    pub damaged: Vec<(String, String)>,
    /// What this profile may not read, as one phrase each.
    pub refused: Vec<String>,
}

impl Rest {
    /// What could not be read, as one phrase each.
    #[must_use]
    pub fn left_out(self) -> Vec<String> {
        let damaged = self.damaged.into_iter().map(|(key, why)| format!("`{key}`: {why}"));
        damaged.chain(self.refused).collect()
    }
}

/// As [`fetch::all`]; and then gives `sink` the records below the same prefixes that only the archive has, because no object of their
/// own was listed: as one page of a listing more, and each that it wants, once.
///
/// # Errors
/// As [`fetch::all`] and [`read`].
pub async fn all(store: &Arc<Store>, listings: Vec<Listing>, limit: u64, sink: &mut impl Sink) -> Result<Rest, Fault> {
    let logs: Vec<String> = listings.iter().map(|it| it.prefix.clone()).filter(|prefix| prefix.starts_with(LOGS)).collect();
    let mut noting = Noting { sink, seen: BTreeSet::new() };
    fetch::all(Arc::clone(store), listings, limit, &mut noting).await?;
    let Noting { sink, seen } = noting;
    let mut newest = Newest { seen, records: BTreeMap::new(), damaged: Vec::new() };
    let refused = read(store, &logs, &mut newest).await?;
    let Newest { mut records, damaged, .. } = newest;
    let listing = Listing { prefix: LOGS.to_owned(), ..Listing::default() };
    let objects = records.values().map(|record| record.listed.clone()).collect();
    let mut taken = 0;
    for listed in sink.page(&listing, "", Page { objects, folders: Vec::new(), next: None })? {
        if let Some(Archived { body, .. }) = records.remove(&listed.key) {
            taken += 1;
            sink.object(&listed, Ok(Some(body)));
        }
    }
    Ok(Rest { records: taken, damaged, refused })
}

/// Passes everything on, and notes which records have objects of their own.
struct Noting<'a, S> {
    sink: &'a mut S,
    seen: BTreeSet<String>,
}

impl<S: Sink> Sink for Noting<'_, S> {
    fn page(&mut self, listing: &Listing, after: &str, page: Page) -> Result<Vec<Listed>, Fault> {
        self.seen.extend(page.objects.iter().filter(|listed| listed.key.starts_with(LOGS)).map(|listed| listed.key.clone()));
        self.sink.page(listing, after, page)
    }

    fn object(&mut self, listed: &Listed, body: Result<Option<Vec<u8>>, Fault>) {
        self.sink.object(listed, body);
    }
}

struct Newest {
    seen: BTreeSet<String>,
    records: BTreeMap<String, Archived>,
    damaged: Vec<(String, String)>,
}

impl Shelf for Newest {
    fn wants(&mut self, _: &Listed, _: &PartKey<'_>) -> bool {
        true
    }

    fn take(&mut self, part: &Listed, records: Result<Vec<Archived>, String>) {
        let records = records.unwrap_or_else(|why| {
            self.damaged.push((part.key.clone(), why));
            Vec::new()
        });
        for record in records.into_iter().filter(|record| !self.seen.contains(&record.listed.key)) {
            // What the earlier module overwrote may be there more than once.
            match self.records.get(&record.listed.key) {
                Some(known) if known.listed.modified >= record.listed.modified => {}
                _ => drop(self.records.insert(record.listed.key.clone(), record)),
            }
        }
    }
}

//! The archive of usage records: which of its objects there are, and the records in them.
//!
//! Reads only. An object whose bytes are not those that its key names is left out, and that is said.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::archive::parquet::{self, ArchivedRecord};
use crate::digest::sha256_hex;
use crate::error::{Error, ErrorKind};
use crate::keys::{self, ArchiveKey, RECORDS_PREFIX};
use crate::s3::bulk_get::{self, ObjectSink};
use crate::s3::listing::{ListPage, ListRequest, ObjectMeta};
use crate::s3::store::ObjectStore;

/// The largest object that is read, in bytes: several times what is ever written.
pub const MAX_ARCHIVE_BYTES: u64 = 64 << 20;

/// Whoever wants records out of the archive.
pub trait ArchiveVisitor {
    /// Whether an object of the archive is to be read.
    fn wants_file(&mut self, part: &ObjectMeta, key: &ArchiveKey<'_>) -> bool;
    /// Takes what is in it, or why that cannot be had.
    fn visit_records(&mut self, part: &ObjectMeta, records: Result<Vec<ArchivedRecord>, String>);
}

/// Goes through the archive of the records below `logs`, which are prefixes of records; gives what of it may not be read, as one
/// phrase each: a profile that is allowed to read the records alone is allowed enough.
///
/// # Errors
/// A request that failed for good.
pub async fn read_archive(
    store: &Arc<ObjectStore>,
    logs: &[String],
    shelf: &mut impl ArchiveVisitor,
) -> Result<Vec<String>, Error> {
    let mut refused = Vec::new();
    for prefix in logs.iter().map(|prefix| keys::archive_prefix_for(prefix)) {
        let listing = ListRequest {
            prefix,
            ..ListRequest::default()
        };
        match bulk_get::list_and_fetch(
            Arc::clone(store),
            vec![listing],
            MAX_ARCHIVE_BYTES,
            &mut ArchiveSink(shelf),
        )
        .await
        {
            Ok(()) => {}
            Err(fault) if fault.kind == ErrorKind::Denied => {
                refused.push(format!("the archive: {fault}"));
            }
            Err(fault) => return Err(fault),
        }
    }
    Ok(refused)
}

struct ArchiveSink<'a, S>(&'a mut S);

impl<S: ArchiveVisitor> ObjectSink for ArchiveSink<'_, S> {
    fn accept_page(
        &mut self,
        _: &ListRequest,
        _: &str,
        page: ListPage,
    ) -> Result<Vec<ObjectMeta>, Error> {
        let wants = |part: &ObjectMeta| {
            keys::parse_archive_key(&part.key).is_some_and(|key| self.0.wants_file(part, &key))
        };
        let (small, large): (Vec<ObjectMeta>, Vec<ObjectMeta>) = page
            .objects
            .into_iter()
            .filter(wants)
            .partition(|part| part.size <= MAX_ARCHIVE_BYTES);
        for part in large {
            self.0.visit_records(
                &part,
                Err(format!(
                    "it has {} bytes, and at most {MAX_ARCHIVE_BYTES} are read",
                    part.size
                )),
            );
        }
        Ok(small)
    }

    fn accept_object(&mut self, part: &ObjectMeta, body: Result<Option<Vec<u8>>, Error>) {
        let records = match body {
            Ok(Some(body)) => decode_verified(&part.key, body),
            // Deleted since it was listed: as if it had never been there.
            Ok(None) => return,
            Err(fault) => Err(fault.message),
        };
        self.0.visit_records(part, records);
    }
}

/// The records in an object of the archive, whose key says what its bytes are, and whose they are.
fn decode_verified(key: &str, body: Vec<u8>) -> Result<Vec<ArchivedRecord>, String> {
    let Some(ArchiveKey {
        segment, digest, ..
    }) = keys::parse_archive_key(key)
    else {
        return Err("its name is none".to_owned());
    };
    if !sha256_hex(&body).starts_with(digest) {
        return Err("its bytes are not those that its name stands for".to_owned());
    }
    let records = parquet::decode_archive(body)?;
    // Permissions are given by prefix: who may archive one customer must not have a word in another one's report.
    let is_own =
        |record: &ArchivedRecord| keys::record_key_segment(&record.object.key) == Some(segment);
    if records.iter().all(is_own) {
        Ok(records)
    } else {
        Err("it has records of another customer".to_owned())
    }
}

/// What the archive was good for, and what of it could not be read.
#[derive(Debug, Default)]
pub struct ArchiveResult {
    /// How many records were taken out of it.
    pub record_count: usize,
    /// Objects that are not what was written, with the reason.
    pub damaged: Vec<(String, String)>,
    /// What this profile may not read, as one phrase each.
    pub denied: Vec<String>,
}

impl ArchiveResult {
    /// What could not be read, as one phrase each.
    #[must_use]
    pub fn into_skipped(self) -> Vec<String> {
        let damaged = self
            .damaged
            .into_iter()
            .map(|(key, why)| format!("`{key}`: {why}"));
        damaged.chain(self.denied).collect()
    }
}

/// As [`bulk_get::all`]; and then gives `sink` the records below the same prefixes that only the archive has, because no object of their
/// own was listed: as one page of a listing more, and each that it wants, once.
///
/// # Errors
/// As [`bulk_get::all`] and [`read`].
pub async fn fetch_with_archive(
    store: &Arc<ObjectStore>,
    listings: Vec<ListRequest>,
    limit: u64,
    sink: &mut impl ObjectSink,
) -> Result<ArchiveResult, Error> {
    let logs: Vec<String> = listings
        .iter()
        .map(|it| it.prefix.clone())
        .filter(|prefix| prefix.starts_with(RECORDS_PREFIX))
        .collect();
    let mut noting = RecordingSink {
        sink,
        seen: BTreeSet::new(),
    };
    bulk_get::list_and_fetch(Arc::clone(store), listings, limit, &mut noting).await?;
    let RecordingSink { sink, seen } = noting;
    let mut newest = NewestPerKey {
        seen,
        records: BTreeMap::new(),
        damaged: Vec::new(),
    };
    let refused = read_archive(store, &logs, &mut newest).await?;
    let NewestPerKey {
        mut records,
        damaged,
        ..
    } = newest;
    let listing = ListRequest {
        prefix: RECORDS_PREFIX.to_owned(),
        ..ListRequest::default()
    };
    let objects = records
        .values()
        .map(|record| record.object.clone())
        .collect();
    let mut taken = 0;
    for listed in sink.accept_page(
        &listing,
        "",
        ListPage {
            objects,
            folders: Vec::new(),
            next_token: None,
        },
    )? {
        if let Some(ArchivedRecord { body, .. }) = records.remove(&listed.key) {
            taken += 1;
            sink.accept_object(&listed, Ok(Some(body)));
        }
    }
    Ok(ArchiveResult {
        record_count: taken,
        damaged,
        denied: refused,
    })
}

/// Passes everything on, and notes which records have objects of their own.
struct RecordingSink<'a, S> {
    sink: &'a mut S,
    seen: BTreeSet<String>,
}

impl<S: ObjectSink> ObjectSink for RecordingSink<'_, S> {
    fn accept_page(
        &mut self,
        listing: &ListRequest,
        after: &str,
        page: ListPage,
    ) -> Result<Vec<ObjectMeta>, Error> {
        self.seen.extend(
            page.objects
                .iter()
                .filter(|listed| listed.key.starts_with(RECORDS_PREFIX))
                .map(|listed| listed.key.clone()),
        );
        self.sink.accept_page(listing, after, page)
    }

    fn accept_object(&mut self, listed: &ObjectMeta, body: Result<Option<Vec<u8>>, Error>) {
        self.sink.accept_object(listed, body);
    }
}

struct NewestPerKey {
    seen: BTreeSet<String>,
    records: BTreeMap<String, ArchivedRecord>,
    damaged: Vec<(String, String)>,
}

impl ArchiveVisitor for NewestPerKey {
    fn wants_file(&mut self, _: &ObjectMeta, _: &ArchiveKey<'_>) -> bool {
        true
    }

    fn visit_records(&mut self, part: &ObjectMeta, records: Result<Vec<ArchivedRecord>, String>) {
        let records = records.unwrap_or_else(|why| {
            self.damaged.push((part.key.clone(), why));
            Vec::new()
        });
        for record in records
            .into_iter()
            .filter(|record| !self.seen.contains(&record.object.key))
        {
            // What the earlier module overwrote may be there more than once.
            match self.records.get(&record.object.key) {
                Some(known) if known.object.last_modified >= record.object.last_modified => {}
                _ => drop(self.records.insert(record.object.key.clone(), record)),
            }
        }
    }
}

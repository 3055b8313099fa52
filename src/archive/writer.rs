//! Archives the usage records of one customer.
//!
//! Only adds objects. Two runs at once, or one that is interrupted, do no harm: an archive file is
//! complete or absent, and readers use each record once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::{StreamExt as _, stream};

use crate::archive::parquet::{ArchivedRecord, encode_archive};
use crate::archive::reader::{self, ArchiveVisitor};
use crate::archive::{ArchiveError, ArchiveRow, MAX_RECORDS_PER_FILE};
use crate::error::{Error, ErrorKind};
use crate::keys::{self, ArchiveKey, MonthRange, RecordKey};
use crate::record::MAX_RECORD_BYTES;
use crate::s3::bulk_get::{self, ObjectSink};
use crate::s3::listing::{ListPage, ListRequest, ObjectMeta};
use crate::s3::object_failures::ObjectFailures;
use crate::s3::retry::retry_with_backoff;
use crate::s3::store::{ObjectStore, PutCondition, PutOutcome};

const GET_CONCURRENCY: usize = 64;
const MAX_RECORD_BYTES_PER_FILE: u64 = 16 << 20;
const PARQUET_MEDIA_TYPE: &str = "application/vnd.apache.parquet";

/// What was archived, or would be.
#[derive(Debug, Default)]
pub struct CompactResult {
    /// The keys of the archive files, with the number of records in each.
    pub files: Vec<(String, usize)>,
    /// How many records of these months had been archived before.
    pub already_archived: usize,
    /// A message for each record that was not archived, and for each file that was not read.
    pub skipped: Vec<String>,
    /// To be confirmed together with those of the other customers.
    pub(crate) failures: ObjectFailures,
}

/// Archives the records below `prefix` from before `cutoff` that are not archived yet.
///
/// # Errors
/// A request that failed for good, or an archive that may not be read.
pub async fn compact_customer(
    store: &Arc<ObjectStore>,
    prefix: &str,
    cutoff: DateTime<Utc>,
    is_dry_run: bool,
) -> Result<CompactResult, Error> {
    let candidates = find_candidates(store, prefix, cutoff).await?;
    let mut result = CompactResult {
        already_archived: candidates.archived_count,
        skipped: candidates.skipped,
        ..CompactResult::default()
    };

    if result.already_archived > 0 {
        // Archives were read, so a record that cannot be read is a single one.
        result.failures.add_read();
    }

    for records in split_into_files(candidates.records) {
        if is_dry_run {
            result.files.push((prefix.to_owned(), records.len()));
            continue;
        }
        let rows = fetch_rows(store, records, &mut result).await?;
        if let Some(key) = write_archive_file(store, prefix, &rows).await? {
            result.files.push((key, rows.len()));
        }
    }
    Ok(result)
}

/// Lists the records, and removes those that the archive has.
async fn find_candidates(
    store: &Arc<ObjectStore>,
    prefix: &str,
    cutoff: DateTime<Utc>,
) -> Result<ArchiveCandidates, Error> {
    let mut candidates = ArchiveCandidates {
        cutoff,
        records: BTreeMap::new(),
        archived_count: 0,
        skipped: Vec::new(),
    };
    let request = ListRequest {
        prefix: prefix.to_owned(),
        ..ListRequest::default()
    };
    let requests = vec![request];
    // It fetches nothing, so nothing can fail on its own.
    let listed = Arc::clone(store);
    let _ = bulk_get::list_and_fetch(listed, requests, MAX_RECORD_BYTES, &mut candidates).await?;

    let prefixes = [prefix.to_owned()];
    let denied = reader::read_archive(store, &prefixes, &mut candidates).await?;
    if let Some(message) = denied.first() {
        // Without the archive we would write the same records again in every run.
        let message = format!("cannot check what is archived already: {message}");
        return Err(Error::new(ErrorKind::Denied, message, ""));
    }
    Ok(candidates)
}

/// The records of one customer that are old enough and not archived yet.
#[derive(Debug)]
struct ArchiveCandidates {
    cutoff: DateTime<Utc>,
    records: BTreeMap<String, ObjectMeta>,
    archived_count: usize,
    skipped: Vec<String>,
}

impl ObjectSink for ArchiveCandidates {
    fn accept_page(
        &mut self,
        _: &ListRequest,
        _: &str,
        page: ListPage,
    ) -> Result<Vec<ObjectMeta>, Error> {
        for object in page.objects {
            let Some(key) = RecordKey::parse(&object.key) else {
                continue;
            };
            if key.deployed_at.unwrap_or(object.last_modified) >= self.cutoff {
                continue;
            }

            if object.size > MAX_RECORD_BYTES {
                let ObjectMeta { key, size, .. } = object;
                self.skipped.push(format!(
                    "`{key}`: {size} bytes, the limit is {MAX_RECORD_BYTES}"
                ));
            } else {
                self.records.insert(object.key.clone(), object);
            }
        }
        Ok(Vec::new())
    }

    fn accept_object(&mut self, _: &ObjectMeta, _: Result<Option<Vec<u8>>, Error>) {}
}

impl ArchiveVisitor for ArchiveCandidates {
    fn wants_file(&mut self, _: &ObjectMeta, key: &ArchiveKey<'_>) -> bool {
        match key.months {
            Some(months) => months.start() < self.cutoff,
            None => true,
        }
    }

    fn visit_records(
        &mut self,
        file: &ObjectMeta,
        records: Result<Vec<ArchivedRecord>, ArchiveError>,
    ) {
        let records = match records {
            Ok(records) => records,
            Err(error) => {
                self.skipped.push(format!("`{}`: {error}", file.key));
                return;
            }
        };
        for record in records {
            // The legacy module overwrites records, so the object must be the same one.
            if self.records.get(&record.object.key) == Some(&record.object) {
                self.records.remove(&record.object.key);
                self.archived_count += 1;
            }
        }
    }
}

/// Fetches and parses records. Objects that are not records, or cannot be read, are reported in
/// `result`.
async fn fetch_rows(
    store: &ObjectStore,
    records: Vec<ObjectMeta>,
    result: &mut CompactResult,
) -> Result<Vec<ArchiveRow>, Error> {
    let get = |object: ObjectMeta| async move {
        let get = || store.get_small_object(&object.key, object.size);
        let body = retry_with_backoff(get).await;
        (object, body)
    };
    let mut bodies = stream::iter(records).map(get).buffered(GET_CONCURRENCY);

    let mut rows = Vec::new();
    while let Some((object, body)) = bodies.next().await {
        let body = match body {
            Ok(Some(body)) => body,
            // Deleted since it was listed, or the server lost it.
            Ok(None) => {
                let key = &object.key;
                result
                    .skipped
                    .push(format!("`{key}`: S3 listed it, and does not return it"));
                continue;
            }
            Err(error) => {
                result.failures.add_failure(&object.key, &error)?;
                result.skipped.push(error.message);
                continue;
            }
        };
        result.failures.add_read();
        if body.len() as u64 != object.size {
            // The legacy module may have just overwritten it. The next run sees the new object.
            let ObjectMeta { key, size, .. } = object;
            let bytes = body.len();
            result.skipped.push(format!(
                "`{key}`: it has {bytes} bytes, and S3 lists {size}"
            ));
            continue;
        }

        let key = object.key.clone();
        match ArchiveRow::from_record(ArchivedRecord { object, body }) {
            Ok(row) => rows.push(row),
            Err(error) => result.skipped.push(format!("`{key}`: {error}")),
        }
    }
    Ok(rows)
}

/// Writes records as one archive file. Returns its key, or `None` if there are no records.
async fn write_archive_file(
    store: &ObjectStore,
    prefix: &str,
    rows: &[ArchiveRow],
) -> Result<Option<String>, Error> {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
        return Ok(None);
    };
    let months = match (record_time(first.object()), record_time(last.object())) {
        (Some(first), Some(last)) => Some(MonthRange::containing(first, last)),
        _ => None,
    };

    let file = match encode_archive(rows) {
        Ok(file) => file,
        Err(cause) => {
            let message = format!("cannot archive `{prefix}`: {cause}");
            return Err(Error::new(ErrorKind::Local, message, ""));
        }
    };
    let segment = keys::record_key_segment(prefix).unwrap_or_default();
    let key = ArchiveKey::new(segment, months, &file).to_string();

    let metadata = HashMap::new();
    let put = || {
        let condition = PutCondition::IfAbsent;
        store.put_object(&key, &file, PARQUET_MEDIA_TYPE, &metadata, condition)
    };
    // The key holds the digest: an object that is there already has the same content.
    let (PutOutcome::Written(_) | PutOutcome::ConditionFailed) = retry_with_backoff(put).await?;
    Ok(Some(key))
}

/// Splits records by what fits into one file each, and dated from undated ones.
fn split_into_files(records: BTreeMap<String, ObjectMeta>) -> Vec<Vec<ObjectMeta>> {
    let (dated, undated): (Vec<ObjectMeta>, Vec<ObjectMeta>) = records
        .into_values()
        .partition(|object| record_time(object).is_some());

    let mut files = Vec::new();
    for objects in [dated, undated] {
        let mut file: Vec<ObjectMeta> = Vec::new();
        let mut bytes = 0;
        for object in objects {
            let is_full = file.len() >= MAX_RECORDS_PER_FILE
                || bytes + object.size > MAX_RECORD_BYTES_PER_FILE;
            if is_full && !file.is_empty() {
                files.push(std::mem::take(&mut file));
                bytes = 0;
            }
            bytes += object.size;
            file.push(object);
        }
        if !file.is_empty() {
            files.push(file);
        }
    }
    files
}

/// The time in the key of a record.
fn record_time(object: &ObjectMeta) -> Option<DateTime<Utc>> {
    RecordKey::parse(&object.key)?.deployed_at
}

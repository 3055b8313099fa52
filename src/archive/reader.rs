//! Finds archive files and reads the records in them.
//!
//! Must not write. A file whose content does not match the digest in its key is skipped and
//! reported.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::archive::parquet::{self, ArchivedRecord};
use crate::archive::{ArchiveError, MAX_ARCHIVE_BYTES};
use crate::error::{Error, ErrorKind};
use crate::keys::{self, ArchiveKey, RECORDS_PREFIX};
use crate::s3::bulk_get::{self, ObjectSink};
use crate::s3::listing::{ListPage, ListRequest, ObjectMeta};
use crate::s3::object_failures::ObjectFailures;
use crate::s3::store::ObjectStore;

/// A run holds the archived records without objects of their own, up to this many bytes and this
/// many times the bytes of the files. Digests and ids in each record do not compress, so records
/// are at most some 20 times as large as their files.
const MIN_RUN_BYTES: u64 = 128 << 20;
const MAX_RATIO: u64 = 60;

/// Receives records read from archive files.
pub trait ArchiveVisitor {
    /// Whether to fetch an archive file.
    fn wants_file(&mut self, file: &ObjectMeta, key: &ArchiveKey<'_>) -> bool;

    /// Receives the records of a file, or the reason why it cannot be used.
    fn visit_records(
        &mut self,
        file: &ObjectMeta,
        records: Result<Vec<ArchivedRecord>, ArchiveError>,
    );
}

/// Reads the archive of the records below `record_prefixes`.
///
/// Returns a message for each part of the archive that may not be read. This is not an error,
/// because permission to read the records is enough for a report.
///
/// # Errors
/// A request that failed for good.
pub async fn read_archive(
    store: &Arc<ObjectStore>,
    record_prefixes: &[String],
    visitor: &mut impl ArchiveVisitor,
) -> Result<Vec<String>, Error> {
    let mut denied = Vec::new();
    for record_prefix in record_prefixes {
        let request = ListRequest {
            prefix: keys::archive_prefix_for(record_prefix),
            ..ListRequest::default()
        };
        let mut sink = ArchiveSink { visitor };
        let fetched = bulk_get::list_and_fetch(
            Arc::clone(store),
            vec![request],
            MAX_ARCHIVE_BYTES,
            &mut sink,
        );

        let confirmed = match fetched.await {
            Ok(failures) => match failures.confirm(store).await {
                // There may be one file only, and the records have objects of their own.
                Err(error) if error.kind == ErrorKind::Service => Ok(()),
                confirmed => confirmed,
            },
            Err(error) => Err(error),
        };
        match confirmed {
            Ok(()) => {}
            Err(error) if error.kind == ErrorKind::Denied => {
                denied.push(format!("the archive: {error}"));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(denied)
}

struct ArchiveSink<'a, V> {
    visitor: &'a mut V,
}

impl<V: ArchiveVisitor> ObjectSink for ArchiveSink<'_, V> {
    fn accept_page(
        &mut self,
        _: &ListRequest,
        _: &str,
        page: ListPage,
    ) -> Result<Vec<ObjectMeta>, Error> {
        let mut wanted = Vec::new();
        for file in page.objects {
            let Some(key) = ArchiveKey::parse(&file.key) else {
                continue;
            };
            if !self.visitor.wants_file(&file, &key) {
                continue;
            }

            if file.size > MAX_ARCHIVE_BYTES {
                let error = ArchiveError::TooLarge { bytes: file.size };
                self.visitor.visit_records(&file, Err(error));
            } else {
                wanted.push(file);
            }
        }
        Ok(wanted)
    }

    fn accept_object(&mut self, file: &ObjectMeta, body: Result<Option<Vec<u8>>, Error>) {
        let records = match body {
            Ok(Some(body)) => decode_verified(&file.key, body),
            // Deleted since it was listed: the same as if it had never been there.
            Ok(None) => return,
            Err(error) => Err(ArchiveError::Unavailable(error.message)),
        };
        self.visitor.visit_records(file, records);
    }
}

/// Decodes a file whose key names its digest and the customer.
fn decode_verified(key: &str, body: Vec<u8>) -> Result<Vec<ArchivedRecord>, ArchiveError> {
    let Some(key) = ArchiveKey::parse(key) else {
        return Err(ArchiveError::InvalidKey);
    };
    if !key.matches_digest(&body) {
        return Err(ArchiveError::DigestMismatch);
    }

    let records = parquet::decode_archive(body)?;
    for record in &records {
        if keys::record_key_segment(&record.object.key) != Some(key.segment) {
            return Err(ArchiveError::ForeignRecords);
        }
    }
    Ok(records)
}

/// What the archive added to the listed objects.
#[derive(Debug)]
pub struct ArchiveResult {
    /// How many records only the archive has.
    pub record_count: usize,
    /// Files that cannot be used, with the reason.
    pub damaged: Vec<(String, String)>,
    /// A message for each part of the archive that may not be read.
    pub denied: Vec<String>,
    /// To be confirmed together with those of the other parts of the run.
    pub(crate) failures: ObjectFailures,
}

/// Like `bulk_get::list_and_fetch`, followed by the records that only the archive has.
///
/// The sink gets the archived records below the same prefixes as one more page, except those with
/// an object of their own. It then gets the body of each record that it wants once.
///
/// # Errors
/// See `bulk_get::list_and_fetch` and [`read_archive`].
pub async fn fetch_with_archive(
    store: &Arc<ObjectStore>,
    requests: Vec<ListRequest>,
    limit: u64,
    sink: &mut impl ObjectSink,
) -> Result<ArchiveResult, Error> {
    let mut record_prefixes = Vec::new();
    for request in &requests {
        if request.prefix.starts_with(RECORDS_PREFIX) {
            record_prefixes.push(request.prefix.clone());
        }
    }

    let mut recording = RecordingSink {
        sink,
        listed_keys: BTreeSet::new(),
    };
    let listed = bulk_get::list_and_fetch(Arc::clone(store), requests, limit, &mut recording);
    let failures = listed.await?;
    let RecordingSink { sink, listed_keys } = recording;

    let mut newest = NewestPerKey {
        listed_keys,
        records: BTreeMap::new(),
        damaged: Vec::new(),
        stored_bytes: 0,
        held_bytes: 0,
    };
    let denied = read_archive(store, &record_prefixes, &mut newest).await?;

    Ok(ArchiveResult {
        record_count: pass_on_records(newest.records, sink)?,
        damaged: newest.damaged,
        denied,
        failures,
    })
}

/// Offers archived records to `sink` as one listed page. Returns how many it wants.
fn pass_on_records(
    mut records: BTreeMap<String, ArchivedRecord>,
    sink: &mut impl ObjectSink,
) -> Result<usize, Error> {
    let request = ListRequest {
        prefix: RECORDS_PREFIX.to_owned(),
        ..ListRequest::default()
    };
    let page = ListPage {
        objects: records
            .values()
            .map(|record| record.object.clone())
            .collect(),
        folders: Vec::new(),
        next_token: None,
    };

    let mut count = 0;
    for object in sink.accept_page(&request, "", page)? {
        if let Some(record) = records.remove(&object.key) {
            count += 1;
            sink.accept_object(&object, Ok(Some(record.body)));
        }
    }
    Ok(count)
}

/// Passes everything on, and remembers which records have objects of their own.
struct RecordingSink<'a, S> {
    sink: &'a mut S,
    listed_keys: BTreeSet<String>,
}

impl<S: ObjectSink> ObjectSink for RecordingSink<'_, S> {
    fn accept_page(
        &mut self,
        request: &ListRequest,
        after: &str,
        page: ListPage,
    ) -> Result<Vec<ObjectMeta>, Error> {
        for object in &page.objects {
            if object.key.starts_with(RECORDS_PREFIX) {
                self.listed_keys.insert(object.key.clone());
            }
        }
        self.sink.accept_page(request, after, page)
    }

    fn accept_object(&mut self, object: &ObjectMeta, body: Result<Option<Vec<u8>>, Error>) {
        self.sink.accept_object(object, body);
    }
}

/// Collects the records that were not listed.
///
/// The legacy module overwrote its records, so the archive may have several versions of one.
struct NewestPerKey {
    listed_keys: BTreeSet<String>,
    records: BTreeMap<String, ArchivedRecord>,
    damaged: Vec<(String, String)>,
    /// The bytes of all files so far.
    stored_bytes: u64,
    /// The bytes of `records`.
    held_bytes: u64,
}

impl NewestPerKey {
    fn add_record(&mut self, record: ArchivedRecord) {
        let object = &record.object;
        if self.listed_keys.contains(&object.key) {
            return;
        }
        if let Some(known) = self.records.get(&object.key)
            && known.object.last_modified >= object.last_modified
        {
            return;
        }
        self.held_bytes += record_bytes(&record);
        let replaced = self.records.insert(record.object.key.clone(), record);
        self.held_bytes -= replaced.as_ref().map_or(0, record_bytes);
    }

    /// Many small files must not take more memory than their size explains.
    fn check_memory(&self, records: &[ArchivedRecord]) -> Result<(), ArchiveError> {
        let limit = MIN_RUN_BYTES.saturating_add(self.stored_bytes.saturating_mul(MAX_RATIO));
        let added: u64 = records.iter().map(record_bytes).sum();
        if self.held_bytes + added <= limit {
            return Ok(());
        }
        let message = format!("more than {limit} bytes of records in the archive as a whole");
        Err(ArchiveError::InvalidFile(message))
    }
}

fn record_bytes(record: &ArchivedRecord) -> u64 {
    (record.body.len() + record.object.key.len()) as u64
}

impl ArchiveVisitor for NewestPerKey {
    fn wants_file(&mut self, _: &ObjectMeta, _: &ArchiveKey<'_>) -> bool {
        true
    }

    fn visit_records(
        &mut self,
        file: &ObjectMeta,
        records: Result<Vec<ArchivedRecord>, ArchiveError>,
    ) {
        self.stored_bytes += file.size;
        let records = records.and_then(|records| {
            self.check_memory(&records)?;
            Ok(records)
        });
        match records {
            Ok(records) => {
                for record in records {
                    self.add_record(record);
                }
            }
            Err(error) => self.damaged.push((file.key.clone(), error.to_string())),
        }
    }
}

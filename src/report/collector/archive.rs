//! Receives records of archive files: each file is unpacked into the cache, or into a temporary one
//! if there is none.

use std::collections::BTreeSet;
use std::io::Write;

use super::ReportCollector;
use super::cache_state::CacheState;
use crate::archive::ArchiveError;
use crate::archive::parquet::ArchivedRecord;
use crate::archive::reader::ArchiveVisitor;
use crate::error::Error;
use crate::keys::{self, ArchiveKey};
use crate::report::cache::RecordCache;
use crate::s3::listing::ObjectMeta;

impl<W: Write> ReportCollector<'_, W> {
    /// Ends the archive files for the records below `prefixes`; `denied` says which may not be
    /// read.
    pub fn finish_archives(
        &mut self,
        prefixes: &[String],
        denied: Vec<String>,
    ) -> Result<(), Error> {
        if denied.is_empty() {
            self.drop_deleted_archives(prefixes)?;
        }
        self.content.problems.skipped_archives.extend(denied);
        Ok(())
    }

    fn drop_deleted_archives(&mut self, prefixes: &[String]) -> Result<(), Error> {
        for prefix in prefixes {
            let Some(mut cache) = self.cache.take() else {
                return Ok(());
            };
            let archive_prefix = keys::archive_prefix_for(prefix);
            let dropped = cache.retain_archives(&archive_prefix, &self.archive_keys);
            self.cache.put_back(cache, dropped)?;
        }
        Ok(())
    }

    /// The record prefixes of the customers with archive files, among those below `records_prefix`.
    #[must_use]
    pub fn archived_prefixes(&self, records_prefix: &str) -> BTreeSet<String> {
        let mut prefixes = BTreeSet::new();
        for key in &self.archive_keys {
            if let Some(key) = ArchiveKey::parse(key) {
                prefixes.insert(format!("{records_prefix}{}/", key.segment));
            }
        }
        prefixes
    }

    fn unpack_archive(&mut self, key: &str, records: &[ArchivedRecord]) -> Result<(), String> {
        let mut cache = match self.cache.take() {
            Some(cache) => cache,
            None => RecordCache::open_temporary().map_err(|error| error.message)?,
        };
        let inserted = cache.insert_archive(key, records);
        let put_back = self.cache.put_back(cache, inserted);
        put_back.map_err(|error| error.message)
    }
}

impl<W: Write> ArchiveVisitor for ReportCollector<'_, W> {
    fn wants_file(&mut self, file: &ObjectMeta, key: &ArchiveKey<'_>) -> bool {
        self.archive_keys.insert(file.key.clone());
        if !self.filter.may_match_months(key.months) {
            return false;
        }
        match &self.cache {
            // On an error, the file is read: `visit_records` then reports the error.
            CacheState::Open(cache) => !cache.has_archive(&file.key).unwrap_or(false),
            CacheState::Absent | CacheState::Failed(_) => true,
        }
    }

    fn visit_records(
        &mut self,
        file: &ObjectMeta,
        records: Result<Vec<ArchivedRecord>, ArchiveError>,
    ) {
        if let CacheState::Failed(_) = self.cache {
            // The run starts again without the cache.
            return;
        }
        let unpacked = match records {
            Ok(records) => self.unpack_archive(&file.key, &records),
            Err(error) => Err(error.to_string()),
        };
        if let Err(reason) = unpacked {
            let problem = format!("`{}`: {reason}", file.key);
            self.content.problems.skipped_archives.insert(problem);
        }
    }
}

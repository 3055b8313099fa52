//! The archive's part in a report: its objects are unpacked into the cache, and where none is kept, into a temporary one.

use std::collections::BTreeSet;
use std::io::Write;

use super::ReportCollector;
use crate::archive::ArchiveError;
use crate::archive::parquet::ArchivedRecord;
use crate::archive::reader::ArchiveVisitor;
use crate::error::Error;
use crate::keys::{self, ArchiveKey};
use crate::report::cache::RecordCache;
use crate::s3::listing::ObjectMeta;

impl<W: Write> ReportCollector<'_, W> {
    /// Ends the unpacking of what lies in the archive for the records below `logs`, of which `refused` may not be read.
    pub fn finish_archives(&mut self, logs: &[String], refused: Vec<String>) -> Result<(), Error> {
        if refused.is_empty() {
            for prefix in logs {
                let Some(mut cache) = self.cache.take() else {
                    return Ok(());
                };
                let done =
                    cache.retain_archives(&keys::archive_prefix_for(prefix), &self.archive_keys);
                self.restore_cache(cache, done)?;
            }
        }
        self.problems.skipped_archives.extend(refused);
        Ok(())
    }

    /// The prefixes of the records of customers of whom something is in the archive, among those below `logs`.
    #[must_use]
    pub fn archived_prefixes(&self, logs: &str) -> BTreeSet<String> {
        let segments = self
            .archive_keys
            .iter()
            .filter_map(|part| ArchiveKey::parse(part).map(|key| key.segment));
        segments
            .map(|segment| format!("{logs}{segment}/"))
            .collect()
    }
}

impl<W: Write> ArchiveVisitor for ReportCollector<'_, W> {
    fn wants_file(&mut self, part: &ObjectMeta, key: &ArchiveKey<'_>) -> bool {
        self.archive_keys.insert(part.key.clone());
        if !self.filter.may_match_months(key.months) {
            return false;
        }
        // Where the cache cannot be asked, `take` finds out why.
        self.cache
            .as_ref()
            .is_none_or(|cache| !cache.has_archive(&part.key).unwrap_or(false))
    }

    fn visit_records(
        &mut self,
        part: &ObjectMeta,
        records: Result<Vec<ArchivedRecord>, ArchiveError>,
    ) {
        if self.is_cache_untrusted {
            return;
        }
        let done = records
            .map_err(|error| error.to_string())
            .and_then(|records| {
                let mut cache = self
                    .cache
                    .take()
                    .map_or_else(RecordCache::open_temporary, Ok)
                    .map_err(|why| why.message)?;
                let done = cache.insert_archive(&part.key, &records);
                self.restore_cache(cache, done)
                    .map_err(|fault| fault.message)
            });
        if let Err(why) = done.as_ref() {
            self.problems
                .skipped_archives
                .insert(format!("`{}`: {why}", part.key));
        }
    }
}

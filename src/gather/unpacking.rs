//! The archive's part in a report: its objects are unpacked into the cache, and where none is kept, into a temporary one.

use std::collections::BTreeSet;
use std::io::Write;

use super::Gathering;
use crate::archive::Shelf;
use crate::cache::Cache;
use crate::fault::Fault;
use crate::layout::{self, PartKey};
use crate::listing::Listed;
use crate::parts::Archived;

impl<W: Write> Gathering<'_, W> {
    /// Ends the unpacking of what lies in the archive for the records below `logs`, of which `refused` may not be read.
    pub fn unpacked(&mut self, logs: &[String], refused: Vec<String>) -> Result<(), Fault> {
        if refused.is_empty() {
            for prefix in logs {
                let Some(mut cache) = self.cache.take() else { return Ok(()) };
                let done = cache.keep_parts(&layout::archive_prefix(prefix), &self.parts);
                self.settle(cache, done)?;
            }
        }
        self.findings.archive.extend(refused);
        Ok(())
    }

    /// The prefixes of the records of customers of whom something is in the archive, among those below `logs`.
    #[must_use]
    pub fn archived(&self, logs: &str) -> BTreeSet<String> {
        let segments = self.parts.iter().filter_map(|part| layout::parse_part_key(part).map(|key| key.segment));
        segments.map(|segment| format!("{logs}{segment}/")).collect()
    }
}

impl<W: Write> Shelf for Gathering<'_, W> {
    fn wants(&mut self, part: &Listed, key: &PartKey<'_>) -> bool {
        self.parts.insert(part.key.clone());
        if !self.choice.may_want_months(key.months) {
            return false;
        }
        // Where the cache cannot be asked, `take` finds out why.
        self.cache.as_ref().is_none_or(|cache| !cache.has_part(&part.key).unwrap_or(false))
    }

    fn take(&mut self, part: &Listed, records: Result<Vec<Archived>, String>) {
        if self.misled {
            return;
        }
        let done = records.and_then(|records| {
            let mut cache = self.cache.take().map_or_else(Cache::temporary, Ok).map_err(|why| why.words)?;
            let done = cache.unpack(&part.key, &records);
            self.settle(cache, done).map_err(|fault| fault.text)
        });
        if let Err(why) = done.as_ref() {
            self.findings.archive.insert(format!("`{}`: {why}", part.key));
        }
    }
}

//! What becomes of the records that are found: read, chosen, folded into rows and totals; those of no use are named.
//!
//! Between the network and the cache on one side and the report on the other. Must not print.

use std::collections::{BTreeSet, HashSet};
use std::io::Write;

use chrono::{DateTime, Utc};

mod archive;

use crate::error::{Error, ErrorKind};
use crate::keys;
use crate::output::progress::ProgressLine;
use crate::record::deployment::Deployment;
use crate::record::parse::{self, RecordError};
use crate::report::cache::{CacheError, RecordCache};
use crate::report::filter::ReportFilter;
use crate::report::list_plan::{self, CachedCustomer, ListPlan};
use crate::report::rows::ReportRows;
use crate::report::totals::ReportTotals;
use crate::s3::bulk_get::ObjectSink;
use crate::s3::listing::{ListPage, ListRequest, ObjectMeta};

pub use crate::record::MAX_RECORD_BYTES;

/// What was found beside the rows.
#[derive(Debug, Default)]
pub struct RecordProblems {
    /// Objects that gave no row, with the reason.
    pub skipped: BTreeSet<String>,
    /// Objects of which something was left out.
    pub partly_used: BTreeSet<String>,
    /// What of the archive could not be read, with the reason.
    pub skipped_archives: BTreeSet<String>,
}

/// A report being gathered.
#[derive(Debug)]
pub struct ReportCollector<'a, W: Write> {
    /// Who and when is wanted.
    pub filter: &'a ReportFilter,
    /// The rows.
    pub rows: Option<ReportRows>,
    /// The totals.
    pub totals: Option<ReportTotals>,
    /// What is of no use.
    pub problems: RecordProblems,
    /// What was fetched before; `None` without a cache, or after it failed.
    pub cache: Option<RecordCache>,
    /// Why the cache failed.
    pub cache_error: Option<String>,
    /// Whether it failed when it was read: then nothing that it gave is to be trusted.
    pub is_cache_untrusted: bool,
    /// Whether it must be taken away.
    pub is_cache_corrupt: bool,
    /// Whether it was a temporary one: then the archive is left out of the next try.
    pub is_temporary_cache_full: bool,
    /// The line on the terminal.
    pub progress: ProgressLine<W>,
    /// The objects of the archive that there are.
    pub archive_keys: BTreeSet<String>,
    /// The customers seen, by segment, and those among them of whom not everything is in the cache.
    pub seen_segments: HashSet<String>,
    /// See `seen`.
    pub incomplete_segments: HashSet<String>,
}

impl<W: Write> ReportCollector<'_, W> {
    /// How many records below a prefix the cache knows.
    pub fn count_cached(&mut self, prefix: &str) -> Result<u64, Error> {
        let Some(cache) = self.cache.take() else {
            return Ok(0);
        };
        let count = cache.count_keys(prefix, &list_plan::prefix_end(prefix));
        self.restore_cache(cache, count)
    }

    /// How to find the records of the customer below a prefix.
    pub fn plan_customer(&mut self, prefix: &str, now: DateTime<Utc>) -> Result<ListPlan, Error> {
        let Some(cache) = self.cache.take() else {
            return Ok(list_plan::plan_full_listing(prefix));
        };
        let span = || {
            let segment = keys::record_key_segment(prefix)
                .unwrap_or_default()
                .to_owned();
            let known = cache
                .complete_at(&segment)?
                .map(|complete_at| CachedCustomer {
                    segment,
                    complete_at,
                });
            let old = known.and_then(|known| list_plan::cached_key_range(&known, now));
            let count = old
                .as_ref()
                .map_or(Ok(0), |(from, to)| cache.count_keys(from, to))?;
            Ok(list_plan::plan_customer_listing(prefix, old, count))
        };
        let span = span();
        self.restore_cache(cache, span)
    }

    /// Takes what the cache has from the first key to before the second.
    pub fn add_cached_records(&mut self, from: &str, to: &str) -> Result<(), Error> {
        let Some(cache) = self.cache.take() else {
            return Ok(());
        };
        let done = cache.for_each_record(from, to, |listed, body| {
            if list_plan::is_dated_key(&listed.key) {
                self.add_object(listed, body);
            }
        });
        self.restore_cache(cache, done)
    }

    /// Ends the use of the cache: writes what is new, and notes since when it has everything of the customers, by segment,
    /// for which `complete_at` gives a time. A run that wanted less than everything took nothing away.
    pub fn close_cache(&mut self, complete_at: impl Fn(&str) -> Option<DateTime<Utc>>) {
        let Some(mut cache) = self.cache.take() else {
            return;
        };
        let done = cache.write_pending().and_then(|()| {
            let complete = self
                .seen_segments
                .difference(&self.incomplete_segments)
                .filter_map(|segment| Some((segment, complete_at(segment)?)));
            complete
                .into_iter()
                .try_for_each(|(segment, at)| cache.set_complete_at(segment, at))
        });
        self.drop_failed_cache(&cache, done);
    }

    fn restore_cache<T>(
        &mut self,
        cache: RecordCache,
        done: Result<T, CacheError>,
    ) -> Result<T, Error> {
        match done {
            Ok(done) => {
                self.cache = Some(cache);
                Ok(done)
            }
            Err(why) => {
                let text = format!(
                    "read the cache `{}`: {}",
                    cache.database_path().display(),
                    why.message
                );
                self.cache_error = Some(text.clone());
                self.is_cache_untrusted = true;
                self.is_temporary_cache_full |= !cache.is_persistent();
                self.is_cache_corrupt |= why.is_corrupt;
                Err(Error::new(ErrorKind::Local, text, ""))
            }
        }
    }

    fn drop_failed_cache(&mut self, cache: &RecordCache, done: Result<(), CacheError>) {
        if let Err(why) = done {
            self.cache_error = Some(format!(
                "write the cache `{}`: {}",
                cache.database_path().display(),
                why.message
            ));
            self.is_cache_corrupt |= why.is_corrupt;
        }
    }

    /// Reads one object; without a body it is one that is too large.
    fn add_object(&mut self, listed: &ObjectMeta, body: Option<&[u8]>) {
        self.progress.add_done(1);
        let Some(key) = keys::parse_record_key(&listed.key) else {
            return;
        };
        if !self.filter.may_match_key(&key) {
            return;
        }
        let read = match body {
            Some(body) => parse::parse_record(body),
            None => Err(RecordError::TooLarge { bytes: listed.size }),
        };
        match read {
            Ok(reading) => {
                let (deployment, problems) = Deployment::from_parsed(listed, &key, reading);
                if !self.filter.matches_deployment(&deployment) {
                    return;
                }
                if !problems.is_empty() {
                    self.problems.partly_used.insert(format!(
                        "`{}`: {}",
                        listed.key,
                        problems.join(", ")
                    ));
                }
                self.rows
                    .iter_mut()
                    .for_each(|rows| rows.add_deployment(&deployment));
                self.totals
                    .iter_mut()
                    .for_each(|summary| summary.add_deployment(&deployment));
            }
            Err(reason) => {
                self.problems
                    .skipped
                    .insert(format!("`{}`: {reason}", listed.key));
            }
        }
    }
}

impl<W: Write> ObjectSink for ReportCollector<'_, W> {
    fn accept_page(
        &mut self,
        listing: &ListRequest,
        after: &str,
        mut page: ListPage,
    ) -> Result<Vec<ObjectMeta>, Error> {
        self.progress.add_listed(page.objects.len());
        let through = match (&page.next_token, page.objects.last()) {
            (Some(_), Some(last)) => last.key.clone(),
            // Of a page without an end nothing is known to be missing.
            (Some(_), None) => after.to_owned(),
            (None, _) => list_plan::prefix_end(&listing.prefix),
        };
        let after = after.max(&listing.prefix).to_owned();
        page.objects
            .retain(|listed| list_plan::listing_covers_key(listing, &listed.key));
        let mut missing = match self.cache.take() {
            None => page.objects,
            Some(mut cache) => {
                let done = cache.compare_listing(
                    &after,
                    &through,
                    page.objects,
                    |key| list_plan::listing_covers_key(listing, key),
                    |listed, body| {
                        self.mark_seen(keys::record_key_segment(&listed.key).unwrap_or_default());
                        self.add_object(listed, body);
                    },
                );
                self.restore_cache(cache, done)?
            }
        };
        missing.retain(|listed| {
            let Some(key) = keys::parse_record_key(&listed.key) else {
                return false;
            };
            self.mark_seen(key.segment);
            let wanted = self.filter.may_match_key(&key);
            if !wanted {
                self.progress.add_done(1);
                self.incomplete_segments.insert(key.segment.to_owned());
            }
            wanted
        });
        let (small, large): (Vec<ObjectMeta>, Vec<ObjectMeta>) = missing
            .into_iter()
            .partition(|listed| listed.size <= MAX_RECORD_BYTES);
        for listed in large {
            self.add_object(&listed, None);
            self.cache_object(&listed, None);
        }
        Ok(small)
    }

    fn accept_object(&mut self, listed: &ObjectMeta, body: Result<Option<Vec<u8>>, Error>) {
        match body {
            Ok(Some(body)) => {
                self.add_object(listed, Some(&body));
                self.cache_object(listed, Some(body));
            }
            // Deleted since it was listed: as if it had never been there.
            Ok(None) => self.progress.add_done(1),
            Err(fault) => {
                self.problems.skipped.insert(fault.message);
                self.incomplete_segments
                    .extend(keys::record_key_segment(&listed.key).map(str::to_owned));
            }
        }
    }
}

impl<W: Write> ReportCollector<'_, W> {
    fn mark_seen(&mut self, segment: &str) {
        if !self.seen_segments.contains(segment) {
            self.seen_segments.insert(segment.to_owned());
        }
    }

    fn cache_object(&mut self, listed: &ObjectMeta, body: Option<Vec<u8>>) {
        let Some(mut cache) = self.cache.take() else {
            return;
        };
        let done = cache.store_record(listed, body);
        if done.is_ok() {
            self.cache = Some(cache);
        } else {
            self.drop_failed_cache(&cache, done);
        }
    }
}

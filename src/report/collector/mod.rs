//! Receives records from S3, the cache and the archive, and adds those that match the filter to
//! rows and totals.
//!
//! Must not print, and must not decide what to list: see `request`.
//!
//! - `archive`: receives records of archive files through the cache
//! - `cache_state`: the cache of a run, until it fails

use std::collections::{BTreeSet, HashSet};
use std::io::Write;

use chrono::{DateTime, Utc};

mod archive;
mod cache_state;

pub use cache_state::{CacheFailure, CacheOperation};

use self::cache_state::CacheState;
use crate::error::Error;
use crate::keys::{self, RecordKey};
use crate::output::progress::ProgressLine;
use crate::record::MAX_RECORD_BYTES;
use crate::record::deployment::Deployment;
use crate::record::parse::{self, RecordError};
use crate::report::cache::{CacheError, ListedKeys, RecordCache};
use crate::report::filter::ReportFilter;
use crate::report::list_plan::{self, CachedCustomer, KeyRange, ListPlan};
use crate::report::rows::ReportRows;
use crate::report::totals::ReportTotals;
use crate::s3::bulk_get::ObjectSink;
use crate::s3::listing::{ListPage, ListRequest, ObjectMeta};

/// Records that could not be used in full, each as `KEY: reason`.
#[derive(Debug, Default)]
pub struct RecordProblems {
    pub skipped: BTreeSet<String>,
    /// Records of which some values were skipped.
    pub partly_used: BTreeSet<String>,
    /// Archive files that could not be read.
    pub skipped_archives: BTreeSet<String>,
}

impl RecordProblems {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.skipped.is_empty() && self.partly_used.is_empty() && self.skipped_archives.is_empty()
    }
}

/// What the records of a run become.
#[derive(Debug)]
pub struct ReportContent {
    /// `None` if only totals are wanted.
    pub rows: Option<ReportRows>,
    /// `None` if only rows are wanted.
    pub totals: Option<ReportTotals>,
    pub problems: RecordProblems,
}

#[derive(Debug)]
pub struct ReportCollector<'a, W: Write> {
    filter: &'a ReportFilter,
    content: ReportContent,
    cache: CacheState,
    progress: ProgressLine<W>,
    /// The archive files that S3 lists.
    archive_keys: BTreeSet<String>,
    /// The customers with records, by segment.
    seen_segments: HashSet<String>,
    /// Those of them that the cache does not have completely.
    incomplete_segments: HashSet<String>,
    /// Whether the cache or the archive has given a record of this run.
    has_cached_records: bool,
}

impl<'a, W: Write> ReportCollector<'a, W> {
    pub fn new(
        filter: &'a ReportFilter,
        content: ReportContent,
        cache: Option<RecordCache>,
        progress: ProgressLine<W>,
    ) -> Self {
        Self {
            filter,
            content,
            cache: CacheState::new(cache),
            progress,
            archive_keys: BTreeSet::new(),
            seen_segments: HashSet::new(),
            incomplete_segments: HashSet::new(),
            has_cached_records: false,
        }
    }

    #[must_use]
    pub fn has_cached_records(&self) -> bool {
        self.has_cached_records
    }

    /// Erases the progress line; returns what was collected, and why the cache failed, if it did.
    pub fn finish(mut self) -> (ReportContent, Option<CacheFailure>) {
        self.progress.clear();
        (self.content, self.cache.into_failure())
    }

    /// How many records below a prefix the cache has.
    pub fn count_cached(&mut self, prefix: &str) -> Result<u64, Error> {
        let Some(cache) = self.cache.take() else {
            return Ok(0);
        };
        let count = cache.count_keys(&KeyRange::below(prefix));
        self.cache.put_back(cache, count)
    }

    /// How to find the records of the customer below a prefix.
    pub fn plan_customer(&mut self, prefix: &str, now: DateTime<Utc>) -> Result<ListPlan, Error> {
        let Some(cache) = self.cache.take() else {
            return Ok(list_plan::plan_full_listing(prefix));
        };
        let plan = plan_with_cache(&cache, prefix, now);
        self.cache.put_back(cache, plan)
    }

    /// Adds the dated records of the cache in this range.
    pub fn add_cached_records(&mut self, cached_keys: &KeyRange) -> Result<(), Error> {
        let Some(cache) = self.cache.take() else {
            return Ok(());
        };
        let added = cache.for_each_record(cached_keys, |object, body| {
            if list_plan::is_dated_key(&object.key) {
                self.has_cached_records = true;
                self.add_object(object, body);
            }
        });
        self.cache.put_back(cache, added)
    }

    /// Writes what is new to the cache.
    ///
    /// With `complete_at`, it also notes that the cache has all records of each customer that was
    /// seen, except those in `partly_listed`. A run with a narrower filter makes no cached customer
    /// incomplete.
    pub fn close_cache(
        &mut self,
        complete_at: Option<DateTime<Utc>>,
        partly_listed: &HashSet<String>,
    ) {
        let Some(mut cache) = self.cache.take() else {
            return;
        };
        if let Err(error) = self.write_cache(&mut cache, complete_at, partly_listed) {
            self.cache.fail(&cache, &error, CacheOperation::Write);
        }
    }

    fn write_cache(
        &self,
        cache: &mut RecordCache,
        complete_at: Option<DateTime<Utc>>,
        partly_listed: &HashSet<String>,
    ) -> Result<(), CacheError> {
        cache.write_pending()?;
        let Some(complete_at) = complete_at else {
            return Ok(());
        };
        for segment in self.seen_segments.difference(&self.incomplete_segments) {
            if !partly_listed.contains(segment) {
                cache.set_complete_at(segment, complete_at)?;
            }
        }
        Ok(())
    }

    /// Without a body, the object is too large to be a record.
    fn add_object(&mut self, object: &ObjectMeta, body: Option<&[u8]>) {
        self.progress.add_done(1);
        let Some(key) = RecordKey::parse(&object.key) else {
            return;
        };
        if !self.filter.may_match_key(&key) {
            return;
        }

        if let Some(body) = body {
            self.add_record(object, &key, body);
        } else {
            let too_large = RecordError::TooLarge { bytes: object.size };
            self.skip_object(object, &too_large);
        }
    }

    fn add_record(&mut self, object: &ObjectMeta, key: &RecordKey<'_>, body: &[u8]) {
        let record = match parse::parse_record(body) {
            Ok(record) => record,
            Err(reason) => {
                self.skip_object(object, &reason);
                return;
            }
        };
        let deployment = Deployment::from_parsed(object, key, record);
        let problems = &deployment.record.problems;
        if !self.filter.matches_deployment(&deployment) {
            return;
        }

        if !problems.is_empty() {
            let problem = format!("`{}`: {}", object.key, problems.join(", "));
            self.content.problems.partly_used.insert(problem);
        }
        if let Some(rows) = &mut self.content.rows {
            rows.add_deployment(&deployment);
        }
        if let Some(totals) = &mut self.content.totals {
            totals.add_deployment(&deployment);
        }
    }

    fn skip_object(&mut self, object: &ObjectMeta, reason: &RecordError) {
        let problem = format!("`{}`: {reason}", object.key);
        self.content.problems.skipped.insert(problem);
    }

    fn mark_seen(&mut self, segment: &str) {
        if !self.seen_segments.contains(segment) {
            self.seen_segments.insert(segment.to_owned());
        }
    }

    fn cache_object(&mut self, object: &ObjectMeta, body: Option<Vec<u8>>) {
        let Some(mut cache) = self.cache.take() else {
            return;
        };
        match cache.store_record(object, body) {
            Ok(()) => self.cache = CacheState::Open(cache),
            Err(error) => self.cache.fail(&cache, &error, CacheOperation::Write),
        }
    }

    /// Adds the records of a page that are up to date in the cache, and returns the others.
    fn add_cached_of_page(
        &mut self,
        listing: &ListRequest,
        listed: ListedKeys,
    ) -> Result<Vec<ObjectMeta>, Error> {
        let Some(mut cache) = self.cache.take() else {
            return Ok(listed.objects);
        };
        let covers = |key: &str| list_plan::listing_covers_key(listing, key);
        let missing = cache.compare_listing(listed, covers, |object, body| {
            self.mark_seen(keys::record_key_segment(&object.key).unwrap_or_default());
            self.has_cached_records = true;
            self.add_object(object, body);
        });
        self.cache.put_back(cache, missing)
    }

    /// Whether an object that is not in the cache must be fetched.
    fn wants_object(&mut self, object: &ObjectMeta) -> bool {
        let Some(key) = RecordKey::parse(&object.key) else {
            return false;
        };
        self.mark_seen(key.segment);
        if self.filter.may_match_key(&key) {
            return true;
        }
        self.progress.add_done(1);
        self.incomplete_segments.insert(key.segment.to_owned());
        false
    }
}

fn plan_with_cache(
    cache: &RecordCache,
    prefix: &str,
    now: DateTime<Utc>,
) -> Result<ListPlan, CacheError> {
    let segment = keys::record_key_segment(prefix).unwrap_or_default();
    let Some(complete_at) = cache.complete_at(segment)? else {
        return Ok(list_plan::plan_full_listing(prefix));
    };
    let customer = CachedCustomer {
        segment: segment.to_owned(),
        complete_at,
    };
    let Some(old_keys) = list_plan::cached_key_range(&customer, now) else {
        return Ok(list_plan::plan_full_listing(prefix));
    };
    let cached_count = cache.count_keys(&old_keys)?;
    Ok(list_plan::plan_customer_listing(
        prefix,
        old_keys,
        cached_count,
    ))
}

impl<W: Write> ObjectSink for ReportCollector<'_, W> {
    fn accept_page(
        &mut self,
        listing: &ListRequest,
        after: &str,
        mut page: ListPage,
    ) -> Result<Vec<ObjectMeta>, Error> {
        self.progress.add_listed(page.objects.len());
        let through = match (&page.next_token, page.last_key()) {
            (Some(_), Some(last)) => last.to_owned(),
            // An empty page in the middle of a listing says nothing about the keys that follow.
            (Some(_), None) => after.to_owned(),
            (None, _) => list_plan::prefix_end(&listing.prefix),
        };
        page.objects
            .retain(|object| list_plan::listing_covers_key(listing, &object.key));
        let listed = ListedKeys {
            after: after.max(&listing.prefix).to_owned(),
            through,
            objects: page.objects,
        };

        let mut missing = self.add_cached_of_page(listing, listed)?;
        missing.retain(|object| self.wants_object(object));

        let mut to_fetch = Vec::new();
        for object in missing {
            if object.size <= MAX_RECORD_BYTES {
                to_fetch.push(object);
            } else {
                self.add_object(&object, None);
                self.cache_object(&object, None);
            }
        }
        Ok(to_fetch)
    }

    fn accept_object(&mut self, object: &ObjectMeta, body: Result<Option<Vec<u8>>, Error>) {
        match body {
            Ok(Some(body)) => {
                self.add_object(object, Some(&body));
                self.cache_object(object, Some(body));
            }
            // The object was deleted after it was listed.
            Ok(None) => self.progress.add_done(1),
            Err(error) => {
                self.content.problems.skipped.insert(error.message);
                if let Some(segment) = keys::record_key_segment(&object.key) {
                    self.incomplete_segments.insert(segment.to_owned());
                }
            }
        }
    }
}

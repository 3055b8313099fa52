//! What a report shall contain, and how it is collected: archive files first, then the cache, then
//! S3.

use std::collections::{BTreeSet, HashSet};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::archive::reader;
use crate::error::Error;
use crate::keys::{self, RECORDS_PREFIX};
use crate::output::progress::ProgressLine;
use crate::record::MAX_RECORD_BYTES;
use crate::report::cache::{CacheLocation, RecordCache};
use crate::report::collector::{
    CacheFailure, CacheOperation, RecordProblems, ReportCollector, ReportContent,
};
use crate::report::filter::ReportFilter;
use crate::report::list_plan::{self, ListPlan, plan_full_listing};
use crate::report::rows::{ReportRows, RowKind};
use crate::report::totals::ReportTotals;
use crate::s3::bulk_get;
use crate::s3::caller::UserIdentity;
use crate::s3::listing::ListRequest;
use crate::s3::store::{BucketTarget, ObjectStore, RequestTimeouts};
use crate::system::dirs::cache_dir;

/// One attempt, because `bulk_get` retries by itself.
const REPORT_TIMEOUTS: RequestTimeouts = RequestTimeouts {
    operation: Duration::from_secs(30),
    attempt: Duration::from_secs(20),
    max_attempts: 1,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheMode {
    Use,
    /// Fetch all records into a new cache.
    Refresh,
    Off,
}

#[derive(Debug)]
pub struct ReportRequest {
    pub filter: ReportFilter,
    pub identity: UserIdentity,
    /// `None` for totals only.
    pub row_kind: Option<RowKind>,
    pub has_totals: bool,
    pub cache_mode: CacheMode,
    pub now: DateTime<Utc>,
}

/// A report that is ready to be written.
#[derive(Debug)]
pub struct CollectedReport {
    pub content: ReportContent,
    /// Why the cache was not used, or not written. The report is complete nevertheless.
    pub cache_errors: Vec<String>,
}

/// What the failed attempts to collect the report say about the next one.
#[derive(Debug, Default)]
struct CollectionState {
    cache: Option<RecordCache>,
    cache_errors: Vec<String>,
    /// Set if there is no space to unpack the archive: the next attempt skips it.
    archive_error: Option<String>,
}

impl ReportRequest {
    /// Collects the report, and starts again without the cache if that turns out to be damaged.
    pub async fn collect<W: Write>(
        &self,
        target: &BucketTarget,
        mut terminal: Option<&mut W>,
    ) -> Result<CollectedReport, Error> {
        let store = Arc::new(ObjectStore::open(target, REPORT_TIMEOUTS).await?);
        let location = self.cache_location(&store);
        let mut state = CollectionState::default();
        if let Some(location) = &location {
            self.open_cache(location, &mut state);
        }

        loop {
            let progress = ProgressLine::new(terminal.as_deref_mut());
            let (result, content, failure) = self.collect_once(&store, &mut state, progress).await;

            let must_retry = match failure {
                Some(failure) => state.add_failure(failure, location.as_ref()),
                None => false,
            };
            if must_retry {
                continue;
            }
            result?;
            return Ok(CollectedReport {
                content,
                cache_errors: state.cache_errors,
            });
        }
    }

    /// `None` if the report does without a cache.
    fn cache_location(&self, store: &ObjectStore) -> Option<CacheLocation> {
        if self.cache_mode == CacheMode::Off {
            return None;
        }
        let folder = cache_dir()?;
        Some(CacheLocation::new(folder, &store.bucket_identity()))
    }

    fn open_cache(&self, location: &CacheLocation, state: &mut CollectionState) {
        if self.cache_mode == CacheMode::Refresh {
            location.remove();
        }
        match RecordCache::open(location) {
            Ok(cache) => state.cache = Some(cache),
            Err(error) => {
                let folder = location.folder().display();
                let message = format!("cannot open the cache in `{folder}`: {}", error.message);
                state.cache_errors.push(message);
                if error.is_corrupt {
                    location.remove();
                }
            }
        }
    }

    async fn collect_once<W: Write>(
        &self,
        store: &Arc<ObjectStore>,
        state: &mut CollectionState,
        progress: ProgressLine<W>,
    ) -> (Result<(), Error>, ReportContent, Option<CacheFailure>) {
        let mut content = self.empty_content();
        let with_archive = match &state.archive_error {
            Some(error) => {
                content.problems.skipped_archives.insert(error.clone());
                false
            }
            None => true,
        };

        let cache = state.cache.take();
        let mut collector = ReportCollector::new(&self.filter, content, cache, progress);
        let result = self
            .collect_records(store, &mut collector, with_archive)
            .await;
        let (content, failure) = collector.finish();
        (result, content, failure)
    }

    fn empty_content(&self) -> ReportContent {
        let rows = self
            .row_kind
            .map(|kind| ReportRows::new(self.identity, kind));
        let totals = self.has_totals.then(|| ReportTotals::new(self.identity));
        ReportContent {
            rows,
            totals,
            problems: RecordProblems::default(),
        }
    }

    async fn collect_records(
        &self,
        store: &Arc<ObjectStore>,
        collector: &mut ReportCollector<'_, impl Write>,
        with_archive: bool,
    ) -> Result<(), Error> {
        let prefixes = self.record_prefixes();
        if with_archive {
            let denied = reader::read_archive(store, &prefixes, collector).await?;
            collector.finish_archives(&prefixes, denied)?;
        }

        let plans = self.plan_listings(store, &prefixes, collector).await?;
        let mut listings = Vec::new();
        let mut partly_listed = HashSet::new();
        for plan in plans {
            if let Some(cached_keys) = plan.cached_keys {
                let segment = keys::record_key_segment(&cached_keys.start);
                partly_listed.extend(segment.map(str::to_owned));
                collector.add_cached_records(&cached_keys)?;
            }
            listings.extend(plan.listings);
        }

        let listed = Arc::clone(store);
        let fetched = bulk_get::list_and_fetch(listed, listings, MAX_RECORD_BYTES, collector).await;
        let fetched = match fetched {
            Ok(mut failures) => {
                if collector.has_cached_records() {
                    failures.add_read();
                }
                failures.confirm(store).await
            }
            Err(error) => Err(error),
        };
        // After an error, too: the next run need not fetch again what came before the error.
        let complete_at = fetched.is_ok().then_some(self.now);
        collector.close_cache(complete_at, &partly_listed);
        fetched
    }

    /// The prefixes of the customers that were asked for, or the one of all records.
    fn record_prefixes(&self) -> Vec<String> {
        if self.filter.customers.is_empty() {
            return vec![RECORDS_PREFIX.to_owned()];
        }
        let mut prefixes = BTreeSet::new();
        for customer in &self.filter.customers {
            prefixes.extend(keys::customer_record_prefixes(customer));
        }
        prefixes.into_iter().collect()
    }

    async fn plan_listings(
        &self,
        store: &Arc<ObjectStore>,
        prefixes: &[String],
        collector: &mut ReportCollector<'_, impl Write>,
    ) -> Result<Vec<ListPlan>, Error> {
        if !self.filter.customers.is_empty() {
            return self.plan_customers(prefixes, collector);
        }

        let cached_count = collector.count_cached(RECORDS_PREFIX)?;
        if cached_count <= list_plan::MAX_RECORDS_FOR_FULL_LISTING {
            return Ok(vec![plan_full_listing(RECORDS_PREFIX)]);
        }

        let listing = ListRequest {
            prefix: RECORDS_PREFIX.to_owned(),
            delimiter: "/",
            ..ListRequest::default()
        };
        let mut folders = collector.archived_prefixes(RECORDS_PREFIX);
        folders.extend(bulk_get::list_folders(store, &listing).await?);
        if !list_plan::should_list_per_customer(folders.len(), cached_count) {
            return Ok(vec![plan_full_listing(RECORDS_PREFIX)]);
        }
        self.plan_customers(&folders, collector)
    }

    fn plan_customers<'p>(
        &self,
        prefixes: impl IntoIterator<Item = &'p String>,
        collector: &mut ReportCollector<'_, impl Write>,
    ) -> Result<Vec<ListPlan>, Error> {
        let mut plans = Vec::new();
        for prefix in prefixes {
            plans.push(collector.plan_customer(prefix, self.now)?);
        }
        Ok(plans)
    }
}

impl CollectionState {
    /// Whether the report must be collected again.
    fn add_failure(&mut self, failure: CacheFailure, location: Option<&CacheLocation>) -> bool {
        if let Some(location) = location
            && failure.is_corrupt
        {
            location.remove();
        }
        let is_read_failure = failure.operation == CacheOperation::Read;
        if failure.is_temporary && is_read_failure {
            self.archive_error = Some(failure.message);
        } else {
            self.cache_errors.push(failure.message);
        }
        is_read_failure
    }
}

//! One reader of the bucket for the commands that look back: what each customer has in it.
//!
//! Reads only. Must not judge what it reads: `history`, `coverage` and `audit` do that.
//!
//! - `scope.rs`: which customers and which kinds of objects a snapshot has
//! - `collector.rs`: sorts listed and fetched objects by customer
//! - `stored_record.rs`: a usage record and its object
//! - `config_version.rs`: a version of a config, its metadata and its content
//! - `skipped_object.rs`: objects that cannot be read, with the reason

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::{StreamExt as _, stream};

use crate::archive::reader::ArchiveResult;
use crate::chain::seal::ChainSeal;
use crate::error::Error;
use crate::s3::bulk_get::{LISTED_BUT_MISSING, find_listed_object};
use crate::s3::listing::{NoncurrentVersion, ObjectMeta};
use crate::s3::object_failures::ObjectFailures;
use crate::s3::store::{ObjectStore, RequestTimeouts};
use crate::s3::versions::{VersionListing, for_each_noncurrent_version};
use crate::snapshot::collector::SnapshotCollector;
use crate::snapshot::scope::SnapshotScope;

mod collector;
mod config_version;
mod scope;
mod skipped_object;
mod stored_record;

pub use config_version::{ConfigContent, ConfigMetadata, ConfigVersion, CopyName};
pub use scope::SnapshotPart;
pub use skipped_object::{SkippedObject, write_skipped};
pub use stored_record::{RecordReadError, StoredRecord};

/// The timeouts of commands that read the bucket. `bulk_get` counts the attempts, not the SDK.
pub const READ_TIMEOUTS: RequestTimeouts = RequestTimeouts {
    operation: Duration::from_mins(1),
    attempt: Duration::from_mins(1),
    max_attempts: 1,
};

const CONTENT_CONCURRENCY: usize = 16;

/// What the bucket holds of one customer or of all.
#[derive(Debug)]
pub struct BucketSnapshot {
    /// By the canonical segment of their keys.
    pub customers: BTreeMap<String, CustomerSnapshot>,
    /// `None` without [`SnapshotPart::NoncurrentVersions`].
    pub version_listing: Option<VersionListing>,
    /// How many of the records only the archive has.
    pub archived_records: usize,
    /// Archives that this profile may not read.
    pub denied_archives: Vec<SkippedObject>,
}

/// What the bucket holds of one customer.
#[derive(Debug, Clone, Default)]
pub struct CustomerSnapshot {
    /// The name; the segment of the keys if that is a digest and no record has the name.
    pub name: String,
    /// Including those that cannot be read.
    pub records: Vec<StoredRecord>,
    /// By key; `None` for an object that is not a seal.
    pub seals: BTreeMap<String, Option<ChainSeal>>,
    /// `config.yaml`. The legacy module may have written a second one to another folder.
    pub current_configs: Vec<ConfigVersion>,
    /// The objects in `config-history/`.
    pub config_copies: Vec<ConfigVersion>,
    /// Noncurrent versions of `config.yaml`; of each key the newest first.
    pub noncurrent_configs: Vec<ConfigVersion>,
    /// The units that have a state.
    pub units: BTreeSet<String>,
    /// Current and noncurrent versions of the states.
    pub state_changes: Vec<StateChange>,
    pub damaged_archives: Vec<SkippedObject>,
    /// Seals that the bucket does not return. A config has its [`ConfigVersion::read_error`].
    pub unreadable_seals: Vec<SkippedObject>,
}

/// A version of a unit's state.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StateChange {
    /// When it was written.
    pub at: DateTime<Utc>,
    /// The unit's folder within the customer's.
    pub unit: String,
}

impl CustomerSnapshot {
    fn add_config(&mut self, config: ConfigVersion) {
        if config.copy_name.is_some() {
            self.config_copies.push(config);
        } else {
            self.current_configs.push(config);
        }
    }

    fn add_state_change(&mut self, object: &ObjectMeta, unit: &str) {
        let at = object.last_modified;
        self.state_changes.push(StateChange {
            at,
            unit: unit.to_owned(),
        });
    }

    fn is_empty(&self) -> bool {
        self.records.is_empty()
            && self.seals.is_empty()
            && self.current_configs.is_empty()
            && self.config_copies.is_empty()
            && self.noncurrent_configs.is_empty()
            && self.state_changes.is_empty()
            && self.damaged_archives.is_empty()
            && self.unreadable_seals.is_empty()
    }

    /// Records and archives that cannot be read.
    pub fn skipped(&self) -> impl Iterator<Item = SkippedObject> {
        let records = self.records.iter().filter_map(StoredRecord::skipped);
        records.chain(self.damaged_archives.iter().cloned())
    }
}

impl BucketSnapshot {
    /// Lists the keys of `customer` or of all, and reads records and seals.
    ///
    /// Configs are only listed.
    pub async fn load(
        store: &Arc<ObjectStore>,
        customer: Option<&str>,
        parts: &[SnapshotPart],
    ) -> Result<Self, Error> {
        let scope = SnapshotScope::new(customer, parts);
        let mut collector = SnapshotCollector::new(&scope);

        let mut first = scope.config_prefixes();
        first.extend(scope.seal_prefixes());
        let mut last = scope.record_prefixes();
        if !scope.reads_records_last() {
            first.append(&mut last);
        }
        let (first, noncurrent) = futures_util::join!(
            collector.collect(store, first),
            list_noncurrent_versions(store, &scope)
        );
        let (first, noncurrent) = (first?, noncurrent?);
        let last = collector.collect(store, last).await?;

        for version in noncurrent.versions {
            collector.add_noncurrent_version(version);
        }
        let mut snapshot = Self {
            customers: BTreeMap::new(),
            version_listing: noncurrent.listing,
            archived_records: first.record_count + last.record_count,
            denied_archives: Vec::new(),
        };
        let mut failures = ObjectFailures::default();
        for ArchiveResult {
            damaged,
            denied,
            failures: part_failures,
            ..
        } in [first, last]
        {
            failures.merge(part_failures);
            let denied = denied.into_iter().map(SkippedObject::from_reason);
            snapshot.denied_archives.extend(denied);
            for (key, reason) in damaged {
                collector.add_damaged_archive(key, reason);
            }
        }
        failures.confirm(store).await?;
        snapshot.customers = collector.customers;
        snapshot.remove_empty_customers();
        Ok(snapshot)
    }

    /// Fetches metadata and content of all configs. Drops configs that are gone since the listing.
    /// A config that cannot be read has its [`ConfigVersion::read_error`].
    ///
    /// # Errors
    /// None of the configs can be read.
    pub async fn load_config_contents(&mut self, store: &ObjectStore) -> Result<(), Error> {
        let mut listed = Vec::new();
        let mut has_read_records = false;
        for (segment, customer) in &mut self.customers {
            has_read_records |= customer.records.iter().any(|it| it.sha256.is_some());
            let copies = std::mem::take(&mut customer.config_copies);
            let current = std::mem::take(&mut customer.current_configs);
            let configs = copies.into_iter().chain(current);
            listed.extend(configs.map(|config| (segment.clone(), config)));
        }
        let loads = listed.into_iter().map(|(segment, mut config)| async move {
            let loaded = config.load_content(store).await;
            (segment, config, loaded)
        });
        let mut failures = ObjectFailures::default();
        let mut loads = stream::iter(loads).buffered(CONTENT_CONCURRENCY);
        while let Some((segment, mut config, loaded)) = loads.next().await {
            match loaded {
                Ok(true) => failures.add_read(),
                Ok(false) => {
                    if find_listed_object(store, &config.key).await?.is_none() {
                        continue;
                    }
                    let uri = store.object_uri(&config.key);
                    config.read_error = Some(format!("cannot get `{uri}`: {LISTED_BUT_MISSING}"));
                }
                Err(error) => {
                    // A proxy that damages every body would have damaged the records, too.
                    if !(has_read_records && error.has_bad_body) {
                        failures.add_failure(&config.key, &error)?;
                    }
                    config.read_error = Some(error.message);
                }
            }
            if let Some(customer) = self.customers.get_mut(&segment) {
                customer.add_config(config);
            }
        }
        failures.confirm(store).await?;
        self.remove_empty_customers();
        Ok(())
    }

    /// All that could not be read, in a stable order.
    #[must_use]
    pub fn skipped(&self) -> Vec<SkippedObject> {
        let mut skipped = self.denied_archives.clone();
        for customer in self.customers.values() {
            skipped.extend(customer.skipped());
        }
        skipped.sort_by_cached_key(ToString::to_string);
        skipped
    }

    fn remove_empty_customers(&mut self) {
        self.customers.retain(|_, customer| !customer.is_empty());
    }
}

#[derive(Default)]
struct NoncurrentVersions {
    versions: Vec<NoncurrentVersion>,
    /// `None` if they were not wanted.
    listing: Option<VersionListing>,
}

/// Lists the noncurrent versions that the snapshot has, up to the first listing that is refused.
async fn list_noncurrent_versions(
    store: &ObjectStore,
    scope: &SnapshotScope<'_>,
) -> Result<NoncurrentVersions, Error> {
    let mut noncurrent = NoncurrentVersions::default();
    if !scope.has(SnapshotPart::NoncurrentVersions) {
        return Ok(noncurrent);
    }
    for prefix in scope.config_prefixes() {
        let mut add = |version: NoncurrentVersion| {
            if scope.includes_noncurrent(&version.object.key) {
                noncurrent.versions.push(version);
            }
        };
        let listing = for_each_noncurrent_version(store, &prefix, &mut add).await?;
        noncurrent.listing = Some(listing);
        if listing != VersionListing::Listed {
            break;
        }
    }
    Ok(noncurrent)
}

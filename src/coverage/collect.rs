//! Reads what `coverage` compares: a snapshot of the bucket, the spool, and configs that records
//! name.
//!
//! Must not decide what is missing: `gaps.rs` does.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};

use crate::coverage::evidence::{CustomerEvidence, SpooledEvidence};
use crate::error::{Error, ErrorKind};
use crate::keys::{self, ConfigKey, TerragruntKey};
use crate::s3::listing::ObjectMeta;
use crate::s3::object_failures::ObjectFailures;
use crate::s3::store::ObjectStore;
use crate::s3::versions::VersionListing;
use crate::snapshot::{BucketSnapshot, ConfigVersion, SkippedObject, SnapshotPart};
use crate::state::spool::Spool;

const HEAD_CONCURRENCY: usize = 32;

/// What is known of all customers.
#[derive(Debug)]
pub struct CoverageEvidence {
    /// By the canonical segment of their keys.
    pub customers: BTreeMap<String, CustomerEvidence>,
    /// Objects and spooled items that cannot be read.
    pub skipped: Vec<SkippedObject>,
    /// Whether noncurrent versions of states are included.
    pub version_listing: VersionListing,
    failures: ObjectFailures,
}

/// A config whose metadata is fetched.
struct ConfigLookup {
    segment: String,
    /// The index in `copies`; `None` for `config.yaml`.
    copy: Option<usize>,
    needs_md5: bool,
    config: ConfigVersion,
}

/// Collects what is known of `customer` or of all.
pub async fn collect_evidence(
    store: &Arc<ObjectStore>,
    customer: Option<&str>,
    spool: &Spool,
) -> Result<CoverageEvidence, Error> {
    let parts = [
        SnapshotPart::States,
        SnapshotPart::Seals,
        SnapshotPart::NoncurrentVersions,
    ];
    let snapshot = BucketSnapshot::load(store, customer, &parts).await?;
    let mut evidence = CoverageEvidence::from_snapshot(snapshot);
    evidence.add_spooled_items(spool, &store.target.bucket, customer);

    // In this order: each step needs what the one before it found.
    evidence.find_missing_configs(store).await?;
    evidence.read_config_metadata(store).await?;
    evidence.read_other_configs(store).await?;
    std::mem::take(&mut evidence.failures)
        .confirm(store)
        .await?;
    evidence.skipped.sort_by_cached_key(ToString::to_string);
    Ok(evidence)
}

impl CoverageEvidence {
    fn from_snapshot(snapshot: BucketSnapshot) -> Self {
        let skipped = snapshot.skipped();
        let mut customers = BTreeMap::new();
        for (segment, customer) in snapshot.customers {
            customers.insert(segment, CustomerEvidence::from_snapshot(customer));
        }
        let version_listing = snapshot
            .version_listing
            .unwrap_or(VersionListing::Unsupported);
        Self {
            customers,
            skipped,
            version_listing,
            failures: ObjectFailures::default(),
        }
    }

    /// A config whose metadata cannot be read is there all the same, and says nothing more.
    fn skip_config(&mut self, config: &ConfigVersion, error: Error) -> Result<(), Error> {
        self.failures.add_failure(&config.key, &error)?;
        self.skipped.push(SkippedObject::from_reason(error.message));
        Ok(())
    }

    /// Adds what this machine still has to upload to the bucket.
    fn add_spooled_items(&mut self, spool: &Spool, bucket: &str, customer: Option<&str>) {
        let contents = spool.list();
        for error in &contents.errors {
            self.skipped
                .push(SkippedObject::from_reason(error.to_string()));
        }
        for path in contents.items {
            let path_name = path.display().to_string();
            let (item, body) = match Spool::read_item(&path) {
                Ok(Some(item)) => item,
                Ok(None) => continue,
                Err(error) => {
                    self.skipped
                        .push(SkippedObject::new(path_name, error.to_string()));
                    continue;
                }
            };
            let is_wanted = customer.is_none_or(|wanted| wanted == item.customer);
            if item.target.bucket != bucket || !is_wanted {
                continue;
            }

            let segment = keys::customer_segment(&item.customer);
            let evidence = self.customers.entry(segment).or_default();
            evidence.name.clone_from(&item.customer);
            evidence
                .spooled
                .push(SpooledEvidence::from_spool_item(path_name, item, &body));
        }
    }

    /// Asks again for configs that records imply and the listing lacks.
    ///
    /// A deployment may have written them between the listing of configs and that of records.
    async fn find_missing_configs(&mut self, store: &ObjectStore) -> Result<(), Error> {
        let lookups = self
            .missing_config_keys()
            .into_iter()
            .map(|(segment, key)| async move {
                let config = config_without_listing(&key)?;
                let found = config.fetch_metadata(store).await;
                Some((segment, config, found.map(|metadata| metadata.is_some())))
            });
        let mut lookups = stream::iter(lookups).buffer_unordered(HEAD_CONCURRENCY);
        while let Some(done) = lookups.next().await {
            let Some((segment, config, found)) = done else {
                continue;
            };
            match found {
                Ok(true) => self.failures.add_read(),
                Ok(false) => continue,
                Err(error) => self.skip_config(&config, error)?,
            }
            if let Some(customer) = self.customers.get_mut(&segment) {
                customer.add_config(config);
            }
        }
        Ok(())
    }

    /// Segments and keys of configs that may have been written since the listing.
    fn missing_config_keys(&self) -> Vec<(String, String)> {
        let mut missing = Vec::new();
        for (segment, customer) in &self.customers {
            for key in customer.missing_keys() {
                if is_copy_of_customer(key, segment) {
                    missing.push((segment.clone(), key.to_owned()));
                }
            }
            if customer.current_config.is_none() && !customer.records.is_empty() {
                missing.push((segment.clone(), keys::current_config_key(&customer.name)));
            }
        }
        missing
    }

    /// Reads the metadata of each `config.yaml`, and of the copies that no record explains.
    async fn read_config_metadata(&mut self, store: &ObjectStore) -> Result<(), Error> {
        let lookups = self
            .config_lookups()
            .into_iter()
            .map(|mut lookup| async move {
                let loaded = if lookup.needs_md5 {
                    lookup.config.load_md5(store).await
                } else {
                    lookup.config.load_metadata(store).await
                };
                (lookup, loaded)
            });
        let mut lookups = stream::iter(lookups).buffer_unordered(HEAD_CONCURRENCY);
        while let Some((lookup, loaded)) = lookups.next().await {
            let is_there = match loaded {
                Ok(is_there) => {
                    self.failures.add_read();
                    is_there
                }
                Err(error) => {
                    self.skip_config(&lookup.config, error)?;
                    continue;
                }
            };
            let Some(customer) = self.customers.get_mut(&lookup.segment) else {
                continue;
            };
            match lookup.copy {
                Some(index) if is_there => customer.copies[index] = lookup.config,
                // Deleted since the listing; the next run reports it.
                Some(_) => {}
                None => customer.current_config = is_there.then_some(lookup.config),
            }
        }
        Ok(())
    }

    fn config_lookups(&self) -> Vec<ConfigLookup> {
        let mut lookups = Vec::new();
        for (segment, customer) in &self.customers {
            if let Some(config) = &customer.current_config {
                lookups.push(ConfigLookup {
                    segment: segment.clone(),
                    copy: None,
                    needs_md5: customer
                        .records
                        .iter()
                        .any(|it| !it.parsed.config_hash.is_empty()),
                    config: config.clone(),
                });
            }
            for index in customer.unexplained_copies() {
                lookups.push(ConfigLookup {
                    segment: segment.clone(),
                    copy: Some(index),
                    needs_md5: false,
                    config: customer.copies[index].clone(),
                });
            }
        }
        lookups
    }

    /// Reads the MD5s of other configs for customers with records whose MD5 is not found yet.
    ///
    /// Those are records of the legacy module, which kept no copies.
    async fn read_other_configs(&mut self, store: &ObjectStore) -> Result<(), Error> {
        let mut others = Vec::new();
        for (segment, customer) in &mut self.customers {
            if customer.lost_md5s().is_empty() {
                continue;
            }
            for config in std::mem::take(&mut customer.other_configs) {
                others.push((segment.clone(), config));
            }
        }
        let loads = others.into_iter().map(|(segment, mut config)| async move {
            let loaded = config.load_md5(store).await;
            (segment, config, loaded)
        });
        let mut loads = stream::iter(loads).buffer_unordered(HEAD_CONCURRENCY);
        while let Some((segment, config, loaded)) = loads.next().await {
            match loaded {
                Ok(_) => {}
                // A profile may be allowed to list versions, and not to read them.
                Err(error) if is_denied(&error) => continue,
                Err(error) => self.skip_config(&config, error)?,
            }
            let customer = self.customers.entry(segment).or_default();
            match config.md5() {
                Some(md5) => drop(customer.other_md5s.insert(md5.to_owned())),
                None => customer.has_unread_config = true,
            }
        }
        Ok(())
    }
}

fn is_denied(error: &Error) -> bool {
    error.kind == ErrorKind::Denied && !error.is_object_error()
}

/// Whether a key that a record names can be a copy of this customer's config.
///
/// A record may name anything; a forged key must not make us ask for other customers' objects.
fn is_copy_of_customer(key: &str, segment: &str) -> bool {
    match keys::parse_terragrunt_key(key) {
        Some((owner, TerragruntKey::Config(ConfigKey::Version { .. }))) => owner == segment,
        _ => false,
    }
}

fn config_without_listing(key: &str) -> Option<ConfigVersion> {
    let (_, TerragruntKey::Config(config_key)) = keys::parse_terragrunt_key(key)? else {
        return None;
    };
    let object = ObjectMeta {
        key: key.to_owned(),
        last_modified: chrono::DateTime::default(),
        size: 0,
        etag: String::new(),
    };
    ConfigVersion::from_listed(&object, &config_key)
}

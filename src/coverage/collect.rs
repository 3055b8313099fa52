//! Lists and reads what `coverage` compares: states, configs and usage records of one customer or all, and the spool.
//!
//! Reads only. What is missing, `gaps.rs` decides; what else has to be asked, `evidence.rs` says.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::DateTime;
use futures_util::{StreamExt as _, stream};

use crate::archive::reader::{self, ArchiveResult};
use crate::chain::seal::ChainSeal;
use crate::coverage::evidence::{
    CustomerEvidence, RecordEvidence, SpooledContent, SpooledEvidence, StoredConfig,
};
use crate::coverage::state_changes::StateChange;
use crate::digest::{compute_digests, sha256_hex};
use crate::error::{Error, ErrorKind};
use crate::history::load::MAX_STORED_CONFIG_BYTES;
use crate::keys::metadata::{DEPLOYMENT_ID_FIELD, MD5_FIELD, parse_captured_at};
use crate::keys::{
    self, CONFIGS_PREFIX, ConfigKey, ConfigVersionKey, RECORDS_PREFIX, StateKey, TerragruntKey,
};
use crate::record::parse::{self, ParsedRecord};
use crate::report::collector::MAX_RECORD_BYTES as LARGEST_RECORD;
use crate::s3::bulk_get::{ObjectSink, retry_with_backoff};
use crate::s3::listing::{ListPage, ListRequest, NoncurrentVersion, ObjectMeta};
use crate::s3::store::{ObjectHead, ObjectStore};
use crate::s3::versions::{self, VersionListing};
use crate::state::spool::Spool;

/// Objects under way at once that are looked at one by one.
const HEAD_CONCURRENCY: usize = 32;

/// What there is, by customer.
#[derive(Debug)]
pub struct CoverageEvidence {
    /// By the segment of their keys.
    pub customers: BTreeMap<String, CustomerEvidence>,
    /// Records and items of the spool that were left out, with the reason.
    pub skipped: Vec<String>,
    /// Whether earlier versions of the states are among their changes.
    pub version_access: VersionListing,
    /// The segment of the only customer who is wanted.
    wanted_segment: Option<String>,
    /// Further configs, by segment: keys, and the ids of versions that were overwritten.
    other_configs: BTreeMap<String, Vec<(String, Option<String>)>>,
}

/// Looks at all that there is of `customer`, or of all.
///
/// # Errors
/// A request that failed for good.
pub async fn collect_evidence(
    store: &Arc<ObjectStore>,
    customer: Option<&str>,
    spool: &Spool,
) -> Result<CoverageEvidence, Error> {
    let mut survey = CoverageEvidence {
        customers: BTreeMap::new(),
        skipped: Vec::new(),
        version_access: VersionListing::Unsupported,
        wanted_segment: customer.map(keys::customer_segment),
        other_configs: BTreeMap::new(),
    };
    let folders = customer.map_or_else(
        || vec![CONFIGS_PREFIX.to_owned()],
        keys::customer_terragrunt_prefixes,
    );
    // The records after all else: a deployment writes its record last, or while its states are still to be written.
    let mut older = Vec::new();
    let (listed, versions) = futures_util::join!(
        collect_listed(store, folders.clone(), &mut survey),
        list_noncurrent_versions(store, &folders, &mut older)
    );
    survey.skipped.extend(listed?);
    survey.version_access = versions?;
    for version in older {
        survey.add_noncurrent_version(version);
    }
    let logs = customer.map_or_else(
        || vec![RECORDS_PREFIX.to_owned()],
        keys::customer_record_prefixes,
    );
    let left_out = collect_listed(store, logs, &mut survey).await?;
    survey.skipped.extend(left_out);
    survey.add_spooled_items(spool, &store.target.bucket);
    survey.find_missing_configs(store).await?;
    survey.read_config_metadata(store).await?;
    survey.read_other_configs(store).await?;
    survey.skipped.sort();
    Ok(survey)
}

/// Goes through what lies below some prefixes; gives what of the archive could not be read.
async fn collect_listed(
    store: &Arc<ObjectStore>,
    prefixes: Vec<String>,
    survey: &mut CoverageEvidence,
) -> Result<Vec<String>, Error> {
    let listings = prefixes
        .into_iter()
        .map(|prefix| ListRequest {
            prefix,
            ..ListRequest::default()
        })
        .collect();
    reader::fetch_with_archive(store, listings, LARGEST_RECORD, survey)
        .await
        .map(ArchiveResult::into_skipped)
}

/// The overwritten versions of states and of `config.yaml`.
async fn list_noncurrent_versions(
    store: &ObjectStore,
    folders: &[String],
    found: &mut Vec<NoncurrentVersion>,
) -> Result<VersionListing, Error> {
    let is_of_use = |version: &NoncurrentVersion| {
        matches!(
            keys::parse_terragrunt_key(&version.object.key),
            Some((
                _,
                TerragruntKey::State { .. } | TerragruntKey::Config(ConfigKey::Current)
            ))
        )
    };
    for folder in folders {
        let access = versions::for_each_noncurrent_version(store, folder, |version| {
            found.extend(Some(version).filter(is_of_use));
        })
        .await?;
        if access != VersionListing::Listed {
            return Ok(access);
        }
    }
    Ok(VersionListing::Listed)
}

impl ObjectSink for CoverageEvidence {
    fn accept_page(
        &mut self,
        listing: &ListRequest,
        _: &str,
        page: ListPage,
    ) -> Result<Vec<ObjectMeta>, Error> {
        let of_records = listing.prefix.starts_with(RECORDS_PREFIX);
        let is_read = |listed: &ObjectMeta| {
            if of_records {
                self.wants_record(listed)
            } else {
                self.add_object(listed)
            }
        };
        Ok(page.objects.into_iter().filter(is_read).collect())
    }

    fn accept_object(&mut self, listed: &ObjectMeta, body: Result<Option<Vec<u8>>, Error>) {
        if let Some((segment, _)) = keys::parse_terragrunt_key(&listed.key) {
            // One that is no seal any more is for `verify`.
            let seal = body.ok().flatten().and_then(|body| ChainSeal::parse(&body));
            self.wanted_customer(&segment)
                .into_iter()
                .for_each(|customer| customer.seals.extend(seal.clone()));
            return;
        }
        let sha256 = body
            .as_ref()
            .ok()
            .and_then(Option::as_deref)
            .map(sha256_hex)
            .unwrap_or_default();
        let read = match body {
            Ok(Some(body)) => {
                parse::parse_record(&body).map_err(|reason| format!("`{}`: {reason}", listed.key))
            }
            Ok(None) => return,
            Err(fault) => Err(fault.message),
        };
        let Some(key) = keys::parse_record_key(&listed.key) else {
            return;
        };
        // A record that cannot be read is one all the same: somebody logged then.
        let reading = read.unwrap_or_else(|why| {
            self.skipped.push(why);
            ParsedRecord::default()
        });
        let at = reading
            .deployed_at
            .or(key.deployed_at)
            .unwrap_or(listed.last_modified);
        if let Some(customer) = self.wanted_customer(&keys::canonical_segment(key.segment)) {
            if keys::customer_segment(&reading.customer) == keys::canonical_segment(key.segment) {
                customer.name.clone_from(&reading.customer);
            }
            customer.records.push(RecordEvidence {
                sha256,
                ..RecordEvidence::from_record(reading, at)
            });
        }
    }
}

impl CoverageEvidence {
    /// The customer whose keys have this segment, if it is wanted.
    fn wanted_customer(&mut self, segment: &str) -> Option<&mut CustomerEvidence> {
        if self
            .wanted_segment
            .as_ref()
            .is_some_and(|only| only != segment)
        {
            return None;
        }
        let name = || keys::parse_customer_segment(segment).unwrap_or_else(|| segment.to_owned());
        let new = || CustomerEvidence {
            name: name(),
            ..CustomerEvidence::default()
        };
        Some(self.customers.entry(segment.to_owned()).or_insert_with(new))
    }

    fn wants_record(&mut self, listed: &ObjectMeta) -> bool {
        let Some(key) = keys::parse_record_key(&listed.key) else {
            return false;
        };
        if self
            .wanted_customer(&keys::canonical_segment(key.segment))
            .is_none()
        {
            return false;
        }
        if listed.size > LARGEST_RECORD {
            self.skipped.push(format!(
                "`{}`: it has {} bytes, and at most {LARGEST_RECORD} are read",
                listed.key, listed.size
            ));
        }
        listed.size <= LARGEST_RECORD
    }

    /// Notes what a listing says of an object; whether it has to be read as well.
    fn add_object(&mut self, listed: &ObjectMeta) -> bool {
        let Some((segment, beside)) = keys::parse_terragrunt_key(&listed.key) else {
            return false;
        };
        let Some(customer) = self.wanted_customer(&segment) else {
            return false;
        };
        match beside {
            TerragruntKey::Config(ConfigKey::Seal { .. }) => return listed.size <= LARGEST_RECORD,
            TerragruntKey::State(StateKey { unit, .. }) => {
                customer.units.insert(unit.to_owned());
                customer.changes.push(StateChange {
                    at: listed.last_modified,
                    unit: unit.to_owned(),
                });
            }
            TerragruntKey::Config(ConfigKey::Version(ConfigVersionKey {
                captured_at: at,
                md5,
                ..
            })) => {
                customer.copies.push(StoredConfig {
                    at,
                    md5: md5.to_owned(),
                    key: listed.key.clone(),
                    deployment_id: String::new(),
                });
            }
            TerragruntKey::Config(ConfigKey::Current) => {
                // There may be ours, and one of the earlier module in a folder that is called by the name itself.
                let mut both = vec![StoredConfig {
                    key: listed.key.clone(),
                    at: listed.last_modified,
                    ..StoredConfig::default()
                }];
                both.extend(customer.current_config.take());
                both.sort_by_key(|it| it.at);
                customer.current_config = both.pop();
                let rest = both.into_iter().map(|it| (it.key, None));
                self.other_configs.entry(segment).or_default().extend(rest);
            }
        }
        false
    }

    fn add_noncurrent_version(&mut self, version: NoncurrentVersion) {
        let Some((segment, beside)) = keys::parse_terragrunt_key(&version.object.key) else {
            return;
        };
        let Some(customer) = self.wanted_customer(&segment) else {
            return;
        };
        match beside {
            TerragruntKey::State(StateKey { unit, .. }) => customer.changes.push(StateChange {
                at: version.object.last_modified,
                unit: unit.to_owned(),
            }),
            TerragruntKey::Config(ConfigKey::Current) => {
                self.other_configs
                    .entry(segment)
                    .or_default()
                    .push((version.object.key.clone(), Some(version.version_id)));
            }
            TerragruntKey::Config(ConfigKey::Version { .. } | ConfigKey::Seal { .. }) => {}
        }
    }

    fn add_spooled_items(&mut self, spool: &Spool, bucket: &str) {
        let contents = spool.list();
        self.skipped
            .extend(contents.errors.iter().map(ToString::to_string));
        for path in contents.items {
            match Spool::read_item(&path) {
                Ok(Some((item, body))) if item.target.bucket == bucket => {
                    let segment = keys::customer_segment(&item.customer);
                    if let Some(customer) = self.wanted_customer(&segment) {
                        customer.name.clone_from(&item.customer);
                        customer.spooled.push(SpooledEvidence {
                            path: path.display().to_string(),
                            content: SpooledContent::from_spool_item(item, &body),
                        });
                    }
                }
                Ok(_) => {}
                Err(refused) => self
                    .skipped
                    .push(format!("`{}`: {refused}", path.display())),
            }
        }
    }

    /// Looks once more for the copies that records name, and for `config.yaml` where there is none beside records: a deployment
    /// may have come between the two listings.
    async fn find_missing_configs(&mut self, store: &ObjectStore) -> Result<(), Error> {
        // A record may name anything; only what can be a copy of this customer's is asked for.
        let is_copy = |segment: &str, key: &str| matches!(keys::parse_terragrunt_key(key), Some((owner, TerragruntKey::Config(ConfigKey::Version { .. }))) if owner == segment);
        let missing = self
            .customers
            .iter()
            .flat_map(|(segment, it)| it.missing_keys().into_iter().map(move |key| (segment, key)));
        let copies = missing
            .filter(|(segment, key)| is_copy(segment, key))
            .map(|(_, key)| key.to_owned());
        let has_none =
            |it: &&CustomerEvidence| it.current_config.is_none() && !it.records.is_empty();
        let currents = self
            .customers
            .values()
            .filter(has_none)
            .map(|it| keys::current_config_key(&it.name));
        let keys: Vec<String> = copies.chain(currents).collect();
        let looks = keys.into_iter().map(|key| async move {
            let is_there = retry_with_backoff(|| store.head_object(&key))
                .await?
                .is_some();
            Ok::<_, Error>(Some(key).filter(|_| is_there))
        });
        let mut looks = stream::iter(looks).buffer_unordered(HEAD_CONCURRENCY);
        while let Some(done) = looks.next().await {
            if let Some(key) = done? {
                self.add_object(&ObjectMeta {
                    key,
                    last_modified: DateTime::default(),
                    size: 0,
                    etag: String::new(),
                });
            }
        }
        Ok(())
    }

    /// Reads the metadata of each `config.yaml`, and of the copies that no record explains.
    async fn read_config_metadata(&mut self, store: &ObjectStore) -> Result<(), Error> {
        let mut asked = Vec::new();
        for (segment, customer) in &self.customers {
            let compared = customer.records.iter().any(|it| !it.config_hash.is_empty());
            let current = customer
                .current_config
                .iter()
                .map(|it| (None, it.clone(), compared));
            let copies = customer
                .unexplained_copies()
                .into_iter()
                .map(|place| (Some(place), customer.copies[place].clone(), false));
            asked.extend(
                current
                    .chain(copies)
                    .map(|(place, held, compared)| (segment.clone(), place, held, compared)),
            );
        }
        let looks = asked
            .into_iter()
            .map(|(segment, place, mut held, compared)| async move {
                let is_there = complete_config(store, &mut held, compared).await?;
                Ok::<_, Error>((segment, place, Some(held).filter(|_| is_there)))
            });
        let mut looks = stream::iter(looks).buffer_unordered(HEAD_CONCURRENCY);
        while let Some(done) = looks.next().await {
            let (segment, place, held) = done?;
            let Some(customer) = self.customers.get_mut(&segment) else {
                continue;
            };
            match (place, held) {
                (None, held) => customer.current_config = held,
                (Some(place), Some(held)) => customer.copies[place] = held,
                // Deleted since it was listed; the next run will say so.
                (Some(_), None) => {}
            }
        }
        Ok(())
    }

    /// Looks among the other configs for those that only a record of the earlier module names.
    async fn read_other_configs(&mut self, store: &ObjectStore) -> Result<(), Error> {
        let others = std::mem::take(&mut self.other_configs).into_iter();
        let wanted = others.filter(|(segment, _)| {
            self.customers
                .get(segment)
                .is_some_and(|it| !it.lost_md5s().is_empty())
        });
        let each = wanted.flat_map(|(segment, others)| {
            others
                .into_iter()
                .map(move |other| (segment.clone(), other))
        });
        let looks = each.map(|(segment, (key, version))| async move {
            let version = version.as_deref();
            let Some(head) =
                retry_with_backoff(|| store.head_object_version(&key, version)).await?
            else {
                return Ok((segment, String::new()));
            };
            read_config_md5(store, &key, version, &head)
                .await
                .map(|md5| (segment, md5))
        });
        let mut looks = stream::iter(looks.collect::<Vec<_>>()).buffer_unordered(HEAD_CONCURRENCY);
        while let Some(done) = looks.next().await {
            match done {
                Ok((segment, md5)) => self
                    .customers
                    .entry(segment)
                    .or_default()
                    .other_md5s
                    .extend(Some(md5).filter(|md5| !md5.is_empty())),
                // Who may list versions may not be allowed to read them.
                Err(fault) if fault.kind == ErrorKind::Denied => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }
}

/// Completes what the listing says of a config by its metadata, and by its bytes where that lacks an MD5 which is
/// `compared`; whether it is there.
async fn complete_config(
    store: &ObjectStore,
    config: &mut StoredConfig,
    compared: bool,
) -> Result<bool, Error> {
    let Some(head) = retry_with_backoff(|| store.head_object(&config.key)).await? else {
        return Ok(false);
    };
    config.deployment_id = head
        .metadata
        .get(DEPLOYMENT_ID_FIELD)
        .cloned()
        .unwrap_or_default();
    config.at = parse_captured_at(&head).unwrap_or(config.at);
    if config.md5.is_empty() && compared {
        config.md5 = read_config_md5(store, &config.key, None, &head).await?;
    }
    Ok(true)
}

/// The MD5 of an object, or of a version of it, by its metadata or else its bytes; empty where it is gone or too large.
async fn read_config_md5(
    store: &ObjectStore,
    key: &str,
    version: Option<&str>,
    head: &ObjectHead,
) -> Result<String, Error> {
    if let Some(md5) = head.metadata.get(MD5_FIELD) {
        return Ok(md5.clone());
    }
    if head.size > MAX_STORED_CONFIG_BYTES {
        return Ok(String::new());
    }
    let bytes =
        retry_with_backoff(|| store.get_object_version(key, version, MAX_STORED_CONFIG_BYTES))
            .await?;
    Ok(bytes
        .map(|bytes| compute_digests(&bytes).md5)
        .unwrap_or_default())
}

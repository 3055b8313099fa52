//! Finds all versions of a customer's config, and fetches one of them.
//!
//! Must not choose a version: `versions.rs` does.

use std::sync::Arc;

use futures_util::{FutureExt as _, StreamExt as _, stream};

use crate::error::{Error, ErrorKind};
use crate::history::integrity::{StatedDigests, verify_digests};
use crate::history::versions::ConfigHistory;
use crate::keys;
use crate::s3::object_failures::ObjectFailures;
use crate::s3::store::ObjectStore;
use crate::snapshot::{
    BucketSnapshot, ConfigContent, ConfigMetadata, ConfigVersion, SkippedObject, SnapshotPart,
};

const NONCURRENT_CONCURRENCY: usize = 16;

/// A customer's history, and what is missing in it.
#[derive(Debug, Default)]
pub struct LoadedHistory {
    pub history: ConfigHistory,
    /// Records, archives and noncurrent versions that cannot be read.
    pub skipped: Vec<SkippedObject>,
}

/// A version's bytes, which do not contradict anything that is known of them.
#[derive(Debug)]
pub struct VerifiedConfig {
    pub bytes: Vec<u8>,
    /// The digests that were compared; empty if none is stated.
    pub verified_by: Vec<&'static str>,
    /// The deployment that uploaded the object, if its metadata says so.
    pub deployment_id: Option<String>,
}

/// Finds all versions of a customer's config and all deployments.
///
/// A customer without any version is an error.
pub async fn load_history(
    store: &Arc<ObjectStore>,
    customer: &str,
) -> Result<LoadedHistory, Error> {
    let parts = [SnapshotPart::NoncurrentVersions];
    let mut snapshot = BucketSnapshot::load(store, Some(customer), &parts).await?;
    let mut skipped = snapshot.skipped();
    let segment = keys::customer_segment(customer);
    let found = snapshot.customers.remove(&segment).unwrap_or_default();

    let mut versions = found.config_copies;
    let mut failures = ObjectFailures::default();
    if found.records.iter().any(|record| record.sha256.is_some()) {
        failures.add_read();
    }
    for config in found.current_configs {
        let key = config.key.clone();
        let (version, error) = load_without_copy(store, config, &versions).await;
        if let Some(error) = error {
            failures.add_failure(&key, &error)?;
            skipped.push(SkippedObject::from_reason(error.message));
        }
        versions.extend(version);
    }
    failures.confirm(store).await?;
    let noncurrent = found.noncurrent_configs;
    skipped.extend(add_noncurrent_versions(store, noncurrent, &mut versions).await?);
    if versions.is_empty() {
        return Err(no_version_error(store, customer));
    }

    skipped.sort_by_cached_key(ToString::to_string);
    let mut deployments = found.records;
    deployments.retain(|record| record.read_error.is_none());
    let history = ConfigHistory::new(versions, deployments);
    Ok(LoadedHistory { history, skipped })
}

fn no_version_error(store: &ObjectStore, customer: &str) -> Error {
    let folder = &keys::customer_config_folders(customer)[0];
    let folder = store.object_uri(folder);
    let message = format!("cannot find the config of `{customer}` below `{folder}`: there is none");
    let hint = "check the customer's name, as in `config-backup report`";
    Error::new(ErrorKind::Input, message, hint)
}

/// Adds the noncurrent versions that have no copy. Returns those that cannot be read, which are
/// added as well: an older version must not pass for one of them.
async fn add_noncurrent_versions(
    store: &ObjectStore,
    noncurrent: Vec<ConfigVersion>,
    versions: &mut Vec<ConfigVersion>,
) -> Result<Vec<SkippedObject>, Error> {
    let known = versions.clone();
    let mut loads = Vec::new();
    for config in noncurrent {
        let key = config.versioned_key();
        let load = load_without_copy(store, config, &known);
        loads.push(load.map(|loaded| (key, loaded)));
    }
    let mut loads = stream::iter(loads).buffered(NONCURRENT_CONCURRENCY);

    let mut skipped = Vec::new();
    let mut denied = Vec::new();
    let mut failures = ObjectFailures::default();
    while let Some((key, (version, error))) = loads.next().await {
        match error {
            None => failures.add_read(),
            Some(error) if error.kind == ErrorKind::Denied && !error.is_object_error() => {
                denied.extend(version.map(|version| (version, error)));
                continue;
            }
            Some(error) => {
                failures.add_failure(&key, &error)?;
                skipped.push(SkippedObject::from_reason(error.message));
            }
        }
        // A retried upload writes the same version twice.
        let version = version.filter(|it| it.md5().is_none() || !has_same_version(versions, it));
        versions.extend(version);
    }
    // A profile may be allowed to list versions, and not to read them.
    if failures.has_read() {
        for (version, error) in denied {
            skipped.push(SkippedObject::from_reason(error.message));
            versions.push(version);
        }
    }
    failures.confirm(store).await?;
    Ok(skipped)
}

/// Loads `config.yaml` or a noncurrent version of it, unless one of the `known` versions is a copy.
/// With an error, the version has what is known of it.
///
/// The legacy module kept no copies, and a copy may have been deleted.
async fn load_without_copy(
    store: &ObjectStore,
    mut config: ConfigVersion,
    known: &[ConfigVersion],
) -> (Option<ConfigVersion>, Option<Error>) {
    let mut load = async || {
        let Some(metadata) = config.fetch_metadata(store).await? else {
            return Ok(false);
        };
        if has_copy(known, &metadata) {
            return Ok(false);
        }
        config.size = metadata.size;
        config.metadata = Some(metadata);
        config.content = config.fetch_content(store).await?;
        if let Some(content) = &config.content {
            config.size = content.size;
        }
        Ok(config.content.is_some())
    };
    let loaded: Result<bool, Error> = load().await;
    match loaded {
        Ok(true) => (Some(config), None),
        Ok(false) => (None, None),
        Err(error) => {
            config.read_error = Some(error.message.clone());
            (Some(config), Some(error))
        }
    }
}

fn has_copy(known: &[ConfigVersion], metadata: &ConfigMetadata) -> bool {
    let (Some(captured_at), Some(md5)) = (metadata.captured_at, metadata.md5.as_deref()) else {
        return false;
    };
    known
        .iter()
        .any(|copy| copy.captured_at() == captured_at && copy.md5() == Some(md5))
}

fn has_same_version(versions: &[ConfigVersion], version: &ConfigVersion) -> bool {
    let wanted = (version.captured_at(), version.md5());
    versions
        .iter()
        .any(|it| (it.captured_at(), it.md5()) == wanted)
}

/// The bytes of a version, without any comparison.
pub async fn get_version_bytes(
    store: &ObjectStore,
    version: &ConfigVersion,
) -> Result<Vec<u8>, Error> {
    if let Some(bytes) = version.fetch_listed_bytes(store).await? {
        return Ok(bytes);
    }
    let uri = store.object_uri(&version.versioned_key());
    let message = format!("cannot get `{uri}`: it was deleted");
    Err(Error::new(ErrorKind::Service, message, ""))
}

/// The id of the deployment that uploaded a version, if the object says so.
pub async fn get_uploader_id(
    store: &ObjectStore,
    version: &ConfigVersion,
) -> Result<Option<String>, Error> {
    let metadata = version.fetch_metadata(store).await?;
    Ok(metadata.and_then(|it| it.deployment_id))
}

/// Fetches a version, and compares its bytes with its key, its metadata, its size and the records.
pub async fn get_verified_version(
    store: &ObjectStore,
    history: &ConfigHistory,
    index: usize,
) -> Result<VerifiedConfig, Error> {
    let version = &history.versions()[index];
    let bytes = get_version_bytes(store, version).await?;
    let metadata = version.fetch_metadata(store).await?.unwrap_or_default();

    // For a config of the legacy module, we computed the MD5: it proves nothing without a record.
    let is_recorded = history
        .deployments_of(index)
        .any(|record| Some(record.parsed.config_hash.as_str()) == version.md5());
    let is_md5_known = version.copy_name.is_some() || is_recorded;
    let known_md5 = if is_md5_known { version.md5() } else { None };
    let stated = StatedDigests::new(&metadata, version.size, known_md5);

    match verify_digests(&stated, &ConfigContent::from_bytes(&bytes)) {
        Ok(verified_by) => Ok(VerifiedConfig {
            bytes,
            verified_by,
            deployment_id: metadata.deployment_id,
        }),
        Err(mismatch) => {
            let uri = store.object_uri(&version.versioned_key());
            let message = format!("cannot use `{uri}`: {mismatch}");
            let hint = "choose another version; this object was overwritten";
            Err(Error::new(ErrorKind::Service, message, hint))
        }
    }
}

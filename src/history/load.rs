//! What the bucket knows of a customer's past: lists the versions of the config, reads the usage records, fetches a version.
//!
//! Reads only. Which version is meant, `versions.rs` decides.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::{StreamExt as _, stream};

use crate::archive::reader;
use crate::digest::compute_digests;
use crate::error::{Error, ErrorKind};
use crate::history::integrity::{StatedDigests, verify_digests};
use crate::history::versions::{ConfigHistory, ConfigVersion, VersionUse};
use crate::keys::metadata::{DEPLOYMENT_ID_FIELD, MD5_FIELD, SHA256_FIELD, parse_captured_at};
use crate::keys::{self, ConfigKey, ConfigVersionKey};
use crate::record::parse;
use crate::report::collector::MAX_RECORD_BYTES as LARGEST_RECORD;
use crate::s3::bulk_get::{ObjectSink, retry_with_backoff};
use crate::s3::listing::{ListPage, ListRequest, NoncurrentVersion, ObjectMeta};
use crate::s3::store::{ObjectHead, ObjectStore, RequestTimeouts};
use crate::s3::versions;

/// Attempts are counted by `fetch.rs`.
pub const READ_TIMEOUTS: RequestTimeouts = RequestTimeouts {
    operation: Duration::from_mins(1),
    attempt: Duration::from_mins(1),
    max_attempts: 1,
};
/// Overwritten versions that are looked at at once.
const NONCURRENT_CONCURRENCY: usize = 16;
/// The largest config that is fetched: more than was ever backed up, for the earlier module had no limit.
pub const MAX_STORED_CONFIG_BYTES: u64 = 64 << 20;

/// A customer's past, and what could not be read of it.
#[derive(Debug, Default)]
pub struct LoadedHistory {
    /// The versions and the deployments.
    pub history: ConfigHistory,
    /// Records that were left out, with the reason.
    pub skipped: Vec<String>,
}

/// The bytes of a version, of which is known that they are what was backed up.
#[derive(Debug)]
pub struct VerifiedConfig {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// What vouches for them, as words; empty where nothing does.
    pub verified_by: String,
    /// The deployment that uploaded them; empty where the object does not say.
    pub deployment_id: String,
}

/// Finds all versions of a customer's config, and all deployments.
///
/// # Errors
/// Also where there is no version at all.
pub async fn load_history(
    store: &Arc<ObjectStore>,
    customer: &str,
) -> Result<LoadedHistory, Error> {
    let folders = keys::customer_config_folders(customer);
    let prefixes = folders
        .iter()
        .map(|folder| keys::config_keys_prefix(folder))
        .chain(keys::customer_record_prefixes(customer));
    let listings = prefixes
        .map(|prefix| ListRequest {
            prefix,
            ..ListRequest::default()
        })
        .collect();
    let mut search = HistoryCollector {
        customer,
        folders: &folders,
        ..HistoryCollector::default()
    };
    let (listed, overwritten) = futures_util::join!(
        reader::fetch_with_archive(store, listings, LARGEST_RECORD, &mut search),
        list_noncurrent_configs(store, &folders)
    );
    search.left_out.extend(listed?.into_skipped());
    let HistoryCollector {
        mut versions,
        current_configs: current,
        deployments: uses,
        mut left_out,
        ..
    } = search;
    for listed in current {
        versions.extend(read_version_without_copy(store, listed, "", &versions).await?);
    }
    left_out.extend(add_noncurrent_versions(store, overwritten?, &mut versions).await?);
    if versions.is_empty() {
        let text = format!(
            "look for the config of `{customer}` below `{}`: there is none",
            store.object_uri(&folders[0])
        );
        return Err(Error::new(
            ErrorKind::Input,
            text,
            "check the customer's name, as in `config-backup report`",
        ));
    }
    left_out.sort();
    Ok(LoadedHistory {
        history: ConfigHistory::new(versions, uses),
        skipped: left_out,
    })
}

#[derive(Default)]
struct HistoryCollector<'a> {
    customer: &'a str,
    folders: &'a [String],
    versions: Vec<ConfigVersion>,
    current_configs: Vec<ObjectMeta>,
    deployments: Vec<VersionUse>,
    left_out: Vec<String>,
}

impl ObjectSink for HistoryCollector<'_> {
    fn accept_page(
        &mut self,
        listing: &ListRequest,
        _: &str,
        page: ListPage,
    ) -> Result<Vec<ObjectMeta>, Error> {
        let Some(folder) = self
            .folders
            .iter()
            .find(|folder| keys::config_keys_prefix(folder) == listing.prefix)
        else {
            return Ok(page
                .objects
                .into_iter()
                .filter(|listed| self.wants_record(listed))
                .collect());
        };
        for listed in page.objects {
            match keys::parse_config_key(folder, &listed.key) {
                Some(ConfigKey::Version(ConfigVersionKey {
                    captured_at: at,
                    md5,
                    ..
                })) => {
                    let (key, version_id) = (listed.key.clone(), String::new());
                    self.versions.push(ConfigVersion {
                        at,
                        md5: md5.to_owned(),
                        size: listed.size,
                        key,
                        version_id,
                    });
                }
                Some(ConfigKey::Current) => self.current_configs.push(listed),
                Some(ConfigKey::Seal { .. }) | None => {}
            }
        }
        Ok(Vec::new())
    }

    fn accept_object(&mut self, listed: &ObjectMeta, body: Result<Option<Vec<u8>>, Error>) {
        let read = match body {
            Ok(Some(body)) => {
                parse::parse_record(&body).map_err(|reason| format!("`{}`: {reason}", listed.key))
            }
            Ok(None) => return,
            Err(fault) => Err(fault.message),
        };
        match read {
            Ok(reading) => {
                let by_key = keys::parse_record_key(&listed.key).and_then(|key| key.deployed_at);
                self.deployments.push(VersionUse {
                    at: reading
                        .deployed_at
                        .or(by_key)
                        .unwrap_or(listed.last_modified),
                    user: reading.user,
                    deployment_id: reading.deployment_id,
                    config_hash: reading.config_hash,
                    backup_key: reading.backup_key,
                });
            }
            Err(why) => self.left_out.push(why),
        }
    }
}

impl HistoryCollector<'_> {
    fn wants_record(&mut self, listed: &ObjectMeta) -> bool {
        let Some(key) = keys::parse_record_key(&listed.key) else {
            return false;
        };
        // The folder of one customer may be called as another one is.
        if keys::parse_customer_segment(key.segment).is_some_and(|owner| owner != self.customer) {
            return false;
        }
        if listed.size > LARGEST_RECORD {
            self.left_out.push(format!(
                "`{}`: it has {} bytes, and at most {LARGEST_RECORD} are read",
                listed.key, listed.size
            ));
        }
        listed.size <= LARGEST_RECORD
    }
}

/// What `config.yaml` was before, where the bucket keeps versions and they may be listed; of each key the newest first.
async fn list_noncurrent_configs(
    store: &ObjectStore,
    folders: &[String],
) -> Result<Vec<NoncurrentVersion>, Error> {
    let mut found = Vec::new();
    for folder in folders {
        let is_current =
            |key: &str| keys::parse_config_key(folder, key) == Some(ConfigKey::Current);
        let take = |version: NoncurrentVersion| {
            found.extend(Some(version).filter(|it| is_current(&it.object.key)));
        };
        versions::for_each_noncurrent_version(store, &keys::config_keys_prefix(folder), take)
            .await?;
    }
    Ok(found)
}

/// Adds those of the versions that no copy was made of, for the earlier module kept none; gives those that cannot be had.
async fn add_noncurrent_versions(
    store: &ObjectStore,
    overwritten: Vec<NoncurrentVersion>,
    versions: &mut Vec<ConfigVersion>,
) -> Result<Vec<String>, Error> {
    let mut left_out = Vec::new();
    let copies = versions.clone();
    let looks = overwritten.into_iter().map(|it| {
        let copies = &copies;
        async move { read_version_without_copy(store, it.object, &it.version_id, copies).await }
    });
    let mut looks = stream::iter(looks.collect::<Vec<_>>()).buffered(NONCURRENT_CONCURRENCY);
    while let Some(looked) = looks.next().await {
        match looked {
            // An upload whose answer is lost is done twice.
            Ok(Some(version))
                if versions
                    .iter()
                    .any(|it| (it.at, &it.md5) == (version.at, &version.md5)) => {}
            Ok(version) => versions.extend(version),
            // In an archive, or too large to be read.
            Err(fault) if fault.code == "InvalidObjectState" || fault.is_object_error() => {
                left_out.push(fault.message);
            }
            // Who may list versions may not be allowed to read them: then it is as if there were none.
            Err(fault) if fault.kind == ErrorKind::Denied => break,
            Err(fault) => return Err(fault),
        }
    }
    Ok(left_out)
}

/// `config.yaml` itself, or a version of it that was overwritten, where it is of the earlier module, which kept no copies, or
/// its copy is not there.
async fn read_version_without_copy(
    store: &ObjectStore,
    listed: ObjectMeta,
    version_id: &str,
    versions: &[ConfigVersion],
) -> Result<Option<ConfigVersion>, Error> {
    let id = Some(version_id).filter(|id| !id.is_empty());
    let Some(head) = retry_with_backoff(|| store.head_object_version(&listed.key, id)).await?
    else {
        return Ok(None);
    };
    let said = |name: &str| head.metadata.get(name).map(String::as_str);
    let at = parse_captured_at(&head);
    let is_copied = |at: DateTime<Utc>| {
        versions
            .iter()
            .any(|version| version.at == at && said(MD5_FIELD) == Some(&version.md5))
    };
    if at.is_some_and(is_copied) {
        return Ok(None);
    }
    let Some(bytes) =
        retry_with_backoff(|| store.get_object_version(&listed.key, id, MAX_STORED_CONFIG_BYTES))
            .await?
    else {
        return Ok(None);
    };
    let at = at.unwrap_or(listed.last_modified);
    let (md5, size) = (compute_digests(&bytes).md5, bytes.len() as u64);
    Ok(Some(ConfigVersion {
        at,
        md5,
        size,
        key: listed.key,
        version_id: version_id.to_owned(),
    }))
}

/// The bytes of a version, compared with nothing.
pub async fn get_version_bytes(
    store: &ObjectStore,
    version: &ConfigVersion,
) -> Result<Vec<u8>, Error> {
    let got = retry_with_backoff(|| {
        store.get_object_version(&version.key, version.id(), MAX_STORED_CONFIG_BYTES)
    })
    .await?;
    got.ok_or_else(|| {
        Error::new(
            ErrorKind::Service,
            format!(
                "get `{}`: it is gone",
                store.object_uri(&version.versioned_key())
            ),
            "",
        )
    })
}

/// The id of the deployment that uploaded a version; empty where the object does not say.
pub async fn get_uploader_id(
    store: &ObjectStore,
    version: &ConfigVersion,
) -> Result<String, Error> {
    let head = retry_with_backoff(|| store.head_object_version(&version.key, version.id()))
        .await?
        .unwrap_or_default();
    Ok(head
        .metadata
        .get(DEPLOYMENT_ID_FIELD)
        .cloned()
        .unwrap_or_default())
}

/// What an object's metadata says of its bytes, beside its size and what else is known of them.
#[must_use]
pub fn stated_digests(head: &ObjectHead, size: u64, known_md5: String) -> StatedDigests {
    let said = |name: &str| head.metadata.get(name).cloned().unwrap_or_default();
    StatedDigests {
        md5: said(MD5_FIELD),
        sha256: said(SHA256_FIELD),
        size,
        known_md5,
    }
}

/// The bytes of the version at a place, compared with all that is known of them: by its name, its metadata, its size, a usage record.
pub async fn get_verified_version(
    store: &ObjectStore,
    past: &ConfigHistory,
    place: usize,
) -> Result<VerifiedConfig, Error> {
    let version = &past.versions()[place];
    let bytes = get_version_bytes(store, version).await?;
    let head = retry_with_backoff(|| store.head_object_version(&version.key, version.id()))
        .await?
        .unwrap_or_default();
    let said = |name: &str| head.metadata.get(name).cloned().unwrap_or_default();
    let is_copy = version.key.ends_with(&format!("_{}.yaml", version.md5));
    let is_recorded = past
        .deployments_of(place)
        .any(|it| it.config_hash == version.md5);
    // Of a config of the earlier module we have taken it ourselves: then it proves nothing.
    let known_md5 = if is_copy || is_recorded {
        version.md5.clone()
    } else {
        String::new()
    };
    let stated = stated_digests(&head, version.size, known_md5);
    let by =
        verify_digests(&stated, &compute_digests(&bytes), bytes.len() as u64).map_err(|why| {
            let text = format!(
                "get `{}`: {why}",
                store.object_uri(&version.versioned_key())
            );
            Error::new(
                ErrorKind::Service,
                text,
                "find out who wrote that object, and take another version",
            )
        })?;
    Ok(VerifiedConfig {
        bytes,
        verified_by: by,
        deployment_id: said(DEPLOYMENT_ID_FIELD),
    })
}

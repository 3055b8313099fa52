//! Brings what is kept into the bucket: which objects, in which order, and what counts as done.
//!
//! Every step may be done twice without harm, because an answer can be lost after the object was written. Must not
//! touch the spool: whoever calls decides what to forget.

use std::collections::HashMap;

use serde_json::Value;

use crate::chain::claim::{ChainClaim, ChainHead};
use crate::chain::seal::{self, RecordOrigin};
use crate::digest::{ContentDigests, sha256_base64, sha256_hex};
use crate::error::{Error, ErrorKind};
use crate::keys;
use crate::keys::metadata::{
    BACKUP_ID_FIELD, CAPTURED_AT_FIELD, DEPLOYMENT_ID_FIELD, MD5_FIELD, SHA256_FIELD,
    parse_captured_at,
};
use crate::record::{self, BackupStatus};
use crate::s3::listing::ListRequest;
use crate::s3::store::{ObjectHead, ObjectStore, PutCondition, PutOutcome};
use crate::state::spool_file::SpoolItem;

/// The media type of a config.
const YAML_MEDIA_TYPE: &str = "application/yaml";
/// The largest record that is read, in bytes.
const MAX_RECORD_BYTES: u64 = 64 << 10;

/// Whether an upload belongs to the deployment that is running, or to an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadMode {
    /// Running now: its config is the newest.
    Deploy,
    /// As [`When::Now`], and its plan saw another config in the bucket a moment ago: nobody need look before.
    DeployFreshPlan,
    /// Earlier: it must not overwrite what came after it.
    Replay,
}

/// The version of the config that the bucket has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentVersion {
    /// Its id.
    pub backup_id: String,
    /// The deployment that brought it.
    pub deployment_id: String,
    /// The key of its history copy.
    pub key: String,
}

impl CurrentVersion {
    /// What became of the config in a deployment that finds this version: its own upload may be what it finds, when
    /// the answer to that was lost, or nobody could tell it.
    #[must_use]
    pub fn backup_status(&self, deployment_id: &str) -> BackupStatus {
        if self.deployment_id == deployment_id {
            BackupStatus::Uploaded
        } else {
            BackupStatus::Unchanged
        }
    }
}

/// The bucket's version of the config, if it is the one with these digests.
pub async fn find_current_version(
    store: &ObjectStore,
    customer: &str,
    digests: &ContentDigests,
) -> Result<Option<CurrentVersion>, Error> {
    let head = store
        .head_object(&keys::current_config_key(customer))
        .await?;
    Ok(head.and_then(|head| match_version(&head, customer, &digests.md5, &digests.sha256)))
}

/// A config whose history copy the bucket has.
#[derive(Debug)]
pub struct UploadedCopy {
    /// What became of it.
    pub backup: BackupStatus,
    /// The key of its history copy.
    pub key: String,
    /// What `config.yaml` is put over; `None` where it stays as it is.
    overwrite: Option<OverwritePlan>,
}

#[derive(Debug)]
struct OverwritePlan {
    condition: PutCondition,
    /// The metadata of what is there.
    metadata: Option<HashMap<String, String>>,
}

/// Uploads a config: its history copy, then `config.yaml`.
pub async fn upload_config(
    store: &ObjectStore,
    item: &SpoolItem,
    body: &[u8],
    when: UploadMode,
) -> Result<(), Error> {
    let brought = upload_history_copy(store, item, body, when).await?;
    upload_current_config(store, item, body, &brought).await
}

/// Uploads the history copy of a config. [`current`] must follow before anything is forgotten.
///
/// The copy comes first: neither `config.yaml` nor a usage record must ever be of a version that history does not have.
pub async fn upload_history_copy(
    store: &ObjectStore,
    item: &SpoolItem,
    body: &[u8],
    when: UploadMode,
) -> Result<UploadedCopy, Error> {
    let copy = keys::config_version_key(&item.customer, item.at, &item.md5);
    let key = keys::current_config_key(&item.customer);
    let look = store.head_object(&key);
    let there = if when == UploadMode::DeployFreshPlan {
        // Should somebody have brought these bytes since the plan, there are two copies of them, as where both look at once.
        let (there, put) = futures_util::join!(look, put_history_copy(store, &copy, item, body));
        // The answer to a PUT has a body, which says more than a HEAD's status.
        put.and(there)?
    } else {
        look.await?
    };
    let known = there
        .as_ref()
        .and_then(|head| match_version(head, &item.customer, &item.md5, &item.sha256));
    if when != UploadMode::DeployFreshPlan {
        match known.clone() {
            // The record of an earlier deployment names the copy of its own time, so that one must come to be.
            Some(version) if when == UploadMode::Deploy || version.key == copy => {
                return Ok(UploadedCopy {
                    backup: version.backup_status(&item.deployment_id),
                    key: version.key,
                    overwrite: None,
                });
            }
            _ => put_history_copy(store, &copy, item, body).await?,
        }
    }
    let metadata = there.as_ref().map(|head| head.metadata.clone());
    let over = match (when, there) {
        (UploadMode::Deploy | UploadMode::DeployFreshPlan, _) => Some(PutCondition::Always),
        (UploadMode::Replay, None) => Some(PutCondition::IfAbsent),
        (UploadMode::Replay, Some(head))
            if known.is_some()
                || parse_captured_at(&head).is_none_or(|at| at >= item.at)
                || has_later_deployment(store, item).await? =>
        {
            None
        }
        (UploadMode::Replay, Some(head)) => Some(PutCondition::IfMatch(head.etag)),
    };
    Ok(UploadedCopy {
        backup: BackupStatus::Uploaded,
        key: copy,
        overwrite: over.map(|condition| OverwritePlan {
            condition,
            metadata,
        }),
    })
}

async fn put_history_copy(
    store: &ObjectStore,
    copy: &str,
    item: &SpoolItem,
    body: &[u8],
) -> Result<(), Error> {
    let written = store
        .put_object(
            copy,
            body,
            YAML_MEDIA_TYPE,
            &config_metadata(item),
            PutCondition::IfAbsent,
        )
        .await?;
    if written.is_checksum_confirmed() {
        return Ok(());
    }
    let there = store.head_object(copy).await?;
    // Ours after a lost answer, or the same bytes from somebody else within the second.
    let is_same = there
        .as_ref()
        .is_some_and(|head| head.metadata.get(SHA256_FIELD) == Some(&item.sha256));
    if written == PutOutcome::ConditionFailed && !is_same {
        let text = format!(
            "put `{}`: another object has this name",
            store.object_uri(copy)
        );
        return Err(Error::new(ErrorKind::Service, text, ""));
    }
    check_read_back(store, copy, there.as_ref(), item, body)
}

/// Uploads `config.yaml` behind its history copy, where it is to be uploaded.
pub async fn upload_current_config(
    store: &ObjectStore,
    item: &SpoolItem,
    body: &[u8],
    brought: &UploadedCopy,
) -> Result<(), Error> {
    let Some(OverwritePlan {
        condition,
        metadata: before,
    }) = &brought.overwrite
    else {
        return Ok(());
    };
    let key = keys::current_config_key(&item.customer);
    let written = store
        .put_object(
            &key,
            body,
            YAML_MEDIA_TYPE,
            &config_metadata(item),
            condition.clone(),
        )
        .await?;
    if written.is_checksum_confirmed() {
        return Ok(());
    }
    match store.head_object(&key).await? {
        // A condition that fails means that a deployment has just written a newer one, which stays.
        Some(head)
            if matches!(written, PutOutcome::Written(_))
                && head.metadata.get(BACKUP_ID_FIELD) == Some(&item.backup_id) =>
        {
            check_read_back(store, &key, Some(&head), item, body)
        }
        // Still the version of before: whatever the answer said, nobody wrote anything.
        Some(head) if before.as_ref() == Some(&head.metadata) => Err(lost_write_error(store, &key)),
        // Overwritten meanwhile: by a deployment whose config is as good as ours.
        Some(_) => Ok(()),
        None => Err(lost_write_error(store, &key)),
    }
}

/// Whether another deployment came after the one that `item` is of. Its config may be an older one than that: who goes back
/// to what the bucket has already uploads nothing, and leaves a record only.
async fn has_later_deployment(store: &ObjectStore, item: &SpoolItem) -> Result<bool, Error> {
    let prefix = keys::record_keys_prefix(Some(&item.customer));
    let listing = ListRequest {
        prefix,
        start_after: keys::record_key(&item.customer, item.at),
        ..ListRequest::default()
    };
    let page = store.list_page(&listing, None).await?;
    let is_later = |key: &&String| {
        keys::parse_record_key(key)
            .and_then(|key| key.deployed_at)
            .is_some_and(|at| at > item.at)
    };
    for key in page
        .objects
        .iter()
        .map(|object| &object.key)
        .filter(is_later)
    {
        let ours = store
            .head_object(key)
            .await?
            .is_none_or(|head| head.metadata.get(DEPLOYMENT_ID_FIELD) == Some(&item.deployment_id));
        if !ours {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether what was read back is what was sent.
fn check_read_back(
    store: &ObjectStore,
    key: &str,
    head: Option<&ObjectHead>,
    item: &SpoolItem,
    body: &[u8],
) -> Result<(), Error> {
    let there = head.is_some_and(|head| {
        let same_sum = head
            .sha256
            .as_ref()
            .is_none_or(|sum| *sum == sha256_base64(body));
        head.metadata.get(SHA256_FIELD) == Some(&item.sha256)
            && head.size == body.len() as u64
            && same_sum
    });
    if there {
        Ok(())
    } else {
        Err(lost_write_error(store, key))
    }
}

/// S3 said that it had written something, and has it not.
fn lost_write_error(store: &ObjectStore, key: &str) -> Error {
    Error::new(
        ErrorKind::Service,
        format!(
            "read back `{}`: it is not what was sent",
            store.object_uri(key)
        ),
        "",
    )
}

/// A usage record that is in the bucket.
#[derive(Debug)]
pub struct UploadedRecord {
    /// Its key.
    pub key: String,
    /// The chain that it ends; `None` where it is in none.
    pub chain_head: Option<ChainHead>,
    /// Why the bucket has no seal on it.
    pub seal_error: Option<Error>,
}

/// Uploads a usage record, which continues the chain that `claim` stands for, and seals it.
pub async fn put_record_and_seal(
    store: &ObjectStore,
    item: &SpoolItem,
    body: &[u8],
    claim: &mut ChainClaim,
) -> Result<UploadedRecord, Error> {
    let keys = [
        keys::record_key(&item.customer, item.at),
        keys::record_key_with_suffix(&item.customer, item.at, &item.deployment_id),
    ];
    let sha256 = sha256_hex(body);
    let metadata = HashMap::from([
        (DEPLOYMENT_ID_FIELD.to_owned(), item.deployment_id.clone()),
        (SHA256_FIELD.to_owned(), sha256.clone()),
    ]);
    for key in keys {
        let put = store.put_object(
            &key,
            body,
            "application/json",
            &metadata,
            PutCondition::IfAbsent,
        );
        let (written, sealed) = futures_util::join!(
            put,
            seal::seal_before_record_confirmed(store, &item.customer, claim, &key, body)
        );
        let written = written?;
        let end = async |body: &[u8], origin| {
            seal::seal_record(store, &item.customer, claim, &key, body, origin).await
        };
        if matches!(written, PutOutcome::Written(_)) {
            let is_there = async {
                let is_it = |head: ObjectHead| {
                    is_of_deployment(&head, item) && head.size == body.len() as u64
                };
                Ok(written.is_checksum_confirmed()
                    || store.head_object(&key).await?.is_some_and(is_it))
            };
            let seal = async {
                match sealed {
                    Some(end) => (Some(end), None),
                    None => end(body, RecordOrigin::Written).await,
                }
            };
            // Should the record be lost after all, it is sent again, and so is the seal.
            let (is_there, end) = futures_util::join!(is_there, seal);
            return if is_there? {
                Ok(uploaded_record(key, end))
            } else {
                Err(lost_write_error(store, &key))
            };
        }
        // Taken, but by nothing that is there: no reason to write it under another name.
        let Some(there) = store.head_object(&key).await? else {
            return Err(lost_write_error(store, &key));
        };
        if is_of_deployment(&there, item) && there.metadata.get(SHA256_FIELD) == Some(&sha256) {
            return Ok(uploaded_record(
                key.clone(),
                end(body, RecordOrigin::Found).await,
            ));
        }
        // The name is taken: by ourselves, if an answer was lost, or by another deployment of the same second. To take
        // our own record for another one would be a second record, so its content is asked as well.
        let written = match store.get_object(&key, MAX_RECORD_BYTES).await {
            Ok(written) => written.unwrap_or_default(),
            // Whatever it is, it says whose it is, and stands in the way for ever if it cannot be read.
            Err(_) if there.metadata.contains_key(DEPLOYMENT_ID_FIELD) => Vec::new(),
            Err(fault) => return Err(fault),
        };
        let id = serde_json::from_slice::<Value>(&written).ok();
        let id = id
            .as_ref()
            .and_then(|record| record.get("deployment_id")?.as_str());
        if is_of_deployment(&there, item) || id == Some(&item.deployment_id) {
            return Ok(uploaded_record(
                key.clone(),
                end(&written, RecordOrigin::Found).await,
            ));
        }
    }
    let text = format!(
        "put the usage record of deployment {}: both its names are taken",
        item.deployment_id
    );
    Err(Error::new(ErrorKind::Service, text, ""))
}

fn is_of_deployment(head: &ObjectHead, item: &SpoolItem) -> bool {
    head.metadata.get(DEPLOYMENT_ID_FIELD) == Some(&item.deployment_id)
}

fn uploaded_record(
    key: String,
    (end, unsealed): (Option<ChainHead>, Option<Error>),
) -> UploadedRecord {
    UploadedRecord {
        key,
        chain_head: end,
        seal_error: unsealed,
    }
}

/// An `ETag` is no digest (KMS, multipart), so what is the same stands in the metadata that we wrote.
fn match_version(
    head: &ObjectHead,
    customer: &str,
    md5: &str,
    sha256: &str,
) -> Option<CurrentVersion> {
    let has = |name: &str, value: &str| head.metadata.get(name).is_some_and(|there| there == value);
    if !has(MD5_FIELD, md5) || !has(SHA256_FIELD, sha256) {
        return None;
    }
    let said = |name: &str| head.metadata.get(name).cloned().unwrap_or_default();
    let (backup_id, deployment_id) = (said(BACKUP_ID_FIELD), said(DEPLOYMENT_ID_FIELD));
    Some(CurrentVersion {
        backup_id,
        deployment_id,
        key: keys::config_version_key(customer, parse_captured_at(head)?, md5),
    })
}

fn config_metadata(item: &SpoolItem) -> HashMap<String, String> {
    let pairs = [
        (MD5_FIELD, item.md5.clone()),
        (SHA256_FIELD, item.sha256.clone()),
        (BACKUP_ID_FIELD, item.backup_id.clone()),
        (DEPLOYMENT_ID_FIELD, item.deployment_id.clone()),
        (CAPTURED_AT_FIELD, record::format_rfc3339(item.at)),
    ];
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head_with_metadata(pairs: &[(&str, &str)]) -> ObjectHead {
        let metadata = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        ObjectHead {
            metadata,
            ..ObjectHead::default()
        }
    }

    #[test]
    fn a_version_is_the_same_only_if_both_digests_are() {
        let ours = [
            ("md5", "m"),
            ("sha256", "s"),
            ("backup-id", "id"),
            ("captured-at", "2025-10-30T14:30:52Z"),
        ];
        let version =
            match_version(&head_with_metadata(&ours), "airbnb", "m", "s").expect("the same");
        assert_eq!(
            version.key,
            "terragrunt/airbnb/config-history/2025-10-30_143052_m.yaml"
        );
        assert_eq!(version.backup_id, "id");
        assert_eq!(
            match_version(&head_with_metadata(&ours), "airbnb", "m", "t"),
            None
        );
        assert_eq!(
            match_version(&head_with_metadata(&ours[..1]), "airbnb", "m", "s"),
            None
        );
        assert_eq!(
            match_version(&head_with_metadata(&[]), "airbnb", "m", "s"),
            None
        );
    }
}

//! Uploads a config: a copy for the history first, then `config.yaml`.
//!
//! The copy comes first because neither `config.yaml` nor a usage record may name a version that
//! is not in the history.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use crate::deployment::outcome::ConfigChange;
use crate::deployment::upload::lost_write_error;
use crate::digest::{ContentDigests, sha256_base64};
use crate::error::{Error, ErrorKind};
use crate::keys::metadata::{
    BACKUP_ID_FIELD, CAPTURED_AT_FIELD, DEPLOYMENT_ID_FIELD, MD5_FIELD, RESTORED_AT_FIELD,
    SHA256_FIELD, parse_captured_at, parse_deployed_at,
};
use crate::keys::{self, ConfigVersionKey, RecordKey};
use crate::record;
use crate::s3::listing::ListRequest;
use crate::s3::store::{ObjectHead, ObjectStore, PutCondition, PutOutcome};
use crate::state::spool_file::SpoolItem;

const YAML_MEDIA_TYPE: &str = "application/yaml";

/// Which deployment the config belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UploadMode {
    /// The running one, so the config is the newest.
    Deploy,
    /// The running one, and its plan has just seen another config in the bucket. The copy is
    /// uploaded without a look first.
    DeployFreshPlan,
    /// An earlier one, whose config must not overwrite a newer one.
    Replay,
}

/// The version of the config that is `config.yaml` in the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CurrentVersion {
    pub backup_id: String,
    /// The deployment that uploaded it.
    pub deployment_id: String,
    /// The key of its history copy.
    pub key: String,
}

/// A config whose history copy is in the bucket.
#[derive(Debug)]
pub(crate) struct UploadedCopy {
    pub change: ConfigChange,
    /// The key of the history copy.
    pub key: String,
    /// How to write `config.yaml`. `None` if it stays as it is.
    overwrite: Option<OverwritePlan>,
}

#[derive(Debug)]
struct OverwritePlan {
    condition: PutCondition,
    /// The metadata of the object that is overwritten, if there is one.
    old_metadata: Option<HashMap<String, String>>,
}

impl CurrentVersion {
    /// The change by a deployment that finds this version. It may have uploaded the version itself
    /// and not have received the response. What was there before is then unknown.
    pub(crate) fn change_by(&self, deployment_id: &str) -> ConfigChange {
        if self.deployment_id == deployment_id {
            ConfigChange::Changed
        } else {
            ConfigChange::Unchanged
        }
    }
}

/// Returns the current version if it has these digests.
pub(crate) async fn find_current_version(
    store: &ObjectStore,
    customer: &str,
    digests: &ContentDigests,
) -> Result<Option<CurrentVersion>, Error> {
    let key = keys::current_config_key(customer);
    match store.head_object(&key).await? {
        Some(head) => Ok(match_version(
            &head,
            customer,
            &digests.md5,
            &digests.sha256,
        )),
        None => Ok(None),
    }
}

/// Uploads the history copy, then `config.yaml`.
pub(crate) async fn upload_config(
    store: &ObjectStore,
    item: &SpoolItem,
    body: &[u8],
    mode: UploadMode,
) -> Result<(), Error> {
    let copy = upload_history_copy(store, item, body, mode).await?;
    upload_current_config(store, item, body, &copy).await
}

/// The key of the copy that the usage record names: one that the plan found, or a new one.
fn history_copy_key(item: &SpoolItem) -> String {
    match &item.stored_key {
        Some(stored_key) => stored_key.clone(),
        None => keys::config_version_key(&item.customer, item.at, &item.md5),
    }
}

/// Uploads only the history copy, for a deployment that was followed by another one.
pub(crate) async fn upload_old_config(
    store: &ObjectStore,
    item: &SpoolItem,
    body: &[u8],
) -> Result<(), Error> {
    if item.stored_key.is_some() {
        return Ok(());
    }
    put_history_copy(store, &history_copy_key(item), item, body).await
}

/// Uploads the history copy. [`upload_current_config`] must follow before the item is removed from
/// the spool.
pub(crate) async fn upload_history_copy(
    store: &ObjectStore,
    item: &SpoolItem,
    body: &[u8],
    mode: UploadMode,
) -> Result<UploadedCopy, Error> {
    let copy_key = history_copy_key(item);
    let current_key = keys::current_config_key(&item.customer);

    let current;
    let same_version;
    if mode == UploadMode::DeployFreshPlan {
        // If another deployment has uploaded the same bytes since the plan, the history gets two
        // copies of them, as it does when both look first at the same time.
        let (head, copied) = futures_util::join!(
            store.head_object(&current_key),
            put_history_copy(store, &copy_key, item, body)
        );
        // The error of the PUT comes first: unlike that of the HEAD, it has a message from S3.
        copied?;
        current = head?;
        same_version = find_same_version(current.as_ref(), item);
    } else {
        current = store.head_object(&current_key).await?;
        same_version = find_same_version(current.as_ref(), item);
        // The record of an earlier deployment names its own copy, so a replay uploads that one.
        if let Some(version) = &same_version
            && (mode == UploadMode::Deploy || version.key == copy_key)
        {
            return Ok(UploadedCopy {
                change: version.change_by(&item.deployment_id),
                key: version.key.clone(),
                overwrite: None,
            });
        }
        put_history_copy(store, &copy_key, item, body).await?;
    }

    let change = match &current {
        None => ConfigChange::New,
        Some(_) => ConfigChange::Changed,
    };
    let overwrite = match mode {
        UploadMode::Deploy | UploadMode::DeployFreshPlan => Some(OverwritePlan {
            condition: PutCondition::Always,
            old_metadata: current.map(|head| head.metadata),
        }),
        UploadMode::Replay if same_version.is_some() => None,
        UploadMode::Replay => plan_replay(store, item, current).await?,
    };
    Ok(UploadedCopy {
        change,
        key: copy_key,
        overwrite,
    })
}

fn find_same_version(current: Option<&ObjectHead>, item: &SpoolItem) -> Option<CurrentVersion> {
    match_version(current?, &item.customer, &item.md5, &item.sha256)
}

/// Decides whether the config of an earlier deployment becomes `config.yaml`.
async fn plan_replay(
    store: &ObjectStore,
    item: &SpoolItem,
    current: Option<ObjectHead>,
) -> Result<Option<OverwritePlan>, Error> {
    let Some(current) = current else {
        return Ok(Some(OverwritePlan {
            condition: PutCondition::IfAbsent,
            old_metadata: None,
        }));
    };
    if !is_older_config(&current, item) || has_later_deployment(store, item).await? {
        return Ok(None);
    }
    Ok(Some(OverwritePlan {
        condition: PutCondition::IfMatch(current.etag),
        old_metadata: Some(current.metadata),
    }))
}

/// Whether the current config was read before that of `item`. Without metadata, as in an object of
/// the legacy module, S3's time counts. Of two configs of the same second the order is unknown.
fn is_older_config(current: &ObjectHead, item: &SpoolItem) -> bool {
    match parse_deployed_at(current).or(current.last_modified) {
        Some(deployed_at) => deployed_at.timestamp() < item.at.timestamp(),
        None => false,
    }
}

async fn put_history_copy(
    store: &ObjectStore,
    key: &str,
    item: &SpoolItem,
    body: &[u8],
) -> Result<(), Error> {
    let metadata = config_metadata(item);
    let outcome = store
        .put_object(
            key,
            body,
            YAML_MEDIA_TYPE,
            &metadata,
            PutCondition::IfAbsent,
        )
        .await?;
    if outcome.is_checksum_confirmed() {
        return Ok(());
    }

    let head = store.head_object(key).await?;
    // After a lost response the object is our own. Another deployment may also have uploaded the
    // same bytes within the same second.
    let has_same_bytes = match &head {
        Some(head) => head.metadata.get(SHA256_FIELD) == Some(&item.sha256),
        None => false,
    };
    if outcome == PutOutcome::ConditionFailed && !has_same_bytes {
        let uri = store.object_uri(key);
        let message = format!("cannot upload `{uri}`: another object has this key");
        return Err(Error::new(ErrorKind::Service, message, ""));
    }
    check_read_back(store, key, head.as_ref(), item, body)
}

/// Uploads `config.yaml`, unless the copy's plan is to leave it as it is.
pub(crate) async fn upload_current_config(
    store: &ObjectStore,
    item: &SpoolItem,
    body: &[u8],
    copy: &UploadedCopy,
) -> Result<(), Error> {
    let Some(plan) = &copy.overwrite else {
        return Ok(());
    };
    let key = keys::current_config_key(&item.customer);
    let metadata = current_config_metadata(item);
    let condition = plan.condition.clone();
    let outcome = store
        .put_object(&key, body, YAML_MEDIA_TYPE, &metadata, condition)
        .await?;
    if outcome.is_checksum_confirmed() {
        return Ok(());
    }

    let Some(head) = store.head_object(&key).await? else {
        return Err(lost_write_error(store, &key));
    };
    let is_written = matches!(outcome, PutOutcome::Written(_));
    if is_written && head.metadata.get(BACKUP_ID_FIELD) == Some(&item.backup_id) {
        return check_read_back(store, &key, Some(&head), item, body);
    }
    // The object is unchanged, so the PUT did not take effect, whatever its status was.
    if plan.old_metadata.as_ref() == Some(&head.metadata) {
        return Err(lost_write_error(store, &key));
    }
    // Another deployment has overwritten it since. Its config is as current as ours.
    Ok(())
}

/// Whether another deployment followed that of `item`. The current config does not tell: a
/// deployment that returns to an older config uploads nothing but its usage record.
async fn has_later_deployment(store: &ObjectStore, item: &SpoolItem) -> Result<bool, Error> {
    let request = ListRequest {
        prefix: keys::record_keys_prefix(Some(&item.customer)),
        start_after: keys::record_key(&item.customer, item.at),
        ..ListRequest::default()
    };
    let page = store.list_page(&request, None).await?;
    for object in &page.objects {
        if !is_later_record(&object.key, item) {
            continue;
        }
        // A record that was deleted in the meantime does not count.
        if let Some(head) = store.head_object(&object.key).await?
            && head.metadata.get(DEPLOYMENT_ID_FIELD) != Some(&item.deployment_id)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_later_record(key: &str, item: &SpoolItem) -> bool {
    let Some(record_key) = RecordKey::parse(key) else {
        return false;
    };
    match record_key.deployed_at {
        Some(deployed_at) => deployed_at > item.at,
        None => false,
    }
}

/// Fails if the object is not the one that was uploaded.
fn check_read_back(
    store: &ObjectStore,
    key: &str,
    head: Option<&ObjectHead>,
    item: &SpoolItem,
    body: &[u8],
) -> Result<(), Error> {
    match head {
        Some(head) if is_upload_of(head, item, body) => Ok(()),
        _ => Err(lost_write_error(store, key)),
    }
}

fn is_upload_of(head: &ObjectHead, item: &SpoolItem, body: &[u8]) -> bool {
    // Some servers that speak S3 do not report a checksum.
    let has_same_checksum = match &head.sha256 {
        Some(checksum) => *checksum == sha256_base64(body),
        None => true,
    };
    let has_same_digest = head.metadata.get(SHA256_FIELD) == Some(&item.sha256);
    has_same_checksum && has_same_digest && head.size == body.len() as u64
}

/// The version of an object with these digests. Compares the metadata that we wrote, because an
/// `ETag` is not a digest (KMS, multipart).
fn match_version(
    head: &ObjectHead,
    customer: &str,
    md5: &str,
    sha256: &str,
) -> Option<CurrentVersion> {
    let field = |name: &str| head.metadata.get(name).map(String::as_str);
    if field(MD5_FIELD) != Some(md5) || field(SHA256_FIELD) != Some(sha256) {
        return None;
    }
    let captured_at = parse_captured_at(head)?;
    Some(CurrentVersion {
        backup_id: field(BACKUP_ID_FIELD).unwrap_or_default().to_owned(),
        deployment_id: field(DEPLOYMENT_ID_FIELD).unwrap_or_default().to_owned(),
        key: keys::config_version_key(customer, captured_at, md5),
    })
}

/// The metadata of the history copy. It has the time that stands in the copy's key.
fn config_metadata(item: &SpoolItem) -> HashMap<String, String> {
    let captured_at = match stored_copy_time(item) {
        Some(captured_at) => captured_at,
        None => item.at,
    };
    HashMap::from([
        (MD5_FIELD.to_owned(), item.md5.clone()),
        (SHA256_FIELD.to_owned(), item.sha256.clone()),
        (BACKUP_ID_FIELD.to_owned(), item.backup_id.clone()),
        (DEPLOYMENT_ID_FIELD.to_owned(), item.deployment_id.clone()),
        (
            CAPTURED_AT_FIELD.to_owned(),
            record::format_rfc3339(captured_at),
        ),
    ])
}

/// The metadata of `config.yaml`: that of its copy and, if the copy is older than the deployment,
/// the time of the deployment.
fn current_config_metadata(item: &SpoolItem) -> HashMap<String, String> {
    let mut metadata = config_metadata(item);
    if stored_copy_time(item).is_some() {
        let restored_at = record::format_rfc3339(item.at);
        metadata.insert(RESTORED_AT_FIELD.to_owned(), restored_at);
    }
    metadata
}

fn stored_copy_time(item: &SpoolItem) -> Option<DateTime<Utc>> {
    let stored_key = item.stored_key.as_deref()?;
    Some(ConfigVersionKey::parse(stored_key)?.captured_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head_with_metadata(fields: &[(&str, &str)]) -> ObjectHead {
        let mut head = ObjectHead::default();
        for (name, value) in fields {
            head.metadata
                .insert((*name).to_owned(), (*value).to_owned());
        }
        head
    }

    #[test]
    fn a_version_matches_only_if_both_digests_do() {
        let fields = [
            ("md5", "m"),
            ("sha256", "s"),
            ("backup-id", "id"),
            ("captured-at", "2025-10-30T14:30:52Z"),
        ];
        let head = head_with_metadata(&fields);
        let version = match_version(&head, "airbnb", "m", "s").expect("a match");
        let key = "terragrunt/airbnb/config-history/2025-10-30_143052_m.yaml";
        assert_eq!(version.key, key);
        assert_eq!(version.backup_id, "id");

        assert_eq!(match_version(&head, "airbnb", "m", "t"), None);
        let without_sha256 = head_with_metadata(&fields[..1]);
        assert_eq!(match_version(&without_sha256, "airbnb", "m", "s"), None);
        let without_metadata = head_with_metadata(&[]);
        assert_eq!(match_version(&without_metadata, "airbnb", "m", "s"), None);
    }
}

//! Brings what is kept into the bucket: which objects, in which order, and what counts as done.
//!
//! Every step may be done twice without harm, because an answer can be lost after the object was written. Must not
//! touch the spool: whoever calls decides what to forget.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::aws::{Condition, Head, Store, Written};
use crate::claims::{Claim, End};
use crate::digest::{Digests, sha256_base64, sha256_hex};
use crate::fault::{Fault, Kind};
use crate::item::Item;
use crate::layout;
use crate::listing::Listing;
use crate::record::{self, Backup};
use crate::seal::{self, Origin};

/// Metadata: MD5 of the body, hex.
pub const MD5: &str = "md5";
/// Metadata: SHA-256 of the body, hex.
pub const SHA256: &str = "sha256";
/// Metadata: names the version.
const BACKUP_ID: &str = "backup-id";
/// Metadata: names the deployment that wrote the object.
pub const DEPLOYMENT_ID: &str = "deployment-id";
/// Metadata: when the config was read, RFC 3339.
const CAPTURED_AT: &str = "captured-at";

/// The media type of a config.
const YAML: &str = "application/yaml";
/// The largest record that is read, in bytes.
const LARGEST_RECORD: u64 = 64 << 10;

/// Whether an upload belongs to the deployment that is running, or to an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Running now: its config is the newest.
    Now,
    /// As [`When::Now`], and its plan saw another config in the bucket a moment ago: nobody need look before.
    JustPlanned,
    /// Earlier: it must not overwrite what came after it.
    Late,
}

/// The version of the config that the bucket has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its id.
    pub backup_id: String,
    /// The deployment that brought it.
    pub deployment_id: String,
    /// The key of its history copy.
    pub key: String,
}

impl Version {
    /// What became of the config in a deployment that finds this version: its own upload may be what it finds, when
    /// the answer to that was lost, or nobody could tell it.
    #[must_use]
    pub fn backup(&self, deployment_id: &str) -> Backup {
        if self.deployment_id == deployment_id { Backup::Uploaded } else { Backup::Unchanged }
    }
}

/// The bucket's version of the config, if it is the one with these digests.
pub async fn in_step(store: &Store, customer: &str, digests: &Digests) -> Result<Option<Version>, Fault> {
    let head = store.head(&layout::config_key(customer)).await?;
    Ok(head.and_then(|head| same(&head, customer, &digests.md5, &digests.sha256)))
}

/// A config whose history copy the bucket has.
#[derive(Debug)]
pub struct Brought {
    /// What became of it.
    pub backup: Backup,
    /// The key of its history copy.
    pub key: String,
    /// What `config.yaml` is put over; `None` where it stays as it is.
    over: Option<Over>,
}

#[derive(Debug)]
struct Over {
    condition: Condition,
    /// The metadata of what is there.
    metadata: Option<HashMap<String, String>>,
}

/// Uploads a config: its history copy, then `config.yaml`.
pub async fn config(store: &Store, item: &Item, body: &[u8], when: When) -> Result<(), Fault> {
    let brought = copy(store, item, body, when).await?;
    current(store, item, body, &brought).await
}

/// Uploads the history copy of a config. [`current`] must follow before anything is forgotten.
///
/// The copy comes first: neither `config.yaml` nor a usage record must ever be of a version that history does not have.
pub async fn copy(store: &Store, item: &Item, body: &[u8], when: When) -> Result<Brought, Fault> {
    let copy = layout::history_key(&item.customer, item.at, &item.md5);
    let key = layout::config_key(&item.customer);
    let look = store.head(&key);
    let there = if when == When::JustPlanned {
        // Should somebody have brought these bytes since the plan, there are two copies of them, as where both look at once.
        let (there, put) = futures_util::join!(look, put_copy(store, &copy, item, body));
        // The answer to a PUT has a body, which says more than a HEAD's status.
        put.and(there)?
    } else {
        look.await?
    };
    let known = there.as_ref().and_then(|head| same(head, &item.customer, &item.md5, &item.sha256));
    if when != When::JustPlanned {
        match known.clone() {
            // The record of an earlier deployment names the copy of its own time, so that one must come to be.
            Some(version) if when == When::Now || version.key == copy => {
                return Ok(Brought { backup: version.backup(&item.deployment_id), key: version.key, over: None });
            }
            _ => put_copy(store, &copy, item, body).await?,
        }
    }
    let metadata = there.as_ref().map(|head| head.metadata.clone());
    let over = match (when, there) {
        (When::Now | When::JustPlanned, _) => Some(Condition::None),
        (When::Late, None) => Some(Condition::Absent),
        (When::Late, Some(head))
            if known.is_some() || captured_at(&head).is_none_or(|at| at >= item.at) || overtaken(store, item).await? =>
        {
            None
        }
        (When::Late, Some(head)) => Some(Condition::Matches(head.etag)),
    };
    Ok(Brought { backup: Backup::Uploaded, key: copy, over: over.map(|condition| Over { condition, metadata }) })
}

async fn put_copy(store: &Store, copy: &str, item: &Item, body: &[u8]) -> Result<(), Fault> {
    let written = store.put(copy, body, YAML, &metadata(item), Condition::Absent).await?;
    if written.is_vouched_for() {
        return Ok(());
    }
    let there = store.head(copy).await?;
    // Ours after a lost answer, or the same bytes from somebody else within the second.
    let is_same = there.as_ref().is_some_and(|head| head.metadata.get(SHA256) == Some(&item.sha256));
    if written == Written::ConditionFailed && !is_same {
        let text = format!("put `{}`: another object has this name", store.uri(copy));
        return Err(Fault::new(Kind::Service, text, ""));
    }
    is_there(store, copy, there.as_ref(), item, body)
}

/// Uploads `config.yaml` behind its history copy, where it is to be uploaded.
pub async fn current(store: &Store, item: &Item, body: &[u8], brought: &Brought) -> Result<(), Fault> {
    let Some(Over { condition, metadata: before }) = &brought.over else { return Ok(()) };
    let key = layout::config_key(&item.customer);
    let written = store.put(&key, body, YAML, &metadata(item), condition.clone()).await?;
    if written.is_vouched_for() {
        return Ok(());
    }
    match store.head(&key).await? {
        // A condition that fails means that a deployment has just written a newer one, which stays.
        Some(head) if matches!(written, Written::Yes(_)) && head.metadata.get(BACKUP_ID) == Some(&item.backup_id) => {
            is_there(store, &key, Some(&head), item, body)
        }
        // Still the version of before: whatever the answer said, nobody wrote anything.
        Some(head) if before.as_ref() == Some(&head.metadata) => Err(lost(store, &key)),
        // Overwritten meanwhile: by a deployment whose config is as good as ours.
        Some(_) => Ok(()),
        None => Err(lost(store, &key)),
    }
}

/// Whether another deployment came after the one that `item` is of. Its config may be an older one than that: who goes back
/// to what the bucket has already uploads nothing, and leaves a record only.
async fn overtaken(store: &Store, item: &Item) -> Result<bool, Fault> {
    let prefix = layout::logs_prefix(Some(&item.customer));
    let listing = Listing { prefix, after: layout::log_key(&item.customer, item.at), ..Listing::default() };
    let page = store.list(&listing, None).await?;
    let is_later = |key: &&String| layout::parse_log_key(key).and_then(|key| key.at).is_some_and(|at| at > item.at);
    for key in page.objects.iter().map(|object| &object.key).filter(is_later) {
        let ours = store.head(key).await?.is_none_or(|head| head.metadata.get(DEPLOYMENT_ID) == Some(&item.deployment_id));
        if !ours {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether what was read back is what was sent.
fn is_there(store: &Store, key: &str, head: Option<&Head>, item: &Item, body: &[u8]) -> Result<(), Fault> {
    let there = head.is_some_and(|head| {
        let same_sum = head.sha256.as_ref().is_none_or(|sum| *sum == sha256_base64(body));
        head.metadata.get(SHA256) == Some(&item.sha256) && head.size == body.len() as u64 && same_sum
    });
    if there { Ok(()) } else { Err(lost(store, key)) }
}

/// S3 said that it had written something, and has it not.
fn lost(store: &Store, key: &str) -> Fault {
    Fault::new(Kind::Service, format!("read back `{}`: it is not what was sent", store.uri(key)), "")
}

/// A usage record that is in the bucket.
#[derive(Debug)]
pub struct Delivered {
    /// Its key.
    pub key: String,
    /// The chain that it ends; `None` where it is in none.
    pub end: Option<End>,
    /// Why the bucket has no seal on it.
    pub unsealed: Option<Fault>,
}

/// Uploads a usage record, which continues the chain that `claim` stands for, and seals it.
pub async fn record(store: &Store, item: &Item, body: &[u8], claim: &mut Claim) -> Result<Delivered, Fault> {
    let keys = [layout::log_key(&item.customer, item.at), layout::log_key_beside(&item.customer, item.at, &item.deployment_id)];
    let sha256 = sha256_hex(body);
    let metadata = HashMap::from([(DEPLOYMENT_ID.to_owned(), item.deployment_id.clone()), (SHA256.to_owned(), sha256.clone())]);
    for key in keys {
        let put = store.put(&key, body, "application/json", &metadata, Condition::Absent);
        let (written, sealed) = futures_util::join!(put, seal::ahead(store, &item.customer, claim, &key, body));
        let written = written?;
        let end = async |body: &[u8], origin| seal::put(store, &item.customer, claim, &key, body, origin).await;
        if matches!(written, Written::Yes(_)) {
            let is_there = async {
                let is_it = |head: Head| is_of(&head, item) && head.size == body.len() as u64;
                Ok(written.is_vouched_for() || store.head(&key).await?.is_some_and(is_it))
            };
            let seal = async {
                match sealed {
                    Some(end) => (Some(end), None),
                    None => end(body, Origin::Written).await,
                }
            };
            // Should the record be lost after all, it is sent again, and so is the seal.
            let (is_there, end) = futures_util::join!(is_there, seal);
            return if is_there? { Ok(delivered(key, end)) } else { Err(lost(store, &key)) };
        }
        // Taken, but by nothing that is there: no reason to write it under another name.
        let Some(there) = store.head(&key).await? else { return Err(lost(store, &key)) };
        if is_of(&there, item) && there.metadata.get(SHA256) == Some(&sha256) {
            return Ok(delivered(key.clone(), end(body, Origin::Found).await));
        }
        // The name is taken: by ourselves, if an answer was lost, or by another deployment of the same second. To take
        // our own record for another one would be a second record, so its content is asked as well.
        let written = match store.get(&key, LARGEST_RECORD).await {
            Ok(written) => written.unwrap_or_default(),
            // Whatever it is, it says whose it is, and stands in the way for ever if it cannot be read.
            Err(_) if there.metadata.contains_key(DEPLOYMENT_ID) => Vec::new(),
            Err(fault) => return Err(fault),
        };
        let id = serde_json::from_slice::<Value>(&written).ok();
        let id = id.as_ref().and_then(|record| record.get("deployment_id")?.as_str());
        if is_of(&there, item) || id == Some(&item.deployment_id) {
            return Ok(delivered(key.clone(), end(&written, Origin::Found).await));
        }
    }
    let text = format!("put the usage record of deployment {}: both its names are taken", item.deployment_id);
    Err(Fault::new(Kind::Service, text, ""))
}

fn is_of(head: &Head, item: &Item) -> bool {
    head.metadata.get(DEPLOYMENT_ID) == Some(&item.deployment_id)
}

fn delivered(key: String, (end, unsealed): (Option<End>, Option<Fault>)) -> Delivered {
    Delivered { key, end, unsealed }
}

/// An `ETag` is no digest (KMS, multipart), so what is the same stands in the metadata that we wrote.
fn same(head: &Head, customer: &str, md5: &str, sha256: &str) -> Option<Version> {
    let has = |name: &str, value: &str| head.metadata.get(name).is_some_and(|there| there == value);
    if !has(MD5, md5) || !has(SHA256, sha256) {
        return None;
    }
    let said = |name: &str| head.metadata.get(name).cloned().unwrap_or_default();
    let (backup_id, deployment_id) = (said(BACKUP_ID), said(DEPLOYMENT_ID));
    Some(Version { backup_id, deployment_id, key: layout::history_key(customer, captured_at(head)?, md5) })
}

/// When the config was read that an object holds; `None` where its metadata does not say.
#[must_use]
pub fn captured_at(head: &Head) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(head.metadata.get(CAPTURED_AT)?).ok().map(|at| at.to_utc())
}

fn metadata(item: &Item) -> HashMap<String, String> {
    let pairs = [
        (MD5, item.md5.clone()),
        (SHA256, item.sha256.clone()),
        (BACKUP_ID, item.backup_id.clone()),
        (DEPLOYMENT_ID, item.deployment_id.clone()),
        (CAPTURED_AT, record::timestamp(item.at)),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(pairs: &[(&str, &str)]) -> Head {
        let metadata = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Head { metadata, ..Head::default() }
    }

    #[test]
    fn a_version_is_the_same_only_if_both_digests_are() {
        let ours = [("md5", "m"), ("sha256", "s"), ("backup-id", "id"), ("captured-at", "2025-10-30T14:30:52Z")];
        let version = same(&head(&ours), "airbnb", "m", "s").expect("the same");
        assert_eq!(version.key, "terragrunt/airbnb/config-history/2025-10-30_143052_m.yaml");
        assert_eq!(version.backup_id, "id");
        assert_eq!(same(&head(&ours), "airbnb", "m", "t"), None);
        assert_eq!(same(&head(&ours[..1]), "airbnb", "m", "s"), None);
        assert_eq!(same(&head(&[]), "airbnb", "m", "s"), None);
    }
}

//! The seal on a chain of usage records: one object that names the chain's last record and its
//! SHA-256. Without it, a change or a deletion of that last record would go unnoticed.
//!
//! Each seal has one writer. If the state directory is copied to another machine, the chain forks.
//! Then each end gets its own seal, and both chains verify.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::chain::claim::{self, ChainClaim, ChainHead};
use crate::digest::sha256_hex;
use crate::error::{Error, ErrorKind};
use crate::keys;
use crate::keys::RecordKey;
use crate::keys::metadata::DEPLOYMENT_ID_FIELD;
use crate::record::ChainLink;
use crate::s3::listing::ListRequest;
use crate::s3::store::{ObjectHead, ObjectStore, PutCondition, PutOutcome};

/// A larger seal than this is not read.
const MAX_SEAL_BYTES: u64 = 64 << 10;

/// How far back a new chain looks for the newest record, in one page of a listing. The page has
/// 1,000 keys, oldest first: with more than 70 deployments a day it does not reach the newest one.
const NEWEST_RECORD_WINDOW: TimeDelta = TimeDelta::days(14);

/// The content of a seal. The order of the fields is their order in the object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainSeal {
    /// The id of the chain, as in the key.
    pub writer: String,
    /// The number of the chain's last record.
    pub number: u64,
    /// The key of that record.
    pub key: String,
    /// SHA-256 of that record object, in hex.
    pub sha256: String,
    /// The deployment of that record.
    pub deployment_id: String,
}

impl ChainSeal {
    /// One line of JSON that ends in a newline.
    fn to_line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }

    /// Parses a seal. Returns `None` if any byte differs from what `to_line` writes.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let seal: Self = serde_json::from_slice(bytes).ok()?;
        if seal.to_line() == bytes {
            Some(seal)
        } else {
            None
        }
    }
}

/// Who uploaded the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordOrigin {
    /// This attempt.
    Written,
    /// An earlier attempt, which may have sealed the record as well.
    Found,
}

/// The chain after a record was uploaded.
#[derive(Debug, Default)]
pub struct SealResult {
    pub chain: ChainChange,
    /// Why the record has no seal. The record itself is uploaded nevertheless.
    pub error: Option<Error>,
}

/// What an uploaded record changes in the claimed chain.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum ChainChange {
    /// Nothing: the record is in no chain or in another one, or before the head.
    #[default]
    Unchanged,
    /// The record is the new head.
    Continued(ChainHead),
    /// Another machine has continued the chain behind the record.
    Overtaken,
}

impl SealResult {
    /// Frees the claimed chain, unless another machine continues it.
    pub fn release(&mut self, claim: ChainClaim) {
        match std::mem::take(&mut self.chain) {
            ChainChange::Unchanged => claim.release(None),
            ChainChange::Continued(head) => claim.release(Some(head)),
            ChainChange::Overtaken => claim.abandon(),
        }
    }
}

/// Seals the chain of the record `body` at `key`.
pub async fn seal_record(
    store: &ObjectStore,
    customer: &str,
    claim: &ChainClaim,
    key: &str,
    body: &[u8],
    origin: RecordOrigin,
) -> SealResult {
    let Some(link) = parse_chain_link(body) else {
        return SealResult::default();
    };
    // An earlier attempt may have used another chain than the one that is claimed now.
    let is_claimed = claim.is_on_chain(&link);
    let is_own_head = claim.head.deployment_id == claim.deployment_id();
    if is_claimed && link.number <= claim.head.number && !is_own_head {
        // A spool file could not be deleted, and the chain has continued on this machine.
        return SealResult::default();
    }
    let mut sealed = Ok(());
    if origin == RecordOrigin::Found {
        match is_chain_beyond(store, customer, &link).await {
            Ok(true) if is_claimed => {
                return SealResult {
                    chain: ChainChange::Overtaken,
                    error: None,
                };
            }
            Ok(true) => return SealResult::default(),
            Ok(false) => {}
            Err(error) => sealed = Err(error),
        }
    }

    let mut head = head_after_record(link, body, claim);
    if sealed.is_ok() {
        sealed = put_or_replace_seal(store, customer, claim, key, &mut head).await;
    }
    // The bucket has the record, so its place is taken whether it has a seal or not.
    head.is_unsealed = sealed.is_err();
    let chain = if is_claimed {
        ChainChange::Continued(head)
    } else {
        ChainChange::Unchanged
    };
    SealResult {
        chain,
        error: sealed.err(),
    }
}

/// Seals the chain while its record `body` is being uploaded to `key`, if the claim allows it.
/// Returns `None` if the chain has no such seal. Then [`seal_record`] must follow.
pub async fn seal_before_record_confirmed(
    store: &ObjectStore,
    customer: &str,
    claim: &mut ChainClaim,
    key: &str,
    body: &[u8],
) -> Option<ChainHead> {
    let link = parse_chain_link(body)?;
    if !claim.can_seal_concurrently() || !claim.is_on_chain(&link) {
        return None;
    }
    let mut head = head_after_record(link, body, claim);
    let condition = overwrite_condition(&head.etag);
    let outcome = put_seal(store, customer, key, &head, condition).await;
    let Ok(PutOutcome::Written(receipt)) = outcome else {
        return None;
    };
    head.etag = receipt.etag;
    // The next seal overwrites this one, even if the upload of the record fails.
    claim.head.etag.clone_from(&head.etag);
    Some(head)
}

fn head_after_record(link: ChainLink, body: &[u8], claim: &ChainClaim) -> ChainHead {
    let etag = if claim.is_on_chain(&link) {
        claim.head.etag.clone()
    } else {
        String::new()
    };
    ChainHead {
        writer: link.writer,
        number: link.number,
        previous: link.previous,
        sha256: sha256_hex(body),
        deployment_id: claim.deployment_id().to_owned(),
        etag,
        is_unsealed: false,
    }
}

/// The condition under which a seal may overwrite the one with this `etag`.
fn overwrite_condition(etag: &str) -> PutCondition {
    if etag.is_empty() {
        PutCondition::IfAbsent
    } else {
        PutCondition::IfMatch(etag.to_owned())
    }
}

/// Whether the seal is on a later record than `link`.
async fn is_chain_beyond(
    store: &ObjectStore,
    customer: &str,
    link: &ChainLink,
) -> Result<bool, Error> {
    let key = keys::seal_key(customer, &link.writer);
    let Some(body) = store.get_object(&key, MAX_SEAL_BYTES).await? else {
        return Ok(false);
    };
    match ChainSeal::parse(&body) {
        Some(seal) => Ok(seal.number > link.number),
        None => Ok(false),
    }
}

/// Looks up the seal that the next one will overwrite. Returns whether that is safe: there is no
/// seal, or this machine wrote it.
pub async fn check_existing_seal(
    store: &ObjectStore,
    customer: &str,
    claim: &mut ChainClaim,
) -> Result<bool, Error> {
    let key = keys::seal_key(customer, &claim.head.writer);
    match store.head_object(&key).await? {
        Some(head) if is_known_seal(&head, claim) => {
            claim.head.etag = head.etag;
            Ok(true)
        }
        Some(_) => Ok(false),
        None => {
            claim.head.etag = String::new();
            Ok(true)
        }
    }
}

fn is_known_seal(head: &ObjectHead, claim: &ChainClaim) -> bool {
    match head.metadata.get(DEPLOYMENT_ID_FIELD) {
        Some(id) => claim.knows_deployment(id),
        None => false,
    }
}

/// Looks up the newest record for the first record of a chain. It stays unknown if the customer has
/// none of late, or if the listing fails.
pub async fn name_newest_record(
    store: &ObjectStore,
    customer: &str,
    now: DateTime<Utc>,
    claim: &mut ChainClaim,
) -> Result<(), Error> {
    if !claim.is_new_chain() {
        return Ok(());
    }
    let request = ListRequest {
        prefix: keys::record_keys_prefix(Some(customer)),
        start_after: keys::record_key(customer, now - NEWEST_RECORD_WINDOW),
        ..ListRequest::default()
    };
    let page = store.list_page(&request, None).await?;
    let mut newest = None;
    for object in page.objects {
        let is_dated = RecordKey::parse(&object.key).is_some_and(|key| key.deployed_at.is_some());
        if is_dated {
            newest = Some(object.key);
        }
    }
    claim.name_newest_record(newest);
    Ok(())
}

async fn put_or_replace_seal(
    store: &ObjectStore,
    customer: &str,
    claim: &ChainClaim,
    key: &str,
    head: &mut ChainHead,
) -> Result<(), Error> {
    let condition = overwrite_condition(&head.etag);
    let mut outcome = put_seal(store, customer, key, head, condition).await?;
    if outcome == PutOutcome::ConditionFailed {
        let seal_key = keys::seal_key(customer, &head.writer);
        let condition = match store.head_object(&seal_key).await? {
            // Our own seal: the response to an earlier attempt was lost.
            Some(existing) if is_known_seal(&existing, claim) => {
                PutCondition::IfMatch(existing.etag)
            }
            None => PutCondition::IfAbsent,
            // Another machine continues the chain, so this one forks.
            Some(_) => {
                head.writer = claim::new_writer_id();
                PutCondition::IfAbsent
            }
        };
        outcome = put_seal(store, customer, key, head, condition).await?;
    }
    match outcome {
        PutOutcome::Written(receipt) => {
            head.etag = receipt.etag;
            Ok(())
        }
        PutOutcome::ConditionFailed => {
            let uri = store.object_uri(&keys::seal_key(customer, &head.writer));
            let message = format!("cannot upload `{uri}`: another process writes this seal");
            Err(Error::new(ErrorKind::Service, message, ""))
        }
    }
}

async fn put_seal(
    store: &ObjectStore,
    customer: &str,
    key: &str,
    head: &ChainHead,
    condition: PutCondition,
) -> Result<PutOutcome, Error> {
    let seal = ChainSeal {
        writer: head.writer.clone(),
        number: head.number,
        key: key.to_owned(),
        sha256: head.sha256.clone(),
        deployment_id: head.deployment_id.clone(),
    };
    let seal_key = keys::seal_key(customer, &seal.writer);
    let metadata = HashMap::from([(DEPLOYMENT_ID_FIELD.to_owned(), seal.deployment_id.clone())]);
    store
        .put_object(
            &seal_key,
            &seal.to_line(),
            "application/json",
            &metadata,
            condition,
        )
        .await
}

/// The chain link that a record contains.
fn parse_chain_link(body: &[u8]) -> Option<ChainLink> {
    #[derive(Deserialize)]
    struct ChainedRecord {
        chain: ChainLink,
    }
    let record: ChainedRecord = serde_json::from_slice(body).ok()?;
    Some(record.chain)
}

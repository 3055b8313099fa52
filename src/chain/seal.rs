//! The seal on a chain of usage records: one object that names the chain's last record and its SHA-256, so that this one
//! cannot be changed, deleted or made up unnoticed either.
//!
//! Each seal has one writer. Where that is not so, because somebody copied this machine's state, the chain forks: both ends
//! get a seal of their own, and both are whole.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::chain::claim::{self, ChainClaim, ChainHead};
use crate::digest::sha256_hex;
use crate::error::{Error, ErrorKind};
use crate::keys;
use crate::keys::metadata::DEPLOYMENT_ID_FIELD;
use crate::record::ChainLink;
use crate::s3::store::{ObjectHead, ObjectStore, PutCondition, PutOutcome};

/// The largest seal that is read, in bytes.
const MAX_SEAL_BYTES: u64 = 64 << 10;

/// What a seal says; the order of the fields is the order in the object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainSeal {
    /// The chain's name, as in the object's.
    pub writer: String,
    /// The number of its last record.
    pub number: u64,
    /// The key of that record.
    pub key: String,
    /// SHA-256 of that object, hex.
    pub sha256: String,
    /// The deployment that it is of.
    pub deployment_id: String,
}

impl ChainSeal {
    /// The object's bytes: one line, ending in a newline.
    fn to_line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }

    /// Reads one; `None` where a byte is not as `to_line` writes it.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice::<Self>(bytes)
            .ok()
            .filter(|seal| seal.to_line() == bytes)
    }
}

/// Whether the record was written now, or found in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordOrigin {
    /// Written.
    Written,
    /// Found: an earlier run has written it, and may have sealed it, too.
    Found,
}

/// Seals the chain of the record `body` at `key`. Gives the chain's end, `None` where the record is in no chain, or was sealed
/// before and others came behind it; and why there is no seal on it: a record that the bucket has is there without one.
pub async fn seal_record(
    store: &ObjectStore,
    customer: &str,
    claim: &ChainClaim,
    key: &str,
    body: &[u8],
    origin: RecordOrigin,
) -> (Option<ChainHead>, Option<Error>) {
    let Some(chain) = parse_chain_link(body) else {
        return (None, None);
    };
    if origin == RecordOrigin::Found {
        match is_chain_beyond(store, customer, &chain).await {
            Ok(true) => return (None, None),
            Ok(false) => {}
            Err(fault) => return (None, Some(fault)),
        }
    }
    // A record of an earlier try may be in another chain than the one that it was to continue now, which stays as it is.
    let is_claimed = claim.is_on_chain(&chain);
    let mut end = head_after_record(chain, body, claim);
    let fault = put_or_replace_seal(store, customer, claim, key, &mut end)
        .await
        .err();
    end.unsealed = fault.is_some();
    (Some(end).filter(|_| is_claimed), fault)
}

/// Seals the chain while its record `body` is still on its way to `key`, where the claim allows that. Gives the chain's end; `None`
/// where it has no such seal now, and [`put`] is to set it.
pub async fn seal_before_record_confirmed(
    store: &ObjectStore,
    customer: &str,
    claim: &mut ChainClaim,
    key: &str,
    body: &[u8],
) -> Option<ChainHead> {
    let chain = parse_chain_link(body)
        .filter(|chain| claim.can_seal_concurrently() && claim.is_on_chain(chain))?;
    let mut end = head_after_record(chain, body, claim);
    let written = put_seal(store, customer, key, &end, overwrite_condition(&end.etag)).await;
    let Ok(PutOutcome::Written(receipt)) = written else {
        return None;
    };
    end.etag = receipt.etag;
    // Whatever becomes of the record, the next seal is put over this one.
    claim.head.etag.clone_from(&end.etag);
    Some(end)
}

fn head_after_record(chain: ChainLink, body: &[u8], claim: &ChainClaim) -> ChainHead {
    let etag = if claim.is_on_chain(&chain) {
        claim.head.etag.clone()
    } else {
        String::new()
    };
    let ChainLink {
        writer,
        number,
        previous,
    } = chain;
    ChainHead {
        writer,
        number,
        previous,
        sha256: sha256_hex(body),
        deployment_id: claim.deployment_id().to_owned(),
        etag,
        unsealed: false,
    }
}

/// What a seal is put over.
fn overwrite_condition(etag: &str) -> PutCondition {
    if etag.is_empty() {
        PutCondition::IfAbsent
    } else {
        PutCondition::IfMatch(etag.to_owned())
    }
}

/// Whether a chain goes on behind a place in it.
async fn is_chain_beyond(
    store: &ObjectStore,
    customer: &str,
    place: &ChainLink,
) -> Result<bool, Error> {
    let there = store
        .get_object(&keys::seal_key(customer, &place.writer), MAX_SEAL_BYTES)
        .await?;
    Ok(there
        .and_then(|body| ChainSeal::parse(&body))
        .is_some_and(|seal| seal.number > place.number))
}

/// Looks what the next seal on a chain will be put over. Gives whether that is clear: there is none, or one of this machine's.
pub async fn check_existing_seal(
    store: &ObjectStore,
    customer: &str,
    claim: &mut ChainClaim,
) -> Result<bool, Error> {
    let head = store
        .head_object(&keys::seal_key(customer, &claim.head.writer))
        .await?;
    let is_clear = head.as_ref().is_none_or(|head| is_known_seal(head, claim));
    if is_clear {
        claim.head.etag = head.map(|head| head.etag).unwrap_or_default();
    }
    Ok(is_clear)
}

fn is_known_seal(head: &ObjectHead, claim: &ChainClaim) -> bool {
    head.metadata
        .get(DEPLOYMENT_ID_FIELD)
        .is_some_and(|id| claim.knows_deployment(id))
}

async fn put_or_replace_seal(
    store: &ObjectStore,
    customer: &str,
    claim: &ChainClaim,
    key: &str,
    end: &mut ChainHead,
) -> Result<(), Error> {
    let mut written = put_seal(store, customer, key, end, overwrite_condition(&end.etag)).await?;
    if written == PutOutcome::ConditionFailed {
        let there = store
            .head_object(&keys::seal_key(customer, &end.writer))
            .await?;
        let condition = match there {
            // Ours, after an answer that was lost.
            Some(head) if is_known_seal(&head, claim) => PutCondition::IfMatch(head.etag),
            None => PutCondition::IfAbsent,
            Some(_) => {
                end.writer = claim::new_writer_id();
                PutCondition::IfAbsent
            }
        };
        written = put_seal(store, customer, key, end, condition).await?;
    }
    match written {
        PutOutcome::Written(receipt) => end.etag = receipt.etag,
        PutOutcome::ConditionFailed => {
            let text = format!(
                "put `{}`: somebody else writes it, too",
                store.object_uri(&keys::seal_key(customer, &end.writer))
            );
            return Err(Error::new(ErrorKind::Service, text, ""));
        }
    }
    Ok(())
}

async fn put_seal(
    store: &ObjectStore,
    customer: &str,
    key: &str,
    end: &ChainHead,
    condition: PutCondition,
) -> Result<PutOutcome, Error> {
    let ChainHead {
        writer,
        number,
        sha256,
        deployment_id,
        ..
    } = end.clone();
    let seal = ChainSeal {
        writer,
        number,
        key: key.to_owned(),
        sha256,
        deployment_id,
    };
    let metadata = HashMap::from([(DEPLOYMENT_ID_FIELD.to_owned(), seal.deployment_id.clone())]);
    store
        .put_object(
            &keys::seal_key(customer, &seal.writer),
            &seal.to_line(),
            "application/json",
            &metadata,
            condition,
        )
        .await
}

/// The chain that a record says it is in.
fn parse_chain_link(body: &[u8]) -> Option<ChainLink> {
    #[derive(Deserialize)]
    struct ChainedRecord {
        chain: ChainLink,
    }
    serde_json::from_slice::<ChainedRecord>(body)
        .ok()
        .map(|it| it.chain)
}

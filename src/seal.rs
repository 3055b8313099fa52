//! The seal on a chain of usage records: one object that names the chain's last record and its SHA-256, so that this one
//! cannot be changed, deleted or made up unnoticed either.
//!
//! Each seal has one writer. Where that is not so, because somebody copied this machine's state, the chain forks: both ends
//! get a seal of their own, and both are whole.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::aws::{Condition, Head, Store, Written};
use crate::claims::{self, Claim, End};
use crate::deliver::DEPLOYMENT_ID;
use crate::digest::sha256_hex;
use crate::fault::{Fault, Kind};
use crate::layout;
use crate::record::Chain;

/// The largest seal that is read, in bytes.
const LARGEST: u64 = 64 << 10;

/// What a seal says; the order of the fields is the order in the object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
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

impl Seal {
    /// The object's bytes: one line, ending in a newline.
    fn to_line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }

    /// Reads one; `None` where a byte is not as `to_line` writes it.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice::<Self>(bytes).ok().filter(|seal| seal.to_line() == bytes)
    }
}

/// Whether the record was written now, or found in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Written.
    Written,
    /// Found: an earlier run has written it, and may have sealed it, too.
    Found,
}

/// Seals the chain of the record `body` at `key`. Gives the chain's end, `None` where the record is in no chain, or was sealed
/// before and others came behind it; and why there is no seal on it: a record that the bucket has is there without one.
pub async fn put(store: &Store, customer: &str, claim: &Claim, key: &str, body: &[u8], origin: Origin) -> (Option<End>, Option<Fault>) {
    let Some(chain) = chain_of(body) else { return (None, None) };
    if origin == Origin::Found {
        match is_beyond(store, customer, &chain).await {
            Ok(true) => return (None, None),
            Ok(false) => {}
            Err(fault) => return (None, Some(fault)),
        }
    }
    // A record of an earlier try may be in another chain than the one that it was to continue now, which stays as it is.
    let is_claimed = claim.is_of(&chain);
    let mut end = end_of(chain, body, claim);
    let fault = set(store, customer, claim, key, &mut end).await.err();
    end.unsealed = fault.is_some();
    (Some(end).filter(|_| is_claimed), fault)
}

/// Seals the chain while its record `body` is still on its way to `key`, where the claim allows that. Gives the chain's end; `None`
/// where it has no such seal now, and [`put`] is to set it.
pub async fn ahead(store: &Store, customer: &str, claim: &mut Claim, key: &str, body: &[u8]) -> Option<End> {
    let chain = chain_of(body).filter(|chain| claim.is_sealed_ahead() && claim.is_of(chain))?;
    let mut end = end_of(chain, body, claim);
    let written = write(store, customer, key, &end, over(&end.etag)).await;
    let Ok(Written::Yes(receipt)) = written else { return None };
    end.etag = receipt.etag;
    // Whatever becomes of the record, the next seal is put over this one.
    claim.end.etag.clone_from(&end.etag);
    Some(end)
}

fn end_of(chain: Chain, body: &[u8], claim: &Claim) -> End {
    let etag = if claim.is_of(&chain) { claim.end.etag.clone() } else { String::new() };
    let Chain { writer, number, previous } = chain;
    End { writer, number, previous, sha256: sha256_hex(body), deployment_id: claim.deployment_id().to_owned(), etag, unsealed: false }
}

/// What a seal is put over.
fn over(etag: &str) -> Condition {
    if etag.is_empty() { Condition::Absent } else { Condition::Matches(etag.to_owned()) }
}

/// Whether a chain goes on behind a place in it.
async fn is_beyond(store: &Store, customer: &str, place: &Chain) -> Result<bool, Fault> {
    let there = store.get(&layout::seal_key(customer, &place.writer), LARGEST).await?;
    Ok(there.and_then(|body| Seal::read(&body)).is_some_and(|seal| seal.number > place.number))
}

/// Looks what the next seal on a chain will be put over. Gives whether that is clear: there is none, or one of this machine's.
pub async fn look(store: &Store, customer: &str, claim: &mut Claim) -> Result<bool, Fault> {
    let head = store.head(&layout::seal_key(customer, &claim.end.writer)).await?;
    let is_clear = head.as_ref().is_none_or(|head| is_known(head, claim));
    if is_clear {
        claim.end.etag = head.map(|head| head.etag).unwrap_or_default();
    }
    Ok(is_clear)
}

fn is_known(head: &Head, claim: &Claim) -> bool {
    head.metadata.get(DEPLOYMENT_ID).is_some_and(|id| claim.knows(id))
}

async fn set(store: &Store, customer: &str, claim: &Claim, key: &str, end: &mut End) -> Result<(), Fault> {
    let mut written = write(store, customer, key, end, over(&end.etag)).await?;
    if written == Written::ConditionFailed {
        let there = store.head(&layout::seal_key(customer, &end.writer)).await?;
        let condition = match there {
            // Ours, after an answer that was lost.
            Some(head) if is_known(&head, claim) => Condition::Matches(head.etag),
            None => Condition::Absent,
            Some(_) => {
                end.writer = claims::new_writer();
                Condition::Absent
            }
        };
        written = write(store, customer, key, end, condition).await?;
    }
    match written {
        Written::Yes(receipt) => end.etag = receipt.etag,
        Written::ConditionFailed => {
            let text = format!("put `{}`: somebody else writes it, too", store.uri(&layout::seal_key(customer, &end.writer)));
            return Err(Fault::new(Kind::Service, text, ""));
        }
    }
    Ok(())
}

async fn write(store: &Store, customer: &str, key: &str, end: &End, condition: Condition) -> Result<Written, Fault> {
    let End { writer, number, sha256, deployment_id, .. } = end.clone();
    let seal = Seal { writer, number, key: key.to_owned(), sha256, deployment_id };
    let metadata = HashMap::from([(DEPLOYMENT_ID.to_owned(), seal.deployment_id.clone())]);
    store.put(&layout::seal_key(customer, &seal.writer), &seal.to_line(), "application/json", &metadata, condition).await
}

/// The chain that a record says it is in.
fn chain_of(body: &[u8]) -> Option<Chain> {
    #[derive(Deserialize)]
    struct Chained {
        chain: Chain,
    }
    serde_json::from_slice::<Chained>(body).ok().map(|it| it.chain)
}

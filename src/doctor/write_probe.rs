//! Writes, reads and deletes a canary object, as a deployment does with configs and records.
//!
//! Must not judge the answers: `s3_results` does.

use std::collections::HashMap;

use futures_util::join;

use crate::digest::sha256_hex;
use crate::doctor::s3_requests::PutProbe;
use crate::error::Error;
use crate::keys::metadata::SHA256_FIELD;
use crate::s3::store::{ObjectHead, ObjectStore, PutCondition, PutOutcome};

const CANARY_BODY: &[u8] =
    b"`config-backup doctor` tries with this object what a deployment does. It may be deleted.\n";
/// More than any object of that name has.
const MAX_CANARY_BYTES: u64 = 64 << 10;
/// How often a write that must be refused is tried.
///
/// Another `doctor` may just have deleted the object, and then one write succeeds.
const CONDITIONAL_PUT_ATTEMPTS: u32 = 5;

/// What came of the requests below one of the two prefixes that a deployment writes to.
#[derive(Debug)]
pub(crate) struct WriteProbe {
    /// Such as `usage-logs/airbnb/`.
    pub(crate) prefix: String,
    pub(crate) put: Result<PutProbe, Error>,
    /// Whether a write with `If-None-Match: *` was refused, as it must be.
    pub(crate) overwrite_refused: Result<bool, Error>,
    pub(crate) head: Result<Option<ObjectHead>, Error>,
    pub(crate) body: Result<Option<Vec<u8>>, Error>,
    /// Whether the deleted object left a delete marker; `None` if it was never written.
    pub(crate) deleted: Option<Result<bool, Error>>,
}

impl WriteProbe {
    /// Writes, reads and deletes an object as a deployment would.
    ///
    /// The condition of the first write is that of a deployment: a record never overwrites anything.
    pub(crate) async fn run(store: &ObjectStore, key: &str, condition: PutCondition) -> Self {
        let put = put_canary(store, key, condition).await;
        let overwrite_refused = match &put {
            Ok(put) if put.outcome == PutOutcome::ConditionFailed => Ok(true),
            Ok(_) => is_overwrite_refused(store, key).await,
            Err(error) => Err(error.clone()),
        };
        let (head, body) = join!(
            store.head_object(key),
            store.get_object(key, MAX_CANARY_BYTES)
        );
        let deleted = match &put {
            Ok(_) => Some(store.delete_object(key).await),
            Err(_) => None,
        };
        Self {
            prefix: parent_prefix(key).to_owned(),
            put,
            overwrite_refused,
            head,
            body,
            deleted,
        }
    }
}

async fn put_canary(
    store: &ObjectStore,
    key: &str,
    condition: PutCondition,
) -> Result<PutProbe, Error> {
    let metadata = HashMap::from([(SHA256_FIELD.to_owned(), sha256_hex(CANARY_BODY))]);
    store
        .probe_put(key, CANARY_BODY, &metadata, condition)
        .await
}

async fn is_overwrite_refused(store: &ObjectStore, key: &str) -> Result<bool, Error> {
    for _ in 0..CONDITIONAL_PUT_ATTEMPTS {
        let put = put_canary(store, key, PutCondition::IfAbsent).await?;
        if put.outcome == PutOutcome::ConditionFailed {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The prefix that a key is in, such as `usage-logs/airbnb/`.
pub(crate) fn parent_prefix(key: &str) -> &str {
    match key.rfind('/') {
        Some(end) => &key[..=end],
        None => "",
    }
}

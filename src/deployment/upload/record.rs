//! Uploads a usage record as the next one of its chain, and the seal on the chain.

use std::collections::HashMap;

use serde::Deserialize;

use crate::chain::claim::{ChainClaim, ChainHead};
use crate::chain::seal::{self, ChainChange, RecordOrigin, SealResult};
use crate::deployment::upload::lost_write_error;
use crate::digest::sha256_hex;
use crate::error::{Error, ErrorKind};
use crate::keys;
use crate::keys::metadata::{DEPLOYMENT_ID_FIELD, SHA256_FIELD};
use crate::record::ChainLink;
use crate::s3::store::{ObjectHead, ObjectStore, PutCondition, PutOutcome};
use crate::state::spool_file::SpoolItem;

/// A larger record than this is not read back.
const MAX_RECORD_BYTES: u64 = 64 << 10;

/// A usage record that is in the bucket.
#[derive(Debug)]
pub(crate) struct UploadedRecord {
    pub key: String,
    /// Why its chain has no seal on it, for the operator.
    pub note: Option<String>,
}

/// Uploads the record that `make_line` returns for its link in the claimed chain.
pub(crate) async fn upload_claimed_record(
    store: &ObjectStore,
    mut claim: ChainClaim,
    item: &SpoolItem,
    make_line: impl FnOnce(ChainLink) -> Vec<u8>,
) -> Result<UploadedRecord, Error> {
    let body = make_line(claim.next_link());
    // If this fails, S3 may have the record. The chain stays claimed until a replay knows.
    let (key, mut seal) = put_record_and_seal(store, item, &body, &mut claim).await?;
    seal.release(claim);
    let note = seal.error.map(|error| {
        format!("the deployment is logged, but its record is not sealed yet: {error}")
    });
    Ok(UploadedRecord { key, note })
}

async fn put_record_and_seal(
    store: &ObjectStore,
    item: &SpoolItem,
    body: &[u8],
    claim: &mut ChainClaim,
) -> Result<(String, SealResult), Error> {
    // Two deployments within the same second need two keys.
    let keys = [
        keys::record_key(&item.customer, item.at),
        keys::record_key_with_suffix(&item.customer, item.at, &item.deployment_id),
    ];
    for key in keys {
        let mut upload = RecordUpload {
            store,
            item,
            body,
            claim,
            key: &key,
        };
        if let Some(seal) = upload.put_or_find().await? {
            return Ok((key, seal));
        }
    }
    let message = format!(
        "cannot upload the usage record of deployment {}: both its keys are taken",
        item.deployment_id
    );
    Err(Error::new(ErrorKind::Service, message, ""))
}

/// The upload of a record to one key.
struct RecordUpload<'a> {
    store: &'a ObjectStore,
    item: &'a SpoolItem,
    body: &'a [u8],
    claim: &'a mut ChainClaim,
    key: &'a str,
}

impl RecordUpload<'_> {
    /// Uploads the record, or finds it there. Returns `None` if the key belongs to another
    /// deployment.
    async fn put_or_find(&mut self) -> Result<Option<SealResult>, Error> {
        let metadata = HashMap::from([
            (
                DEPLOYMENT_ID_FIELD.to_owned(),
                self.item.deployment_id.clone(),
            ),
            (SHA256_FIELD.to_owned(), sha256_hex(self.body)),
        ]);
        let put = self.store.put_object(
            self.key,
            self.body,
            "application/json",
            &metadata,
            PutCondition::IfAbsent,
        );
        let customer = &self.item.customer;
        let early_seal = seal::seal_before_record_confirmed(
            self.store, customer, self.claim, self.key, self.body,
        );
        let (outcome, early_head) = futures_util::join!(put, early_seal);
        let outcome = outcome?;
        match outcome {
            PutOutcome::Written(_) => self.confirm_and_seal(&outcome, early_head).await.map(Some),
            PutOutcome::ConditionFailed => self.find_and_seal().await,
        }
    }

    async fn confirm_and_seal(
        &self,
        outcome: &PutOutcome,
        early_head: Option<ChainHead>,
    ) -> Result<SealResult, Error> {
        // Both at once: if the record is lost after all, it is uploaded and sealed again.
        let (is_stored, seal) =
            futures_util::join!(self.is_stored(outcome), self.seal_unless_sealed(early_head));
        if is_stored? {
            Ok(seal)
        } else {
            Err(lost_write_error(self.store, self.key))
        }
    }

    async fn is_stored(&self, outcome: &PutOutcome) -> Result<bool, Error> {
        if outcome.is_checksum_confirmed() {
            return Ok(true);
        }
        match self.store.head_object(self.key).await? {
            Some(head) => Ok(self.is_of_deployment(&head) && head.size == self.body.len() as u64),
            None => Ok(false),
        }
    }

    async fn seal_unless_sealed(&self, early_head: Option<ChainHead>) -> SealResult {
        match early_head {
            Some(head) => SealResult {
                chain: ChainChange::Continued(head),
                error: None,
            },
            None => self.seal(self.body, RecordOrigin::Written).await,
        }
    }

    /// The key is taken: by this deployment if a response was lost, or by another one.
    async fn find_and_seal(&self) -> Result<Option<SealResult>, Error> {
        let Some(head) = self.store.head_object(self.key).await? else {
            // S3 reports a conflict with an object that is not there. Another key would not help.
            return Err(lost_write_error(self.store, self.key));
        };
        let is_ours = self.is_of_deployment(&head);
        if is_ours && head.metadata.get(SHA256_FIELD) == Some(&sha256_hex(self.body)) {
            return Ok(Some(self.seal(self.body, RecordOrigin::Found).await));
        }

        // The metadata alone does not decide: to mistake our own record for another one would log
        // the deployment twice.
        let stored = match self.store.get_object(self.key, MAX_RECORD_BYTES).await {
            Ok(stored) => stored.unwrap_or_default(),
            // The metadata names the deployment, and an unreadable object would block every retry.
            Err(_) if head.metadata.contains_key(DEPLOYMENT_ID_FIELD) => Vec::new(),
            Err(error) => return Err(error),
        };
        if is_ours || parse_deployment_id(&stored).as_ref() == Some(&self.item.deployment_id) {
            return Ok(Some(self.seal(&stored, RecordOrigin::Found).await));
        }
        Ok(None)
    }

    async fn seal(&self, body: &[u8], origin: RecordOrigin) -> SealResult {
        let customer = &self.item.customer;
        seal::seal_record(self.store, customer, self.claim, self.key, body, origin).await
    }

    fn is_of_deployment(&self, head: &ObjectHead) -> bool {
        head.metadata.get(DEPLOYMENT_ID_FIELD) == Some(&self.item.deployment_id)
    }
}

fn parse_deployment_id(record: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct IdentifiedRecord {
        deployment_id: String,
    }
    let record: IdentifiedRecord = serde_json::from_slice(record).ok()?;
    Some(record.deployment_id)
}

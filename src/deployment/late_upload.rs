//! One late upload: the record or the config of an earlier deployment.

use std::path::Path;

use crate::chain::claim::ChainClaim;
use crate::chain::seal::name_newest_record;
use crate::deployment::caller::add_late_caller;
use crate::deployment::spool_queue::NewestDeployments;
use crate::deployment::upload::config::{UploadMode, upload_config, upload_old_config};
use crate::deployment::upload::record::upload_claimed_record;
use crate::error::Error;
use crate::record::{ChainLink, UsageRecord, format_rfc3339};
use crate::s3::store::ObjectStore;
use crate::state::dirs::StateDirs;
use crate::state::spool::{Spool, SpoolEntry, SpoolReadError};
use crate::state::spool_file::{SpoolItem, SpoolItemKind};
use crate::system::clock::utc_now;

/// The result of a late upload.
#[derive(Debug)]
pub(crate) enum LateUploadResult {
    /// The bucket has it. Contains a note for the operator.
    Sent(Option<String>),
    /// Another process works on it, or has just uploaded it.
    Skipped,
    Unreadable(SpoolReadError),
    Failed(Error),
}

/// Uploads items to their bucket.
pub(crate) struct LateUploader<'a> {
    pub state_dirs: &'a StateDirs,
    pub newest: &'a NewestDeployments,
}

impl LateUploader<'_> {
    pub(crate) async fn upload(&self, store: &ObjectStore, path: &Path) -> LateUploadResult {
        let entry = match Spool::lock_item(path) {
            Ok(Some(entry)) => entry,
            Ok(None) => return LateUploadResult::Skipped,
            Err(error) => return LateUploadResult::Unreadable(error),
        };
        let uploaded = match entry.item.kind {
            SpoolItemKind::Config => self.upload_late_config(store, &entry).await,
            SpoolItemKind::Record => self.upload_late_record(store, &entry).await,
        };
        match uploaded.and_then(|note| entry.remove().map(|()| note)) {
            Ok(note) => LateUploadResult::Sent(note),
            Err(error) => LateUploadResult::Failed(error),
        }
    }

    /// The config of the customer's newest deployment becomes `config.yaml`, if the bucket has no
    /// newer one. The others become copies in the history.
    async fn upload_late_config(
        &self,
        store: &ObjectStore,
        entry: &SpoolEntry,
    ) -> Result<Option<String>, Error> {
        let (item, body) = (&entry.item, &entry.body);
        if self.newest.contains(item) {
            upload_config(store, item, body, UploadMode::Replay).await?;
        } else {
            upload_old_config(store, item, body).await?;
        }
        Ok(None)
    }

    async fn upload_late_record(
        &self,
        store: &ObjectStore,
        entry: &SpoolEntry,
    ) -> Result<Option<String>, Error> {
        let item = &entry.item;
        let (record, note) = match serde_json::from_slice::<UsageRecord>(&entry.body) {
            Ok(record) => {
                let (record, note) = complete_record(store, item, record).await?;
                (Some(record), note)
            }
            Err(_) => (None, None),
        };
        let make_line = |link: ChainLink| match record {
            Some(record) => record.to_chained_line(link),
            // A record that we cannot parse is uploaded unchanged.
            None => entry.body.clone(),
        };
        let mut claim = ChainClaim::acquire(
            self.state_dirs,
            &store.bucket_identity(),
            &item.customer,
            &item.deployment_id,
        );
        // If this request fails, the newest record stays unknown.
        let _ = name_newest_record(store, &item.customer, utc_now(), &mut claim).await;
        upload_claimed_record(store, claim, item, make_line).await?;
        Ok(note)
    }
}

/// The record, marked as late, with its caller as far as it is known.
async fn complete_record(
    store: &ObjectStore,
    item: &SpoolItem,
    mut record: UsageRecord,
) -> Result<(UsageRecord, Option<String>), Error> {
    let is_caller_known = add_late_caller(store, &mut record, &item.caller).await?;
    record.late = true;
    let note = (!is_caller_known).then(|| {
        let at = format_rfc3339(item.at);
        let customer = &item.customer;
        format!(
            "the usage record of `{customer}`, {at}, names no user: STS did not answer during that \
             deployment, and the credentials of now may be another person's"
        )
    });
    Ok((record, note))
}

//! Uploads what earlier deployments spooled: for `deploy` within its deadline, and for `replay`.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::chain::claim::ChainClaim;
use crate::deployment::upload::config::{UploadMode, upload_config};
use crate::deployment::upload::record::upload_claimed_record;
use crate::error::Error;
use crate::output::sanitize::count_noun;
use crate::record::{ChainLink, UsageRecord};
use crate::s3::store::{BucketTarget, ObjectEncryption, ObjectStore, RequestTimeouts};
use crate::state::dirs::StateDirs;
use crate::state::quarantine;
use crate::state::spool::{ITEM_SUFFIX, Spool, SpoolEntry, SpoolReadError};
use crate::state::spool_file::SpoolItemKind;

const STATUS_HINT: &str = "run `config-backup status`";

/// The result of a replay.
#[derive(Debug, Default)]
pub(crate) struct ReplayReport {
    /// The number of uploaded items.
    pub sent: usize,
    /// The number of items that are still in the spool.
    pub remaining: usize,
    /// The number of files that were moved into the quarantine.
    pub quarantined: usize,
    /// Why items remain, one phrase each. Only the first phrase if the network fails.
    pub problems: Vec<String>,
    /// The first error of AWS or of the network, for the exit code.
    pub first_error: Option<Error>,
}

/// A bucket that is open already.
#[derive(Clone, Copy)]
pub(crate) struct OpenBucket<'a> {
    pub store: &'a ObjectStore,
    pub target: &'a BucketTarget,
}

/// What a replay works with.
pub(crate) struct SpoolReplay<'a> {
    pub state_dirs: &'a StateDirs,
    pub open_bucket: Option<OpenBucket<'a>>,
    /// The items of this deployment were tried just now, so the replay skips them.
    pub running_deployment_id: Option<&'a str>,
    /// Replaces the encryption of each item.
    pub encryption: Option<ObjectEncryption>,
    pub time_limit: Duration,
}

/// What the policies of buckets demand of uploads without an encryption, by the bucket's name.
type DemandedEncryptions = HashMap<String, ObjectEncryption>;

impl ReplayReport {
    fn add_remaining(&mut self, problem: String) {
        self.problems.push(problem);
        self.remaining += 1;
    }

    fn quarantine_file(&mut self, path: &Path, reason: &str) {
        let source = path.display();
        match quarantine::quarantine_file(path) {
            Ok(target) => {
                let target = target.display();
                self.problems.push(format!(
                    "cannot upload `{source}`: {reason}; moved to `{target}`"
                ));
                self.quarantined += 1;
            }
            Err(error) => self.add_remaining(format!(
                "cannot upload `{source}`: {reason}; cannot move it into the quarantine: {error}"
            )),
        }
    }

    fn add_read_error(&mut self, path: &Path, error: SpoolReadError) {
        match error {
            SpoolReadError::Damaged(reason) => self.quarantine_file(path, &reason),
            SpoolReadError::Unreadable(error) => self.add_remaining(error.to_string()),
        }
    }

    /// One phrase for a deployment's answer. `None` if nothing remains.
    pub(crate) fn remaining_note(&self) -> Option<String> {
        let first = self.problems.first()?;
        let count = self.remaining + self.quarantined;
        Some(match count {
            0 | 1 => format!("1 upload of earlier deployments failed: {first}"),
            _ => format!("{count} uploads of earlier deployments failed: {first}; {STATUS_HINT}"),
        })
    }
}

/// The note about queued uploads of earlier deployments, for the case that the deadline leaves no
/// time for them.
pub(crate) fn queued_uploads_note(
    state_dirs: &StateDirs,
    running_deployment_id: &str,
) -> Option<String> {
    let own_suffix = format!("-{running_deployment_id}{ITEM_SUFFIX}");
    let mut count = 0;
    for path in Spool::new(state_dirs).list().items {
        if !path.to_string_lossy().ends_with(&own_suffix) {
            count += 1;
        }
    }
    if count == 0 {
        return None;
    }
    let uploads = count_noun(count, "upload");
    Some(format!(
        "{uploads} of earlier deployments still queued (deadline reached); {STATUS_HINT}"
    ))
}

impl SpoolReplay<'_> {
    /// Uploads all spooled items, oldest first. Skips items that another process works on, and
    /// moves files that are not items into the quarantine.
    pub(crate) async fn run(&self) -> ReplayReport {
        let deadline = Instant::now() + self.time_limit;
        let contents = Spool::new(self.state_dirs).list();
        let mut report = ReplayReport::default();
        for error in &contents.errors {
            report.add_remaining(error.to_string());
        }
        for path in &contents.foreign {
            report.quarantine_file(path, "not a spool file");
        }

        let mut demanded = DemandedEncryptions::default();
        let mut unvisited = contents.items.len();
        for path in &contents.items {
            unvisited -= 1;
            let entry = match Spool::lock_item(path) {
                Ok(Some(entry)) if !self.is_of_running_deployment(&entry) => entry,
                Ok(_) => continue,
                Err(error) => {
                    report.add_read_error(path, error);
                    continue;
                }
            };
            let time_left = deadline.saturating_duration_since(Instant::now());
            let Err(error) = self.upload_item(entry, time_left, &mut demanded).await else {
                report.sent += 1;
                continue;
            };
            report.add_remaining(format!("cannot upload `{}`: {error}", path.display()));
            let is_network_error = error.is_network_error();
            report.first_error.get_or_insert(error);
            if is_network_error {
                // Further requests would only cost time.
                report.remaining += unvisited;
                break;
            }
        }
        report
    }

    fn is_of_running_deployment(&self, entry: &SpoolEntry) -> bool {
        self.running_deployment_id == Some(entry.item.deployment_id.as_str())
    }

    async fn upload_item(
        &self,
        entry: SpoolEntry,
        time_left: Duration,
        demanded: &mut DemandedEncryptions,
    ) -> Result<(), Error> {
        if let Some(store) = self.find_open_store(&entry) {
            self.upload_to(store, &entry).await?;
        } else {
            let timeouts = RequestTimeouts::for_body(entry.body.len(), time_left);
            let mut target = entry.item.target.clone();
            target.encryption = self.find_encryption(&target, demanded);
            let store = ObjectStore::open(&target, timeouts).await?;
            let uploaded = self.upload_to(&store, &entry).await;
            if let Some(encryption) = store.demanded_encryption() {
                demanded.insert(target.bucket, encryption.clone());
            }
            uploaded?;
        }
        entry.remove()
    }

    /// The encryption of an item for this target.
    fn find_encryption(
        &self,
        target: &BucketTarget,
        demanded: &DemandedEncryptions,
    ) -> Option<ObjectEncryption> {
        let set = self.encryption.as_ref().or(target.encryption.as_ref());
        set.or_else(|| demanded.get(&target.bucket)).cloned()
    }

    /// The open bucket, if it is the item's bucket.
    fn find_open_store(&self, entry: &SpoolEntry) -> Option<&ObjectStore> {
        let OpenBucket { store, target } = self.open_bucket?;
        let item_target = &entry.item.target;
        // An item without a profile belongs to a config that named none. The credentials of the
        // running deployment may upload it.
        let has_no_profile = item_target.profile.is_empty();
        let is_same_bucket = item_target.bucket == target.bucket;
        // An item without an encryption of its own gets that of the running deployment.
        let encryption = item_target.encryption.as_ref();
        let has_other_encryption = encryption.is_some() && encryption != target.encryption.as_ref();
        let is_same_target = BucketTarget {
            encryption: target.encryption.clone(),
            ..item_target.clone()
        } == *target;
        if has_other_encryption {
            None
        } else if is_same_target || (is_same_bucket && has_no_profile) {
            Some(store)
        } else {
            None
        }
    }

    async fn upload_to(&self, store: &ObjectStore, entry: &SpoolEntry) -> Result<(), Error> {
        let item = &entry.item;
        match item.kind {
            SpoolItemKind::Config => {
                upload_config(store, item, &entry.body, UploadMode::Replay).await
            }
            SpoolItemKind::Record => {
                let record = load_replayed_record(store, &entry.body).await?;
                let make_line = |link: ChainLink| match record {
                    Some(record) => record.to_chained_line(link),
                    // A record that we cannot parse is uploaded unchanged.
                    None => entry.body.clone(),
                };
                let claim = ChainClaim::acquire(
                    self.state_dirs,
                    &store.bucket_identity(),
                    &item.customer,
                    &item.deployment_id,
                );
                upload_claimed_record(store, claim, item, make_line).await?;
                Ok(())
            }
        }
    }
}

/// The spooled record, marked as late. If STS did not answer during the deployment, asks it who
/// deployed: the profile and the machine are the same. Returns `None` if the record cannot be
/// parsed.
async fn load_replayed_record(
    store: &ObjectStore,
    body: &[u8],
) -> Result<Option<UsageRecord>, Error> {
    let Ok(mut record) = serde_json::from_slice::<UsageRecord>(body) else {
        return Ok(None);
    };
    if record.user.is_empty() {
        let identity = store.get_caller_identity().await?;
        record.user = identity.arn;
        record.user_id = identity.user_id;
        record.account = identity.account;
    }
    record.late = true;
    Ok(Some(record))
}

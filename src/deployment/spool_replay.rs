//! Sends what earlier deployments had to keep. Shared by `deploy`, within its deadline, and by `replay`, by hand.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::chain::claim::ChainClaim;
use crate::deployment::upload::{self, UploadMode, UploadedRecord};
use crate::error::Error;
use crate::record::{ChainLink, UsageRecord};
use crate::s3::store::{BucketTarget, ObjectStore, RequestTimeouts};
use crate::state::dirs::StateDirs;
use crate::state::quarantine;
use crate::state::spool::{ITEM_SUFFIX, Spool, SpoolEntry, SpoolReadError};
use crate::state::spool_file::{SpoolItem, SpoolItemKind};

/// How a replay went.
#[derive(Debug, Default)]
pub struct ReplayReport {
    /// How many things were sent.
    pub sent: usize,
    /// Why things are left; one phrase each, but only the first where the network is dead.
    pub problems: Vec<String>,
    /// How many things are left to be sent.
    pub remaining: usize,
    /// How many things were found in the spool that are no items, and are in the quarantine now.
    pub quarantined: usize,
    /// The first fault of AWS or the network, for the exit code.
    pub first_error: Option<Error>,
}

impl ReplayReport {
    fn add_remaining(&mut self, problem: String) {
        self.problems.push(problem);
        self.remaining += 1;
    }

    fn quarantine_item(&mut self, path: &Path, why: &str) {
        let here = path.display();
        match quarantine::quarantine_file(path) {
            Ok(there) => {
                self.problems.push(format!(
                    "`{here}` cannot be sent ({why}) and is moved to `{}`",
                    there.display()
                ));
                self.quarantined += 1;
            }
            Err(error) => self.add_remaining(format!(
                "`{here}` cannot be sent ({why}), nor be moved into the quarantine: {error}"
            )),
        }
    }

    /// What a deployment says of what is left, in one phrase however much it is.
    #[must_use]
    pub fn remaining_note(&self) -> Option<String> {
        let first = self.problems.first()?;
        let more = match (self.remaining + self.quarantined).saturating_sub(1) {
            0 => String::new(),
            more => format!(" (and {more} more; `config-backup status` shows all)"),
        };
        Some(format!(
            "something of an earlier deployment is left: {first}{more}"
        ))
    }
}

/// What to say of what earlier deployments than `except` kept, as long as none of it is sent.
#[must_use]
pub fn queued_uploads_note(places: &StateDirs, except: &str) -> Option<String> {
    let ours = format!("-{except}{ITEM_SUFFIX}");
    let items = Spool::new(places).list().items;
    let left = items
        .iter()
        .filter(|path| !path.to_string_lossy().ends_with(&ours))
        .count();
    let text = format!(
        "something of an earlier deployment is left: no time was left to send it ({left} in all; see `config-backup status`)"
    );
    (left > 0).then_some(text)
}

/// Sends all that is kept, oldest first, for at most `limit`. `open` is a bucket that is open already; what the
/// deployment `except` kept was tried just now and waits for the next one. An item that another process works on is passed by. What is no item
/// is set aside, and named once.
pub async fn replay_spooled_items(
    places: &StateDirs,
    open: Option<(&ObjectStore, &BucketTarget)>,
    limit: Duration,
    except: &str,
) -> ReplayReport {
    let until = Instant::now() + limit;
    let contents = Spool::new(places).list();
    let mut late = ReplayReport::default();
    contents
        .errors
        .iter()
        .for_each(|fault| late.add_remaining(fault.to_string()));
    contents
        .foreign
        .iter()
        .for_each(|path| late.quarantine_item(path, "it is not of ours"));
    for (index, path) in contents.items.iter().enumerate() {
        let kept = match Spool::lock_item(path) {
            Ok(Some(kept)) if kept.item.deployment_id != except => kept,
            Ok(_) => continue,
            Err(SpoolReadError::Damaged(why)) => {
                late.quarantine_item(path, &why);
                continue;
            }
            Err(SpoolReadError::Unreadable(fault)) => {
                late.add_remaining(fault.to_string());
                continue;
            }
        };
        let left = until.saturating_duration_since(Instant::now());
        match replay_item(places, open, kept, left).await {
            Ok(()) => late.sent += 1,
            Err(fault) => {
                late.add_remaining(format!("`{}` is not sent yet: {fault}", path.display()));
                let dead = fault.is_network_error();
                late.first_error.get_or_insert(fault);
                if dead {
                    late.remaining += contents.items.len() - index - 1;
                    break;
                }
            }
        }
    }
    late
}

async fn replay_item(
    places: &StateDirs,
    open: Option<(&ObjectStore, &BucketTarget)>,
    kept: SpoolEntry,
    left: Duration,
) -> Result<(), Error> {
    let patience = RequestTimeouts::for_body(kept.body.len(), left);
    let opened;
    let store = match open {
        // An item without a profile is of a config that named none: whoever deploys from this machine now may send it.
        Some((store, target))
            if *target == kept.item.target
                || (target.bucket == kept.item.target.bucket
                    && kept.item.target.profile.is_empty()) =>
        {
            store
        }
        _ => {
            opened = ObjectStore::open(&kept.item.target, patience).await?;
            &opened
        }
    };
    match kept.item.what {
        SpoolItemKind::Config => {
            upload::upload_config(store, &kept.item, &kept.body, UploadMode::Replay).await?;
        }
        SpoolItemKind::Record => {
            let line = make_replayed_line(store, &kept.body).await?;
            let claim = ChainClaim::acquire(
                places,
                &store.bucket_identity(),
                &kept.item.customer,
                &kept.item.deployment_id,
            );
            upload_claimed_record(store, claim, &kept.item, line)
                .await
                .map(drop)?;
        }
    }
    kept.remove()
}

/// The record as it is sent late, in its place in a chain. Who deployed is asked now if STS could not say then: the profile
/// is the same, and so is the machine.
async fn make_replayed_line(
    store: &ObjectStore,
    body: &[u8],
) -> Result<impl FnOnce(ChainLink) -> Vec<u8>, Error> {
    let mut record = serde_json::from_slice::<UsageRecord>(body).ok();
    if let Some(record) = &mut record {
        if record.user.is_empty() {
            let identity = store.get_caller_identity().await?;
            (record.user, record.user_id, record.account) =
                (identity.arn, identity.user_id, identity.account);
        }
        record.late = true;
    }
    // What we cannot read is not ours to change.
    Ok(move |chain| record.map_or_else(|| body.to_vec(), |record| record.to_chained_line(chain)))
}

/// Sends a record, which `line` gives for its place in a chain; gives its key, and what to say of a seal that is missing.
pub async fn upload_claimed_record(
    store: &ObjectStore,
    mut claim: ChainClaim,
    item: &SpoolItem,
    line: impl FnOnce(ChainLink) -> Vec<u8>,
) -> Result<(String, Option<String>), Error> {
    // Where it is not known whether the bucket has the record, its place stays taken until a replay has found out.
    let UploadedRecord {
        key,
        chain_head: end,
        seal_error: unsealed,
    } = upload::put_record_and_seal(store, item, &line(claim.next_link()), &mut claim).await?;
    claim.release(end);
    let note = unsealed.map(|fault| {
        format!("the deployment is logged, but nothing vouches for the record yet: {fault}")
    });
    Ok((key, note))
}

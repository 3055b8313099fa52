//! Sends what earlier deployments had to keep. Shared by `deploy`, within its deadline, and by `replay`, by hand.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::aws::{Patience, Store, Target};
use crate::claims::Claim;
use crate::deliver::{self, Delivered, When};
use crate::fault::Fault;
use crate::item::{Item, What};
use crate::places::Places;
use crate::quarantine;
use crate::record::{Chain, Record};
use crate::spool::{Kept, Refused, SUFFIX, Spool};

/// How a replay went.
#[derive(Debug, Default)]
pub struct Late {
    /// How many things were sent.
    pub sent: usize,
    /// Why things are left; one phrase each, but only the first where the network is dead.
    pub problems: Vec<String>,
    /// How many things are left to be sent.
    pub left: usize,
    /// How many things were found in the spool that are no items, and are in the quarantine now.
    pub set_aside: usize,
    /// The first fault of AWS or the network, for the exit code.
    pub fault: Option<Fault>,
}

impl Late {
    fn leave(&mut self, problem: String) {
        self.problems.push(problem);
        self.left += 1;
    }

    fn set_aside(&mut self, path: &Path, why: &str) {
        let here = path.display();
        match quarantine::set_aside(path) {
            Ok(there) => {
                self.problems.push(format!("`{here}` cannot be sent ({why}) and is moved to `{}`", there.display()));
                self.set_aside += 1;
            }
            Err(error) => self.leave(format!("`{here}` cannot be sent ({why}), nor be moved into the quarantine: {error}")),
        }
    }

    /// What a deployment says of what is left, in one phrase however much it is.
    #[must_use]
    pub fn what_is_left(&self) -> Option<String> {
        let first = self.problems.first()?;
        let more = match (self.left + self.set_aside).saturating_sub(1) {
            0 => String::new(),
            more => format!(" (and {more} more; `config-backup status` shows all)"),
        };
        Some(format!("something of an earlier deployment is left: {first}{more}"))
    }
}

/// What to say of what earlier deployments than `except` kept, as long as none of it is sent.
#[must_use]
pub fn waiting(places: &Places, except: &str) -> Option<String> {
    let ours = format!("-{except}{SUFFIX}");
    let items = Spool::new(places).look().items;
    let left = items.iter().filter(|path| !path.to_string_lossy().ends_with(&ours)).count();
    let text =
        format!("something of an earlier deployment is left: no time was left to send it ({left} in all; see `config-backup status`)");
    (left > 0).then_some(text)
}

/// Sends all that is kept, oldest first, for at most `limit`. `open` is a bucket that is open already; what the
/// deployment `except` kept was tried just now and waits for the next one. An item that another process works on is passed by. What is no item
/// is set aside, and named once.
pub async fn send(places: &Places, open: Option<(&Store, &Target)>, limit: Duration, except: &str) -> Late {
    let until = Instant::now() + limit;
    let contents = Spool::new(places).look();
    let mut late = Late::default();
    contents.faults.iter().for_each(|fault| late.leave(fault.to_string()));
    contents.foreign.iter().for_each(|path| late.set_aside(path, "it is not of ours"));
    for (index, path) in contents.items.iter().enumerate() {
        let kept = match Spool::take(path) {
            Ok(Some(kept)) if kept.item.deployment_id != except => kept,
            Ok(_) => continue,
            Err(Refused::Damaged(why)) => {
                late.set_aside(path, &why);
                continue;
            }
            Err(Refused::Unreadable(fault)) => {
                late.leave(fault.to_string());
                continue;
            }
        };
        let left = until.saturating_duration_since(Instant::now());
        match send_one(places, open, kept, left).await {
            Ok(()) => late.sent += 1,
            Err(fault) => {
                late.leave(format!("`{}` is not sent yet: {fault}", path.display()));
                let dead = fault.is_dead_network();
                late.fault.get_or_insert(fault);
                if dead {
                    late.left += contents.items.len() - index - 1;
                    break;
                }
            }
        }
    }
    late
}

async fn send_one(places: &Places, open: Option<(&Store, &Target)>, kept: Kept, left: Duration) -> Result<(), Fault> {
    let patience = Patience::for_body(kept.body.len(), left);
    let opened;
    let store = match open {
        // An item without a profile is of a config that named none: whoever deploys from this machine now may send it.
        Some((store, target))
            if *target == kept.item.target || (target.bucket == kept.item.target.bucket && kept.item.target.profile.is_empty()) =>
        {
            store
        }
        _ => {
            opened = Store::open(&kept.item.target, patience).await?;
            &opened
        }
    };
    match kept.item.what {
        What::Config => deliver::config(store, &kept.item, &kept.body, When::Late).await?,
        What::Record => {
            let line = late_line(store, &kept.body).await?;
            let claim = Claim::take(places, &store.place(), &kept.item.customer, &kept.item.deployment_id);
            record(store, claim, &kept.item, line).await.map(drop)?;
        }
    }
    kept.done()
}

/// The record as it is sent late, in its place in a chain. Who deployed is asked now if STS could not say then: the profile
/// is the same, and so is the machine.
async fn late_line(store: &Store, body: &[u8]) -> Result<impl FnOnce(Chain) -> Vec<u8>, Fault> {
    let mut record = serde_json::from_slice::<Record>(body).ok();
    if let Some(record) = &mut record {
        if record.user.is_empty() {
            let identity = store.identity().await?;
            (record.user, record.user_id, record.account) = (identity.arn, identity.user_id, identity.account);
        }
        record.late = true;
    }
    // What we cannot read is not ours to change.
    Ok(move |chain| record.map_or_else(|| body.to_vec(), |record| record.to_line_in(chain)))
}

/// Sends a record, which `line` gives for its place in a chain; gives its key, and what to say of a seal that is missing.
pub async fn record(
    store: &Store,
    mut claim: Claim,
    item: &Item,
    line: impl FnOnce(Chain) -> Vec<u8>,
) -> Result<(String, Option<String>), Fault> {
    // Where it is not known whether the bucket has the record, its place stays taken until a replay has found out.
    let Delivered { key, end, unsealed } = deliver::record(store, item, &line(claim.link()), &mut claim).await?;
    claim.give_back(end);
    let note = unsealed.map(|fault| format!("the deployment is logged, but nothing vouches for the record yet: {fault}"));
    Ok((key, note))
}

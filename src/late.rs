//! Sends what earlier deployments had to keep. Shared by `log`, within its deadline, and by `replay`, by hand.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::aws::{Patience, Store, Target};
use crate::deliver::{self, When};
use crate::fault::Fault;
use crate::record::Record;
use crate::spool::{Kept, Spool, What};

/// How a replay went.
#[derive(Debug, Default)]
pub struct Late {
    /// How many things were sent.
    pub sent: usize,
    /// Why things are left; one phrase each, but only the first where the network is dead.
    pub problems: Vec<String>,
    /// How many things are left.
    pub left: usize,
    /// The first fault of AWS or the network, for the exit code.
    pub fault: Option<Fault>,
}

impl Late {
    /// What a deployment says of what is left, in one phrase however much it is.
    #[must_use]
    pub fn what_is_left(&self) -> Option<String> {
        let first = self.problems.first()?;
        let more = match self.left.saturating_sub(1) {
            0 => String::new(),
            more => format!(" (and {more} more; `config-backup replay` names them)"),
        };
        Some(format!("something of an earlier deployment is left: {first}{more}"))
    }
}

/// Sends all that is kept, oldest first, for at most `limit`. `open` is a bucket that is open already; what the
/// deployment `except` kept was tried just now and waits for the next one.
pub async fn send(state: Option<&Path>, open: Option<(&Store, &Target)>, limit: Duration, except: &str) -> Late {
    let until = Instant::now() + limit;
    let mut late = Late::default();
    let files = match Spool::open(state).and_then(|spool| spool.files()) {
        Ok(files) => files,
        Err(fault) => return Late { problems: vec![fault.to_string()], ..late },
    };
    for (index, path) in files.iter().enumerate() {
        let kept = match Spool::take(path) {
            Ok(Some(kept)) if kept.item.deployment_id != except => kept,
            Ok(_) => continue,
            Err(fault) => {
                late.left += 1;
                late.problems.push(format!("{fault}; it stays there"));
                continue;
            }
        };
        let left = until.saturating_duration_since(Instant::now());
        match send_one(open, kept, left).await {
            Ok(()) => late.sent += 1,
            Err(fault) => {
                late.problems.push(format!("`{}` is not sent yet: {fault}", path.display()));
                late.left += 1;
                let dead = fault.is_dead_network();
                late.fault.get_or_insert(fault);
                if dead {
                    late.left += files.len() - index - 1;
                    break;
                }
            }
        }
    }
    late
}

async fn send_one(open: Option<(&Store, &Target)>, kept: Kept, left: Duration) -> Result<(), Fault> {
    let patience = Patience { operation: left, attempt: left.min(Duration::from_secs(10)), attempts: 3 };
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
        What::Config => deliver::config(store, &kept.item, &kept.body, When::Late).await.map(drop)?,
        What::Record => {
            let line = late_line(store, &kept.body).await?;
            deliver::record(store, &kept.item, &line).await.map(drop)?;
        }
    }
    kept.done()
}

/// The record as it is sent late. Who deployed is asked now if STS could not say then: the profile is the same, and
/// so is the machine.
async fn late_line(store: &Store, body: &[u8]) -> Result<Vec<u8>, Fault> {
    let Ok(mut record) = serde_json::from_slice::<Record>(body) else { return Ok(body.to_vec()) };
    if record.user.is_empty() {
        let identity = store.identity().await?;
        (record.user, record.user_id, record.account) = (identity.arn, identity.user_id, identity.account);
    }
    record.late = true;
    Ok(record.to_line())
}

//! The config of a running deployment on its way: from what is known of it, into the bucket, and out of the spool.
//!
//! In two parts, so that the usage record can be sent together with the second one: what the record says of the config is known
//! once the history copy is there, and the config is forgotten on this machine once `config.yaml` is. Must not keep anything
//! itself, nor write the record.

use crate::aws::{Store, Target};
use crate::config::{Config, Subject};
use crate::deliver::{self, Brought, When};
use crate::deployment::{Run, unreadable, unsent};
use crate::fault::Fault;
use crate::item::Item;
use crate::journal;
use crate::record::Backup;
use crate::spool::Kept;

/// A config that is to be uploaded.
#[derive(Debug)]
pub struct Waiting {
    /// What it is.
    pub item: Item,
    /// Where it is kept, or why it could not be.
    pub kept: Result<Kept, Fault>,
    /// Whether to look before.
    pub when: When,
}

/// A config whose history copy is sent, or need not be, or cannot.
#[derive(Debug)]
pub struct Sent {
    /// What became of it, as the usage record has it.
    pub told: journal::Config,
    /// What is left to do.
    left: Option<(Waiting, Brought)>,
}

impl Sent {
    fn told(told: journal::Config) -> Self {
        Self { told, left: None }
    }
}

/// Uploads a copy of the config where the bucket has another one: of the one that waits, or of what turns out to be missing although
/// the plan found it.
pub async fn send(
    run: &Run,
    store: Result<&Store, &Fault>,
    target: &Target,
    config: &Result<Config, Fault>,
    subject: &Subject,
    waiting: Option<Waiting>,
) -> Sent {
    let config = match config {
        Ok(config) => config,
        Err(fault) => return Sent::told(unreadable(fault.clone())),
    };
    if let Some(waiting) = waiting {
        return upload(run, store, config, waiting).await;
    }
    if let Some(told) = sent_before(run, config) {
        return Sent::told(told.clone());
    }
    // In step at plan time: the bucket had these bytes, so there is nothing to keep before asking once more.
    if run.in_step_at_plan(config) {
        let version = match store {
            Ok(store) => run.in_time(deliver::in_step(store, &subject.customer, &config.digests)).await,
            Err(fault) => Err(fault.clone()),
        };
        let in_step =
            |backup, key: &String| Sent::told(journal::Config { backup, key: key.clone(), md5: config.digests.md5.clone(), fault: None });
        match version {
            Ok(Some(version)) => return in_step(version.backup(&run.query.deployment_id), &version.key),
            Err(_) => return in_step(Backup::Unchanged, &run.query.backup_key),
            Ok(None) => {}
        }
    }
    let (item, kept) = run.keep_config(config, subject, target);
    upload(run, store, config, Waiting { item, kept, when: When::Now }).await
}

/// What an earlier run of this step told of these very bytes, if it has sent them.
#[must_use]
pub fn sent_before<'a>(run: &'a Run, config: &Config) -> Option<&'a journal::Config> {
    run.journal.config.as_ref().filter(|told| told.fault.is_none() && told.md5 == config.digests.md5)
}

async fn upload(run: &Run, store: Result<&Store, &Fault>, config: &Config, waiting: Waiting) -> Sent {
    let Waiting { item, kept, when } = &waiting;
    let brought = match store {
        Ok(store) => run.in_time(deliver::copy(store, item, &config.bytes, *when)).await,
        Err(fault) => Err(fault.clone()),
    };
    match brought {
        Ok(brought) => {
            let told = journal::Config { backup: brought.backup, key: brought.key.clone(), md5: item.md5.clone(), fault: None };
            Sent { told, left: Some((waiting, brought)) }
        }
        Err(fault) => Sent::told(unsent(item, kept, fault)),
    }
}

/// Uploads `config.yaml` behind its copy and forgets both on this machine; gives what became of the config in the end.
pub async fn finish(run: &Run, store: Result<&Store, &Fault>, config: &Result<Config, Fault>, sent: Sent) -> journal::Config {
    if let (Some((Waiting { item, kept, .. }, brought)), Ok(store), Ok(config)) = (sent.left, store, config)
        && let Err(fault) = run.in_time(deliver::current(store, &item, &config.bytes, &brought)).await
    {
        return unsent(&item, &kept, fault);
    }
    if sent.told.fault.is_none() {
        run.forget_configs();
    }
    sent.told
}

//! The upload of a deployment's config: a copy for the history first, then `config.yaml`.
//!
//! In two parts, so that the usage record is sent together with the second one: the record names the copy, which exists
//! then. The config leaves the spool once `config.yaml` is stored. Must not write the record.

use crate::aws::{Store, Target};
use crate::config::{Config, Subject};
use crate::deliver::{self, Brought, When};
use crate::deployment::Deployment;
use crate::fault::Fault;
use crate::item::Item;
use crate::layout;
use crate::outcome::{ConfigOutcome, UploadFailure};
use crate::record::Backup;
use crate::spool::Kept;

/// A config that is to be uploaded.
#[derive(Debug)]
pub struct PendingConfig {
    /// The upload.
    pub item: Item,
    /// Where it is spooled, or why it is not.
    pub spooled: Result<Kept, Fault>,
    /// Whether to ask the bucket first.
    pub when: When,
}

/// A config after the first part of its upload.
#[derive(Debug)]
pub struct ConfigUpload {
    /// Its state, as the usage record has it.
    pub outcome: ConfigOutcome,
    /// What the second part has to do.
    rest: Option<(PendingConfig, Brought)>,
}

impl ConfigUpload {
    fn ended(outcome: ConfigOutcome) -> Self {
        Self { outcome, rest: None }
    }
}

impl PendingConfig {
    /// The state before the upload.
    #[must_use]
    pub fn outcome(&self) -> ConfigOutcome {
        unsent(&self.item, &self.spooled, UploadFailure::pending(&self.spooled))
    }
}

/// Uploads the copy of `pending`, or, where the plan found the config in the bucket, confirms that it is still there.
pub async fn upload_copy(
    deployment: &Deployment,
    store: Result<&Store, &Fault>,
    target: &Target,
    config: &Result<Config, Fault>,
    subject: &Subject,
    pending: Option<PendingConfig>,
) -> ConfigUpload {
    let config = match config {
        Ok(config) => config,
        Err(fault) => return ConfigUpload::ended(ConfigOutcome::unreadable(fault.clone())),
    };
    if let Some(pending) = pending {
        return upload_pending_copy(deployment, store, config, pending).await;
    }
    // The bucket had these bytes at plan, so nothing is spooled before it is asked again.
    let version = match store {
        Ok(store) => deployment.within_deadline(deliver::in_step(store, &subject.customer, &config.digests)).await,
        Err(fault) => Err(fault.clone()),
    };
    match version {
        Ok(Some(version)) => ConfigUpload::ended(stored(version.backup(deployment.id()), version.key, config)),
        Err(_) => ConfigUpload::ended(stored(Backup::Unchanged, deployment.query.backup_key.clone(), config)),
        Ok(None) => {
            let (item, spooled) = deployment.enqueue_config(config, subject, target);
            upload_pending_copy(deployment, store, config, PendingConfig { item, spooled, when: When::Now }).await
        }
    }
}

fn stored(backup: Backup, key: String, config: &Config) -> ConfigOutcome {
    ConfigOutcome { backup, key, md5: config.digests.md5.clone(), failure: None }
}

async fn upload_pending_copy(
    deployment: &Deployment,
    store: Result<&Store, &Fault>,
    config: &Config,
    pending: PendingConfig,
) -> ConfigUpload {
    let PendingConfig { item, spooled, when } = &pending;
    let copied = match store {
        Ok(store) => deployment.within_deadline(deliver::copy(store, item, &config.bytes, *when)).await,
        Err(fault) => Err(fault.clone()),
    };
    match copied {
        Ok(copied) => ConfigUpload { outcome: stored(copied.backup, copied.key.clone(), config), rest: Some((pending, copied)) },
        Err(fault) => ConfigUpload::ended(unsent(item, spooled, UploadFailure::failed(fault, spooled))),
    }
}

/// Uploads `config.yaml` behind its copy and removes both from the spool; returns the state of the config.
pub async fn upload_current(
    deployment: &Deployment,
    store: Result<&Store, &Fault>,
    config: &Result<Config, Fault>,
    upload: ConfigUpload,
) -> ConfigOutcome {
    if let (Some((PendingConfig { item, spooled, .. }, copied)), Ok(store), Ok(config)) = (upload.rest, store, config)
        && let Err(fault) = deployment.within_deadline(deliver::current(store, &item, &config.bytes, &copied)).await
    {
        return unsent(&item, &spooled, UploadFailure::failed(fault, &spooled));
    }
    if upload.outcome.failure.is_none() {
        deployment.forget_configs();
    }
    upload.outcome
}

fn unsent(item: &Item, spooled: &Result<Kept, Fault>, failure: UploadFailure) -> ConfigOutcome {
    let backup = if spooled.is_ok() { Backup::Spooled } else { Backup::Failed };
    let key = layout::history_key(&item.customer, item.at, &item.md5);
    ConfigOutcome { backup, key, md5: item.md5.clone(), failure: Some(failure) }
}

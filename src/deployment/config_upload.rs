//! The upload of a deployment's config: a copy for the history first, then `config.yaml`.
//!
//! In two parts, so that the usage record is sent together with the second one: the record names the copy, which exists
//! then. The config leaves the spool once `config.yaml` is stored. Must not write the record.

use crate::config::file::ConfigFile;
use crate::deployment::outcome::{ConfigOutcome, UploadFailure};
use crate::deployment::running::RunningDeployment;
use crate::deployment::subject::DeploymentSubject;
use crate::deployment::upload::{self, UploadMode, UploadedCopy};
use crate::error::Error;
use crate::keys;
use crate::record::BackupStatus;
use crate::s3::store::{BucketTarget, ObjectStore};
use crate::state::spool::SpoolEntry;
use crate::state::spool_file::SpoolItem;

/// A config that is to be uploaded.
#[derive(Debug)]
pub struct PendingConfig {
    /// The upload.
    pub item: SpoolItem,
    /// Where it is spooled, or why it is not.
    pub spooled: Result<SpoolEntry, Error>,
    /// Whether to ask the bucket first.
    pub mode: UploadMode,
}

/// A config after the first part of its upload.
#[derive(Debug)]
pub struct ConfigUpload {
    /// Its state, as the usage record has it.
    pub outcome: ConfigOutcome,
    /// What the second part has to do.
    remaining: Option<(PendingConfig, UploadedCopy)>,
}

impl ConfigUpload {
    fn finished(outcome: ConfigOutcome) -> Self {
        Self {
            outcome,
            remaining: None,
        }
    }
}

impl PendingConfig {
    /// The state before the upload.
    #[must_use]
    pub fn outcome(&self) -> ConfigOutcome {
        unsent_outcome(
            &self.item,
            &self.spooled,
            UploadFailure::pending(&self.spooled),
        )
    }
}

/// Uploads the copy of `pending`, or, where the plan found the config in the bucket, confirms that it is still there.
pub async fn start_config_upload(
    deployment: &RunningDeployment,
    store: Result<&ObjectStore, &Error>,
    target: &BucketTarget,
    config: &Result<ConfigFile, Error>,
    subject: &DeploymentSubject,
    pending: Option<PendingConfig>,
) -> ConfigUpload {
    let config = match config {
        Ok(config) => config,
        Err(fault) => return ConfigUpload::finished(ConfigOutcome::unreadable(fault.clone())),
    };
    if let Some(pending) = pending {
        return upload_pending_copy(deployment, store, config, pending).await;
    }
    // The bucket had these bytes at plan, so nothing is spooled before it is asked again.
    let version = match store {
        Ok(store) => {
            deployment
                .within_deadline(upload::find_current_version(
                    store,
                    &subject.customer,
                    &config.digests,
                ))
                .await
        }
        Err(fault) => Err(fault.clone()),
    };
    match version {
        Ok(Some(version)) => ConfigUpload::finished(stored_outcome(
            version.backup_status(deployment.deployment_id()),
            version.key,
            config,
        )),
        Err(_) => ConfigUpload::finished(stored_outcome(
            BackupStatus::Unchanged,
            deployment.query.backup_key.clone(),
            config,
        )),
        Ok(None) => {
            let (item, spooled) = deployment.enqueue_config(config, subject, target);
            upload_pending_copy(
                deployment,
                store,
                config,
                PendingConfig {
                    item,
                    spooled,
                    mode: UploadMode::Deploy,
                },
            )
            .await
        }
    }
}

fn stored_outcome(backup: BackupStatus, key: String, config: &ConfigFile) -> ConfigOutcome {
    ConfigOutcome {
        backup,
        key,
        md5: config.digests.md5.clone(),
        failure: None,
    }
}

async fn upload_pending_copy(
    deployment: &RunningDeployment,
    store: Result<&ObjectStore, &Error>,
    config: &ConfigFile,
    pending: PendingConfig,
) -> ConfigUpload {
    let PendingConfig {
        item,
        spooled,
        mode: when,
    } = &pending;
    let copied = match store {
        Ok(store) => {
            deployment
                .within_deadline(upload::upload_history_copy(
                    store,
                    item,
                    &config.bytes,
                    *when,
                ))
                .await
        }
        Err(fault) => Err(fault.clone()),
    };
    match copied {
        Ok(copied) => ConfigUpload {
            outcome: stored_outcome(copied.backup, copied.key.clone(), config),
            remaining: Some((pending, copied)),
        },
        Err(fault) => ConfigUpload::finished(unsent_outcome(
            item,
            spooled,
            UploadFailure::failed(fault, spooled),
        )),
    }
}

/// Uploads `config.yaml` behind its copy and removes both from the spool; returns the state of the config.
pub async fn finish_config_upload(
    deployment: &RunningDeployment,
    store: Result<&ObjectStore, &Error>,
    config: &Result<ConfigFile, Error>,
    upload: ConfigUpload,
) -> ConfigOutcome {
    if let (Some((PendingConfig { item, spooled, .. }, copied)), Ok(store), Ok(config)) =
        (upload.remaining, store, config)
        && let Err(fault) = deployment
            .within_deadline(upload::upload_current_config(
                store,
                &item,
                &config.bytes,
                &copied,
            ))
            .await
    {
        return unsent_outcome(&item, &spooled, UploadFailure::failed(fault, &spooled));
    }
    if upload.outcome.failure.is_none() {
        deployment.remove_spooled_configs();
    }
    upload.outcome
}

fn unsent_outcome(
    item: &SpoolItem,
    spooled: &Result<SpoolEntry, Error>,
    failure: UploadFailure,
) -> ConfigOutcome {
    let backup = if spooled.is_ok() {
        BackupStatus::Spooled
    } else {
        BackupStatus::Failed
    };
    let key = keys::config_version_key(&item.customer, item.at, &item.md5);
    ConfigOutcome {
        backup,
        key,
        md5: item.md5.clone(),
        failure: Some(failure),
    }
}

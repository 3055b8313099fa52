//! The config's way into the bucket during a deployment: the history copy, then `config.yaml`.
//!
//! In two steps, because the usage record names the copy: once the copy is uploaded, the record
//! and `config.yaml` can be uploaded at the same time. Must not write the record.

use crate::config::file::ConfigFile;
use crate::deployment::outcome::{ConfigChange, ConfigOutcome, ConfigVersionId, UploadFailure};
use crate::deployment::running::RunningDeployment;
use crate::deployment::subject::DeploymentSubject;
use crate::deployment::upload::config::{
    UploadMode, UploadedCopy, find_current_version, upload_current_config, upload_history_copy,
};
use crate::error::Error;
use crate::keys;
use crate::s3::store::{BucketTarget, ObjectStore};
use crate::state::spool::SpoolEntry;
use crate::state::spool_file::SpoolItem;

const UNCONFIRMED_NOTE: &str = "the bucket had this config.yaml at plan and did not confirm it at \
                                apply; it stays spooled until a replay has looked again";

/// A config that is to be uploaded.
#[derive(Debug)]
pub(crate) struct PendingConfig {
    pub item: SpoolItem,
    pub spooled: Result<SpoolEntry, Error>,
    pub mode: UploadMode,
}

/// The state of the upload after its first step.
#[derive(Debug)]
pub(crate) enum ConfigUpload {
    /// The copy is uploaded, and `config.yaml` is still to be written.
    Copied {
        pending: Box<PendingConfig>,
        copy: UploadedCopy,
    },
    /// The plan found the config in the bucket, which has not confirmed it since.
    Unconfirmed {
        outcome: ConfigOutcome,
        is_spooled: bool,
    },
    /// Nothing is left to do.
    Ended(ConfigOutcome),
}

impl PendingConfig {
    /// The outcome before the upload.
    pub(crate) fn pending_outcome(&self) -> ConfigOutcome {
        self.not_stored(UploadFailure::pending(self.spool_error()))
    }

    fn failed_outcome(&self, cause: Error) -> ConfigOutcome {
        self.not_stored(UploadFailure::failed(cause, self.spool_error()))
    }

    fn not_stored(&self, failure: UploadFailure) -> ConfigOutcome {
        ConfigOutcome::NotStored {
            version: ConfigVersionId {
                key: keys::config_version_key(&self.item.customer, self.item.at, &self.item.md5),
                md5: self.item.md5.clone(),
            },
            is_spooled: self.spooled.is_ok(),
            failure,
        }
    }

    fn spool_error(&self) -> Option<&Error> {
        self.spooled.as_ref().err()
    }
}

impl ConfigUpload {
    /// The outcome as the usage record has it.
    pub(crate) fn outcome(&self) -> ConfigOutcome {
        match self {
            Self::Copied { pending, copy } => copied_outcome(pending, copy),
            Self::Unconfirmed { outcome, .. } | Self::Ended(outcome) => outcome.clone(),
        }
    }

    /// What the operator should know although nothing failed.
    pub(crate) fn note(&self) -> Option<String> {
        match self {
            Self::Unconfirmed {
                is_spooled: true, ..
            } => Some(UNCONFIRMED_NOTE.to_owned()),
            _ => None,
        }
    }

    /// Gives a better reason for a failure. Has no effect if there is none.
    pub(crate) fn replace_cause(&mut self, cause: &Error) {
        if let Self::Ended(outcome) = self {
            outcome.replace_cause(cause);
        }
    }
}

/// Uploads the history copy. If the plan found the config in the bucket, confirms that it is still
/// there instead.
pub(crate) async fn start_config_upload(
    deployment: &RunningDeployment,
    store: Result<&ObjectStore, &Error>,
    target: &BucketTarget,
    config: &Result<ConfigFile, Error>,
    subject: &DeploymentSubject,
    pending: Option<PendingConfig>,
) -> ConfigUpload {
    let config = match config {
        Ok(config) => config,
        Err(error) => return ConfigUpload::Ended(ConfigOutcome::Unreadable(error.clone())),
    };
    if let Some(pending) = pending {
        return upload_copy(deployment, store, config, pending).await;
    }

    // The plan found these bytes in the bucket, so nothing is spooled yet.
    let current = match store {
        Ok(store) => {
            let lookup = find_current_version(store, &subject.customer, &config.digests);
            deployment.within_deadline(lookup).await
        }
        Err(error) => Err(error.clone()),
    };
    match current {
        Ok(Some(version)) => {
            let change = version.change_by(deployment.deployment_id());
            ConfigUpload::Ended(stored_outcome(change, version.key, &config.digests.md5))
        }
        Ok(None) => {
            let (item, spooled) = deployment.enqueue_config(config, subject, target);
            let pending = PendingConfig {
                item,
                spooled,
                mode: UploadMode::Deploy,
            };
            upload_copy(deployment, store, config, pending).await
        }
        // Without an answer, that of the plan is the best one. The config stays spooled until the
        // bucket confirms it, because an older one may be sent late.
        Err(_) => {
            let spooled = deployment.enqueue_unconfirmed_config(config, subject, target);
            let key = deployment.stored_key_at_plan(config).unwrap_or_default();
            let md5 = &config.digests.md5;
            ConfigUpload::Unconfirmed {
                outcome: stored_outcome(ConfigChange::Unchanged, key.to_owned(), md5),
                is_spooled: spooled.is_ok(),
            }
        }
    }
}

async fn upload_copy(
    deployment: &RunningDeployment,
    store: Result<&ObjectStore, &Error>,
    config: &ConfigFile,
    pending: PendingConfig,
) -> ConfigUpload {
    let copied = match store {
        Ok(store) => {
            let upload = upload_history_copy(store, &pending.item, &config.bytes, pending.mode);
            deployment.within_deadline(upload).await
        }
        Err(error) => Err(error.clone()),
    };
    match copied {
        Ok(copy) => ConfigUpload::Copied {
            pending: Box::new(pending),
            copy,
        },
        Err(error) => ConfigUpload::Ended(pending.failed_outcome(error)),
    }
}

/// Writes `config.yaml` and removes the config from the spool.
pub(crate) async fn finish_config_upload(
    deployment: &RunningDeployment,
    store: Result<&ObjectStore, &Error>,
    config: &Result<ConfigFile, Error>,
    upload: ConfigUpload,
) -> ConfigOutcome {
    let outcome = match (upload, store, config) {
        (ConfigUpload::Copied { pending, copy }, Ok(store), Ok(config)) => {
            let upload = upload_current_config(store, &pending.item, &config.bytes, &copy);
            match deployment.within_deadline(upload).await {
                Ok(()) => copied_outcome(&pending, &copy),
                Err(error) => return pending.failed_outcome(error),
            }
        }
        (ConfigUpload::Unconfirmed { outcome, .. }, ..) => return outcome,
        (upload, ..) => upload.outcome(),
    };
    if outcome.is_stored() {
        deployment.remove_spooled_configs();
    }
    outcome
}

fn copied_outcome(pending: &PendingConfig, copy: &UploadedCopy) -> ConfigOutcome {
    stored_outcome(copy.change, copy.key.clone(), &pending.item.md5)
}

fn stored_outcome(change: ConfigChange, key: String, md5: &str) -> ConfigOutcome {
    ConfigOutcome::Stored {
        version: ConfigVersionId {
            key,
            md5: md5.to_owned(),
        },
        change,
    }
}

//! How far a running deployment has come: what is in the bucket, what is spooled, and why.
//!
//! In memory only. Everything starts as pending, so that a deployment that is cut short reports
//! what it had reached.

use crate::error::{Error, ErrorKind};
use crate::record::BackupStatus;
use crate::state::spool::SpoolEntry;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DeploymentOutcome {
    /// `None` until the config was read.
    pub config: Option<ConfigOutcome>,
    /// `None` until the deployment has begun.
    pub record: Option<RecordOutcome>,
    pub spool: SpoolLocations,
    /// Whether everything is spooled that can be. An interrupt ends the process only after that.
    pub is_spooled: bool,
    /// What the operator should know although it stopped nothing, one phrase each.
    pub notes: Vec<String>,
}

/// Where the deployment spooled items, even if they are uploaded by now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SpoolLocations {
    pub folders: Vec<String>,
    /// Why the primary state directory was not used, if it was not.
    pub primary_dir_error: Option<Error>,
}

/// The config of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ConfigOutcome {
    Unreadable(Error),
    /// The bucket has it.
    Stored {
        version: ConfigVersionId,
        change: ConfigChange,
    },
    /// The bucket does not have it, or not yet.
    NotStored {
        version: ConfigVersionId,
        is_spooled: bool,
        failure: UploadFailure,
    },
}

/// What a deployment changed in the bucket's config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConfigChange {
    /// It uploaded the first config of this customer.
    New,
    /// It uploaded another config than the bucket had.
    Changed,
    /// The bucket had this config already.
    Unchanged,
}

/// Identifies a version of a config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfigVersionId {
    /// The key of the history copy.
    pub key: String,
    /// MD5 of the content, in hex.
    pub md5: String,
}

/// The usage record of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RecordOutcome {
    /// The bucket has it.
    Logged {
        key: String,
        caller_arn: Option<String>,
    },
    /// The bucket does not have it, or not yet.
    NotLogged {
        is_spooled: bool,
        caller_arn: Option<String>,
        failure: UploadFailure,
    },
}

/// Why an upload is missing from the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UploadFailure {
    /// `None` while the upload is pending.
    cause: Option<Error>,
    /// Why the upload is not spooled either.
    spool_error: Option<Error>,
}

impl UploadFailure {
    /// The upload has not ended yet.
    pub(crate) fn pending(spool_error: Option<&Error>) -> Self {
        Self {
            cause: None,
            spool_error: spool_error.cloned(),
        }
    }

    /// The upload has failed.
    pub(crate) fn failed(cause: Error, spool_error: Option<&Error>) -> Self {
        Self {
            cause: Some(cause),
            spool_error: spool_error.cloned(),
        }
    }

    /// The error to report.
    pub(crate) fn to_error(&self) -> Error {
        let cause = match &self.cause {
            Some(cause) => cause.clone(),
            None => Error::new(ErrorKind::Local, "stopped before AWS answered", ""),
        };
        match &self.spool_error {
            Some(spool_error) => cause.with_spool_error(spool_error),
            None => cause,
        }
    }

    fn set_cause_if_pending(&mut self, cause: &Error) {
        if self.cause.is_none() {
            self.cause = Some(cause.clone());
        }
    }

    fn has_network_error(&self) -> bool {
        match &self.cause {
            Some(cause) => cause.is_network_error(),
            None => false,
        }
    }
}

impl SpoolLocations {
    pub(crate) fn add_entry(&mut self, entry: &SpoolEntry) {
        let folder = entry.path().parent().unwrap_or(entry.path());
        let folder = folder.display().to_string();
        if !self.folders.contains(&folder) {
            self.folders.push(folder);
        }
        if self.primary_dir_error.is_none() {
            self.primary_dir_error.clone_from(&entry.primary_dir_error);
        }
    }

    /// The folders, for a message.
    pub(crate) fn describe(&self) -> String {
        self.folders.join(" and ")
    }
}

impl ConfigChange {
    fn backup_status(self) -> BackupStatus {
        match self {
            Self::New | Self::Changed => BackupStatus::Uploaded,
            Self::Unchanged => BackupStatus::Unchanged,
        }
    }

    /// The word for a message.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
        }
    }
}

impl ConfigOutcome {
    /// The status as the usage record has it.
    pub(crate) fn backup_status(&self) -> BackupStatus {
        match self {
            Self::Stored { change, .. } => change.backup_status(),
            Self::NotStored {
                is_spooled: true, ..
            } => BackupStatus::Spooled,
            Self::NotStored {
                is_spooled: false, ..
            }
            | Self::Unreadable(_) => BackupStatus::Failed,
        }
    }

    /// `None` if the config cannot be read.
    pub(crate) fn version(&self) -> Option<&ConfigVersionId> {
        match self {
            Self::Unreadable(_) => None,
            Self::Stored { version, .. } | Self::NotStored { version, .. } => Some(version),
        }
    }

    /// Why the config is not in the bucket. `None` if it is.
    pub(crate) fn error(&self) -> Option<Error> {
        match self {
            Self::Unreadable(error) => Some(error.clone()),
            Self::Stored { .. } => None,
            Self::NotStored { failure, .. } => Some(failure.to_error()),
        }
    }

    pub(crate) fn is_stored(&self) -> bool {
        matches!(self, Self::Stored { .. })
    }

    fn failure_mut(&mut self) -> Option<&mut UploadFailure> {
        match self {
            Self::NotStored { failure, .. } => Some(failure),
            Self::Unreadable(_) | Self::Stored { .. } => None,
        }
    }

    /// Gives a better reason for the failure. Has no effect if the config is stored.
    pub(crate) fn replace_cause(&mut self, cause: &Error) {
        match self {
            Self::Unreadable(error) => error.clone_from(cause),
            Self::Stored { .. } => {}
            Self::NotStored { failure, .. } => failure.cause = Some(cause.clone()),
        }
    }
}

impl RecordOutcome {
    /// Why the record is not in the bucket. `None` if it is.
    pub(crate) fn error(&self) -> Option<Error> {
        match self {
            Self::Logged { .. } => None,
            Self::NotLogged { failure, .. } => Some(failure.to_error()),
        }
    }

    fn failure_mut(&mut self) -> Option<&mut UploadFailure> {
        match self {
            Self::Logged { .. } => None,
            Self::NotLogged { failure, .. } => Some(failure),
        }
    }
}

impl DeploymentOutcome {
    /// Gives `cause` as the reason for every upload that is still pending.
    pub(crate) fn resolve_pending(&mut self, cause: &Error) {
        if let Some(config) = &mut self.config
            && let Some(failure) = config.failure_mut()
        {
            failure.set_cause_if_pending(cause);
        }
        if let Some(record) = &mut self.record
            && let Some(failure) = record.failure_mut()
        {
            failure.set_cause_if_pending(cause);
        }
    }

    /// Whether a request failed because of the network. Another request would only cost time.
    pub(crate) fn has_network_error(&self) -> bool {
        let has_config_error = match &self.config {
            Some(ConfigOutcome::NotStored { failure, .. }) => failure.has_network_error(),
            _ => false,
        };
        let has_record_error = match &self.record {
            Some(RecordOutcome::NotLogged { failure, .. }) => failure.has_network_error(),
            _ => false,
        };
        has_config_error || has_record_error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome_with(cause: Option<Error>, spool_error: Option<&Error>) -> DeploymentOutcome {
        let config = ConfigOutcome::NotStored {
            version: ConfigVersionId {
                key: "k".into(),
                md5: "m".into(),
            },
            is_spooled: spool_error.is_none(),
            failure: UploadFailure {
                cause,
                spool_error: spool_error.cloned(),
            },
        };
        DeploymentOutcome {
            config: Some(config),
            ..DeploymentOutcome::default()
        }
    }

    fn failure_message(outcome: &DeploymentOutcome) -> String {
        let config = outcome.config.as_ref().expect("a config");
        config.error().expect("an error").message
    }

    #[test]
    fn only_pending_uploads_get_the_cause() {
        let cause = Error::new(ErrorKind::Timeout, "no answer", "wait");
        let disk_full = Error::new(ErrorKind::Local, "the disk is full", "");
        let mut pending = outcome_with(None, Some(&disk_full));
        let message = failure_message(&pending);
        assert!(
            message.starts_with("stopped before AWS answered; "),
            "{message}"
        );
        assert!(message.ends_with("the disk is full"), "{message}");

        pending.resolve_pending(&cause);
        let expected = cause.clone().with_spool_error(&disk_full).message;
        assert_eq!(failure_message(&pending), expected);

        let denied = Error::new(ErrorKind::Denied, "denied", "ask");
        let mut failed = outcome_with(Some(denied), None);
        failed.resolve_pending(&cause);
        assert_eq!(failure_message(&failed), "denied");

        let mut empty = DeploymentOutcome::default();
        empty.resolve_pending(&cause);
        assert_eq!(empty, DeploymentOutcome::default());
    }

    #[test]
    fn only_network_errors_stop_further_requests() {
        let failed_with = |kind| outcome_with(Some(Error::new(kind, "x", "")), None);
        assert!(failed_with(ErrorKind::Timeout).has_network_error());
        assert!(!failed_with(ErrorKind::Denied).has_network_error());
        assert!(!outcome_with(None, None).has_network_error());
    }
}

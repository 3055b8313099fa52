//! The state of one deployment while it runs: what is in the bucket, what is spooled on this machine, and why.
//!
//! Lives in memory only. Everything starts as pending, so that a deployment that is cut short reports what it had reached.

use crate::error::{Error, ErrorKind};
use crate::record::BackupStatus;
use crate::state::spool::SpoolEntry;

/// The state of a deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeploymentOutcome {
    /// The config; `None` until it has been looked at.
    pub config: Option<ConfigOutcome>,
    /// The usage record; `None` until the deployment has begun.
    pub record: Option<RecordOutcome>,
    /// Where items were spooled.
    pub spool: SpoolLocations,
    /// Whether everything has been spooled that can be: before that, an interrupt does not end the process.
    pub is_spooled: bool,
    /// What the operator should know although it stopped nothing, one phrase each.
    pub notes: Vec<String>,
}

/// Where a deployment spooled items, whether they are still there or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpoolLocations {
    /// The folders.
    pub folders: Vec<String>,
    /// Why the usual folder was not used, if it was not.
    pub primary_dir_error: Option<Error>,
}

/// The state of the config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigOutcome {
    /// In the words of the usage record.
    pub backup: BackupStatus,
    /// The key of this version; empty where the config could not be read.
    pub key: String,
    /// Its MD5, hex; empty where it could not be read.
    pub md5: String,
    /// Why it is not in the bucket, or not yet.
    pub failure: Option<UploadFailure>,
}

/// The state of the usage record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordOutcome {
    /// Whether it is in the bucket.
    pub is_sent: bool,
    /// Whether it is spooled on this machine.
    pub is_spooled: bool,
    /// Its key, once it is in the bucket.
    pub key: String,
    /// The ARN of the caller, once it is known.
    pub user: String,
    /// Why it is not in the bucket, or not yet.
    pub failure: Option<UploadFailure>,
}

/// Why something is not in the bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UploadFailure {
    /// `None` while the upload is still pending.
    cause: Option<Error>,
    /// Why it is not spooled either.
    spool_error: Option<Error>,
}

impl UploadFailure {
    /// The upload has not ended yet.
    #[must_use]
    pub fn pending(spooled: &Result<SpoolEntry, Error>) -> Self {
        Self {
            cause: None,
            spool_error: spooled.as_ref().err().cloned(),
        }
    }

    /// The upload has failed.
    #[must_use]
    pub fn failed(cause: Error, spooled: &Result<SpoolEntry, Error>) -> Self {
        Self {
            cause: Some(cause),
            spool_error: spooled.as_ref().err().cloned(),
        }
    }

    /// Gives a better reason for the failure.
    pub fn replace_cause(&mut self, cause: Error) {
        self.cause = Some(cause);
    }

    /// The error to report.
    #[must_use]
    pub fn to_error(&self) -> Error {
        let cause = self
            .cause
            .clone()
            .unwrap_or_else(|| Error::new(ErrorKind::Local, "stopped before AWS had answered", ""));
        match &self.spool_error {
            Some(local) => cause.with_spool_error(local),
            None => cause,
        }
    }
}

impl SpoolLocations {
    /// Notes where an item is spooled.
    pub fn add_entry(&mut self, kept: &SpoolEntry) {
        let folder = kept
            .path()
            .parent()
            .unwrap_or(kept.path())
            .display()
            .to_string();
        if !self.folders.contains(&folder) {
            self.folders.push(folder);
        }
        if self.primary_dir_error.is_none() {
            self.primary_dir_error.clone_from(&kept.primary_dir_error);
        }
    }
}

impl ConfigOutcome {
    /// A config that cannot be read.
    #[must_use]
    pub fn unreadable(cause: Error) -> Self {
        let failure = Some(UploadFailure {
            cause: Some(cause),
            spool_error: None,
        });
        Self {
            backup: BackupStatus::Failed,
            key: String::new(),
            md5: String::new(),
            failure,
        }
    }

    fn is_stored(&self) -> bool {
        matches!(
            self.backup,
            BackupStatus::Uploaded | BackupStatus::Unchanged
        )
    }
}

impl RecordOutcome {
    /// A record that is not in the bucket, or not yet.
    #[must_use]
    pub fn unsent(spooled: &Result<SpoolEntry, Error>, failure: UploadFailure) -> Self {
        Self {
            is_sent: false,
            is_spooled: spooled.is_ok(),
            key: String::new(),
            user: String::new(),
            failure: Some(failure),
        }
    }
}

impl DeploymentOutcome {
    /// Whether the config or the record is not in the bucket.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        !self.config.as_ref().is_some_and(ConfigOutcome::is_stored)
            || !self.record.as_ref().is_some_and(|record| record.is_sent)
    }

    /// Gives `cause` as the reason for whatever is still pending.
    pub fn resolve_pending(&mut self, cause: &Error) {
        let config = self
            .config
            .as_mut()
            .and_then(|config| config.failure.as_mut());
        let record = self
            .record
            .as_mut()
            .and_then(|record| record.failure.as_mut());
        for failure in config.into_iter().chain(record) {
            failure.cause.get_or_insert_with(|| cause.clone());
        }
    }

    /// Whether a request of this deployment has found the network dead: another one would only cost time.
    #[must_use]
    pub fn has_dead_network(&self) -> bool {
        let config = self
            .config
            .as_ref()
            .and_then(|config| config.failure.as_ref());
        let record = self
            .record
            .as_ref()
            .and_then(|record| record.failure.as_ref());
        config
            .into_iter()
            .chain(record)
            .filter_map(|failure| failure.cause.as_ref())
            .any(Error::is_network_error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome_with(cause: Option<Error>, not_spooled: Option<Error>) -> DeploymentOutcome {
        let failure = Some(UploadFailure {
            cause,
            spool_error: not_spooled,
        });
        let config = ConfigOutcome {
            backup: BackupStatus::Spooled,
            key: String::new(),
            md5: String::new(),
            failure,
        };
        DeploymentOutcome {
            config: Some(config),
            ..DeploymentOutcome::default()
        }
    }

    fn failure_message(outcome: &DeploymentOutcome) -> String {
        outcome
            .config
            .as_ref()
            .and_then(|config| config.failure.as_ref())
            .expect("a failure")
            .to_error()
            .message
    }

    #[test]
    fn only_what_is_pending_gets_the_cause() {
        let cause = Error::new(ErrorKind::Timeout, "no answer", "wait");
        let full = Error::new(ErrorKind::Local, "the disk is full", "");
        let mut pending = outcome_with(None, Some(full));
        assert_eq!(
            failure_message(&pending),
            "stopped before AWS had answered; nothing is kept for later: the disk is full"
        );
        pending.resolve_pending(&cause);
        assert_eq!(
            failure_message(&pending),
            "no answer; nothing is kept for later: the disk is full"
        );
        let mut failed = outcome_with(Some(Error::new(ErrorKind::Denied, "denied", "ask")), None);
        failed.resolve_pending(&cause);
        assert_eq!(failure_message(&failed), "denied");
        let mut nothing = DeploymentOutcome::default();
        nothing.resolve_pending(&cause);
        assert_eq!(nothing, DeploymentOutcome::default());
    }

    #[test]
    fn only_a_network_error_counts_as_a_dead_network() {
        let with = |kind| outcome_with(Some(Error::new(kind, "x", "")), None);
        assert!(with(ErrorKind::Timeout).has_dead_network());
        assert!(!with(ErrorKind::Denied).has_dead_network());
        assert!(!outcome_with(None, None).has_dead_network());
    }
}

//! What is reported of a deployment: one status and one line, made of its outcome.
//!
//! Pure, and the only place with these texts. `deploy` answers with them, and Terraform's check prints the line.

use serde::{Deserialize, Serialize};

use crate::deployment::outcome::{ConfigOutcome, DeploymentOutcome, UploadFailure};
use crate::error::Error;
use crate::record::BackupStatus;
use crate::s3::store::s3_uri;

/// The answer; every value is a string, as the external protocol has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployAnswer {
    /// See [`Status`]; the first key, by which `helper.sh` recognizes an answer of the helper.
    pub status: AnswerStatus,
    /// One line: what happened, what happens now, the way out.
    pub message: String,
    /// MD5 of the config that was backed up, hex.
    pub config_hash: String,
    /// `s3://` of its history copy, or empty.
    pub backup_uri: String,
    /// `s3://` of the usage record, or empty.
    pub log_uri: String,
    /// The ARN in the usage record, or empty.
    pub caller_arn: String,
}

impl DeployAnswer {
    /// An answer that has nothing but a message.
    #[must_use]
    pub fn from_error(message: String) -> Self {
        let none = String::new;
        Self {
            status: AnswerStatus::Error,
            message,
            config_hash: none(),
            backup_uri: none(),
            log_uri: none(),
            caller_arn: none(),
        }
    }

    #[must_use]
    /// The answer to an outcome.
    pub fn from_outcome(outcome: DeploymentOutcome, bucket: &str) -> Self {
        let verdict = summarize_outcome(&outcome, bucket);
        let uri = |key: &str| {
            if key.is_empty() {
                String::new()
            } else {
                s3_uri(bucket, key)
            }
        };
        let config = outcome.config;
        let stored_config = config.as_ref().filter(|config| config.failure.is_none());
        Self {
            status: verdict.status,
            message: verdict.message,
            backup_uri: stored_config
                .map(|config| uri(&config.key))
                .unwrap_or_default(),
            config_hash: config.map(|config| config.md5).unwrap_or_default(),
            log_uri: outcome
                .record
                .as_ref()
                .map(|record| uri(&record.key))
                .unwrap_or_default(),
            caller_arn: outcome.record.map(|record| record.user).unwrap_or_default(),
        }
    }
}

/// How a deployment went, as far as we are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AnswerStatus {
    /// Backed up and logged.
    Ok,
    /// Backed up and logged, and there is something to know.
    Warning,
    /// Something is not in the bucket.
    Error,
}

/// Status and line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentSummary {
    /// The status.
    pub status: AnswerStatus,
    /// The line: what happened, what happens now, the way out.
    pub message: String,
}

/// Sums a deployment up. `bucket` is the bucket's name.
#[must_use]
pub fn summarize_outcome(outcome: &DeploymentOutcome, bucket: &str) -> DeploymentSummary {
    let is_incomplete = outcome.is_incomplete();
    let mut parts = if is_incomplete {
        describe_failures(outcome)
    } else {
        Vec::new()
    };
    parts.extend(outcome.notes.iter().cloned());
    let status = match (is_incomplete, outcome.notes.is_empty()) {
        (true, _) => AnswerStatus::Error,
        (false, false) => AnswerStatus::Warning,
        (false, true) => AnswerStatus::Ok,
    };
    if let (false, Some(config), Some(record)) = (is_incomplete, &outcome.config, &outcome.record) {
        parts.push(format!(
            "{}, and the deployment is logged as {}",
            describe_success(config, bucket),
            s3_uri(bucket, &record.key)
        ));
        if let Some(reason) = &outcome.spool.primary_dir_error {
            let folders = outcome.spool.folders.join(" and ");
            parts.push(format!(
                "what cannot be sent would be kept in {folders}; the usual folder: {reason}"
            ));
        }
    }
    DeploymentSummary {
        status,
        message: parts.join("; "),
    }
}

fn describe_success(config: &ConfigOutcome, bucket: &str) -> String {
    let uri = s3_uri(bucket, &config.key);
    match config.backup {
        BackupStatus::Uploaded => format!("config.yaml is backed up as {uri}"),
        _ => format!("config.yaml is unchanged since {uri}"),
    }
}

fn describe_failures(outcome: &DeploymentOutcome) -> Vec<String> {
    let (config, record) = (outcome.config.as_ref(), outcome.record.as_ref());
    let config_fault = config
        .and_then(|it| it.failure.as_ref())
        .map(UploadFailure::to_error);
    let record_fault = record
        .and_then(|it| it.failure.as_ref())
        .map(UploadFailure::to_error);
    let (config_fault, record_fault) = (config_fault.as_ref(), record_fault.as_ref());
    let config_kept = config.is_some_and(|it| it.backup == BackupStatus::Spooled);
    let record_kept = record.is_some_and(|it| it.is_spooled);
    let mut parts = Vec::new();
    let mut say = |who: &str, fault: Option<&Error>| {
        let cause = fault.map_or("it was not tried", |fault| fault.message.as_str());
        parts.push(format!("{who}: {cause}"));
    };
    let record_sent = record.is_some_and(|it| it.is_sent);
    let config_sent = config
        .is_some_and(|it| matches!(it.backup, BackupStatus::Uploaded | BackupStatus::Unchanged));
    match (config_sent, record_sent) {
        (false, false)
            if config_kept == record_kept && has_common_cause(config_fault, record_fault) =>
        {
            say(
                "neither config.yaml nor the usage record is in the bucket",
                config_fault,
            );
        }
        _ => {
            if !config_sent {
                say("config.yaml is not backed up", config_fault);
            }
            if !record_sent {
                say("the deployment is not logged", record_fault);
            }
        }
    }
    if config_kept || record_kept {
        // Where both are missing and one of them is not spooled, "kept" alone would promise too much.
        let what = match (config_kept, record_kept) {
            (true, false) if !record_sent => "config.yaml is ",
            (false, true) if !config_sent => "the usage record is ",
            _ => "",
        };
        let kept_in = outcome.spool.folders.join(" and ");
        parts.push(format!("{what}kept in {kept_in} and sent with the next deployment, or now by `config-backup replay`"));
        if let Some(reason) = &outcome.spool.primary_dir_error {
            parts.push(format!(
                "a restart may empty that folder; the usual one: {reason}"
            ));
        }
    }
    let mut advice: Vec<String> = [config_fault, record_fault]
        .into_iter()
        .flatten()
        .map(|fault| fault.hint.clone())
        .collect();
    advice.dedup();
    parts.extend(advice.into_iter().filter(|advice| !advice.is_empty()));
    parts
}

/// Whether one cause explains both: the same kind of fault on the way to the same bucket.
fn has_common_cause(config: Option<&Error>, record: Option<&Error>) -> bool {
    match (config, record) {
        (Some(config), Some(record)) => config.kind == record.kind,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::outcome::{RecordOutcome, SpoolLocations};
    use crate::error::ErrorKind;

    fn failed_upload(fault: Error) -> UploadFailure {
        let mut failure = UploadFailure::default();
        failure.replace_cause(fault);
        failure
    }

    fn config_outcome(backup: BackupStatus, fault: Option<Error>) -> ConfigOutcome {
        let failure = fault.map(failed_upload);
        ConfigOutcome {
            backup,
            key: "terragrunt/a/config-history/x.yaml".into(),
            md5: "m".into(),
            failure,
        }
    }

    fn sent_record(key: &str) -> RecordOutcome {
        RecordOutcome {
            is_sent: true,
            is_spooled: false,
            key: key.into(),
            user: "u".into(),
            failure: None,
        }
    }

    fn spooled_record(fault: Error) -> RecordOutcome {
        let failure = Some(failed_upload(fault));
        RecordOutcome {
            is_sent: false,
            is_spooled: true,
            key: String::new(),
            user: String::new(),
            failure,
        }
    }

    fn summarize_parts(
        config: Option<ConfigOutcome>,
        record: Option<RecordOutcome>,
        notes: &[&str],
    ) -> (AnswerStatus, String) {
        let notes = notes.iter().map(|note| (*note).to_owned()).collect();
        let spool = SpoolLocations {
            folders: vec!["/state/spool".into()],
            primary_dir_error: None,
        };
        let verdict = summarize_outcome(
            &DeploymentOutcome {
                config,
                record,
                spool,
                is_spooled: true,
                notes,
            },
            "b",
        );
        (verdict.status, verdict.message)
    }

    #[test]
    fn a_good_deployment_says_where_things_are() {
        let (status, message) = summarize_parts(
            Some(config_outcome(BackupStatus::Uploaded, None)),
            Some(sent_record("usage-logs/a/t.json")),
            &[],
        );
        assert_eq!(status, AnswerStatus::Ok);
        assert_eq!(
            message,
            "config.yaml is backed up as s3://b/terragrunt/a/config-history/x.yaml, \
             and the deployment is logged as s3://b/usage-logs/a/t.json"
        );
        let (status, message) = summarize_parts(
            Some(config_outcome(BackupStatus::Unchanged, None)),
            Some(sent_record("k")),
            &["it rains"],
        );
        assert_eq!(status, AnswerStatus::Warning);
        assert!(
            message.starts_with("it rains; config.yaml is unchanged since s3://b/"),
            "{message}"
        );
    }

    #[test]
    fn one_cause_is_told_once_with_what_happens_now_and_the_way_out() {
        let fault = |text| Error::new(ErrorKind::Network, text, "check the network");
        let (status, message) = summarize_parts(
            Some(config_outcome(
                BackupStatus::Spooled,
                Some(fault("no route")),
            )),
            Some(spooled_record(fault("refused"))),
            &[],
        );
        assert_eq!(status, AnswerStatus::Error);
        assert_eq!(
            message,
            "neither config.yaml nor the usage record is in the bucket: no route; kept in /state/spool and sent with the \
             next deployment, or now by `config-backup replay`; check the network"
        );
    }

    #[test]
    fn two_causes_are_told_apart() {
        let gone = Error::new(ErrorKind::Local, "read `c`: gone", "");
        let (_, message) = summarize_parts(
            Some(config_outcome(BackupStatus::Failed, Some(gone.clone()))),
            Some(sent_record("k")),
            &[],
        );
        assert_eq!(message, "config.yaml is not backed up: read `c`: gone");
        let denied = Error::new(ErrorKind::Denied, "denied", "ask");
        let (_, message) = summarize_parts(
            Some(config_outcome(BackupStatus::Failed, Some(gone))),
            Some(spooled_record(denied)),
            &[],
        );
        let both = "config.yaml is not backed up: read `c`: gone; the deployment is not logged: denied; the usage record is kept in ";
        assert!(message.starts_with(both), "{message}");
        assert!(message.ends_with("; ask"));
        let (status, message) = summarize_parts(None, None, &[]);
        assert_eq!(
            (status, message.as_str()),
            (
                AnswerStatus::Error,
                "config.yaml is not backed up: it was not tried; the deployment is not logged: it was not tried"
            )
        );
    }
}

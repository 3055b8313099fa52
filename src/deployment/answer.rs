//! The report of a deployment: a status and one line of text, made from its outcome.
//!
//! Pure, and the only place with these texts. `deploy` answers with them, and the check of the
//! Terraform module prints the line.

use serde::{Deserialize, Serialize};

use crate::deployment::outcome::{ConfigOutcome, DeploymentOutcome, RecordOutcome};
use crate::error::{Error, ErrorKind, into_single_line};
use crate::output::sanitize::sanitize;
use crate::s3::caller::user_name_from_arn;
use crate::s3::store::s3_uri;

/// The answer of `deploy`. The external protocol requires every value to be a string, so unknown
/// is empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployAnswer {
    /// The first key, by which `helper.sh` recognizes an answer of the helper.
    pub status: AnswerStatus,
    /// One line: what happened, what happens next, and a hint.
    pub message: String,
    /// MD5 of the config, in hex.
    pub config_hash: String,
    /// The `s3://` URI of the history copy.
    pub backup_uri: String,
    /// The `s3://` URI of the usage record.
    pub log_uri: String,
    /// The ARN in the usage record.
    pub caller_arn: String,
}

/// How a deployment went, as far as backup and log are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AnswerStatus {
    /// Backed up and logged.
    Ok,
    /// Backed up and logged, with a note for the operator.
    Warning,
    /// The config or the record is not in the bucket.
    Error,
}

impl DeployAnswer {
    /// An answer with only a message.
    #[must_use]
    pub(crate) fn from_error(message: String) -> Self {
        Self {
            status: AnswerStatus::Error,
            message: into_single_line(message),
            config_hash: String::new(),
            backup_uri: String::new(),
            log_uri: String::new(),
            caller_arn: String::new(),
        }
    }

    /// The answer to a run that applies nothing.
    pub(crate) fn without_deployment() -> Self {
        let message =
            "no deployment: this run of Terraform applies nothing, so nothing is uploaded";
        Self {
            status: AnswerStatus::Ok,
            ..Self::from_error(message.to_owned())
        }
    }

    pub(crate) fn from_outcome(outcome: &DeploymentOutcome, bucket: &str) -> Self {
        let (status, message) = summarize_outcome(outcome, bucket);
        let mut answer = Self {
            status,
            ..Self::from_error(message)
        };
        if let Some(config) = &outcome.config
            && let Some(version) = config.version()
        {
            answer.config_hash.clone_from(&version.md5);
            if config.is_stored() {
                answer.backup_uri = s3_uri(bucket, &version.key);
            }
        }
        let caller_arn = match &outcome.record {
            Some(RecordOutcome::Logged { key, caller_arn }) => {
                answer.log_uri = s3_uri(bucket, key);
                caller_arn.clone()
            }
            Some(RecordOutcome::NotLogged { caller_arn, .. }) => caller_arn.clone(),
            None => None,
        };
        answer.caller_arn = caller_arn.unwrap_or_default();
        answer
    }
}

/// The problems and notes first, and what is in the bucket as the last phrase.
fn summarize_outcome(outcome: &DeploymentOutcome, bucket: &str) -> (AnswerStatus, String) {
    let saved = describe_saved_config(outcome);
    let logged = describe_logged_record(outcome, bucket);
    let is_complete = saved.is_some() && logged.is_some();
    let status = if !is_complete {
        AnswerStatus::Error
    } else if outcome.notes.is_empty() {
        AnswerStatus::Ok
    } else {
        AnswerStatus::Warning
    };
    let mut phrases = Vec::new();
    if !is_complete {
        phrases.extend(describe_failure(outcome));
    }
    phrases.extend(outcome.notes.iter().cloned());
    if is_complete && let Some(error) = &outcome.spool.primary_dir_error {
        let folders = outcome.spool.describe();
        phrases.push(format!(
            "failed uploads would be spooled in {folders}; the state directory is unusable: {error}"
        ));
    }
    match (saved, logged) {
        (Some((saved, _)), Some(logged)) => phrases.push(format!("{saved}, {logged}")),
        (Some((saved, key)), None) => phrases.push(format!("{saved}: {}", s3_uri(bucket, key))),
        (None, Some(logged)) => phrases.push(logged),
        (None, None) => {}
    }
    (status, phrases.join("; "))
}

/// The phrase for a config that is in the bucket, and the key of its copy.
fn describe_saved_config(outcome: &DeploymentOutcome) -> Option<(String, &str)> {
    let Some(ConfigOutcome::Stored { version, change }) = &outcome.config else {
        return None;
    };
    // `history` accepts the start of an MD5 as a version, so the message has no more of it.
    let md5 = version.md5.get(..8).unwrap_or(&version.md5);
    let phrase = format!("config.yaml saved ({md5}, {})", change.describe());
    Some((phrase, &version.key))
}

/// The phrase for a record that is in the bucket.
fn describe_logged_record(outcome: &DeploymentOutcome, bucket: &str) -> Option<String> {
    let Some(RecordOutcome::Logged { key, caller_arn }) = &outcome.record else {
        return None;
    };
    let user = match caller_arn.as_deref().map(user_name_from_arn) {
        None | Some("") => "an unknown user".into(),
        Some(name) => sanitize(name),
    };
    let log_uri = s3_uri(bucket, key);
    Some(format!("deployment logged for {user}: {log_uri}"))
}

fn describe_failure(outcome: &DeploymentOutcome) -> Vec<String> {
    let config_error = match &outcome.config {
        Some(config) => config.error(),
        None => Some(not_attempted_error()),
    };
    let record_error = match &outcome.record {
        Some(record) => record.error(),
        None => Some(not_attempted_error()),
    };
    let mut phrases = describe_causes(outcome, config_error.as_ref(), record_error.as_ref());
    phrases.extend(describe_spool(outcome));
    phrases.extend(collect_hints(config_error, record_error));
    phrases
}

fn not_attempted_error() -> Error {
    Error::new(ErrorKind::Local, "not attempted", "")
}

fn describe_causes(
    outcome: &DeploymentOutcome,
    config_error: Option<&Error>,
    record_error: Option<&Error>,
) -> Vec<String> {
    if let (Some(config_error), Some(record_error)) = (config_error, record_error)
        && outcome.config.is_some()
        && outcome.record.is_some()
        && config_error.kind == record_error.kind
        && is_config_spooled(outcome) == is_record_spooled(outcome)
    {
        // Both uploads go to the same bucket, so an error of the same kind has the same cause.
        return vec![format!(
            "neither config.yaml nor the usage record is in the bucket: {}",
            config_error.message
        )];
    }
    let mut phrases = Vec::new();
    if let Some(error) = config_error {
        phrases.push(format!("config.yaml is not backed up: {}", error.message));
    }
    if let Some(error) = record_error {
        phrases.push(format!("the deployment is not logged: {}", error.message));
    }
    phrases
}

fn is_config_spooled(outcome: &DeploymentOutcome) -> bool {
    match &outcome.config {
        Some(ConfigOutcome::NotStored { is_spooled, .. }) => *is_spooled,
        _ => false,
    }
}

fn is_record_spooled(outcome: &DeploymentOutcome) -> bool {
    match &outcome.record {
        Some(RecordOutcome::NotLogged { is_spooled, .. }) => *is_spooled,
        _ => false,
    }
}

/// What is spooled, where, and when it is uploaded.
fn describe_spool(outcome: &DeploymentOutcome) -> Vec<String> {
    let what = match (is_config_spooled(outcome), is_record_spooled(outcome)) {
        (true, true) => "both are",
        (true, false) => "config.yaml is",
        (false, true) => "the usage record is",
        (false, false) => return Vec::new(),
    };
    let folders = outcome.spool.describe();
    let mut phrases = vec![format!(
        "{what} spooled in {folders} and sent with the next deployment, \
         or now by `config-backup replay`"
    )];
    if let Some(error) = &outcome.spool.primary_dir_error {
        phrases.push(format!(
            "a restart may empty that folder; the state directory is unusable: {error}"
        ));
    }
    phrases
}

fn collect_hints(config_error: Option<Error>, record_error: Option<Error>) -> Vec<String> {
    let mut hints = Vec::new();
    for error in [config_error, record_error].into_iter().flatten() {
        if !error.hint.is_empty() && !hints.contains(&error.hint) {
            hints.push(error.hint);
        }
    }
    hints
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::outcome::{
        ConfigChange, ConfigVersionId, SpoolLocations, UploadFailure,
    };

    const JANE: Option<&str> = Some("arn:aws:iam::123456789012:user/jane.roe");
    const LOGGED_FOR_JANE: &str = "deployment logged for jane.roe: s3://b/usage-logs/a/t.json";

    fn version() -> ConfigVersionId {
        ConfigVersionId {
            key: "terragrunt/a/config-history/x.yaml".into(),
            md5: "698bc8b0da0b9bb6e25a76e112e4bd97".into(),
        }
    }

    fn stored_config(change: ConfigChange) -> ConfigOutcome {
        ConfigOutcome::Stored {
            version: version(),
            change,
        }
    }

    fn spooled_config(cause: Error) -> ConfigOutcome {
        ConfigOutcome::NotStored {
            version: version(),
            is_spooled: true,
            failure: UploadFailure::failed(cause, None),
        }
    }

    fn logged_record(caller_arn: Option<&str>) -> RecordOutcome {
        RecordOutcome::Logged {
            key: "usage-logs/a/t.json".into(),
            caller_arn: caller_arn.map(str::to_owned),
        }
    }

    fn spooled_record(cause: Error) -> RecordOutcome {
        RecordOutcome::NotLogged {
            is_spooled: true,
            caller_arn: None,
            failure: UploadFailure::failed(cause, None),
        }
    }

    fn summarize(
        config: Option<ConfigOutcome>,
        record: Option<RecordOutcome>,
        notes: &[&str],
    ) -> (AnswerStatus, String) {
        let mut outcome = DeploymentOutcome {
            config,
            record,
            spool: SpoolLocations {
                folders: vec!["/state/spool".into()],
                primary_dir_error: None,
            },
            is_spooled: true,
            notes: Vec::new(),
        };
        for note in notes {
            outcome.notes.push((*note).to_owned());
        }
        summarize_outcome(&outcome, "b")
    }

    #[test]
    fn a_complete_deployment_is_one_sentence() {
        for (change, word) in [
            (ConfigChange::New, "new"),
            (ConfigChange::Changed, "changed"),
            (ConfigChange::Unchanged, "unchanged"),
        ] {
            let (status, message) =
                summarize(Some(stored_config(change)), Some(logged_record(JANE)), &[]);
            assert_eq!(status, AnswerStatus::Ok);
            assert_eq!(
                message,
                format!("config.yaml saved (698bc8b0, {word}), {LOGGED_FOR_JANE}")
            );
        }
    }

    #[test]
    fn notes_come_before_that_sentence() {
        let config = stored_config(ConfigChange::Unchanged);
        let (status, message) =
            summarize(Some(config), Some(logged_record(JANE)), &["one", "another"]);
        assert_eq!(status, AnswerStatus::Warning);
        assert_eq!(
            message,
            format!("one; another; config.yaml saved (698bc8b0, unchanged), {LOGGED_FOR_JANE}")
        );
    }

    #[test]
    fn the_user_is_that_of_reports() {
        for (arn, user) in [
            (
                Some(
                    "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Admin_0123456789abcdef/john.doe",
                ),
                "john.doe",
            ),
            (
                Some("arn:aws:sts::123456789012:assumed-role/ci/botocore-session-1700000000"),
                "ci",
            ),
            (Some("arn:aws:iam::123456789012:root"), "root"),
            (Some("arn:x:user/a\nb"), "a\u{fffd}b"),
            (Some("arn:x:user/"), "an unknown user"),
            (None, "an unknown user"),
        ] {
            let config = stored_config(ConfigChange::New);
            let (_, message) = summarize(Some(config), Some(logged_record(arn)), &[]);
            let expected = format!("deployment logged for {user}: s3://b/");
            assert!(message.contains(&expected), "{message}");
        }
    }

    #[test]
    fn an_unusable_state_directory_is_said_before_that_sentence() {
        let outcome = DeploymentOutcome {
            config: Some(stored_config(ConfigChange::New)),
            record: Some(logged_record(JANE)),
            spool: SpoolLocations {
                folders: vec!["/tmp/spool".into()],
                primary_dir_error: Some(Error::new(ErrorKind::Local, "read-only", "")),
            },
            ..DeploymentOutcome::default()
        };
        assert_eq!(
            summarize_outcome(&outcome, "b").1,
            format!(
                "failed uploads would be spooled in /tmp/spool; the state directory is unusable: \
                 read-only; config.yaml saved (698bc8b0, new), {LOGGED_FOR_JANE}"
            )
        );
    }

    #[test]
    fn a_common_cause_is_named_once() {
        let error = |cause| Error::new(ErrorKind::Network, cause, "check the network");
        let config = spooled_config(error("no route"));
        let record = spooled_record(error("refused"));
        let (status, message) = summarize(Some(config), Some(record), &[]);
        assert_eq!(status, AnswerStatus::Error);
        assert_eq!(
            message,
            "neither config.yaml nor the usage record is in the bucket: no route; \
             both are spooled in /state/spool and sent with the next deployment, \
             or now by `config-backup replay`; check the network"
        );
    }

    #[test]
    fn different_causes_are_named_separately() {
        let missing = Error::new(ErrorKind::Local, "cannot read `c`: gone", "");
        let config = ConfigOutcome::Unreadable(missing);
        let record = spooled_record(Error::new(ErrorKind::Denied, "denied", "ask"));
        let (_, message) = summarize(Some(config), Some(record), &[]);
        assert_eq!(
            message,
            "config.yaml is not backed up: cannot read `c`: gone; \
             the deployment is not logged: denied; the usage record is spooled in /state/spool \
             and sent with the next deployment, or now by `config-backup replay`; ask"
        );

        let (status, message) = summarize(None, None, &[]);
        assert_eq!(status, AnswerStatus::Error);
        assert_eq!(
            message,
            "config.yaml is not backed up: not attempted; \
             the deployment is not logged: not attempted"
        );
    }

    #[test]
    fn half_a_deployment_also_says_what_is_in_the_bucket() {
        let missing = Error::new(ErrorKind::Local, "cannot read `c`: gone", "");
        let config = ConfigOutcome::Unreadable(missing);
        let (status, message) = summarize(Some(config), Some(logged_record(JANE)), &["a note"]);
        assert_eq!(status, AnswerStatus::Error);
        assert_eq!(
            message,
            format!(
                "config.yaml is not backed up: cannot read `c`: gone; a note; {LOGGED_FOR_JANE}"
            )
        );

        let config = stored_config(ConfigChange::Changed);
        let record = spooled_record(Error::new(ErrorKind::Denied, "denied", "ask"));
        let (status, message) = summarize(Some(config), Some(record), &[]);
        assert_eq!(status, AnswerStatus::Error);
        assert_eq!(
            message,
            "the deployment is not logged: denied; the usage record is spooled in /state/spool \
             and sent with the next deployment, or now by `config-backup replay`; ask; \
             config.yaml saved (698bc8b0, changed): s3://b/terragrunt/a/config-history/x.yaml"
        );
    }
}

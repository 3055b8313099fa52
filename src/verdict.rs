//! What is reported of a deployment: one status and one line, made of its outcome.
//!
//! Pure, and the only place with these texts. `deploy` answers with them, and Terraform's check prints the line.

use serde::{Deserialize, Serialize};

use crate::aws::uri;
use crate::fault::Fault;
use crate::outcome::{ConfigOutcome, DeploymentOutcome, UploadFailure};
use crate::record::Backup;

/// How a deployment went, as far as we are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Backed up and logged.
    Ok,
    /// Backed up and logged, and there is something to know.
    Warning,
    /// Something is not in the bucket.
    Error,
}

/// Status and line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The status.
    pub status: Status,
    /// The line: what happened, what happens now, the way out.
    pub message: String,
}

/// Sums a deployment up. `bucket` is the bucket's name.
#[must_use]
pub fn verdict(outcome: &DeploymentOutcome, bucket: &str) -> Verdict {
    let is_incomplete = outcome.is_incomplete();
    let mut parts = if is_incomplete { failures(outcome) } else { Vec::new() };
    parts.extend(outcome.notes.iter().cloned());
    let status = match (is_incomplete, outcome.notes.is_empty()) {
        (true, _) => Status::Error,
        (false, false) => Status::Warning,
        (false, true) => Status::Ok,
    };
    if let (false, Some(config), Some(record)) = (is_incomplete, &outcome.config, &outcome.record) {
        parts.push(format!("{}, and the deployment is logged as {}", done(config, bucket), uri(bucket, &record.key)));
        if let Some(reason) = &outcome.spool.instead_of {
            let folders = outcome.spool.folders.join(" and ");
            parts.push(format!("what cannot be sent would be kept in {folders}; the usual folder: {reason}"));
        }
    }
    Verdict { status, message: parts.join("; ") }
}

fn done(config: &ConfigOutcome, bucket: &str) -> String {
    let uri = uri(bucket, &config.key);
    match config.backup {
        Backup::Uploaded => format!("config.yaml is backed up as {uri}"),
        _ => format!("config.yaml is unchanged since {uri}"),
    }
}

fn failures(outcome: &DeploymentOutcome) -> Vec<String> {
    let (config, record) = (outcome.config.as_ref(), outcome.record.as_ref());
    let config_fault = config.and_then(|it| it.failure.as_ref()).map(UploadFailure::fault);
    let record_fault = record.and_then(|it| it.failure.as_ref()).map(UploadFailure::fault);
    let (config_fault, record_fault) = (config_fault.as_ref(), record_fault.as_ref());
    let config_kept = config.is_some_and(|it| it.backup == Backup::Spooled);
    let record_kept = record.is_some_and(|it| it.is_spooled);
    let mut parts = Vec::new();
    let mut say = |who: &str, fault: Option<&Fault>| {
        let cause = fault.map_or("it was not tried", |fault| fault.text.as_str());
        parts.push(format!("{who}: {cause}"));
    };
    let record_sent = record.is_some_and(|it| it.is_sent);
    let config_sent = config.is_some_and(|it| matches!(it.backup, Backup::Uploaded | Backup::Unchanged));
    match (config_sent, record_sent) {
        (false, false) if config_kept == record_kept && one_cause(config_fault, record_fault) => {
            say("neither config.yaml nor the usage record is in the bucket", config_fault);
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
        if let Some(reason) = &outcome.spool.instead_of {
            parts.push(format!("a restart may empty that folder; the usual one: {reason}"));
        }
    }
    let mut advice: Vec<String> = [config_fault, record_fault].into_iter().flatten().map(|fault| fault.advice.clone()).collect();
    advice.dedup();
    parts.extend(advice.into_iter().filter(|advice| !advice.is_empty()));
    parts
}

/// Whether one cause explains both: the same kind of fault on the way to the same bucket.
fn one_cause(config: Option<&Fault>, record: Option<&Fault>) -> bool {
    match (config, record) {
        (Some(config), Some(record)) => config.kind == record.kind,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Kind;
    use crate::outcome::{RecordOutcome, SpoolLocations};

    fn failed(fault: Fault) -> UploadFailure {
        let mut failure = UploadFailure::default();
        failure.replace_cause(fault);
        failure
    }

    fn config(backup: Backup, fault: Option<Fault>) -> ConfigOutcome {
        let failure = fault.map(failed);
        ConfigOutcome { backup, key: "terragrunt/a/config-history/x.yaml".into(), md5: "m".into(), failure }
    }

    fn sent(key: &str) -> RecordOutcome {
        RecordOutcome { is_sent: true, is_spooled: false, key: key.into(), user: "u".into(), failure: None }
    }

    fn kept(fault: Fault) -> RecordOutcome {
        let failure = Some(failed(fault));
        RecordOutcome { is_sent: false, is_spooled: true, key: String::new(), user: String::new(), failure }
    }

    fn say(config: Option<ConfigOutcome>, record: Option<RecordOutcome>, notes: &[&str]) -> (Status, String) {
        let notes = notes.iter().map(|note| (*note).to_owned()).collect();
        let spool = SpoolLocations { folders: vec!["/state/spool".into()], instead_of: None };
        let verdict = verdict(&DeploymentOutcome { config, record, spool, is_spooled: true, notes }, "b");
        (verdict.status, verdict.message)
    }

    #[test]
    fn a_good_deployment_says_where_things_are() {
        let (status, message) = say(Some(config(Backup::Uploaded, None)), Some(sent("usage-logs/a/t.json")), &[]);
        assert_eq!(status, Status::Ok);
        assert_eq!(
            message,
            "config.yaml is backed up as s3://b/terragrunt/a/config-history/x.yaml, \
             and the deployment is logged as s3://b/usage-logs/a/t.json"
        );
        let (status, message) = say(Some(config(Backup::Unchanged, None)), Some(sent("k")), &["it rains"]);
        assert_eq!(status, Status::Warning);
        assert!(message.starts_with("it rains; config.yaml is unchanged since s3://b/"), "{message}");
    }

    #[test]
    fn one_cause_is_told_once_with_what_happens_now_and_the_way_out() {
        let fault = |text| Fault::new(Kind::Network, text, "check the network");
        let (status, message) = say(Some(config(Backup::Spooled, Some(fault("no route")))), Some(kept(fault("refused"))), &[]);
        assert_eq!(status, Status::Error);
        assert_eq!(
            message,
            "neither config.yaml nor the usage record is in the bucket: no route; kept in /state/spool and sent with the \
             next deployment, or now by `config-backup replay`; check the network"
        );
    }

    #[test]
    fn two_causes_are_told_apart() {
        let gone = Fault::new(Kind::Local, "read `c`: gone", "");
        let (_, message) = say(Some(config(Backup::Failed, Some(gone.clone()))), Some(sent("k")), &[]);
        assert_eq!(message, "config.yaml is not backed up: read `c`: gone");
        let denied = Fault::new(Kind::Denied, "denied", "ask");
        let (_, message) = say(Some(config(Backup::Failed, Some(gone))), Some(kept(denied)), &[]);
        let both = "config.yaml is not backed up: read `c`: gone; the deployment is not logged: denied; the usage record is kept in ";
        assert!(message.starts_with(both), "{message}");
        assert!(message.ends_with("; ask"));
        let (status, message) = say(None, None, &[]);
        assert_eq!(
            (status, message.as_str()),
            (Status::Error, "config.yaml is not backed up: it was not tried; the deployment is not logged: it was not tried")
        );
    }
}

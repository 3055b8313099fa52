//! One deployment, one record: a small file by which a second run of a deployment continues the
//! first one.
//!
//! Terragrunt may run the unit twice in one run: to retry, or in the `error_hook` after a failure.
//! Each run of Terraform brings a new `deployment_id`. The claim is named after the process of
//! Terragrunt and the path of the config, and it holds the id and the time of the first run. The
//! second run then uses the same keys, so S3 refuses a second copy. Must not touch the network.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::deployment::answer::{AnswerStatus, DeployAnswer};
use crate::digest::sha256_hex;
use crate::state::dirs::StateDirs;
use crate::system::atomic_file::{self, FileMode};

/// The subdirectory of the state directory.
pub(crate) const DEPLOYMENTS_DIR: &str = "deployments";

/// The content of the file.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct ClaimFileContent {
    deployment_id: String,
    /// When the deployment began. The usage record and its key contain this time.
    #[serde(rename = "at")]
    started_at: DateTime<Utc>,
    /// The answer, once the deployment has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer: Option<DeployAnswer>,
}

/// A deployment that this process works on.
#[derive(Debug)]
pub(crate) struct DeploymentClaim {
    content: ClaimFileContent,
    is_resumed: bool,
    /// `None` if no file can be written. Then a second run is another deployment.
    path: Option<PathBuf>,
    /// Another process of the same deployment waits for this lock, which ends with the process.
    _lock: Option<File>,
}

/// The file that keeps the answer. The thread that keeps the deadline writes it, because the
/// thread that works may be stuck.
#[derive(Debug, Clone)]
pub(crate) struct AnswerFile {
    path: PathBuf,
    content: ClaimFileContent,
}

impl DeploymentClaim {
    /// Claims the deployment that `scope` identifies. Waits while another process works on it. An
    /// existing claim keeps its id and time. A new one gets `deployment_id` and `now`.
    pub(crate) fn acquire(
        state_dirs: &StateDirs,
        scope: &str,
        deployment_id: &str,
        now: DateTime<Utc>,
    ) -> Self {
        let name = sha256_hex(scope.as_bytes())[..32].to_owned();
        let lock = wait_for_lock(state_dirs, &format!("{name}.lock"));

        let file_name = format!("{name}.json");
        for dir in state_dirs.subdirs(DEPLOYMENTS_DIR) {
            let path = dir.join(&file_name);
            if let Some(content) = read_claim_file(&path) {
                return Self {
                    content,
                    is_resumed: true,
                    path: Some(path),
                    _lock: lock,
                };
            }
        }

        let content = ClaimFileContent {
            deployment_id: deployment_id.to_owned(),
            started_at: now,
            answer: None,
        };
        let written = state_dirs.write_in(DEPLOYMENTS_DIR, |dir| {
            let path = dir.join(&file_name);
            write_claim_file(&path, &content)?;
            Ok(path)
        });
        Self {
            content,
            is_resumed: false,
            path: written.ok().map(|written| written.value),
            _lock: lock,
        }
    }

    /// The answer of a deployment that this machine carried out successfully.
    pub(crate) fn find_good_answer(
        state_dirs: &StateDirs,
        deployment_id: &str,
    ) -> Option<DeployAnswer> {
        for dir in state_dirs.subdirs(DEPLOYMENTS_DIR) {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                if let Some(content) = read_claim_file(&entry.path())
                    && content.deployment_id == deployment_id
                {
                    let answer = content.answer?;
                    return (answer.status == AnswerStatus::Ok).then_some(answer);
                }
            }
        }
        None
    }

    pub(crate) fn deployment_id(&self) -> &str {
        &self.content.deployment_id
    }

    pub(crate) fn started_at(&self) -> DateTime<Utc> {
        self.content.started_at
    }

    /// Whether an earlier process began this deployment.
    pub(crate) fn is_resumed(&self) -> bool {
        self.is_resumed
    }

    /// The answer of an earlier process that has ended.
    pub(crate) fn previous_answer(&self) -> Option<DeployAnswer> {
        self.content.answer.clone()
    }

    /// Where to write the answer. `None` if that is impossible.
    pub(crate) fn answer_file(&self) -> Option<AnswerFile> {
        Some(AnswerFile {
            path: self.path.clone()?,
            content: self.content.clone(),
        })
    }
}

impl AnswerFile {
    /// Notes that the deployment has ended. If this fails, a second run repeats the requests, which
    /// S3 refuses.
    pub(crate) fn write_answer(self, answer: DeployAnswer) {
        let content = ClaimFileContent {
            answer: Some(answer),
            ..self.content
        };
        let _ = write_claim_file(&self.path, &content);
    }
}

fn wait_for_lock(state_dirs: &StateDirs, name: &str) -> Option<File> {
    let written = state_dirs.write_in(DEPLOYMENTS_DIR, |dir| {
        let file = atomic_file::open_private_file(&dir.join(name))?;
        // Without locks in the file system, two runs may log twice. The deployment goes on.
        let _ = file.lock();
        Ok(file)
    });
    written.ok().map(|written| written.value)
}

fn read_claim_file(path: &Path) -> Option<ClaimFileContent> {
    let bytes = fs::read(path).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn write_claim_file(path: &Path, content: &ClaimFileContent) -> io::Result<()> {
    let bytes = serde_json::to_vec(content)?;
    atomic_file::write_atomically(path, &[&bytes], FileMode::Private)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time_at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).expect("a valid time")
    }

    #[test]
    fn the_file_keeps_its_field_names() {
        let content = ClaimFileContent {
            deployment_id: "id".into(),
            started_at: time_at(1),
            answer: Some(DeployAnswer::from_error("m".to_owned())),
        };
        let json = serde_json::to_string(&content).expect("JSON");
        let expected = "{\"deployment_id\":\"id\",\"at\":\"1970-01-01T00:00:01Z\",\
                        \"answer\":{\"status\":\"error\",\"message\":\"m\",\
                        \"config_hash\":\"\",\"backup_uri\":\"\",\"log_uri\":\"\",\
                        \"caller_arn\":\"\"}}";
        assert_eq!(json, expected);
    }

    #[test]
    fn a_second_run_continues_the_first_one() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let state_dirs = StateDirs::from_private_dirs([dir.path().to_owned()]);
        let first = DeploymentClaim::acquire(&state_dirs, "run 1", "first", time_at(1));
        assert!(!first.is_resumed());
        assert!(first.previous_answer().is_none());
        let answer_file = first.answer_file().expect("a file");
        drop(first);

        let second = DeploymentClaim::acquire(&state_dirs, "run 1", "second", time_at(2));
        assert_eq!(second.deployment_id(), "first");
        assert_eq!(second.started_at(), time_at(1));
        assert!(second.is_resumed());
        drop(second);

        answer_file.write_answer(DeployAnswer::from_error("no network".to_owned()));
        let third = DeploymentClaim::acquire(&state_dirs, "run 1", "third", time_at(3));
        let answer = third.previous_answer().expect("an answer");
        assert_eq!(answer.message, "no network");

        let other = DeploymentClaim::acquire(&state_dirs, "run 2", "other", time_at(4));
        assert_eq!(other.deployment_id(), "other");
        assert!(!other.is_resumed());
    }

    #[test]
    fn without_a_state_directory_each_run_is_another_deployment() {
        let claim = DeploymentClaim::acquire(&StateDirs::default(), "run", "id", time_at(1));
        assert_eq!(claim.deployment_id(), "id");
        assert!(!claim.is_resumed());
        assert!(claim.answer_file().is_none());
    }
}

//! One deployment, one record: a small file per deployment that makes a second run of it continue the first one.
//!
//! Terragrunt may run the unit twice within one run (a retry, or the `error_hook` after a failure), and each run of Terraform
//! brings a new `deployment_id`. The claim is named after the process of Terragrunt and the config's path, and holds the id
//! and the time of the first run: objects of a second run get the same keys, so S3 refuses a second copy.
//! Must not touch the network.

use std::fs::{self, File};
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::deployment::answer::AnswerStatus;
use crate::deployment::answer::DeployAnswer;
use crate::digest::sha256_hex;
use crate::state::dirs::StateDirs;
use crate::system::atomic_file::{self, FileMode};

/// The folder's name in the state folder.
pub const DEPLOYMENTS_DIR: &str = "deployments";

/// What the file says.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct ClaimFileContent {
    /// Names the deployment.
    deployment_id: String,
    /// When it began; the time in its record and in the record's key.
    at: DateTime<Utc>,
    /// The answer, once the deployment has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer: Option<DeployAnswer>,
}

/// A deployment that this process works on.
#[derive(Debug)]
pub struct DeploymentClaim {
    content: ClaimFileContent,
    is_resumed: bool,
    /// `None` where no file can be written: then a second run is a deployment of its own.
    path: Option<PathBuf>,
    /// Ends with the process; another process of the same deployment waits for it.
    _lock: Option<File>,
}

/// The place of a claim's answer, for when the process that works on it is stuck.
#[derive(Debug, Clone)]
pub struct AnswerFile {
    path: PathBuf,
    content: ClaimFileContent,
}

impl DeploymentClaim {
    /// Claims the deployment that `scope` names; waits while another process works on it. A claim of before gives its id and
    /// time, otherwise `deployment_id` and `now` are noted.
    #[must_use]
    pub fn acquire(
        places: &StateDirs,
        scope: &str,
        deployment_id: &str,
        now: DateTime<Utc>,
    ) -> Self {
        let name = sha256_hex(scope.as_bytes())[..32].to_owned();
        let lock = places.write_in(DEPLOYMENTS_DIR, |folder| {
            let file = atomic_file::open_private_file(&folder.join(format!("{name}.lock")))?;
            // A file system without locks costs the guarantee and not the deployment.
            let _ = file.lock();
            Ok(file)
        });
        let name = format!("{name}.json");
        let found = places
            .subdirs(DEPLOYMENTS_DIR)
            .map(|folder| folder.join(&name))
            .find_map(|path| Some((read_claim(&path)?, path)));
        let lock = lock.ok().map(|written| written.value);
        if let Some((content, path)) = found {
            return Self {
                content,
                is_resumed: true,
                path: Some(path),
                _lock: lock,
            };
        }
        let content = ClaimFileContent {
            deployment_id: deployment_id.to_owned(),
            at: now,
            answer: None,
        };
        let written = places.write_in(DEPLOYMENTS_DIR, |folder| {
            write_claim(folder.join(&name), &content)
        });
        Self {
            content,
            is_resumed: false,
            path: written.ok().map(|written| written.value),
            _lock: lock,
        }
    }

    /// The answer of a deployment that this machine carried out and that went well.
    #[must_use]
    pub fn find_good_answer(places: &StateDirs, deployment_id: &str) -> Option<DeployAnswer> {
        let entries = places
            .subdirs(DEPLOYMENTS_DIR)
            .filter_map(|folder| fs::read_dir(folder).ok())
            .flatten()
            .filter_map(Result::ok);
        let mut claims = entries.filter_map(|entry| read_claim(&entry.path()));
        let answer = claims
            .find(|claim| claim.deployment_id == deployment_id)?
            .answer?;
        (answer.status == AnswerStatus::Ok).then_some(answer)
    }

    /// Names the deployment.
    #[must_use]
    pub fn deployment_id(&self) -> &str {
        &self.content.deployment_id
    }

    /// When the deployment began.
    #[must_use]
    pub fn started_at(&self) -> DateTime<Utc> {
        self.content.at
    }

    /// Whether an earlier process began this deployment.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.is_resumed
    }

    /// The answer of an earlier process that ended.
    #[must_use]
    pub fn previous_answer(&self) -> Option<DeployAnswer> {
        self.content.answer.clone()
    }

    /// Where to note the answer; `None` where it cannot be noted.
    #[must_use]
    pub fn answer_file(&self) -> Option<AnswerFile> {
        Some(AnswerFile {
            path: self.path.clone()?,
            content: self.content.clone(),
        })
    }
}

impl AnswerFile {
    /// Notes that the deployment has ended. Where that fails, a second run repeats the requests, which S3 refuses.
    pub fn write_answer(self, answer: DeployAnswer) {
        let _ = write_claim(
            self.path,
            &ClaimFileContent {
                answer: Some(answer),
                ..self.content
            },
        );
    }
}

fn read_claim(path: &PathBuf) -> Option<ClaimFileContent> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn write_claim(path: PathBuf, content: &ClaimFileContent) -> std::io::Result<PathBuf> {
    atomic_file::write_atomically(&path, &[&serde_json::to_vec(content)?], FileMode::Private)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time_at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).expect("a valid time")
    }

    #[test]
    fn a_second_run_continues_the_first_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let places = StateDirs::from_private_dirs([folder.path().to_owned()]);
        let first = DeploymentClaim::acquire(&places, "run 1", "first", time_at(1));
        assert!(!first.is_resumed() && first.previous_answer().is_none());
        let answer_file = first.answer_file().expect("a file");
        drop(first);
        let second = DeploymentClaim::acquire(&places, "run 1", "second", time_at(2));
        assert_eq!(
            (
                second.deployment_id(),
                second.started_at(),
                second.is_resumed()
            ),
            ("first", time_at(1), true)
        );
        drop(second);
        answer_file.write_answer(DeployAnswer::from_error("no network".to_owned()));
        let third = DeploymentClaim::acquire(&places, "run 1", "third", time_at(3));
        assert_eq!(
            third.previous_answer().expect("an answer").message,
            "no network"
        );
        let other = DeploymentClaim::acquire(&places, "run 2", "other", time_at(4));
        assert_eq!(
            (other.deployment_id(), other.is_resumed()),
            ("other", false)
        );
    }

    #[test]
    fn without_a_folder_each_run_is_a_deployment_of_its_own() {
        let claim = DeploymentClaim::acquire(&StateDirs::default(), "run", "id", time_at(1));
        assert_eq!((claim.deployment_id(), claim.is_resumed()), ("id", false));
        assert!(claim.answer_file().is_none());
    }
}

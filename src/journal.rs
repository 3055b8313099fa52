//! What became of one deployment, told by `backup` and `log` to each other and to `outcome`.
//!
//! These run as processes of their own, and what a `local-exec` finds out cannot flow back into Terraform, so it
//! goes through a small file per deployment. It is a help and not the truth: without it every verb still does
//! its work. Each verb writes the worst that can be said before it tries, so that a kill is told as well.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::files::{self, Mode};
use crate::record::Backup;

/// How long a deployment's file is kept.
const KEPT: Duration = Duration::from_hours(14 * 24);
/// How old a half-written file must be to belong to nobody who is still at work.
const HALF_WRITTEN: Duration = Duration::from_hours(1);

/// What became of a deployment so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Journal {
    /// What of the deadline is used up, in milliseconds.
    pub spent_ms: u64,
    /// The config; `None` until somebody looked after it.
    pub config: Option<Config>,
    /// The usage record; `None` until `log` ran.
    pub record: Option<Sent>,
    /// What everybody should know although it stopped nothing, one phrase each.
    pub notes: Vec<String>,
}

/// What became of the config.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// In the words of the usage record.
    pub backup: Backup,
    /// The key of this version; empty where the config could not be read.
    pub key: String,
    /// Its MD5, hex; empty where it could not be read.
    pub md5: String,
    /// Why it is not in the bucket.
    pub fault: Option<Fault>,
}

/// What became of the usage record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Whether it is in the bucket.
    pub sent: bool,
    /// Whether it is kept on this machine.
    pub kept: bool,
    /// Its key, once it is in the bucket.
    pub key: String,
    /// Who deployed, once that is known.
    pub user: String,
    /// Why it is not in the bucket.
    pub fault: Option<Fault>,
}

impl Config {
    /// The fault, if it is one of a dead network.
    #[must_use]
    pub fn dead_network(&self) -> Option<&Fault> {
        self.fault.as_ref().filter(|fault| fault.is_dead_network())
    }
}

impl Journal {
    /// What a deployment's earlier verbs told; nothing where that cannot be read.
    #[must_use]
    pub fn read(state: Option<&Path>, deployment_id: &str) -> Self {
        Self::find(state, deployment_id).unwrap_or_default()
    }

    /// As [`Journal::read`], with `None` where there is nothing.
    #[must_use]
    pub fn find(state: Option<&Path>, deployment_id: &str) -> Option<Self> {
        serde_json::from_slice(&fs::read(path(state?, deployment_id)?).ok()?).ok()
    }

    /// Tells the verbs to come. A failure is no loss: they then find out for themselves.
    pub fn write(&self, state: Option<&Path>, deployment_id: &str) {
        let Some(path) = state.and_then(|state| path(state, deployment_id)) else { return };
        if let (Ok(bytes), Some(folder)) = (serde_json::to_vec(self), path.parent())
            && files::private_folder(folder).is_ok()
        {
            let _ = files::put(&path, &[&bytes], Mode::Private);
        }
    }

    /// The first reason to leave the network alone for the rest of the deployment.
    #[must_use]
    pub fn dead_network(&self) -> Option<&Fault> {
        let record = || self.record.as_ref()?.fault.as_ref().filter(|fault| fault.is_dead_network());
        self.config.as_ref().and_then(Config::dead_network).or_else(record)
    }
}

/// Deletes what nobody asks about any more: the files of old deployments, and what a killed run left half written.
pub fn sweep(state: Option<&Path>, now: SystemTime) {
    let Some(state) = state else { return };
    let entries = |folder: &str| fs::read_dir(state.join(folder)).into_iter().flatten().filter_map(Result::ok);
    let half_written = entries("spool").filter(|entry| entry.file_name().to_string_lossy().ends_with(".tmp"));
    let notes = entries("deployments").chain(entries("versions"));
    let old = notes.map(|entry| (entry, KEPT)).chain(half_written.map(|entry| (entry, HALF_WRITTEN)));
    for (entry, kept) in old {
        let age = entry.metadata().and_then(|it| it.modified()).ok().and_then(|at| now.duration_since(at).ok());
        if age.is_some_and(|age| age > kept) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn path(state: &Path, deployment_id: &str) -> Option<PathBuf> {
    (!deployment_id.is_empty()).then(|| state.join("deployments").join(format!("{deployment_id}.json")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Kind;

    #[test]
    fn what_is_told_is_heard_and_silence_is_an_empty_journal() {
        let state = tempfile::tempdir().expect("a folder");
        let told = Journal { spent_ms: 7, notes: vec!["it rains".into()], ..Journal::default() };
        told.write(Some(state.path()), "id");
        assert_eq!(Journal::read(Some(state.path()), "id"), told);
        assert_eq!(Journal::find(Some(state.path()), "other"), None);
        assert_eq!(Journal::read(None, "id"), Journal::default());
    }

    #[test]
    fn only_a_dead_network_is_left_alone() {
        let with = |kind| {
            let fault = Some(Fault::new(kind, "x", ""));
            Journal {
                config: Some(Config { backup: Backup::Spooled, key: String::new(), md5: String::new(), fault }),
                ..Journal::default()
            }
        };
        assert!(with(Kind::Timeout).dead_network().is_some());
        assert!(with(Kind::Denied).dead_network().is_none());
    }

    #[test]
    fn old_files_are_swept_and_new_ones_kept() {
        let state = tempfile::tempdir().expect("a folder");
        Journal::default().write(Some(state.path()), "id");
        let now = SystemTime::UNIX_EPOCH + SystemTime::UNIX_EPOCH.elapsed().expect("after 1970");
        sweep(Some(state.path()), now + Duration::from_hours(1));
        assert!(Journal::find(Some(state.path()), "id").is_some());
        sweep(Some(state.path()), now + Duration::from_hours(15 * 24));
        assert!(Journal::find(Some(state.path()), "id").is_none());
    }
}

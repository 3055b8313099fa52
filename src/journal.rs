//! What became of one deployment, told by `backup` and `log` to each other and to `outcome`.
//!
//! These run as processes of their own, and what a `local-exec` finds out cannot flow back into Terraform, so it
//! goes through a small file per deployment. It is a help and not the truth: without it every verb still does
//! its work. Each verb writes the worst that can be said before it tries, so that a kill is told as well.

use std::fs;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::claims;
use crate::fault::Fault;
use crate::files::{self, Mode};
use crate::places::Places;
use crate::programs;
use crate::record::Backup;
use crate::spool::{Kept, SPOOL};

/// The folder's name.
const FOLDER: &str = "deployments";
/// How long a deployment's file is kept.
const KEPT: Duration = Duration::from_hours(14 * 24);
/// How long a chain waits for a record that somebody may have deleted from the spool.
const TAKEN: Duration = Duration::from_hours(365 * 24);
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
    /// Where things were kept.
    pub keeping: Keeping,
    /// The process that carries the deployment out, noted by `backup`: as long as it is there, `log` is still to come.
    pub driver: Option<u32>,
    /// What everybody should know although it stopped nothing, one phrase each.
    pub notes: Vec<String>,
}

/// Where a deployment kept things, whether they are there still or not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keeping {
    /// The folders.
    pub folders: Vec<String>,
    /// Why they are not the usual one, if they are not.
    pub instead_of: Option<Fault>,
}

impl Keeping {
    /// Notes where something is kept.
    pub fn note(&mut self, kept: &Kept) {
        let folder = kept.path().parent().unwrap_or(kept.path()).display().to_string();
        if !self.folders.contains(&folder) {
            self.folders.push(folder);
        }
        if self.instead_of.is_none() {
            self.instead_of.clone_from(&kept.instead_of);
        }
    }
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
    pub fn read(places: &Places, deployment_id: &str) -> Self {
        Self::find(places, deployment_id).unwrap_or_default()
    }

    /// As [`Journal::read`], with `None` where there is nothing.
    #[must_use]
    pub fn find(places: &Places, deployment_id: &str) -> Option<Self> {
        let name = name(deployment_id)?;
        let found = places.all(FOLDER).filter_map(|folder| serde_json::from_slice::<Self>(&fs::read(folder.join(&name)).ok()?).ok());
        // A place that filled up in the middle has an older state.
        found.max_by_key(|journal| journal.spent_ms)
    }

    /// Tells the verbs to come. A failure is no loss: they then find out for themselves.
    pub fn write(&self, places: &Places, deployment_id: &str) {
        if let (Ok(bytes), Some(name)) = (serde_json::to_vec(self), name(deployment_id)) {
            let _ = places.write(FOLDER, |folder| files::put(&folder.join(&name), &[&bytes], Mode::Private));
        }
    }

    /// Puts `cause` in the place of the fault `pessimist`, which was noted ahead of what might come.
    pub fn settle(&mut self, pessimist: &Fault, cause: &Fault) {
        let config = self.config.as_mut().and_then(|it| it.fault.as_mut());
        let record = self.record.as_mut().and_then(|it| it.fault.as_mut());
        for fault in config.into_iter().chain(record) {
            if let Some(more) = fault.text.strip_prefix(&pessimist.text) {
                *fault = Fault { text: format!("{}{more}", cause.text), ..cause.clone() };
            }
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
pub fn sweep(places: &Places, now: SystemTime) {
    let entries =
        |name: &str| places.all(name).filter_map(|folder| fs::read_dir(folder).ok()).flatten().filter_map(Result::ok).collect::<Vec<_>>();
    let half_written = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().ends_with(".tmp");
    let is_taken = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().ends_with(claims::TAKEN);
    let spool = entries(SPOOL).into_iter().filter(half_written).map(|entry| (entry, HALF_WRITTEN));
    let chains = entries(claims::FOLDER).into_iter().filter(|entry| is_taken(entry) || half_written(entry)).map(|entry| (entry, TAKEN));
    let notes = entries(FOLDER).into_iter().chain(entries(programs::FOLDER)).map(|entry| (entry, KEPT));
    for (entry, kept) in spool.chain(notes).chain(chains) {
        let age = entry.metadata().and_then(|it| it.modified()).ok().and_then(|at| now.duration_since(at).ok());
        if age.is_some_and(|age| age > kept) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn name(deployment_id: &str) -> Option<String> {
    (!deployment_id.is_empty()).then(|| format!("{deployment_id}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Kind;

    fn places() -> (tempfile::TempDir, Places) {
        let folder = tempfile::tempdir().expect("a folder");
        let places = Places::own([folder.path().join("first"), folder.path().join("second")]);
        (folder, places)
    }

    #[test]
    fn what_is_told_is_heard_and_silence_is_an_empty_journal() {
        let (_folder, places) = places();
        let told = Journal { spent_ms: 7, notes: vec!["it rains".into()], ..Journal::default() };
        told.write(&places, "id");
        assert_eq!(Journal::read(&places, "id"), told);
        assert_eq!(Journal::find(&places, "other"), None);
        assert_eq!(Journal::read(&Places::default(), "id"), Journal::default());
    }

    #[test]
    fn what_was_told_last_counts_wherever_it_could_be_written() {
        let (folder, places) = places();
        let told = |spent_ms| Journal { spent_ms, ..Journal::default() };
        told(1).write(&places, "id");
        let first = folder.path().join("first");
        fs::rename(&first, folder.path().join("away")).expect("moved");
        fs::write(&first, "in the way").expect("a file");
        told(2).write(&places, "id");
        fs::remove_file(&first).expect("gone");
        fs::rename(folder.path().join("away"), &first).expect("moved");
        assert_eq!(Journal::read(&places, "id"), told(2));
    }

    #[test]
    fn what_was_feared_gives_way_to_the_cause_and_to_nothing_else() {
        let feared = Fault::new(Kind::Local, "stopped", "");
        let cause = Fault::new(Kind::Timeout, "no answer", "wait");
        let told = |config: &Fault, record: &Fault| {
            let config = Config { backup: Backup::Spooled, key: String::new(), md5: String::new(), fault: Some(config.clone()) };
            let record = Sent { sent: false, kept: true, key: String::new(), user: String::new(), fault: Some(record.clone()) };
            let mut journal = Journal { config: Some(config), record: Some(record), ..Journal::default() };
            journal.settle(&feared, &cause);
            (journal.config.expect("it").fault.expect("a fault"), journal.record.expect("it").fault.expect("a fault"))
        };
        let not_kept = Fault { text: "stopped; nothing is kept".into(), ..feared.clone() };
        assert_eq!(told(&feared, &not_kept), (cause.clone(), Fault { text: "no answer; nothing is kept".into(), ..cause.clone() }));
        let denied = Fault::new(Kind::Denied, "denied", "ask");
        assert_eq!(told(&denied, &feared), (denied, cause.clone()));
        let mut nothing = Journal::default();
        nothing.settle(&feared, &cause);
        assert_eq!(nothing, Journal::default());
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
        let (_folder, places) = places();
        Journal::default().write(&places, "id");
        let now = SystemTime::UNIX_EPOCH + SystemTime::UNIX_EPOCH.elapsed().expect("after 1970");
        sweep(&places, now + Duration::from_hours(1));
        assert!(Journal::find(&places, "id").is_some());
        sweep(&places, now + Duration::from_hours(15 * 24));
        assert!(Journal::find(&places, "id").is_none());
    }
}

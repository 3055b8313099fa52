//! Removes expired files from the state folder: notes of old deployments, and what a killed process left half written.

use std::fs;
use std::time::{Duration, SystemTime};

use crate::chain::claim;
use crate::deployment::deployment_claim;
use crate::state::dirs::StateDirs;
use crate::state::spool::SPOOL_DIR;
use crate::system::process;

/// How long the notes of a deployment, and the versions of tools, are kept.
const NOTE_LIFETIME: Duration = Duration::from_hours(14 * 24);
/// How long a chain waits for a record that an operator may have deleted from the spool.
const TAKEN_CHAIN_LIFETIME: Duration = Duration::from_hours(365 * 24);
/// How old a half-written file must be to belong to no running process.
const HALF_WRITTEN_LIFETIME: Duration = Duration::from_hours(1);

/// Removes what has expired at `now`. Whatever cannot be removed stays: the next deployment tries again.
pub fn remove_expired_files(places: &StateDirs, now: SystemTime) {
    #[allow(clippy::case_sensitive_file_extension_comparisons)] // the name is ours
    let is_half_written = |name: &str| name.ends_with(".tmp");
    let is_taken = |name: &str| name.ends_with(claim::TAKEN_SUFFIX) || is_half_written(name);
    remove_older_files(places, SPOOL_DIR, is_half_written, now, HALF_WRITTEN_LIFETIME);
    remove_older_files(places, claim::CHAINS_DIR, is_taken, now, TAKEN_CHAIN_LIFETIME);
    for folder in [deployment_claim::DEPLOYMENTS_DIR, process::TOOL_VERSIONS_DIR] {
        remove_older_files(places, folder, |_| true, now, NOTE_LIFETIME);
    }
}

fn remove_older_files(places: &StateDirs, folder: &str, is_meant: impl Fn(&str) -> bool, now: SystemTime, lifetime: Duration) {
    let entries = places.subdirs(folder).filter_map(|folder| fs::read_dir(folder).ok()).flatten().filter_map(Result::ok);
    for entry in entries.filter(|entry| is_meant(&entry.file_name().to_string_lossy())) {
        let modified = entry.metadata().and_then(|metadata| metadata.modified()).ok();
        let age = modified.and_then(|modified| now.duration_since(modified).ok());
        if age.is_some_and(|age| age > lifetime) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_files_are_removed_and_new_ones_stay() {
        let folder = tempfile::tempdir().expect("a folder");
        let places = StateDirs::from_private_dirs([folder.path().to_owned()]);
        let note = folder.path().join(deployment_claim::DEPLOYMENTS_DIR).join("note.json");
        let item = folder.path().join(SPOOL_DIR).join("1.item");
        for file in [&note, &item] {
            fs::create_dir_all(file.parent().expect("a folder")).expect("made");
            fs::write(file, "x").expect("written");
        }
        let now = SystemTime::UNIX_EPOCH + SystemTime::UNIX_EPOCH.elapsed().expect("after 1970");
        remove_expired_files(&places, now + Duration::from_hours(1));
        assert!(note.exists());
        remove_expired_files(&places, now + Duration::from_hours(400 * 24));
        assert!(!note.exists() && item.exists(), "an item is never removed");
    }
}

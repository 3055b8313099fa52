//! Removes expired files from the state folder: notes of old deployments, and what a killed process left half written.

use std::fs;
use std::time::{Duration, SystemTime};

use crate::state::dirs::StateDirs;

/// Files of one folder of the state directory that expire.
#[derive(Debug, Clone, Copy)]
pub struct ExpiryRule {
    /// The folder, below the state directory.
    pub dir: &'static str,
    /// The endings of the names of files that expire; empty: every file.
    pub suffixes: &'static [&'static str],
    /// How long such a file is kept after it was written.
    pub lifetime: Duration,
}

/// Removes what has expired at `now`. Whatever cannot be removed stays: the next deployment tries again.
pub fn remove_expired_files(places: &StateDirs, rules: &[ExpiryRule], now: SystemTime) {
    for rule in rules {
        let is_meant = |name: &str| {
            rule.suffixes.is_empty() || rule.suffixes.iter().any(|suffix| name.ends_with(suffix))
        };
        remove_older_files(places, rule.dir, is_meant, now, rule.lifetime);
    }
}

fn remove_older_files(
    places: &StateDirs,
    folder: &str,
    is_meant: impl Fn(&str) -> bool,
    now: SystemTime,
    lifetime: Duration,
) {
    let entries = places
        .subdirs(folder)
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
        .filter_map(Result::ok);
    for entry in entries.filter(|entry| is_meant(&entry.file_name().to_string_lossy())) {
        let modified = entry
            .metadata()
            .and_then(|metadata| metadata.modified())
            .ok();
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
        let note = folder.path().join("notes").join("note.json");
        let item = folder.path().join("spool").join("1.item");
        let rules = [
            ExpiryRule {
                dir: "notes",
                suffixes: &[],
                lifetime: Duration::from_hours(14 * 24),
            },
            ExpiryRule {
                dir: "spool",
                suffixes: &[".tmp"],
                lifetime: Duration::from_hours(1),
            },
        ];
        for file in [&note, &item] {
            fs::create_dir_all(file.parent().expect("a folder")).expect("made");
            fs::write(file, "x").expect("written");
        }
        let now = SystemTime::UNIX_EPOCH + SystemTime::UNIX_EPOCH.elapsed().expect("after 1970");
        remove_expired_files(&places, &rules, now + Duration::from_hours(1));
        assert!(note.exists());
        remove_expired_files(&places, &rules, now + Duration::from_hours(400 * 24));
        assert!(!note.exists() && item.exists(), "an item is never removed");
    }
}

//! Removes expired files: notes of old deployments, and what a killed process left half written.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::state::dirs::StateDirs;

/// Which files of one subdirectory expire, and when.
#[derive(Debug, Clone, Copy)]
pub struct ExpiryRule {
    /// The subdirectory of the state directory.
    pub dir: &'static str,
    /// The suffixes of the file names that expire. Empty means every file.
    pub suffixes: &'static [&'static str],
    /// How long such a file stays after it was written.
    pub lifetime: Duration,
}

impl ExpiryRule {
    fn applies_to(&self, name: &str) -> bool {
        self.suffixes.is_empty() || self.suffixes.iter().any(|suffix| name.ends_with(suffix))
    }
}

/// Removes what has expired at `now`. A file that cannot be removed stays: the next deployment
/// tries again.
pub fn remove_expired_files(state_dirs: &StateDirs, rules: &[ExpiryRule], now: SystemTime) {
    for rule in rules {
        for dir in state_dirs.subdirs(rule.dir) {
            remove_expired_in(&dir, rule, now);
        }
    }
}

fn remove_expired_in(dir: &Path, rule: &ExpiryRule, now: SystemTime) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    for entry in entries.flatten() {
        if rule.applies_to(&entry.file_name().to_string_lossy())
            && is_older_than(&entry, rule.lifetime, now)
        {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// A file that is dated in the future, or whose date is unknown, is not old.
fn is_older_than(entry: &fs::DirEntry, lifetime: Duration, now: SystemTime) -> bool {
    let Ok(modified) = entry.metadata().and_then(|metadata| metadata.modified()) else {
        return false;
    };
    match now.duration_since(modified) {
        Ok(age) => age > lifetime,
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removes_old_files_and_keeps_new_ones() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let state_dirs = StateDirs::from_private_dirs([dir.path().to_owned()]);
        let note = dir.path().join("notes").join("note.json");
        let item = dir.path().join("spool").join("1.item");
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
            fs::create_dir_all(file.parent().expect("a parent")).expect("made");
            fs::write(file, "x").expect("written");
        }
        let now = SystemTime::UNIX_EPOCH + SystemTime::UNIX_EPOCH.elapsed().expect("after 1970");
        remove_expired_files(&state_dirs, &rules, now + Duration::from_hours(1));
        assert!(note.exists());
        remove_expired_files(&state_dirs, &rules, now + Duration::from_hours(400 * 24));
        assert!(!note.exists() && item.exists(), "items never expire");
    }
}

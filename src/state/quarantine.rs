//! The quarantine: files from the spool that are not readable items. They must not block the spool.
//!
//! It is beside the spool, so that a move is a rename. Must not delete anything.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::state::dirs::StateDirs;
use crate::state::spool::{self, ITEM_SUFFIX, SPOOL_DIR, Spool};
use crate::system::atomic_file;

const QUARANTINE_DIR: &str = "quarantine";
/// How many files of the same name fit into the quarantine.
const MAX_NAME_COLLISIONS: u32 = 1000;

/// Moves a file from the spool into the quarantine and returns its new path.
pub fn quarantine_file(path: &Path) -> io::Result<PathBuf> {
    let (Some(name), Some(state_dir)) = (path.file_name(), state_dir_of(path)) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let quarantine = state_dir.join(QUARANTINE_DIR);
    atomic_file::create_private_dir(&quarantine)?;
    let target = find_free_path(&quarantine.join(name))?;
    fs::rename(path, &target)?;
    Ok(target)
}

/// The state directory that contains the spool or the quarantine with this file.
fn state_dir_of(path: &Path) -> Option<&Path> {
    path.parent()?.parent()
}

/// `path`, or `path` with a number behind it if something is there already.
fn find_free_path(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut candidate = path.to_owned();
    for number in 1..=MAX_NAME_COLLISIONS {
        match candidate.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(candidate),
            _ => candidate = path.with_file_name(format!("{name}.{number}")),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// The paths of all quarantined files, sorted.
#[must_use]
pub fn list_quarantine(state_dirs: &StateDirs) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for dir in state_dirs.subdirs(QUARANTINE_DIR) {
        let Ok(entries) = spool::list_visible_entries(&dir) else {
            continue;
        };
        paths.extend(entries.iter().map(fs::DirEntry::path));
    }
    paths.sort();
    paths
}

/// Moves files back into the spool that are readable now, because a newer version was installed.
pub fn restore_readable_items(state_dirs: &StateDirs) {
    for path in list_quarantine(state_dirs) {
        if let Ok(Some(_)) = Spool::read_item(&path)
            && let Some(target) = spool_path_of(&path)
        {
            // If the move fails, the file stays in the quarantine and `status` lists it.
            let _ = fs::rename(&path, target);
        }
    }
}

/// Where a quarantined file was in the spool. Drops the number that the quarantine added.
fn spool_path_of(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_string_lossy();
    let stem = match name.split_once(ITEM_SUFFIX) {
        Some((stem, _)) => stem,
        None => &name,
    };
    let spool = state_dir_of(path)?.join(SPOOL_DIR);
    Some(spool.join(format!("{stem}{ITEM_SUFFIX}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::store::BucketTarget;
    use crate::state::spool::SpoolReadError;
    use crate::state::spool_file::{SpoolItem, SpoolItemKind};

    #[test]
    fn unreadable_items_are_quarantined_and_restored_once_they_are_readable() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let state_dirs = StateDirs::from_private_dirs([dir.path().to_owned()]);
        let spool = Spool::new(&state_dirs);
        let path = enqueue_record(&spool);
        let readable = fs::read(&path).expect("read");
        let newer = String::from_utf8_lossy(&readable).replace("\"schema\":1", "\"schema\":2");

        for (content, expected) in [
            (&readable[..readable.len() - 1], "the content is damaged"),
            (&readable[..20], "not a spool file, or truncated"),
            (b"", "not a spool file, or truncated"),
            (
                newer.as_bytes(),
                "written by another version of config-backup",
            ),
        ] {
            fs::write(&path, content).expect("written");
            let Err(SpoolReadError::Damaged(reason)) = Spool::lock_item(&path) else {
                panic!("accepted: {expected}");
            };
            assert_eq!(reason, expected);
            quarantine_file(&path).expect("moved");
        }
        let quarantined = list_quarantine(&state_dirs);
        assert_eq!(quarantined.len(), 4, "four names: {quarantined:?}");
        assert_eq!(spool.list().items.len(), 0);

        fs::write(&quarantined[3], readable).expect("written");
        restore_readable_items(&state_dirs);
        assert_eq!(list_quarantine(&state_dirs), quarantined[..3]);
        let restored = &spool.list().items[0];
        let entry = Spool::lock_item(restored).expect("readable");
        assert_eq!(entry.expect("not locked").body, b"body");
    }

    fn enqueue_record(spool: &Spool) -> PathBuf {
        let target = BucketTarget {
            bucket: "b".into(),
            region: "r".into(),
            profile: String::new(),
            owner: String::new(),
            encryption: None,
        };
        let item = SpoolItem::new(
            SpoolItemKind::Record,
            target,
            "airbnb",
            "20251030T143052Z-00",
            chrono::DateTime::default(),
            b"body",
        );
        let entry = spool.enqueue(item, b"body".to_vec()).expect("enqueued");
        entry.path().to_owned()
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_moved_and_not_followed() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let state_dirs = StateDirs::from_private_dirs([dir.path().join("state")]);
        let destination = dir.path().join("elsewhere");
        let link = dir.path().join("state/spool/link.item");
        fs::create_dir_all(link.parent().expect("a parent")).expect("created");
        fs::write(&destination, "x").expect("a file");
        std::os::unix::fs::symlink(&destination, &link).expect("a link");

        let moved = quarantine_file(&link).expect("moved");
        assert!(destination.is_file());
        assert!(!link.exists());
        assert!(moved.symlink_metadata().expect("a link").is_symlink());
        assert_eq!(list_quarantine(&state_dirs), [moved]);
    }
}

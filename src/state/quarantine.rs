//! The quarantine: what was found in the spool and is no item, or a damaged one. It is kept there and stops nothing.
//!
//! Lies beside the spool, so that a move is a rename. Must not delete anything.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::state::dirs::StateDirs;
use crate::state::spool::{self, ITEM_SUFFIX, SPOOL_DIR, Spool};
use crate::system::atomic_file;

const QUARANTINE_DIR: &str = "quarantine";
/// How many things of one name are set aside.
const MAX_NAME_COLLISIONS: u32 = 1000;

/// Moves what is no item into the quarantine beside its folder, and gives its new path.
pub fn quarantine_file(path: &Path) -> io::Result<PathBuf> {
    let (Some(name), Some(place)) = (path.file_name(), path.parent().and_then(Path::parent)) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let quarantine = place.join(QUARANTINE_DIR);
    atomic_file::create_private_dir(&quarantine)?;
    let numbered = |number| quarantine.join(format!("{}.{number}", name.to_string_lossy()));
    let mut names =
        std::iter::once(quarantine.join(name)).chain((1..MAX_NAME_COLLISIONS).map(numbered));
    let free = |path: &PathBuf| {
        path.symlink_metadata()
            .is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    };
    let target = names.find(free).ok_or(io::ErrorKind::AlreadyExists)?;
    fs::rename(path, &target)?;
    Ok(target)
}

/// What lies in it.
#[must_use]
pub fn list_quarantine(places: &StateDirs) -> Vec<PathBuf> {
    let entries = places
        .subdirs(QUARANTINE_DIR)
        .filter_map(|folder| spool::list_visible_entries(&folder).ok())
        .flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// Puts back into the spool what is an item after all: of a newer version, that is now installed.
pub fn restore_readable_items(places: &StateDirs) {
    for path in list_quarantine(places) {
        let spool = path
            .parent()
            .and_then(Path::parent)
            .map(|place| place.join(SPOOL_DIR));
        if let (Ok(Some(_)), Some(spool), Some(name)) =
            (Spool::read_item(&path), spool, path.file_name())
        {
            let name = name.to_string_lossy();
            let stem = name
                .split_once(ITEM_SUFFIX)
                .map_or(&*name, |(stem, _)| stem);
            // Where that fails, it stays where it is, and `status` names it.
            let _ = fs::rename(&path, spool.join(format!("{stem}{ITEM_SUFFIX}")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::store::BucketTarget;
    use crate::state::spool::SpoolReadError;
    use crate::state::spool_file::{SpoolItem, SpoolItemKind};

    #[test]
    fn torn_foreign_and_newer_files_are_refused_and_set_aside_and_taken_back_once_they_are_good() {
        let folder = tempfile::tempdir().expect("a folder");
        let places = StateDirs::from_private_dirs([folder.path().to_owned()]);
        let spool = Spool::new(&places);
        let target = BucketTarget {
            bucket: "b".into(),
            region: "r".into(),
            profile: String::new(),
            owner: String::new(),
        };
        let item = SpoolItem::new(
            SpoolItemKind::Record,
            target,
            "airbnb",
            "20251030T143052Z-00",
            chrono::DateTime::default(),
            b"body",
        );
        let path = spool
            .enqueue(item, b"body".to_vec())
            .expect("kept")
            .path()
            .to_owned();
        let whole = fs::read(&path).expect("read");
        let newer = String::from_utf8_lossy(&whole).replace("\"schema\":1", "\"schema\":2");
        for (content, words) in [
            (&whole[..whole.len() - 1], "its content is damaged"),
            (&whole[..20], "it is not a file of ours, or it is torn"),
            (b"", "it is not a file of ours, or it is torn"),
            (
                newer.as_bytes(),
                "it was written by another version of config-backup",
            ),
        ] {
            fs::write(&path, content).expect("written");
            assert!(
                matches!(Spool::lock_item(&path), Err(SpoolReadError::Damaged(why)) if why == words),
                "{words}"
            );
            quarantine_file(&path).expect("set aside");
        }
        let aside = list_quarantine(&places);
        assert_eq!(
            (aside.len(), spool.list().items.len()),
            (4, 0),
            "each under a name of its own: {aside:?}"
        );
        fs::write(&aside[3], whole).expect("written");
        restore_readable_items(&places);
        assert_eq!(list_quarantine(&places), aside[..3]);
        assert_eq!(
            Spool::lock_item(&spool.list().items[0])
                .expect("readable")
                .expect("free")
                .body,
            b"body"
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_moved_as_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let places = StateDirs::from_private_dirs([folder.path().join("state")]);
        let there = folder.path().join("elsewhere");
        let link = folder.path().join("state/spool/link.item");
        fs::create_dir_all(link.parent().expect("a folder")).expect("a folder");
        fs::write(&there, "x").expect("a file");
        std::os::unix::fs::symlink(&there, &link).expect("a link");
        let moved = quarantine_file(&link).expect("moved");
        assert!(
            there.is_file()
                && !link.exists()
                && moved.symlink_metadata().expect("a link").is_symlink()
        );
        assert_eq!(list_quarantine(&places), [moved]);
    }
}

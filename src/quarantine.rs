//! The quarantine: what was found in the spool and is no item, or a damaged one. It is kept there and stops nothing.
//!
//! Lies beside the spool, so that a move is a rename. Must not delete anything.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::files;
use crate::places::Places;
use crate::spool::{self, SPOOL, SUFFIX, Spool};

const QUARANTINE: &str = "quarantine";
/// How many things of one name are set aside.
const TWINS: u32 = 1000;

/// Moves what is no item into the quarantine beside its folder, and gives its new path.
pub fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let (Some(name), Some(place)) = (path.file_name(), path.parent().and_then(Path::parent)) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let quarantine = place.join(QUARANTINE);
    files::private_folder(&quarantine)?;
    let numbered = |number| quarantine.join(format!("{}.{number}", name.to_string_lossy()));
    let mut names = std::iter::once(quarantine.join(name)).chain((1..TWINS).map(numbered));
    let free = |path: &PathBuf| path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    let target = names.find(free).ok_or(io::ErrorKind::AlreadyExists)?;
    fs::rename(path, &target)?;
    Ok(target)
}

/// What lies in it.
#[must_use]
pub fn list(places: &Places) -> Vec<PathBuf> {
    let entries = places.all(QUARANTINE).filter_map(|folder| spool::entries(&folder).ok()).flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// Puts back into the spool what is an item after all: of a newer version, that is now installed.
pub fn take_back(places: &Places) {
    for path in list(places) {
        let spool = path.parent().and_then(Path::parent).map(|place| place.join(SPOOL));
        if let (Ok(Some(_)), Some(spool), Some(name)) = (Spool::peek(&path), spool, path.file_name()) {
            let name = name.to_string_lossy();
            let stem = name.split_once(SUFFIX).map_or(&*name, |(stem, _)| stem);
            // Where that fails, it stays where it is, and `status` names it.
            let _ = fs::rename(&path, spool.join(format!("{stem}{SUFFIX}")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::Target;
    use crate::item::{Item, What};
    use crate::spool::Refused;

    #[test]
    fn torn_foreign_and_newer_files_are_refused_and_set_aside_and_taken_back_once_they_are_good() {
        let folder = tempfile::tempdir().expect("a folder");
        let places = Places::own([folder.path().to_owned()]);
        let spool = Spool::new(&places);
        let target = Target { bucket: "b".into(), region: "r".into(), profile: String::new(), owner: String::new() };
        let item = Item::new(What::Record, target, "airbnb", "20251030T143052Z-00", chrono::DateTime::default(), b"body");
        let path = spool.keep(item, b"body".to_vec()).expect("kept").path().to_owned();
        let whole = fs::read(&path).expect("read");
        let newer = String::from_utf8_lossy(&whole).replace("\"schema\":1", "\"schema\":2");
        for (content, words) in [
            (&whole[..whole.len() - 1], "its content is damaged"),
            (&whole[..20], "it is not a file of ours, or it is torn"),
            (b"", "it is not a file of ours, or it is torn"),
            (newer.as_bytes(), "it was written by another version of config-backup"),
        ] {
            fs::write(&path, content).expect("written");
            assert!(matches!(Spool::take(&path), Err(Refused::Damaged(why)) if why == words), "{words}");
            set_aside(&path).expect("set aside");
        }
        let aside = list(&places);
        assert_eq!((aside.len(), spool.look().items.len()), (4, 0), "each under a name of its own: {aside:?}");
        fs::write(&aside[3], whole).expect("written");
        take_back(&places);
        assert_eq!(list(&places), aside[..3]);
        assert_eq!(Spool::take(&spool.look().items[0]).expect("readable").expect("free").body, b"body");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_moved_as_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let places = Places::own([folder.path().join("state")]);
        let there = folder.path().join("elsewhere");
        let link = folder.path().join("state/spool/link.item");
        fs::create_dir_all(link.parent().expect("a folder")).expect("a folder");
        fs::write(&there, "x").expect("a file");
        std::os::unix::fs::symlink(&there, &link).expect("a link");
        let moved = set_aside(&link).expect("moved");
        assert!(there.is_file() && !link.exists() && moved.symlink_metadata().expect("a link").is_symlink());
        assert_eq!(list(&places), [moved]);
    }
}

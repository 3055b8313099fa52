//! Where things are kept on this machine: the user's state folder, and, where that one cannot be written, a folder
//! among the temporary files.
//!
//! Knows folders and not what is in them. The second one lies where everybody may write, so it is used only as long as
//! it is the user's own and closed to others.

use std::io;
use std::path::{Path, PathBuf};

use crate::fault::{Fault, Kind};
use crate::files;
use crate::host;

/// The folders, the preferred one first.
#[derive(Debug, Clone, Default)]
pub struct Places {
    places: Vec<Place>,
    /// Why the first of them is not the usual one, if it is not.
    without_usual: Option<Fault>,
}

#[derive(Debug, Clone)]
struct Place {
    folder: PathBuf,
    /// Whether it lies where everybody may write.
    shared: bool,
}

/// What was written, and how.
#[derive(Debug)]
pub struct Written<T> {
    /// What came of it.
    pub result: T,
    /// Why it is not in the preferred place, if it is not.
    pub instead_of: Option<Fault>,
}

impl Places {
    /// Those of this machine and user.
    #[must_use]
    pub fn of_host() -> Self {
        let own = host::state_dir().map(|folder| Place { folder, shared: false });
        let without_usual = own.is_none().then(|| Fault::new(Kind::Local, "neither HOME nor XDG_STATE_HOME is set", "set HOME"));
        let shared = host::fallback_dir().map(|folder| Place { folder, shared: true });
        Self { places: own.into_iter().chain(shared).filter(Place::can_be_trusted).collect(), without_usual }
    }

    /// The user's own folders `folders`, the preferred one first.
    pub fn own(folders: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { places: folders.into_iter().map(|folder| Place { folder, shared: false }).collect(), without_usual: None }
    }

    /// The folders called `name`, whether they exist or not.
    pub fn all(&self, name: &str) -> impl Iterator<Item = PathBuf> {
        self.places.iter().map(move |place| place.folder.join(name))
    }

    /// Lets `write` write into the first folder called `name` in which it can, making it where there is none.
    ///
    /// # Errors
    /// It can write into none of them; tells why it cannot into the preferred one.
    pub fn write<T>(&self, name: &str, mut write: impl FnMut(&Path) -> io::Result<T>) -> Result<Written<T>, Fault> {
        let mut instead_of = self.without_usual.clone();
        for place in &self.places {
            let folder = place.folder.join(name);
            match place.make(&folder).and_then(|()| write(&folder)) {
                Ok(result) => return Ok(Written { result, instead_of }),
                Err(error) => {
                    let text = format!("write to `{}`: {error}", folder.display());
                    instead_of.get_or_insert_with(|| Fault::new(Kind::Local, text, ""));
                }
            }
        }
        Err(instead_of.unwrap_or_else(|| Fault::new(Kind::Local, "there is no folder to keep things in", "set HOME")))
    }
}

impl Place {
    /// Whether what lies there can only be ours; true where nothing lies there yet.
    fn can_be_trusted(&self) -> bool {
        !self.shared
            || self.folder.symlink_metadata().map_or_else(|error| error.kind() == io::ErrorKind::NotFound, |it| host::is_private(&it))
    }

    fn make(&self, folder: &Path) -> io::Result<()> {
        files::private_folder(&self.folder)?;
        // Somebody else may just have been quicker.
        if !self.can_be_trusted() {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the folder is not ours alone"));
        }
        files::private_folder(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(places: &Places) -> Result<Written<PathBuf>, Fault> {
        places.write("spool", |folder| std::fs::write(folder.join("x"), "x").map(|()| folder.to_owned()))
    }

    #[test]
    fn what_cannot_be_written_in_one_place_is_written_in_the_next() {
        let base = tempfile::tempdir().expect("a folder");
        let (first, second) = (base.path().join("first"), base.path().join("second"));
        let places = Places::own([first.clone(), second.clone()]);
        let written = put(&places).expect("written");
        assert_eq!((written.result, written.instead_of), (first.join("spool"), None));
        std::fs::remove_dir_all(&first).expect("gone");
        std::fs::write(&first, "in the way").expect("a file");
        let written = put(&places).expect("written");
        assert_eq!(written.result, second.join("spool"));
        let why = written.instead_of.expect("a reason").text;
        assert!(why.starts_with(&format!("write to `{}`: ", first.join("spool").display())), "{why}");
        std::fs::remove_dir_all(&second).expect("gone");
        std::fs::write(&second, "in the way").expect("a file");
        assert!(put(&places).expect_err("no place").text.contains("first"));
    }

    #[cfg(unix)]
    #[test]
    fn a_shared_folder_that_others_can_enter_or_that_is_a_link_is_not_used() {
        use std::os::unix::fs::{DirBuilderExt as _, symlink};
        let base = tempfile::tempdir().expect("a folder");
        let folder = base.path().join("ours");
        let place = Place { folder: folder.clone(), shared: true };
        assert!(place.can_be_trusted());
        std::fs::DirBuilder::new().mode(0o755).create(&folder).expect("a folder");
        assert!(!place.can_be_trusted());
        assert!(put(&Places { places: vec![place.clone()], without_usual: None }).is_err());
        std::fs::remove_dir(&folder).expect("gone");
        symlink(base.path(), &folder).expect("a link");
        assert!(!place.can_be_trusted());
        std::fs::remove_file(&folder).expect("gone");
        assert!(put(&Places { places: vec![place.clone()], without_usual: None }).is_ok() && place.can_be_trusted());
    }
}

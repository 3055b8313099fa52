//! Where things are kept on this machine: the user's state folder, and, where that one cannot be written, a folder
//! among the temporary files.
//!
//! Knows folders and not what is in them. The second one lies where everybody may write, so it is used only as long as
//! it is the user's own and closed to others.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind};
use crate::system::atomic_file;
use crate::system::host;

/// The folders, the preferred one first.
#[derive(Debug, Clone, Default)]
pub struct StateDirs {
    dirs: Vec<StateDir>,
    /// Why the first of them is not the usual one, if it is not.
    primary_dir_error: Option<Error>,
}

#[derive(Debug, Clone)]
struct StateDir {
    path: PathBuf,
    /// Whether it lies where everybody may write.
    is_shared: bool,
}

/// What was written, and how.
#[derive(Debug)]
pub struct StateWrite<T> {
    /// What came of it.
    pub value: T,
    /// Why it is not in the preferred place, if it is not.
    pub primary_dir_error: Option<Error>,
}

impl StateDirs {
    /// Those of this machine and user.
    #[must_use]
    pub fn detect() -> Self {
        let own = host::state_dir().map(|folder| StateDir {
            path: folder,
            is_shared: false,
        });
        let without_usual = own.is_none().then(|| {
            Error::new(
                ErrorKind::Local,
                "neither HOME nor XDG_STATE_HOME is set",
                "set HOME",
            )
        });
        let shared = host::fallback_state_dir().map(|folder| StateDir {
            path: folder,
            is_shared: true,
        });
        Self {
            dirs: own
                .into_iter()
                .chain(shared)
                .filter(StateDir::is_trusted)
                .collect(),
            primary_dir_error: without_usual,
        }
    }

    /// The user's own folders `folders`, the preferred one first.
    pub fn from_private_dirs(folders: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            dirs: folders
                .into_iter()
                .map(|folder| StateDir {
                    path: folder,
                    is_shared: false,
                })
                .collect(),
            primary_dir_error: None,
        }
    }

    /// The folders called `name`, whether they exist or not.
    pub fn subdirs(&self, name: &str) -> impl Iterator<Item = PathBuf> {
        self.dirs.iter().map(move |place| place.path.join(name))
    }

    /// Lets `write` write into the first folder called `name` in which it can, making it where there is none.
    ///
    /// # Errors
    /// It can write into none of them; tells why it cannot into the preferred one.
    pub fn write_in<T>(
        &self,
        name: &str,
        mut write: impl FnMut(&Path) -> io::Result<T>,
    ) -> Result<StateWrite<T>, Error> {
        let mut instead_of = self.primary_dir_error.clone();
        for place in &self.dirs {
            let folder = place.path.join(name);
            match place.create_subdir(&folder).and_then(|()| write(&folder)) {
                Ok(result) => {
                    return Ok(StateWrite {
                        value: result,
                        primary_dir_error: instead_of,
                    });
                }
                Err(error) => {
                    let text = format!("write to `{}`: {error}", folder.display());
                    instead_of.get_or_insert_with(|| Error::new(ErrorKind::Local, text, ""));
                }
            }
        }
        Err(instead_of.unwrap_or_else(|| {
            Error::new(
                ErrorKind::Local,
                "there is no folder to keep things in",
                "set HOME",
            )
        }))
    }
}

impl StateDir {
    /// Whether what lies there can only be ours; true where nothing lies there yet.
    fn is_trusted(&self) -> bool {
        !self.is_shared
            || self.path.symlink_metadata().map_or_else(
                |error| error.kind() == io::ErrorKind::NotFound,
                |it| host::is_private(&it),
            )
    }

    fn create_subdir(&self, folder: &Path) -> io::Result<()> {
        atomic_file::create_private_dir(&self.path)?;
        // Somebody else may just have been quicker.
        if !self.is_trusted() {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "the folder is not ours alone",
            ));
        }
        atomic_file::create_private_dir(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_test_file(places: &StateDirs) -> Result<StateWrite<PathBuf>, Error> {
        places.write_in("spool", |folder| {
            std::fs::write(folder.join("x"), "x").map(|()| folder.to_owned())
        })
    }

    #[test]
    fn what_cannot_be_written_in_one_place_is_written_in_the_next() {
        let base = tempfile::tempdir().expect("a folder");
        let (first, second) = (base.path().join("first"), base.path().join("second"));
        let places = StateDirs::from_private_dirs([first.clone(), second.clone()]);
        let written = write_test_file(&places).expect("written");
        assert_eq!(
            (written.value, written.primary_dir_error),
            (first.join("spool"), None)
        );
        std::fs::remove_dir_all(&first).expect("gone");
        std::fs::write(&first, "in the way").expect("a file");
        let written = write_test_file(&places).expect("written");
        assert_eq!(written.value, second.join("spool"));
        let why = written.primary_dir_error.expect("a reason").message;
        assert!(
            why.starts_with(&format!("write to `{}`: ", first.join("spool").display())),
            "{why}"
        );
        std::fs::remove_dir_all(&second).expect("gone");
        std::fs::write(&second, "in the way").expect("a file");
        assert!(
            write_test_file(&places)
                .expect_err("no place")
                .message
                .contains("first")
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_shared_folder_that_others_can_enter_or_that_is_a_link_is_not_used() {
        use std::os::unix::fs::{DirBuilderExt as _, symlink};
        let base = tempfile::tempdir().expect("a folder");
        let folder = base.path().join("ours");
        let place = StateDir {
            path: folder.clone(),
            is_shared: true,
        };
        assert!(place.is_trusted());
        std::fs::DirBuilder::new()
            .mode(0o755)
            .create(&folder)
            .expect("a folder");
        assert!(!place.is_trusted());
        assert!(
            write_test_file(&StateDirs {
                dirs: vec![place.clone()],
                primary_dir_error: None
            })
            .is_err()
        );
        std::fs::remove_dir(&folder).expect("gone");
        symlink(base.path(), &folder).expect("a link");
        assert!(!place.is_trusted());
        std::fs::remove_file(&folder).expect("gone");
        assert!(
            write_test_file(&StateDirs {
                dirs: vec![place.clone()],
                primary_dir_error: None
            })
            .is_ok()
                && place.is_trusted()
        );
    }
}

//! The state directory of this user, and a fallback among the temporary files.
//!
//! Knows directories, not their content. Who can write to one could read configs and forge uploads.
//! So a directory of this user that others can write to is closed to them, and one of another user is
//! not used. Everybody can write to the parent of the fallback, so that is used only if it was always
//! closed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, ErrorKind};
use crate::system::atomic_file;
use crate::system::dirs::{
    FolderMode, close_folder, fallback_state_dir, find_unsafe_parent, folder_mode, is_owned,
    state_dir,
};

const SET_HOME_HINT: &str = "set HOME";
const SET_STATE_HOME_HINT: &str = "set XDG_STATE_HOME to a folder that only you can write to";

/// The directories to write state to, in the order in which they are tried.
#[derive(Debug, Clone, Default)]
pub struct StateDirs {
    dirs: Vec<StateDir>,
    /// Why the first directory is not the primary one, if it is not.
    primary_dir_error: Option<Error>,
    /// Which directories were closed to other users.
    repairs: Arc<Mutex<Vec<String>>>,
}

#[derive(Debug, Clone)]
struct StateDir {
    path: PathBuf,
    /// Whether everybody can write to its parent.
    is_shared: bool,
}

/// The result of a write, and whether it went to the primary directory.
#[derive(Debug)]
pub struct StateWrite<T> {
    pub value: T,
    /// Why the value is not in the primary directory, if it is not.
    pub primary_dir_error: Option<Error>,
}

impl StateDirs {
    /// The directories of this machine and user.
    #[must_use]
    pub fn detect() -> Self {
        let mut state_dirs = Self::default();
        match state_dir() {
            Some(path) => {
                let dir = StateDir::private(path);
                match dir.require_trusted() {
                    Ok(()) => state_dirs.dirs.push(dir),
                    Err(cause) => state_dirs.primary_dir_error = Some(dir.refusal(&cause)),
                }
            }
            None => {
                state_dirs.primary_dir_error = Some(Error::new(
                    ErrorKind::Local,
                    "cannot find the state directory: neither HOME nor XDG_STATE_HOME is set",
                    SET_HOME_HINT,
                ));
            }
        }
        if let Some(path) = fallback_state_dir() {
            let fallback = StateDir {
                path,
                is_shared: true,
            };
            match fallback.require_trusted() {
                Ok(()) => state_dirs.dirs.push(fallback),
                Err(cause) if state_dirs.dirs.is_empty() => {
                    let refusal = fallback.refusal(&cause);
                    state_dirs.primary_dir_error.get_or_insert(refusal);
                }
                Err(_) => {}
            }
        }
        state_dirs
    }

    /// Says which directories were closed to other users since the last call.
    #[must_use]
    pub fn take_repair_notes(&self) -> Vec<String> {
        std::mem::take(&mut *self.repairs.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add_repair(&self, dir: &Path) {
        let note = format!(
            "other users could write to `{}`, which is closed to them now; \
             check who has used this machine",
            dir.display()
        );
        self.repairs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(note);
    }

    /// Directories that only this user can write to, in the order in which they are tried.
    pub fn from_private_dirs(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            dirs: paths.into_iter().map(StateDir::private).collect(),
            ..Self::default()
        }
    }

    /// The subdirectories called `name`, whether they exist or not.
    pub fn subdirs(&self, name: &str) -> impl Iterator<Item = PathBuf> {
        self.dirs.iter().map(move |dir| dir.path.join(name))
    }

    /// Calls `write` with the subdirectory `name` of each directory until it succeeds. Creates the
    /// subdirectory if it is missing.
    ///
    /// # Errors
    /// No directory can be written. The error is that of the primary one.
    pub fn write_in<T>(
        &self,
        name: &str,
        mut write: impl FnMut(&Path) -> io::Result<T>,
    ) -> Result<StateWrite<T>, Error> {
        let mut primary_dir_error = self.primary_dir_error.clone();
        for dir in &self.dirs {
            let subdir = dir.path.join(name);
            let created = dir.create_subdir(&subdir, &|dir| self.add_repair(dir));
            let result = created.and_then(|()| write(&subdir));
            match result {
                Ok(value) => {
                    return Ok(StateWrite {
                        value,
                        primary_dir_error,
                    });
                }
                Err(error) if primary_dir_error.is_none() => {
                    primary_dir_error = Some(match error.kind() {
                        // Of this file: the system's errors have a number.
                        io::ErrorKind::PermissionDenied if error.raw_os_error().is_none() => {
                            dir.refusal(&error)
                        }
                        _ => Error::local_file("write to", &subdir, &error),
                    });
                }
                Err(_) => {}
            }
        }
        Err(primary_dir_error.unwrap_or_else(|| {
            Error::new(
                ErrorKind::Local,
                "cannot find a state directory",
                SET_HOME_HINT,
            )
        }))
    }
}

impl StateDir {
    fn private(path: PathBuf) -> Self {
        Self {
            path,
            is_shared: false,
        }
    }

    fn refusal(&self, cause: &io::Error) -> Error {
        let path = self.path.display();
        let message = format!("cannot use the state directory `{path}`: {cause}");
        Error::new(ErrorKind::Local, message, SET_STATE_HOME_HINT)
    }

    /// Whether other users can neither have replaced the directory nor own it. A missing one is
    /// trusted.
    fn require_trusted(&self) -> io::Result<()> {
        if let Some(parent) = find_unsafe_parent(&self.path) {
            let parent = parent.display();
            return Err(refused(format!("other users can replace it in `{parent}`")));
        }
        let metadata = if self.is_shared {
            self.path.symlink_metadata()
        } else {
            self.path.metadata()
        };
        match metadata {
            Ok(metadata) if self.is_shared && !metadata.is_dir() => {
                Err(refused("it is not a folder".to_owned()))
            }
            Ok(metadata) if metadata.is_dir() && !is_owned(&metadata) => {
                Err(refused("it belongs to another user".to_owned()))
            }
            // Whatever is in it may be of another user.
            Ok(metadata) if self.is_shared && folder_mode(&metadata) != FolderMode::Closed => {
                Err(refused("other users can access it".to_owned()))
            }
            // Other errors show when it is written to.
            _ => Ok(()),
        }
    }

    fn create_subdir(&self, subdir: &Path, on_repair: &dyn Fn(&Path)) -> io::Result<()> {
        atomic_file::create_private_dir(&self.path)?;
        // Another user may have created the directory since the last check.
        self.require_trusted()?;
        close_to_others(&self.path, on_repair)?;
        atomic_file::create_private_dir(subdir)?;
        close_to_others(subdir, on_repair)
    }
}

/// Closes a directory of this user that others can write to.
fn close_to_others(dir: &Path, on_repair: &dyn Fn(&Path)) -> io::Result<()> {
    let is_open = || {
        let metadata = dir.metadata()?;
        Ok::<_, io::Error>(metadata.is_dir() && folder_mode(&metadata) == FolderMode::Writable)
    };
    if !is_open()? {
        return Ok(());
    }
    // Some file systems have no modes, and some only claim to set one.
    if close_folder(dir).is_err() || is_open()? {
        let dir = dir.display();
        return Err(refused(format!("other users can write to `{dir}`")));
    }
    on_repair(dir);
    Ok(())
}

fn refused(cause: String) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_test_file(state_dirs: &StateDirs) -> Result<StateWrite<PathBuf>, Error> {
        state_dirs.write_in("spool", |dir| {
            std::fs::write(dir.join("x"), "x")?;
            Ok(dir.to_owned())
        })
    }

    #[test]
    fn falls_back_to_the_next_directory() {
        let base = tempfile::tempdir().expect("a temporary directory");
        let first = base.path().join("first");
        let second = base.path().join("second");
        let state_dirs = StateDirs::from_private_dirs([first.clone(), second.clone()]);

        let written = write_test_file(&state_dirs).expect("written");
        assert_eq!(written.value, first.join("spool"));
        assert_eq!(written.primary_dir_error, None);

        std::fs::remove_dir_all(&first).expect("removed");
        std::fs::write(&first, "in the way").expect("a file");
        let written = write_test_file(&state_dirs).expect("written");
        assert_eq!(written.value, second.join("spool"));
        let message = written.primary_dir_error.expect("an error").message;
        let expected = format!("cannot write to `{}`: ", first.join("spool").display());
        assert!(message.starts_with(&expected), "{message}");

        std::fs::remove_dir_all(&second).expect("removed");
        std::fs::write(&second, "in the way").expect("a file");
        let error = write_test_file(&state_dirs).expect_err("an error");
        assert!(error.message.contains("first"), "{error}");
    }

    #[cfg(unix)]
    fn mode_of(path: &Path) -> u32 {
        use std::os::unix::fs::PermissionsExt as _;
        path.metadata().expect("metadata").permissions().mode() & 0o7777
    }

    #[cfg(unix)]
    fn set_mode(path: &Path, mode: u32) {
        use std::os::unix::fs::PermissionsExt as _;
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(path, permissions).expect("a mode");
    }

    #[cfg(unix)]
    #[test]
    fn a_directory_that_others_can_write_to_is_closed_and_said_once() {
        let base = tempfile::tempdir().expect("a temporary directory");
        let path = base.path().join("ours");
        // The mode of the directory, that of its spool, and how many are closed.
        for (modes, repairs) in [
            ([0o777, 0o700], 1),
            ([0o755, 0o722], 1),
            ([0o775, 0o777], 2),
            ([0o755, 0o750], 0),
        ] {
            std::fs::create_dir_all(path.join("spool")).expect("created");
            set_mode(&path.join("spool"), modes[1]);
            set_mode(&path, modes[0]);
            let state_dirs = StateDirs::from_private_dirs([path.clone()]);
            for repairs in [repairs, 0] {
                write_test_file(&state_dirs).expect("written");
                let notes = state_dirs.take_repair_notes();
                assert_eq!(notes.len(), repairs, "{modes:?}: {notes:?}");
                assert!(notes.iter().all(|note| note.contains("ours")), "{notes:?}");
            }
            for dir in [&path, &path.join("spool")] {
                assert_eq!(mode_of(dir) & 0o022, 0, "{modes:?}");
            }
            std::fs::remove_dir_all(&path).expect("removed");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_directory_that_others_can_replace_is_not_used() {
        let base = tempfile::tempdir().expect("a temporary directory");
        let parent = base.path().join("parent");
        std::fs::create_dir(&parent).expect("created");
        let state_dirs = StateDirs::from_private_dirs([parent.join("ours"), base.path().join("b")]);
        for (mode, refused) in [(0o777, true), (0o1777, false), (0o775, false)] {
            set_mode(&parent, mode);
            let written = write_test_file(&state_dirs).expect("written");
            let error = written.primary_dir_error.map(|error| error.message);
            assert_eq!(error.is_some(), refused, "{mode:o}: {error:?}");
            let words = "parent/ours`: other users can replace it in `";
            assert!(error.is_none_or(|error| error.contains(words)));
            assert_eq!(written.value.starts_with(&parent), !refused);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_shared_directory_that_is_open_to_others_or_a_link_is_not_used() {
        let base = tempfile::tempdir().expect("a temporary directory");
        let path = base.path().join("ours");
        let state_dirs = StateDirs {
            dirs: vec![StateDir {
                path: path.clone(),
                is_shared: true,
            }],
            ..StateDirs::default()
        };
        std::os::unix::fs::symlink(base.path(), &path).expect("a link");
        let error = write_test_file(&state_dirs).expect_err("a link");
        assert!(error.message.ends_with("it is not a folder"), "{error}");

        std::fs::remove_file(&path).expect("removed");
        assert!(write_test_file(&state_dirs).is_ok());
        for mode in [0o777, 0o755] {
            set_mode(&path, mode);
            let error = write_test_file(&state_dirs).expect_err("open to others");
            assert!(
                error.message.ends_with("other users can access it"),
                "{error}"
            );
        }
    }
}

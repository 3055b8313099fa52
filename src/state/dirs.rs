//! The state directory of this user, and a fallback among the temporary files.
//!
//! Knows directories, not their content. Everybody can write to the parent of the fallback, so it
//! is used only while it belongs to this user and is closed to others.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind};
use crate::system::atomic_file;
use crate::system::dirs::{fallback_state_dir, is_private, state_dir};

const SET_HOME_HINT: &str = "set HOME";

/// The directories to write state to, in the order in which they are tried.
#[derive(Debug, Clone, Default)]
pub struct StateDirs {
    dirs: Vec<StateDir>,
    /// Why the first directory is not the primary one, if it is not.
    primary_dir_error: Option<Error>,
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
            Some(path) => state_dirs.dirs.push(StateDir::private(path)),
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
            if fallback.is_trusted() {
                state_dirs.dirs.push(fallback);
            }
        }
        state_dirs
    }

    /// Directories that only this user can write to, in the order in which they are tried.
    pub fn from_private_dirs(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            dirs: paths.into_iter().map(StateDir::private).collect(),
            primary_dir_error: None,
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
            let result = dir.create_subdir(&subdir).and_then(|()| write(&subdir));
            match result {
                Ok(value) => {
                    return Ok(StateWrite {
                        value,
                        primary_dir_error,
                    });
                }
                Err(error) if primary_dir_error.is_none() => {
                    primary_dir_error = Some(Error::local_file("write to", &subdir, &error));
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

    /// Whether only this user can have written what is there. A missing directory is trusted.
    fn is_trusted(&self) -> bool {
        if !self.is_shared {
            return true;
        }
        match self.path.symlink_metadata() {
            Ok(metadata) => is_private(&metadata),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }

    fn create_subdir(&self, subdir: &Path) -> io::Result<()> {
        atomic_file::create_private_dir(&self.path)?;
        // Another user may have created the directory since the last check.
        if !self.is_trusted() {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "other users can access the directory",
            ));
        }
        atomic_file::create_private_dir(subdir)
    }
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
    #[test]
    fn rejects_a_shared_directory_that_is_open_to_others_or_a_link() {
        use std::os::unix::fs::{DirBuilderExt as _, symlink};
        let base = tempfile::tempdir().expect("a temporary directory");
        let path = base.path().join("ours");
        let dir = StateDir {
            path: path.clone(),
            is_shared: true,
        };
        let state_dirs = StateDirs {
            dirs: vec![dir.clone()],
            primary_dir_error: None,
        };
        assert!(dir.is_trusted());

        let mut open_to_others = std::fs::DirBuilder::new();
        open_to_others.mode(0o755).create(&path).expect("created");
        assert!(!dir.is_trusted());
        assert!(write_test_file(&state_dirs).is_err());

        std::fs::remove_dir(&path).expect("removed");
        symlink(base.path(), &path).expect("a link");
        assert!(!dir.is_trusted());

        std::fs::remove_file(&path).expect("removed");
        assert!(write_test_file(&state_dirs).is_ok());
        assert!(dir.is_trusted());
    }
}

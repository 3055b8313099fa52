//! Where `verify` remembers what it saw: in the state directory, in a file that the user names, or in
//! a line that the user keeps.
//!
//! Must not know what the text means.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::digest::short_digest;
use crate::error::{Error, ErrorKind};
use crate::state::dirs::StateDirs;
use crate::system::atomic_file::{self, AtomicFile, FileMode};

/// The subdirectory of the state directory.
const KNOWN_DIR: &str = "known";
/// The beginning of the line, as it is printed.
pub const KNOWN_LINE_PREFIX: &str = "known:";

/// Where the text is.
#[derive(Debug, Clone)]
pub enum KnownPlace {
    /// A file of this name in the state directory.
    StateDir(StateDirs, String),
    File(PathBuf),
    /// The line without its prefix. The user keeps the next one.
    Line(String),
}

impl KnownPlace {
    /// The place that `--known` names: nothing, a line, `-` for an empty one, or a file.
    #[must_use]
    pub fn from_argument(argument: Option<&str>, bucket_identity: &str) -> Self {
        let Some(argument) = argument else {
            let bucket = short_digest(bucket_identity.as_bytes());
            return Self::StateDir(StateDirs::detect(), format!("{bucket}.jsonl"));
        };
        let text = argument.trim();
        if let Some(line) = text.strip_prefix(KNOWN_LINE_PREFIX) {
            return Self::Line(line.to_owned());
        }
        match text {
            "" | "-" => Self::Line(String::new()),
            _ => Self::File(PathBuf::from(argument)),
        }
    }

    /// How messages call it.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::StateDir(dirs, name) => match find_state_file(dirs, name) {
                Some(path) => path.display().to_string(),
                None => name.clone(),
            },
            Self::File(path) => path.display().to_string(),
            Self::Line(_) => "--known".to_owned(),
        }
    }

    /// The text; empty if nothing was remembered yet.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn read(&self) -> Result<String, Error> {
        let path = match self {
            Self::Line(text) => return Ok(text.clone()),
            Self::File(path) => path.clone(),
            Self::StateDir(dirs, name) => match find_state_file(dirs, name) {
                Some(path) => path,
                None => return Ok(String::new()),
            },
        };
        match fs::read_to_string(&path) {
            Ok(text) => Ok(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(Error::local_file("read", &path, &error)),
        }
    }

    /// Replaces the text. A line is printed by the caller.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, text: &str) -> Result<(), Error> {
        match self {
            Self::Line(_) => Ok(()),
            Self::File(path) => match write_user_file(path, text) {
                Ok(()) => Ok(()),
                Err(error) => Err(Error::local_file("write", path, &error)),
            },
            Self::StateDir(dirs, name) => {
                let write = |dir: &Path| {
                    let parts: [&[u8]; 1] = [text.as_bytes()];
                    atomic_file::write_atomically(&dir.join(name), &parts, FileMode::Private)
                };
                dirs.write_in(KNOWN_DIR, write)?;
                Ok(())
            }
        }
    }

    /// An error about text that `verify` did not write.
    #[must_use]
    pub fn damaged_error(&self, cause: &str) -> Error {
        let place = self.describe();
        let message = format!("cannot read `{place}`: {cause}");
        let hint = "take it from a backup; without it, `verify` learns everything again";
        Error::new(ErrorKind::Input, message, hint)
    }
}

fn find_state_file(dirs: &StateDirs, name: &str) -> Option<PathBuf> {
    let mut paths = dirs.subdirs(KNOWN_DIR).map(|dir| dir.join(name));
    paths.find(|path| path.exists())
}

fn write_user_file(path: &Path, text: &str) -> io::Result<()> {
    let mut file = AtomicFile::create_for_user(path)?;
    file.write_all(text.as_bytes())?;
    file.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_argument_is_a_line_or_a_file() {
        let line = |argument: &str| match KnownPlace::from_argument(Some(argument), "b") {
            KnownPlace::Line(text) => Some(text),
            _ => None,
        };
        assert_eq!(line("known: [1]").as_deref(), Some(" [1]"));
        assert_eq!(line("-").as_deref(), Some(""));
        assert_eq!(line("").as_deref(), Some(""));
        assert_eq!(line("known.jsonl"), None);
        let default = KnownPlace::from_argument(None, "b");
        assert!(matches!(default, KnownPlace::StateDir(..)));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let state_dirs = StateDirs::from_private_dirs([dir.path().to_owned()]);
        let file = dir.path().join("known.jsonl");
        let argument = file.to_str().expect("UTF-8");
        for place in [
            KnownPlace::StateDir(state_dirs, "b.jsonl".to_owned()),
            KnownPlace::from_argument(Some(argument), "b"),
        ] {
            assert_eq!(place.read().expect("nothing"), "");
            place.write("a\n").expect("written");
            place.write("b\n").expect("replaced");
            assert_eq!(place.read().expect("text"), "b\n");
        }
        let missing = KnownPlace::File(dir.path().join("no/folder"));
        assert!(missing.write("a").is_err());
    }
}

//! Small JSON files of the state directory, one for each name. Losing one is harmless.
//!
//! A name can have any character, so the file is called after its digest.

use std::fs;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::digest::short_digest;
use crate::state::dirs::StateDirs;
use crate::system::atomic_file::{self, FileMode};

/// The note of this name in a subdirectory; `None` if it is missing or damaged.
pub(super) fn read_note<T: DeserializeOwned>(
    state_dirs: &StateDirs,
    subdir: &str,
    name: &str,
) -> Option<T> {
    let file_name = file_name(name);
    for dir in state_dirs.subdirs(subdir) {
        if let Ok(bytes) = fs::read(dir.join(&file_name))
            && let Ok(note) = serde_json::from_slice(&bytes)
        {
            return Some(note);
        }
    }
    None
}

/// Replaces a note, if the state directory can be written.
pub(super) fn write_note(state_dirs: &StateDirs, subdir: &str, name: &str, note: &impl Serialize) {
    let Ok(bytes) = serde_json::to_vec(note) else {
        return;
    };
    let _ = state_dirs.write_in(subdir, |dir| {
        let path = dir.join(file_name(name));
        atomic_file::write_atomically(&path, &[&bytes], FileMode::Private)
    });
}

pub(super) fn remove_note(state_dirs: &StateDirs, subdir: &str, name: &str) {
    let file_name = file_name(name);
    for dir in state_dirs.subdirs(subdir) {
        let _ = fs::remove_file(dir.join(&file_name));
    }
}

fn file_name(name: &str) -> String {
    format!("{}.json", short_digest(name.as_bytes()))
}

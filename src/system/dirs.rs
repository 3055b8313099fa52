//! Where state and cache live.

use std::fs::Metadata;
use std::path::{Path, PathBuf};

use crate::system::env::env_var;

/// Where every user may create files.
const SHARED_FOLDERS: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];

/// `$XDG_STATE_HOME/config-backup`, or `~/.local/state/config-backup`.
#[must_use]
pub fn state_dir() -> Option<PathBuf> {
    xdg_dir("XDG_STATE_HOME", ".local/state")
}

/// Used if [`state_dir`] is not writable: the user's own folder among the temporary files. A
/// reboot may empty it.
#[must_use]
pub fn fallback_state_dir() -> Option<PathBuf> {
    #[cfg(unix)]
    {
        let base = absolute_path("TMPDIR").unwrap_or_else(|| "/tmp".into());
        let user_id = rustix::process::getuid().as_raw();
        Some(base.join(format!("config-backup-{user_id}")))
    }
    #[cfg(not(unix))]
    None
}

/// Cache directory (safe to delete): `$XDG_CACHE_HOME/config-backup`, or `~/.cache/config-backup`.
#[must_use]
pub fn cache_dir() -> Option<PathBuf> {
    xdg_dir("XDG_CACHE_HOME", ".cache")
}

/// Whether a file or folder belongs to the user.
#[cfg(unix)]
#[must_use]
pub fn is_owned(metadata: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    metadata.uid() == rustix::process::getuid().as_raw()
}

/// Other systems have no owners in this sense.
#[cfg(not(unix))]
#[must_use]
pub fn is_owned(_: &Metadata) -> bool {
    true
}

/// What other users may do in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FolderMode {
    /// Nothing.
    Closed,
    /// Read it.
    Readable,
    /// Create and replace files in it.
    Writable,
}

#[must_use]
pub fn folder_mode(metadata: &Metadata) -> FolderMode {
    #[cfg(unix)]
    let mode = std::os::unix::fs::MetadataExt::mode(metadata);
    #[cfg(not(unix))]
    let mode = 0;
    match mode & 0o777 {
        mode if mode & 0o022 != 0 => FolderMode::Writable,
        mode if mode & 0o077 != 0 => FolderMode::Readable,
        _ => FolderMode::Closed,
    }
}

/// Closes a folder to other users, as far as its file system has modes.
pub fn close_folder(folder: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(folder, mode)
    }
    #[cfg(not(unix))]
    Ok(())
}

/// The first folder above `folder` in which every user may rename the next one: it is among the
/// temporary files, and others may write to it, but it lacks the sticky bit.
#[must_use]
pub fn find_unsafe_parent(folder: &Path) -> Option<PathBuf> {
    // The folder and some above it may not exist yet.
    let mut parents = folder.ancestors().skip(1);
    let parent = parents.find_map(|it| it.canonicalize().ok())?;
    let bases = SHARED_FOLDERS.map(PathBuf::from).into_iter();
    let bases = bases.chain(absolute_path("TMPDIR"));
    let bases: Vec<PathBuf> = bases.filter_map(|base| base.canonicalize().ok()).collect();
    let is_shared = |folder: &Path| bases.iter().any(|base| folder.starts_with(base));
    let mut shared = parent.ancestors().take_while(|parent| is_shared(parent));
    let found = shared.find(|parent| can_others_rename_in(parent))?;
    Some(found.to_owned())
}

#[cfg(unix)]
fn can_others_rename_in(folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match folder.metadata() {
        Ok(metadata) => metadata.mode() & 0o002 != 0 && metadata.mode() & 0o1000 == 0,
        Err(_) => false,
    }
}

#[cfg(not(unix))]
fn can_others_rename_in(_: &Path) -> bool {
    false
}

/// This program's folder in one of the XDG base directories.
fn xdg_dir(variable: &str, default: &str) -> Option<PathBuf> {
    let base = match absolute_path(variable) {
        Some(path) => path,
        None => Path::new(&env_var("HOME")?).join(default),
    };
    Some(base.join("config-backup"))
}

/// The XDG specification demands that relative paths are ignored.
fn absolute_path(variable: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env_var(variable)?);
    path.is_absolute().then_some(path)
}

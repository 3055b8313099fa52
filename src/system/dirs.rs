//! Where state and cache live.

use std::path::{Path, PathBuf};

use crate::system::env::env_var;

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

/// Whether a folder belongs to the user, is closed to others, and is not a link.
#[cfg(unix)]
#[must_use]
pub fn is_private(folder: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let is_own = folder.uid() == rustix::process::getuid().as_raw();
    let is_closed = folder.mode() & 0o777 == 0o700;
    folder.is_dir() && is_own && is_closed
}

/// Only Unix has a shared folder for temporary files.
#[cfg(not(unix))]
#[must_use]
pub fn is_private(folder: &std::fs::Metadata) -> bool {
    folder.is_dir()
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

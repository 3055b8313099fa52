//! The limit on open files.

/// Files that the program opens besides connections.
const RESERVED_FILES: u64 = 64;
/// The limit that macOS sets by default.
const DEFAULT_FILE_LIMIT: u64 = 256;

/// How many of `wanted` connections may be open at once. Raises the limit if possible.
#[must_use]
pub fn available_connections(wanted: usize) -> usize {
    let wanted_files = wanted as u64 + RESERVED_FILES;
    let limit = rlimit::increase_nofile_limit(wanted_files).unwrap_or(DEFAULT_FILE_LIMIT);
    let available = limit.saturating_sub(RESERVED_FILES);
    usize::try_from(available).unwrap_or(wanted).min(wanted)
}

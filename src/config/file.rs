//! The customer's `config.yaml` on disk. Its bytes are read once, and all digests, uploads and
//! records are about these bytes.
//!
//! Must not print any of them.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use chrono::{DateTime, Utc};

use crate::digest::{ContentDigests, compute_digests};
use crate::error::{Error, ErrorKind};
use crate::system::clock::utc_now;

/// A larger config is not backed up.
const MAX_CONFIG_BYTES: u64 = 10 << 20;

/// The content of `config.yaml` at one moment.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    pub bytes: Vec<u8>,
    pub digests: ContentDigests,
    pub read_at: DateTime<Utc>,
}

/// Reads `config.yaml`.
///
/// # Errors
/// It is missing, unreadable, not a regular file, or larger than 10 MiB.
pub fn read_config_file(path: &Path) -> Result<ConfigFile, Error> {
    let metadata = fs::metadata(path).map_err(|error| read_error(path, error, ""))?;
    // To open a FIFO would wait for a writer, and a device may be endless.
    if !metadata.is_file() {
        return Err(read_error(path, "not a regular file", ""));
    }
    // The error of a network file system may be transient, and without the bytes nothing is backed
    // up, so this is worth a retry.
    let bytes = read_bytes(path)
        .or_else(|_| read_bytes(path))
        .map_err(|error| read_error(path, error, ""))?;
    if bytes.len() as u64 > MAX_CONFIG_BYTES {
        let cause = format!("larger than {MAX_CONFIG_BYTES} bytes");
        let hint = "remove data that is not configuration";
        return Err(read_error(path, cause, hint));
    }
    Ok(ConfigFile {
        digests: compute_digests(&bytes),
        bytes,
        read_at: utc_now(),
    })
}

fn read_error(path: &Path, cause: impl Display, hint: &str) -> Error {
    let message = format!("cannot read `{}`: {cause}", path.display());
    Error::new(ErrorKind::Input, message, hint)
}

fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_CONFIG_BYTES + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_directories_missing_files_and_large_files() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let message_for = |path: &Path| {
            let error = read_config_file(path).expect_err("an error");
            error.message
        };
        assert!(message_for(dir.path()).ends_with("not a regular file"));
        assert!(message_for(&dir.path().join("none")).contains("No such file"));

        let large = dir.path().join("large");
        let file = File::create(&large).expect("created");
        file.set_len(MAX_CONFIG_BYTES + 1).expect("a sparse file");
        assert!(message_for(&large).ends_with("larger than 10485760 bytes"));
    }
}

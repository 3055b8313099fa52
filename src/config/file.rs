//! The customer's `config.yaml` as it lies on disk: its bytes, read once, and what follows from them.
//!
//! Must never show a byte of it. What is hashed, uploaded and recorded are these bytes and no later ones.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use chrono::{DateTime, Utc};

use crate::digest::{ContentDigests, compute_digests};
use crate::error::{Error, ErrorKind};
use crate::system::host;

/// The largest config that is backed up, in bytes.
const MAX_CONFIG_BYTES: u64 = 10 << 20;

/// One state of the config.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Their digests.
    pub digests: ContentDigests,
    /// When they were read.
    pub read_at: DateTime<Utc>,
}

/// Reads the config's bytes.
pub fn read_config_file(path: &Path) -> Result<ConfigFile, Error> {
    let name = path.display();
    let failed = |error: &std::io::Error| {
        Error::new(ErrorKind::Input, format!("read `{name}`: {error}"), "")
    };
    let kind = fs::metadata(path).map_err(|error| failed(&error))?;
    // Opening a FIFO would wait for a writer, and a device may have no end.
    if !kind.is_file() {
        return Err(Error::new(
            ErrorKind::Input,
            format!("read `{name}`: it is no regular file"),
            "",
        ));
    }
    // An error may pass, such as one of a network file system: what cannot be read is not backed up.
    let bytes = read_bytes(path)
        .or_else(|_| read_bytes(path))
        .map_err(|error| failed(&error))?;
    if bytes.len() as u64 > MAX_CONFIG_BYTES {
        return Err(Error::new(
            ErrorKind::Input,
            format!("read `{name}`: it is larger than {MAX_CONFIG_BYTES} bytes"),
            "move what is no configuration out of it",
        ));
    }
    Ok(ConfigFile {
        digests: compute_digests(&bytes),
        bytes,
        read_at: host::utc_now(),
    })
}

fn read_bytes(path: &Path) -> std::io::Result<Vec<u8>> {
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
    fn what_is_no_readable_file_is_refused_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let refused = |path: &Path| read_config_file(path).expect_err("a refusal").message;
        assert!(refused(folder.path()).ends_with("it is no regular file"));
        assert!(refused(&folder.path().join("none")).contains("No such file"));
        let large = folder.path().join("large");
        File::create(&large)
            .and_then(|file| file.set_len(MAX_CONFIG_BYTES + 1))
            .expect("a sparse file");
        assert!(refused(&large).ends_with("it is larger than 10485760 bytes"));
    }
}

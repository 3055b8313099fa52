//! One thing that is to be uploaded, and the form of the file that keeps it: a line of JSON (the [`Item`]) and the bytes.
//!
//! Must not know where such files lie, or what becomes of them.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::digest::sha256_hex;
use crate::s3::store::BucketTarget;
use crate::system::atomic_file;

/// The version of the file's form.
const SPOOL_FILE_SCHEMA: u32 = 1;
/// The longest header and the largest body that are read back, in bytes.
const MAX_HEADER_BYTES: u64 = 64 << 10;
const MAX_BODY_BYTES: u64 = 64 << 20;

/// What is to be uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpoolItemKind {
    /// A config: its history copy, and `config.yaml` unless a newer one is there.
    Config,
    /// A usage record.
    Record,
}

impl SpoolItemKind {
    /// The word for it in names of files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Record => "record",
        }
    }
}

/// All that an upload needs beside the body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpoolItem {
    /// The form's version.
    pub schema: u32,
    /// Config or record.
    pub what: SpoolItemKind,
    /// The bucket and the profile.
    pub target: BucketTarget,
    /// The customer.
    pub customer: String,
    /// The deployment that made it.
    pub deployment_id: String,
    /// The version that it becomes; empty for a record.
    pub backup_id: String,
    /// When the config was read, or the deployment happened.
    pub at: DateTime<Utc>,
    /// MD5 of the body, hex; empty for a record.
    pub md5: String,
    /// SHA-256 of the body, hex: tells a torn file from a whole one.
    pub sha256: String,
}

impl SpoolItem {
    /// An item of today's form for `body`.
    #[must_use]
    pub fn new(
        what: SpoolItemKind,
        target: BucketTarget,
        customer: &str,
        deployment_id: &str,
        at: DateTime<Utc>,
        body: &[u8],
    ) -> Self {
        Self {
            schema: SPOOL_FILE_SCHEMA,
            what,
            target,
            customer: customer.to_owned(),
            deployment_id: deployment_id.to_owned(),
            backup_id: String::new(),
            at,
            md5: String::new(),
            sha256: sha256_hex(body),
        }
    }
}

/// Writes a file for `item` and `body`, whole or not at all; it is locked.
pub fn write_spool_file(path: &Path, item: &SpoolItem, body: &[u8]) -> io::Result<File> {
    let header = serde_json::to_vec(item)?;
    atomic_file::write_atomically(
        path,
        &[&header, b"\n", body],
        atomic_file::FileMode::Private,
    )
}

/// Reads such a file.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] where it is torn, not of ours, or of a newer form.
pub fn read_spool_file(file: &File) -> io::Result<(SpoolItem, Vec<u8>)> {
    let invalid = |words: &str| io::Error::new(io::ErrorKind::InvalidData, words.to_owned());
    let mut reader = BufReader::new(file);
    let mut header = Vec::new();
    reader
        .by_ref()
        .take(MAX_HEADER_BYTES)
        .read_until(b'\n', &mut header)?;
    let schema: u64 = serde_json::from_slice::<serde_json::Value>(&header)
        .ok()
        .and_then(|value| value.get("schema")?.as_u64())
        .ok_or_else(|| invalid("it is not a file of ours, or it is torn"))?;
    if schema != u64::from(SPOOL_FILE_SCHEMA) {
        return Err(invalid(
            "it was written by another version of config-backup",
        ));
    }
    let item: SpoolItem =
        serde_json::from_slice(&header).map_err(|_| invalid("its header is damaged"))?;
    let mut body = Vec::new();
    reader.take(MAX_BODY_BYTES).read_to_end(&mut body)?;
    if sha256_hex(&body) == item.sha256 {
        Ok((item, body))
    } else {
        Err(invalid("its content is damaged"))
    }
}

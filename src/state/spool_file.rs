//! The format of a spool file: one line of JSON (the [`SpoolItem`]), then the bytes to upload.
//!
//! Must not know where such files are, or what becomes of them.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::digest::sha256_hex;
use crate::s3::credentials_id::CredentialsId;
use crate::s3::store::{BucketTarget, CallerIdentity};
use crate::system::atomic_file::{self, FileMode};

const SPOOL_FILE_SCHEMA: u32 = 1;
/// A longer header than this is not read back. A query, whose texts it repeats, is shorter.
const MAX_HEADER_BYTES: u64 = 4 << 20;
/// A larger body than this is not read back.
const MAX_BODY_BYTES: u64 = 64 << 20;

/// What an item uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpoolItemKind {
    /// A config: its history copy, and `config.yaml` unless a newer one is there.
    Config,
    /// A usage record.
    Record,
}

impl SpoolItemKind {
    /// The kind as file names spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Record => "record",
        }
    }
}

/// Everything that an upload needs besides the body. The field names are part of the file format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpoolItem {
    pub schema: u32,
    #[serde(rename = "what")]
    pub kind: SpoolItemKind,
    pub target: BucketTarget,
    pub customer: String,
    /// The deployment that created the item.
    pub deployment_id: String,
    /// The id of the config version. Empty for a record.
    pub backup_id: String,
    /// When the config was read, or when the deployment began.
    pub at: DateTime<Utc>,
    /// MD5 of the body, in hex. Empty for a record.
    pub md5: String,
    /// SHA-256 of the body, in hex. Detects a truncated file.
    pub sha256: String,
    /// Nanoseconds since 1970, for the order within a second; 0 in items of older versions.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub queued_at: u64,
    /// The history copy that the plan found in the bucket. Only for a config.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_key: Option<String>,
    /// What was known about the caller. Only for a record.
    #[serde(default, skip_serializing_if = "CallerEvidence::is_empty")]
    pub caller: CallerEvidence,
}

/// What a deployment knew about its caller without STS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallerEvidence {
    /// The credentials of the deployment; `None` if none could be loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials_id: Option<CredentialsId>,
    /// Who STS named before, at plan or for the last deployment with this profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub earlier: Option<CallerIdentity>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes a reference
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl CallerEvidence {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl SpoolItem {
    #[must_use]
    pub fn new(
        kind: SpoolItemKind,
        target: BucketTarget,
        customer: &str,
        deployment_id: &str,
        at: DateTime<Utc>,
        body: &[u8],
    ) -> Self {
        Self {
            schema: SPOOL_FILE_SCHEMA,
            kind,
            target,
            customer: customer.to_owned(),
            deployment_id: deployment_id.to_owned(),
            backup_id: String::new(),
            at,
            md5: String::new(),
            sha256: sha256_hex(body),
            queued_at: 0,
            stored_key: None,
            caller: CallerEvidence::default(),
        }
    }
}

/// Writes a spool file atomically. The returned file is locked.
pub fn write_spool_file(path: &Path, item: &SpoolItem, body: &[u8]) -> io::Result<File> {
    let header = serde_json::to_vec(item)?;
    atomic_file::write_atomically(path, &[&header, b"\n", body], FileMode::Private)
}

/// Reads a spool file.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] if the file is not a spool file, is damaged, or has another
/// schema.
pub fn read_spool_file(file: &File) -> io::Result<(SpoolItem, Vec<u8>)> {
    let mut reader = BufReader::new(file);
    let item = read_header(&mut reader)?;

    let mut body = Vec::new();
    reader.take(MAX_BODY_BYTES).read_to_end(&mut body)?;
    if sha256_hex(&body) != item.sha256 {
        return Err(invalid_data("the content is damaged"));
    }
    Ok((item, body))
}

/// Reads the item of a spool file without its body, so damage in the body goes unnoticed.
///
/// # Errors
/// As [`read_spool_file`].
pub fn read_spool_header(file: &File) -> io::Result<SpoolItem> {
    read_header(&mut BufReader::new(file))
}

fn read_header(reader: &mut BufReader<&File>) -> io::Result<SpoolItem> {
    let mut header = Vec::new();
    reader
        .take(MAX_HEADER_BYTES)
        .read_until(b'\n', &mut header)?;
    parse_header(&header)
}

fn parse_header(header: &[u8]) -> io::Result<SpoolItem> {
    #[derive(Deserialize)]
    struct SchemaField {
        schema: u64,
    }
    let Ok(SchemaField { schema }) = serde_json::from_slice(header) else {
        return Err(invalid_data("not a spool file, or truncated"));
    };
    if schema != u64::from(SPOOL_FILE_SCHEMA) {
        return Err(invalid_data("written by another version of config-backup"));
    }
    match serde_json::from_slice(header) {
        Ok(item) => Ok(item),
        Err(_) => Err(invalid_data("the header is damaged")),
    }
}

fn invalid_data(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::store::ObjectEncryption;

    #[test]
    fn the_header_keeps_its_field_names() {
        let target = BucketTarget {
            bucket: "b".into(),
            region: "r".into(),
            profile: "p".into(),
            owner: "123456789012".into(),
            encryption: None,
        };
        let at = DateTime::default();
        let mut item = SpoolItem::new(SpoolItemKind::Config, target, "acme", "id", at, b"");
        let header = serde_json::to_string(&item).expect("JSON");
        // printf '' | sha256sum
        let sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let expected = format!(
            "{{\"schema\":1,\"what\":\"config\",\
             \"target\":{{\"bucket\":\"b\",\"region\":\"r\",\"profile\":\"p\",\
             \"owner\":\"123456789012\"}},\
             \"customer\":\"acme\",\"deployment_id\":\"id\",\"backup_id\":\"\",\
             \"at\":\"1970-01-01T00:00:00Z\",\"md5\":\"\",\"sha256\":\"{sha256}\"}}"
        );
        assert_eq!(header, expected);

        item.target.encryption = Some(ObjectEncryption::Kms(Some("alias/k".into())));
        let header = serde_json::to_string(&item).expect("JSON");
        let with_encryption = "\"owner\":\"123456789012\",\"encryption\":\"aws:kms:alias/k\"";
        let expected = expected.replace("\"owner\":\"123456789012\"", with_encryption);
        assert_eq!(header, expected);
        assert_eq!(parse_header(header.as_bytes()).expect("an item"), item);
    }
}

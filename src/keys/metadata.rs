//! The metadata that config objects carry: the names of the fields, and how they are read.

use chrono::{DateTime, Utc};

use crate::s3::store::ObjectHead;

/// Metadata: MD5 of the body, hex.
pub const MD5_FIELD: &str = "md5";
/// Metadata: SHA-256 of the body, hex.
pub const SHA256_FIELD: &str = "sha256";
/// Metadata: names the version.
pub const BACKUP_ID_FIELD: &str = "backup-id";
/// Metadata: names the deployment that wrote the object.
pub const DEPLOYMENT_ID_FIELD: &str = "deployment-id";
/// Metadata: when the config was read, RFC 3339.
pub const CAPTURED_AT_FIELD: &str = "captured-at";

/// When the config was read that an object holds; `None` where its metadata does not say.
#[must_use]
pub fn parse_captured_at(head: &ObjectHead) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(head.metadata.get(CAPTURED_AT_FIELD)?)
        .ok()
        .map(|at| at.to_utc())
}

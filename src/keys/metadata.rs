//! The user metadata of the objects that we write.
//!
//! An `ETag` is not a digest (KMS, multipart), so the digests of the body stand here.

use chrono::{DateTime, Utc};

use crate::s3::store::ObjectHead;

/// MD5 of the body, hex.
pub const MD5_FIELD: &str = "md5";
/// SHA-256 of the body, hex.
pub const SHA256_FIELD: &str = "sha256";
/// Names the version of the config.
pub const BACKUP_ID_FIELD: &str = "backup-id";
/// The deployment that wrote the object.
pub const DEPLOYMENT_ID_FIELD: &str = "deployment-id";
/// When the config was read, RFC 3339.
pub const CAPTURED_AT_FIELD: &str = "captured-at";

/// When a deployment went back to a config that was read earlier, RFC 3339. Only in `config.yaml`.
pub const RESTORED_AT_FIELD: &str = "restored-at";

/// When the config in an object was read; `None` where the metadata does not say it.
#[must_use]
pub fn parse_captured_at(head: &ObjectHead) -> Option<DateTime<Utc>> {
    parse_time_field(head, CAPTURED_AT_FIELD)
}

/// When the config in an object was deployed; `None` where the metadata does not say it.
#[must_use]
pub fn parse_deployed_at(head: &ObjectHead) -> Option<DateTime<Utc>> {
    parse_time_field(head, RESTORED_AT_FIELD).or_else(|| parse_captured_at(head))
}

fn parse_time_field(head: &ObjectHead, field: &str) -> Option<DateTime<Utc>> {
    let text = head.metadata.get(field)?;
    let time = DateTime::parse_from_rfc3339(text).ok()?;
    Some(time.to_utc())
}

//! Which bucket, in which region, with which profile.

use serde::{Deserialize, Serialize};

use crate::s3::encryption::ObjectEncryption;

/// Spooled items contain it, so its field names are those of the spool files.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BucketTarget {
    pub bucket: String,
    /// Where the bucket is believed to be. S3's first answer corrects a wrong region.
    pub region: String,
    /// The AWS profile; empty for the credentials of the environment.
    pub profile: String,
    /// The account that must own the bucket; empty if any account may.
    #[serde(default)]
    pub owner: String,
    /// The encryption that uploads ask for; `None` for the bucket's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<ObjectEncryption>,
}

/// `s3://bucket/key`, as messages and outputs spell it.
#[must_use]
pub fn s3_uri(bucket: &str, key: &str) -> String {
    format!("s3://{bucket}/{key}")
}

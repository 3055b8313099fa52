//! Answers of S3 and STS.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The answer of `sts:GetCallerIdentity`. The field names are part of the spool's format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallerIdentity {
    pub arn: String,
    pub user_id: String,
    /// Twelve digits.
    pub account: String,
}

/// The answer to a HEAD request.
#[derive(Debug, Clone, Default)]
pub struct ObjectHead {
    /// The user metadata, with keys in lower case.
    pub metadata: HashMap<String, String>,
    /// Identifies this version of the object. It is opaque, not a digest to compare with.
    pub etag: String,
    /// When S3 got the object, in whole seconds.
    pub last_modified: Option<DateTime<Utc>>,
    pub size: u64,
    /// SHA-256 of the body in Base64, computed by S3 during the upload. Some servers omit it.
    pub sha256: Option<String>,
}

/// When a PUT may write.
#[derive(Debug, Clone)]
pub enum PutCondition {
    Always,
    /// Only if no object has this key.
    IfAbsent,
    /// Only if the object has this `ETag`.
    IfMatch(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutOutcome {
    Written(PutReceipt),
    /// The [`PutCondition`] did not hold, so nothing was written.
    ConditionFailed,
}

/// What the answer to a PUT says about the object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PutReceipt {
    pub etag: String,
    /// Whether the answer repeats the SHA-256 of the body, which S3 computes before it stores
    /// the object. A captive portal does not, nor does every S3-compatible server. Without it
    /// only a HEAD shows whether the object exists.
    pub is_checksum_confirmed: bool,
}

impl PutOutcome {
    /// Whether the object exists for certain, so that no HEAD is needed.
    #[must_use]
    pub fn is_checksum_confirmed(&self) -> bool {
        matches!(self, Self::Written(receipt) if receipt.is_checksum_confirmed)
    }
}

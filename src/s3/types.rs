//! What AWS says of an object, of what was written and of who asks, in our words.
//!
//! Pure.

use std::collections::HashMap;

/// Who asks, as STS says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerIdentity {
    /// The full ARN.
    pub arn: String,
    /// The unique id.
    pub user_id: String,
    /// The account, twelve digits.
    pub account: String,
}

/// An object's metadata.
#[derive(Debug, Clone, Default)]
pub struct ObjectHead {
    /// The user metadata, keys in lower case.
    pub metadata: HashMap<String, String>,
    /// The opaque tag of this very version; never a digest to compare with.
    pub etag: String,
    /// The body's length in bytes.
    pub size: u64,
    /// SHA-256 of the body in Base64, as S3 computed it when it was written; `None` where the server does not say.
    pub sha256: Option<String>,
}

/// What a PUT asks for beside writing.
#[derive(Debug, Clone)]
pub enum PutCondition {
    /// Write whatever is there.
    Always,
    /// Write only where nothing is.
    IfAbsent,
    /// Write only over the version with this `ETag`.
    IfMatch(String),
}

/// What a PUT came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutOutcome {
    /// The object is there.
    Written(PutReceipt),
    /// The [`Condition`] did not hold, and nothing was written.
    ConditionFailed,
}

/// What is said of an object that was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PutReceipt {
    /// Its `ETag`.
    pub etag: String,
    /// Whether the answer states the SHA-256 of the body, which S3 computes from what it has got before it stores that. Whoever else
    /// says 200 does not, nor does each server that speaks S3: then only a look tells whether the object is there.
    pub is_checksum_confirmed: bool,
}

impl PutOutcome {
    /// Whether nobody need look whether the object is there.
    #[must_use]
    pub fn is_checksum_confirmed(&self) -> bool {
        matches!(self, Self::Written(receipt) if receipt.is_checksum_confirmed)
    }
}

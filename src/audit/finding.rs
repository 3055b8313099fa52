//! What is wrong with an object.

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// Its content or its metadata was changed.
    Edited,
    /// S3 does not return it, or damaged.
    Unreadable,
    /// Another object names it, and it does not exist.
    Missing,
    /// It does not belong to this key.
    Misplaced,
    /// Another object has the same content.
    Twice,
    /// No seal covers it.
    Unsealed,
    /// No usage record names it.
    Unrecorded,
    /// It appeared long after the time that it states.
    Backdated,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct AuditFinding {
    #[serde(rename = "finding")]
    pub kind: FindingKind,
    /// The object's key.
    pub key: String,
    /// What shows it.
    pub detail: String,
}

impl AuditFinding {
    pub(super) fn new(kind: FindingKind, key: &str, detail: impl Into<String>) -> Self {
        Self {
            kind,
            key: key.to_owned(),
            detail: detail.into(),
        }
    }
}

//! Objects that a command skips, with the reason.

use std::fmt;
use std::io::{self, Write};

use crate::error::write_message;

/// Something that could not be read, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SkippedObject {
    /// `None` if the reason names the object.
    pub key: Option<String>,
    pub reason: String,
}

impl SkippedObject {
    pub(crate) fn new(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            key: Some(key.into()),
            reason: reason.into(),
        }
    }

    pub(crate) fn from_reason(reason: impl Into<String>) -> Self {
        Self {
            key: None,
            reason: reason.into(),
        }
    }
}

impl fmt::Display for SkippedObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "`{key}`: {}", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

/// Writes one line for each skipped object.
pub fn write_skipped(skipped: &[SkippedObject], messages: &mut impl Write) -> io::Result<()> {
    for object in skipped {
        write_message(messages, &format!("skipped {object}"))?;
    }
    Ok(())
}

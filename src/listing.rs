//! What is listed, and what a listing says.
//!
//! Pure data, for those who ask and those who use the answers.

use chrono::{DateTime, Utc};

/// One object of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The key.
    pub key: String,
    /// When it was written.
    pub modified: DateTime<Utc>,
    /// Its size in bytes.
    pub size: u64,
    /// The opaque tag of this very version.
    pub etag: String,
}

/// What to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Keys that start with this.
    pub prefix: String,
    /// Keys greater than this.
    pub after: String,
    /// Keys with this behind the prefix are told as folders only, up to and with it; empty for none.
    pub delimiter: &'static str,
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The objects, in the order of their keys.
    pub objects: Vec<Listed>,
    /// The folders, with their delimiter.
    pub folders: Vec<String>,
    /// Asks for the next page; `None` on the last.
    pub next: Option<String>,
}

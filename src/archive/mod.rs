//! The archive of usage records: Parquet files that replace many small objects.
//!
//! An archive file is one object with records of one customer. Must not change or delete records:
//! archiving only adds objects.
//!
//! - `columns`: the columns of an archive file
//! - `footer`: where the columns of an archive file are
//! - `pages`: unpacks the pages of a column within a limit
//! - `parquet`: encodes and decodes an archive file
//! - `reader`: finds archive files and reads their records
//! - `thrift`: the encoding of footers and page headers
//! - `writer`: archives the records of one customer

use std::fmt;

mod columns;
mod footer;
mod pages;
pub mod parquet;
pub mod reader;
mod thrift;
pub mod writer;

pub use columns::ArchiveRow;

/// The largest archive file that is read: several times the size of what is ever written.
pub const MAX_ARCHIVE_BYTES: u64 = 64 << 20;
/// The most records that are written to one archive file.
const MAX_RECORDS_PER_FILE: usize = 10_000;

/// Why an archive file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArchiveError {
    /// Its key is not that of an archive file.
    InvalidKey,
    TooLarge {
        bytes: u64,
    },
    DigestMismatch,
    /// Permissions are given by prefix: a file must not add records to another customer's report.
    ForeignRecords,
    /// The Parquet library or one of our own checks refuses it.
    InvalidFile(String),
    /// S3 does not return it.
    Unavailable(String),
}

impl fmt::Display for ArchiveError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidKey => formatter.write_str("its key is not that of an archive file"),
            Self::TooLarge { bytes } => {
                write!(formatter, "{bytes} bytes, the limit is {MAX_ARCHIVE_BYTES}")
            }
            Self::DigestMismatch => {
                formatter.write_str("content does not match the digest in its key")
            }
            Self::ForeignRecords => formatter.write_str("contains records of another customer"),
            Self::InvalidFile(cause) => write!(formatter, "not a valid archive file: {cause}"),
            Self::Unavailable(cause) => formatter.write_str(cause),
        }
    }
}

impl std::error::Error for ArchiveError {}

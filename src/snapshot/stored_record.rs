//! A usage record in the bucket and what its object adds to it.

use std::fmt;

use chrono::{DateTime, Utc};

use crate::digest::sha256_hex;
use crate::keys::RecordKey;
use crate::record::parse::{ParsedRecord, RecordError, parse_record};
use crate::s3::listing::ObjectMeta;
use crate::snapshot::SkippedObject;

/// A usage record and its object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredRecord {
    pub key: String,
    /// When the deployment happened: by the record, else by its key, else by the object's age.
    pub deployed_at: DateTime<Utc>,
    /// When the object was written.
    pub last_modified: DateTime<Utc>,
    /// SHA-256 of the object, hex; `None` if it was not fetched.
    pub sha256: Option<String>,
    /// Without any values if the object cannot be read.
    pub parsed: ParsedRecord,
    pub read_error: Option<RecordReadError>,
}

/// Why a usage record cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordReadError {
    /// The request failed; its error names the object.
    NotFetched(String),
    /// The object is not a usage record.
    Invalid(RecordError),
}

impl fmt::Display for RecordReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFetched(reason) => f.write_str(reason),
            Self::Invalid(error) => write!(f, "{error}"),
        }
    }
}

impl StoredRecord {
    pub(super) fn from_object(
        object: &ObjectMeta,
        key: &RecordKey<'_>,
        body: Result<Vec<u8>, RecordReadError>,
    ) -> Self {
        let mut record = Self {
            key: object.key.clone(),
            deployed_at: key.deployed_at.unwrap_or(object.last_modified),
            last_modified: object.last_modified,
            ..Self::default()
        };
        let body = match body {
            Ok(body) => body,
            Err(error) => {
                record.read_error = Some(error);
                return record;
            }
        };

        record.sha256 = Some(sha256_hex(&body));
        match parse_record(&body) {
            Ok(parsed) => {
                record.deployed_at = parsed.deployed_at.unwrap_or(record.deployed_at);
                record.parsed = parsed;
            }
            Err(error) => record.read_error = Some(RecordReadError::Invalid(error)),
        }
        record
    }

    /// Sorts by time. Of one second, by the number in the chain, then by S3's time.
    pub(crate) fn recency(&self) -> impl Ord + '_ {
        let number = self.parsed.chain.as_ref().map(|link| link.number);
        let id = &self.parsed.deployment_id;
        (self.deployed_at, number, self.last_modified, id)
    }

    /// Why the record is skipped, if it cannot be read.
    #[must_use]
    pub fn skipped(&self) -> Option<SkippedObject> {
        match self.read_error.as_ref()? {
            RecordReadError::NotFetched(reason) => Some(SkippedObject::from_reason(reason)),
            RecordReadError::Invalid(error) => {
                Some(SkippedObject::new(&self.key, error.to_string()))
            }
        }
    }

    /// Whether the object is too large to be a usage record.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        let error = self.read_error.as_ref();
        matches!(
            error,
            Some(RecordReadError::Invalid(RecordError::TooLarge { .. }))
        )
    }

    /// Whether the record says that its config was neither uploaded nor spooled.
    #[must_use]
    pub fn has_failed_backup(&self) -> bool {
        self.parsed.backup == "failed"
    }

    /// Whether the record says that its config waits for its upload.
    #[must_use]
    pub fn has_spooled_backup(&self) -> bool {
        self.parsed.backup == "spooled"
    }

    /// Whether the record says that the bucket has its config.
    #[must_use]
    pub fn has_confirmed_backup(&self) -> bool {
        matches!(self.parsed.backup.as_str(), "uploaded" | "unchanged")
    }
}

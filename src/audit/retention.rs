//! What a lifecycle rule of the bucket may have deleted.

use chrono::{DateTime, TimeDelta, Utc};

use crate::keys::{ConfigVersionKey, RecordKey};

/// Rules count from the time when an object was written. The clock of the machine that named the
/// object may have been this much behind.
const CLOCK_SKEW: TimeDelta = TimeDelta::hours(1);

/// How long the bucket keeps usage records.
#[derive(Debug, Clone, Copy, Default)]
pub struct RecordRetention {
    /// Older records may have expired. `None` if records do not expire.
    expired_before: Option<DateTime<Utc>>,
}

impl RecordRetention {
    #[must_use]
    pub fn until(expired_before: DateTime<Utc>) -> Self {
        Self {
            expired_before: Some(expired_before),
        }
    }

    /// Whether records expire at all.
    #[must_use]
    pub fn is_limited(self) -> bool {
        self.expired_before.is_some()
    }

    /// Whether an object of this time may have expired. One without a time may be of any.
    #[must_use]
    pub fn may_have_expired(self, at: Option<DateTime<Utc>>) -> bool {
        match (self.expired_before, at) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(limit), Some(at)) => at < limit + CLOCK_SKEW,
        }
    }

    /// As [`Self::may_have_expired`], by the time in a key.
    #[must_use]
    pub fn may_have_expired_key(self, key: &str) -> bool {
        self.may_have_expired(key_time(key))
    }
}

/// The time in the key of a record or of a copy of a config.
#[must_use]
pub fn key_time(key: &str) -> Option<DateTime<Utc>> {
    if let Some(record) = RecordKey::parse(key) {
        return record.deployed_at;
    }
    let version = ConfigVersionKey::parse(key)?;
    Some(version.captured_at)
}

//! The clock. Pure functions take the time as an argument instead.

use std::time::SystemTime;

use chrono::{DateTime, SubsecRound as _, Utc};

/// The time to the second, as records contain it.
#[must_use]
#[allow(clippy::disallowed_methods)] // the only file that reads the clock
pub fn utc_now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(0)
}

/// Nanoseconds since 1970. Tells what comes first within a second.
#[must_use]
#[allow(clippy::disallowed_methods)] // the only file that reads the clock
pub fn unix_nanoseconds() -> u64 {
    let nanoseconds = Utc::now().timestamp_nanos_opt();
    nanoseconds.unwrap_or_default().unsigned_abs()
}

/// For comparisons with the time stamps of files and credentials.
#[must_use]
#[allow(clippy::disallowed_methods)] // the only file that reads the clock
pub fn system_time() -> SystemTime {
    SystemTime::now()
}

//! Unique ids and random keys.

use chrono::{DateTime, NaiveDateTime, Utc};

use crate::system::clock::unix_nanoseconds;

const TIME_FORMAT: &str = "%Y%m%dT%H%M%SZ";

/// A UTC timestamp, for readers, and 64 random bits.
#[must_use]
pub fn unique_id(now: DateTime<Utc>) -> String {
    let mut bytes = [0_u8; 8];
    if getrandom::fill(&mut bytes).is_err() {
        // Without randomness the process id and the nanosecond still distinguish concurrent runs.
        let process_id = u64::from(std::process::id());
        bytes = (unix_nanoseconds() ^ (process_id << 40)).to_be_bytes();
    }
    format!("{}-{}", now.format(TIME_FORMAT), hex::encode(bytes))
}

/// The timestamp in an id of [`unique_id`]; `None` for any other text.
#[must_use]
pub fn parse_unique_id_time(id: &str) -> Option<DateTime<Utc>> {
    let (time, _) = id.split_once('-')?;
    let time = NaiveDateTime::parse_from_str(time, TIME_FORMAT).ok()?;
    Some(time.and_utc())
}

/// Unpredictable bytes; `None` if the system has no source of randomness.
#[must_use]
pub fn random_key() -> Option<[u8; 32]> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_within_a_second_and_start_with_the_time() {
        let now = DateTime::from_timestamp(1_761_834_652, 0).expect("a valid time");
        let id = unique_id(now);
        assert!(id.starts_with("20251030T143052Z-"), "{id}");
        assert_eq!(id.len(), 33);
        assert_ne!(id, unique_id(now));
    }

    #[test]
    fn the_time_of_an_id_is_parsed() {
        let now = DateTime::from_timestamp(1_761_834_652, 0).expect("a valid time");
        assert_eq!(parse_unique_id_time(&unique_id(now)), Some(now));
        assert_eq!(parse_unique_id_time("yesterday-1"), None);
    }
}

//! The keys of the archive of usage records, and what can be read off them.

use chrono::{DateTime, Datelike as _, Months, NaiveDate, NaiveTime, Utc};

use super::LOGS;

/// The key prefix of all archived usage records: not below that of the records, for SQL engines read all that lies there.
pub const ARCHIVE: &str = "usage-logs-archive/";

/// The months of which nothing is known.
const UNDATED: &str = "undated";

/// The prefix of the archive of the records below `logs`, which is a prefix of records itself.
#[must_use]
pub fn archive_prefix(logs: &str) -> String {
    format!("{ARCHIVE}{}", logs.strip_prefix(LOGS).unwrap_or_default())
}

/// The key of an object of the archive: of records whose keys have times from the first to the last, or none at all.
///
/// It ends in a digest of the object's own bytes: the same records are archived once, whoever does it and how often.
#[must_use]
pub fn part_key(segment: &str, months: Option<(DateTime<Utc>, DateTime<Utc>)>, sha256: &str) -> String {
    let month = |at: DateTime<Utc>| at.format("%Y-%m");
    let months = months.map_or_else(|| UNDATED.to_owned(), |(first, last)| format!("{}_{}", month(first), month(last)));
    format!("{ARCHIVE}{segment}/{months}_{}.parquet", sha256.get(..32).unwrap_or(sha256))
}

/// What the key of an object of the archive says by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartKey<'a> {
    /// The path segment that stands for the customer.
    pub segment: &'a str,
    /// The first moment of its months, and the first one behind them; `None` where the records' keys have no times.
    pub months: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// What the SHA-256 of its bytes begins with, in hex.
    pub digest: &'a str,
}

/// Takes the key of an object of the archive apart; `None` for any other object.
#[must_use]
pub fn parse_part_key(key: &str) -> Option<PartKey<'_>> {
    let (segment, name) = key.strip_prefix(ARCHIVE)?.split_once('/')?;
    let (months, digest) = name.strip_suffix(".parquet")?.rsplit_once('_')?;
    let is_digest = digest.len() == 32 && digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if segment.is_empty() || !is_digest {
        return None;
    }
    let months = if months == UNDATED {
        None
    } else {
        let (first, last) = months.split_once('_')?;
        Some((month(first)?, month(last)?.checked_add_months(Months::new(1))?))
    };
    Some(PartKey { segment, months, digest })
}

/// The first moment of the month that `YYYY-MM` spells.
fn month(text: &str) -> Option<DateTime<Utc>> {
    let day = NaiveDate::parse_from_str(&format!("{text}-01"), "%Y-%m-%d").ok()?;
    // chrono also takes `+2026-1`.
    (super::YEARS.contains(&day.year()) && day.format("%Y-%m").to_string() == text).then(|| day.and_time(NaiveTime::MIN).and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    #[test]
    fn keys_of_the_archive_are_spelled_as_documented_and_read_again() {
        // printf '' | sha256sum
        let sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let months = (at("2026-01-31T23:59:59Z"), at("2026-12-01T00:00:00Z"));
        let key = part_key("airbnb", Some(months), sha256);
        assert_eq!(key, "usage-logs-archive/airbnb/2026-01_2026-12_e3b0c44298fc1c149afbf4c8996fb924.parquet");
        let read = parse_part_key(&key).expect("a part");
        assert_eq!((read.segment, read.digest), ("airbnb", &sha256[..32]));
        assert_eq!(read.months, Some((at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"))));
        let undated = part_key("airbnb", None, sha256);
        assert_eq!(undated, "usage-logs-archive/airbnb/undated_e3b0c44298fc1c149afbf4c8996fb924.parquet");
        assert_eq!(parse_part_key(&undated).expect("a part").months, None);
    }

    #[test]
    fn other_objects_are_no_parts() {
        let digest = "e3b0c44298fc1c149afbf4c8996fb924";
        for name in [
            format!("usage-logs-archive//2026-01_2026-01_{digest}.parquet"),
            format!("usage-logs-archive/2026-01_2026-01_{digest}.parquet"),
            format!("usage-logs-archive/a/2026-01_{digest}.parquet"),
            format!("usage-logs-archive/a/2026-13_2026-13_{digest}.parquet"),
            format!("usage-logs-archive/a/+2026-1_2026-01_{digest}.parquet"),
            format!("usage-logs-archive/a/undated_{}.parquet", digest.to_uppercase()),
            format!("usage-logs-archive/a/undated_{digest}.json"),
            format!("usage-logs/a/undated_{digest}.parquet"),
        ] {
            assert_eq!(parse_part_key(&name), None, "{name}");
        }
        assert_eq!(archive_prefix("usage-logs/airbnb/"), "usage-logs-archive/airbnb/");
        assert_eq!(archive_prefix(LOGS), ARCHIVE);
    }
}

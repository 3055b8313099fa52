//! The keys of the archive of usage records, and what can be read off them.

use chrono::{DateTime, Datelike as _, Months, NaiveDate, NaiveTime, Utc};

use super::RECORDS_PREFIX;

/// The key prefix of all archived usage records: not below that of the records, for SQL engines read all that lies there.
pub const ARCHIVE_PREFIX: &str = "usage-logs-archive/";

/// The months of which nothing is known.
const UNDATED_MONTHS: &str = "undated";

/// The prefix of the archive of the records below `logs`, which is a prefix of records itself.
#[must_use]
pub fn archive_prefix_for(logs: &str) -> String {
    format!(
        "{ARCHIVE_PREFIX}{}",
        logs.strip_prefix(RECORDS_PREFIX).unwrap_or_default()
    )
}

/// The key of an object of the archive: of records whose keys have times from the first to the last, or none at all.
///
/// It ends in a digest of the object's own bytes: the same records are archived once, whoever does it and how often.
#[must_use]
pub fn archive_key(
    segment: &str,
    months: Option<(DateTime<Utc>, DateTime<Utc>)>,
    sha256: &str,
) -> String {
    let month = |at: DateTime<Utc>| at.format("%Y-%m");
    let months = months.map_or_else(
        || UNDATED_MONTHS.to_owned(),
        |(first, last)| format!("{}_{}", month(first), month(last)),
    );
    format!(
        "{ARCHIVE_PREFIX}{segment}/{months}_{}.parquet",
        sha256.get(..32).unwrap_or(sha256)
    )
}

/// What the key of an object of the archive says by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveKey<'a> {
    /// The path segment that stands for the customer.
    pub segment: &'a str,
    /// The first moment of its months, and the first one behind them; `None` where the records' keys have no times.
    pub months: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// What the SHA-256 of its bytes begins with, in hex.
    pub digest: &'a str,
}

/// Takes the key of an object of the archive apart; `None` for any other object.
#[must_use]
pub fn parse_archive_key(key: &str) -> Option<ArchiveKey<'_>> {
    let (segment, name) = key.strip_prefix(ARCHIVE_PREFIX)?.split_once('/')?;
    let (months, digest) = name.strip_suffix(".parquet")?.rsplit_once('_')?;
    let is_digest = digest.len() == 32
        && digest
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if segment.is_empty() || !is_digest {
        return None;
    }
    let months = if months == UNDATED_MONTHS {
        None
    } else {
        let (first, last) = months.split_once('_')?;
        Some((
            parse_month(first)?,
            parse_month(last)?.checked_add_months(Months::new(1))?,
        ))
    };
    Some(ArchiveKey {
        segment,
        months,
        digest,
    })
}

/// The first moment of the month that `YYYY-MM` spells.
fn parse_month(text: &str) -> Option<DateTime<Utc>> {
    let day = NaiveDate::parse_from_str(&format!("{text}-01"), "%Y-%m-%d").ok()?;
    // chrono also takes `+2026-1`.
    (super::PLAUSIBLE_YEARS.contains(&day.year()) && day.format("%Y-%m").to_string() == text)
        .then(|| day.and_time(NaiveTime::MIN).and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_utc(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    #[test]
    fn archive_keys_have_the_documented_form_and_parse_back() {
        // printf '' | sha256sum
        let sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let months = (
            parse_utc("2026-01-31T23:59:59Z"),
            parse_utc("2026-12-01T00:00:00Z"),
        );
        let key = archive_key("airbnb", Some(months), sha256);
        assert_eq!(
            key,
            "usage-logs-archive/airbnb/2026-01_2026-12_e3b0c44298fc1c149afbf4c8996fb924.parquet"
        );
        let read = parse_archive_key(&key).expect("a part");
        assert_eq!((read.segment, read.digest), ("airbnb", &sha256[..32]));
        assert_eq!(
            read.months,
            Some((
                parse_utc("2026-01-01T00:00:00Z"),
                parse_utc("2027-01-01T00:00:00Z")
            ))
        );
        let undated = archive_key("airbnb", None, sha256);
        assert_eq!(
            undated,
            "usage-logs-archive/airbnb/undated_e3b0c44298fc1c149afbf4c8996fb924.parquet"
        );
        assert_eq!(parse_archive_key(&undated).expect("a part").months, None);
    }

    #[test]
    fn rejects_keys_that_are_not_archive_files() {
        let digest = "e3b0c44298fc1c149afbf4c8996fb924";
        for name in [
            format!("usage-logs-archive//2026-01_2026-01_{digest}.parquet"),
            format!("usage-logs-archive/2026-01_2026-01_{digest}.parquet"),
            format!("usage-logs-archive/a/2026-01_{digest}.parquet"),
            format!("usage-logs-archive/a/2026-13_2026-13_{digest}.parquet"),
            format!("usage-logs-archive/a/+2026-1_2026-01_{digest}.parquet"),
            format!(
                "usage-logs-archive/a/undated_{}.parquet",
                digest.to_uppercase()
            ),
            format!("usage-logs-archive/a/undated_{digest}.json"),
            format!("usage-logs/a/undated_{digest}.parquet"),
        ] {
            assert_eq!(parse_archive_key(&name), None, "{name}");
        }
        assert_eq!(
            archive_prefix_for("usage-logs/airbnb/"),
            "usage-logs-archive/airbnb/"
        );
        assert_eq!(archive_prefix_for(RECORDS_PREFIX), ARCHIVE_PREFIX);
    }
}

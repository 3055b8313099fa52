//! The keys of the archive of usage records:
//! `usage-logs-archive/CUSTOMER/YYYY-MM_YYYY-MM_DIGEST.parquet`.

use std::fmt;

use chrono::{DateTime, Datelike as _, Months, NaiveDate, NaiveTime, Utc};

use crate::digest::sha256_hex;
use crate::keys::is_lower_hex;
use crate::keys::record::RECORDS_PREFIX;
use crate::keys::timestamp::PLAUSIBLE_YEARS;

/// The key prefix of the archive.
///
/// It is not below that of the records, because SQL engines read every object there.
pub const ARCHIVE_PREFIX: &str = "usage-logs-archive/";

const EXTENSION: &str = ".parquet";
const DIGEST_HEX_DIGITS: usize = 32;
const MONTH_FORMAT: &str = "%Y-%m";

/// Stands for the months where the keys of the records have no times.
const UNDATED: &str = "undated";

/// The key of an archive file.
///
/// It ends in a digest of the file, so that the same records give one object, however often and by
/// however many processes they are archived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveKey<'a> {
    /// The customer's folder, as in the keys of the records.
    pub segment: &'a str,
    /// `None` where the keys of the records have no times.
    pub months: Option<MonthRange>,
    /// What the SHA-256 of the file begins with, hex.
    digest: String,
}

impl<'a> ArchiveKey<'a> {
    /// The key of `file`, which holds the records of the customer in `segment`.
    #[must_use]
    pub fn new(segment: &'a str, months: Option<MonthRange>, file: &[u8]) -> Self {
        let mut digest = sha256_hex(file);
        digest.truncate(DIGEST_HEX_DIGITS);
        Self {
            segment,
            months,
            digest,
        }
    }

    /// `None` for a key that is not that of an archive file.
    #[must_use]
    pub fn parse(key: &'a str) -> Option<Self> {
        let (segment, name) = key.strip_prefix(ARCHIVE_PREFIX)?.split_once('/')?;
        let (months, digest) = name.strip_suffix(EXTENSION)?.rsplit_once('_')?;
        if segment.is_empty() || !is_lower_hex(digest, DIGEST_HEX_DIGITS) {
            return None;
        }

        let months = match months {
            UNDATED => None,
            months => Some(MonthRange::parse(months)?),
        };
        Some(Self {
            segment,
            months,
            digest: digest.to_owned(),
        })
    }

    #[must_use]
    pub fn matches_digest(&self, file: &[u8]) -> bool {
        sha256_hex(file).starts_with(&self.digest)
    }
}

impl fmt::Display for ArchiveKey<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            segment,
            months,
            digest,
        } = self;
        write!(formatter, "{ARCHIVE_PREFIX}{segment}/")?;
        match months {
            Some(months) => write!(formatter, "{months}")?,
            None => formatter.write_str(UNDATED)?,
        }
        write!(formatter, "_{digest}{EXTENSION}")
    }
}

/// Whole calendar months, from a first to a last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MonthRange {
    /// The first day of the first month.
    first: NaiveDate,
    /// The first day of the last month.
    last: NaiveDate,
}

impl MonthRange {
    /// The months from that of `first` to that of `last`.
    #[must_use]
    pub fn containing(first: DateTime<Utc>, last: DateTime<Utc>) -> Self {
        Self {
            first: first_of_month(first.date_naive()),
            last: first_of_month(last.date_naive()),
        }
    }

    /// Parses `YYYY-MM_YYYY-MM`.
    fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once('_')?;
        Some(Self {
            first: parse_month(first)?,
            last: parse_month(last)?,
        })
    }

    /// The first moment of these months.
    #[must_use]
    pub fn start(&self) -> DateTime<Utc> {
        day_start(self.first)
    }

    /// The first moment after these months.
    #[must_use]
    pub fn end(&self) -> DateTime<Utc> {
        day_start(self.last + Months::new(1))
    }
}

impl fmt::Display for MonthRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.first.format(MONTH_FORMAT);
        let last = self.last.format(MONTH_FORMAT);
        write!(formatter, "{first}_{last}")
    }
}

/// The prefix of the archive of the records below `record_prefix`.
#[must_use]
pub fn archive_prefix_for(record_prefix: &str) -> String {
    let folder = record_prefix
        .strip_prefix(RECORDS_PREFIX)
        .unwrap_or_default();
    format!("{ARCHIVE_PREFIX}{folder}")
}

/// The first day of the month that `YYYY-MM` names.
fn parse_month(text: &str) -> Option<NaiveDate> {
    let day = NaiveDate::parse_from_str(&format!("{text}-01"), "%Y-%m-%d").ok()?;
    // chrono also parses `+2026-1`.
    let is_canonical = day.format(MONTH_FORMAT).to_string() == text;
    if !is_canonical || !PLAUSIBLE_YEARS.contains(&day.year()) {
        return None;
    }
    Some(day)
}

fn first_of_month(day: NaiveDate) -> NaiveDate {
    day.with_day(1).unwrap_or(day)
}

fn day_start(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_utc(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    #[test]
    fn archive_keys_have_the_documented_form_and_parse_back() {
        // printf '' | sha256sum | cut -c1-32
        let digest = "e3b0c44298fc1c149afbf4c8996fb924";
        let first = parse_utc("2026-01-31T23:59:59Z");
        let last = parse_utc("2026-12-01T00:00:00Z");
        let months = MonthRange::containing(first, last);
        assert_eq!(months.start(), parse_utc("2026-01-01T00:00:00Z"));
        assert_eq!(months.end(), parse_utc("2027-01-01T00:00:00Z"));

        let key = ArchiveKey::new("airbnb", Some(months), b"");
        let text = key.to_string();
        assert_eq!(
            text,
            format!("usage-logs-archive/airbnb/2026-01_2026-12_{digest}.parquet")
        );
        assert_eq!(ArchiveKey::parse(&text), Some(key));

        let undated = ArchiveKey::new("airbnb", None, b"");
        let text = undated.to_string();
        assert_eq!(
            text,
            format!("usage-logs-archive/airbnb/undated_{digest}.parquet")
        );
        assert!(undated.matches_digest(b"") && !undated.matches_digest(b"x"));
        assert_eq!(ArchiveKey::parse(&text), Some(undated));
    }

    #[test]
    fn rejects_keys_that_are_not_archive_files() {
        let digest = "e3b0c44298fc1c149afbf4c8996fb924";
        for key in [
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
            assert_eq!(ArchiveKey::parse(&key), None, "{key}");
        }
    }

    #[test]
    fn the_archive_of_a_customer_has_the_customers_folder() {
        assert_eq!(
            archive_prefix_for("usage-logs/airbnb/"),
            "usage-logs-archive/airbnb/"
        );
        assert_eq!(archive_prefix_for(RECORDS_PREFIX), ARCHIVE_PREFIX);
    }
}

//! Times as they stand in object names: `YYYY-MM-DD_HHMMSS`, UTC.

use std::ops::Range;

use chrono::{DateTime, Datelike as _, NaiveDateTime, Timelike as _, Utc};

/// S3 did not exist before, and a clock that shows a later year is wrong.
pub const PLAUSIBLE_YEARS: Range<i32> = 2000..2100;

/// How many bytes a timestamp has.
pub(super) const TIMESTAMP_BYTES: usize = 17;

const TIMESTAMP_FORMAT: &str = "%Y-%m-%d_%H%M%S";

#[must_use]
pub fn format_timestamp(at: DateTime<Utc>) -> String {
    at.format(TIMESTAMP_FORMAT).to_string()
}

/// Reads what [`format_timestamp`] writes, in one of the [`PLAUSIBLE_YEARS`].
#[must_use]
pub fn parse_timestamp(text: &str) -> Option<DateTime<Utc>> {
    if !has_timestamp_form(text) {
        return None;
    }

    let time = NaiveDateTime::parse_from_str(text, TIMESTAMP_FORMAT)
        .ok()?
        .and_utc();
    // chrono represents a leap second by extra nanoseconds, which would count to the next day.
    let is_leap_second = time.nanosecond() > 0;
    if is_leap_second || !PLAUSIBLE_YEARS.contains(&time.year()) {
        return None;
    }
    Some(time)
}

/// chrono also parses `+2025-1-1…`, which sorts elsewhere.
fn has_timestamp_form(text: &str) -> bool {
    let has_form = |(index, byte): (usize, u8)| match index {
        4 | 7 => byte == b'-',
        10 => byte == b'_',
        _ => byte.is_ascii_digit(),
    };
    text.len() == TIMESTAMP_BYTES && text.bytes().enumerate().all(has_form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_and_parses_the_same_text() {
        // date -u -d @1761834652
        let time = DateTime::from_timestamp(1_761_834_652, 0).expect("a valid time");
        assert_eq!(format_timestamp(time), "2025-10-30_143052");
        assert_eq!(parse_timestamp("2025-10-30_143052"), Some(time));
    }

    #[test]
    fn rejects_other_spellings_and_implausible_times() {
        for text in [
            "",
            "2025-13-30_143052",
            "+2025-1-30_143052",
            "2025-1-30_1430521",
            "2025-12-31_235960",
            "1999-12-31_235959",
            "2100-01-01_000000",
        ] {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
    }
}

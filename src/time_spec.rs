//! Points and lengths of time as users write them on the command line.

use chrono::{DateTime, Days, Duration, NaiveDate, NaiveTime, Utc};

use crate::error::{Error, ErrorKind};

const TIME_HINT: &str = "use a date (2026-10-01), an age (36h, 30d, 2w) or RFC 3339 \
                         (2026-10-01T08:00:00Z)";

const MINUTES_PER_HOUR: i64 = 60;
const MINUTES_PER_DAY: i64 = 24 * MINUTES_PER_HOUR;
const MINUTES_PER_WEEK: i64 = 7 * MINUTES_PER_DAY;

/// Which moment of a day a date stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayBoundary {
    /// The first moment, for `--since`.
    Start,
    /// The last moment, for `--until`.
    End,
}

/// Parses the value of a command line flag such as `--since`; see [`parse_time_spec`].
///
/// # Errors
/// The value is not a time.
pub fn parse_time_argument(
    flag: &str,
    text: &str,
    boundary: DayBoundary,
    now: DateTime<Utc>,
) -> Result<DateTime<Utc>, Error> {
    parse_time_spec(text, boundary, now).map_err(|hint| {
        let message = format!("cannot read `{flag} {text}`");
        Error::new(ErrorKind::Input, message, hint)
    })
}

/// Parses a day (UTC) such as `2026-10-01`, an age such as `36h`, `30d` or `2w`, or RFC 3339.
///
/// # Errors
/// A hint at the forms that are allowed.
pub fn parse_time_spec(
    text: &str,
    boundary: DayBoundary,
    now: DateTime<Utc>,
) -> Result<DateTime<Utc>, String> {
    if let Some(time) = parse_date(text, boundary) {
        return Ok(time);
    }
    if let Some(time) = parse_age(text, now) {
        return Ok(time);
    }
    match DateTime::parse_from_rfc3339(text) {
        Ok(time) => Ok(time.to_utc()),
        Err(_) => Err(TIME_HINT.to_owned()),
    }
}

fn parse_date(text: &str, boundary: DayBoundary) -> Option<DateTime<Utc>> {
    // chrono also parses `2026-1-1`.
    if text.len() != "2026-10-01".len() {
        return None;
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    match boundary {
        DayBoundary::Start => Some(date.and_time(NaiveTime::MIN).and_utc()),
        DayBoundary::End => {
            let next_day = date.checked_add_days(Days::new(1))?;
            let midnight = next_day.and_time(NaiveTime::MIN).and_utc();
            Some(midnight - Duration::nanoseconds(1))
        }
    }
}

fn parse_age(text: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    now.checked_sub_signed(parse_duration(text)?)
}

/// Parses a length of time such as `90m`, `36h`, `30d` or `2w`.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let unit_start = text.len().checked_sub(1)?;
    let (number, unit) = text.split_at_checked(unit_start)?;
    let number = number.parse::<u32>().ok()?;
    let unit_minutes = match unit {
        "m" => 1,
        "h" => MINUTES_PER_HOUR,
        "d" => MINUTES_PER_DAY,
        "w" => MINUTES_PER_WEEK,
        _ => return None,
    };
    Duration::try_minutes(i64::from(number).checked_mul(unit_minutes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_utc(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    fn parse_to_text(text: &str, end: DayBoundary) -> Option<String> {
        parse_time_spec(text, end, parse_utc("2026-11-24T12:00:00Z"))
            .ok()
            .map(|at| at.to_rfc3339())
    }

    #[test]
    fn parses_dates_ages_and_times() {
        for (text, end, expected) in [
            (
                "2026-10-01",
                DayBoundary::Start,
                "2026-10-01T00:00:00+00:00",
            ),
            (
                "2026-10-01",
                DayBoundary::End,
                "2026-10-01T23:59:59.999999999+00:00",
            ),
            ("90m", DayBoundary::Start, "2026-11-24T10:30:00+00:00"),
            ("36h", DayBoundary::Start, "2026-11-23T00:00:00+00:00"),
            ("30d", DayBoundary::End, "2026-10-25T12:00:00+00:00"),
            ("2w", DayBoundary::Start, "2026-11-10T12:00:00+00:00"),
            (
                "2026-10-01T08:00:00+02:00",
                DayBoundary::Start,
                "2026-10-01T06:00:00+00:00",
            ),
        ] {
            assert_eq!(
                parse_to_text(text, end).as_deref(),
                Some(expected),
                "{text}"
            );
        }
        for text in [
            "",
            "d",
            "30",
            "-3d",
            "yesterday",
            "2026-13-01",
            "2026-1-1",
            "30 d",
            "9999999999d",
            "é",
        ] {
            assert_eq!(parse_to_text(text, DayBoundary::Start), None, "{text}");
        }
    }
}

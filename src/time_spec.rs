//! Points and lengths of time as people write them on the command line. Pure: the time is an argument.

use chrono::{DateTime, Days, Duration, NaiveDate, NaiveTime, Utc};

/// Which end of a day a date alone stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayBoundary {
    /// Its first moment, for `--since`.
    Start,
    /// Its last, for `--until`.
    End,
}

/// Reads a point in time: `2026-10-01` (a day, UTC), an age as `36h`, `30d` or `2w`, or RFC 3339.
///
/// # Errors
/// What is wrong with it, and what it may be.
pub fn parse_time_spec(
    text: &str,
    end: DayBoundary,
    now: DateTime<Utc>,
) -> Result<DateTime<Utc>, String> {
    let read = parse_date(text, end)
        .or_else(|| parse_age(text, now))
        .or_else(|| {
            DateTime::parse_from_rfc3339(text)
                .ok()
                .map(|at| at.to_utc())
        });
    read.ok_or_else(|| {
        "use a date (2026-10-01), an age (36h, 30d, 2w) or RFC 3339 (2026-10-01T08:00:00Z)"
            .to_owned()
    })
}

fn parse_date(text: &str, end: DayBoundary) -> Option<DateTime<Utc>> {
    // chrono also takes `2026-1-1`, which sorts nowhere.
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .ok()
        .filter(|_| text.len() == 10)?;
    match end {
        DayBoundary::Start => Some(date.and_time(NaiveTime::MIN).and_utc()),
        DayBoundary::End => Some(
            date.checked_add_days(Days::new(1))?
                .and_time(NaiveTime::MIN)
                .and_utc()
                - Duration::nanoseconds(1),
        ),
    }
}

fn parse_age(text: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    now.checked_sub_signed(parse_duration(text)?)
}

/// Reads a length of time: `90m`, `36h`, `30d` or `2w`.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: i64 = number.parse::<u32>().ok()?.into();
    let minutes = match unit {
        "m" => 1,
        "h" => 60,
        "d" => 24 * 60,
        "w" => 168 * 60,
        _ => return None,
    };
    Duration::try_minutes(number.checked_mul(minutes)?)
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

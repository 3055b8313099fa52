//! Which deployments a report is about.
//!
//! Pure: the time is an argument.

use chrono::{DateTime, Days, Duration, NaiveDate, NaiveTime, Utc};

use crate::layout::LogKey;
use crate::logged::{Deployment, user_name};

/// What was asked for; an empty list stands for everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// Customers, by their exact names.
    pub customers: Vec<String>,
    /// Users, by the last part of their ARN or by all of it.
    pub users: Vec<String>,
    /// Projects, by their exact names.
    pub projects: Vec<String>,
    /// Clusters, by their exact names.
    pub clusters: Vec<String>,
    /// Nothing before this.
    pub since: Option<DateTime<Utc>>,
    /// Nothing after this.
    pub until: Option<DateTime<Utc>>,
}

impl Choice {
    /// Whether a record may be wanted, by its key alone. What the key does not say, the record will.
    #[must_use]
    pub fn may_want(&self, key: &LogKey<'_>) -> bool {
        key.at.is_none_or(|at| self.covers(at, at + Duration::milliseconds(999)))
    }

    /// Whether any record of some months may be wanted, from their first moment to the first one behind them.
    #[must_use]
    pub fn may_want_months(&self, months: Option<(DateTime<Utc>, DateTime<Utc>)>) -> bool {
        months.is_none_or(|(first, end)| self.covers(first, end - Duration::nanoseconds(1)))
    }

    /// Whether a deployment is wanted.
    #[must_use]
    pub fn wants(&self, deployment: &Deployment) -> bool {
        let among = |wanted: &[String], value: &str| wanted.is_empty() || wanted.iter().any(|it| it == value);
        let user = &deployment.user;
        (among(&self.users, user) || among(&self.users, user_name(user)))
            && among(&self.customers, &deployment.customer)
            && among(&self.projects, &deployment.project_name)
            && among(&self.clusters, &deployment.cluster_name)
            && self.covers(deployment.at, deployment.at)
    }

    /// Whether any of the moments from `first` to `last` is within the time asked for.
    fn covers(&self, first: DateTime<Utc>, last: DateTime<Utc>) -> bool {
        self.since.is_none_or(|since| last >= since) && self.until.is_none_or(|until| first <= until)
    }
}

/// Which end of a day a date alone stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Its first moment, for `--since`.
    First,
    /// Its last, for `--until`.
    Last,
}

/// Reads a point in time: `2026-10-01` (a day, UTC), an age as `36h`, `30d` or `2w`, or RFC 3339.
///
/// # Errors
/// What is wrong with it, and what it may be.
pub fn moment(text: &str, end: End, now: DateTime<Utc>) -> Result<DateTime<Utc>, String> {
    let read = date(text, end).or_else(|| age(text, now)).or_else(|| DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc()));
    read.ok_or_else(|| "use a date (2026-10-01), an age (36h, 30d, 2w) or RFC 3339 (2026-10-01T08:00:00Z)".to_owned())
}

fn date(text: &str, end: End) -> Option<DateTime<Utc>> {
    // chrono also takes `2026-1-1`, which sorts nowhere.
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| text.len() == 10)?;
    match end {
        End::First => Some(date.and_time(NaiveTime::MIN).and_utc()),
        End::Last => Some(date.checked_add_days(Days::new(1))?.and_time(NaiveTime::MIN).and_utc() - Duration::nanoseconds(1)),
    }
}

fn age(text: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    now.checked_sub_signed(length(text)?)
}

/// Reads a length of time: `90m`, `36h`, `30d` or `2w`.
#[must_use]
pub fn length(text: &str) -> Option<Duration> {
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
    use crate::layout::parse_log_key;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    fn read(text: &str, end: End) -> Option<String> {
        moment(text, end, at("2026-11-24T12:00:00Z")).ok().map(|at| at.to_rfc3339())
    }

    #[test]
    fn dates_ages_and_times_are_read() {
        for (text, end, expected) in [
            ("2026-10-01", End::First, "2026-10-01T00:00:00+00:00"),
            ("2026-10-01", End::Last, "2026-10-01T23:59:59.999999999+00:00"),
            ("90m", End::First, "2026-11-24T10:30:00+00:00"),
            ("36h", End::First, "2026-11-23T00:00:00+00:00"),
            ("30d", End::Last, "2026-10-25T12:00:00+00:00"),
            ("2w", End::First, "2026-11-10T12:00:00+00:00"),
            ("2026-10-01T08:00:00+02:00", End::First, "2026-10-01T06:00:00+00:00"),
        ] {
            assert_eq!(read(text, end).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "d", "30", "-3d", "yesterday", "2026-13-01", "2026-1-1", "30 d", "9999999999d", "é"] {
            assert_eq!(read(text, End::First), None, "{text}");
        }
    }

    #[test]
    fn a_deployment_is_wanted_if_all_that_was_asked_for_fits() {
        let deployment = Deployment {
            at: at("2026-10-01T08:00:00Z"),
            customer: "acme".into(),
            user: "arn:aws:iam::123456789012:user/jane".into(),
            project_name: "p".into(),
            cluster_name: "c".into(),
            ..Deployment::default()
        };
        let list = |text: &str| vec!["other".to_owned(), text.to_owned()];
        let fits = |choice: Choice| choice.wants(&deployment);
        for wanted in [
            Choice::default(),
            Choice { customers: list("acme"), users: list("jane"), projects: list("p"), clusters: list("c"), ..Choice::default() },
            Choice { users: list(&deployment.user), since: Some(deployment.at), until: Some(deployment.at), ..Choice::default() },
        ] {
            assert!(fits(wanted.clone()), "{wanted:?}");
        }
        for unwanted in [
            Choice { customers: list("acm"), ..Choice::default() },
            Choice { users: list("adam"), ..Choice::default() },
            Choice { projects: list("c"), ..Choice::default() },
            Choice { clusters: list("p"), ..Choice::default() },
            Choice { until: Some(at("2026-10-01T07:59:59Z")), ..Choice::default() },
            Choice { since: Some(at("2026-10-01T08:00:01Z")), ..Choice::default() },
        ] {
            assert!(!fits(unwanted.clone()), "{unwanted:?}");
        }
    }

    #[test]
    fn a_key_is_passed_over_only_if_no_moment_of_its_second_is_wanted() {
        let key = parse_log_key("usage-logs/a/2026-10-01_080000.json").expect("a key");
        let since = |text| Choice { since: Some(at(text)), ..Choice::default() }.may_want(&key);
        assert!(since("2026-10-01T08:00:00.5Z") && !since("2026-10-01T08:00:01Z"));
        let until = |text| Choice { until: Some(at(text)), ..Choice::default() }.may_want(&key);
        assert!(until("2026-10-01T08:00:00Z") && !until("2026-10-01T07:59:59Z"));
        let earlier = parse_log_key("usage-logs/a/d188280766a258ccc135ef480b49230c.json").expect("a key");
        assert!(Choice { since: Some(at("2026-10-01T08:00:01Z")), ..Choice::default() }.may_want(&earlier), "it does not say");
    }
}

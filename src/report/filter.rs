//! Which deployments a report is about.

use chrono::{DateTime, Duration, Utc};

use crate::keys::{MonthRange, RecordKey};
use crate::record::deployment::Deployment;
use crate::s3::caller::{last_name_in_arn, user_name_from_arn};

/// The deployments that were asked for; an empty list stands for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReportFilter {
    pub customers: Vec<String>,
    /// Each is a user as reports show it, a full ARN, or what follows the last `/` of one.
    pub users: Vec<String>,
    pub projects: Vec<String>,
    pub clusters: Vec<String>,
    /// The first moment of the period.
    pub since: Option<DateTime<Utc>>,
    /// The last moment of the period.
    pub until: Option<DateTime<Utc>>,
}

impl ReportFilter {
    /// Whether the record with this key may match. Only the record tells for certain.
    #[must_use]
    pub fn may_match_key(&self, key: &RecordKey<'_>) -> bool {
        match key.deployed_at {
            // The record may add a fraction of this second.
            Some(at) => self.overlaps_period(at, at + Duration::milliseconds(999)),
            None => true,
        }
    }

    /// Whether any record of these months may match; `None` stands for unknown months.
    #[must_use]
    pub fn may_match_months(&self, months: Option<MonthRange>) -> bool {
        match months {
            Some(months) => {
                let last = months.end() - Duration::nanoseconds(1);
                self.overlaps_period(months.start(), last)
            }
            None => true,
        }
    }

    #[must_use]
    pub fn matches_deployment(&self, deployment: &Deployment) -> bool {
        let user = deployment.record.user.as_str();
        // A session name finds one run of a job that reports show by its role.
        let is_user_wanted = [user, user_name_from_arn(user), last_name_in_arn(user)]
            .iter()
            .any(|name| is_among(&self.users, name));

        is_user_wanted
            && is_among(&self.customers, &deployment.customer)
            && is_among(&self.projects, &deployment.record.project_name)
            && is_among(&self.clusters, &deployment.record.cluster_name)
            && self.overlaps_period(deployment.deployed_at, deployment.deployed_at)
    }

    /// Whether any moment from `first` to `last` is in the period.
    fn overlaps_period(&self, first: DateTime<Utc>, last: DateTime<Utc>) -> bool {
        if let Some(since) = self.since
            && last < since
        {
            return false;
        }
        match self.until {
            Some(until) => first <= until,
            None => true,
        }
    }
}

fn is_among(wanted: &[String], value: &str) -> bool {
    wanted.is_empty() || wanted.iter().any(|it| it == value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::parse::ParsedRecord;

    fn parse_utc(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    fn list(name: &str) -> Vec<String> {
        vec!["other".to_owned(), name.to_owned()]
    }

    #[test]
    fn a_deployment_matches_if_every_condition_holds() {
        let user = "arn:aws:iam::123456789012:user/jane";
        let deployment = Deployment {
            deployed_at: parse_utc("2026-10-01T08:00:00Z"),
            customer: "acme".into(),
            record: ParsedRecord {
                user: user.into(),
                project_name: "p".into(),
                cluster_name: "c".into(),
                ..ParsedRecord::default()
            },
            ..Deployment::default()
        };
        let filter = |change: fn(&mut ReportFilter)| {
            let mut filter = ReportFilter::default();
            change(&mut filter);
            filter.matches_deployment(&deployment)
        };

        assert!(filter(|_| {}));
        assert!(filter(|it| it.customers = list("acme")));
        assert!(filter(|it| it.users = list("jane")));
        assert!(filter(
            |it| it.users = list("arn:aws:iam::123456789012:user/jane")
        ));
        assert!(filter(|it| it.projects = list("p")));
        assert!(filter(|it| it.clusters = list("c")));
        assert!(filter(
            |it| it.since = Some(parse_utc("2026-10-01T08:00:00Z"))
        ));
        assert!(filter(
            |it| it.until = Some(parse_utc("2026-10-01T08:00:00Z"))
        ));

        assert!(!filter(|it| it.customers = list("acm")));
        assert!(!filter(|it| it.users = list("adam")));
        assert!(!filter(|it| it.projects = list("c")));
        assert!(!filter(|it| it.clusters = list("p")));
        assert!(!filter(
            |it| it.until = Some(parse_utc("2026-10-01T07:59:59Z"))
        ));
        assert!(!filter(
            |it| it.since = Some(parse_utc("2026-10-01T08:00:01Z"))
        ));
        assert!(!filter(|it| {
            it.customers = list("acme");
            it.users = list("adam");
        }));
    }

    #[test]
    fn a_key_is_skipped_only_if_its_whole_second_is_outside_the_period() {
        let key = RecordKey::parse("usage-logs/a/2026-10-01_080000.json").expect("a key");
        let since = |text| {
            ReportFilter {
                since: Some(parse_utc(text)),
                ..ReportFilter::default()
            }
            .may_match_key(&key)
        };
        assert!(since("2026-10-01T08:00:00.5Z") && !since("2026-10-01T08:00:01Z"));
        let until = |text| {
            ReportFilter {
                until: Some(parse_utc(text)),
                ..ReportFilter::default()
            }
            .may_match_key(&key)
        };
        assert!(until("2026-10-01T08:00:00Z") && !until("2026-10-01T07:59:59Z"));
        let earlier =
            RecordKey::parse("usage-logs/a/d188280766a258ccc135ef480b49230c.json").expect("a key");
        assert!(
            ReportFilter {
                since: Some(parse_utc("2026-10-01T08:00:01Z")),
                ..ReportFilter::default()
            }
            .may_match_key(&earlier),
            "it does not say"
        );
    }
}

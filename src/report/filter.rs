//! Which deployments a report is about.
//!
//! Pure: the time is an argument.

use chrono::{DateTime, Duration, Utc};

use crate::keys::RecordKey;
use crate::record::deployment::{Deployment, user_name_from_arn};

/// What was asked for; an empty list stands for everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReportFilter {
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

impl ReportFilter {
    /// Whether a record may be wanted, by its key alone. What the key does not say, the record will.
    #[must_use]
    pub fn may_match_key(&self, key: &RecordKey<'_>) -> bool {
        key.deployed_at
            .is_none_or(|at| self.overlaps_period(at, at + Duration::milliseconds(999)))
    }

    /// Whether any record of some months may be wanted, from their first moment to the first one behind them.
    #[must_use]
    pub fn may_match_months(&self, months: Option<(DateTime<Utc>, DateTime<Utc>)>) -> bool {
        months
            .is_none_or(|(first, end)| self.overlaps_period(first, end - Duration::nanoseconds(1)))
    }

    /// Whether a deployment is wanted.
    #[must_use]
    pub fn matches_deployment(&self, deployment: &Deployment) -> bool {
        let among = |wanted: &[String], value: &str| {
            wanted.is_empty() || wanted.iter().any(|it| it == value)
        };
        let user = &deployment.user;
        (among(&self.users, user) || among(&self.users, user_name_from_arn(user)))
            && among(&self.customers, &deployment.customer)
            && among(&self.projects, &deployment.project_name)
            && among(&self.clusters, &deployment.cluster_name)
            && self.overlaps_period(deployment.deployed_at, deployment.deployed_at)
    }

    /// Whether any of the moments from `first` to `last` is within the time asked for.
    fn overlaps_period(&self, first: DateTime<Utc>, last: DateTime<Utc>) -> bool {
        self.since.is_none_or(|since| last >= since)
            && self.until.is_none_or(|until| first <= until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::parse_record_key;

    fn parse_utc(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    #[test]
    fn a_deployment_matches_if_every_condition_holds() {
        let deployment = Deployment {
            deployed_at: parse_utc("2026-10-01T08:00:00Z"),
            customer: "acme".into(),
            user: "arn:aws:iam::123456789012:user/jane".into(),
            project_name: "p".into(),
            cluster_name: "c".into(),
            ..Deployment::default()
        };
        let list = |text: &str| vec!["other".to_owned(), text.to_owned()];
        let fits = |choice: ReportFilter| choice.matches_deployment(&deployment);
        for wanted in [
            ReportFilter::default(),
            ReportFilter {
                customers: list("acme"),
                users: list("jane"),
                projects: list("p"),
                clusters: list("c"),
                ..ReportFilter::default()
            },
            ReportFilter {
                users: list(&deployment.user),
                since: Some(deployment.deployed_at),
                until: Some(deployment.deployed_at),
                ..ReportFilter::default()
            },
        ] {
            assert!(fits(wanted.clone()), "{wanted:?}");
        }
        for unwanted in [
            ReportFilter {
                customers: list("acm"),
                ..ReportFilter::default()
            },
            ReportFilter {
                users: list("adam"),
                ..ReportFilter::default()
            },
            ReportFilter {
                projects: list("c"),
                ..ReportFilter::default()
            },
            ReportFilter {
                clusters: list("p"),
                ..ReportFilter::default()
            },
            ReportFilter {
                until: Some(parse_utc("2026-10-01T07:59:59Z")),
                ..ReportFilter::default()
            },
            ReportFilter {
                since: Some(parse_utc("2026-10-01T08:00:01Z")),
                ..ReportFilter::default()
            },
        ] {
            assert!(!fits(unwanted.clone()), "{unwanted:?}");
        }
    }

    #[test]
    fn a_key_is_skipped_only_if_its_whole_second_is_outside_the_period() {
        let key = parse_record_key("usage-logs/a/2026-10-01_080000.json").expect("a key");
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
            parse_record_key("usage-logs/a/d188280766a258ccc135ef480b49230c.json").expect("a key");
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

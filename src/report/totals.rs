//! Totals over deployments: in all, per customer, user, month and week. The table and the page show the same numbers.
//!
//! Pure. Unlike the rows of days, every deployment counts here.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Datelike as _, NaiveDate, SecondsFormat, Utc};

use crate::output::TableCell;
use crate::record::deployment::{Deployment, UserIdentity, display_user};
use crate::report::interner::{StringInterner, Symbol};

/// What is added up; in the order of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TotalsGroup {
    /// Everything.
    Total,
    /// A customer.
    Customer,
    /// A user.
    User,
    /// A month, UTC, as `2026-11`.
    Month,
    /// An ISO week, as `2026-W48`.
    Week,
}

impl TotalsGroup {
    /// The name in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Customer => "customer",
            Self::User => "user",
            Self::Month => "month",
            Self::Week => "week",
        }
    }
}

/// The columns of the table.
pub const TOTALS_COLUMNS: [&str; 8] = [
    "group",
    "name",
    "deployments",
    "customers",
    "users",
    "configs",
    "first",
    "last",
];

/// The totals of one group's member.
#[derive(Debug, Clone, Default)]
pub struct GroupTotals {
    /// How many deployments.
    pub deployments: u64,
    /// The first one.
    pub first: DateTime<Utc>,
    /// The last one.
    pub last: DateTime<Utc>,
    customers: HashSet<Symbol>,
    users: HashSet<Symbol>,
    configs: HashSet<Symbol>,
}

impl GroupTotals {
    /// How many customers were deployed.
    #[must_use]
    pub fn customer_count(&self) -> usize {
        self.customers.len()
    }

    /// How many users deployed.
    #[must_use]
    pub fn user_count(&self) -> usize {
        self.users.len()
    }

    /// How many different configs were deployed.
    #[must_use]
    pub fn config_count(&self) -> usize {
        self.configs.len()
    }
}

/// The totals of all groups.
#[derive(Debug, Default)]
pub struct ReportTotals {
    identity: UserIdentity,
    strings: StringInterner,
    groups: BTreeMap<(TotalsGroup, String), GroupTotals>,
    deployments_per_day: BTreeMap<NaiveDate, u64>,
}

impl ReportTotals {
    /// Nothing added up yet.
    #[must_use]
    pub fn new(by: UserIdentity) -> Self {
        Self {
            identity: by,
            ..Self::default()
        }
    }

    /// Adds a deployment.
    pub fn add_deployment(&mut self, deployment: &Deployment) {
        let user = display_user(&deployment.user, self.identity);
        let date = deployment.deployed_at.date_naive();
        let week = date.iso_week();
        *self.deployments_per_day.entry(date).or_default() += 1;
        let (customer_name, user_name) = (
            self.strings.intern(&deployment.customer),
            self.strings.intern(user),
        );
        let config = Some(&deployment.config_hash)
            .filter(|hash| !hash.is_empty())
            .map(|hash| self.strings.intern(hash));
        for (group, name) in [
            (TotalsGroup::Total, String::new()),
            (TotalsGroup::Customer, deployment.customer.clone()),
            (TotalsGroup::User, user.to_owned()),
            (
                TotalsGroup::Month,
                format!("{:04}-{:02}", date.year(), date.month()),
            ),
            (
                TotalsGroup::Week,
                format!("{:04}-W{:02}", week.year(), week.week()),
            ),
        ] {
            let start = || GroupTotals {
                first: deployment.deployed_at,
                ..GroupTotals::default()
            };
            let totals = self.groups.entry((group, name)).or_insert_with(start);
            totals.first = totals.first.min(deployment.deployed_at);
            totals.last = totals.last.max(deployment.deployed_at);
            totals.deployments += 1;
            totals.customers.insert(customer_name);
            totals.users.insert(user_name);
            totals.configs.extend(config);
        }
    }

    /// The totals over everything; `None` if there was no deployment.
    #[must_use]
    pub fn grand_total(&self) -> Option<&GroupTotals> {
        self.members_of(TotalsGroup::Total)
            .next()
            .map(|(_, totals)| totals)
    }

    /// The totals of a group's members, by name.
    pub fn members_of(&self, group: TotalsGroup) -> impl Iterator<Item = (&str, &GroupTotals)> {
        self.groups
            .iter()
            .filter(move |((of, _), _)| *of == group)
            .map(|((_, name), totals)| (name.as_str(), totals))
    }

    /// How many deployments there were on each day that had any, UTC.
    #[must_use]
    pub fn deployments_per_day(&self) -> &BTreeMap<NaiveDate, u64> {
        &self.deployments_per_day
    }

    /// How many lines the table has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether there was no deployment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The lines of the table, under [`COLUMNS`].
    pub fn iter_cells(&self) -> impl Iterator<Item = Vec<TableCell<'_>>> {
        let number = |count: usize| TableCell::Count(count as u64);
        let time = |at: DateTime<Utc>| {
            TableCell::Text(at.to_rfc3339_opts(SecondsFormat::Secs, true).into())
        };
        self.groups.iter().map(move |((group, name), totals)| {
            vec![
                TableCell::Text(group.as_str().into()),
                TableCell::Text(name.into()),
                TableCell::Count(totals.deployments),
                number(totals.customer_count()),
                number(totals.user_count()),
                number(totals.config_count()),
                time(totals.first),
                time(totals.last),
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample_deployment(at: &str, customer: &str, user: &str, config_hash: &str) -> Deployment {
        Deployment {
            deployed_at: at.parse().expect("a time"),
            customer: customer.into(),
            user: format!("arn:aws:iam::1:user/{user}"),
            config_hash: config_hash.into(),
            ..Deployment::default()
        }
    }

    #[test]
    fn every_deployment_counts_in_all_its_groups() {
        let mut summary = ReportTotals::new(UserIdentity::Name);
        // 2027-01-03 is a Sunday, of the ISO week 2026-W53 (cal -w, ISO 8601).
        for one in [
            sample_deployment("2027-01-03T23:59:59Z", "acme", "jane", "b"),
            sample_deployment("2026-12-31T08:00:00Z", "acme", "jane", "a"),
            sample_deployment("2026-12-31T09:00:00Z", "zeta", "adam", "a"),
            sample_deployment("2026-12-31T10:00:00Z", "zeta", "jane", ""),
        ] {
            summary.add_deployment(&one);
        }
        let lines: Vec<String> = summary
            .iter_cells()
            .map(|cells| {
                cells
                    .iter()
                    .map(|cell| cell.to_text().into_owned())
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect();
        assert_eq!(
            lines,
            [
                "total  4 2 2 2 2026-12-31T08:00:00Z 2027-01-03T23:59:59Z",
                "customer acme 2 1 1 2 2026-12-31T08:00:00Z 2027-01-03T23:59:59Z",
                "customer zeta 2 1 2 1 2026-12-31T09:00:00Z 2026-12-31T10:00:00Z",
                "user adam 1 1 1 1 2026-12-31T09:00:00Z 2026-12-31T09:00:00Z",
                "user jane 3 2 1 2 2026-12-31T08:00:00Z 2027-01-03T23:59:59Z",
                "month 2026-12 3 2 2 1 2026-12-31T08:00:00Z 2026-12-31T10:00:00Z",
                "month 2027-01 1 1 1 1 2027-01-03T23:59:59Z 2027-01-03T23:59:59Z",
                "week 2026-W53 4 2 2 2 2026-12-31T08:00:00Z 2027-01-03T23:59:59Z",
            ]
        );
        assert_eq!(
            summary
                .deployments_per_day()
                .values()
                .copied()
                .collect::<Vec<_>>(),
            [3, 1]
        );
        assert_eq!(
            (
                summary.len(),
                summary.is_empty(),
                summary.grand_total().map(|it| it.deployments)
            ),
            (8, false, Some(4))
        );
        let nothing = ReportTotals::new(UserIdentity::Name);
        assert!(nothing.is_empty() && nothing.grand_total().is_none());
    }
}

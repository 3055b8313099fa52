//! Totals over deployments: in all, per customer, user, month and week. The table and the page show
//! the same numbers.
//!
//! Every deployment counts, unlike in the rows of days.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Datelike as _, NaiveDate, SecondsFormat, Utc};

use crate::output::TableCell;
use crate::record::deployment::Deployment;
use crate::report::interner::{StringInterner, Symbol};
use crate::s3::caller::{UserIdentity, display_user};

/// What is added up; in the order of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TotalsGroup {
    Total,
    Customer,
    User,
    /// A month in UTC, as `2026-11`.
    Month,
    /// An ISO week, as `2026-W48`.
    Week,
}

impl TotalsGroup {
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

/// The columns of [`ReportTotals::iter_cells`].
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

/// The totals of one member of a group.
#[derive(Debug, Clone, Default)]
pub struct GroupTotals {
    pub deployments: u64,
    pub first: DateTime<Utc>,
    pub last: DateTime<Utc>,
    customers: HashSet<Symbol>,
    users: HashSet<Symbol>,
    configs: HashSet<Symbol>,
}

impl GroupTotals {
    #[must_use]
    pub fn customer_count(&self) -> usize {
        self.customers.len()
    }

    #[must_use]
    pub fn user_count(&self) -> usize {
        self.users.len()
    }

    /// Different configs, by their MD5.
    #[must_use]
    pub fn config_count(&self) -> usize {
        self.configs.len()
    }
}

#[derive(Debug, Default)]
pub struct ReportTotals {
    identity: UserIdentity,
    strings: StringInterner,
    groups: BTreeMap<(TotalsGroup, String), GroupTotals>,
    deployments_per_day: BTreeMap<NaiveDate, u64>,
}

impl ReportTotals {
    #[must_use]
    pub fn new(identity: UserIdentity) -> Self {
        Self {
            identity,
            ..Self::default()
        }
    }

    pub fn add_deployment(&mut self, deployment: &Deployment) {
        let deployed_at = deployment.deployed_at;
        let date = deployed_at.date_naive();
        *self.deployments_per_day.entry(date).or_default() += 1;

        let user = display_user(&deployment.record.user, self.identity);
        let customer_symbol = self.strings.intern(&deployment.customer);
        let user_symbol = self.strings.intern(user);
        let config_symbol = match deployment.record.config_hash.as_str() {
            "" => None,
            hash => Some(self.strings.intern(hash)),
        };

        let week = date.iso_week();
        let month_name = format!("{:04}-{:02}", date.year(), date.month());
        let week_name = format!("{:04}-W{:02}", week.year(), week.week());
        for (group, name) in [
            (TotalsGroup::Total, String::new()),
            (TotalsGroup::Customer, deployment.customer.clone()),
            (TotalsGroup::User, user.to_owned()),
            (TotalsGroup::Month, month_name),
            (TotalsGroup::Week, week_name),
        ] {
            let totals = self.groups.entry((group, name)).or_default();
            if totals.deployments == 0 {
                totals.first = deployed_at;
                totals.last = deployed_at;
            }
            totals.first = totals.first.min(deployed_at);
            totals.last = totals.last.max(deployed_at);
            totals.deployments += 1;
            totals.customers.insert(customer_symbol);
            totals.users.insert(user_symbol);
            totals.configs.extend(config_symbol);
        }
    }

    /// `None` if there are no deployments.
    #[must_use]
    pub fn grand_total(&self) -> Option<&GroupTotals> {
        self.groups.get(&(TotalsGroup::Total, String::new()))
    }

    /// The members of a group with their totals, by name.
    pub fn members_of(&self, group: TotalsGroup) -> impl Iterator<Item = (&str, &GroupTotals)> {
        let members = self.groups.range((group, String::new())..);
        members
            .take_while(move |((member_of, _), _)| *member_of == group)
            .map(|((_, name), totals)| (name.as_str(), totals))
    }

    /// Only days with deployments, in UTC.
    #[must_use]
    pub fn deployments_per_day(&self) -> &BTreeMap<NaiveDate, u64> {
        &self.deployments_per_day
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The rows of the table, below [`TOTALS_COLUMNS`].
    pub fn iter_cells(&self) -> impl Iterator<Item = Vec<TableCell<'_>>> {
        self.groups.iter().map(|((group, name), totals)| {
            vec![
                TableCell::Text(group.as_str().into()),
                TableCell::Text(name.into()),
                TableCell::Count(totals.deployments),
                TableCell::Count(totals.customer_count() as u64),
                TableCell::Count(totals.user_count() as u64),
                TableCell::Count(totals.config_count() as u64),
                time_cell(totals.first),
                time_cell(totals.last),
            ]
        })
    }
}

fn time_cell(at: DateTime<Utc>) -> TableCell<'static> {
    TableCell::Text(at.to_rfc3339_opts(SecondsFormat::Secs, true).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::parse::ParsedRecord;

    fn sample_deployment(at: &str, customer: &str, user: &str, config_hash: &str) -> Deployment {
        Deployment {
            deployed_at: at.parse().expect("a time"),
            customer: customer.into(),
            record: ParsedRecord {
                user: format!("arn:aws:iam::1:user/{user}"),
                config_hash: config_hash.into(),
                ..ParsedRecord::default()
            },
            ..Deployment::default()
        }
    }

    #[test]
    fn every_deployment_counts_in_all_its_groups() {
        let mut totals = ReportTotals::new(UserIdentity::Name);
        // 2027-01-03 is a Sunday, of the ISO week 2026-W53 (cal -w, ISO 8601).
        for one in [
            sample_deployment("2027-01-03T23:59:59Z", "acme", "jane", "b"),
            sample_deployment("2026-12-31T08:00:00Z", "acme", "jane", "a"),
            sample_deployment("2026-12-31T09:00:00Z", "zeta", "adam", "a"),
            sample_deployment("2026-12-31T10:00:00Z", "zeta", "jane", ""),
        ] {
            totals.add_deployment(&one);
        }
        let lines: Vec<String> = totals
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
            totals
                .deployments_per_day()
                .values()
                .copied()
                .collect::<Vec<_>>(),
            [3, 1]
        );
        assert_eq!(
            (
                totals.len(),
                totals.is_empty(),
                totals.grand_total().map(|it| it.deployments)
            ),
            (8, false, Some(4))
        );
        let nothing = ReportTotals::new(UserIdentity::Name);
        assert!(nothing.is_empty() && nothing.grand_total().is_none());
    }
}

//! Totals over deployments: in all, per customer, user, month and week. The table and the page show the same numbers.
//!
//! Pure. Unlike the rows of days, every deployment counts here.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Datelike as _, NaiveDate, SecondsFormat, Utc};

use crate::formats::Cell;
use crate::logged::{By, Deployment, shown_user};
use crate::names::{Name, Names};

/// What is added up; in the order of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
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

impl Group {
    /// The name in the table.
    #[must_use]
    pub fn name(self) -> &'static str {
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
pub const COLUMNS: [&str; 8] = ["group", "name", "deployments", "customers", "users", "configs", "first", "last"];

/// The totals of one group's member.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// How many deployments.
    pub deployments: u64,
    /// The first one.
    pub first: DateTime<Utc>,
    /// The last one.
    pub last: DateTime<Utc>,
    customers: HashSet<Name>,
    users: HashSet<Name>,
    configs: HashSet<Name>,
}

impl Totals {
    /// How many customers were deployed.
    #[must_use]
    pub fn customers(&self) -> usize {
        self.customers.len()
    }

    /// How many users deployed.
    #[must_use]
    pub fn users(&self) -> usize {
        self.users.len()
    }

    /// How many different configs were deployed.
    #[must_use]
    pub fn configs(&self) -> usize {
        self.configs.len()
    }
}

/// The totals of all groups.
#[derive(Debug, Default)]
pub struct Summary {
    by: By,
    names: Names,
    groups: BTreeMap<(Group, String), Totals>,
    days: BTreeMap<NaiveDate, u64>,
}

impl Summary {
    /// Nothing added up yet.
    #[must_use]
    pub fn new(by: By) -> Self {
        Self { by, ..Self::default() }
    }

    /// Adds a deployment.
    pub fn add(&mut self, deployment: &Deployment) {
        let user = shown_user(&deployment.user, self.by);
        let date = deployment.at.date_naive();
        let week = date.iso_week();
        *self.days.entry(date).or_default() += 1;
        let (customer_name, user_name) = (self.names.name(&deployment.customer), self.names.name(user));
        let config = Some(&deployment.config_hash).filter(|hash| !hash.is_empty()).map(|hash| self.names.name(hash));
        for (group, name) in [
            (Group::Total, String::new()),
            (Group::Customer, deployment.customer.clone()),
            (Group::User, user.to_owned()),
            (Group::Month, format!("{:04}-{:02}", date.year(), date.month())),
            (Group::Week, format!("{:04}-W{:02}", week.year(), week.week())),
        ] {
            let start = || Totals { first: deployment.at, ..Totals::default() };
            let totals = self.groups.entry((group, name)).or_insert_with(start);
            totals.first = totals.first.min(deployment.at);
            totals.last = totals.last.max(deployment.at);
            totals.deployments += 1;
            totals.customers.insert(customer_name);
            totals.users.insert(user_name);
            totals.configs.extend(config);
        }
    }

    /// The totals over everything; `None` if there was no deployment.
    #[must_use]
    pub fn total(&self) -> Option<&Totals> {
        self.of(Group::Total).next().map(|(_, totals)| totals)
    }

    /// The totals of a group's members, by name.
    pub fn of(&self, group: Group) -> impl Iterator<Item = (&str, &Totals)> {
        self.groups.iter().filter(move |((of, _), _)| *of == group).map(|((_, name), totals)| (name.as_str(), totals))
    }

    /// How many deployments there were on each day that had any, UTC.
    #[must_use]
    pub fn days(&self) -> &BTreeMap<NaiveDate, u64> {
        &self.days
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
    pub fn cells(&self) -> impl Iterator<Item = Vec<Cell<'_>>> {
        let number = |count: usize| Cell::Count(count as u64);
        let time = |at: DateTime<Utc>| Cell::Text(at.to_rfc3339_opts(SecondsFormat::Secs, true).into());
        self.groups.iter().map(move |((group, name), totals)| {
            vec![
                Cell::Text(group.name().into()),
                Cell::Text(name.into()),
                Cell::Count(totals.deployments),
                number(totals.customers()),
                number(totals.users()),
                number(totals.configs()),
                time(totals.first),
                time(totals.last),
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(at: &str, customer: &str, user: &str, config_hash: &str) -> Deployment {
        Deployment {
            at: at.parse().expect("a time"),
            customer: customer.into(),
            user: format!("arn:aws:iam::1:user/{user}"),
            config_hash: config_hash.into(),
            ..Deployment::default()
        }
    }

    #[test]
    fn every_deployment_counts_in_all_its_groups() {
        let mut summary = Summary::new(By::Name);
        // 2027-01-03 is a Sunday, of the ISO week 2026-W53 (cal -w, ISO 8601).
        for one in [
            deployment("2027-01-03T23:59:59Z", "acme", "jane", "b"),
            deployment("2026-12-31T08:00:00Z", "acme", "jane", "a"),
            deployment("2026-12-31T09:00:00Z", "zeta", "adam", "a"),
            deployment("2026-12-31T10:00:00Z", "zeta", "jane", ""),
        ] {
            summary.add(&one);
        }
        let lines: Vec<String> =
            summary.cells().map(|cells| cells.iter().map(|cell| cell.words().into_owned()).collect::<Vec<_>>().join(" ")).collect();
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
        assert_eq!(summary.days().values().copied().collect::<Vec<_>>(), [3, 1]);
        assert_eq!((summary.len(), summary.is_empty(), summary.total().map(|it| it.deployments)), (8, false, Some(4)));
        let nothing = Summary::new(By::Name);
        assert!(nothing.is_empty() && nothing.total().is_none());
    }
}

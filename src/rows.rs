//! From deployments to the rows of the report: one per day, customer and user, the last deployment winning; or all.
//!
//! Pure. Must not fetch, and must not depend on the order in which deployments come. A row takes 64 bytes, for there
//! may be a million of them.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SecondsFormat};

use crate::columns::{COLUMNS, Column, OF_DAYS, Sort};
use crate::formats::Cell;
use crate::logged::{By, Deployment, shown_user};
use crate::names::{Name, Names};
use crate::packed::{Details, Row, order};

/// The report being made: takes deployments one at a time and keeps the last of each day, customer and user, or all.
#[derive(Debug, Default)]
pub struct Rows {
    by: By,
    all: bool,
    names: Names,
    kept: Vec<Row>,
    /// What [`Row`]s point at; empty unless all deployments are kept.
    more: Vec<Details>,
    /// From this many rows on, those that lost are dropped.
    fold_at: usize,
    /// For each name, the ARNs that it stands for.
    arns: BTreeMap<String, BTreeSet<String>>,
}

/// Folding pays from this many rows on.
const FOLD_FROM: usize = 1 << 14;

impl Rows {
    /// An empty report: of days, or of all deployments.
    #[must_use]
    pub fn new(by: By, all: bool) -> Self {
        Self { by, all, fold_at: FOLD_FROM, ..Self::default() }
    }

    /// The columns and their names.
    #[must_use]
    pub fn columns(&self) -> &'static [(Column, &'static str)] {
        if self.all { &COLUMNS } else { &COLUMNS[..OF_DAYS] }
    }

    /// Takes one deployment in.
    pub fn add(&mut self, deployment: &Deployment) {
        let user = shown_user(&deployment.user, self.by);
        if self.by == By::Name && !self.arns.get(user).is_some_and(|arns| arns.contains(&deployment.user)) {
            self.arns.entry(user.to_owned()).or_default().insert(deployment.user.clone());
        }
        let row = Row::new(deployment, user, self.more.len(), &mut self.names);
        if self.all {
            self.more.push(Details::of(deployment, &mut self.names));
        } else if self.kept.len() >= self.fold_at {
            self.fold();
        }
        if self.kept.len() == self.kept.capacity() {
            // Twice as much, as a vector has it by itself, would be twice what is needed.
            self.kept.reserve_exact(self.kept.len() / 8 + FOLD_FROM);
        }
        self.kept.push(row);
    }

    /// Drops the rows that lost against another one of their day, customer and user.
    fn fold(&mut self) {
        let names = &self.names;
        let place = |row: &Row| (row.day(), row.customer, row.user);
        self.kept.sort_unstable_by(|a, b| place(a).cmp(&place(b)).then_with(|| order(names, b, a)));
        self.kept.dedup_by_key(|row| place(row));
        self.fold_at = (self.kept.len() * 2).max(FOLD_FROM);
    }

    /// Brings the rows into their order: by `sort`, then by date, customer and user, or all of them by time; and keeps the first `limit`.
    pub fn finish(&mut self, sort: &[Sort], limit: Option<usize>) {
        if !self.all {
            self.fold();
        }
        let mut rows = std::mem::take(&mut self.kept);
        rows.sort_unstable_by(|a, b| {
            let asked = sort.iter().map(|sort| {
                let order = self.compare(a, b, sort.column);
                if sort.descending { order.reverse() } else { order }
            });
            let own = std::iter::once_with(|| if self.all { order(&self.names, a, b) } else { Ordering::Equal });
            let usual = || [Column::Timestamp, Column::Customer, Column::User].into_iter().map(|column| self.compare(a, b, column));
            asked.chain(own).chain(usual()).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        });
        if let Some(limit) = limit {
            rows.truncate(limit);
        }
        self.kept = rows;
    }

    /// How many rows there are; final after [`Rows::finish`].
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The names that stand for more than one ARN, with these.
    pub fn folded(&self) -> impl Iterator<Item = (&str, &BTreeSet<String>)> {
        self.arns.iter().filter(|(_, arns)| arns.len() > 1).map(|(name, arns)| (name.as_str(), arns))
    }

    /// The cells of all rows, in order, with the values as the records have them.
    pub fn cells(&self) -> impl Iterator<Item = Vec<Cell<'_>>> {
        self.kept.iter().map(|row| self.columns().iter().map(|(column, _)| self.cell(row, *column)).collect())
    }

    fn cell(&self, row: &Row, column: Column) -> Cell<'_> {
        match column {
            Column::Timestamp => Cell::Text(self.when(row).into()),
            Column::AdditionalUsersCount => Cell::Count(row.additional_users_count),
            Column::Late => Cell::Flag(self.details(row).is_some_and(|more| more.late)),
            Column::GitDirty => self.details(row).and_then(|more| more.dirty).map_or(Cell::Text("".into()), Cell::Flag),
            _ => Cell::Text(self.text(row, column).into()),
        }
    }

    fn when(&self, row: &Row) -> String {
        let at = DateTime::from_timestamp_nanos(row.at);
        if self.all { at.to_rfc3339_opts(SecondsFormat::AutoSi, true) } else { at.format("%Y-%m-%d").to_string() }
    }

    fn text(&self, row: &Row, column: Column) -> &str {
        let more = |field: fn(&Details) -> Name| self.details(row).map_or("", |more| self.names.text(field(more)));
        match column {
            Column::Customer => self.names.text(row.customer),
            Column::User => self.names.text(row.user),
            Column::ProjectName => self.names.text(row.project_name),
            Column::ClusterName => self.names.text(row.cluster_name),
            Column::Arn => more(|it| it.arn),
            Column::Account => more(|it| it.account),
            Column::ConfigHash => more(|it| it.config_hash),
            Column::Backup => more(|it| it.backup),
            Column::DeploymentId => more(|it| it.deployment_id),
            Column::GitCommit => more(|it| it.commit),
            Column::GitBranch => more(|it| it.branch),
            Column::CiProvider => more(|it| it.provider),
            Column::CiRunUrl => more(|it| it.run_url),
            Column::Timestamp | Column::AdditionalUsersCount | Column::Late | Column::GitDirty => "",
        }
    }

    fn details(&self, row: &Row) -> Option<&Details> {
        self.more.get(row.more as usize)
    }

    fn compare(&self, a: &Row, b: &Row, column: Column) -> Ordering {
        match column {
            Column::Timestamp if self.all => a.at.cmp(&b.at),
            Column::Timestamp => a.day().cmp(&b.day()),
            Column::AdditionalUsersCount => a.additional_users_count.cmp(&b.additional_users_count),
            Column::Customer if a.customer == b.customer => Ordering::Equal,
            Column::User if a.user == b.user => Ordering::Equal,
            Column::Late => self.details(a).map(|more| more.late).cmp(&self.details(b).map(|more| more.late)),
            Column::GitDirty => self.details(a).map(|more| more.dirty).cmp(&self.details(b).map(|more| more.dirty)),
            _ => self.text(a, column).cmp(self.text(b, column)),
        }
    }
}

#[cfg(test)]
#[path = "rows/tests.rs"]
mod tests;

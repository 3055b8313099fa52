//! From deployments to the rows of the report: one per day, customer and user, the last deployment winning; or all.
//!
//! Pure. Must not fetch, and must not depend on the order in which deployments come. A row takes 64 bytes, for there
//! may be a million of them.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SecondsFormat};

use crate::output::TableCell;
use crate::record::deployment::{Deployment, UserIdentity, display_user};
use crate::report::columns::{DAY_COLUMN_COUNT, REPORT_COLUMNS, ReportColumn, SortKey};
use crate::report::compact_row::{CompactDetails, CompactRow, compare_recency};
use crate::report::interner::{StringInterner, Symbol};

/// The report being made: takes deployments one at a time and keeps the last of each day, customer and user, or all.
#[derive(Debug, Default)]
pub struct ReportRows {
    identity: UserIdentity,
    all: bool,
    strings: StringInterner,
    rows: Vec<CompactRow>,
    /// What [`Row`]s point at; empty unless all deployments are kept.
    details: Vec<CompactDetails>,
    /// From this many rows on, those that lost are dropped.
    dedup_at: usize,
    /// For each name, the ARNs that it stands for.
    arns_by_name: BTreeMap<String, BTreeSet<String>>,
}

/// Folding pays from this many rows on.
const MIN_ROWS_TO_DEDUP: usize = 1 << 14;

impl ReportRows {
    /// An empty report: of days, or of all deployments.
    #[must_use]
    pub fn new(by: UserIdentity, all: bool) -> Self {
        Self {
            identity: by,
            all,
            dedup_at: MIN_ROWS_TO_DEDUP,
            ..Self::default()
        }
    }

    /// The columns and their names.
    #[must_use]
    pub fn shown_columns(&self) -> &'static [(ReportColumn, &'static str)] {
        if self.all {
            &REPORT_COLUMNS
        } else {
            &REPORT_COLUMNS[..DAY_COLUMN_COUNT]
        }
    }

    /// Takes one deployment in.
    pub fn add_deployment(&mut self, deployment: &Deployment) {
        let user = display_user(&deployment.user, self.identity);
        if self.identity == UserIdentity::Name
            && !self
                .arns_by_name
                .get(user)
                .is_some_and(|arns| arns.contains(&deployment.user))
        {
            self.arns_by_name
                .entry(user.to_owned())
                .or_default()
                .insert(deployment.user.clone());
        }
        let row = CompactRow::new(deployment, user, self.details.len(), &mut self.strings);
        if self.all {
            self.details
                .push(CompactDetails::new(deployment, &mut self.strings));
        } else if self.rows.len() >= self.dedup_at {
            self.drop_superseded();
        }
        if self.rows.len() == self.rows.capacity() {
            // Twice as much, as a vector has it by itself, would be twice what is needed.
            self.rows
                .reserve_exact(self.rows.len() / 8 + MIN_ROWS_TO_DEDUP);
        }
        self.rows.push(row);
    }

    /// Drops the rows that lost against another one of their day, customer and user.
    fn drop_superseded(&mut self) {
        let names = &self.strings;
        let place = |row: &CompactRow| (row.epoch_day(), row.customer, row.user);
        self.rows.sort_unstable_by(|a, b| {
            place(a)
                .cmp(&place(b))
                .then_with(|| compare_recency(names, b, a))
        });
        self.rows.dedup_by_key(|row| place(row));
        self.dedup_at = (self.rows.len() * 2).max(MIN_ROWS_TO_DEDUP);
    }

    /// Brings the rows into their order: by `sort`, then by date, customer and user, or all of them by time; and keeps the first `limit`.
    pub fn sort_and_limit(&mut self, sort: &[SortKey], limit: Option<usize>) {
        if !self.all {
            self.drop_superseded();
        }
        let mut rows = std::mem::take(&mut self.rows);
        rows.sort_unstable_by(|a, b| {
            let asked = sort.iter().map(|sort| {
                let order = self.compare_by_column(a, b, sort.column);
                if sort.is_descending {
                    order.reverse()
                } else {
                    order
                }
            });
            let own = std::iter::once_with(|| {
                if self.all {
                    compare_recency(&self.strings, a, b)
                } else {
                    Ordering::Equal
                }
            });
            let usual = || {
                [
                    ReportColumn::Timestamp,
                    ReportColumn::Customer,
                    ReportColumn::User,
                ]
                .into_iter()
                .map(|column| self.compare_by_column(a, b, column))
            };
            asked
                .chain(own)
                .chain(usual())
                .find(|order| order.is_ne())
                .unwrap_or(Ordering::Equal)
        });
        if let Some(limit) = limit {
            rows.truncate(limit);
        }
        self.rows = rows;
    }

    /// How many rows there are; final after [`Rows::finish`].
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The names that stand for more than one ARN, with these.
    pub fn ambiguous_names(&self) -> impl Iterator<Item = (&str, &BTreeSet<String>)> {
        self.arns_by_name
            .iter()
            .filter(|(_, arns)| arns.len() > 1)
            .map(|(name, arns)| (name.as_str(), arns))
    }

    /// The cells of all rows, in order, with the values as the records have them.
    pub fn iter_cells(&self) -> impl Iterator<Item = Vec<TableCell<'_>>> {
        self.rows.iter().map(|row| {
            self.shown_columns()
                .iter()
                .map(|(column, _)| self.column_cell(row, *column))
                .collect()
        })
    }

    fn column_cell(&self, row: &CompactRow, column: ReportColumn) -> TableCell<'_> {
        match column {
            ReportColumn::Timestamp => TableCell::Text(self.format_time(row).into()),
            ReportColumn::AdditionalUsersCount => TableCell::Count(row.additional_users_count),
            ReportColumn::Late => {
                TableCell::Flag(self.row_details(row).is_some_and(|more| more.is_late))
            }
            ReportColumn::GitDirty => self
                .row_details(row)
                .and_then(|more| more.is_git_dirty)
                .map_or(TableCell::Text("".into()), TableCell::Flag),
            _ => TableCell::Text(self.column_text(row, column).into()),
        }
    }

    fn format_time(&self, row: &CompactRow) -> String {
        let at = DateTime::from_timestamp_nanos(row.at_nanos);
        if self.all {
            at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
        } else {
            at.format("%Y-%m-%d").to_string()
        }
    }

    fn column_text(&self, row: &CompactRow, column: ReportColumn) -> &str {
        let more = |field: fn(&CompactDetails) -> Symbol| {
            self.row_details(row)
                .map_or("", |more| self.strings.resolve(field(more)))
        };
        match column {
            ReportColumn::Customer => self.strings.resolve(row.customer),
            ReportColumn::User => self.strings.resolve(row.user),
            ReportColumn::ProjectName => self.strings.resolve(row.project_name),
            ReportColumn::ClusterName => self.strings.resolve(row.cluster_name),
            ReportColumn::Arn => more(|it| it.arn),
            ReportColumn::Account => more(|it| it.account),
            ReportColumn::ConfigHash => more(|it| it.config_hash),
            ReportColumn::Backup => more(|it| it.backup),
            ReportColumn::DeploymentId => more(|it| it.deployment_id),
            ReportColumn::GitCommit => more(|it| it.git_commit),
            ReportColumn::GitBranch => more(|it| it.git_branch),
            ReportColumn::CiProvider => more(|it| it.ci_provider),
            ReportColumn::CiRunUrl => more(|it| it.ci_run_url),
            ReportColumn::Timestamp
            | ReportColumn::AdditionalUsersCount
            | ReportColumn::Late
            | ReportColumn::GitDirty => "",
        }
    }

    fn row_details(&self, row: &CompactRow) -> Option<&CompactDetails> {
        self.details.get(row.details_index as usize)
    }

    fn compare_by_column(&self, a: &CompactRow, b: &CompactRow, column: ReportColumn) -> Ordering {
        match column {
            ReportColumn::Timestamp if self.all => a.at_nanos.cmp(&b.at_nanos),
            ReportColumn::Timestamp => a.epoch_day().cmp(&b.epoch_day()),
            ReportColumn::AdditionalUsersCount => {
                a.additional_users_count.cmp(&b.additional_users_count)
            }
            ReportColumn::Customer if a.customer == b.customer => Ordering::Equal,
            ReportColumn::User if a.user == b.user => Ordering::Equal,
            ReportColumn::Late => self
                .row_details(a)
                .map(|more| more.is_late)
                .cmp(&self.row_details(b).map(|more| more.is_late)),
            ReportColumn::GitDirty => self
                .row_details(a)
                .map(|more| more.is_git_dirty)
                .cmp(&self.row_details(b).map(|more| more.is_git_dirty)),
            _ => self.column_text(a, column).cmp(self.column_text(b, column)),
        }
    }
}

#[cfg(test)]
mod tests;

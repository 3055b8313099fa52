//! The rows of the report: the last deployment of each day, customer and user, or all deployments.
//!
//! Must not depend on the order in which deployments are added. A report may have a million rows of
//! 64 bytes each.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SecondsFormat};

use crate::output::TableCell;
use crate::record::deployment::Deployment;
use crate::report::columns::{DAY_COLUMN_COUNT, REPORT_COLUMNS, ReportColumn, SortKey};
use crate::report::compact_row::{CompactDetails, CompactRow, compare_recency};
use crate::report::interner::{StringInterner, Symbol};
use crate::s3::caller::{UserIdentity, display_user, stable_arn};

/// Which deployments have a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RowKind {
    #[default]
    LastOfDay,
    EveryDeployment,
}

#[derive(Debug, Default)]
pub struct ReportRows {
    identity: UserIdentity,
    kind: RowKind,
    strings: StringInterner,
    rows: Vec<CompactRow>,
    /// [`CompactRow::details_index`] points here; empty in a report of days.
    details: Vec<CompactDetails>,
    /// With this many rows, a report of days drops superseded ones.
    dedup_at: usize,
    arns_by_name: BTreeMap<String, BTreeSet<String>>,
}

/// Sorting fewer rows costs more than it saves.
const MIN_ROWS_TO_DEDUP: usize = 1 << 14;

/// Decides the order where the user's sort keys do not.
const TIE_BREAKERS: [ReportColumn; 3] = [
    ReportColumn::Timestamp,
    ReportColumn::Customer,
    ReportColumn::User,
];

impl ReportRows {
    #[must_use]
    pub fn new(identity: UserIdentity, kind: RowKind) -> Self {
        Self {
            identity,
            kind,
            dedup_at: MIN_ROWS_TO_DEDUP,
            ..Self::default()
        }
    }

    #[must_use]
    pub fn shown_columns(&self) -> &'static [(ReportColumn, &'static str)] {
        match self.kind {
            RowKind::LastOfDay => &REPORT_COLUMNS[..DAY_COLUMN_COUNT],
            RowKind::EveryDeployment => &REPORT_COLUMNS,
        }
    }

    pub fn add_deployment(&mut self, deployment: &Deployment) {
        let user = display_user(&deployment.record.user, self.identity);
        if self.identity == UserIdentity::Name {
            self.add_arn(user, stable_arn(&deployment.record.user));
        }

        let row = CompactRow::new(deployment, user, self.details.len(), &mut self.strings);
        match self.kind {
            RowKind::EveryDeployment => {
                let details = CompactDetails::new(deployment, &mut self.strings);
                self.details.push(details);
            }
            RowKind::LastOfDay if self.rows.len() >= self.dedup_at => self.drop_superseded(),
            RowKind::LastOfDay => {}
        }

        if self.rows.len() == self.rows.capacity() {
            // A vector doubles by itself, which would take up to twice the memory that is needed.
            let additional = self.rows.len() / 8 + MIN_ROWS_TO_DEDUP;
            self.rows.reserve_exact(additional);
        }
        self.rows.push(row);
    }

    fn add_arn(&mut self, name: &str, arn: &str) {
        if let Some(arns) = self.arns_by_name.get(name)
            && arns.contains(arn)
        {
            return;
        }
        let arns = self.arns_by_name.entry(name.to_owned()).or_default();
        arns.insert(arn.to_owned());
    }

    /// Drops each row for whose day, customer and user there is a later one.
    fn drop_superseded(&mut self) {
        let strings = &self.strings;
        let group_of = |row: &CompactRow| (row.epoch_day(), row.customer, row.user);
        self.rows.sort_unstable_by(|a, b| {
            let order = group_of(a).cmp(&group_of(b));
            order.then_with(|| compare_recency(strings, b, a))
        });
        self.rows.dedup_by_key(|row| group_of(row));
        self.dedup_at = (self.rows.len() * 2).max(MIN_ROWS_TO_DEDUP);
    }

    /// Sorts by `sort_keys`, then all deployments by time or days by date, customer and user; keeps
    /// the first `limit`.
    pub fn sort_and_limit(&mut self, sort_keys: &[SortKey], limit: Option<usize>) {
        if self.kind == RowKind::LastOfDay {
            self.drop_superseded();
        }
        let mut rows = std::mem::take(&mut self.rows);
        rows.sort_unstable_by(|a, b| self.compare_rows(a, b, sort_keys));
        if let Some(limit) = limit {
            rows.truncate(limit);
        }
        self.rows = rows;
    }

    fn compare_rows(&self, a: &CompactRow, b: &CompactRow, sort_keys: &[SortKey]) -> Ordering {
        for sort_key in sort_keys {
            let order = self.compare_by_column(a, b, sort_key.column);
            match order {
                Ordering::Equal => {}
                order if sort_key.is_descending => return order.reverse(),
                order => return order,
            }
        }
        if self.kind == RowKind::EveryDeployment {
            let order = compare_recency(&self.strings, a, b);
            if order.is_ne() {
                return order;
            }
        }
        for column in TIE_BREAKERS {
            let order = self.compare_by_column(a, b, column);
            if order.is_ne() {
                return order;
            }
        }
        Ordering::Equal
    }

    fn compare_by_column(&self, a: &CompactRow, b: &CompactRow, column: ReportColumn) -> Ordering {
        match column {
            ReportColumn::Timestamp => match self.kind {
                RowKind::EveryDeployment => a.at_nanos.cmp(&b.at_nanos),
                RowKind::LastOfDay => a.epoch_day().cmp(&b.epoch_day()),
            },
            ReportColumn::AdditionalUsersCount => {
                a.additional_users_count.cmp(&b.additional_users_count)
            }
            // Equal symbols spare the comparison of texts.
            ReportColumn::Customer if a.customer == b.customer => Ordering::Equal,
            ReportColumn::User if a.user == b.user => Ordering::Equal,
            ReportColumn::Late => {
                let is_late = |row| self.row_details(row).map(|details| details.is_late);
                is_late(a).cmp(&is_late(b))
            }
            ReportColumn::GitDirty => {
                let is_dirty = |row| self.row_details(row).map(|details| details.is_git_dirty);
                is_dirty(a).cmp(&is_dirty(b))
            }
            _ => self.column_text(a, column).cmp(self.column_text(b, column)),
        }
    }

    /// Final after [`ReportRows::sort_and_limit`].
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The user names that stand for more than one ARN, with these ARNs. Sessions of one role whose
    /// names a tool made up count as one ARN.
    pub fn ambiguous_names(&self) -> impl Iterator<Item = (&str, &BTreeSet<String>)> {
        let ambiguous = self.arns_by_name.iter().filter(|(_, arns)| arns.len() > 1);
        ambiguous.map(|(name, arns)| (name.as_str(), arns))
    }

    /// The cells of all rows, with the values as the records have them.
    pub fn iter_cells(&self) -> impl Iterator<Item = Vec<TableCell<'_>>> {
        self.rows.iter().map(|row| self.row_cells(row))
    }

    fn row_cells(&self, row: &CompactRow) -> Vec<TableCell<'_>> {
        let columns = self.shown_columns().iter();
        columns
            .map(|(column, _)| self.column_cell(row, *column))
            .collect()
    }

    fn column_cell(&self, row: &CompactRow, column: ReportColumn) -> TableCell<'_> {
        let details = self.row_details(row);
        match column {
            ReportColumn::Timestamp => TableCell::Text(self.format_time(row).into()),
            ReportColumn::AdditionalUsersCount => TableCell::Count(row.additional_users_count),
            ReportColumn::Late => match details {
                Some(details) => TableCell::Flag(details.is_late),
                None => TableCell::Flag(false),
            },
            ReportColumn::GitDirty => match details.and_then(|details| details.is_git_dirty) {
                Some(is_dirty) => TableCell::Flag(is_dirty),
                None => TableCell::Text("".into()),
            },
            _ => TableCell::Text(self.column_text(row, column).into()),
        }
    }

    fn format_time(&self, row: &CompactRow) -> String {
        let at = DateTime::from_timestamp_nanos(row.at_nanos);
        match self.kind {
            RowKind::LastOfDay => at.format("%Y-%m-%d").to_string(),
            RowKind::EveryDeployment => at.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        }
    }

    /// Empty for columns that are no text, and for details that a report of days does not have.
    fn column_text(&self, row: &CompactRow, column: ReportColumn) -> &str {
        let detail = |field: fn(&CompactDetails) -> Symbol| match self.row_details(row) {
            Some(details) => self.strings.resolve(field(details)),
            None => "",
        };
        match column {
            ReportColumn::Customer => self.strings.resolve(row.customer),
            ReportColumn::User => self.strings.resolve(row.user),
            ReportColumn::ProjectName => self.strings.resolve(row.project_name),
            ReportColumn::ClusterName => self.strings.resolve(row.cluster_name),
            ReportColumn::Arn => detail(|details| details.arn),
            ReportColumn::Account => detail(|details| details.account),
            ReportColumn::ConfigHash => detail(|details| details.config_hash),
            ReportColumn::Backup => detail(|details| details.backup),
            ReportColumn::DeploymentId => detail(|details| details.deployment_id),
            ReportColumn::GitCommit => detail(|details| details.git_commit),
            ReportColumn::GitBranch => detail(|details| details.git_branch),
            ReportColumn::CiProvider => detail(|details| details.ci_provider),
            ReportColumn::CiRunUrl => detail(|details| details.ci_run_url),
            ReportColumn::Timestamp
            | ReportColumn::AdditionalUsersCount
            | ReportColumn::Late
            | ReportColumn::GitDirty => "",
        }
    }

    fn row_details(&self, row: &CompactRow) -> Option<&CompactDetails> {
        self.details.get(row.details_index as usize)
    }
}

#[cfg(test)]
mod tests;

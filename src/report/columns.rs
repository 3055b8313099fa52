//! The report's columns: their names, which are a contract, and sorting by them.
//!
//! Pure.

use std::str::FromStr;

/// A column of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // docs/reference/formats.md, "The CSV", says what they hold
pub enum ReportColumn {
    Timestamp,
    Customer,
    User,
    AdditionalUsersCount,
    ProjectName,
    ClusterName,
    Arn,
    Account,
    ConfigHash,
    Backup,
    Late,
    DeploymentId,
    GitCommit,
    GitBranch,
    GitDirty,
    CiProvider,
    CiRunUrl,
}

/// All columns with their names, in their order; new ones are added at the end.
pub const REPORT_COLUMNS: [(ReportColumn, &str); 17] = [
    (ReportColumn::Timestamp, "timestamp"),
    (ReportColumn::Customer, "customer"),
    (ReportColumn::User, "user"),
    (ReportColumn::AdditionalUsersCount, "additional_users_count"),
    (ReportColumn::ProjectName, "project_name"),
    (ReportColumn::ClusterName, "cluster_name"),
    (ReportColumn::Arn, "arn"),
    (ReportColumn::Account, "account"),
    (ReportColumn::ConfigHash, "config_hash"),
    (ReportColumn::Backup, "backup"),
    (ReportColumn::Late, "late"),
    (ReportColumn::DeploymentId, "deployment_id"),
    (ReportColumn::GitCommit, "git_commit"),
    (ReportColumn::GitBranch, "git_branch"),
    (ReportColumn::GitDirty, "git_dirty"),
    (ReportColumn::CiProvider, "ci_provider"),
    (ReportColumn::CiRunUrl, "ci_run_url"),
];

/// How many of [`COLUMNS`] a report of days has; one of all deployments has all.
pub const DAY_COLUMN_COUNT: usize = 6;

/// A column to sort by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortKey {
    /// The column.
    pub column: ReportColumn,
    /// Whether the greatest value comes first.
    pub is_descending: bool,
}

impl FromStr for SortKey {
    type Err = String;

    /// Reads a column's name, with a `-` in front where the greatest value shall come first.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, descending) = text
            .strip_prefix('-')
            .map_or((text, false), |name| (name, true));
        let found = REPORT_COLUMNS.iter().find(|(_, known)| *known == name);
        found
            .map(|(column, _)| Self {
                column: *column,
                is_descending: descending,
            })
            .ok_or_else(|| {
                let names: Vec<&str> = REPORT_COLUMNS.iter().map(|(_, name)| *name).collect();
                format!("there is no such column; there are {}", names.join(", "))
            })
    }
}

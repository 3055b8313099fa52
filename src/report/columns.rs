//! The columns of the report. Their names and their order are a contract.

use std::str::FromStr;

/// docs/reference/formats.md, "The CSV", describes each column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// All columns with their names, in their order. New ones are appended, so that old readers keep
/// working.
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

/// A report of days has only these many of [`REPORT_COLUMNS`].
pub const DAY_COLUMN_COUNT: usize = 6;

/// A column to sort by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortKey {
    pub column: ReportColumn,
    pub is_descending: bool,
}

impl FromStr for SortKey {
    type Err = String;

    /// Parses `COLUMN`, or `-COLUMN` for descending order.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, is_descending) = match text.strip_prefix('-') {
            Some(name) => (name, true),
            None => (text, false),
        };
        for (column, column_name) in REPORT_COLUMNS {
            if column_name == name {
                return Ok(Self {
                    column,
                    is_descending,
                });
            }
        }

        let names = REPORT_COLUMNS.map(|(_, name)| name);
        Err(format!("no such column; use one of {}", names.join(", ")))
    }
}

//! The report's columns: their names, which are a contract, and sorting by them.
//!
//! Pure.

use std::str::FromStr;

/// A column of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // docs/formats.md, "The CSV", says what they hold
pub enum Column {
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
pub const COLUMNS: [(Column, &str); 17] = [
    (Column::Timestamp, "timestamp"),
    (Column::Customer, "customer"),
    (Column::User, "user"),
    (Column::AdditionalUsersCount, "additional_users_count"),
    (Column::ProjectName, "project_name"),
    (Column::ClusterName, "cluster_name"),
    (Column::Arn, "arn"),
    (Column::Account, "account"),
    (Column::ConfigHash, "config_hash"),
    (Column::Backup, "backup"),
    (Column::Late, "late"),
    (Column::DeploymentId, "deployment_id"),
    (Column::GitCommit, "git_commit"),
    (Column::GitBranch, "git_branch"),
    (Column::GitDirty, "git_dirty"),
    (Column::CiProvider, "ci_provider"),
    (Column::CiRunUrl, "ci_run_url"),
];

/// How many of [`COLUMNS`] a report of days has; one of all deployments has all.
pub const OF_DAYS: usize = 6;

/// A column to sort by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// The column.
    pub column: Column,
    /// Whether the greatest value comes first.
    pub descending: bool,
}

impl FromStr for Sort {
    type Err = String;

    /// Reads a column's name, with a `-` in front where the greatest value shall come first.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
        let found = COLUMNS.iter().find(|(_, known)| *known == name);
        found.map(|(column, _)| Self { column: *column, descending }).ok_or_else(|| {
            let names: Vec<&str> = COLUMNS.iter().map(|(_, name)| *name).collect();
            format!("there is no such column; there are {}", names.join(", "))
        })
    }
}

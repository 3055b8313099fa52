//! A deployment, as a usage record and its object tell it.
//!
//! Pure.

use chrono::{DateTime, Utc};

use crate::keys::{self, RecordKey};
use crate::record::parse::ParsedRecord;
use crate::record::{CiJob, GitCommit};
use crate::s3::listing::ObjectMeta;

/// One deployment, as a usage record and its object tell it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deployment {
    /// When it happened.
    pub deployed_at: DateTime<Utc>,
    /// When the object was written; the second thing that decides which deployment was the last.
    pub modified: DateTime<Utc>,
    /// The object's key; the third.
    pub key: String,
    /// The customer.
    pub customer: String,
    /// The full ARN.
    pub user: String,
    /// `additional_users_count`.
    pub additional_users_count: u64,
    /// `project_name`.
    pub project_name: String,
    /// `cluster_name`.
    pub cluster_name: String,
    /// `config_hash`, or empty.
    pub config_hash: String,
    /// What only the list of all deployments shows.
    pub details: DeploymentDetails,
}

/// What only the list of all deployments shows; empty where a record does not say it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeploymentDetails {
    /// `account`.
    pub account: String,
    /// `backup`.
    pub backup: String,
    /// `late`.
    pub is_late: bool,
    /// `deployment_id`.
    pub deployment_id: String,
    /// `git`.
    pub git: Option<GitCommit>,
    /// `ci`.
    pub ci: Option<CiJob>,
}

impl Deployment {
    /// What a record that was read says of a deployment together with its object, and what was left out, one phrase each.
    #[must_use]
    pub fn from_parsed(
        listed: &ObjectMeta,
        key: &RecordKey<'_>,
        reading: ParsedRecord,
    ) -> (Self, Vec<String>) {
        let mut problems = reading.problems;
        let customer = keys::effective_customer(key.segment, &reading.customer);
        if !reading.customer.is_empty() && reading.customer != customer {
            problems.push("`customer` differs from its key".to_owned());
        }
        let deployment = Self {
            deployed_at: reading
                .deployed_at
                .or(key.deployed_at)
                .unwrap_or(listed.last_modified),
            modified: listed.last_modified,
            key: listed.key.clone(),
            customer,
            user: reading.user,
            additional_users_count: reading.additional_users_count,
            project_name: reading.project_name,
            cluster_name: reading.cluster_name,
            config_hash: reading.config_hash,
            details: DeploymentDetails {
                account: reading.account,
                backup: reading.backup,
                is_late: reading.is_late,
                deployment_id: reading.deployment_id,
                git: reading.git,
                ci: reading.ci,
            },
        };
        (deployment, problems)
    }
}

/// How users are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum UserIdentity {
    /// By what follows the last `/` of the ARN: one person with two roles is one user.
    #[default]
    Name,
    /// By the full ARN.
    Arn,
}

/// The user as the report shows it.
#[must_use]
pub fn display_user(arn: &str, by: UserIdentity) -> &str {
    match by {
        UserIdentity::Name => user_name_from_arn(arn),
        UserIdentity::Arn => arn,
    }
}

/// What follows the last `/` of an ARN, or its last `:` where there is no `/`
/// (`arn:aws:iam::123456789012:root` gives `root`).
#[must_use]
pub fn user_name_from_arn(arn: &str) -> &str {
    arn.rsplit_once('/')
        .or_else(|| arn.rsplit_once(':'))
        .map_or(arn, |(_, tail)| tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_named_by_the_tail_of_their_arn() {
        for (arn, name) in [
            (
                "arn:aws:sts::1:assumed-role/AWSReservedSSO_Admin_0/john.doe",
                "john.doe",
            ),
            ("arn:aws:iam::123456789012:root", "root"),
            ("arn:aws:iam::1:user/a/b/jane", "jane"),
            ("", ""),
            ("someone", "someone"),
        ] {
            assert_eq!(user_name_from_arn(arn), name);
        }
    }
}

//! A deployment: a parsed usage record together with its object.

use chrono::{DateTime, Utc};

use crate::keys::{self, RecordKey};
use crate::record::parse::ParsedRecord;
use crate::s3::listing::ObjectMeta;

/// A parsed record with what its object adds.
///
/// `deployed_at`, then `last_modified`, then `key` decide which of two deployments came later.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deployment {
    /// According to the record, or else to its key, or else when the object was written.
    pub deployed_at: DateTime<Utc>,
    /// When the object was written.
    pub last_modified: DateTime<Utc>,
    /// The key of the object.
    pub key: String,
    /// See [`effective_customer`](keys::effective_customer).
    pub customer: String,
    pub record: ParsedRecord,
}

impl Deployment {
    #[must_use]
    pub fn from_parsed(object: &ObjectMeta, key: &RecordKey<'_>, mut record: ParsedRecord) -> Self {
        let customer = keys::effective_customer(key.segment, &record.customer);
        if !record.customer.is_empty() && record.customer != customer {
            let problem = "`customer` differs from its key".to_owned();
            record.problems.push(problem);
        }

        let named_time = record.deployed_at.or(key.deployed_at);
        Self {
            deployed_at: named_time.unwrap_or(object.last_modified),
            last_modified: object.last_modified,
            key: object.key.clone(),
            customer,
            record,
        }
    }
}

/// What makes two ARNs the same user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum UserIdentity {
    /// By what follows the last `/` of the ARN: a person with two roles is one user
    #[default]
    Name,
    /// By the full ARN
    Arn,
}

/// The user as reports show it.
#[must_use]
pub fn display_user(arn: &str, identity: UserIdentity) -> &str {
    match identity {
        UserIdentity::Name => user_name_from_arn(arn),
        UserIdentity::Arn => arn,
    }
}

/// What follows the last `/` of an ARN, or the last `:` if there is no `/`.
///
/// For example, `arn:aws:iam::123456789012:root` gives `root`.
#[must_use]
pub fn user_name_from_arn(arn: &str) -> &str {
    let separator = if arn.contains('/') { '/' } else { ':' };
    match arn.rsplit_once(separator) {
        Some((_, name)) => name,
        None => arn,
    }
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

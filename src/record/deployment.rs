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

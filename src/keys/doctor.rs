//! The keys of the objects that `doctor` tries the bucket with.

use crate::keys::config::CONFIGS_PREFIX;
use crate::keys::customer::CustomerSegment;
use crate::keys::record::RECORDS_PREFIX;

/// Neither is parsed as a config or a record, and Athena does not read them.
const CANARY_NAME: &str = "_config-backup-doctor";

/// One key below each prefix that a deployment writes to.
#[must_use]
pub fn doctor_canary_keys(customer: Option<&str>) -> [String; 2] {
    let folder = match customer {
        Some(name) => format!("{}/", CustomerSegment::from_name(name)),
        None => String::new(),
    };
    [CONFIGS_PREFIX, RECORDS_PREFIX].map(|prefix| format!("{prefix}{folder}{CANARY_NAME}"))
}

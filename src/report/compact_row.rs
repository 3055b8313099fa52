//! Deployments in little memory: 72 bytes each, and every text once, because a report may have a
//! million of them.

use std::cmp::Ordering;

use chrono::{DateTime, Utc};

use crate::keys::RECORDS_PREFIX;
use crate::record::deployment::Deployment;
use crate::report::interner::{StringInterner, Symbol};

const KEY_PREFIX_BYTES: usize = 16;
const NANOS_PER_DAY: i64 = 86_400_000_000_000;

/// A deployment in 72 bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CompactRow {
    /// Nanoseconds since 1970.
    pub(crate) at_nanos: i64,
    /// Nanoseconds since 1970.
    pub(crate) modified_nanos: i64,
    /// The first bytes of the object's name, which nearly always differ within a customer.
    key_prefix16: [u8; KEY_PREFIX_BYTES],
    /// The rest of the key as `<segment>/<rest>`, which many records of a customer share.
    key_rest: Symbol,
    pub(crate) customer: Symbol,
    pub(crate) user: Symbol,
    pub(crate) project_name: Symbol,
    pub(crate) cluster_name: Symbol,
    pub(crate) details_index: u32,
    /// The number in the chain; 0 without one.
    chain_number: u64,
    pub(crate) additional_users_count: u64,
}

impl CompactRow {
    /// `user` is the name to show; the [`CompactDetails`] of the deployment are at `details_index`.
    pub(crate) fn new(
        deployment: &Deployment,
        user: &str,
        details_index: usize,
        strings: &mut StringInterner,
    ) -> Self {
        let (key_prefix16, key_rest) = split_key(&deployment.key);
        Self {
            at_nanos: epoch_nanos(deployment.deployed_at),
            modified_nanos: epoch_nanos(deployment.last_modified),
            key_prefix16,
            key_rest: strings.intern(&key_rest),
            customer: strings.intern(&deployment.customer),
            user: strings.intern(user),
            project_name: strings.intern(&deployment.record.project_name),
            cluster_name: strings.intern(&deployment.record.cluster_name),
            details_index: u32::try_from(details_index).unwrap_or(u32::MAX),
            chain_number: deployment
                .record
                .chain
                .as_ref()
                .map_or(0, |link| link.number),
            additional_users_count: deployment.record.additional_users_count,
        }
    }

    /// Days since 1970, UTC.
    pub(crate) fn epoch_day(self) -> i64 {
        self.at_nanos.div_euclid(NANOS_PER_DAY)
    }
}

/// What only a report of all deployments shows.
#[derive(Debug)]
pub(crate) struct CompactDetails {
    pub(crate) arn: Symbol,
    pub(crate) account: Symbol,
    pub(crate) config_hash: Symbol,
    pub(crate) backup: Symbol,
    pub(crate) deployment_id: Symbol,
    pub(crate) git_commit: Symbol,
    pub(crate) git_branch: Symbol,
    pub(crate) ci_provider: Symbol,
    pub(crate) ci_run_url: Symbol,
    pub(crate) is_late: bool,
    pub(crate) is_git_dirty: Option<bool>,
}

impl CompactDetails {
    pub(crate) fn new(deployment: &Deployment, strings: &mut StringInterner) -> Self {
        let record = &deployment.record;
        let (mut git_commit, mut git_branch, mut is_git_dirty) = ("", "", None);
        if let Some(git) = &record.git {
            git_commit = &git.commit;
            git_branch = &git.branch;
            is_git_dirty = Some(git.dirty);
        }
        let (mut ci_provider, mut ci_run_url) = ("", "");
        if let Some(ci) = &record.ci {
            ci_provider = &ci.provider;
            ci_run_url = &ci.run_url;
        }
        Self {
            arn: strings.intern(&record.user),
            account: strings.intern(&record.account),
            config_hash: strings.intern(&record.config_hash),
            backup: strings.intern(&record.backup),
            deployment_id: strings.intern(&record.deployment_id),
            git_commit: strings.intern(git_commit),
            git_branch: strings.intern(git_branch),
            ci_provider: strings.intern(ci_provider),
            ci_run_url: strings.intern(ci_run_url),
            is_late: record.is_late,
            is_git_dirty,
        }
    }
}

/// The later deployment is greater: by its time, then by its number in the chain, by when the object
/// was written, and by key.
pub(crate) fn compare_recency(
    strings: &StringInterner,
    a: &CompactRow,
    b: &CompactRow,
) -> Ordering {
    let order_of = |row: &CompactRow| (row.at_nanos, row.chain_number, row.modified_nanos);
    order_of(a)
        .cmp(&order_of(b))
        .then_with(|| compare_keys(strings, a, b))
}

fn compare_keys(strings: &StringInterner, a: &CompactRow, b: &CompactRow) -> Ordering {
    let key_of = |row: &CompactRow| {
        let key_rest = strings.resolve(row.key_rest);
        let (segment, rest) = key_rest.split_once('/').unwrap_or_default();
        (segment, row.key_prefix16, rest)
    };
    key_of(a).cmp(&key_of(b))
}

/// Splits `usage-logs/<segment>/<name>` into the first bytes of the name and `<segment>/<rest of
/// the name>`.
///
/// A shorter name is filled up with zeros, which sort before all other bytes.
pub(crate) fn split_key(key: &str) -> ([u8; KEY_PREFIX_BYTES], String) {
    let tail = key.strip_prefix(RECORDS_PREFIX);
    let (segment, name) = match tail.and_then(|tail| tail.split_once('/')) {
        Some((segment, name)) => (segment, name),
        None => ("", key),
    };

    let cut = name.floor_char_boundary(KEY_PREFIX_BYTES);
    let (beginning, rest) = name.split_at(cut);
    let mut key_prefix = [0; KEY_PREFIX_BYTES];
    key_prefix[..cut].copy_from_slice(beginning.as_bytes());
    (key_prefix, format!("{segment}/{rest}"))
}

fn epoch_nanos(at: DateTime<Utc>) -> i64 {
    // Every plausible year of a deployment fits.
    at.timestamp_nanos_opt().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_takes_72_bytes() {
        assert_eq!(size_of::<CompactRow>(), 72);
    }
}

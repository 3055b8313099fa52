//! Deployments in little memory: 64 bytes each and every text once, for there may be a million of them.
//!
//! Pure. What they mean is none of its business but for which of two was the later one.

use std::cmp::Ordering;

use chrono::{DateTime, Utc};

use crate::keys::RECORDS_PREFIX;
use crate::record::deployment::Deployment;
use crate::report::interner::{StringInterner, Symbol};

/// A deployment in 64 bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CompactRow {
    /// Nanoseconds since 1970.
    pub(crate) at_nanos: i64,
    /// Nanoseconds since 1970.
    pub(crate) modified_nanos: i64,
    /// The first 16 bytes of the object's name, which nearly always differ within a customer …
    key_prefix16: [u8; 16],
    /// … and what stands before and behind them, which nearly never does: `<segment>/<rest>`.
    key_rest: Symbol,
    pub(crate) customer: Symbol,
    pub(crate) user: Symbol,
    pub(crate) project_name: Symbol,
    pub(crate) cluster_name: Symbol,
    pub(crate) details_index: u32,
    pub(crate) additional_users_count: u64,
}

/// What only a list of all deployments shows.
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

impl CompactRow {
    /// Packs a deployment that is shown as one of `user`; `more` is the place of its [`Details`].
    pub(crate) fn new(
        deployment: &Deployment,
        user: &str,
        more: usize,
        names: &mut StringInterner,
    ) -> Self {
        let (key_head, frame) = split_key(&deployment.key);
        Self {
            at_nanos: epoch_nanos(deployment.deployed_at),
            modified_nanos: epoch_nanos(deployment.last_modified),
            key_prefix16: key_head,
            key_rest: names.intern(&frame),
            customer: names.intern(&deployment.customer),
            user: names.intern(user),
            project_name: names.intern(&deployment.record.project_name),
            cluster_name: names.intern(&deployment.record.cluster_name),
            details_index: u32::try_from(more).unwrap_or(u32::MAX),
            additional_users_count: deployment.record.additional_users_count,
        }
    }

    /// Days since 1970, UTC.
    pub(crate) fn epoch_day(self) -> i64 {
        self.at_nanos.div_euclid(86_400_000_000_000)
    }
}

impl CompactDetails {
    pub(crate) fn new(deployment: &Deployment, names: &mut StringInterner) -> Self {
        let record = &deployment.record;
        let (git, ci) = (record.git.as_ref(), record.ci.as_ref());
        Self {
            arn: names.intern(&record.user),
            account: names.intern(&record.account),
            config_hash: names.intern(&record.config_hash),
            backup: names.intern(&record.backup),
            deployment_id: names.intern(&record.deployment_id),
            git_commit: names.intern(git.map_or("", |git| &git.commit)),
            git_branch: names.intern(git.map_or("", |git| &git.branch)),
            ci_provider: names.intern(ci.map_or("", |ci| &ci.provider)),
            ci_run_url: names.intern(ci.map_or("", |ci| &ci.run_url)),
            is_late: record.is_late,
            is_git_dirty: git.map(|git| git.dirty),
        }
    }
}

/// Which of two deployments was the later one: by time, then by when it was written, then by key.
pub(crate) fn compare_recency(names: &StringInterner, a: &CompactRow, b: &CompactRow) -> Ordering {
    let frame = |row: &CompactRow| {
        names
            .resolve(row.key_rest)
            .split_once('/')
            .unwrap_or_default()
    };
    let key = |row| {
        let (segment, rest) = frame(row);
        (segment, row.key_prefix16, rest)
    };
    (a.at_nanos, a.modified_nanos)
        .cmp(&(b.at_nanos, b.modified_nanos))
        .then_with(|| key(a).cmp(&key(b)))
}

/// `usage-logs/<segment>/<name>` as the name's first 16 bytes and `<segment>/<rest of the name>`.
pub(crate) fn split_key(key: &str) -> ([u8; 16], String) {
    let (segment, name) = key
        .strip_prefix(RECORDS_PREFIX)
        .and_then(|tail| tail.split_once('/'))
        .unwrap_or(("", key));
    // Not within a character; what is shorter is filled up with zeros, which sort before everything.
    let cut = (0..=16.min(name.len()))
        .rev()
        .find(|at| name.is_char_boundary(*at))
        .unwrap_or_default();
    let mut head = [0; 16];
    head[..cut].copy_from_slice(&name.as_bytes()[..cut]);
    (head, format!("{segment}/{}", &name[cut..]))
}

fn epoch_nanos(at: DateTime<Utc>) -> i64 {
    // Of all years that a deployment can have been in, there are nanoseconds.
    at.timestamp_nanos_opt().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_takes_64_bytes() {
        assert_eq!(size_of::<CompactRow>(), 64);
    }
}

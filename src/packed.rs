//! Deployments in little memory: 64 bytes each and every text once, for there may be a million of them.
//!
//! Pure. What they mean is none of its business but for which of two was the later one.

use std::cmp::Ordering;

use chrono::{DateTime, Utc};

use crate::layout::LOGS;
use crate::logged::Deployment;
use crate::names::{Name, Names};

/// A deployment in 64 bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    /// Nanoseconds since 1970.
    pub(crate) at: i64,
    /// Nanoseconds since 1970.
    pub(crate) modified: i64,
    /// The first 16 bytes of the object's name, which nearly always differ within a customer …
    key_head: [u8; 16],
    /// … and what stands before and behind them, which nearly never does: `<segment>/<rest>`.
    key_frame: Name,
    pub(crate) customer: Name,
    pub(crate) user: Name,
    pub(crate) project_name: Name,
    pub(crate) cluster_name: Name,
    pub(crate) more: u32,
    pub(crate) additional_users_count: u64,
}

/// What only a list of all deployments shows.
#[derive(Debug)]
pub(crate) struct Details {
    pub(crate) arn: Name,
    pub(crate) account: Name,
    pub(crate) config_hash: Name,
    pub(crate) backup: Name,
    pub(crate) deployment_id: Name,
    pub(crate) commit: Name,
    pub(crate) branch: Name,
    pub(crate) provider: Name,
    pub(crate) run_url: Name,
    pub(crate) late: bool,
    pub(crate) dirty: Option<bool>,
}

impl Row {
    /// Packs a deployment that is shown as one of `user`; `more` is the place of its [`Details`].
    pub(crate) fn new(deployment: &Deployment, user: &str, more: usize, names: &mut Names) -> Self {
        let (key_head, frame) = split_key(&deployment.key);
        Self {
            at: nanoseconds(deployment.at),
            modified: nanoseconds(deployment.modified),
            key_head,
            key_frame: names.name(&frame),
            customer: names.name(&deployment.customer),
            user: names.name(user),
            project_name: names.name(&deployment.project_name),
            cluster_name: names.name(&deployment.cluster_name),
            more: u32::try_from(more).unwrap_or(u32::MAX),
            additional_users_count: deployment.additional_users_count,
        }
    }

    /// Days since 1970, UTC.
    pub(crate) fn day(self) -> i64 {
        self.at.div_euclid(86_400_000_000_000)
    }
}

impl Details {
    pub(crate) fn of(deployment: &Deployment, names: &mut Names) -> Self {
        let more = &deployment.more;
        let (git, ci) = (more.git.as_ref(), more.ci.as_ref());
        Self {
            arn: names.name(&deployment.user),
            account: names.name(&more.account),
            config_hash: names.name(&deployment.config_hash),
            backup: names.name(&more.backup),
            deployment_id: names.name(&more.deployment_id),
            commit: names.name(git.map_or("", |git| &git.commit)),
            branch: names.name(git.map_or("", |git| &git.branch)),
            provider: names.name(ci.map_or("", |ci| &ci.provider)),
            run_url: names.name(ci.map_or("", |ci| &ci.run_url)),
            late: more.late,
            dirty: git.map(|git| git.dirty),
        }
    }
}

/// Which of two deployments was the later one: by time, then by when it was written, then by key.
pub(crate) fn order(names: &Names, a: &Row, b: &Row) -> Ordering {
    let frame = |row: &Row| names.text(row.key_frame).split_once('/').unwrap_or_default();
    let key = |row| {
        let (segment, rest) = frame(row);
        (segment, row.key_head, rest)
    };
    (a.at, a.modified).cmp(&(b.at, b.modified)).then_with(|| key(a).cmp(&key(b)))
}

/// `usage-logs/<segment>/<name>` as the name's first 16 bytes and `<segment>/<rest of the name>`.
pub(crate) fn split_key(key: &str) -> ([u8; 16], String) {
    let (segment, name) = key.strip_prefix(LOGS).and_then(|tail| tail.split_once('/')).unwrap_or(("", key));
    // Not within a character; what is shorter is filled up with zeros, which sort before everything.
    let cut = (0..=16.min(name.len())).rev().find(|at| name.is_char_boundary(*at)).unwrap_or_default();
    let mut head = [0; 16];
    head[..cut].copy_from_slice(&name.as_bytes()[..cut]);
    (head, format!("{segment}/{}", &name[cut..]))
}

fn nanoseconds(at: DateTime<Utc>) -> i64 {
    // Of all years that a deployment can have been in, there are nanoseconds.
    at.timestamp_nanos_opt().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_takes_64_bytes() {
        assert_eq!(size_of::<Row>(), 64);
    }
}

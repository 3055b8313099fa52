//! What waits in the spool: the uploads of each target, and the newest deployment of each customer.
//!
//! Reads the headers of the items only. Must not touch the network.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use crate::record::format_rfc3339;
use crate::s3::store::BucketTarget;
use crate::state::dirs::StateDirs;
use crate::state::put_off::{self, PutOff};
use crate::state::spool::{Spool, SpoolReadError};
use crate::state::spool_file::{SpoolItem, SpoolItemKind};

/// An upload in the spool.
#[derive(Debug)]
pub(crate) struct QueuedUpload {
    pub path: PathBuf,
    pub item: SpoolItem,
}

/// The uploads with one target, in the order in which they are tried.
#[derive(Debug)]
pub(crate) struct TargetQueue {
    pub target: BucketTarget,
    pub uploads: Vec<QueuedUpload>,
}

/// All uploads in the spool.
#[derive(Debug, Default)]
pub(crate) struct SpoolQueue {
    uploads: Vec<QueuedUpload>,
    /// Files that are not readable items.
    pub unreadable: Vec<(PathBuf, SpoolReadError)>,
}

/// The newest deployment of each customer in each bucket, as far as the spool knows.
#[derive(Debug, Default)]
pub(crate) struct NewestDeployments(HashMap<BucketCustomer, DeploymentTime>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct BucketCustomer {
    bucket: String,
    customer: String,
}

/// Sorts by time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct DeploymentTime {
    began_at: QueueTime,
    deployment_id: String,
}

/// The time of an item to the second, as records have it, and its place within that second.
type QueueTime = (DateTime<Utc>, u64);

impl SpoolQueue {
    pub(crate) fn read(items: &[PathBuf]) -> Self {
        let mut queue = Self::default();
        for path in items {
            match Spool::read_header(path) {
                Ok(Some(item)) => queue.uploads.push(QueuedUpload {
                    path: path.clone(),
                    item,
                }),
                // It was uploaded since the spool was listed.
                Ok(None) => {}
                Err(error) => queue.unreadable.push((path.clone(), error)),
            }
        }
        queue
    }

    /// The number of files that do not belong to this deployment.
    pub(crate) fn count_other_uploads(&self, deployment_id: &str) -> usize {
        let is_other = |it: &&QueuedUpload| it.item.deployment_id != deployment_id;
        self.uploads.iter().filter(is_other).count() + self.unreadable.len()
    }

    pub(crate) fn find_newest_deployments(&self) -> NewestDeployments {
        let mut began_at: HashMap<&str, QueueTime> = HashMap::new();
        for QueuedUpload { item, .. } in &self.uploads {
            let queued = (item.at, item.queued_at);
            let time = began_at.entry(&item.deployment_id).or_insert(queued);
            *time = queued.min(*time);
        }
        let mut newest = NewestDeployments::default();
        for QueuedUpload { item, .. } in &self.uploads {
            let time = DeploymentTime {
                began_at: began_at[item.deployment_id.as_str()],
                deployment_id: item.deployment_id.clone(),
            };
            newest.add_time(BucketCustomer::of(item), time);
        }
        newest
    }

    /// The uploads of all other deployments by target. Within a target, what failed before comes
    /// last, records come before configs, and older ones before newer ones.
    pub(crate) fn into_target_queues(
        self,
        state_dirs: &StateDirs,
        running: Option<&SpoolItem>,
    ) -> Vec<TargetQueue> {
        let mut queues: Vec<TargetQueue> = Vec::new();
        for upload in self.uploads {
            if running.is_some_and(|it| it.deployment_id == upload.item.deployment_id) {
                continue;
            }
            let target = upload.item.target.clone();
            match queues.iter_mut().find(|queue| queue.target == target) {
                Some(queue) => queue.uploads.push(upload),
                None => queues.push(TargetQueue {
                    target,
                    uploads: vec![upload],
                }),
            }
        }
        for queue in &mut queues {
            queue.uploads.sort_by_cached_key(|upload| {
                let has_failed = upload.find_put_off(state_dirs).is_some();
                let is_config = upload.item.kind == SpoolItemKind::Config;
                (has_failed, is_config, upload.item.at, upload.item.queued_at)
            });
        }
        queues
    }
}

impl QueuedUpload {
    pub(crate) fn find_put_off(&self, state_dirs: &StateDirs) -> Option<PutOff> {
        put_off::read_put_off(state_dirs, &item_put_off_name(&self.path))
    }
}

impl TargetQueue {
    pub(crate) fn put_off_name(&self) -> String {
        target_put_off_name(&self.target)
    }

    /// The target, for a message.
    pub(crate) fn describe(&self) -> String {
        describe_target(&self.target)
    }
}

impl NewestDeployments {
    /// Adds the running deployment, which the spool does not have, or not any more.
    pub(crate) fn add(&mut self, item: &SpoolItem) {
        self.add_time(
            BucketCustomer::of(item),
            DeploymentTime {
                began_at: (item.at, u64::MAX),
                deployment_id: item.deployment_id.clone(),
            },
        );
    }

    fn add_time(&mut self, customer: BucketCustomer, time: DeploymentTime) {
        match self.0.get(&customer) {
            Some(known) if *known >= time => {}
            _ => {
                self.0.insert(customer, time);
            }
        }
    }

    /// Whether no later deployment of the item's customer is known.
    pub(crate) fn contains(&self, item: &SpoolItem) -> bool {
        match self.0.get(&BucketCustomer::of(item)) {
            Some(newest) => newest.deployment_id == item.deployment_id,
            None => true,
        }
    }
}

impl BucketCustomer {
    fn of(item: &SpoolItem) -> Self {
        Self {
            bucket: item.target.bucket.clone(),
            customer: item.customer.clone(),
        }
    }
}

/// Names an item among the uploads that are put off.
pub(crate) fn item_put_off_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    format!("item {}", name.to_string_lossy())
}

/// Names a target among the uploads that are put off.
pub(crate) fn target_put_off_name(target: &BucketTarget) -> String {
    let BucketTarget {
        bucket,
        region,
        profile,
        ..
    } = target;
    format!("target {bucket}\n{region}\n{profile}")
}

/// A target, for a message.
pub(crate) fn describe_target(target: &BucketTarget) -> String {
    let bucket = &target.bucket;
    match target.profile.as_str() {
        "" => format!("the bucket `{bucket}`"),
        profile => format!("the bucket `{bucket}` with the profile `{profile}`"),
    }
}

/// Uploads that are put off, for a message.
pub(crate) fn describe_waiting_uploads(
    target: &BucketTarget,
    count: usize,
    put_off: &PutOff,
) -> String {
    let (target, wait) = (describe_target(target), describe_wait(put_off));
    match count {
        1 => format!("1 upload for {target} waits until {wait}"),
        _ => format!("{count} uploads for {target} wait until {wait}"),
    }
}

/// How long something waits and why, for a message.
pub(crate) fn describe_wait(put_off: &PutOff) -> String {
    let until = format_rfc3339(put_off.next_try_at);
    let reason = &put_off.reason;
    format!("{until}, or for a replay: {reason}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload(
        kind: SpoolItemKind,
        profile: &str,
        deployment_id: &str,
        second: i64,
    ) -> QueuedUpload {
        let target = BucketTarget {
            bucket: "b".into(),
            region: "r".into(),
            profile: profile.into(),
            owner: String::new(),
            encryption: None,
        };
        let at = DateTime::from_timestamp(second, 0).expect("a time");
        QueuedUpload {
            path: PathBuf::from(format!("{deployment_id}.item")),
            item: SpoolItem::new(kind, target, "acme", deployment_id, at, b""),
        }
    }

    fn queue_of(uploads: Vec<QueuedUpload>) -> SpoolQueue {
        SpoolQueue {
            uploads,
            unreadable: Vec::new(),
        }
    }

    #[test]
    fn records_come_first_and_targets_are_apart() {
        use SpoolItemKind::{Config, Record};
        let dir = tempfile::tempdir().expect("a temporary directory");
        let state_dirs = StateDirs::from_private_dirs([dir.path().to_owned()]);
        let now = DateTime::from_timestamp(0, 0).expect("a time");
        put_off::put_off(&state_dirs, "item stuck.item", now, "no answer");
        let queue = queue_of(vec![
            upload(Record, "p", "stuck", 0),
            upload(Config, "p", "1", 1),
            upload(Record, "q", "2", 2),
            upload(Record, "p", "4", 4),
            upload(Record, "p", "3", 3),
            upload(Record, "p", "running", 9),
        ]);
        assert_eq!(queue.count_other_uploads("running"), 5);
        let running = upload(Record, "p", "running", 9).item;
        let queues = queue.into_target_queues(&state_dirs, Some(&running));
        let ids: Vec<Vec<&str>> = queues
            .iter()
            .map(|queue| {
                let ids = queue.uploads.iter();
                ids.map(|it| it.item.deployment_id.as_str()).collect()
            })
            .collect();
        assert_eq!(ids, [vec!["3", "4", "1", "stuck"], vec!["2"]]);
    }

    #[test]
    fn the_newest_deployment_is_found_across_targets_and_kinds() {
        use SpoolItemKind::{Config, Record};
        let queue = queue_of(vec![
            upload(Record, "p", "old", 5),
            upload(Config, "p", "old", 8),
            upload(Record, "q", "new", 6),
        ]);
        let newest = queue.find_newest_deployments();
        assert!(newest.contains(&queue.uploads[2].item));
        assert!(!newest.contains(&queue.uploads[1].item));
    }
}

//! What waits in the spool: the uploads of each target, and the newest deployment of each customer.
//!
//! Reads the headers of the items only, and each once. Must not touch the network.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use crate::error::Error;
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
    /// Its last failure, if there was one.
    pub put_off: Option<PutOff>,
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
    /// Items that are not readable.
    pub unreadable: Vec<(PathBuf, SpoolReadError)>,
    /// The paths of files that are not items.
    pub foreign: Vec<PathBuf>,
    /// Directories that cannot be read.
    pub errors: Vec<Error>,
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
    pub(crate) fn load(state_dirs: &StateDirs) -> Self {
        let contents = Spool::new(state_dirs).list();
        let mut queue = Self {
            foreign: contents.foreign,
            errors: contents.errors,
            ..Self::default()
        };
        for path in contents.items {
            match Spool::read_header(&path) {
                Ok(Some(item)) => queue.uploads.push(QueuedUpload {
                    put_off: put_off::read_put_off(state_dirs, &item_put_off_name(&path)),
                    path,
                    item,
                }),
                // It was uploaded since the spool was listed.
                Ok(None) => {}
                Err(error) => queue.unreadable.push((path, error)),
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
    pub(crate) fn into_target_queues(self, running: Option<&SpoolItem>) -> Vec<TargetQueue> {
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
            queue
                .uploads
                .sort_by_key(|QueuedUpload { item, put_off, .. }| {
                    let is_config = item.kind == SpoolItemKind::Config;
                    (put_off.is_some(), is_config, item.at, item.queued_at)
                });
        }
        queues
    }
}

impl QueuedUpload {
    pub(crate) fn put_off_name(&self) -> String {
        item_put_off_name(&self.path)
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
            put_off: None,
        }
    }

    fn queue_of(uploads: Vec<QueuedUpload>) -> SpoolQueue {
        SpoolQueue {
            uploads,
            ..SpoolQueue::default()
        }
    }

    #[test]
    fn records_come_first_and_targets_are_apart() {
        use SpoolItemKind::{Config, Record};
        let failed = QueuedUpload {
            put_off: Some(PutOff {
                next_try_at: DateTime::default(),
                failures: 1,
                reason: "no answer".to_owned(),
            }),
            ..upload(Record, "p", "stuck", 0)
        };
        let queue = queue_of(vec![
            failed,
            upload(Config, "p", "1", 1),
            upload(Record, "q", "2", 2),
            upload(Record, "p", "4", 4),
            upload(Record, "p", "3", 3),
            upload(Record, "p", "running", 9),
        ]);
        assert_eq!(queue.count_other_uploads("running"), 5);
        let running = upload(Record, "p", "running", 9).item;
        let queues = queue.into_target_queues(Some(&running));
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

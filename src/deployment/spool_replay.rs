//! Uploads what earlier deployments spooled: for `deploy` within its deadline, and for `replay`.
//!
//! Each target (bucket, region, profile) has a queue of its own, and the queues are sent at the same
//! time. So a target that is out of reach holds up its own uploads only. It is put off: the next
//! deployments leave it alone for a while.

use std::cell::RefCell;
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};

use crate::deployment::late_upload::{LateUploadResult, LateUploader};
use crate::deployment::spool_queue::{
    QueuedUpload, SpoolQueue, TargetQueue, describe_target, describe_wait,
    describe_waiting_uploads, target_put_off_name,
};
use crate::error::{CHECK_NETWORK_HINT, Error, ErrorKind};
use crate::output::sanitize::count_noun;
use crate::s3::store::{BucketTarget, ObjectEncryption, ObjectStore, RequestTimeouts};
use crate::state::dirs::StateDirs;
use crate::state::put_off::{PutOff, clear_put_off, put_last, put_off, read_put_off};
use crate::state::quarantine;
use crate::state::spool::SpoolReadError;
use crate::state::spool_file::SpoolItem;
use crate::system::clock::utc_now;

const STATUS_HINT: &str = "run `config-backup status`";
/// A target whose failure takes longer is put off.
const COSTLY_TIME: Duration = Duration::from_millis(400);
/// The number of targets that are sent to at the same time.
const CONCURRENT_TARGETS: usize = 16;

/// The result of a replay.
#[derive(Debug, Default)]
pub(crate) struct ReplayReport {
    /// The number of uploaded items.
    pub sent: usize,
    /// The number of items that are still in the spool.
    pub remaining: usize,
    /// The number of files that were moved into the quarantine.
    pub quarantined: usize,
    /// Why items remain, one phrase each. Only the first phrase of a target if the network fails.
    pub problems: Vec<String>,
    /// What the operator should know about uploaded items, one phrase each.
    pub notes: Vec<String>,
    /// The first error of AWS or of the network, for the exit code.
    pub first_error: Option<Error>,
}

/// A bucket that is open already.
#[derive(Clone, Copy)]
pub(crate) struct OpenBucket<'a> {
    pub store: &'a ObjectStore,
    pub target: &'a BucketTarget,
}

/// What a replay works with.
pub(crate) struct SpoolReplay<'a> {
    pub state_dirs: &'a StateDirs,
    pub open_bucket: Option<OpenBucket<'a>>,
    /// The record of the running deployment, whose items were tried just now. The replay skips them.
    pub running: Option<&'a SpoolItem>,
    /// Replaces the encryption of each item.
    pub encryption: Option<ObjectEncryption>,
    pub time_limit: Duration,
    /// How long one item may take, besides the transfer of its body.
    pub item_time_limit: Duration,
    /// Whether uploads that are put off are tried, too.
    pub ignores_put_off: bool,
}

impl ReplayReport {
    fn add_remaining(&mut self, problem: String) {
        self.problems.push(problem);
        self.remaining += 1;
    }

    fn quarantine_file(&mut self, path: &Path, reason: &str) {
        let source = path.display();
        match quarantine::quarantine_file(path) {
            Ok(target) => {
                let target = target.display();
                self.problems.push(format!(
                    "cannot upload `{source}`: {reason}; moved to `{target}`"
                ));
                self.quarantined += 1;
            }
            Err(error) => self.add_remaining(format!(
                "cannot upload `{source}`: {reason}; cannot move it into the quarantine: {error}"
            )),
        }
    }

    fn add_read_error(&mut self, path: &Path, error: SpoolReadError) {
        match error {
            SpoolReadError::Damaged(reason) => self.quarantine_file(path, &reason),
            SpoolReadError::Unreadable(error) => self.add_remaining(error.to_string()),
        }
    }

    fn merge(&mut self, other: Self) {
        self.sent += other.sent;
        self.remaining += other.remaining;
        self.quarantined += other.quarantined;
        self.problems.extend(other.problems);
        self.notes.extend(other.notes);
        if self.first_error.is_none() {
            self.first_error = other.first_error;
        }
    }

    /// One phrase for a deployment's answer. `None` if nothing remains.
    pub(crate) fn remaining_note(&self) -> Option<String> {
        let first = self.problems.first()?;
        let count = self.remaining + self.quarantined;
        Some(match count {
            0 | 1 => format!("1 upload of earlier deployments failed: {first}"),
            _ => format!("{count} uploads of earlier deployments failed: {first}; {STATUS_HINT}"),
        })
    }
}

/// The note about queued uploads of earlier deployments, for the case that the deadline leaves no
/// time for them.
pub(crate) fn queued_uploads_note(
    queue: &SpoolQueue,
    running_deployment_id: &str,
) -> Option<String> {
    let count = queue.count_other_uploads(running_deployment_id);
    if count == 0 {
        return None;
    }
    let uploads = count_noun(count, "upload");
    Some(format!(
        "{uploads} of earlier deployments still queued (deadline reached); {STATUS_HINT}"
    ))
}

impl SpoolReplay<'_> {
    /// Uploads the items of `queue`. Skips items that another process works on, and moves files that
    /// are not items into the quarantine.
    pub(crate) async fn run(&self, mut queue: SpoolQueue) -> ReplayReport {
        let deadline = Instant::now() + self.time_limit;
        let mut report = ReplayReport::default();
        for error in &queue.errors {
            report.add_remaining(error.to_string());
        }
        for path in &queue.foreign {
            report.quarantine_file(path, "not a spool file");
        }
        for (path, error) in std::mem::take(&mut queue.unreadable) {
            report.add_read_error(&path, error);
        }

        let mut newest = queue.find_newest_deployments();
        if let Some(running) = self.running {
            newest.add(running);
        }
        let uploader = LateUploader {
            state_dirs: self.state_dirs,
            newest: &newest,
        };
        let queues = queue.into_target_queues(self.running);
        let sent = queues.into_iter().map(|queue| {
            let sending = QueueSending {
                replay: self,
                uploader: &uploader,
                deadline,
                progress: RefCell::default(),
                queue,
            };
            sending.run()
        });
        let mut reports = stream::iter(sent).buffered(CONCURRENT_TARGETS);
        while let Some(of_queue) = reports.next().await {
            report.merge(of_queue);
        }
        report
    }

    /// The open bucket, if it is this target's bucket.
    fn find_open_store(&self, queued: &BucketTarget) -> Option<&ObjectStore> {
        let OpenBucket { store, target } = self.open_bucket?;
        // An item without a profile belongs to a config that named none. The credentials of the
        // running deployment may upload it.
        let has_no_profile = queued.profile.is_empty();
        let is_same_bucket = queued.bucket == target.bucket;
        // An item without an encryption of its own gets that of the running deployment.
        let encryption = queued.encryption.as_ref();
        let has_other_encryption = encryption.is_some() && encryption != target.encryption.as_ref();
        let is_same_target = BucketTarget {
            encryption: target.encryption.clone(),
            ..queued.clone()
        } == *target;
        if has_other_encryption {
            None
        } else if is_same_target || (is_same_bucket && has_no_profile) {
            Some(store)
        } else {
            None
        }
    }
}

/// The uploads of one target on their way.
struct QueueSending<'a> {
    replay: &'a SpoolReplay<'a>,
    uploader: &'a LateUploader<'a>,
    deadline: Instant,
    queue: TargetQueue,
    progress: RefCell<QueueProgress>,
}

#[derive(Default)]
struct QueueProgress {
    report: ReplayReport,
    /// The number of uploads that were tried to the end.
    visited: usize,
}

impl QueueSending<'_> {
    async fn run(self) -> ReplayReport {
        let put_off_name = target_put_off_name(&self.queue.target);
        let open_store = self.replay.find_open_store(&self.queue.target);
        if open_store.is_none()
            && let Some(put_off) = read_put_off(self.state_dirs(), &put_off_name)
            && self.must_wait(&put_off)
        {
            return self.report_put_off(&put_off);
        }

        let began = Instant::now();
        let time_left = self.deadline.saturating_duration_since(began);
        let sending = Box::pin(self.send(open_store));
        let result = tokio::time::timeout(time_left, sending).await;
        let has_sent = self.progress.borrow().report.sent > 0;
        let error = match result {
            Ok(Ok(())) => {
                clear_put_off(self.state_dirs(), &put_off_name);
                return self.progress.into_inner().report;
            }
            Ok(Err(error)) => error,
            Err(_) => time_over_error(self.replay.time_limit, has_sent),
        };
        if let Some(stuck) = self.add_stop(&error) {
            put_last(self.state_dirs(), &stuck, utc_now(), &error.message);
        }
        // A target that took something is not stuck, and one that fails at once costs no time.
        if !has_sent && began.elapsed() >= COSTLY_TIME {
            put_off(self.state_dirs(), &put_off_name, utc_now(), &error.message);
        }
        self.progress.into_inner().report
    }

    /// Sends the uploads one after another.
    ///
    /// # Errors
    /// The target is out of reach, so none of the others would succeed.
    async fn send(&self, open_store: Option<&ObjectStore>) -> Result<(), Error> {
        let opened;
        let store = if let Some(store) = open_store {
            store
        } else {
            opened = self.open_store().await?;
            &opened
        };
        for upload in &self.queue.uploads {
            if let Some(put_off) = &upload.put_off
                && self.must_wait(put_off)
            {
                let path = upload.path.display();
                let wait = describe_wait(put_off);
                let problem = format!("`{path}` waits until {wait}");
                self.progress.borrow_mut().report.add_remaining(problem);
            } else {
                self.send_item(store, upload).await?;
            }
            self.progress.borrow_mut().visited += 1;
        }
        Ok(())
    }

    async fn send_item(&self, store: &ObjectStore, upload: &QueuedUpload) -> Result<(), Error> {
        let timeouts = RequestTimeouts::for_body(body_bytes(&upload.path), Duration::MAX);
        let time_limit = self.replay.item_time_limit.saturating_add(timeouts.attempt);
        let uploading = Box::pin(self.uploader.upload(store, &upload.path));
        let result = match tokio::time::timeout(time_limit, uploading).await {
            Ok(result) => result,
            Err(_) => LateUploadResult::Failed(no_answer_error(time_limit)),
        };
        let mut progress = self.progress.borrow_mut();
        let report = &mut progress.report;
        let error = match result {
            LateUploadResult::Sent(note) => {
                report.sent += 1;
                report.notes.extend(note);
                if upload.put_off.is_some() {
                    clear_put_off(self.state_dirs(), &upload.put_off_name());
                }
                return Ok(());
            }
            LateUploadResult::Skipped => return Ok(()),
            LateUploadResult::Unreadable(error) => {
                report.add_read_error(&upload.path, error);
                return Ok(());
            }
            LateUploadResult::Failed(error) => error,
        };
        if stops_target(&error) {
            return Err(error);
        }
        report.add_remaining(format!(
            "cannot upload `{}`: {error}",
            upload.path.display()
        ));
        report.first_error.get_or_insert_with(|| error.clone());
        let name = upload.put_off_name();
        put_last(self.state_dirs(), &name, utc_now(), &error.message);
        Ok(())
    }

    async fn open_store(&self) -> Result<ObjectStore, Error> {
        let uploads = &self.queue.uploads;
        let largest = uploads.iter().map(|it| body_bytes(&it.path)).max();
        let time_left = self.deadline.saturating_duration_since(Instant::now());
        let time_limit = time_left.min(self.replay.item_time_limit);
        let timeouts = RequestTimeouts::for_body(largest.unwrap_or_default(), time_limit);
        let mut target = self.queue.target.clone();
        if let Some(encryption) = &self.replay.encryption {
            target.encryption = Some(encryption.clone());
        }
        ObjectStore::open(&target, timeouts).await
    }

    /// Reports why the target's queue was left. Returns by which name its last upload is put off.
    fn add_stop(&self, error: &Error) -> Option<String> {
        let mut progress = self.progress.borrow_mut();
        let stuck = self.queue.uploads.get(progress.visited)?;
        let waiting = self.queue.uploads.len() - progress.visited - 1;
        let path = stuck.path.display();
        let report = &mut progress.report;
        report.add_remaining(format!("cannot upload `{path}`: {error}"));
        report.remaining += waiting;
        if waiting > 0 {
            let more = count_noun(waiting, "more upload");
            let waits = if waiting == 1 { "waits" } else { "wait" };
            report.problems.push(format!(
                "{more} for {} {waits}",
                describe_target(&self.queue.target)
            ));
        }
        report.first_error.get_or_insert_with(|| error.clone());
        Some(stuck.put_off_name())
    }

    fn report_put_off(&self, put_off: &PutOff) -> ReplayReport {
        let count = self.queue.uploads.len();
        let target = &self.queue.target;
        ReplayReport {
            remaining: count,
            problems: vec![describe_waiting_uploads(target, count, put_off)],
            ..ReplayReport::default()
        }
    }

    fn must_wait(&self, put_off: &PutOff) -> bool {
        !self.replay.ignores_put_off && put_off.is_waiting(utc_now())
    }

    fn state_dirs(&self) -> &StateDirs {
        self.replay.state_dirs
    }
}

/// Whether an error is one of the whole target and not of one upload.
fn stops_target(error: &Error) -> bool {
    matches!(
        error.kind,
        ErrorKind::Network | ErrorKind::Timeout | ErrorKind::Credentials | ErrorKind::Bucket
    )
}

fn time_over_error(time_limit: Duration, has_sent: bool) -> Error {
    if !has_sent {
        return no_answer_error(time_limit);
    }
    let seconds = time_limit.as_secs_f32();
    let message = format!("the {seconds:.1} s for late uploads are over");
    Error::new(ErrorKind::Timeout, message, "")
}

fn no_answer_error(time_limit: Duration) -> Error {
    let seconds = time_limit.as_secs_f32();
    let message = format!("no answer within {seconds:.1} s");
    Error::new(ErrorKind::Timeout, message, CHECK_NETWORK_HINT)
}

/// The size of a spool file; 0 if it is gone.
fn body_bytes(path: &Path) -> usize {
    let size = path.metadata().map(|metadata| metadata.len());
    usize::try_from(size.unwrap_or_default()).unwrap_or(usize::MAX)
}

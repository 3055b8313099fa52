//! Carries a deployment out: spools the config and the record, uploads both, then uploads what
//! earlier deployments spooled.
//!
//! All of this runs in a thread of its own. The caller keeps the deadline and answers with the last
//! outcome that the thread reported.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::config::file::{self, ConfigFile};
use crate::deployment::answer::DeployAnswer;
use crate::deployment::caller;
use crate::deployment::claim::{AnswerFile, DeploymentClaim};
use crate::deployment::config_upload::{
    ConfigUpload, PendingConfig, finish_config_upload, start_config_upload,
};
use crate::deployment::deadline_budget::DeadlineBudget;
use crate::deployment::expiry::EXPIRY_RULES;
use crate::deployment::outcome::{ConfigOutcome, DeploymentOutcome, RecordOutcome, UploadFailure};
use crate::deployment::protocol::ModuleQuery;
use crate::deployment::record_upload::{
    PendingRecord, add_caller, add_config_outcome, add_git_and_tools, claim_chain, draft_record,
    find_git_and_tools, upload_record,
};
use crate::deployment::running::{OutcomeSink, RunningDeployment};
use crate::deployment::spool_queue::SpoolQueue;
use crate::deployment::spool_replay::{OpenBucket, SpoolReplay, queued_uploads_note};
use crate::deployment::subject::{self, DeploymentSubject};
use crate::deployment::tool_versions;
use crate::deployment::upload::config::UploadMode;
use crate::digest::short_digest;
use crate::error::{Error, ErrorKind};
use crate::record::UsageRecord;
use crate::s3::store::{BucketTarget, CallerIdentity, ObjectStore};
use crate::state::cleanup::remove_expired_files;
use crate::state::dirs::StateDirs;
use crate::state::notice::is_first_notice;
use crate::state::spool::SpoolEntry;
use crate::state::spool_file::{SpoolItem, SpoolItemKind};
use crate::system::clock::{system_time, utc_now};
use crate::system::deadline::{self, CancelHandle, StopReason, WorkState};
use crate::system::panics;
use crate::system::random::unique_id;
use crate::system::runtime::block_on;
use crate::system::signals;

/// How much of a deployment late uploads may take.
const MAX_LATE_TIME: Duration = Duration::from_secs(2);
/// How long reading or writing the answer file may take.
const ANSWER_FILE_TIMEOUT: Duration = Duration::from_millis(300);

/// The state that the working thread reports to the thread that keeps the deadline.
#[derive(Clone)]
struct DeployProgress {
    /// Where to write the answer, once the deployment is claimed.
    answer_file: Option<AnswerFile>,
    /// The answer of an earlier process of this deployment.
    previous_answer: Option<DeployAnswer>,
    outcome: DeploymentOutcome,
}

impl WorkState for DeployProgress {
    fn is_interruptible(&self) -> bool {
        self.previous_answer.is_some() || self.outcome.is_spooled
    }
}

impl DeployProgress {
    /// The worst case, for a thread that reports nothing before the deadline.
    fn initial() -> Self {
        let spool_error = Error::new(ErrorKind::Local, "the deadline passed first", "");
        let record = RecordOutcome::NotLogged {
            is_spooled: false,
            caller_arn: None,
            failure: UploadFailure::pending(Some(&spool_error)),
        };
        Self {
            answer_file: None,
            previous_answer: None,
            outcome: DeploymentOutcome {
                record: Some(record),
                ..DeploymentOutcome::default()
            },
        }
    }
}

/// Carries the deployment out within its deadline.
pub(crate) fn run_deployment(query: ModuleQuery, started: Instant) -> DeployAnswer {
    let budget = DeadlineBudget::start(&query, started);
    let bucket = query.bucket.clone();
    let progress = DeployProgress::initial();
    let listen = |handle: CancelHandle| signals::on_interrupt(move || handle.cancel());
    let work = {
        let progress = progress.clone();
        move |report: &mut dyn FnMut(DeployProgress)| {
            claim_and_deploy(query, budget, progress, report);
        }
    };
    let latest = deadline::run_with_deadline(budget.time_limit(), progress, listen, work);

    let progress = latest.state;
    if let Some(answer) = progress.previous_answer {
        return answer;
    }
    let mut outcome = progress.outcome;
    match latest.stop_reason {
        StopReason::Finished => {}
        StopReason::TimedOut => outcome.resolve_pending(&budget.timeout_error()),
        StopReason::Interrupted => {
            let message = "interrupted before AWS answered";
            outcome.resolve_pending(&Error::new(ErrorKind::Timeout, message, ""));
        }
        StopReason::Panicked => outcome.resolve_pending(&panics::last_panic_error()),
    }
    let answer = DeployAnswer::from_outcome(&outcome, &bucket);
    if let Some(answer_file) = progress.answer_file {
        let answer = answer.clone();
        let write = move || answer_file.write_answer(answer);
        let _ = deadline::run_with_timeout(ANSWER_FILE_TIMEOUT, write);
    }
    answer
}

/// The answer of the last deployment, so that a run of Terraform that applies nothing changes no
/// output.
pub(crate) fn repeat_last_answer(query: &ModuleQuery) -> DeployAnswer {
    let Some(deployment_id) = query.deployment_id.clone() else {
        return DeployAnswer::without_deployment();
    };
    let find = move || DeploymentClaim::find_good_answer(&StateDirs::detect(), &deployment_id);
    match deadline::run_with_timeout(ANSWER_FILE_TIMEOUT, find) {
        Some(Some(answer)) => answer,
        _ => DeployAnswer::without_deployment(),
    }
}

fn claim_and_deploy(
    query: ModuleQuery,
    budget: DeadlineBudget,
    mut progress: DeployProgress,
    report: &mut dyn FnMut(DeployProgress),
) {
    let state_dirs = StateDirs::detect();
    let now = utc_now();
    let deployment_id = match &query.deployment_id {
        Some(deployment_id) => deployment_id.clone(),
        None => unique_id(now),
    };
    // One run of Terragrunt is one deployment of this folder, even if it runs the unit twice.
    let scope = match tool_versions::find_terragrunt_run() {
        Some(process) => format!("{process}\n{}", query.config_file_path),
        None => deployment_id.clone(),
    };
    let claim = DeploymentClaim::acquire(&state_dirs, &scope, &deployment_id, now);
    progress.previous_answer = claim.previous_answer();
    progress.answer_file = claim.answer_file();
    report(progress.clone());
    if progress.previous_answer.is_some() {
        return;
    }

    let deployment = RunningDeployment::new(query, claim, state_dirs, budget);
    spool_and_upload(deployment, &mut |outcome| {
        progress.outcome = outcome;
        report(progress.clone());
    });
}

fn spool_and_upload(mut deployment: RunningDeployment, report: OutcomeSink<'_>) {
    let spooled = spool_everything(&mut deployment, report);
    // Without a runtime nothing is uploaded, and everything is still spooled.
    if let Err(error) = block_on(upload_everything(&mut deployment, spooled, report)) {
        deployment.outcome.resolve_pending(&error);
    }
    let repairs = deployment.state_dirs().take_repair_notes();
    deployment.outcome.notes.extend(repairs);
    deployment.checkpoint(report);
    remove_expired_files(deployment.state_dirs(), &EXPIRY_RULES, system_time());
}

/// What is spooled before the first request.
struct SpooledDeployment {
    config: Result<ConfigFile, Error>,
    subject: DeploymentSubject,
    target: BucketTarget,
    record: UsageRecord,
    record_item: SpoolItem,
    spooled_record: Result<SpoolEntry, Error>,
    /// `None` if the config cannot be read or the plan found it in the bucket.
    pending_config: Option<PendingConfig>,
}

/// Spools a draft of the record first, then the config: a deployment that is killed in between is
/// at least logged.
fn spool_everything(
    deployment: &mut RunningDeployment,
    report: OutcomeSink<'_>,
) -> SpooledDeployment {
    let config = file::read_config_file(Path::new(&deployment.query.config_file_path));
    let subject = subject::resolve_subject(&deployment.query, config.as_ref().ok());
    let target = deployment.query.bucket_target(&subject.profile);
    deployment.outcome.notes = collect_notes(&deployment.query, &config, &subject);
    if let Err(error) = &config {
        deployment.outcome.config = Some(ConfigOutcome::Unreadable(error.clone()));
    }

    let mut record = draft_record(deployment, &config, &subject);
    let line = record.to_line();
    let mut record_item = SpoolItem::new(
        SpoolItemKind::Record,
        target.clone(),
        &subject.customer,
        deployment.deployment_id(),
        deployment.claim.started_at(),
        &line,
    );
    record_item.caller =
        caller::initial_evidence(&deployment.query, &target, deployment.state_dirs());
    let mut spooled_record = deployment.enqueue(record_item.clone(), line);
    deployment.outcome.record = Some(RecordOutcome::NotLogged {
        is_spooled: spooled_record.is_ok(),
        caller_arn: None,
        failure: UploadFailure::pending(spooled_record.as_ref().err()),
    });
    deployment.checkpoint(report);

    let pending_config = match &config {
        Ok(config) => spool_config(deployment, config, &subject, &target),
        Err(_) => None,
    };
    if let Some(pending) = &pending_config {
        let outcome = pending.pending_outcome();
        add_config_outcome(&mut record, &outcome);
        deployment.outcome.config = Some(outcome);
        if let Ok(entry) = &mut spooled_record {
            // If this fails, the draft stays, which is only less exact.
            let _ = entry.replace_body(record.to_line());
        }
    }
    let repairs = deployment.state_dirs().take_repair_notes();
    deployment.outcome.notes.extend(repairs);
    deployment.outcome.is_spooled = true;
    deployment.checkpoint(report);
    SpooledDeployment {
        config,
        subject,
        target,
        record,
        record_item,
        spooled_record,
        pending_config,
    }
}

fn spool_config(
    deployment: &RunningDeployment,
    config: &ConfigFile,
    subject: &DeploymentSubject,
    target: &BucketTarget,
) -> Option<PendingConfig> {
    if deployment.stored_key_at_plan(config).is_some() {
        return None;
    }
    let mode = if deployment.was_just_missing_at_plan(config) {
        UploadMode::DeployFreshPlan
    } else {
        UploadMode::Deploy
    };
    let (item, spooled) = deployment.enqueue_config(config, subject, target);
    Some(PendingConfig {
        item,
        spooled,
        mode,
    })
}

async fn upload_everything(
    deployment: &mut RunningDeployment,
    spooled: SpooledDeployment,
    report: OutcomeSink<'_>,
) {
    let SpooledDeployment {
        config,
        subject,
        target,
        mut record,
        record_item,
        mut spooled_record,
        pending_config,
    } = spooled;
    let store = open_store(deployment, &target, &config).await;
    let store = store.as_ref();
    if let (Ok(store), Ok(entry)) = (store, &mut spooled_record) {
        caller::note_access_key(store, entry, &record);
    }
    let config_upload = start_config_upload(
        deployment,
        store,
        &target,
        &config,
        &subject,
        pending_config,
    );
    let (identity, mut upload, git_and_tools, chain) = futures_util::join!(
        find_caller(deployment, store, &target),
        config_upload,
        find_git_and_tools(deployment),
        claim_chain(deployment, store, &record_item, spooled_record.is_ok()),
    );
    explain_credentials_error(&mut upload, identity.as_ref().err());
    deployment.outcome.notes.extend(upload.note());
    add_config_outcome(&mut record, &upload.outcome());
    add_git_and_tools(&mut record, git_and_tools);
    let identity_error = add_caller(&mut record, identity).err();

    // The record names the copy, which is in the bucket. So neither the record nor `config.yaml`
    // has to wait for the other.
    let pending_record = PendingRecord {
        item: &record_item,
        record: &record,
        spooled: spooled_record,
        identity_error,
    };
    let ((record_outcome, note), config_outcome) = futures_util::join!(
        upload_record(deployment, chain, pending_record),
        finish_config_upload(deployment, store, &config, upload),
    );
    deployment.outcome.config = Some(config_outcome);
    deployment.outcome.record = Some(record_outcome);
    deployment.outcome.notes.extend(note);
    deployment.checkpoint(report);
    if let Ok(store) = store {
        finish_with_bucket(deployment, store, &target, &record_item, report).await;
    }
}

/// Adds what is unusual about the bucket, and uploads what earlier deployments spooled.
async fn finish_with_bucket(
    deployment: &mut RunningDeployment,
    store: &ObjectStore,
    target: &BucketTarget,
    running: &SpoolItem,
    report: OutcomeSink<'_>,
) {
    let notes = collect_store_notes(store, deployment.state_dirs());
    deployment.outcome.notes.extend(notes);
    deployment.checkpoint(report);
    let bucket = OpenBucket { store, target };
    replay_earlier_deployments(deployment, bucket, running, report).await;
}

/// What is unusual about the AWS files and the server.
fn collect_store_notes(store: &ObjectStore, state_dirs: &StateDirs) -> Vec<String> {
    let mut notes = store.aws_file_notes();
    notes.extend(conditional_writes_note(store, state_dirs));
    notes.extend(demanded_encryption_note(store, state_dirs));
    notes
}

/// Says once on each machine what a server without conditional writes means.
fn conditional_writes_note(store: &ObjectStore, state_dirs: &StateDirs) -> Option<String> {
    if !store.lacks_conditional_writes() {
        return None;
    }
    is_first_bucket_notice(store, state_dirs, "conditional-writes").then(|| {
        "the server has no conditional writes, so two deployments in the same second can \
         replace each other's records; this is said only once"
            .to_owned()
    })
}

/// Says once on each machine which setting saves the requests that the bucket's policy refuses.
fn demanded_encryption_note(store: &ObjectStore, state_dirs: &StateDirs) -> Option<String> {
    let encryption = store.demanded_encryption()?;
    is_first_bucket_notice(store, state_dirs, "encryption").then(|| {
        format!(
            "the bucket's policy refuses uploads without encryption: \
             set CONFIG_BACKUP_BUCKET_ENCRYPTION={encryption}, which saves requests; \
             this is said only once"
        )
    })
}

fn is_first_bucket_notice(store: &ObjectStore, state_dirs: &StateDirs, topic: &str) -> bool {
    let bucket = short_digest(store.bucket_identity().as_bytes());
    is_first_notice(state_dirs, &format!("{topic}.{bucket}"))
}

async fn open_store(
    deployment: &RunningDeployment,
    target: &BucketTarget,
    config: &Result<ConfigFile, Error>,
) -> Result<ObjectStore, Error> {
    let config_bytes = match config {
        Ok(config) => config.bytes.len(),
        Err(_) => 0,
    };
    deployment.open_store(target, config_bytes).await
}

/// Asks again who deploys, because another person may apply a saved plan.
async fn find_caller(
    deployment: &RunningDeployment,
    store: Result<&ObjectStore, &Error>,
    target: &BucketTarget,
) -> Result<CallerIdentity, Error> {
    let store = store.map_err(Clone::clone)?;
    let answer = deployment
        .within_deadline(store.get_caller_identity())
        .await;
    caller::resolve_caller(deployment, store, target, answer)
}

/// Takes the reason of a credentials error from STS. The HEAD of S3 has no body, so there bad
/// credentials look like a missing permission.
fn explain_credentials_error(upload: &mut ConfigUpload, identity_error: Option<&Error>) {
    if let Some(error) = identity_error
        && error.kind == ErrorKind::Credentials
    {
        upload.replace_cause(error);
    }
}

/// Uploads what earlier deployments spooled, in the time that is left.
async fn replay_earlier_deployments(
    deployment: &mut RunningDeployment,
    bucket: OpenBucket<'_>,
    running: &SpoolItem,
    report: OutcomeSink<'_>,
) {
    if deployment.outcome.has_network_error() {
        return;
    }
    // Reports the worst case first, in case the deadline interrupts the replay.
    let notes = deployment.outcome.notes.clone();
    let queue = SpoolQueue::load(deployment.state_dirs());
    if let Some(note) = queued_uploads_note(&queue, deployment.deployment_id()) {
        deployment.outcome.notes.push(note);
        deployment.checkpoint(report);
    }
    let replay = SpoolReplay {
        state_dirs: deployment.state_dirs(),
        open_bucket: Some(bucket),
        running: Some(running),
        encryption: None,
        time_limit: deployment.network_time_left().min(MAX_LATE_TIME),
        item_time_limit: MAX_LATE_TIME,
        ignores_put_off: false,
    };
    let run = Box::pin(replay.run(queue));
    let result = deployment.within_deadline(async { Ok(run.await) }).await;
    if let Ok(replay_report) = result {
        deployment.outcome.notes = notes;
        deployment
            .outcome
            .notes
            .extend(replay_report.remaining_note());
        deployment.outcome.notes.extend(replay_report.notes);
    }
}

/// What the operator should know although it stops nothing.
fn collect_notes(
    query: &ModuleQuery,
    config: &Result<ConfigFile, Error>,
    subject: &DeploymentSubject,
) -> Vec<String> {
    let mut notes = query.problems.clone();
    for problem in &subject.problems {
        notes.push(format!("config.yaml: {problem}"));
    }
    if let Ok(config) = config
        && let Some(hash_at_plan) = &query.config_hash
        && *hash_at_plan != config.digests.md5
    {
        let note = "config.yaml changed between plan and apply; \
                    the content at apply is backed up and logged";
        notes.push(note.to_owned());
    }
    let helper_version = env!("CARGO_PKG_VERSION");
    if let Some(unit_version) = &query.unit_version
        && unit_version != helper_version
    {
        notes.push(format!(
            "the files of the unit are of version {unit_version} and the helper is \
             {helper_version}; run `config-backup init` in the customer folder"
        ));
    }
    notes
}

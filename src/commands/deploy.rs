//! `deploy`: uploads the config where the bucket has another one, writes the usage record, sends what earlier deployments
//! spooled, and answers with the result.
//!
//! Always exits 0. Asks again who deploys, because a saved plan may be applied by another person. `fallback` does the same
//! where Terraform could not run in the unit.

use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::config::file::{self, ConfigFile};
use crate::deployment::answer::AnswerStatus;
use crate::deployment::answer::DeployAnswer;
use crate::deployment::config_upload::{PendingConfig, finish_config_upload, start_config_upload};
use crate::deployment::deployment_claim::{AnswerFile, DeploymentClaim};
use crate::deployment::expiry::EXPIRY_RULES;
use crate::deployment::outcome::{ConfigOutcome, DeploymentOutcome, RecordOutcome, UploadFailure};
use crate::deployment::protocol::{self, ModuleQuery};
use crate::deployment::record_upload::{
    claim_chain, complete_record, draft_record, find_git_and_tools, upload_record,
};
use crate::deployment::running::{DeadlineBudget, RunningDeployment};
use crate::deployment::spool_replay;
use crate::deployment::subject;
use crate::deployment::subject::DeploymentSubject;
use crate::deployment::tool_versions;
use crate::deployment::upload::UploadMode;
use crate::error::{Error, ErrorKind};
use crate::record::UsageRecord;
use crate::s3::store::{BucketTarget, ObjectStore};
use crate::state::cleanup::remove_expired_files;
use crate::state::dirs::StateDirs;
use crate::state::spool::SpoolEntry;
use crate::state::spool_file::{SpoolItem, SpoolItemKind};
use crate::system::deadline::{self, CancelHandle, StopReason, WorkState};
use crate::system::host;
use crate::system::panics;
use crate::system::runtime::block_on;
use crate::system::signals;

/// How long noting the answer may take.
const ANSWER_FILE_TIMEOUT: Duration = Duration::from_millis(300);

/// Answers the query of `data.external.deploy`.
///
/// # Errors
/// The answer cannot be written. Everything else is part of the answer.
pub fn run_deploy(input: impl Read, output: impl Write) -> Result<()> {
    let answer = match ModuleQuery::read(input) {
        Err(error) => DeployAnswer::from_error(format!("the deployment is not logged: {error:#}")),
        Ok(query) if !query.is_deployment() => answer_without_deployment(&query),
        Ok(query) => run_deployment(query),
    };
    protocol::write_answer(output, &answer)
}

/// The answer to a run that only refreshes the state: that of the last deployment, so that no output changes, or none.
fn answer_without_deployment(query: &ModuleQuery) -> DeployAnswer {
    let id = query.deployment_id.clone();
    let last = deadline::run_with_timeout(ANSWER_FILE_TIMEOUT, move || {
        DeploymentClaim::find_good_answer(&StateDirs::detect(), &id)
    })
    .flatten();
    last.unwrap_or_else(|| {
        let message =
            "no deployment: this run of Terraform applies nothing, so nothing is uploaded";
        DeployAnswer {
            status: AnswerStatus::Ok,
            ..DeployAnswer::from_error(message.to_owned())
        }
    })
}

/// Does what `deploy` does where Terraform has failed in the unit, for the `error_hook` of Terragrunt. Reads the settings that
/// `terragrunt.hcl` generates for the module, and prints one line.
///
/// # Errors
/// The line cannot be written.
pub fn run_fallback(input: impl Read, mut output: impl Write) -> Result<()> {
    let answer = match ModuleQuery::read_settings(input) {
        Err(error) => DeployAnswer::from_error(format!("the deployment is not logged: {error:#}")),
        Ok(query) => run_deployment(query),
    };
    let head = if answer.status == AnswerStatus::Ok {
        ""
    } else {
        "WARNING: "
    };
    writeln!(output, "config-backup: {head}{}", answer.message).context("write to stdout")
}

/// What the working thread reports to the one that keeps the deadline.
#[derive(Clone)]
struct DeployProgress {
    /// Where to note the answer, once the deployment is claimed.
    answer_file: Option<AnswerFile>,
    /// The answer of an earlier process of this deployment.
    earlier_answer: Option<DeployAnswer>,
    outcome: DeploymentOutcome,
}

impl WorkState for DeployProgress {
    fn is_interruptible(&self) -> bool {
        self.earlier_answer.is_some() || self.outcome.is_spooled
    }
}

/// Carries the deployment out on a thread of its own, within the deadline, and answers with what was reached by then.
fn run_deployment(query: ModuleQuery) -> DeployAnswer {
    let budget = DeadlineBudget::start(&query);
    let bucket = query.bucket.clone();
    let not_spooled = Err(Error::new(ErrorKind::Local, "there was no time for it", ""));
    let pessimist = RecordOutcome::unsent(&not_spooled, UploadFailure::pending(&not_spooled));
    let outcome = DeploymentOutcome {
        record: Some(pessimist),
        ..DeploymentOutcome::default()
    };
    let start = DeployProgress {
        answer_file: None,
        earlier_answer: None,
        outcome,
    };
    let listen = |hurry: CancelHandle| signals::on_interrupt(move || hurry.cancel());
    let work = {
        let start = start.clone();
        move |report: &mut dyn FnMut(DeployProgress)| claim_and_deploy(query, budget, start, report)
    };
    let latest = deadline::run_with_deadline(budget.time_limit(), start, listen, work);
    let DeployProgress {
        answer_file,
        earlier_answer,
        mut outcome,
    } = latest.state;
    if let Some(answer) = earlier_answer {
        return answer;
    }
    match latest.stop_reason {
        StopReason::Finished => {}
        StopReason::TimedOut => outcome.resolve_pending(&budget.timeout_error()),
        StopReason::Interrupted => outcome.resolve_pending(&Error::new(
            ErrorKind::Timeout,
            "interrupted before AWS had answered",
            "",
        )),
        StopReason::Panicked => outcome.resolve_pending(&panics::last_panic_error()),
    }
    let answer = DeployAnswer::from_outcome(outcome, &bucket);
    if let Some(answer_file) = answer_file {
        let noted = answer.clone();
        let _ = deadline::run_with_timeout(ANSWER_FILE_TIMEOUT, move || {
            answer_file.write_answer(noted);
        });
    }
    answer
}

fn claim_and_deploy(
    mut query: ModuleQuery,
    budget: DeadlineBudget,
    mut progress: DeployProgress,
    report: &mut dyn FnMut(DeployProgress),
) {
    let places = StateDirs::detect();
    if query.deployment_id.is_empty() {
        query.deployment_id = host::unique_id(host::utc_now());
    }
    // One run of Terragrunt is one deployment of this folder, also where it runs the unit twice.
    let scope = match tool_versions::find_terragrunt_run() {
        Some(process) => format!("{process}\n{}", query.config_file_path),
        None => query.deployment_id.clone(),
    };
    let claim = DeploymentClaim::acquire(&places, &scope, &query.deployment_id, host::utc_now());
    progress.earlier_answer = claim.previous_answer();
    progress.answer_file = claim.answer_file();
    report(progress.clone());
    if progress.earlier_answer.is_none() {
        let deployment = RunningDeployment::new(query, claim, places, budget);
        spool_and_upload(deployment, &mut |outcome| {
            report(DeployProgress {
                outcome,
                ..progress.clone()
            });
        });
    }
}

/// What is spooled before the network is tried.
struct SpooledDeployment {
    config: Result<ConfigFile, Error>,
    subject: DeploymentSubject,
    target: BucketTarget,
    record: UsageRecord,
    record_item: SpoolItem,
    spooled_record: Result<SpoolEntry, Error>,
    pending_config: Option<PendingConfig>,
}

fn spool_and_upload(mut deployment: RunningDeployment, report: &mut dyn FnMut(DeploymentOutcome)) {
    let prepared = spool_everything(&mut deployment, report);
    // Then nothing was sent, and everything is still spooled.
    if let Err(fault) = block_on(upload_everything(&mut deployment, prepared, report)) {
        deployment.outcome.resolve_pending(&fault);
    }
    deployment.checkpoint(report);
    remove_expired_files(deployment.state_dirs(), &EXPIRY_RULES, host::system_time());
}

/// Spools the record in the least exact form that it may have to be sent in, then the config.
fn spool_everything(
    deployment: &mut RunningDeployment,
    report: &mut dyn FnMut(DeploymentOutcome),
) -> SpooledDeployment {
    let config = file::read_config_file(Path::new(&deployment.query.config_file_path));
    let subject = subject::resolve_subject(&deployment.query, config.as_ref().ok());
    let target = deployment.query.bucket_target(&subject.profile);
    deployment.outcome.notes = collect_notes(&deployment.query, &config, &subject);
    if let Err(fault) = &config {
        deployment.outcome.config = Some(ConfigOutcome::unreadable(fault.clone()));
    }

    let mut record = draft_record(deployment, &config, &subject);
    let line = record.to_line();
    let record_item = SpoolItem::new(
        SpoolItemKind::Record,
        target.clone(),
        &subject.customer,
        deployment.deployment_id(),
        deployment.claim.started_at(),
        &line,
    );
    let mut spooled_record = deployment.enqueue(record_item.clone(), line);
    deployment.outcome.record = Some(RecordOutcome::unsent(
        &spooled_record,
        UploadFailure::pending(&spooled_record),
    ));
    deployment.checkpoint(report);

    let to_send = config
        .as_ref()
        .ok()
        .filter(|config| !deployment.was_stored_at_plan(config));
    let pending_config = to_send.map(|config| {
        let when = if deployment.was_just_missing_at_plan(config) {
            UploadMode::DeployFreshPlan
        } else {
            UploadMode::Deploy
        };
        let (item, spooled) = deployment.enqueue_config(config, &subject, &target);
        PendingConfig {
            item,
            spooled,
            mode: when,
        }
    });
    if let Some(pending) = &pending_config {
        let outcome = pending.outcome();
        (record.backup, record.backup_key) = (outcome.backup, outcome.key.clone());
        deployment.outcome.config = Some(outcome);
        // The draft is spooled as well, and only less exact.
        let _ = spooled_record
            .as_mut()
            .map(|kept| kept.replace_body(record.to_line()));
    }
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

async fn upload_everything(
    deployment: &mut RunningDeployment,
    prepared: SpooledDeployment,
    report: &mut dyn FnMut(DeploymentOutcome),
) {
    let SpooledDeployment {
        config,
        subject,
        target,
        mut record,
        record_item,
        spooled_record,
        pending_config,
    } = prepared;
    let bytes = config.as_ref().map_or(0, |config| config.bytes.len());
    let store = deployment.open_store(&target, bytes).await;
    let store = store.as_ref();
    let (identity, mut upload, git_and_tools, chain) = futures_util::join!(
        async {
            deployment
                .within_deadline(store.map_err(Clone::clone)?.get_caller_identity())
                .await
        },
        start_config_upload(
            deployment,
            store,
            &target,
            &config,
            &subject,
            pending_config
        ),
        find_git_and_tools(deployment),
        claim_chain(deployment, store, &record_item, spooled_record.is_ok()),
    );
    if let Some((git, tools)) = git_and_tools {
        (record.git, record.tools) = (git, Some(tools));
    }
    // STS gives the reason. To S3's HEAD, which has no body, bad credentials look like a missing permission.
    if let (Err(fault), Some(failure)) = (&identity, &mut upload.outcome.failure)
        && fault.kind == ErrorKind::Credentials
    {
        failure.replace_cause(fault.clone());
    }
    complete_record(&mut record, &upload.outcome, identity.as_ref().ok());
    // The record names the copy, which exists: neither `config.yaml` nor the record has to wait for the other.
    let ((record_outcome, note), config_outcome) = futures_util::join!(
        upload_record(
            deployment,
            chain,
            &record_item,
            &record,
            identity,
            spooled_record
        ),
        finish_config_upload(deployment, store, &config, upload),
    );
    deployment.outcome.config = Some(config_outcome);
    deployment.outcome.record = Some(record_outcome);
    deployment.outcome.notes.extend(note);
    deployment.checkpoint(report);
    if let (Ok(store), false) = (store, deployment.outcome.has_dead_network()) {
        replay_earlier_deployments(deployment, store, &target, report).await;
    }
}

/// Sends what earlier deployments spooled, with what is left of the deadline.
async fn replay_earlier_deployments(
    deployment: &mut RunningDeployment,
    store: &ObjectStore,
    target: &BucketTarget,
    report: &mut dyn FnMut(DeploymentOutcome),
) {
    // The worst case is reported first, for whatever cuts this short.
    let notes = deployment.outcome.notes.clone();
    if let Some(note) =
        spool_replay::queued_uploads_note(deployment.state_dirs(), deployment.deployment_id())
    {
        deployment.outcome.notes.push(note);
        deployment.checkpoint(report);
    }
    let limit = deployment.network_time_left();
    let replay = Box::pin(spool_replay::replay_spooled_items(
        deployment.state_dirs(),
        Some((store, target)),
        limit,
        deployment.deployment_id(),
    ));
    if let Ok(replay) = deployment.within_deadline(async { Ok(replay.await) }).await {
        deployment.outcome.notes = notes;
        deployment.outcome.notes.extend(replay.remaining_note());
    }
}

/// What the operator should know although it stops nothing.
fn collect_notes(
    query: &ModuleQuery,
    config: &Result<ConfigFile, Error>,
    subject: &DeploymentSubject,
) -> Vec<String> {
    let mut notes = query.problems.clone();
    notes.extend(
        subject
            .problems
            .iter()
            .map(|problem| format!("config.yaml: {problem}")),
    );
    if let Ok(config) = config
        && !query.config_hash.is_empty()
        && query.config_hash != config.digests.md5
    {
        notes.push("config.yaml changed between plan and apply; what is backed up and logged is what it holds now".to_owned());
    }
    let helper_version = env!("CARGO_PKG_VERSION");
    if !query.unit_version.is_empty() && query.unit_version != helper_version {
        let unit_version = &query.unit_version;
        notes.push(format!(
            "the files of the unit are of version {unit_version} and the helper is {helper_version}; run `config-backup init` in the customer folder"
        ));
    }
    notes
}

//! `deploy`: uploads the config where the bucket has another one, writes the usage record, sends what earlier deployments
//! spooled, and answers with the result.
//!
//! Always exits 0. Asks again who deploys, because a saved plan may be applied by another person. `fallback` does the same
//! where Terraform could not run in the unit.

use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::aws::{Store, Target, uri};
use crate::cleanup::remove_expired_files;
use crate::config::{self, Config, Subject};
use crate::config_upload::{PendingConfig, upload_copy, upload_current};
use crate::deadline::{self, End, Hurry, WorkState};
use crate::deliver::When;
use crate::deployment::{DeadlineBudget, Deployment, block_on};
use crate::deployment_claim::{AnswerFile, DeploymentClaim};
use crate::fault::{Fault, Kind};
use crate::item::{Item, What};
use crate::outcome::{ConfigOutcome, DeploymentOutcome, RecordOutcome, UploadFailure};
use crate::places::Places;
use crate::protocol::{self, Query};
use crate::record::Record;
use crate::record_upload::{claim_chain, complete_record, draft_record, find_git_and_tools, upload_record};
use crate::spool::Kept;
use crate::verdict::{Status, verdict};
use crate::{host, late, panics, programs, signals};

/// How long noting the answer may take.
const NOTE_TIME: Duration = Duration::from_millis(300);

/// The answer; every value is a string, as the external protocol has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployAnswer {
    /// See [`Status`]; the first key, by which `helper.sh` recognizes an answer of the helper.
    pub status: Status,
    /// One line: what happened, what happens now, the way out.
    pub message: String,
    /// MD5 of the config that was backed up, hex.
    pub config_hash: String,
    /// `s3://` of its history copy, or empty.
    pub backup_uri: String,
    /// `s3://` of the usage record, or empty.
    pub log_uri: String,
    /// The ARN in the usage record, or empty.
    pub caller_arn: String,
}

impl DeployAnswer {
    /// An answer that has nothing but a message.
    #[must_use]
    pub fn error(message: String) -> Self {
        let none = String::new;
        Self { status: Status::Error, message, config_hash: none(), backup_uri: none(), log_uri: none(), caller_arn: none() }
    }

    fn of_outcome(outcome: DeploymentOutcome, bucket: &str) -> Self {
        let verdict = verdict(&outcome, bucket);
        let uri = |key: &str| if key.is_empty() { String::new() } else { uri(bucket, key) };
        let config = outcome.config;
        let stored_config = config.as_ref().filter(|config| config.failure.is_none());
        Self {
            status: verdict.status,
            message: verdict.message,
            backup_uri: stored_config.map(|config| uri(&config.key)).unwrap_or_default(),
            config_hash: config.map(|config| config.md5).unwrap_or_default(),
            log_uri: outcome.record.as_ref().map(|record| uri(&record.key)).unwrap_or_default(),
            caller_arn: outcome.record.map(|record| record.user).unwrap_or_default(),
        }
    }
}

/// Answers the query of `data.external.deploy`.
///
/// # Errors
/// The answer cannot be written. Everything else is part of the answer.
pub fn run(input: impl Read, output: impl Write) -> Result<()> {
    let answer = match Query::read(input) {
        Err(error) => DeployAnswer::error(format!("the deployment is not logged: {error:#}")),
        Ok(query) if !query.is_deployment() => no_deployment(&query),
        Ok(query) => deploy(query),
    };
    protocol::answer(output, &answer)
}

/// The answer to a run that only refreshes the state: that of the last deployment, so that no output changes, or none.
fn no_deployment(query: &Query) -> DeployAnswer {
    let id = query.deployment_id.clone();
    let last = deadline::within(NOTE_TIME, move || DeploymentClaim::find_good_answer(&Places::of_host(), &id)).flatten();
    last.unwrap_or_else(|| {
        let message = "no deployment: this run of Terraform applies nothing, so nothing is uploaded";
        DeployAnswer { status: Status::Ok, ..DeployAnswer::error(message.to_owned()) }
    })
}

/// Does what `deploy` does where Terraform has failed in the unit, for the `error_hook` of Terragrunt. Reads the settings that
/// `terragrunt.hcl` generates for the module, and prints one line.
///
/// # Errors
/// The line cannot be written.
pub fn run_fallback(input: impl Read, mut output: impl Write) -> Result<()> {
    let answer = match Query::read_settings(input) {
        Err(error) => DeployAnswer::error(format!("the deployment is not logged: {error:#}")),
        Ok(query) => deploy(query),
    };
    let head = if answer.status == Status::Ok { "" } else { "WARNING: " };
    writeln!(output, "config-backup: {head}{}", answer.message).context("write to stdout")
}

/// What the working thread reports to the one that keeps the deadline.
#[derive(Clone)]
struct Progress {
    /// Where to note the answer, once the deployment is claimed.
    answer_file: Option<AnswerFile>,
    /// The answer of an earlier process of this deployment.
    earlier_answer: Option<DeployAnswer>,
    outcome: DeploymentOutcome,
}

impl WorkState for Progress {
    fn is_interruptible(&self) -> bool {
        self.earlier_answer.is_some() || self.outcome.is_spooled
    }
}

/// Carries the deployment out on a thread of its own, within the deadline, and answers with what was reached by then.
fn deploy(query: Query) -> DeployAnswer {
    let budget = DeadlineBudget::start(&query);
    let bucket = query.bucket.clone();
    let not_spooled = Err(Fault::new(Kind::Local, "there was no time for it", ""));
    let pessimist = RecordOutcome::unsent(&not_spooled, UploadFailure::pending(&not_spooled));
    let outcome = DeploymentOutcome { record: Some(pessimist), ..DeploymentOutcome::default() };
    let start = Progress { answer_file: None, earlier_answer: None, outcome };
    let listen = |hurry: Hurry| signals::on_interrupt(move || hurry.up());
    let work = {
        let start = start.clone();
        move |report: &mut dyn FnMut(Progress)| carry_out(query, budget, start, report)
    };
    let latest = deadline::latest_within(budget.limit(), start, listen, work);
    let Progress { answer_file, earlier_answer, mut outcome } = latest.state;
    if let Some(answer) = earlier_answer {
        return answer;
    }
    match latest.end {
        End::Finished => {}
        End::Late => outcome.resolve_pending(&budget.no_answer()),
        End::Interrupted => outcome.resolve_pending(&Fault::new(Kind::Timeout, "interrupted before AWS had answered", "")),
        End::Broken => outcome.resolve_pending(&panics::fault()),
    }
    let answer = DeployAnswer::of_outcome(outcome, &bucket);
    if let Some(answer_file) = answer_file {
        let noted = answer.clone();
        let _ = deadline::within(NOTE_TIME, move || answer_file.write(noted));
    }
    answer
}

fn carry_out(mut query: Query, budget: DeadlineBudget, mut progress: Progress, report: &mut dyn FnMut(Progress)) {
    let places = Places::of_host();
    if query.deployment_id.is_empty() {
        query.deployment_id = host::nonce(host::now());
    }
    // One run of Terragrunt is one deployment of this folder, also where it runs the unit twice.
    let scope = match programs::terragrunt_process() {
        Some(process) => format!("{process}\n{}", query.config_file_path),
        None => query.deployment_id.clone(),
    };
    let claim = DeploymentClaim::take(&places, &scope, &query.deployment_id, host::now());
    progress.earlier_answer = claim.answer();
    progress.answer_file = claim.answer_file();
    report(progress.clone());
    if progress.earlier_answer.is_none() {
        let deployment = Deployment::begin(query, claim, places, budget);
        deploy_config(deployment, &mut |outcome| report(Progress { outcome, ..progress.clone() }));
    }
}

/// What is spooled before the network is tried.
struct Prepared {
    config: Result<Config, Fault>,
    subject: Subject,
    target: Target,
    record: Record,
    record_item: Item,
    spooled_record: Result<Kept, Fault>,
    pending_config: Option<PendingConfig>,
}

fn deploy_config(mut deployment: Deployment, report: &mut dyn FnMut(DeploymentOutcome)) {
    let prepared = spool_everything(&mut deployment, report);
    // Then nothing was sent, and everything is still spooled.
    if let Err(fault) = block_on(upload_everything(&mut deployment, prepared, report)) {
        deployment.outcome.resolve_pending(&fault);
    }
    deployment.checkpoint(report);
    remove_expired_files(deployment.places(), host::file_clock());
}

/// Spools the record in the least exact form that it may have to be sent in, then the config.
fn spool_everything(deployment: &mut Deployment, report: &mut dyn FnMut(DeploymentOutcome)) -> Prepared {
    let config = config::read(Path::new(&deployment.query.config_file_path));
    let subject = config::subject(&deployment.query, config.as_ref().ok());
    let target = deployment.query.target(&subject.profile);
    deployment.outcome.notes = notes(&deployment.query, &config, &subject);
    if let Err(fault) = &config {
        deployment.outcome.config = Some(ConfigOutcome::unreadable(fault.clone()));
    }

    let mut record = draft_record(deployment, &config, &subject);
    let line = record.to_line();
    let record_item = Item::new(What::Record, target.clone(), &subject.customer, deployment.id(), deployment.claim.at(), &line);
    let mut spooled_record = deployment.enqueue(record_item.clone(), line);
    deployment.outcome.record = Some(RecordOutcome::unsent(&spooled_record, UploadFailure::pending(&spooled_record)));
    deployment.checkpoint(report);

    let to_send = config.as_ref().ok().filter(|config| !deployment.was_stored_at_plan(config));
    let pending_config = to_send.map(|config| {
        let when = if deployment.was_just_missing_at_plan(config) { When::JustPlanned } else { When::Now };
        let (item, spooled) = deployment.enqueue_config(config, &subject, &target);
        PendingConfig { item, spooled, when }
    });
    if let Some(pending) = &pending_config {
        let outcome = pending.outcome();
        (record.backup, record.backup_key) = (outcome.backup, outcome.key.clone());
        deployment.outcome.config = Some(outcome);
        // The draft is spooled as well, and only less exact.
        let _ = spooled_record.as_mut().map(|kept| kept.replace(record.to_line()));
    }
    deployment.outcome.is_spooled = true;
    deployment.checkpoint(report);
    Prepared { config, subject, target, record, record_item, spooled_record, pending_config }
}

async fn upload_everything(deployment: &mut Deployment, prepared: Prepared, report: &mut dyn FnMut(DeploymentOutcome)) {
    let Prepared { config, subject, target, mut record, record_item, spooled_record, pending_config } = prepared;
    let bytes = config.as_ref().map_or(0, |config| config.bytes.len());
    let store = deployment.open_store(&target, bytes).await;
    let store = store.as_ref();
    let (identity, mut upload, git_and_tools, chain) = futures_util::join!(
        async { deployment.within_deadline(store.map_err(Clone::clone)?.identity()).await },
        upload_copy(deployment, store, &target, &config, &subject, pending_config),
        find_git_and_tools(deployment),
        claim_chain(deployment, store, &record_item, spooled_record.is_ok()),
    );
    if let Some((git, tools)) = git_and_tools {
        (record.git, record.tools) = (git, Some(tools));
    }
    // STS gives the reason. To S3's HEAD, which has no body, bad credentials look like a missing permission.
    if let (Err(fault), Some(failure)) = (&identity, &mut upload.outcome.failure)
        && fault.kind == Kind::Credentials
    {
        failure.replace_cause(fault.clone());
    }
    complete_record(&mut record, &upload.outcome, identity.as_ref().ok());
    // The record names the copy, which exists: neither `config.yaml` nor the record has to wait for the other.
    let ((record_outcome, note), config_outcome) = futures_util::join!(
        upload_record(deployment, chain, &record_item, &record, identity, spooled_record),
        upload_current(deployment, store, &config, upload),
    );
    deployment.outcome.config = Some(config_outcome);
    deployment.outcome.record = Some(record_outcome);
    deployment.outcome.notes.extend(note);
    deployment.checkpoint(report);
    if let (Ok(store), false) = (store, deployment.outcome.has_dead_network()) {
        replay_spool(deployment, store, &target, report).await;
    }
}

/// Sends what earlier deployments spooled, with what is left of the deadline.
async fn replay_spool(deployment: &mut Deployment, store: &Store, target: &Target, report: &mut dyn FnMut(DeploymentOutcome)) {
    // The worst case is reported first, for whatever cuts this short.
    let notes = deployment.outcome.notes.clone();
    if let Some(note) = late::waiting(deployment.places(), deployment.id()) {
        deployment.outcome.notes.push(note);
        deployment.checkpoint(report);
    }
    let limit = deployment.left_for_network();
    let replay = Box::pin(late::send(deployment.places(), Some((store, target)), limit, deployment.id()));
    if let Ok(replay) = deployment.within_deadline(async { Ok(replay.await) }).await {
        deployment.outcome.notes = notes;
        deployment.outcome.notes.extend(replay.what_is_left());
    }
}

/// What the operator should know although it stops nothing.
fn notes(query: &Query, config: &Result<Config, Fault>, subject: &Subject) -> Vec<String> {
    let mut notes = query.problems.clone();
    notes.extend(subject.problems.iter().map(|problem| format!("config.yaml: {problem}")));
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

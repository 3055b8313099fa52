//! `log`: brings the config into the bucket where that has another one, then the usage record of the deployment, sends what
//! earlier deployments left, and says in one line how all of it went.
//!
//! Always exits 0. Who deploys is asked here again: a saved plan may be applied by somebody else.

use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::aws::{Identity, Store};
use crate::bring::{self, Waiting};
use crate::claims::Claim;
use crate::config::{self, Config, Subject};
use crate::deliver::When;
use crate::deployment::{Run, block_on, carry_out, not_sent, not_yet, unreadable, unsent};
use crate::fault::{Fault, Kind};
use crate::item::{Item, What};
use crate::journal::{self, Journal, Sent};
use crate::programs;
use crate::protocol::Query;
use crate::record::{self, Backup, Git, Record, Tools};
use crate::spool::Kept;
use crate::verdict::{Status, verdict};
use crate::{host, late, seal};

/// Logs the deployment.
pub fn run(input: impl Read, mut output: impl Write) -> Result<()> {
    let query = match Query::read(input) {
        Ok(query) => query,
        Err(error) => return say(&mut output, Status::Error, &format!("the deployment is not logged: {error:#}")),
    };
    let bucket = query.bucket.clone();
    let run = Run::begin(query);
    let nothing_kept = Err(Fault::new(Kind::Local, "there was no time for it", ""));
    let pessimist = Journal { record: Some(not_sent(&nothing_kept, not_yet())), ..run.journal.clone() };
    let verdict = verdict(&carry_out(run, pessimist, work), &bucket);
    say(&mut output, verdict.status, &verdict.message)
}

fn say(output: &mut impl Write, status: Status, message: &str) -> Result<()> {
    let head = if status == Status::Ok { "" } else { "WARNING: " };
    writeln!(output, "config-backup: {head}{message}").context("write to stdout")
}

fn work(mut run: Run, tell: &mut dyn FnMut(Journal)) {
    // One deployment, one record, also where this step is run twice.
    if run.journal.record.as_ref().is_some_and(|it| it.sent || it.kept) {
        return run.tell(tell);
    }
    let config = config::read(Path::new(&run.query.config_file_path));
    let subject = config::subject(&run.query, config.as_ref().ok());
    run.journal.notes = notes(&run, &config, &subject);
    let target = run.query.target(&subject.profile);

    // What `backup` kept is sent; what it kept and is there no more, somebody has sent.
    let to_send = config.as_ref().ok().filter(|config| !run.in_step_at_plan(config) && bring::sent_before(&run, config).is_none());
    let found = to_send.and_then(|config| run.kept_config(config, &subject, &target));
    let is_there = found.is_some() || run.journal.config.is_none();
    let when = if is_there && to_send.is_some_and(|config| run.has_just_planned(config)) { When::JustPlanned } else { When::Now };
    if let Some((item, kept)) = &found {
        run.journal.config = Some(unsent(item, kept, not_yet()));
    } else if let Err(fault) = &config {
        run.journal.config = Some(unreadable(fault.clone()));
    }

    // First of all the record is kept, in the worst form that it may have to be sent in.
    let mut record = draft(&run, &config, &subject);
    let at = host::now();
    record.timestamp = record::timestamp(at);
    let line = record.to_line();
    let item = Item::new(What::Record, target.clone(), &subject.customer, &run.query.deployment_id, at, &line);
    let mut kept = run.keep(item.clone(), line);
    run.journal.record = Some(not_sent(&kept, not_yet()));
    run.tell(tell);
    // Then the config, where `backup` did not keep it.
    let waiting = found.or_else(|| {
        let (item, config_kept) = run.keep_config(to_send?, &subject, &target);
        let told = unsent(&item, &config_kept, not_yet());
        (record.backup, record.backup_key) = (told.backup, told.key.clone());
        run.journal.config = Some(told);
        // The draft is kept as well as this one, and only less exact.
        let _ = kept.as_mut().map(|kept| kept.replace(record.to_line()));
        run.tell(tell);
        Some((item, config_kept))
    });
    let waiting = waiting.map(|(item, kept)| Waiting { item, kept, when });

    let done = block_on(async {
        let store = run.open(&target, config.as_ref().map_or(0, |it| it.bytes.len())).await;
        let store = store.as_ref();
        let (identity, mut brought, about, claim) = futures_util::join!(
            identity(&run, store),
            bring::send(&run, store, &target, &config, &subject, waiting),
            about(&run),
            claim(&run, store, &item, kept.is_ok()),
        );
        if let Some((git, tools)) = about {
            (record.git, record.tools) = (git, Some(tools));
        }
        if let Err(fault) = &identity
            && fault.kind == Kind::Credentials
            && brought.told.fault.is_some()
        {
            // STS says why; to S3's HEAD, which has no body, bad credentials are a permission that is missing.
            brought.told.fault = Some(fault.clone());
        }
        complete(&mut record, &brought.told, identity.as_ref().ok());
        // The record names the copy, which is there; `config.yaml` need not wait for the record, nor the record for it.
        let ((sent, note), brought) =
            futures_util::join!(send(&run, claim, &item, &record, identity, kept), bring::finish(&run, store, &config, brought));
        run.journal.config = Some(brought);
        run.journal.record = Some(sent);
        run.journal.notes.extend(note);
        run.tell(tell);
        if let (Ok(store), None) = (store, run.journal.dead_network()) {
            // The worst first: whatever cuts this short leaves it told.
            let notes = run.journal.notes.clone();
            if let Some(waiting) = late::waiting(run.places(), &run.query.deployment_id) {
                run.journal.notes.push(waiting);
                run.tell(tell);
            }
            let limit = run.left_for_network();
            let late = Box::pin(late::send(run.places(), Some((store, &target)), limit, &run.query.deployment_id));
            let late = run.in_time(async { Ok(late.await) }).await;
            if let Ok(late) = late {
                run.journal.notes = notes;
                run.journal.notes.extend(late.what_is_left());
            }
        }
    });
    if let Err(fault) = done {
        // Then nothing was sent, and all is as it was told before.
        run.journal.settle(&not_yet(), &fault);
    }
    run.tell(tell);
    journal::sweep(run.places(), host::file_clock());
}

/// What everybody should know although it stops nothing.
fn notes(run: &Run, config: &Result<Config, Fault>, subject: &Subject) -> Vec<String> {
    let query = &run.query;
    let mut notes: Vec<String> = subject.problems.iter().map(|problem| format!("config.yaml: {problem}")).collect();
    if let Ok(config) = config
        && !query.config_hash.is_empty()
        && query.config_hash != config.digests.md5
    {
        notes.push("config.yaml changed between plan and apply; what is backed up and logged is what it holds now".to_owned());
    }
    let ours = env!("CARGO_PKG_VERSION");
    if !query.unit_version.is_empty() && query.unit_version != ours {
        let theirs = &query.unit_version;
        notes.push(format!(
            "the files of the unit are of version {theirs} and the helper is {ours}; run `config-backup init` in the customer folder"
        ));
    }
    notes
}

/// The record as far as it is known without the network.
fn draft(run: &Run, config: &Result<Config, Fault>, subject: &Subject) -> Record {
    let (backup, backup_key) = match config {
        Err(_) => (Backup::Failed, String::new()),
        Ok(config) if run.in_step_at_plan(config) => (Backup::Unchanged, run.query.backup_key.clone()),
        // Of other bytes, if the file changed meanwhile.
        Ok(config) => match run.journal.config.as_ref().filter(|told| told.md5 == config.digests.md5) {
            Some(told) => (told.backup, told.key.clone()),
            None => (Backup::Spooled, String::new()),
        },
    };
    Record {
        timestamp: String::new(),
        customer: subject.customer.clone(),
        user: String::new(),
        user_id: String::new(),
        account: String::new(),
        config_hash: config.as_ref().map(|it| it.digests.md5.clone()).unwrap_or_default(),
        additional_users_count: subject.additional_users_count,
        project_name: subject.project_name.clone(),
        cluster_name: subject.cluster_name.clone(),
        schema: record::SCHEMA,
        deployment_id: run.query.deployment_id.clone(),
        backup,
        backup_key,
        late: false,
        git: None,
        ci: host::ci(),
        tools: Some(Tools::ours()),
        chain: None,
    }
}

fn complete(record: &mut Record, config: &journal::Config, identity: Option<&Identity>) {
    record.backup = config.backup;
    record.backup_key.clone_from(&config.key);
    if let Some(identity) = identity {
        record.user.clone_from(&identity.arn);
        record.user_id.clone_from(&identity.user_id);
        record.account.clone_from(&identity.account);
    }
}

/// A look at the checkout and the tools while the network is busy; it takes time, and must not delay the record's copy.
async fn about(run: &Run) -> Option<(Option<Git>, Tools)> {
    let folder = Path::new(&run.query.config_file_path).parent().unwrap_or(Path::new(".")).to_owned();
    let git = tokio::task::spawn_blocking(move || programs::git(&folder));
    let places = run.places().clone();
    let tools = tokio::task::spawn_blocking(move || programs::tools(&places));
    run.in_time(async { Ok(tools.await.ok().zip(Some(git.await.ok().flatten()))) }).await.ok().flatten().map(|(tools, git)| (git, tools))
}

/// The chain that the record will continue, and a look at its seal, which can then be set together with the record.
async fn claim<'a>(run: &Run, store: Result<&'a Store, &Fault>, item: &Item, is_kept: bool) -> Result<(&'a Store, Claim), Fault> {
    let store = store.map_err(Clone::clone)?;
    let mut claim = Claim::take(run.places(), &store.place(), &item.customer, &item.deployment_id);
    // Where that fails, the seal is asked for once it cannot be set.
    let is_clear = run.in_time(seal::look(store, &item.customer, &mut claim)).await.unwrap_or(false);
    // Should the record not arrive, it is kept, and takes its place later.
    if is_clear && is_kept {
        claim.allow_ahead();
    }
    Ok((store, claim))
}

async fn identity(run: &Run, store: Result<&Store, &Fault>) -> Result<Identity, Fault> {
    run.in_time(store.map_err(Clone::clone)?.identity()).await
}

/// Uploads the record. One without a user waits for the next run, if it is kept: a record must not guess who.
async fn send(
    run: &Run,
    claim: Result<(&Store, Claim), Fault>,
    item: &Item,
    record: &Record,
    identity: Result<Identity, Fault>,
    kept: Result<Kept, Fault>,
) -> (Sent, Option<String>) {
    let sent = match (claim, &identity) {
        (Err(fault), _) => Err(fault),
        (Ok((_, claim)), Err(fault)) if kept.is_ok() => {
            claim.give_back(None);
            Err(fault.clone())
        }
        (Ok((store, claim)), _) => {
            let line = |chain| record.clone().to_line_in(chain);
            run.in_time(late::record(store, claim, item, line)).await
        }
    };
    let user = record.user.clone();
    match (sent, kept) {
        (Ok((key, note)), kept) => {
            let _ = kept.and_then(Kept::done);
            (Sent { sent: true, kept: false, key, user, fault: None }, note)
        }
        (Err(fault), Ok(mut kept)) => {
            // The draft is kept as well as the record; only then does a failure here not matter.
            let _ = kept.replace(record.to_line());
            (Sent { user, ..not_sent(&Ok(kept), fault) }, None)
        }
        (Err(fault), kept) => (not_sent(&kept, fault), None),
    }
}

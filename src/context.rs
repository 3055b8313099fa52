//! `context`: what a plan needs to know. Read-only: it must leave no trace, on this machine or in the bucket.

use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

use crate::aws::{Identity, Patience, Store};
use crate::config::{self, Config, Subject};
use crate::deadline::{End, WorkState};
use crate::deliver::{self, Version};
use crate::deployment::block_on;
use crate::fault::{CHECK_NETWORK, Fault, Kind};
use crate::places::Places;
use crate::protocol::{self, Query};
use crate::spool::Spool;
use crate::verdict::Status;
use crate::{deadline, host, panics};

/// The most that a plan is held up.
const LONGEST: Duration = Duration::from_secs(3);

/// The answer; every value is a string, as the external protocol has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// See [`Status`]; the first key, by which `helper.sh` knows an answer of ours.
    pub status: Status,
    /// Why the status is not `ok`, or empty.
    pub message: String,
    /// MD5 of the config, hex; empty where it cannot be read.
    pub config_hash: String,
    /// The caller's account.
    pub account: String,
    /// The caller's ARN.
    pub caller_arn: String,
    /// The caller's unique id.
    pub user_id: String,
    /// The customer.
    pub customer: String,
    /// The project.
    pub project_name: String,
    /// The cluster.
    pub cluster_name: String,
    /// The count of additional users.
    pub additional_users_count: String,
    /// The id of the bucket's version where it is this one, otherwise a new id.
    pub backup_id: String,
    /// The key of that version; empty where the bucket has not this one.
    pub backup_key: String,
    /// A new id for every plan.
    pub deployment_id: String,
    /// How many things of earlier deployments are still to be sent.
    pub pending: String,
    /// How many milliseconds this took.
    pub spent_ms: String,
    /// This executable's version.
    pub version: String,
}

impl WorkState for Answer {}

/// Answers one query.
///
/// # Errors
/// Only where the answer cannot be written: all else is told in it.
pub fn run(input: impl Read, output: impl Write) -> Result<()> {
    let started = Instant::now();
    let blank = blank();
    let mut answer = match Query::read(input) {
        Err(error) => Answer { message: format!("{error:#}"), ..blank },
        Ok(query) => {
            let limit = LONGEST.min(query.timeout / 3);
            let pessimist = Answer { message: format!("plan: no answer within {:.1} s", limit.as_secs_f32()), ..blank };
            let latest =
                deadline::latest_within(limit, pessimist.clone(), drop, move |tell| work(&query, pessimist, started + limit, tell));
            match latest.end {
                End::Broken => Answer { message: format!("plan: {}", panics::fault()), ..latest.state },
                _ => latest.state,
            }
        }
    };
    answer.spent_ms = started.elapsed().as_millis().to_string();
    protocol::answer(output, &answer)
}

fn blank() -> Answer {
    let id = host::nonce(host::now());
    Answer {
        status: Status::Error,
        message: String::new(),
        config_hash: String::new(),
        account: String::new(),
        caller_arn: String::new(),
        user_id: String::new(),
        customer: String::new(),
        project_name: String::new(),
        cluster_name: String::new(),
        additional_users_count: "0".to_owned(),
        backup_id: id.clone(),
        backup_key: String::new(),
        deployment_id: id,
        pending: "0".to_owned(),
        spent_ms: "0".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

fn work(query: &Query, mut answer: Answer, until: Instant, tell: &mut dyn FnMut(Answer)) {
    let config = config::read(Path::new(&query.config_file_path));
    let subject = config::subject(query, config.as_ref().ok());
    local_facts(&mut answer, &config, &subject);
    tell(answer.clone());
    let asked = block_on(ask(query, &subject, config.as_ref().ok(), until)).unwrap_or_else(|fault| (Err(fault.clone()), Err(fault)));
    remote_facts(&mut answer, asked);
    let problem = config.err().map(|fault| fault.to_string());
    let problems = query.problems.iter().cloned().chain(problem).chain(subject.problems.into_iter().map(|it| format!("config.yaml: {it}")));
    for problem in problems {
        add(&mut answer, &problem);
    }
    tell(answer);
}

/// STS and S3 at the same time: neither answer needs the other.
async fn ask(
    query: &Query,
    subject: &Subject,
    config: Option<&Config>,
    until: Instant,
) -> (Result<Identity, Fault>, Result<Option<Version>, Fault>) {
    let operation = until.saturating_duration_since(Instant::now()).saturating_sub(Duration::from_millis(100));
    let patience = Patience { operation, attempt: operation, attempts: 2 };
    let store = match Store::open(&query.target(&subject.profile), patience).await {
        Ok(store) => store,
        Err(fault) => return (Err(fault.clone()), Err(fault)),
    };
    let version = async {
        match config {
            Some(config) => deliver::in_step(&store, &subject.customer, &config.digests).await,
            None => Ok(None),
        }
    };
    let both = async { futures_util::join!(store.identity(), version) };
    tokio::time::timeout(operation, both).await.unwrap_or_else(|_| {
        let fault = Fault::new(Kind::Timeout, "plan: no answer of AWS in time", CHECK_NETWORK);
        (Err(fault.clone()), Err(fault))
    })
}

fn local_facts(answer: &mut Answer, config: &Result<Config, Fault>, subject: &Subject) {
    if let Ok(config) = config {
        answer.config_hash.clone_from(&config.digests.md5);
    }
    answer.customer.clone_from(&subject.customer);
    answer.project_name.clone_from(&subject.project_name);
    answer.cluster_name.clone_from(&subject.cluster_name);
    answer.additional_users_count = subject.additional_users_count.to_string();
    answer.pending = pending().to_string();
}

fn remote_facts(answer: &mut Answer, (identity, version): (Result<Identity, Fault>, Result<Option<Version>, Fault>)) {
    (answer.status, answer.message) = (Status::Ok, String::new());
    match identity {
        Ok(identity) => (answer.caller_arn, answer.user_id, answer.account) = (identity.arn, identity.user_id, identity.account),
        Err(fault) => fail(answer, &fault),
    }
    match version {
        Ok(Some(version)) if !version.backup_id.is_empty() => (answer.backup_id, answer.backup_key) = (version.backup_id, version.key),
        Ok(_) => {}
        Err(fault) => fail(answer, &fault),
    }
}

fn fail(answer: &mut Answer, fault: &Fault) {
    add(answer, &fault.to_string());
    answer.status = Status::Error;
}

fn add(answer: &mut Answer, problem: &str) {
    if answer.status == Status::Ok {
        answer.status = Status::Warning;
    }
    if !answer.message.contains(problem) {
        let separator = if answer.message.is_empty() { "" } else { "; " };
        answer.message = format!("{}{separator}{problem}", answer.message);
    }
}

/// Looks without making the folder: a plan must leave no trace.
fn pending() -> usize {
    Spool::new(&Places::of_host()).look().items.len()
}

//! `context`: what a plan needs to know. Read-only: it must leave no trace, on this machine or in the bucket.

use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

use crate::config::file::{self, ConfigFile};
use crate::deployment::answer::AnswerStatus;
use crate::deployment::protocol::{self, ModuleQuery};
use crate::deployment::subject;
use crate::deployment::subject::DeploymentSubject;
use crate::deployment::upload::config::{self as config_upload, CurrentVersion};
use crate::error::{CHECK_NETWORK_HINT, Error, ErrorKind};
use crate::s3::store::{CallerIdentity, ObjectStore, RequestTimeouts};
use crate::state::dirs::StateDirs;
use crate::state::spool::Spool;
use crate::system::deadline;
use crate::system::deadline::{StopReason, WorkState};
use crate::system::host;
use crate::system::panics;
use crate::system::runtime::block_on;

/// The most that a plan is held up.
const MAX_CONTEXT_TIME: Duration = Duration::from_secs(3);

/// The answer; every value is a string, as the external protocol has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContextAnswer {
    /// See [`Status`]; the first key, by which `helper.sh` knows an answer of ours.
    pub status: AnswerStatus,
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

impl WorkState for ContextAnswer {}

/// Answers one query.
///
/// # Errors
/// Only where the answer cannot be written: all else is told in it.
pub fn run_context(input: impl Read, output: impl Write) -> Result<()> {
    let started = Instant::now();
    let blank = empty_answer();
    let mut answer = match ModuleQuery::read(input) {
        Err(error) => ContextAnswer {
            message: format!("{error:#}"),
            ..blank
        },
        Ok(query) => {
            let limit = MAX_CONTEXT_TIME.min(query.timeout / 3);
            let pessimist = ContextAnswer {
                message: format!("plan: no answer within {:.1} s", limit.as_secs_f32()),
                ..blank
            };
            let latest = deadline::run_with_deadline(limit, pessimist.clone(), drop, move |tell| {
                answer_query(&query, pessimist, started + limit, tell);
            });
            match latest.stop_reason {
                StopReason::Panicked => ContextAnswer {
                    message: format!("plan: {}", panics::last_panic_error()),
                    ..latest.state
                },
                _ => latest.state,
            }
        }
    };
    answer.spent_ms = started.elapsed().as_millis().to_string();
    protocol::write_answer(output, &answer)
}

fn empty_answer() -> ContextAnswer {
    let id = host::unique_id(host::utc_now());
    ContextAnswer {
        status: AnswerStatus::Error,
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

fn answer_query(
    query: &ModuleQuery,
    mut answer: ContextAnswer,
    until: Instant,
    tell: &mut dyn FnMut(ContextAnswer),
) {
    let config = file::read_config_file(Path::new(&query.config_file_path));
    let subject = subject::resolve_subject(query, config.as_ref().ok());
    add_local_facts(&mut answer, &config, &subject);
    tell(answer.clone());
    let asked = block_on(query_aws(query, &subject, config.as_ref().ok(), until))
        .unwrap_or_else(|fault| (Err(fault.clone()), Err(fault)));
    add_remote_facts(&mut answer, asked);
    let problem = config.err().map(|fault| fault.to_string());
    let problems = query.problems.iter().cloned().chain(problem).chain(
        subject
            .problems
            .into_iter()
            .map(|it| format!("config.yaml: {it}")),
    );
    for problem in problems {
        add_problem(&mut answer, &problem);
    }
    tell(answer);
}

/// STS and S3 at the same time: neither answer needs the other.
async fn query_aws(
    query: &ModuleQuery,
    subject: &DeploymentSubject,
    config: Option<&ConfigFile>,
    until: Instant,
) -> (
    Result<CallerIdentity, Error>,
    Result<Option<CurrentVersion>, Error>,
) {
    let operation = until
        .saturating_duration_since(Instant::now())
        .saturating_sub(Duration::from_millis(100));
    let patience = RequestTimeouts {
        operation,
        attempt: operation,
        max_attempts: 2,
    };
    let store = match ObjectStore::open(&query.bucket_target(&subject.profile), patience).await {
        Ok(store) => store,
        Err(fault) => return (Err(fault.clone()), Err(fault)),
    };
    let version = async {
        match config {
            Some(config) => {
                config_upload::find_current_version(&store, &subject.customer, &config.digests)
                    .await
            }
            None => Ok(None),
        }
    };
    let both = async { futures_util::join!(store.get_caller_identity(), version) };
    tokio::time::timeout(operation, both)
        .await
        .unwrap_or_else(|_| {
            let fault = Error::new(
                ErrorKind::Timeout,
                "plan: no answer of AWS in time",
                CHECK_NETWORK_HINT,
            );
            (Err(fault.clone()), Err(fault))
        })
}

fn add_local_facts(
    answer: &mut ContextAnswer,
    config: &Result<ConfigFile, Error>,
    subject: &DeploymentSubject,
) {
    if let Ok(config) = config {
        answer.config_hash.clone_from(&config.digests.md5);
    }
    answer.customer.clone_from(&subject.customer);
    answer.project_name.clone_from(&subject.project_name);
    answer.cluster_name.clone_from(&subject.cluster_name);
    answer.additional_users_count = subject.additional_users_count.to_string();
    answer.pending = count_spooled_items().to_string();
}

fn add_remote_facts(
    answer: &mut ContextAnswer,
    (identity, version): (
        Result<CallerIdentity, Error>,
        Result<Option<CurrentVersion>, Error>,
    ),
) {
    (answer.status, answer.message) = (AnswerStatus::Ok, String::new());
    match identity {
        Ok(identity) => {
            (answer.caller_arn, answer.user_id, answer.account) =
                (identity.arn, identity.user_id, identity.account);
        }
        Err(fault) => add_error(answer, &fault),
    }
    match version {
        Ok(Some(version)) if !version.backup_id.is_empty() => {
            (answer.backup_id, answer.backup_key) = (version.backup_id, version.key);
        }
        Ok(_) => {}
        Err(fault) => add_error(answer, &fault),
    }
}

fn add_error(answer: &mut ContextAnswer, fault: &Error) {
    add_problem(answer, &fault.to_string());
    answer.status = AnswerStatus::Error;
}

fn add_problem(answer: &mut ContextAnswer, problem: &str) {
    if answer.status == AnswerStatus::Ok {
        answer.status = AnswerStatus::Warning;
    }
    if !answer.message.contains(problem) {
        let separator = if answer.message.is_empty() { "" } else { "; " };
        answer.message = format!("{}{separator}{problem}", answer.message);
    }
}

/// Looks without making the folder: a plan must leave no trace.
fn count_spooled_items() -> usize {
    Spool::new(&StateDirs::detect()).list().items.len()
}

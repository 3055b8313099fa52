//! `context`: what a plan needs to know. It leaves no trace, neither on this machine nor in the
//! bucket.

use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

use crate::config::file::{self, ConfigFile};
use crate::deployment::answer::AnswerStatus;
use crate::deployment::protocol::{self, ModuleQuery};
use crate::deployment::subject::{self, DeploymentSubject};
use crate::deployment::upload::config::{CurrentVersion, find_current_version};
use crate::error::{CHECK_NETWORK_HINT, Error, ErrorKind};
use crate::s3::credentials_id::CredentialsId;
use crate::s3::store::{CallerIdentity, ObjectStore, RequestTimeouts};
use crate::state::dirs::StateDirs;
use crate::state::spool::Spool;
use crate::system::clock::utc_now;
use crate::system::deadline::{self, CancelHandle, StopReason, WorkState};
use crate::system::env::helper_download_time;
use crate::system::panics;
use crate::system::random::unique_id;
use crate::system::runtime::block_on;
use crate::system::signals;

/// How long a plan may wait.
const MAX_CONTEXT_TIME: Duration = Duration::from_secs(3);
/// Time to read the config, even if the download of the helper took all.
const MIN_CONTEXT_TIME: Duration = Duration::from_millis(200);
/// Time that is reserved to report the result if the network takes all the rest.
const REPORT_TIME: Duration = Duration::from_millis(100);

/// The answer. The external protocol requires every value to be a string, so unknown is empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ContextAnswer {
    /// The first key, by which `helper.sh` recognizes an answer of the helper.
    pub status: AnswerStatus,
    /// Why the status is not `ok`.
    pub message: String,
    /// MD5 of the config, in hex.
    pub config_hash: String,
    pub account: String,
    /// The ARN of the caller.
    pub caller_arn: String,
    /// The unique id of the caller.
    pub user_id: String,
    pub customer: String,
    pub project_name: String,
    pub cluster_name: String,
    pub additional_users_count: String,
    /// The id of the config version in the bucket if it is this config, otherwise a new id.
    pub backup_id: String,
    /// The key of that version. Empty if the bucket has another config.
    pub backup_key: String,
    /// A new id for each plan.
    pub deployment_id: String,
    /// How many uploads of earlier deployments are queued.
    pub pending: String,
    /// How many milliseconds this took.
    pub spent_ms: String,
    /// The version of this executable.
    pub version: String,
    /// Tells the caller's credentials apart from others. It contains nothing of them.
    pub credentials_id: String,
}

/// What AWS knows: who deploys, and the current version if it is this config.
struct AwsFacts {
    identity: Result<CallerIdentity, Error>,
    credentials_id: Option<CredentialsId>,
    version: Result<Option<CurrentVersion>, Error>,
    /// What other tools read otherwise in the AWS files.
    file_notes: Vec<String>,
}

impl WorkState for ContextAnswer {}

impl AwsFacts {
    fn unknown(error: Error) -> Self {
        Self {
            identity: Err(error.clone()),
            credentials_id: None,
            version: Err(error),
            file_notes: Vec::new(),
        }
    }
}

/// Answers one query.
///
/// # Errors
/// The answer cannot be written. All other errors are part of the answer.
pub fn run_context(
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
) -> Result<()> {
    let started = Instant::now();
    let mut answer = match ModuleQuery::read_in_time(input) {
        Ok(query) => answer_within_limit(query, started),
        Err(error) => ContextAnswer::error(format!("{error:#}")),
    };
    let spent = started.elapsed() + helper_download_time();
    answer.spent_ms = spent.as_millis().to_string();
    protocol::write_answer(output, &answer, started + MAX_CONTEXT_TIME)
}

fn answer_within_limit(query: ModuleQuery, started: Instant) -> ContextAnswer {
    let limit = MAX_CONTEXT_TIME.min(query.timeout / 3);
    let message = format!("plan: no answer within {:.1} s", limit.as_secs_f32());
    let limit = limit.saturating_sub(helper_download_time());
    let limit = limit.max(MIN_CONTEXT_TIME);
    let initial = ContextAnswer::error(message);
    let work = {
        let initial = initial.clone();
        move |report: &mut dyn FnMut(ContextAnswer)| {
            answer_query(&query, initial, started + limit, report);
        }
    };
    // `helper.sh` has to start it without Ctrl-C, as every shell does in the background.
    let listen = |handle: CancelHandle| signals::on_interrupt(move || handle.cancel());
    let time_left = limit.saturating_sub(started.elapsed());
    let latest = deadline::run_with_deadline(time_left, initial, listen, work);
    let mut answer = latest.state;
    match latest.stop_reason {
        StopReason::Finished | StopReason::TimedOut => {}
        StopReason::Interrupted => "plan: interrupted".clone_into(&mut answer.message),
        StopReason::Panicked => answer.message = format!("plan: {}", panics::last_panic_error()),
    }
    answer
}

fn answer_query(
    query: &ModuleQuery,
    mut answer: ContextAnswer,
    deadline: Instant,
    report: &mut dyn FnMut(ContextAnswer),
) {
    let config = file::read_config_file(Path::new(&query.config_file_path));
    let subject = subject::resolve_subject(query, config.as_ref().ok());
    answer.add_local_facts(&config, &subject);
    report(answer.clone());

    let request = query_aws(query, &subject, config.as_ref().ok(), deadline);
    let facts = block_on(request).unwrap_or_else(AwsFacts::unknown);
    answer.add_aws_facts(facts);

    for problem in &query.problems {
        answer.add_problem(problem);
    }
    if let Err(error) = &config {
        answer.add_problem(&error.to_string());
    }
    for problem in &subject.problems {
        answer.add_problem(&format!("config.yaml: {problem}"));
    }
    report(answer);
}

/// Queries STS and S3 at the same time, because neither needs the answer of the other.
async fn query_aws(
    query: &ModuleQuery,
    subject: &DeploymentSubject,
    config: Option<&ConfigFile>,
    deadline: Instant,
) -> AwsFacts {
    let time_left = deadline.saturating_duration_since(Instant::now());
    let timeout = time_left.saturating_sub(REPORT_TIME);
    let timeouts = RequestTimeouts {
        operation: timeout,
        attempt: timeout,
        max_attempts: 2,
    };
    let target = query.bucket_target(&subject.profile);
    let store = match ObjectStore::open(&target, timeouts).await {
        Ok(store) => store,
        Err(error) => return AwsFacts::unknown(error),
    };
    let find_version = async {
        match config {
            Some(config) => find_current_version(&store, &subject.customer, &config.digests).await,
            None => Ok(None),
        }
    };
    let both = async { futures_util::join!(store.get_caller_identity(), find_version) };
    match tokio::time::timeout(timeout, both).await {
        Ok((identity, version)) => AwsFacts {
            identity,
            credentials_id: store.credentials_id(),
            version,
            file_notes: store.aws_file_notes(),
        },
        Err(_) => AwsFacts::unknown(Error::new(
            ErrorKind::Timeout,
            "plan: AWS did not answer in time",
            CHECK_NETWORK_HINT,
        )),
    }
}

impl ContextAnswer {
    /// An answer with only a message.
    fn error(message: String) -> Self {
        let id = unique_id(utc_now());
        Self {
            status: AnswerStatus::Error,
            message,
            config_hash: String::new(),
            account: String::new(),
            caller_arn: String::new(),
            user_id: String::new(),
            credentials_id: String::new(),
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

    fn add_local_facts(&mut self, config: &Result<ConfigFile, Error>, subject: &DeploymentSubject) {
        if let Ok(config) = config {
            self.config_hash.clone_from(&config.digests.md5);
        }
        self.customer.clone_from(&subject.customer);
        self.project_name.clone_from(&subject.project_name);
        self.cluster_name.clone_from(&subject.cluster_name);
        self.additional_users_count = subject.additional_users_count.to_string();
        self.pending = count_spooled_items().to_string();
    }

    fn add_aws_facts(&mut self, facts: AwsFacts) {
        self.status = AnswerStatus::Ok;
        self.message.clear();
        match facts.identity {
            Ok(identity) => {
                self.caller_arn = identity.arn;
                self.user_id = identity.user_id;
                self.account = identity.account;
                if let Some(id) = &facts.credentials_id {
                    id.as_str().clone_into(&mut self.credentials_id);
                }
            }
            Err(error) => self.add_error(&error),
        }
        match facts.version {
            Ok(Some(version)) if !version.backup_id.is_empty() => {
                self.backup_id = version.backup_id;
                self.backup_key = version.key;
            }
            Ok(_) => {}
            Err(error) => self.add_error(&error),
        }
        for note in facts.file_notes {
            self.add_problem(&note);
        }
    }

    fn add_error(&mut self, error: &Error) {
        self.add_problem(&error.to_string());
        self.status = AnswerStatus::Error;
    }

    fn add_problem(&mut self, problem: &str) {
        if self.status == AnswerStatus::Ok {
            self.status = AnswerStatus::Warning;
        }
        // One cause often stops both requests.
        if self.message.contains(problem) {
            return;
        }
        if !self.message.is_empty() {
            self.message.push_str("; ");
        }
        self.message.push_str(problem);
    }
}

fn count_spooled_items() -> usize {
    Spool::new(&StateDirs::detect()).list().items.len()
}

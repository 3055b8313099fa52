//! `outcome`: what became of this deployment, for Terraform's check. Reads the journal; asks nobody else.

use std::io::{Read, Write};

use anyhow::Result;
use serde::Serialize;

use crate::journal::Journal;
use crate::places::Places;
use crate::protocol::{self, Query};
use crate::verdict::{Status, verdict};

/// The answer; every value is a string, as the external protocol has it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// See [`Status`]; the first key, by which `helper.sh` knows an answer of ours.
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

/// Answers one query.
///
/// # Errors
/// Only where the answer cannot be written: all else is told in it.
pub fn run(input: impl Read, output: impl Write) -> Result<()> {
    let answer = match Query::read(input) {
        Ok(query) => answer(&query),
        Err(error) => silent(format!("{error:#}")),
    };
    protocol::answer(output, &answer)
}

fn answer(query: &Query) -> Answer {
    let places = Places::of_host();
    let Some(journal) = Journal::find(&places, &query.deployment_id) else {
        if !places.are_of_use() {
            let message = "what became of this deployment can only be seen in the output above: there is no folder to note it in";
            return Answer { status: Status::Warning, ..silent(message.to_owned()) };
        }
        return silent("the deployment is not logged: its `log` step left no trace on this machine; see its output above".to_owned());
    };
    let verdict = verdict(&journal, &query.bucket);
    let uri = |key: Option<String>| key.filter(|key| !key.is_empty()).map(|key| crate::aws::uri(&query.bucket, &key)).unwrap_or_default();
    let (config, record) = (journal.config, journal.record);
    Answer {
        status: verdict.status,
        message: verdict.message,
        config_hash: config.as_ref().map(|it| it.md5.clone()).unwrap_or_default(),
        backup_uri: uri(config.filter(|it| it.fault.is_none()).map(|it| it.key)),
        log_uri: uri(record.as_ref().map(|it| it.key.clone())),
        caller_arn: record.map(|it| it.user).unwrap_or_default(),
    }
}

fn silent(message: String) -> Answer {
    let none = String::new;
    Answer { status: Status::Error, message, config_hash: none(), backup_uri: none(), log_uri: none(), caller_arn: none() }
}

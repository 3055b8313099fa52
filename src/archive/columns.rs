//! The columns of an archive file.
//!
//! The record itself is one of them, byte for byte, and the only one that we read for its content.
//! The others are those of the SQL views, for engines that read the files.

use chrono::{DateTime, SecondsFormat, Utc};

use crate::archive::parquet::ArchivedRecord;
use crate::digest::sha256_hex;
use crate::keys::RecordKey;
use crate::record::deployment::Deployment;
use crate::record::parse::{self, ParsedRecord, RecordError};
use crate::record::{CiJob, GitCommit};
use crate::s3::caller::user_name_from_arn;
use crate::s3::listing::ObjectMeta;

pub(super) const KEY_COLUMN: &str = "key";
pub(super) const MODIFIED_COLUMN: &str = "last_modified";
pub(super) const ETAG_COLUMN: &str = "etag";
pub(super) const SIZE_COLUMN: &str = "size";
pub(super) const RECORD_COLUMN: &str = "record";

/// A record with what its columns say about it.
#[derive(Debug)]
pub struct ArchiveRow {
    pub(super) archived: ArchivedRecord,
    deployment: Deployment,
}

impl ArchiveRow {
    /// # Errors
    /// The object is not a record. Such an object is not archived.
    pub fn from_record(archived: ArchivedRecord) -> Result<Self, RecordError> {
        let Some(key) = RecordKey::parse(&archived.object.key) else {
            return Err(RecordError::InvalidKey);
        };
        let record = parse::parse_record(&archived.body)?;
        let deployment = Deployment::from_parsed(&archived.object, &key, record);
        Ok(Self {
            archived,
            deployment,
        })
    }

    fn record(&self) -> &ParsedRecord {
        &self.deployment.record
    }

    #[must_use]
    pub fn object(&self) -> &ObjectMeta {
        &self.archived.object
    }
}

/// How to get the value of a column from a row.
pub(super) enum ArchiveColumn {
    Text(fn(&ArchiveRow) -> String),
    OptionalText(fn(&ArchiveRow) -> Option<String>),
    Flag(fn(&ArchiveRow) -> bool),
    OptionalFlag(fn(&ArchiveRow) -> Option<bool>),
    Number(fn(&ArchiveRow) -> i64),
    OptionalNumber(fn(&ArchiveRow) -> Option<i64>),
    /// DECIMAL(20, 0), which holds every count, and which every engine supports.
    Count(fn(&ArchiveRow) -> u64),
}

use ArchiveColumn::{Count, Flag, Number, OptionalFlag, OptionalNumber, OptionalText, Text};

impl ArchiveColumn {
    /// The definition of this column in the message format of Parquet.
    pub(super) fn schema_field(&self, name: &str) -> String {
        match self {
            Text(_) => format!("REQUIRED BYTE_ARRAY {name} (UTF8);"),
            OptionalText(_) => format!("OPTIONAL BYTE_ARRAY {name} (UTF8);"),
            Flag(_) => format!("REQUIRED BOOLEAN {name};"),
            OptionalFlag(_) => format!("OPTIONAL BOOLEAN {name};"),
            Number(_) => format!("REQUIRED INT64 {name};"),
            OptionalNumber(_) => format!("OPTIONAL INT64 {name};"),
            Count(_) => format!("REQUIRED FIXED_LEN_BYTE_ARRAY (9) {name} (DECIMAL(20, 0));"),
        }
    }
}

/// The columns of the view `deployments`, then those that only we read. Add new ones at the end.
pub(super) const ARCHIVE_COLUMNS: [(&str, ArchiveColumn); 27] = [
    (
        "timestamp",
        Text(|row| format_time(row.deployment.deployed_at)),
    ),
    ("customer", Text(|row| row.deployment.customer.clone())),
    ("user", Text(user_name)),
    (
        "additional_users_count",
        Count(|row| row.record().additional_users_count),
    ),
    (
        "project_name",
        Text(|row| row.record().project_name.clone()),
    ),
    (
        "cluster_name",
        Text(|row| row.record().cluster_name.clone()),
    ),
    ("arn", Text(|row| row.record().user.clone())),
    ("account", Text(|row| row.record().account.clone())),
    ("config_hash", Text(|row| row.record().config_hash.clone())),
    ("backup", Text(|row| row.record().backup.clone())),
    ("late", Flag(|row| row.record().is_late)),
    (
        "deployment_id",
        Text(|row| row.record().deployment_id.clone()),
    ),
    ("git_commit", Text(|row| git_text(row, |git| &git.commit))),
    ("git_branch", Text(|row| git_text(row, |git| &git.branch))),
    ("git_dirty", OptionalFlag(is_git_dirty)),
    ("ci_provider", Text(|row| ci_text(row, |ci| &ci.provider))),
    ("ci_run_url", Text(|row| ci_text(row, |ci| &ci.run_url))),
    ("backup_key", Text(|row| row.record().backup_key.clone())),
    ("chain_writer", OptionalText(chain_writer)),
    ("chain_number", OptionalNumber(chain_number)),
    ("chain_previous", OptionalText(chain_previous)),
    ("sha256", Text(|row| sha256_hex(&row.archived.body))),
    (
        MODIFIED_COLUMN,
        Text(|row| format_time(row.object().last_modified)),
    ),
    (KEY_COLUMN, Text(|row| row.object().key.clone())),
    (ETAG_COLUMN, Text(|row| row.object().etag.clone())),
    (SIZE_COLUMN, Number(object_size)),
    (RECORD_COLUMN, Text(record_text)),
];

/// Columns whose values hardly ever repeat: a dictionary would make the file larger.
pub(super) const HIGH_CARDINALITY_COLUMNS: [&str; 7] = [
    "timestamp",
    "deployment_id",
    "chain_previous",
    "sha256",
    KEY_COLUMN,
    ETAG_COLUMN,
    RECORD_COLUMN,
];

fn format_time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn user_name(row: &ArchiveRow) -> String {
    user_name_from_arn(&row.record().user).to_owned()
}

fn git_text(row: &ArchiveRow, get: fn(&GitCommit) -> &String) -> String {
    match &row.record().git {
        Some(git) => get(git).clone(),
        None => String::new(),
    }
}

fn is_git_dirty(row: &ArchiveRow) -> Option<bool> {
    let git = row.record().git.as_ref()?;
    Some(git.dirty)
}

fn ci_text(row: &ArchiveRow, get: fn(&CiJob) -> &String) -> String {
    match &row.record().ci {
        Some(ci) => get(ci).clone(),
        None => String::new(),
    }
}

fn chain_writer(row: &ArchiveRow) -> Option<String> {
    let chain = row.record().chain.as_ref()?;
    Some(chain.writer.clone())
}

fn chain_number(row: &ArchiveRow) -> Option<i64> {
    let chain = row.record().chain.as_ref()?;
    i64::try_from(chain.number).ok()
}

fn chain_previous(row: &ArchiveRow) -> Option<String> {
    let chain = row.record().chain.as_ref()?;
    Some(chain.previous.clone())
}

fn object_size(row: &ArchiveRow) -> i64 {
    i64::try_from(row.object().size).unwrap_or(i64::MAX)
}

fn record_text(row: &ArchiveRow) -> String {
    String::from_utf8_lossy(&row.archived.body).into_owned()
}

//! Usage records: one JSON object on one line for every deployment.
//!
//! The written form is a contract (docs/reference/formats.md, "The usage record"): fields are
//! added at the end and never renamed. Must not access the bucket.
//!
//! - this file: the record as it is written
//! - `parse`: reads records, including those of the legacy module and damaged ones
//! - `deployment`: a parsed record together with its object

pub mod deployment;
pub mod parse;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

pub const RECORD_SCHEMA_VERSION: u32 = 1;

/// The largest record that is read.
pub const MAX_RECORD_BYTES: u64 = 1 << 20;

/// A usage record as it is written; the order of the fields is the order in the object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRecord {
    /// When the deployment happened: RFC 3339 with seconds, UTC, `Z`.
    pub timestamp: String,
    /// The customer's name as configured.
    pub customer: String,
    /// The full ARN of the caller (`sts:GetCallerIdentity`).
    pub user: String,
    /// The caller's unique id (`UserId` of `sts:GetCallerIdentity`).
    pub user_id: String,
    /// The caller's account, twelve digits.
    pub account: String,
    /// MD5 of the config, hex; empty if the config could not be read.
    pub config_hash: String,
    /// `mongodb.additional_users_count`; 0 if unknown.
    pub additional_users_count: u64,
    /// `mongodb.project_name`, or empty.
    pub project_name: String,
    /// `mongodb.cluster_name`, or empty.
    pub cluster_name: String,
    /// [`RECORD_SCHEMA_VERSION`].
    pub schema: u32,
    /// A nonce that names the deployment.
    pub deployment_id: String,
    pub backup: BackupStatus,
    /// The key of the config version that was deployed, or empty.
    pub backup_key: String,
    /// Whether a later run uploaded the record.
    #[serde(default, skip_serializing_if = "is_false")]
    pub late: bool,
    /// Present if the config is in a git checkout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<GitCommit>,
    /// Present if a CI job deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci: Option<CiJob>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<ToolVersions>,
    /// Set when the record is uploaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<ChainLink>,
    /// SHA-256 of the config, hex. Absent if the config could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_sha256: Option<String>,
}

/// The result of the config's backup in a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackupStatus {
    /// The bucket had another config, and has this one now.
    Uploaded,
    /// The bucket had this config already.
    Unchanged,
    /// The config is in the spool of the deploying machine. A later run uploads it.
    Spooled,
    /// The config was neither uploaded nor spooled.
    Failed,
}

/// The commit that was deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitCommit {
    /// The full commit id.
    pub commit: String,
    /// Empty for a detached head.
    pub branch: String,
    /// Whether there were uncommitted changes.
    pub dirty: bool,
}

/// The CI job that deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CiJob {
    /// `github`, `gitlab`, `jenkins`, …
    pub provider: String,
    /// The web page of the run, or empty.
    pub run_url: String,
}

/// A record's position in a chain.
///
/// A chain is what one machine writes for one customer. Each record has the digest of the previous
/// one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainLink {
    /// Names the chain: 16 random hex digits.
    pub writer: String,
    /// Counts from 1.
    pub number: u64,
    /// SHA-256 of the previous object, hex; empty for the first.
    pub previous: String,
    /// In the first record: the key of the customer's newest record when the chain began, as far
    /// as it is known. So a chain of one record cannot disappear together with its seal unnoticed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<String>,
}

/// The versions of the tools; empty if unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolVersions {
    /// The version of this executable.
    pub config_backup: String,
    /// For example `OpenTofu v1.12.6` or `Terraform v1.11.4`.
    #[serde(default)]
    pub terraform: String,
    /// For example `1.1.3`; empty without Terragrunt.
    #[serde(default)]
    pub terragrunt: String,
}

impl ToolVersions {
    #[must_use]
    pub fn own_version_only() -> Self {
        Self {
            config_backup: env!("CARGO_PKG_VERSION").to_owned(),
            terraform: String::new(),
            terragrunt: String::new(),
        }
    }
}

impl UsageRecord {
    /// The content of the object: one line that ends with a newline.
    #[must_use]
    pub fn to_line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }

    /// Like [`UsageRecord::to_line`], at this position of a chain.
    #[must_use]
    pub fn to_chained_line(mut self, chain: ChainLink) -> Vec<u8> {
        self.chain = Some(chain);
        self.to_line()
    }
}

/// Formats a time as in records: with whole seconds, UTC, `Z`.
#[must_use]
pub fn format_rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde requires this signature
fn is_false(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample_record() -> UsageRecord {
        UsageRecord {
            timestamp: "2025-10-30T14:30:52Z".into(),
            customer: "airbnb".into(),
            user: "arn:aws:iam::123456789012:user/jane.roe".into(),
            user_id: "AIDADEMO".into(),
            account: "123456789012".into(),
            config_hash: "d188280766a258ccc135ef480b49230c".into(),
            additional_users_count: 5,
            project_name: "airbnb-project".into(),
            cluster_name: "arena-cluster".into(),
            schema: RECORD_SCHEMA_VERSION,
            deployment_id: "20251030T143052Z-00".into(),
            backup: BackupStatus::Uploaded,
            backup_key: "terragrunt/airbnb/config-history/x.yaml".into(),
            late: false,
            git: None,
            ci: None,
            tools: None,
            chain: None,
            config_sha256: None,
        }
    }

    fn text_of(record: &UsageRecord) -> String {
        String::from_utf8(record.to_line()).expect("text")
    }

    #[test]
    fn a_record_is_one_line_with_its_fields_in_the_documented_order() {
        let line = text_of(&sample_record());
        assert_eq!(
            line,
            "{\"timestamp\":\"2025-10-30T14:30:52Z\",\"customer\":\"airbnb\",\
             \"user\":\"arn:aws:iam::123456789012:user/jane.roe\",\
             \"user_id\":\"AIDADEMO\",\"account\":\"123456789012\",\
             \"config_hash\":\"d188280766a258ccc135ef480b49230c\",\
             \"additional_users_count\":5,\
             \"project_name\":\"airbnb-project\",\"cluster_name\":\"arena-cluster\",\"schema\":1,\
             \"deployment_id\":\"20251030T143052Z-00\",\"backup\":\"uploaded\",\
             \"backup_key\":\"terragrunt/airbnb/config-history/x.yaml\"}\n"
        );
    }

    #[test]
    fn late_and_the_optional_objects_come_last() {
        let mut record = sample_record();
        record.late = true;
        record.git = Some(GitCommit {
            commit: "c0ffee".into(),
            branch: "main".into(),
            dirty: true,
        });
        record.chain = Some(ChainLink {
            writer: "0a".into(),
            number: 1,
            previous: String::new(),
            newest: Some("usage-logs/airbnb/x.json".into()),
        });
        record.config_sha256 = Some("5a".into());
        let line = text_of(&record);
        let tail = ",\"late\":true,\
                    \"git\":{\"commit\":\"c0ffee\",\"branch\":\"main\",\"dirty\":true},\
                    \"chain\":{\"writer\":\"0a\",\"number\":1,\"previous\":\"\",\
                    \"newest\":\"usage-logs/airbnb/x.json\"},\"config_sha256\":\"5a\"}\n";
        assert!(line.ends_with(tail), "{line}");
    }

    #[test]
    fn uploading_adds_only_the_chain_link() {
        let chain = ChainLink {
            writer: "0a".into(),
            number: 7,
            previous: "b1".into(),
            newest: None,
        };
        let uploaded = sample_record().to_chained_line(chain);
        let uploaded = String::from_utf8(uploaded).expect("text");
        let spooled = text_of(&sample_record());
        let tail = ",\"chain\":{\"writer\":\"0a\",\"number\":7,\"previous\":\"b1\"}}\n";
        assert_eq!(uploaded.strip_suffix(tail), spooled.strip_suffix("}\n"));
    }

    #[test]
    fn times_are_written_in_whole_seconds_with_a_z() {
        // date -u -d @1761834652
        let time = DateTime::from_timestamp(1_761_834_652, 999_999_999).expect("a time");
        assert_eq!(format_rfc3339(time), "2025-10-30T14:30:52Z");
    }
}

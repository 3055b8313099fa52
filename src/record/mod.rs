//! The usage record as it is written: one JSON object on one line for every deployment.
//!
//! Pure. Its form is a contract (docs/reference/formats.md, "The usage record"): fields are added at the end, never renamed.
//! `reading.rs` reads it, and what others wrote in its place.

pub mod deployment;
pub mod parse;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// The version of the written form.
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
    /// MD5 of the config's bytes, hex; empty where the config could not be read.
    pub config_hash: String,
    /// `mongodb.additional_users_count`; 0 where it is not known.
    pub additional_users_count: u64,
    /// `mongodb.project_name`, or empty.
    pub project_name: String,
    /// `mongodb.cluster_name`, or empty.
    pub cluster_name: String,
    /// [`SCHEMA`].
    pub schema: u32,
    /// Names the deployment: a nonce minted at plan.
    pub deployment_id: String,
    /// What became of the config: see [`Backup`].
    pub backup: BackupStatus,
    /// The key of the config version that was deployed; empty where there is none.
    pub backup_key: String,
    /// Whether the record was sent by a later run than its own; left out where it was not.
    #[serde(default, skip_serializing_if = "is_false")]
    pub late: bool,
    /// The commit that was deployed, if the config lies in a git checkout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<GitCommit>,
    /// The CI job that deployed, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci: Option<CiJob>,
    /// The versions of the tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<ToolVersions>,
    /// The record's place among those of its writer; given when it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<ChainLink>,
}

/// What became of the config in a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackupStatus {
    /// The bucket had another config, and has this one now.
    Uploaded,
    /// The bucket had this config already.
    Unchanged,
    /// Kept on the deploying machine, and sent by one of its next runs.
    Spooled,
    /// Neither sent nor kept.
    Failed,
}

/// The commit that was deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitCommit {
    /// The full id of the commit.
    pub commit: String,
    /// The branch; empty when detached.
    pub branch: String,
    /// Whether there were uncommitted changes.
    pub dirty: bool,
}

/// The CI job that deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CiJob {
    /// `github`, `gitlab`, `jenkins`, …
    pub provider: String,
    /// Where the run can be looked at; empty where the CI does not say.
    pub run_url: String,
}

/// A record's place in a chain: what one machine writes of one customer, each record with the digest of the one before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainLink {
    /// Names the chain: 16 hex digits that mean nothing.
    pub writer: String,
    /// Counts from 1.
    pub number: u64,
    /// SHA-256 of the object before, hex; empty for the first.
    pub previous: String,
}

/// The versions of the tools; empty where they are not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolVersions {
    /// This executable's version.
    pub config_backup: String,
    /// As `OpenTofu v1.12.6` or `Terraform v1.11.4`.
    #[serde(default)]
    pub terraform: String,
    /// As `1.1.3`; empty without Terragrunt.
    #[serde(default)]
    pub terragrunt: String,
}

impl ToolVersions {
    /// What is known without asking: our own version.
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
    /// The object's bytes: one line, ending in a newline.
    #[must_use]
    pub fn to_line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }

    /// As [`Record::to_line`], in this place of a chain.
    #[must_use]
    pub fn to_chained_line(self, chain: ChainLink) -> Vec<u8> {
        Self {
            chain: Some(chain),
            ..self
        }
        .to_line()
    }
}

/// A time as it stands in records: RFC 3339 with seconds, UTC, `Z`.
#[must_use]
pub fn format_rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the signature that serde calls
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
        }
    }

    #[test]
    fn a_record_is_one_line_with_its_fields_in_the_documented_order() {
        let line = String::from_utf8(sample_record().to_line()).expect("text");
        assert_eq!(
            line,
            "{\"timestamp\":\"2025-10-30T14:30:52Z\",\"customer\":\"airbnb\",\
             \"user\":\"arn:aws:iam::123456789012:user/jane.roe\",\"user_id\":\"AIDADEMO\",\"account\":\"123456789012\",\
             \"config_hash\":\"d188280766a258ccc135ef480b49230c\",\"additional_users_count\":5,\
             \"project_name\":\"airbnb-project\",\"cluster_name\":\"arena-cluster\",\"schema\":1,\
             \"deployment_id\":\"20251030T143052Z-00\",\"backup\":\"uploaded\",\
             \"backup_key\":\"terragrunt/airbnb/config-history/x.yaml\"}\n"
        );
    }

    #[test]
    fn late_and_the_optional_objects_come_last() {
        let git = GitCommit {
            commit: "c0ffee".into(),
            branch: "main".into(),
            dirty: true,
        };
        let chain = Some(ChainLink {
            writer: "0a".into(),
            number: 1,
            previous: String::new(),
        });
        let line = String::from_utf8(
            UsageRecord {
                late: true,
                git: Some(git),
                chain,
                ..sample_record()
            }
            .to_line(),
        )
        .expect("text");
        let tail = ",\"late\":true,\"git\":{\"commit\":\"c0ffee\",\"branch\":\"main\",\"dirty\":true},\
                    \"chain\":{\"writer\":\"0a\",\"number\":1,\"previous\":\"\"}}\n";
        assert!(line.ends_with(tail), "{line}");
    }

    #[test]
    fn uploading_adds_only_the_chain_link() {
        let chain = ChainLink {
            writer: "0a".into(),
            number: 7,
            previous: "b1".into(),
        };
        let sent = String::from_utf8(sample_record().to_chained_line(chain)).expect("text");
        let kept = String::from_utf8(sample_record().to_line()).expect("text");
        let tail = ",\"chain\":{\"writer\":\"0a\",\"number\":7,\"previous\":\"b1\"}}\n";
        assert_eq!(sent.strip_suffix(tail), kept.strip_suffix("}\n"));
    }

    #[test]
    fn times_are_written_in_whole_seconds_with_a_z() {
        let at = DateTime::from_timestamp(1_761_834_652, 999_999_999).expect("a time"); // date -u -d @1761834652
        assert_eq!(format_rfc3339(at), "2025-10-30T14:30:52Z");
    }
}

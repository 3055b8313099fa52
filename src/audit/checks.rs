//! Whether what the bucket holds of a customer is what was written: each record and version against its name, its metadata
//! and all the others that speak of it.
//!
//! Pure. It tells what changed, not who changed it: who may write to the bucket may also write everything anew.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use crate::audit::chain_walk;
use crate::chain::seal::ChainSeal;
use crate::digest::ContentDigests;
use crate::history::integrity::{StatedDigests, verify_digests};
use crate::keys;
use crate::record::{ChainLink, format_rfc3339};

/// Two deployments as near to each other may have been under way at once.
const CONCURRENT_DEPLOYMENT_WINDOW: TimeDelta = TimeDelta::minutes(5);

/// What is wrong with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// Its content is not what it was.
    Edited,
    /// Something names it, and it is not there.
    Missing,
    /// It is not the one that belongs there.
    Misplaced,
    /// It is there a second time.
    Twice,
    /// Nothing vouches for it.
    Unsealed,
    /// No usage record names it.
    Unrecorded,
}

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct AuditFinding {
    /// What is wrong.
    #[serde(rename = "finding")]
    pub kind: FindingKind,
    /// The object's key.
    pub key: String,
    /// How that shows.
    #[serde(rename = "detail")]
    pub detail: String,
}

/// A usage record and its object.
#[derive(Debug, Clone, Default)]
pub struct AuditedRecord {
    /// The key.
    pub key: String,
    /// SHA-256 of the object.
    pub sha256: String,
    /// When the deployment was, by the record.
    pub at: Option<DateTime<Utc>>,
    /// The customer, by the record.
    pub customer: String,
    /// The deployment; empty in records of the earlier module.
    pub deployment_id: String,
    /// The MD5 of its config.
    pub config_hash: String,
    /// What became of the config.
    pub backup: String,
    /// The key of its version.
    pub backup_key: String,
    /// Its place in a chain.
    pub chain: Option<ChainLink>,
    /// Why it cannot be read, if it cannot.
    pub read_error: Option<String>,
}

/// An object that holds a config.
#[derive(Debug, Clone)]
pub struct AuditedConfig {
    /// The key.
    pub key: String,
    /// When its bytes were read, by its name; `None` for `config.yaml` itself.
    pub named_at: Option<DateTime<Utc>>,
    /// When its bytes were read, by its metadata.
    pub captured_at: Option<DateTime<Utc>>,
    /// What else is said of its bytes.
    pub stated: StatedDigests,
    /// The digests of its bytes.
    pub digests: ContentDigests,
    /// How many these are.
    pub byte_count: u64,
}

/// What the bucket holds of a customer.
#[derive(Debug, Default)]
pub struct CustomerHoldings {
    /// The usage records, by key.
    pub records: Vec<AuditedRecord>,
    /// The seals by key; `None` for an object that is none.
    pub seals: BTreeMap<String, Option<ChainSeal>>,
    /// The versions of the config.
    pub versions: Vec<AuditedConfig>,
    /// The config as of the last deployment that changed it.
    pub current: Vec<AuditedConfig>,
    /// Objects of the archive that are not what was written, with the reason.
    pub damaged_archives: Vec<(String, String)>,
}

impl CustomerHoldings {
    /// How many records nothing can vouch for: those of the earlier module, and of helpers before there were chains.
    #[must_use]
    pub fn count_unchained_records(&self) -> usize {
        self.records
            .iter()
            .filter(|record| record.chain.is_none() && record.read_error.is_none())
            .count()
    }
}

/// Compares everything with everything that speaks of it; each finding once, by key.
#[must_use]
pub fn audit_customer(customer: &str, holdings: &CustomerHoldings) -> Vec<AuditFinding> {
    let mut findings = chain_walk::walk_chains(holdings);
    check_records(customer, holdings, &mut findings);
    check_versions(holdings, &mut findings);
    check_current_config(customer, holdings, &mut findings);
    findings.extend(
        holdings
            .damaged_archives
            .iter()
            .map(|(key, why)| AuditFinding {
                kind: FindingKind::Edited,
                key: key.clone(),
                detail: why.clone(),
            }),
    );
    findings.sort_by(|a, b| (&a.key, a.kind).cmp(&(&b.key, b.kind)));
    // What is damaged was edited, and named for it.
    findings.dedup_by(|a, b| (&a.key, a.kind) == (&b.key, b.kind));
    findings
}

fn check_records(customer: &str, holdings: &CustomerHoldings, findings: &mut Vec<AuditFinding>) {
    let first_sealed = holdings
        .records
        .iter()
        .filter(|it| it.chain.is_some())
        .filter_map(|it| it.at)
        .min();
    let there: HashSet<&str> = holdings.versions.iter().map(|it| it.key.as_str()).collect();
    let mut seen: HashMap<&str, &str> = HashMap::new();
    for record in &holdings.records {
        let mut find = |what, why: String| {
            findings.push(AuditFinding {
                kind: what,
                key: record.key.clone(),
                detail: why,
            });
        };
        if let Some(damage) = &record.read_error {
            find(FindingKind::Edited, damage.clone());
            continue;
        }
        if let Some(belongs) = explain_misplacement(customer, record) {
            find(FindingKind::Misplaced, belongs);
        }
        if let Some(first) = seen.insert(&record.sha256, &record.key) {
            find(
                FindingKind::Twice,
                format!("it is the record that lies at `{first}`"),
            );
        }
        if record.chain.is_none()
            && record
                .at
                .zip(first_sealed)
                .is_some_and(|(at, first)| at > first)
        {
            find(
                FindingKind::Unsealed,
                "it is in no chain, and an earlier one is: made up, or by a helper that knows no chains".to_owned(),
            );
        }
        let is_backed_up = matches!(record.backup.as_str(), "uploaded" | "unchanged" | "spooled");
        if is_backed_up
            && !record.backup_key.is_empty()
            && !there.contains(record.backup_key.as_str())
        {
            let kept = if record.backup == "spooled" {
                "; it may still be kept on the machine that deployed"
            } else {
                ""
            };
            let why = format!(
                "the config of the deployment at `{}` is not there{kept}",
                record.key
            );
            findings.push(AuditFinding {
                kind: FindingKind::Missing,
                key: record.backup_key.clone(),
                detail: why,
            });
        }
    }
}

/// Where a record belongs, if not where it is.
fn explain_misplacement(customer: &str, record: &AuditedRecord) -> Option<String> {
    let elsewhere = |why: String| Some(why);
    if record.deployment_id.is_empty() {
        // The earlier module called a record after its config.
        let stem = record.key.rsplit('/').next()?.strip_suffix(".json")?;
        let is_md5 = stem.len() == 32 && stem.bytes().all(|byte| byte.is_ascii_hexdigit());
        return if is_md5 && stem != record.config_hash {
            elsewhere("it is of another config than its name says".to_owned())
        } else {
            None
        };
    }
    if record.customer != customer {
        return elsewhere("it is of another customer".to_owned());
    }
    let Some(at) = record.at else {
        return elsewhere("it does not say when".to_owned());
    };
    let keys = [
        keys::record_key(customer, at),
        keys::record_key_with_suffix(customer, at, &record.deployment_id),
    ];
    if keys.contains(&record.key) {
        None
    } else {
        elsewhere(format!("it is the record that belongs to `{}`", keys[0]))
    }
}

fn check_versions(holdings: &CustomerHoldings, findings: &mut Vec<AuditFinding>) {
    let recorded: HashSet<&str> = holdings
        .records
        .iter()
        .map(|it| it.backup_key.as_str())
        .collect();
    for copy in &holdings.versions {
        let mut find = |what, why: String| {
            findings.push(AuditFinding {
                kind: what,
                key: copy.key.clone(),
                detail: why,
            });
        };
        if copy.stated.md5.is_empty() || copy.captured_at.is_none() {
            find(FindingKind::Edited, "it has lost its metadata".to_owned());
        } else if copy.captured_at != copy.named_at {
            find(
                FindingKind::Misplaced,
                "it is of another time than its name says".to_owned(),
            );
        }
        if let Err(why) = verify_digests(&copy.stated, &copy.digests, copy.byte_count) {
            find(FindingKind::Edited, why);
        }
        if !recorded.contains(copy.key.as_str()) {
            find(
                FindingKind::Unrecorded,
                "no usage record names it".to_owned(),
            );
        }
    }
}

fn check_current_config(
    customer: &str,
    holdings: &CustomerHoldings,
    findings: &mut Vec<AuditFinding>,
) {
    if holdings.current.is_empty() && !holdings.versions.is_empty() {
        findings.push(AuditFinding {
            kind: FindingKind::Missing,
            key: keys::current_config_key(customer),
            detail: "versions of it are there".to_owned(),
        });
    }
    for copy in &holdings.current {
        let mut find = |what, key: &str, why: String| {
            findings.push(AuditFinding {
                kind: what,
                key: key.to_owned(),
                detail: why,
            });
        };
        if let Err(why) = verify_digests(&copy.stated, &copy.digests, copy.byte_count) {
            find(FindingKind::Edited, &copy.key, why);
            continue;
        }
        let Some(at) = copy.captured_at else {
            let is_known = holdings
                .records
                .iter()
                .any(|record| record.config_hash == copy.digests.md5);
            if !holdings.versions.is_empty() && !is_known {
                find(
                    FindingKind::Edited,
                    &copy.key,
                    "it has lost its metadata, and no usage record knows its MD5".to_owned(),
                );
            }
            continue;
        };
        let history = keys::config_version_key(customer, at, &copy.digests.md5);
        if !holdings
            .versions
            .iter()
            .any(|version| version.key == history)
        {
            find(
                FindingKind::Missing,
                &history,
                format!("`{}` is a copy of it", copy.key),
            );
        }
        if let Some(last) = find_later_deployment(holdings, copy, at) {
            let when = last.at.map(format_rfc3339).unwrap_or_default();
            let kept = "that one may still be kept on the machine that deployed";
            let why = format!(
                "it is not the config of the last deployment, of {when} (`{}`); {kept}",
                last.key
            );
            find(FindingKind::Edited, &copy.key, why);
        }
    }
}

/// The last deployment, if it found or left another config than this one, which is older.
fn find_later_deployment<'a>(
    holdings: &'a CustomerHoldings,
    copy: &AuditedConfig,
    captured_at: DateTime<Utc>,
) -> Option<&'a AuditedRecord> {
    let sent = |record: &&AuditedRecord| {
        matches!(record.backup.as_str(), "uploaded" | "unchanged") && record.at.is_some()
    };
    let last = holdings
        .records
        .iter()
        .filter(sent)
        .max_by_key(|record| record.at)?;
    let at = last.at?;
    let others = holdings.records.iter().filter(|record| {
        record
            .at
            .is_some_and(|it| it > at - CONCURRENT_DEPLOYMENT_WINDOW)
    });
    let is_theirs = others
        .into_iter()
        .any(|record| record.config_hash == copy.digests.md5);
    (!is_theirs && captured_at < at - CONCURRENT_DEPLOYMENT_WINDOW).then_some(last)
}

#[cfg(test)]
mod tests;

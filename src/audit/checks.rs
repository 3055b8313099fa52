//! Compares each record and each config with its key, its metadata and all that names it.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};

use crate::audit::chain_walk;
use crate::audit::finding::{AuditFinding, FindingKind};
use crate::audit::retention::RecordRetention;
use crate::history::integrity::{DigestMismatch, StatedDigests, verify_digests};
use crate::keys::{self, ConfigVersionKey, is_lower_hex};
use crate::record::format_rfc3339;
use crate::snapshot::{ConfigVersion, CustomerSnapshot, RecordReadError, StoredRecord};

/// Deployments this near to each other may have run at the same time.
const CONCURRENT_DEPLOYMENT_WINDOW: TimeDelta = TimeDelta::minutes(5);

const MAYBE_QUEUED: &str = "it may still be queued on the machine that deployed";

/// All findings of a customer, by key and each once. The configs need their content.
#[must_use]
pub fn audit_customer(
    customer: &CustomerSnapshot,
    retention: RecordRetention,
) -> Vec<AuditFinding> {
    let mut findings = chain_walk::walk_chains(customer, retention);
    check_records(customer, &mut findings);
    check_deployed_configs(customer, &mut findings);
    check_copies(customer, retention, &mut findings);
    check_current_configs(customer, &mut findings);
    for object in &customer.unreadable_seals {
        let key = object.key.as_deref().unwrap_or_default();
        findings.push(AuditFinding::new(
            FindingKind::Unreadable,
            key,
            &object.reason,
        ));
    }
    for archive in &customer.damaged_archives {
        let key = archive.key.as_deref().unwrap_or_default();
        findings.push(AuditFinding::new(FindingKind::Edited, key, &archive.reason));
    }
    findings.sort_by(|a, b| (&a.key, a.kind).cmp(&(&b.key, b.kind)));
    // The first reason is enough for an object that was edited.
    findings.dedup_by(|a, b| (&a.key, a.kind) == (&b.key, b.kind));
    findings
}

/// How many records are not part of a chain, so that nothing can verify them.
///
/// The legacy module wrote them, and helpers before there were chains.
#[must_use]
pub fn count_unchained_records(customer: &CustomerSnapshot) -> usize {
    let is_unchained =
        |record: &&StoredRecord| record.parsed.chain.is_none() && record.read_error.is_none();
    customer.records.iter().filter(is_unchained).count()
}

fn check_records(customer: &CustomerSnapshot, findings: &mut Vec<AuditFinding>) {
    let first_chained = first_chained_at(&customer.records);
    let copies: HashSet<&str> = customer
        .config_copies
        .iter()
        .map(|it| it.key.as_str())
        .collect();
    let mut keys_by_sha256: HashMap<&str, &str> = HashMap::new();
    for record in &customer.records {
        let mut add = |kind, detail: String| {
            findings.push(AuditFinding::new(kind, &record.key, detail));
        };
        if let Some(error) = &record.read_error {
            let kind = match error {
                RecordReadError::NotFetched(_) => FindingKind::Unreadable,
                RecordReadError::Invalid(_) => FindingKind::Edited,
            };
            add(kind, error.to_string());
            continue;
        }
        if let Some(reason) = explain_misplacement(&customer.name, record) {
            add(FindingKind::Misplaced, reason);
        }
        let sha256 = record.sha256.as_deref().unwrap_or_default();
        if let Some(first) = keys_by_sha256.insert(sha256, &record.key) {
            add(
                FindingKind::Twice,
                format!("it has the content of `{first}`"),
            );
        }
        if is_unchained_after(record, first_chained) {
            let detail = "it is not part of a chain, but an earlier record is: forged, or written \
                          by a helper that knows no chains";
            add(FindingKind::Unsealed, detail.to_owned());
        }

        let backup_key = record.parsed.backup_key.as_str();
        let is_backed_up = record.has_confirmed_backup() || record.has_spooled_backup();
        if is_backed_up && !backup_key.is_empty() && !copies.contains(backup_key) {
            let mut detail = format!(
                "the config of the deployment at `{}` is missing",
                record.key
            );
            if record.has_spooled_backup() {
                detail = format!("{detail}; {MAYBE_QUEUED}");
            }
            findings.push(AuditFinding::new(FindingKind::Missing, backup_key, detail));
        }
    }
}

fn first_chained_at(records: &[StoredRecord]) -> Option<DateTime<Utc>> {
    let chained = records
        .iter()
        .filter(|record| record.parsed.chain.is_some());
    chained.filter_map(|record| record.parsed.deployed_at).min()
}

/// A record without a time counts as one of now, so that it cannot hide in the past.
fn is_unchained_after(record: &StoredRecord, first_chained: Option<DateTime<Utc>>) -> bool {
    let Some(first) = first_chained else {
        return false;
    };
    let is_later = record.parsed.deployed_at.is_none_or(|at| at > first);
    record.parsed.chain.is_none() && is_later
}

/// Compares each record with the copy of the config that it names.
fn check_deployed_configs(customer: &CustomerSnapshot, findings: &mut Vec<AuditFinding>) {
    let mut sha256_by_key: HashMap<&str, &str> = HashMap::new();
    for copy in &customer.config_copies {
        if let Some(content) = &copy.content {
            sha256_by_key.insert(&copy.key, &content.digests.sha256);
        }
    }
    for record in &customer.records {
        let parsed = &record.parsed;
        let Some(name) = ConfigVersionKey::parse(&parsed.backup_key) else {
            continue;
        };
        if name.md5 != parsed.config_hash && !parsed.deployment_id.is_empty() {
            let detail = "its `backup_key` names another config than its `config_hash`";
            findings.push(AuditFinding::new(FindingKind::Edited, &record.key, detail));
        }
        if let Some(sha256) = sha256_by_key.get(parsed.backup_key.as_str())
            && !parsed.config_sha256.is_empty()
            && parsed.config_sha256 != *sha256
        {
            let key = &parsed.backup_key;
            let detail = format!("it is not the config of the deployment at `{}`", record.key);
            findings.push(AuditFinding::new(FindingKind::Edited, key, detail));
        }
    }
}

/// Why a record does not belong to its key, if it does not.
fn explain_misplacement(customer: &str, record: &StoredRecord) -> Option<String> {
    let parsed = &record.parsed;
    if parsed.deployment_id.is_empty() {
        // The legacy module named a record after the MD5 of its config.
        let (_, name) = record.key.rsplit_once('/')?;
        let stem = name.strip_suffix(".json")?;
        if is_lower_hex(stem, 32) && stem != parsed.config_hash {
            return Some("it is the record of another config than its key says".to_owned());
        }
        return None;
    }
    if parsed.customer != customer {
        return Some("it is the record of another customer".to_owned());
    }
    let Some(at) = parsed.deployed_at else {
        return Some("it has no usable `timestamp`".to_owned());
    };
    let key = keys::record_key(customer, at);
    let key_with_suffix = keys::record_key_with_suffix(customer, at, &parsed.deployment_id);
    if record.key == key || record.key == key_with_suffix {
        return None;
    }
    Some(format!("it is the record that belongs to `{key}`"))
}

fn verify_config(config: &ConfigVersion) -> Result<(), DigestMismatch> {
    let Some(content) = &config.content else {
        return Ok(());
    };
    let metadata = config.metadata.clone().unwrap_or_default();
    let known_md5 = config.copy_name.as_ref().map(|name| name.md5.as_str());
    let stated = StatedDigests::new(&metadata, config.size, known_md5);
    verify_digests(&stated, content)?;
    Ok(())
}

/// When the config was captured by its metadata, if that is complete.
fn captured_by_metadata(config: &ConfigVersion) -> Option<DateTime<Utc>> {
    let metadata = config.metadata.as_ref()?;
    let has_digests = metadata.md5.is_some() && metadata.sha256.is_some();
    if !has_digests || metadata.deployment_id.is_none() {
        return None;
    }
    metadata.captured_at
}

fn check_copies(
    customer: &CustomerSnapshot,
    retention: RecordRetention,
    findings: &mut Vec<AuditFinding>,
) {
    let mut recorded: HashMap<&str, Vec<&StoredRecord>> = HashMap::new();
    for record in &customer.records {
        let named = recorded.entry(&record.parsed.backup_key).or_default();
        named.push(record);
    }
    let mut config_by_deployment: HashMap<&str, &str> = HashMap::new();
    for record in &customer.records {
        let parsed = &record.parsed;
        config_by_deployment.insert(&parsed.deployment_id, &parsed.config_hash);
    }
    for copy in &customer.config_copies {
        let mut add = |kind, detail: String| {
            findings.push(AuditFinding::new(kind, &copy.key, detail));
        };
        if let Some(reason) = &copy.read_error {
            add(FindingKind::Unreadable, reason.clone());
            continue;
        }
        let named_at = copy.copy_name.as_ref().map(|name| name.captured_at);
        match captured_by_metadata(copy) {
            None => add(FindingKind::Edited, "its metadata is missing".to_owned()),
            Some(captured_at) if Some(captured_at) != named_at => {
                let detail = "its key and its metadata have different times";
                add(FindingKind::Misplaced, detail.to_owned());
            }
            Some(_) => {}
        }
        if let Err(mismatch) = verify_config(copy) {
            add(FindingKind::Edited, mismatch.to_string());
        }
        let Some(named_by) = recorded.get(copy.key.as_str()) else {
            if !retention.may_have_expired(named_at) {
                let detail = "no usage record names it".to_owned();
                add(FindingKind::Unrecorded, detail);
            }
            continue;
        };
        let uploaded_by = named_by.iter().find(|it| it.parsed.backup == "uploaded");
        let stated_id = copy.deployment_id().unwrap_or_default();
        let recorded_md5 = config_by_deployment.get(stated_id).copied();
        // The record of the deployment that wrote it may be queued, or may have expired.
        let is_known_writer = recorded_md5.is_some() && recorded_md5 == copy.md5();
        let may_be_queued = uploaded_by.is_none() || retention.may_have_expired(named_at);
        if !is_known_writer && !may_be_queued {
            let detail = "its metadata names another deployment than the usage records";
            add(FindingKind::Edited, detail.to_owned());
        }
    }
}

fn check_current_configs(customer: &CustomerSnapshot, findings: &mut Vec<AuditFinding>) {
    if customer.current_configs.is_empty() && !customer.config_copies.is_empty() {
        let key = keys::current_config_key(&customer.name);
        let detail = "it is missing, but copies of its versions exist";
        findings.push(AuditFinding::new(FindingKind::Missing, &key, detail));
    }
    for config in &customer.current_configs {
        if let Some(reason) = &config.read_error {
            findings.push(AuditFinding::new(
                FindingKind::Unreadable,
                &config.key,
                reason,
            ));
            continue;
        }
        if let Err(mismatch) = verify_config(config) {
            let detail = mismatch.to_string();
            findings.push(AuditFinding::new(FindingKind::Edited, &config.key, detail));
            continue;
        }
        check_current_config(customer, config, findings);
    }
}

/// Compares a `config.yaml` with the copies and the records.
fn check_current_config(
    customer: &CustomerSnapshot,
    config: &ConfigVersion,
    findings: &mut Vec<AuditFinding>,
) {
    let md5 = content_md5(config);
    let captured_at = config
        .metadata
        .as_ref()
        .and_then(|metadata| metadata.captured_at);
    let Some(captured_at) = captured_at else {
        // The legacy module wrote none, and a helper always writes it.
        let is_of_legacy_module = customer
            .records
            .iter()
            .any(|it| it.parsed.deployment_id.is_empty() && it.parsed.config_hash == md5);
        let is_older = find_later_deployment(customer, md5, DateTime::<Utc>::MIN_UTC).is_some();
        if !customer.config_copies.is_empty() && (!is_of_legacy_module || is_older) {
            let detail = "its metadata is missing";
            findings.push(AuditFinding::new(FindingKind::Edited, &config.key, detail));
        }
        return;
    };

    let copy_key = keys::config_version_key(&customer.name, captured_at, md5);
    let mut copies = customer.config_copies.iter();
    match copies.find(|copy| copy.key == copy_key) {
        Some(copy) if copy.read_error.is_none() && !is_same_writer(customer, config, copy) => {
            let detail = format!("its metadata names another deployment than `{copy_key}`");
            findings.push(AuditFinding::new(FindingKind::Edited, &config.key, detail));
        }
        None => {
            let detail = format!("it is missing, although `{}` is a copy of it", config.key);
            findings.push(AuditFinding::new(FindingKind::Missing, &copy_key, detail));
        }
        Some(_) => {}
    }
    if let Some(last) = find_later_deployment(customer, md5, captured_at) {
        let when = last
            .parsed
            .deployed_at
            .map(format_rfc3339)
            .unwrap_or_default();
        let detail = format!(
            "it is not the config of the last deployment, {when} (`{}`); {MAYBE_QUEUED}",
            last.key
        );
        findings.push(AuditFinding::new(FindingKind::Edited, &config.key, detail));
    }
}

/// Whether one deployment wrote both. Of two in the same second, each may have written one.
fn is_same_writer(
    customer: &CustomerSnapshot,
    config: &ConfigVersion,
    copy: &ConfigVersion,
) -> bool {
    let stated_id = config.deployment_id();
    let mut records = customer.records.iter();
    let backup_id = |it: &ConfigVersion| it.metadata.as_ref().and_then(|it| it.backup_id.clone());
    let is_same_upload = backup_id(config) == backup_id(copy);
    (stated_id == copy.deployment_id() && is_same_upload)
        || records.any(|record| {
            let parsed = &record.parsed;
            stated_id == Some(parsed.deployment_id.as_str()) && parsed.backup_key == copy.key
        })
}

fn content_md5(config: &ConfigVersion) -> &str {
    match &config.content {
        Some(content) => &content.digests.md5,
        None => "",
    }
}

/// The last deployment, if it used another config than this one, which is older.
fn find_later_deployment<'a>(
    customer: &'a CustomerSnapshot,
    md5: &str,
    captured_at: DateTime<Utc>,
) -> Option<&'a StoredRecord> {
    let has_time_and_backup = |record: &&StoredRecord| {
        record.parsed.deployed_at.is_some() && record.has_confirmed_backup()
    };
    let confirmed = customer.records.iter().filter(has_time_and_backup);
    let last = confirmed.max_by_key(|record| record.parsed.deployed_at)?;
    let window_start = last.parsed.deployed_at? - CONCURRENT_DEPLOYMENT_WINDOW;
    if captured_at >= window_start {
        return None;
    }
    // Of deployments at the same time, each may have been the last to upload.
    for record in &customer.records {
        let is_concurrent = record
            .parsed
            .deployed_at
            .is_some_and(|at| at > window_start);
        if is_concurrent && record.parsed.config_hash == md5 {
            return None;
        }
    }
    Some(last)
}

#[cfg(test)]
mod tests;

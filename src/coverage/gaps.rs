//! What is missing in the bucket: states, usage records and configs of a customer, compared.
//!
//! Must not guess: each gap has evidence. Must not read: `collect.rs` does.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, Utc};
use serde::Serialize;

use crate::coverage::evidence::{CustomerEvidence, SpooledContent, SpooledEvidence};
use crate::coverage::state_changes::{MAX_RECORD_LAG, UnloggedChanges, find_unlogged_changes};
use crate::keys::parse_record_key;
use crate::output::sanitize::count_noun;
use crate::record::format_rfc3339;
use crate::snapshot::{ConfigVersion, StateChange, StoredRecord};

/// How many names a gap lists.
const MAX_LISTED_NAMES: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GapKind {
    /// A state changed without a usage record.
    Unlogged,
    /// States without a config.
    NoBackup,
    /// `config.yaml` is not that of the last deployment.
    Outdated,
    /// A record whose config is missing.
    MissingVersion,
    /// A deployment that left a config or a seal without a record, or a gap in a chain of records.
    MissingRecord,
    /// An upload is spooled on this machine.
    Pending,
}

impl GapKind {
    /// The word in the output.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unlogged => "unlogged",
            Self::NoBackup => "no-backup",
            Self::Outdated => "outdated",
            Self::MissingVersion => "missing-version",
            Self::MissingRecord => "missing-record",
            Self::Pending => "pending",
        }
    }
}

/// Something that is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CoverageGap {
    pub kind: GapKind,
    pub customer: String,
    /// When it happened or began: RFC 3339, UTC; empty if there is no time.
    pub at: String,
    /// How many changes or records it is about.
    pub count: usize,
    /// The units whose states changed.
    pub units: Vec<String>,
    /// The key of the object that is missing, or that is evidence.
    pub key: String,
    /// Empty if it is unknown.
    pub deployment_id: String,
    /// All of it as a sentence.
    pub text: String,
}

/// The times that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GapScope {
    /// How long before a state's change its record may be.
    pub window: Duration,
    /// Nothing that happened before this.
    pub since: Option<DateTime<Utc>>,
}

impl GapScope {
    fn covers_time(&self, at: DateTime<Utc>) -> bool {
        self.since.is_none_or(|since| at >= since)
    }
}

/// What a record without its config names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum MissingConfig<'a> {
    Unknown,
    Md5(&'a str),
    Key(&'a str),
}

impl CustomerEvidence {
    /// The gaps, by kind and time.
    #[must_use]
    pub fn find_gaps(&self, scope: &GapScope) -> Vec<CoverageGap> {
        let mut gaps = self.unlogged_changes(scope);
        if let Some(gap) = self.missing_backup() {
            // Then every version is missing, and none can be outdated.
            gaps.push(gap);
        } else {
            gaps.extend(self.outdated_config());
            gaps.extend(self.missing_versions(scope));
        }
        gaps.extend(self.missing_records(scope));
        gaps.extend(self.broken_chains(scope));
        gaps.extend(self.spooled.iter().map(|item| self.pending_upload(item)));
        gaps
    }

    fn new_gap(&self, kind: GapKind, at: Option<DateTime<Utc>>, text: String) -> CoverageGap {
        CoverageGap {
            kind,
            customer: self.name.clone(),
            at: at.map(format_rfc3339).unwrap_or_default(),
            count: 1,
            units: Vec::new(),
            key: String::new(),
            deployment_id: String::new(),
            text,
        }
    }

    fn unlogged_changes(&self, scope: &GapScope) -> Vec<CoverageGap> {
        let is_covered = |change: &&StateChange| scope.covers_time(change.at);
        let changes: Vec<StateChange> = self.changes.iter().filter(is_covered).cloned().collect();
        let records = self.record_times();
        let mut gaps = Vec::new();
        for unlogged in find_unlogged_changes(&changes, &records, scope.window) {
            let text = describe_unlogged(&unlogged, scope.window);
            let gap = self.new_gap(GapKind::Unlogged, Some(unlogged.first), text);
            gaps.push(CoverageGap {
                count: unlogged.count,
                units: unlogged.units,
                ..gap
            });
        }
        gaps
    }

    fn missing_backup(&self) -> Option<CoverageGap> {
        let has_spooled_config = self.spooled_configs().next().is_some();
        let has_config =
            self.current_config.is_some() || !self.copies.is_empty() || has_spooled_config;
        if has_config || self.units.is_empty() {
            return None;
        }
        let units: Vec<String> = self.units.iter().cloned().collect();
        let text = format!(
            "no config, but a state of {}; states are stored under the folder's name, a config \
             under `customer.name`, in case they differ",
            list_names(&units)
        );
        Some(CoverageGap {
            units,
            ..self.new_gap(GapKind::NoBackup, None, text)
        })
    }

    fn outdated_config(&self) -> Option<CoverageGap> {
        // A record without an MD5 does not say what was deployed, so the last one with it decides.
        let with_md5 = self
            .records
            .iter()
            .filter(|it| !it.parsed.config_hash.is_empty());
        let last = with_md5.max_by_key(|it| it.deployed_at)?;
        // Of several deployments in that second, each may have been the last.
        let is_last = |md5: &str| {
            let mut records = self.records.iter();
            records.any(|it| it.deployed_at == last.deployed_at && it.parsed.config_hash == md5)
        };
        if self.spooled_configs().any(|(_, md5)| is_last(md5)) {
            return None;
        }
        let actual = match &self.current_config {
            None if self.copies.is_empty() => return None,
            None => "config.yaml is missing, only copies of its versions exist".to_owned(),
            Some(current) => {
                // Without the MD5, there is nothing to compare.
                let md5 = current.md5()?;
                if is_last(md5) || is_of_later_deployment(current, last) {
                    return None;
                }
                let captured_at = format_rfc3339(current.captured_at());
                format!("config.yaml is {} of {captured_at}", short_md5(md5))
            }
        };

        let deployed_at = format_rfc3339(last.deployed_at);
        let expected = short_md5(&last.parsed.config_hash);
        let text = format!("{actual}, but the last deployment ({deployed_at}) used {expected}");
        let gap = self.new_gap(GapKind::Outdated, Some(last.deployed_at), text);
        let key = match &self.current_config {
            Some(current) => current.key.clone(),
            None => String::new(),
        };
        Some(CoverageGap {
            key,
            deployment_id: last.parsed.deployment_id.clone(),
            ..gap
        })
    }

    fn missing_versions(&self, scope: &GapScope) -> Vec<CoverageGap> {
        let missing_keys = self.missing_keys();
        let mut missing: BTreeMap<MissingConfig<'_>, Vec<&StoredRecord>> = BTreeMap::new();
        for record in &self.records {
            if !scope.covers_time(record.deployed_at) {
                continue;
            }
            let key = record.parsed.backup_key.as_str();
            let md5 = record.parsed.config_hash.as_str();
            let (config, is_missing) = match (key, md5) {
                ("", "") => (MissingConfig::Unknown, record.has_failed_backup()),
                ("", md5) => (MissingConfig::Md5(md5), !self.has_md5(md5)),
                (key, _) => (MissingConfig::Key(key), missing_keys.contains(key)),
            };
            if is_missing {
                missing.entry(config).or_default().push(record);
            }
        }

        let mut gaps = Vec::new();
        for (config, mut records) in missing {
            records.sort_by_key(|record| record.deployed_at);
            gaps.push(self.missing_version(config, &records));
        }
        gaps
    }

    /// The gap of a config that these records name, oldest first.
    fn missing_version(&self, config: MissingConfig<'_>, records: &[&StoredRecord]) -> CoverageGap {
        let what = match config {
            MissingConfig::Unknown => "the config was unreadable and has no backup".to_owned(),
            MissingConfig::Md5(md5) => format!("no config with the MD5 {md5}"),
            MissingConfig::Key(key) => format!("`{key}` is missing"),
        };
        let (first, last) = (records[0], records[records.len() - 1]);
        let period = format_period(first.deployed_at, last.deployed_at);
        let text = format!(
            "{what}, by {} of {period}",
            count_noun(records.len(), "record")
        );
        let gap = self.new_gap(GapKind::MissingVersion, Some(first.deployed_at), text);
        let key = match config {
            MissingConfig::Key(key) => key.to_owned(),
            MissingConfig::Unknown | MissingConfig::Md5(_) => String::new(),
        };
        let deployment_id = first.parsed.deployment_id.clone();
        CoverageGap {
            count: records.len(),
            key,
            deployment_id,
            ..gap
        }
    }

    /// Deployments that left a config without a record.
    fn missing_records(&self, scope: &GapScope) -> Vec<CoverageGap> {
        let recorded = self.recorded_deployments();
        let mut unrecorded: BTreeMap<&str, &ConfigVersion> = BTreeMap::new();
        // Copies last, because a copy's key says more than that of config.yaml.
        for config in self.current_config.iter().chain(&self.copies) {
            let Some(id) = config.deployment_id() else {
                continue;
            };
            let is_known = id.is_empty() || recorded.contains(id);
            if !is_known && scope.covers_time(config.captured_at()) {
                unrecorded.insert(id, config);
            }
        }

        let mut gaps = Vec::new();
        for (id, config) in unrecorded {
            let captured_at = format_rfc3339(config.captured_at());
            let text = format!(
                "{captured_at}: the deployment {id} left `{}`, but no usage record",
                config.key
            );
            let gap = self.new_gap(GapKind::MissingRecord, Some(config.captured_at()), text);
            gaps.push(CoverageGap {
                key: config.key.clone(),
                deployment_id: id.to_owned(),
                ..gap
            });
        }
        gaps
    }

    /// Missing records that the next record of the chain continues, or that the seal names.
    fn broken_chains(&self, scope: &GapScope) -> Vec<CoverageGap> {
        let mut gaps = self.missing_predecessors(scope);
        let recorded = self.recorded_deployments();
        for seal in &self.seals {
            let sealed_at = parse_record_key(&seal.key).and_then(|key| key.deployed_at);
            let Some(at) = sealed_at.filter(|at| scope.covers_time(*at)) else {
                continue;
            };
            let id = &seal.deployment_id;
            if recorded.contains(id.as_str()) {
                continue;
            }
            let text = format!(
                "{}: the record `{}` of the deployment {id} is missing",
                format_rfc3339(at),
                seal.key
            );
            let gap = self.new_gap(GapKind::MissingRecord, Some(at), text);
            gaps.push(CoverageGap {
                key: seal.key.clone(),
                deployment_id: id.clone(),
                ..gap
            });
        }
        gaps
    }

    fn missing_predecessors(&self, scope: &GapScope) -> Vec<CoverageGap> {
        let mut digests = BTreeSet::new();
        let mut positions = BTreeSet::new();
        for record in &self.records {
            digests.extend(record.sha256.as_deref());
            if let Some(link) = &record.parsed.chain {
                positions.insert((link.writer.as_str(), link.number));
            }
        }

        let mut gaps = Vec::new();
        for record in &self.records {
            let Some(link) = &record.parsed.chain else {
                continue;
            };
            if !scope.covers_time(record.deployed_at) || link.number <= 1 {
                continue;
            }
            let number = link.number - 1;
            // A record in that position was changed, which `verify` reports.
            let is_there = digests.contains(link.previous.as_str())
                || positions.contains(&(link.writer.as_str(), number));
            if is_there {
                continue;
            }
            let text = format!(
                "{}: record {number} of the chain {} is missing; the deployment {} continues it",
                format_rfc3339(record.deployed_at),
                link.writer,
                record.parsed.deployment_id
            );
            gaps.push(self.new_gap(GapKind::MissingRecord, Some(record.deployed_at), text));
        }
        gaps
    }

    fn pending_upload(&self, item: &SpooledEvidence) -> CoverageGap {
        let (what, key) = match &item.content {
            SpooledContent::Config { key, .. } => ("config.yaml", key.as_str()),
            SpooledContent::Record { .. } => ("the usage record", ""),
        };
        let (at, id, path) = (format_rfc3339(item.at), &item.deployment_id, &item.path);
        let text = format!("{at}: {what} of the deployment {id} is queued on this machine: {path}");
        let gap = self.new_gap(GapKind::Pending, Some(item.at), text);
        CoverageGap {
            key: key.to_owned(),
            deployment_id: id.clone(),
            ..gap
        }
    }
}

/// Whether a config is of a deployment after `last` whose record is missing or has no MD5.
fn is_of_later_deployment(current: &ConfigVersion, last: &StoredRecord) -> bool {
    let id = current.deployment_id().unwrap_or_default();
    let is_other = !id.is_empty() && id != last.parsed.deployment_id;
    is_other && current.captured_at() > last.deployed_at
}

fn describe_unlogged(unlogged: &UnloggedChanges, window: Duration) -> String {
    format!(
        "{}: {} of {}, but no usage record from {} before to {} after",
        format_period(unlogged.first, unlogged.last),
        count_noun(unlogged.count, "state change"),
        list_names(&unlogged.units),
        format_length(window),
        format_length(MAX_RECORD_LAG)
    )
}

fn format_period(first: DateTime<Utc>, last: DateTime<Utc>) -> String {
    let start = format_rfc3339(first);
    if first == last {
        start
    } else {
        format!("{start} to {}", format_rfc3339(last))
    }
}

/// A length of time in whole hours or minutes.
fn format_length(length: Duration) -> String {
    let minutes = length.num_minutes();
    if minutes % 60 == 0 {
        format!("{} h", minutes / 60)
    } else {
        format!("{minutes} min")
    }
}

fn short_md5(md5: &str) -> &str {
    md5.get(..12).unwrap_or(md5)
}

/// A few names, and how many more there are.
fn list_names(names: &[String]) -> String {
    let shown = &names[..names.len().min(MAX_LISTED_NAMES)];
    let quoted: Vec<String> = shown.iter().map(|name| format!("`{name}`")).collect();
    let list = quoted.join(", ");
    match names.len() - shown.len() {
        0 => list,
        more => format!("{list}, … (+{more})"),
    }
}

#[cfg(test)]
mod tests;

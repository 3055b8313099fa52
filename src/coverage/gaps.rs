//! What is missing in the bucket: the states' changes, the usage records and the configs of a customer, compared.
//!
//! Pure: `survey.rs` has listed and read them. A gap is told where something is evidence of it, never on a guess.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, Utc};
use serde::Serialize;

use crate::coverage::evidence::{CustomerEvidence, RecordEvidence, SpooledContent, StoredConfig};
use crate::coverage::state_changes::{StateChange, UnloggedChanges, find_unlogged_changes};
use crate::keys::parse_record_key;
use crate::output::sanitize::count_noun;
use crate::record::{ChainLink, format_rfc3339};

/// What kind of gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GapKind {
    /// A state changed and nobody logged it.
    Unlogged,
    /// States, and no config.
    NoBackup,
    /// `config.yaml` is not that of the last deployment.
    Outdated,
    /// A record whose config is not there.
    MissingVersion,
    /// A deployment that left something, but no record; or a place in a chain of records that nothing is in.
    MissingRecord,
    /// Something is kept on this machine.
    Pending,
}

impl GapKind {
    /// As it is printed.
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
pub struct Gap {
    /// What kind.
    pub kind: GapKind,
    /// Whose.
    pub customer: String,
    /// When it happened, or began: RFC 3339, UTC; empty where there is no time to it.
    pub at: String,
    /// How many changes or records it is about.
    pub count: usize,
    /// The units whose states changed.
    pub units: Vec<String>,
    /// The key of the object that is missing, or that is evidence.
    pub key: String,
    /// The deployment, where it is known.
    pub deployment_id: String,
    /// All of it as a phrase.
    pub text: String,
}

/// Within which times is looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GapScope {
    /// How long before a state's change its record may be.
    pub window: Duration,
    /// Nothing that happened before this.
    pub since: Option<DateTime<Utc>>,
}

impl GapScope {
    fn covers(&self, at: DateTime<Utc>) -> bool {
        self.since.is_none_or(|since| at >= since)
    }
}

impl CustomerEvidence {
    /// The gaps, by kind and time.
    #[must_use]
    pub fn find_gaps(&self, scope: &GapScope) -> Vec<Gap> {
        let mut gaps = self.unlogged_changes(scope);
        match self.missing_backup() {
            // Then every version is missing, and there is none to be outdated.
            Some(gap) => gaps.push(gap),
            None => gaps.extend(
                self.outdated_config()
                    .into_iter()
                    .chain(self.missing_versions(scope)),
            ),
        }
        gaps.extend(self.missing_records(scope));
        gaps.extend(self.broken_chains(scope));
        gaps.extend(self.pending_uploads());
        gaps
    }

    fn new_gap(&self, kind: GapKind, at: Option<DateTime<Utc>>, text: String) -> Gap {
        let (customer, at) = (
            self.name.clone(),
            at.map(format_rfc3339).unwrap_or_default(),
        );
        Gap {
            kind,
            customer,
            at,
            count: 1,
            units: Vec::new(),
            key: String::new(),
            deployment_id: String::new(),
            text,
        }
    }

    fn unlogged_changes(&self, scope: &GapScope) -> Vec<Gap> {
        let records: Vec<DateTime<Utc>> = self.known_records().map(|it| it.at).collect();
        let changes: Vec<StateChange> = self
            .changes
            .iter()
            .filter(|change| scope.covers(change.at))
            .cloned()
            .collect();
        let tell = |one: UnloggedChanges| {
            let until = if one.first == one.last {
                String::new()
            } else {
                format!(" to {}", format_rfc3339(one.last))
            };
            let text = format!(
                "{}{until}: {} of {}, and no usage record is near",
                format_rfc3339(one.first),
                count_noun(one.changes, "change"),
                list_names(&one.units)
            );
            Gap {
                count: one.changes,
                units: one.units,
                ..self.new_gap(GapKind::Unlogged, Some(one.first), text)
            }
        };
        find_unlogged_changes(&changes, &records, scope.window)
            .into_iter()
            .map(tell)
            .collect()
    }

    fn missing_backup(&self) -> Option<Gap> {
        let has_config = self.current_config.is_some()
            || !self.copies.is_empty()
            || self.spooled_configs().next().is_some();
        if has_config || self.units.is_empty() {
            return None;
        }
        let units: Vec<String> = self.units.iter().cloned().collect();
        let text = format!(
            "there is a state of {} and no config; a state lies under the folder's name, a config under `customer.name`, in case they differ",
            list_names(&units)
        );
        Some(Gap {
            units,
            ..self.new_gap(GapKind::NoBackup, None, text)
        })
    }

    fn outdated_config(&self) -> Option<Gap> {
        // What was deployed is not known of a record without a hash: the last one with it has to do.
        let last = self
            .records
            .iter()
            .filter(|it| !it.config_hash.is_empty())
            .max_by_key(|it| it.at)?;
        // Which of two in one second was the last, nobody knows.
        let is_last = |md5: &str| {
            self.records
                .iter()
                .any(|it| it.at == last.at && it.config_hash == md5)
        };
        if self.spooled_configs().any(|config| is_last(&config.md5)) {
            return None;
        }
        let is = match &self.current_config {
            // Of a deployment that came later, or of bytes that could not be had: there is nothing to compare.
            Some(current)
                if is_last(&current.md5)
                    || current.md5.is_empty()
                    || is_of_later_deployment(current, last) =>
            {
                return None;
            }
            Some(current) => format!(
                "config.yaml is {} of {}",
                short_md5(&current.md5),
                format_rfc3339(current.at)
            ),
            None if self.copies.is_empty() => return None,
            None => "there is no config.yaml, only copies of its versions".to_owned(),
        };
        let text = format!(
            "{is}, and the last deployment, {}, had {}",
            format_rfc3339(last.at),
            short_md5(&last.config_hash)
        );
        let key = self
            .current_config
            .as_ref()
            .map(|current| current.key.clone())
            .unwrap_or_default();
        Some(Gap {
            key,
            deployment_id: last.deployment_id.clone(),
            ..self.new_gap(GapKind::Outdated, Some(last.at), text)
        })
    }

    fn missing_versions(&self, scope: &GapScope) -> Vec<Gap> {
        let missing_keys = self.missing_keys();
        let mut missing: BTreeMap<(&str, &str), Vec<&RecordEvidence>> = BTreeMap::new();
        for it in self.records.iter().filter(|it| scope.covers(it.at)) {
            let (key, md5) = (it.backup_key.as_str(), it.config_hash.as_str());
            let is_there = match (key, md5) {
                ("", "") => !it.has_failed_backup,
                ("", md5) => self.has_md5(md5),
                (key, _) => !missing_keys.contains(key),
            };
            if !is_there {
                missing
                    .entry(if key.is_empty() { ("", md5) } else { (key, "") })
                    .or_default()
                    .push(it);
            }
        }
        let tell = |((key, md5), mut records): ((&str, &str), Vec<&RecordEvidence>)| {
            records.sort_by_key(|it| it.at);
            let what = match (key, md5) {
                ("", "") => "the config could not be read, and is not backed up".to_owned(),
                ("", md5) => format!("no config with the MD5 {md5} is there"),
                (key, _) => format!("`{key}` is not there"),
            };
            let (first, last) = (records[0], records[records.len() - 1]);
            let until = if first.at == last.at {
                String::new()
            } else {
                format!(" to {}", format_rfc3339(last.at))
            };
            let text = format!(
                "{what}, by {} of {}{until}",
                count_noun(records.len(), "record"),
                format_rfc3339(first.at)
            );
            let gap = self.new_gap(GapKind::MissingVersion, Some(first.at), text);
            Gap {
                count: records.len(),
                key: key.to_owned(),
                deployment_id: first.deployment_id.clone(),
                ..gap
            }
        };
        missing.into_iter().map(tell).collect()
    }

    /// Deployments that left a config, but no record.
    fn missing_records(&self, scope: &GapScope) -> Vec<Gap> {
        let known: BTreeSet<&str> = self
            .known_records()
            .map(|it| it.deployment_id.as_str())
            .collect();
        let mut left: BTreeMap<&str, &StoredConfig> = BTreeMap::new();
        // A copy says more than config.yaml, of which it is one.
        for config in self.current_config.iter().chain(&self.copies) {
            if !config.deployment_id.is_empty()
                && !known.contains(config.deployment_id.as_str())
                && scope.covers(config.at)
            {
                left.insert(&config.deployment_id, config);
            }
        }
        let tell = |(id, config): (&str, &StoredConfig)| {
            let text = format!(
                "{}: the deployment {id} left `{}`, and has no usage record",
                format_rfc3339(config.at),
                config.key
            );
            let gap = self.new_gap(GapKind::MissingRecord, Some(config.at), text);
            Gap {
                key: config.key.clone(),
                deployment_id: id.to_owned(),
                ..gap
            }
        };
        left.into_iter().map(tell).collect()
    }

    /// Deployments whose record is not there, although the next one of its chain continues it, or the seal names it.
    fn broken_chains(&self, scope: &GapScope) -> Vec<Gap> {
        let known: BTreeSet<&str> = self
            .known_records()
            .map(|it| it.deployment_id.as_str())
            .collect();
        let there: BTreeSet<&str> = self.records.iter().map(|it| it.sha256.as_str()).collect();
        let chained = || {
            self.records
                .iter()
                .filter_map(|it| Some((it, it.chain.as_ref()?)))
        };
        let places: BTreeSet<(&str, u64)> = chained()
            .map(|(_, chain)| (chain.writer.as_str(), chain.number))
            .collect();
        // One that lies in its place was changed, which is for `verify`.
        let continues_nothing = |chain: &ChainLink| {
            chain.number > 1
                && !there.contains(chain.previous.as_str())
                && !places.contains(&(chain.writer.as_str(), chain.number - 1))
        };
        let next = chained().filter(|(it, chain)| scope.covers(it.at) && continues_nothing(chain)).map(|(it, chain)| {
            let (at, number, writer) = (format_rfc3339(it.at), chain.number - 1, &chain.writer);
            let text =
                format!("{at}: the deployment {} continues record {number} of the chain {writer}, which is not there", it.deployment_id);
            self.new_gap(GapKind::MissingRecord, Some(it.at), text)
        });
        let last = self
            .seals
            .iter()
            .filter(|seal| !known.contains(seal.deployment_id.as_str()))
            .filter_map(|seal| {
                let at = parse_record_key(&seal.key)
                    .and_then(|key| key.deployed_at)
                    .filter(|at| scope.covers(*at))?;
                let text = format!(
                    "{}: the record of the deployment {} was `{}`, and is not there",
                    format_rfc3339(at),
                    seal.deployment_id,
                    seal.key
                );
                let gap = self.new_gap(GapKind::MissingRecord, Some(at), text);
                Some(Gap {
                    key: seal.key.clone(),
                    deployment_id: seal.deployment_id.clone(),
                    ..gap
                })
            });
        next.chain(last).collect()
    }

    fn pending_uploads(&self) -> impl Iterator<Item = Gap> {
        self.spooled.iter().map(|kept| {
            let (what, at, id, key) = match &kept.content {
                SpooledContent::Config(it) => {
                    ("config.yaml", it.at, &it.deployment_id, it.key.as_str())
                }
                SpooledContent::Record(it) => ("the usage record", it.at, &it.deployment_id, ""),
            };
            let text = format!(
                "{}: {what} of the deployment {id} is kept on this machine: {}",
                format_rfc3339(at),
                kept.path
            );
            Gap {
                key: key.to_owned(),
                deployment_id: id.clone(),
                ..self.new_gap(GapKind::Pending, Some(at), text)
            }
        })
    }
}

/// Whether a config is of a deployment after `last` whose record is on its way, lost, or does not say what it had.
fn is_of_later_deployment(current: &StoredConfig, last: &RecordEvidence) -> bool {
    !current.deployment_id.is_empty()
        && current.deployment_id != last.deployment_id
        && current.at > last.at
}

fn short_md5(md5: &str) -> &str {
    md5.get(..12).unwrap_or(md5)
}

/// A few names, and how many more there are.
fn list_names(names: &[String]) -> String {
    const SHOWN: usize = 4;
    let shown: Vec<String> = names
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{name}`"))
        .collect();
    let more = if names.len() > SHOWN {
        format!(", … (+{})", names.len() - SHOWN)
    } else {
        String::new()
    };
    format!("{}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests;

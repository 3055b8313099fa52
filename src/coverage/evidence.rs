//! What bucket and spool say of a customer: states, usage records and configs.
//!
//! Must not read: `collect.rs` does. Must not judge: `gaps.rs` does.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, Utc};

use crate::chain::seal::ChainSeal;
use crate::keys;
use crate::record::parse;
use crate::snapshot::{ConfigVersion, CustomerSnapshot, StateChange, StoredRecord};
use crate::state::spool_file::{SpoolItem, SpoolItemKind};

/// How long after its config was captured a deployment may write its record.
const MAX_RECORD_DELAY: Duration = Duration::minutes(15);

/// All that is known of one customer.
#[derive(Debug, Clone, Default)]
pub struct CustomerEvidence {
    pub name: String,
    /// The units that have a state.
    pub units: BTreeSet<String>,
    pub changes: Vec<StateChange>,
    /// Including those that cannot be read: they also prove that a deployment was logged.
    pub records: Vec<StoredRecord>,
    pub current_config: Option<ConfigVersion>,
    /// The objects in `config-history/`.
    pub copies: Vec<ConfigVersion>,
    /// Older and noncurrent `config.yaml` objects.
    pub other_configs: Vec<ConfigVersion>,
    /// The MD5s of `other_configs`, as far as they were needed.
    pub other_md5s: BTreeSet<String>,
    /// Whether one of `other_configs` was needed and cannot be read.
    pub has_unread_config: bool,
    pub seals: Vec<ChainSeal>,
    /// What this machine has not uploaded yet.
    pub spooled: Vec<SpooledEvidence>,
}

/// An item in the spool of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpooledEvidence {
    pub path: String,
    pub at: DateTime<Utc>,
    pub deployment_id: String,
    pub content: SpooledContent,
}

/// What an item becomes once it is uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpooledContent {
    Config {
        /// The key of the copy.
        key: String,
        md5: String,
    },
    Record {
        /// The key of the config that the record names.
        backup_key: String,
    },
}

impl SpooledEvidence {
    #[must_use]
    pub fn from_spool_item(path: String, item: SpoolItem, body: &[u8]) -> Self {
        let mut at = item.at;
        let content = match item.kind {
            SpoolItemKind::Config => SpooledContent::Config {
                key: keys::config_version_key(&item.customer, item.at, &item.md5),
                md5: item.md5,
            },
            SpoolItemKind::Record => {
                let record = parse::parse_record(body).unwrap_or_default();
                at = record.deployed_at.unwrap_or(at);
                SpooledContent::Record {
                    backup_key: record.backup_key,
                }
            }
        };
        Self {
            path,
            at,
            deployment_id: item.deployment_id,
            content,
        }
    }

    fn is_record(&self) -> bool {
        matches!(self.content, SpooledContent::Record { .. })
    }
}

impl CustomerEvidence {
    pub(super) fn from_snapshot(snapshot: CustomerSnapshot) -> Self {
        let mut evidence = Self {
            name: snapshot.name,
            units: snapshot.units,
            changes: snapshot.state_changes,
            records: snapshot.records,
            copies: snapshot.config_copies,
            other_configs: snapshot.noncurrent_configs,
            // `verify` reports objects that are not seals.
            seals: snapshot.seals.into_values().flatten().collect(),
            ..Self::default()
        };
        // An object of this size is not a record that a deployment wrote.
        evidence.records.retain(|record| !record.is_too_large());
        for config in snapshot.current_configs {
            evidence.add_config(config);
        }
        evidence
    }

    /// Adds a copy or a `config.yaml`, of which the newest becomes the current one.
    pub(super) fn add_config(&mut self, config: ConfigVersion) {
        if config.copy_name.is_some() {
            self.copies.push(config);
            return;
        }
        match &self.current_config {
            Some(current) if current.last_modified >= config.last_modified => {
                self.other_configs.push(config);
            }
            _ => self
                .other_configs
                .extend(self.current_config.replace(config)),
        }
    }

    /// The indexes of copies whose metadata has to be read to know if their deployment is logged.
    ///
    /// A copy is explained by a record that names it and was written when the copy was.
    #[must_use]
    pub fn unexplained_copies(&self) -> Vec<usize> {
        let mut record_times: BTreeMap<&str, Vec<DateTime<Utc>>> = BTreeMap::new();
        for record in &self.records {
            let times = record_times.entry(&record.parsed.backup_key).or_default();
            times.push(record.deployed_at);
        }
        for item in &self.spooled {
            if let SpooledContent::Record { backup_key } = &item.content {
                record_times.entry(backup_key).or_default().push(item.at);
            }
        }

        let mut unexplained = Vec::new();
        for (index, copy) in self.copies.iter().enumerate() {
            let captured_at = copy.captured_at();
            let expected = captured_at..=captured_at + MAX_RECORD_DELAY;
            let is_explained = match record_times.get(copy.key.as_str()) {
                Some(times) => times.iter().any(|time| expected.contains(time)),
                None => false,
            };
            if !is_explained {
                unexplained.push(index);
            }
        }
        unexplained
    }

    /// The MD5s of records without a key for which no config is found.
    #[must_use]
    pub fn lost_md5s(&self) -> BTreeSet<&str> {
        let mut lost = BTreeSet::new();
        for record in &self.records {
            let md5 = record.parsed.config_hash.as_str();
            if record.parsed.backup_key.is_empty() && !md5.is_empty() && !self.has_md5(md5) {
                lost.insert(md5);
            }
        }
        lost
    }

    /// The keys that records name and no config has.
    #[must_use]
    pub fn missing_keys(&self) -> BTreeSet<&str> {
        let mut existing: BTreeSet<&str> = self.spooled_configs().map(|(key, _)| key).collect();
        for config in self.copies.iter().chain(&self.current_config) {
            existing.insert(&config.key);
        }
        let mut missing = BTreeSet::new();
        for record in &self.records {
            let key = record.parsed.backup_key.as_str();
            if !key.is_empty() && !existing.contains(key) {
                missing.insert(key);
            }
        }
        missing
    }

    /// Key and MD5 of the copies that spooled configs become.
    pub fn spooled_configs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.spooled.iter().filter_map(|item| match &item.content {
            SpooledContent::Config { key, md5 } => Some((key.as_str(), md5.as_str())),
            SpooledContent::Record { .. } => None,
        })
    }

    /// When the deployments happened that have a record in the bucket or in the spool.
    #[must_use]
    pub fn record_times(&self) -> Vec<DateTime<Utc>> {
        let mut times: Vec<_> = self
            .records
            .iter()
            .map(|record| record.deployed_at)
            .collect();
        times.extend(
            self.spooled
                .iter()
                .filter(|item| item.is_record())
                .map(|item| item.at),
        );
        times
    }

    /// The deployments that have a record in the bucket or in the spool.
    #[must_use]
    pub fn recorded_deployments(&self) -> BTreeSet<&str> {
        let mut ids = BTreeSet::new();
        for record in &self.records {
            ids.insert(record.parsed.deployment_id.as_str());
        }
        for item in &self.spooled {
            if item.is_record() {
                ids.insert(&item.deployment_id);
            }
        }
        ids
    }

    /// Whether bucket or spool may have a config with this MD5.
    ///
    /// A config that could not be read may have any MD5.
    #[must_use]
    pub fn has_md5(&self, md5: &str) -> bool {
        for config in self.copies.iter().chain(&self.current_config) {
            if config.md5().is_none_or(|it| it == md5) {
                return true;
            }
        }
        let is_found = self.has_unread_config || self.other_md5s.contains(md5);
        is_found || self.spooled_configs().any(|(_, it)| it == md5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::parse::ParsedRecord;
    use crate::s3::store::BucketTarget;
    use crate::snapshot::CopyName;

    fn spool_item(what: SpoolItemKind) -> SpoolItem {
        let at = DateTime::from_timestamp(1_761_834_652, 0).expect("a time"); // date -u -d @1761834652
        let target = BucketTarget {
            bucket: String::new(),
            region: String::new(),
            profile: String::new(),
            owner: String::new(),
            encryption: None,
        };
        SpoolItem {
            md5: "0a".repeat(16),
            ..SpoolItem::new(what, target, "airbnb", "d1", at, b"")
        }
    }

    #[test]
    fn spooled_items_are_the_objects_that_they_become() {
        let md5 = "0a".repeat(16);
        let key = format!("terragrunt/airbnb/config-history/2025-10-30_143052_{md5}.yaml");
        let item = spool_item(SpoolItemKind::Config);
        let expected = SpooledEvidence {
            path: "p".into(),
            at: item.at,
            deployment_id: "d1".into(),
            content: SpooledContent::Config { key, md5 },
        };
        assert_eq!(
            SpooledEvidence::from_spool_item("p".into(), item, b"x"),
            expected
        );

        let line = br#"{"timestamp":"2025-10-30T14:30:53Z","user":"u","backup_key":"k"}"#;
        let item = spool_item(SpoolItemKind::Record);
        let expected = SpooledEvidence {
            at: item.at + Duration::seconds(1),
            content: SpooledContent::Record {
                backup_key: "k".into(),
            },
            ..expected
        };
        assert_eq!(
            SpooledEvidence::from_spool_item("p".into(), item, line),
            expected
        );
    }

    #[test]
    fn an_md5_without_a_key_is_lost_if_no_config_has_it() {
        let record = |config_hash: &str, backup_key: &str| StoredRecord {
            parsed: ParsedRecord {
                config_hash: config_hash.into(),
                backup_key: backup_key.into(),
                ..ParsedRecord::default()
            },
            ..StoredRecord::default()
        };
        let copy_name = CopyName {
            captured_at: DateTime::default(),
            md5: "there".into(),
        };
        let copies = vec![ConfigVersion {
            copy_name: Some(copy_name),
            ..ConfigVersion::default()
        }];
        let records = vec![
            record("there", ""),
            record("gone", ""),
            record("named", "key"),
            record("", ""),
        ];
        let customer = CustomerEvidence {
            records,
            copies,
            ..CustomerEvidence::default()
        };
        assert_eq!(customer.lost_md5s(), BTreeSet::from(["gone"]));
    }
}

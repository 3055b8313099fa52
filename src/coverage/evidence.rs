//! What the bucket and this machine say of a customer: states, usage records, configs; and what else has to be asked.
//!
//! Pure: `survey.rs` fills it, `gaps.rs` judges it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, Utc};

use crate::chain::seal::ChainSeal;
use crate::coverage::state_changes::StateChange;
use crate::keys;
use crate::record::ChainLink;
use crate::record::parse::{self, ParsedRecord};
use crate::state::spool_file::{SpoolItem, SpoolItemKind};

/// How long after the config was read its deployment's record may be written.
const MAX_RECORD_DELAY: Duration = Duration::minutes(15);

/// All that is known of one customer.
#[derive(Debug, Clone, Default)]
pub struct CustomerEvidence {
    /// The name, as far as it is known.
    pub name: String,
    /// The units that have a state.
    pub units: BTreeSet<String>,
    /// The versions of their states.
    pub changes: Vec<StateChange>,
    /// The usage records.
    pub records: Vec<RecordEvidence>,
    /// `config.yaml`.
    pub current_config: Option<StoredConfig>,
    /// The copies of its versions.
    pub copies: Vec<StoredConfig>,
    /// The MD5s of versions that are neither, but that the bucket has.
    pub other_md5s: BTreeSet<String>,
    /// The seals on the records' chains.
    pub seals: Vec<ChainSeal>,
    /// What this machine has not sent yet.
    pub spooled: Vec<SpooledEvidence>,
}

/// A deployment as its record tells it; what that does not say is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordEvidence {
    /// When it happened.
    pub at: DateTime<Utc>,
    /// The deployment's id.
    pub deployment_id: String,
    /// The MD5 of the config.
    pub config_hash: String,
    /// The key of its version.
    pub backup_key: String,
    /// Whether the record itself says that the config was not backed up.
    pub has_failed_backup: bool,
    /// SHA-256 of the object, hex.
    pub sha256: String,
    /// Its place in a chain.
    pub chain: Option<ChainLink>,
}

impl RecordEvidence {
    /// As the record tells it, at the time that it is known by.
    #[must_use]
    pub fn from_record(reading: ParsedRecord, at: DateTime<Utc>) -> Self {
        let failed = reading.backup == "failed";
        let ParsedRecord {
            deployment_id,
            config_hash,
            backup_key,
            chain,
            ..
        } = reading;
        Self {
            at,
            deployment_id,
            config_hash,
            backup_key,
            has_failed_backup: failed,
            sha256: String::new(),
            chain,
        }
    }
}

/// A config in the bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredConfig {
    /// The object's key.
    pub key: String,
    /// When it was read to be deployed, or else when it was written.
    pub at: DateTime<Utc>,
    /// The MD5 of its bytes; empty where it is not known.
    pub md5: String,
    /// The deployment that brought it; empty where the object does not say, or was not asked.
    pub deployment_id: String,
}

/// Something in the spool of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpooledEvidence {
    /// The file.
    pub path: String,
    /// What it will be once it is sent.
    pub content: SpooledContent,
}

/// What is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpooledContent {
    /// A config, with the key of the copy that it becomes.
    Config(StoredConfig),
    /// A usage record.
    Record(RecordEvidence),
}

impl SpooledContent {
    /// What an item of the spool will be.
    #[must_use]
    pub fn from_spool_item(item: SpoolItem, body: &[u8]) -> Self {
        match item.kind {
            SpoolItemKind::Config => {
                let key = keys::config_version_key(&item.customer, item.at, &item.md5);
                Self::Config(StoredConfig {
                    key,
                    at: item.at,
                    md5: item.md5,
                    deployment_id: item.deployment_id,
                })
            }
            SpoolItemKind::Record => {
                let reading = parse::parse_record(body).unwrap_or_default();
                let at = reading.deployed_at.unwrap_or(item.at);
                Self::Record(RecordEvidence {
                    deployment_id: item.deployment_id,
                    ..RecordEvidence::from_record(reading, at)
                })
            }
        }
    }
}

impl CustomerEvidence {
    /// The copies whose metadata has to be read to know whether the deployment that brought them is logged: those that no
    /// record names which was written when they came.
    #[must_use]
    pub fn unexplained_copies(&self) -> Vec<usize> {
        let mut named: BTreeMap<&str, Vec<DateTime<Utc>>> = BTreeMap::new();
        for it in self.known_records() {
            named.entry(&it.backup_key).or_default().push(it.at);
        }
        let is_explained = |copy: &StoredConfig| {
            let times = named.get(copy.key.as_str());
            times.is_some_and(|times| {
                times
                    .iter()
                    .any(|at| (copy.at..=copy.at + MAX_RECORD_DELAY).contains(at))
            })
        };
        (0..self.copies.len())
            .filter(|place| !is_explained(&self.copies[*place]))
            .collect()
    }

    /// The MD5s that records name and no config in the bucket has, of deployments whose record does not name a key.
    #[must_use]
    pub fn lost_md5s(&self) -> BTreeSet<&str> {
        let unnamed = self
            .records
            .iter()
            .filter(|it| it.backup_key.is_empty() && !it.config_hash.is_empty());
        unnamed
            .map(|it| it.config_hash.as_str())
            .filter(|md5| !self.has_md5(md5))
            .collect()
    }

    /// The keys that records name and no listed copy has.
    #[must_use]
    pub fn missing_keys(&self) -> BTreeSet<&str> {
        let there: BTreeSet<&str> = self
            .copies
            .iter()
            .chain(&self.current_config)
            .chain(self.spooled_configs())
            .map(|it| it.key.as_str())
            .collect();
        let named = self.records.iter().map(|it| it.backup_key.as_str());
        named
            .filter(|key| !key.is_empty() && !there.contains(key))
            .collect()
    }

    /// What is kept of this customer's configs, as the copies that they become.
    pub fn spooled_configs(&self) -> impl Iterator<Item = &StoredConfig> {
        self.spooled.iter().filter_map(|kept| {
            if let SpooledContent::Config(config) = &kept.content {
                Some(config)
            } else {
                None
            }
        })
    }

    /// The deployments that are logged, or will be.
    pub fn known_records(&self) -> impl Iterator<Item = &RecordEvidence> {
        let kept = self.spooled.iter().filter_map(|kept| {
            if let SpooledContent::Record(record) = &kept.content {
                Some(record)
            } else {
                None
            }
        });
        self.records.iter().chain(kept)
    }

    /// Whether a config with this MD5 is there, will be, or may be: it cannot be told of one that could not be read.
    #[must_use]
    pub fn has_md5(&self, md5: &str) -> bool {
        let mut configs = self
            .copies
            .iter()
            .chain(&self.current_config)
            .chain(self.spooled_configs());
        configs.any(|it| it.md5 == md5 || it.md5.is_empty()) || self.other_md5s.contains(md5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::store::BucketTarget;

    fn spool_item(what: SpoolItemKind) -> SpoolItem {
        let at = DateTime::from_timestamp(1_761_834_652, 0).expect("a time"); // date -u -d @1761834652
        let target = BucketTarget {
            bucket: String::new(),
            region: String::new(),
            profile: String::new(),
            owner: String::new(),
        };
        SpoolItem {
            md5: "0a".repeat(16),
            ..SpoolItem::new(what, target, "airbnb", "d1", at, b"")
        }
    }

    #[test]
    fn what_is_kept_is_told_as_the_object_that_it_becomes() {
        let md5 = "0a".repeat(16);
        let key = format!("terragrunt/airbnb/config-history/2025-10-30_143052_{md5}.yaml");
        let held = StoredConfig {
            key,
            at: spool_item(SpoolItemKind::Config).at,
            md5,
            deployment_id: "d1".into(),
        };
        assert_eq!(
            SpooledContent::from_spool_item(spool_item(SpoolItemKind::Config), b"x"),
            SpooledContent::Config(held)
        );
        let line = br#"{"timestamp":"2025-10-30T14:30:53Z","user":"u","config_hash":"h","backup":"failed","backup_key":"k"}"#;
        let at = spool_item(SpoolItemKind::Record).at + Duration::seconds(1);
        let logged = RecordEvidence {
            at,
            deployment_id: "d1".into(),
            config_hash: "h".into(),
            backup_key: "k".into(),
            has_failed_backup: true,
            ..RecordEvidence::default()
        };
        assert_eq!(
            SpooledContent::from_spool_item(spool_item(SpoolItemKind::Record), line),
            SpooledContent::Record(logged)
        );
        let uploaded =
            parse::parse_record(br#"{"user":"u","backup":"uploaded"}"#).expect("a record");
        assert!(!RecordEvidence::from_record(uploaded, at).has_failed_backup);
    }

    #[test]
    fn a_hash_without_a_key_is_lost_where_no_config_has_it() {
        let record = |config_hash: &str, backup_key: &str| RecordEvidence {
            config_hash: config_hash.into(),
            backup_key: backup_key.into(),
            ..RecordEvidence::default()
        };
        let copies = vec![StoredConfig {
            md5: "there".into(),
            ..StoredConfig::default()
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

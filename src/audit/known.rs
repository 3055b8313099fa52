//! What an earlier run of `verify` saw of a bucket. A later run reports what shrank or was rewritten
//! since, also if an attacker forged everything that follows.
//!
//! One line of JSON for each customer. Its size depends on the age of the customer in months, not on
//! the number of deployments. Must not read or write files: the command does.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::audit::finding::{AuditFinding, FindingKind};
use crate::audit::known_set::{Arrival, KnownSet, SeenObject, SetNames, shorten};
use crate::audit::retention::{RecordRetention, key_time};
use crate::digest::sha256_hex;
use crate::keys::{CONFIGS_PREFIX, RECORDS_PREFIX};
use crate::snapshot::{BucketSnapshot, ConfigVersion, CustomerSnapshot, StoredRecord};

/// What is written since this long ago may still be incomplete: clocks differ by minutes, and
/// deployments run while the bucket is read.
const SETTLING_TIME: TimeDelta = TimeDelta::hours(1);

/// What is remembered of one customer of one bucket. The field names are part of the file format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownCustomer {
    pub bucket: String,
    /// The segment that stands for the customer in keys.
    pub customer: String,
    /// When it was seen.
    pub seen: DateTime<Utc>,
    /// Records whose keys have a time.
    pub records: KnownSet,
    /// Copies of configs.
    pub configs: KnownSet,
    /// Records of the legacy module, which may overwrite them as long as it is used.
    #[serde(default)]
    pub legacy: LegacyRecords,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegacyRecords {
    count: usize,
    /// Set once the customer has chains, so that nothing changes them any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
}

/// The objects of one customer that are remembered.
struct SeenCustomer {
    records: Vec<SeenObject>,
    configs: Vec<SeenObject>,
    legacy: LegacyRecords,
}

/// All that is remembered of one bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownBucket {
    bucket: String,
    /// By segment.
    customers: BTreeMap<String, KnownCustomer>,
    /// Of other buckets.
    others: Vec<KnownCustomer>,
}

impl KnownBucket {
    /// # Errors
    /// The number of the first line that is not valid.
    pub fn parse(bucket: &str, text: &str) -> Result<Self, usize> {
        let mut known = Self {
            bucket: bucket.to_owned(),
            ..Self::default()
        };
        for (line, number) in text.lines().zip(1_usize..) {
            if line.trim().is_empty() {
                continue;
            }
            let customer: KnownCustomer = serde_json::from_str(line).map_err(|_| number)?;
            known.add(customer);
        }
        Ok(known)
    }

    /// Parses the list that [`Self::to_list`] formats.
    ///
    /// # Errors
    /// The text is not such a list.
    pub fn parse_list(bucket: &str, text: &str) -> Result<Self, serde_json::Error> {
        let mut known = Self {
            bucket: bucket.to_owned(),
            ..Self::default()
        };
        if !text.trim().is_empty() {
            for customer in serde_json::from_str::<Vec<KnownCustomer>>(text)? {
                known.add(customer);
            }
        }
        Ok(known)
    }

    fn add(&mut self, customer: KnownCustomer) {
        if customer.bucket == self.bucket {
            let segment = customer.customer.clone();
            self.customers.insert(segment, customer);
        } else {
            self.others.push(customer);
        }
    }

    fn all(&self) -> Vec<&KnownCustomer> {
        let mut all: Vec<&KnownCustomer> = self.others.iter().collect();
        all.extend(self.customers.values());
        all.sort_by_key(|it| (&it.bucket, &it.customer));
        all
    }

    /// One line of JSON for each customer.
    #[must_use]
    pub fn to_lines(&self) -> String {
        let mut lines = String::new();
        for customer in self.all() {
            lines.push_str(&serde_json::to_string(customer).unwrap_or_default());
            lines.push('\n');
        }
        lines
    }

    /// All customers as one JSON list, in one line.
    #[must_use]
    pub fn to_list(&self) -> String {
        serde_json::to_string(&self.all()).unwrap_or_default()
    }

    #[must_use]
    pub fn has_customer(&self, segment: &str) -> bool {
        self.customers.contains_key(segment)
    }

    /// What shrank or was rewritten since, by the segment of the customer. `only` is the segment of
    /// the only customer that the snapshot is of.
    #[must_use]
    pub fn compare(
        &self,
        snapshot: &BucketSnapshot,
        only: Option<&str>,
        retention: RecordRetention,
    ) -> BTreeMap<String, Vec<AuditFinding>> {
        let mut findings = BTreeMap::new();
        // What only a denied archive has looks deleted.
        if !snapshot.denied_archives.is_empty() {
            return findings;
        }
        for (segment, known) in &self.customers {
            if only.is_some_and(|only| only != segment) {
                continue;
            }
            let found = match snapshot.customers.get(segment) {
                Some(customer) => known.compare(&SeenCustomer::new(segment, customer), retention),
                None => known.compare(&SeenCustomer::empty(), retention),
            };
            if !found.is_empty() {
                findings.insert(segment.clone(), found);
            }
        }
        findings
    }

    /// Remembers the customers for which nothing was found. What was found is not learned: it would
    /// not be found again.
    pub fn learn(
        &mut self,
        snapshot: &BucketSnapshot,
        has_findings: impl Fn(&str) -> bool,
        seen: DateTime<Utc>,
    ) {
        if !snapshot.denied_archives.is_empty() {
            return;
        }
        for (segment, customer) in &snapshot.customers {
            if has_findings(segment) {
                continue;
            }
            let SeenCustomer {
                records,
                configs,
                legacy,
            } = SeenCustomer::new(segment, customer);
            let settled_before = seen - SETTLING_TIME;
            let known = KnownCustomer {
                bucket: self.bucket.clone(),
                customer: segment.clone(),
                seen,
                records: KnownSet::learn(&records, settled_before),
                configs: KnownSet::learn(&configs, settled_before),
                legacy,
            };
            self.customers.insert(segment.clone(), known);
        }
    }
}

impl KnownCustomer {
    fn compare(&self, now: &SeenCustomer, retention: RecordRetention) -> Vec<AuditFinding> {
        let records_prefix = records_prefix(&self.customer);
        let configs_prefix = configs_prefix(&self.customer);
        let records = SetNames {
            plural: "records",
            prefix: &records_prefix,
            seen_at: self.seen,
        };
        let configs = SetNames {
            plural: "configs",
            prefix: &configs_prefix,
            ..records
        };
        let mut findings = self.records.compare(&now.records, records, retention);
        // A rule for records does not delete configs.
        let forever = RecordRetention::default();
        findings.extend(self.configs.compare(&now.configs, configs, forever));
        if !retention.is_limited() {
            findings.extend(self.legacy.compare(&now.legacy, &records_prefix));
        }
        findings
    }
}

impl LegacyRecords {
    fn compare(&self, now: &Self, prefix: &str) -> Option<AuditFinding> {
        if now.count < self.count {
            let detail = format!(
                "of {} records of the legacy module that `verify` saw before, {} are gone",
                self.count,
                self.count - now.count
            );
            return Some(AuditFinding::new(FindingKind::Missing, prefix, detail));
        }
        // If one cannot be read, that is a finding of its own.
        if self.digest.is_none() || now.digest.is_none() || self.digest == now.digest {
            return None;
        }
        let detail = "the records of the legacy module are not those that `verify` saw before";
        Some(AuditFinding::new(FindingKind::Edited, prefix, detail))
    }
}

impl SeenCustomer {
    fn empty() -> Self {
        Self {
            records: Vec::new(),
            configs: Vec::new(),
            legacy: LegacyRecords::default(),
        }
    }

    fn new(segment: &str, customer: &CustomerSnapshot) -> Self {
        let (records_prefix, configs_prefix) = (records_prefix(segment), configs_prefix(segment));
        let mut seen = Self::empty();
        let mut legacy = Vec::new();
        let (mut has_chains, mut is_readable) = (false, true);
        for record in &customer.records {
            has_chains |= record.parsed.chain.is_some();
            if let Some(at) = key_time(&record.key) {
                seen.records.push(see_record(&records_prefix, record, at));
            } else {
                is_readable &= record.sha256.is_some();
                legacy.push(format!("{} {:?}\n", record.key, record.sha256));
            }
        }
        for copy in &customer.config_copies {
            seen.configs.push(see_copy(&configs_prefix, copy));
        }
        legacy.sort_unstable();
        seen.legacy = LegacyRecords {
            count: legacy.len(),
            digest: (has_chains && is_readable)
                .then(|| shorten(&sha256_hex(legacy.concat().as_bytes()))),
        };
        seen
    }
}

fn see_record(prefix: &str, record: &StoredRecord, at: DateTime<Utc>) -> SeenObject {
    let arrival = match &record.parsed.chain {
        Some(_) if record.parsed.is_late => Arrival::AnyTime,
        Some(_) => Arrival::InTime,
        None => Arrival::Unchained,
    };
    SeenObject {
        name: name_in(prefix, &record.key),
        digest: record.sha256.clone(),
        last_modified: record.last_modified,
        at: Some(at),
        arrival,
    }
}

fn see_copy(prefix: &str, copy: &ConfigVersion) -> SeenObject {
    let digest = copy.content.as_ref().map(|content| {
        let metadata = copy.metadata.clone().unwrap_or_default();
        let stated = format!(
            "{} {:?} {:?} {:?} {:?} {:?}",
            content.digests.sha256,
            metadata.md5,
            metadata.sha256,
            metadata.captured_at,
            metadata.deployment_id,
            metadata.backup_id
        );
        sha256_hex(stated.as_bytes())
    });
    SeenObject {
        name: name_in(prefix, &copy.key),
        digest,
        last_modified: copy.last_modified,
        at: key_time(&copy.key),
        arrival: Arrival::AnyTime,
    }
}

fn records_prefix(segment: &str) -> String {
    format!("{RECORDS_PREFIX}{segment}/")
}

fn configs_prefix(segment: &str) -> String {
    format!("{CONFIGS_PREFIX}{segment}/config-history/")
}

/// The key behind the prefix; all of it if another module used another one.
fn name_in(prefix: &str, key: &str) -> String {
    key.strip_prefix(prefix).unwrap_or(key).to_owned()
}

#[cfg(test)]
mod tests;

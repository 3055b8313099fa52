//! What a snapshot is of: one customer or all, and which kinds of objects.

use crate::keys::{self, CONFIGS_PREFIX, ConfigKey, RECORDS_PREFIX, TerragruntKey};

/// What a snapshot has in addition to usage records and configs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotPart {
    /// The units' Terraform states.
    States,
    /// The seals on the chains of usage records.
    Seals,
    /// Noncurrent versions of `config.yaml`, and of the states if the snapshot has them.
    NoncurrentVersions,
}

pub(super) struct SnapshotScope<'a> {
    customer: Option<&'a str>,
    /// The segment that stands for `customer` in keys.
    segment: Option<String>,
    /// The folders of the customer's configs; none for all customers.
    config_folders: Vec<String>,
    parts: &'a [SnapshotPart],
}

impl<'a> SnapshotScope<'a> {
    pub(super) fn new(customer: Option<&'a str>, parts: &'a [SnapshotPart]) -> Self {
        let config_folders = match customer {
            Some(customer) => keys::customer_config_folders(customer),
            None => Vec::new(),
        };
        Self {
            customer,
            segment: customer.map(keys::customer_segment),
            config_folders,
            parts,
        }
    }

    pub(super) fn has(&self, part: SnapshotPart) -> bool {
        self.parts.contains(&part)
    }

    /// Whether the snapshot has the customer whose keys have this canonical segment.
    ///
    /// The folder of one customer may have the name of another one: listed keys are not enough.
    pub(super) fn includes(&self, segment: &str) -> bool {
        match &self.segment {
            Some(wanted) => wanted == segment,
            None => true,
        }
    }

    /// Whether the snapshot has the noncurrent versions of an object.
    pub(super) fn includes_noncurrent(&self, key: &str) -> bool {
        let Some((segment, kind)) = self.parse_key(key) else {
            return false;
        };
        let is_kind_included = match kind {
            TerragruntKey::State(_) => self.has(SnapshotPart::States),
            TerragruntKey::Config(key) => key == ConfigKey::Current,
        };
        is_kind_included && self.includes(&segment)
    }

    /// Parses a key below `terragrunt/`, and returns the canonical segment of its customer.
    ///
    /// The legacy module wrote a name with a `/` as several path segments. Only the folders of the
    /// wanted customer say where such a name ends.
    pub(super) fn parse_key<'k>(&self, key: &'k str) -> Option<(String, TerragruntKey<'k>)> {
        if let Some(segment) = &self.segment
            && !self.has(SnapshotPart::States)
        {
            for folder in &self.config_folders {
                if let Some(config) = ConfigKey::parse_in(folder, key) {
                    return Some((segment.clone(), TerragruntKey::Config(config)));
                }
            }
        }
        keys::parse_terragrunt_key(key)
    }

    /// The name of the customer with this segment, as far as it is known without its records.
    pub(super) fn customer_name(&self, segment: &str) -> String {
        if let Some(customer) = self.customer {
            return customer.to_owned();
        }
        match keys::parse_customer_segment(segment) {
            Some(name) => name,
            None => segment.to_owned(),
        }
    }

    pub(super) fn config_prefixes(&self) -> Vec<String> {
        let Some(customer) = self.customer else {
            return vec![CONFIGS_PREFIX.to_owned()];
        };
        if self.has(SnapshotPart::States) {
            return keys::customer_terragrunt_prefixes(customer);
        }
        self.config_folders
            .iter()
            .map(|folder| keys::config_keys_prefix(folder))
            .collect()
    }

    /// The prefixes of seals that [`Self::config_prefixes`] do not include.
    pub(super) fn seal_prefixes(&self) -> Vec<String> {
        if self.has(SnapshotPart::States) || !self.has(SnapshotPart::Seals) {
            return Vec::new();
        }
        self.config_folders
            .iter()
            .map(|folder| keys::seal_keys_prefix(folder))
            .collect()
    }

    pub(super) fn record_prefixes(&self) -> Vec<String> {
        match self.customer {
            Some(customer) => keys::customer_record_prefixes(customer),
            None => vec![RECORDS_PREFIX.to_owned()],
        }
    }

    /// Whether records must be read after all else.
    ///
    /// A deployment writes its seal and its states before its record, or at the same time. A record
    /// that is read first could lack them without any error.
    pub(super) fn reads_records_last(&self) -> bool {
        self.has(SnapshotPart::States) || self.has(SnapshotPart::Seals)
    }
}

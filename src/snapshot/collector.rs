//! Sorts listed and fetched objects by customer.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::archive::reader::{ArchiveResult, fetch_with_archive};
use crate::chain::seal::ChainSeal;
use crate::error::Error;
use crate::keys::{self, ArchiveKey, ConfigKey, RecordKey, TerragruntKey};
use crate::record::MAX_RECORD_BYTES;
use crate::record::parse::RecordError;
use crate::s3::bulk_get::ObjectSink;
use crate::s3::listing::{ListPage, ListRequest, NoncurrentVersion, ObjectMeta};
use crate::s3::store::ObjectStore;
use crate::snapshot::scope::{SnapshotPart, SnapshotScope};
use crate::snapshot::stored_record::{RecordReadError, StoredRecord};
use crate::snapshot::{ConfigVersion, CustomerSnapshot, SkippedObject};

pub(super) struct SnapshotCollector<'a> {
    scope: &'a SnapshotScope<'a>,
    /// By the canonical segment of their keys.
    pub(super) customers: BTreeMap<String, CustomerSnapshot>,
}

impl<'a> SnapshotCollector<'a> {
    pub(super) fn new(scope: &'a SnapshotScope<'a>) -> Self {
        Self {
            scope,
            customers: BTreeMap::new(),
        }
    }

    /// Lists the prefixes, and fetches records and seals. Archives are read after records.
    pub(super) async fn collect(
        &mut self,
        store: &Arc<ObjectStore>,
        prefixes: Vec<String>,
    ) -> Result<ArchiveResult, Error> {
        let mut requests = Vec::new();
        for prefix in prefixes {
            requests.push(ListRequest {
                prefix,
                ..ListRequest::default()
            });
        }
        fetch_with_archive(store, requests, MAX_RECORD_BYTES, self).await
    }

    pub(super) fn add_noncurrent_version(&mut self, version: NoncurrentVersion) {
        let NoncurrentVersion { object, version_id } = version;
        let Some((segment, kind)) = self.scope.parse_key(&object.key) else {
            return;
        };
        let Some(customer) = self.customer_entry(&segment) else {
            return;
        };
        match kind {
            TerragruntKey::State(state) => customer.add_state_change(&object, state.unit),
            TerragruntKey::Config(key) => {
                if let Some(config) = ConfigVersion::from_listed(&object, &key) {
                    let version_id = Some(version_id);
                    customer.noncurrent_configs.push(ConfigVersion {
                        version_id,
                        ..config
                    });
                }
            }
        }
    }

    pub(super) fn add_damaged_archive(&mut self, key: String, reason: String) {
        let Some(archive_key) = ArchiveKey::parse(&key) else {
            return;
        };
        let segment = keys::canonical_segment(archive_key.segment);
        if let Some(customer) = self.customer_entry(&segment) {
            customer
                .damaged_archives
                .push(SkippedObject::new(key, reason));
        }
    }

    /// `None` if the snapshot does not include the customer.
    fn customer_entry(&mut self, segment: &str) -> Option<&mut CustomerSnapshot> {
        if !self.scope.includes(segment) {
            return None;
        }
        let scope = self.scope;
        let entry = self.customers.entry(segment.to_owned());
        Some(entry.or_insert_with(|| CustomerSnapshot {
            name: scope.customer_name(segment),
            ..CustomerSnapshot::default()
        }))
    }

    /// Returns whether the record has to be fetched.
    fn add_listed_record(&mut self, object: &ObjectMeta, key: &RecordKey<'_>) -> bool {
        if !self.scope.includes(&keys::canonical_segment(key.segment)) {
            return false;
        }
        if object.size <= MAX_RECORD_BYTES {
            return true;
        }
        let error = RecordError::TooLarge { bytes: object.size };
        self.add_record(object, key, Err(RecordReadError::Invalid(error)));
        false
    }

    fn add_record(
        &mut self,
        object: &ObjectMeta,
        key: &RecordKey<'_>,
        body: Result<Vec<u8>, RecordReadError>,
    ) {
        let segment = keys::canonical_segment(key.segment);
        let Some(customer) = self.customer_entry(&segment) else {
            return;
        };
        let record = StoredRecord::from_object(object, key, body);
        // Only a record has the name of a customer whose segment is a digest.
        if keys::customer_segment(&record.parsed.customer) == segment {
            customer.name.clone_from(&record.parsed.customer);
        }
        customer.records.push(record);
    }

    /// Adds an object below `terragrunt/`, and returns whether it has to be fetched.
    fn add_listed_terragrunt_object(&mut self, object: &ObjectMeta) -> bool {
        let Some((segment, kind)) = self.scope.parse_key(&object.key) else {
            return false;
        };
        let is_included = match kind {
            TerragruntKey::State(_) => self.scope.has(SnapshotPart::States),
            TerragruntKey::Config(ConfigKey::Seal { .. }) => self.scope.has(SnapshotPart::Seals),
            TerragruntKey::Config(_) => true,
        };
        if !is_included {
            return false;
        }
        let Some(customer) = self.customer_entry(&segment) else {
            return false;
        };

        match kind {
            TerragruntKey::State(state) => {
                customer.units.insert(state.unit.to_owned());
                customer.add_state_change(object, state.unit);
            }
            TerragruntKey::Config(ConfigKey::Seal { .. }) => {
                if object.size <= MAX_RECORD_BYTES {
                    return true;
                }
                customer.seals.insert(object.key.clone(), None);
            }
            TerragruntKey::Config(key) => {
                if let Some(config) = ConfigVersion::from_listed(object, &key) {
                    customer.add_config(config);
                }
            }
        }
        false
    }
}

impl ObjectSink for SnapshotCollector<'_> {
    fn accept_page(
        &mut self,
        _: &ListRequest,
        _: &str,
        page: ListPage,
    ) -> Result<Vec<ObjectMeta>, Error> {
        let mut to_fetch = Vec::new();
        for object in page.objects {
            let is_needed = match RecordKey::parse(&object.key) {
                Some(key) => self.add_listed_record(&object, &key),
                None => self.add_listed_terragrunt_object(&object),
            };
            if is_needed {
                to_fetch.push(object);
            }
        }
        Ok(to_fetch)
    }

    fn accept_object(&mut self, object: &ObjectMeta, body: Result<Option<Vec<u8>>, Error>) {
        let body = match body {
            Ok(Some(body)) => Ok(body),
            // Deleted since it was listed.
            Ok(None) => return,
            Err(error) => Err(RecordReadError::NotFetched(error.message)),
        };
        if let Some(key) = RecordKey::parse(&object.key) {
            self.add_record(object, &key, body);
            return;
        }

        let Some((segment, _)) = self.scope.parse_key(&object.key) else {
            return;
        };
        let Some(customer) = self.customer_entry(&segment) else {
            return;
        };
        match body {
            Ok(body) => {
                let seal = ChainSeal::parse(&body);
                customer.seals.insert(object.key.clone(), seal);
            }
            Err(error) => {
                let object = SkippedObject::new(&object.key, error.to_string());
                customer.unreadable_seals.push(object);
            }
        }
    }
}

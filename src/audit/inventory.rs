//! Everything that the bucket holds of one customer, or of all: listed, fetched and digested.
//!
//! Reads only, and judges nothing. Seals are read before records: of a deployment that is under way, a record may be there
//! without its seal, but no seal without its record.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};

use crate::archive::reader::{self, ArchiveResult};
use crate::audit::checks::{AuditedConfig, AuditedRecord, CustomerHoldings};
use crate::chain::seal::ChainSeal;
use crate::digest::{compute_digests, sha256_hex};
use crate::error::{Error, ErrorKind};
use crate::history::load::{MAX_STORED_CONFIG_BYTES as LARGEST_CONFIG, stated_digests};
use crate::keys::metadata::parse_captured_at;
use crate::keys::{self, ArchiveKey, ConfigKey};
use crate::record::parse;
use crate::report::collector::MAX_RECORD_BYTES as LARGEST_RECORD;
use crate::s3::bulk_get::{self, ObjectSink, retry_with_backoff};
use crate::s3::listing::{ListPage, ListRequest, ObjectMeta};
use crate::s3::store::ObjectStore;

/// Configs under way at once.
const CONFIG_CONCURRENCY: usize = 16;

/// What the bucket holds, by customer.
pub type BucketInventory = BTreeMap<String, CustomerHoldings>;

/// What there is, and what the archive had of it.
#[derive(Debug)]
pub struct LoadedInventory {
    /// By customer.
    pub inventory: BucketInventory,
    /// How many of the records only the archive has.
    pub archived_records: usize,
    /// What of the archive may not be read, as one phrase each.
    pub unreadable_archives: Vec<String>,
}

/// Reads all that there is of `customer`, or of everybody.
///
/// # Errors
/// A request that failed for good, or a customer of whom there is nothing.
pub async fn load_inventory(
    store: &Arc<ObjectStore>,
    customer: Option<&str>,
) -> Result<LoadedInventory, Error> {
    let mut taking = InventoryCollector {
        customer,
        inventory: BucketInventory::new(),
        configs: Vec::new(),
    };
    let under = |prefix: String| ListRequest {
        prefix,
        ..ListRequest::default()
    };
    let (seals, records): (Vec<ListRequest>, Vec<ListRequest>) = match customer {
        None => (
            vec![under(keys::CONFIGS_PREFIX.to_owned())],
            vec![under(keys::RECORDS_PREFIX.to_owned())],
        ),
        Some(name) => {
            let folders = keys::customer_config_folders(name);
            let seals = folders.iter().flat_map(|folder| {
                [
                    keys::config_keys_prefix(folder),
                    keys::seal_keys_prefix(folder),
                ]
            });
            (
                seals.map(under).collect(),
                keys::customer_record_prefixes(name)
                    .into_iter()
                    .map(under)
                    .collect(),
            )
        }
    };
    bulk_get::list_and_fetch(Arc::clone(store), seals, LARGEST_RECORD, &mut taking).await?;
    let ArchiveResult {
        record_count: archived,
        damaged,
        denied: refused,
    } = reader::fetch_with_archive(store, records, LARGEST_RECORD, &mut taking).await?;
    for (key, why) in damaged {
        let owner = ArchiveKey::parse(&key).and_then(|key| taking.wanted_owner(key.segment));
        if let Some(owner) = owner {
            taking
                .inventory
                .entry(owner)
                .or_default()
                .damaged_archives
                .push((key, why));
        }
    }
    let InventoryCollector {
        mut inventory,
        configs,
        ..
    } = taking;
    let mut copies = stream::iter(configs)
        .map(|config| load_config(store, config))
        .buffered(CONFIG_CONCURRENCY);
    while let Some(read) = copies.next().await {
        let Some((owner, copy)) = read? else { continue };
        let holdings = inventory.entry(owner).or_default();
        if copy.named_at.is_some() {
            &mut holdings.versions
        } else {
            &mut holdings.current
        }
        .push(copy);
    }
    for holdings in inventory.values_mut() {
        holdings.records.sort_by(|a, b| a.key.cmp(&b.key));
    }
    match customer {
        Some(name) if inventory.is_empty() => {
            let text = format!(
                "look for `{name}` in `{}`: there is nothing",
                store.object_uri("")
            );
            Err(Error::new(
                ErrorKind::Input,
                text,
                "check the customer's name, as in `config-backup report`",
            ))
        }
        _ => Ok(LoadedInventory {
            inventory,
            archived_records: archived,
            unreadable_archives: refused,
        }),
    }
}

struct InventoryCollector<'a> {
    customer: Option<&'a str>,
    inventory: BucketInventory,
    configs: Vec<(String, ObjectMeta)>,
}

impl InventoryCollector<'_> {
    /// The customer that a path segment stands for, if it is one that is asked for.
    fn wanted_owner(&self, segment: &str) -> Option<String> {
        let owner = keys::parse_customer_segment(segment).unwrap_or_else(|| segment.to_owned());
        match self.customer {
            // A segment may be a digest, or spelled as the earlier module did: the prefix has chosen it.
            Some(customer) => (keys::parse_customer_segment(segment)
                .is_none_or(|it| it == customer))
            .then(|| customer.to_owned()),
            None => Some(owner),
        }
    }
}

impl ObjectSink for InventoryCollector<'_> {
    fn accept_page(
        &mut self,
        _: &ListRequest,
        _: &str,
        page: ListPage,
    ) -> Result<Vec<ObjectMeta>, Error> {
        let mut wanted = Vec::new();
        for listed in page.objects {
            if let Some((folder, segment)) = keys::split_customer_folder(&listed.key) {
                let Some(owner) = self.wanted_owner(segment) else {
                    continue;
                };
                match keys::parse_config_key(folder, &listed.key) {
                    Some(ConfigKey::Seal { .. }) => wanted.push(listed),
                    Some(ConfigKey::Current | ConfigKey::Version { .. }) => {
                        self.configs.push((owner, listed));
                    }
                    None => {}
                }
            } else if keys::parse_record_key(&listed.key)
                .is_some_and(|key| self.wanted_owner(key.segment).is_some())
            {
                if listed.size <= LARGEST_RECORD {
                    wanted.push(listed);
                } else {
                    self.accept_object(
                        &listed,
                        Err(Error::new(
                            ErrorKind::Service,
                            format!("it has {} bytes", listed.size),
                            "",
                        )),
                    );
                }
            }
        }
        Ok(wanted)
    }

    fn accept_object(&mut self, listed: &ObjectMeta, body: Result<Option<Vec<u8>>, Error>) {
        let body = match body {
            Ok(Some(body)) => Ok(body),
            Ok(None) => return,
            Err(fault) => Err(fault.message),
        };
        let folder = keys::split_customer_folder(&listed.key);
        let segment = folder
            .map(|(_, segment)| segment)
            .or_else(|| keys::record_key_segment(&listed.key))
            .unwrap_or_default();
        let Some(owner) = self.wanted_owner(segment) else {
            return;
        };
        let holdings = self.inventory.entry(owner).or_default();
        if folder.is_some() {
            let seal = body.ok().and_then(|body| ChainSeal::parse(&body));
            holdings.seals.insert(listed.key.clone(), seal);
        } else {
            holdings.records.push(audited_record(&listed.key, &body));
        }
    }
}

fn audited_record(key: &str, body: &Result<Vec<u8>, String>) -> AuditedRecord {
    let key = key.to_owned();
    let (sha256, read) = match body {
        Ok(body) => (
            sha256_hex(body),
            parse::parse_record(body).map_err(|error| error.to_string()),
        ),
        Err(why) => (String::new(), Err(why.clone())),
    };
    match read {
        Ok(reading) => AuditedRecord {
            key,
            sha256,
            at: reading.deployed_at,
            customer: reading.customer,
            deployment_id: reading.deployment_id,
            config_hash: reading.config_hash,
            backup: reading.backup,
            backup_key: reading.backup_key,
            chain: reading.chain,
            read_error: None,
        },
        Err(why) => AuditedRecord {
            key,
            sha256,
            read_error: Some(why),
            ..AuditedRecord::default()
        },
    }
}

/// The bytes of a config, digested, and what its object says of them; `None` where it has just been replaced or deleted.
async fn load_config(
    store: &ObjectStore,
    (owner, listed): (String, ObjectMeta),
) -> Result<Option<(String, AuditedConfig)>, Error> {
    let (head, body) = futures_util::join!(
        retry_with_backoff(|| store.head_object(&listed.key)),
        retry_with_backoff(|| store.get_object(&listed.key, LARGEST_CONFIG)),
    );
    let (Some(head), Some(body)) = (head?, body?) else {
        return Ok(None);
    };
    let named = keys::split_customer_folder(&listed.key).and_then(|(folder, _)| {
        match keys::parse_config_key(folder, &listed.key)? {
            ConfigKey::Version(version) => Some((version.captured_at, version.md5.to_owned())),
            _ => None,
        }
    });
    let (named_at, known_md5) = named.map_or((None, String::new()), |(at, md5)| (Some(at), md5));
    let stated = stated_digests(&head, head.size, known_md5);
    let copy = AuditedConfig {
        key: listed.key,
        named_at,
        captured_at: parse_captured_at(&head),
        stated,
        digests: compute_digests(&body),
        byte_count: body.len() as u64,
    };
    Ok(Some((owner, copy)))
}

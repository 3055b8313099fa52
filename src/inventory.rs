//! Everything that the bucket holds of one customer, or of all: listed, fetched and digested.
//!
//! Reads only, and judges nothing. Seals are read before records: of a deployment that is under way, a record may be there
//! without its seal, but no seal without its record.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};

use crate::archive::{self, Rest};
use crate::audit::{Copy, Holdings, Record};
use crate::aws::Store;
use crate::deliver::captured_at;
use crate::digest::{digests, sha256_hex};
use crate::fault::{Fault, Kind};
use crate::fetch::{self, Sink, patiently};
use crate::gather::LARGEST as LARGEST_RECORD;
use crate::layout::{self, ConfigKey};
use crate::listing::{Listed, Listing, Page};
use crate::past::{LARGEST as LARGEST_CONFIG, stated};
use crate::reading;
use crate::seal::Seal;

/// Configs under way at once.
const AT_ONCE: usize = 16;

/// What the bucket holds, by customer.
pub type Inventory = BTreeMap<String, Holdings>;

/// What there is, and what the archive had of it.
#[derive(Debug)]
pub struct Taken {
    /// By customer.
    pub inventory: Inventory,
    /// How many of the records only the archive has.
    pub archived: usize,
    /// What of the archive may not be read, as one phrase each.
    pub refused: Vec<String>,
}

/// Reads all that there is of `customer`, or of everybody.
///
/// # Errors
/// A request that failed for good, or a customer of whom there is nothing.
pub async fn take(store: &Arc<Store>, customer: Option<&str>) -> Result<Taken, Fault> {
    let mut taking = Taking { customer, inventory: Inventory::new(), configs: Vec::new() };
    let under = |prefix: String| Listing { prefix, ..Listing::default() };
    let (seals, records): (Vec<Listing>, Vec<Listing>) = match customer {
        None => (vec![under(layout::CONFIGS.to_owned())], vec![under(layout::LOGS.to_owned())]),
        Some(name) => {
            let folders = layout::folders_to_read(name);
            let seals = folders.iter().flat_map(|folder| [layout::configs_prefix(folder), layout::seals_prefix(folder)]);
            (seals.map(under).collect(), layout::prefixes_to_read(name).into_iter().map(under).collect())
        }
    };
    fetch::all(Arc::clone(store), seals, LARGEST_RECORD, &mut taking).await?;
    let Rest { records: archived, damaged, refused } = archive::all(store, records, LARGEST_RECORD, &mut taking).await?;
    for (key, why) in damaged {
        let owner = layout::parse_part_key(&key).and_then(|key| taking.owner(key.segment));
        if let Some(owner) = owner {
            taking.inventory.entry(owner).or_default().damaged.push((key, why));
        }
    }
    let Taking { mut inventory, configs, .. } = taking;
    let mut copies = stream::iter(configs).map(|config| copy(store, config)).buffered(AT_ONCE);
    while let Some(read) = copies.next().await {
        let Some((owner, copy)) = read? else { continue };
        let holdings = inventory.entry(owner).or_default();
        if copy.named_at.is_some() { &mut holdings.versions } else { &mut holdings.current }.push(copy);
    }
    for holdings in inventory.values_mut() {
        holdings.records.sort_by(|a, b| a.key.cmp(&b.key));
    }
    match customer {
        Some(name) if inventory.is_empty() => {
            let text = format!("look for `{name}` in `{}`: there is nothing", store.uri(""));
            Err(Fault::new(Kind::Input, text, "check the customer's name, as in `config-backup report`"))
        }
        _ => Ok(Taken { inventory, archived, refused }),
    }
}

struct Taking<'a> {
    customer: Option<&'a str>,
    inventory: Inventory,
    configs: Vec<(String, Listed)>,
}

impl Taking<'_> {
    /// The customer that a path segment stands for, if it is one that is asked for.
    fn owner(&self, segment: &str) -> Option<String> {
        let owner = layout::customer_of(segment).unwrap_or_else(|| segment.to_owned());
        match self.customer {
            // A segment may be a digest, or spelled as the earlier module did: the prefix has chosen it.
            Some(customer) => (layout::customer_of(segment).is_none_or(|it| it == customer)).then(|| customer.to_owned()),
            None => Some(owner),
        }
    }
}

impl Sink for Taking<'_> {
    fn page(&mut self, _: &Listing, _: &str, page: Page) -> Result<Vec<Listed>, Fault> {
        let mut wanted = Vec::new();
        for listed in page.objects {
            if let Some((folder, segment)) = layout::folder_of(&listed.key) {
                let Some(owner) = self.owner(segment) else { continue };
                match layout::parse_config_key(folder, &listed.key) {
                    Some(ConfigKey::Seal { .. }) => wanted.push(listed),
                    Some(ConfigKey::Current | ConfigKey::Version { .. }) => self.configs.push((owner, listed)),
                    None => {}
                }
            } else if layout::parse_log_key(&listed.key).is_some_and(|key| self.owner(key.segment).is_some()) {
                if listed.size <= LARGEST_RECORD {
                    wanted.push(listed);
                } else {
                    self.object(&listed, Err(Fault::new(Kind::Service, format!("it has {} bytes", listed.size), "")));
                }
            }
        }
        Ok(wanted)
    }

    fn object(&mut self, listed: &Listed, body: Result<Option<Vec<u8>>, Fault>) {
        let body = match body {
            Ok(Some(body)) => Ok(body),
            Ok(None) => return,
            Err(fault) => Err(fault.text),
        };
        let folder = layout::folder_of(&listed.key);
        let segment = folder.map(|(_, segment)| segment).or_else(|| layout::segment_of(&listed.key)).unwrap_or_default();
        let Some(owner) = self.owner(segment) else { return };
        let holdings = self.inventory.entry(owner).or_default();
        if folder.is_some() {
            let seal = body.ok().and_then(|body| Seal::read(&body));
            holdings.seals.insert(listed.key.clone(), seal);
        } else {
            holdings.records.push(record(&listed.key, &body));
        }
    }
}

fn record(key: &str, body: &Result<Vec<u8>, String>) -> Record {
    let key = key.to_owned();
    let (sha256, read) = match body {
        Ok(body) => (sha256_hex(body), reading::read(body)),
        Err(why) => (String::new(), Err(why.clone())),
    };
    match read {
        Ok(reading) => Record {
            key,
            sha256,
            at: reading.at,
            customer: reading.customer,
            deployment_id: reading.deployment_id,
            config_hash: reading.config_hash,
            backup: reading.backup,
            backup_key: reading.backup_key,
            chain: reading.chain,
            damage: None,
        },
        Err(why) => Record { key, sha256, damage: Some(why), ..Record::default() },
    }
}

/// The bytes of a config, digested, and what its object says of them; `None` where it has just been replaced or deleted.
async fn copy(store: &Store, (owner, listed): (String, Listed)) -> Result<Option<(String, Copy)>, Fault> {
    let (head, body) = futures_util::join!(patiently(|| store.head(&listed.key)), patiently(|| store.get(&listed.key, LARGEST_CONFIG)),);
    let (Some(head), Some(body)) = (head?, body?) else { return Ok(None) };
    let named = layout::folder_of(&listed.key).and_then(|(folder, _)| match layout::parse_config_key(folder, &listed.key)? {
        ConfigKey::Version { at, md5 } => Some((at, md5.to_owned())),
        _ => None,
    });
    let (named_at, known_md5) = named.map_or((None, String::new()), |(at, md5)| (Some(at), md5));
    let stated = stated(&head, head.size, known_md5);
    let copy =
        Copy { key: listed.key, named_at, captured_at: captured_at(&head), stated, digests: digests(&body), length: body.len() as u64 };
    Ok(Some((owner, copy)))
}

//! Lists and reads what `coverage` compares: states, configs and usage records of one customer or all, and the spool.
//!
//! Reads only. What is missing, `gaps.rs` decides; what else has to be asked, `evidence.rs` says.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::DateTime;
use futures_util::{StreamExt as _, stream};

use crate::archive::{self, Rest};
use crate::aws::{Head, Store};
use crate::changes::Change;
use crate::deliver::{DEPLOYMENT_ID, MD5, captured_at};
use crate::digest::{digests, sha256_hex};
use crate::earlier::{self, Access};
use crate::evidence::{Customer, Held, Kept, Logged, Thing};
use crate::fault::{Fault, Kind};
use crate::fetch::{Sink, patiently};
use crate::gather::LARGEST as LARGEST_RECORD;
use crate::layout::{self, Beside, CONFIGS, ConfigKey, LOGS};
use crate::listing::{Listed, Listing, Overwritten, Page};
use crate::past::LARGEST;
use crate::reading::{self, Reading};
use crate::seal::Seal;
use crate::spool::Spool;

/// Objects under way at once that are looked at one by one.
const AT_ONCE: usize = 32;

/// What there is, by customer.
#[derive(Debug)]
pub struct Survey {
    /// By the segment of their keys.
    pub customers: BTreeMap<String, Customer>,
    /// Records and items of the spool that were left out, with the reason.
    pub left_out: Vec<String>,
    /// Whether earlier versions of the states are among their changes.
    pub versions: Access,
    /// The segment of the only customer who is wanted.
    only: Option<String>,
    /// Further configs, by segment: keys, and the ids of versions that were overwritten.
    others: BTreeMap<String, Vec<(String, Option<String>)>>,
}

/// Looks at all that there is of `customer`, or of all.
///
/// # Errors
/// A request that failed for good.
pub async fn look(store: &Arc<Store>, customer: Option<&str>, spool: &Spool) -> Result<Survey, Fault> {
    let mut survey = Survey {
        customers: BTreeMap::new(),
        left_out: Vec::new(),
        versions: Access::Unsupported,
        only: customer.map(layout::segment),
        others: BTreeMap::new(),
    };
    let folders = customer.map_or_else(|| vec![CONFIGS.to_owned()], layout::all_prefixes);
    // The records after all else: a deployment writes its record last, or while its states are still to be written.
    let mut older = Vec::new();
    let (listed, versions) = futures_util::join!(list(store, folders.clone(), &mut survey), all_versions(store, &folders, &mut older));
    survey.left_out.extend(listed?);
    survey.versions = versions?;
    for version in older {
        survey.take_version(version);
    }
    let logs = customer.map_or_else(|| vec![LOGS.to_owned()], layout::prefixes_to_read);
    let left_out = list(store, logs, &mut survey).await?;
    survey.left_out.extend(left_out);
    survey.take_spool(spool, &store.target.bucket);
    survey.look_for_missing(store).await?;
    survey.look_at_configs(store).await?;
    survey.look_at_others(store).await?;
    survey.left_out.sort();
    Ok(survey)
}

/// Goes through what lies below some prefixes; gives what of the archive could not be read.
async fn list(store: &Arc<Store>, prefixes: Vec<String>, survey: &mut Survey) -> Result<Vec<String>, Fault> {
    let listings = prefixes.into_iter().map(|prefix| Listing { prefix, ..Listing::default() }).collect();
    archive::all(store, listings, LARGEST_RECORD, survey).await.map(Rest::left_out)
}

/// The overwritten versions of states and of `config.yaml`.
async fn all_versions(store: &Store, folders: &[String], found: &mut Vec<Overwritten>) -> Result<Access, Fault> {
    let is_of_use = |version: &Overwritten| {
        matches!(layout::parse_key(&version.listed.key), Some((_, Beside::State { .. } | Beside::Config(ConfigKey::Current))))
    };
    for folder in folders {
        let access = earlier::each(store, folder, |version| found.extend(Some(version).filter(is_of_use))).await?;
        if access != Access::Listed {
            return Ok(access);
        }
    }
    Ok(Access::Listed)
}

impl Sink for Survey {
    fn page(&mut self, listing: &Listing, _: &str, page: Page) -> Result<Vec<Listed>, Fault> {
        let of_records = listing.prefix.starts_with(LOGS);
        let is_read = |listed: &Listed| if of_records { self.wants_record(listed) } else { self.take_object(listed) };
        Ok(page.objects.into_iter().filter(is_read).collect())
    }

    fn object(&mut self, listed: &Listed, body: Result<Option<Vec<u8>>, Fault>) {
        if let Some((segment, _)) = layout::parse_key(&listed.key) {
            // One that is no seal any more is for `verify`.
            let seal = body.ok().flatten().and_then(|body| Seal::read(&body));
            self.customer(&segment).into_iter().for_each(|customer| customer.seals.extend(seal.clone()));
            return;
        }
        let sha256 = body.as_ref().ok().and_then(Option::as_deref).map(sha256_hex).unwrap_or_default();
        let read = match body {
            Ok(Some(body)) => reading::read(&body).map_err(|reason| format!("`{}`: {reason}", listed.key)),
            Ok(None) => return,
            Err(fault) => Err(fault.text),
        };
        let Some(key) = layout::parse_log_key(&listed.key) else { return };
        // A record that cannot be read is one all the same: somebody logged then.
        let reading = read.unwrap_or_else(|why| {
            self.left_out.push(why);
            Reading::default()
        });
        let at = reading.at.or(key.at).unwrap_or(listed.modified);
        if let Some(customer) = self.customer(&layout::owner(key.segment)) {
            if layout::segment(&reading.customer) == layout::owner(key.segment) {
                customer.name.clone_from(&reading.customer);
            }
            customer.records.push(Logged { sha256, ..Logged::of(reading, at) });
        }
    }
}

impl Survey {
    /// The customer whose keys have this segment, if it is wanted.
    fn customer(&mut self, segment: &str) -> Option<&mut Customer> {
        if self.only.as_ref().is_some_and(|only| only != segment) {
            return None;
        }
        let name = || layout::customer_of(segment).unwrap_or_else(|| segment.to_owned());
        let new = || Customer { name: name(), ..Customer::default() };
        Some(self.customers.entry(segment.to_owned()).or_insert_with(new))
    }

    fn wants_record(&mut self, listed: &Listed) -> bool {
        let Some(key) = layout::parse_log_key(&listed.key) else { return false };
        if self.customer(&layout::owner(key.segment)).is_none() {
            return false;
        }
        if listed.size > LARGEST_RECORD {
            self.left_out.push(format!("`{}`: it has {} bytes, and at most {LARGEST_RECORD} are read", listed.key, listed.size));
        }
        listed.size <= LARGEST_RECORD
    }

    /// Notes what a listing says of an object; whether it has to be read as well.
    fn take_object(&mut self, listed: &Listed) -> bool {
        let Some((segment, beside)) = layout::parse_key(&listed.key) else { return false };
        let Some(customer) = self.customer(&segment) else { return false };
        match beside {
            Beside::Config(ConfigKey::Seal { .. }) => return listed.size <= LARGEST_RECORD,
            Beside::State { unit } => {
                customer.units.insert(unit.to_owned());
                customer.changes.push(Change { at: listed.modified, unit: unit.to_owned() });
            }
            Beside::Config(ConfigKey::Version { at, md5 }) => {
                customer.copies.push(Held { at, md5: md5.to_owned(), key: listed.key.clone(), deployment_id: String::new() });
            }
            Beside::Config(ConfigKey::Current) => {
                // There may be ours, and one of the earlier module in a folder that is called by the name itself.
                let mut both = vec![Held { key: listed.key.clone(), at: listed.modified, ..Held::default() }];
                both.extend(customer.current.take());
                both.sort_by_key(|it| it.at);
                customer.current = both.pop();
                let rest = both.into_iter().map(|it| (it.key, None));
                self.others.entry(segment).or_default().extend(rest);
            }
        }
        false
    }

    fn take_version(&mut self, version: Overwritten) {
        let Some((segment, beside)) = layout::parse_key(&version.listed.key) else { return };
        let Some(customer) = self.customer(&segment) else { return };
        match beside {
            Beside::State { unit } => customer.changes.push(Change { at: version.listed.modified, unit: unit.to_owned() }),
            Beside::Config(ConfigKey::Current) => {
                self.others.entry(segment).or_default().push((version.listed.key.clone(), Some(version.version)));
            }
            Beside::Config(ConfigKey::Version { .. } | ConfigKey::Seal { .. }) => {}
        }
    }

    fn take_spool(&mut self, spool: &Spool, bucket: &str) {
        let contents = spool.look();
        self.left_out.extend(contents.faults.iter().map(ToString::to_string));
        for path in contents.items {
            match Spool::peek(&path) {
                Ok(Some((item, body))) if item.target.bucket == bucket => {
                    let segment = layout::segment(&item.customer);
                    if let Some(customer) = self.customer(&segment) {
                        customer.name.clone_from(&item.customer);
                        customer.kept.push(Kept { path: path.display().to_string(), thing: Thing::of(item, &body) });
                    }
                }
                Ok(_) => {}
                Err(refused) => self.left_out.push(format!("`{}`: {refused}", path.display())),
            }
        }
    }

    /// Looks once more for the copies that records name, and for `config.yaml` where there is none beside records: a deployment
    /// may have come between the two listings.
    async fn look_for_missing(&mut self, store: &Store) -> Result<(), Fault> {
        // A record may name anything; only what can be a copy of this customer's is asked for.
        let is_copy = |segment: &str, key: &str| matches!(layout::parse_key(key), Some((owner, Beside::Config(ConfigKey::Version { .. }))) if owner == segment);
        let missing = self.customers.iter().flat_map(|(segment, it)| it.missing_keys().into_iter().map(move |key| (segment, key)));
        let copies = missing.filter(|(segment, key)| is_copy(segment, key)).map(|(_, key)| key.to_owned());
        let has_none = |it: &&Customer| it.current.is_none() && !it.records.is_empty();
        let currents = self.customers.values().filter(has_none).map(|it| layout::config_key(&it.name));
        let keys: Vec<String> = copies.chain(currents).collect();
        let looks = keys.into_iter().map(|key| async move {
            let is_there = patiently(|| store.head(&key)).await?.is_some();
            Ok::<_, Fault>(Some(key).filter(|_| is_there))
        });
        let mut looks = stream::iter(looks).buffer_unordered(AT_ONCE);
        while let Some(done) = looks.next().await {
            if let Some(key) = done? {
                self.take_object(&Listed { key, modified: DateTime::default(), size: 0, etag: String::new() });
            }
        }
        Ok(())
    }

    /// Reads the metadata of each `config.yaml`, and of the copies that no record explains.
    async fn look_at_configs(&mut self, store: &Store) -> Result<(), Fault> {
        let mut asked = Vec::new();
        for (segment, customer) in &self.customers {
            let compared = customer.records.iter().any(|it| !it.config_hash.is_empty());
            let current = customer.current.iter().map(|it| (None, it.clone(), compared));
            let copies = customer.unexplained().into_iter().map(|place| (Some(place), customer.copies[place].clone(), false));
            asked.extend(current.chain(copies).map(|(place, held, compared)| (segment.clone(), place, held, compared)));
        }
        let looks = asked.into_iter().map(|(segment, place, mut held, compared)| async move {
            let is_there = complete(store, &mut held, compared).await?;
            Ok::<_, Fault>((segment, place, Some(held).filter(|_| is_there)))
        });
        let mut looks = stream::iter(looks).buffer_unordered(AT_ONCE);
        while let Some(done) = looks.next().await {
            let (segment, place, held) = done?;
            let Some(customer) = self.customers.get_mut(&segment) else { continue };
            match (place, held) {
                (None, held) => customer.current = held,
                (Some(place), Some(held)) => customer.copies[place] = held,
                // Deleted since it was listed; the next run will say so.
                (Some(_), None) => {}
            }
        }
        Ok(())
    }

    /// Looks among the other configs for those that only a record of the earlier module names.
    async fn look_at_others(&mut self, store: &Store) -> Result<(), Fault> {
        let others = std::mem::take(&mut self.others).into_iter();
        let wanted = others.filter(|(segment, _)| self.customers.get(segment).is_some_and(|it| !it.lost_hashes().is_empty()));
        let each = wanted.flat_map(|(segment, others)| others.into_iter().map(move |other| (segment.clone(), other)));
        let looks = each.map(|(segment, (key, version))| async move {
            let version = version.as_deref();
            let Some(head) = patiently(|| store.head_version(&key, version)).await? else { return Ok((segment, String::new())) };
            md5_of(store, &key, version, &head).await.map(|md5| (segment, md5))
        });
        let mut looks = stream::iter(looks.collect::<Vec<_>>()).buffer_unordered(AT_ONCE);
        while let Some(done) = looks.next().await {
            match done {
                Ok((segment, md5)) => self.customers.entry(segment).or_default().earlier.extend(Some(md5).filter(|md5| !md5.is_empty())),
                // Who may list versions may not be allowed to read them.
                Err(fault) if fault.kind == Kind::Denied => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }
}

/// Completes what the listing says of a config by its metadata, and by its bytes where that lacks an MD5 which is
/// `compared`; whether it is there.
async fn complete(store: &Store, config: &mut Held, compared: bool) -> Result<bool, Fault> {
    let Some(head) = patiently(|| store.head(&config.key)).await? else { return Ok(false) };
    config.deployment_id = head.metadata.get(DEPLOYMENT_ID).cloned().unwrap_or_default();
    config.at = captured_at(&head).unwrap_or(config.at);
    if config.md5.is_empty() && compared {
        config.md5 = md5_of(store, &config.key, None, &head).await?;
    }
    Ok(true)
}

/// The MD5 of an object, or of a version of it, by its metadata or else its bytes; empty where it is gone or too large.
async fn md5_of(store: &Store, key: &str, version: Option<&str>, head: &Head) -> Result<String, Fault> {
    if let Some(md5) = head.metadata.get(MD5) {
        return Ok(md5.clone());
    }
    if head.size > LARGEST {
        return Ok(String::new());
    }
    let bytes = patiently(|| store.get_version(key, version, LARGEST)).await?;
    Ok(bytes.map(|bytes| digests(&bytes).md5).unwrap_or_default())
}

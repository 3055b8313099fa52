//! What the bucket knows of a customer's past: lists the versions of the config, reads the usage records, fetches a version.
//!
//! Reads only. Which version is meant, `versions.rs` decides.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::{StreamExt as _, stream};

use crate::archive;
use crate::aws::{Head, Patience, Store};
use crate::deliver::{DEPLOYMENT_ID, MD5, SHA256, captured_at};
use crate::digest::digests;
use crate::earlier;
use crate::fault::{Fault, Kind};
use crate::fetch::{Sink, patiently};
use crate::gather::LARGEST as LARGEST_RECORD;
use crate::layout::{self, ConfigKey};
use crate::listing::{Listed, Listing, Overwritten, Page};
use crate::proof::{Stated, verify};
use crate::reading;
use crate::versions::{Past, Use, Version};

/// Attempts are counted by `fetch.rs`.
pub const PATIENCE: Patience = Patience { operation: Duration::from_mins(1), attempt: Duration::from_mins(1), attempts: 1 };
/// Overwritten versions that are looked at at once.
const AT_ONCE: usize = 16;
/// The largest config that is fetched: more than was ever backed up, for the earlier module had no limit.
pub const LARGEST: u64 = 64 << 20;

/// A customer's past, and what could not be read of it.
#[derive(Debug, Default)]
pub struct Found {
    /// The versions and the deployments.
    pub past: Past,
    /// Records that were left out, with the reason.
    pub left_out: Vec<String>,
}

/// The bytes of a version, of which is known that they are what was backed up.
#[derive(Debug)]
pub struct Proven {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// What vouches for them, as words; empty where nothing does.
    pub by: String,
    /// The deployment that uploaded them; empty where the object does not say.
    pub deployment_id: String,
}

/// Finds all versions of a customer's config, and all deployments.
///
/// # Errors
/// Also where there is no version at all.
pub async fn look(store: &Arc<Store>, customer: &str) -> Result<Found, Fault> {
    let folders = layout::folders_to_read(customer);
    let prefixes = folders.iter().map(|folder| layout::configs_prefix(folder)).chain(layout::prefixes_to_read(customer));
    let listings = prefixes.map(|prefix| Listing { prefix, ..Listing::default() }).collect();
    let mut search = Search { customer, folders: &folders, ..Search::default() };
    let (listed, overwritten) =
        futures_util::join!(archive::all(store, listings, LARGEST_RECORD, &mut search), overwritten(store, &folders));
    search.left_out.extend(listed?.left_out());
    let Search { mut versions, current, uses, mut left_out, .. } = search;
    for listed in current {
        versions.extend(without_copy(store, listed, "", &versions).await?);
    }
    left_out.extend(add_overwritten(store, overwritten?, &mut versions).await?);
    if versions.is_empty() {
        let text = format!("look for the config of `{customer}` below `{}`: there is none", store.uri(&folders[0]));
        return Err(Fault::new(Kind::Input, text, "check the customer's name, as in `config-backup report`"));
    }
    left_out.sort();
    Ok(Found { past: Past::new(versions, uses), left_out })
}

#[derive(Default)]
struct Search<'a> {
    customer: &'a str,
    folders: &'a [String],
    versions: Vec<Version>,
    current: Vec<Listed>,
    uses: Vec<Use>,
    left_out: Vec<String>,
}

impl Sink for Search<'_> {
    fn page(&mut self, listing: &Listing, _: &str, page: Page) -> Result<Vec<Listed>, Fault> {
        let Some(folder) = self.folders.iter().find(|folder| layout::configs_prefix(folder) == listing.prefix) else {
            return Ok(page.objects.into_iter().filter(|listed| self.wants(listed)).collect());
        };
        for listed in page.objects {
            match layout::parse_config_key(folder, &listed.key) {
                Some(ConfigKey::Version { at, md5 }) => {
                    let (key, version_id) = (listed.key.clone(), String::new());
                    self.versions.push(Version { at, md5: md5.to_owned(), size: listed.size, key, version_id });
                }
                Some(ConfigKey::Current) => self.current.push(listed),
                Some(ConfigKey::Seal { .. }) | None => {}
            }
        }
        Ok(Vec::new())
    }

    fn object(&mut self, listed: &Listed, body: Result<Option<Vec<u8>>, Fault>) {
        let read = match body {
            Ok(Some(body)) => reading::read(&body).map_err(|reason| format!("`{}`: {reason}", listed.key)),
            Ok(None) => return,
            Err(fault) => Err(fault.text),
        };
        match read {
            Ok(reading) => {
                let by_key = layout::parse_log_key(&listed.key).and_then(|key| key.at);
                self.uses.push(Use {
                    at: reading.at.or(by_key).unwrap_or(listed.modified),
                    user: reading.user,
                    deployment_id: reading.deployment_id,
                    config_hash: reading.config_hash,
                    backup_key: reading.backup_key,
                });
            }
            Err(why) => self.left_out.push(why),
        }
    }
}

impl Search<'_> {
    fn wants(&mut self, listed: &Listed) -> bool {
        let Some(key) = layout::parse_log_key(&listed.key) else { return false };
        // The folder of one customer may be called as another one is.
        if layout::customer_of(key.segment).is_some_and(|owner| owner != self.customer) {
            return false;
        }
        if listed.size > LARGEST_RECORD {
            self.left_out.push(format!("`{}`: it has {} bytes, and at most {LARGEST_RECORD} are read", listed.key, listed.size));
        }
        listed.size <= LARGEST_RECORD
    }
}

/// What `config.yaml` was before, where the bucket keeps versions and they may be listed; of each key the newest first.
async fn overwritten(store: &Store, folders: &[String]) -> Result<Vec<Overwritten>, Fault> {
    let mut found = Vec::new();
    for folder in folders {
        let is_current = |key: &str| layout::parse_config_key(folder, key) == Some(ConfigKey::Current);
        let take = |version: Overwritten| found.extend(Some(version).filter(|it| is_current(&it.listed.key)));
        earlier::each(store, &layout::configs_prefix(folder), take).await?;
    }
    Ok(found)
}

/// Adds those of the versions that no copy was made of, for the earlier module kept none; gives those that cannot be had.
async fn add_overwritten(store: &Store, overwritten: Vec<Overwritten>, versions: &mut Vec<Version>) -> Result<Vec<String>, Fault> {
    let mut left_out = Vec::new();
    let copies = versions.clone();
    let looks = overwritten.into_iter().map(|it| {
        let copies = &copies;
        async move { without_copy(store, it.listed, &it.version, copies).await }
    });
    let mut looks = stream::iter(looks.collect::<Vec<_>>()).buffered(AT_ONCE);
    while let Some(looked) = looks.next().await {
        match looked {
            // An upload whose answer is lost is done twice.
            Ok(Some(version)) if versions.iter().any(|it| (it.at, &it.md5) == (version.at, &version.md5)) => {}
            Ok(version) => versions.extend(version),
            // In an archive, or too large to be read.
            Err(fault) if fault.code == "InvalidObjectState" || fault.is_of_the_object() => left_out.push(fault.text),
            // Who may list versions may not be allowed to read them: then it is as if there were none.
            Err(fault) if fault.kind == Kind::Denied => break,
            Err(fault) => return Err(fault),
        }
    }
    Ok(left_out)
}

/// `config.yaml` itself, or a version of it that was overwritten, where it is of the earlier module, which kept no copies, or
/// its copy is not there.
async fn without_copy(store: &Store, listed: Listed, version_id: &str, versions: &[Version]) -> Result<Option<Version>, Fault> {
    let id = Some(version_id).filter(|id| !id.is_empty());
    let Some(head) = patiently(|| store.head_version(&listed.key, id)).await? else { return Ok(None) };
    let said = |name: &str| head.metadata.get(name).map(String::as_str);
    let at = captured_at(&head);
    let is_copied = |at: DateTime<Utc>| versions.iter().any(|version| version.at == at && said(MD5) == Some(&version.md5));
    if at.is_some_and(is_copied) {
        return Ok(None);
    }
    let Some(bytes) = patiently(|| store.get_version(&listed.key, id, LARGEST)).await? else { return Ok(None) };
    let at = at.unwrap_or(listed.modified);
    let (md5, size) = (digests(&bytes).md5, bytes.len() as u64);
    Ok(Some(Version { at, md5, size, key: listed.key, version_id: version_id.to_owned() }))
}

/// The bytes of a version, compared with nothing.
pub async fn bytes(store: &Store, version: &Version) -> Result<Vec<u8>, Fault> {
    let got = patiently(|| store.get_version(&version.key, version.id(), LARGEST)).await?;
    got.ok_or_else(|| Fault::new(Kind::Service, format!("get `{}`: it is gone", store.uri(&version.address())), ""))
}

/// The id of the deployment that uploaded a version; empty where the object does not say.
pub async fn uploader(store: &Store, version: &Version) -> Result<String, Fault> {
    let head = patiently(|| store.head_version(&version.key, version.id())).await?.unwrap_or_default();
    Ok(head.metadata.get(DEPLOYMENT_ID).cloned().unwrap_or_default())
}

/// What an object's metadata says of its bytes, beside its size and what else is known of them.
#[must_use]
pub fn stated(head: &Head, size: u64, known_md5: String) -> Stated {
    let said = |name: &str| head.metadata.get(name).cloned().unwrap_or_default();
    Stated { md5: said(MD5), sha256: said(SHA256), size, known_md5 }
}

/// The bytes of the version at a place, compared with all that is known of them: by its name, its metadata, its size, a usage record.
pub async fn proven(store: &Store, past: &Past, place: usize) -> Result<Proven, Fault> {
    let version = &past.versions()[place];
    let bytes = bytes(store, version).await?;
    let head = patiently(|| store.head_version(&version.key, version.id())).await?.unwrap_or_default();
    let said = |name: &str| head.metadata.get(name).cloned().unwrap_or_default();
    let is_copy = version.key.ends_with(&format!("_{}.yaml", version.md5));
    let is_recorded = past.uses_of(place).any(|it| it.config_hash == version.md5);
    // Of a config of the earlier module we have taken it ourselves: then it proves nothing.
    let known_md5 = if is_copy || is_recorded { version.md5.clone() } else { String::new() };
    let stated = stated(&head, version.size, known_md5);
    let by = verify(&stated, &digests(&bytes), bytes.len() as u64).map_err(|why| {
        let text = format!("get `{}`: {why}", store.uri(&version.address()));
        Fault::new(Kind::Service, text, "find out who wrote that object, and take another version")
    })?;
    Ok(Proven { bytes, by, deployment_id: said(DEPLOYMENT_ID) })
}

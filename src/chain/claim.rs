//! The chains of usage records that this machine continues: a small file each, which says how far the chain has come.
//!
//! A chain is continued by one record at a time, from before it is sent until the bucket has it: whoever deploys meanwhile
//! takes another chain, or starts one, so nobody waits and no place is given twice. Files are claimed by renaming them.
//! Must not touch the network. A chain that is lost is no harm: the next record starts another one.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::digest::{hex, sha256_hex};
use crate::record::ChainLink;
use crate::state::dirs::StateDirs;
use crate::system::atomic_file::{self, FileMode};
use crate::system::host;

/// The folder's name.
pub const CHAINS_DIR: &str = "chains";
/// What the names of chains end with that a record is being written to …
pub const TAKEN_SUFFIX: &str = ".taken";
/// … of those whose last record is not sealed, which the next one mends …
const UNSEALED_SUFFIX: &str = ".unsealed";
/// … and of the others.
const FREE_SUFFIX: &str = ".free";

/// The last record of a chain that the bucket has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChainHead {
    /// The chain's name.
    pub writer: String,
    /// The record's number; 0 before the first.
    pub number: u64,
    /// SHA-256 of the object, hex.
    pub sha256: String,
    /// That of the object before, hex.
    pub previous: String,
    /// The deployment that the record is of.
    pub deployment_id: String,
    /// The `ETag` of the seal.
    pub etag: String,
    /// Whether the seal on it could not be set.
    pub unsealed: bool,
}

/// A chain that one deployment's record continues.
#[derive(Debug)]
pub struct ChainClaim {
    /// How far it has come.
    pub head: ChainHead,
    can_seal_concurrently: bool,
    deployment_id: String,
    /// What tells the bucket and the customer.
    scope: String,
    /// `None` where nothing can be written: then nobody continues it.
    file: Option<PathBuf>,
}

impl ChainClaim {
    /// Takes a chain of a customer in the bucket `place`: the one that this deployment has taken before, or one that is free,
    /// or a new one.
    #[must_use]
    pub fn acquire(places: &StateDirs, place: &str, customer: &str, deployment_id: &str) -> Self {
        let scope = sha256_hex(format!("{place}\n{customer}").as_bytes())[..16].to_owned();
        let taken = format!(".{deployment_id}{TAKEN_SUFFIX}");
        let name = format!("{scope}{taken}");
        let claim = |end, file, scope| Self {
            head: end,
            can_seal_concurrently: false,
            deployment_id: deployment_id.to_owned(),
            scope,
            file,
        };
        // By the deployment alone: the way to the bucket may be another one by now.
        for file in places
            .subdirs(CHAINS_DIR)
            .flat_map(|folder| find_files(&folder, |name| name.ends_with(&taken)))
        {
            let scope = file
                .file_name()
                .and_then(|name| name.to_str()?.strip_suffix(&taken))
                .unwrap_or_default()
                .to_owned();
            if let Some(end) = read_chain_file(&file) {
                return claim(end, Some(file), scope);
            }
        }
        for free in places
            .subdirs(CHAINS_DIR)
            .flat_map(|folder| find_free_chains(&folder, &scope))
        {
            let file = free.with_file_name(&name);
            // Whoever comes second finds nothing to rename.
            if fs::rename(&free, &file).is_ok()
                && let Some(end) = read_chain_file(&file)
            {
                return claim(end, Some(file), scope);
            }
        }
        let end = ChainHead {
            writer: new_writer_id(),
            ..ChainHead::default()
        };
        let written = places.write_in(CHAINS_DIR, |folder| {
            write_chain_file(&folder.join(&name), &end).map(|()| folder.join(&name))
        });
        claim(end, written.ok().map(|written| written.value), scope)
    }

    /// The place of the deployment's record: the same however often it is sent.
    #[must_use]
    pub fn next_link(&self) -> ChainLink {
        let ChainHead {
            writer,
            number,
            sha256,
            previous,
            deployment_id,
            ..
        } = self.head.clone();
        if deployment_id == self.deployment_id {
            ChainLink {
                writer,
                number,
                previous,
            }
        } else {
            ChainLink {
                writer,
                number: number + 1,
                previous: sha256,
            }
        }
    }

    /// Whether it is on this chain.
    #[must_use]
    pub fn is_on_chain(&self, chain: &ChainLink) -> bool {
        chain.writer == self.head.writer
    }

    /// Whether a record or a seal is of this deployment, or of the one that came before it in the chain.
    #[must_use]
    pub fn knows_deployment(&self, deployment_id: &str) -> bool {
        [&self.deployment_id, &self.head.deployment_id]
            .into_iter()
            .any(|id| id == deployment_id)
    }

    /// Lets the next record continue the chain behind `end`. Without an end nothing was sent, and the chain is as it was.
    pub fn release(self, end: Option<ChainHead>) {
        let Some(file) = self.file else { return };
        let is_noted = end
            .as_ref()
            .is_none_or(|end| write_chain_file(&file, end).is_ok());
        let end = end.unwrap_or(self.head);
        if end.number == 0 {
            let _ = fs::remove_file(&file);
        } else if is_noted {
            let kind = if end.unsealed {
                UNSEALED_SUFFIX
            } else {
                FREE_SUFFIX
            };
            let _ = fs::rename(
                &file,
                file.with_file_name(format!("{}.{}{kind}", self.scope, end.writer)),
            );
        }
    }

    /// Lets the seal be set while the record is on its way, unless nobody would know of it afterwards.
    pub fn enable_concurrent_seal(&mut self) {
        self.can_seal_concurrently = self.file.is_some();
    }

    /// Whether the seal may be set while the record is on its way.
    #[must_use]
    pub fn can_seal_concurrently(&self) -> bool {
        self.can_seal_concurrently
    }

    /// The deployment that the record is of.
    #[must_use]
    pub fn deployment_id(&self) -> &str {
        &self.deployment_id
    }
}

/// A name for a chain that nobody else gives.
#[must_use]
pub fn new_writer_id() -> String {
    host::random_key().map_or_else(
        || sha256_hex(host::unique_id(host::utc_now()).as_bytes())[..16].to_owned(),
        |key| hex(&key[..8]),
    )
}

/// The chains of a scope that nobody has taken: first those that lack a seal, and then always in the same order, so that few are
/// used as long as few are needed.
fn find_free_chains(folder: &Path, scope: &str) -> Vec<PathBuf> {
    let mut found = find_files(folder, |name| {
        name.strip_prefix(scope).is_some_and(|rest| {
            rest.starts_with('.')
                && [FREE_SUFFIX, UNSEALED_SUFFIX]
                    .iter()
                    .any(|kind| rest.ends_with(kind))
        })
    });
    found.sort_by_key(|path| {
        (
            !path.to_string_lossy().ends_with(UNSEALED_SUFFIX),
            path.clone(),
        )
    });
    found
}

/// The files in a folder with such names.
fn find_files(folder: &Path, is_it: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|entry| entry.path());
    entries
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| is_it(&name.to_string_lossy()))
        })
        .collect()
}

/// What is damaged is deleted: to guess would give a place twice.
fn read_chain_file(file: &Path) -> Option<ChainHead> {
    let end = serde_json::from_slice::<ChainHead>(&fs::read(file).ok()?)
        .ok()
        .filter(|end| !end.writer.is_empty());
    if end.is_none() {
        let _ = fs::remove_file(file);
    }
    end
}

fn write_chain_file(file: &Path, end: &ChainHead) -> std::io::Result<()> {
    atomic_file::write_atomically(file, &[&serde_json::to_vec(end)?], FileMode::Private).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn temp_state_dirs() -> (tempfile::TempDir, StateDirs) {
        let folder = tempfile::tempdir().expect("a folder");
        let places = StateDirs::from_private_dirs([folder.path().to_owned()]);
        (folder, places)
    }

    fn head_after_upload(claim: &ChainClaim, sha256: &str) -> ChainHead {
        let ChainLink {
            writer,
            number,
            previous,
        } = claim.next_link();
        let deployment_id = claim.deployment_id().to_owned();
        ChainHead {
            writer,
            number,
            sha256: sha256.to_owned(),
            previous,
            deployment_id,
            etag: String::new(),
            unsealed: false,
        }
    }

    #[test]
    fn each_record_continues_the_one_before() {
        let (_folder, places) = temp_state_dirs();
        let first = ChainClaim::acquire(&places, "b", "acme", "1");
        let writer = first.next_link().writer;
        assert_eq!(
            first.next_link(),
            ChainLink {
                writer: writer.clone(),
                number: 1,
                previous: String::new()
            }
        );
        let end = head_after_upload(&first, "aa");
        first.release(Some(end));
        let second = ChainClaim::acquire(&places, "b", "acme", "2");
        assert_eq!(
            second.next_link(),
            ChainLink {
                writer: writer.clone(),
                number: 2,
                previous: "aa".into()
            }
        );
        for (bucket, customer) in [("b", "acme-2"), ("c", "acme")] {
            assert_ne!(
                ChainClaim::acquire(&places, bucket, customer, "3")
                    .next_link()
                    .writer,
                writer
            );
        }
    }

    #[test]
    fn a_place_is_given_once_and_to_the_same_deployment_again() {
        let (_folder, places) = temp_state_dirs();
        let first = ChainClaim::acquire(&places, "b", "acme", "1");
        let meanwhile = ChainClaim::acquire(&places, "b", "acme", "2");
        assert_ne!(first.next_link().writer, meanwhile.next_link().writer);
        let link = first.next_link();
        drop(first); // killed
        let again = ChainClaim::acquire(&places, "b", "acme", "1");
        assert_eq!(again.next_link(), link);
        // Killed between the note and the release.
        let end = head_after_upload(&again, "aa");
        write_chain_file(again.file.as_deref().expect("a file"), &end).expect("written");
        assert_eq!(
            ChainClaim::acquire(&places, "b", "acme", "1").next_link(),
            link
        );
        ChainClaim::acquire(&places, "b", "acme", "1").release(Some(end));
        assert_eq!(
            ChainClaim::acquire(&places, "b", "acme", "3").next_link(),
            ChainLink {
                number: 2,
                previous: "aa".into(),
                ..link
            }
        );
    }

    #[test]
    fn a_deployment_finds_its_place_whatever_the_way_to_the_bucket_is_now() {
        let (_folder, places) = temp_state_dirs();
        let first = ChainClaim::acquire(&places, "http://one b", "acme", "1");
        let end = head_after_upload(&first, "aa");
        first.release(Some(end));
        let second = ChainClaim::acquire(&places, "http://one b", "acme", "2");
        let link = second.next_link();
        drop(second); // killed
        let late = ChainClaim::acquire(&places, "http://two b", "acme", "2");
        assert_eq!(late.next_link(), link);
        let end = head_after_upload(&late, "bb");
        late.release(Some(end));
        assert_eq!(
            ChainClaim::acquire(&places, "http://one b", "acme", "3").next_link(),
            ChainLink {
                number: 3,
                previous: "bb".into(),
                ..link
            }
        );
    }

    #[test]
    fn nothing_is_sealed_ahead_that_nobody_would_know_of() {
        let (_folder, places) = temp_state_dirs();
        for (places, is_known) in [(places, true), (StateDirs::default(), false)] {
            let mut claim = ChainClaim::acquire(&places, "b", "acme", "1");
            assert!(!claim.can_seal_concurrently());
            claim.enable_concurrent_seal();
            assert_eq!(claim.can_seal_concurrently(), is_known);
        }
    }

    #[test]
    fn a_chain_is_as_it_was_where_nothing_was_sent() {
        let (folder, places) = temp_state_dirs();
        ChainClaim::acquire(&places, "b", "acme", "1").release(None);
        assert_eq!(
            fs::read_dir(folder.path().join(CHAINS_DIR))
                .expect("a folder")
                .count(),
            0
        );
        let first = ChainClaim::acquire(&places, "b", "acme", "1");
        let end = head_after_upload(&first, "aa");
        first.release(Some(end));
        let second = ChainClaim::acquire(&places, "b", "acme", "2");
        let link = second.next_link();
        second.release(None);
        assert_eq!(
            ChainClaim::acquire(&places, "b", "acme", "3").next_link(),
            link
        );
    }

    #[test]
    fn a_chain_without_a_seal_comes_first() {
        let (_folder, places) = temp_state_dirs();
        let claims: Vec<ChainClaim> = ["1", "2", "3"]
            .into_iter()
            .map(|id| ChainClaim::acquire(&places, "b", "acme", id))
            .collect();
        let mut writers: Vec<String> = claims
            .iter()
            .map(|claim| claim.next_link().writer)
            .collect();
        writers.sort();
        let last = writers[2].clone();
        for claim in claims {
            let end = ChainHead {
                unsealed: claim.next_link().writer == last,
                ..head_after_upload(&claim, "aa")
            };
            claim.release(Some(end));
        }
        // It does so until there is a seal.
        for id in ["4", "5"] {
            let claim = ChainClaim::acquire(&places, "b", "acme", id);
            assert_eq!(claim.next_link().writer, last);
            claim.release(None);
        }
        let (first, second) = (
            ChainClaim::acquire(&places, "b", "acme", "6"),
            ChainClaim::acquire(&places, "b", "acme", "7"),
        );
        assert_eq!(
            [first.next_link().writer, second.next_link().writer],
            [last, writers[0].clone()]
        );
    }

    #[test]
    fn what_cannot_be_kept_or_read_starts_another_chain() {
        let nowhere = ChainClaim::acquire(&StateDirs::default(), "b", "acme", "1");
        assert_eq!(nowhere.next_link().number, 1);
        nowhere.release(None);
        let (folder, places) = temp_state_dirs();
        let first = ChainClaim::acquire(&places, "b", "acme", "1");
        let end = head_after_upload(&first, "aa");
        first.release(Some(end));
        let file = fs::read_dir(folder.path().join(CHAINS_DIR))
            .expect("a folder")
            .next()
            .expect("a file")
            .expect("a file")
            .path();
        fs::write(&file, "{").expect("torn");
        assert_eq!(
            ChainClaim::acquire(&places, "b", "acme", "2")
                .next_link()
                .number,
            1
        );
    }
}

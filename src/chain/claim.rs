//! The chains of usage records that this machine continues: one small file for each chain.
//!
//! A chain is claimed by one record from before its upload until S3 confirms it. Concurrent
//! deployments use another free chain or start one, so none waits and no record number is used
//! twice. A process claims a file by renaming it. Must not touch the network.
//!
//! Losing a file is harmless: the next record starts another chain.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::digest::short_digest;
use crate::record::ChainLink;
use crate::state::dirs::StateDirs;
use crate::system::atomic_file::{self, FileMode};
use crate::system::clock::utc_now;
use crate::system::random::{random_key, unique_id};

/// The subdirectory of the state directory.
pub const CHAINS_DIR: &str = "chains";
/// The suffix of chains that a deployment has claimed.
pub const TAKEN_SUFFIX: &str = ".taken";
/// The suffix of free chains whose last record has no seal. The next record seals it.
const UNSEALED_SUFFIX: &str = ".unsealed";
/// The suffix of all other free chains.
const FREE_SUFFIX: &str = ".free";

/// The last record of a chain that the bucket has. The field names are part of the file format.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChainHead {
    /// The id of the chain.
    pub writer: String,
    /// The number of the record. 0 before the first one.
    pub number: u64,
    /// SHA-256 of the record object, in hex.
    pub sha256: String,
    /// SHA-256 of the record object before it, in hex.
    pub previous: String,
    pub deployment_id: String,
    /// The `ETag` of the seal.
    pub etag: String,
    /// Whether the upload of the seal failed.
    #[serde(rename = "unsealed")]
    pub is_unsealed: bool,
}

/// A chain that the record of one deployment continues.
#[derive(Debug)]
pub struct ChainClaim {
    pub head: ChainHead,
    origin: ClaimOrigin,
    /// The key of the customer's newest record. A new chain names it.
    newest_record: Option<String>,
    can_seal_concurrently: bool,
    deployment_id: String,
    /// Identifies the bucket and the customer in file names.
    scope: String,
    /// `None` if no file can be written. Then no later record continues the chain.
    file: Option<PathBuf>,
}

/// Where a claim comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClaimOrigin {
    /// A free chain.
    Free,
    /// A chain that has no record yet.
    New,
    /// An earlier process of this deployment, which may have uploaded the record.
    Resumed,
}

impl ChainClaim {
    /// Claims a chain of a customer in a bucket: the one that this deployment claimed before, or a
    /// free one, or a new one.
    #[must_use]
    pub fn acquire(
        state_dirs: &StateDirs,
        bucket_identity: &str,
        customer: &str,
        deployment_id: &str,
    ) -> Self {
        let claims = ClaimFiles {
            state_dirs,
            scope: scope_of(bucket_identity, customer),
            deployment_id,
        };
        if let Some(claim) = claims.find_taken() {
            return claim;
        }
        if let Some(claim) = claims.take_free() {
            return claim;
        }
        claims.start_chain()
    }

    /// The link that the deployment's record carries. Its place in the chain is the same for every
    /// upload attempt.
    #[must_use]
    pub fn next_link(&self) -> ChainLink {
        let head = self.head.clone();
        let newest = self.newest_record.clone();
        if head.deployment_id == self.deployment_id {
            ChainLink {
                writer: head.writer,
                number: head.number,
                previous: head.previous,
                newest,
            }
        } else {
            ChainLink {
                writer: head.writer,
                number: head.number + 1,
                previous: head.sha256,
                newest,
            }
        }
    }

    /// Whether the next record is the first of its chain.
    #[must_use]
    pub fn is_new_chain(&self) -> bool {
        self.head.number == 0
    }

    /// Whether the bucket cannot have anything of the chain.
    #[must_use]
    pub fn is_unused_chain(&self) -> bool {
        self.origin == ClaimOrigin::New
    }

    /// Makes the first record of a chain name the customer's newest record. All other records name
    /// the record before them.
    pub fn name_newest_record(&mut self, key: Option<String>) {
        if self.is_new_chain() {
            self.newest_record = key;
        }
    }

    /// Whether `link` is part of this chain.
    #[must_use]
    pub fn is_on_chain(&self, link: &ChainLink) -> bool {
        link.writer == self.head.writer
    }

    /// Whether this is the claiming deployment, or the one before it in the chain.
    #[must_use]
    pub fn knows_deployment(&self, deployment_id: &str) -> bool {
        deployment_id == self.deployment_id || deployment_id == self.head.deployment_id
    }

    /// Leaves the chain for good, because another machine continues it.
    pub fn abandon(self) {
        if let Some(file) = self.file {
            let _ = fs::remove_file(file);
        }
    }

    /// Frees the chain for the next record. `None` means that this process uploaded nothing.
    pub fn release(self, new_head: Option<ChainHead>) {
        let may_be_uploaded = self.may_be_uploaded();
        let Some(file) = self.file else { return };
        let head = match new_head {
            Some(head) => {
                if write_chain_file(&file, &head).is_err() {
                    // The chain stays claimed: with the old head, a number would be used twice.
                    return;
                }
                head
            }
            // It stays claimed, too. A replay of the record frees it.
            None if may_be_uploaded => return,
            None => self.head,
        };
        if head.number == 0 {
            let _ = fs::remove_file(&file);
            return;
        }
        let suffix = if head.is_unsealed {
            UNSEALED_SUFFIX
        } else {
            FREE_SUFFIX
        };
        let name = format!("{}.{}{suffix}", self.scope, head.writer);
        let _ = fs::rename(&file, file.with_file_name(name));
    }

    /// Whether an earlier process may have uploaded the record without a note in the chain file.
    fn may_be_uploaded(&self) -> bool {
        self.origin == ClaimOrigin::Resumed && self.head.deployment_id != self.deployment_id
    }

    /// Allows the seal to be uploaded together with the record. Has no effect without a file,
    /// because after a crash no process would know about the seal.
    pub fn enable_concurrent_seal(&mut self) {
        self.can_seal_concurrently = self.file.is_some();
    }

    /// Whether the seal may be uploaded together with the record.
    #[must_use]
    pub fn can_seal_concurrently(&self) -> bool {
        self.can_seal_concurrently
    }

    #[must_use]
    pub fn deployment_id(&self) -> &str {
        &self.deployment_id
    }
}

/// The chain files as one deployment sees them.
struct ClaimFiles<'a> {
    state_dirs: &'a StateDirs,
    scope: String,
    deployment_id: &'a str,
}

impl ClaimFiles<'_> {
    /// Finds the chain that an earlier process of this deployment claimed. Ignores the scope,
    /// because the endpoint of the bucket may have changed.
    fn find_taken(&self) -> Option<ChainClaim> {
        let suffix = self.taken_suffix();
        for dir in self.state_dirs.subdirs(CHAINS_DIR) {
            for file in find_files(&dir, |name| name.ends_with(&suffix)) {
                let name = file_name_of(&file);
                let scope = name.strip_suffix(&suffix).unwrap_or_default().to_owned();
                if let Some(head) = read_chain_file(&file) {
                    return Some(self.claim(head, Some(file), scope, ClaimOrigin::Resumed));
                }
            }
        }
        None
    }

    fn take_free(&self) -> Option<ChainClaim> {
        for dir in self.state_dirs.subdirs(CHAINS_DIR) {
            for free in find_free_chains(&dir, &self.scope) {
                let file = free.with_file_name(self.taken_name());
                // If another process was faster, there is nothing to rename.
                if fs::rename(&free, &file).is_ok()
                    && let Some(head) = read_chain_file(&file)
                {
                    let scope = self.scope.clone();
                    return Some(self.claim(head, Some(file), scope, ClaimOrigin::Free));
                }
            }
        }
        None
    }

    fn start_chain(&self) -> ChainClaim {
        let head = ChainHead {
            writer: new_writer_id(),
            ..ChainHead::default()
        };
        let written = self.state_dirs.write_in(CHAINS_DIR, |dir| {
            let file = dir.join(self.taken_name());
            write_chain_file(&file, &head)?;
            Ok(file)
        });
        let file = match written {
            Ok(written) => Some(written.value),
            Err(_) => None,
        };
        self.claim(head, file, self.scope.clone(), ClaimOrigin::New)
    }

    fn claim(
        &self,
        head: ChainHead,
        file: Option<PathBuf>,
        scope: String,
        origin: ClaimOrigin,
    ) -> ChainClaim {
        ChainClaim {
            head,
            origin,
            newest_record: None,
            can_seal_concurrently: false,
            deployment_id: self.deployment_id.to_owned(),
            scope,
            file,
        }
    }

    fn taken_name(&self) -> String {
        format!("{}{}", self.scope, self.taken_suffix())
    }

    fn taken_suffix(&self) -> String {
        format!(".{}{TAKEN_SUFFIX}", self.deployment_id)
    }
}

fn scope_of(bucket_identity: &str, customer: &str) -> String {
    short_digest(format!("{bucket_identity}\n{customer}").as_bytes())
}

/// A unique id for a chain: 16 hex digits.
#[must_use]
pub fn new_writer_id() -> String {
    if let Some(key) = random_key() {
        return hex::encode(&key[..8]);
    }
    short_digest(unique_id(utc_now()).as_bytes())
}

/// The free chains of a scope: first those without a seal, then the others in a fixed order, so
/// that a machine uses as few chains as it needs.
fn find_free_chains(dir: &Path, scope: &str) -> Vec<PathBuf> {
    let prefix = format!("{scope}.");
    let mut files = find_files(dir, |name| {
        name.starts_with(&prefix)
            && (name.ends_with(FREE_SUFFIX) || name.ends_with(UNSEALED_SUFFIX))
    });
    files.sort_by_key(|file| {
        let has_seal = !file_name_of(file).ends_with(UNSEALED_SUFFIX);
        (has_seal, file.clone())
    });
    files
}

fn find_files(dir: &Path, is_wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if is_wanted(&file_name_of(&path)) {
            files.push(path);
        }
    }
    files
}

fn file_name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Reads a chain file. Deletes a damaged one, because a guess could use a number twice.
fn read_chain_file(file: &Path) -> Option<ChainHead> {
    let bytes = fs::read(file).ok()?;
    match serde_json::from_slice::<ChainHead>(&bytes) {
        Ok(head) if !head.writer.is_empty() => Some(head),
        _ => {
            let _ = fs::remove_file(file);
            None
        }
    }
}

fn write_chain_file(file: &Path, head: &ChainHead) -> io::Result<()> {
    let bytes = serde_json::to_vec(head)?;
    atomic_file::write_atomically(file, &[&bytes], FileMode::Private)?;
    Ok(())
}

#[cfg(test)]
mod tests;

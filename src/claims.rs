//! The chains of usage records that this machine continues: a small file each, which says how far the chain has come.
//!
//! A chain is continued by one record at a time, from before it is sent until the bucket has it: whoever deploys meanwhile
//! takes another chain, or starts one, so nobody waits and no place is given twice. Files are claimed by renaming them.
//! Must not touch the network. A chain that is lost is no harm: the next record starts another one.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::digest::{hex, sha256_hex};
use crate::files::{self, Mode};
use crate::host;
use crate::places::Places;
use crate::record::Chain;

/// The folder's name.
pub const FOLDER: &str = "chains";
/// What the names of chains end with that a record is being written to …
pub const TAKEN: &str = ".taken";
/// … of those whose last record is not sealed, which the next one mends …
const UNSEALED: &str = ".unsealed";
/// … and of the others.
const FREE: &str = ".free";

/// The last record of a chain that the bucket has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct End {
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
pub struct Claim {
    /// How far it has come.
    pub end: End,
    is_sealed_ahead: bool,
    deployment_id: String,
    /// What tells the bucket and the customer.
    scope: String,
    /// `None` where nothing can be written: then nobody continues it.
    file: Option<PathBuf>,
}

impl Claim {
    /// Takes a chain of a customer in the bucket `place`: the one that this deployment has taken before, or one that is free,
    /// or a new one.
    #[must_use]
    pub fn take(places: &Places, place: &str, customer: &str, deployment_id: &str) -> Self {
        let scope = sha256_hex(format!("{place}\n{customer}").as_bytes())[..16].to_owned();
        let taken = format!(".{deployment_id}{TAKEN}");
        let name = format!("{scope}{taken}");
        let claim = |end, file, scope| Self { end, is_sealed_ahead: false, deployment_id: deployment_id.to_owned(), scope, file };
        // By the deployment alone: the way to the bucket may be another one by now.
        for file in places.all(FOLDER).flat_map(|folder| named(&folder, |name| name.ends_with(&taken))) {
            let scope = file.file_name().and_then(|name| name.to_str()?.strip_suffix(&taken)).unwrap_or_default().to_owned();
            if let Some(end) = read(&file) {
                return claim(end, Some(file), scope);
            }
        }
        for free in places.all(FOLDER).flat_map(|folder| free(&folder, &scope)) {
            let file = free.with_file_name(&name);
            // Whoever comes second finds nothing to rename.
            if fs::rename(&free, &file).is_ok()
                && let Some(end) = read(&file)
            {
                return claim(end, Some(file), scope);
            }
        }
        let end = End { writer: new_writer(), ..End::default() };
        let written = places.write(FOLDER, |folder| write(&folder.join(&name), &end).map(|()| folder.join(&name)));
        claim(end, written.ok().map(|written| written.result), scope)
    }

    /// The place of the deployment's record: the same however often it is sent.
    #[must_use]
    pub fn link(&self) -> Chain {
        let End { writer, number, sha256, previous, deployment_id, .. } = self.end.clone();
        if deployment_id == self.deployment_id {
            Chain { writer, number, previous }
        } else {
            Chain { writer, number: number + 1, previous: sha256 }
        }
    }

    /// Whether it is on this chain.
    #[must_use]
    pub fn is_of(&self, chain: &Chain) -> bool {
        chain.writer == self.end.writer
    }

    /// Whether a record or a seal is of this deployment, or of the one that came before it in the chain.
    #[must_use]
    pub fn knows(&self, deployment_id: &str) -> bool {
        [&self.deployment_id, &self.end.deployment_id].into_iter().any(|id| id == deployment_id)
    }

    /// Lets the next record continue the chain behind `end`. Without an end nothing was sent, and the chain is as it was.
    pub fn give_back(self, end: Option<End>) {
        let Some(file) = self.file else { return };
        let is_noted = end.as_ref().is_none_or(|end| write(&file, end).is_ok());
        let end = end.unwrap_or(self.end);
        if end.number == 0 {
            let _ = fs::remove_file(&file);
        } else if is_noted {
            let kind = if end.unsealed { UNSEALED } else { FREE };
            let _ = fs::rename(&file, file.with_file_name(format!("{}.{}{kind}", self.scope, end.writer)));
        }
    }

    /// Lets the seal be set while the record is on its way, unless nobody would know of it afterwards.
    pub fn allow_ahead(&mut self) {
        self.is_sealed_ahead = self.file.is_some();
    }

    /// Whether the seal may be set while the record is on its way.
    #[must_use]
    pub fn is_sealed_ahead(&self) -> bool {
        self.is_sealed_ahead
    }

    /// The deployment that the record is of.
    #[must_use]
    pub fn deployment_id(&self) -> &str {
        &self.deployment_id
    }
}

/// A name for a chain that nobody else gives.
#[must_use]
pub fn new_writer() -> String {
    host::random_key().map_or_else(|| sha256_hex(host::nonce(host::now()).as_bytes())[..16].to_owned(), |key| hex(&key[..8]))
}

/// The chains of a scope that nobody has taken: first those that lack a seal, and then always in the same order, so that few are
/// used as long as few are needed.
fn free(folder: &Path, scope: &str) -> Vec<PathBuf> {
    let mut found = named(folder, |name| {
        name.strip_prefix(scope).is_some_and(|rest| rest.starts_with('.') && [FREE, UNSEALED].iter().any(|kind| rest.ends_with(kind)))
    });
    found.sort_by_key(|path| (!path.to_string_lossy().ends_with(UNSEALED), path.clone()));
    found
}

/// The files in a folder with such names.
fn named(folder: &Path, is_it: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    entries.filter(|path| path.file_name().is_some_and(|name| is_it(&name.to_string_lossy()))).collect()
}

/// What is damaged is deleted: to guess would give a place twice.
fn read(file: &Path) -> Option<End> {
    let end = serde_json::from_slice::<End>(&fs::read(file).ok()?).ok().filter(|end| !end.writer.is_empty());
    if end.is_none() {
        let _ = fs::remove_file(file);
    }
    end
}

fn write(file: &Path, end: &End) -> std::io::Result<()> {
    files::put(file, &[&serde_json::to_vec(end)?], Mode::Private).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> (tempfile::TempDir, Places) {
        let folder = tempfile::tempdir().expect("a folder");
        let places = Places::own([folder.path().to_owned()]);
        (folder, places)
    }

    fn sent(claim: &Claim, sha256: &str) -> End {
        let Chain { writer, number, previous } = claim.link();
        let deployment_id = claim.deployment_id().to_owned();
        End { writer, number, sha256: sha256.to_owned(), previous, deployment_id, etag: String::new(), unsealed: false }
    }

    #[test]
    fn each_record_continues_the_one_before() {
        let (_folder, places) = places();
        let first = Claim::take(&places, "b", "acme", "1");
        let writer = first.link().writer;
        assert_eq!(first.link(), Chain { writer: writer.clone(), number: 1, previous: String::new() });
        let end = sent(&first, "aa");
        first.give_back(Some(end));
        let second = Claim::take(&places, "b", "acme", "2");
        assert_eq!(second.link(), Chain { writer: writer.clone(), number: 2, previous: "aa".into() });
        for (bucket, customer) in [("b", "acme-2"), ("c", "acme")] {
            assert_ne!(Claim::take(&places, bucket, customer, "3").link().writer, writer);
        }
    }

    #[test]
    fn a_place_is_given_once_and_to_the_same_deployment_again() {
        let (_folder, places) = places();
        let first = Claim::take(&places, "b", "acme", "1");
        let meanwhile = Claim::take(&places, "b", "acme", "2");
        assert_ne!(first.link().writer, meanwhile.link().writer);
        let link = first.link();
        drop(first); // killed
        let again = Claim::take(&places, "b", "acme", "1");
        assert_eq!(again.link(), link);
        // Killed between the note and the release.
        let end = sent(&again, "aa");
        write(again.file.as_deref().expect("a file"), &end).expect("written");
        assert_eq!(Claim::take(&places, "b", "acme", "1").link(), link);
        Claim::take(&places, "b", "acme", "1").give_back(Some(end));
        assert_eq!(Claim::take(&places, "b", "acme", "3").link(), Chain { number: 2, previous: "aa".into(), ..link });
    }

    #[test]
    fn a_deployment_finds_its_place_whatever_the_way_to_the_bucket_is_now() {
        let (_folder, places) = places();
        let first = Claim::take(&places, "http://one b", "acme", "1");
        let end = sent(&first, "aa");
        first.give_back(Some(end));
        let second = Claim::take(&places, "http://one b", "acme", "2");
        let link = second.link();
        drop(second); // killed
        let late = Claim::take(&places, "http://two b", "acme", "2");
        assert_eq!(late.link(), link);
        let end = sent(&late, "bb");
        late.give_back(Some(end));
        assert_eq!(Claim::take(&places, "http://one b", "acme", "3").link(), Chain { number: 3, previous: "bb".into(), ..link });
    }

    #[test]
    fn nothing_is_sealed_ahead_that_nobody_would_know_of() {
        let (_folder, places) = places();
        for (places, is_known) in [(places, true), (Places::default(), false)] {
            let mut claim = Claim::take(&places, "b", "acme", "1");
            assert!(!claim.is_sealed_ahead());
            claim.allow_ahead();
            assert_eq!(claim.is_sealed_ahead(), is_known);
        }
    }

    #[test]
    fn a_chain_is_as_it_was_where_nothing_was_sent() {
        let (folder, places) = places();
        Claim::take(&places, "b", "acme", "1").give_back(None);
        assert_eq!(fs::read_dir(folder.path().join(FOLDER)).expect("a folder").count(), 0);
        let first = Claim::take(&places, "b", "acme", "1");
        let end = sent(&first, "aa");
        first.give_back(Some(end));
        let second = Claim::take(&places, "b", "acme", "2");
        let link = second.link();
        second.give_back(None);
        assert_eq!(Claim::take(&places, "b", "acme", "3").link(), link);
    }

    #[test]
    fn a_chain_without_a_seal_comes_first() {
        let (_folder, places) = places();
        let claims: Vec<Claim> = ["1", "2", "3"].into_iter().map(|id| Claim::take(&places, "b", "acme", id)).collect();
        let mut writers: Vec<String> = claims.iter().map(|claim| claim.link().writer).collect();
        writers.sort();
        let last = writers[2].clone();
        for claim in claims {
            let end = End { unsealed: claim.link().writer == last, ..sent(&claim, "aa") };
            claim.give_back(Some(end));
        }
        // It does so until there is a seal.
        for id in ["4", "5"] {
            let claim = Claim::take(&places, "b", "acme", id);
            assert_eq!(claim.link().writer, last);
            claim.give_back(None);
        }
        let (first, second) = (Claim::take(&places, "b", "acme", "6"), Claim::take(&places, "b", "acme", "7"));
        assert_eq!([first.link().writer, second.link().writer], [last, writers[0].clone()]);
    }

    #[test]
    fn what_cannot_be_kept_or_read_starts_another_chain() {
        let nowhere = Claim::take(&Places::default(), "b", "acme", "1");
        assert_eq!(nowhere.link().number, 1);
        nowhere.give_back(None);
        let (folder, places) = places();
        let first = Claim::take(&places, "b", "acme", "1");
        let end = sent(&first, "aa");
        first.give_back(Some(end));
        let file = fs::read_dir(folder.path().join(FOLDER)).expect("a folder").next().expect("a file").expect("a file").path();
        fs::write(&file, "{").expect("torn");
        assert_eq!(Claim::take(&places, "b", "acme", "2").link().number, 1);
    }
}

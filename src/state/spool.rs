//! The spool: what is still to be uploaded, kept on this machine so that no failure loses it.
//!
//! One file per [`Item`], written before the network is tried and deleted after the upload. Files are 0600 in a folder
//! of 0700, because a config is full of secrets; names say when and what, never whose. Must not touch the network.
//!
//! Whoever works on an item holds a lock on its file, which ends with the process. Others pass a locked item by, so
//! deployments share the spool without ever waiting.

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::digest::sha256_hex;
use crate::error::{Error, ErrorKind};
use crate::state::dirs::{StateDirs, StateWrite};
use crate::state::spool_file::{self, SpoolItem, SpoolItemKind};
use crate::system::atomic_file;

/// What the names of items end with.
pub const ITEM_SUFFIX: &str = ".item";
/// The most items in one folder.
const MAX_SPOOL_ITEMS: usize = 4096;
/// The most that a folder's items may take for another config to be added, in bytes. Records are small, and always added.
const MAX_SPOOL_BYTES: u64 = 256 << 20;
/// The name of its folder.
pub const SPOOL_DIR: &str = "spool";

/// The spool's folders.
#[derive(Debug, Clone)]
pub struct Spool {
    state_dirs: StateDirs,
}

/// An item in the spool that this process alone works on.
#[derive(Debug)]
pub struct SpoolEntry {
    path: PathBuf,
    /// Holds the lock.
    lock: File,
    /// What it is.
    pub item: SpoolItem,
    /// Its bytes.
    pub body: Vec<u8>,
    /// Why it is not where things are kept usually, if it is not.
    pub primary_dir_error: Option<Error>,
}

/// What lies in the spool.
#[derive(Debug, Default)]
pub struct SpoolContents {
    /// The items' files, oldest first.
    pub items: Vec<PathBuf>,
    /// What is not of ours.
    pub foreign: Vec<PathBuf>,
    /// Folders that cannot be looked into.
    pub errors: Vec<Error>,
}

impl Spool {
    /// The spool in these places.
    #[must_use]
    pub fn new(places: &StateDirs) -> Self {
        Self {
            state_dirs: places.clone(),
        }
    }

    /// Keeps `body`: once this returns, a crash or a power cut does not lose it.
    ///
    /// # Errors
    /// The spool is full, or cannot be written anywhere.
    pub fn enqueue(&self, item: SpoolItem, body: Vec<u8>) -> Result<SpoolEntry, Error> {
        // Names sort by time, so that what happened first is sent first.
        let name = format!(
            "{}-{}-{}{ITEM_SUFFIX}",
            item.at.format("%Y%m%dT%H%M%SZ"),
            item.what.as_str(),
            item.deployment_id
        );
        self.ensure_room(item.what, body.len() as u64)?;
        let written = self.state_dirs.write_in(SPOOL_DIR, |folder| {
            let path = folder.join(&name);
            Ok((spool_file::write_spool_file(&path, &item, &body)?, path))
        })?;
        let StateWrite {
            value: (lock, path),
            primary_dir_error: instead_of,
        } = written;
        Ok(SpoolEntry {
            path,
            lock,
            item,
            body,
            primary_dir_error: instead_of,
        })
    }

    /// Refuses what would fill the disk of a machine that never gets anything through.
    fn ensure_room(&self, what: SpoolItemKind, size: u64) -> Result<(), Error> {
        let entries = self
            .state_dirs
            .subdirs(SPOOL_DIR)
            .filter_map(|folder| list_visible_entries(&folder).ok())
            .flatten();
        let sizes: Vec<u64> = entries
            .filter_map(|entry| entry.metadata().ok())
            .map(|it| it.len())
            .collect();
        let (count, bytes) = (sizes.len(), sizes.iter().sum::<u64>());
        if count < MAX_SPOOL_ITEMS
            && (what == SpoolItemKind::Record || bytes + size <= MAX_SPOOL_BYTES)
        {
            return Ok(());
        }
        let text = format!(
            "keep it: {count} things of {bytes} bytes are kept already, and at most {MAX_SPOOL_ITEMS} of {MAX_SPOOL_BYTES} bytes are"
        );
        Err(Error::new(
            ErrorKind::Local,
            text,
            "see `config-backup status`, and send them with `config-backup replay`",
        ))
    }

    /// What lies there; a folder that is not there is an empty one.
    #[must_use]
    pub fn list(&self) -> SpoolContents {
        let mut contents = SpoolContents::default();
        for folder in self.state_dirs.subdirs(SPOOL_DIR) {
            match list_visible_entries(&folder) {
                Ok(entries) => entries.into_iter().for_each(|entry| {
                    // A link could point at anything; nothing we write is one.
                    let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
                    let ours =
                        is_file && entry.file_name().to_string_lossy().ends_with(ITEM_SUFFIX);
                    if ours {
                        &mut contents.items
                    } else {
                        &mut contents.foreign
                    }
                    .push(entry.path());
                }),
                Err(error) => contents
                    .errors
                    .push(local_error("read the folder", &folder, &error)),
            }
        }
        // By their names, wherever they lie.
        contents
            .items
            .sort_by_key(|path| path.file_name().map(std::ffi::OsStr::to_owned));
        contents
    }

    /// What is kept of a deployment, if nobody else works on it.
    #[must_use]
    pub fn lock_items_of_deployment(
        &self,
        what: SpoolItemKind,
        deployment_id: &str,
    ) -> Vec<SpoolEntry> {
        let end = format!("-{}-{deployment_id}{ITEM_SUFFIX}", what.as_str());
        let paths = self
            .list()
            .items
            .into_iter()
            .filter(|path| path.to_string_lossy().ends_with(&end));
        paths
            .filter_map(|path| Self::lock_item(&path).ok().flatten())
            .collect()
    }

    /// Takes an item to work on; `None` when another process has it, or has just sent it.
    ///
    /// # Errors
    /// The file cannot be read, or [`Refused::Damaged`]: it is torn, not of ours, or has a newer form.
    pub fn lock_item(path: &Path) -> Result<Option<SpoolEntry>, SpoolReadError> {
        let file = match atomic_file::open_without_links(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(SpoolReadError::Unreadable(local_error(
                    "open", path, &error,
                )));
            }
        };
        // The lock is the file's and not its name's: another process may have put a newer one in its place.
        // Only who is told that another process has it may pass it by. Where there are no locks, an item may be sent twice
        // at once, which does no harm.
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            return Ok(None);
        }
        match atomic_file::is_same_file(&file, path) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) => {
                return Err(SpoolReadError::Unreadable(local_error(
                    "look at", path, &error,
                )));
            }
        }
        let (item, body) = read_open_file(&file, path)?;
        Ok(Some(SpoolEntry {
            path: path.to_owned(),
            lock: file,
            item,
            body,
            primary_dir_error: None,
        }))
    }

    /// Reads an item without working on it; `None` when it has just been sent.
    ///
    /// # Errors
    /// As [`Spool::take`].
    pub fn read_item(path: &Path) -> Result<Option<(SpoolItem, Vec<u8>)>, SpoolReadError> {
        match atomic_file::open_without_links(path) {
            Ok(file) => read_open_file(&file, path).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(SpoolReadError::Unreadable(local_error(
                "open", path, &error,
            ))),
        }
    }
}

/// Why an item cannot be taken.
#[derive(Debug)]
pub enum SpoolReadError {
    /// It cannot be read now.
    Unreadable(Error),
    /// It is no item, or a damaged one; says what is wrong with it.
    Damaged(String),
}

impl fmt::Display for SpoolReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(fault) => fault.fmt(f),
            Self::Damaged(why) => f.write_str(why),
        }
    }
}

impl SpoolEntry {
    /// Keeps another body in its place, at once whole or not at all.
    pub fn replace_body(&mut self, body: Vec<u8>) -> Result<(), Error> {
        self.item.sha256 = sha256_hex(&body);
        self.lock = spool_file::write_spool_file(&self.path, &self.item, &body)
            .map_err(|error| local_error("keep", &self.path, &error))?;
        self.body = body;
        Ok(())
    }

    /// Forgets the item: it is uploaded.
    pub fn remove(self) -> Result<(), Error> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(local_error("delete", &self.path, &error))
            }
            _ => Ok(()),
        }
    }

    /// The file's path, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A folder's entries but hidden ones, which are the system's (`.DS_Store`) or half-written; none where there is no folder.
pub fn list_visible_entries(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries
            .filter(|entry| !entry.as_ref().is_ok_and(is_hidden))
            .collect(),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

fn is_hidden(entry: &fs::DirEntry) -> bool {
    entry.file_name().to_string_lossy().starts_with('.')
}

fn read_open_file(file: &File, path: &Path) -> Result<(SpoolItem, Vec<u8>), SpoolReadError> {
    spool_file::read_spool_file(file).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => SpoolReadError::Damaged(error.to_string()),
        _ => SpoolReadError::Unreadable(local_error("read", path, &error)),
    })
}

fn local_error(verb: &str, path: &Path, error: &io::Error) -> Error {
    Error::new(
        ErrorKind::Local,
        format!("{verb} `{}`: {error}", path.display()),
        "",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config_item(body: &[u8]) -> SpoolItem {
        let target = crate::s3::store::BucketTarget {
            bucket: "b".into(),
            region: "r".into(),
            profile: String::new(),
            owner: String::new(),
        };
        SpoolItem::new(
            SpoolItemKind::Config,
            target,
            "airbnb",
            "20251030T143052Z-00",
            chrono::DateTime::default(),
            body,
        )
    }

    fn temp_spool() -> (tempfile::TempDir, Spool) {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = Spool::new(&StateDirs::from_private_dirs([folder.path().to_owned()]));
        (folder, spool)
    }

    fn enqueue_config(spool: &Spool, body: &[u8]) -> PathBuf {
        spool
            .enqueue(config_item(body), body.to_vec())
            .expect("kept")
            .path()
            .to_owned()
    }

    #[test]
    fn what_is_kept_comes_back_byte_for_byte_and_is_gone_when_done() {
        let (_folder, spool) = temp_spool();
        let body = b"\0\r\n{\"schema\":9}\n\xff".to_vec();
        let path = enqueue_config(&spool, &body);
        assert_eq!(spool.list().items, std::slice::from_ref(&path));
        let kept = Spool::lock_item(&path).expect("readable").expect("free");
        assert_eq!(
            (kept.item.clone(), kept.body.clone()),
            (config_item(&body), body)
        );
        kept.remove().expect("deleted");
        assert_eq!(spool.list().items, Vec::<PathBuf>::new());
    }

    #[test]
    fn an_item_is_worked_on_by_one_process_at_a_time() {
        let (_folder, spool) = temp_spool();
        let mut kept = spool
            .enqueue(config_item(b"1"), b"1".to_vec())
            .expect("kept");
        let path = kept.path().to_owned();
        assert!(Spool::lock_item(&path).expect("readable").is_none());
        kept.replace_body(b"2".to_vec()).expect("replaced");
        assert!(Spool::lock_item(&path).expect("readable").is_none());
        drop(kept);
        assert_eq!(
            Spool::lock_item(&path)
                .expect("readable")
                .expect("free")
                .body,
            b"2"
        );
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read_what_is_kept() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_folder, spool) = temp_spool();
        let path = enqueue_config(&spool, b"1");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(
            (mode(path.parent().expect("a folder")), mode(&path)),
            (0o700, 0o600)
        );
    }

    #[cfg(unix)]
    #[test]
    fn links_and_what_is_not_of_ours_are_no_items() {
        let (folder, spool) = temp_spool();
        let path = enqueue_config(&spool, b"body");
        let at = |name: &str| path.parent().expect("a folder").join(name);
        let elsewhere = folder.path().join("elsewhere.item");
        fs::rename(&path, &elsewhere).expect("moved");
        std::os::unix::fs::symlink(&elsewhere, at("link.item")).expect("a link");
        fs::create_dir(at("folder.item")).expect("a folder");
        fs::write(at("notes.txt"), "x").expect("a file");
        fs::write(at(".DS_Store"), "x").expect("a file");
        let contents = spool.list();
        assert_eq!(
            (contents.items.len(), contents.foreign.len()),
            (0, 3),
            "{contents:?}"
        );
        assert!(matches!(
            Spool::lock_item(&at("link.item")),
            Err(SpoolReadError::Unreadable(_))
        ));
    }

    #[test]
    fn a_full_spool_says_what_it_refuses_and_still_takes_records() {
        let (_folder, spool) = temp_spool();
        let path = enqueue_config(&spool, b"1");
        File::options()
            .write(true)
            .open(&path)
            .and_then(|file| file.set_len(MAX_SPOOL_BYTES))
            .expect("a sparse file");
        let fault = spool
            .enqueue(config_item(b"2"), b"2".to_vec())
            .expect_err("a refusal");
        assert!(
            fault
                .message
                .contains("1 things of 268435456 bytes are kept already"),
            "{}",
            fault.message
        );
        let record = SpoolItem {
            what: SpoolItemKind::Record,
            ..config_item(b"2")
        };
        spool
            .enqueue(record.clone(), b"2".to_vec())
            .expect("a record is small");
        for number in 0..MAX_SPOOL_ITEMS {
            File::create(path.with_file_name(format!("{number}.item"))).expect("a file");
        }
        let fault = spool.enqueue(record, b"2".to_vec()).expect_err("a refusal");
        assert!(
            fault.message.contains("4098 things of ")
                && fault.hint.contains("config-backup replay"),
            "{fault}"
        );
    }
}

//! The spool: uploads that are pending, so that no failure loses one.
//!
//! One file for each [`SpoolItem`], written before the first request and deleted after the upload.
//! The files have mode 0600 in a directory of mode 0700, because a config contains secrets. Their
//! names tell when and what, but not the customer. Must not touch the network.
//!
//! A process that works on an item holds a lock on its file until it ends. Other processes skip a
//! locked item, so deployments share the spool and never wait for each other.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::digest::sha256_hex;
use crate::error::{Error, ErrorKind};
use crate::state::dirs::{StateDirs, StateWrite};
use crate::state::spool_file::{self, SpoolItem, SpoolItemKind};
use crate::system::atomic_file;
use crate::system::clock::unix_nanoseconds;

/// The suffix of the items' file names.
pub const ITEM_SUFFIX: &str = ".item";
/// The subdirectory of the state directory.
pub const SPOOL_DIR: &str = "spool";

/// A full spool refuses more items, so that a machine without network does not fill its disk.
const MAX_SPOOL_ITEMS: usize = 4096;
/// The limit for configs. Records are small and are always accepted.
const MAX_SPOOL_BYTES: u64 = 256 << 20;

const SPOOL_FULL_HINT: &str =
    "run `config-backup status` to list them and `config-backup replay` to upload them";

/// The queue of pending uploads.
#[derive(Debug, Clone)]
pub struct Spool {
    state_dirs: StateDirs,
}

/// An item that this process has locked.
#[derive(Debug)]
pub struct SpoolEntry {
    path: PathBuf,
    /// Holds the lock.
    lock: File,
    pub item: SpoolItem,
    pub body: Vec<u8>,
    /// Why the item is not in the primary state directory, if it is not.
    pub primary_dir_error: Option<Error>,
}

/// The files in the spool.
#[derive(Debug, Default)]
pub struct SpoolContents {
    /// The items' paths, oldest first.
    pub items: Vec<PathBuf>,
    /// The paths of everything else.
    pub foreign: Vec<PathBuf>,
    /// Directories that cannot be read.
    pub errors: Vec<Error>,
}

/// Why an item cannot be read.
#[derive(Debug)]
pub enum SpoolReadError {
    /// The file cannot be read now.
    Unreadable(Error),
    /// The file is not an item, or it is damaged. Contains the reason.
    Damaged(String),
}

impl Spool {
    #[must_use]
    pub fn new(state_dirs: &StateDirs) -> Self {
        Self {
            state_dirs: state_dirs.clone(),
        }
    }

    /// Writes an item. Once this returns, neither a crash nor a power failure loses it.
    ///
    /// # Errors
    /// The spool is full, or no state directory can be written.
    pub fn enqueue(&self, mut item: SpoolItem, body: Vec<u8>) -> Result<SpoolEntry, Error> {
        item.queued_at = unix_nanoseconds();
        // The names sort by time, so that the oldest item is uploaded first.
        let time = item.at.format("%Y%m%dT%H%M%SZ");
        let kind = item.kind.as_str();
        let name = format!("{time}-{kind}-{}{ITEM_SUFFIX}", item.deployment_id);

        self.ensure_room(item.kind, body.len() as u64)?;
        let written = self.state_dirs.write_in(SPOOL_DIR, |dir| {
            let path = dir.join(&name);
            let lock = spool_file::write_spool_file(&path, &item, &body)?;
            Ok((path, lock))
        })?;
        let StateWrite {
            value: (path, lock),
            primary_dir_error,
        } = written;
        Ok(SpoolEntry {
            path,
            lock,
            item,
            body,
            primary_dir_error,
        })
    }

    fn ensure_room(&self, kind: SpoolItemKind, size: u64) -> Result<(), Error> {
        let mut count = 0;
        let mut bytes = 0;
        for dir in self.state_dirs.subdirs(SPOOL_DIR) {
            for entry in list_visible_entries(&dir).unwrap_or_default() {
                if let Ok(metadata) = entry.metadata() {
                    count += 1;
                    bytes += metadata.len();
                }
            }
        }

        let has_bytes_left = kind == SpoolItemKind::Record || bytes + size <= MAX_SPOOL_BYTES;
        if count < MAX_SPOOL_ITEMS && has_bytes_left {
            return Ok(());
        }
        let message = format!(
            "the spool is full ({count} of {MAX_SPOOL_ITEMS} items, \
             {bytes} of {MAX_SPOOL_BYTES} bytes)"
        );
        Err(Error::new(ErrorKind::Local, message, SPOOL_FULL_HINT))
    }

    /// Lists the files in the spool. A missing directory counts as an empty one.
    #[must_use]
    pub fn list(&self) -> SpoolContents {
        let mut contents = SpoolContents::default();
        for dir in self.state_dirs.subdirs(SPOOL_DIR) {
            match list_visible_entries(&dir) {
                Ok(entries) => contents.add_entries(&entries),
                Err(error) => {
                    contents
                        .errors
                        .push(Error::local_file("read the directory", &dir, &error));
                }
            }
        }
        // By name and not by directory, because the name begins with the time.
        contents
            .items
            .sort_by_key(|path| path.file_name().map(OsStr::to_owned));
        contents
    }

    /// Locks the items of a deployment. Skips those that another process works on.
    #[must_use]
    pub fn lock_items_of_deployment(
        &self,
        kind: SpoolItemKind,
        deployment_id: &str,
    ) -> Vec<SpoolEntry> {
        let is_wanted = |item: &SpoolItem| item.kind == kind && item.deployment_id == deployment_id;
        let mut entries = Vec::new();
        for path in self.list().items {
            // Names are not compared: one id may be the end of another one.
            if let Ok(Some(item)) = Self::read_header(&path)
                && is_wanted(&item)
                && let Ok(Some(entry)) = Self::lock_item(&path)
                && is_wanted(&entry.item)
            {
                entries.push(entry);
            }
        }
        entries
    }

    /// Locks an item. Returns `None` if another process works on it or has just uploaded it.
    ///
    /// # Errors
    /// The file cannot be read, or it is not an item of this version.
    pub fn lock_item(path: &Path) -> Result<Option<SpoolEntry>, SpoolReadError> {
        let Some(file) = open_item(path)? else {
            return Ok(None);
        };
        // A file system may not support locks. Then an item may be uploaded twice, which is
        // harmless, so only a lock that another process holds counts.
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Ok(None);
        }
        // The lock belongs to the file and not to its name: another process may have put a newer
        // file there.
        match atomic_file::is_same_file(&file, path) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) => return Err(unreadable("check", path, &error)),
        }
        let (item, body) = read_open_item(&file, path)?;
        Ok(Some(SpoolEntry {
            path: path.to_owned(),
            lock: file,
            item,
            body,
            primary_dir_error: None,
        }))
    }

    /// Reads an item without its body and without a lock. Returns `None` if it has just been
    /// uploaded.
    ///
    /// # Errors
    /// As [`Spool::lock_item`], but damage in the body goes unnoticed.
    pub fn read_header(path: &Path) -> Result<Option<SpoolItem>, SpoolReadError> {
        let Some(file) = open_item(path)? else {
            return Ok(None);
        };
        let read = spool_file::read_spool_header(&file);
        read.map(Some).map_err(|error| read_error(path, &error))
    }

    /// Reads an item without a lock. Returns `None` if it has just been uploaded.
    ///
    /// # Errors
    /// As [`Spool::lock_item`].
    pub fn read_item(path: &Path) -> Result<Option<(SpoolItem, Vec<u8>)>, SpoolReadError> {
        match open_item(path)? {
            Some(file) => read_open_item(&file, path).map(Some),
            None => Ok(None),
        }
    }
}

impl SpoolContents {
    fn add_entries(&mut self, entries: &[fs::DirEntry]) {
        for entry in entries {
            if is_item(entry) {
                self.items.push(entry.path());
            } else {
                self.foreign.push(entry.path());
            }
        }
    }
}

impl SpoolEntry {
    /// Replaces the body atomically.
    pub fn replace_body(&mut self, body: Vec<u8>) -> Result<(), Error> {
        self.item.sha256 = sha256_hex(&body);
        match spool_file::write_spool_file(&self.path, &self.item, &body) {
            Ok(lock) => self.lock = lock,
            Err(error) => return Err(Error::local_file("write", &self.path, &error)),
        }
        self.body = body;
        Ok(())
    }

    /// Deletes the item after its upload.
    pub fn remove(self) -> Result<(), Error> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::local_file("delete", &self.path, &error))
            }
            _ => Ok(()),
        }
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Display for SpoolReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => error.fmt(f),
            Self::Damaged(reason) => f.write_str(reason),
        }
    }
}

/// A link is not an item, because it could point to any file.
fn is_item(entry: &fs::DirEntry) -> bool {
    match entry.file_type() {
        Ok(file_type) if file_type.is_file() => {
            let name = entry.file_name();
            name.to_string_lossy().ends_with(ITEM_SUFFIX)
        }
        _ => false,
    }
}

/// The entries of a directory without hidden ones, which are half-written files or belong to the
/// system (`.DS_Store`). A missing directory has no entries.
pub fn list_visible_entries(dir: &Path) -> io::Result<Vec<fs::DirEntry>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => {
            return match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(Vec::new()),
                _ => Err(error),
            };
        }
    };
    let mut visible = Vec::new();
    for entry in entries {
        let entry = entry?;
        if !is_hidden(&entry) {
            visible.push(entry);
        }
    }
    Ok(visible)
}

fn is_hidden(entry: &fs::DirEntry) -> bool {
    entry.file_name().to_string_lossy().starts_with('.')
}

fn open_item(path: &Path) -> Result<Option<File>, SpoolReadError> {
    match atomic_file::open_without_links(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable("open", path, &error)),
    }
}

fn read_open_item(file: &File, path: &Path) -> Result<(SpoolItem, Vec<u8>), SpoolReadError> {
    spool_file::read_spool_file(file).map_err(|error| read_error(path, &error))
}

fn read_error(path: &Path, error: &io::Error) -> SpoolReadError {
    match error.kind() {
        io::ErrorKind::InvalidData => SpoolReadError::Damaged(error.to_string()),
        _ => unreadable("read", path, error),
    }
}

fn unreadable(action: &str, path: &Path, error: &io::Error) -> SpoolReadError {
    SpoolReadError::Unreadable(Error::local_file(action, path, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::store::BucketTarget;

    fn config_item(body: &[u8]) -> SpoolItem {
        let target = BucketTarget {
            bucket: "b".into(),
            region: "r".into(),
            profile: String::new(),
            owner: String::new(),
            encryption: None,
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
        let dir = tempfile::tempdir().expect("a temporary directory");
        let state_dirs = StateDirs::from_private_dirs([dir.path().to_owned()]);
        let spool = Spool::new(&state_dirs);
        (dir, spool)
    }

    fn enqueue_config(spool: &Spool, body: &[u8]) -> PathBuf {
        let entry = spool.enqueue(config_item(body), body.to_vec());
        entry.expect("enqueued").path().to_owned()
    }

    fn lock_existing(path: &Path) -> Option<SpoolEntry> {
        Spool::lock_item(path).expect("readable")
    }

    #[test]
    fn an_item_is_read_back_byte_for_byte_and_removed() {
        let (_dir, spool) = temp_spool();
        let body = b"\0\r\n{\"schema\":9}\n\xff".to_vec();
        let path = enqueue_config(&spool, &body);
        assert_eq!(spool.list().items, std::slice::from_ref(&path));

        let entry = lock_existing(&path).expect("not locked");
        let queued_at = entry.item.queued_at;
        let item = SpoolItem {
            queued_at,
            ..config_item(&body)
        };
        assert!(queued_at > 0);
        assert_eq!(entry.item, item);
        assert_eq!(entry.body, body);
        entry.remove().expect("removed");
        assert_eq!(spool.list().items, Vec::<PathBuf>::new());
    }

    #[test]
    fn one_process_at_a_time_works_on_an_item() {
        let (_dir, spool) = temp_spool();
        let entry = spool.enqueue(config_item(b"1"), b"1".to_vec());
        let mut entry = entry.expect("enqueued");
        let path = entry.path().to_owned();
        assert!(lock_existing(&path).is_none());

        entry.replace_body(b"2".to_vec()).expect("replaced");
        assert!(lock_existing(&path).is_none());

        drop(entry);
        assert_eq!(lock_existing(&path).expect("not locked").body, b"2");
    }

    #[cfg(unix)]
    #[test]
    fn other_users_cannot_read_items() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_dir, spool) = temp_spool();
        let path = enqueue_config(&spool, b"1");
        let mode = |path: &Path| {
            let metadata = fs::metadata(path).expect("metadata");
            metadata.permissions().mode() & 0o777
        };
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().expect("a parent")), 0o700);
    }

    #[cfg(unix)]
    #[test]
    fn links_and_foreign_files_are_not_items() {
        let (dir, spool) = temp_spool();
        let path = enqueue_config(&spool, b"body");
        let elsewhere = dir.path().join("elsewhere.item");
        fs::rename(&path, &elsewhere).expect("moved");
        let link = path.with_file_name("link.item");
        std::os::unix::fs::symlink(&elsewhere, &link).expect("a link");
        fs::create_dir(path.with_file_name("folder.item")).expect("a directory");
        fs::write(path.with_file_name("notes.txt"), "x").expect("a file");
        fs::write(path.with_file_name(".DS_Store"), "x").expect("a file");

        let contents = spool.list();
        assert_eq!(contents.items.len(), 0, "{contents:?}");
        assert_eq!(contents.foreign.len(), 3, "{contents:?}");
        let locked = Spool::lock_item(&link);
        assert!(matches!(locked, Err(SpoolReadError::Unreadable(_))));
    }

    #[test]
    fn a_full_spool_names_its_limits_and_still_accepts_records() {
        let (_dir, spool) = temp_spool();
        let path = enqueue_config(&spool, b"1");
        let file = File::options().write(true).open(&path).expect("a file");
        file.set_len(MAX_SPOOL_BYTES).expect("a sparse file");
        let error = spool.enqueue(config_item(b"2"), b"2".to_vec());
        let message = error.expect_err("an error").message;
        let expected = "the spool is full (1 of 4096 items, 268435456 of 268435456 bytes)";
        assert_eq!(message, expected);

        let record = SpoolItem {
            kind: SpoolItemKind::Record,
            ..config_item(b"2")
        };
        let entry = spool.enqueue(record.clone(), b"2".to_vec());
        entry.expect("a record is accepted");

        for number in 0..MAX_SPOOL_ITEMS {
            let name = format!("{number}.item");
            File::create(path.with_file_name(name)).expect("a file");
        }
        let error = spool.enqueue(record, b"2".to_vec()).expect_err("an error");
        assert!(error.message.contains("4098 of 4096 items"), "{error}");
        assert!(error.hint.contains("config-backup replay"), "{error}");
    }
}

//! The spool: what is still to be uploaded, kept on this machine so that no failure loses it.
//!
//! One file per thing, written before the network is tried and deleted after the upload: a line of JSON (the
//! [`Item`]) and then the body's bytes. Files are 0600 in a folder of 0700, because a config is full of secrets;
//! names say when and what, never whose. Must not touch the network.
//!
//! Whoever works on an item holds a lock on its file, which ends with the process. Others pass a locked item by, so
//! deployments share the spool without ever waiting.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::aws::Target;
use crate::digest::sha256_hex;
use crate::fault::{Fault, Kind};
use crate::files;

/// The version of the file's form.
const SCHEMA: u32 = 1;
const SUFFIX: &str = ".item";
/// The longest header and the largest body that are read back, in bytes.
const LONGEST_HEADER: u64 = 64 << 10;
const LARGEST_BODY: u64 = 64 << 20;

/// What is to be uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// A config: its history copy, and `config.yaml` unless a newer one is there.
    Config,
    /// A usage record.
    Record,
}

/// All that an upload needs beside the body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The form's version.
    pub schema: u32,
    /// Config or record.
    pub what: What,
    /// The bucket and the profile.
    pub target: Target,
    /// The customer.
    pub customer: String,
    /// The deployment that made it.
    pub deployment_id: String,
    /// The version that it becomes; empty for a record.
    pub backup_id: String,
    /// When the config was read, or the deployment happened.
    pub at: DateTime<Utc>,
    /// MD5 of the body, hex; empty for a record.
    pub md5: String,
    /// SHA-256 of the body, hex: tells a torn file from a whole one.
    pub sha256: String,
}

impl Item {
    /// An item of today's form for `body`.
    #[must_use]
    pub fn new(what: What, target: Target, customer: &str, deployment_id: &str, at: DateTime<Utc>, body: &[u8]) -> Self {
        Self {
            schema: SCHEMA,
            what,
            target,
            customer: customer.to_owned(),
            deployment_id: deployment_id.to_owned(),
            backup_id: String::new(),
            at,
            md5: String::new(),
            sha256: sha256_hex(body),
        }
    }
}

/// The spool's folder.
#[derive(Debug, Clone)]
pub struct Spool {
    folder: PathBuf,
}

/// An item in the spool that this process alone works on.
#[derive(Debug)]
pub struct Kept {
    path: PathBuf,
    /// Holds the lock.
    lock: File,
    /// What it is.
    pub item: Item,
    /// Its bytes.
    pub body: Vec<u8>,
}

impl Spool {
    /// Opens the spool below `state`, making its folder where there is none.
    pub fn open(state: Option<&Path>) -> Result<Self, Fault> {
        let state = state
            .ok_or_else(|| Fault::new(Kind::Local, "find a folder to keep things in: HOME is not set", "set HOME or XDG_STATE_HOME"))?;
        let spool = Self::at(state);
        files::private_folder(&spool.folder).map_err(|error| local("make the folder", &spool.folder, &error))?;
        Ok(spool)
    }

    /// The spool below `state` as it is, for a look that must change nothing.
    #[must_use]
    pub fn at(state: &Path) -> Self {
        Self { folder: state.join("spool") }
    }

    /// Where things are kept below `state`, for messages; empty where there is no such folder.
    #[must_use]
    pub fn place(state: Option<&Path>) -> String {
        state.map(|state| Self::at(state).folder.display().to_string()).unwrap_or_default()
    }

    /// Where things are kept.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Keeps `body`: once this returns, a crash or a power cut does not lose it.
    pub fn keep(&self, item: Item, body: Vec<u8>) -> Result<Kept, Fault> {
        let what = match item.what {
            What::Config => "config",
            What::Record => "record",
        };
        // Names sort by time, so that what happened first is sent first.
        let name = format!("{}-{what}-{}{SUFFIX}", item.at.format("%Y%m%dT%H%M%SZ"), item.deployment_id);
        let path = self.folder.join(name);
        let file = write(&path, &item, &body).map_err(|error| local("keep", &path, &error))?;
        Ok(Kept { path, lock: file, item, body })
    }

    /// The files of all items, oldest first; no folder is an empty spool.
    pub fn files(&self) -> Result<Vec<PathBuf>, Fault> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(local("read the folder", &self.folder, &error)),
        };
        let mut files: Vec<PathBuf> = entries
            .filter_map(Result::ok)
            // A link could point at anything; nothing we write is one.
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
            .map(|entry| entry.path())
            .filter(|path| path.to_string_lossy().ends_with(SUFFIX))
            .collect();
        files.sort();
        Ok(files)
    }

    /// Takes an item to work on; `None` when another process has it, or has just sent it.
    ///
    /// # Errors
    /// The file cannot be read, is torn or has a newer form; it stays where it is.
    pub fn take(path: &Path) -> Result<Option<Kept>, Fault> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(local("open", path, &error)),
        };
        // The lock is the file's and not its name's: another process may have put a newer one in its place.
        if file.try_lock().is_err() || !files::is_at(&file, path) {
            return Ok(None);
        }
        let (item, body) = read(&file).map_err(|error| local("read", path, &error))?;
        Ok(Some(Kept { path: path.to_owned(), lock: file, item, body }))
    }
}

impl Kept {
    /// Keeps another body in its place, at once whole or not at all.
    pub fn replace(&mut self, body: Vec<u8>) -> Result<(), Fault> {
        self.item.sha256 = sha256_hex(&body);
        self.lock = write(&self.path, &self.item, &body).map_err(|error| local("keep", &self.path, &error))?;
        self.body = body;
        Ok(())
    }

    /// Forgets the item: it is uploaded.
    pub fn done(self) -> Result<(), Fault> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(local("delete", &self.path, &error)),
            _ => Ok(()),
        }
    }

    /// The file's path, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn write(path: &Path, item: &Item, body: &[u8]) -> io::Result<File> {
    let header = serde_json::to_vec(item)?;
    files::put(path, &[&header, b"\n", body], files::Mode::Private)
}

fn read(file: &File) -> io::Result<(Item, Vec<u8>)> {
    let invalid = |words: &str| io::Error::new(io::ErrorKind::InvalidData, words.to_owned());
    let mut reader = BufReader::new(file);
    let mut header = Vec::new();
    reader.by_ref().take(LONGEST_HEADER).read_until(b'\n', &mut header)?;
    let schema: u64 = serde_json::from_slice::<serde_json::Value>(&header)
        .ok()
        .and_then(|value| value.get("schema")?.as_u64())
        .ok_or_else(|| invalid("it is not a file of ours, or it is torn"))?;
    if schema != u64::from(SCHEMA) {
        return Err(invalid("it was written by another version of config-backup"));
    }
    let item: Item = serde_json::from_slice(&header).map_err(|_| invalid("its header is damaged"))?;
    let mut body = Vec::new();
    reader.take(LARGEST_BODY).read_to_end(&mut body)?;
    if sha256_hex(&body) == item.sha256 { Ok((item, body)) } else { Err(invalid("its content is damaged")) }
}

fn local(verb: &str, path: &Path, error: &io::Error) -> Fault {
    Fault::new(Kind::Local, format!("{verb} `{}`: {error}", path.display()), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(body: &[u8]) -> Item {
        let target = Target { bucket: "b".into(), region: "r".into(), profile: String::new() };
        Item::new(What::Config, target, "airbnb", "20251030T143052Z-00", DateTime::default(), body)
    }

    fn spool() -> (tempfile::TempDir, Spool) {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = Spool::open(Some(folder.path())).expect("a spool");
        (folder, spool)
    }

    #[test]
    fn what_is_kept_comes_back_byte_for_byte_and_is_gone_when_done() {
        let (_folder, spool) = spool();
        let body = b"\0\r\n{\"schema\":9}\n\xff".to_vec();
        drop(spool.keep(item(&body), body.clone()).expect("kept"));
        let files = spool.files().expect("files");
        assert_eq!(files.len(), 1);
        let kept = Spool::take(&files[0]).expect("readable").expect("free");
        assert_eq!((kept.item.clone(), kept.body.clone()), (item(&body), body));
        kept.done().expect("deleted");
        assert_eq!(spool.files().expect("files"), Vec::<PathBuf>::new());
    }

    #[test]
    fn an_item_is_worked_on_by_one_process_at_a_time() {
        let (_folder, spool) = spool();
        let mut kept = spool.keep(item(b"1"), b"1".to_vec()).expect("kept");
        let path = kept.path().to_owned();
        assert!(Spool::take(&path).expect("readable").is_none());
        kept.replace(b"2".to_vec()).expect("replaced");
        assert!(Spool::take(&path).expect("readable").is_none());
        drop(kept);
        assert_eq!(Spool::take(&path).expect("readable").expect("free").body, b"2");
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read_what_is_kept() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_folder, spool) = spool();
        let kept = spool.keep(item(b"1"), b"1".to_vec()).expect("kept");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(spool.folder()), mode(kept.path())), (0o700, 0o600));
    }

    #[test]
    fn torn_foreign_and_newer_files_are_refused_and_stay() {
        let (_folder, spool) = spool();
        drop(spool.keep(item(b"body"), b"body".to_vec()).expect("kept"));
        let path = spool.files().expect("files").remove(0);
        let whole = fs::read(&path).expect("read");
        let newer = String::from_utf8_lossy(&whole).replace("\"schema\":1", "\"schema\":2");
        for (content, words) in [
            (&whole[..whole.len() - 1], "its content is damaged"),
            (&whole[..20], "it is not a file of ours, or it is torn"),
            (b"", "it is not a file of ours, or it is torn"),
            (newer.as_bytes(), "it was written by another version of config-backup"),
        ] {
            fs::write(&path, content).expect("written");
            let fault = Spool::take(&path).expect_err("a refusal");
            assert!(fault.text.ends_with(words), "{}", fault.text);
            assert!(path.exists());
        }
    }
}

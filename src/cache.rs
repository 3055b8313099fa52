//! Records that were fetched before, in an SQLite database of this user: a record never changes, so it is fetched once.
//!
//! Everything in it can be had again, and nothing in it is believed unseen: each entry carries a digest, and whoever
//! reads it compares it with what S3 lists. A key is a value in it and never a path.

use std::fs::{self, OpenOptions, Permissions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, TransactionBehavior, params};
use sha2::{Digest as _, Sha256};

use crate::digest::sha256_hex;
use crate::files;
use crate::listing::Listed;

mod archived;
mod entries;

/// The form of the tables; a database of another form is replaced.
const FORM: i64 = 2;
/// How long to wait for another run that writes at this moment.
const BUSY: Duration = Duration::from_secs(10);
/// Changes are written when there are so many, or so many bytes.
const CHANGES: usize = 2000;
const BYTES: usize = 8 << 20;

/// What is wrong with the cache.
#[derive(Debug)]
pub struct Trouble {
    /// As a phrase.
    pub words: String,
    /// Whether it will stay so until the file is taken away.
    pub damaged: bool,
}

/// The records of one bucket.
#[derive(Debug)]
pub struct Cache {
    path: PathBuf,
    db: Connection,
    changes: Vec<Change>,
    bytes: usize,
    /// Whether there is anything in it for another run: of one that goes with this run, nobody will ask again.
    lasts: bool,
}

#[derive(Debug)]
enum Change {
    /// A record, or an object that is too large to be one.
    Keep(Listed, Option<Vec<u8>>),
    Forget(String),
}

impl Cache {
    /// Opens the cache of the bucket that `place` names, or makes one.
    pub fn open(folder: &Path, place: &str) -> Result<Self, Trouble> {
        let path = Self::path(folder, place);
        let file = || -> std::io::Result<()> {
            files::private_folder(folder)?;
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(false);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let file = options.open(&path)?;
            // SQLite gives the files beside it the same mode.
            #[cfg(unix)]
            file.set_permissions(<Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o600))?;
            Ok(())
        };
        if fs::symlink_metadata(&path).is_ok_and(|there| !there.is_file()) {
            return Err(Trouble { words: "its file is no regular file".to_owned(), damaged: true });
        }
        file().map_err(|error| Trouble { words: error.to_string(), damaged: false })?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut db = Connection::open_with_flags(&path, flags).map_err(words)?;
        prepare(&mut db).map_err(words)?;
        Ok(Self { path, db, changes: Vec::new(), bytes: 0, lasts: true })
    }

    /// Takes the cache of a bucket away, so that the next run makes a new one.
    pub fn remove(folder: &Path, place: &str) {
        let path = Self::path(folder, place);
        for tail in ["", "-journal"] {
            let mut name = path.clone().into_os_string();
            name.push(tail);
            let _ = fs::remove_file(PathBuf::from(name));
        }
    }

    fn path(folder: &Path, place: &str) -> PathBuf {
        folder.join(format!("records-{}.sqlite", &sha256_hex(place.as_bytes())[..16]))
    }

    /// The file, for messages.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.path
    }

    /// Whether it outlasts this run.
    #[must_use]
    pub fn lasts(&self) -> bool {
        self.lasts
    }

    /// How many records there are with keys from the first to before the second.
    pub fn count(&self, from: &str, to: &str) -> Result<u64, Trouble> {
        let count = |table| format!("(SELECT count(*) FROM {table} WHERE key >= ?1 AND key < ?2)");
        let both = format!("SELECT {} + {}", count("record"), count("archived"));
        let count: i64 =
            self.db.prepare_cached(&both).and_then(|mut query| query.query_row(params![from, to], |row| row.get(0))).map_err(words)?;
        Ok(count.unsigned_abs())
    }

    /// When all records of a customer, by the segment of their keys, were here.
    pub fn complete_at(&self, segment: &str) -> Result<Option<DateTime<Utc>>, Trouble> {
        let mut query = self.db.prepare_cached("SELECT complete_at FROM customer WHERE segment = ?1").map_err(words)?;
        let at: Option<i64> = query.query_row(params![segment], |row| row.get(0)).optional().map_err(words)?;
        Ok(at.and_then(|at| DateTime::from_timestamp(at, 0)))
    }

    /// Notes that all records of a customer are here.
    pub fn set_complete(&mut self, segment: &str, at: DateTime<Utc>) -> Result<(), Trouble> {
        let done = self.db.execute("INSERT OR REPLACE INTO customer VALUES (?1, ?2)", params![segment, at.timestamp()]);
        done.map(drop).map_err(words)
    }

    /// Keeps a record; without a body, an object that is too large to be one.
    pub fn keep(&mut self, listed: &Listed, body: Option<Vec<u8>>) -> Result<(), Trouble> {
        if !self.lasts {
            return Ok(());
        }
        let bytes = body.as_ref().map_or(0, Vec::len);
        self.change(Change::Keep(listed.clone(), body), bytes)
    }

    fn change(&mut self, change: Change, bytes: usize) -> Result<(), Trouble> {
        self.changes.push(change);
        self.bytes += bytes;
        if self.changes.len() >= CHANGES || self.bytes >= BYTES { self.write() } else { Ok(()) }
    }

    /// Writes what is not written yet, all of it or nothing.
    pub fn write(&mut self) -> Result<(), Trouble> {
        self.bytes = 0;
        let changes = std::mem::take(&mut self.changes);
        if changes.is_empty() {
            return Ok(());
        }
        let mut write = || -> rusqlite::Result<()> {
            let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            {
                let mut keep = transaction.prepare_cached("INSERT OR REPLACE INTO record VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
                let mut forget = transaction.prepare_cached("DELETE FROM record WHERE key = ?1")?;
                for change in &changes {
                    match change {
                        Change::Keep(it, body) => {
                            let (modified, size) = numbers(it);
                            keep.execute(params![it.key, modified, size, it.etag, body, seal(it, body.as_deref())])?;
                        }
                        Change::Forget(key) => {
                            forget.execute(params![key])?;
                        }
                    }
                }
            }
            transaction.commit()
        };
        write().map_err(words)
    }
}

fn prepare(db: &mut Connection) -> rusqlite::Result<()> {
    db.busy_timeout(BUSY)?;
    db.pragma_update(None, "synchronous", "NORMAL")?;
    if db.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? == FORM {
        return Ok(());
    }
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another run may have made the tables while this one waited.
    if transaction.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? != FORM {
        transaction.execute_batch(
            "DROP TABLE IF EXISTS record;
             DROP TABLE IF EXISTS customer;
             DROP TABLE IF EXISTS part;
             DROP TABLE IF EXISTS archived;
             CREATE TABLE record (key TEXT PRIMARY KEY, modified INTEGER NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL,
                                  body BLOB, seal BLOB NOT NULL) STRICT;
             CREATE TABLE customer (segment TEXT PRIMARY KEY, complete_at INTEGER NOT NULL) STRICT;
             CREATE TABLE part (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
             CREATE TABLE archived (key TEXT NOT NULL, part INTEGER NOT NULL, modified INTEGER NOT NULL, size INTEGER NOT NULL,
                                    etag TEXT NOT NULL, body BLOB NOT NULL, seal BLOB NOT NULL, PRIMARY KEY (key, part)) STRICT;",
        )?;
        transaction.pragma_update(None, "user_version", FORM)?;
    }
    transaction.commit()
}

/// A digest over all of an entry: SQLite notices a damaged structure, but not a damaged value.
fn seal(listed: &Listed, body: Option<&[u8]>) -> Vec<u8> {
    let (modified, size) = numbers(listed);
    let mut digest = Sha256::new();
    for part in [listed.key.as_bytes(), listed.etag.as_bytes(), body.unwrap_or_default()] {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    digest.update(modified.to_le_bytes());
    digest.update(size.to_le_bytes());
    digest.update([u8::from(body.is_some())]);
    digest.finalize()[..16].to_vec()
}

fn numbers(listed: &Listed) -> (i64, i64) {
    (listed.modified.timestamp_micros(), i64::try_from(listed.size).unwrap_or(i64::MAX))
}

#[allow(clippy::needless_pass_by_value)] // for map_err
fn words(error: rusqlite::Error) -> Trouble {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked, DiskFull, OutOfMemory, PermissionDenied, ReadOnly};
    let passing =
        matches!(error.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked | DiskFull | OutOfMemory | PermissionDenied | ReadOnly));
    Trouble { words: crate::fault::one_line(&error.to_string()), damaged: !passing }
}

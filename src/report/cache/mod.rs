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
use crate::s3::listing::ObjectMeta;
use crate::system::atomic_file;

mod archive;
mod compare;

/// The form of the tables; a database of another form is replaced.
const SCHEMA_VERSION: i64 = 2;
/// How long to wait for another run that writes at this moment.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Changes are written when there are so many, or so many bytes.
const MAX_PENDING_CHANGES: usize = 2000;
const MAX_PENDING_BYTES: usize = 8 << 20;

/// What is wrong with the cache.
#[derive(Debug)]
pub struct CacheError {
    /// As a phrase.
    pub message: String,
    /// Whether it will stay so until the file is taken away.
    pub is_corrupt: bool,
}

/// The records of one bucket.
#[derive(Debug)]
pub struct RecordCache {
    path: PathBuf,
    db: Connection,
    pending: Vec<CacheChange>,
    pending_bytes: usize,
    /// Whether there is anything in it for another run: of one that goes with this run, nobody will ask again.
    is_persistent: bool,
}

#[derive(Debug)]
enum CacheChange {
    /// A record, or an object that is too large to be one.
    Store(ObjectMeta, Option<Vec<u8>>),
    Delete(String),
}

impl RecordCache {
    /// Opens the cache of the bucket that `place` names, or makes one.
    pub fn open(folder: &Path, place: &str) -> Result<Self, CacheError> {
        let path = Self::path_for_bucket(folder, place);
        let file = || -> std::io::Result<()> {
            atomic_file::create_private_dir(folder)?;
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(false);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let file = options.open(&path)?;
            // SQLite gives the files beside it the same mode.
            #[cfg(unix)]
            file.set_permissions(
                <Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o600),
            )?;
            Ok(())
        };
        if fs::symlink_metadata(&path).is_ok_and(|there| !there.is_file()) {
            return Err(CacheError {
                message: "its file is no regular file".to_owned(),
                is_corrupt: true,
            });
        }
        file().map_err(|error| CacheError {
            message: error.to_string(),
            is_corrupt: false,
        })?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut db = Connection::open_with_flags(&path, flags).map_err(sqlite_error)?;
        create_tables(&mut db).map_err(sqlite_error)?;
        Ok(Self {
            path,
            db,
            pending: Vec::new(),
            pending_bytes: 0,
            is_persistent: true,
        })
    }

    /// Takes the cache of a bucket away, so that the next run makes a new one.
    pub fn remove(folder: &Path, place: &str) {
        let path = Self::path_for_bucket(folder, place);
        for tail in ["", "-journal"] {
            let mut name = path.clone().into_os_string();
            name.push(tail);
            let _ = fs::remove_file(PathBuf::from(name));
        }
    }

    fn path_for_bucket(folder: &Path, place: &str) -> PathBuf {
        folder.join(format!(
            "records-{}.sqlite",
            &sha256_hex(place.as_bytes())[..16]
        ))
    }

    /// The file, for messages.
    #[must_use]
    pub fn database_path(&self) -> &Path {
        &self.path
    }

    /// Whether it outlasts this run.
    #[must_use]
    pub fn is_persistent(&self) -> bool {
        self.is_persistent
    }

    /// How many records there are with keys from the first to before the second.
    pub fn count_keys(&self, from: &str, to: &str) -> Result<u64, CacheError> {
        let count = |table| format!("(SELECT count(*) FROM {table} WHERE key >= ?1 AND key < ?2)");
        let both = format!("SELECT {} + {}", count("record"), count("archived"));
        let count: i64 = self
            .db
            .prepare_cached(&both)
            .and_then(|mut query| query.query_row(params![from, to], |row| row.get(0)))
            .map_err(sqlite_error)?;
        Ok(count.unsigned_abs())
    }

    /// When all records of a customer, by the segment of their keys, were here.
    pub fn complete_at(&self, segment: &str) -> Result<Option<DateTime<Utc>>, CacheError> {
        let mut query = self
            .db
            .prepare_cached("SELECT complete_at FROM customer WHERE segment = ?1")
            .map_err(sqlite_error)?;
        let at: Option<i64> = query
            .query_row(params![segment], |row| row.get(0))
            .optional()
            .map_err(sqlite_error)?;
        Ok(at.and_then(|at| DateTime::from_timestamp(at, 0)))
    }

    /// Notes that all records of a customer are here.
    pub fn set_complete_at(&mut self, segment: &str, at: DateTime<Utc>) -> Result<(), CacheError> {
        let done = self.db.execute(
            "INSERT OR REPLACE INTO customer VALUES (?1, ?2)",
            params![segment, at.timestamp()],
        );
        done.map(drop).map_err(sqlite_error)
    }

    /// Keeps a record; without a body, an object that is too large to be one.
    pub fn store_record(
        &mut self,
        listed: &ObjectMeta,
        body: Option<Vec<u8>>,
    ) -> Result<(), CacheError> {
        if !self.is_persistent {
            return Ok(());
        }
        let bytes = body.as_ref().map_or(0, Vec::len);
        self.push_change(CacheChange::Store(listed.clone(), body), bytes)
    }

    fn push_change(&mut self, change: CacheChange, bytes: usize) -> Result<(), CacheError> {
        self.pending.push(change);
        self.pending_bytes += bytes;
        if self.pending.len() >= MAX_PENDING_CHANGES || self.pending_bytes >= MAX_PENDING_BYTES {
            self.write_pending()
        } else {
            Ok(())
        }
    }

    /// Writes what is not written yet, all of it or nothing.
    pub fn write_pending(&mut self) -> Result<(), CacheError> {
        self.pending_bytes = 0;
        let changes = std::mem::take(&mut self.pending);
        if changes.is_empty() {
            return Ok(());
        }
        let mut write = || -> rusqlite::Result<()> {
            let transaction = self
                .db
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            {
                let mut keep = transaction.prepare_cached(
                    "INSERT OR REPLACE INTO record VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?;
                let mut forget = transaction.prepare_cached("DELETE FROM record WHERE key = ?1")?;
                for change in &changes {
                    match change {
                        CacheChange::Store(it, body) => {
                            let (modified, size) = integer_columns(it);
                            keep.execute(params![
                                it.key,
                                modified,
                                size,
                                it.etag,
                                body,
                                entry_digest(it, body.as_deref())
                            ])?;
                        }
                        CacheChange::Delete(key) => {
                            forget.execute(params![key])?;
                        }
                    }
                }
            }
            transaction.commit()
        };
        write().map_err(sqlite_error)
    }
}

fn create_tables(db: &mut Connection) -> rusqlite::Result<()> {
    db.busy_timeout(BUSY_TIMEOUT)?;
    db.pragma_update(None, "synchronous", "NORMAL")?;
    if db.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? == SCHEMA_VERSION {
        return Ok(());
    }
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another run may have made the tables while this one waited.
    if transaction.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))?
        != SCHEMA_VERSION
    {
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
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    }
    transaction.commit()
}

/// A digest over all of an entry: SQLite notices a damaged structure, but not a damaged value.
fn entry_digest(listed: &ObjectMeta, body: Option<&[u8]>) -> Vec<u8> {
    let (modified, size) = integer_columns(listed);
    let mut digest = Sha256::new();
    for part in [
        listed.key.as_bytes(),
        listed.etag.as_bytes(),
        body.unwrap_or_default(),
    ] {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    digest.update(modified.to_le_bytes());
    digest.update(size.to_le_bytes());
    digest.update([u8::from(body.is_some())]);
    digest.finalize()[..16].to_vec()
}

fn integer_columns(listed: &ObjectMeta) -> (i64, i64) {
    (
        listed.last_modified.timestamp_micros(),
        i64::try_from(listed.size).unwrap_or(i64::MAX),
    )
}

#[allow(clippy::needless_pass_by_value)] // for map_err
fn sqlite_error(error: rusqlite::Error) -> CacheError {
    use rusqlite::ErrorCode::{
        DatabaseBusy, DatabaseLocked, DiskFull, OutOfMemory, PermissionDenied, ReadOnly,
    };
    let passing = matches!(
        error.sqlite_error_code(),
        Some(DatabaseBusy | DatabaseLocked | DiskFull | OutOfMemory | PermissionDenied | ReadOnly)
    );
    CacheError {
        message: crate::error::to_single_line(&error.to_string()),
        is_corrupt: !passing,
    }
}

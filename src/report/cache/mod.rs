//! A cache of usage records in an SQLite database of this user: a record never changes, so it is
//! fetched once.
//!
//! Must not be trusted without a check: each entry has a digest, and readers compare it with the
//! listing of S3. Everything in it can be fetched again. A key is a value in it and never a path.
//!
//! - `schema`: the tables, and the digest over an entry
//! - `compare`: reads entries and compares them with what S3 lists
//! - `archive`: entries that come from archive files
//! - `lookup`: a quick look for completions, which writes nothing

use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, TransactionBehavior, params};

use crate::digest::short_digest;
use crate::error::to_single_line;
use crate::report::list_plan::KeyRange;
use crate::s3::listing::ObjectMeta;
use crate::system::atomic_file::create_private_dir;

mod archive;
mod compare;
mod lookup;
mod schema;

pub use compare::ListedKeys;

/// Pending changes are written when there are so many.
const MAX_PENDING_CHANGES: usize = 2000;
const MAX_PENDING_BYTES: usize = 8 << 20;

#[derive(Debug)]
pub struct CacheError {
    pub message: String,
    /// Whether the error stays until the database is deleted.
    pub is_corrupt: bool,
}

impl From<rusqlite::Error> for CacheError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        let is_temporary = matches!(
            error.sqlite_error_code(),
            Some(
                Code::DatabaseBusy
                    | Code::DatabaseLocked
                    | Code::DiskFull
                    | Code::OutOfMemory
                    | Code::PermissionDenied
                    | Code::ReadOnly
            )
        );
        Self {
            message: to_single_line(&error.to_string()),
            is_corrupt: !is_temporary,
        }
    }
}

impl From<io::Error> for CacheError {
    fn from(error: io::Error) -> Self {
        Self {
            message: error.to_string(),
            is_corrupt: false,
        }
    }
}

/// Where the database of a bucket is.
#[derive(Debug)]
pub struct CacheLocation {
    folder: PathBuf,
    database: PathBuf,
}

impl CacheLocation {
    #[must_use]
    pub fn new(folder: PathBuf, bucket_identity: &str) -> Self {
        let bucket = short_digest(bucket_identity.as_bytes());
        let database = folder.join(format!("records-{bucket}.sqlite"));
        Self { folder, database }
    }

    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Deletes the database, so that the next run creates a new one.
    pub fn remove(&self) {
        let mut journal = self.database.clone().into_os_string();
        journal.push("-journal");
        let _ = fs::remove_file(&self.database);
        let _ = fs::remove_file(journal);
    }

    /// Creates the file, if there is none, with access for its owner only.
    fn create_file(&self) -> io::Result<()> {
        create_private_dir(&self.folder)?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&self.database)?;

        // SQLite creates the files beside it with the same mode. Some file systems have no modes.
        #[cfg(unix)]
        let _ = file
            .set_permissions(<Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o600));
        Ok(())
    }
}

/// The cached records of one bucket.
#[derive(Debug)]
pub struct RecordCache {
    path: PathBuf,
    db: Connection,
    pending: Vec<CacheChange>,
    pending_bytes: usize,
    /// A temporary cache ends with this run, so fetched records are not worth storing in it.
    is_persistent: bool,
}

#[derive(Debug)]
enum CacheChange {
    /// Without a body, the object is too large to be a record.
    Store(ObjectMeta, Option<Vec<u8>>),
    Delete(String),
}

impl RecordCache {
    /// Opens the database, or creates it.
    pub fn open(location: &CacheLocation) -> Result<Self, CacheError> {
        let path = location.database.clone();
        if let Ok(metadata) = fs::symlink_metadata(&path)
            && !metadata.is_file()
        {
            return Err(CacheError {
                message: "the database is not a regular file".to_owned(),
                is_corrupt: true,
            });
        }
        location.create_file()?;

        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut db = Connection::open_with_flags(&path, flags)?;
        schema::create_tables(&mut db)?;
        Ok(Self {
            path,
            db,
            pending: Vec::new(),
            pending_bytes: 0,
            is_persistent: true,
        })
    }

    /// For messages.
    #[must_use]
    pub fn database_path(&self) -> &Path {
        &self.path
    }

    #[must_use]
    pub fn is_persistent(&self) -> bool {
        self.is_persistent
    }

    pub fn count_keys(&self, keys: &KeyRange) -> Result<u64, CacheError> {
        let mut query = self.db.prepare_cached(
            "SELECT (SELECT count(*) FROM record WHERE key >= ?1 AND key < ?2)
                  + (SELECT count(*) FROM archived WHERE key >= ?1 AND key < ?2)",
        )?;
        let count: i64 = query.query_row(params![keys.start, keys.end], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }

    /// When all records of a customer were in the cache.
    pub fn complete_at(&self, segment: &str) -> Result<Option<DateTime<Utc>>, CacheError> {
        let mut query = self
            .db
            .prepare_cached("SELECT complete_at FROM customer WHERE segment = ?1")?;
        let found = query.query_row(params![segment], |row| row.get(0));
        let seconds: Option<i64> = found.optional()?;
        Ok(seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0)))
    }

    pub fn set_complete_at(&mut self, segment: &str, at: DateTime<Utc>) -> Result<(), CacheError> {
        self.db.execute(
            "INSERT OR REPLACE INTO customer VALUES (?1, ?2)",
            params![segment, at.timestamp()],
        )?;
        Ok(())
    }

    /// Without a body, the object is too large to be a record.
    pub fn store_record(
        &mut self,
        object: &ObjectMeta,
        body: Option<Vec<u8>>,
    ) -> Result<(), CacheError> {
        if !self.is_persistent {
            return Ok(());
        }
        let bytes = body.as_ref().map_or(0, Vec::len);
        self.push_change(CacheChange::Store(object.clone(), body), bytes)
    }

    fn push_change(&mut self, change: CacheChange, bytes: usize) -> Result<(), CacheError> {
        self.pending.push(change);
        self.pending_bytes += bytes;
        if self.pending.len() < MAX_PENDING_CHANGES && self.pending_bytes < MAX_PENDING_BYTES {
            return Ok(());
        }
        self.write_pending()
    }

    /// Writes all pending changes in one transaction.
    pub fn write_pending(&mut self) -> Result<(), CacheError> {
        self.pending_bytes = 0;
        let pending = std::mem::take(&mut self.pending);
        if pending.is_empty() {
            return Ok(());
        }

        let transaction = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        write_changes(&transaction, &pending)?;
        transaction.commit()?;
        Ok(())
    }
}

fn write_changes(db: &Connection, changes: &[CacheChange]) -> rusqlite::Result<()> {
    let mut store =
        db.prepare_cached("INSERT OR REPLACE INTO record VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    let mut delete = db.prepare_cached("DELETE FROM record WHERE key = ?1")?;
    for change in changes {
        match change {
            CacheChange::Store(object, body) => {
                let (modified, size) = schema::integer_columns(object);
                let digest = schema::entry_digest(object, body.as_deref());
                store.execute(params![
                    object.key,
                    modified,
                    size,
                    object.etag,
                    body,
                    digest
                ])?;
            }
            CacheChange::Delete(key) => {
                delete.execute(params![key])?;
            }
        }
    }
    Ok(())
}

//! The tables of the cache, and the digest over an entry.

use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};
use sha2::{Digest as _, Sha256};

use crate::s3::listing::ObjectMeta;

/// A database of another version is replaced.
pub(super) const SCHEMA_VERSION: i64 = 2;
/// How long to wait for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
const DIGEST_BYTES: usize = 16;

pub(super) fn create_tables(db: &mut Connection) -> rusqlite::Result<()> {
    db.busy_timeout(BUSY_TIMEOUT)?;
    db.pragma_update(None, "synchronous", "NORMAL")?;
    if read_version(db)? == SCHEMA_VERSION {
        return Ok(());
    }

    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have created the tables while this one waited.
    if read_version(&transaction)? != SCHEMA_VERSION {
        transaction.execute_batch(
            "DROP TABLE IF EXISTS record;
             DROP TABLE IF EXISTS customer;
             DROP TABLE IF EXISTS part;
             DROP TABLE IF EXISTS archived;
             CREATE TABLE record (
                 key TEXT PRIMARY KEY, modified INTEGER NOT NULL, size INTEGER NOT NULL,
                 etag TEXT NOT NULL, body BLOB, seal BLOB NOT NULL) STRICT;
             CREATE TABLE customer (
                 segment TEXT PRIMARY KEY, complete_at INTEGER NOT NULL) STRICT;
             CREATE TABLE part (
                 id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
             CREATE TABLE archived (
                 key TEXT NOT NULL, part INTEGER NOT NULL, modified INTEGER NOT NULL,
                 size INTEGER NOT NULL, etag TEXT NOT NULL, body BLOB NOT NULL,
                 seal BLOB NOT NULL, PRIMARY KEY (key, part)) STRICT;",
        )?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    }
    transaction.commit()
}

pub(super) fn read_version(db: &Connection) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// A digest over all of an entry, because SQLite notices a damaged structure but not a damaged
/// value.
pub(super) fn entry_digest(object: &ObjectMeta, body: Option<&[u8]>) -> Vec<u8> {
    let (modified, size) = integer_columns(object);
    let mut digest = Sha256::new();
    for part in [
        object.key.as_bytes(),
        object.etag.as_bytes(),
        body.unwrap_or_default(),
    ] {
        // The length keeps the parts apart.
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    digest.update(modified.to_le_bytes());
    digest.update(size.to_le_bytes());
    digest.update([u8::from(body.is_some())]);
    digest.finalize()[..DIGEST_BYTES].to_vec()
}

/// The columns `modified` (in microseconds) and `size`.
pub(super) fn integer_columns(object: &ObjectMeta) -> (i64, i64) {
    let modified = object.last_modified.timestamp_micros();
    let size = i64::try_from(object.size).unwrap_or(i64::MAX);
    (modified, size)
}

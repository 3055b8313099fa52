//! Entries that come from archive files: each file is fetched and unpacked once.
//!
//! The entries of a file are deleted when S3 no longer lists the file.

use std::collections::BTreeSet;
use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::{CacheError, RecordCache, schema};
use crate::archive::parquet::ArchivedRecord;

/// An archive file whose entries are in the cache.
struct UnpackedArchive {
    id: i64,
    key: String,
}

impl RecordCache {
    /// A cache for archived records that ends with this run: SQLite deletes its nameless file.
    pub fn open_temporary() -> Result<Self, CacheError> {
        let mut db = Connection::open("")?;
        schema::create_tables(&mut db)?;
        Ok(Self {
            path: PathBuf::from("a temporary file"),
            db,
            pending: Vec::new(),
            pending_bytes: 0,
            is_persistent: false,
        })
    }

    pub fn has_archive(&self, key: &str) -> Result<bool, CacheError> {
        let mut query = self
            .db
            .prepare_cached("SELECT id FROM part WHERE name = ?1")?;
        let found = query.query_row(params![key], |row| row.get(0));
        let id: Option<i64> = found.optional()?;
        Ok(id.is_some())
    }

    /// Stores all records of an archive file in one transaction, and deletes their fetched copies.
    pub fn insert_archive(
        &mut self,
        key: &str,
        records: &[ArchivedRecord],
    ) -> Result<(), CacheError> {
        let transaction = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let inserted = transaction.execute(
            "INSERT OR IGNORE INTO part (name) VALUES (?1)",
            params![key],
        )?;
        // Another process may have unpacked the same file in the meantime.
        if inserted == 1 {
            let id = transaction.last_insert_rowid();
            insert_records(&transaction, id, records)?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Deletes the entries of archive files whose keys start with `prefix` and are not in `listed`.
    pub fn retain_archives(
        &mut self,
        prefix: &str,
        listed: &BTreeSet<String>,
    ) -> Result<(), CacheError> {
        let mut gone = self.archives_below(prefix)?;
        gone.retain(|archive| !listed.contains(&archive.key));
        if gone.is_empty() {
            return Ok(());
        }

        let transaction = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        for archive in &gone {
            transaction.execute("DELETE FROM archived WHERE part = ?1", params![archive.id])?;
            transaction.execute("DELETE FROM part WHERE id = ?1", params![archive.id])?;
        }
        transaction.commit()?;
        Ok(())
    }

    fn archives_below(&self, prefix: &str) -> Result<Vec<UnpackedArchive>, CacheError> {
        let mut query = self
            .db
            .prepare_cached("SELECT id, name FROM part WHERE name >= ?1")?;
        let mut rows = query.query(params![prefix])?;
        let mut archives = Vec::new();
        while let Some(row) = rows.next()? {
            let (id, key): (i64, String) = (row.get(0)?, row.get(1)?);
            if key.starts_with(prefix) {
                archives.push(UnpackedArchive { id, key });
            }
        }
        Ok(archives)
    }
}

fn insert_records(
    db: &Connection,
    archive_id: i64,
    records: &[ArchivedRecord],
) -> rusqlite::Result<()> {
    let mut insert =
        db.prepare_cached("INSERT OR IGNORE INTO archived VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    let mut delete =
        db.prepare_cached("DELETE FROM record WHERE key = ?1 AND etag = ?2 AND modified = ?3")?;
    for ArchivedRecord { object, body } in records {
        let (modified, size) = schema::integer_columns(object);
        let digest = schema::entry_digest(object, Some(body));
        insert.execute(params![
            object.key,
            archive_id,
            modified,
            size,
            object.etag,
            body,
            digest
        ])?;
        delete.execute(params![object.key, object.etag, modified])?;
    }
    Ok(())
}

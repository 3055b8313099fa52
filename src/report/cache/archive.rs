//! What the archive has, unpacked: each of its objects is fetched and read once.
//!
//! S3's listing of the archive has the last word here, too: with an object of it, its entries go.

use std::collections::BTreeSet;
use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::{CacheError, RecordCache, create_tables, entry_digest, integer_columns, sqlite_error};
use crate::archive::parquet::ArchivedRecord;

impl RecordCache {
    /// A place to unpack the archive into where nothing shall be kept: a file without a name that ends with this run.
    pub fn open_temporary() -> Result<Self, CacheError> {
        let mut db = Connection::open("").map_err(sqlite_error)?;
        create_tables(&mut db).map_err(sqlite_error)?;
        Ok(Self {
            path: PathBuf::from("a temporary file"),
            db,
            pending: Vec::new(),
            pending_bytes: 0,
            is_persistent: false,
        })
    }

    /// Whether an object of the archive is unpacked here.
    pub fn has_archive(&self, name: &str) -> Result<bool, CacheError> {
        let mut query = self
            .db
            .prepare_cached("SELECT id FROM part WHERE name = ?1")
            .map_err(sqlite_error)?;
        query
            .query_row(params![name], |row| row.get::<_, i64>(0))
            .optional()
            .map(|it| it.is_some())
            .map_err(sqlite_error)
    }

    /// Unpacks an object of the archive, all of it or nothing. Records that are the same as ones that were fetched take their place.
    pub fn insert_archive(
        &mut self,
        name: &str,
        records: &[ArchivedRecord],
    ) -> Result<(), CacheError> {
        let mut write = || -> rusqlite::Result<()> {
            let transaction = self
                .db
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            // Another run may have been faster.
            if transaction.execute(
                "INSERT OR IGNORE INTO part (name) VALUES (?1)",
                params![name],
            )? == 1
            {
                let part = transaction.last_insert_rowid();
                let mut keep = transaction.prepare_cached(
                    "INSERT OR IGNORE INTO archived VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?;
                let mut forget = transaction.prepare_cached(
                    "DELETE FROM record WHERE key = ?1 AND etag = ?2 AND modified = ?3",
                )?;
                for ArchivedRecord { object: it, body } in records {
                    let (modified, size) = integer_columns(it);
                    keep.execute(params![
                        it.key,
                        part,
                        modified,
                        size,
                        it.etag,
                        body,
                        entry_digest(it, Some(body))
                    ])?;
                    forget.execute(params![it.key, it.etag, modified])?;
                }
            }
            transaction.commit()
        };
        write().map_err(sqlite_error)
    }

    /// Forgets the objects of the archive whose names start with `prefix` and that are not among `there`.
    pub fn retain_archives(
        &mut self,
        prefix: &str,
        there: &BTreeSet<String>,
    ) -> Result<(), CacheError> {
        let known = || -> rusqlite::Result<Vec<(i64, String)>> {
            let mut query = self
                .db
                .prepare_cached("SELECT id, name FROM part WHERE name >= ?1")?;
            let known = query.query_map(params![prefix], |row| Ok((row.get(0)?, row.get(1)?)))?;
            known.collect()
        };
        let known = known().map_err(sqlite_error)?;
        let gone: Vec<i64> = known
            .into_iter()
            .filter(|(_, name)| name.starts_with(prefix) && !there.contains(name))
            .map(|(id, _)| id)
            .collect();
        if gone.is_empty() {
            return Ok(());
        }
        let mut forget = || -> rusqlite::Result<()> {
            let transaction = self
                .db
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            for part in &gone {
                transaction.execute("DELETE FROM archived WHERE part = ?1", params![part])?;
                transaction.execute("DELETE FROM part WHERE id = ?1", params![part])?;
            }
            transaction.commit()
        };
        forget().map_err(sqlite_error)
    }
}

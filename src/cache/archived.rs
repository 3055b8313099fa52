//! What the archive has, unpacked: each of its objects is fetched and read once.
//!
//! S3's listing of the archive has the last word here, too: with an object of it, its entries go.

use std::collections::BTreeSet;
use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::{Cache, Trouble, numbers, prepare, seal, words};
use crate::parts::Archived;

impl Cache {
    /// A place to unpack the archive into where nothing shall be kept: a file without a name that ends with this run.
    pub fn temporary() -> Result<Self, Trouble> {
        let mut db = Connection::open("").map_err(words)?;
        prepare(&mut db).map_err(words)?;
        Ok(Self { path: PathBuf::from("a temporary file"), db, changes: Vec::new(), bytes: 0, lasts: false })
    }

    /// Whether an object of the archive is unpacked here.
    pub fn has_part(&self, name: &str) -> Result<bool, Trouble> {
        let mut query = self.db.prepare_cached("SELECT id FROM part WHERE name = ?1").map_err(words)?;
        query.query_row(params![name], |row| row.get::<_, i64>(0)).optional().map(|it| it.is_some()).map_err(words)
    }

    /// Unpacks an object of the archive, all of it or nothing. Records that are the same as ones that were fetched take their place.
    pub fn unpack(&mut self, name: &str, records: &[Archived]) -> Result<(), Trouble> {
        let mut write = || -> rusqlite::Result<()> {
            let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            // Another run may have been faster.
            if transaction.execute("INSERT OR IGNORE INTO part (name) VALUES (?1)", params![name])? == 1 {
                let part = transaction.last_insert_rowid();
                let mut keep = transaction.prepare_cached("INSERT OR IGNORE INTO archived VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
                let mut forget = transaction.prepare_cached("DELETE FROM record WHERE key = ?1 AND etag = ?2 AND modified = ?3")?;
                for Archived { listed: it, body } in records {
                    let (modified, size) = numbers(it);
                    keep.execute(params![it.key, part, modified, size, it.etag, body, seal(it, Some(body))])?;
                    forget.execute(params![it.key, it.etag, modified])?;
                }
            }
            transaction.commit()
        };
        write().map_err(words)
    }

    /// Forgets the objects of the archive whose names start with `prefix` and that are not among `there`.
    pub fn keep_parts(&mut self, prefix: &str, there: &BTreeSet<String>) -> Result<(), Trouble> {
        let known = || -> rusqlite::Result<Vec<(i64, String)>> {
            let mut query = self.db.prepare_cached("SELECT id, name FROM part WHERE name >= ?1")?;
            let known = query.query_map(params![prefix], |row| Ok((row.get(0)?, row.get(1)?)))?;
            known.collect()
        };
        let known = known().map_err(words)?;
        let gone: Vec<i64> =
            known.into_iter().filter(|(_, name)| name.starts_with(prefix) && !there.contains(name)).map(|(id, _)| id).collect();
        if gone.is_empty() {
            return Ok(());
        }
        let mut forget = || -> rusqlite::Result<()> {
            let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for part in &gone {
                transaction.execute("DELETE FROM archived WHERE part = ?1", params![part])?;
                transaction.execute("DELETE FROM part WHERE id = ?1", params![part])?;
            }
            transaction.commit()
        };
        forget().map_err(words)
    }
}

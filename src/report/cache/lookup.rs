//! A quick look into the cache, for completions.
//!
//! Must not create, change or wait for the database.

use std::time::Duration;

use rusqlite::{Connection, OpenFlags, params};

use super::compare::{entries_query, read_entry};
use super::schema::{SCHEMA_VERSION, read_version};
use super::{CacheError, CacheLocation, RecordCache};
use crate::keys::{RECORDS_PREFIX, record_key_segment};
use crate::report::list_plan::prefix_end;

/// How long to wait for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_millis(200);

impl RecordCache {
    /// Opens the database to read, if there is one of this version.
    pub fn open_existing(location: &CacheLocation) -> Result<Self, CacheError> {
        let path = location.database.clone();
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(&path, flags)?;
        db.busy_timeout(BUSY_TIMEOUT)?;
        if read_version(&db)? != SCHEMA_VERSION {
            return Err(CacheError {
                message: "the database is of another version".to_owned(),
                is_corrupt: false,
            });
        }
        Ok(Self {
            path,
            db,
            pending: Vec::new(),
            pending_bytes: 0,
            is_persistent: false,
        })
    }

    /// The segments of all customers with records. It skips from customer to customer, because
    /// there can be a million records.
    pub fn customer_segments(&self) -> Result<Vec<String>, CacheError> {
        let mut query = self.db.prepare_cached(
            "SELECT min(key) FROM (SELECT min(key) AS key FROM record WHERE key >= ?1
                                   UNION ALL
                                   SELECT min(key) AS key FROM archived WHERE key >= ?1)",
        )?;
        let mut segments = Vec::new();
        let mut start = RECORDS_PREFIX.to_owned();
        loop {
            let key: Option<String> = query.query_row(params![start], |row| row.get(0))?;
            let Some(segment) = key.as_deref().and_then(record_key_segment) else {
                return Ok(segments);
            };
            start = prefix_end(&format!("{RECORDS_PREFIX}{segment}/"));
            segments.push(segment.to_owned());
        }
    }

    /// Visits the newest records below a prefix, newest first.
    pub fn for_newest_bodies(
        &self,
        prefix: &str,
        limit: u32,
        mut visit: impl FnMut(&[u8]),
    ) -> Result<(), CacheError> {
        let query = entries_query("key >= ?1 AND key < ?2", "key DESC LIMIT ?3");
        let mut query = self.db.prepare_cached(&query)?;
        let mut rows = query.query(params![prefix, prefix_end(prefix), limit])?;
        while let Some(row) = rows.next()? {
            if let Some(body) = read_entry(row)?.body {
                visit(body);
            }
        }
        Ok(())
    }
}

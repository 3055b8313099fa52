//! What is in the cache, read: what was fetched and what the archive has, in one order.

use chrono::DateTime;
use rusqlite::{Row, params};

use super::{CacheChange, CacheError, RecordCache, entry_digest, sqlite_error};
use crate::s3::listing::ObjectMeta;

impl RecordCache {
    /// Hands over every record with a key from the first to before the second, also those that only the archive has.
    pub fn for_each_record(
        &self,
        from: &str,
        to: &str,
        mut take: impl FnMut(&ObjectMeta, Option<&[u8]>),
    ) -> Result<(), CacheError> {
        let mut query = self
            .db
            .prepare_cached(&entries_query("key >= ?1 AND key < ?2"))
            .map_err(sqlite_error)?;
        let mut rows = query.query(params![from, to]).map_err(sqlite_error)?;
        let mut taken = String::new();
        while let Some(row) = rows.next().map_err(sqlite_error)? {
            let entry = read_entry(row)?;
            if entry.listed.key != taken {
                take(&entry.listed, entry.body);
                taken = entry.listed.key;
            }
        }
        Ok(())
    }

    /// Compares what S3 lists of the keys behind `after`, up to and with `through`, with what is here of those that the
    /// listing `covers`: hands over what is in step, gives back the rest, and forgets what S3 no longer lists. What only the
    /// archive has is handed over as well.
    pub fn compare_listing(
        &mut self,
        after: &str,
        through: &str,
        listed: Vec<ObjectMeta>,
        covers: impl Fn(&str) -> bool,
        mut take: impl FnMut(&ObjectMeta, Option<&[u8]>),
    ) -> Result<Vec<ObjectMeta>, CacheError> {
        let mut query = self
            .db
            .prepare_cached(&entries_query("key > ?1 AND key <= ?2"))
            .map_err(sqlite_error)?;
        let mut rows = query.query(params![after, through]).map_err(sqlite_error)?;
        let (mut missing, mut gone) = (Vec::new(), Vec::new());
        let mut listed = listed.into_iter().peekable();
        // The key of the entry before, and its object as long as no entry is in step with it.
        let (mut key, mut open) = (String::new(), None);
        while let Some(row) = rows.next().map_err(sqlite_error)? {
            let entry = read_entry(row)?;
            if !covers(&entry.listed.key) {
                continue;
            }
            let is_first = entry.listed.key != key;
            if is_first {
                missing.extend(open.take());
                while let Some(new) = listed.next_if(|it| it.key < entry.listed.key) {
                    missing.push(new);
                }
                open = listed.next_if(|it| it.key == entry.listed.key);
                key.clone_from(&entry.listed.key);
            }
            // Of an object that is gone, the archive's newest entry comes first.
            let is_gone = is_first && open.is_none();
            if open.as_ref() == Some(&entry.listed) || is_gone && entry.is_archived {
                take(&entry.listed, entry.body);
                open = None;
            } else if !entry.is_archived {
                gone.push(entry.listed.key);
                key = if is_gone { String::new() } else { key };
            }
        }
        missing.extend(open);
        missing.extend(listed);
        drop(rows);
        drop(query);
        for key in gone {
            self.push_change(CacheChange::Delete(key), 0)?;
        }
        Ok(missing)
    }
}

/// The entries with keys for which a condition holds, in the order of the keys: what was fetched, then what the archive has,
/// of each key the newest first.
fn entries_query(condition: &str) -> String {
    format!(
        "SELECT key, modified, size, etag, body, seal, 0 AS archived FROM record WHERE {condition}
         UNION ALL SELECT key, modified, size, etag, body, seal, 1 AS archived FROM archived WHERE {condition}
         ORDER BY key, archived, modified DESC"
    )
}

/// An entry of the database.
struct CacheEntry<'a> {
    listed: ObjectMeta,
    body: Option<&'a [u8]>,
    is_archived: bool,
}

/// An entry of the database, if it is as it was written.
fn read_entry<'a>(row: &'a Row<'_>) -> Result<CacheEntry<'a>, CacheError> {
    let read = || -> rusqlite::Result<_> {
        let listed = ObjectMeta {
            key: row.get(0)?,
            last_modified: DateTime::from_timestamp_micros(row.get(1)?).unwrap_or_default(),
            size: row.get::<_, i64>(2)?.unsigned_abs(),
            etag: row.get(3)?,
        };
        let body = row.get_ref(4)?.as_blob_or_null()?;
        Ok((
            CacheEntry {
                listed,
                body,
                is_archived: row.get(6)?,
            },
            row.get::<_, Vec<u8>>(5)?,
        ))
    };
    let (entry, sealed) = read().map_err(sqlite_error)?;
    if entry_digest(&entry.listed, entry.body) == sealed {
        Ok(entry)
    } else {
        Err(CacheError {
            message: "an entry is not as it was written".to_owned(),
            is_corrupt: true,
        })
    }
}

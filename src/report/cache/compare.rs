//! Reads entries of the cache, fetched and archived ones in one order, and compares them with what
//! S3 lists.

use std::iter::Peekable;
use std::vec;

use chrono::DateTime;
use rusqlite::{Row, params};

use super::{CacheChange, CacheError, RecordCache, schema};
use crate::report::list_plan::KeyRange;
use crate::s3::listing::ObjectMeta;

/// What S3 lists of the keys after `after`, up to and including `through`.
pub struct ListedKeys {
    pub after: String,
    pub through: String,
    pub objects: Vec<ObjectMeta>,
}

impl RecordCache {
    /// Visits each record of the range, also those that only the archive has.
    pub fn for_each_record(
        &self,
        keys: &KeyRange,
        mut visit: impl FnMut(&ObjectMeta, Option<&[u8]>),
    ) -> Result<(), CacheError> {
        let mut query = self
            .db
            .prepare_cached(&entries_query("key >= ?1 AND key < ?2", LISTING_ORDER))?;
        let mut rows = query.query(params![keys.start, keys.end])?;
        let mut visited_key = String::new();
        while let Some(row) = rows.next()? {
            let entry = read_entry(row)?;
            if entry.object.key != visited_key {
                visit(&entry.object, entry.body);
                visited_key = entry.object.key;
            }
        }
        Ok(())
    }

    /// Compares a listing with the entries that it `covers`: visits those that are up to date, and
    /// returns the other objects of the listing.
    ///
    /// Entries that S3 no longer lists are deleted. Records that only the archive has are visited
    /// as well.
    pub fn compare_listing(
        &mut self,
        listed: ListedKeys,
        covers: impl Fn(&str) -> bool,
        mut visit: impl FnMut(&ObjectMeta, Option<&[u8]>),
    ) -> Result<Vec<ObjectMeta>, CacheError> {
        let mut merge = ListingMerge::new(listed.objects);
        {
            let mut query = self
                .db
                .prepare_cached(&entries_query("key > ?1 AND key <= ?2", LISTING_ORDER))?;
            let mut rows = query.query(params![listed.after, listed.through])?;
            while let Some(row) = rows.next()? {
                let entry = read_entry(row)?;
                if covers(&entry.object.key) {
                    merge.add_entry(entry, &mut visit);
                }
            }
        }

        let (missing, stale_keys) = merge.finish();
        for key in stale_keys {
            self.push_change(CacheChange::Delete(key), 0)?;
        }
        Ok(missing)
    }
}

/// Goes through the listing and the entries together; both are sorted by key.
struct ListingMerge {
    listed: Peekable<vec::IntoIter<ObjectMeta>>,
    /// The key of the previous entry.
    key: String,
    /// The listed object of that key, as long as no entry is equal to it.
    unmatched: Option<ObjectMeta>,
    missing: Vec<ObjectMeta>,
    stale_keys: Vec<String>,
}

impl ListingMerge {
    fn new(listed: Vec<ObjectMeta>) -> Self {
        Self {
            listed: listed.into_iter().peekable(),
            key: String::new(),
            unmatched: None,
            missing: Vec::new(),
            stale_keys: Vec::new(),
        }
    }

    fn add_entry(
        &mut self,
        entry: CacheEntry<'_>,
        visit: &mut impl FnMut(&ObjectMeta, Option<&[u8]>),
    ) {
        let is_first_of_key = entry.object.key != self.key;
        if is_first_of_key {
            self.advance_to(&entry.object.key);
        }

        let is_deleted = is_first_of_key && self.unmatched.is_none();
        let is_up_to_date = self.unmatched.as_ref() == Some(&entry.object);
        // The newest archived entry of a key comes first, and stands for an object that S3 no
        // longer lists.
        if is_up_to_date || is_deleted && entry.is_archived {
            visit(&entry.object, entry.body);
            self.unmatched = None;
        } else if !entry.is_archived {
            self.stale_keys.push(entry.object.key);
            if is_deleted {
                // The next entry of this key, which is archived, is treated as its first one.
                self.key.clear();
            }
        }
    }

    fn advance_to(&mut self, key: &str) {
        self.missing.extend(self.unmatched.take());
        while let Some(object) = self.listed.next_if(|object| *object.key < *key) {
            self.missing.push(object);
        }
        self.unmatched = self.listed.next_if(|object| object.key == key);
        key.clone_into(&mut self.key);
    }

    /// The listed objects without an entry that is up to date, and the keys of entries to delete.
    fn finish(mut self) -> (Vec<ObjectMeta>, Vec<String>) {
        self.missing.extend(self.unmatched);
        self.missing.extend(self.listed);
        (self.missing, self.stale_keys)
    }
}

/// By key; of one key, a fetched entry first and then the newest archived one.
const LISTING_ORDER: &str = "key, archived, modified DESC";

/// Selects fetched and archived entries; `order` may end in a limit.
pub(super) fn entries_query(condition: &str, order: &str) -> String {
    format!(
        "SELECT key, modified, size, etag, body, seal, 0 AS archived
         FROM record WHERE {condition}
         UNION ALL SELECT key, modified, size, etag, body, seal, 1 AS archived
         FROM archived WHERE {condition}
         ORDER BY {order}"
    )
}

pub(super) struct CacheEntry<'a> {
    object: ObjectMeta,
    pub(super) body: Option<&'a [u8]>,
    is_archived: bool,
}

pub(super) fn read_entry<'a>(row: &'a Row<'_>) -> Result<CacheEntry<'a>, CacheError> {
    let modified = row.get(1)?;
    let size: i64 = row.get(2)?;
    let body = row.get_ref(4)?;
    let entry = CacheEntry {
        object: ObjectMeta {
            key: row.get(0)?,
            last_modified: DateTime::from_timestamp_micros(modified).unwrap_or_default(),
            size: size.unsigned_abs(),
            etag: row.get(3)?,
        },
        body: body.as_blob_or_null().map_err(rusqlite::Error::from)?,
        is_archived: row.get(6)?,
    };

    let stored_digest: Vec<u8> = row.get(5)?;
    if schema::entry_digest(&entry.object, entry.body) != stored_digest {
        return Err(CacheError {
            message: "an entry does not match its digest".to_owned(),
            is_corrupt: true,
        });
    }
    Ok(entry)
}

//! Buckets and objects: the sorted index in memory, synchronized with the [data folder](crate::data_folder).
//!
//! Every change decides and acts under one lock, so that of several conditional writers exactly one wins. Errors are S3's own, which
//! makes this the place that maps a failed file access; requests, identities and XML are none of its business.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use s3s::crypto::{Checksum as _, Md5};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

use crate::data_folder::{DataFolder, ObjectAttributes};

/// The properties of an object, as in a HEAD.
#[derive(Clone, Debug)]
pub(crate) struct ObjectHead {
    pub(crate) size: u64,
    /// The MD5 of the body in lower case hexadecimal, without quotes.
    pub(crate) etag: String,
    /// In whole seconds, as in the headers of S3.
    pub(crate) modified: SystemTime,
    pub(crate) attributes: ObjectAttributes,
    aside: bool,
}

/// The objects of a bucket by key.
pub(crate) type ObjectIndex = BTreeMap<String, ObjectHead>;

struct BucketState {
    region: String,
    created: SystemTime,
    objects: ObjectIndex,
}

/// All buckets of a data folder.
pub(crate) struct ObjectStore {
    disk: DataFolder,
    buckets: RwLock<BTreeMap<String, BucketState>>,
}

impl ObjectStore {
    /// Opens a data folder and adds `buckets` by name and region. An existing bucket gets the
    /// region given here.
    pub(crate) fn open<'a>(
        data: &Path,
        buckets: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> io::Result<ObjectStore> {
        let disk = DataFolder::open(data)?;
        for (name, region) in buckets {
            disk.create_bucket(name, region)?;
        }
        let mut loaded = BTreeMap::new();
        for (name, region, created) in disk.buckets()? {
            let mut objects = ObjectIndex::new();
            for found in disk.load(&name)? {
                let head =
                    ObjectHead::new(&found.body, found.attributes, found.modified, found.aside);
                objects.insert(found.key, head);
            }
            loaded.insert(
                name,
                BucketState {
                    region,
                    created,
                    objects,
                },
            );
        }
        Ok(ObjectStore {
            disk,
            buckets: RwLock::new(loaded),
        })
    }

    /// Name, region and time of creation of every bucket, by name.
    pub(crate) fn buckets(&self) -> Vec<(String, String, SystemTime)> {
        self.read_buckets()
            .iter()
            .map(|(name, bucket)| (name.clone(), bucket.region.clone(), bucket.created))
            .collect()
    }

    /// The region of a bucket, if there is one of that name.
    pub(crate) fn region(&self, bucket: &str) -> Option<String> {
        self.read_buckets()
            .get(bucket)
            .map(|bucket| bucket.region.clone())
    }

    /// Adds a bucket.
    pub(crate) fn create_bucket(&self, name: &str, region: &str) -> S3Result<()> {
        let mut buckets = self.write_buckets();
        if buckets.contains_key(name) {
            return Err(s3_error!(
                BucketAlreadyOwnedByYou,
                "Your previous request to create the named bucket succeeded and you already own it."
            ));
        }
        self.disk
            .create_bucket(name, region)
            .map_err(S3Error::internal_error)?;
        buckets.insert(
            name.to_owned(),
            BucketState {
                region: region.to_owned(),
                created: whole_seconds(SystemTime::now()),
                objects: ObjectIndex::new(),
            },
        );
        Ok(())
    }

    /// Calls `look` with the objects of a bucket.
    pub(crate) fn list<R>(
        &self,
        bucket: &str,
        look: impl FnOnce(&ObjectIndex) -> R,
    ) -> S3Result<R> {
        self.read_buckets()
            .get(bucket)
            .map(|bucket| look(&bucket.objects))
            .ok_or_else(no_such_bucket)
    }

    /// The head of an object; `None` if it is missing, an error if the bucket is missing.
    pub(crate) fn head(&self, bucket: &str, key: &str) -> S3Result<Option<ObjectHead>> {
        self.list(bucket, |objects| objects.get(key).cloned())
    }

    /// An object and its body.
    pub(crate) fn get(&self, bucket: &str, key: &str) -> S3Result<Option<(ObjectHead, Vec<u8>)>> {
        let read = |objects: &ObjectIndex| {
            let Some(head) = objects.get(key) else {
                return Ok(None);
            };
            let body = self
                .disk
                .read(bucket, key, head.aside)
                .map_err(S3Error::internal_error)?;
            Ok(Some((head.clone(), body)))
        };
        self.list(bucket, read)?
    }

    /// Writes an object if `condition` accepts the current one, and returns the new head.
    pub(crate) fn put(
        &self,
        bucket: &str,
        key: &str,
        body: &[u8],
        attributes: ObjectAttributes,
        modified: SystemTime,
        condition: impl FnOnce(Option<&ObjectHead>) -> S3Result<()>,
    ) -> S3Result<ObjectHead> {
        if key.is_empty() || !s3s::path::check_key(key) {
            return Err(s3_error!(
                KeyTooLongError,
                "Your key is empty or longer than 1024 bytes"
            ));
        }
        let modified = whole_seconds(modified);
        // Written before the lock, which is then held only for renames.
        let draft = self
            .disk
            .draft(body, &attributes, modified)
            .map_err(S3Error::internal_error)?;
        let mut head = ObjectHead::new(body, attributes, modified, false);

        let mut buckets = self.write_buckets();
        let objects = &mut buckets.get_mut(bucket).ok_or_else(no_such_bucket)?.objects;
        let present = objects.get(key);
        condition(present)?;
        head.aside =
            present.map_or_else(|| self.disk.is_folder(bucket, key), |present| present.aside);
        self.make_way(bucket, key, objects)
            .map_err(S3Error::internal_error)?;
        self.disk
            .publish(&draft, bucket, key, head.aside)
            .map_err(S3Error::internal_error)?;
        objects.insert(key.to_owned(), head.clone());
        Ok(head)
    }

    /// Moves objects aside whose paths this key needs as folders.
    fn make_way(&self, bucket: &str, key: &str, objects: &mut ObjectIndex) -> io::Result<()> {
        for (at, _) in key.match_indices('/') {
            if let Some(head) = objects.get_mut(&key[..at]).filter(|head| !head.aside) {
                self.disk.set_aside(bucket, &key[..at])?;
                head.aside = true;
            }
        }
        Ok(())
    }

    /// Removes an object if `condition` accepts it. As in S3, a missing object is not an error.
    pub(crate) fn delete(
        &self,
        bucket: &str,
        key: &str,
        condition: impl FnOnce(Option<&ObjectHead>) -> S3Result<()>,
    ) -> S3Result<()> {
        let mut buckets = self.write_buckets();
        let objects = &mut buckets.get_mut(bucket).ok_or_else(no_such_bucket)?.objects;
        let present = objects.get(key);
        condition(present)?;
        if let Some(head) = present {
            self.disk
                .remove(bucket, key, head.aside)
                .map_err(S3Error::internal_error)?;
            objects.remove(key);
        }
        Ok(())
    }

    // The index changes after the files and in one step, so it is valid after a panic elsewhere.
    fn read_buckets(&self) -> RwLockReadGuard<'_, BTreeMap<String, BucketState>> {
        self.buckets.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_buckets(&self) -> RwLockWriteGuard<'_, BTreeMap<String, BucketState>> {
        self.buckets.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ObjectHead {
    fn new(
        body: &[u8],
        attributes: ObjectAttributes,
        modified: SystemTime,
        aside: bool,
    ) -> ObjectHead {
        let etag = Md5::checksum(body)
            .iter()
            .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        ObjectHead {
            size: body.len() as u64,
            etag,
            modified,
            attributes,
            aside,
        }
    }
}

/// The error for a missing bucket.
pub(crate) fn no_such_bucket() -> S3Error {
    S3Error::with_message(
        S3ErrorCode::NoSuchBucket,
        "The specified bucket does not exist",
    )
}

fn whole_seconds(time: SystemTime) -> SystemTime {
    time.duration_since(UNIX_EPOCH).map_or(UNIX_EPOCH, |since| {
        UNIX_EPOCH + Duration::from_secs(since.as_secs())
    })
}

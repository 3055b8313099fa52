//! The data folder: bodies as plain files a person can look at, what belongs to them in a hidden tree of the same shape.
//!
//! `<data>/<bucket>/<path of the key>` is the body, its modification time the object's; `<data>/.meta/<bucket>/<same path>` holds the
//! [`ObjectAttributes`] as JSON and decides which objects exist; `<data>/.meta/.buckets/<bucket>` holds a bucket's region. Files are written
//! beside these trees and renamed into place. This module knows nothing of conditions, indexes or HTTP.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::key_paths;

/// The properties of an object except body and time, under the names of their headers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct ObjectAttributes {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cache_control: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_disposition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server_side_encryption: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kms_key_id: Option<String>,
    /// By algorithm in lower case, as Base64; only those that the client sent.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) checksums: BTreeMap<String, String>,
    pub(crate) metadata: BTreeMap<String, String>,
}

/// An object read from the folder.
pub(crate) struct StoredFile {
    pub(crate) key: String,
    pub(crate) aside: bool,
    pub(crate) attributes: ObjectAttributes,
    pub(crate) body: Vec<u8>,
    pub(crate) modified: SystemTime,
}

/// Body and attributes in temporary files, which are removed on drop.
pub(crate) struct DraftFiles {
    body: PathBuf,
    meta: PathBuf,
}

impl Drop for DraftFiles {
    fn drop(&mut self) {
        // After a successful rename there is nothing left to remove.
        let _ = fs::remove_file(&self.body);
        let _ = fs::remove_file(&self.meta);
    }
}

/// The data folder, locked against a second server.
pub(crate) struct DataFolder {
    data: PathBuf,
    drafts: AtomicU64,
    _lock: File,
}

impl DataFolder {
    /// Creates missing folders, and locks the data folder.
    pub(crate) fn open(data: &Path) -> io::Result<DataFolder> {
        let drafts = data.join(".tmp");
        fs::create_dir_all(data.join(".meta/.buckets"))?;
        fs::create_dir_all(&drafts)?;
        let lock = File::create(data.join(".lock"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::new(
                ErrorKind::ResourceBusy,
                "another embedded-aws serves this folder",
            ),
            TryLockError::Error(error) => error,
        })?;
        for leftover in fs::read_dir(drafts)? {
            fs::remove_file(leftover?.path())?;
        }
        Ok(DataFolder {
            data: data.to_owned(),
            drafts: AtomicU64::new(0),
            _lock: lock,
        })
    }

    /// Every bucket with its region.
    pub(crate) fn buckets(&self) -> io::Result<Vec<(String, String, SystemTime)>> {
        let mut buckets = Vec::new();
        for entry in fs::read_dir(self.data.join(".meta/.buckets"))? {
            let entry = entry?;
            let region = fs::read_to_string(entry.path())?;
            let name = entry.file_name().to_string_lossy().into_owned();
            buckets.push((
                name,
                region.trim_end().to_owned(),
                entry.metadata()?.modified()?,
            ));
        }
        Ok(buckets)
    }

    /// Adds a bucket, or gives an existing one another region.
    pub(crate) fn create_bucket(&self, name: &str, region: &str) -> io::Result<()> {
        fs::create_dir_all(self.data.join(name))?;
        fs::create_dir_all(self.data.join(".meta").join(name))?;
        let record = self.data.join(".meta/.buckets").join(name);
        if fs::read_to_string(&record).is_ok_and(|text| text.trim_end() == region) {
            return Ok(());
        }
        fs::write(record, format!("{region}\n"))
    }

    /// Every object of a bucket, in no particular order.
    pub(crate) fn load(&self, bucket: &str) -> io::Result<Vec<StoredFile>> {
        let root = self.data.join(".meta").join(bucket);
        let mut found = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    folders.push(entry.path());
                } else {
                    found.extend(self.load_one(bucket, &root, &entry.path())?);
                }
            }
        }
        Ok(found)
    }

    fn load_one(&self, bucket: &str, root: &Path, meta: &Path) -> io::Result<Option<StoredFile>> {
        let refused = |cause: String| {
            io::Error::new(
                ErrorKind::InvalidData,
                format!("cannot read `{}`: {cause}", meta.display()),
            )
        };
        let relative = meta
            .strip_prefix(root)
            .map_err(|error| refused(error.to_string()))?;
        let (key, aside) = key_paths::key_of_path(relative)
            .ok_or_else(|| refused("not a name of an object".to_owned()))?;
        let attributes =
            serde_json::from_slice(&fs::read(meta)?).map_err(|error| refused(error.to_string()))?;
        let body = self.data.join(bucket).join(relative);
        let modified = match fs::metadata(&body) {
            Ok(metadata) => metadata.modified()?,
            // The file was removed by hand, so the object no longer exists.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(StoredFile {
            key,
            aside,
            attributes,
            body: fs::read(body)?,
            modified,
        }))
    }

    /// Writes a new object to temporary files.
    pub(crate) fn draft(
        &self,
        body: &[u8],
        attributes: &ObjectAttributes,
        modified: SystemTime,
    ) -> io::Result<DraftFiles> {
        let number = self.drafts.fetch_add(1, Ordering::Relaxed);
        let folder = self.data.join(".tmp");
        let draft = DraftFiles {
            body: folder.join(format!("{number}.body")),
            meta: folder.join(format!("{number}.meta")),
        };
        fs::write(&draft.body, body)?;
        File::options()
            .write(true)
            .open(&draft.body)?
            .set_modified(modified)?;
        fs::write(&draft.meta, serde_json::to_vec_pretty(attributes)?)?;
        Ok(draft)
    }

    /// Moves a draft into place, and replaces an existing object.
    pub(crate) fn publish(
        &self,
        draft: &DraftFiles,
        bucket: &str,
        key: &str,
        aside: bool,
    ) -> io::Result<()> {
        let [body, meta] = self.body_and_meta_paths(bucket, key, aside);
        for (from, to) in [(&draft.body, &body), (&draft.meta, &meta)] {
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::rename(from, to)?;
        }
        Ok(())
    }

    /// Whether the path of the object is a folder, because of longer keys.
    pub(crate) fn is_folder(&self, bucket: &str, key: &str) -> bool {
        self.body_and_meta_paths(bucket, key, false)
            .iter()
            .any(|place| place.is_dir())
    }

    /// Moves the object aside, so that its path can become a folder.
    pub(crate) fn set_aside(&self, bucket: &str, key: &str) -> io::Result<()> {
        let from = self.body_and_meta_paths(bucket, key, false);
        let to = self.body_and_meta_paths(bucket, key, true);
        from.iter()
            .zip(to)
            .try_for_each(|(from, to)| fs::rename(from, to))
    }

    /// The body of an object that exists.
    pub(crate) fn read(&self, bucket: &str, key: &str, aside: bool) -> io::Result<Vec<u8>> {
        let [body, _] = self.body_and_meta_paths(bucket, key, aside);
        fs::read(body)
    }

    /// Removes an object, and folders that become empty, because S3 has no folders.
    pub(crate) fn remove(&self, bucket: &str, key: &str, aside: bool) -> io::Result<()> {
        let roots = [self.data.join(bucket), self.data.join(".meta").join(bucket)];
        // The attributes are removed first: without them the object does not exist.
        for (root, place) in roots
            .iter()
            .zip(self.body_and_meta_paths(bucket, key, aside))
            .rev()
        {
            match fs::remove_file(&place) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            for folder in place
                .ancestors()
                .skip(1)
                .take_while(|folder| *folder != root)
            {
                if fs::remove_dir(folder).is_err() {
                    break;
                }
            }
        }
        Ok(())
    }

    fn body_and_meta_paths(&self, bucket: &str, key: &str, aside: bool) -> [PathBuf; 2] {
        let relative = key_paths::path_of_key(key, aside);
        [
            self.data.join(bucket).join(&relative),
            self.data.join(".meta").join(bucket).join(relative),
        ]
    }
}

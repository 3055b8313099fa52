//! One version of a config: what its key, its metadata and its content say.

use chrono::{DateTime, Utc};

use crate::digest::{ContentDigests, ContentHasher};
use crate::error::Error;
use crate::keys::ConfigKey;
use crate::keys::metadata::{
    BACKUP_ID_FIELD, DEPLOYMENT_ID_FIELD, MD5_FIELD, SHA256_FIELD, parse_captured_at,
};
use crate::s3::listing::{ObjectMeta, versioned_key};
use crate::s3::retry::retry_with_backoff;
use crate::s3::store::{ObjectHead, ObjectStore, unexpected_s3_response};

/// The largest config that is fetched. The legacy module had no limit.
const MAX_STORED_CONFIG_BYTES: u64 = 64 << 20;

/// How often an object is read that is overwritten again and again.
const MAX_CONSISTENT_READS: usize = 5;

/// An object that holds a config: `config.yaml`, a copy of it, or a noncurrent version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigVersion {
    pub key: String,
    /// `None` for the object that is there now.
    pub version_id: Option<String>,
    /// `None` for `config.yaml`.
    pub copy_name: Option<CopyName>,
    pub last_modified: DateTime<Utc>,
    /// By the listing, until a later request says otherwise.
    pub size: u64,
    /// `None` until it is fetched.
    pub metadata: Option<ConfigMetadata>,
    /// `None` until it is fetched.
    pub content: Option<ConfigContent>,
    /// Why it cannot be read.
    pub read_error: Option<String>,
}

/// What the key of a copy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyName {
    pub captured_at: DateTime<Utc>,
    pub md5: String,
}

/// What the object's metadata says. The legacy module wrote none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigMetadata {
    pub md5: Option<String>,
    pub sha256: Option<String>,
    pub captured_at: Option<DateTime<Utc>>,
    pub deployment_id: Option<String>,
    pub backup_id: Option<String>,
    pub size: u64,
}

/// What was measured on the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigContent {
    pub digests: ContentDigests,
    pub size: u64,
}

impl ConfigMetadata {
    fn from_head(head: &ObjectHead) -> Self {
        Self {
            md5: head.metadata.get(MD5_FIELD).cloned(),
            sha256: head.metadata.get(SHA256_FIELD).cloned(),
            captured_at: parse_captured_at(head),
            deployment_id: head.metadata.get(DEPLOYMENT_ID_FIELD).cloned(),
            backup_id: head.metadata.get(BACKUP_ID_FIELD).cloned(),
            size: head.size,
        }
    }
}

impl ConfigMetadata {
    /// Whether the stated digest is that of the content.
    fn describes(&self, content: &ConfigContent) -> bool {
        self.sha256.as_ref() == Some(&content.digests.sha256) && self.size == content.size
    }
}

impl ConfigContent {
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let mut hasher = ContentHasher::default();
        hasher.update(bytes);
        Self::from_hasher(hasher)
    }

    fn from_hasher(hasher: ContentHasher) -> Self {
        let (digests, size) = hasher.finish();
        Self { digests, size }
    }
}

impl ConfigVersion {
    /// What a listing says of `config.yaml` or of a copy; `None` for a seal.
    pub(crate) fn from_listed(object: &ObjectMeta, key: &ConfigKey<'_>) -> Option<Self> {
        let copy_name = match key {
            ConfigKey::Current => None,
            ConfigKey::Version(version) => Some(CopyName {
                captured_at: version.captured_at,
                md5: version.md5.to_owned(),
            }),
            ConfigKey::Seal { .. } => return None,
        };
        Some(Self {
            key: object.key.clone(),
            copy_name,
            last_modified: object.last_modified,
            size: object.size,
            ..Self::default()
        })
    }

    /// The key, with the version id if there is one.
    #[must_use]
    pub fn versioned_key(&self) -> String {
        versioned_key(&self.key, self.version_id.as_deref())
    }

    /// When the bytes were read for a deployment; for a config without metadata, when it was
    /// uploaded.
    #[must_use]
    pub fn captured_at(&self) -> DateTime<Utc> {
        let stated = self.metadata.as_ref().and_then(|it| it.captured_at);
        match (stated, &self.copy_name) {
            (Some(captured_at), _) => captured_at,
            (None, Some(name)) => name.captured_at,
            (None, None) => self.last_modified,
        }
    }

    /// The MD5 of the bytes: by the copy's key, else by the content, else by the metadata.
    #[must_use]
    pub fn md5(&self) -> Option<&str> {
        if let Some(name) = &self.copy_name {
            return Some(&name.md5);
        }
        if let Some(content) = &self.content {
            return Some(&content.digests.md5);
        }
        self.metadata.as_ref()?.md5.as_deref()
    }

    /// The deployment that uploaded the object, as far as its metadata is known and says so.
    #[must_use]
    pub fn deployment_id(&self) -> Option<&str> {
        self.metadata.as_ref()?.deployment_id.as_deref()
    }

    /// `None` if the object is gone.
    pub async fn fetch_metadata(
        &self,
        store: &ObjectStore,
    ) -> Result<Option<ConfigMetadata>, Error> {
        let version_id = self.version_id.as_deref();
        let head = retry_with_backoff(|| async {
            let head = store.head_object_version(&self.key, version_id).await?;
            match head {
                // A captive portal answers 200 to every request, but without an ETag.
                Some(head) if head.etag.is_empty() => {
                    let uri = store.object_uri(&self.versioned_key());
                    let action = format!("read the metadata of `{uri}`");
                    Err(unexpected_s3_response(&action))
                }
                head => Ok(head),
            }
        })
        .await?;
        Ok(head.map(|head| ConfigMetadata::from_head(&head)))
    }

    /// The bytes, which are not more than the listing or the metadata says. `None` if the object is
    /// gone.
    pub async fn fetch_listed_bytes(&self, store: &ObjectStore) -> Result<Option<Vec<u8>>, Error> {
        let version_id = self.version_id.as_deref();
        let max_bytes = self.size.min(MAX_STORED_CONFIG_BYTES);
        retry_with_backoff(|| store.get_object_version(&self.key, version_id, max_bytes)).await
    }

    /// The digests of the bytes, which are never in memory as a whole. `None` if the object is gone.
    pub(crate) async fn fetch_content(
        &self,
        store: &ObjectStore,
    ) -> Result<Option<ConfigContent>, Error> {
        let version_id = self.version_id.as_deref();
        retry_with_backoff(|| async {
            let mut hasher = ContentHasher::default();
            let add = |part: &[u8]| hasher.update(part);
            let limit = MAX_STORED_CONFIG_BYTES;
            let is_there = store
                .visit_object(&self.key, version_id, limit, add)
                .await?;
            Ok(is_there.then(|| ConfigContent::from_hasher(hasher)))
        })
        .await
    }

    /// Fetches the metadata. `false` if the object is gone.
    pub async fn load_metadata(&mut self, store: &ObjectStore) -> Result<bool, Error> {
        let Some(metadata) = self.fetch_metadata(store).await? else {
            return Ok(false);
        };
        self.size = metadata.size;
        self.metadata = Some(metadata);
        Ok(true)
    }

    /// Fetches the metadata, and the bytes if the MD5 is unknown without them. `false` if the
    /// object is gone.
    pub async fn load_md5(&mut self, store: &ObjectStore) -> Result<bool, Error> {
        if !self.load_metadata(store).await? {
            return Ok(false);
        }
        if self.md5().is_some() || self.size > MAX_STORED_CONFIG_BYTES {
            return Ok(true);
        }
        self.content = self.fetch_content(store).await?;
        Ok(true)
    }

    /// Fetches metadata and the digests of the bytes at the same time. `false` if the object is
    /// gone.
    ///
    /// Reads again if the object was overwritten between both requests, because the metadata of one
    /// version does not belong to the bytes of another one.
    pub async fn load_content(&mut self, store: &ObjectStore) -> Result<bool, Error> {
        for _ in 0..MAX_CONSISTENT_READS {
            let (metadata, content) =
                futures_util::join!(self.fetch_metadata(store), self.fetch_content(store));
            let (Some(metadata), Some(content)) = (metadata?, content?) else {
                return Ok(false);
            };
            let is_same_version = metadata.describes(&content)
                || self.fetch_metadata(store).await?.as_ref() == Some(&metadata);
            self.size = metadata.size;
            self.metadata = Some(metadata);
            self.content = Some(content);
            if is_same_version {
                break;
            }
        }
        Ok(true)
    }
}

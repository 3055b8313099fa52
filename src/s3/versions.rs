//! Noncurrent versions of objects, which a versioned bucket keeps.
//!
//! Only this file needs `s3:ListBucketVersions`. Without that permission its callers see the
//! current objects only.

use aws_sdk_s3::types::EncodingType;

use crate::error::{Error, ErrorKind};
use crate::s3::listing::{
    NoncurrentVersion, NoncurrentVersionPage, VersionMarker, parse_version_page,
};
use crate::s3::retry::retry_with_backoff;
use crate::s3::store::ObjectStore;

/// Whether versions can be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum VersionListing {
    /// They were listed. A bucket without versioning has none.
    Listed,
    /// The permission is missing.
    Denied,
    /// The server does not know versions.
    Unsupported,
}

/// Calls `visit` with each noncurrent version below `prefix`, in the order of the keys, and of
/// each key with the newest first.
///
/// # Errors
/// A request failed for a reason that concerns all requests: the network, or credentials.
pub async fn for_each_noncurrent_version(
    store: &ObjectStore,
    prefix: &str,
    mut visit: impl FnMut(NoncurrentVersion),
) -> Result<VersionListing, Error> {
    let mut marker = None;
    loop {
        let request = || list_version_page(store, prefix, marker.as_ref());
        let page = match retry_with_backoff(request).await {
            Ok(page) => page,
            Err(error) if error.kind == ErrorKind::Denied => return Ok(VersionListing::Denied),
            Err(error) if is_unsupported_error(&error) => return Ok(VersionListing::Unsupported),
            Err(error) => return Err(error),
        };
        for version in page.versions {
            visit(version);
        }

        match page.next_marker {
            // A server that repeats the marker would be asked for the same page forever.
            Some(next) if marker.as_ref() != Some(&next) => marker = Some(next),
            _ => return Ok(VersionListing::Listed),
        }
    }
}

/// Whether a server says that it does not know versions, as many S3-compatible servers do.
fn is_unsupported_error(error: &Error) -> bool {
    let is_not_implemented = error.status == Some(501) || !error.is_retryable();
    error.kind == ErrorKind::Service && is_not_implemented
}

/// The first page of all versions, or the one behind `marker`.
async fn list_version_page(
    store: &ObjectStore,
    prefix: &str,
    marker: Option<&VersionMarker>,
) -> Result<NoncurrentVersionPage, Error> {
    let mut key = None;
    let mut version_id = None;
    if let Some(marker) = marker {
        key = Some(marker.key.clone());
        version_id = Some(marker.version_id.clone()).filter(|id| !id.is_empty());
    }

    let action = format!("list the versions below `{}`", store.object_uri(prefix));
    let answer = store.send_request(&action, "s3:ListBucketVersions", |s3| {
        s3.list_object_versions()
            .bucket(&store.target.bucket)
            .prefix(prefix)
            .set_expected_bucket_owner(store.expected_owner())
            .encoding_type(EncodingType::Url)
            .set_key_marker(key.clone())
            .set_version_id_marker(version_id.clone())
            .send()
    });
    let answer = answer.await?;
    Ok(parse_version_page(answer))
}

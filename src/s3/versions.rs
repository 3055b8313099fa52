//! What a versioned bucket keeps of objects that were overwritten: all of it below a prefix, where it may be had.
//!
//! Needs s3:ListBucketVersions, which nothing else does: who may not is told so, and no more. Must not know what keys mean.

use aws_sdk_s3::types::EncodingType;

use crate::error::{Error, ErrorKind};
use crate::s3::bulk_get::retry_with_backoff;
use crate::s3::listing::{NoncurrentVersion, NoncurrentVersionPage, parse_version_page};
use crate::s3::store::ObjectStore;

/// What it takes to read a version.
pub const GET_VERSION_PERMISSION: &str = "s3:GetObjectVersion";

/// Whether versions can be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum VersionListing {
    /// They were; a bucket that keeps none has none.
    Listed,
    /// The permission is missing.
    Denied,
    /// The server knows none.
    Unsupported,
}

/// Hands over each overwritten version below `prefix`, in the order of the keys, of each key the newest first.
///
/// # Errors
/// A request that failed for a reason that concerns all requests: the network, or credentials.
pub async fn for_each_noncurrent_version(
    store: &ObjectStore,
    prefix: &str,
    mut take: impl FnMut(NoncurrentVersion),
) -> Result<VersionListing, Error> {
    let mut from = None;
    loop {
        let page = match retry_with_backoff(|| list_version_page(store, prefix, from.as_ref()))
            .await
        {
            Ok(page) => page,
            Err(fault) if fault.kind == ErrorKind::Denied => return Ok(VersionListing::Denied),
            Err(fault) if is_unsupported_error(&fault) => return Ok(VersionListing::Unsupported),
            Err(fault) => return Err(fault),
        };
        page.versions.into_iter().for_each(&mut take);
        // A server that names no other place would be asked for ever.
        match page.next_marker {
            Some(next) if from.as_ref() != Some(&next) => from = Some(next),
            _ => return Ok(VersionListing::Listed),
        }
    }
}

/// Whether a server answered that it does not do this, as many do that speak S3.
fn is_unsupported_error(fault: &Error) -> bool {
    fault.kind == ErrorKind::Service && (fault.status == Some(501) || !fault.is_retryable())
}

/// One page of a listing of all versions: the first, or the one behind `from`, a key and a version id.
async fn list_version_page(
    store: &ObjectStore,
    prefix: &str,
    from: Option<&(String, String)>,
) -> Result<NoncurrentVersionPage, Error> {
    let what = format!("list the versions below `{}`", store.object_uri(prefix));
    let answer = store.send_request(&what, "s3:ListBucketVersions", |s3| {
        s3.list_object_versions()
            .bucket(&store.target.bucket)
            .prefix(prefix)
            .set_expected_bucket_owner(store.expected_owner())
            .encoding_type(EncodingType::Url)
            .set_key_marker(from.map(|(key, _)| key.clone()))
            .set_version_id_marker(
                from.map(|(_, version)| version.clone())
                    .filter(|version| !version.is_empty()),
            )
            .send()
    });
    answer.await.map(parse_version_page)
}

//! What a versioned bucket keeps of objects that were overwritten: all of it below a prefix, where it may be had.
//!
//! Needs s3:ListBucketVersions, which nothing else does: who may not is told so, and no more. Must not know what keys mean.

use aws_sdk_s3::types::EncodingType;

use crate::aws::Store;
use crate::fault::{Fault, Kind};
use crate::fetch::patiently;
use crate::listing::{Overwritten, VersionsPage, versions_page};

/// What it takes to read a version.
pub const TO_GET_VERSIONS: &str = "s3:GetObjectVersion";

/// Whether versions can be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
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
pub async fn each(store: &Store, prefix: &str, mut take: impl FnMut(Overwritten)) -> Result<Access, Fault> {
    let mut from = None;
    loop {
        let page = match patiently(|| list(store, prefix, from.as_ref())).await {
            Ok(page) => page,
            Err(fault) if fault.kind == Kind::Denied => return Ok(Access::Denied),
            Err(fault) if is_refusal(&fault) => return Ok(Access::Unsupported),
            Err(fault) => return Err(fault),
        };
        page.overwritten.into_iter().for_each(&mut take);
        // A server that names no other place would be asked for ever.
        match page.next {
            Some(next) if from.as_ref() != Some(&next) => from = Some(next),
            _ => return Ok(Access::Listed),
        }
    }
}

/// Whether a server answered that it does not do this, as many do that speak S3.
fn is_refusal(fault: &Fault) -> bool {
    fault.kind == Kind::Service && (fault.status == Some(501) || !fault.may_pass())
}

/// One page of a listing of all versions: the first, or the one behind `from`, a key and a version id.
async fn list(store: &Store, prefix: &str, from: Option<&(String, String)>) -> Result<VersionsPage, Fault> {
    let what = format!("list the versions below `{}`", store.uri(prefix));
    let answer = store.send(&what, "s3:ListBucketVersions", |s3| {
        s3.list_object_versions()
            .bucket(&store.target.bucket)
            .prefix(prefix)
            .set_expected_bucket_owner(store.owner())
            .encoding_type(EncodingType::Url)
            .set_key_marker(from.map(|(key, _)| key.clone()))
            .set_version_id_marker(from.map(|(_, version)| version.clone()).filter(|version| !version.is_empty()))
            .send()
    });
    answer.await.map(versions_page)
}

//! Noncurrent versions of objects, which a versioned bucket keeps.
//!
//! Only this file needs `s3:ListBucketVersions`. Without that permission its callers see the
//! current objects only.

use std::collections::HashSet;

use aws_sdk_s3::types::EncodingType;

use crate::error::{CHECK_SERVER_HINT, Error, ErrorKind};
use crate::s3::list_answer::{EntryCounter, ListAnswerError};
use crate::s3::list_cursor::MAX_EMPTY_PAGES;
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
    let mut cursor = VersionCursor::default();
    loop {
        let marker = cursor.marker.clone();
        let request = || list_version_page(store, prefix, marker.as_ref());
        let page = match retry_with_backoff(request).await {
            Ok(page) => page,
            // Only of the first page: after it, what is missing would go unnoticed.
            Err(error) if marker.is_none() && error.kind == ErrorKind::Denied => {
                return Ok(VersionListing::Denied);
            }
            Err(error) if marker.is_none() && is_unsupported_error(&error) => {
                return Ok(VersionListing::Unsupported);
            }
            Err(error) => return Err(error),
        };
        if let Err(cause) = cursor.advance(&page) {
            return Err(store.listing_error(prefix, &cause));
        }
        for version in page.versions {
            visit(version);
        }
        if cursor.marker.is_none() {
            return Ok(VersionListing::Listed);
        }
    }
}

/// How far a listing of versions has come.
#[derive(Debug, Default)]
struct VersionCursor {
    /// Requests the next page; `None` for the first one, and after the last one.
    marker: Option<VersionMarker>,
    /// The versions so far with the key of the marker.
    of_last_key: HashSet<VersionMarker>,
    empty_pages: usize,
}

impl VersionCursor {
    /// Moves behind a page. The versions of one key can take several pages.
    ///
    /// # Errors
    /// The page does not continue the listing, or no page ever ends it.
    fn advance(&mut self, page: &NoncurrentVersionPage) -> Result<(), ListAnswerError> {
        if let Some(last) = &self.marker {
            for entry in &page.entries {
                if entry.key < last.key || self.of_last_key.contains(entry) {
                    return Err(ListAnswerError::NotAdvancing(entry.key.clone()));
                }
            }
            match &page.next_marker {
                Some(next) if next == last => return Err(ListAnswerError::RepeatedToken),
                Some(next) if next.key < last.key => {
                    return Err(ListAnswerError::NotAdvancing(next.key.clone()));
                }
                _ => {}
            }
        }
        if page.entries.is_empty() && page.delete_marker_count == 0 {
            self.empty_pages += 1;
        } else {
            self.empty_pages = 0;
        }
        if self.empty_pages >= MAX_EMPTY_PAGES && page.next_marker.is_some() {
            return Err(ListAnswerError::EmptyPages(self.empty_pages));
        }

        self.marker.clone_from(&page.next_marker);
        let Some(next) = &self.marker else {
            return Ok(());
        };
        let entries = page.entries.iter().cloned();
        self.of_last_key.extend(entries);
        self.of_last_key.retain(|entry| entry.key == next.key);
        Ok(())
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

    let counter = EntryCounter::default();
    let action = format!("list the versions below `{}`", store.object_uri(prefix));
    let answer = store.send_request(&action, "s3:ListBucketVersions", |s3| {
        s3.list_object_versions()
            .bucket(&store.target.bucket)
            .prefix(prefix)
            .set_expected_bucket_owner(store.expected_owner())
            .encoding_type(EncodingType::Url)
            .set_key_marker(key.clone())
            .set_version_id_marker(version_id.clone())
            .customize()
            .interceptor(counter.clone())
            .send()
    });
    let answer = answer.await?;
    let counts = counter.counts();
    let page = counts.and_then(|counts| parse_version_page(answer, counts, prefix));
    page.map_err(|cause| {
        let message = format!("cannot {action}: {cause}");
        Error::new(ErrorKind::Network, message, CHECK_SERVER_HINT)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, version_id: &str) -> VersionMarker {
        VersionMarker {
            key: key.to_owned(),
            version_id: version_id.to_owned(),
        }
    }

    fn page(entries: &[(&str, &str)], next: Option<(&str, &str)>) -> NoncurrentVersionPage {
        NoncurrentVersionPage {
            versions: Vec::new(),
            entries: entries.iter().map(|(key, id)| entry(key, id)).collect(),
            delete_marker_count: 0,
            next_marker: next.map(|(key, id)| entry(key, id)),
        }
    }

    #[test]
    fn the_versions_of_a_key_can_take_several_pages_but_each_comes_once() {
        let mut cursor = VersionCursor::default();
        let first = page(&[("a", "1"), ("b", "3"), ("b", "2")], Some(("b", "2")));
        assert_eq!(cursor.advance(&first), Ok(()));
        let second = page(&[("b", "1"), ("c", "1")], Some(("c", "1")));
        assert_eq!(cursor.advance(&second), Ok(()));

        let not_advancing = |key: &str| Err(ListAnswerError::NotAdvancing(key.to_owned()));
        for (broken, error) in [
            (page(&[("b", "0")], None), not_advancing("b")),
            (page(&[("c", "1")], None), not_advancing("c")),
            (page(&[("d", "1")], Some(("b", "9"))), not_advancing("b")),
            (
                page(&[("d", "1")], Some(("c", "1"))),
                Err(ListAnswerError::RepeatedToken),
            ),
        ] {
            let mut copy = VersionCursor {
                marker: cursor.marker.clone(),
                of_last_key: cursor.of_last_key.clone(),
                empty_pages: 0,
            };
            assert_eq!(copy.advance(&broken), error);
        }
        assert_eq!(cursor.advance(&page(&[("c", "0")], None)), Ok(()));
        assert_eq!(cursor.marker, None);
    }

    #[test]
    fn empty_pages_without_end_are_an_error() {
        let mut cursor = VersionCursor::default();
        for number in 1..MAX_EMPTY_PAGES {
            let key = format!("{number:09}");
            assert_eq!(cursor.advance(&page(&[], Some((&key, "")))), Ok(()));
        }
        let error = cursor.advance(&page(&[], Some(("z", ""))));
        assert_eq!(error, Err(ListAnswerError::EmptyPages(MAX_EMPTY_PAGES)));
    }
}

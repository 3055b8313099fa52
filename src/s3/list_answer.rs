//! Whether the answer to a listing is complete.
//!
//! The SDK's parser of XML ends without an error where a text breaks off, and returns what came
//! before. So the elements are counted here, and compared with what the SDK returns. What is
//! optional (`KeyCount`, `IsTruncated` on the last page) may be absent. Must not send requests.

use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

use crate::s3::error::shorten_sentence;

/// What is wrong with a listing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ListAnswerError {
    #[error("its answer breaks off or is damaged")]
    Damaged,
    #[error("its answer has {listed} entries, of which {read} can be read")]
    Unreadable { listed: usize, read: usize },
    #[error("its answer states {stated} keys and has {listed}")]
    KeyCount { stated: i64, listed: usize },
    #[error("its answer is for the prefix `{}`", shorten_sentence(.0))]
    OtherPrefix(String),
    #[error("its answer has an entry without a key or version")]
    NoKey,
    #[error("its answer has `{}`, which is not below the prefix", shorten_sentence(.0))]
    ForeignKey(String),
    #[error("its answer has `{}` twice", shorten_sentence(.0))]
    RepeatedKey(String),
    #[error("its answer is not the last one, and does not say how to ask for the next one")]
    NoToken,
    #[error("the server names a page that was read before as the next one")]
    RepeatedToken,
    #[error("a page begins with `{}`, which does not come after the page before", shorten_sentence(.0))]
    NotAdvancing(String),
    #[error("{0} pages in a row are empty, and none is the last one")]
    EmptyPages(usize),
}

/// How many entries the XML of a listing has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct EntryCounts {
    pub(crate) objects: usize,
    pub(crate) folders: usize,
    pub(crate) versions: usize,
    pub(crate) delete_markers: usize,
}

/// Counts the entries of each answer that the SDK has parsed.
#[derive(Debug, Clone, Default)]
pub(crate) struct EntryCounter(Arc<Mutex<Option<EntryCounts>>>);

impl EntryCounter {
    /// The counts of the last answer.
    ///
    /// # Errors
    /// The answer is not complete.
    pub(crate) fn counts(&self) -> Result<EntryCounts, ListAnswerError> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.ok_or(ListAnswerError::Damaged)
    }
}

impl Intercept for EntryCounter {
    fn name(&self) -> &'static str {
        "the entries of a listing"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let counts = context.response().body().bytes().and_then(count_entries);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = counts;
        Ok(())
    }
}

/// Counts the elements below the root. `None` unless every element is closed.
fn count_entries(xml: &[u8]) -> Option<EntryCounts> {
    let mut counts = EntryCounts::default();
    let mut open_elements: Vec<&[u8]> = Vec::new();
    let mut has_root = false;
    let mut rest = xml;
    while let Some(start) = rest.iter().position(|byte| *byte == b'<') {
        rest = &rest[start..];
        if let Some(after) = skip_non_element(rest) {
            rest = after?;
            continue;
        }
        let end = rest.iter().position(|byte| *byte == b'>')?;
        let tag = &rest[1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix(b"/") {
            if open_elements.pop()? != name.trim_ascii_end() {
                return None;
            }
            continue;
        }

        let name_end = |byte: &u8| byte.is_ascii_whitespace() || *byte == b'/';
        let name = tag.split(name_end).next().unwrap_or_default();
        match open_elements.len() {
            0 if has_root => return None,
            0 => has_root = true,
            1 => counts.add_entry(name),
            _ => {}
        }
        if !tag.ends_with(b"/") {
            open_elements.push(name);
        }
    }
    (has_root && open_elements.is_empty()).then_some(counts)
}

/// What follows a declaration, a comment or quoted text; `Some(None)` if that does not end, and
/// `None` for an element.
#[allow(clippy::option_option)] // three cases, each used once
fn skip_non_element(text: &[u8]) -> Option<Option<&[u8]>> {
    const DELIMITERS: [(&[u8], &[u8]); 3] =
        [(b"<?", b"?>"), (b"<!--", b"-->"), (b"<![CDATA[", b"]]>")];
    for (start, end) in DELIMITERS {
        if let Some(content) = text.strip_prefix(start) {
            let position = content.windows(end.len()).position(|part| part == end);
            return Some(position.map(|position| &content[position + end.len()..]));
        }
    }
    None
}

impl EntryCounts {
    fn add_entry(&mut self, name: &[u8]) {
        // A namespace may have a prefix.
        let local_name = name.rsplit(|byte| *byte == b':').next().unwrap_or_default();
        match local_name {
            b"Contents" => self.objects += 1,
            b"CommonPrefixes" => self.folders += 1,
            b"Version" => self.versions += 1,
            b"DeleteMarker" => self.delete_markers += 1,
            _ => {}
        }
    }
}

#[cfg(test)]
pub(super) fn counts(objects: usize, folders: usize, versions: usize) -> EntryCounts {
    EntryCounts {
        objects,
        folders,
        versions,
        delete_markers: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = "<?xml version=\"1.0\"?>\n<!-- <a> -->\n<ListBucketResult xmlns=\"u\">\n \
        <Name>b</Name><Contents><Key>a</Key><Size>1</Size></Contents>\n\
        <Contents><Key><![CDATA[</Key>]]></Key></Contents ><Marker/><Owner a='b' />\n\
        <CommonPrefixes><Prefix>c/</Prefix></CommonPrefixes>\n</ListBucketResult>\n";

    #[test]
    fn a_complete_answer_is_counted_and_a_cut_one_is_not() {
        let all = count_entries(LISTING.as_bytes());
        assert_eq!(all, Some(counts(2, 1, 0)));
        let end = LISTING.trim_end().len();
        for length in 0..end {
            let cut = &LISTING.as_bytes()[..length];
            assert_eq!(count_entries(cut), None, "{length} bytes");
        }
    }

    #[test]
    fn other_forms_of_xml_are_counted_too() {
        for (xml, expected) in [
            ("<ListBucketResult/>", Some(counts(0, 0, 0))),
            (
                "<a:L xmlns:a='u'><a:Contents/><a:Version></a:Version></a:L>",
                Some(counts(1, 0, 1)),
            ),
            ("<L><X><Contents/></X></L>", Some(counts(0, 0, 0))),
            ("", None),
            ("text", None),
            ("<L></L><L></L>", None),
            ("<L><Contents></L></Contents>", None),
            ("<!DOCTYPE html><html></html>", None),
        ] {
            assert_eq!(count_entries(xml.as_bytes()), expected, "{xml}");
        }
    }
}

//! Pages of a listing: of objects, and of noncurrent versions.
//!
//! Pure: it parses S3's answers and must not send requests.

use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::primitives::DateTime as SmithyTime;
use aws_sdk_s3::types::{EncodingType, Object, ObjectVersion};
use chrono::{DateTime, Utc};

use crate::s3::list_answer::{EntryCounts, ListAnswerError};

/// One object of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectMeta {
    pub key: String,
    pub last_modified: DateTime<Utc>,
    pub size: u64,
    /// Identifies this version of the object. It is opaque, not a digest.
    pub etag: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListRequest {
    pub prefix: String,
    /// Lists only keys greater than this.
    pub start_after: String,
    /// Keys with this text behind the prefix are listed as folders, up to and including it.
    /// Empty for no folders.
    pub delimiter: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPage {
    /// In the order of their keys.
    pub objects: Vec<ObjectMeta>,
    /// With their delimiter.
    pub folders: Vec<String>,
    /// Requests the next page; `None` on the last page.
    pub next_token: Option<String>,
}

impl ListPage {
    /// The last key or folder: the page has all up to it.
    #[must_use]
    pub fn last_key(&self) -> Option<&str> {
        let object = self.objects.last().map(|object| object.key.as_str());
        object.max(self.folders.last().map(String::as_str))
    }
}

/// A version of an object that was overwritten or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoncurrentVersion {
    pub object: ObjectMeta,
    pub version_id: String,
}

/// One page of a listing of versions, without the current ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoncurrentVersionPage {
    /// In the order of their keys, and of each key the newest first.
    pub versions: Vec<NoncurrentVersion>,
    /// All that the page lists, also current versions.
    pub(super) entries: Vec<VersionMarker>,
    pub(super) delete_marker_count: usize,
    /// `None` on the last page.
    pub next_marker: Option<VersionMarker>,
}

/// The next page of versions starts behind this version.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VersionMarker {
    pub key: String,
    pub version_id: String,
}

/// A key and the version that is meant, as S3's addresses spell them.
#[must_use]
pub fn versioned_key(key: &str, version: Option<&str>) -> String {
    match version {
        Some(version) => format!("{key}?versionId={version}"),
        None => key.to_owned(),
    }
}

/// Parses the answer to `request`, whose XML has these `counts`.
pub(crate) fn parse_list_page(
    answer: ListObjectsV2Output,
    counts: EntryCounts,
    request: &ListRequest,
) -> Result<ListPage, ListAnswerError> {
    let decoder = KeyDecoder::new(answer.encoding_type.as_ref());
    if let Some(prefix) = &answer.prefix {
        check_stated_prefix(prefix, decoder, &request.prefix)?;
    }
    let contents = answer.contents.unwrap_or_default();
    let common_prefixes = answer.common_prefixes.unwrap_or_default();
    check_count(counts.objects, contents.len())?;
    check_count(counts.folders, common_prefixes.len())?;
    check_key_count(answer.key_count, counts)?;

    let mut objects = Vec::new();
    for object in contents {
        objects.push(parse_object(object, decoder)?);
    }
    let mut folders = Vec::new();
    for folder in common_prefixes {
        let folder = folder.prefix.ok_or(ListAnswerError::NoKey)?;
        folders.push(decoder.decode(folder));
    }
    // Some servers sort by other rules than S3, which sorts by bytes.
    objects.sort_by(|a, b| a.key.cmp(&b.key));
    folders.sort();
    folders.dedup();
    check_keys(objects.iter().map(|object| &object.key), &request.prefix)?;
    check_keys(folders.iter(), &request.prefix)?;

    // A server may not say whether the page is the last one, or name a token on the last one.
    let next_token = answer.next_continuation_token;
    let next_token = next_token.filter(|token| !token.is_empty());
    let next_token = match answer.is_truncated {
        Some(true) if next_token.is_none() => return Err(ListAnswerError::NoToken),
        Some(false) => None,
        _ => next_token,
    };
    Ok(ListPage {
        objects,
        folders,
        next_token,
    })
}

/// Compares what the XML has with what the SDK has read of it.
fn check_count(listed: usize, read: usize) -> Result<(), ListAnswerError> {
    if listed == read {
        Ok(())
    } else {
        Err(ListAnswerError::Unreadable { listed, read })
    }
}

/// `KeyCount` is optional, and some servers do not count folders.
fn check_key_count(stated: Option<i32>, counts: EntryCounts) -> Result<(), ListAnswerError> {
    let Some(stated) = stated else {
        return Ok(());
    };
    let listed = counts.objects + counts.folders;
    let fits = |count: usize| usize::try_from(stated) == Ok(count);
    if fits(listed) || fits(counts.objects) {
        return Ok(());
    }
    let stated = i64::from(stated);
    Err(ListAnswerError::KeyCount { stated, listed })
}

/// An answer to another request, as of a proxy that mixes them up, can be empty.
fn check_stated_prefix(
    stated: &str,
    decoder: KeyDecoder,
    asked: &str,
) -> Result<(), ListAnswerError> {
    let is_same = |prefix: &str| prefix.trim_matches('/') == asked.trim_matches('/');
    // Some servers leave the prefix empty, or encode keys but not the prefix.
    if stated.is_empty() || is_same(stated) || is_same(&decoder.decode(stated.to_owned())) {
        Ok(())
    } else {
        Err(ListAnswerError::OtherPrefix(stated.to_owned()))
    }
}

/// Checks that sorted keys are below the prefix, each once.
fn check_keys<'a>(
    keys: impl Iterator<Item = &'a String>,
    prefix: &str,
) -> Result<(), ListAnswerError> {
    let mut previous: Option<&String> = None;
    for key in keys {
        if !key.starts_with(prefix) {
            return Err(ListAnswerError::ForeignKey(key.clone()));
        }
        if previous == Some(key) {
            return Err(ListAnswerError::RepeatedKey(key.clone()));
        }
        previous = Some(key);
    }
    Ok(())
}

/// Parses the answer to a request for the versions below `prefix`.
pub(crate) fn parse_version_page(
    answer: ListObjectVersionsOutput,
    counts: EntryCounts,
    prefix: &str,
) -> Result<NoncurrentVersionPage, ListAnswerError> {
    let decoder = KeyDecoder::new(answer.encoding_type.as_ref());
    if let Some(stated) = &answer.prefix {
        check_stated_prefix(stated, decoder, prefix)?;
    }
    let listed = answer.versions.unwrap_or_default();
    check_count(counts.versions, listed.len())?;
    let delete_marker_count = answer.delete_markers.unwrap_or_default().len();
    check_count(counts.delete_markers, delete_marker_count)?;

    let mut versions = Vec::new();
    let mut entries = Vec::new();
    for version in listed {
        let is_noncurrent = version.is_latest == Some(false);
        let version = parse_version(version, decoder)?;
        if !version.object.key.starts_with(prefix) {
            return Err(ListAnswerError::ForeignKey(version.object.key));
        }
        entries.push(VersionMarker {
            key: version.object.key.clone(),
            version_id: version.version_id.clone(),
        });
        if !is_noncurrent {
            continue;
        }
        if version.version_id.is_empty() {
            return Err(ListAnswerError::NoKey);
        }
        versions.push(version);
    }

    let next_key = answer.next_key_marker.filter(|key| !key.is_empty());
    let next_marker = match (answer.is_truncated, next_key) {
        (Some(true), None) => return Err(ListAnswerError::NoToken),
        (Some(false), _) | (None, None) => None,
        (_, Some(key)) => Some(VersionMarker {
            key: decoder.decode(key),
            version_id: answer.next_version_id_marker.unwrap_or_default(),
        }),
    };
    Ok(NoncurrentVersionPage {
        versions,
        entries,
        delete_marker_count,
        next_marker,
    })
}

fn parse_object(object: Object, decoder: KeyDecoder) -> Result<ObjectMeta, ListAnswerError> {
    let key = object.key.filter(|key| !key.is_empty());
    Ok(ObjectMeta {
        key: decoder.decode(key.ok_or(ListAnswerError::NoKey)?),
        last_modified: to_utc_time(object.last_modified.as_ref()),
        size: to_size(object.size),
        etag: object.e_tag.unwrap_or_default(),
    })
}

/// The version id is empty if the answer has none.
fn parse_version(
    version: ObjectVersion,
    decoder: KeyDecoder,
) -> Result<NoncurrentVersion, ListAnswerError> {
    let key = version.key.filter(|key| !key.is_empty());
    let object = ObjectMeta {
        key: decoder.decode(key.ok_or(ListAnswerError::NoKey)?),
        last_modified: to_utc_time(version.last_modified.as_ref()),
        size: to_size(version.size),
        etag: version.e_tag.unwrap_or_default(),
    };
    let version_id = version.version_id.unwrap_or_default();
    Ok(NoncurrentVersion { object, version_id })
}

/// Decodes keys if the listing says that it encodes them.
#[derive(Debug, Clone, Copy)]
struct KeyDecoder {
    is_encoded: bool,
}

impl KeyDecoder {
    fn new(encoding: Option<&EncodingType>) -> Self {
        let is_encoded = encoding == Some(&EncodingType::Url);
        Self { is_encoded }
    }

    fn decode(self, key: String) -> String {
        if self.is_encoded {
            decode_listed_key(&key)
        } else {
            key
        }
    }
}

/// S3's URL encoding of keys in listings: percent signs, and `+` for a space.
fn decode_listed_key(key: &str) -> String {
    let key = key.replace('+', " ");
    let decoded = percent_encoding::percent_decode_str(&key);
    decoded.decode_utf8_lossy().into_owned()
}

pub(super) fn to_utc_time(time: Option<&SmithyTime>) -> DateTime<Utc> {
    let Some(time) = time else {
        return DateTime::default();
    };
    DateTime::from_timestamp(time.secs(), time.subsec_nanos()).unwrap_or_default()
}

/// S3's sizes are signed; a missing or negative one counts as 0.
pub(super) fn to_size(size: Option<i64>) -> u64 {
    let size = size.unwrap_or_default();
    u64::try_from(size).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::types::CommonPrefix;

    use super::*;
    use crate::s3::list_answer::counts;

    fn parse(answer: ListObjectsV2Output, counts: EntryCounts) -> ListPage {
        parse_list_page(answer, counts, &ListRequest::default()).expect("a page")
    }

    #[test]
    fn a_page_has_its_objects_and_folders_and_a_next_one_only_where_it_was_cut_off() {
        let object = Object::builder()
            .key("a+b")
            .size(5)
            .e_tag("e")
            .last_modified(SmithyTime::from_secs(1_761_834_652));
        let folder = CommonPrefix::builder().prefix("c%2F").build();
        let answer = ListObjectsV2Output::builder()
            .contents(object.build())
            .common_prefixes(folder)
            .next_continuation_token("t");

        let plain = parse(answer.clone().is_truncated(false).build(), counts(1, 1, 0));
        let expected = ObjectMeta {
            key: "a+b".into(),
            // date -u -d @1761834652
            last_modified: "2025-10-30T14:30:52Z".parse().expect("a time"),
            size: 5,
            etag: "e".into(),
        };
        assert_eq!(plain.objects, [expected]);
        assert_eq!(plain.folders, ["c%2F"]);
        assert_eq!(plain.next_token, None);
        // Without the flag, the token says that there is more.
        let unflagged = parse(answer.clone().build(), counts(1, 1, 0));
        assert_eq!(unflagged.next_token.as_deref(), Some("t"));

        let answer = answer.encoding_type(EncodingType::Url).is_truncated(true);
        let encoded = parse(answer.build(), counts(1, 1, 0));
        assert_eq!(encoded.objects[0].key, "a b");
        assert_eq!(encoded.folders, ["c/"]);
        assert_eq!(encoded.next_token.as_deref(), Some("t"));
    }

    #[test]
    fn an_answer_that_contradicts_itself_or_the_request_is_an_error() {
        let object = |key: &str| Object::builder().key(key).build();
        let answer = || ListObjectsV2Output::builder().contents(object("p/a"));
        let two = || answer().contents(object("p/b"));
        let request = ListRequest {
            prefix: "p/".to_owned(),
            ..ListRequest::default()
        };
        let error = |answer: ListObjectsV2Output, objects| {
            parse_list_page(answer, counts(objects, 0, 0), &request).expect_err("an error")
        };
        let unreadable = ListAnswerError::Unreadable { listed: 3, read: 2 };
        assert_eq!(error(two().build(), 3), unreadable);
        let (stated, listed) = (3, 2);
        let too_few = ListAnswerError::KeyCount { stated, listed };
        assert_eq!(error(two().key_count(3).build(), 2), too_few);
        let foreign = ListAnswerError::ForeignKey("q/a".into());
        assert_eq!(error(answer().contents(object("q/a")).build(), 2), foreign);
        let repeated = ListAnswerError::RepeatedKey("p/a".into());
        assert_eq!(error(answer().contents(object("p/a")).build(), 2), repeated);
        let nameless = Object::builder().size(1).build();
        assert_eq!(
            error(answer().contents(nameless).build(), 2),
            ListAnswerError::NoKey
        );
        let no_token = ListAnswerError::NoToken;
        assert_eq!(error(answer().is_truncated(true).build(), 1), no_token);
        let empty = answer().is_truncated(true).next_continuation_token("");
        assert_eq!(error(empty.build(), 1), no_token);
        let other = ListAnswerError::OtherPrefix("q/".into());
        assert_eq!(error(answer().prefix("q/").build(), 1), other);

        for fine in [
            answer().prefix("p").key_count(1).build(),
            answer().prefix("").build(),
            answer()
                .prefix("p%2F")
                .encoding_type(EncodingType::Url)
                .build(),
        ] {
            assert!(parse_list_page(fine, counts(1, 0, 0), &request).is_ok());
        }
    }

    #[test]
    fn folders_may_be_missing_in_the_count_of_keys() {
        let folder = CommonPrefix::builder().prefix("c/").build();
        let object = Object::builder().key("a").build();
        let answer = ListObjectsV2Output::builder()
            .contents(object)
            .common_prefixes(folder);
        for (stated, is_ok) in [(2, true), (1, true), (0, false), (3, false), (-1, false)] {
            let answer = answer.clone().key_count(stated).build();
            let page = parse_list_page(answer, counts(1, 1, 0), &ListRequest::default());
            assert_eq!(page.is_ok(), is_ok, "{stated}");
        }
    }

    #[test]
    fn a_page_of_versions_has_only_noncurrent_ones() {
        let version = |id: &str, latest| {
            let version = ObjectVersion::builder().key("a+b").version_id(id);
            version.is_latest(latest).build()
        };
        let answer = ListObjectVersionsOutput::builder()
            .versions(version("new", true))
            .versions(version("old", false))
            .next_key_marker("k+")
            .next_version_id_marker("m");
        let parse = |answer| parse_version_page(answer, counts(0, 0, 2), "a");

        let plain = parse(answer.clone().is_truncated(false).build()).expect("a page");
        assert_eq!(plain.versions.len(), 1);
        assert_eq!(plain.versions[0].object.key, "a+b");
        assert_eq!(plain.versions[0].version_id, "old");
        assert_eq!(plain.next_marker, None);

        let answer = answer.encoding_type(EncodingType::Url).is_truncated(true);
        let encoded = parse(answer.clone().build()).expect("a page");
        assert_eq!(encoded.versions[0].object.key, "a b");
        let marker = VersionMarker {
            key: "k ".to_owned(),
            version_id: "m".to_owned(),
        };
        assert_eq!(encoded.next_marker, Some(marker));

        let cut = answer.set_next_key_marker(None).build();
        assert_eq!(parse(cut), Err(ListAnswerError::NoToken));
    }

    #[test]
    fn a_version_is_named_as_in_an_address() {
        assert_eq!(versioned_key("k", None), "k");
        assert_eq!(versioned_key("k", Some("v")), "k?versionId=v");
    }

    #[test]
    fn listed_keys_are_decoded_as_s3_encodes_them() {
        // S3 user guide, "encoding-type": `test_file(3).png` appears as `test_file%283%29.png`.
        assert_eq!(
            decode_listed_key("test_file%283%29.png"),
            "test_file(3).png"
        );
        assert_eq!(decode_listed_key("a+b%2Bc%0A%C3%A9"), "a b+c\né");
    }
}

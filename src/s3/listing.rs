//! Pages of a listing: of objects, and of noncurrent versions.
//!
//! Pure: it parses S3's answers and must not send requests.

use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::primitives::DateTime as SmithyTime;
use aws_sdk_s3::types::{EncodingType, Object, ObjectVersion};
use chrono::{DateTime, Utc};

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
    /// `None` on the last page.
    pub next_marker: Option<VersionMarker>,
}

/// The next page of versions starts behind this version.
#[derive(Debug, Clone, PartialEq, Eq)]
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

#[must_use]
pub fn parse_list_page(answer: ListObjectsV2Output) -> ListPage {
    let decoder = KeyDecoder::new(answer.encoding_type.as_ref());

    let mut objects = Vec::new();
    for object in answer.contents.unwrap_or_default() {
        objects.extend(parse_object(object, decoder));
    }

    let mut folders = Vec::new();
    for folder in answer.common_prefixes.unwrap_or_default() {
        if let Some(prefix) = folder.prefix {
            folders.push(decoder.decode(prefix));
        }
    }

    let is_truncated = answer.is_truncated == Some(true);
    let next_token = answer.next_continuation_token.filter(|_| is_truncated);
    ListPage {
        objects,
        folders,
        next_token,
    }
}

#[must_use]
pub fn parse_version_page(answer: ListObjectVersionsOutput) -> NoncurrentVersionPage {
    let decoder = KeyDecoder::new(answer.encoding_type.as_ref());

    let mut versions = Vec::new();
    for version in answer.versions.unwrap_or_default() {
        if version.is_latest == Some(false) {
            versions.extend(parse_noncurrent_version(version, decoder));
        }
    }

    let next_marker = match answer.next_key_marker {
        Some(key) if answer.is_truncated == Some(true) => Some(VersionMarker {
            key: decoder.decode(key),
            version_id: answer.next_version_id_marker.unwrap_or_default(),
        }),
        _ => None,
    };
    NoncurrentVersionPage {
        versions,
        next_marker,
    }
}

fn parse_object(object: Object, decoder: KeyDecoder) -> Option<ObjectMeta> {
    Some(ObjectMeta {
        key: decoder.decode(object.key?),
        last_modified: to_utc_time(object.last_modified.as_ref()),
        size: to_size(object.size),
        etag: object.e_tag.unwrap_or_default(),
    })
}

fn parse_noncurrent_version(
    version: ObjectVersion,
    decoder: KeyDecoder,
) -> Option<NoncurrentVersion> {
    let object = ObjectMeta {
        key: decoder.decode(version.key?),
        last_modified: to_utc_time(version.last_modified.as_ref()),
        size: to_size(version.size),
        etag: version.e_tag.unwrap_or_default(),
    };
    let version_id = version.version_id?;
    Some(NoncurrentVersion { object, version_id })
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

        let plain = parse_list_page(answer.clone().is_truncated(false).build());
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

        let answer = answer.encoding_type(EncodingType::Url).is_truncated(true);
        let encoded = parse_list_page(answer.build());
        assert_eq!(encoded.objects[0].key, "a b");
        assert_eq!(encoded.folders, ["c/"]);
        assert_eq!(encoded.next_token.as_deref(), Some("t"));
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

        let plain = parse_version_page(answer.clone().build());
        assert_eq!(plain.versions.len(), 1);
        assert_eq!(plain.versions[0].object.key, "a+b");
        assert_eq!(plain.versions[0].version_id, "old");
        assert_eq!(plain.next_marker, None);

        let answer = answer.encoding_type(EncodingType::Url).is_truncated(true);
        let encoded = parse_version_page(answer.build());
        assert_eq!(encoded.versions[0].object.key, "a b");
        let marker = VersionMarker {
            key: "k ".to_owned(),
            version_id: "m".to_owned(),
        };
        assert_eq!(encoded.next_marker, Some(marker));
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

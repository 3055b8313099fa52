//! What is listed, and what a listing says: data for those who ask and those who use the answers.
//!
//! Pure: it reads S3's answers and must not ask for them.

use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::primitives::DateTime as SmithyTime;
use aws_sdk_s3::types::EncodingType;
use chrono::{DateTime, Utc};

/// One object of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectMeta {
    /// The key.
    pub key: String,
    /// When it was written.
    pub last_modified: DateTime<Utc>,
    /// Its size in bytes.
    pub size: u64,
    /// The opaque tag of this very version.
    pub etag: String,
}

/// What to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListRequest {
    /// Keys that start with this.
    pub prefix: String,
    /// Keys greater than this.
    pub start_after: String,
    /// Keys with this behind the prefix are told as folders only, up to and with it; empty for none.
    pub delimiter: &'static str,
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPage {
    /// The objects, in the order of their keys.
    pub objects: Vec<ObjectMeta>,
    /// The folders, with their delimiter.
    pub folders: Vec<String>,
    /// Asks for the next page; `None` on the last.
    pub next_token: Option<String>,
}

/// A version of an object that was overwritten or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoncurrentVersion {
    /// What it was.
    pub object: ObjectMeta,
    /// Names it among the versions of its key.
    pub version_id: String,
}

/// A key with the version that is meant, as S3's addresses spell it.
#[must_use]
pub fn versioned_key(key: &str, version: Option<&str>) -> String {
    version.map_or_else(
        || key.to_owned(),
        |version| format!("{key}?versionId={version}"),
    )
}

/// One page of a listing of versions; those that are there now are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoncurrentVersionPage {
    /// In the order of their keys, of each key the newest first.
    pub versions: Vec<NoncurrentVersion>,
    /// The key and the version id that the next page follows; `None` on the last.
    pub next_marker: Option<(String, String)>,
}

/// The page of versions that S3 answered with.
#[must_use]
pub fn parse_version_page(answer: ListObjectVersionsOutput) -> NoncurrentVersionPage {
    let encoded = answer.encoding_type == Some(EncodingType::Url);
    let plain = |key: String| {
        if encoded {
            decode_listed_key(&key)
        } else {
            key
        }
    };
    let old = answer
        .versions
        .unwrap_or_default()
        .into_iter()
        .filter(|it| it.is_latest == Some(false));
    let overwritten = old.filter_map(|it| {
        let listed = ObjectMeta {
            key: plain(it.key?),
            last_modified: it
                .last_modified
                .as_ref()
                .map(to_utc_time)
                .unwrap_or_default(),
            size: it
                .size
                .and_then(|size| u64::try_from(size).ok())
                .unwrap_or_default(),
            etag: it.e_tag.unwrap_or_default(),
        };
        Some(NoncurrentVersion {
            object: listed,
            version_id: it.version_id?,
        })
    });
    let next = answer
        .next_key_marker
        .filter(|_| answer.is_truncated == Some(true));
    NoncurrentVersionPage {
        versions: overwritten.collect(),
        next_marker: next.map(|key| {
            (
                plain(key),
                answer.next_version_id_marker.unwrap_or_default(),
            )
        }),
    }
}

/// The page that S3 answered with.
#[must_use]
pub fn parse_list_page(answer: ListObjectsV2Output) -> ListPage {
    let encoded = answer.encoding_type == Some(EncodingType::Url);
    let plain = |key: String| {
        if encoded {
            decode_listed_key(&key)
        } else {
            key
        }
    };
    let objects = answer
        .contents
        .unwrap_or_default()
        .into_iter()
        .filter_map(|object| {
            Some(ObjectMeta {
                key: plain(object.key?),
                last_modified: object
                    .last_modified
                    .as_ref()
                    .map(to_utc_time)
                    .unwrap_or_default(),
                size: object
                    .size
                    .and_then(|size| u64::try_from(size).ok())
                    .unwrap_or_default(),
                etag: object.e_tag.unwrap_or_default(),
            })
        });
    let folders = answer
        .common_prefixes
        .unwrap_or_default()
        .into_iter()
        .filter_map(|it| it.prefix)
        .map(plain);
    ListPage {
        objects: objects.collect(),
        folders: folders.collect(),
        next_token: answer
            .next_continuation_token
            .filter(|_| answer.is_truncated == Some(true)),
    }
}

/// S3's URL encoding of keys in listings: percent signs, and `+` for a space.
fn decode_listed_key(key: &str) -> String {
    percent_encoding::percent_decode_str(&key.replace('+', " "))
        .decode_utf8_lossy()
        .into_owned()
}

fn to_utc_time(time: &SmithyTime) -> DateTime<Utc> {
    DateTime::from_timestamp(time.secs(), time.subsec_nanos()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::types::{CommonPrefix, Object, ObjectVersion};

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
        // date -u -d @1761834652
        let modified = "2025-10-30T14:30:52Z".parse().expect("a time");
        assert_eq!(
            plain.objects,
            [ObjectMeta {
                key: "a+b".into(),
                last_modified: modified,
                size: 5,
                etag: "e".into()
            }]
        );
        assert_eq!(
            (plain.folders, plain.next_token),
            (vec!["c%2F".to_owned()], None)
        );
        let encoded = parse_list_page(
            answer
                .encoding_type(EncodingType::Url)
                .is_truncated(true)
                .build(),
        );
        assert_eq!(
            (
                encoded.objects[0].key.as_str(),
                encoded.folders[0].as_str(),
                encoded.next_token.as_deref()
            ),
            ("a b", "c/", Some("t"))
        );
    }

    #[test]
    fn a_page_of_versions_has_those_that_are_not_there_any_more() {
        let version = |id: &str, latest| {
            ObjectVersion::builder()
                .key("a+b")
                .version_id(id)
                .is_latest(latest)
                .build()
        };
        let answer = ListObjectVersionsOutput::builder()
            .versions(version("new", true))
            .versions(version("old", false));
        let answer = answer.next_key_marker("k+").next_version_id_marker("m");
        let plain = parse_version_page(answer.clone().build());
        let told: Vec<(&str, &str)> = plain
            .versions
            .iter()
            .map(|it| (it.object.key.as_str(), it.version_id.as_str()))
            .collect();
        assert_eq!((told, plain.next_marker), (vec![("a+b", "old")], None));
        let encoded = parse_version_page(
            answer
                .encoding_type(EncodingType::Url)
                .is_truncated(true)
                .build(),
        );
        assert_eq!(encoded.versions[0].object.key, "a b");
        assert_eq!(encoded.next_marker, Some(("k ".to_owned(), "m".to_owned())));
        assert_eq!(
            [versioned_key("k", None), versioned_key("k", Some("v"))],
            ["k", "k?versionId=v"]
        );
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

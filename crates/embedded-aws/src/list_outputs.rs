//! Listing requests in S3's words: parameters with their defaults and limits, tokens, `encoding-type=url`, and the two forms of the answer.

use s3s::dto::{
    CommonPrefix, ETag, EncodingType, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input,
    ListObjectsV2Output, Object, ObjectStorageClass, Timestamp,
};
use s3s::{S3Result, s3_error};

use crate::listing::{self, ListEntry, ListPage, ListQuery};
use crate::store::{ObjectHead, ObjectIndex};

/// S3 returns up to this many keys per page, whatever is asked for.
const MOST: i32 = 1000;

/// The answer to `ListObjectsV2`.
pub(crate) fn list_objects_v2(
    objects: &ObjectIndex,
    input: ListObjectsV2Input,
) -> S3Result<ListObjectsV2Output> {
    let continued = input
        .continuation_token
        .as_deref()
        .map(decode_token)
        .transpose()?;
    let names = NameEncoder::new(input.encoding_type)?;
    let max_keys = max_keys(input.max_keys)?;
    let delimiter = input.delimiter.filter(|delimiter| !delimiter.is_empty());
    let query = ListQuery {
        prefix: input.prefix.as_deref().unwrap_or_default(),
        delimiter: delimiter.as_deref(),
        after: continued
            .as_deref()
            .or(input.start_after.as_deref())
            .unwrap_or_default(),
        limit: usize::try_from(max_keys).unwrap_or_default(),
    };
    let page = listing::list_page(objects, &query);
    let next = page
        .entries
        .last()
        .filter(|_| page.truncated)
        .map(|last| encode_token(last.name()));
    let (contents, common_prefixes) = names.split(&page);
    Ok(ListObjectsV2Output {
        key_count: i32::try_from(page.entries.len()).ok(),
        is_truncated: Some(page.truncated),
        next_continuation_token: next,
        contents: Some(contents),
        common_prefixes: Some(common_prefixes),
        max_keys: Some(max_keys),
        name: Some(input.bucket),
        prefix: Some(names.encode(query.prefix)),
        delimiter: query.delimiter.map(|delimiter| names.encode(delimiter)),
        start_after: input
            .start_after
            .as_deref()
            .map(|after| names.encode(after)),
        continuation_token: input.continuation_token,
        encoding_type: names.encoding_type(),
        ..Default::default()
    })
}

/// The answer to `ListObjects`, which returns the next marker only with a delimiter.
pub(crate) fn list_objects_v1(
    objects: &ObjectIndex,
    input: ListObjectsInput,
) -> S3Result<ListObjectsOutput> {
    let names = NameEncoder::new(input.encoding_type)?;
    let max_keys = max_keys(input.max_keys)?;
    let delimiter = input.delimiter.filter(|delimiter| !delimiter.is_empty());
    let query = ListQuery {
        prefix: input.prefix.as_deref().unwrap_or_default(),
        delimiter: delimiter.as_deref(),
        after: input.marker.as_deref().unwrap_or_default(),
        limit: usize::try_from(max_keys).unwrap_or_default(),
    };
    let page = listing::list_page(objects, &query);
    let rolls_up = query.delimiter.is_some();
    let next = page
        .entries
        .last()
        .filter(|_| page.truncated && rolls_up)
        .map(|last| names.encode(last.name()));
    let (contents, common_prefixes) = names.split(&page);
    Ok(ListObjectsOutput {
        is_truncated: Some(page.truncated),
        next_marker: next,
        contents: Some(contents),
        common_prefixes: Some(common_prefixes),
        max_keys: Some(max_keys),
        name: Some(input.bucket),
        prefix: Some(names.encode(query.prefix)),
        delimiter: query.delimiter.map(|delimiter| names.encode(delimiter)),
        marker: Some(names.encode(query.after)),
        encoding_type: names.encoding_type(),
        ..Default::default()
    })
}

fn max_keys(asked: Option<i32>) -> S3Result<i32> {
    match asked.unwrap_or(MOST) {
        negative if negative < 0 => Err(s3_error!(
            InvalidArgument,
            "Argument maxKeys must be an integer between 0 and 2147483647"
        )),
        asked => Ok(asked.min(MOST)),
    }
}

/// The encoding of names in the answer.
struct NameEncoder {
    url: bool,
}

impl NameEncoder {
    fn new(encoding_type: Option<EncodingType>) -> S3Result<NameEncoder> {
        match encoding_type {
            None => Ok(NameEncoder { url: false }),
            Some(named) if named.as_str() == EncodingType::URL => Ok(NameEncoder { url: true }),
            Some(_) => Err(s3_error!(
                InvalidArgument,
                "Invalid Encoding Method specified in Request"
            )),
        }
    }

    fn encoding_type(&self) -> Option<EncodingType> {
        self.url
            .then(|| EncodingType::from_static(EncodingType::URL))
    }

    /// Form encoding with unencoded slashes and `+` for spaces, as in S3.
    fn encode(&self, name: &str) -> String {
        if self.url {
            form_urlencoded::byte_serialize(name.as_bytes())
                .collect::<String>()
                .replace("%2F", "/")
        } else {
            name.to_owned()
        }
    }

    fn split(&self, page: &ListPage<ObjectHead>) -> (Vec<Object>, Vec<CommonPrefix>) {
        let (mut objects, mut prefixes) = (Vec::new(), Vec::new());
        for entry in &page.entries {
            match entry {
                ListEntry::Object(key, head) => objects.push(self.object(key, head)),
                ListEntry::Prefix(prefix) => prefixes.push(CommonPrefix {
                    prefix: Some(self.encode(prefix)),
                }),
            }
        }
        (objects, prefixes)
    }

    fn object(&self, key: &str, head: &ObjectHead) -> Object {
        Object {
            key: Some(self.encode(key)),
            size: i64::try_from(head.size).ok(),
            e_tag: Some(ETag::Strong(head.etag.clone())),
            last_modified: Some(Timestamp::from(head.modified)),
            storage_class: Some(ObjectStorageClass::from_static(
                ObjectStorageClass::STANDARD,
            )),
            ..Default::default()
        }
    }
}

/// A token is opaque to clients; in hexadecimal it is also safe wherever they put it.
fn encode_token(name: &str) -> String {
    name.bytes()
        .fold(String::new(), |token, byte| format!("{token}{byte:02x}"))
}

fn decode_token(token: &str) -> S3Result<String> {
    let digits: Option<Vec<u8>> = token
        .chars()
        .map(|digit| {
            digit
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        })
        .collect();
    digits
        .filter(|digits| !digits.is_empty() && digits.len().is_multiple_of(2))
        .and_then(|digits| {
            String::from_utf8(
                digits
                    .chunks(2)
                    .map(|pair| pair[0] << 4 | pair[1])
                    .collect(),
            )
            .ok()
        })
        .ok_or_else(|| {
            s3_error!(
                InvalidArgument,
                "The continuation token provided is incorrect"
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_as_in_the_documentation() {
        // The example of `encoding-type` in the API reference.
        assert_eq!(
            NameEncoder { url: true }.encode("test_file(3).png"),
            "test_file%283%29.png"
        );
        assert_eq!(
            NameEncoder { url: true }.encode("a/b c+d%\n&é"),
            "a/b+c%2Bd%25%0A%26%C3%A9"
        );
        assert_eq!(NameEncoder { url: false }.encode("a b"), "a b");
    }

    #[test]
    fn decodes_its_own_tokens_and_rejects_other_text() {
        assert_eq!(
            decode_token(&encode_token("a/é\n")).ok().as_deref(),
            Some("a/é\n")
        );
        for wrong in ["", "a", "zz", "ff", "é"] {
            assert!(decode_token(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_page_has_at_most_a_thousand_keys() {
        assert_eq!(max_keys(None).ok(), Some(1000));
        assert_eq!(max_keys(Some(5000)).ok(), Some(1000));
        assert_eq!(max_keys(Some(0)).ok(), Some(0));
        assert!(max_keys(Some(-1)).is_err());
    }
}

//! Between S3's inputs and outputs and what the [store](crate::store) keeps: pure conversions, one per direction.

use std::collections::BTreeMap;

use bytes::Bytes;
use s3s::dto::{
    ChecksumType, ETag, GetObjectOutput, HeadObjectOutput, PutObjectInput, PutObjectOutput, Range,
    ServerSideEncryption, StreamingBlob, Timestamp,
};
use s3s::{Body, S3Result};

use crate::data_folder::ObjectAttributes;
use crate::store::ObjectHead;

/// The default content type of S3.
pub(crate) const DEFAULT_TYPE: &str = "binary/octet-stream";

/// The attributes that a PUT sets.
pub(crate) fn attributes_of_put(
    input: &PutObjectInput,
    checksums: BTreeMap<String, String>,
) -> ObjectAttributes {
    ObjectAttributes {
        content_type: input.content_type.clone(),
        cache_control: input.cache_control.clone(),
        content_disposition: input.content_disposition.clone(),
        content_encoding: input.content_encoding.as_deref().and_then(stored_encoding),
        content_language: input.content_language.clone(),
        server_side_encryption: input
            .server_side_encryption
            .as_ref()
            .map(|name| name.as_str().to_owned()),
        kms_key_id: input.ssekms_key_id.clone(),
        checksums,
        metadata: input.metadata.clone().into_iter().flatten().collect(),
    }
}

/// `aws-chunked` is only a transfer encoding and is not stored.
fn stored_encoding(encoding: &str) -> Option<String> {
    let kept: Vec<_> = encoding
        .split(',')
        .map(str::trim)
        .filter(|name| *name != "aws-chunked" && !name.is_empty())
        .collect();
    (!kept.is_empty()).then(|| kept.join(","))
}

/// The answer to a PUT that made `head`.
pub(crate) fn put_output(head: &ObjectHead) -> PutObjectOutput {
    let attributes = &head.attributes;
    PutObjectOutput {
        e_tag: Some(ETag::Strong(head.etag.clone())),
        checksum_crc32: attributes.checksums.get("crc32").cloned(),
        checksum_crc32c: attributes.checksums.get("crc32c").cloned(),
        checksum_crc64nvme: attributes.checksums.get("crc64nvme").cloned(),
        checksum_sha1: attributes.checksums.get("sha1").cloned(),
        checksum_sha256: attributes.checksums.get("sha256").cloned(),
        checksum_type: checksum_type(attributes),
        server_side_encryption: attributes
            .server_side_encryption
            .clone()
            .map(ServerSideEncryption::from),
        ssekms_key_id: attributes.kms_key_id.clone(),
        ..Default::default()
    }
}

/// The answer to a HEAD; `with_checksums` if the request enables them.
pub(crate) fn head_output(head: ObjectHead, with_checksums: bool) -> HeadObjectOutput {
    let mut attributes = head.attributes;
    if !with_checksums {
        attributes.checksums.clear();
    }
    HeadObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        content_length: i64::try_from(head.size).ok(),
        e_tag: Some(ETag::Strong(head.etag)),
        last_modified: Some(Timestamp::from(head.modified)),
        checksum_crc32: attributes.checksums.get("crc32").cloned(),
        checksum_crc32c: attributes.checksums.get("crc32c").cloned(),
        checksum_crc64nvme: attributes.checksums.get("crc64nvme").cloned(),
        checksum_sha1: attributes.checksums.get("sha1").cloned(),
        checksum_sha256: attributes.checksums.get("sha256").cloned(),
        checksum_type: checksum_type(&attributes),
        content_type: Some(
            attributes
                .content_type
                .unwrap_or_else(|| DEFAULT_TYPE.to_owned()),
        ),
        cache_control: attributes.cache_control,
        content_disposition: attributes.content_disposition,
        content_encoding: attributes.content_encoding,
        content_language: attributes.content_language,
        server_side_encryption: attributes
            .server_side_encryption
            .map(ServerSideEncryption::from),
        ssekms_key_id: attributes.kms_key_id,
        metadata: Some(attributes.metadata.into_iter().collect()),
        ..Default::default()
    }
}

/// The answer to a GET, of a part of the body if a `range` is asked for. A part comes without checksums: they are those of the whole.
pub(crate) fn get_output(
    head: ObjectHead,
    body: Vec<u8>,
    range: Option<Range>,
    with_checksums: bool,
) -> S3Result<GetObjectOutput> {
    let mut body = Bytes::from(body);
    let mut content_range = None;
    if let Some(range) = range {
        let total = body.len();
        let part = range.check(total as u64)?;
        content_range = Some(format!("bytes {}-{}/{total}", part.start, part.end - 1));
        // The range is within the body, so it fits into usize.
        let bound = |at: u64| usize::try_from(at).unwrap_or(total);
        body = body.slice(bound(part.start)..bound(part.end));
    }
    let head = head_output(head, with_checksums && content_range.is_none());
    Ok(GetObjectOutput {
        content_length: i64::try_from(body.len()).ok(),
        body: Some(StreamingBlob::from(Body::from(body))),
        content_range,
        accept_ranges: head.accept_ranges,
        e_tag: head.e_tag,
        last_modified: head.last_modified,
        checksum_crc32: head.checksum_crc32,
        checksum_crc32c: head.checksum_crc32c,
        checksum_crc64nvme: head.checksum_crc64nvme,
        checksum_sha1: head.checksum_sha1,
        checksum_sha256: head.checksum_sha256,
        checksum_type: head.checksum_type,
        content_type: head.content_type,
        cache_control: head.cache_control,
        content_disposition: head.content_disposition,
        content_encoding: head.content_encoding,
        content_language: head.content_language,
        server_side_encryption: head.server_side_encryption,
        ssekms_key_id: head.ssekms_key_id,
        metadata: head.metadata,
        ..Default::default()
    })
}

fn checksum_type(attributes: &ObjectAttributes) -> Option<ChecksumType> {
    let any = !attributes.checksums.is_empty();
    any.then(|| ChecksumType::from_static(ChecksumType::FULL_OBJECT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_encoding_of_the_transport_is_dropped() {
        assert_eq!(stored_encoding("aws-chunked"), None);
        assert_eq!(
            stored_encoding("gzip, aws-chunked").as_deref(),
            Some("gzip")
        );
        assert_eq!(stored_encoding("gzip").as_deref(), Some("gzip"));
    }
}

//! Writes objects: with a checksum, under a condition, and with the encryption that the bucket
//! demands.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use aws_sdk_s3::operation::put_object::PutObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumAlgorithm;

use crate::digest;
use crate::error::Error;
use crate::s3::encryption::ObjectEncryption;
use crate::s3::store::{ObjectStore, PutCondition, PutOutcome, PutReceipt, unexpected_s3_response};

const BAD_REQUEST: u16 = 400;
const NOT_IMPLEMENTED: u16 = 501;

/// An object to write.
struct PutRequest<'a> {
    key: &'a str,
    body: &'a [u8],
    content_type: &'a str,
    metadata: &'a HashMap<String, String>,
}

/// The outcome, with S3's answer if the object was written.
type PutAnswer = (PutOutcome, Option<PutObjectOutput>);

impl ObjectStore {
    /// Writes an object with its SHA-256, which S3 verifies before it answers.
    pub async fn put_object(
        &self,
        key: &str,
        body: &[u8],
        content_type: &str,
        metadata: &HashMap<String, String>,
        condition: PutCondition,
    ) -> Result<PutOutcome, Error> {
        let put = self.put_object_with_output(key, body, content_type, metadata, condition);
        let (outcome, _) = put.await?;
        Ok(outcome)
    }

    /// As [`ObjectStore::put_object`], with S3's answer if the object was written.
    ///
    /// A server that cannot write conditionally is asked for the object first. Then two writes at the
    /// same time can replace each other.
    pub(crate) async fn put_object_with_output(
        &self,
        key: &str,
        body: &[u8],
        content_type: &str,
        metadata: &HashMap<String, String>,
        condition: PutCondition,
    ) -> Result<PutAnswer, Error> {
        let request = PutRequest {
            key,
            body,
            content_type,
            metadata,
        };
        let put = |condition| self.put_encrypted(&request, condition);
        if matches!(condition, PutCondition::Always) {
            return put(&PutCondition::Always).await;
        }
        if self.lacks_conditional_writes() {
            return self.put_after_look(&request, &condition).await;
        }
        match put(&condition).await {
            Err(refusal) if refuses_condition(&refusal) => {
                let answer = self.put_after_look(&request, &condition).await;
                // If that is refused too, it is not the condition that the server cannot do.
                let answer = answer.map_err(|_| refusal)?;
                self.lacks_conditional_writes.store(true, Ordering::Relaxed);
                Ok(answer)
            }
            answer => answer,
        }
    }

    async fn put_after_look(
        &self,
        request: &PutRequest<'_>,
        condition: &PutCondition,
    ) -> Result<PutAnswer, Error> {
        if !self.does_condition_hold(request.key, condition).await? {
            return Ok((PutOutcome::ConditionFailed, None));
        }
        self.put_encrypted(request, &PutCondition::Always).await
    }

    /// Whether the server has refused a conditional write as something that it cannot do.
    #[must_use]
    pub fn lacks_conditional_writes(&self) -> bool {
        self.lacks_conditional_writes.load(Ordering::Relaxed)
    }

    /// The encryption that the bucket's policy demands although none is set, if a PUT has found it.
    #[must_use]
    pub fn demanded_encryption(&self) -> Option<&ObjectEncryption> {
        self.demanded_encryption.get()
    }

    async fn does_condition_hold(
        &self,
        key: &str,
        condition: &PutCondition,
    ) -> Result<bool, Error> {
        let head = self.head_object(key).await?;
        Ok(match condition {
            PutCondition::Always => true,
            PutCondition::IfAbsent => head.is_none(),
            PutCondition::IfMatch(etag) => head.is_some_and(|head| head.etag == *etag),
        })
    }

    /// Sends a PUT with the encryption that is set or known. If none is, and the bucket's policy
    /// refuses the PUT, tries which encryption the policy demands.
    async fn put_encrypted(
        &self,
        request: &PutRequest<'_>,
        condition: &PutCondition,
    ) -> Result<PutAnswer, Error> {
        let set = self.target.encryption.as_ref();
        let encryption = set.or_else(|| self.demanded_encryption());
        let refusal = match self.send_put(request, condition, encryption).await {
            Err(error) if encryption.is_none() && error.is_denied_by_bucket_policy => error,
            answer => return answer,
        };
        for encryption in [ObjectEncryption::Aes256, ObjectEncryption::Kms(None)] {
            match self.send_put(request, condition, Some(&encryption)).await {
                Ok(answer) => {
                    // A concurrent PUT may have found it first.
                    let _ = self.demanded_encryption.set(encryption);
                    return Ok(answer);
                }
                Err(error) if error.is_network_error() => break,
                Err(_) => {}
            }
        }
        Err(refusal)
    }

    async fn send_put(
        &self,
        request: &PutRequest<'_>,
        condition: &PutCondition,
        encryption: Option<&ObjectEncryption>,
    ) -> Result<PutAnswer, Error> {
        let action = format!("put `{}`", self.object_uri(request.key));
        let checksum = digest::sha256_base64(request.body);
        let answer = self.send_request(&action, "s3:PutObject", |s3| {
            let put = s3
                .put_object()
                .bucket(&self.target.bucket)
                .key(request.key)
                .set_expected_bucket_owner(self.expected_owner())
                .content_type(request.content_type)
                .set_metadata(Some(request.metadata.clone()))
                .set_server_side_encryption(encryption.map(ObjectEncryption::algorithm))
                .set_ssekms_key_id(encryption.and_then(ObjectEncryption::kms_key))
                .checksum_sha256(&checksum)
                // A bucket with Object Lock demands the algorithm's name, too.
                .checksum_algorithm(ChecksumAlgorithm::Sha256)
                .body(ByteStream::from(request.body.to_vec()));
            match condition {
                PutCondition::Always => put,
                PutCondition::IfAbsent => put.if_none_match("*"),
                PutCondition::IfMatch(etag) => put.if_match(etag),
            }
            .send()
        });
        match answer.await {
            Ok(answer) => {
                // A captive portal answers 200 to every request, but without an ETag.
                let Some(etag) = answer.e_tag() else {
                    return Err(unexpected_s3_response(&action));
                };
                let receipt = PutReceipt {
                    etag: etag.to_owned(),
                    is_checksum_confirmed: answer.checksum_sha256() == Some(&checksum),
                };
                Ok((PutOutcome::Written(receipt), Some(answer)))
            }
            Err(error) if is_condition_failure(&error, condition) => {
                Ok((PutOutcome::ConditionFailed, None))
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether a server may have refused a PUT because of its condition. The sentences of S3-compatible
/// servers name the header.
fn refuses_condition(error: &Error) -> bool {
    let names_header = || {
        let sentence = error.message.to_lowercase();
        sentence.contains("if-none-match") || sentence.contains("if-match")
    };
    match error.status {
        Some(NOT_IMPLEMENTED) => true,
        Some(BAD_REQUEST) => names_header(),
        _ => false,
    }
}

/// S3 answers `NoSuchKey` if the object that should be overwritten does not exist.
fn is_condition_failure(error: &Error, condition: &PutCondition) -> bool {
    let is_missing = error.code == "NoSuchKey" && matches!(condition, PutCondition::IfMatch(_));
    error.status == Some(412) || is_missing
}

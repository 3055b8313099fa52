//! S3 and STS: the requests this program makes, and nothing about why it makes them.
//!
//! Errors come out as [`Fault`]s. Must not know keys, records or verbs.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::put_object::PutObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, EncodingType};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use serde::{Deserialize, Serialize};

use crate::digest;
use crate::error::{Error, ErrorKind};
use crate::s3::client;
pub use crate::s3::client::RequestTimeouts;
use crate::s3::client::SdkSession;
use crate::s3::error::{RequestContext, from_sdk_error};
use crate::s3::fast_get::{FastGetClient, FastGetOutcome};
use crate::s3::listing::{ListPage, ListRequest, parse_list_page, versioned_key};
pub use crate::s3::types::{CallerIdentity, ObjectHead, PutCondition, PutOutcome, PutReceipt};
use crate::s3::versions::GET_VERSION_PERMISSION;
use crate::system::host;

/// Where the bucket is and who asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BucketTarget {
    /// The bucket's name.
    pub bucket: String,
    /// The region that the bucket is believed to be in; a wrong one is corrected by S3's first answer.
    pub region: String,
    /// The AWS profile; empty for the credentials of the environment.
    pub profile: String,
    /// The account that the bucket must belong to; empty where any will do.
    #[serde(default)]
    pub owner: String,
}

/// A bucket and the credentials to it.
#[derive(Debug)]
pub struct ObjectStore {
    pub(crate) target: BucketTarget,
    pub(crate) session: SdkSession,
    pub(crate) client: Mutex<Client>,
    fast_client: tokio::sync::Mutex<Option<Arc<FastGetClient>>>,
}

impl ObjectStore {
    /// Prepares the access; makes no request of its own, but may read the profile's files.
    pub async fn open(target: &BucketTarget, patience: RequestTimeouts) -> Result<Self, Error> {
        Ok(Self::from_session(
            target.clone(),
            client::load_sdk_session(&target.region, &target.profile, patience).await?,
        ))
    }

    pub(crate) fn from_session(target: BucketTarget, session: SdkSession) -> Self {
        let s3 = Mutex::new(client::build_s3_client(&session.config, &target.region));
        Self {
            target,
            session,
            client: s3,
            fast_client: tokio::sync::Mutex::default(),
        }
    }

    /// Asks STS who we are.
    pub async fn get_caller_identity(&self) -> Result<CallerIdentity, Error> {
        let answer = aws_sdk_sts::Client::new(&self.session.config)
            .get_caller_identity()
            .send()
            .await;
        let answer = answer.map_err(|error| {
            from_sdk_error(
                &error,
                &self.request_context("ask STS who deploys", "sts:GetCallerIdentity"),
            )
        })?;
        let field = |value: Option<String>, name: &str| {
            value.ok_or_else(|| {
                Error::unexpected_response(format!("ask STS who deploys: an answer without {name}"))
            })
        };
        Ok(CallerIdentity {
            arn: field(answer.arn, "an ARN")?,
            user_id: field(answer.user_id, "a user id")?,
            account: field(answer.account, "an account")?,
        })
    }

    /// The metadata of an object; `None` where there is none.
    pub async fn head_object(&self, key: &str) -> Result<Option<ObjectHead>, Error> {
        self.head_object_version(key, None).await
    }

    /// As [`Store::head`], for a version of the object that was overwritten, where one is named.
    pub async fn head_object_version(
        &self,
        key: &str,
        version: Option<&str>,
    ) -> Result<Option<ObjectHead>, Error> {
        let what = format!(
            "look at `{}`",
            self.object_uri(&versioned_key(key, version))
        );
        let answer = self.send_request(
            &what,
            version.map_or("s3:GetObject and s3:ListBucket", |_| GET_VERSION_PERMISSION),
            |s3| {
                let head = s3
                    .head_object()
                    .bucket(&self.target.bucket)
                    .key(key)
                    .set_expected_bucket_owner(self.expected_owner());
                head.set_version_id(version.map(str::to_owned))
                    .checksum_mode(ChecksumMode::Enabled)
                    .send()
            },
        );
        match answer.await {
            Ok(head) => Ok(Some(ObjectHead {
                metadata: head.metadata.unwrap_or_default(),
                etag: head.e_tag.unwrap_or_default(),
                size: head
                    .content_length
                    .and_then(|size| u64::try_from(size).ok())
                    .unwrap_or_default(),
                sha256: head.checksum_sha256,
            })),
            // A HEAD has no body, so a missing key and a missing bucket answer alike.
            Err(fault) if fault.status == Some(404) && fault.kind != ErrorKind::Bucket => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Writes an object with its SHA-256, which S3 checks before it answers.
    pub async fn put_object(
        &self,
        key: &str,
        body: &[u8],
        kind: &str,
        metadata: &HashMap<String, String>,
        condition: PutCondition,
    ) -> Result<PutOutcome, Error> {
        self.put_object_with_output(key, body, kind, metadata, condition)
            .await
            .map(|(written, _)| written)
    }

    /// As [`Store::put`], and gives S3's answer where something was written.
    pub(crate) async fn put_object_with_output(
        &self,
        key: &str,
        body: &[u8],
        kind: &str,
        metadata: &HashMap<String, String>,
        condition: PutCondition,
    ) -> Result<(PutOutcome, Option<PutObjectOutput>), Error> {
        let what = format!("put `{}`", self.object_uri(key));
        let checksum = digest::sha256_base64(body);
        let answer = self.send_request(&what, "s3:PutObject", |s3| {
            let put = s3
                .put_object()
                .bucket(&self.target.bucket)
                .key(key)
                .set_expected_bucket_owner(self.expected_owner())
                .content_type(kind)
                .set_metadata(Some(metadata.clone()))
                .checksum_sha256(&checksum)
                // Named, too: a bucket with Object Lock asks for that.
                .checksum_algorithm(ChecksumAlgorithm::Sha256)
                .body(ByteStream::from(body.to_vec()));
            match &condition {
                PutCondition::Always => put,
                PutCondition::IfAbsent => put.if_none_match("*"),
                PutCondition::IfMatch(etag) => put.if_match(etag),
            }
            .send()
        });
        match answer.await {
            Ok(answer) => {
                // A 200 without an ETag is somebody else's: a captive portal says 200 to everything.
                let etag = answer.e_tag().ok_or_else(|| {
                    Error::unexpected_response(format!("{what}: an answer that is not S3's"))
                })?;
                let receipt = PutReceipt {
                    etag: etag.to_owned(),
                    is_checksum_confirmed: answer.checksum_sha256() == Some(&checksum),
                };
                Ok((PutOutcome::Written(receipt), Some(answer)))
            }
            Err(fault) if fault.status == Some(412) => Ok((PutOutcome::ConditionFailed, None)),
            // What shall be written over is not there.
            Err(fault)
                if fault.code == "NoSuchKey" && matches!(condition, PutCondition::IfMatch(_)) =>
            {
                Ok((PutOutcome::ConditionFailed, None))
            }
            Err(fault) => Err(fault),
        }
    }

    /// As [`Store::get`], for one of very many objects.
    pub async fn get_small_object(&self, key: &str, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        let answer = match self.fresh_fast_client().await {
            Some(quick) => quick.get_object(key, limit).await,
            None => FastGetOutcome::RetryWithSdk,
        };
        match answer {
            FastGetOutcome::Object(body) => Ok(Some(body)),
            FastGetOutcome::TooLarge => Err(self.object_too_large(key, limit)),
            FastGetOutcome::NotFound => Ok(None),
            FastGetOutcome::Throttled => {
                let text = format!("get `{}`: HTTP 503, SlowDown", self.object_uri(key));
                Err(Error {
                    status: Some(503),
                    ..Error::new(ErrorKind::Service, text, "")
                })
            }
            FastGetOutcome::RetryWithSdk => self.get_object(key, limit).await,
        }
    }

    async fn fresh_fast_client(&self) -> Option<Arc<FastGetClient>> {
        let mut quick = self.fast_client.lock().await;
        if !quick.as_ref().is_some_and(|quick| quick.is_fresh()) {
            let client = self
                .client
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            *quick = FastGetClient::open(&self.session, &client, &self.target.bucket)
                .await
                .map(Arc::new);
        }
        quick.clone()
    }

    fn object_too_large(&self, key: &str, limit: u64) -> Error {
        Error::new(
            ErrorKind::Service,
            format!(
                "get `{}`: it has more than {limit} bytes",
                self.object_uri(key)
            ),
            "",
        )
    }

    /// Reads an object of at most `limit` bytes; `None` where there is none.
    pub async fn get_object(&self, key: &str, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        self.get_object_version(key, None, limit).await
    }

    /// As [`Store::get`], for a version of the object that was overwritten, where one is named.
    pub async fn get_object_version(
        &self,
        key: &str,
        version: Option<&str>,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, Error> {
        let what = format!("get `{}`", self.object_uri(&versioned_key(key, version)));
        let answer = self.send_request(
            &what,
            version.map_or("s3:GetObject", |_| GET_VERSION_PERMISSION),
            |s3| {
                let get = s3
                    .get_object()
                    .bucket(&self.target.bucket)
                    .key(key)
                    .set_expected_bucket_owner(self.expected_owner());
                get.set_version_id(version.map(str::to_owned)).send()
            },
        );
        let object = match answer.await {
            Ok(object) => object,
            Err(fault) if ["NoSuchKey", "NoSuchVersion"].contains(&fault.code.as_str()) => {
                return Ok(None);
            }
            Err(fault) => return Err(fault),
        };
        let mut stream = object.body;
        let mut body = Vec::new();
        // Not by its stated length: whoever answers may state anything.
        while let Some(part) = stream.next().await {
            let part = part.map_err(|error| {
                Error::new(
                    ErrorKind::Network,
                    format!(
                        "{what}: {}",
                        crate::error::to_single_line(&error.to_string())
                    ),
                    "",
                )
            })?;
            body.extend_from_slice(&part);
            if body.len() as u64 > limit {
                return Err(self.object_too_large(key, limit));
            }
        }
        Ok(Some(body))
    }

    /// One page of a listing: the first, or the one that `token` asks for.
    pub async fn list_page(
        &self,
        listing: &ListRequest,
        token: Option<&str>,
    ) -> Result<ListPage, Error> {
        let what = format!("list `{}`", self.object_uri(&listing.prefix));
        let answer = self.send_request(&what, "s3:ListBucket", |s3| {
            s3.list_objects_v2()
                .bucket(&self.target.bucket)
                .prefix(&listing.prefix)
                .set_expected_bucket_owner(self.expected_owner())
                .set_start_after(
                    Some(listing.start_after.clone()).filter(|after| !after.is_empty()),
                )
                .set_delimiter(
                    Some(listing.delimiter.to_owned()).filter(|delimiter| !delimiter.is_empty()),
                )
                // XML cannot hold every character that a key can.
                .encoding_type(EncodingType::Url)
                .set_continuation_token(token.map(str::to_owned))
                .send()
        });
        answer.await.map(parse_list_page)
    }

    /// What tells this bucket from all others: its name, and where S3 is.
    #[must_use]
    pub fn bucket_identity(&self) -> String {
        format!(
            "{} {}",
            client::custom_endpoint(&self.session.config).unwrap_or_default(),
            self.target.bucket
        )
    }

    /// `s3://bucket/key`, as messages and outputs spell it.
    #[must_use]
    pub fn object_uri(&self, key: &str) -> String {
        s3_uri(&self.target.bucket, key)
    }

    /// Sends a request, and once more to the region that the bucket turns out to be in.
    pub(crate) async fn send_request<T, E, F>(
        &self,
        what: &str,
        permission: &str,
        request: impl Fn(Client) -> F,
    ) -> Result<T, Error>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let explained = |error| from_sdk_error(&error, &self.request_context(what, permission));
        let client = || self.client.lock().unwrap_or_else(PoisonError::into_inner);
        let now = client().clone();
        let here = now.config().region().cloned();
        let fault = match request(now).await {
            Ok(answer) => return Ok(answer),
            Err(error) => explained(error),
        };
        match &fault.bucket_region {
            Some(region)
                if matches!(fault.status, Some(301 | 307 | 400))
                    && here.as_ref().map(AsRef::as_ref) != Some(region) =>
            {
                let there = client::build_s3_client(&self.session.config, region);
                *client() = there.clone();
                request(there).await.map_err(explained)
            }
            _ => Err(fault),
        }
    }

    pub(crate) fn request_context<'a>(
        &'a self,
        what: &'a str,
        permission: &'a str,
    ) -> RequestContext<'a> {
        let BucketTarget { profile, owner, .. } = &self.target;
        RequestContext {
            action: what,
            permission,
            profile,
            expected_owner: owner,
            proxy: host::https_proxy(),
            now: host::utc_now(),
        }
    }

    pub(crate) fn expected_owner(&self) -> Option<String> {
        Some(self.target.owner.clone()).filter(|owner| !owner.is_empty())
    }
}

/// `s3://bucket/key`, as messages and outputs spell it.
#[must_use]
pub fn s3_uri(bucket: &str, key: &str) -> String {
    format!("s3://{bucket}/{key}")
}

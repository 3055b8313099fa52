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

pub use crate::answers::{Condition, Head, Identity, Receipt, Written};
use crate::earlier::TO_GET_VERSIONS;
use crate::fault::{Doing, Fault, Kind, explain};
use crate::listing::{Listing, Page, page, versioned};
use crate::quick::{Answer, Quick};
pub use crate::session::Patience;
use crate::session::Session;
use crate::{digest, host, session};

/// Where the bucket is and who asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Target {
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
pub struct Store {
    pub(crate) target: Target,
    pub(crate) session: Session,
    pub(crate) s3: Mutex<Client>,
    quick: tokio::sync::Mutex<Option<Arc<Quick>>>,
}

impl Store {
    /// Prepares the access; makes no request of its own, but may read the profile's files.
    pub async fn open(target: &Target, patience: Patience) -> Result<Self, Fault> {
        Ok(Self::of(target.clone(), session::load(&target.region, &target.profile, patience).await?))
    }

    pub(crate) fn of(target: Target, session: Session) -> Self {
        let s3 = Mutex::new(session::client(&session.config, &target.region));
        Self { target, session, s3, quick: tokio::sync::Mutex::default() }
    }

    /// Asks STS who we are.
    pub async fn identity(&self) -> Result<Identity, Fault> {
        let answer = aws_sdk_sts::Client::new(&self.session.config).get_caller_identity().send().await;
        let answer = answer.map_err(|error| explain(&error, &self.doing("ask STS who deploys", "sts:GetCallerIdentity")))?;
        let field = |value: Option<String>, name: &str| {
            value.ok_or_else(|| Fault::foreign(format!("ask STS who deploys: an answer without {name}")))
        };
        Ok(Identity {
            arn: field(answer.arn, "an ARN")?,
            user_id: field(answer.user_id, "a user id")?,
            account: field(answer.account, "an account")?,
        })
    }

    /// The metadata of an object; `None` where there is none.
    pub async fn head(&self, key: &str) -> Result<Option<Head>, Fault> {
        self.head_version(key, None).await
    }

    /// As [`Store::head`], for a version of the object that was overwritten, where one is named.
    pub async fn head_version(&self, key: &str, version: Option<&str>) -> Result<Option<Head>, Fault> {
        let what = format!("look at `{}`", self.uri(&versioned(key, version)));
        let answer = self.send(&what, version.map_or("s3:GetObject and s3:ListBucket", |_| TO_GET_VERSIONS), |s3| {
            let head = s3.head_object().bucket(&self.target.bucket).key(key).set_expected_bucket_owner(self.owner());
            head.set_version_id(version.map(str::to_owned)).checksum_mode(ChecksumMode::Enabled).send()
        });
        match answer.await {
            Ok(head) => Ok(Some(Head {
                metadata: head.metadata.unwrap_or_default(),
                etag: head.e_tag.unwrap_or_default(),
                size: head.content_length.and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
                sha256: head.checksum_sha256,
            })),
            // A HEAD has no body, so a missing key and a missing bucket answer alike.
            Err(fault) if fault.status == Some(404) && fault.kind != Kind::Bucket => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Writes an object with its SHA-256, which S3 checks before it answers.
    pub async fn put(
        &self,
        key: &str,
        body: &[u8],
        kind: &str,
        metadata: &HashMap<String, String>,
        condition: Condition,
    ) -> Result<Written, Fault> {
        self.put_and_answer(key, body, kind, metadata, condition).await.map(|(written, _)| written)
    }

    /// As [`Store::put`], and gives S3's answer where something was written.
    pub(crate) async fn put_and_answer(
        &self,
        key: &str,
        body: &[u8],
        kind: &str,
        metadata: &HashMap<String, String>,
        condition: Condition,
    ) -> Result<(Written, Option<PutObjectOutput>), Fault> {
        let what = format!("put `{}`", self.uri(key));
        let checksum = digest::sha256_base64(body);
        let answer = self.send(&what, "s3:PutObject", |s3| {
            let put = s3
                .put_object()
                .bucket(&self.target.bucket)
                .key(key)
                .set_expected_bucket_owner(self.owner())
                .content_type(kind)
                .set_metadata(Some(metadata.clone()))
                .checksum_sha256(&checksum)
                // Named, too: a bucket with Object Lock asks for that.
                .checksum_algorithm(ChecksumAlgorithm::Sha256)
                .body(ByteStream::from(body.to_vec()));
            match &condition {
                Condition::None => put,
                Condition::Absent => put.if_none_match("*"),
                Condition::Matches(etag) => put.if_match(etag),
            }
            .send()
        });
        match answer.await {
            Ok(answer) => {
                // A 200 without an ETag is somebody else's: a captive portal says 200 to everything.
                let etag = answer.e_tag().ok_or_else(|| Fault::foreign(format!("{what}: an answer that is not S3's")))?;
                let receipt = Receipt { etag: etag.to_owned(), states_sum: answer.checksum_sha256() == Some(&checksum) };
                Ok((Written::Yes(receipt), Some(answer)))
            }
            Err(fault) if fault.status == Some(412) => Ok((Written::ConditionFailed, None)),
            // What shall be written over is not there.
            Err(fault) if fault.code == "NoSuchKey" && matches!(condition, Condition::Matches(_)) => Ok((Written::ConditionFailed, None)),
            Err(fault) => Err(fault),
        }
    }

    /// As [`Store::get`], for one of very many objects.
    pub async fn get_quickly(&self, key: &str, limit: u64) -> Result<Option<Vec<u8>>, Fault> {
        let answer = match self.quick().await {
            Some(quick) => quick.get(key, limit).await,
            None => Answer::Other,
        };
        match answer {
            Answer::Object(body) => Ok(Some(body)),
            Answer::TooLarge => Err(self.too_large(key, limit)),
            Answer::Gone => Ok(None),
            Answer::Busy => {
                let text = format!("get `{}`: HTTP 503, SlowDown", self.uri(key));
                Err(Fault { status: Some(503), ..Fault::new(Kind::Service, text, "") })
            }
            Answer::Other => self.get(key, limit).await,
        }
    }

    async fn quick(&self) -> Option<Arc<Quick>> {
        let mut quick = self.quick.lock().await;
        if !quick.as_ref().is_some_and(|quick| quick.is_fresh()) {
            let client = self.s3.lock().unwrap_or_else(PoisonError::into_inner).clone();
            *quick = Quick::open(&self.session, &client, &self.target.bucket).await.map(Arc::new);
        }
        quick.clone()
    }

    fn too_large(&self, key: &str, limit: u64) -> Fault {
        Fault::new(Kind::Service, format!("get `{}`: it has more than {limit} bytes", self.uri(key)), "")
    }

    /// Reads an object of at most `limit` bytes; `None` where there is none.
    pub async fn get(&self, key: &str, limit: u64) -> Result<Option<Vec<u8>>, Fault> {
        self.get_version(key, None, limit).await
    }

    /// As [`Store::get`], for a version of the object that was overwritten, where one is named.
    pub async fn get_version(&self, key: &str, version: Option<&str>, limit: u64) -> Result<Option<Vec<u8>>, Fault> {
        let what = format!("get `{}`", self.uri(&versioned(key, version)));
        let answer = self.send(&what, version.map_or("s3:GetObject", |_| TO_GET_VERSIONS), |s3| {
            let get = s3.get_object().bucket(&self.target.bucket).key(key).set_expected_bucket_owner(self.owner());
            get.set_version_id(version.map(str::to_owned)).send()
        });
        let object = match answer.await {
            Ok(object) => object,
            Err(fault) if ["NoSuchKey", "NoSuchVersion"].contains(&fault.code.as_str()) => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let mut stream = object.body;
        let mut body = Vec::new();
        // Not by its stated length: whoever answers may state anything.
        while let Some(part) = stream.next().await {
            let part =
                part.map_err(|error| Fault::new(Kind::Network, format!("{what}: {}", crate::fault::one_line(&error.to_string())), ""))?;
            body.extend_from_slice(&part);
            if body.len() as u64 > limit {
                return Err(self.too_large(key, limit));
            }
        }
        Ok(Some(body))
    }

    /// One page of a listing: the first, or the one that `token` asks for.
    pub async fn list(&self, listing: &Listing, token: Option<&str>) -> Result<Page, Fault> {
        let what = format!("list `{}`", self.uri(&listing.prefix));
        let answer = self.send(&what, "s3:ListBucket", |s3| {
            s3.list_objects_v2()
                .bucket(&self.target.bucket)
                .prefix(&listing.prefix)
                .set_expected_bucket_owner(self.owner())
                .set_start_after(Some(listing.after.clone()).filter(|after| !after.is_empty()))
                .set_delimiter(Some(listing.delimiter.to_owned()).filter(|delimiter| !delimiter.is_empty()))
                // XML cannot hold every character that a key can.
                .encoding_type(EncodingType::Url)
                .set_continuation_token(token.map(str::to_owned))
                .send()
        });
        answer.await.map(page)
    }

    /// What tells this bucket from all others: its name, and where S3 is.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{} {}", session::own_endpoint(&self.session.config).unwrap_or_default(), self.target.bucket)
    }

    /// `s3://bucket/key`, as messages and outputs spell it.
    #[must_use]
    pub fn uri(&self, key: &str) -> String {
        uri(&self.target.bucket, key)
    }

    /// Sends a request, and once more to the region that the bucket turns out to be in.
    pub(crate) async fn send<T, E, F>(&self, what: &str, permission: &str, request: impl Fn(Client) -> F) -> Result<T, Fault>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let explained = |error| explain(&error, &self.doing(what, permission));
        let client = || self.s3.lock().unwrap_or_else(PoisonError::into_inner);
        let now = client().clone();
        let here = now.config().region().cloned();
        let fault = match request(now).await {
            Ok(answer) => return Ok(answer),
            Err(error) => explained(error),
        };
        match &fault.region {
            Some(region) if matches!(fault.status, Some(301 | 307 | 400)) && here.as_ref().map(AsRef::as_ref) != Some(region) => {
                let there = session::client(&self.session.config, region);
                *client() = there.clone();
                request(there).await.map_err(explained)
            }
            _ => Err(fault),
        }
    }

    pub(crate) fn doing<'a>(&'a self, what: &'a str, permission: &'a str) -> Doing<'a> {
        let Target { profile, owner, .. } = &self.target;
        Doing { what, permission, profile, owner, proxy: host::proxy(), now: host::now() }
    }

    pub(crate) fn owner(&self) -> Option<String> {
        Some(self.target.owner.clone()).filter(|owner| !owner.is_empty())
    }
}

/// `s3://bucket/key`, as messages and outputs spell it.
#[must_use]
pub fn uri(bucket: &str, key: &str) -> String {
    format!("s3://{bucket}/{key}")
}

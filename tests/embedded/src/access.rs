//! Who may do what: access keys and secrets for the signature, then service, region and the deny list, in the order S3 checks them.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{Credentials, S3Auth, SecretKey};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};
use serde::Deserialize;

use crate::request::Trace;
use crate::store::Store;

/// The header that tells a client where a bucket is.
const BUCKET_REGION: &str = "x-amz-bucket-region";

/// The header by which a client says whose bucket it means.
const EXPECTED_OWNER: &str = "x-amz-expected-bucket-owner";
/// Whose all buckets are: the account of AWS's documentation.
const OWNER: &str = "123456789012";

/// Somebody who may sign requests.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The access key id, `AKIA...`.
    pub access_key: String,
    /// The secret the signature is made with.
    pub secret_key: String,
    /// What `GetCallerIdentity` answers as `Arn`.
    pub arn: String,
    /// What `GetCallerIdentity` answers as `UserId`.
    pub user_id: String,
    /// What `GetCallerIdentity` answers as `Account`, twelve digits.
    pub account: String,
    /// The S3 operations that answer 403 `AccessDenied`, by their API name (`PutObject`); `*` is every one. As on AWS, who may not
    /// list a bucket (`ListObjectsV2` or `*`) gets 403 instead of 404 for a key that does not exist.
    #[serde(default)]
    pub deny: Vec<String>,
}

/// The identities by access key.
#[derive(Clone)]
pub(crate) struct Identities(Arc<BTreeMap<String, Identity>>);

impl Identities {
    /// Fails if two identities share an access key.
    pub(crate) fn new(identities: Vec<Identity>) -> io::Result<Identities> {
        let mut by_key = BTreeMap::new();
        for identity in identities {
            if let Some(twin) = by_key.insert(identity.access_key.clone(), identity) {
                let message = format!("two identities have the access key `{}`", twin.access_key);
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
        }
        Ok(Identities(Arc::new(by_key)))
    }

    /// The identity that signed, for credentials s3s has verified.
    pub(crate) fn signer(&self, credentials: Option<&Credentials>) -> S3Result<&Identity> {
        credentials.and_then(|credentials| self.0.get(&credentials.access_key)).ok_or_else(|| s3_error!(AccessDenied, "Access Denied"))
    }
}

impl Identity {
    fn denies(&self, operation: &str) -> bool {
        self.deny.iter().any(|denied| denied == operation || denied == "*")
    }

    /// S3's answer for a missing key: that it is missing is told only to those who may list.
    pub(crate) fn missing(&self, bucket: &str) -> S3Error {
        if self.denies("ListObjectsV2") {
            self.denied("ListObjectsV2", bucket)
        } else {
            s3_error!(NoSuchKey, "The specified key does not exist.")
        }
    }

    fn denied(&self, operation: &str, resource: &str) -> S3Error {
        let action = action(operation);
        s3_error!(
            AccessDenied,
            "User: {} is not authorized to perform: s3:{action} on resource: \"arn:aws:s3:::{resource}\" with an explicit deny in an identity-based policy",
            self.arn
        )
    }
}

#[async_trait::async_trait]
impl S3Auth for Identities {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let identity = self
            .0
            .get(access_key)
            .ok_or_else(|| s3_error!(InvalidAccessKeyId, "The AWS Access Key Id you provided does not exist in our records."))?;
        Ok(identity.secret_key.as_str().into())
    }
}

/// Lets a verified request through to the operation, or not.
pub(crate) struct Gate {
    pub(crate) identities: Identities,
    pub(crate) store: Arc<Store>,
}

#[async_trait::async_trait]
impl S3Access for Gate {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let operation = context.s3_op().name().to_owned();
        let identity = self.identities.signer(context.credentials())?;
        let trace = context.extensions_mut().get::<Arc<Trace>>().cloned().unwrap_or_default();
        // The log falls back on the request line only where this was not reached.
        let _ = trace.resolved.set(operation.clone());
        if trace.scope.service != "s3" {
            return Err(s3_error!(
                AuthorizationHeaderMalformed,
                "The authorization header is malformed; incorrect service \"{}\". This endpoint belongs to \"s3\".",
                trace.scope.service
            ));
        }
        let bucket = context.s3_path().get_bucket_name().unwrap_or_default();
        if let Some(region) = self.store.region(bucket).filter(|region| *region != trace.scope.region) {
            return Err(elsewhere(&region));
        }
        // AWS says no more, lest somebody learn whose a bucket is.
        if context.headers().get(EXPECTED_OWNER).is_some_and(|owner| owner != OWNER) {
            return Err(s3_error!(AccessDenied, "Access Denied"));
        }
        if identity.denies(&operation) {
            let key = context.s3_path().get_object_key().map_or(String::new(), |key| format!("/{key}"));
            return Err(identity.denied(&operation, &format!("{bucket}{key}")));
        }
        Ok(())
    }
}

/// The redirect without a location that S3 sends for a bucket of another region.
fn elsewhere(region: &str) -> S3Error {
    let mut error = S3Error::with_message(
        S3ErrorCode::PermanentRedirect,
        "The bucket you are attempting to access must be addressed using the specified endpoint. \
         Please send all future requests to this endpoint.",
    );
    if let Ok(value) = HeaderValue::from_str(region) {
        error.set_headers(HeaderMap::from_iter([(http::HeaderName::from_static(BUCKET_REGION), value)]));
    }
    error
}

/// The IAM action an operation needs, where it has another name.
fn action(operation: &str) -> &str {
    match operation {
        "HeadObject" => "GetObject",
        "CopyObject" => "PutObject",
        "DeleteObjects" => "DeleteObject",
        "HeadBucket" | "ListObjects" | "ListObjectsV2" => "ListBucket",
        "ListObjectVersions" => "ListBucketVersions",
        "ListBuckets" => "ListAllMyBuckets",
        other => other,
    }
}

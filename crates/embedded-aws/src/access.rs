//! Who may do what: access keys and secrets for the signature, then service, region and the deny list, in the order S3 checks them.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use http::{HeaderMap, HeaderValue};
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{Credentials, S3Auth, SecretKey};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};
use serde::Deserialize;

use crate::policies::{
    self, AccessPolicies, NOT_ALLOWED, ParsedPolicies, PolicyVerdict, RequestedAccess,
};
use crate::request::RequestTrace;
use crate::store::ObjectStore;

/// The header that tells a client where a bucket is.
const BUCKET_REGION: &str = "x-amz-bucket-region";

/// The header with the expected owner of the bucket.
const EXPECTED_OWNER: &str = "x-amz-expected-bucket-owner";
/// The owner of all buckets: the account of the AWS documentation.
pub(crate) const OWNER: &str = "123456789012";

/// An identity that may sign requests.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwsIdentity {
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
    /// The S3 operations that answer 403 `AccessDenied`, by their API name (`PutObject`); `*` means
    /// all. As on AWS, an identity that may not list a bucket (`ListObjectsV2` or `*`) gets 403
    /// instead of 404 for a missing key.
    #[serde(default)]
    pub deny: Vec<String>,
}

/// The identities by access key, and the current policies.
#[derive(Clone)]
pub(crate) struct IdentityTable {
    by_key: Arc<BTreeMap<String, AwsIdentity>>,
    rules: Arc<RwLock<ParsedPolicies>>,
}

impl IdentityTable {
    /// Fails if two identities share an access key.
    pub(crate) fn new(identities: Vec<AwsIdentity>) -> io::Result<IdentityTable> {
        let mut by_key = BTreeMap::new();
        for identity in identities {
            if let Some(twin) = by_key.insert(identity.access_key.clone(), identity) {
                let message = format!("two identities have the access key `{}`", twin.access_key);
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
        }
        Ok(IdentityTable {
            by_key: Arc::new(by_key),
            rules: Arc::default(),
        })
    }

    /// The identity that signed, for credentials s3s has verified.
    pub(crate) fn identity_of_signer(
        &self,
        credentials: Option<&Credentials>,
    ) -> S3Result<&AwsIdentity> {
        credentials
            .and_then(|credentials| self.by_key.get(&credentials.access_key))
            .ok_or_else(|| s3_error!(AccessDenied, "Access Denied"))
    }

    /// Replaces the policies.
    pub(crate) fn govern(&self, policies: &AccessPolicies) -> io::Result<()> {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = policies.parse()?;
        Ok(())
    }

    /// Refuses what the policies do not allow.
    pub(crate) fn check_permission(
        &self,
        identity: &AwsIdentity,
        asked: &RequestedAccess,
    ) -> S3Result<()> {
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        match rules.judge(&identity.access_key, &identity.arn, asked) {
            Ok(PolicyVerdict::Allowed) => Ok(()),
            Ok(PolicyVerdict::Denied(why)) => {
                Err(identity.access_denied_error(&asked.action, &asked.resource, why))
            }
            Err(error) => Err(s3_error!(InternalError, "{error}")),
        }
    }

    /// The answer for a missing key: only an identity that may list learns that it is missing.
    pub(crate) fn missing_key_error(
        &self,
        identity: &AwsIdentity,
        bucket: &str,
        key: &str,
    ) -> S3Error {
        if identity.denies("ListObjectsV2") {
            return identity.access_denied_error("s3:ListBucket", bucket, NOT_ALLOWED);
        }
        let missing = || s3_error!(NoSuchKey, "The specified key does not exist.");
        self.check_permission(identity, &policies::to_know_of_absence(bucket, key))
            .err()
            .unwrap_or_else(missing)
    }
}

impl AwsIdentity {
    fn denies(&self, operation: &str) -> bool {
        self.deny
            .iter()
            .any(|denied| denied == operation || denied == "*")
    }

    fn access_denied_error(&self, action: &str, resource: &str, why: &str) -> S3Error {
        s3_error!(
            AccessDenied,
            "User: {} is not authorized to perform: {action} on resource: \"arn:aws:s3:::{resource}\" {why}",
            self.arn
        )
    }
}

#[async_trait::async_trait]
impl S3Auth for IdentityTable {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let identity = self.by_key.get(access_key).ok_or_else(|| {
            s3_error!(
                InvalidAccessKeyId,
                "The AWS Access Key Id you provided does not exist in our records."
            )
        })?;
        Ok(identity.secret_key.as_str().into())
    }
}

/// Permits or denies verified requests.
pub(crate) struct AccessGate {
    pub(crate) identities: IdentityTable,
    pub(crate) store: Arc<ObjectStore>,
}

#[async_trait::async_trait]
impl S3Access for AccessGate {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let operation = context.s3_op().name().to_owned();
        let identity = self.identities.identity_of_signer(context.credentials())?;
        let trace = context
            .extensions_mut()
            .get::<Arc<RequestTrace>>()
            .cloned()
            .unwrap_or_default();
        // Requests that do not reach this are logged by their request line.
        let _ = trace.resolved.set(operation.clone());
        if trace.scope.service != "s3" {
            return Err(s3_error!(
                AuthorizationHeaderMalformed,
                "The authorization header is malformed; incorrect service \"{}\". This endpoint belongs to \"s3\".",
                trace.scope.service
            ));
        }
        let bucket = context.s3_path().get_bucket_name().unwrap_or_default();
        if let Some(region) = self
            .store
            .region(bucket)
            .filter(|region| *region != trace.scope.region)
        {
            return Err(redirect_error(&region));
        }
        // AWS gives no details, so that the owner of a bucket stays unknown.
        if context
            .headers()
            .get(EXPECTED_OWNER)
            .is_some_and(|owner| owner != OWNER)
        {
            return Err(s3_error!(AccessDenied, "Access Denied"));
        }
        if identity.denies(&operation) {
            let key = context
                .s3_path()
                .get_object_key()
                .map_or(String::new(), |key| format!("/{key}"));
            return Err(identity.access_denied_error(
                &format!("s3:{}", iam_action(&operation)),
                &format!("{bucket}{key}"),
                NOT_ALLOWED,
            ));
        }
        let key = context.s3_path().get_object_key().unwrap_or_default();
        // Each object of a DeleteObjects needs its own permission.
        if operation == "DeleteObjects" {
            return Ok(());
        }
        self.identities.check_permission(
            identity,
            &policies::requested_access(
                &operation,
                bucket,
                key,
                context.uri().query().unwrap_or_default(),
                context.headers(),
            ),
        )
    }
}

/// The redirect of S3 for a bucket of another region, without a location.
fn redirect_error(region: &str) -> S3Error {
    let mut error = S3Error::with_message(
        S3ErrorCode::PermanentRedirect,
        "The bucket you are attempting to access must be addressed using the specified endpoint. \
         Please send all future requests to this endpoint.",
    );
    if let Ok(value) = HeaderValue::from_str(region) {
        error.set_headers(HeaderMap::from_iter([(
            http::HeaderName::from_static(BUCKET_REGION),
            value,
        )]));
    }
    error
}

/// The IAM action an operation needs, where it has another name.
fn iam_action(operation: &str) -> &str {
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

//! The requests to one bucket, and to STS.

use std::future::Future;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use aws_config::{Region, SdkConfig};
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{ChecksumMode, EncodingType};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use futures_util::FutureExt as _;

use crate::error::{CHECK_SERVER_HINT, Error, ErrorKind};
use crate::s3::aws_files::profile_chain::FileAccessKey;
pub use crate::s3::client::RequestTimeouts;
use crate::s3::client::{
    SdkSession, build_s3_client, custom_endpoint, find_bucket_url, find_sts_url, load_sdk_session,
};
use crate::s3::credentials_id::CredentialsId;
pub use crate::s3::encryption::ObjectEncryption;
use crate::s3::error::{RequestContext, from_sdk_error};
use crate::s3::fast_get::FastGetClient;
use crate::s3::list_answer::{EntryCounter, ListAnswerError};
use crate::s3::listing::{
    ListPage, ListRequest, parse_list_page, to_size, to_utc_time, versioned_key,
};
use crate::s3::proxy::{ProxyRoute, ProxySettings};
use crate::s3::retry::ThrottlingRetry;
pub use crate::s3::target::{BucketTarget, s3_uri};
pub use crate::s3::types::{CallerIdentity, ObjectHead, PutCondition, PutOutcome, PutReceipt};
use crate::system::clock::utc_now;
use crate::system::env::{has_env_access_key, has_env_credentials};

/// S3 answers 403 instead of 404 without the permission to list.
const HEAD_PERMISSION: &str = "s3:GetObject and s3:ListBucket";
pub(super) const GET_VERSION_PERMISSION: &str = "s3:GetObjectVersion";

/// A bucket and the credentials for it.
#[derive(Debug)]
pub struct ObjectStore {
    pub(crate) target: BucketTarget,
    pub(crate) session: SdkSession,
    client: Mutex<Client>,
    pub(super) fast_client: tokio::sync::Mutex<Option<Arc<FastGetClient>>>,
    /// Whether the server has refused a conditional write as something that it cannot do.
    pub(super) lacks_conditional_writes: AtomicBool,
    /// The encryption that PUTs need here although none is set.
    pub(super) demanded_encryption: OnceLock<ObjectEncryption>,
    /// Until when requests are sent again while the server is throttled.
    throttling_deadline: Option<Instant>,
}

impl ObjectStore {
    /// Reads the profile's files, but sends no request.
    pub async fn open(target: &BucketTarget, timeouts: RequestTimeouts) -> Result<Self, Error> {
        let session = load_sdk_session(&target.region, &target.profile, timeouts).await?;
        Ok(Self::from_session(target.clone(), session))
    }

    pub(crate) fn from_session(target: BucketTarget, session: SdkSession) -> Self {
        let client = build_s3_client(&session.config, &target.region);
        Self {
            target,
            session,
            client: Mutex::new(client),
            fast_client: tokio::sync::Mutex::default(),
            lacks_conditional_writes: AtomicBool::new(false),
            demanded_encryption: OnceLock::new(),
            throttling_deadline: None,
        }
    }

    /// Sends requests again while the server is throttled, in at most this time. Other commands
    /// wait at a higher level, where they also send fewer requests at once.
    #[must_use]
    pub(crate) fn with_throttling_patience(self, time_limit: Duration) -> Self {
        Self {
            throttling_deadline: Some(Instant::now() + time_limit),
            ..self
        }
    }

    /// The lines of the AWS files that other tools read otherwise, one clause for each.
    #[must_use]
    pub fn aws_file_notes(&self) -> Vec<String> {
        self.session.profile.describe_notes()
    }

    /// The credentials of the requests so far; `None` if none could be loaded.
    #[must_use]
    pub fn credentials_id(&self) -> Option<CredentialsId> {
        self.session.credentials_id.get()
    }

    /// The credentials, if they are an access key that stands on this machine.
    #[must_use]
    pub fn local_credentials_id(&self) -> Option<CredentialsId> {
        if !self.needs_only_access_key() || self.session.profile.has_roles() {
            return None;
        }
        let provider = self.session.config.credentials_provider()?;
        // An access key that has to be fetched is not ready at once.
        provider.provide_credentials().now_or_never()?.ok()?;
        self.credentials_id()
    }

    /// Whether the credentials are an access key, or roles assumed with one, so that no program, no
    /// person and no cached login has a part in a request.
    #[must_use]
    pub fn needs_only_access_key(&self) -> bool {
        let profile = &self.session.profile;
        match profile.provides_credentials(has_env_credentials()) {
            Ok(true) => profile.access_key == FileAccessKey::Only && !profile.has_mfa_serial,
            Ok(false) => has_env_access_key(),
            Err(_) => false,
        }
    }

    /// Who the credentials belong to.
    ///
    /// STS is asked in the region of the user, and in that of the bucket if the former cannot be
    /// reached: a private network may have an endpoint in one region only.
    pub async fn get_caller_identity(&self) -> Result<CallerIdentity, Error> {
        let answer = self.ask_sts(&self.session.config).await;
        let region = Region::new(self.target.region.clone());
        let is_asked_there = self.session.config.region() == Some(&region);
        match answer {
            Err(error) if error.kind == ErrorKind::Network && !is_asked_there => {
                let config = self.session.config.to_builder().region(region).build();
                // The first error names the region that should work.
                self.ask_sts(&config).await.map_err(|_| error)
            }
            answer => answer,
        }
    }

    async fn ask_sts(&self, config: &SdkConfig) -> Result<CallerIdentity, Error> {
        // Only for an error, because it looks for the proxy.
        let context = || RequestContext {
            proxy: find_proxy(find_sts_url(config)),
            ..self.request_context("ask STS who deploys", "sts:GetCallerIdentity")
        };
        let sts = aws_sdk_sts::Client::new(config);
        let answer = match sts.get_caller_identity().send().await {
            Ok(answer) => answer,
            Err(error) => return Err(from_sdk_error(&error, &context())),
        };
        let (Some(arn), Some(user_id), Some(account)) =
            (answer.arn, answer.user_id, answer.account)
        else {
            return Err(context().unexpected_response("the answer is not from STS"));
        };
        Ok(CallerIdentity {
            arn,
            user_id,
            account,
        })
    }

    /// `None` if the object does not exist.
    pub async fn head_object(&self, key: &str) -> Result<Option<ObjectHead>, Error> {
        self.head_object_version(key, None).await
    }

    /// The current version, or the noncurrent `version`.
    pub async fn head_object_version(
        &self,
        key: &str,
        version: Option<&str>,
    ) -> Result<Option<ObjectHead>, Error> {
        let uri = self.object_uri(&versioned_key(key, version));
        let action = format!("read the metadata of `{uri}`");
        let permission = match version {
            Some(_) => GET_VERSION_PERMISSION,
            None => HEAD_PERMISSION,
        };
        let answer = self.send_request(&action, permission, |s3| {
            s3.head_object()
                .bucket(&self.target.bucket)
                .key(key)
                .set_version_id(version.map(str::to_owned))
                .set_expected_bucket_owner(self.expected_owner())
                .checksum_mode(ChecksumMode::Enabled)
                .send()
        });
        match answer.await {
            Ok(head) => Ok(Some(ObjectHead {
                metadata: head.metadata.unwrap_or_default(),
                etag: head.e_tag.unwrap_or_default(),
                last_modified: head.last_modified.map(|time| to_utc_time(Some(&time))),
                size: to_size(head.content_length),
                sha256: head.checksum_sha256,
            })),
            // The answer has no body, so a missing key and a missing bucket look alike.
            Err(error) if error.status == Some(404) && error.kind != ErrorKind::Bucket => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The first page of a listing, or the one that `token` requests.
    pub async fn list_page(
        &self,
        request: &ListRequest,
        token: Option<&str>,
    ) -> Result<ListPage, Error> {
        let none_if_empty = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let action = format!("list `{}`", self.object_uri(&request.prefix));
        let counter = EntryCounter::default();
        let answer = self.send_request(&action, "s3:ListBucket", |s3| {
            s3.list_objects_v2()
                .bucket(&self.target.bucket)
                .prefix(&request.prefix)
                .set_expected_bucket_owner(self.expected_owner())
                .set_start_after(none_if_empty(&request.start_after))
                .set_delimiter(none_if_empty(request.delimiter))
                // XML cannot hold every character that a key can.
                .encoding_type(EncodingType::Url)
                .set_continuation_token(token.map(str::to_owned))
                .customize()
                .interceptor(counter.clone())
                .send()
        });
        let answer = answer.await?;
        let counts = counter.counts();
        let page = counts.and_then(|counts| parse_list_page(answer, counts, request));
        page.map_err(|cause| self.listing_error(&request.prefix, &cause))
    }

    /// A listing of which nothing can be used, because what it does not have may exist.
    pub(crate) fn listing_error(&self, prefix: &str, cause: &ListAnswerError) -> Error {
        let uri = self.object_uri(prefix);
        let message = format!("cannot list `{uri}`: {cause}");
        Error::new(ErrorKind::Network, message, CHECK_SERVER_HINT)
    }

    /// Distinguishes this bucket from all others: its name, and S3's address.
    #[must_use]
    pub fn bucket_identity(&self) -> String {
        let endpoint = custom_endpoint(&self.session.config).unwrap_or_default();
        format!("{endpoint} {}", self.target.bucket)
    }

    /// The URL that requests for objects begin with. It can have a user name and a password.
    pub(crate) fn bucket_url(&self) -> Option<String> {
        let (config, region) = (&self.session.config, self.bucket_region());
        find_bucket_url(config, &self.target.bucket, &region)
    }

    /// The bucket's region, as far as S3's answers have named it.
    #[must_use]
    pub fn bucket_region(&self) -> String {
        match self.lock_client().config().region() {
            Some(region) => region.to_string(),
            None => String::new(),
        }
    }

    /// `s3://bucket/key`, as messages and outputs spell it.
    #[must_use]
    pub fn object_uri(&self, key: &str) -> String {
        s3_uri(&self.target.bucket, key)
    }

    /// Sends a request, and again if S3 answers that the bucket is in another region. See
    /// [`ObjectStore::with_throttling_patience`], too.
    pub(crate) async fn send_request<T, E, F>(
        &self,
        action: &str,
        permission: &str,
        request: impl Fn(Client) -> F,
    ) -> Result<T, Error>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let mut throttling = ThrottlingRetry::until(self.throttling_deadline);
        loop {
            // Boxed, because the futures of all commands contain this one.
            match Box::pin(self.send_following_region(action, permission, &request)).await {
                Err(error) if error.is_throttled() => throttling.wait_after(error).await?,
                answer => return answer,
            }
        }
    }

    async fn send_following_region<T, E, F>(
        &self,
        action: &str,
        permission: &str,
        request: &impl Fn(Client) -> F,
    ) -> Result<T, Error>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let explain = |error| from_sdk_error(&error, &self.request_context(action, permission));
        let client = self.lock_client().clone();
        let tried_region = client.config().region().cloned();
        let error = match request(client).await {
            Ok(answer) => return Ok(answer),
            Err(error) => explain(error),
        };

        let Some(region) = redirect_region(&error) else {
            return Err(error);
        };
        if tried_region.is_some_and(|tried| tried.as_ref() == region) {
            return Err(error);
        }
        let client = build_s3_client(&self.session.config, region);
        *self.lock_client() = client.clone();
        request(client).await.map_err(explain)
    }

    pub(super) fn lock_client(&self) -> MutexGuard<'_, Client> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn request_context<'a>(
        &'a self,
        action: &'a str,
        permission: &'a str,
    ) -> RequestContext<'a> {
        RequestContext {
            action,
            permission,
            profile: &self.session.profile,
            expected_owner: &self.target.owner,
            proxy: find_proxy(self.bucket_url()),
            now: utc_now(),
        }
    }

    pub(crate) fn expected_owner(&self) -> Option<String> {
        let owner = &self.target.owner;
        (!owner.is_empty()).then(|| owner.clone())
    }
}

/// The proxy for requests to this URL, without its password.
fn find_proxy(url: Option<String>) -> Option<String> {
    match ProxySettings::from_env().find_route(&url?) {
        Ok(ProxyRoute::Through(proxy)) => Some(proxy.to_string()),
        _ => None,
    }
}

/// An answer with a good status that S3 would not give.
pub(crate) fn unexpected_s3_response(action: &str) -> Error {
    Error::unexpected_response(format!("cannot {action}: the answer is not from S3"))
}

/// The region to which S3 redirects the request.
fn redirect_region(error: &Error) -> Option<&str> {
    match error.status {
        Some(301 | 307 | 400) => error.bucket_region.as_deref(),
        _ => None,
    }
}

//! GET requests for many small objects, at a sixth of the SDK's CPU time, on the same connector.
//!
//! It understands successful answers, missing objects and throttling. For everything else the
//! caller repeats the request with the SDK, which follows regions, renews credentials and
//! explains errors. The SDK also supplies the bucket's address.

use std::time::{Duration, SystemTime};

use aws_credential_types::provider::ProvideCredentials as _;
use aws_sdk_s3::Client;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::http::HttpConnector as _;
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::s3::client::SdkSession;
use crate::s3::get::{BodyError, read_body};
use crate::s3::http_connector::RoutingConnector;
use crate::system::clock::system_time;

/// Signatures encode all characters of a path but these.
const PATH_ENCODE_SET: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');
/// Credentials that expire sooner are renewed.
const CREDENTIALS_RENEWAL_MARGIN: Duration = Duration::from_mins(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(20);
const MAX_ERROR_BYTES: u64 = 16 << 10;
const USER_AGENT: &str = concat!("config-backup/", env!("CARGO_PKG_VERSION"));

#[derive(Debug)]
pub(super) enum FastGetOutcome {
    Object(Vec<u8>),
    NotFound,
    TooLarge,
    /// 503 `SlowDown`.
    Throttled,
    /// Any other answer; the SDK will explain it.
    RetryWithSdk,
}

#[derive(Debug)]
pub(super) struct FastGetClient {
    connector: RoutingConnector,
    /// The address of the bucket's objects, up to their keys.
    base_url: String,
    region: String,
    identity: Identity,
    expires_at: Option<SystemTime>,
}

impl FastGetClient {
    /// Uses the credentials of `session` and the address that `client` has for the bucket.
    /// Returns `None` if either is unknown.
    pub(super) async fn open(session: &SdkSession, client: &Client, bucket: &str) -> Option<Self> {
        let provider = session.config.credentials_provider()?;
        let credentials = provider.provide_credentials().await.ok()?;
        let expires_at = credentials.expiry();
        Some(Self {
            connector: RoutingConnector::new(
                &session.tls_context,
                CONNECT_TIMEOUT,
                RESPONSE_TIMEOUT,
            ),
            base_url: find_base_url(client, bucket).await?,
            region: client.config().region()?.to_string(),
            identity: credentials.into(),
            expires_at,
        })
    }

    /// Whether the credentials remain valid for some time.
    pub(super) fn is_fresh(&self) -> bool {
        match self.expires_at {
            Some(expires_at) => system_time() + CREDENTIALS_RENEWAL_MARGIN < expires_at,
            None => true,
        }
    }

    /// Gets an object of at most `max_bytes`.
    pub(super) async fn get_object(&self, key: &str, max_bytes: u64) -> FastGetOutcome {
        let Some(request) = self.sign_get_request(key) else {
            return FastGetOutcome::RetryWithSdk;
        };
        let Ok(answer) = self.connector.call(request).await else {
            return FastGetOutcome::RetryWithSdk;
        };
        let status = answer.status().as_u16();
        // A captive portal answers 200 to every request, but without an ETag.
        let is_object = status == 200 && answer.headers().get("etag").is_some();

        let limit = if is_object {
            max_bytes
        } else {
            MAX_ERROR_BYTES
        };
        let mut body = Vec::new();
        let add = |part: &[u8]| body.extend_from_slice(part);
        match read_body(ByteStream::new(answer.into_body()), limit, add).await {
            Ok(()) => {}
            Err(BodyError::TooLarge) if is_object => return FastGetOutcome::TooLarge,
            Err(_) => return FastGetOutcome::RetryWithSdk,
        }

        match status {
            200 if is_object => FastGetOutcome::Object(body),
            404 if has_error_code(&body, "NoSuchKey") => FastGetOutcome::NotFound,
            503 if has_error_code(&body, "SlowDown") => FastGetOutcome::Throttled,
            _ => FastGetOutcome::RetryWithSdk,
        }
    }

    fn sign_get_request(&self, key: &str) -> Option<HttpRequest> {
        let path = utf8_percent_encode(key, PATH_ENCODE_SET);
        let address = format!("{}{path}", self.base_url);

        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let parameters = v4::SigningParams::builder()
            .identity(&self.identity)
            .region(&self.region)
            .name("s3")
            .time(system_time())
            .settings(settings)
            .build()
            .ok()?;

        let empty_body = SignableBody::Bytes(&[]);
        let no_headers = std::iter::empty();
        let signable =
            SignableRequest::new("GET", address.as_str(), no_headers, empty_body).ok()?;
        let (instructions, _) = sign(signable, &parameters.into()).ok()?.into_parts();
        let (signed_headers, _) = instructions.into_parts();

        let mut request = HttpRequest::new(SdkBody::empty());
        request.set_uri(address).ok()?;
        let headers = request.headers_mut();
        for header in signed_headers {
            let name = header.name().to_owned();
            headers.try_insert(name, header.value().to_owned()).ok()?;
        }
        headers.try_insert("user-agent", USER_AGENT).ok()?;
        Some(request)
    }
}

/// The SDK exposes addresses only in presigned requests, so one is made for the key `k`.
async fn find_base_url(client: &Client, bucket: &str) -> Option<String> {
    let expiry = PresigningConfig::expires_in(RESPONSE_TIMEOUT).ok()?;
    let request = client.get_object().bucket(bucket).key("k");
    let presigned = request.presigned(expiry).await.ok()?;
    let (address, _) = presigned.uri().split_once('?')?;
    address.strip_suffix('k').map(str::to_owned)
}

/// Whether an answer of S3 has this error code.
fn has_error_code(body: &[u8], code: &str) -> bool {
    let text = String::from_utf8_lossy(body);
    text.contains(&format!("<Code>{code}</Code>"))
}

//! GETs of many small objects, without what the SDK does for each request: a sixth of its work, on the same connector.
//!
//! Knows one answer, the object. Whatever else comes, the caller asks once more through the SDK, which follows regions,
//! renews credentials and explains what is wrong. Where the objects are, the SDK says as well.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sdk_s3::Client;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::http::HttpConnector as _;
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::s3::client::SdkSession;
use crate::s3::http_connector::build_connector;
use crate::system::host;

/// What stands in a path as it is, by the rules for signatures.
const PATH_ENCODE_SET: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');
/// Credentials that expire sooner than this are renewed.
const CREDENTIALS_RENEWAL_MARGIN: Duration = Duration::from_mins(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(20);

/// What a GET came to.
#[derive(Debug)]
pub enum FastGetOutcome {
    /// The object's bytes.
    Object(Vec<u8>),
    /// There is none.
    NotFound,
    /// It has more bytes than were asked for.
    TooLarge,
    /// The server has too much to do (503 `SlowDown`).
    Throttled,
    /// Something that the SDK will find out about.
    RetryWithSdk,
}

/// A bucket as it is reached at this moment.
#[derive(Debug)]
pub struct FastGetClient {
    connector: Connector,
    /// The address of the bucket's objects, up to their keys.
    base_url: String,
    region: String,
    identity: Identity,
    expires_at: Option<SystemTime>,
}

impl FastGetClient {
    /// Prepares the access with the credentials of `session`, to where `client` has the bucket; `None` where that is not plain.
    pub async fn open(session: &SdkSession, client: &Client, bucket: &str) -> Option<Self> {
        let credentials: Credentials = session
            .config
            .credentials_provider()?
            .provide_credentials()
            .await
            .ok()?;
        let signed = client
            .get_object()
            .bucket(bucket)
            .key("k")
            .presigned(PresigningConfig::expires_in(RESPONSE_TIMEOUT).ok()?)
            .await
            .ok()?;
        let base = signed
            .uri()
            .split_once('?')?
            .0
            .strip_suffix('k')?
            .to_owned();
        let connector = build_connector(&session.tls_context, CONNECT_TIMEOUT, RESPONSE_TIMEOUT);
        let region = client.config().region()?.to_string();
        let good_until = credentials.expiry();
        Some(Self {
            connector,
            base_url: base,
            region,
            identity: credentials.into(),
            expires_at: good_until,
        })
    }

    /// Whether its credentials are good for some time.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.expires_at
            .is_none_or(|until| host::system_time() + CREDENTIALS_RENEWAL_MARGIN < until)
    }

    /// Gets an object of at most `limit` bytes.
    pub async fn get_object(&self, key: &str, limit: u64) -> FastGetOutcome {
        let Some(request) = self.sign_get_request(key) else {
            return FastGetOutcome::RetryWithSdk;
        };
        let Ok(answer) = self.connector.call(request).await else {
            return FastGetOutcome::RetryWithSdk;
        };
        let status = answer.status().as_u16();
        // A captive portal says 200 to everything, but it knows no ETags.
        let is_object = status == 200 && answer.headers().get("etag").is_some();
        let mut stream = ByteStream::new(answer.into_body());
        let mut body = Vec::new();
        loop {
            match tokio::time::timeout(RESPONSE_TIMEOUT, stream.next()).await {
                Ok(Some(Ok(part))) => body.extend_from_slice(&part),
                Ok(None) => break,
                Ok(Some(Err(_))) | Err(_) => return FastGetOutcome::RetryWithSdk,
            }
            if body.len() as u64 > limit {
                return if is_object {
                    FastGetOutcome::TooLarge
                } else {
                    FastGetOutcome::RetryWithSdk
                };
            }
        }
        match status {
            200 if is_object => FastGetOutcome::Object(body),
            404 if has_error_code(&body, "NoSuchKey") => FastGetOutcome::NotFound,
            503 if has_error_code(&body, "SlowDown") => FastGetOutcome::Throttled,
            _ => FastGetOutcome::RetryWithSdk,
        }
    }

    /// A signed request.
    fn sign_get_request(&self, key: &str) -> Option<HttpRequest> {
        let address = format!(
            "{}{}",
            self.base_url,
            utf8_percent_encode(key, PATH_ENCODE_SET)
        );
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let parameters = v4::SigningParams::builder()
            .identity(&self.identity)
            .region(&self.region)
            .name("s3")
            .time(host::system_time())
            .settings(settings)
            .build()
            .ok()?;
        let signable = SignableRequest::new(
            "GET",
            address.as_str(),
            std::iter::empty(),
            SignableBody::Bytes(&[]),
        )
        .ok()?;
        let (headers, _) = sign(signable, &parameters.into())
            .ok()?
            .into_parts()
            .0
            .into_parts();
        let mut request = HttpRequest::new(SdkBody::empty());
        request.set_uri(address).ok()?;
        for header in headers {
            request
                .headers_mut()
                .try_insert(header.name().to_owned(), header.value().to_owned())
                .ok()?;
        }
        request
            .headers_mut()
            .try_insert(
                "user-agent",
                concat!("config-backup/", env!("CARGO_PKG_VERSION")),
            )
            .ok()?;
        Some(request)
    }
}

/// Whether an answer of S3 has this error code.
fn has_error_code(body: &[u8], code: &str) -> bool {
    String::from_utf8_lossy(body).contains(&format!("<Code>{code}</Code>"))
}

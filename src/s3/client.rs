//! The AWS SDK's settings. Everything but the credentials is set here, so that the environment
//! does not change it.
//!
//! Must not send a request.

use std::path::PathBuf;
use std::time::Duration;

use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::StalledStreamProtectionConfig;
use aws_smithy_http_client::tls::TlsContext;
use aws_smithy_runtime_api::client::http::{SharedHttpClient, SharedHttpConnector, http_client_fn};
use aws_types::service_config::ServiceConfigKey;
use futures_util::FutureExt as _;

use crate::error::Error;
use crate::s3::aws_files::profile_chain::AwsProfile;
use crate::s3::aws_files::profiles::AwsFiles;
use crate::s3::credentials_id::{ObservedCredentials, ObservedCredentialsId};
use crate::s3::http_connector::{RoutingConnector, load_tls_context};
use crate::s3::profile_credentials::{ProfileCredentials, sdk_files};
use crate::s3::retry::TransientStatusClassifier;
use crate::system::env::{env_var, environment_profiles, has_env_access_key, has_env_credentials};

const MAX_CONNECT_TIME: Duration = Duration::from_secs(3);

/// How long a request may take.
#[derive(Debug, Clone, Copy)]
pub struct RequestTimeouts {
    /// Includes all attempts.
    pub operation: Duration,
    pub attempt: Duration,
    pub max_attempts: u32,
}

impl RequestTimeouts {
    /// For requests with a body of up to `bytes`. A server that is silent for four seconds gets
    /// another attempt, but a large body may take longer on a slow line.
    #[must_use]
    pub fn for_body(bytes: usize, operation: Duration) -> Self {
        const MIN_BYTES_PER_SECOND: f64 = 128.0 * 1024.0;
        #[allow(clippy::cast_precision_loss)] // some bytes more or less
        let transfer_time = Duration::from_secs_f64(bytes as f64 / MIN_BYTES_PER_SECOND);
        let attempt = Duration::from_secs(4) + transfer_time;
        Self {
            operation,
            attempt: attempt.min(operation),
            max_attempts: 3,
        }
    }

    fn connect_timeout(&self) -> Duration {
        self.attempt.min(MAX_CONNECT_TIME)
    }

    fn to_timeout_config(self) -> TimeoutConfig {
        TimeoutConfig::builder()
            .connect_timeout(self.connect_timeout())
            .operation_attempt_timeout(self.attempt)
            .operation_timeout(self.operation)
            .build()
    }

    /// Sets all values, because the SDK panics if the environment names an unknown retry mode.
    fn to_retry_config(self) -> RetryConfig {
        RetryConfig::standard()
            .with_max_attempts(self.max_attempts)
            .with_initial_backoff(Duration::from_millis(200))
            .with_max_backoff(Duration::from_secs(1))
    }
}

/// The SDK with all its settings.
#[derive(Debug)]
pub(crate) struct SdkSession {
    pub(crate) config: SdkConfig,
    pub(crate) tls_context: TlsContext,
    pub(crate) profile: AwsProfile,
    pub(crate) credentials_id: ObservedCredentialsId,
    /// The certificates that are trusted in addition to the system's.
    pub(crate) ca_bundle: Option<PathBuf>,
}

/// An empty `profile_name` stands for the credentials of the environment.
///
/// # Errors
/// The profile is not defined and the environment has no credentials; its chain is broken; or the
/// certificates of `AWS_CA_BUNDLE` are invalid.
pub(crate) async fn load_sdk_session(
    bucket_region: &str,
    profile_name: &str,
    timeouts: RequestTimeouts,
) -> Result<SdkSession, Error> {
    let files = AwsFiles::read();
    let profile = AwsProfile::find(&files, profile_name, &environment_profiles());
    let uses_profile = profile.provides_credentials(has_env_credentials())?;
    let ca_bundle = find_ca_bundle(&profile);
    let tls_context = load_tls_context(ca_bundle.as_deref())?;
    let http_client = build_http_client(&tls_context, timeouts);
    let region = Region::new(sts_region(&profile, bucket_region));
    let profile_files = sdk_files(profile.to_sdk_text(&files));

    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(region.clone())
        .http_client(http_client.clone())
        .profile_files(profile_files.clone())
        .profile_name(profile.sdk_name())
        .timeout_config(timeouts.to_timeout_config())
        .retry_config(timeouts.to_retry_config())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    if let Ok(name) = AppName::new(concat!("config-backup-", env!("CARGO_PKG_VERSION"))) {
        loader = loader.app_name(name);
    }
    let settings = ProviderConfig::default()
        .with_region(Some(region))
        .with_http_client(http_client)
        .with_timeout_config(timeouts.to_timeout_config())
        .with_retry_config(timeouts.to_retry_config());
    if !uses_profile && env_var("AWS_WEB_IDENTITY_TOKEN_FILE").is_some() && !has_env_access_key() {
        // It precedes the default profile in other tools, but not in the SDK for Rust.
        let provider = WebIdentityTokenCredentialsProvider::builder();
        loader = loader.credentials_provider(provider.configure(&settings).build());
    }

    let mut config = loader.load().await;
    if uses_profile {
        // A named profile overrides the environment's credentials, as in Terraform's provider.
        let provider = ProfileCredentials {
            files,
            profile: profile.clone(),
            profile_files,
            settings,
            sts_config: config.clone(),
            max_identity_time: timeouts.operation / 2,
        };
        let provider = SharedCredentialsProvider::new(provider);
        config = config.to_builder().credentials_provider(provider).build();
    }
    let credentials_id = ObservedCredentialsId::default();
    Ok(SdkSession {
        config: observe_credentials(config, &credentials_id),
        tls_context,
        profile,
        credentials_id,
        ca_bundle,
    })
}

fn observe_credentials(config: SdkConfig, observed: &ObservedCredentialsId) -> SdkConfig {
    let Some(provider) = config.credentials_provider() else {
        return config;
    };
    let provider = ObservedCredentials::new(provider, observed.clone());
    let provider = SharedCredentialsProvider::new(provider);
    config.to_builder().credentials_provider(provider).build()
}

/// Where STS is asked. The region of the user comes first, because a network may let requests out
/// to that region only. The regions of S3-compatible servers, such as `auto`, have no STS.
fn sts_region(profile: &AwsProfile, bucket_region: &str) -> String {
    let of_environment = env_var("AWS_REGION").or_else(|| env_var("AWS_DEFAULT_REGION"));
    let candidates = [of_environment, profile.region.clone()];
    let mut regions = candidates.into_iter().flatten();
    let of_user = regions.find(|region| is_aws_region(region));
    of_user.unwrap_or_else(|| bucket_region.to_owned())
}

/// Whether a name has the form of AWS's regions, as `us-gov-west-1`.
fn is_aws_region(name: &str) -> bool {
    let parts: Vec<&str> = name.split('-').collect();
    let Some((number, words)) = parts.split_last() else {
        return false;
    };
    let is_word = |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
    words.len() >= 2 && words.iter().all(is_word) && number.bytes().all(|b| b.is_ascii_digit())
}

/// One connector for credentials providers, S3 and STS, so that they share connections.
fn build_http_client(tls_context: &TlsContext, timeouts: RequestTimeouts) -> SharedHttpClient {
    let connector =
        RoutingConnector::new(tls_context, timeouts.connect_timeout(), timeouts.attempt);
    let connector = SharedHttpConnector::new(connector);
    http_client_fn(move |_, _| connector.clone())
}

fn find_ca_bundle(profile: &AwsProfile) -> Option<PathBuf> {
    match env_var("AWS_CA_BUNDLE") {
        Some(path) => Some(PathBuf::from(path)),
        None => profile.ca_bundle.clone(),
    }
}

pub(crate) fn build_s3_client(config: &SdkConfig, region: &str) -> Client {
    let mut settings = aws_sdk_s3::config::Builder::from(config)
        .region(Region::new(region.to_owned()))
        .retry_classifier(TransientStatusClassifier);
    if custom_endpoint(config).is_some() {
        // S3-compatible servers are seldom reachable as bucket.host.
        settings = settings.force_path_style(true);
    }
    Client::from_conf(settings.build())
}

/// The address of S3 if it is not AWS's own. It can have a user name and a password.
pub(crate) fn custom_endpoint(config: &SdkConfig) -> Option<String> {
    find_custom_endpoint(config, "S3")
}

fn find_custom_endpoint(config: &SdkConfig, service_id: &'static str) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id(service_id)
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build();
    if let (Ok(key), Some(settings)) = (key, config.service_config())
        && let Some(endpoint) = settings.load_config(key)
    {
        return Some(endpoint);
    }
    config.endpoint_url().map(str::to_owned)
}

/// The URL that requests for the bucket's objects begin with; `None` if the SDK would refuse it.
pub(crate) fn find_bucket_url(config: &SdkConfig, bucket: &str, region: &str) -> Option<String> {
    use aws_sdk_s3::config::endpoint::{DefaultResolver, Params, ResolveEndpoint as _};
    let endpoint = custom_endpoint(config);
    let params = Params::builder()
        .bucket(bucket)
        .region(region)
        .force_path_style(endpoint.is_some())
        .set_endpoint(endpoint)
        .use_fips(config.use_fips().unwrap_or_default())
        .use_dual_stack(config.use_dual_stack().unwrap_or_default())
        .build()
        .ok()?;
    let resolver = DefaultResolver::new();
    let endpoint = resolver.resolve_endpoint(&params).now_or_never()?.ok()?;
    Some(endpoint.url().to_owned())
}

/// The URL of STS; `None` if the SDK would refuse it.
pub(crate) fn find_sts_url(config: &SdkConfig) -> Option<String> {
    use aws_sdk_sts::config::endpoint::{DefaultResolver, Params, ResolveEndpoint as _};
    let params = Params::builder()
        .set_region(config.region().map(Region::to_string))
        .set_endpoint(find_custom_endpoint(config, "STS"))
        .use_fips(config.use_fips().unwrap_or_default())
        .use_dual_stack(config.use_dual_stack().unwrap_or_default())
        .build()
        .ok()?;
    let resolver = DefaultResolver::new();
    let endpoint = resolver.resolve_endpoint(&params).now_or_never()?.ok()?;
    Some(endpoint.url().to_owned())
}

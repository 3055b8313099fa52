//! The AWS SDK, set up: everything that it would ask the environment for is given to it here, but credentials.
//!
//! Must not make a request.

use std::path::PathBuf;
use std::time::Duration;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::StalledStreamProtectionConfig;
use aws_smithy_runtime_api::client::http::{SharedHttpConnector, http_client_fn};
use aws_types::service_config::ServiceConfigKey;

use crate::error::{Error, ErrorKind};
use crate::s3::http_connector;
use crate::s3::http_connector::Trust;
use crate::s3::profiles;
use crate::s3::retry;
use crate::system::host;

/// How long a request may take.
#[derive(Debug, Clone, Copy)]
pub struct RequestTimeouts {
    /// All of a request, with its retries.
    pub operation: Duration,
    /// One attempt of it.
    pub attempt: Duration,
    /// Attempts at the most.
    pub max_attempts: u32,
}

impl RequestTimeouts {
    /// For requests with a body of at most `bytes`, all of them within `operation`. Who answers nothing for four seconds is
    /// asked once more, but a large body may take its time on a slow line.
    #[must_use]
    pub fn for_body(bytes: usize, operation: Duration) -> Self {
        const MIN_BYTES_PER_SECOND: f64 = 128.0 * 1024.0; // bytes per second
        #[allow(clippy::cast_precision_loss)] // some bytes more or less
        let attempt =
            Duration::from_secs(4) + Duration::from_secs_f64(bytes as f64 / MIN_BYTES_PER_SECOND);
        Self {
            operation,
            attempt: operation.min(attempt),
            max_attempts: 3,
        }
    }
}

/// The SDK as we use it.
#[derive(Debug)]
pub struct SdkSession {
    /// The settings for all clients.
    pub config: SdkConfig,
    /// Whom its connections trust.
    pub tls_context: Trust,
}

/// Sets the SDK up. An empty `profile` stands for the credentials of the environment.
///
/// # Errors
/// The profile is not defined, and the environment brings no credentials either; or the certificates of `AWS_CA_BUNDLE`
/// are none.
pub async fn load_sdk_session(
    region: &str,
    profile: &str,
    patience: RequestTimeouts,
) -> Result<SdkSession, Error> {
    let region = Region::new(region.to_owned());
    let connect = patience.attempt.min(Duration::from_secs(3));
    let trust = http_connector::load_tls_context(find_ca_bundle(profile).as_deref())?;
    let http = SharedHttpConnector::new(http_connector::build_connector(
        &trust,
        connect,
        patience.attempt,
    ));
    // One for all, whoever asks: the credentials' providers as well as S3 and STS.
    let http = http_client_fn(move |_, _| http.clone());
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(connect)
        .operation_attempt_timeout(patience.attempt)
        .operation_timeout(patience.operation)
        .build();
    // Given in full: a retry mode of the environment that the SDK does not know makes it panic.
    let retries = RetryConfig::standard()
        .with_max_attempts(patience.max_attempts)
        .with_initial_backoff(Duration::from_millis(200))
        .with_max_backoff(Duration::from_secs(1));
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(region.clone())
        .http_client(http.clone())
        .timeout_config(timeouts.clone())
        .retry_config(retries.clone())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    if let Ok(name) = AppName::new(concat!("config-backup-", env!("CARGO_PKG_VERSION"))) {
        loader = loader.app_name(name);
    }
    if should_use_profile(profile)? {
        // A profile that was asked for by name beats the environment's credentials, as in Terraform's provider.
        let settings = ProviderConfig::default()
            .with_region(Some(region))
            .with_http_client(http)
            .with_timeout_config(timeouts)
            .with_retry_config(retries);
        let provider = ProfileFileCredentialsProvider::builder()
            .configure(&settings)
            .profile_name(profile)
            .build();
        loader = loader.profile_name(profile).credentials_provider(provider);
    }
    Ok(SdkSession {
        config: loader.load().await,
        tls_context: trust,
    })
}

/// The certificates to trust beside the system's: by the environment, or by the profile.
#[must_use]
pub fn find_ca_bundle(profile: &str) -> Option<PathBuf> {
    let of_profile = || {
        profiles::profile_setting(
            &if profile.is_empty() {
                profiles::default_profile()
            } else {
                profile.to_owned()
            },
            "ca_bundle",
        )
    };
    host::env_var("AWS_CA_BUNDLE")
        .or_else(of_profile)
        .map(PathBuf::from)
}

/// A client for buckets in `region`.
#[must_use]
pub fn build_s3_client(config: &SdkConfig, region: &str) -> Client {
    let mut settings = aws_sdk_s3::config::Builder::from(config)
        .region(Region::new(region.to_owned()))
        .retry_classifier(retry::TransientStatusClassifier);
    if custom_endpoint(config).is_some() {
        // S3-compatible servers are seldom reachable as bucket.host.
        settings = settings.force_path_style(true);
    }
    Client::from_conf(settings.build())
}

/// Whether to take the credentials of the profile, or those that the environment brings.
///
/// A CI runner has credentials in its environment and none of the profiles that people's configs name.
///
/// # Errors
/// There are neither.
pub fn should_use_profile(profile: &str) -> Result<bool, Error> {
    if profile.is_empty() {
        Ok(false)
    } else if profiles::profile_exists(profile) {
        Ok(profiles::has_credential_source(profile) || !host::has_env_credentials())
    } else if profile == "default" || host::has_env_credentials() {
        Ok(false)
    } else {
        let text = format!(
            "find the AWS profile `{profile}`: it is not in the AWS config or credentials file"
        );
        let advice = format!(
            "create it, as with `aws configure sso --profile {profile}`, or correct aws.profile in config.yaml"
        );
        Err(Error::new(ErrorKind::Credentials, text, advice))
    }
}

/// Where S3 is, if not where AWS has it.
#[must_use]
pub fn custom_endpoint(config: &SdkConfig) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id("S3")
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build();
    let own = key.ok().and_then(|key| {
        config
            .service_config()
            .and_then(|settings| settings.load_config(key))
    });
    own.or_else(|| config.endpoint_url().map(str::to_owned))
}

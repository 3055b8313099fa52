//! The one place where what the AWS SDK reports becomes an [`Error`].
//!
//! The SDK's own `Display` says "service error" or "dispatch failure"; the cause stands in the error's code, its
//! message, the raw answer and the chain of sources. Must not print, and must not decide what happens next.

use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use chrono::{DateTime, Utc};

use crate::error::{CHECK_NETWORK_HINT, CHECK_PORTAL_HINT, Error, ErrorKind, to_single_line};
use crate::s3::profiles;

/// What a request was about, for the words of a fault.
#[derive(Debug, Clone)]
pub struct RequestContext<'a> {
    /// The verb and its object, as "put `s3://bucket/key`".
    pub action: &'a str,
    /// The permission that the request needs, as `s3:PutObject`.
    pub permission: &'a str,
    /// The AWS profile in use; empty for the environment's credentials.
    pub profile: &'a str,
    /// The account that the bucket must belong to; empty where any will do.
    pub expected_owner: &'a str,
    /// The proxy that requests go through.
    pub proxy: Option<String>,
    /// The time by this machine's clock.
    pub now: DateTime<Utc>,
}

impl RequestContext<'_> {
    fn login_hint(&self) -> String {
        if self.profile.is_empty() {
            "log in, or set AWS_PROFILE".to_owned()
        } else if profiles::profile_setting(self.profile, "mfa_serial").is_some() {
            // The SDK never asks for it.
            let profile = self.profile;
            format!(
                "the profile asks for a second factor (mfa_serial), and nobody can be asked here: use a profile of SSO, or put temporary credentials for `{profile}` into the environment"
            )
        } else {
            format!(
                "log in again, as with `aws sso login --profile {}`",
                self.profile
            )
        }
    }

    fn network_hint(&self) -> String {
        match &self.proxy {
            Some(proxy) => format!("{CHECK_NETWORK_HINT} ({proxy})"),
            None => CHECK_NETWORK_HINT.to_owned(),
        }
    }

    fn permission_hint(&self, said: &str) -> String {
        // AWS names the action that is missing; it is another one where the bucket has a key of its own.
        let of_key = said
            .split_whitespace()
            .find(|word| word.starts_with("kms:"));
        let (permission, it) = of_key.map_or((self.permission, "it"), |action| {
            (action, "the bucket's KMS key")
        });
        let owner = match self.expected_owner {
            "" => String::new(),
            owner => format!(
                "; or the bucket is not of the account {owner}, which `expected_bucket_owner` demands"
            ),
        };
        format!("ask for the permission {permission} on {it}{owner}")
    }

    /// What to say of a clock by which no signature can be valid: AWS takes none that is older than 15 minutes.
    fn describe_clock_skew(&self, answer: &HttpResponse) -> Option<String> {
        let there = DateTime::parse_from_rfc2822(answer.headers().get("date")?).ok()?;
        let minutes = self.now.signed_duration_since(there).num_minutes();
        let direction = if minutes > 0 { "ahead of" } else { "behind" };
        (minutes.abs() >= 15).then(|| {
            format!(
                "this machine's clock is {} minutes {direction} that of AWS",
                minutes.abs()
            )
        })
    }
}

/// Explains an SDK error.
pub fn from_sdk_error<E>(error: &SdkError<E, HttpResponse>, doing: &RequestContext<'_>) -> Error
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    if let Some(fault) = find_credentials_error(error, doing) {
        return fault;
    }
    match error {
        SdkError::TimeoutError(_) => Error::new(
            ErrorKind::Timeout,
            format!("{}: no answer in time", doing.action),
            doing.network_hint(),
        ),
        SdkError::DispatchFailure(failure) => {
            let kind = if failure.is_timeout() {
                ErrorKind::Timeout
            } else {
                ErrorKind::Network
            };
            let cause = root_cause(error);
            let advice =
                certificate_hint(&cause).map_or_else(|| doing.network_hint(), str::to_owned);
            Error::new(kind, format!("{}: {cause}", doing.action), advice)
        }
        SdkError::ServiceError(service) => from_service_error(service.err(), service.raw(), doing),
        SdkError::ResponseError(response) => {
            let status = response.raw().status().as_u16();
            let text = format!(
                "{}: HTTP {status} with an answer that is not S3's",
                doing.action
            );
            Error {
                status: Some(status),
                ..Error::unexpected_response(text)
            }
        }
        _ => Error::new(
            ErrorKind::Local,
            format!("{}: {}", doing.action, root_cause(error)),
            "",
        ),
    }
}

/// Explains why there are no credentials, where they were asked for by themselves.
#[must_use]
pub fn from_credentials_error(error: &CredentialsError, doing: &RequestContext<'_>) -> Error {
    find_credentials_error(error, doing).unwrap_or_else(|| {
        Error::new(
            ErrorKind::Credentials,
            format!("{}: no AWS credentials", doing.action),
            doing.login_hint(),
        )
    })
}

fn from_service_error(
    error: &impl ProvideErrorMetadata,
    raw: &HttpResponse,
    doing: &RequestContext<'_>,
) -> Error {
    let status = raw.status().as_u16();
    let code = error.code().unwrap_or_default();
    let what = doing.action;
    let login = || doing.login_hint();
    let (kind, text, advice) = match (code, status) {
        ("NoSuchBucket", _) => (
            ErrorKind::Bucket,
            format!("{what}: there is no such bucket"),
            "check the variable `bucket`".to_owned(),
        ),
        (
            "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" | "RequestExpired",
            _,
        ) => (
            ErrorKind::Credentials,
            format!("{what}: the credentials have expired"),
            login(),
        ),
        (
            "InvalidAccessKeyId"
            | "InvalidClientTokenId"
            | "UnrecognizedClientException"
            | "InvalidToken",
            _,
        ) => (
            ErrorKind::Credentials,
            format!("{what}: AWS does not know these credentials ({code})"),
            login(),
        ),
        ("SignatureDoesNotMatch", _) => (
            ErrorKind::Credentials,
            format!("{what}: the secret key does not match ({code})"),
            login(),
        ),
        // A HEAD has no body that could say so.
        ("RequestTimeTooSkewed", _) | ("", 403)
            if doing.describe_clock_skew(raw).is_some() || !code.is_empty() =>
        {
            let skew = doing
                .describe_clock_skew(raw)
                .unwrap_or_else(|| "this machine's clock is wrong".to_owned());
            (
                ErrorKind::Credentials,
                format!("{what}: {skew}"),
                "set the clock".to_owned(),
            )
        }
        ("", 200..=399) if raw.headers().get("x-amz-bucket-region").is_none() => (
            ErrorKind::Network,
            format!("{what}: HTTP {status} with an answer that is not S3's"),
            CHECK_PORTAL_HINT.to_owned(),
        ),
        (_, 403) => (
            ErrorKind::Denied,
            format!("{what}: access denied"),
            doing.permission_hint(error.message().unwrap_or_default()),
        ),
        _ => {
            let name = if code.is_empty() {
                "no error code"
            } else {
                code
            };
            (
                ErrorKind::Service,
                format!("{what}: HTTP {status}, {name}"),
                String::new(),
            )
        }
    };
    let region = raw.headers().get("x-amz-bucket-region").map(str::to_owned);
    Error {
        kind,
        message: to_single_line(&text),
        hint: advice,
        bucket_region: region,
        status: Some(status),
        code: code.to_owned(),
    }
}

/// An expired SSO session or a broken profile hides at the end of a chain of sources.
fn find_credentials_error(
    error: &(dyn StdError + 'static),
    doing: &RequestContext<'_>,
) -> Option<Error> {
    let cause = error_chain(error).find_map(|cause| cause.downcast_ref::<CredentialsError>())?;
    let detail = root_cause(cause);
    // What a `credential_process` prints may be anything, a secret included.
    let detail = detail.split(" Stderr").next().unwrap_or_default();
    let text = match cause {
        CredentialsError::CredentialsNotLoaded(_) => {
            format!("{}: no AWS credentials found", doing.action)
        }
        CredentialsError::ProviderTimedOut(_) => format!(
            "{}: the credentials' provider did not answer in time",
            doing.action
        ),
        _ => format!("{}: no AWS credentials: {detail}", doing.action),
    };
    Some(Error::new(
        ErrorKind::Credentials,
        to_single_line(&text),
        doing.login_hint(),
    ))
}

/// The way out where TLS failed for a certificate, as rustls words it.
fn certificate_hint(cause: &str) -> Option<&'static str> {
    if !cause.contains("certificate") {
        None
    } else if cause.contains("Expired")
        || cause.contains("NotValidYet")
        || cause.contains("expired")
        || cause.contains("not valid yet")
    {
        Some("check this machine's clock, and who answers in the place of AWS")
    } else {
        Some(
            "if a proxy inspects TLS here, set AWS_CA_BUNDLE to the PEM file with its certificate; otherwise check for a captive portal",
        )
    }
}

fn error_chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn root_cause(error: &(dyn StdError + 'static)) -> String {
    error_chain(error)
        .last()
        .map(|cause| to_single_line(&cause.to_string()))
        .unwrap_or_default()
}

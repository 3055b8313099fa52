//! Translates errors of the AWS SDK: into a kind to act on, one line to show, and a hint.
//!
//! The SDK's own `Display` says "service error" or "dispatch failure". The cause is in the error's
//! code and message, in the raw answer, or at the end of the chain of sources.

use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use chrono::{DateTime, Utc};

use crate::error::{CHECK_NETWORK_HINT, CHECK_PORTAL_HINT, Error, ErrorKind, to_single_line};
use crate::s3::aws_files::profile_chain::{AwsProfile, FileAccessKey, ProfileContent};
use crate::s3::credentials_error::explain_credentials_error;
use crate::s3::forbidden::explain_forbidden;
use crate::s3::proxy::RouteError;
use crate::system::env::has_env_credentials;
use crate::system::url::redact_message;

/// AWS rejects signatures that are older than this.
const MAX_CLOCK_SKEW_MINUTES: i64 = 15;

/// Sentences of servers may have any length.
const MAX_SENTENCE_CHARS: usize = 300;
const REGION_HINT: &str = "set CONFIG_BACKUP_BUCKET_REGION to the bucket's region";
const ENDPOINT_HINT: &str = "correct AWS_ENDPOINT_URL_*, AWS_USE_FIPS_ENDPOINT and \
                             AWS_USE_DUALSTACK_ENDPOINT, or these settings of the profile";

/// What a request was about, for its error messages.
#[derive(Debug, Clone)]
pub(crate) struct RequestContext<'a> {
    /// What is done to which object, as "put `s3://bucket/key`".
    pub(crate) action: &'a str,
    /// The permission that the request needs, as `s3:PutObject`.
    pub(crate) permission: &'a str,
    pub(crate) profile: &'a AwsProfile,
    /// The account that must own the bucket; empty if any account may.
    pub(crate) expected_owner: &'a str,
    /// The proxy of the request, without its password.
    pub(crate) proxy: Option<String>,
    pub(crate) now: DateTime<Utc>,
}

impl RequestContext<'_> {
    fn message(&self, cause: &str) -> String {
        format!("cannot {}: {cause}", self.action)
    }

    pub(super) fn error(&self, kind: ErrorKind, cause: &str, hint: String) -> Error {
        Error::new(kind, self.message(cause), hint)
    }

    /// An answer that does not come from AWS.
    pub(crate) fn unexpected_response(&self, cause: &str) -> Error {
        Error::unexpected_response(self.message(cause))
    }

    pub(crate) fn no_credentials(&self) -> Error {
        let cause = "no AWS credentials found";
        self.error(ErrorKind::Credentials, cause, self.login_hint())
    }

    pub(super) fn login_hint(&self) -> String {
        let profile = self.profile;
        let has_env_credentials = has_env_credentials();
        if has_env_credentials && profile.provides_credentials(true) == Ok(false) {
            return "renew the credentials of the environment".to_owned();
        }
        if profile.content == ProfileContent::NotDefined {
            return "log in, or set AWS_PROFILE".to_owned();
        }
        let name = &profile.name;
        if profile.has_mfa_serial {
            // The SDK never asks for it.
            return format!(
                "the profile asks for a second factor (mfa_serial), which cannot be entered here: \
                 use an SSO profile, or put temporary credentials for `{name}` into the environment"
            );
        }
        if profile.access_key != FileAccessKey::None {
            return format!("renew the access key of the profile `{name}`");
        }
        format!("log in again, as with `aws sso login --profile {name}`")
    }

    pub(super) fn network_hint(&self) -> String {
        match &self.proxy {
            Some(proxy) => format!("{CHECK_NETWORK_HINT} ({proxy})"),
            None => CHECK_NETWORK_HINT.to_owned(),
        }
    }

    /// `aws_message` names the missing action. That is a KMS action if the bucket has its own key.
    pub(super) fn permission_hint(&self, aws_message: &str) -> String {
        let mut words = aws_message.split_whitespace();
        let mut hint = match words.find(|word| word.starts_with("kms:")) {
            Some(action) => format!("ask for the permission {action} on the bucket's KMS key"),
            None => format!("ask for the permission {} on it", self.permission),
        };
        if !self.expected_owner.is_empty() {
            hint += "; or the bucket does not belong to the account ";
            hint += self.expected_owner;
            hint += ", which `expected_bucket_owner` demands";
        }
        hint
    }

    /// `None` if this machine's clock is close enough to that of the answer.
    fn describe_clock_skew(&self, answer: &HttpResponse) -> Option<String> {
        let date = answer.headers().get("date")?;
        let server_time = DateTime::parse_from_rfc2822(date).ok()?;
        let minutes = self.now.signed_duration_since(server_time).num_minutes();
        if minutes.abs() < MAX_CLOCK_SKEW_MINUTES {
            return None;
        }
        let direction = if minutes > 0 { "ahead of" } else { "behind" };
        let minutes = minutes.abs();
        Some(format!(
            "this machine's clock is {minutes} minutes {direction} that of AWS"
        ))
    }
}

pub(crate) fn from_sdk_error<E>(
    error: &SdkError<E, HttpResponse>,
    context: &RequestContext<'_>,
) -> Error
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    if let Some(error) = find_early_error(error, context) {
        return error;
    }
    match error {
        SdkError::TimeoutError(_) => {
            let hint = context.network_hint();
            context.error(ErrorKind::Timeout, "no answer in time", hint)
        }
        SdkError::DispatchFailure(failure) => {
            let cause = root_cause(error);
            if !failure.is_io() && is_settings_error(&cause) {
                return context.error(ErrorKind::Input, &cause, ENDPOINT_HINT.to_owned());
            }
            let kind = if failure.is_timeout() {
                ErrorKind::Timeout
            } else {
                ErrorKind::Network
            };
            let hint = match certificate_hint(&cause) {
                Some(hint) => hint.to_owned(),
                None => context.network_hint(),
            };
            context.error(kind, &cause, hint)
        }
        SdkError::ServiceError(service) => {
            from_service_error(service.err(), service.raw(), context)
        }
        SdkError::ResponseError(response) => {
            let status = response.raw().status().as_u16();
            // The body breaks off, or is longer than any answer of S3 (http_connector.rs).
            let cause = root_cause(error);
            let cause = format!("HTTP {status}, but the answer cannot be read: {cause}");
            let mut error = context.unexpected_response(&cause);
            error.status = Some(status);
            error
        }
        _ => context.error(ErrorKind::Local, &root_cause(error), String::new()),
    }
}

/// Explains why there are no credentials, if they were requested on their own.
pub(crate) fn from_credentials_error(
    error: &CredentialsError,
    context: &RequestContext<'_>,
) -> Error {
    if let Some(error) = find_early_error(error, context) {
        return error;
    }
    let hint = context.login_hint();
    context.error(ErrorKind::Credentials, "no AWS credentials", hint)
}

fn from_service_error(
    error: &impl ProvideErrorMetadata,
    answer: &HttpResponse,
    context: &RequestContext<'_>,
) -> Error {
    let status = answer.status().as_u16();
    let code = error.code().unwrap_or_default();
    let sentence = error.message().unwrap_or_default();
    let bucket_region = match answer.headers().get("x-amz-bucket-region") {
        Some(region) => Some(region),
        None => find_expected_region(code, sentence),
    };

    let translated = if let Some(error) = from_credentials_code(code, context) {
        error
    } else if let Some(error) = from_clock_skew(code, answer, context) {
        error
    } else if code == "NoSuchBucket" {
        let hint = "check the variable `bucket`".to_owned();
        context.error(ErrorKind::Bucket, "there is no such bucket", hint)
    } else if code.is_empty() && matches!(status, 200..=399) && bucket_region.is_none() {
        let cause = format!("HTTP {status}, but the answer is not from S3");
        context.error(ErrorKind::Network, &cause, CHECK_PORTAL_HINT.to_owned())
    } else if status == 403 {
        explain_forbidden(code, sentence, answer, context)
    } else {
        let cause = describe_answer(status, code, sentence);
        let hint = match code {
            "AuthorizationHeaderMalformed" => REGION_HINT.to_owned(),
            _ => String::new(),
        };
        context.error(ErrorKind::Service, &cause, hint)
    };

    Error {
        bucket_region: bucket_region.map(str::to_owned),
        status: Some(status),
        code: code.to_owned(),
        ..translated
    }
}

/// `HTTP STATUS, CODE: SENTENCE`, as far as the answer has them.
pub(super) fn describe_answer(status: u16, code: &str, sentence: &str) -> String {
    if code.is_empty() {
        return format!("HTTP {status}, no error code");
    }
    let sentence = shorten_sentence(sentence);
    if sentence.is_empty() {
        return format!("HTTP {status}, {code}");
    }
    format!("HTTP {status}, {code}: {sentence}")
}

/// A sentence of a server, without a full stop and of a limited length.
pub(crate) fn shorten_sentence(sentence: &str) -> String {
    let line = to_single_line(sentence);
    let line = line.trim().trim_end_matches('.');
    match line.char_indices().nth(MAX_SENTENCE_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// The region of the bucket, which S3-compatible servers name only in the sentence: `the region 'a'
/// is wrong; expecting 'b'`.
fn find_expected_region<'a>(code: &str, sentence: &'a str) -> Option<&'a str> {
    if code != "AuthorizationHeaderMalformed" {
        return None;
    }
    let (_, rest) = sentence.split_once("expecting '")?;
    let (region, _) = rest.split_once('\'')?;
    let is_region_char = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (!region.is_empty() && region.bytes().all(is_region_char)).then_some(region)
}

pub(super) fn from_credentials_code(code: &str, context: &RequestContext<'_>) -> Option<Error> {
    let (cause, suspect) = match code {
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" | "RequestExpired" => {
            ("the credentials have expired".to_owned(), None)
        }
        "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "InvalidToken" => (
            format!("AWS does not know these credentials ({code})"),
            context.profile.suspect(),
        ),
        "SignatureDoesNotMatch" => (
            format!("the secret key does not match ({code})"),
            context.profile.suspect(),
        ),
        _ => return None,
    };
    let hint = match suspect {
        Some(note) => note.to_string(),
        None => context.login_hint(),
    };
    Some(context.error(ErrorKind::Credentials, &cause, hint))
}

fn from_clock_skew(
    code: &str,
    answer: &HttpResponse,
    context: &RequestContext<'_>,
) -> Option<Error> {
    let cause = match (code, answer.status().as_u16()) {
        ("RequestTimeTooSkewed", _) => match context.describe_clock_skew(answer) {
            Some(skew) => skew,
            None => "this machine's clock is wrong".to_owned(),
        },
        // The answer to a HEAD has no body, so it cannot name the code.
        ("", 403) => context.describe_clock_skew(answer)?,
        _ => return None,
    };
    Some(context.error(ErrorKind::Credentials, &cause, "set the clock".to_owned()))
}

/// An unusable proxy or endpoint, an expired SSO session or an invalid profile is at the end of a
/// chain of sources.
fn find_early_error(
    error: &(dyn StdError + 'static),
    context: &RequestContext<'_>,
) -> Option<Error> {
    if let Some(route_error) = find_route_error(error) {
        let cause = route_error.to_string();
        return Some(context.error(ErrorKind::Network, &cause, route_error.hint()));
    }
    let source = error_chain(error).find_map(|error| error.downcast_ref::<CredentialsError>())?;
    Some(explain_credentials_error(source, context))
}

fn find_route_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a RouteError> {
    error_chain(error).find_map(|error| error.downcast_ref::<RouteError>())
}

/// Whether the SDK does not know where to send the request, recognized by its wording.
fn is_settings_error(cause: &str) -> bool {
    ["endpoint", "Endpoint", "Invalid Configuration", "uri"]
        .iter()
        .any(|word| cause.contains(word))
}

/// The hint for a TLS error about a certificate, recognized by rustls's wording.
fn certificate_hint(cause: &str) -> Option<&'static str> {
    const OUTSIDE_VALIDITY: [&str; 4] = ["Expired", "NotValidYet", "expired", "not valid yet"];
    if !cause.contains("certificate") {
        return None;
    }
    if OUTSIDE_VALIDITY.iter().any(|word| cause.contains(word)) {
        return Some("check this machine's clock and whether a proxy intercepts TLS");
    }
    Some(
        "if a proxy inspects TLS here, set AWS_CA_BUNDLE to the PEM file with its certificate; \
         otherwise check for a captive portal",
    )
}

pub(super) fn error_chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

pub(crate) fn root_cause(error: &(dyn StdError + 'static)) -> String {
    match error_chain(error).last() {
        Some(cause) => redact_message(&to_single_line(&cause.to_string())),
        None => String::new(),
    }
}

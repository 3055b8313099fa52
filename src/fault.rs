//! The one place where what the AWS SDK reports becomes a [`Fault`]: a kind to act on and one line to show.
//!
//! The SDK's own `Display` says "service error" or "dispatch failure"; the cause stands in the error's code, its
//! message, the raw answer and the chain of sources. Must not print, and must not decide what happens next.

use std::error::Error;
use std::fmt;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::profiles;

/// What kind of thing went wrong: all that callers may tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// No credentials, or credentials that the service does not take.
    Credentials,
    /// The credentials are good, and the permission is missing.
    Denied,
    /// There is no such bucket.
    Bucket,
    /// The service could not be reached.
    Network,
    /// The service did not answer in time.
    Timeout,
    /// A file that the user named.
    Input,
    /// Something else on this machine: a file, a folder.
    Local,
    /// Anything else that the service answered.
    Service,
}

/// Something that went wrong outside, told in one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What kind of thing.
    pub kind: Kind,
    /// What was tried and what came of it; one line, no full stop.
    pub text: String,
    /// The way out, or empty.
    pub advice: String,
    /// The region that the bucket is really in, where the answer names it.
    #[serde(skip)]
    pub region: Option<String>,
    /// The HTTP status of the answer, where there was one.
    #[serde(skip)]
    pub status: Option<u16>,
    /// S3's error code, or empty.
    #[serde(skip)]
    pub code: String,
}

/// The way out of a network that does not answer.
pub const CHECK_NETWORK: &str = "check the network, VPN and proxy";
/// The way out of a network in which somebody else answers.
const CHECK_PORTAL: &str = "check for a captive portal or proxy";

impl Fault {
    /// A fault of whoever answers in the place of AWS.
    pub fn foreign(text: impl Into<String>) -> Self {
        Self::new(Kind::Network, text, CHECK_PORTAL)
    }

    /// A fault without an answer of a service.
    pub fn new(kind: Kind, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { kind, text: text.into(), advice: advice.into(), region: None, status: None, code: String::new() }
    }

    /// The fault of an upload whose body could not be kept on this machine either.
    #[must_use]
    pub fn and_not_kept(self, local: &Self) -> Self {
        Self { text: format!("{}; nothing is kept for later: {}", self.text, local.text), ..self }
    }

    /// Whether trying the network again within the same deployment would only cost time.
    #[must_use]
    pub fn is_dead_network(&self) -> bool {
        matches!(self.kind, Kind::Network | Kind::Timeout)
    }

    /// Whether the same request may well succeed a little later.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        self.is_dead_network() || matches!(self.status, Some(429 | 500 | 502 | 503 | 504)) || self.code == "RequestTimeout"
    }

    /// Whether S3 gave the object as asked, and it is the object that is of no use.
    #[must_use]
    pub fn is_of_the_object(&self) -> bool {
        self.kind == Kind::Service && self.status.is_none()
    }

    /// The exit code that people's verbs give for it (README.md, "Exit codes").
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Input => 3,
            Kind::Credentials => 4,
            Kind::Denied | Kind::Bucket => 5,
            Kind::Network | Kind::Timeout => 6,
            Kind::Local | Kind::Service => 1,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        if self.advice.is_empty() { Ok(()) } else { write!(f, "; {}", self.advice) }
    }
}

impl Error for Fault {}

/// What a request was about, for the words of a fault.
#[derive(Debug, Clone)]
pub struct Doing<'a> {
    /// The verb and its object, as "put `s3://bucket/key`".
    pub what: &'a str,
    /// The permission that the request needs, as `s3:PutObject`.
    pub permission: &'a str,
    /// The AWS profile in use; empty for the environment's credentials.
    pub profile: &'a str,
    /// The account that the bucket must belong to; empty where any will do.
    pub owner: &'a str,
    /// The proxy that requests go through.
    pub proxy: Option<String>,
    /// The time by this machine's clock.
    pub now: DateTime<Utc>,
}

impl Doing<'_> {
    fn login(&self) -> String {
        if self.profile.is_empty() {
            "log in, or set AWS_PROFILE".to_owned()
        } else if profiles::setting(self.profile, "mfa_serial").is_some() {
            // The SDK never asks for it.
            let profile = self.profile;
            format!(
                "the profile asks for a second factor (mfa_serial), and nobody can be asked here: use a profile of SSO, or put temporary credentials for `{profile}` into the environment"
            )
        } else {
            format!("log in again, as with `aws sso login --profile {}`", self.profile)
        }
    }

    fn check_network(&self) -> String {
        match &self.proxy {
            Some(proxy) => format!("{CHECK_NETWORK} ({proxy})"),
            None => CHECK_NETWORK.to_owned(),
        }
    }

    fn ask(&self, said: &str) -> String {
        // AWS names the action that is missing; it is another one where the bucket has a key of its own.
        let of_key = said.split_whitespace().find(|word| word.starts_with("kms:"));
        let (permission, it) = of_key.map_or((self.permission, "it"), |action| (action, "the bucket's KMS key"));
        let owner = match self.owner {
            "" => String::new(),
            owner => format!("; or the bucket is not of the account {owner}, which `expected_bucket_owner` demands"),
        };
        format!("ask for the permission {permission} on {it}{owner}")
    }

    /// What to say of a clock by which no signature can be valid: AWS takes none that is older than 15 minutes.
    fn skew(&self, answer: &HttpResponse) -> Option<String> {
        let there = DateTime::parse_from_rfc2822(answer.headers().get("date")?).ok()?;
        let minutes = self.now.signed_duration_since(there).num_minutes();
        let direction = if minutes > 0 { "ahead of" } else { "behind" };
        (minutes.abs() >= 15).then(|| format!("this machine's clock is {} minutes {direction} that of AWS", minutes.abs()))
    }
}

/// Explains an SDK error.
pub fn explain<E>(error: &SdkError<E, HttpResponse>, doing: &Doing<'_>) -> Fault
where
    E: ProvideErrorMetadata + Error + 'static,
{
    if let Some(fault) = credentials(error, doing) {
        return fault;
    }
    match error {
        SdkError::TimeoutError(_) => Fault::new(Kind::Timeout, format!("{}: no answer in time", doing.what), doing.check_network()),
        SdkError::DispatchFailure(failure) => {
            let kind = if failure.is_timeout() { Kind::Timeout } else { Kind::Network };
            let cause = innermost(error);
            let advice = certificate_advice(&cause).map_or_else(|| doing.check_network(), str::to_owned);
            Fault::new(kind, format!("{}: {cause}", doing.what), advice)
        }
        SdkError::ServiceError(service) => answered(service.err(), service.raw(), doing),
        SdkError::ResponseError(response) => {
            let status = response.raw().status().as_u16();
            let text = format!("{}: HTTP {status} with an answer that is not S3's", doing.what);
            Fault { status: Some(status), ..Fault::foreign(text) }
        }
        _ => Fault::new(Kind::Local, format!("{}: {}", doing.what, innermost(error)), ""),
    }
}

/// Explains why there are no credentials, where they were asked for by themselves.
#[must_use]
pub fn without_credentials(error: &CredentialsError, doing: &Doing<'_>) -> Fault {
    credentials(error, doing).unwrap_or_else(|| Fault::new(Kind::Credentials, format!("{}: no AWS credentials", doing.what), doing.login()))
}

fn answered(error: &impl ProvideErrorMetadata, raw: &HttpResponse, doing: &Doing<'_>) -> Fault {
    let status = raw.status().as_u16();
    let code = error.code().unwrap_or_default();
    let what = doing.what;
    let login = || doing.login();
    let (kind, text, advice) = match (code, status) {
        ("NoSuchBucket", _) => (Kind::Bucket, format!("{what}: there is no such bucket"), "check the variable `bucket`".to_owned()),
        ("ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" | "RequestExpired", _) => {
            (Kind::Credentials, format!("{what}: the credentials have expired"), login())
        }
        ("InvalidAccessKeyId" | "InvalidClientTokenId" | "UnrecognizedClientException" | "InvalidToken", _) => {
            (Kind::Credentials, format!("{what}: AWS does not know these credentials ({code})"), login())
        }
        ("SignatureDoesNotMatch", _) => (Kind::Credentials, format!("{what}: the secret key does not match ({code})"), login()),
        // A HEAD has no body that could say so.
        ("RequestTimeTooSkewed", _) | ("", 403) if doing.skew(raw).is_some() || !code.is_empty() => {
            let skew = doing.skew(raw).unwrap_or_else(|| "this machine's clock is wrong".to_owned());
            (Kind::Credentials, format!("{what}: {skew}"), "set the clock".to_owned())
        }
        ("", 200..=399) if raw.headers().get("x-amz-bucket-region").is_none() => {
            (Kind::Network, format!("{what}: HTTP {status} with an answer that is not S3's"), CHECK_PORTAL.to_owned())
        }
        (_, 403) => (Kind::Denied, format!("{what}: access denied"), doing.ask(error.message().unwrap_or_default())),
        _ => {
            let name = if code.is_empty() { "no error code" } else { code };
            (Kind::Service, format!("{what}: HTTP {status}, {name}"), String::new())
        }
    };
    let region = raw.headers().get("x-amz-bucket-region").map(str::to_owned);
    Fault { kind, text: one_line(&text), advice, region, status: Some(status), code: code.to_owned() }
}

/// An expired SSO session or a broken profile hides at the end of a chain of sources.
fn credentials(error: &(dyn Error + 'static), doing: &Doing<'_>) -> Option<Fault> {
    let cause = chain(error).find_map(|cause| cause.downcast_ref::<CredentialsError>())?;
    let detail = innermost(cause);
    // What a `credential_process` prints may be anything, a secret included.
    let detail = detail.split(" Stderr").next().unwrap_or_default();
    let text = match cause {
        CredentialsError::CredentialsNotLoaded(_) => format!("{}: no AWS credentials found", doing.what),
        CredentialsError::ProviderTimedOut(_) => format!("{}: the credentials' provider did not answer in time", doing.what),
        _ => format!("{}: no AWS credentials: {detail}", doing.what),
    };
    Some(Fault::new(Kind::Credentials, one_line(&text), doing.login()))
}

/// The way out where TLS failed for a certificate, as rustls words it.
fn certificate_advice(cause: &str) -> Option<&'static str> {
    if !cause.contains("certificate") {
        None
    } else if cause.contains("Expired") || cause.contains("NotValidYet") || cause.contains("expired") || cause.contains("not valid yet") {
        Some("check this machine's clock, and who answers in the place of AWS")
    } else {
        Some("if a proxy inspects TLS here, set AWS_CA_BUNDLE to the PEM file with its certificate; otherwise check for a captive portal")
    }
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    chain(error).last().map(|cause| one_line(&cause.to_string())).unwrap_or_default()
}

/// `text` as one line without control characters: what a server answers may hold anything.
#[must_use]
pub fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_control() || c.is_whitespace()).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

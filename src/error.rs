//! The error type: a kind to act on, one line that says what happened, and a hint at the way out.
//!
//! What the AWS SDK reports becomes one in s3/error.rs. Must not print, and must not decide what happens next.

use std::error::Error as StdError;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of thing went wrong: all that callers may tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ErrorKind {
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
pub struct Error {
    /// What kind of thing.
    pub kind: ErrorKind,
    /// What was tried and what came of it; one line, no full stop.
    pub message: String,
    /// The way out, or empty.
    pub hint: String,
    /// The region that the bucket is really in, where the answer names it.
    #[serde(skip)]
    pub bucket_region: Option<String>,
    /// The HTTP status of the answer, where there was one.
    #[serde(skip)]
    pub status: Option<u16>,
    /// S3's error code, or empty.
    #[serde(skip)]
    pub code: String,
}

/// The way out of a network that does not answer.
pub const CHECK_NETWORK_HINT: &str = "check the network, VPN and proxy";
/// The way out of a network in which somebody else answers.
pub const CHECK_PORTAL_HINT: &str = "check for a captive portal or proxy";

impl Error {
    /// A fault of whoever answers in the place of AWS.
    pub fn unexpected_response(text: impl Into<String>) -> Self {
        Self::new(ErrorKind::Network, text, CHECK_PORTAL_HINT)
    }

    /// A fault without an answer of a service.
    pub fn new(kind: ErrorKind, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            kind,
            message: text.into(),
            hint: advice.into(),
            bucket_region: None,
            status: None,
            code: String::new(),
        }
    }

    /// The fault of an upload whose body could not be kept on this machine either.
    #[must_use]
    pub fn with_spool_error(self, local: &Self) -> Self {
        Self {
            message: format!(
                "{}; nothing is kept for later: {}",
                self.message, local.message
            ),
            ..self
        }
    }

    /// Whether trying the network again within the same deployment would only cost time.
    #[must_use]
    pub fn is_network_error(&self) -> bool {
        matches!(self.kind, ErrorKind::Network | ErrorKind::Timeout)
    }

    /// Whether the same request may well succeed a little later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.is_network_error()
            || matches!(self.status, Some(429 | 500 | 502 | 503 | 504))
            || self.code == "RequestTimeout"
    }

    /// Whether S3 gave the object as asked, and it is the object that is of no use.
    #[must_use]
    pub fn is_object_error(&self) -> bool {
        self.kind == ErrorKind::Service && self.status.is_none()
    }

    /// The exit code that people's verbs give for it (README.md, "Exit codes").
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            ErrorKind::Input => 3,
            ErrorKind::Credentials => 4,
            ErrorKind::Denied | ErrorKind::Bucket => 5,
            ErrorKind::Network | ErrorKind::Timeout => 6,
            ErrorKind::Local | ErrorKind::Service => 1,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if self.hint.is_empty() {
            Ok(())
        } else {
            write!(f, "; {}", self.hint)
        }
    }
}

impl StdError for Error {}

/// `text` as one line without control characters: what a server answers may hold anything.
#[must_use]
pub fn to_single_line(text: &str) -> String {
    text.split(|c: char| c.is_control() || c.is_whitespace())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

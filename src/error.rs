//! The error of this program: a kind to act on, a message of one line, and a hint.
//!
//! Messages read `cannot DO SOMETHING: CAUSE`. They quote paths, profiles and servers, so every text
//! becomes one harmless line on its way in and on its way out. Must not know the AWS SDK:
//! `s3/error.rs` translates its errors.

use std::error::Error as StdError;
use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use crate::exit_code::ExitCode;

/// What went wrong, as far as callers tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// No credentials, or credentials that the service rejects.
    Credentials,
    /// The credentials are valid, but a permission is missing.
    Denied,
    /// The bucket does not exist.
    Bucket,
    /// The service could not be reached.
    Network,
    /// The service did not answer in time.
    Timeout,
    /// A file that the user named.
    Input,
    /// Another file or folder of this machine, or the program itself.
    Local,
    /// Any other answer of the service.
    Service,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    pub kind: ErrorKind,
    /// One line, without a full stop.
    pub message: String,
    /// How to solve the problem, or empty.
    pub hint: String,
    /// The bucket's real region, if the answer names it.
    pub bucket_region: Option<String>,
    /// The HTTP status of the answer, if there was one.
    pub status: Option<u16>,
    /// S3's error code, or empty.
    pub code: String,
    /// Whether the bucket's policy forbids the request, whatever else permits it.
    pub is_denied_by_bucket_policy: bool,
    /// Whether the answer began as it should, and its body breaks off, stalls or is damaged.
    pub has_bad_body: bool,
}

pub const CHECK_NETWORK_HINT: &str = "check the network, VPN and proxy";
/// For answers that do not come from AWS.
pub const CHECK_PORTAL_HINT: &str = "check for a captive portal or proxy";
/// For answers of S3 that cannot be right.
pub const CHECK_SERVER_HINT: &str = "try again, and then check the proxy and the S3 endpoint";

impl Error {
    /// An error without an answer of a service.
    pub fn new(kind: ErrorKind, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            kind,
            message: into_single_line(message.into()),
            hint: into_single_line(hint.into()),
            bucket_region: None,
            status: None,
            code: String::new(),
            is_denied_by_bucket_policy: false,
            has_bad_body: false,
        }
    }

    /// A file or folder on this machine that cannot be used; `action` is "read", "write" and so on.
    #[must_use]
    pub fn local_file(action: &str, path: &Path, cause: &io::Error) -> Self {
        let message = format!("cannot {action} `{}`: {cause}", path.display());
        Self::new(ErrorKind::Local, message, "")
    }

    /// An answer that does not come from AWS, as a captive portal gives it.
    pub fn unexpected_response(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Network, message, CHECK_PORTAL_HINT)
    }

    /// The error of an upload whose body could not be spooled either.
    #[must_use]
    pub fn with_spool_error(self, spool_error: &Self) -> Self {
        let message = format!(
            "{}; nothing is spooled: {}",
            self.message, spool_error.message
        );
        Self { message, ..self }
    }

    /// Whether further requests of the same deployment would only cost time.
    #[must_use]
    pub fn is_network_error(&self) -> bool {
        matches!(self.kind, ErrorKind::Network | ErrorKind::Timeout)
    }

    /// Whether the service asks for fewer requests.
    #[must_use]
    pub fn is_throttled(&self) -> bool {
        matches!(self.status, Some(429 | 503))
    }

    /// Whether the same request may succeed a little later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.is_network_error()
            || matches!(self.status, Some(429 | 500 | 502 | 503 | 504))
            || self.code == "RequestTimeout"
    }

    /// Whether the object itself is unusable, whatever happens to other objects: it is too large, in
    /// cold storage, or encrypted with a key that is gone.
    #[must_use]
    pub fn is_object_error(&self) -> bool {
        let is_state = self.code == "InvalidObjectState" || self.code.starts_with("KMS");
        is_state || (self.kind == ErrorKind::Service && self.status.is_none())
    }

    /// Whether another object may be readable although this one is not.
    #[must_use]
    pub fn may_concern_one_object(&self) -> bool {
        match self.kind {
            ErrorKind::Denied | ErrorKind::Service | ErrorKind::Network | ErrorKind::Timeout => {
                true
            }
            ErrorKind::Credentials | ErrorKind::Bucket | ErrorKind::Input | ErrorKind::Local => {
                false
            }
        }
    }

    /// The exit code of commands that people call (docs/commands.md, "Exit codes").
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self.kind {
            ErrorKind::Input => ExitCode::InvalidInput,
            ErrorKind::Credentials => ExitCode::Credentials,
            ErrorKind::Denied | ErrorKind::Bucket => ExitCode::Denied,
            ErrorKind::Network | ErrorKind::Timeout => ExitCode::Network,
            ErrorKind::Local | ErrorKind::Service => ExitCode::Error,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The fields are open, so a text may not have come through the constructor.
        f.write_str(&to_single_line(&self.message))?;
        if self.hint.is_empty() {
            return Ok(());
        }
        write!(f, "; {}", to_single_line(&self.hint))
    }
}

impl StdError for Error {}

/// Prints an error as one line, and returns its exit code, also if `messages` cannot be written to.
pub fn print_error(error: &anyhow::Error, messages: &mut impl Write) -> ExitCode {
    let _ = write_message(messages, &format!("{error:#}"));
    match error.downcast_ref::<Error>() {
        Some(error) => error.exit_code(),
        None => ExitCode::Error,
    }
}

/// Writes `text` as one line that names this program.
pub fn write_message(messages: &mut impl Write, text: &str) -> io::Result<()> {
    writeln!(messages, "config-backup: {}", to_single_line(text))
}

/// Writes `text` as one harmless line.
pub fn write_line(output: &mut impl Write, text: &str) -> io::Result<()> {
    writeln!(output, "{}", to_single_line(text))
}

/// Control characters (Unicode `Cc`), line separators and marks that change the writing direction.
///
/// With them, a reader sees something else than the text says.
#[must_use]
pub fn is_unsafe_for_display(c: char) -> bool {
    match c {
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            true
        }
        _ => c.is_control(),
    }
}

/// `text` as one line without unsafe characters, because servers, files and variables may have any.
/// A harmless text stays as it is.
#[must_use]
pub fn to_single_line(text: &str) -> String {
    into_single_line(text.to_owned())
}

#[must_use]
pub fn into_single_line(text: String) -> String {
    if !text.contains(is_unsafe_for_display) {
        return text;
    }
    let is_separator = |c: char| is_unsafe_for_display(c) || c.is_whitespace();
    let words: Vec<&str> = text
        .split(is_separator)
        .filter(|word| !word.is_empty())
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str =
        "a  b`\nconfig-backup: all is well\r\u{1b}[8m\u{85}\u{2028}\u{202e}\u{200f}\t";
    const HARMLESS: &str = "a b` config-backup: all is well [8m";

    #[test]
    fn every_text_of_an_error_is_one_harmless_line() {
        let error = Error::new(ErrorKind::Local, HOSTILE, HOSTILE);
        assert_eq!(
            (error.message.as_str(), error.hint.as_str()),
            (HARMLESS, HARMLESS)
        );

        let past_the_constructor = Error {
            message: HOSTILE.to_owned(),
            hint: HOSTILE.to_owned(),
            ..error
        };
        let shown = past_the_constructor.to_string();
        assert_eq!(shown, format!("{HARMLESS}; {HARMLESS}"));
    }

    #[test]
    fn messages_and_lines_are_one_line_each() {
        let mut written = Vec::new();
        write_message(&mut written, HOSTILE).expect("written");
        write_line(&mut written, HOSTILE).expect("written");
        let written = String::from_utf8(written).expect("text");
        assert_eq!(written, format!("config-backup: {HARMLESS}\n{HARMLESS}\n"));
    }

    #[test]
    fn a_harmless_text_stays_as_it_is() {
        let path = " two  blanks, \u{a0}, für, 株式会社 ";
        assert_eq!(to_single_line(path), path);
    }
}

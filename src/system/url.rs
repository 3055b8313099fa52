//! URLs that people set in variables, and what of them may be shown.
//!
//! A malformed URL can have its password in any place. So only what was recognized is shown.

use std::net::Ipv6Addr;

use crate::error::is_unsafe_for_display;

/// An http or https URL. It has no `Debug`, because `userinfo` can be a password.
#[derive(Clone, Copy)]
pub(crate) struct UrlParts<'a> {
    pub(crate) is_https: bool,
    pub(crate) userinfo: Option<&'a str>,
    /// With brackets around an IPv6 address.
    pub(crate) host: &'a str,
    pub(crate) port: Option<u16>,
    /// Path, query and fragment.
    tail: &'a str,
}

/// Why a URL cannot be used; it does not quote the URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UrlError {
    #[error("it has a blank or a control character")]
    Blank,
    #[error("it is not an http or https URL")]
    Scheme,
    #[error("its host is not valid")]
    Host,
    #[error("its port is not a number from 1 to 65535")]
    Port,
    #[error(
        "it has an `@` behind the host (a password needs %2F for `/`, %3F for `?`, %23 for `#`)"
    )]
    AtSign,
}

impl<'a> UrlParts<'a> {
    /// # Errors
    /// It is not a URL with a host, or a part of it is not valid.
    pub(crate) fn parse(url: &'a str) -> Result<Self, UrlError> {
        if url.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(UrlError::Blank);
        }
        let (scheme, rest) = url.split_once("://").ok_or(UrlError::Scheme)?;
        let is_https = scheme.eq_ignore_ascii_case("https");
        if !is_https && !scheme.eq_ignore_ascii_case("http") {
            return Err(UrlError::Scheme);
        }
        let authority_end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(authority_end);
        let (userinfo, address) = match authority.rsplit_once('@') {
            Some((userinfo, address)) => (Some(userinfo), address),
            None => (None, authority),
        };
        let (host, port) = split_port(address)?;
        Ok(Self {
            is_https,
            userinfo,
            host,
            port,
            tail,
        })
    }

    /// Checks that no part of a password is taken for the host: `http://jane:1/2@host` has the
    /// host `jane`.
    pub(crate) fn require_no_late_at_sign(self) -> Result<Self, UrlError> {
        if self.tail.contains('@') || self.tail.contains("%40") {
            return Err(UrlError::AtSign);
        }
        Ok(self)
    }

    /// `None` if it holds what a terminal would obey.
    fn path(&self) -> Option<&'a str> {
        let path = self.tail.split(['?', '#']).next().unwrap_or_default();
        (!path.contains(is_unsafe_for_display) && !path.contains('\\')).then_some(path)
    }

    /// Scheme, host and port.
    pub(crate) fn origin(&self) -> String {
        let scheme = if self.is_https { "https" } else { "http" };
        match self.port {
            Some(port) => format!("{scheme}://{}:{port}", self.host),
            None => format!("{scheme}://{}", self.host),
        }
    }
}

fn split_port(address: &str) -> Result<(&str, Option<u16>), UrlError> {
    // The colons of an IPv6 address are within brackets.
    let host_end = address.rfind(']').map_or(0, |bracket| bracket + 1);
    let (host, port) = match address[host_end..].find(':') {
        Some(colon) => (
            &address[..host_end + colon],
            &address[host_end + colon + 1..],
        ),
        None => (address, ""),
    };
    if !is_host(host) {
        return Err(UrlError::Host);
    }
    if port.is_empty() {
        return Ok((host, None));
    }
    match port.parse() {
        Ok(number) if number > 0 && !port.starts_with('+') => Ok((host, Some(number))),
        _ => Err(UrlError::Port),
    }
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[') {
        let address = address.strip_suffix(']').unwrap_or_default();
        return address.parse::<Ipv6Addr>().is_ok();
    }
    let is_name_part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
    !host.is_empty() && host.chars().all(is_name_part)
}

/// Scheme, host and port of a URL. `None` if a part of them could be a password.
#[must_use]
pub fn url_origin(url: &str) -> Option<String> {
    let parts = UrlParts::parse(url).and_then(UrlParts::require_no_late_at_sign);
    Some(parts.ok()?.origin())
}

/// The page of a URL: scheme, host, port and path. A query or a fragment can be a token. `None` as
/// for [`url_origin`].
#[must_use]
pub fn url_page(url: &str) -> Option<String> {
    let parts = UrlParts::parse(url).and_then(UrlParts::require_no_late_at_sign);
    let parts = parts.ok()?;
    Some(format!("{}{}", parts.origin(), parts.path()?))
}

/// A text of a library, without what could be the password of a URL in it.
///
/// Such a text can quote a URL that is not valid. So it is cut at its last `@`, and of the URLs that
/// are left only the host is shown.
#[must_use]
pub fn redact_message(text: &str) -> String {
    // The SDK quotes these whole URLs, which can be nothing but a password.
    if text.starts_with("Custom endpoint `") {
        return "the endpoint in AWS_ENDPOINT_URL_* or the profile is not a valid URL".to_owned();
    }
    if text.starts_with("invalid full URI for ECS provider") {
        return "AWS_CONTAINER_CREDENTIALS_FULL_URI cannot be used".to_owned();
    }
    let last = text.rfind('@').map(|at| at + 1);
    let last_encoded = text.rfind("%40").map(|at| at + 3);
    match last.max(last_encoded) {
        Some(end) => format!("…{}", shorten_urls(&text[end..])),
        None => shorten_urls(text),
    }
}

/// Replaces each URL by its origin, or by `…` if it is malformed.
fn shorten_urls(text: &str) -> String {
    let ends_url = |c: char| c.is_whitespace() || "\"'`<>()[]{},;".contains(c);
    let mut shortened = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let start = rest[..at].rfind(ends_url_or_colon).map_or(0, |end| {
            end + rest[end..].chars().next().map_or(1, char::len_utf8)
        });
        // An IPv6 address has brackets, which end other URLs.
        let host_at = at + 3;
        let bracketed = match rest[host_at..].strip_prefix('[') {
            Some(address) => address.find(']').map_or(0, |end| end + 2),
            None => 0,
        };
        let tail_at = host_at + bracketed;
        let end = rest[tail_at..]
            .find(ends_url)
            .map_or(rest.len(), |end| tail_at + end);
        shortened.push_str(&rest[..start]);
        shortened.push_str(url_origin(&rest[start..end]).as_deref().unwrap_or("…"));
        rest = &rest[end..];
    }
    shortened.push_str(rest);
    shortened
}

/// What stands before the scheme of a URL in a text, as in `cause:http://host`.
fn ends_url_or_colon(c: char) -> bool {
    !c.is_ascii_alphanumeric() && !"+-.".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_shown_without_user_password_query_and_fragment() {
        for (url, shown) in [
            (
                "https://ci.example/run/1?token=s3cret#s3cret",
                "https://ci.example/run/1",
            ),
            ("https://ci.example?s3cret", "https://ci.example"),
            ("https://ci.example#/s3cret", "https://ci.example"),
            (
                "https://jane:s3cret@ci.example/run/1",
                "https://ci.example/run/1",
            ),
            ("http://s3cret@host:8080", "http://host:8080"),
            ("http://:s3cret@host:8080/", "http://host:8080/"),
            ("HTTP://jane:s3cret@host", "http://host"),
            ("http://jane:s3@cret@host", "http://host"),
            ("http://jane:s3%40cret@host", "http://host"),
            ("http://jane:s3:cret@[::1]:80/x", "http://[::1]:80/x"),
            ("http://jane:[s3cret@host", "http://host"),
            ("http://host:", "http://host"),
        ] {
            assert_eq!(url_page(url).as_deref(), Some(shown), "{url}");
            let origin = url_origin(url).expect(url);
            assert!(shown.starts_with(&origin), "{url}: {origin}");
            assert_eq!(origin.matches('/').count(), 2, "{url}: {origin}");
        }
    }

    #[test]
    fn a_malformed_url_is_not_shown() {
        for url in [
            "",
            "s3cret",
            "jane:s3cret@host:1",
            "http:/jane:s3cret@host",
            "http:jane:s3cret@host",
            "//jane:s3cret@host",
            "http://",
            "http://jane:s3cret@",
            "http://jane:s3cret",
            "http://jane:s3/cret@host",
            "http://jane:1/s3cret@host",
            "http://jane/s3cret%40host",
            "http://jane:1?s3cret@host",
            "http://jane:1#s3cret@host",
            "http://jane:1\\s3cret@host",
            "http://jane:s3 cret@host",
            "http://jane:s3cret@host\n",
            "http://jane:s3\ncret@host",
            "http://jane:s3cret%40host",
            "http://jane:s3cret@[::1",
            "http://[::1",
            "http://[::1]s3cret",
            "http://jane\ts3cret@host",
            "http://jane:s3cret\u{ff20}host",
            "http://jane:s3cret\\@host",
            "http:\\\\jane:s3cret@host",
            "http://jane:s3cret@::1:80",
            "http://[s3cret]:1",
            "http://host:0",
            "http://host:+1",
            "http://host:65536",
            "socks5://jane:s3cret@host",
            "s3cret://jane@host",
        ] {
            assert_eq!(url_page(url), None, "{url}");
            assert_eq!(url_origin(url), None, "{url}");
        }
        assert_eq!(url_page("https://host/a\u{202e}b"), None);
        assert_eq!(url_page("https://host/a\\b"), None);
    }

    #[test]
    fn a_message_is_cut_at_its_last_at_sign() {
        assert_eq!(redact_message("connection refused"), "connection refused");
        assert_eq!(redact_message("bad URI `http://a b:s3@c%40host`"), "…host`");
        for (text, shown) in [
            ("no http://h:1/s3cret, or", "no http://h:1, or"),
            ("`https://[::1]:80/x?s3cret`", "`https://[::1]:80`"),
            ("at:http://h/s3cret#s3cret", "at:http://h"),
            ("bad http://jane:s3cret", "bad …"),
            ("bad ftp://s3cret and http://h", "bad … and http://h"),
            ("://", "…"),
        ] {
            assert_eq!(redact_message(text), shown);
        }
        for text in [
            "Custom endpoint `s3cret` was not a valid URI",
            "invalid full URI for ECS provider (no host): http://jane:s3cret",
        ] {
            assert!(!redact_message(text).contains("s3cret"));
        }
    }
}

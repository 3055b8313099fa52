//! The proxy for a request, by the variables that Go reads: terragrunt, OpenTofu and their
//! providers do so.
//!
//! The SDK reads other variables and other rules (docs/operations.md has both). A proxy that cannot
//! be used is an error here, because requests that silently take another way are hard to explain.

use std::fmt;
use std::net::IpAddr;

use aws_smithy_http_client::proxy::ProxyConfig;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use crate::s3::no_proxy::NoProxyRules;
use crate::system::env::env_var;
use crate::system::url::{UrlError, UrlParts};

const HTTP_PROXY: [&str; 2] = ["HTTP_PROXY", "http_proxy"];
const HTTPS_PROXY: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];

#[derive(Debug, Clone, Default)]
pub(crate) struct ProxySettings {
    http: Option<ProxyVariable>,
    https: Option<ProxyVariable>,
    no_proxy: NoProxyRules,
}

#[derive(Debug, Clone)]
struct ProxyVariable {
    name: &'static str,
    address: Result<ProxyAddress, UrlError>,
}

/// A usable proxy.
#[derive(Clone)]
pub(crate) struct ProxyAddress {
    /// Without user name and password.
    origin: String,
    /// Has the password, so it is not in the `Debug` output.
    pub(super) config: ProxyConfig,
}

/// How a request leaves this machine.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ProxyRoute<'a> {
    NoProxySet,
    /// To this machine itself.
    Loopback,
    ExcludedByNoProxy,
    Through(&'a ProxyAddress),
}

/// Why a request has no way. It does not quote the URL.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub(crate) enum RouteError {
    #[error("the proxy in {name} cannot be used: {cause}")]
    Proxy { name: &'static str, cause: UrlError },
    #[error("the endpoint cannot be used: {0}")]
    Endpoint(UrlError),
    /// The SDK signs it as a part of the host, so the signature would be refused.
    #[error("the endpoint cannot be used: it has a user name or password")]
    EndpointUserinfo,
}

impl ProxySettings {
    pub(crate) fn from_env() -> Self {
        Self::read(env_var)
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: [&'static str; 2]| {
            names
                .into_iter()
                .find_map(|name| Some((name, variable(name)?)))
        };
        let proxy = |names| {
            let (name, value) = first(names)?;
            let address = ProxyAddress::parse(&value);
            Some(ProxyVariable { name, address })
        };
        let no_proxy = first(NO_PROXY).unwrap_or_default().1;
        Self {
            http: proxy(HTTP_PROXY),
            https: proxy(HTTPS_PROXY),
            no_proxy: NoProxyRules::parse(&no_proxy),
        }
    }

    /// # Errors
    /// The URL is malformed, or the request needs a proxy whose variable is malformed.
    pub(crate) fn find_route(&self, url: &str) -> Result<ProxyRoute<'_>, RouteError> {
        let url = UrlParts::parse(url).map_err(RouteError::Endpoint)?;
        if url.userinfo.is_some() {
            return Err(RouteError::EndpointUserinfo);
        }
        let (variable, default_port) = if url.is_https {
            (&self.https, 443)
        } else {
            (&self.http, 80)
        };
        let Some(variable) = variable else {
            return Ok(ProxyRoute::NoProxySet);
        };
        let host = url.host.trim_matches(['[', ']']);
        if is_loopback(host) {
            return Ok(ProxyRoute::Loopback);
        }
        let port = url.port.unwrap_or(default_port);
        if self.no_proxy.excludes(&host.to_lowercase(), port) {
            return Ok(ProxyRoute::ExcludedByNoProxy);
        }
        match &variable.address {
            Ok(address) => Ok(ProxyRoute::Through(address)),
            Err(cause) => Err(RouteError::Proxy {
                name: variable.name,
                cause: *cause,
            }),
        }
    }
}

impl RouteError {
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Proxy { name, .. } => format!("correct {name}, or list the host in NO_PROXY"),
            Self::Endpoint(_) | Self::EndpointUserinfo => {
                "correct AWS_ENDPOINT_URL_*, AWS_CONTAINER_CREDENTIALS_FULL_URI, or `endpoint_url` \
                 of the profile"
                    .to_owned()
            }
        }
    }
}

impl ProxyAddress {
    fn parse(value: &str) -> Result<Self, UrlError> {
        let url = if value.contains("://") {
            value.to_owned()
        } else {
            format!("http://{value}")
        };
        let parts = UrlParts::parse(&url)?.require_no_late_at_sign()?;
        let origin = parts.origin();
        let config = match parts.userinfo {
            Some(userinfo) => {
                let (scheme, address) = origin.split_once("://").ok_or(UrlError::Scheme)?;
                let userinfo = encode_userinfo(userinfo);
                ProxyConfig::all(format!("{scheme}://{userinfo}@{address}"))
            }
            None => ProxyConfig::all(origin.as_str()),
        };
        match config {
            Ok(config) => Ok(Self { origin, config }),
            // A host with letters that are not ASCII.
            Err(_) => Err(UrlError::Host),
        }
    }
}

impl fmt::Display for ProxyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)
    }
}

impl fmt::Debug for ProxyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)
    }
}

/// The variable that other programs read and Go does not, if it is set.
pub(crate) fn find_all_proxy() -> Option<&'static str> {
    let names = ["ALL_PROXY", "all_proxy"];
    names.into_iter().find(|name| env_var(name).is_some())
}

/// Encodes all special characters, because the connector splits at the first `@`, not the last.
fn encode_userinfo(userinfo: &str) -> String {
    let encode = |text: &str| {
        let bytes: Vec<u8> = percent_decode_str(text).collect();
        percent_encode(&bytes, NON_ALPHANUMERIC).to_string()
    };
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    format!("{}:{}", encode(user), encode(password))
}

fn is_loopback(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host == "localhost",
    }
}

#[cfg(test)]
mod tests;

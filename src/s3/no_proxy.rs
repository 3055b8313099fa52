//! Which hosts `NO_PROXY` excludes, as Go reads it: terragrunt, OpenTofu and their providers do so.
//!
//! A translation of golang.org/x/net/http/httpproxy. `tests/proxies` compares both.

use std::net::IpAddr;

#[derive(Debug, Clone, PartialEq, Eq)]
enum NoProxyRule {
    All,
    Network { address: IpAddr, prefix: u32 },
    Address { address: IpAddr, port: String },
    Domain(DomainRule),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct DomainRule {
    /// With a leading dot.
    suffix: String,
    includes_domain_itself: bool,
    /// Empty for all ports.
    port: String,
}

#[derive(Debug, Clone, Default)]
pub(super) struct NoProxyRules(Vec<NoProxyRule>);

impl NoProxyRules {
    pub(super) fn parse(list: &str) -> Self {
        let entries = list.split(',').map(|entry| entry.trim().to_lowercase());
        Self(entries.filter_map(|entry| parse_entry(&entry)).collect())
    }

    /// `host` is in lower case, and has no brackets.
    pub(super) fn excludes(&self, host: &str, port: u16) -> bool {
        let address = host.parse::<IpAddr>().ok().map(|it| it.to_canonical());
        let port = port.to_string();
        let has_port = |wanted: &str| wanted.is_empty() || wanted == port;
        self.0.iter().any(|rule| match (rule, address) {
            (NoProxyRule::All, _) => true,
            (NoProxyRule::Network { address, prefix }, Some(host)) => {
                is_in_network(host, *address, *prefix)
            }
            (NoProxyRule::Address { address, port }, Some(host)) => {
                *address == host && has_port(port)
            }
            (NoProxyRule::Domain(rule), None) => rule.matches(host) && has_port(&rule.port),
            _ => false,
        })
    }
}

impl DomainRule {
    fn matches(&self, host: &str) -> bool {
        host.ends_with(&self.suffix) || self.includes_domain_itself && host == &self.suffix[1..]
    }
}

fn parse_entry(entry: &str) -> Option<NoProxyRule> {
    if entry == "*" {
        return Some(NoProxyRule::All);
    }
    if let Some(network) = parse_network(entry) {
        return Some(network);
    }
    let (host, port) = split_host_port(entry);
    if host.is_empty() {
        return None;
    }
    let port = port.to_owned();
    if let Ok(address) = host.parse::<IpAddr>() {
        let address = address.to_canonical();
        return Some(NoProxyRule::Address { address, port });
    }
    let domain = host.strip_prefix('*').filter(|it| it.starts_with('.'));
    let domain = domain.unwrap_or(host);
    let includes_domain_itself = !domain.starts_with('.');
    let dot = if includes_domain_itself { "." } else { "" };
    Some(NoProxyRule::Domain(DomainRule {
        suffix: format!("{dot}{domain}"),
        includes_domain_itself,
        port,
    }))
}

/// As `10.0.0.0/8`.
fn parse_network(entry: &str) -> Option<NoProxyRule> {
    let (address, prefix) = entry.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let prefix: u32 = prefix.parse().ok()?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    (prefix <= bits).then_some(NoProxyRule::Network { address, prefix })
}

fn is_in_network(host: IpAddr, network: IpAddr, prefix: u32) -> bool {
    match (host, network) {
        (IpAddr::V4(host), IpAddr::V4(network)) => {
            let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
            (host.to_bits() ^ network.to_bits()) & mask == 0
        }
        (IpAddr::V6(host), IpAddr::V6(network)) => {
            let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
            (host.to_bits() ^ network.to_bits()) & mask == 0
        }
        _ => false,
    }
}

/// Splits as Go's `net.SplitHostPort`. An entry that it refuses is a host without a port.
fn split_host_port(entry: &str) -> (&str, &str) {
    const SPECIAL: [char; 3] = [':', '[', ']'];
    let split = match entry.strip_prefix('[') {
        Some(rest) => rest
            .split_once("]:")
            .filter(|(host, _)| !host.contains(['[', ']'])),
        None => entry
            .split_once(':')
            .filter(|(host, _)| !host.contains(['[', ']'])),
    };
    match split {
        Some((host, port)) if !port.contains(SPECIAL) => (host, port),
        _ => (entry, ""),
    }
}

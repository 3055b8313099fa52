//! The environment variables, and the terminal.

use std::ffi::{OsStr, OsString};

/// An environment variable. An empty one counts as not set.
#[must_use]
#[allow(clippy::disallowed_methods)] // the only file that reads the environment
pub fn env_var(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The variables of this program and of the AWS SDK that are set but empty.
///
/// The SDK does not ignore them: it panics at an empty endpoint and looks for a profile without a
/// name.
#[must_use]
#[allow(clippy::disallowed_methods)] // the only file that reads the environment
pub fn empty_env_vars() -> Vec<OsString> {
    let mut names = Vec::new();
    for (name, value) in std::env::vars_os() {
        if value.is_empty() && is_read_by_us(&name) {
            names.push(name);
        }
    }
    names
}

fn is_read_by_us(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b"AWS_") || name.starts_with(b"CONFIG_BACKUP_")
}

/// Whether the environment has credentials, as in CI.
#[must_use]
pub fn has_env_credentials() -> bool {
    const NAMES: [&str; 4] = [
        "AWS_ACCESS_KEY_ID",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ];
    NAMES.iter().any(|name| env_var(name).is_some())
}

/// Whether the environment has an access key. Then it has a secret key, too.
#[must_use]
pub fn has_env_access_key() -> bool {
    env_var("AWS_ACCESS_KEY_ID").is_some()
}

/// The AWS profile that the environment names. Terraform and the aws CLI know both variables.
#[must_use]
pub fn environment_profile() -> Option<String> {
    env_var("AWS_PROFILE").or_else(|| env_var("AWS_DEFAULT_PROFILE"))
}

/// `USER@HOST`, as far as this machine tells.
#[must_use]
pub fn user_at_host() -> String {
    let user = env_var("USER").or_else(|| env_var("LOGNAME"));
    #[cfg(unix)]
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    #[cfg(not(unix))]
    let host = env_var("COMPUTERNAME").unwrap_or_default();
    format!("{}@{host}", user.unwrap_or_default())
}

/// The proxy for requests to AWS, without its user name and password.
#[must_use]
pub fn https_proxy() -> Option<String> {
    const NAMES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let url = NAMES.iter().find_map(|name| env_var(name))?;
    Some(strip_userinfo(&url))
}

/// A URL without the user name and password before its host.
#[must_use]
pub fn strip_userinfo(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let authority_end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_end);
    let host = match authority.rsplit_once('@') {
        Some((_, host)) => host,
        None => authority,
    };
    format!("{scheme}://{host}{path}")
}

/// The columns of the terminal on stdout, if there is one.
#[must_use]
pub fn terminal_width() -> Option<usize> {
    let (width, _) = terminal_size::terminal_size_of(std::io::stdout())?;
    Some(width.0.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_url_keeps_no_password() {
        assert_eq!(
            strip_userinfo("https://user:s3cret@ci.example/run/1?a=b@c"),
            "https://ci.example/run/1?a=b@c"
        );
        assert_eq!(
            strip_userinfo("https://ci.example/run/1"),
            "https://ci.example/run/1"
        );
    }
}

//! The environment variables, and the terminal.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

/// The longest deadline that a deployment can have.
const MAX_DOWNLOAD_SECONDS: u64 = 300;

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

/// How long `helper.sh` took to download this program, in a deployment that had to.
#[must_use]
pub fn helper_download_time() -> Duration {
    let seconds = env_var("CONFIG_BACKUP_FETCH_SECONDS");
    match seconds.and_then(|seconds| seconds.parse().ok()) {
        Some(seconds @ 0..=MAX_DOWNLOAD_SECONDS) => Duration::from_secs(seconds),
        _ => Duration::ZERO,
    }
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

/// The AWS profiles that the environment names; the first one counts. Terraform and the aws CLI know
/// both variables.
#[must_use]
pub fn environment_profiles() -> Vec<String> {
    let variables = ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"];
    variables.into_iter().filter_map(env_var).collect()
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

/// The columns of the terminal on stdout, if there is one.
#[must_use]
pub fn terminal_width() -> Option<usize> {
    let (width, _) = terminal_size::terminal_size_of(std::io::stdout())?;
    Some(width.0.into())
}

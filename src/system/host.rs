//! The machine we run on: environment, clock, randomness and CI. The only module that reads them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use chrono::{DateTime, SubsecRound as _, Utc};

/// The time, to the second, as records carry it.
#[must_use]
#[allow(clippy::disallowed_methods)] // the one place that reads the clock
pub fn utc_now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(0)
}

/// The time by the clock that dates files.
#[must_use]
#[allow(clippy::disallowed_methods)] // the one place that reads the clock
pub fn system_time() -> SystemTime {
    SystemTime::now()
}

/// An environment variable that is set and not empty.
#[must_use]
#[allow(clippy::disallowed_methods)] // the one place that reads the environment
pub fn env_var(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The variables of ours and of the AWS SDK that are set but empty. The SDK takes an empty value for a value: it panics at an
/// empty endpoint, and looks for a profile without a name.
#[must_use]
#[allow(clippy::disallowed_methods)] // the one place that reads the environment
pub fn empty_env_vars() -> Vec<OsString> {
    let is_ours = |name: &OsString| {
        ["AWS_", "CONFIG_BACKUP_"]
            .iter()
            .any(|prefix| name.as_encoded_bytes().starts_with(prefix.as_bytes()))
    };
    std::env::vars_os()
        .filter(|(name, value)| value.is_empty() && is_ours(name))
        .map(|(name, _)| name)
        .collect()
}

/// How many connections may be open at once beside everything else that is: macOS allows 256 files unless asked for more.
#[must_use]
pub fn available_connections(wanted: usize) -> usize {
    const RESERVED_FILES: u64 = 64;
    let files = rlimit::increase_nofile_limit(wanted as u64 + RESERVED_FILES).unwrap_or(256);
    wanted.min(usize::try_from(files.saturating_sub(RESERVED_FILES)).unwrap_or(wanted))
}

/// The columns of the terminal on stdout, if there is one.
#[must_use]
pub fn terminal_width() -> Option<usize> {
    terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| width.0.into())
}

/// A name that nobody else gives: the time, for people, and 64 random bits.
#[must_use]
pub fn unique_id(now: DateTime<Utc>) -> String {
    let mut bytes = [0_u8; 8];
    if getrandom::fill(&mut bytes).is_err() {
        // No system source of randomness: the process and the nanosecond still tell concurrent runs apart.
        #[allow(clippy::disallowed_methods)]
        let nanos = Utc::now()
            .timestamp_nanos_opt()
            .unwrap_or_default()
            .unsigned_abs();
        bytes = (nanos ^ (u64::from(std::process::id()) << 40)).to_be_bytes();
    }
    format!(
        "{}-{}",
        now.format("%Y%m%dT%H%M%SZ"),
        crate::digest::hex(&bytes)
    )
}

/// When a name of [`nonce`] was given; `None` for what is none.
#[must_use]
pub fn parse_unique_id_time(nonce: &str) -> Option<DateTime<Utc>> {
    let (time, _) = nonce.split_once('-')?;
    chrono::NaiveDateTime::parse_from_str(time, "%Y%m%dT%H%M%SZ")
        .ok()
        .map(|time| time.and_utc())
}

/// Random bytes that nobody can guess; `None` without a system source of randomness.
#[must_use]
pub fn random_key() -> Option<[u8; 32]> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).is_ok().then_some(bytes)
}

/// Where what must outlive a run is kept: `$XDG_STATE_HOME/config-backup`, or `~/.local/state/config-backup`.
#[must_use]
pub fn state_dir() -> Option<PathBuf> {
    xdg_dir("XDG_STATE_HOME", ".local/state")
}

/// Where what must outlive a run is kept if nothing can be written to [`state_dir`]: a folder of the user's own among the
/// temporary files. A restart may empty it.
#[must_use]
pub fn fallback_state_dir() -> Option<PathBuf> {
    #[cfg(unix)]
    {
        let base = env_var("TMPDIR")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .unwrap_or_else(|| "/tmp".into());
        Some(base.join(format!(
            "config-backup-{}",
            rustix::process::getuid().as_raw()
        )))
    }
    #[cfg(not(unix))]
    None
}

/// Whether a folder is the user's own, closed to others, and no link.
#[cfg(unix)]
#[must_use]
pub fn is_private(folder: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    folder.is_dir()
        && folder.uid() == rustix::process::getuid().as_raw()
        && folder.mode() & 0o777 == 0o700
}

/// Whether a folder is the user's own: elsewhere than on Unix there is no folder of which one would have to ask.
#[cfg(not(unix))]
#[must_use]
pub fn is_private(folder: &std::fs::Metadata) -> bool {
    folder.is_dir()
}

/// Where what can be had again is kept: `$XDG_CACHE_HOME/config-backup`, or `~/.cache/config-backup`.
#[must_use]
pub fn cache_dir() -> Option<PathBuf> {
    xdg_dir("XDG_CACHE_HOME", ".cache")
}

/// Our folder in one of the XDG base directories.
fn xdg_dir(name: &str, default: &str) -> Option<PathBuf> {
    let base = env_var(name)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute()) // the XDG specification wants relative ones ignored
        .or_else(|| env_var("HOME").map(|home| Path::new(&home).join(default)));
    base.map(|base| base.join("config-backup"))
}

/// Whether the environment itself brings credentials, as it does in CI.
#[must_use]
pub fn has_env_credentials() -> bool {
    [
        "AWS_ACCESS_KEY_ID",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ]
    .iter()
    .any(|name| env_var(name).is_some())
}

/// The proxy that requests to AWS go through, without a user name or password; `None` where they go straight.
#[must_use]
pub fn https_proxy() -> Option<String> {
    let names = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    names
        .iter()
        .find_map(|name| env_var(name))
        .map(|url| strip_userinfo(&url))
}

/// A URL without the user name and password that may stand before its host.
#[must_use]
pub fn strip_userinfo(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let host_at = rest.find('/').unwrap_or(rest.len());
    let bare = rest[..host_at]
        .rfind('@')
        .map_or(rest, |at| &rest[at + 1..]);
    format!("{scheme}://{bare}")
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

    #[test]
    fn nonces_differ_within_a_second_and_start_with_the_time() {
        let now = DateTime::from_timestamp(1_761_834_652, 0).expect("a valid time");
        let (one, two) = (unique_id(now), unique_id(now));
        assert!(
            one.starts_with("20251030T143052Z-") && one.len() == 33,
            "{one}"
        );
        assert_ne!(one, two);
        assert_eq!(
            (
                parse_unique_id_time(&one),
                parse_unique_id_time("yesterday-1")
            ),
            (Some(now), None)
        );
    }
}

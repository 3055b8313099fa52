//! The keys of configs, of their versions and of seals, in a customer's folder below `terragrunt/`.

use std::fmt;

use chrono::{DateTime, Utc};

use crate::keys::customer::{CustomerSegment, parse_customer_segment};
use crate::keys::is_lower_hex;
use crate::keys::timestamp::{TIMESTAMP_BYTES, format_timestamp, parse_timestamp};

/// The key prefix of all configs, seals and Terraform states.
pub const CONFIGS_PREFIX: &str = "terragrunt/";

/// The config as of the last deployment that changed it, in a customer's folder.
pub const CURRENT_CONFIG_NAME: &str = "config.yaml";

/// All versions of the config, in a customer's folder.
pub const CONFIG_HISTORY_FOLDER: &str = "config-history/";

/// All seals on chains of usage records, in a customer's folder.
///
/// They are not among the records, because SQL engines read every object there.
pub const SEALS_FOLDER: &str = "usage-chain/";

const VERSION_EXTENSION: &str = ".yaml";
const SEAL_EXTENSION: &str = ".json";
const MD5_HEX_DIGITS: usize = 32;

/// An object that we write into a customer's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigKey<'a> {
    /// The config as of the last deployment that changed it.
    Current,
    /// A version of it.
    Version(ConfigVersionKey<'a>),
    /// The seal on a chain of usage records.
    Seal {
        /// Names the chain.
        writer: &'a str,
    },
}

impl<'a> ConfigKey<'a> {
    /// `None` for any other object, for example a Terraform state.
    #[must_use]
    pub fn parse(key: &'a str) -> Option<Self> {
        let (folder, _) = split_customer_folder(key)?;
        Self::parse_in(folder, key)
    }

    /// Like [`ConfigKey::parse`], for a key in one of the [`customer_config_folders`].
    ///
    /// The legacy module wrote a name with a `/` as several path segments, so that only the folder
    /// says where the name ends.
    #[must_use]
    pub fn parse_in(folder: &str, key: &'a str) -> Option<Self> {
        let name = key.strip_prefix(folder)?;
        if name == CURRENT_CONFIG_NAME {
            return Some(Self::Current);
        }
        if let Some(name) = name.strip_prefix(SEALS_FOLDER) {
            let writer = parse_seal_name(name)?;
            return Some(Self::Seal { writer });
        }

        let name = name.strip_prefix(CONFIG_HISTORY_FOLDER)?;
        let version = ConfigVersionKey::parse_name(&key[..folder.len()], name)?;
        Some(Self::Version(version))
    }
}

/// The key of one version of the config, which is written once and never changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConfigVersionKey<'a> {
    /// From the beginning of the key up to and with its `/`.
    folder: &'a str,
    /// When the config was read.
    pub captured_at: DateTime<Utc>,
    /// The MD5 of the config's bytes, hex.
    pub md5: &'a str,
}

impl<'a> ConfigVersionKey<'a> {
    #[must_use]
    pub fn parse(key: &'a str) -> Option<Self> {
        match ConfigKey::parse(key)? {
            ConfigKey::Version(version) => Some(version),
            ConfigKey::Current | ConfigKey::Seal { .. } => None,
        }
    }

    /// Parses `TIMESTAMP_MD5.yaml`.
    fn parse_name(folder: &'a str, name: &'a str) -> Option<Self> {
        let stem = name.strip_suffix(VERSION_EXTENSION)?;
        let (timestamp, rest) = stem.split_at_checked(TIMESTAMP_BYTES)?;
        let md5 = rest.strip_prefix('_')?;
        if !is_lower_hex(md5, MD5_HEX_DIGITS) {
            return None;
        }

        let captured_at = parse_timestamp(timestamp)?;
        Some(Self {
            folder,
            captured_at,
            md5,
        })
    }
}

impl fmt::Display for ConfigVersionKey<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            folder,
            captured_at,
            md5,
        } = self;
        let timestamp = format_timestamp(*captured_at);
        write!(
            formatter,
            "{folder}{CONFIG_HISTORY_FOLDER}{timestamp}_{md5}{VERSION_EXTENSION}"
        )
    }
}

/// The key of the config as of the last deployment that changed it.
#[must_use]
pub fn current_config_key(customer: &str) -> String {
    format!("{}{CURRENT_CONFIG_NAME}", config_folder(customer))
}

/// See [`ConfigVersionKey`].
#[must_use]
pub fn config_version_key(customer: &str, captured_at: DateTime<Utc>, md5: &str) -> String {
    let folder = config_folder(customer);
    ConfigVersionKey {
        folder: &folder,
        captured_at,
        md5,
    }
    .to_string()
}

/// The key of the seal on a writer's chain.
#[must_use]
pub fn seal_key(customer: &str, writer: &str) -> String {
    let prefix = seal_keys_prefix(&config_folder(customer));
    format!("{prefix}{writer}{SEAL_EXTENSION}")
}

/// The folder that we write the customer's configs into.
fn config_folder(customer: &str) -> String {
    format!("{CONFIGS_PREFIX}{}/", CustomerSegment::from_name(customer))
}

/// All folders that the customer's configs may lie in: ours, and that of the legacy module, which
/// used the name as it is.
#[must_use]
pub fn customer_config_folders(customer: &str) -> Vec<String> {
    let ours = config_folder(customer);
    // A name may be spelled like the segment that stands for another customer.
    let is_segment = parse_customer_segment(customer).is_some();
    if customer.is_empty() || is_segment {
        return vec![ours];
    }
    vec![ours, format!("{CONFIGS_PREFIX}{customer}/")]
}

/// The prefix of all keys of configs in a customer's folder, which hardly any state has.
#[must_use]
pub fn config_keys_prefix(folder: &str) -> String {
    format!("{folder}config")
}

/// The prefix of all seals in a customer's folder.
#[must_use]
pub fn seal_keys_prefix(folder: &str) -> String {
    format!("{folder}{SEALS_FOLDER}")
}

/// The folder that a key below `terragrunt/` lies in, and the path segment in it that stands for
/// the customer.
#[must_use]
pub fn split_customer_folder(key: &str) -> Option<(&str, &str)> {
    let (segment, _) = key.strip_prefix(CONFIGS_PREFIX)?.split_once('/')?;
    if segment.is_empty() {
        return None;
    }
    let folder = &key[..=CONFIGS_PREFIX.len() + segment.len()];
    Some((folder, segment))
}

fn parse_seal_name(name: &str) -> Option<&str> {
    let writer = name.strip_suffix(SEAL_EXTENSION)?;
    if writer.is_empty() || writer.contains('/') {
        return None;
    }
    Some(writer)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MD5: &str = "d188280766a258ccc135ef480b49230c";

    fn sample_time() -> DateTime<Utc> {
        // date -u -d @1761834652
        DateTime::from_timestamp(1_761_834_652, 0).expect("a valid time")
    }

    #[test]
    fn keys_have_the_documented_form() {
        assert_eq!(
            current_config_key("airbnb"),
            "terragrunt/airbnb/config.yaml"
        );
        assert_eq!(
            seal_key("airbnb", "0a"),
            "terragrunt/airbnb/usage-chain/0a.json"
        );
        assert_eq!(
            config_version_key("airbnb", sample_time(), MD5),
            "terragrunt/airbnb/config-history/\
             2025-10-30_143052_d188280766a258ccc135ef480b49230c.yaml"
        );
        assert_eq!(
            config_keys_prefix("terragrunt/airbnb/"),
            "terragrunt/airbnb/config"
        );
    }

    #[test]
    fn parses_what_it_writes() {
        let text = config_version_key("airbnb", sample_time(), MD5);
        let key = ConfigVersionKey::parse(&text).expect("the key of a version");
        assert_eq!((key.captured_at, key.md5), (sample_time(), MD5));
        assert_eq!(key.to_string(), text);
        assert_eq!(ConfigKey::parse(&text), Some(ConfigKey::Version(key)));
        assert_eq!(
            ConfigKey::parse(&current_config_key("airbnb")),
            Some(ConfigKey::Current)
        );
        let seal = seal_key("airbnb", "0a");
        assert_eq!(
            ConfigKey::parse(&seal),
            Some(ConfigKey::Seal { writer: "0a" })
        );

        let legacy = "terragrunt/a/b/config.yaml";
        assert_eq!(ConfigKey::parse(legacy), None);
        assert_eq!(
            ConfigKey::parse_in("terragrunt/a/b/", legacy),
            Some(ConfigKey::Current)
        );
        assert_eq!(ConfigKey::parse_in("terragrunt/air/", &text), None);
    }

    #[test]
    fn rejects_other_objects() {
        for name in [
            "config-backup/terraform.tfstate",
            "config.yaml.bak",
            "config-history/",
            "config-history/2025-10-30_143052.yaml",
            "config-history/2025-13-30_143052_d188280766a258ccc135ef480b49230c.yaml",
            "config-history/2025-10-30_143052_D188280766A258CCC135EF480B49230C.yaml",
            "config-history/2025-10-30_143052_d188280766a258ccc135ef480b49230.yaml",
            "usage-chain/.json",
            "usage-chain/a/b.json",
        ] {
            let key = format!("terragrunt/airbnb/{name}");
            assert_eq!(ConfigKey::parse(&key), None, "{name}");
        }
    }

    #[test]
    fn finds_the_folder_of_a_key() {
        let key = current_config_key("airbnb");
        assert_eq!(
            split_customer_folder(&key),
            Some(("terragrunt/airbnb/", "airbnb"))
        );
        for key in ["terragrunt/x", "usage-logs/a/b", "terragrunt//b"] {
            assert_eq!(split_customer_folder(key), None, "{key}");
        }
    }

    #[test]
    fn customer_folders_are_the_segment_and_the_plain_name() {
        assert_eq!(customer_config_folders("airbnb"), ["terragrunt/airbnb/"]);
        let folders = ["terragrunt/~Foo~20Bar/", "terragrunt/Foo Bar/"];
        assert_eq!(customer_config_folders("Foo Bar"), folders);
        assert_eq!(
            customer_config_folders("~Foo~20Bar"),
            ["terragrunt/~~7eFoo~7e20Bar/"]
        );
    }
}

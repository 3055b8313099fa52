//! Where things lie in the bucket: the one place that makes or takes apart an S3 key.
//!
//! Pure: must not read the clock, the environment or the network. The layout is a contract with everybody
//! who reads the bucket; see docs/formats.md, "Keys in the bucket".

use chrono::{DateTime, Datelike as _, NaiveDateTime, Timelike as _, Utc};

use crate::digest::sha256_hex;
use crate::reading::YEARS;
pub use crate::segments::{customer_of, segment};

mod archive;
mod states;

pub use archive::{ARCHIVE, PartKey, archive_prefix, parse_part_key, part_key};
pub use states::{Beside, all_prefixes, owner, parse_key};

/// The key prefix of all usage records.
pub const LOGS: &str = "usage-logs/";
/// The key prefix of everything that belongs to the customers' configs and states.
pub const CONFIGS: &str = "terragrunt/";
/// The config as of the last deployment that changed it, in a customer's folder.
pub const CURRENT: &str = "config.yaml";
/// All versions of it, in a customer's folder.
pub const HISTORY: &str = "config-history/";
/// All seals on the chains of the usage records, in a customer's folder: SQL engines read what lies among the records.
pub const SEALS: &str = "usage-chain/";

const STAMP: &str = "%Y-%m-%d_%H%M%S";

/// The key of the config as of the last deployment that changed it.
#[must_use]
pub fn config_key(customer: &str) -> String {
    format!("{CONFIGS}{}/{CURRENT}", segment(customer))
}

/// The key of one version of the config, which is written once and never changed.
#[must_use]
pub fn history_key(customer: &str, captured_at: DateTime<Utc>, md5: &str) -> String {
    format!("{CONFIGS}{}/{HISTORY}{}_{md5}.yaml", segment(customer), stamp(captured_at))
}

/// What all keys of seals start with in a folder of configs.
#[must_use]
pub fn seals_prefix(folder: &str) -> String {
    format!("{folder}{SEALS}")
}

/// The key of the seal on a writer's chain.
#[must_use]
pub fn seal_key(customer: &str, writer: &str) -> String {
    format!("{}{writer}.json", seals_prefix(&format!("{CONFIGS}{}/", segment(customer))))
}

/// The key of the usage record of a deployment at `at`.
#[must_use]
pub fn log_key(customer: &str, at: DateTime<Utc>) -> String {
    format!("{}{}.json", logs_prefix(Some(customer)), stamp(at))
}

/// The key of a usage record whose [`log_key`] belongs to another deployment of the same second.
///
/// It follows from the deployment's id alone, so that a second try finds the first one's object.
#[must_use]
pub fn log_key_beside(customer: &str, at: DateTime<Utc>, deployment_id: &str) -> String {
    let tail = &sha256_hex(deployment_id.as_bytes())[..8];
    format!("{}{}-{tail}.json", logs_prefix(Some(customer)), stamp(at))
}

/// The prefix of a customer's records, or of all records. It ends with `/`: `acme` must not list `acme-2`.
#[must_use]
pub fn logs_prefix(customer: Option<&str>) -> String {
    customer.map_or_else(|| LOGS.to_owned(), |name| format!("{LOGS}{}/", segment(name)))
}

/// The prefixes that a customer's records may lie under: ours, and the name as it is, as the earlier module had it.
#[must_use]
pub fn prefixes_to_read(customer: &str) -> Vec<String> {
    let ours = logs_prefix(Some(customer));
    let earlier = format!("{LOGS}{customer}/");
    if customer.is_empty() || earlier == ours { vec![ours] } else { vec![ours, earlier] }
}

/// The folders that a customer's configs may lie in: ours, and the name as it is, as the earlier module had it.
#[must_use]
pub fn folders_to_read(customer: &str) -> Vec<String> {
    let ours = format!("{CONFIGS}{}/", segment(customer));
    // A name may be spelled as the segment that stands for another customer.
    let another = customer_of(customer).is_some();
    if customer.is_empty() || another { vec![ours] } else { vec![ours, format!("{CONFIGS}{customer}/")] }
}

/// What all keys of configs in one of [`folders_to_read`] start with, and hardly any key of the units' states.
#[must_use]
pub fn configs_prefix(folder: &str) -> String {
    format!("{folder}config")
}

/// The folder of configs and states that a key lies in, and the path segment that stands for the customer there.
#[must_use]
pub fn folder_of(key: &str) -> Option<(&str, &str)> {
    let (segment, _) = key.strip_prefix(CONFIGS)?.split_once('/')?;
    (!segment.is_empty()).then(|| (&key[..=CONFIGS.len() + segment.len()], segment))
}

/// The keys of the two objects that `doctor` tries the bucket with: no config, no record, and nothing that Athena reads.
#[must_use]
pub fn doctor_keys(customer: Option<&str>) -> [String; 2] {
    let folder = customer.map_or_else(String::new, |name| segment(name) + "/");
    [CONFIGS, LOGS].map(|place| format!("{place}{folder}_config-backup-doctor"))
}

/// What the key of an object beside the units' states says by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigKey<'a> {
    /// The config as of the last deployment that changed it.
    Current,
    /// A version of it.
    Version {
        /// When its bytes were read.
        at: DateTime<Utc>,
        /// The MD5 of its bytes.
        md5: &'a str,
    },
    /// The seal on a chain of usage records.
    Seal {
        /// Names the chain.
        writer: &'a str,
    },
}

/// Takes the key of a config apart, which lies in one of [`folders_to_read`]; `None` for any other object.
#[must_use]
pub fn parse_config_key<'a>(folder: &str, key: &'a str) -> Option<ConfigKey<'a>> {
    let name = key.strip_prefix(folder)?;
    if name == CURRENT {
        return Some(ConfigKey::Current);
    }
    if let Some(writer) = key.strip_prefix(&seals_prefix(folder)).and_then(|name| name.strip_suffix(".json")) {
        return (!writer.is_empty() && !writer.contains('/')).then_some(ConfigKey::Seal { writer });
    }
    let stem = name.strip_prefix(HISTORY)?.strip_suffix(".yaml")?;
    let (head, md5) = (stem.get(..17)?, stem.get(17..)?.strip_prefix('_')?);
    let is_md5 = md5.len() == 32 && md5.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    moment_of(head).filter(|_| is_md5).map(|at| ConfigKey::Version { at, md5 })
}

/// What the key of a usage record says by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogKey<'a> {
    /// The path segment that stands for the customer.
    pub segment: &'a str,
    /// The time in the object's name; absent in records of the earlier module, and where it is none of [`YEARS`] or not
    /// spelled as we do.
    pub at: Option<DateTime<Utc>>,
}

/// Takes the key of a usage record apart; `None` for an object that is no usage record.
#[must_use]
pub fn parse_log_key(key: &str) -> Option<LogKey<'_>> {
    let (segment, name) = key.strip_prefix(LOGS)?.split_once('/')?;
    let stem = name.strip_suffix(".json")?;
    if segment.is_empty() || stem.is_empty() || stem.contains('/') {
        return None;
    }
    let at = stem.get(..17).filter(|_| stem.len() == 17 || stem.as_bytes()[17] == b'-').and_then(moment_of);
    Some(LogKey { segment, at })
}

/// The time that [`stamp`] spells so.
#[must_use]
pub fn moment_of(stamp: &str) -> Option<DateTime<Utc>> {
    let time = NaiveDateTime::parse_from_str(stamp, STAMP).ok().filter(|_| is_stamp(stamp))?.and_utc();
    // A leap second would be counted to the next day, and no clock of ours shows one.
    (YEARS.contains(&time.year()) && time.nanosecond() == 0).then_some(time)
}

/// Whether a text is spelled as [`stamp`] does it; chrono also reads `+2025-1-1…`, which sorts elsewhere.
fn is_stamp(text: &str) -> bool {
    text.len() == 17
        && text.bytes().enumerate().all(|(place, byte)| match place {
            4 | 7 => byte == b'-',
            10 => byte == b'_',
            _ => byte.is_ascii_digit(),
        })
}

/// The segment that stands for the customer in the key of a record, or in the beginning of one.
#[must_use]
pub fn segment_of(key: &str) -> Option<&str> {
    key.strip_prefix(LOGS)?.split_once('/').map(|(segment, _)| segment)
}

/// A time as it stands in object names: `YYYY-MM-DD_HHMMSS`, UTC.
#[must_use]
pub fn stamp(at: DateTime<Utc>) -> String {
    at.format(STAMP).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> DateTime<Utc> {
        DateTime::from_timestamp(1_761_834_652, 0).expect("a valid time") // date -u -d @1761834652
    }

    #[test]
    fn keys_are_spelled_as_documented() {
        assert_eq!(config_key("airbnb"), "terragrunt/airbnb/config.yaml");
        assert_eq!(log_key("airbnb", at()), "usage-logs/airbnb/2025-10-30_143052.json");
        assert_eq!(
            history_key("airbnb", at(), "d188280766a258ccc135ef480b49230c"),
            "terragrunt/airbnb/config-history/2025-10-30_143052_d188280766a258ccc135ef480b49230c.yaml"
        );
        // printf 20251030T143052Z-00 | sha256sum
        assert_eq!(log_key_beside("airbnb", at(), "20251030T143052Z-00"), "usage-logs/airbnb/2025-10-30_143052-465b93c4.json");
    }

    #[test]
    fn a_customer_prefix_lists_no_other_customer() {
        assert_eq!(logs_prefix(Some("acme")), "usage-logs/acme/");
        assert!(!log_key("acme-2", at()).starts_with(&logs_prefix(Some("acme"))));
    }

    #[test]
    fn a_name_longer_than_a_key_gets_a_digest() {
        let long = "x".repeat(1025);
        assert!(log_key_beside(&long, at(), "id").len() < 1024);
        assert!(segment(&long).starts_with("~~h"));
        assert_eq!(customer_of(&segment(&long)), None);
        assert_ne!(segment(&long), segment(&"x".repeat(1026)));
    }

    #[test]
    fn log_keys_of_both_modules_are_read() {
        let ours = parse_log_key("usage-logs/airbnb/2025-10-30_143052.json").expect("ours");
        assert_eq!((ours.segment, ours.at), ("airbnb", Some(at())));
        let beside = parse_log_key("usage-logs/airbnb/2025-10-30_143052-0a1b2c3d.json").expect("beside");
        assert_eq!(beside.at, Some(at()));
        let earlier = parse_log_key("usage-logs/airbnb/d188280766a258ccc135ef480b49230c.json").expect("earlier");
        assert_eq!((earlier.segment, earlier.at), ("airbnb", None));
        for wild in ["2025-13-30_143052", "+2025-1-30_143052", "2025-1-30_1430521", "2025-12-31_235960"] {
            let key = format!("usage-logs/airbnb/{wild}.json");
            assert_eq!(parse_log_key(&key).expect("a record all the same").at, None, "{wild}");
        }
    }

    #[test]
    fn keys_of_configs_are_told_from_those_of_states() {
        let parse = |name: &str| parse_config_key("terragrunt/airbnb/", &format!("terragrunt/airbnb/{name}")).is_some();
        let key = history_key("airbnb", at(), "d188280766a258ccc135ef480b49230c");
        let version = ConfigKey::Version { at: at(), md5: "d188280766a258ccc135ef480b49230c" };
        assert_eq!(parse_config_key("terragrunt/airbnb/", &key), Some(version));
        assert_eq!(parse_config_key("terragrunt/airbnb/", &config_key("airbnb")), Some(ConfigKey::Current));
        assert_eq!(parse_config_key("terragrunt/airbnb/", &seal_key("airbnb", "0a")), Some(ConfigKey::Seal { writer: "0a" }));
        assert_eq!(folder_of(&key), Some(("terragrunt/airbnb/", "airbnb")));
        assert_eq!([folder_of("terragrunt/x"), folder_of("usage-logs/a/b"), folder_of("terragrunt//b")], [None; 3]);
        assert_eq!(parse_config_key("terragrunt/air/", &key), None);
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
            assert!(!parse(name), "{name}");
        }
        assert_eq!(folders_to_read("airbnb"), ["terragrunt/airbnb/"]);
        assert_eq!(folders_to_read("Foo Bar"), ["terragrunt/~Foo~20Bar/", "terragrunt/Foo Bar/"]);
        assert_eq!(folders_to_read("~Foo~20Bar"), ["terragrunt/~~7eFoo~7e20Bar/"]);
        assert_eq!(configs_prefix("terragrunt/airbnb/"), "terragrunt/airbnb/config");
    }

    #[test]
    fn records_are_read_under_the_segment_and_under_the_name_itself() {
        assert_eq!(prefixes_to_read("airbnb"), ["usage-logs/airbnb/"]);
        assert_eq!(prefixes_to_read("Foo Bar"), ["usage-logs/~Foo~20Bar/", "usage-logs/Foo Bar/"]);
        assert_eq!(prefixes_to_read(""), ["usage-logs/~/"], "and not what lies beside the customers' folders");
        assert_eq!(segment_of("usage-logs/~Foo~20Bar/2025"), Some("~Foo~20Bar"));
        assert_eq!([segment_of("usage-logs/airbnb"), segment_of("terragrunt/airbnb/x")], [None; 2]);
    }

    #[test]
    fn other_objects_are_no_records() {
        for key in [
            "usage-logs/",
            "usage-logs/airbnb/",
            "usage-logs/x.json",
            "usage-logs/a/b/c.json",
            "usage-logs/a/x.csv",
            "usage-logs/a/.json",
            "terragrunt/a/x.json",
        ] {
            assert_eq!(parse_log_key(key), None, "{key}");
        }
    }
}

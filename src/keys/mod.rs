//! Where things lie in the bucket: the one place that makes or takes apart an S3 key.
//!
//! Pure: must not read the clock, the environment or the network. The layout is a contract with everybody
//! who reads the bucket; see docs/formats.md, "Keys in the bucket".

pub mod customer;
pub mod metadata;

use chrono::{DateTime, Datelike as _, NaiveDateTime, Timelike as _, Utc};

use crate::digest::sha256_hex;
pub use crate::keys::customer::{customer_segment, parse_customer_segment};

mod archive;
mod terraform_state;

pub use archive::{ARCHIVE_PREFIX, ArchiveKey, archive_key, archive_prefix_for, parse_archive_key};
pub use terraform_state::{
    TerragruntKey, canonical_segment, customer_terragrunt_prefixes, parse_terragrunt_key,
};

/// The years in which a deployment may have been: before, there was no S3, and far behind now, no clock is right.
pub const PLAUSIBLE_YEARS: std::ops::Range<i32> = 2000..2100;

/// The key prefix of all usage records.
pub const RECORDS_PREFIX: &str = "usage-logs/";
/// The key prefix of everything that belongs to the customers' configs and states.
pub const CONFIGS_PREFIX: &str = "terragrunt/";
/// The config as of the last deployment that changed it, in a customer's folder.
pub const CURRENT_CONFIG_NAME: &str = "config.yaml";
/// All versions of it, in a customer's folder.
pub const CONFIG_HISTORY_FOLDER: &str = "config-history/";
/// All seals on the chains of the usage records, in a customer's folder: SQL engines read what lies among the records.
pub const SEALS_FOLDER: &str = "usage-chain/";

const TIMESTAMP_FORMAT: &str = "%Y-%m-%d_%H%M%S";

/// The key of the config as of the last deployment that changed it.
#[must_use]
pub fn current_config_key(customer: &str) -> String {
    format!(
        "{CONFIGS_PREFIX}{}/{CURRENT_CONFIG_NAME}",
        customer_segment(customer)
    )
}

/// The key of one version of the config, which is written once and never changed.
#[must_use]
pub fn config_version_key(customer: &str, captured_at: DateTime<Utc>, md5: &str) -> String {
    format!(
        "{CONFIGS_PREFIX}{}/{CONFIG_HISTORY_FOLDER}{}_{md5}.yaml",
        customer_segment(customer),
        format_timestamp(captured_at)
    )
}

/// What all keys of seals start with in a folder of configs.
#[must_use]
pub fn seal_keys_prefix(folder: &str) -> String {
    format!("{folder}{SEALS_FOLDER}")
}

/// The key of the seal on a writer's chain.
#[must_use]
pub fn seal_key(customer: &str, writer: &str) -> String {
    format!(
        "{}{writer}.json",
        seal_keys_prefix(&format!("{CONFIGS_PREFIX}{}/", customer_segment(customer)))
    )
}

/// The key of the usage record of a deployment at `at`.
#[must_use]
pub fn record_key(customer: &str, at: DateTime<Utc>) -> String {
    format!(
        "{}{}.json",
        record_keys_prefix(Some(customer)),
        format_timestamp(at)
    )
}

/// The key of a usage record whose [`log_key`] belongs to another deployment of the same second.
///
/// It follows from the deployment's id alone, so that a second try finds the first one's object.
#[must_use]
pub fn record_key_with_suffix(customer: &str, at: DateTime<Utc>, deployment_id: &str) -> String {
    let tail = &sha256_hex(deployment_id.as_bytes())[..8];
    format!(
        "{}{}-{tail}.json",
        record_keys_prefix(Some(customer)),
        format_timestamp(at)
    )
}

/// The prefix of a customer's records, or of all records. It ends with `/`: `acme` must not list `acme-2`.
#[must_use]
pub fn record_keys_prefix(customer: Option<&str>) -> String {
    customer.map_or_else(
        || RECORDS_PREFIX.to_owned(),
        |name| format!("{RECORDS_PREFIX}{}/", customer_segment(name)),
    )
}

/// The prefixes that a customer's records may lie under: ours, and the name as it is, as the earlier module had it.
#[must_use]
pub fn customer_record_prefixes(customer: &str) -> Vec<String> {
    let ours = record_keys_prefix(Some(customer));
    let earlier = format!("{RECORDS_PREFIX}{customer}/");
    if customer.is_empty() || earlier == ours {
        vec![ours]
    } else {
        vec![ours, earlier]
    }
}

/// The folders that a customer's configs may lie in: ours, and the name as it is, as the earlier module had it.
#[must_use]
pub fn customer_config_folders(customer: &str) -> Vec<String> {
    let ours = format!("{CONFIGS_PREFIX}{}/", customer_segment(customer));
    // A name may be spelled as the segment that stands for another customer.
    let another = parse_customer_segment(customer).is_some();
    if customer.is_empty() || another {
        vec![ours]
    } else {
        vec![ours, format!("{CONFIGS_PREFIX}{customer}/")]
    }
}

/// What all keys of configs in one of [`folders_to_read`] start with, and hardly any key of the units' states.
#[must_use]
pub fn config_keys_prefix(folder: &str) -> String {
    format!("{folder}config")
}

/// The folder of configs and states that a key lies in, and the path segment that stands for the customer there.
#[must_use]
pub fn split_customer_folder(key: &str) -> Option<(&str, &str)> {
    let (segment, _) = key.strip_prefix(CONFIGS_PREFIX)?.split_once('/')?;
    (!segment.is_empty()).then(|| (&key[..=CONFIGS_PREFIX.len() + segment.len()], segment))
}

/// The keys of the two objects that `doctor` tries the bucket with: no config, no record, and nothing that Athena reads.
#[must_use]
pub fn doctor_canary_keys(customer: Option<&str>) -> [String; 2] {
    let folder = customer.map_or_else(String::new, |name| customer_segment(name) + "/");
    [CONFIGS_PREFIX, RECORDS_PREFIX].map(|place| format!("{place}{folder}_config-backup-doctor"))
}

/// What the key of an object beside the units' states says by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigKey<'a> {
    /// The config as of the last deployment that changed it.
    Current,
    /// A version of it.
    Version {
        /// When its bytes were read.
        captured_at: DateTime<Utc>,
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
    if name == CURRENT_CONFIG_NAME {
        return Some(ConfigKey::Current);
    }
    if let Some(writer) = key
        .strip_prefix(&seal_keys_prefix(folder))
        .and_then(|name| name.strip_suffix(".json"))
    {
        return (!writer.is_empty() && !writer.contains('/')).then_some(ConfigKey::Seal { writer });
    }
    let stem = name
        .strip_prefix(CONFIG_HISTORY_FOLDER)?
        .strip_suffix(".yaml")?;
    let (head, md5) = (stem.get(..17)?, stem.get(17..)?.strip_prefix('_')?);
    let is_md5 = md5.len() == 32
        && md5
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    parse_timestamp(head)
        .filter(|_| is_md5)
        .map(|at| ConfigKey::Version {
            captured_at: at,
            md5,
        })
}

/// What the key of a usage record says by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordKey<'a> {
    /// The path segment that stands for the customer.
    pub segment: &'a str,
    /// The time in the object's name; absent in records of the earlier module, and where it is none of [`YEARS`] or not
    /// spelled as we do.
    pub deployed_at: Option<DateTime<Utc>>,
}

/// Takes the key of a usage record apart; `None` for an object that is no usage record.
#[must_use]
pub fn parse_record_key(key: &str) -> Option<RecordKey<'_>> {
    let (segment, name) = key.strip_prefix(RECORDS_PREFIX)?.split_once('/')?;
    let stem = name.strip_suffix(".json")?;
    if segment.is_empty() || stem.is_empty() || stem.contains('/') {
        return None;
    }
    let at = stem
        .get(..17)
        .filter(|_| stem.len() == 17 || stem.as_bytes()[17] == b'-')
        .and_then(parse_timestamp);
    Some(RecordKey {
        segment,
        deployed_at: at,
    })
}

/// The time that [`stamp`] spells so.
#[must_use]
pub fn parse_timestamp(stamp: &str) -> Option<DateTime<Utc>> {
    let time = NaiveDateTime::parse_from_str(stamp, TIMESTAMP_FORMAT)
        .ok()
        .filter(|_| has_timestamp_form(stamp))?
        .and_utc();
    // A leap second would be counted to the next day, and no clock of ours shows one.
    (PLAUSIBLE_YEARS.contains(&time.year()) && time.nanosecond() == 0).then_some(time)
}

/// Whether a text is spelled as [`stamp`] does it; chrono also reads `+2025-1-1…`, which sorts elsewhere.
fn has_timestamp_form(text: &str) -> bool {
    text.len() == 17
        && text.bytes().enumerate().all(|(place, byte)| match place {
            4 | 7 => byte == b'-',
            10 => byte == b'_',
            _ => byte.is_ascii_digit(),
        })
}

/// The segment that stands for the customer in the key of a record, or in the beginning of one.
#[must_use]
pub fn record_key_segment(key: &str) -> Option<&str> {
    key.strip_prefix(RECORDS_PREFIX)?
        .split_once('/')
        .map(|(segment, _)| segment)
}

/// A time as it stands in object names: `YYYY-MM-DD_HHMMSS`, UTC.
#[must_use]
pub fn format_timestamp(at: DateTime<Utc>) -> String {
    at.format(TIMESTAMP_FORMAT).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample_time() -> DateTime<Utc> {
        DateTime::from_timestamp(1_761_834_652, 0).expect("a valid time") // date -u -d @1761834652
    }

    #[test]
    fn keys_have_the_documented_form() {
        assert_eq!(
            current_config_key("airbnb"),
            "terragrunt/airbnb/config.yaml"
        );
        assert_eq!(
            record_key("airbnb", sample_time()),
            "usage-logs/airbnb/2025-10-30_143052.json"
        );
        assert_eq!(
            config_version_key("airbnb", sample_time(), "d188280766a258ccc135ef480b49230c"),
            "terragrunt/airbnb/config-history/2025-10-30_143052_d188280766a258ccc135ef480b49230c.yaml"
        );
        // printf 20251030T143052Z-00 | sha256sum
        assert_eq!(
            record_key_with_suffix("airbnb", sample_time(), "20251030T143052Z-00"),
            "usage-logs/airbnb/2025-10-30_143052-465b93c4.json"
        );
    }

    #[test]
    fn a_customer_prefix_lists_no_other_customer() {
        assert_eq!(record_keys_prefix(Some("acme")), "usage-logs/acme/");
        assert!(
            !record_key("acme-2", sample_time()).starts_with(&record_keys_prefix(Some("acme")))
        );
    }

    #[test]
    fn a_name_longer_than_a_key_gets_a_digest() {
        let long = "x".repeat(1025);
        assert!(record_key_with_suffix(&long, sample_time(), "id").len() < 1024);
        assert!(customer_segment(&long).starts_with("~~h"));
        assert_eq!(parse_customer_segment(&customer_segment(&long)), None);
        assert_ne!(customer_segment(&long), customer_segment(&"x".repeat(1026)));
    }

    #[test]
    fn parses_record_keys_of_both_modules() {
        let ours = parse_record_key("usage-logs/airbnb/2025-10-30_143052.json").expect("ours");
        assert_eq!(
            (ours.segment, ours.deployed_at),
            ("airbnb", Some(sample_time()))
        );
        let beside =
            parse_record_key("usage-logs/airbnb/2025-10-30_143052-0a1b2c3d.json").expect("beside");
        assert_eq!(beside.deployed_at, Some(sample_time()));
        let earlier = parse_record_key("usage-logs/airbnb/d188280766a258ccc135ef480b49230c.json")
            .expect("earlier");
        assert_eq!((earlier.segment, earlier.deployed_at), ("airbnb", None));
        for wild in [
            "2025-13-30_143052",
            "+2025-1-30_143052",
            "2025-1-30_1430521",
            "2025-12-31_235960",
        ] {
            let key = format!("usage-logs/airbnb/{wild}.json");
            assert_eq!(
                parse_record_key(&key)
                    .expect("a record all the same")
                    .deployed_at,
                None,
                "{wild}"
            );
        }
    }

    #[test]
    fn distinguishes_config_keys_from_state_keys() {
        let parse = |name: &str| {
            parse_config_key("terragrunt/airbnb/", &format!("terragrunt/airbnb/{name}")).is_some()
        };
        let key = config_version_key("airbnb", sample_time(), "d188280766a258ccc135ef480b49230c");
        let version = ConfigKey::Version {
            captured_at: sample_time(),
            md5: "d188280766a258ccc135ef480b49230c",
        };
        assert_eq!(parse_config_key("terragrunt/airbnb/", &key), Some(version));
        assert_eq!(
            parse_config_key("terragrunt/airbnb/", &current_config_key("airbnb")),
            Some(ConfigKey::Current)
        );
        assert_eq!(
            parse_config_key("terragrunt/airbnb/", &seal_key("airbnb", "0a")),
            Some(ConfigKey::Seal { writer: "0a" })
        );
        assert_eq!(
            split_customer_folder(&key),
            Some(("terragrunt/airbnb/", "airbnb"))
        );
        assert_eq!(
            [
                split_customer_folder("terragrunt/x"),
                split_customer_folder("usage-logs/a/b"),
                split_customer_folder("terragrunt//b")
            ],
            [None; 3]
        );
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
        assert_eq!(customer_config_folders("airbnb"), ["terragrunt/airbnb/"]);
        assert_eq!(
            customer_config_folders("Foo Bar"),
            ["terragrunt/~Foo~20Bar/", "terragrunt/Foo Bar/"]
        );
        assert_eq!(
            customer_config_folders("~Foo~20Bar"),
            ["terragrunt/~~7eFoo~7e20Bar/"]
        );
        assert_eq!(
            config_keys_prefix("terragrunt/airbnb/"),
            "terragrunt/airbnb/config"
        );
    }

    #[test]
    fn records_are_read_under_the_segment_and_under_the_name_itself() {
        assert_eq!(customer_record_prefixes("airbnb"), ["usage-logs/airbnb/"]);
        assert_eq!(
            customer_record_prefixes("Foo Bar"),
            ["usage-logs/~Foo~20Bar/", "usage-logs/Foo Bar/"]
        );
        assert_eq!(
            customer_record_prefixes(""),
            ["usage-logs/~/"],
            "and not what lies beside the customers' folders"
        );
        assert_eq!(
            record_key_segment("usage-logs/~Foo~20Bar/2025"),
            Some("~Foo~20Bar")
        );
        assert_eq!(
            [
                record_key_segment("usage-logs/airbnb"),
                record_key_segment("terragrunt/airbnb/x")
            ],
            [None; 2]
        );
    }

    #[test]
    fn rejects_keys_that_are_not_records() {
        for key in [
            "usage-logs/",
            "usage-logs/airbnb/",
            "usage-logs/x.json",
            "usage-logs/a/b/c.json",
            "usage-logs/a/x.csv",
            "usage-logs/a/.json",
            "terragrunt/a/x.json",
        ] {
            assert_eq!(parse_record_key(key), None, "{key}");
        }
    }
}

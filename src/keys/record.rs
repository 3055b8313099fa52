//! The keys of usage records: `usage-logs/CUSTOMER/TIMESTAMP.json`.

use std::fmt;

use chrono::{DateTime, Utc};

use crate::digest::sha256_hex;
use crate::keys::customer::CustomerSegment;
use crate::keys::timestamp::{TIMESTAMP_BYTES, format_timestamp, parse_timestamp};

/// The key prefix of all usage records.
pub const RECORDS_PREFIX: &str = "usage-logs/";

const EXTENSION: &str = ".json";

/// Tells two deployments of one customer in the same second apart.
const SUFFIX_HEX_DIGITS: usize = 8;

/// The key of a usage record, of ours or of the legacy module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordKey<'a> {
    /// The customer's folder: a [`CustomerSegment`], or the name as the legacy module wrote it.
    pub segment: &'a str,
    /// `None` in keys of the legacy module, and where the time is implausible or spelled otherwise.
    pub deployed_at: Option<DateTime<Utc>>,
    /// What follows the time in the object's name; all of the name where there is no time.
    rest: &'a str,
}

impl<'a> RecordKey<'a> {
    /// `None` for a key that is not that of a usage record.
    #[must_use]
    pub fn parse(key: &'a str) -> Option<Self> {
        let (segment, name) = key.strip_prefix(RECORDS_PREFIX)?.split_once('/')?;
        let stem = name.strip_suffix(EXTENSION)?;
        if segment.is_empty() || stem.is_empty() || stem.contains('/') {
            return None;
        }

        let dated = parse_dated_stem(stem);
        Some(match dated {
            Some((deployed_at, rest)) => Self {
                segment,
                deployed_at: Some(deployed_at),
                rest,
            },
            None => Self {
                segment,
                deployed_at: None,
                rest: stem,
            },
        })
    }
}

impl fmt::Display for RecordKey<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            segment,
            deployed_at,
            rest,
        } = self;
        write!(formatter, "{RECORDS_PREFIX}{segment}/")?;
        if let Some(deployed_at) = deployed_at {
            formatter.write_str(&format_timestamp(*deployed_at))?;
        }
        write!(formatter, "{rest}{EXTENSION}")
    }
}

/// The key of the record of a deployment.
#[must_use]
pub fn record_key(customer: &str, deployed_at: DateTime<Utc>) -> String {
    format_record_key(customer, deployed_at, "")
}

/// The key to use where [`record_key`] is taken by another deployment of the same second.
///
/// It follows from the deployment's id alone, so that a retry finds the first attempt's object.
#[must_use]
pub fn record_key_with_suffix(
    customer: &str,
    deployed_at: DateTime<Utc>,
    deployment_id: &str,
) -> String {
    let digest = sha256_hex(deployment_id.as_bytes());
    let suffix = format!("-{}", &digest[..SUFFIX_HEX_DIGITS]);
    format_record_key(customer, deployed_at, &suffix)
}

fn format_record_key(customer: &str, deployed_at: DateTime<Utc>, suffix: &str) -> String {
    let segment = CustomerSegment::from_name(customer);
    let key = RecordKey {
        segment: segment.as_str(),
        deployed_at: Some(deployed_at),
        rest: suffix,
    };
    key.to_string()
}

/// Splits `TIMESTAMP` or `TIMESTAMP-SUFFIX` into the time and the rest.
fn parse_dated_stem(stem: &str) -> Option<(DateTime<Utc>, &str)> {
    let (timestamp, rest) = stem.split_at_checked(TIMESTAMP_BYTES)?;
    if !rest.is_empty() && !rest.starts_with('-') {
        return None;
    }
    Some((parse_timestamp(timestamp)?, rest))
}

/// The customer's folder in the key of a record, or in a prefix of such keys.
#[must_use]
pub fn record_key_segment(key: &str) -> Option<&str> {
    let (folder, _) = key.strip_prefix(RECORDS_PREFIX)?.split_once('/')?;
    Some(folder)
}

/// The prefix of a customer's records as we write them, or of all records.
///
/// It ends with `/`, because `acme` must not list the records of `acme-2`.
#[must_use]
pub fn record_keys_prefix(customer: Option<&str>) -> String {
    match customer {
        Some(name) => format!("{RECORDS_PREFIX}{}/", CustomerSegment::from_name(name)),
        None => RECORDS_PREFIX.to_owned(),
    }
}

/// All prefixes that the customer's records may have: ours, and that of the legacy module, which
/// used the name as it is.
#[must_use]
pub fn customer_record_prefixes(customer: &str) -> Vec<String> {
    let ours = record_keys_prefix(Some(customer));
    let legacy = format!("{RECORDS_PREFIX}{customer}/");
    if customer.is_empty() || legacy == ours {
        return vec![ours];
    }
    vec![ours, legacy]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample_time() -> DateTime<Utc> {
        // date -u -d @1761834652
        DateTime::from_timestamp(1_761_834_652, 0).expect("a valid time")
    }

    #[test]
    fn keys_have_the_documented_form() {
        let key = record_key("airbnb", sample_time());
        assert_eq!(key, "usage-logs/airbnb/2025-10-30_143052.json");
        // printf 20251030T143052Z-00 | sha256sum
        let key = record_key_with_suffix("airbnb", sample_time(), "20251030T143052Z-00");
        assert_eq!(key, "usage-logs/airbnb/2025-10-30_143052-465b93c4.json");
        let long_name = "x".repeat(1025);
        assert!(record_key_with_suffix(&long_name, sample_time(), "id").len() < 1024);
    }

    #[test]
    fn a_customer_prefix_lists_no_other_customer() {
        let prefix = record_keys_prefix(Some("acme"));
        assert_eq!(prefix, "usage-logs/acme/");
        assert!(!record_key("acme-2", sample_time()).starts_with(&prefix));
    }

    #[test]
    fn parses_record_keys_of_both_modules() {
        for (name, deployed_at) in [
            ("2025-10-30_143052", Some(sample_time())),
            ("2025-10-30_143052-0a1b2c3d", Some(sample_time())),
            ("d188280766a258ccc135ef480b49230c", None),
            ("2025-10-30_143052x", None),
            ("2025-13-30_143052", None),
            ("+2025-1-30_143052", None),
        ] {
            let text = format!("usage-logs/airbnb/{name}.json");
            let key = RecordKey::parse(&text).expect("the key of a record");
            assert_eq!(
                (key.segment, key.deployed_at),
                ("airbnb", deployed_at),
                "{name}"
            );
            assert_eq!(key.to_string(), text);
        }
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
            assert_eq!(RecordKey::parse(key), None, "{key}");
        }
    }

    #[test]
    fn customer_prefixes_are_the_segment_and_the_plain_name() {
        assert_eq!(customer_record_prefixes("airbnb"), ["usage-logs/airbnb/"]);
        let prefixes = ["usage-logs/~Foo~20Bar/", "usage-logs/Foo Bar/"];
        assert_eq!(customer_record_prefixes("Foo Bar"), prefixes);
        assert_eq!(
            customer_record_prefixes(""),
            ["usage-logs/~/"],
            "not all customers"
        );
    }

    #[test]
    fn finds_the_folder_in_keys_and_prefixes() {
        assert_eq!(
            record_key_segment("usage-logs/~Foo~20Bar/2025"),
            Some("~Foo~20Bar")
        );
        assert_eq!(record_key_segment("usage-logs/airbnb"), None);
        assert_eq!(record_key_segment("terragrunt/airbnb/x"), None);
    }
}

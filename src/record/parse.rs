//! The lenient parser of usage records: ours, those of the legacy module, and damaged ones.
//!
//! Every usable value is used. An unusable one is reported without its text, which may be a secret
//! in the wrong place. Must not parse keys.

use std::fmt;

use chrono::{DateTime, Datelike as _, Timelike as _, Utc};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::keys::PLAUSIBLE_YEARS;
use crate::record::{ChainLink, CiJob, GitCommit, MAX_RECORD_BYTES, RECORD_SCHEMA_VERSION};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// An object without any of these is not a usage record.
const MANDATORY_FIELDS: [&str; 4] = ["timestamp", "customer", "user", "config_hash"];

/// Below this, an `f64` can hold every whole number.
const MAX_EXACT_FLOAT: f64 = 9_007_199_254_740_992.0;

const LAST_NANOSECOND: u32 = 999_999_999;

/// The values of a usage record; a text that the record does not have is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParsedRecord {
    /// `None` where the record does not say it in a usable form.
    pub deployed_at: Option<DateTime<Utc>>,
    /// According to the record; see [`effective_customer`](crate::keys::effective_customer).
    pub customer: String,
    /// The full ARN.
    pub user: String,
    pub account: String,
    /// MD5 of the config, hex.
    pub config_hash: String,
    pub additional_users_count: u64,
    pub project_name: String,
    pub cluster_name: String,
    pub deployment_id: String,
    /// A word of [`BackupStatus`](crate::record::BackupStatus), or of a later version.
    pub backup: String,
    /// The key of the version that was deployed.
    pub backup_key: String,
    /// Whether a later run uploaded the record.
    pub is_late: bool,
    pub git: Option<GitCommit>,
    pub ci: Option<CiJob>,
    pub chain: Option<ChainLink>,
    /// SHA-256 of the config, hex.
    pub config_sha256: String,
    /// A message for each value that was skipped.
    pub problems: Vec<String>,
}

/// Why an object cannot be used as a usage record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordError {
    Empty,
    TooLarge {
        bytes: u64,
    },
    /// The parser's own message may quote the record.
    InvalidJson {
        line: usize,
        column: usize,
    },
    NotAnObject,
    NoRecordField,
    InvalidKey,
}

impl fmt::Display for RecordError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => formatter.write_str("empty object"),
            Self::TooLarge { bytes } => {
                write!(formatter, "{bytes} bytes, the limit is {MAX_RECORD_BYTES}")
            }
            Self::InvalidJson { line, column } => {
                write!(formatter, "not valid JSON at line {line}, column {column}")
            }
            Self::NotAnObject => formatter.write_str("not a JSON object"),
            Self::NoRecordField => formatter.write_str("has no field of a usage record"),
            Self::InvalidKey => formatter.write_str("not the key of a usage record"),
        }
    }
}

impl std::error::Error for RecordError {}

/// Parses one record. Unknown fields are ignored, unusable values are skipped and reported.
///
/// # Errors
/// The object is not a record at all.
pub fn parse_record(bytes: &[u8]) -> Result<ParsedRecord, RecordError> {
    let mut reader = RecordReader {
        fields: parse_fields(bytes)?,
        problems: Vec::new(),
    };

    reader.check_schema();
    let deployed_at = reader.read_timestamp();
    // Nothing shows it, but a damaged one is reported like the others.
    reader.read_text("user_id");
    let mut record = ParsedRecord {
        deployed_at,
        backup_key: reader.read_text("backup_key"),
        customer: reader.read_text("customer"),
        user: reader.read_text("user"),
        account: reader.read_text("account"),
        config_hash: reader.read_text("config_hash"),
        project_name: reader.read_text("project_name"),
        cluster_name: reader.read_text("cluster_name"),
        deployment_id: reader.read_text("deployment_id"),
        backup: reader.read_text("backup"),
        is_late: reader.fields.get("late") == Some(&Value::Bool(true)),
        git: reader.read_object("git"),
        ci: reader.read_object("ci"),
        chain: reader.read_object("chain"),
        config_sha256: reader.read_text("config_sha256"),
        ..ParsedRecord::default()
    };

    reader.check_user();
    record.additional_users_count = reader.read_count("additional_users_count");
    record.problems = reader.problems;
    Ok(record)
}

fn parse_fields(bytes: &[u8]) -> Result<Map<String, Value>, RecordError> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    if bytes.trim_ascii().is_empty() {
        return Err(RecordError::Empty);
    }

    let fields = match serde_json::from_slice(bytes) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) => return Err(RecordError::NotAnObject),
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            return Err(RecordError::InvalidJson { line, column });
        }
    };
    if !MANDATORY_FIELDS
        .iter()
        .any(|name| fields.contains_key(*name))
    {
        return Err(RecordError::NoRecordField);
    }
    Ok(fields)
}

/// Reads fields, and collects what is wrong with them.
struct RecordReader {
    fields: Map<String, Value>,
    problems: Vec<String>,
}

impl RecordReader {
    fn check_schema(&mut self) {
        let schema = self.fields.get("schema").and_then(Value::as_u64);
        if let Some(schema) = schema
            && schema > RECORD_SCHEMA_VERSION.into()
        {
            self.problems.push(format!(
                "`schema` is {schema}, newer than {RECORD_SCHEMA_VERSION}"
            ));
        }
    }

    fn check_user(&mut self) {
        if is_null_or_empty(self.fields.get("user")) {
            self.problems.push("no `user`".to_owned());
        }
    }

    fn read_timestamp(&mut self) -> Option<DateTime<Utc>> {
        let value = self.fields.get("timestamp");
        if is_null_or_blank(value) {
            return None;
        }

        let time = value.and_then(Value::as_str).and_then(parse_plausible_time);
        if time.is_none() {
            let (first, last) = (PLAUSIBLE_YEARS.start, PLAUSIBLE_YEARS.end - 1);
            self.problems.push(format!(
                "`timestamp` is not an RFC 3339 time of the years {first} to {last}"
            ));
        }
        time
    }

    fn read_text(&mut self, name: &str) -> String {
        match self.fields.get(name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(_) => {
                self.problems.push(format!("`{name}` is not text"));
                String::new()
            }
        }
    }

    fn read_count(&mut self, name: &str) -> u64 {
        let value = match self.fields.get(name) {
            Some(value) if !is_null_or_empty(Some(value)) => value,
            _ => return 0,
        };
        let Some(count) = parse_count(value) else {
            self.problems
                .push(format!("`{name}` is not a whole number"));
            return 0;
        };
        count
    }

    /// An object of another form is ignored, because no row of a report depends on it.
    fn read_object<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let value = self.fields.get(name)?;
        T::deserialize(value).ok()
    }
}

fn is_null_or_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(_) => false,
    }
}

fn is_null_or_blank(value: Option<&Value>) -> bool {
    match value {
        Some(Value::String(text)) => text.trim().is_empty(),
        other => is_null_or_empty(other),
    }
}

fn parse_plausible_time(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    // chrono also accepts a space for the `T`, and U+2212 for a minus.
    let has_separator = matches!(text.as_bytes().get(10), Some(b'T' | b't'));
    if !text.is_ascii() || !has_separator {
        return None;
    }

    let mut time = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    // chrono represents a leap second by extra nanoseconds, which would count to the next day.
    if time.nanosecond() > LAST_NANOSECOND {
        time = time.with_nanosecond(LAST_NANOSECOND)?;
    }
    PLAUSIBLE_YEARS.contains(&time.year()).then_some(time)
}

/// Parses a count, which other JSON libraries may have written as `5.0` or as text.
fn parse_count(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => match number.as_u64() {
            Some(count) => Some(count),
            None => float_to_count(number.as_f64()?),
        },
        Value::String(text) => {
            let text = text.trim();
            // `str::parse` also accepts a sign.
            let has_only_digits = text.bytes().all(|byte| byte.is_ascii_digit());
            if has_only_digits {
                text.parse().ok()
            } else {
                None
            }
        }
        _ => None,
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn float_to_count(number: f64) -> Option<u64> {
    let is_exact = number.fract() == 0.0 && (0.0..MAX_EXACT_FLOAT).contains(&number);
    is_exact.then_some(number as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[u8]) -> ParsedRecord {
        parse_record(line).expect("a record")
    }

    #[test]
    fn parses_records_of_the_legacy_module() {
        let record = parse(include_bytes!("../../tests/fixtures/legacy-log.json"));
        // date -u -d 2025-10-30T14:30:52Z +%s
        let deployed_at = DateTime::from_timestamp(1_761_834_652, 0);
        assert_eq!(record.deployed_at, deployed_at);
        assert_eq!(record.customer, "airbnb");
        assert_eq!(record.additional_users_count, 5);
        assert!(record.user.ends_with("/john.doe"));
        assert_eq!(record.config_hash, "d188280766a258ccc135ef480b49230c");
        assert_eq!(record.problems, Vec::<String>::new());
    }

    #[test]
    fn each_value_lands_in_the_field_of_its_name() {
        let record = parse(
            br#"{"timestamp":"2026-03-02T08:00:00Z","customer":"c","user":"u","account":"a",
            "config_hash":"h","schema":1,"project_name":"p","cluster_name":"l","deployment_id":"d",
            "backup":"b","backup_key":"k","late":true,
            "git":{"commit":"m","branch":"n","dirty":true},"ci":{"provider":"o","run_url":"r"},
            "chain":{"writer":"w","number":7,"previous":"v","newest":"x"},"config_sha256":"s"}"#,
        );
        let expected = ParsedRecord {
            deployed_at: "2026-03-02T08:00:00Z".parse().ok(),
            customer: "c".into(),
            user: "u".into(),
            account: "a".into(),
            config_hash: "h".into(),
            additional_users_count: 0,
            project_name: "p".into(),
            cluster_name: "l".into(),
            deployment_id: "d".into(),
            backup: "b".into(),
            backup_key: "k".into(),
            is_late: true,
            git: Some(GitCommit {
                commit: "m".into(),
                branch: "n".into(),
                dirty: true,
            }),
            ci: Some(CiJob {
                provider: "o".into(),
                run_url: "r".into(),
            }),
            chain: Some(ChainLink {
                writer: "w".into(),
                number: 7,
                previous: "v".into(),
                newest: Some("x".into()),
            }),
            config_sha256: "s".into(),
            problems: Vec::new(),
        };
        assert_eq!(record, expected);
        assert!(!parse(br#"{"user":"u","late":"true"}"#).is_late);
    }

    #[test]
    fn unusable_values_are_skipped_and_reported() {
        let record = parse(
            br#"{"timestamp":1761834652,"customer":{},"user":"u","additional_users_count":-3,
            "new":[1]}"#,
        );
        assert_eq!(record.deployed_at, None);
        assert_eq!(record.customer, "");
        assert_eq!(record.additional_users_count, 0);
        assert_eq!(
            record.problems,
            [
                "`timestamp` is not an RFC 3339 time of the years 2000 to 2099",
                "`customer` is not text",
                "`additional_users_count` is not a whole number",
            ]
        );
    }

    #[test]
    fn rejects_other_objects_with_a_reason() {
        for (bytes, reason) in [
            (&b""[..], "empty object"),
            (b"{\"timestamp\":", "not valid JSON at line 1, column 13"),
            (b"[1]", "not a JSON object"),
            (b"{\"a\":1}", "has no field of a usage record"),
        ] {
            let error = parse_record(bytes).expect_err(reason);
            assert_eq!(error.to_string(), reason);
        }
    }

    #[test]
    fn accepts_values_in_other_spellings() {
        let record = parse(
            b"\xef\xbb\xbf{\"timestamp\":\" 2026-03-02T23:59:60Z\",\"user\":7,\
              \"additional_users_count\":\" 12 \",\"git\":[]}",
        );
        let end_of_day = "2026-03-02T23:59:59.999999999Z".parse().ok();
        assert_eq!(record.deployed_at, end_of_day);
        assert_eq!(record.user, "7");
        assert_eq!(record.additional_users_count, 12);
        assert_eq!(record.git, None);
        assert_eq!(record.problems, Vec::<String>::new());

        for (count, expected) in [("5.0", 5), ("9007199254740991.0", 9_007_199_254_740_991)] {
            let line = format!("{{\"user\":\"u\",\"additional_users_count\":{count}}}");
            assert_eq!(parse(line.as_bytes()).additional_users_count, expected);
        }
    }

    #[test]
    fn reports_implausible_times() {
        for time in [
            "0000-01-01T00:00:00Z",
            "1999-12-31T23:59:59Z",
            "2100-01-01T00:00:00Z",
            "2026-03-02 08:00:00Z",
            "2026-02-30T08:00:00Z",
        ] {
            let record = parse(format!("{{\"user\":\"u\",\"timestamp\":\"{time}\"}}").as_bytes());
            assert_eq!(record.deployed_at, None, "{time}");
            assert_eq!(record.problems.len(), 1, "{time}");
        }
    }

    #[test]
    fn accepts_and_reports_a_newer_schema_or_a_missing_user() {
        let record = parse(
            br#"{"customer":null,"user":null,"timestamp":null,"additional_users_count":null}"#,
        );
        assert_eq!(record.problems, ["no `user`"], "null is the same as absent");
        assert_eq!(record.deployed_at, None);
        let record = parse(br#"{"customer":"acme","schema":2}"#);
        assert_eq!(
            record.problems,
            ["`schema` is 2, newer than 1", "no `user`"]
        );
    }
}

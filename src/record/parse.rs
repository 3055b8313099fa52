//! Usage records as a report reads them, whoever wrote them: ours, the earlier module's, damaged and foreign ones.
//!
//! Pure. Whatever is usable is used, and whatever is not is named without its value, which may be a secret in the wrong
//! place. Must not know keys.

use chrono::{DateTime, Datelike as _, Timelike as _, Utc};
use serde_json::Value;

use crate::keys::PLAUSIBLE_YEARS;
use crate::record::{ChainLink, CiJob, GitCommit, RECORD_SCHEMA_VERSION};

/// What a report takes from a record, whoever wrote it; what it does not say is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParsedRecord {
    /// When; `None` where the record does not say it in a usable form.
    pub deployed_at: Option<DateTime<Utc>>,
    /// The customer according to the record (the key's wins).
    pub customer: String,
    /// The full ARN.
    pub user: String,
    /// The account.
    pub account: String,
    /// MD5 of the config.
    pub config_hash: String,
    /// The count, or 0.
    pub additional_users_count: u64,
    /// The project.
    pub project_name: String,
    /// The cluster.
    pub cluster_name: String,
    /// The deployment's id.
    pub deployment_id: String,
    /// What became of the config, in the words of `record::Backup` or in others.
    pub backup: String,
    /// The key of the version that was deployed.
    pub backup_key: String,
    /// Whether the record was sent by a later run.
    pub is_late: bool,
    /// The commit.
    pub git: Option<GitCommit>,
    /// The CI job.
    pub ci: Option<CiJob>,
    /// Its place among the records of its writer.
    pub chain: Option<ChainLink>,
    /// What was left out because its type or form is wrong, one phrase each.
    pub problems: Vec<String>,
}

/// Reads one record leniently: unknown fields are ignored, unusable values are left out and named.
///
/// # Errors
/// One phrase saying why the object is no record at all.
pub fn parse_record(bytes: &[u8]) -> Result<ParsedRecord, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err("it is empty".to_owned());
    }
    let value: Value = serde_json::from_slice(bytes).map_err(|error| {
        format!(
            "it is not valid JSON at line {}, column {}",
            error.line(),
            error.column()
        )
    })?;
    let Value::Object(fields) = value else {
        return Err("it is no JSON object".to_owned());
    };
    if ["timestamp", "customer", "user", "config_hash"]
        .iter()
        .all(|name| !fields.contains_key(*name))
    {
        return Err("it has none of a usage record's fields".to_owned());
    }
    let mut problems = Vec::new();
    if let Some(schema) = fields
        .get("schema")
        .and_then(Value::as_u64)
        .filter(|schema| *schema > RECORD_SCHEMA_VERSION.into())
    {
        problems.push(format!(
            "its `schema` is {schema}, and this helper knows {RECORD_SCHEMA_VERSION}"
        ));
    }
    let at = fields
        .get("timestamp")
        .and_then(Value::as_str)
        .and_then(parse_plausible_time);
    if at.is_none() && !is_null_or_blank(fields.get("timestamp")) {
        problems.push(format!(
            "its `timestamp` is no RFC 3339 time of the years {} to {}",
            PLAUSIBLE_YEARS.start,
            PLAUSIBLE_YEARS.end - 1
        ));
    }
    let mut text = |name: &str| match fields.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(_) => {
            problems.push(format!("its `{name}` is no text"));
            String::new()
        }
    };
    // Not shown, but as much a sign of a damaged record as the others.
    text("user_id");
    let backup_key = text("backup_key");
    let reading = ParsedRecord {
        deployed_at: at,
        customer: text("customer"),
        user: text("user"),
        account: text("account"),
        config_hash: text("config_hash"),
        project_name: text("project_name"),
        cluster_name: text("cluster_name"),
        deployment_id: text("deployment_id"),
        backup: text("backup"),
        backup_key,
        is_late: fields.get("late") == Some(&Value::Bool(true)),
        git: parse_optional_object(&fields, "git"),
        ci: parse_optional_object(&fields, "ci"),
        chain: parse_optional_object(&fields, "chain"),
        ..ParsedRecord::default()
    };
    if is_null_or_empty(fields.get("user")) {
        problems.push("it has no `user`".to_owned());
    }
    let count = fields.get("additional_users_count");
    let additional_users_count = if is_null_or_empty(count) {
        Some(0)
    } else {
        count.and_then(parse_count)
    }
    .unwrap_or_else(|| {
        problems.push("its `additional_users_count` is no whole number".to_owned());
        0
    });
    Ok(ParsedRecord {
        additional_users_count,
        problems,
        ..reading
    })
}

fn is_null_or_empty(value: Option<&Value>) -> bool {
    value.is_none_or(|value| value.is_null() || value.as_str() == Some(""))
}

fn is_null_or_blank(value: Option<&Value>) -> bool {
    is_null_or_empty(value)
        || value
            .and_then(Value::as_str)
            .is_some_and(|text| text.trim().is_empty())
}

fn parse_plausible_time(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    // chrono also takes a blank for the `T`, and a typographer's minus.
    let strict = text.is_ascii() && matches!(text.as_bytes().get(10), Some(b'T' | b't'));
    let time = DateTime::parse_from_rfc3339(text)
        .ok()
        .filter(|_| strict)?
        .to_utc();
    // A leap second is the end of the second before it: what adds up nanoseconds would put it into the next day.
    let time = if time.nanosecond() > 999_999_999 {
        time.with_nanosecond(999_999_999)?
    } else {
        time
    };
    PLAUSIBLE_YEARS.contains(&time.year()).then_some(time)
}

/// A count as a number, also one that another JSON library wrote as `5.0`, or as text.
fn parse_count(value: &Value) -> Option<u64> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    // it is whole, positive and below 2^53
    let of_float = |number: f64| {
        (number.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&number))
            .then_some(number as u64)
    };
    match value {
        Value::Number(number) => number
            .as_u64()
            .or_else(|| number.as_f64().and_then(of_float)),
        Value::String(text) => Some(text.trim())
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?
            .parse()
            .ok(),
        _ => None,
    }
}

/// An optional object; one of another form is as good as none, since no row depends on it.
fn parse_optional_object<T: serde::de::DeserializeOwned>(
    fields: &serde_json::Map<String, Value>,
    name: &str,
) -> Option<T> {
    fields
        .get(name)
        .and_then(|value| T::deserialize(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_records_of_the_legacy_module() {
        let reading =
            parse_record(include_bytes!("../../tests/fixtures/legacy-log.json")).expect("a record");
        assert_eq!(
            reading.deployed_at.map(|at| at.timestamp()),
            Some(1_761_834_652)
        ); // date -u -d 2025-10-30T14:30:52Z +%s
        assert_eq!(
            (reading.customer.as_str(), reading.additional_users_count),
            ("airbnb", 5)
        );
        assert!(reading.user.ends_with("/john.doe"));
        assert_eq!(reading.config_hash, "d188280766a258ccc135ef480b49230c");
        assert_eq!(reading.problems, Vec::<String>::new());
    }

    #[test]
    fn each_value_lands_in_the_field_of_its_name() {
        let line = br#"{"timestamp":"2026-03-02T08:00:00Z","customer":"c","user":"u","account":"a","config_hash":"h","schema":1,
            "project_name":"p","cluster_name":"l","deployment_id":"d","backup":"b","backup_key":"k","late":true,
            "git":{"commit":"m","branch":"n","dirty":true},"ci":{"provider":"o","run_url":"r"},
            "chain":{"writer":"w","number":7,"previous":"v"}}"#;
        let it = parse_record(line).expect("a record");
        let texts = [
            &it.customer,
            &it.user,
            &it.account,
            &it.config_hash,
            &it.project_name,
            &it.cluster_name,
            &it.deployment_id,
        ];
        assert_eq!(texts, ["c", "u", "a", "h", "p", "l", "d"]);
        assert_eq!(
            (it.backup.as_str(), it.backup_key.as_str(), it.is_late),
            ("b", "k", true)
        );
        assert_eq!(
            it.git,
            Some(GitCommit {
                commit: "m".into(),
                branch: "n".into(),
                dirty: true
            })
        );
        assert_eq!(
            it.ci,
            Some(CiJob {
                provider: "o".into(),
                run_url: "r".into()
            })
        );
        assert_eq!(
            it.chain,
            Some(ChainLink {
                writer: "w".into(),
                number: 7,
                previous: "v".into()
            })
        );
        assert_eq!(it.problems, Vec::<String>::new());
        assert!(
            !parse_record(br#"{"user":"u","late":"true"}"#)
                .expect("a record")
                .is_late
        );
    }

    #[test]
    fn unusable_values_are_skipped_and_reported() {
        let line = br#"{"timestamp":1761834652,"customer":{},"user":"u","additional_users_count":-3,"new":[1]}"#;
        let reading = parse_record(line).expect("a record");
        assert_eq!(
            (
                reading.deployed_at,
                reading.customer.as_str(),
                reading.additional_users_count
            ),
            (None, "", 0)
        );
        assert_eq!(
            reading.problems.join("; "),
            "its `timestamp` is no RFC 3339 time of the years 2000 to 2099; its `customer` is no text; \
             its `additional_users_count` is no whole number"
        );
    }

    #[test]
    fn rejects_other_objects_with_a_reason() {
        for (bytes, reason) in [
            (&b""[..], "it is empty"),
            (
                b"{\"timestamp\":",
                "it is not valid JSON at line 1, column 13",
            ),
            (b"[1]", "it is no JSON object"),
            (b"{\"a\":1}", "it has none of a usage record's fields"),
        ] {
            assert_eq!(parse_record(bytes), Err(reason.to_owned()));
        }
    }

    #[test]
    fn accepts_values_in_other_spellings() {
        let line = b"\xef\xbb\xbf{\"timestamp\":\" 2026-03-02T23:59:60Z\",\"user\":7,\"additional_users_count\":\" 12 \",\"git\":[]}";
        let reading = parse_record(line).expect("a record");
        assert_eq!(
            reading.deployed_at.map(|at| at.to_string()).as_deref(),
            Some("2026-03-02 23:59:59.999999999 UTC")
        );
        assert_eq!(
            (
                reading.user.as_str(),
                reading.additional_users_count,
                reading.git
            ),
            ("7", 12, None)
        );
        assert_eq!(reading.problems, Vec::<String>::new());
        for (count, expected) in [("5.0", 5), ("9007199254740991.0", 9_007_199_254_740_991)] {
            let line = format!("{{\"user\":\"u\",\"additional_users_count\":{count}}}");
            assert_eq!(
                parse_record(line.as_bytes())
                    .expect("a record")
                    .additional_users_count,
                expected
            );
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
            let reading =
                parse_record(format!("{{\"user\":\"u\",\"timestamp\":\"{time}\"}}").as_bytes())
                    .expect("a record");
            assert_eq!(
                (reading.deployed_at, reading.problems.len()),
                (None, 1),
                "{time}"
            );
        }
    }

    #[test]
    fn accepts_and_reports_a_newer_schema_or_a_missing_user() {
        let null = parse_record(
            br#"{"customer":null,"user":null,"timestamp":null,"additional_users_count":null}"#,
        )
        .expect("a record");
        assert_eq!(
            (null.problems, null.deployed_at),
            (vec!["it has no `user`".to_owned()], None),
            "null is as good as nothing"
        );
        let reading = parse_record(br#"{"customer":"acme","schema":2}"#).expect("a record");
        assert_eq!(
            reading.problems,
            [
                "its `schema` is 2, and this helper knows 1",
                "it has no `user`"
            ]
        );
    }
}

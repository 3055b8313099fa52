//! What a machine verb is asked on stdin: taken if it is a query in all its parts, otherwise refused without its values.

use config_backup::protocol::{QUERY_KEYS, Query};
use serde_json::Value;

/// Any bytes come on stdin.
pub fn run(data: &[u8]) {
    match Query::read(data) {
        Ok(query) => judge(data, &query),
        Err(refusal) => judge_refusal(data, &format!("{refusal:#}")),
    }
}

/// Every value is the one that the JSON holds, and every key a known one.
pub fn judge(data: &[u8], query: &Query) {
    let value: Value = serde_json::from_slice(data).expect("JSON");
    let fields = value.as_object().expect("an object");
    assert!(fields.iter().all(|(key, value)| QUERY_KEYS.contains(&key.as_str()) && value.is_string()), "{value}");
    let text = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or_default();
    let or = |key: &str, default: &'static str| if text(key).is_empty() { default.to_owned() } else { text(key).to_owned() };
    assert_eq!(query.config_file_path, text("config_file_path"));
    assert!(!query.config_file_path.is_empty());
    assert_eq!((query.bucket.clone(), query.bucket_region.clone()), (or("bucket", "mongodb-arena"), or("bucket_region", "us-east-1")));
    assert_eq!(query.timeout.as_secs(), or("timeout", "10").parse::<u64>().expect("a number"));
    assert_eq!(query.spent.as_millis(), or("spent_ms", "0").parse::<u128>().expect("a number"));
    for (read, key) in [(&query.customer_name, "customer_name"), (&query.aws_profile, "aws_profile"), (&query.backup_key, "backup_key")] {
        assert_eq!(read, text(key));
    }
    // They become names of files.
    for id in [&query.deployment_id, &query.backup_id] {
        assert!(id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'), "{id:?}");
    }
}

/// One line that names the place or the key, but never a value.
pub fn judge_refusal(data: &[u8], refusal: &str) {
    let said = refusal.strip_prefix("parse the query on stdin: ").unwrap_or_else(|| panic!("{refusal}"));
    let known = QUERY_KEYS.iter().flat_map(|key| {
        let types = ["null", "a boolean", "a number", "an array", "an object"];
        types.map(|it| format!("the value of `{key}` must be a string, not {it}")).into_iter().chain([
            format!("the value of `{key}` must be a whole number, such as \"10\""),
            format!("the value of `{key}` must be at most 64 letters, digits and `-`"),
        ])
    });
    let fixed = ["no JSON object", "the key `config_file_path` is missing"];
    let places = super::phrase::fits(said, "no JSON at line #, column #", data.len() as u64 + 1);
    let unknown = || {
        let tail = format!("`; known are {}", QUERY_KEYS.join(", "));
        let key = said.strip_prefix("unknown key `").and_then(|said| said.strip_suffix(&tail));
        key.is_some_and(|key| key.chars().count() <= 64 && !key.contains(char::is_control))
    };
    assert!(places || fixed.contains(&said) || known.into_iter().any(|it| it == said) || unknown(), "`{refusal}` is no refusal of ours");
}

//! What a command of Terraform reads on stdin: each setting is used, or is a problem that does not quote its value.

use config_backup::deployment::protocol::{ModuleQuery, QUERY_KEYS};
use serde_json::{Map, Value};

/// Any bytes come on stdin.
pub fn run(data: &[u8]) {
    match ModuleQuery::read(data) {
        Ok(query) => judge(data, &query),
        Err(refusal) => judge_refusal(data, &format!("{refusal:#}")),
    }
}

/// The object that the query is: a request is a JSON text in an object of one key.
fn fields_of(data: &[u8]) -> Map<String, Value> {
    let object = |bytes: &[u8]| match serde_json::from_slice(bytes) {
        Ok(Value::Object(fields)) => fields,
        _ => panic!("not a JSON object"),
    };
    let fields = object(data);
    match fields.get("request") {
        Some(Value::String(request)) if fields.len() == 1 => object(request.as_bytes()),
        _ => fields,
    }
}

/// A text that is used as it is is the one that the JSON holds; everything else is a problem or not there.
pub fn judge(data: &[u8], query: &ModuleQuery) {
    let fields = fields_of(data);
    let text = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or_default();
    let problems = query.problems.join("\n");
    let encryption = match &query.bucket_encryption {
        Some(encryption) => encryption.to_string(),
        None => String::new(),
    };
    for (read, key, default) in [
        (query.config_file_path.as_str(), "config_file_path", ""),
        (query.bucket.as_str(), "bucket", "mongodb-arena"),
        (query.bucket_region.as_str(), "bucket_region", "us-east-1"),
        (
            or_empty(query.expected_bucket_owner.as_ref()),
            "expected_bucket_owner",
            "",
        ),
        (encryption.as_str(), "bucket_encryption", ""),
        (or_empty(query.customer_name.as_ref()), "customer_name", ""),
        (or_empty(query.aws_profile.as_ref()), "aws_profile", ""),
        (or_empty(query.backup_key.as_ref()), "backup_key", ""),
        (or_empty(query.deployment_id.as_ref()), "deployment_id", ""),
    ] {
        let is_missing = matches!(fields.get(key), None | Some(Value::Null))
            || fields.get(key) == Some(&Value::String(String::new()));
        let is_number = fields.get(key).is_some_and(Value::is_number);
        let expected = if is_missing { default } else { text(key) };
        let is_told = problems.contains(&format!("the setting `{key}` must be "));
        assert!(
            read == expected || is_told || is_number,
            "{key}: {read:?}, {problems}"
        );
        // A default in the place of a bucket that is meant would send the config elsewhere.
        assert!(
            is_missing || key != "bucket" || read != default || text(key) == default,
            "{read:?}"
        );
    }
    assert!(!query.config_file_path.is_empty());
    assert!((1..=300).contains(&query.timeout.as_secs()));
    // They become names of files.
    for id in [&query.deployment_id, &query.planned_id, &query.backup_id] {
        let id = or_empty(id.as_ref());
        assert!(
            id.len() <= 64
                && id
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'),
            "{id:?}"
        );
    }
    query
        .problems
        .iter()
        .for_each(|problem| judge_problem(problem));
}

fn or_empty(setting: Option<&String>) -> &str {
    setting.map_or("", String::as_str)
}

/// One line that names the key, but never a value.
pub fn judge_problem(problem: &str) {
    let said = problem
        .strip_prefix("the setting `")
        .unwrap_or_else(|| panic!("{problem}"));
    let types = [
        "null",
        "a boolean",
        "a number",
        "a string",
        "an array",
        "an object",
    ];
    let known = QUERY_KEYS.iter().any(|key| {
        let Some(said) = said.strip_prefix(&format!("{key}` must be ")) else {
            return false;
        };
        let forms = [
            "a whole number of at least 0; the value in config.yaml is used",
            "a whole number of seconds from 1 to 300; 10 is used",
            "an AWS region such as us-east-1; us-east-1 is used",
            "AES256, aws:kms or aws:kms:KEY; the bucket's default is used",
            "a number of milliseconds; 0 is used",
            "at most 64 letters, digits and `-`; a new one is used",
        ];
        let of_type = types.iter().any(|it| {
            let text = format!("a text, not {it}");
            said == text || said == format!("{text}; the value in config.yaml is used")
        });
        forms.contains(&said) || of_type
    });
    let tail = format!(
        "` is unknown and ignored; known are {}",
        QUERY_KEYS.join(", ")
    );
    let unknown = said
        .strip_suffix(&tail)
        .is_some_and(|key| key.chars().count() <= 64 && !key.contains(char::is_control));
    assert!(
        known || unknown,
        "`{problem}` is not a problem of a setting"
    );
}

/// One line that names the place or the key, but never a value.
pub fn judge_refusal(data: &[u8], refusal: &str) {
    let said = refusal
        .strip_prefix("cannot parse ")
        .unwrap_or_else(|| panic!("{refusal}"));
    let inner = said.strip_prefix("`request` in ").unwrap_or(said);
    let said = inner
        .strip_prefix("the query on stdin: ")
        .unwrap_or_else(|| panic!("{refusal}"));
    let fixed = ["not a JSON object", "the key `config_file_path` is missing"];
    let is_place = super::phrase::fits(said, "not JSON at line #, column #", data.len() as u64 + 1);
    assert!(
        is_place || fixed.contains(&said),
        "`{refusal}` is not a refusal of the helper"
    );
}

//! Reads the settings of a query one by one and collects what is wrong with them.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::deployment::answer::AnswerStatus;
use crate::deployment::protocol::{PlannedCaller, QUERY_KEYS};
use crate::error::to_single_line;
use crate::s3::credentials_id::CredentialsId;
use crate::s3::encryption::{ENCRYPTION_FORM, ObjectEncryption};
use crate::s3::store::CallerIdentity;

/// The longest deadline that can be set.
const MAX_TIMEOUT_SECONDS: u64 = 300;
/// Ids become part of file names, which have a limited length.
const MAX_ID_BYTES: usize = 64;
/// An unknown key is quoted up to this length.
const MAX_QUOTED_KEY_CHARS: usize = 64;

/// The settings that are not read yet, and the problems so far.
pub(crate) struct QueryFields {
    fields: Map<String, Value>,
    problems: Vec<String>,
}

impl QueryFields {
    pub(crate) fn new(fields: Map<String, Value>) -> Self {
        Self {
            fields,
            problems: Vec::new(),
        }
    }

    /// A text; `None` if it is missing or empty. A value of another type is used as its JSON text,
    /// because a default could send the config to another bucket.
    pub(crate) fn take_text(&mut self, key: &str) -> Option<String> {
        let text = match self.fields.remove(key)? {
            Value::Null => return None,
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            other => {
                let type_name = json_type_name(&other);
                self.add_problem(format!(
                    "the setting `{key}` must be a text, not {type_name}"
                ));
                other.to_string()
            }
        };
        if text.is_empty() { None } else { Some(text) }
    }

    /// A text that overrides a value of `config.yaml`. A value of another type is a problem and is
    /// ignored. Terraform passes such a value as its JSON text.
    pub(crate) fn take_override(&mut self, key: &str) -> Option<String> {
        let value = match self.fields.remove(key)? {
            Value::String(text) if text.is_empty() => return None,
            Value::String(text) => match serde_json::from_str(&text) {
                Ok(value @ (Value::Array(_) | Value::Object(_))) => value,
                _ => return Some(text),
            },
            value => value,
        };
        match value {
            Value::Null => None,
            Value::Number(number) => Some(number.to_string()),
            other => {
                let type_name = json_type_name(&other);
                self.add_problem(format!(
                    "the setting `{key}` must be a text, not {type_name}; \
                     the value in config.yaml is used"
                ));
                None
            }
        }
    }

    pub(crate) fn take_user_count(&mut self, key: &str) -> Option<u64> {
        let form = "a whole number of at least 0";
        self.take_parsed(key, form, "the value in config.yaml", parse_count)
    }

    pub(crate) fn take_milliseconds(&mut self, key: &str) -> Option<Duration> {
        let milliseconds = self.take_parsed(key, "a number of milliseconds", "0", parse_count)?;
        Some(Duration::from_millis(milliseconds))
    }

    pub(crate) fn take_timeout(&mut self, key: &str, default_seconds: u64) -> Duration {
        let form = format!("a whole number of seconds from 1 to {MAX_TIMEOUT_SECONDS}");
        let default = default_seconds.to_string();
        match self.take_parsed(key, &form, &default, parse_timeout) {
            Some(timeout) => timeout,
            None => Duration::from_secs(default_seconds),
        }
    }

    pub(crate) fn take_region(&mut self, key: &str, default: &str) -> String {
        let form = "an AWS region such as us-east-1";
        match self.take_parsed(key, form, default, parse_region) {
            Some(region) => region,
            None => default.to_owned(),
        }
    }

    pub(crate) fn take_encryption(&mut self, key: &str) -> Option<ObjectEncryption> {
        let parse = |text: &str| text.parse().ok();
        self.take_parsed(key, ENCRYPTION_FORM, "the bucket's default", parse)
    }

    /// An id. It becomes part of a file name on this machine, so it must not be a path.
    pub(crate) fn take_id(&mut self, key: &str) -> Option<String> {
        let form = format!("at most {MAX_ID_BYTES} letters, digits and `-`");
        self.take_parsed(key, &form, "a new one", parse_id)
    }

    /// The status of the plan. Anything else counts as no status.
    pub(crate) fn take_status(&mut self, key: &str) -> Option<AnswerStatus> {
        let text = self.take_text(key)?;
        serde_json::from_value(Value::String(text)).ok()
    }

    /// Who planned; `None` if STS did not answer.
    pub(crate) fn take_planned_caller(&mut self) -> Option<PlannedCaller> {
        let arn = self.take_text("caller_arn");
        let user_id = self.take_text("user_id");
        let account = self.take_text("account");
        let credentials_id = self.take_text("credentials_id");
        Some(PlannedCaller {
            identity: CallerIdentity {
                arn: arn?,
                user_id: user_id?,
                account: account?,
            },
            credentials_id: CredentialsId::parse(&credentials_id.unwrap_or_default()),
        })
    }

    /// A setting that `parse` accepts; `None` if it is missing or, with a problem, invalid.
    fn take_parsed<T>(
        &mut self,
        key: &str,
        form: &str,
        default: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = match self.fields.remove(key)? {
            Value::Null => return None,
            Value::String(text) if text.is_empty() => return None,
            Value::String(text) => text,
            other => other.to_string(),
        };
        let parsed = parse(&text);
        if parsed.is_none() {
            self.add_problem(format!(
                "the setting `{key}` must be {form}; {default} is used"
            ));
        }
        parsed
    }

    fn add_problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// All problems, including the keys that nothing has read.
    pub(crate) fn into_problems(self) -> Vec<String> {
        let mut problems = self.problems;
        let known = QUERY_KEYS.join(", ");
        for key in self.fields.keys() {
            let key = shorten_key(key);
            problems.push(format!(
                "the setting `{key}` is unknown and ignored; known are {known}"
            ));
        }
        problems
    }
}

fn parse_count(text: &str) -> Option<u64> {
    text.parse().ok()
}

fn parse_timeout(text: &str) -> Option<Duration> {
    match text.parse() {
        Ok(seconds @ 1..=MAX_TIMEOUT_SECONDS) => Some(Duration::from_secs(seconds)),
        _ => None,
    }
}

fn parse_id(text: &str) -> Option<String> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if text.len() <= MAX_ID_BYTES && text.bytes().all(is_allowed) {
        Some(text.to_owned())
    } else {
        None
    }
}

/// A name in the form of all regions, such as `us-east-1`.
fn parse_region(text: &str) -> Option<String> {
    let (area, rest) = text.split_once('-')?;
    let is_area = area.len() >= 2 && area.bytes().all(|byte| byte.is_ascii_lowercase());
    if is_area && rest.split('-').all(is_region_part) {
        Some(text.to_owned())
    } else {
        None
    }
}

fn is_region_part(part: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    !part.is_empty() && part.bytes().all(is_allowed)
}

fn json_type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn shorten_key(key: &str) -> String {
    let key = to_single_line(key);
    key.chars().take(MAX_QUOTED_KEY_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_only_names_in_the_form_of_regions() {
        for region in ["us-east-1", "us-gov-west-1", "eusc-de-east-1"] {
            assert_eq!(parse_region(region).as_deref(), Some(region));
        }
        for text in [
            "nowhere",
            "US-EAST-1",
            "us-east-1/x",
            "us--1",
            "u-east-1",
            "us-",
        ] {
            assert_eq!(parse_region(text), None, "{text}");
        }
    }
}

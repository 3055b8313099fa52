//! What Terraform and Terragrunt say to the helper: one JSON object in, one out, as Terraform's `external` data source has it.
//!
//! A setting that cannot be used is a problem that the deployment reports, and never a reason to refuse it.

use std::io::{Read, Write};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::defaults::{DEFAULT_BUCKET, DEFAULT_BUCKET_REGION, DEFAULT_TIMEOUT_SECONDS};
use crate::s3::store::BucketTarget;

/// The largest query that is read, in bytes.
const MAX_QUERY_BYTES: u64 = 1 << 20;

/// What the module says to every command. Terraform drops null values, so optional settings may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleQuery {
    /// Path of the customer's `config.yaml`.
    pub config_file_path: String,
    /// Overrides `customer.name`.
    pub customer_name: String,
    /// Overrides `aws.profile`.
    pub aws_profile: String,
    /// Overrides `mongodb.project_name`.
    pub project_name: String,
    /// Overrides `mongodb.cluster_name`.
    pub cluster_name: String,
    /// Overrides `mongodb.additional_users_count`.
    pub additional_users_count: Option<u64>,
    /// The bucket's name.
    pub bucket: String,
    /// The bucket's region.
    pub bucket_region: String,
    /// The account that the bucket must belong to; empty where any will do.
    pub expected_bucket_owner: String,
    /// The deadline of the whole deployment.
    pub timeout: Duration,
    /// The version of the module's files.
    pub unit_version: String,
    /// From `context`: names the deployment that was planned last.
    pub planned_id: String,
    /// From the state: names the deployment that is applied.
    pub deployment_id: String,
    /// From `context`: names the version of the config in the bucket, or the one to be made.
    pub backup_id: String,
    /// From `context`: the key of the bucket's version where it was this one at plan time, otherwise empty.
    pub backup_key: String,
    /// From `context`: the config's MD5 at plan time.
    pub config_hash: String,
    /// From `context`: its status, by which one knows whether it saw what is in the bucket.
    pub plan_status: String,
    /// From `context`: how much of the deadline it took.
    pub spent_at_plan: Duration,
    /// What is wrong with the settings, one phrase each.
    pub problems: Vec<String>,
}

/// The keys of a [`Query`].
pub const QUERY_KEYS: [&str; 18] = [
    "config_file_path",
    "customer_name",
    "aws_profile",
    "project_name",
    "cluster_name",
    "additional_users_count",
    "bucket",
    "bucket_region",
    "expected_bucket_owner",
    "timeout",
    "unit_version",
    "planned_id",
    "deployment_id",
    "backup_id",
    "backup_key",
    "config_hash",
    "plan_status",
    "spent_ms",
];

/// The longest deadline that can be set, in seconds.
const MAX_TIMEOUT_SECONDS: u64 = 300;

/// The settings that are about the helper itself; `terragrunt.hcl` has them among the others.
const HELPER_SETTINGS: [&str; 3] = ["helper", "helper_url", "helper_sha256"];

impl ModuleQuery {
    /// Reads a query to its end. It may stand as a JSON text in the one key `request`, because Terraform knows no other way to
    /// pass an object whose values are known at apply only.
    ///
    /// # Errors
    /// The query is not a JSON object, or does not name a config.
    pub fn read(input: impl Read) -> Result<Self> {
        let mut fields = read_object(input, "the query on stdin")?;
        if let (Some(Value::String(request)), 1) = (fields.get("request"), fields.len()) {
            fields = parse_object(request.as_bytes(), "`request` in the query on stdin")?;
        }
        Self::from_fields(fields)
    }

    /// Reads the file of variables that `terragrunt.hcl` generates for the module.
    ///
    /// # Errors
    /// As [`Query::read`].
    pub fn read_settings(input: impl Read) -> Result<Self> {
        let mut variables = read_object(input, "the settings on stdin")?;
        let Some(Value::Object(mut settings)) = variables.remove("unit_settings") else {
            bail!("parse the settings on stdin: the object `unit_settings` is missing");
        };
        settings.retain(|key, _| !HELPER_SETTINGS.contains(&key.as_str()));
        Self::from_fields(settings)
    }

    fn from_fields(fields: Map<String, Value>) -> Result<Self> {
        let mut settings = QueryFields {
            fields,
            problems: Vec::new(),
        };
        let query = Self {
            config_file_path: settings.take_text("config_file_path"),
            customer_name: settings.take_override("customer_name"),
            aws_profile: settings.take_override("aws_profile"),
            project_name: settings.take_override("project_name"),
            cluster_name: settings.take_override("cluster_name"),
            additional_users_count: settings.take_parsed(
                "additional_users_count",
                "a whole number of at least 0",
                "that of the file",
                parse_count,
            ),
            bucket: non_empty_or(settings.take_text("bucket"), DEFAULT_BUCKET),
            bucket_region: settings
                .take_parsed(
                    "bucket_region",
                    "an AWS region such as us-east-1",
                    DEFAULT_BUCKET_REGION,
                    parse_region,
                )
                .unwrap_or_else(|| DEFAULT_BUCKET_REGION.to_owned()),
            expected_bucket_owner: settings.take_text("expected_bucket_owner"),
            timeout: settings
                .take_parsed(
                    "timeout",
                    "a whole number of seconds from 1 to 300",
                    "10",
                    parse_timeout,
                )
                .unwrap_or(Duration::from_secs(DEFAULT_TIMEOUT_SECONDS)),
            unit_version: settings.take_text("unit_version"),
            planned_id: settings.take_id("planned_id"),
            deployment_id: settings.take_id("deployment_id"),
            backup_id: settings.take_id("backup_id"),
            backup_key: settings.take_text("backup_key"),
            config_hash: settings.take_text("config_hash"),
            plan_status: settings.take_text("plan_status"),
            spent_at_plan: settings
                .take_parsed("spent_ms", "a number of milliseconds", "0", parse_count)
                .map(Duration::from_millis)
                .unwrap_or_default(),
            problems: Vec::new(),
        };
        if query.config_file_path.is_empty() {
            bail!("parse the query on stdin: the key `config_file_path` is missing");
        }
        Ok(Self {
            problems: settings.into_problems(),
            ..query
        })
    }

    /// Whether something is applied. A run that only refreshes the state has a new plan and the deployment of the last apply.
    #[must_use]
    pub fn is_deployment(&self) -> bool {
        self.planned_id.is_empty() || self.planned_id == self.deployment_id
    }

    /// The bucket and the profile: that of the query, otherwise that of `config.yaml`.
    #[must_use]
    pub fn bucket_target(&self, profile_of_config: &str) -> BucketTarget {
        let profile = non_empty_or(self.aws_profile.clone(), profile_of_config);
        BucketTarget {
            bucket: self.bucket.clone(),
            region: self.bucket_region.clone(),
            profile,
            owner: self.expected_bucket_owner.clone(),
        }
    }
}

/// Settings that are still to be read, and what is wrong with those that were.
struct QueryFields {
    fields: Map<String, Value>,
    problems: Vec<String>,
}

impl QueryFields {
    /// A setting as text; empty where there is none. A value of another type is used as its JSON text, because a default in its
    /// place could send the config elsewhere than it should go.
    fn take_text(&mut self, key: &str) -> String {
        match self.fields.remove(key) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text,
            Some(Value::Number(number)) => number.to_string(),
            Some(other) => {
                self.problems.push(format!(
                    "the setting `{key}` must be a text, not {}",
                    json_type_name(&other)
                ));
                other.to_string()
            }
        }
    }

    /// A text in place of that of the config file. A value of another type is a problem and counts as none; Terraform passes it as
    /// its JSON text.
    fn take_override(&mut self, key: &str) -> String {
        let value = match self.fields.remove(key) {
            Some(Value::String(text)) => match serde_json::from_str(&text) {
                Ok(value @ (Value::Array(_) | Value::Object(_))) => value,
                _ => return text,
            },
            Some(value) => value,
            None => return String::new(),
        };
        match value {
            Value::Null => String::new(),
            Value::Number(number) => number.to_string(),
            other => {
                self.problems.push(format!(
                    "the setting `{key}` must be a text, not {}; that of the file is used",
                    json_type_name(&other)
                ));
                String::new()
            }
        }
    }

    /// A setting that `parse` understands. `None` where there is none, or, with a problem, where it cannot be used.
    fn take_parsed<T>(
        &mut self,
        key: &str,
        form: &str,
        default: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = match self.fields.remove(key) {
            None | Some(Value::Null) => return None,
            Some(Value::String(text)) if text.is_empty() => return None,
            Some(Value::String(text)) => text,
            Some(other) => other.to_string(),
        };
        let parsed = parse(&text);
        if parsed.is_none() {
            self.problems.push(format!(
                "the setting `{key}` must be {form}; {default} is used"
            ));
        }
        parsed
    }

    /// An id becomes part of the name of a file on this machine, so it must not be a path.
    fn take_id(&mut self, key: &str) -> String {
        let is_id = |text: &str| {
            text.len() <= 64
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        self.take_parsed(
            key,
            "at most 64 letters, digits and `-`",
            "a new one",
            |text| is_id(text).then(|| text.to_owned()),
        )
        .unwrap_or_default()
    }

    /// What is wrong, with the keys that are left.
    fn into_problems(mut self) -> Vec<String> {
        for key in self.fields.keys() {
            self.problems.push(format!(
                "the setting `{}` is unknown and ignored; known are {}",
                sanitize_key(key),
                QUERY_KEYS.join(", ")
            ));
        }
        self.problems
    }
}

fn parse_count(text: &str) -> Option<u64> {
    text.parse().ok()
}

fn parse_timeout(text: &str) -> Option<Duration> {
    text.parse()
        .ok()
        .filter(|seconds| (1..=MAX_TIMEOUT_SECONDS).contains(seconds))
        .map(Duration::from_secs)
}

/// A name of the form that all regions have, such as `us-east-1`.
fn parse_region(text: &str) -> Option<String> {
    let mut parts = text.split('-');
    let is_area =
        |part: &str| part.len() >= 2 && part.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    (parts.next().is_some_and(is_area) && text.contains('-') && parts.all(is_part))
        .then(|| text.to_owned())
}

fn read_object(input: impl Read, name: &str) -> Result<Map<String, Value>> {
    let mut bytes = Vec::new();
    input
        .take(MAX_QUERY_BYTES + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("read {name}"))?;
    if bytes.len() as u64 > MAX_QUERY_BYTES {
        bail!("read {name}: it is longer than {MAX_QUERY_BYTES} bytes");
    }
    parse_object(&bytes, name)
}

fn parse_object(bytes: &[u8], name: &str) -> Result<Map<String, Value>> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| {
        anyhow::anyhow!(
            "parse {name}: it is not JSON at line {}, column {}",
            error.line(),
            error.column()
        )
    })?;
    match value {
        Value::Object(fields) => Ok(fields),
        _ => bail!("parse {name}: it is not a JSON object"),
    }
}

/// Writes an answer: one line, and nothing else may ever follow.
pub fn write_answer(mut output: impl Write, answer: &impl Serialize) -> Result<()> {
    let mut line = serde_json::to_vec(answer).context("make the answer")?;
    line.push(b'\n');
    output
        .write_all(&line)
        .and_then(|()| output.flush())
        .context("write the answer to stdout")
}

fn non_empty_or(text: String, default: &str) -> String {
    if text.is_empty() {
        default.to_owned()
    } else {
        text
    }
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

fn sanitize_key(key: &str) -> String {
    crate::error::to_single_line(key).chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_error(query: &str) -> String {
        format!(
            "{:#}",
            ModuleQuery::read(query.as_bytes()).expect_err("a refusal")
        )
    }

    #[test]
    fn what_is_missing_gets_its_default() {
        let query = ModuleQuery::read(&b"{\"config_file_path\":\"/c.yaml\"}"[..]).expect("a query");
        assert_eq!(
            (query.bucket.as_str(), query.bucket_region.as_str()),
            ("mongodb-arena", "us-east-1")
        );
        assert_eq!(
            (query.timeout.as_secs(), query.additional_users_count),
            (10, None)
        );
        assert_eq!(query.bucket_target("team").profile, "team");
    }

    #[test]
    fn every_key_is_read() {
        let all: Vec<String> = QUERY_KEYS
            .iter()
            .filter(|key| **key != "bucket_region")
            .map(|key| format!("\"{key}\":\"7\""))
            .collect();
        let query =
            ModuleQuery::read(format!("{{{}}}", all.join(",")).as_bytes()).expect("a query");
        assert_eq!(
            (
                query.config_file_path.as_str(),
                query.additional_users_count
            ),
            ("7", Some(7))
        );
        assert_eq!(
            (
                query.timeout.as_secs(),
                query.spent_at_plan.as_millis(),
                query.backup_id.as_str()
            ),
            (7, 7, "7")
        );
        assert_eq!(query.bucket_target("other").profile, "7");
        assert_eq!(query.problems, [""; 0]);
    }

    #[test]
    fn what_cannot_be_read_at_all_is_refused() {
        for (query, words) in [
            ("", "the query on stdin: it is not JSON at line 1, column 0"),
            ("[]", "the query on stdin: it is not a JSON object"),
            (
                "{}",
                "the query on stdin: the key `config_file_path` is missing",
            ),
            (
                "{\"request\":\"[\"}",
                "`request` in the query on stdin: it is not JSON at line 1, column 1",
            ),
        ] {
            assert_eq!(parse_error(query), format!("parse {words}"));
        }
    }

    #[test]
    fn a_setting_that_cannot_be_used_is_a_problem_and_the_rest_is_used() {
        let read = |settings: &str| {
            ModuleQuery::read(format!("{{\"config_file_path\":\"c\",{settings}}}").as_bytes())
                .expect("a query")
        };
        for (settings, problem) in [
            (
                "\"timeout\":\"3600\"",
                "the setting `timeout` must be a whole number of seconds from 1 to 300; 10 is used",
            ),
            (
                "\"timeout\":\"soon\"",
                "the setting `timeout` must be a whole number of seconds from 1 to 300; 10 is used",
            ),
            (
                "\"additional_users_count\":\"[1]\"",
                "the setting `additional_users_count` must be a whole number of at least 0; that of the file is used",
            ),
            (
                "\"bucket_region\":\"nowhere\"",
                "the setting `bucket_region` must be an AWS region such as us-east-1; us-east-1 is used",
            ),
            (
                "\"deployment_id\":\"../x\"",
                "the setting `deployment_id` must be at most 64 letters, digits and `-`; a new one is used",
            ),
            (
                "\"bucket\":[\"b\"]",
                "the setting `bucket` must be a text, not an array",
            ),
            (
                "\"customer_name\":\"[\\\"a\\\"]\"",
                "the setting `customer_name` must be a text, not an array; that of the file is used",
            ),
            (
                "\"project_name\":{\"a\":1}",
                "the setting `project_name` must be a text, not an object; that of the file is used",
            ),
        ] {
            let query = read(settings);
            assert_eq!(
                (
                    query.problems,
                    query.timeout.as_secs(),
                    query.bucket_region.as_str()
                ),
                (vec![problem.to_owned()], 10, "us-east-1")
            );
        }
        assert_eq!(
            read("\"customer_name\":\"[a]\"").customer_name,
            "[a]",
            "this is a name"
        );
        assert_eq!(
            read("\"bucket\":[\"b\"]").bucket,
            "[\"b\"]",
            "never another bucket than the one that is meant"
        );
        let query = read("\"timeout\":7,\"additional_users_count\":3,\"bucket\":null");
        assert_eq!(
            (
                query.timeout.as_secs(),
                query.additional_users_count,
                query.bucket.as_str()
            ),
            (7, Some(3), DEFAULT_BUCKET)
        );
        assert!(
            read("\"buckett\":\"b\"").problems[0]
                .starts_with("the setting `buckett` is unknown and ignored; known are ")
        );
    }

    #[test]
    fn a_request_and_the_settings_of_the_unit_are_read_like_a_query() {
        let request = "{\"request\":\"{\\\"config_file_path\\\":\\\"c\\\",\\\"planned_id\\\":\\\"1\\\",\\\"deployment_id\\\":\\\"2\\\"}\"}";
        let query = ModuleQuery::read(request.as_bytes()).expect("a query");
        assert_eq!(
            (
                query.planned_id.as_str(),
                query.deployment_id.as_str(),
                query.is_deployment()
            ),
            ("1", "2", false)
        );
        let settings = "{\"bucket\":null,\"unit_settings\":{\"config_file_path\":\"c\",\"helper\":\"h\",\"timeout\":7}}";
        let query = ModuleQuery::read_settings(settings.as_bytes()).expect("a query");
        assert_eq!(
            (
                query.timeout.as_secs(),
                query.is_deployment(),
                query.problems.len()
            ),
            (7, true, 0)
        );
        assert!(ModuleQuery::read_settings(&b"{}"[..]).is_err());
    }

    #[test]
    fn regions_have_the_form_of_regions() {
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

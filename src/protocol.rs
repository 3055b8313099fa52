//! The machine verbs' wire form: one JSON object of strings in, one out, as Terraform's `external` data source has it.
//!
//! Must not decide anything: it names what is wrong with a query and writes what it is given.

use std::io::{Read, Write};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::aws::Target;

/// The largest query that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// What the module says to every machine verb. Terraform drops null values, so what is optional may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
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
    /// From `context`: names the deployment.
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
    pub spent: Duration,
}

/// The keys of a [`Query`].
pub const QUERY_KEYS: [&str; 17] = [
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
    "deployment_id",
    "backup_id",
    "backup_key",
    "config_hash",
    "plan_status",
    "spent_ms",
];

/// The bucket that is used where none is named.
pub const BUCKET: &str = "mongodb-arena";
/// The region where the bucket is believed to be.
pub const BUCKET_REGION: &str = "us-east-1";
/// The deadline of a deployment, in seconds.
pub const TIMEOUT: u64 = 10;

impl Query {
    /// Reads a query to its end.
    ///
    /// # Errors
    /// Names the key that is unknown, missing or no string, or the value that has not the form it needs.
    pub fn read(input: impl Read) -> Result<Self> {
        let mut bytes = Vec::new();
        input.take(LARGEST + 1).read_to_end(&mut bytes).context("read the query on stdin")?;
        if bytes.len() as u64 > LARGEST {
            bail!("read the query on stdin: it is longer than {LARGEST} bytes");
        }
        let value: Value = serde_json::from_slice(&bytes)
            .map_err(|error| anyhow::anyhow!("parse the query on stdin: no JSON at line {}, column {}", error.line(), error.column()))?;
        let Value::Object(mut fields) = value else { bail!("parse the query on stdin: no JSON object") };
        let query = Self::take(&mut fields)?;
        match fields.keys().next() {
            None => Ok(query),
            Some(key) => bail!("parse the query on stdin: unknown key `{}`; known are {}", clean(key), QUERY_KEYS.join(", ")),
        }
    }

    fn take(fields: &mut Map<String, Value>) -> Result<Self> {
        let query = Self {
            config_file_path: text(fields, "config_file_path")?,
            customer_name: text(fields, "customer_name")?,
            aws_profile: text(fields, "aws_profile")?,
            project_name: text(fields, "project_name")?,
            cluster_name: text(fields, "cluster_name")?,
            additional_users_count: number(fields, "additional_users_count")?,
            bucket: or(text(fields, "bucket")?, BUCKET),
            bucket_region: or(text(fields, "bucket_region")?, BUCKET_REGION),
            expected_bucket_owner: text(fields, "expected_bucket_owner")?,
            timeout: Duration::from_secs(number(fields, "timeout")?.unwrap_or(TIMEOUT)),
            unit_version: text(fields, "unit_version")?,
            deployment_id: id(fields, "deployment_id")?,
            backup_id: id(fields, "backup_id")?,
            backup_key: text(fields, "backup_key")?,
            config_hash: text(fields, "config_hash")?,
            plan_status: text(fields, "plan_status")?,
            spent: Duration::from_millis(number(fields, "spent_ms")?.unwrap_or_default()),
        };
        if query.config_file_path.is_empty() {
            bail!("parse the query on stdin: the key `config_file_path` is missing");
        }
        Ok(query)
    }

    /// Where the bucket is and who asks, with the profile that `config.yaml` names unless the query does.
    #[must_use]
    pub fn target(&self, profile_of_config: &str) -> Target {
        let profile = or(self.aws_profile.clone(), profile_of_config);
        Target { bucket: self.bucket.clone(), region: self.bucket_region.clone(), profile, owner: self.expected_bucket_owner.clone() }
    }
}

/// Writes an answer: one line, and nothing else may ever follow.
pub fn answer(mut output: impl Write, answer: &impl Serialize) -> Result<()> {
    let mut line = serde_json::to_vec(answer).context("make the answer")?;
    line.push(b'\n');
    output.write_all(&line).and_then(|()| output.flush()).context("write the answer to stdout")
}

fn text(fields: &mut Map<String, Value>, key: &str) -> Result<String> {
    match fields.remove(key) {
        None => Ok(String::new()),
        Some(Value::String(text)) => Ok(text),
        Some(other) => bail!("parse the query on stdin: the value of `{key}` must be a string, not {}", type_of(&other)),
    }
}

fn number(fields: &mut Map<String, Value>, key: &str) -> Result<Option<u64>> {
    let text = text(fields, key)?;
    if text.is_empty() {
        return Ok(None);
    }
    let number = text.parse().ok();
    number.map(Some).with_context(|| format!("parse the query on stdin: the value of `{key}` must be a whole number, such as \"10\""))
}

/// An id becomes part of a file's name on this machine, so it must be no path.
fn id(fields: &mut Map<String, Value>, key: &str) -> Result<String> {
    let id = text(fields, key)?;
    if id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        Ok(id)
    } else {
        bail!("parse the query on stdin: the value of `{key}` must be at most 64 letters, digits and `-`")
    }
}

fn or(text: String, default: &str) -> String {
    if text.is_empty() { default.to_owned() } else { text }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn clean(key: &str) -> String {
    crate::fault::one_line(key).chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(query: &str) -> String {
        format!("{:#}", Query::read(query.as_bytes()).expect_err("a refusal"))
    }

    #[test]
    fn what_is_missing_gets_its_default() {
        let query = Query::read(&b"{\"config_file_path\":\"/c.yaml\"}"[..]).expect("a query");
        assert_eq!((query.bucket.as_str(), query.bucket_region.as_str()), ("mongodb-arena", "us-east-1"));
        assert_eq!((query.timeout.as_secs(), query.additional_users_count), (10, None));
        assert_eq!(query.target("team").profile, "team");
    }

    #[test]
    fn every_key_is_read() {
        let all: Vec<String> = QUERY_KEYS.iter().map(|key| format!("\"{key}\":\"7\"")).collect();
        let query = Query::read(format!("{{{}}}", all.join(",")).as_bytes()).expect("a query");
        assert_eq!((query.config_file_path.as_str(), query.additional_users_count), ("7", Some(7)));
        assert_eq!((query.timeout.as_secs(), query.spent.as_millis(), query.backup_id.as_str()), (7, 7, "7"));
        assert_eq!(query.target("other").profile, "7");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let head = "parse the query on stdin: ";
        for (query, words) in [
            ("", "no JSON at line 1, column 0"),
            ("[]", "no JSON object"),
            ("{}", "the key `config_file_path` is missing"),
            ("{\"config_file_path\":\"c\",\"timeout\":10}", "the value of `timeout` must be a string, not a number"),
            ("{\"config_file_path\":\"c\",\"timeout\":\"x\"}", "the value of `timeout` must be a whole number, such as \"10\""),
            (
                "{\"config_file_path\":\"c\",\"deployment_id\":\"../x\"}",
                "the value of `deployment_id` must be at most 64 letters, digits and `-`",
            ),
        ] {
            assert_eq!(refused(query), format!("{head}{words}"));
        }
        assert!(refused("{\"config_file_path\":\"c\",\"buckett\":\"b\"}").starts_with(&format!("{head}unknown key `buckett`; known are ")));
    }
}

//! The external protocol of Terraform: one JSON object of settings in, one JSON object out.
//!
//! An invalid setting is a problem that the deployment reports, and never a reason to refuse it.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter};
use serde_json::{Map, Serializer, Value};

use crate::defaults::{DEFAULT_BUCKET, DEFAULT_BUCKET_REGION, DEFAULT_TIMEOUT_SECONDS};
use crate::deployment::answer::AnswerStatus;
use crate::deployment::query_fields::QueryFields;
use crate::s3::credentials_id::CredentialsId;
use crate::s3::store::{BucketTarget, CallerIdentity, ObjectEncryption};
use crate::system::pipes;

const MAX_QUERY_BYTES: usize = 1 << 20;
const QUERY_NAME: &str = "the query on stdin";
const SETTINGS_NAME: &str = "the settings on stdin";
/// How long stdin may take. Terraform writes the whole query at once.
const MAX_INPUT_TIME: Duration = Duration::from_secs(3);
/// How long the answer may take if the deadline has passed.
const MIN_OUTPUT_TIME: Duration = Duration::from_millis(400);

/// The settings that the module passes to every command. Terraform drops null values, so all but
/// the path of the config may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleQuery {
    /// The path of the customer's `config.yaml`.
    pub config_file_path: String,
    /// Overrides `customer.name`.
    pub customer_name: Option<String>,
    /// Overrides `aws.profile`.
    pub aws_profile: Option<String>,
    /// Overrides `mongodb.project_name`.
    pub project_name: Option<String>,
    /// Overrides `mongodb.cluster_name`.
    pub cluster_name: Option<String>,
    /// Overrides `mongodb.additional_users_count`.
    pub additional_users_count: Option<u64>,
    pub bucket: String,
    pub bucket_region: String,
    /// The account that must own the bucket.
    pub expected_bucket_owner: Option<String>,
    /// The encryption that uploads ask for. `None`: the bucket's default.
    pub bucket_encryption: Option<ObjectEncryption>,
    /// The deadline of the whole deployment.
    pub timeout: Duration,
    /// The version of the module's files.
    pub unit_version: Option<String>,
    /// From `context`: the id that the last plan chose for its deployment.
    pub planned_id: Option<String>,
    /// From the state: the id of the deployment that is applied.
    pub deployment_id: Option<String>,
    /// From `context`: the id of the config version in the bucket, or of the one to upload.
    pub backup_id: Option<String>,
    /// From `context`: the key of the config version in the bucket, if it is this config.
    pub backup_key: Option<String>,
    /// From `context`: the MD5 of the config at plan.
    pub config_hash: Option<String>,
    /// From `context`: its status. After an error it does not know what is in the bucket.
    pub plan_status: Option<AnswerStatus>,
    /// From `context`: who planned.
    pub planned_caller: Option<PlannedCaller>,
    /// How much of the deadline `context` and the download of the helper took.
    pub spent_at_plan: Duration,
    /// What is wrong with the settings, one phrase each.
    pub problems: Vec<String>,
}

/// Who made a plan, according to STS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedCaller {
    pub identity: CallerIdentity,
    /// The credentials that STS was asked with.
    pub credentials_id: Option<CredentialsId>,
}

/// The keys of a [`ModuleQuery`].
pub const QUERY_KEYS: [&str; 23] = [
    "config_file_path",
    "customer_name",
    "aws_profile",
    "project_name",
    "cluster_name",
    "additional_users_count",
    "bucket",
    "bucket_region",
    "expected_bucket_owner",
    "bucket_encryption",
    "timeout",
    "unit_version",
    "planned_id",
    "deployment_id",
    "backup_id",
    "backup_key",
    "config_hash",
    "plan_status",
    "caller_arn",
    "user_id",
    "account",
    "credentials_id",
    "spent_ms",
];

/// Settings of the unit about the helper itself, which are not part of a query.
const HELPER_SETTINGS: [&str; 3] = ["helper", "helper_url", "helper_sha256"];

impl ModuleQuery {
    /// Reads a query. It may be a JSON text in the only key `request`, because Terraform has no
    /// other way to pass an object with values that are known only at apply.
    ///
    /// # Errors
    /// The query is not a JSON object, or does not name a config.
    pub fn read(input: impl Read) -> Result<Self> {
        let mut fields = read_object(input, QUERY_NAME)?;
        if fields.len() == 1
            && let Some(Value::String(request)) = fields.get("request")
        {
            fields = parse_object(request.as_bytes(), "`request` in the query on stdin")?;
        }
        Self::from_fields(fields)
    }

    /// Reads the file of variables that `terragrunt.hcl` generates for the module.
    ///
    /// # Errors
    /// As [`ModuleQuery::read`].
    pub fn read_settings(input: impl Read) -> Result<Self> {
        let mut variables = read_object(input, SETTINGS_NAME)?;
        let Some(Value::Object(mut settings)) = variables.remove("unit_settings") else {
            bail!("cannot parse the settings on stdin: the object `unit_settings` is missing");
        };
        settings.retain(|key, _| !HELPER_SETTINGS.contains(&key.as_str()));
        Self::from_fields(settings)
    }

    /// As [`ModuleQuery::read`], but does not wait for an input that does not end.
    ///
    /// # Errors
    /// As [`ModuleQuery::read`], or the input is not complete in time.
    pub fn read_in_time(input: impl Read + Send + 'static) -> Result<Self> {
        Self::read(&read_in_time(input, QUERY_NAME)?[..])
    }

    /// As [`ModuleQuery::read_settings`], but does not wait for an input that does not end.
    ///
    /// # Errors
    /// As [`ModuleQuery::read_in_time`].
    pub fn read_settings_in_time(input: impl Read + Send + 'static) -> Result<Self> {
        Self::read_settings(&read_in_time(input, SETTINGS_NAME)?[..])
    }

    fn from_fields(fields: Map<String, Value>) -> Result<Self> {
        let mut fields = QueryFields::new(fields);
        let Some(config_file_path) = fields.take_text("config_file_path") else {
            bail!("cannot parse the query on stdin: the key `config_file_path` is missing");
        };
        let bucket = fields.take_text("bucket");
        let spent_at_plan = fields.take_milliseconds("spent_ms");
        let query = Self {
            config_file_path,
            customer_name: fields.take_override("customer_name"),
            aws_profile: fields.take_override("aws_profile"),
            project_name: fields.take_override("project_name"),
            cluster_name: fields.take_override("cluster_name"),
            additional_users_count: fields.take_user_count("additional_users_count"),
            bucket: bucket.unwrap_or_else(|| DEFAULT_BUCKET.to_owned()),
            bucket_region: fields.take_region("bucket_region", DEFAULT_BUCKET_REGION),
            expected_bucket_owner: fields.take_text("expected_bucket_owner"),
            bucket_encryption: fields.take_encryption("bucket_encryption"),
            timeout: fields.take_timeout("timeout", DEFAULT_TIMEOUT_SECONDS),
            unit_version: fields.take_text("unit_version"),
            planned_id: fields.take_id("planned_id"),
            deployment_id: fields.take_id("deployment_id"),
            backup_id: fields.take_id("backup_id"),
            backup_key: fields.take_text("backup_key"),
            config_hash: fields.take_text("config_hash"),
            plan_status: fields.take_status("plan_status"),
            planned_caller: fields.take_planned_caller(),
            spent_at_plan: spent_at_plan.unwrap_or_default(),
            problems: Vec::new(),
        };
        Ok(Self {
            problems: fields.into_problems(),
            ..query
        })
    }

    /// Whether Terraform applies something. A run that only refreshes the state has a new plan but
    /// the deployment of the last apply.
    #[must_use]
    pub fn is_deployment(&self) -> bool {
        self.planned_id.is_none() || self.planned_id == self.deployment_id
    }

    /// The bucket, and the profile of the query or, without one, of `config.yaml`.
    #[must_use]
    pub fn bucket_target(&self, config_profile: &str) -> BucketTarget {
        let profile = self.aws_profile.as_deref().unwrap_or(config_profile);
        BucketTarget {
            bucket: self.bucket.clone(),
            region: self.bucket_region.clone(),
            profile: profile.to_owned(),
            owner: self.expected_bucket_owner.clone().unwrap_or_default(),
            encryption: self.bucket_encryption.clone(),
        }
    }
}

fn read_in_time(input: impl Read + Send + 'static, name: &str) -> Result<Vec<u8>> {
    let deadline = Instant::now() + MAX_INPUT_TIME;
    pipes::read_until(input, MAX_QUERY_BYTES + 1, deadline, is_whole_object)
        .with_context(|| format!("cannot read {name}"))
}

fn read_object(input: impl Read, name: &str) -> Result<Map<String, Value>> {
    let mut bytes = Vec::new();
    input
        .take(MAX_QUERY_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {name}"))?;
    if bytes.len() > MAX_QUERY_BYTES {
        bail!("cannot read {name}: longer than {MAX_QUERY_BYTES} bytes");
    }
    parse_object(&bytes, name)
}

fn is_whole_object(bytes: &[u8]) -> bool {
    bytes.trim_ascii_end().ends_with(b"}") && serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

fn parse_object(bytes: &[u8], name: &str) -> Result<Map<String, Value>> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => bail!("cannot parse {name}: not a JSON object"),
        // The message of serde_json may quote a value.
        Err(error) => Err(anyhow!(
            "cannot parse {name}: not JSON at line {}, column {}",
            error.line(),
            error.column()
        )),
    }
}

/// Writes an answer as one line, until `deadline` or, if that has passed, for a moment. Nothing
/// else may be written to stdout.
///
/// Terraform shows its texts in plans, outputs and warnings, and keeps them in the state. They come
/// from configs, variables and servers, so each becomes one harmless line here.
///
/// # Errors
/// The answer cannot be written.
pub fn write_answer(
    output: impl Write + Send + 'static,
    answer: &impl Serialize,
    deadline: Instant,
) -> Result<()> {
    let line = serialize_answer(answer).context("cannot serialize the answer")?;
    write_line(output, line, deadline)
}

fn serialize_answer(answer: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut line, HarmlessFormatter);
    answer.serialize(&mut serializer)?;
    line.push(b'\n');
    Ok(line)
}

/// Writes a line as [`write_answer`] does.
///
/// # Errors
/// The line cannot be written.
pub fn write_line(
    output: impl Write + Send + 'static,
    line: Vec<u8>,
    deadline: Instant,
) -> Result<()> {
    let deadline = deadline.max(Instant::now() + MIN_OUTPUT_TIME);
    pipes::write_until(output, line, deadline).context("cannot write the answer to stdout")
}

/// Writes JSON strings without characters that a terminal obeys.
struct HarmlessFormatter;

impl Formatter for HarmlessFormatter {
    fn write_string_fragment<W: Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        writer.write_all(crate::output::sanitize::sanitize(fragment).as_bytes())
    }

    fn write_char_escape<W: Write + ?Sized>(
        &mut self,
        writer: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        match escape {
            CharEscape::Quote | CharEscape::ReverseSolidus | CharEscape::Solidus => {
                CompactFormatter.write_char_escape(writer, escape)
            }
            CharEscape::LineFeed | CharEscape::CarriageReturn | CharEscape::Tab => {
                writer.write_all(b" ")
            }
            _ => writer.write_all("\u{fffd}".as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_of_an_answer_is_one_harmless_line() {
        let answer =
            serde_json::json!({"a": "\"\\/ für\r\n\t\u{1b}[8m\u{8}\u{9b}\u{7f}\u{2028}\u{202e}x"});
        let line = serialize_answer(&answer).expect("JSON");
        let line = String::from_utf8(line).expect("text");
        assert_eq!(
            line,
            "{\"a\":\"\\\"\\\\/ für   \u{fffd}[8m\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}x\"}\n"
        );
    }

    fn parse_error(query: &str) -> String {
        let error = ModuleQuery::read(query.as_bytes()).expect_err("an error");
        format!("{error:#}")
    }

    fn read_with(settings: &str) -> ModuleQuery {
        let query = format!("{{\"config_file_path\":\"c\",{settings}}}");
        ModuleQuery::read(query.as_bytes()).expect("a query")
    }

    #[test]
    fn missing_settings_get_their_defaults() {
        let query = ModuleQuery::read(&b"{\"config_file_path\":\"/c.yaml\"}"[..]);
        let query = query.expect("a query");
        assert_eq!(query.bucket, "mongodb-arena");
        assert_eq!(query.bucket_region, "us-east-1");
        assert_eq!(query.timeout.as_secs(), 10);
        assert_eq!(query.additional_users_count, None);
        assert_eq!(query.bucket_target("team").profile, "team");
    }

    #[test]
    fn reads_every_key() {
        let mut fields = Map::new();
        for key in QUERY_KEYS {
            fields.insert(key.to_owned(), Value::from("7"));
        }
        fields.insert("bucket_region".to_owned(), Value::from("us-west-7"));
        fields.insert("bucket_encryption".to_owned(), Value::from("aws:kms"));
        fields.insert("plan_status".to_owned(), Value::from("ok"));
        let query = ModuleQuery::from_fields(fields).expect("a query");
        assert_eq!(query.config_file_path, "7");
        assert_eq!(query.additional_users_count, Some(7));
        assert_eq!(query.timeout.as_secs(), 7);
        assert_eq!(query.spent_at_plan.as_millis(), 7);
        assert_eq!(query.backup_id.as_deref(), Some("7"));
        assert_eq!(query.plan_status, Some(AnswerStatus::Ok));
        assert_eq!(query.bucket_target("other").profile, "7");
        let target = query.bucket_target("other");
        assert_eq!(target.region, "us-west-7");
        assert_eq!(target.encryption, Some(ObjectEncryption::Kms(None)));
        assert_eq!(query.problems, [""; 0]);
    }

    #[test]
    fn rejects_what_is_not_a_query() {
        for (query, expected) in [
            ("", "the query on stdin: not JSON at line 1, column 0"),
            ("[]", "the query on stdin: not a JSON object"),
            (
                "{}",
                "the query on stdin: the key `config_file_path` is missing",
            ),
            (
                "{\"request\":\"[\"}",
                "`request` in the query on stdin: not JSON at line 1, column 1",
            ),
        ] {
            assert_eq!(parse_error(query), format!("cannot parse {expected}"));
        }
    }

    #[test]
    fn an_invalid_setting_is_a_problem_and_the_rest_is_used() {
        for (settings, problem) in [
            (
                "\"timeout\":\"3600\"",
                "`timeout` must be a whole number of seconds from 1 to 300; 10 is used",
            ),
            (
                "\"timeout\":\"soon\"",
                "`timeout` must be a whole number of seconds from 1 to 300; 10 is used",
            ),
            (
                "\"additional_users_count\":\"[1]\"",
                "`additional_users_count` must be a whole number of at least 0; \
                 the value in config.yaml is used",
            ),
            (
                "\"bucket_region\":\"nowhere\"",
                "`bucket_region` must be an AWS region such as us-east-1; us-east-1 is used",
            ),
            (
                "\"bucket_encryption\":\"aes256\"",
                "`bucket_encryption` must be AES256, aws:kms or aws:kms:KEY; \
                 the bucket's default is used",
            ),
            (
                "\"deployment_id\":\"../x\"",
                "`deployment_id` must be at most 64 letters, digits and `-`; a new one is used",
            ),
            (
                "\"bucket\":[\"b\"]",
                "`bucket` must be a text, not an array",
            ),
            (
                "\"customer_name\":\"[\\\"a\\\"]\"",
                "`customer_name` must be a text, not an array; the value in config.yaml is used",
            ),
            (
                "\"project_name\":{\"a\":1}",
                "`project_name` must be a text, not an object; the value in config.yaml is used",
            ),
        ] {
            let query = read_with(settings);
            assert_eq!(query.problems, [format!("the setting {problem}")]);
            assert_eq!(query.timeout.as_secs(), 10);
            assert_eq!(query.bucket_region, "us-east-1");
        }
    }

    #[test]
    fn values_of_another_type_are_used_where_they_are_clear() {
        let query = read_with("\"customer_name\":\"[a]\"");
        assert_eq!(query.customer_name.as_deref(), Some("[a]"));

        // Never another bucket than the one in the settings.
        assert_eq!(read_with("\"bucket\":[\"b\"]").bucket, "[\"b\"]");

        let query = read_with("\"timeout\":7,\"additional_users_count\":3,\"bucket\":null");
        assert_eq!(query.timeout.as_secs(), 7);
        assert_eq!(query.additional_users_count, Some(3));
        assert_eq!(query.bucket, DEFAULT_BUCKET);

        let problems = read_with("\"buckett\":\"b\"").problems;
        let expected = "the setting `buckett` is unknown and ignored; known are ";
        assert!(problems[0].starts_with(expected), "{problems:?}");
    }

    #[test]
    fn reads_a_request_and_the_settings_of_the_unit() {
        let request = "{\"request\":\"{\\\"config_file_path\\\":\\\"c\\\",\
                       \\\"planned_id\\\":\\\"1\\\",\\\"deployment_id\\\":\\\"2\\\"}\"}";
        let query = ModuleQuery::read(request.as_bytes()).expect("a query");
        assert_eq!(query.planned_id.as_deref(), Some("1"));
        assert_eq!(query.deployment_id.as_deref(), Some("2"));
        assert!(!query.is_deployment());

        let settings = "{\"bucket\":null,\"unit_settings\":\
                        {\"config_file_path\":\"c\",\"helper\":\"h\",\"timeout\":7}}";
        let query = ModuleQuery::read_settings(settings.as_bytes()).expect("a query");
        assert_eq!(query.timeout.as_secs(), 7);
        assert!(query.is_deployment());
        assert_eq!(query.problems, [""; 0]);
        assert!(ModuleQuery::read_settings(&b"{}"[..]).is_err());
    }
}

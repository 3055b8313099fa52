//! Credentials that a program prints: `credential_process` of the AWS config files.
//!
//! As the SDK does it, but the program ends with all that it started when the wait for it ends, and
//! its output is limited. Must not show what the program prints, because it may be a secret.

use std::process::Output;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_credential_types::provider::{self, error::CredentialsError};
use chrono::DateTime;
use serde_json::{Map, Value};

use crate::system::process::run_shell_line;

/// The name by which the SDK knows such credentials.
const PROVIDER_NAME: &str = "CredentialProcess";

/// Runs the program and reads the credentials from its output.
pub(super) async fn run_credential_process(command: &str) -> provider::Result {
    let output = match run_shell_line(command).await {
        Ok(output) => output,
        Err(error) => return Err(process_error(&format!("external process failed: {error}"))),
    };
    parse_output(&output).map_err(|cause| process_error(&cause))
}

fn process_error(cause: &str) -> CredentialsError {
    CredentialsError::provider_error(format!("Error retrieving credentials: {cause}"))
}

fn parse_output(output: &Output) -> Result<Credentials, String> {
    if !output.status.success() {
        let status = output.status;
        return Err(format!("external process exited with code {status}"));
    }
    let Ok(Value::Object(fields)) = serde_json::from_slice(&output.stdout) else {
        return Err("external process did not print a JSON object".to_owned());
    };
    let text = |name: &str| match find_field(&fields, name) {
        Some(Value::String(text)) => Some(text.clone()),
        _ => None,
    };
    let wanted =
        |name: &str| text(name).ok_or_else(|| format!("external process did not print `{name}`"));
    if find_field(&fields, "Version").and_then(Value::as_i64) != Some(1) {
        return Err("external process did not print `Version` 1".to_owned());
    }
    let expiry = match text("Expiration") {
        Some(time) => Some(parse_time(&time)?),
        None => None,
    };
    let mut credentials = Credentials::builder()
        .access_key_id(wanted("AccessKeyId")?)
        .secret_access_key(wanted("SecretAccessKey")?)
        .provider_name(PROVIDER_NAME);
    credentials.set_session_token(text("SessionToken"));
    credentials.set_expiry(expiry);
    Ok(credentials.build())
}

/// Other tools read the names in any case.
fn find_field<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let mut fields = fields.iter();
    let (_, value) = fields.find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    Some(value)
}

fn parse_time(text: &str) -> Result<SystemTime, String> {
    match DateTime::parse_from_rfc3339(text) {
        Ok(time) => Ok(time.into()),
        Err(_) => Err("external process did not print a valid `Expiration`".to_owned()),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn parse(exit_code: i32, text: &str) -> Result<Credentials, String> {
        parse_output(&Output {
            status: ExitStatus::from_raw(exit_code << 8),
            stdout: text.into(),
            stderr: b"canary".to_vec(),
        })
    }

    #[test]
    fn credentials_are_read_as_other_tools_read_them() {
        let text = "{\"version\":1,\"AccessKeyId\":\"id\",\"SECRETACCESSKEY\":\"key\",\
                    \"SessionToken\":\"token\",\"Expiration\":\"1970-01-01T01:00:10+01:00\"}";
        let credentials = parse(0, text).expect("credentials");
        assert_eq!(credentials.access_key_id(), "id");
        assert_eq!(credentials.secret_access_key(), "key");
        assert_eq!(credentials.session_token(), Some("token"));
        let expiry = UNIX_EPOCH + Duration::from_secs(10);
        assert_eq!(credentials.expiry(), Some(expiry));
    }

    #[test]
    fn an_error_shows_nothing_that_the_program_printed() {
        for (exit_code, text, cause) in [
            (3, "canary", "exited with code exit status: 3"),
            (0, "canary", "did not print a JSON object"),
            (0, "{\"Version\":2}", "did not print `Version` 1"),
            (0, "{\"Version\":1}", "did not print `AccessKeyId`"),
            (
                0,
                "{\"Version\":1,\"AccessKeyId\":\"canary\"}",
                "did not print `SecretAccessKey`",
            ),
            (
                0,
                "{\"Version\":1,\"Expiration\":\"canary\"}",
                "did not print a valid `Expiration`",
            ),
        ] {
            let error = parse(exit_code, text).expect_err("an error");
            assert_eq!(error, format!("external process {cause}"));
        }
    }
}

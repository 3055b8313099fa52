//! What S3 says of the bucket's settings, as results of checks.
//!
//! Asks nothing itself: `bucket_checks` does. A deployment works with any settings, so no check
//! fails. A setting is unknown if the three permissions of a deployment do not show it.

use serde_json::Value;

use crate::doctor::check::{CheckId, CheckResult};
use crate::doctor::s3_requests::PutProbe;
use crate::error::{Error, ErrorKind};
use crate::s3::store::ObjectEncryption;

/// Evaluates versioning: as S3 says, or else as the answer to a PUT shows.
pub(crate) fn evaluate_versioning(
    answer: Result<Option<String>, Error>,
    put: Option<&PutProbe>,
) -> CheckResult {
    let is_on = match (answer, put) {
        (Ok(status), _) => status.as_deref() == Some("Enabled"),
        (Err(_), Some(put)) => put.version_id.is_some(),
        (Err(error), None) => return unreadable_setting(CheckId::Versioning, &error),
    };
    if is_on {
        let seen = "on: overwritten and deleted objects can be restored";
        return CheckResult::ok(CheckId::Versioning, seen);
    }
    CheckResult::warning(
        CheckId::Versioning,
        "off: `config-history/` has each version all the same",
        "turn it on, so that overwritten and deleted objects can be restored",
    )
}

/// Evaluates encryption: as S3 says, or else as the answer to a PUT shows.
///
/// `demanded` is what the bucket's policy demands of uploads although no encryption is set.
pub(crate) fn evaluate_encryption(
    answer: Result<Option<String>, Error>,
    put: Option<&PutProbe>,
    demanded: Option<&ObjectEncryption>,
) -> CheckResult {
    if let Some(demanded) = demanded {
        return CheckResult::warning(
            CheckId::Encryption,
            format!("{demanded}: the bucket's policy refuses uploads that do not ask for it"),
            format!("set CONFIG_BACKUP_BUCKET_ENCRYPTION={demanded}, which saves requests"),
        );
    }
    let of_object = put.and_then(|put| put.encryption.clone());
    match (answer, of_object) {
        (Ok(Some(algorithm)), _) | (_, Some(algorithm)) => {
            CheckResult::ok(CheckId::Encryption, algorithm)
        }
        (Ok(None), None) => CheckResult::warning(
            CheckId::Encryption,
            "none by default, and config.yaml holds secrets",
            "turn the bucket's default encryption on",
        ),
        (Err(error), None) => unreadable_setting(CheckId::Encryption, &error),
    }
}

/// Evaluates whether the bucket can become public.
pub(crate) fn evaluate_public_access(is_blocked: Result<Option<bool>, Error>) -> CheckResult {
    match is_blocked {
        Ok(Some(true)) => CheckResult::ok(CheckId::PublicAccess, "blocked in all four ways"),
        Ok(_) => CheckResult::warning(
            CheckId::PublicAccess,
            "the bucket does not block it in all four ways, and config.yaml holds secrets",
            "turn on all four of the bucket's blocks of public access",
        ),
        Err(error) => unreadable_setting(CheckId::PublicAccess, &error),
    }
}

/// Evaluates whether the bucket's policy refuses plain HTTP.
pub(crate) fn evaluate_tls_policy(answer: Result<Option<String>, Error>) -> CheckResult {
    match answer {
        Ok(Some(policy)) if refuses_plain_http(&policy) => {
            CheckResult::ok(CheckId::TlsOnly, "the bucket's policy refuses plain HTTP")
        }
        Ok(_) => CheckResult::warning(
            CheckId::TlsOnly,
            "the bucket's policy allows plain HTTP",
            "deny requests with `aws:SecureTransport` false in it",
        ),
        Err(error) => unreadable_setting(CheckId::TlsOnly, &error),
    }
}

/// Evaluates whether new objects are protected from deletion.
pub(crate) fn evaluate_object_lock(answer: Result<Option<String>, Error>) -> CheckResult {
    match answer {
        Ok(Some(retention)) => CheckResult::ok(CheckId::ObjectLock, format!("on: {retention}")),
        Ok(None) => {
            let seen = "off: no object is held against deletion";
            CheckResult::ok(CheckId::ObjectLock, seen)
        }
        Err(error) => unreadable_setting(CheckId::ObjectLock, &error),
    }
}

fn unreadable_setting(check: CheckId, error: &Error) -> CheckResult {
    let cause = if error.kind == ErrorKind::Denied {
        "permission missing (not needed to deploy)"
    } else if error.status == Some(501) || error.code == "NotImplemented" {
        "this server does not support the request"
    } else {
        &error.message
    };
    CheckResult::unknown(check, cause)
}

/// Whether a statement denies everybody all requests without TLS (AWS, "`aws:SecureTransport`").
fn refuses_plain_http(policy: &str) -> bool {
    let Ok(policy) = serde_json::from_str::<Value>(policy) else {
        return false;
    };
    match &policy["Statement"] {
        Value::Array(statements) => statements.iter().any(is_tls_statement),
        statement => is_tls_statement(statement),
    }
}

fn is_tls_statement(statement: &Value) -> bool {
    let action = &statement["Action"];
    let principal = &statement["Principal"];
    let is_for_all_actions = has_text(action, "s3:*") || has_text(action, "*");
    let is_for_everybody = has_text(principal, "*") || has_text(&principal["AWS"], "*");
    is_for_all_actions
        && is_for_everybody
        && statement["Effect"] == "Deny"
        && is_for_plain_http(&statement["Condition"])
}

/// Names of operators and of keys are case-insensitive in policies.
fn is_for_plain_http(condition: &Value) -> bool {
    let Some(operator) = get_ignoring_case(condition, "Bool") else {
        return false;
    };
    let Some(value) = get_ignoring_case(operator, "aws:SecureTransport") else {
        return false;
    };
    has_text(value, "false") || value.as_bool() == Some(false)
}

fn get_ignoring_case<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    for (key, value) in object.as_object()? {
        if key.eq_ignore_ascii_case(name) {
            return Some(value);
        }
    }
    None
}

/// Whether a value is this text, or a list with it.
fn has_text(value: &Value, text: &str) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|item| item == text),
        value => value == text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::CheckStatus;
    use crate::s3::store::{PutOutcome, PutReceipt};

    fn put_with(version: Option<&str>, encryption: Option<&str>) -> PutProbe {
        let [version, encryption] = [version, encryption].map(|it| it.map(str::to_owned));
        PutProbe {
            outcome: PutOutcome::Written(PutReceipt::default()),
            version_id: version,
            encryption,
        }
    }

    fn error_of_kind(kind: ErrorKind) -> Error {
        Error::new(kind, "it broke", "")
    }

    #[test]
    fn versioning_and_encryption_are_as_s3_says_or_else_as_an_object_shows() {
        let versions = |answer, put: Option<&PutProbe>| evaluate_versioning(answer, put).status;
        let said = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(
            [
                versions(said("Enabled"), None),
                versions(said("Suspended"), None),
                versions(Ok(None), None)
            ],
            [CheckStatus::Ok, CheckStatus::Warning, CheckStatus::Warning]
        );
        let denied = || Err(error_of_kind(ErrorKind::Denied));
        assert_eq!(
            versions(denied(), Some(&put_with(Some("v"), None))),
            CheckStatus::Ok
        );
        assert_eq!(
            [
                versions(denied(), Some(&put_with(None, None))),
                versions(denied(), None)
            ],
            [CheckStatus::Warning, CheckStatus::Unknown]
        );
        let how = |answer, put: Option<&PutProbe>| evaluate_encryption(answer, put, None).seen;
        assert_eq!(
            [
                how(said("AES256"), None),
                how(denied(), Some(&put_with(None, Some("aws:kms"))))
            ],
            ["AES256", "aws:kms"]
        );
        assert!(how(Ok(None), Some(&put_with(None, None))).starts_with("none by default"));
        let demanded = ObjectEncryption::Aes256;
        let found = evaluate_encryption(said("aws:kms"), None, Some(&demanded));
        assert_eq!(found.status, CheckStatus::Warning);
        assert!(found.seen.starts_with("AES256: the bucket's policy"));
    }

    #[test]
    fn a_bucket_that_is_open_is_worth_a_note() {
        let open = [
            Ok(Some(true)),
            Ok(Some(false)),
            Ok(None),
            Err(error_of_kind(ErrorKind::Network)),
        ]
        .map(|answer| evaluate_public_access(answer).status);
        assert_eq!(
            open,
            [
                CheckStatus::Ok,
                CheckStatus::Warning,
                CheckStatus::Warning,
                CheckStatus::Unknown
            ]
        );
        let denies = r#"{"Statement":{"Effect":"Deny","Action":"s3:*","Principal":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}}"#;
        let tls = [
            Ok(Some(denies.to_owned())),
            Ok(Some("{}".to_owned())),
            Ok(None),
        ]
        .map(|answer| evaluate_tls_policy(answer).status);
        assert_eq!(
            tls,
            [CheckStatus::Ok, CheckStatus::Warning, CheckStatus::Warning]
        );
        assert_eq!(
            evaluate_object_lock(Ok(Some("30 days".into()))).seen,
            "on: 30 days"
        );
        assert!(evaluate_object_lock(Ok(None)).seen.starts_with("off: "));
    }

    #[test]
    fn an_unreadable_setting_is_unknown_with_the_reason() {
        let cause_of = |error: Error| evaluate_object_lock(Err(error)).seen;
        assert_eq!(
            cause_of(error_of_kind(ErrorKind::Denied)),
            "permission missing (not needed to deploy)"
        );
        assert_eq!(
            cause_of(Error {
                status: Some(501),
                ..error_of_kind(ErrorKind::Service)
            }),
            "this server does not support the request"
        );
        assert_eq!(
            cause_of(Error {
                code: "NotImplemented".into(),
                ..error_of_kind(ErrorKind::Service)
            }),
            "this server does not support the request"
        );
        assert_eq!(
            cause_of(Error {
                status: Some(500),
                ..error_of_kind(ErrorKind::Service)
            }),
            "it broke"
        );
    }

    #[test]
    fn plain_http_is_refused_only_where_everybody_and_everything_is_denied() {
        let policy = |action: &str, principal: &str, condition: &str| {
            format!(
                "{{\"Statement\":{{\"Effect\":\"Deny\",\"Action\":{action},\"Principal\":{principal},\"Condition\":{condition}}}}}"
            )
        };
        let tls = "{\"Bool\":{\"aws:SecureTransport\":\"false\"}}";
        for (action, principal, condition, refuses) in [
            ("\"s3:*\"", "\"*\"", tls, true),
            (
                "[\"s3:*\"]",
                "{\"AWS\":[\"*\"]}",
                "{\"bool\":{\"AWS:secureTransport\":[\"false\"]}}",
                true,
            ),
            (
                "\"*\"",
                "{\"AWS\":\"*\"}",
                "{\"Bool\":{\"aws:SecureTransport\":false}}",
                true,
            ),
            ("\"s3:GetObject\"", "\"*\"", tls, false),
            ("\"s3:*\"", "{\"AWS\":\"123456789012\"}", tls, false),
            (
                "\"s3:*\"",
                "\"*\"",
                "{\"Bool\":{\"aws:SecureTransport\":\"true\"}}",
                false,
            ),
            (
                "\"s3:*\"",
                "\"*\"",
                "{\"StringEquals\":{\"aws:SecureTransport\":\"false\"}}",
                false,
            ),
        ] {
            let policy = policy(action, principal, condition);
            assert_eq!(refuses_plain_http(&policy), refuses, "{policy}");
            assert!(!refuses_plain_http(&policy.replace("Deny", "Allow")));
        }
        assert!(
            !refuses_plain_http("")
                && !refuses_plain_http("[]")
                && !refuses_plain_http("{\"Statement\":[]}")
        );
    }
}

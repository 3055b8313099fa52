//! What S3 says of the bucket's settings, as findings of `doctor`.
//!
//! Pure: `bucket.rs` asks. A deployment works whatever they are, so none of them is bad; and what the three permissions of a
//! deployment do not show is unknown.

use serde_json::Value;

use crate::doctor::check::{CheckId, CheckResult};
use crate::doctor::s3_requests::PutProbe;
use crate::error::{Error, ErrorKind};

/// Whether earlier versions of an object stay: as S3 says, or else as an object's own answer shows.
#[must_use]
pub fn evaluate_versioning(
    answer: Result<Option<String>, Error>,
    put: Option<&PutProbe>,
) -> CheckResult {
    let on = match (answer, put) {
        (Ok(status), _) => status.as_deref() == Some("Enabled"),
        (Err(_), Some(put)) => put.version_id.is_some(),
        (Err(fault), None) => return unreadable_setting(CheckId::Versioning, &fault),
    };
    if on {
        return CheckResult::ok(
            CheckId::Versioning,
            "on: what is overwritten or deleted can be had back",
        );
    }
    let fix = "turn it on, so that what somebody overwrites or deletes can be had back";
    CheckResult::warning(
        CheckId::Versioning,
        "off: `config-history/` has each version all the same",
        fix,
    )
}

/// How objects are encrypted, as S3 says, or else as an object's own answer shows.
#[must_use]
pub fn evaluate_encryption(
    answer: Result<Option<String>, Error>,
    put: Option<&PutProbe>,
) -> CheckResult {
    match (answer, put.and_then(|put| put.encryption.clone())) {
        (Ok(Some(how)), _) | (_, Some(how)) => CheckResult::ok(CheckId::Encryption, how),
        (Ok(None), None) => CheckResult::warning(
            CheckId::Encryption,
            "none by default, and config.yaml holds secrets",
            "turn the bucket's default encryption on",
        ),
        (Err(fault), None) => unreadable_setting(CheckId::Encryption, &fault),
    }
}

/// Whether nobody can make the bucket public.
#[must_use]
pub fn evaluate_public_access(answer: Result<Option<bool>, Error>) -> CheckResult {
    match answer {
        Ok(Some(true)) => CheckResult::ok(CheckId::PublicAccess, "blocked in all four ways"),
        Ok(_) => CheckResult::warning(
            CheckId::PublicAccess,
            "the bucket does not block it in all four ways, and config.yaml holds secrets",
            "turn on all four of the bucket's blocks of public access",
        ),
        Err(fault) => unreadable_setting(CheckId::PublicAccess, &fault),
    }
}

/// Whether the bucket's policy refuses plain HTTP.
#[must_use]
pub fn evaluate_tls_policy(answer: Result<Option<String>, Error>) -> CheckResult {
    match answer {
        Ok(Some(policy)) if refuses_plain_http(&policy) => {
            CheckResult::ok(CheckId::TlsOnly, "the bucket's policy refuses plain HTTP")
        }
        Ok(_) => CheckResult::warning(
            CheckId::TlsOnly,
            "the bucket's policy allows plain HTTP",
            "deny requests with `aws:SecureTransport` false in it",
        ),
        Err(fault) => unreadable_setting(CheckId::TlsOnly, &fault),
    }
}

/// Whether objects are held for some time whatever somebody does.
#[must_use]
pub fn evaluate_object_lock(answer: Result<Option<String>, Error>) -> CheckResult {
    match answer {
        Ok(Some(held)) => CheckResult::ok(CheckId::ObjectLock, format!("on: {held}")),
        Ok(None) => CheckResult::ok(
            CheckId::ObjectLock,
            "off: no object is held against deletion",
        ),
        Err(fault) => unreadable_setting(CheckId::ObjectLock, &fault),
    }
}

/// A setting that none of a deployment's three permissions shows.
fn unreadable_setting(check: CheckId, fault: &Error) -> CheckResult {
    let why = if fault.kind == ErrorKind::Denied {
        "you may not ask, and a deployment need not".to_owned()
    } else if fault.status == Some(501) || fault.code == "NotImplemented" {
        "this server does not know the question".to_owned()
    } else {
        fault.message.clone()
    };
    CheckResult::unknown(check, why)
}

/// Whether some statement denies everybody what comes without TLS (AWS, "`aws:SecureTransport`").
fn refuses_plain_http(policy: &str) -> bool {
    let Ok(policy) = serde_json::from_str::<Value>(policy) else {
        return false;
    };
    let says = |value: &Value, text: &str| match value {
        Value::Array(items) => items.iter().any(|item| item.as_str() == Some(text)),
        value => {
            value.as_str() == Some(text) || (text == "false" && value.as_bool() == Some(false))
        }
    };
    let everybody = |who: &Value| says(who, "*") || says(&who["AWS"], "*");
    let refuses = |statement: &Value| {
        let condition = statement["Condition"].as_object().and_then(|it| {
            it.iter()
                .find(|(name, _)| name.eq_ignore_ascii_case("Bool"))
        });
        let key = condition.and_then(|(_, it)| {
            it.as_object()?
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case("aws:SecureTransport"))
        });
        let all = says(&statement["Action"], "s3:*") || says(&statement["Action"], "*");
        all && statement["Effect"] == "Deny"
            && everybody(&statement["Principal"])
            && key.is_some_and(|(_, value)| says(value, "false"))
    };
    match &policy["Statement"] {
        Value::Array(statements) => statements.iter().any(refuses),
        statement => refuses(statement),
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
        let how = |answer, put: Option<&PutProbe>| evaluate_encryption(answer, put).seen;
        assert_eq!(
            [
                how(said("AES256"), None),
                how(denied(), Some(&put_with(None, Some("aws:kms"))))
            ],
            ["AES256", "aws:kms"]
        );
        assert!(how(Ok(None), Some(&put_with(None, None))).starts_with("none by default"));
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
        let why = |fault: Error| evaluate_object_lock(Err(fault)).seen;
        assert_eq!(
            why(error_of_kind(ErrorKind::Denied)),
            "you may not ask, and a deployment need not"
        );
        assert_eq!(
            why(Error {
                status: Some(501),
                ..error_of_kind(ErrorKind::Service)
            }),
            "this server does not know the question"
        );
        assert_eq!(
            why(Error {
                code: "NotImplemented".into(),
                ..error_of_kind(ErrorKind::Service)
            }),
            "this server does not know the question"
        );
        assert_eq!(
            why(Error {
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

//! What S3 says of the bucket's settings, as findings of `doctor`.
//!
//! Pure: `bucket.rs` asks. A deployment works whatever they are, so none of them is bad; and what the three permissions of a
//! deployment do not show is unknown.

use serde_json::Value;

use crate::fault::{Fault, Kind};
use crate::finding::Finding;
use crate::probe::Put;

/// Whether earlier versions of an object stay: as S3 says, or else as an object's own answer shows.
#[must_use]
pub fn versioning(answer: Result<Option<String>, Fault>, put: Option<&Put>) -> Finding {
    let on = match (answer, put) {
        (Ok(status), _) => status.as_deref() == Some("Enabled"),
        (Err(_), Some(put)) => put.version.is_some(),
        (Err(fault), None) => return unseen("versioning", &fault),
    };
    if on {
        return Finding::ok("versioning", "on: what is overwritten or deleted can be had back");
    }
    let fix = "turn it on, so that what somebody overwrites or deletes can be had back";
    Finding::note("versioning", "off: `config-history/` has each version all the same", fix)
}

/// How objects are encrypted, as S3 says, or else as an object's own answer shows.
#[must_use]
pub fn encryption(answer: Result<Option<String>, Fault>, put: Option<&Put>) -> Finding {
    match (answer, put.and_then(|put| put.encryption.clone())) {
        (Ok(Some(how)), _) | (_, Some(how)) => Finding::ok("encryption", how),
        (Ok(None), None) => {
            Finding::note("encryption", "none by default, and config.yaml holds secrets", "turn the bucket's default encryption on")
        }
        (Err(fault), None) => unseen("encryption", &fault),
    }
}

/// Whether nobody can make the bucket public.
#[must_use]
pub fn public_access(answer: Result<Option<bool>, Fault>) -> Finding {
    match answer {
        Ok(Some(true)) => Finding::ok("public access", "blocked in all four ways"),
        Ok(_) => Finding::note(
            "public access",
            "the bucket does not block it in all four ways, and config.yaml holds secrets",
            "turn on all four of the bucket's blocks of public access",
        ),
        Err(fault) => unseen("public access", &fault),
    }
}

/// Whether the bucket's policy refuses plain HTTP.
#[must_use]
pub fn tls_only(answer: Result<Option<String>, Fault>) -> Finding {
    match answer {
        Ok(Some(policy)) if refuses_plain_http(&policy) => Finding::ok("TLS only", "the bucket's policy refuses plain HTTP"),
        Ok(_) => Finding::note("TLS only", "the bucket's policy allows plain HTTP", "deny requests with `aws:SecureTransport` false in it"),
        Err(fault) => unseen("TLS only", &fault),
    }
}

/// Whether objects are held for some time whatever somebody does.
#[must_use]
pub fn object_lock(answer: Result<Option<String>, Fault>) -> Finding {
    match answer {
        Ok(Some(held)) => Finding::ok("object lock", format!("on: {held}")),
        Ok(None) => Finding::ok("object lock", "off: no object is held against deletion"),
        Err(fault) => unseen("object lock", &fault),
    }
}

/// A setting that none of a deployment's three permissions shows.
fn unseen(check: &'static str, fault: &Fault) -> Finding {
    let why = if fault.kind == Kind::Denied {
        "you may not ask, and a deployment need not".to_owned()
    } else if fault.status == Some(501) || fault.code == "NotImplemented" {
        "this server does not know the question".to_owned()
    } else {
        fault.text.clone()
    };
    Finding::unknown(check, why)
}

/// Whether some statement denies everybody what comes without TLS (AWS, "`aws:SecureTransport`").
fn refuses_plain_http(policy: &str) -> bool {
    let Ok(policy) = serde_json::from_str::<Value>(policy) else { return false };
    let says = |value: &Value, text: &str| match value {
        Value::Array(items) => items.iter().any(|item| item.as_str() == Some(text)),
        value => value.as_str() == Some(text) || (text == "false" && value.as_bool() == Some(false)),
    };
    let everybody = |who: &Value| says(who, "*") || says(&who["AWS"], "*");
    let refuses = |statement: &Value| {
        let condition = statement["Condition"].as_object().and_then(|it| it.iter().find(|(name, _)| name.eq_ignore_ascii_case("Bool")));
        let key = condition.and_then(|(_, it)| it.as_object()?.iter().find(|(name, _)| name.eq_ignore_ascii_case("aws:SecureTransport")));
        let all = says(&statement["Action"], "s3:*") || says(&statement["Action"], "*");
        all && statement["Effect"] == "Deny" && everybody(&statement["Principal"]) && key.is_some_and(|(_, value)| says(value, "false"))
    };
    match &policy["Statement"] {
        Value::Array(statements) => statements.iter().any(refuses),
        statement => refuses(statement),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_refused_only_where_everybody_and_everything_is_denied() {
        let policy = |action: &str, principal: &str, condition: &str| {
            format!("{{\"Statement\":{{\"Effect\":\"Deny\",\"Action\":{action},\"Principal\":{principal},\"Condition\":{condition}}}}}")
        };
        let tls = "{\"Bool\":{\"aws:SecureTransport\":\"false\"}}";
        for (action, principal, condition, refuses) in [
            ("\"s3:*\"", "\"*\"", tls, true),
            ("[\"s3:*\"]", "{\"AWS\":[\"*\"]}", "{\"bool\":{\"AWS:secureTransport\":[\"false\"]}}", true),
            ("\"*\"", "{\"AWS\":\"*\"}", "{\"Bool\":{\"aws:SecureTransport\":false}}", true),
            ("\"s3:GetObject\"", "\"*\"", tls, false),
            ("\"s3:*\"", "{\"AWS\":\"123456789012\"}", tls, false),
            ("\"s3:*\"", "\"*\"", "{\"Bool\":{\"aws:SecureTransport\":\"true\"}}", false),
            ("\"s3:*\"", "\"*\"", "{\"StringEquals\":{\"aws:SecureTransport\":\"false\"}}", false),
        ] {
            let policy = policy(action, principal, condition);
            assert_eq!(refuses_plain_http(&policy), refuses, "{policy}");
            assert!(!refuses_plain_http(&policy.replace("Deny", "Allow")));
        }
        assert!(!refuses_plain_http("") && !refuses_plain_http("[]") && !refuses_plain_http("{\"Statement\":[]}"));
    }
}

//! What S3's answers mean for a deployment, as results of checks.
//!
//! Asks nothing itself: `bucket_checks` does.

use chrono::{DateTime, TimeDelta, Utc};

use crate::digest::{sha256_base64, sha256_hex};
use crate::doctor::check::{CheckId, CheckResult};
use crate::doctor::s3_requests::PutProbe;
use crate::doctor::write_probe::WriteProbe;
use crate::error::{Error, ErrorKind};
use crate::exit_code::ExitCode;
use crate::keys::metadata::SHA256_FIELD;
use crate::record::format_rfc3339;
use crate::s3::store::{CallerIdentity, PutOutcome};

/// AWS refuses signatures of a clock that is off by 15 minutes; a clock that drifts gets there.
const CLOCK_SKEW_LIMIT: TimeDelta = TimeDelta::minutes(5);
/// Credentials that end within this time may end during a deployment.
const EXPIRY_WARNING_WINDOW: TimeDelta = TimeDelta::minutes(15);
/// The date of an answer has whole seconds, so a smaller difference says nothing.
const CLOCK_TOLERANCE_SECONDS: i64 = 2;

/// Evaluates this machine's clock by how far it is ahead of S3's.
pub(crate) fn evaluate_clock(ahead: Option<TimeDelta>) -> CheckResult {
    let Some(ahead) = ahead else {
        return CheckResult::unknown(CheckId::Clock, "no answer says what time it is");
    };
    let direction = if ahead > TimeDelta::zero() {
        "ahead of"
    } else {
        "behind"
    };
    if is_clock_off(Some(ahead)) {
        let minutes = ahead.num_minutes().abs();
        let seen =
            format!("it is {minutes} minutes {direction} that of S3, and AWS accepts at most 15");
        let fix = "set the clock, as with `timedatectl set-ntp true`";
        return CheckResult::failed(CheckId::Clock, seen, fix)
            .with_exit_code(ExitCode::Credentials);
    }

    let seconds = ahead.num_seconds().abs();
    let seen = if seconds <= CLOCK_TOLERANCE_SECONDS {
        "it is that of S3".to_owned()
    } else {
        format!("it is {seconds} s {direction} that of S3")
    };
    CheckResult::ok(CheckId::Clock, seen)
}

/// Whether the clock may be why S3 refuses the credentials.
pub(crate) fn is_clock_off(ahead: Option<TimeDelta>) -> bool {
    match ahead {
        Some(ahead) => ahead.abs() >= CLOCK_SKEW_LIMIT,
        None => false,
    }
}

/// Evaluates who asks, and when the credentials expire.
pub(crate) fn evaluate_credentials(
    identity: &CallerIdentity,
    expiry: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> CheckResult {
    let arn = &identity.arn;
    let Some(expiry) = expiry else {
        let seen = format!("{arn}, without a known expiry");
        return CheckResult::ok(CheckId::Credentials, seen);
    };

    let seen = format!("{arn}, until {}", format_rfc3339(expiry));
    let time_left = expiry - now;
    if time_left < EXPIRY_WARNING_WINDOW {
        let seen = format!("{seen}, in {} minutes", time_left.num_minutes());
        let fix = "log in again before a long deployment";
        return CheckResult::warning(CheckId::Credentials, seen, fix);
    }
    CheckResult::ok(CheckId::Credentials, seen)
}

pub(crate) fn evaluate_region(configured: &str, actual: &str) -> CheckResult {
    if configured == actual {
        return CheckResult::ok(CheckId::Region, actual);
    }
    CheckResult::warning(
        CheckId::Region,
        format!(
            "the bucket is in {actual} and not in {configured}, \
             which costs each step of a deployment a round trip"
        ),
        format!("set CONFIG_BACKUP_BUCKET_REGION={actual}"),
    )
}

/// Evaluates which account owns the bucket.
///
/// `as_own` is the answer to a request that names the account `own` as the owner, or else the
/// `expected` one. `as_unrelated` is that to a request that names an account which owns no bucket.
pub(crate) fn evaluate_owner(
    expected: &str,
    own: &str,
    as_own: Result<(), Error>,
    as_unrelated: Result<(), Error>,
) -> CheckResult {
    let is_checked = match as_unrelated {
        Ok(()) => {
            let seen = "this server does not check the expected owner of a bucket";
            return CheckResult::unknown(CheckId::Owner, seen);
        }
        Err(error) => error.kind == ErrorKind::Denied,
    };

    match as_own {
        Ok(()) if !is_checked => CheckResult::unknown(CheckId::Owner, "no clear answer"),
        Ok(()) if expected.is_empty() => {
            let seen = format!("the account {own}, which is your own");
            CheckResult::ok(CheckId::Owner, seen)
        }
        Ok(()) => {
            let seen = format!("the account {expected}, as demanded");
            CheckResult::ok(CheckId::Owner, seen)
        }
        Err(error) if is_checked && error.kind == ErrorKind::Denied => CheckResult::warning(
            CheckId::Owner,
            format!("the bucket is of another account than your own, {own}"),
            "if that is intended, set CONFIG_BACKUP_BUCKET_OWNER to that account; \
             otherwise check the bucket's name",
        ),
        Err(error) => CheckResult::unknown(CheckId::Owner, error.message),
    }
}

/// A request below a prefix, and the error that it gave.
pub(crate) type RequestAttempt<'a> = (&'a str, Option<&'a Error>);

/// Evaluates whether each of some requests was allowed.
pub(crate) fn evaluate_permission(check: CheckId, attempts: &[RequestAttempt]) -> CheckResult {
    let mut prefixes = Vec::new();
    for (prefix, error) in attempts {
        match error {
            Some(error) => return CheckResult::from_error(check, error),
            None => prefixes.push(*prefix),
        }
    }
    let seen = format!("allowed below {}", prefixes.join(" and "));
    CheckResult::ok(check, seen)
}

/// Evaluates `s3:PutObject`.
pub(crate) fn evaluate_write_permission(probes: &[WriteProbe]) -> CheckResult {
    let mut attempts = Vec::new();
    for probe in probes {
        attempts.push((probe.prefix.as_str(), probe.put.as_ref().err()));
    }
    evaluate_permission(CheckId::PutObject, &attempts)
}

/// Evaluates `s3:GetObject`.
///
/// Only with `can_list` S3 tells a missing object from a forbidden one.
pub(crate) fn evaluate_read_permission(probes: &[WriteProbe], can_list: bool) -> CheckResult {
    let mut attempts = Vec::new();
    for probe in probes {
        let error = probe.body.as_ref().err();
        if let Some(error) = error
            && error.kind == ErrorKind::Denied
            && probe.put.is_err()
            && !can_list
        {
            let seen = "there is nothing to read, and without s3:ListBucket S3 does not say so";
            return CheckResult::unknown(CheckId::GetObject, seen);
        }
        attempts.push((probe.prefix.as_str(), error));
    }
    evaluate_permission(CheckId::GetObject, &attempts)
}

/// Evaluates whether `If-None-Match: *` protects an object.
///
/// Without it, two records of one second could replace each other.
pub(crate) fn evaluate_conditional_writes(
    probes: &[WriteProbe],
    lacks_conditional_writes: bool,
) -> CheckResult {
    if lacks_conditional_writes {
        return CheckResult::failed(
            CheckId::Conditions,
            "the server has no conditional writes, so each write looks first, \
             and two deployments in the same second can replace each other's records",
            "use S3, or a server that supports conditional writes",
        );
    }
    let mut first_error = None;
    for probe in probes {
        match &probe.overwrite_refused {
            Ok(true) => {}
            Ok(false) => {
                return CheckResult::failed(
                    CheckId::Conditions,
                    "the server overwrites objects in spite of `If-None-Match: *`, \
                     so records can replace each other",
                    "use S3, or a server that supports conditional writes",
                );
            }
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    match first_error {
        Some(error) => CheckResult::unknown(CheckId::Conditions, &error.message),
        None => CheckResult::ok(
            CheckId::Conditions,
            "objects are not overwritten (`If-None-Match: *`)",
        ),
    }
}

/// Evaluates whether what was written comes back unchanged.
///
/// Plans compare the config with what S3 says of it. Deployments read back each upload whose
/// checksum the answer does not confirm.
pub(crate) fn evaluate_read_back(probes: &[WriteProbe]) -> CheckResult {
    let mut is_confirmed = true;
    for probe in probes {
        match compare_with_written(probe) {
            Ok(changes) if changes.is_empty() => {}
            Ok(changes) => {
                let prefix = &probe.prefix;
                let changes = changes.join(", ");
                return CheckResult::failed(
                    CheckId::ReadBack,
                    format!("what was written below {prefix} comes back changed: {changes}"),
                    "check the S3 endpoint or proxy: \
                     every deployment would re-upload its config or report it lost",
                );
            }
            Err(cause) => return CheckResult::unknown(CheckId::ReadBack, cause),
        }
        is_confirmed &= is_checksum_confirmed(probe);
    }

    let mut seen = "bytes, metadata and SHA-256 come back as they were sent".to_owned();
    if !is_confirmed {
        seen.push_str(
            "; answers to uploads do not confirm it, \
             so each upload is read back, which costs a round trip",
        );
    }
    CheckResult::ok(CheckId::ReadBack, seen)
}

/// What differs from what was written, or why that is unknown.
fn compare_with_written(probe: &WriteProbe) -> Result<Vec<&'static str>, String> {
    let (head, body) = match (&probe.put, &probe.head, &probe.body) {
        (Ok(_), Ok(Some(head)), Ok(Some(body))) => (head, body),
        (Ok(_), Ok(_), Ok(_)) => {
            return Err(format!(
                "what was written below {} is gone again",
                probe.prefix
            ));
        }
        (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) => {
            return Err(error.message.clone());
        }
    };

    let mut changes = Vec::new();
    if head.metadata.get(SHA256_FIELD) != Some(&sha256_hex(body)) {
        changes.push("its metadata");
    }
    if head.size != body.len() as u64 {
        changes.push("its size");
    }
    if let Some(sha256) = &head.sha256
        && *sha256 != sha256_base64(body)
    {
        changes.push("its SHA-256");
    }
    Ok(changes)
}

/// Whether the answer to the upload confirmed the checksum, if there was an upload.
fn is_checksum_confirmed(probe: &WriteProbe) -> bool {
    match &probe.put {
        Ok(PutProbe {
            outcome: PutOutcome::Written(receipt),
            ..
        }) => receipt.is_checksum_confirmed,
        _ => true,
    }
}

/// Evaluates what remains of the canary objects.
pub(crate) fn evaluate_canary(probes: &[WriteProbe]) -> CheckResult {
    let mut is_written = false;
    let mut has_marker = false;
    let mut remaining = Vec::new();
    for probe in probes {
        let Some(deleted) = &probe.deleted else {
            continue;
        };
        is_written = true;
        match deleted {
            Ok(left_marker) => has_marker |= left_marker,
            Err(_) => remaining.push(probe.prefix.as_str()),
        }
    }

    if !is_written {
        return CheckResult::unknown(CheckId::Canary, "nothing could be written");
    }
    let seen = if !remaining.is_empty() {
        let prefixes = remaining.join(" and ");
        format!(
            "one small object `_config-backup-doctor` stays in {prefixes}: \
             it may not be deleted, and need not be"
        )
    } else if has_marker {
        "what was written is deleted; the bucket keeps its versions, under a delete marker"
            .to_owned()
    } else {
        "what was written is deleted".to_owned()
    };
    CheckResult::ok(CheckId::Canary, seen)
}

#[cfg(test)]
mod tests;

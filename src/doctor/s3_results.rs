//! What S3's answers mean for a deployment, as findings of `doctor`.
//!
//! Pure: `bucket.rs` asks.

use chrono::{DateTime, TimeDelta, Utc};

use crate::digest::{sha256_base64, sha256_hex};
use crate::doctor::check::{CheckId, CheckResult};
use crate::doctor::s3_requests::PutProbe;
use crate::error::{Error, ErrorKind};
use crate::keys::metadata::SHA256_FIELD;
use crate::record::format_rfc3339;
use crate::s3::store::{CallerIdentity, ObjectHead, PutOutcome};

/// A clock that is off by so much is soon one that no signature is valid by: AWS takes 15 minutes.
const CLOCK_SKEW_LIMIT: TimeDelta = TimeDelta::minutes(5);
/// Credentials that end within this time may end during a deployment.
const EXPIRY_WARNING_WINDOW: TimeDelta = TimeDelta::minutes(15);

/// What came of the attempts in one of the two places that a deployment writes to.
#[derive(Debug)]
pub struct WriteProbe {
    /// The place, as `usage-logs/airbnb/`.
    pub prefix: String,
    /// The object written.
    pub put: Result<PutProbe, Error>,
    /// Whether writing it on condition that nothing is there was refused, as it must be.
    pub overwrite_refused: Result<bool, Error>,
    /// What is said of it.
    pub head: Result<Option<ObjectHead>, Error>,
    /// What it holds.
    pub body: Result<Option<Vec<u8>>, Error>,
    /// Whether it was deleted and left a marker; nothing where it was never written.
    pub deleted: Option<Result<bool, Error>>,
}

/// The machine's clock, by how far it is ahead of S3's.
#[must_use]
pub fn evaluate_clock(ahead: Option<TimeDelta>) -> CheckResult {
    let Some(ahead) = ahead else {
        return CheckResult::unknown(CheckId::Clock, "no answer says what time it is");
    };
    let direction = if ahead > TimeDelta::zero() {
        "ahead of"
    } else {
        "behind"
    };
    if is_clock_off(Some(ahead)) {
        let seen = format!(
            "it is {} minutes {direction} that of S3, and AWS takes 15 at the most",
            ahead.num_minutes().abs()
        );
        return CheckResult::failed(
            CheckId::Clock,
            seen,
            "set the clock, as with `timedatectl set-ntp true`",
        )
        .with_exit_code(4);
    }
    // An answer's date has whole seconds.
    let seconds = ahead.num_seconds().abs();
    CheckResult::ok(
        CheckId::Clock,
        if seconds <= 2 {
            "it is that of S3".to_owned()
        } else {
            format!("it is {seconds} s {direction} that of S3")
        },
    )
}

/// Whether a clock is so wrong that what is said of the credentials may be due to it.
#[must_use]
pub fn is_clock_off(ahead: Option<TimeDelta>) -> bool {
    ahead.is_some_and(|ahead| ahead.abs() >= CLOCK_SKEW_LIMIT)
}

/// Who asks, and until when.
#[must_use]
pub fn evaluate_credentials(
    identity: &CallerIdentity,
    until: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> CheckResult {
    let arn = &identity.arn;
    match until {
        None => CheckResult::ok(
            CheckId::Credentials,
            format!("{arn}, without an end that is known"),
        ),
        Some(until) if until - now < EXPIRY_WARNING_WINDOW => {
            let seen = format!(
                "{arn}, until {}, in {} minutes",
                format_rfc3339(until),
                (until - now).num_minutes()
            );
            CheckResult::warning(
                CheckId::Credentials,
                seen,
                "log in again before a long deployment",
            )
        }
        Some(until) => CheckResult::ok(
            CheckId::Credentials,
            format!("{arn}, until {}", format_rfc3339(until)),
        ),
    }
}

/// Where the bucket was believed to be, and is.
#[must_use]
pub fn evaluate_region(believed: &str, is: &str) -> CheckResult {
    if believed == is {
        return CheckResult::ok(CheckId::Region, is);
    }
    let seen = format!(
        "the bucket is in {is} and not in {believed}, which costs each step of a deployment a round trip"
    );
    CheckResult::warning(
        CheckId::Region,
        seen,
        format!("set CONFIG_BACKUP_BUCKET_REGION={is}"),
    )
}

/// Whose the bucket is: `as_own` tells whether S3 takes it for the account's own, `as_any` whether for that of an account which it
/// surely is not of.
#[must_use]
pub fn evaluate_owner(
    expected: &str,
    own: &str,
    as_own: Result<(), Error>,
    as_any: Result<(), Error>,
) -> CheckResult {
    match (as_own, as_any.map_err(|fault| fault.kind)) {
        (_, Ok(())) => CheckResult::unknown(
            CheckId::Owner,
            "this server does not look whose a bucket is expected to be",
        ),
        (Ok(()), Err(ErrorKind::Denied)) if expected.is_empty() => CheckResult::ok(
            CheckId::Owner,
            format!("the account {own}, which is your own"),
        ),
        (Ok(()), Err(ErrorKind::Denied)) => CheckResult::ok(
            CheckId::Owner,
            format!("the account {expected}, as demanded"),
        ),
        (Err(fault), Err(ErrorKind::Denied)) if fault.kind == ErrorKind::Denied => {
            CheckResult::warning(
                CheckId::Owner,
                format!("the bucket is of another account than your own, {own}"),
                "if that is meant, set CONFIG_BACKUP_BUCKET_OWNER to that account; otherwise check the bucket's name",
            )
        }
        (as_own, _) => CheckResult::unknown(
            CheckId::Owner,
            as_own
                .err()
                .map_or_else(|| "no clear answer".to_owned(), |fault| fault.message),
        ),
    }
}

/// Whether each of some requests was allowed, one for each place.
#[must_use]
pub fn evaluate_permission<'a>(
    check: CheckId,
    tried: impl Iterator<Item = (&'a str, Result<(), &'a Error>)>,
) -> CheckResult {
    let tried: Vec<_> = tried.collect();
    match tried.iter().find_map(|(_, answer)| answer.as_ref().err()) {
        Some(fault) => CheckResult::from_error(check, fault),
        None => CheckResult::ok(
            check,
            format!(
                "allowed below {}",
                join_prefixes(tried.iter().map(|(place, _)| *place))
            ),
        ),
    }
}

/// `s3:GetObject`, where `may_list` tells whether a missing object can be told from a forbidden one.
#[must_use]
pub fn evaluate_read_permission(tried: &[WriteProbe], may_list: bool) -> CheckResult {
    let gone = |tried: &WriteProbe| {
        tried.put.is_err()
            && tried
                .body
                .as_ref()
                .is_err_and(|fault| fault.kind == ErrorKind::Denied)
    };
    if !may_list && tried.iter().any(gone) {
        return CheckResult::unknown(
            CheckId::GetObject,
            "there is nothing to read, and without s3:ListBucket S3 does not say so",
        );
    }
    evaluate_permission(
        CheckId::GetObject,
        tried
            .iter()
            .map(|it| (it.prefix.as_str(), it.body.as_ref().map(drop))),
    )
}

/// Whether `If-None-Match: *` protects what is there: two records of one second would replace each other otherwise.
#[must_use]
pub fn evaluate_conditional_writes(tried: &[WriteProbe]) -> CheckResult {
    if tried
        .iter()
        .any(|it| matches!(it.overwrite_refused, Ok(false)))
    {
        let seen = "the server writes over what is there in spite of `If-None-Match: *`, so that records can replace each other";
        return CheckResult::failed(
            CheckId::Conditions,
            seen,
            "use S3, or a server that knows conditional writes",
        );
    }
    match tried
        .iter()
        .find_map(|it| it.overwrite_refused.as_ref().err())
    {
        Some(fault) => CheckResult::unknown(
            CheckId::Conditions,
            format!("not found out: {}", fault.message),
        ),
        None => CheckResult::ok(
            CheckId::Conditions,
            "what is there is not written over (`If-None-Match: *`)",
        ),
    }
}

/// Whether what was written comes back whole, as plans look for the config, and deployments for what no answer vouches for.
#[must_use]
pub fn evaluate_read_back(tried: &[WriteProbe]) -> CheckResult {
    for WriteProbe {
        prefix: place,
        put,
        head,
        body: got,
        ..
    } in tried
    {
        let (head, body) = match (put, head, got) {
            (Err(fault), ..) | (_, Err(fault), _) | (.., Err(fault)) => {
                return CheckResult::unknown(
                    CheckId::ReadBack,
                    format!("not found out: {}", fault.message),
                );
            }
            (Ok(_), Ok(Some(head)), Ok(Some(body))) => (head, body),
            (Ok(_), Ok(_), Ok(_)) => {
                return CheckResult::unknown(
                    CheckId::ReadBack,
                    format!("what was written below {place} is gone again"),
                );
            }
        };
        let mut wrong = Vec::new();
        if head.metadata.get(SHA256_FIELD) != Some(&sha256_hex(body)) {
            wrong.push("its metadata");
        }
        if head.size != body.len() as u64 {
            wrong.push("its size");
        }
        if head
            .sha256
            .as_ref()
            .is_some_and(|sum| *sum != sha256_base64(body))
        {
            wrong.push("its SHA-256");
        }
        if !wrong.is_empty() {
            let seen = format!(
                "what was written below {place} comes back changed: {}",
                wrong.join(", ")
            );
            return CheckResult::failed(
                CheckId::ReadBack,
                seen,
                "look at who answers as S3: each deployment will upload its config anew, or say that it is lost",
            );
        }
    }
    let whole = "bytes, metadata and SHA-256 come back as they were sent";
    let states_none = |it: &WriteProbe| {
        it.put.as_ref().is_ok_and(|put| matches!(&put.outcome, PutOutcome::Written(receipt) if !receipt.is_checksum_confirmed))
    };
    let slower = "; answers to uploads do not state it, so each is looked for, which takes one round trip more";
    CheckResult::ok(
        CheckId::ReadBack,
        format!(
            "{whole}{}",
            if tried.iter().any(states_none) {
                slower
            } else {
                ""
            }
        ),
    )
}

/// What stays of the attempts themselves.
#[must_use]
pub fn evaluate_canary(tried: &[WriteProbe]) -> CheckResult {
    let written: Vec<_> = tried
        .iter()
        .filter_map(|it| {
            it.deleted
                .as_ref()
                .map(|deleted| (it.prefix.as_str(), deleted))
        })
        .collect();
    let stays: Vec<&str> = written
        .iter()
        .filter(|(_, deleted)| deleted.is_err())
        .map(|(place, _)| *place)
        .collect();
    if written.is_empty() {
        CheckResult::unknown(CheckId::Canary, "nothing could be written")
    } else if !stays.is_empty() {
        CheckResult::ok(
            CheckId::Canary,
            format!(
                "one small object `_config-backup-doctor` stays in {}: it may not be deleted, and need not be",
                join_prefixes(stays)
            ),
        )
    } else if written
        .iter()
        .any(|(_, deleted)| matches!(deleted, Ok(true)))
    {
        CheckResult::ok(
            CheckId::Canary,
            "what was written is deleted; the bucket keeps its versions, under a delete marker",
        )
    } else {
        CheckResult::ok(CheckId::Canary, "what was written is deleted")
    }
}

fn join_prefixes<'a>(places: impl IntoIterator<Item = &'a str>) -> String {
    places.into_iter().collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests;

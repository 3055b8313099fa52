//! What S3's answers mean for a deployment, as findings of `doctor`.
//!
//! Pure: `bucket.rs` asks.

use chrono::{DateTime, TimeDelta, Utc};

use crate::aws::{Head, Identity, Written};
use crate::deliver::SHA256;
use crate::digest::{sha256_base64, sha256_hex};
use crate::fault::{Fault, Kind};
use crate::finding::Finding;
use crate::probe::Put;
use crate::record::timestamp;

/// A clock that is off by so much is soon one that no signature is valid by: AWS takes 15 minutes.
const OFF: TimeDelta = TimeDelta::minutes(5);
/// Credentials that end within this time may end during a deployment.
const SOON: TimeDelta = TimeDelta::minutes(15);

/// What came of the attempts in one of the two places that a deployment writes to.
#[derive(Debug)]
pub struct Tried {
    /// The place, as `usage-logs/airbnb/`.
    pub place: String,
    /// The object written.
    pub put: Result<Put, Fault>,
    /// Whether writing it on condition that nothing is there was refused, as it must be.
    pub refused: Result<bool, Fault>,
    /// What is said of it.
    pub head: Result<Option<Head>, Fault>,
    /// What it holds.
    pub got: Result<Option<Vec<u8>>, Fault>,
    /// Whether it was deleted and left a marker; nothing where it was never written.
    pub deleted: Option<Result<bool, Fault>>,
}

/// The machine's clock, by how far it is ahead of S3's.
#[must_use]
pub fn clock(ahead: Option<TimeDelta>) -> Finding {
    let Some(ahead) = ahead else { return Finding::unknown("clock", "no answer says what time it is") };
    let direction = if ahead > TimeDelta::zero() { "ahead of" } else { "behind" };
    if is_off(Some(ahead)) {
        let seen = format!("it is {} minutes {direction} that of S3, and AWS takes 15 at the most", ahead.num_minutes().abs());
        return Finding::bad("clock", 4, seen, "set the clock, as with `timedatectl set-ntp true`");
    }
    // An answer's date has whole seconds.
    let seconds = ahead.num_seconds().abs();
    Finding::ok("clock", if seconds <= 2 { "it is that of S3".to_owned() } else { format!("it is {seconds} s {direction} that of S3") })
}

/// Whether a clock is so wrong that what is said of the credentials may be due to it.
#[must_use]
pub fn is_off(ahead: Option<TimeDelta>) -> bool {
    ahead.is_some_and(|ahead| ahead.abs() >= OFF)
}

/// Who asks, and until when.
#[must_use]
pub fn credentials(identity: &Identity, until: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Finding {
    let arn = &identity.arn;
    match until {
        None => Finding::ok("credentials", format!("{arn}, without an end that is known")),
        Some(until) if until - now < SOON => {
            let seen = format!("{arn}, until {}, in {} minutes", timestamp(until), (until - now).num_minutes());
            Finding::note("credentials", seen, "log in again before a long deployment")
        }
        Some(until) => Finding::ok("credentials", format!("{arn}, until {}", timestamp(until))),
    }
}

/// Where the bucket was believed to be, and is.
#[must_use]
pub fn region(believed: &str, is: &str) -> Finding {
    if believed == is {
        return Finding::ok("region", is);
    }
    let seen = format!("the bucket is in {is} and not in {believed}, which costs each step of a deployment a round trip");
    Finding::note("region", seen, format!("set CONFIG_BACKUP_BUCKET_REGION={is}"))
}

/// Whose the bucket is: `as_own` tells whether S3 takes it for the account's own, `as_any` whether for that of an account which it
/// surely is not of.
#[must_use]
pub fn owner(expected: &str, own: &str, as_own: Result<(), Fault>, as_any: Result<(), Fault>) -> Finding {
    match (as_own, as_any.map_err(|fault| fault.kind)) {
        (_, Ok(())) => Finding::unknown("owner", "this server does not look whose a bucket is expected to be"),
        (Ok(()), Err(Kind::Denied)) if expected.is_empty() => Finding::ok("owner", format!("the account {own}, which is your own")),
        (Ok(()), Err(Kind::Denied)) => Finding::ok("owner", format!("the account {expected}, as demanded")),
        (Err(fault), Err(Kind::Denied)) if fault.kind == Kind::Denied => Finding::note(
            "owner",
            format!("the bucket is of another account than your own, {own}"),
            "if that is meant, set CONFIG_BACKUP_BUCKET_OWNER to that account; otherwise check the bucket's name",
        ),
        (as_own, _) => Finding::unknown("owner", as_own.err().map_or_else(|| "no clear answer".to_owned(), |fault| fault.text)),
    }
}

/// Whether each of some requests was allowed, one for each place.
#[must_use]
pub fn permission<'a>(check: &'static str, tried: impl Iterator<Item = (&'a str, Result<(), &'a Fault>)>) -> Finding {
    let tried: Vec<_> = tried.collect();
    match tried.iter().find_map(|(_, answer)| answer.as_ref().err()) {
        Some(fault) => Finding::fault(check, fault),
        None => Finding::ok(check, format!("allowed below {}", join(tried.iter().map(|(place, _)| *place)))),
    }
}

/// `s3:GetObject`, where `may_list` tells whether a missing object can be told from a forbidden one.
#[must_use]
pub fn reading(tried: &[Tried], may_list: bool) -> Finding {
    let gone = |tried: &Tried| tried.put.is_err() && tried.got.as_ref().is_err_and(|fault| fault.kind == Kind::Denied);
    if !may_list && tried.iter().any(gone) {
        return Finding::unknown("s3:GetObject", "there is nothing to read, and without s3:ListBucket S3 does not say so");
    }
    permission("s3:GetObject", tried.iter().map(|it| (it.place.as_str(), it.got.as_ref().map(drop))))
}

/// Whether `If-None-Match: *` protects what is there: two records of one second would replace each other otherwise.
#[must_use]
pub fn conditions(tried: &[Tried]) -> Finding {
    if tried.iter().any(|it| matches!(it.refused, Ok(false))) {
        let seen = "the server writes over what is there in spite of `If-None-Match: *`, so that records can replace each other";
        return Finding::bad("conditions", 1, seen, "use S3, or a server that knows conditional writes");
    }
    match tried.iter().find_map(|it| it.refused.as_ref().err()) {
        Some(fault) => Finding::unknown("conditions", format!("not found out: {}", fault.text)),
        None => Finding::ok("conditions", "what is there is not written over (`If-None-Match: *`)"),
    }
}

/// Whether what was written comes back whole, as plans look for the config, and deployments for what no answer vouches for.
#[must_use]
pub fn read_back(tried: &[Tried]) -> Finding {
    for Tried { place, put, head, got, .. } in tried {
        let (head, body) = match (put, head, got) {
            (Err(fault), ..) | (_, Err(fault), _) | (.., Err(fault)) => {
                return Finding::unknown("read back", format!("not found out: {}", fault.text));
            }
            (Ok(_), Ok(Some(head)), Ok(Some(body))) => (head, body),
            (Ok(_), Ok(_), Ok(_)) => return Finding::unknown("read back", format!("what was written below {place} is gone again")),
        };
        let mut wrong = Vec::new();
        if head.metadata.get(SHA256) != Some(&sha256_hex(body)) {
            wrong.push("its metadata");
        }
        if head.size != body.len() as u64 {
            wrong.push("its size");
        }
        if head.sha256.as_ref().is_some_and(|sum| *sum != sha256_base64(body)) {
            wrong.push("its SHA-256");
        }
        if !wrong.is_empty() {
            let seen = format!("what was written below {place} comes back changed: {}", wrong.join(", "));
            return Finding::bad(
                "read back",
                1,
                seen,
                "look at who answers as S3: each deployment will upload its config anew, or say that it is lost",
            );
        }
    }
    let whole = "bytes, metadata and SHA-256 come back as they were sent";
    let states_none = |it: &Tried| it.put.as_ref().is_ok_and(|put| matches!(&put.written, Written::Yes(receipt) if !receipt.states_sum));
    let slower = "; answers to uploads do not state it, so each is looked for, which takes one round trip more";
    Finding::ok("read back", format!("{whole}{}", if tried.iter().any(states_none) { slower } else { "" }))
}

/// What stays of the attempts themselves.
#[must_use]
pub fn canary(tried: &[Tried]) -> Finding {
    let written: Vec<_> = tried.iter().filter_map(|it| it.deleted.as_ref().map(|deleted| (it.place.as_str(), deleted))).collect();
    let stays: Vec<&str> = written.iter().filter(|(_, deleted)| deleted.is_err()).map(|(place, _)| *place).collect();
    if written.is_empty() {
        Finding::unknown("canary", "nothing could be written")
    } else if !stays.is_empty() {
        Finding::ok(
            "canary",
            format!("one small object `_config-backup-doctor` stays in {}: it may not be deleted, and need not be", join(stays)),
        )
    } else if written.iter().any(|(_, deleted)| matches!(deleted, Ok(true))) {
        Finding::ok("canary", "what was written is deleted; the bucket keeps its versions, under a delete marker")
    } else {
        Finding::ok("canary", "what was written is deleted")
    }
}

fn join<'a>(places: impl IntoIterator<Item = &'a str>) -> String {
    places.into_iter().collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
#[path = "judge/tests.rs"]
mod tests;

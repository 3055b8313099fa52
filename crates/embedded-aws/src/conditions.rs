//! The conditional headers of reads and writes, decided from what is there.

use s3s::dto::{ETagCondition, Timestamp};
use s3s::{S3Error, S3Result, s3_error};

use crate::store::ObjectHead;

/// The conditional headers of a GET or HEAD, named without `If-`; `matching` is `If-Match`.
pub(crate) struct ReadConditions {
    pub(crate) matching: Option<ETagCondition>,
    pub(crate) not_matching: Option<ETagCondition>,
    pub(crate) modified_since: Option<Timestamp>,
    pub(crate) unmodified_since: Option<Timestamp>,
}

impl ReadConditions {
    /// RFC 9110, section 13.2.2: a condition on the entity tag outranks the one on the time.
    pub(crate) fn check(&self, head: &ObjectHead) -> S3Result<()> {
        let modified = Timestamp::from(head.modified);
        let failed = match (&self.matching, &self.unmodified_since) {
            (Some(condition), _) => !condition_holds(condition, head),
            (None, Some(since)) => modified > *since,
            (None, None) => false,
        };
        if failed {
            return Err(precondition_failed());
        }
        let unchanged = match (&self.not_matching, &self.modified_since) {
            (Some(condition), _) => condition_holds(condition, head),
            (None, Some(since)) => modified <= *since,
            (None, None) => false,
        };
        if unchanged {
            Err(s3_error!(NotModified))
        } else {
            Ok(())
        }
    }
}

/// The conditions of a PUT: `If-None-Match` may only be `*`, and `If-Match` needs an object.
pub(crate) fn check_write_conditions(
    present: Option<&ObjectHead>,
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<()> {
    match if_none_match {
        Some(ETagCondition::ETag(_)) => {
            return Err(s3_error!(
                NotImplemented,
                "A header you provided implies functionality that is not implemented"
            ));
        }
        Some(ETagCondition::Any) if present.is_some() => return Err(precondition_failed()),
        _ => {}
    }
    match (if_match, present) {
        (Some(_), None) => Err(s3_error!(NoSuchKey, "The specified key does not exist.")),
        (Some(condition), Some(head)) if !condition_holds(condition, head) => {
            Err(precondition_failed())
        }
        _ => Ok(()),
    }
}

fn condition_holds(condition: &ETagCondition, head: &ObjectHead) -> bool {
    condition
        .as_etag()
        .is_none_or(|etag| etag.value() == head.etag)
}

fn precondition_failed() -> S3Error {
    s3_error!(
        PreconditionFailed,
        "At least one of the pre-conditions you specified did not hold"
    )
}

//! Who deployed, also for a deployment that could not ask STS.
//!
//! A record names only a caller that STS named for the deployment's own credentials, or for the same
//! profile both before and after the deployment. Otherwise its caller stays unknown: a record that
//! another person sends late must never get that person's name.

use crate::deployment::protocol::{ModuleQuery, PlannedCaller};
use crate::deployment::running::RunningDeployment;
use crate::error::Error;
use crate::record::UsageRecord;
use crate::s3::credentials_id::CredentialsId;
use crate::s3::store::{BucketTarget, CallerIdentity, ObjectStore};
use crate::state::caller_memory;
use crate::state::dirs::StateDirs;
use crate::state::spool::SpoolEntry;
use crate::state::spool_file::CallerEvidence;

/// The evidence that a record is spooled with, before any credentials are loaded.
pub(crate) fn initial_evidence(
    query: &ModuleQuery,
    target: &BucketTarget,
    state_dirs: &StateDirs,
) -> CallerEvidence {
    // A profile precedes the access key of the environment.
    let credentials_id = match target.profile.as_str() {
        "" => CredentialsId::of_environment(),
        _ => None,
    };
    let earlier = match (&query.planned_caller, &credentials_id) {
        (Some(planned), _) => Some(planned.identity.clone()),
        // The environment of one command says nothing about the next one.
        (None, Some(_)) => None,
        (None, None) => caller_memory::read_caller(state_dirs, &target.profile),
    };
    CallerEvidence {
        credentials_id,
        earlier,
    }
}

/// Adds the access key to a spooled record that has no other evidence, before the first request. So
/// a deployment that is killed then is not anonymous.
pub(crate) fn note_access_key(store: &ObjectStore, entry: &mut SpoolEntry, record: &UsageRecord) {
    if entry.item.caller != CallerEvidence::default() {
        return;
    }
    entry.item.caller.credentials_id = store.local_credentials_id();
    if entry.item.caller.credentials_id.is_some() {
        // If this fails, the item stays as it is.
        let _ = entry.replace_body(record.to_line());
    }
}

/// What STS answered, or who planned if the plan had the same credentials.
///
/// # Errors
/// Those of STS, if the plan does not help.
pub(crate) fn resolve_caller(
    deployment: &RunningDeployment,
    store: &ObjectStore,
    target: &BucketTarget,
    answer: Result<CallerIdentity, Error>,
) -> Result<CallerIdentity, Error> {
    let error = match answer {
        Ok(caller) => {
            caller_memory::write_caller(deployment.state_dirs(), &target.profile, &caller);
            return Ok(caller);
        }
        Err(error) => error,
    };
    let credentials_id = store.credentials_id();
    match &deployment.query.planned_caller {
        Some(planned) if is_same_caller(planned, credentials_id.as_ref()) => {
            Ok(planned.identity.clone())
        }
        _ => Err(error),
    }
}

fn is_same_caller(planned: &PlannedCaller, credentials_id: Option<&CredentialsId>) -> bool {
    credentials_id.is_some() && planned.credentials_id.as_ref() == credentials_id
}

/// Adds the caller to a record that is sent late. Returns whether it is known.
///
/// # Errors
/// STS does not answer, and its answer may name the caller.
pub(crate) async fn add_late_caller(
    store: &ObjectStore,
    record: &mut UsageRecord,
    evidence: &CallerEvidence,
) -> Result<bool, Error> {
    if !record.user.is_empty() {
        return Ok(true);
    }
    let answer = store.get_caller_identity().await;
    let credentials_id = store.credentials_id();
    let is_possible = match (&evidence.credentials_id, &credentials_id) {
        (Some(of_then), Some(of_now)) => of_then == of_now,
        (Some(_), None) => true,
        (None, _) => evidence.earlier.is_some(),
    };
    if !is_possible {
        return Ok(false);
    }
    let caller = answer?;
    let is_confirmed = match &evidence.credentials_id {
        Some(of_then) => credentials_id.as_ref() == Some(of_then),
        None => evidence
            .earlier
            .as_ref()
            .is_some_and(|it| it.arn == caller.arn),
    };
    if is_confirmed {
        record.user = caller.arn;
        record.user_id = caller.user_id;
        record.account = caller.account;
    }
    Ok(is_confirmed)
}

//! The usage record of a running deployment: its draft, what is found out for it, and its upload.

use std::path::Path;

use crate::chain::claim::ChainClaim;
use crate::chain::seal;
use crate::config::file::ConfigFile;
use crate::deployment::ci;
use crate::deployment::git;
use crate::deployment::outcome::{ConfigOutcome, RecordOutcome, UploadFailure};
use crate::deployment::running::RunningDeployment;
use crate::deployment::spool_replay;
use crate::deployment::subject::DeploymentSubject;
use crate::deployment::tool_versions;
use crate::error::Error;
use crate::record::{self, BackupStatus, GitCommit, ToolVersions, UsageRecord};
use crate::s3::store::{CallerIdentity, ObjectStore};
use crate::state::spool::SpoolEntry;
use crate::state::spool_file::SpoolItem;

/// The record as far as it is known without the network.
#[must_use]
pub fn draft_record(
    deployment: &RunningDeployment,
    config: &Result<ConfigFile, Error>,
    subject: &DeploymentSubject,
) -> UsageRecord {
    let (backup, backup_key) = match config {
        Err(_) => (BackupStatus::Failed, String::new()),
        Ok(config) if deployment.was_stored_at_plan(config) => {
            (BackupStatus::Unchanged, deployment.query.backup_key.clone())
        }
        Ok(_) => (BackupStatus::Spooled, String::new()),
    };
    UsageRecord {
        timestamp: record::format_rfc3339(deployment.claim.started_at()),
        customer: subject.customer.clone(),
        user: String::new(),
        user_id: String::new(),
        account: String::new(),
        config_hash: config
            .as_ref()
            .map(|it| it.digests.md5.clone())
            .unwrap_or_default(),
        additional_users_count: subject.additional_users_count,
        project_name: subject.project_name.clone(),
        cluster_name: subject.cluster_name.clone(),
        schema: record::RECORD_SCHEMA_VERSION,
        deployment_id: deployment.deployment_id().to_owned(),
        backup,
        backup_key,
        late: false,
        git: None,
        ci: ci::detect_ci_job(),
        tools: Some(ToolVersions::own_version_only()),
        chain: None,
    }
}

/// Adds what the network has told.
pub fn complete_record(
    record: &mut UsageRecord,
    config: &ConfigOutcome,
    identity: Option<&CallerIdentity>,
) {
    record.backup = config.backup;
    record.backup_key.clone_from(&config.key);
    if let Some(identity) = identity {
        record.user.clone_from(&identity.arn);
        record.user_id.clone_from(&identity.user_id);
        record.account.clone_from(&identity.account);
    }
}

/// Looks at the checkout and the tools while the network is busy: this takes time, and must not delay the config's copy.
pub async fn find_git_and_tools(
    deployment: &RunningDeployment,
) -> Option<(Option<GitCommit>, ToolVersions)> {
    let folder = Path::new(&deployment.query.config_file_path)
        .parent()
        .unwrap_or(Path::new("."))
        .to_owned();
    let git = tokio::task::spawn_blocking(move || git::read_git_state(&folder));
    let places = deployment.state_dirs().clone();
    let tools = tokio::task::spawn_blocking(move || tool_versions::detect_tool_versions(&places));
    let both = async {
        let tools = tools.await.ok();
        let git = git.await.ok().flatten();
        Ok(tools.map(|tools| (git, tools)))
    };
    deployment.within_deadline(both).await.ok().flatten()
}

/// Claims the chain that the record continues, and looks at its seal, which can then be uploaded together with the record.
///
/// # Errors
/// The bucket could not be opened.
pub async fn claim_chain<'a>(
    deployment: &RunningDeployment,
    store: Result<&'a ObjectStore, &Error>,
    item: &SpoolItem,
    is_spooled: bool,
) -> Result<(&'a ObjectStore, ChainClaim), Error> {
    let store = store.map_err(Clone::clone)?;
    let mut claim = ChainClaim::acquire(
        deployment.state_dirs(),
        &store.bucket_identity(),
        &item.customer,
        &item.deployment_id,
    );
    // Where this request fails, the seal is looked at again once it cannot be uploaded.
    let is_clear = deployment
        .within_deadline(seal::check_existing_seal(store, &item.customer, &mut claim))
        .await
        .unwrap_or(false);
    // A record that does not arrive is spooled, and takes its place in the chain later. An earlier process of this deployment may
    // have written its record already, in another chain or with other bytes: a seal on these bytes would accuse that record.
    if is_clear && is_spooled && !deployment.claim.is_resumed() {
        claim.enable_concurrent_seal();
    }
    Ok((store, claim))
}

/// Uploads the record; returns its state, and a note about a seal that is missing. A record whose user is unknown waits in the
/// spool for the next run, because a record must not guess who deployed.
pub async fn upload_record(
    deployment: &RunningDeployment,
    chain: Result<(&ObjectStore, ChainClaim), Error>,
    item: &SpoolItem,
    record: &UsageRecord,
    identity: Result<CallerIdentity, Error>,
    spooled: Result<SpoolEntry, Error>,
) -> (RecordOutcome, Option<String>) {
    let sent = match (chain, &identity) {
        (Err(fault), _) => Err(fault),
        (Ok((_, claim)), Err(fault)) if spooled.is_ok() => {
            claim.release(None);
            Err(fault.clone())
        }
        (Ok((store, claim)), _) => {
            let line = |chain| record.clone().to_chained_line(chain);
            deployment
                .within_deadline(spool_replay::upload_claimed_record(
                    store, claim, item, line,
                ))
                .await
        }
    };
    let user = record.user.clone();
    match (sent, spooled) {
        (Ok((key, note)), spooled) => {
            let _ = spooled.and_then(SpoolEntry::remove);
            (
                RecordOutcome {
                    is_sent: true,
                    is_spooled: false,
                    key,
                    user,
                    failure: None,
                },
                note,
            )
        }
        (Err(fault), Ok(mut kept)) => {
            // The draft is spooled already, so a failure here costs only what the network has told.
            let _ = kept.replace_body(record.to_line());
            let spooled = Ok(kept);
            let failure = UploadFailure::failed(fault, &spooled);
            (
                RecordOutcome {
                    user,
                    ..RecordOutcome::unsent(&spooled, failure)
                },
                None,
            )
        }
        (Err(fault), spooled) => {
            let failure = UploadFailure::failed(fault, &spooled);
            (RecordOutcome::unsent(&spooled, failure), None)
        }
    }
}

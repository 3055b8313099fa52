//! The usage record of a running deployment: its draft, its completion, and its upload.

use std::path::Path;

use crate::chain::claim::ChainClaim;
use crate::chain::seal;
use crate::config::file::ConfigFile;
use crate::deployment::ci;
use crate::deployment::git;
use crate::deployment::outcome::{ConfigOutcome, RecordOutcome, UploadFailure};
use crate::deployment::running::RunningDeployment;
use crate::deployment::subject::DeploymentSubject;
use crate::deployment::tool_versions;
use crate::deployment::upload::record::{UploadedRecord, upload_claimed_record};
use crate::error::Error;
use crate::record::{self, BackupStatus, GitCommit, ToolVersions, UsageRecord};
use crate::s3::store::{CallerIdentity, ObjectStore};
use crate::state::spool::SpoolEntry;
use crate::state::spool_file::SpoolItem;
use crate::system::background::run_in_background;

/// The checkout and the tools of a deployment.
pub(crate) struct GitAndTools {
    git: Option<GitCommit>,
    tools: ToolVersions,
}

/// A record that is ready for its upload.
pub(crate) struct PendingRecord<'a> {
    pub item: &'a SpoolItem,
    pub record: &'a UsageRecord,
    pub spooled: Result<SpoolEntry, Error>,
    /// Why the caller is unknown, if it is.
    pub identity_error: Option<Error>,
}

/// The record as far as it is known without the network.
pub(crate) fn draft_record(
    deployment: &RunningDeployment,
    config: &Result<ConfigFile, Error>,
    subject: &DeploymentSubject,
) -> UsageRecord {
    let (backup, backup_key) = match config {
        Err(_) => (BackupStatus::Failed, String::new()),
        Ok(config) => match deployment.stored_key_at_plan(config) {
            Some(key) => (BackupStatus::Unchanged, key.to_owned()),
            None => (BackupStatus::Spooled, String::new()),
        },
    };
    let (config_hash, config_sha256) = match config {
        Ok(config) => (
            config.digests.md5.clone(),
            Some(config.digests.sha256.clone()),
        ),
        Err(_) => (String::new(), None),
    };
    UsageRecord {
        timestamp: record::format_rfc3339(deployment.claim.started_at()),
        customer: subject.customer.clone(),
        user: String::new(),
        user_id: String::new(),
        account: String::new(),
        config_hash,
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
        config_sha256,
    }
}

/// Adds the outcome of the config's upload.
pub(crate) fn add_config_outcome(record: &mut UsageRecord, config: &ConfigOutcome) {
    record.backup = config.backup_status();
    record.backup_key = match config.version() {
        Some(version) => version.key.clone(),
        None => String::new(),
    };
}

/// Adds who deploys.
///
/// # Errors
/// The caller is unknown.
pub(crate) fn add_caller(
    record: &mut UsageRecord,
    identity: Result<CallerIdentity, Error>,
) -> Result<(), Error> {
    let identity = identity?;
    record.user = identity.arn;
    record.user_id = identity.user_id;
    record.account = identity.account;
    Ok(())
}

/// Adds the checkout and the tools.
pub(crate) fn add_git_and_tools(record: &mut UsageRecord, found: Option<GitAndTools>) {
    if let Some(found) = found {
        record.git = found.git;
        record.tools = Some(found.tools);
    }
}

/// Runs `git` and the tools in threads while the network is busy, because they take time that must
/// not delay the upload of the config.
pub(crate) async fn find_git_and_tools(deployment: &RunningDeployment) -> Option<GitAndTools> {
    let config_path = Path::new(&deployment.query.config_file_path);
    let folder = config_path.parent().unwrap_or(Path::new(".")).to_owned();
    let state_dirs = deployment.state_dirs().clone();
    let git_folder = folder.clone();
    let git = run_in_background(move || git::read_git_state(&git_folder));
    let tools =
        run_in_background(move || tool_versions::detect_tool_versions(&state_dirs, &folder));

    let both = async { Ok((tools.await, git.await)) };
    let (tools, git) = deployment.within_deadline(both).await.ok()?;
    Some(GitAndTools {
        git: git.flatten(),
        tools: tools.unwrap_or_else(ToolVersions::own_version_only),
    })
}

/// Claims the chain that the record continues. Looks up its seal, so that the next one can be
/// uploaded together with the record. A new chain has none: instead, its first record names the
/// customer's newest one.
///
/// # Errors
/// The bucket could not be opened.
pub(crate) async fn claim_chain<'a>(
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
    let is_safe = if claim.is_new_chain() {
        let lookup = seal::name_newest_record(store, &item.customer, item.at, &mut claim);
        // If this request fails, the newest record stays unknown.
        let _ = deployment.within_deadline(lookup).await;
        claim.is_unused_chain()
    } else {
        let lookup = seal::check_existing_seal(store, &item.customer, &mut claim);
        // If this request fails, the seal is uploaded after the record, with another look.
        deployment.within_deadline(lookup).await.unwrap_or(false)
    };

    // A record that does not arrive must be spooled, so that it takes its place in the chain later.
    // An earlier process of this deployment may have uploaded the record in another chain or with
    // other bytes. A seal on these bytes would then make a genuine record look changed.
    if is_safe && is_spooled && !deployment.claim.is_resumed() {
        claim.enable_concurrent_seal();
    }
    Ok((store, claim))
}

/// Uploads the record and returns its outcome and a note for the operator.
///
/// A record without a caller stays in the spool, because a record must not guess who deployed. The
/// next replay asks again.
pub(crate) async fn upload_record(
    deployment: &RunningDeployment,
    chain: Result<(&ObjectStore, ChainClaim), Error>,
    pending: PendingRecord<'_>,
) -> (RecordOutcome, Option<String>) {
    let store = chain.as_ref().ok().map(|(store, _)| *store);
    let result = try_upload(deployment, chain, &pending).await;
    let caller_arn = match pending.record.user.as_str() {
        "" => None,
        arn => Some(arn.to_owned()),
    };
    match (result, pending.spooled) {
        (Ok(uploaded), spooled) => {
            if let Ok(entry) = spooled {
                let _ = entry.remove();
            }
            let outcome = RecordOutcome::Logged {
                key: uploaded.key,
                caller_arn,
            };
            (outcome, uploaded.note)
        }
        (Err(error), Ok(mut entry)) => {
            if let Some(credentials_id) = store.and_then(ObjectStore::credentials_id) {
                entry.item.caller.credentials_id = Some(credentials_id);
            }
            // The draft is spooled, so a failure here loses only the details from the network.
            let _ = entry.replace_body(pending.record.to_line());
            let outcome = RecordOutcome::NotLogged {
                is_spooled: true,
                caller_arn,
                failure: UploadFailure::failed(error, None),
            };
            (outcome, None)
        }
        (Err(error), Err(spool_error)) => {
            let outcome = RecordOutcome::NotLogged {
                is_spooled: false,
                caller_arn: None,
                failure: UploadFailure::failed(error, Some(&spool_error)),
            };
            (outcome, None)
        }
    }
}

async fn try_upload(
    deployment: &RunningDeployment,
    chain: Result<(&ObjectStore, ChainClaim), Error>,
    pending: &PendingRecord<'_>,
) -> Result<UploadedRecord, Error> {
    let (store, claim) = chain?;
    if let Some(error) = &pending.identity_error
        && pending.spooled.is_ok()
    {
        claim.release(None);
        return Err(error.clone());
    }
    let make_line = |link| pending.record.clone().to_chained_line(link);
    let upload = upload_claimed_record(store, claim, pending.item, make_line);
    deployment.within_deadline(upload).await
}

//! The usage record of a running deployment: its draft, what is found out for it, and its upload.

use std::path::Path;

use crate::aws::{Identity, Store};
use crate::claims::Claim;
use crate::config::{Config, Subject};
use crate::deployment::Deployment;
use crate::fault::Fault;
use crate::item::Item;
use crate::outcome::{ConfigOutcome, RecordOutcome, UploadFailure};
use crate::record::{self, Backup, Git, Record, Tools};
use crate::spool::Kept;
use crate::{host, late, programs, seal};

/// The record as far as it is known without the network.
#[must_use]
pub fn draft_record(deployment: &Deployment, config: &Result<Config, Fault>, subject: &Subject) -> Record {
    let (backup, backup_key) = match config {
        Err(_) => (Backup::Failed, String::new()),
        Ok(config) if deployment.was_stored_at_plan(config) => (Backup::Unchanged, deployment.query.backup_key.clone()),
        Ok(_) => (Backup::Spooled, String::new()),
    };
    Record {
        timestamp: record::timestamp(deployment.claim.at()),
        customer: subject.customer.clone(),
        user: String::new(),
        user_id: String::new(),
        account: String::new(),
        config_hash: config.as_ref().map(|it| it.digests.md5.clone()).unwrap_or_default(),
        additional_users_count: subject.additional_users_count,
        project_name: subject.project_name.clone(),
        cluster_name: subject.cluster_name.clone(),
        schema: record::SCHEMA,
        deployment_id: deployment.id().to_owned(),
        backup,
        backup_key,
        late: false,
        git: None,
        ci: host::ci(),
        tools: Some(Tools::ours()),
        chain: None,
    }
}

/// Adds what the network has told.
pub fn complete_record(record: &mut Record, config: &ConfigOutcome, identity: Option<&Identity>) {
    record.backup = config.backup;
    record.backup_key.clone_from(&config.key);
    if let Some(identity) = identity {
        record.user.clone_from(&identity.arn);
        record.user_id.clone_from(&identity.user_id);
        record.account.clone_from(&identity.account);
    }
}

/// Looks at the checkout and the tools while the network is busy: this takes time, and must not delay the config's copy.
pub async fn find_git_and_tools(deployment: &Deployment) -> Option<(Option<Git>, Tools)> {
    let folder = Path::new(&deployment.query.config_file_path).parent().unwrap_or(Path::new(".")).to_owned();
    let git = tokio::task::spawn_blocking(move || programs::git(&folder));
    let places = deployment.places().clone();
    let tools = tokio::task::spawn_blocking(move || programs::tools(&places));
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
    deployment: &Deployment,
    store: Result<&'a Store, &Fault>,
    item: &Item,
    is_spooled: bool,
) -> Result<(&'a Store, Claim), Fault> {
    let store = store.map_err(Clone::clone)?;
    let mut claim = Claim::take(deployment.places(), &store.place(), &item.customer, &item.deployment_id);
    // Where this request fails, the seal is looked at again once it cannot be uploaded.
    let is_clear = deployment.within_deadline(seal::look(store, &item.customer, &mut claim)).await.unwrap_or(false);
    // A record that does not arrive is spooled, and takes its place in the chain later. An earlier process of this deployment may
    // have written its record already, in another chain or with other bytes: a seal on these bytes would accuse that record.
    if is_clear && is_spooled && !deployment.claim.is_resumed() {
        claim.allow_ahead();
    }
    Ok((store, claim))
}

/// Uploads the record; returns its state, and a note about a seal that is missing. A record whose user is unknown waits in the
/// spool for the next run, because a record must not guess who deployed.
pub async fn upload_record(
    deployment: &Deployment,
    chain: Result<(&Store, Claim), Fault>,
    item: &Item,
    record: &Record,
    identity: Result<Identity, Fault>,
    spooled: Result<Kept, Fault>,
) -> (RecordOutcome, Option<String>) {
    let sent = match (chain, &identity) {
        (Err(fault), _) => Err(fault),
        (Ok((_, claim)), Err(fault)) if spooled.is_ok() => {
            claim.give_back(None);
            Err(fault.clone())
        }
        (Ok((store, claim)), _) => {
            let line = |chain| record.clone().to_line_in(chain);
            deployment.within_deadline(late::record(store, claim, item, line)).await
        }
    };
    let user = record.user.clone();
    match (sent, spooled) {
        (Ok((key, note)), spooled) => {
            let _ = spooled.and_then(Kept::done);
            (RecordOutcome { is_sent: true, is_spooled: false, key, user, failure: None }, note)
        }
        (Err(fault), Ok(mut kept)) => {
            // The draft is spooled already, so a failure here costs only what the network has told.
            let _ = kept.replace(record.to_line());
            let spooled = Ok(kept);
            let failure = UploadFailure::failed(fault, &spooled);
            (RecordOutcome { user, ..RecordOutcome::unsent(&spooled, failure) }, None)
        }
        (Err(fault), spooled) => {
            let failure = UploadFailure::failed(fault, &spooled);
            (RecordOutcome::unsent(&spooled, failure), None)
        }
    }
}

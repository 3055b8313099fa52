//! What all steps of a running deployment share: the claim, the deadline, the outcome so far.

use std::cell::RefCell;
use std::future::Future;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::config::file::ConfigFile;
use crate::deployment::answer::AnswerStatus;
use crate::deployment::claim::DeploymentClaim;
use crate::deployment::deadline_budget::{DeadlineBudget, REPORT_TIME};
use crate::deployment::outcome::{DeploymentOutcome, SpoolLocations};
use crate::deployment::protocol::ModuleQuery;
use crate::deployment::subject::DeploymentSubject;
use crate::error::Error;
use crate::s3::store::{BucketTarget, ObjectStore, RequestTimeouts};
use crate::state::dirs::StateDirs;
use crate::state::spool::{Spool, SpoolEntry};
use crate::state::spool_file::{SpoolItem, SpoolItemKind};
use crate::system::random::{parse_unique_id_time, unique_id};

/// How long a plan counts as fresh. An operator may look at it before approving it.
const FRESH_PLAN_AGE: TimeDelta = TimeDelta::minutes(10);

/// Receives the outcome so far, on the way to the thread that keeps the deadline.
pub(crate) type OutcomeSink<'a> = &'a mut dyn FnMut(DeploymentOutcome);

#[derive(Debug)]
pub(crate) struct RunningDeployment {
    pub query: ModuleQuery,
    pub outcome: DeploymentOutcome,
    pub claim: DeploymentClaim,
    state_dirs: StateDirs,
    budget: DeadlineBudget,
    /// When the plan was made. `None` without a plan.
    planned_at: Option<DateTime<Utc>>,
    /// Not in the outcome, because concurrent uploads add to it.
    spool_locations: RefCell<SpoolLocations>,
}

impl RunningDeployment {
    pub(crate) fn new(
        query: ModuleQuery,
        claim: DeploymentClaim,
        state_dirs: StateDirs,
        budget: DeadlineBudget,
    ) -> Self {
        let planned_at = match &query.deployment_id {
            Some(planned_id) => parse_unique_id_time(planned_id),
            None => None,
        };
        Self {
            planned_at,
            query,
            outcome: DeploymentOutcome::default(),
            claim,
            state_dirs,
            budget,
            spool_locations: RefCell::default(),
        }
    }

    /// The id of the deployment. An earlier process may have chosen it.
    pub(crate) fn deployment_id(&self) -> &str {
        self.claim.deployment_id()
    }

    pub(crate) fn state_dirs(&self) -> &StateDirs {
        &self.state_dirs
    }

    /// Reports the outcome so far.
    pub(crate) fn checkpoint(&mut self, report: OutcomeSink<'_>) {
        self.outcome
            .spool
            .clone_from(&self.spool_locations.borrow());
        report(self.outcome.clone());
    }

    pub(crate) fn network_time_left(&self) -> Duration {
        self.budget.network_time_left()
    }

    /// Waits for network requests, but only until the deadline.
    ///
    /// # Errors
    /// Those of `requests`, or the deadline has passed.
    pub(crate) async fn within_deadline<T>(
        &self,
        requests: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let time_left = self.network_time_left();
        if time_left.is_zero() {
            // Even the first step of a request could start a program.
            return Err(self.budget.timeout_error());
        }
        match tokio::time::timeout(time_left, requests).await {
            Ok(result) => result,
            Err(_) => Err(self.budget.timeout_error()),
        }
    }

    /// Opens the bucket for the upload of a config of `config_bytes`.
    ///
    /// # Errors
    /// The deadline has passed, or the client cannot be set up.
    pub(crate) async fn open_store(
        &self,
        target: &BucketTarget,
        config_bytes: usize,
    ) -> Result<ObjectStore, Error> {
        let time_left = self.network_time_left();
        if time_left.is_zero() {
            return Err(self.budget.timeout_error());
        }
        // Slightly longer than our own timeout, so that ours always fires first.
        let timeouts = RequestTimeouts::for_body(config_bytes, time_left + REPORT_TIME);
        let store = self
            .within_deadline(ObjectStore::open(target, timeouts))
            .await?;
        Ok(store.with_throttling_patience(time_left))
    }

    /// Spools an item before the first request.
    ///
    /// # Errors
    /// The spool is full, or cannot be written.
    pub(crate) fn enqueue(&self, item: SpoolItem, body: Vec<u8>) -> Result<SpoolEntry, Error> {
        let entry = Spool::new(&self.state_dirs).enqueue(item, body)?;
        self.spool_locations.borrow_mut().add_entry(&entry);
        Ok(entry)
    }

    /// Spools the config. Uses the item that an earlier process of this deployment spooled, if
    /// there is one.
    pub(crate) fn enqueue_config(
        &self,
        config: &ConfigFile,
        subject: &DeploymentSubject,
        target: &BucketTarget,
    ) -> (SpoolItem, Result<SpoolEntry, Error>) {
        let item = self.new_config_item(config, subject, target);
        self.enqueue_config_item(item, config)
    }

    /// As [`RunningDeployment::enqueue_config`], for a config that the plan found in the bucket.
    pub(crate) fn enqueue_unconfirmed_config(
        &self,
        config: &ConfigFile,
        subject: &DeploymentSubject,
        target: &BucketTarget,
    ) -> Result<SpoolEntry, Error> {
        let mut item = self.new_config_item(config, subject, target);
        item.stored_key = self.stored_key_at_plan(config).map(str::to_owned);
        self.enqueue_config_item(item, config).1
    }

    fn enqueue_config_item(
        &self,
        item: SpoolItem,
        config: &ConfigFile,
    ) -> (SpoolItem, Result<SpoolEntry, Error>) {
        if let Some(entry) = self.find_spooled_config(&item) {
            return (entry.item.clone(), Ok(entry));
        }
        let spooled = self.enqueue(item.clone(), config.bytes.clone());
        (item, spooled)
    }

    fn new_config_item(
        &self,
        config: &ConfigFile,
        subject: &DeploymentSubject,
        target: &BucketTarget,
    ) -> SpoolItem {
        let mut item = SpoolItem::new(
            SpoolItemKind::Config,
            target.clone(),
            &subject.customer,
            self.deployment_id(),
            config.read_at,
            &config.bytes,
        );
        item.md5.clone_from(&config.digests.md5);
        item.backup_id = match &self.query.backup_id {
            Some(planned_id) => planned_id.clone(),
            None => unique_id(config.read_at),
        };
        item
    }

    fn find_spooled_config(&self, item: &SpoolItem) -> Option<SpoolEntry> {
        if !self.claim.is_resumed() {
            return None;
        }
        for entry in self.lock_spooled_configs() {
            // Each process reads the config at another time, and its plan may say something else.
            let same_item = SpoolItem {
                at: entry.item.at,
                backup_id: entry.item.backup_id.clone(),
                stored_key: entry.item.stored_key.clone(),
                queued_at: entry.item.queued_at,
                ..item.clone()
            };
            if entry.item == same_item {
                self.spool_locations.borrow_mut().add_entry(&entry);
                return Some(entry);
            }
        }
        None
    }

    /// Removes every config that this deployment spooled. There are two if the file changed between
    /// two processes of the deployment.
    pub(crate) fn remove_spooled_configs(&self) {
        for entry in self.lock_spooled_configs() {
            // An item that cannot be removed is uploaded again, which is harmless.
            let _ = entry.remove();
        }
    }

    fn lock_spooled_configs(&self) -> Vec<SpoolEntry> {
        let spool = Spool::new(&self.state_dirs);
        spool.lock_items_of_deployment(SpoolItemKind::Config, self.deployment_id())
    }

    /// The key of this config's history copy, if the plan found it in the bucket.
    pub(crate) fn stored_key_at_plan(&self, config: &ConfigFile) -> Option<&str> {
        if self.is_planned_config(config) {
            self.query.backup_key.as_deref()
        } else {
            None
        }
    }

    fn is_planned_config(&self, config: &ConfigFile) -> bool {
        self.query.config_hash.as_deref() == Some(config.digests.md5.as_str())
    }

    /// Whether a fresh plan found that the bucket does not have this config.
    pub(crate) fn was_just_missing_at_plan(&self, config: &ConfigFile) -> bool {
        let has_plan_looked = match self.query.plan_status {
            Some(AnswerStatus::Ok | AnswerStatus::Warning) => true,
            Some(AnswerStatus::Error) | None => false,
        };
        let was_missing = self.is_planned_config(config) && self.query.backup_key.is_none();
        has_plan_looked && was_missing && self.has_fresh_plan(config) && !self.claim.is_resumed()
    }

    fn has_fresh_plan(&self, config: &ConfigFile) -> bool {
        match self.planned_at {
            Some(planned_at) => (config.read_at - planned_at).abs() < FRESH_PLAN_AGE,
            None => false,
        }
    }
}

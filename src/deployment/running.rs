//! What all phases of a deployment share: the deadline, the claim, the outcome so far, and what is spooled.

use std::cell::RefCell;
use std::future::Future;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

use crate::config::file::ConfigFile;
use crate::deployment::deployment_claim::DeploymentClaim;
use crate::deployment::outcome::{DeploymentOutcome, SpoolLocations};
use crate::deployment::protocol::ModuleQuery;
use crate::deployment::subject::DeploymentSubject;
use crate::error::{CHECK_NETWORK_HINT, Error, ErrorKind};
use crate::s3::store::{BucketTarget, ObjectStore, RequestTimeouts};
use crate::state::dirs::StateDirs;
use crate::state::spool::{Spool, SpoolEntry};
use crate::state::spool_file::{SpoolItem, SpoolItemKind};
use crate::system::host;

/// Time that is reserved to report the result when the network takes all the rest.
const REPORT_TIME: Duration = Duration::from_millis(300);
/// How long a plan counts as one that was just made: as long as an operator may look at it before approving it.
const FRESH_PLAN_AGE: TimeDelta = TimeDelta::minutes(10);
/// What reading the config and spooling it may take even where the deadline has passed.
const MIN_LOCAL_TIME: Duration = Duration::from_secs(1);

/// How long a deployment may take, and what it has taken.
#[derive(Debug, Clone, Copy)]
pub struct DeadlineBudget {
    started: Instant,
    timeout: Duration,
    spent_at_plan: Duration,
}

impl DeadlineBudget {
    /// The budget of a deployment that starts now.
    #[must_use]
    pub fn start(query: &ModuleQuery) -> Self {
        Self {
            started: Instant::now(),
            timeout: query.timeout,
            spent_at_plan: query.spent_at_plan,
        }
    }

    fn time_left(&self) -> Duration {
        self.timeout
            .saturating_sub(self.spent_at_plan + self.started.elapsed())
    }

    /// What is left, but always enough to spool on this machine what cannot be sent.
    #[must_use]
    pub fn time_limit(&self) -> Duration {
        self.time_left().max(MIN_LOCAL_TIME)
    }

    fn network_time_left(&self) -> Duration {
        self.time_left().saturating_sub(REPORT_TIME)
    }

    /// The error of a network that took all the time.
    #[must_use]
    pub fn timeout_error(&self) -> Error {
        let text = format!(
            "no answer within the {} s that a deployment may take",
            self.timeout.as_secs()
        );
        Error::new(ErrorKind::Timeout, text, CHECK_NETWORK_HINT)
    }
}

/// A deployment at work.
#[derive(Debug)]
pub struct RunningDeployment {
    /// What was asked.
    pub query: ModuleQuery,
    /// The state so far.
    pub outcome: DeploymentOutcome,
    /// The claim, which names the deployment.
    pub claim: DeploymentClaim,
    state_dirs: StateDirs,
    budget: DeadlineBudget,
    /// When the plan was made; `None` without a plan.
    planned_at: Option<DateTime<Utc>>,
    /// Filled by uploads that run side by side, hence not in the outcome at once.
    spool_locations: RefCell<SpoolLocations>,
}

impl RunningDeployment {
    /// A deployment of `query`, which the claim may have as one that an earlier process began.
    #[must_use]
    pub fn new(
        query: ModuleQuery,
        claim: DeploymentClaim,
        places: StateDirs,
        budget: DeadlineBudget,
    ) -> Self {
        let planned_at = host::parse_unique_id_time(&query.deployment_id);
        let (outcome, spool) = (DeploymentOutcome::default(), RefCell::default());
        Self {
            query,
            outcome,
            claim,
            state_dirs: places,
            budget,
            planned_at,
            spool_locations: spool,
        }
    }

    /// Names the deployment.
    #[must_use]
    pub fn deployment_id(&self) -> &str {
        self.claim.deployment_id()
    }

    /// What of the deadline the network may have.
    #[must_use]
    pub fn network_time_left(&self) -> Duration {
        self.budget.network_time_left()
    }

    /// The state folder.
    #[must_use]
    pub fn state_dirs(&self) -> &StateDirs {
        &self.state_dirs
    }

    /// Reports the state so far to the thread that keeps the deadline.
    pub fn checkpoint(&mut self, report: &mut dyn FnMut(DeploymentOutcome)) {
        self.outcome
            .spool
            .clone_from(&self.spool_locations.borrow());
        report(self.outcome.clone());
    }

    /// Spools something on this machine, before the network is tried.
    ///
    /// # Errors
    /// The spool is full, or cannot be written.
    pub fn enqueue(&self, item: SpoolItem, body: Vec<u8>) -> Result<SpoolEntry, Error> {
        let kept = Spool::new(&self.state_dirs).enqueue(item, body);
        if let Ok(kept) = &kept {
            self.spool_locations.borrow_mut().add_entry(kept);
        }
        kept
    }

    /// Opens the bucket with what is left of the deadline, for a config of `bytes`.
    ///
    /// # Errors
    /// The deadline has passed, or the client cannot be set up.
    pub async fn open_store(
        &self,
        target: &BucketTarget,
        bytes: usize,
    ) -> Result<ObjectStore, Error> {
        let operation = self.network_time_left();
        if operation.is_zero() {
            return Err(self.budget.timeout_error());
        }
        // Slightly longer than our own timeout, so that ours always fires first.
        self.within_deadline(ObjectStore::open(
            target,
            RequestTimeouts::for_body(bytes, operation + REPORT_TIME),
        ))
        .await
    }

    /// Waits for the network, but not longer than the deadline allows.
    ///
    /// # Errors
    /// Those of `work`, or that there was no answer in time.
    pub async fn within_deadline<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        tokio::time::timeout(self.network_time_left(), work)
            .await
            .unwrap_or_else(|_| Err(self.budget.timeout_error()))
    }

    /// Spools the config. A config that an earlier process of this deployment spooled stays as it is.
    pub fn enqueue_config(
        &self,
        config: &ConfigFile,
        subject: &DeploymentSubject,
        target: &BucketTarget,
    ) -> (SpoolItem, Result<SpoolEntry, Error>) {
        let item = self.new_config_item(config, subject, target);
        if let Some(kept) = self.find_spooled_config(&item) {
            return (kept.item.clone(), Ok(kept));
        }
        let kept = self.enqueue(item.clone(), config.bytes.clone());
        (item, kept)
    }

    fn find_spooled_config(&self, item: &SpoolItem) -> Option<SpoolEntry> {
        if !self.claim.is_resumed() {
            return None;
        }
        let is_same = |kept: &SpoolEntry| {
            let (at, backup_id) = (kept.item.at, kept.item.backup_id.clone());
            SpoolItem {
                backup_id,
                at,
                ..item.clone()
            } == kept.item
        };
        let kept = Spool::new(&self.state_dirs)
            .lock_items_of_deployment(SpoolItemKind::Config, self.deployment_id())
            .into_iter()
            .find(is_same)?;
        self.spool_locations.borrow_mut().add_entry(&kept);
        Some(kept)
    }

    /// Forgets every config that this deployment spooled, once the bucket has the current one: a file that changed between two
    /// runs of the deployment was spooled twice.
    pub fn remove_spooled_configs(&self) {
        // An item that cannot be deleted is sent again, which does no harm.
        Spool::new(&self.state_dirs)
            .lock_items_of_deployment(SpoolItemKind::Config, self.deployment_id())
            .into_iter()
            .for_each(|kept| drop(kept.remove()));
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
        let planned = &self.query.backup_id;
        item.backup_id = if planned.is_empty() {
            host::unique_id(config.read_at)
        } else {
            planned.clone()
        };
        item
    }

    /// Whether the plan found this config in the bucket.
    #[must_use]
    pub fn was_stored_at_plan(&self, config: &ConfigFile) -> bool {
        self.query.config_hash == config.digests.md5 && !self.query.backup_key.is_empty()
    }

    /// Whether the plan has just found that the bucket does not have this config.
    #[must_use]
    pub fn was_just_missing_at_plan(&self, config: &ConfigFile) -> bool {
        let ModuleQuery {
            plan_status,
            config_hash,
            backup_key,
            ..
        } = &self.query;
        let has_looked = ["ok", "warning"].contains(&plan_status.as_str());
        let is_missing = has_looked && *config_hash == config.digests.md5 && backup_key.is_empty();
        let is_fresh = self
            .planned_at
            .is_some_and(|planned| (config.read_at - planned).abs() < FRESH_PLAN_AGE);
        is_missing && is_fresh && !self.claim.is_resumed()
    }
}

//! What all phases of a deployment share: the deadline, the claim, the outcome so far, and what is spooled.

use std::cell::RefCell;
use std::future::Future;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

use crate::aws::{Patience, Store, Target};
use crate::config::{Config, Subject};
use crate::deployment_claim::DeploymentClaim;
use crate::fault::{CHECK_NETWORK, Fault, Kind};
use crate::host;
use crate::item::{Item, What};
use crate::outcome::{DeploymentOutcome, SpoolLocations};
use crate::places::Places;
use crate::protocol::Query;
use crate::spool::{Kept, Spool};

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
    pub fn start(query: &Query) -> Self {
        Self { started: Instant::now(), timeout: query.timeout, spent_at_plan: query.spent }
    }

    fn left(&self) -> Duration {
        self.timeout.saturating_sub(self.spent_at_plan + self.started.elapsed())
    }

    /// What is left, but always enough to spool on this machine what cannot be sent.
    #[must_use]
    pub fn limit(&self) -> Duration {
        self.left().max(MIN_LOCAL_TIME)
    }

    fn left_for_network(&self) -> Duration {
        self.left().saturating_sub(REPORT_TIME)
    }

    /// The error of a network that took all the time.
    #[must_use]
    pub fn no_answer(&self) -> Fault {
        let text = format!("no answer within the {} s that a deployment may take", self.timeout.as_secs());
        Fault::new(Kind::Timeout, text, CHECK_NETWORK)
    }
}

/// A deployment at work.
#[derive(Debug)]
pub struct Deployment {
    /// What was asked.
    pub query: Query,
    /// The state so far.
    pub outcome: DeploymentOutcome,
    /// The claim, which names the deployment.
    pub claim: DeploymentClaim,
    places: Places,
    budget: DeadlineBudget,
    /// When the plan was made; `None` without a plan.
    planned_at: Option<DateTime<Utc>>,
    /// Filled by uploads that run side by side, hence not in the outcome at once.
    spool: RefCell<SpoolLocations>,
}

impl Deployment {
    /// A deployment of `query`, which the claim may have as one that an earlier process began.
    #[must_use]
    pub fn begin(query: Query, claim: DeploymentClaim, places: Places, budget: DeadlineBudget) -> Self {
        let planned_at = host::moment_of(&query.deployment_id);
        let (outcome, spool) = (DeploymentOutcome::default(), RefCell::default());
        Self { query, outcome, claim, places, budget, planned_at, spool }
    }

    /// Names the deployment.
    #[must_use]
    pub fn id(&self) -> &str {
        self.claim.deployment_id()
    }

    /// What of the deadline the network may have.
    #[must_use]
    pub fn left_for_network(&self) -> Duration {
        self.budget.left_for_network()
    }

    /// The state folder.
    #[must_use]
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// Reports the state so far to the thread that keeps the deadline.
    pub fn checkpoint(&mut self, report: &mut dyn FnMut(DeploymentOutcome)) {
        self.outcome.spool.clone_from(&self.spool.borrow());
        report(self.outcome.clone());
    }

    /// Spools something on this machine, before the network is tried.
    ///
    /// # Errors
    /// The spool is full, or cannot be written.
    pub fn enqueue(&self, item: Item, body: Vec<u8>) -> Result<Kept, Fault> {
        let kept = Spool::new(&self.places).keep(item, body);
        if let Ok(kept) = &kept {
            self.spool.borrow_mut().add(kept);
        }
        kept
    }

    /// Opens the bucket with what is left of the deadline, for a config of `bytes`.
    ///
    /// # Errors
    /// The deadline has passed, or the client cannot be set up.
    pub async fn open_store(&self, target: &Target, bytes: usize) -> Result<Store, Fault> {
        let operation = self.left_for_network();
        if operation.is_zero() {
            return Err(self.budget.no_answer());
        }
        // Slightly longer than our own timeout, so that ours always fires first.
        self.within_deadline(Store::open(target, Patience::for_body(bytes, operation + REPORT_TIME))).await
    }

    /// Waits for the network, but not longer than the deadline allows.
    ///
    /// # Errors
    /// Those of `work`, or that there was no answer in time.
    pub async fn within_deadline<T>(&self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        tokio::time::timeout(self.left_for_network(), work).await.unwrap_or_else(|_| Err(self.budget.no_answer()))
    }

    /// Spools the config. A config that an earlier process of this deployment spooled stays as it is.
    pub fn enqueue_config(&self, config: &Config, subject: &Subject, target: &Target) -> (Item, Result<Kept, Fault>) {
        let item = self.config_item(config, subject, target);
        if let Some(kept) = self.find_spooled_config(&item) {
            return (kept.item.clone(), Ok(kept));
        }
        let kept = self.enqueue(item.clone(), config.bytes.clone());
        (item, kept)
    }

    fn find_spooled_config(&self, item: &Item) -> Option<Kept> {
        if !self.claim.is_resumed() {
            return None;
        }
        let is_same = |kept: &Kept| {
            let (at, backup_id) = (kept.item.at, kept.item.backup_id.clone());
            Item { backup_id, at, ..item.clone() } == kept.item
        };
        let kept = Spool::new(&self.places).of(What::Config, self.id()).into_iter().find(is_same)?;
        self.spool.borrow_mut().add(&kept);
        Some(kept)
    }

    /// Forgets every config that this deployment spooled, once the bucket has the current one: a file that changed between two
    /// runs of the deployment was spooled twice.
    pub fn forget_configs(&self) {
        // An item that cannot be deleted is sent again, which does no harm.
        Spool::new(&self.places).of(What::Config, self.id()).into_iter().for_each(|kept| drop(kept.done()));
    }

    fn config_item(&self, config: &Config, subject: &Subject, target: &Target) -> Item {
        let mut item = Item::new(What::Config, target.clone(), &subject.customer, self.id(), config.at, &config.bytes);
        item.md5.clone_from(&config.digests.md5);
        let planned = &self.query.backup_id;
        item.backup_id = if planned.is_empty() { host::nonce(config.at) } else { planned.clone() };
        item
    }

    /// Whether the plan found this config in the bucket.
    #[must_use]
    pub fn was_stored_at_plan(&self, config: &Config) -> bool {
        self.query.config_hash == config.digests.md5 && !self.query.backup_key.is_empty()
    }

    /// Whether the plan has just found that the bucket does not have this config.
    #[must_use]
    pub fn was_just_missing_at_plan(&self, config: &Config) -> bool {
        let Query { plan_status, config_hash, backup_key, .. } = &self.query;
        let has_looked = ["ok", "warning"].contains(&plan_status.as_str());
        let is_missing = has_looked && *config_hash == config.digests.md5 && backup_key.is_empty();
        let is_fresh = self.planned_at.is_some_and(|planned| (config.at - planned).abs() < FRESH_PLAN_AGE);
        is_missing && is_fresh && !self.claim.is_resumed()
    }
}

/// Runs asynchronous work on this thread.
///
/// # Errors
/// The runtime cannot be started.
pub fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Fault::new(Kind::Local, format!("start the runtime: {error}"), ""))?;
    let done = runtime.block_on(work);
    // A thread of the runtime that is stuck must not hold the process up.
    runtime.shutdown_background();
    Ok(done)
}

//! What `backup` and `log` share: the deadline of the deployment, its journal, and what is kept of the config.

use std::cell::RefCell;
use std::future::Future;
use std::time::{Duration, Instant};

use chrono::TimeDelta;

use crate::aws::{Patience, Store, Target};
use crate::config::{Config, Subject};
use crate::deadline::{self, End, Hurry};
use crate::fault::{CHECK_NETWORK, Fault, Kind};
use crate::host;
use crate::item::{Item, What};
use crate::journal::{self, Journal, Keeping, Sent};
use crate::panics;
use crate::places::Places;
use crate::protocol::Query;
use crate::record::Backup;
use crate::signals;
use crate::spool::{Kept, Spool};

/// What is left to tell the next verb and to print when the network took all the time.
const RESERVE: Duration = Duration::from_millis(300);
/// How long a plan counts as one that was just made: as long as somebody may look at it before saying yes.
const A_MOMENT: TimeDelta = TimeDelta::minutes(10);
/// What reading the config and keeping it may take even where the deadline is used up.
const LOCAL: Duration = Duration::from_secs(1);

/// One verb of a deployment at work.
#[derive(Debug)]
pub struct Run {
    /// What was asked.
    pub query: Query,
    /// What became of the deployment so far.
    pub journal: Journal,
    places: Places,
    /// Filled by steps that run side by side, hence not in the journal at once.
    keeping: RefCell<Keeping>,
    clock: Clock,
}

/// What of the deadline is used up.
#[derive(Debug, Clone, Copy)]
struct Clock {
    started: Instant,
    /// By plan and the steps before.
    before: Duration,
    at_plan: Duration,
}

impl Clock {
    fn spent(&self) -> Duration {
        self.before + self.started.elapsed()
    }

    /// As the journal has it, which knows nothing of plans.
    fn spent_ms(&self) -> u64 {
        u64::try_from(self.spent().saturating_sub(self.at_plan).as_millis()).unwrap_or(u64::MAX)
    }
}

impl Run {
    /// Takes up the deployment where its earlier verbs left it.
    #[must_use]
    pub fn begin(mut query: Query) -> Self {
        if query.deployment_id.is_empty() {
            query.deployment_id = host::nonce(host::now());
        }
        let places = Places::of_host();
        let journal = Journal::read(&places, &query.deployment_id);
        let clock = Clock { started: Instant::now(), before: query.spent + Duration::from_millis(journal.spent_ms), at_plan: query.spent };
        let keeping = RefCell::new(journal.keeping.clone());
        Self { query, journal, places, keeping, clock }
    }

    /// What is left of the deployment's deadline.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.query.timeout.saturating_sub(self.clock.spent())
    }

    /// How long a step may take: what is left, but always enough to keep on this machine what could not be sent.
    #[must_use]
    pub fn limit(&self) -> Duration {
        self.left().max(LOCAL)
    }

    /// What of it the network may have.
    #[must_use]
    pub fn left_for_network(&self) -> Duration {
        self.left().saturating_sub(RESERVE)
    }

    /// Tells the verbs to come, and whoever waits for this one.
    pub fn tell(&mut self, tell: &mut dyn FnMut(Journal)) {
        self.journal.keeping.clone_from(&self.keeping.borrow());
        self.journal.spent_ms = self.clock.spent_ms();
        self.journal.write(&self.places, &self.query.deployment_id);
        tell(self.journal.clone());
    }

    /// Where what outlives this run is kept.
    #[must_use]
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// Keeps something on this machine, before the network is tried.
    pub fn keep(&self, item: Item, body: Vec<u8>) -> Result<Kept, Fault> {
        let kept = Spool::new(&self.places).keep(item, body);
        if let Ok(kept) = &kept {
            self.keeping.borrow_mut().note(kept);
        }
        kept
    }

    /// What to say of a network that took all the time.
    fn no_answer(&self) -> Fault {
        no_answer(self.query.timeout)
    }

    /// Opens the bucket with what is left of the deadline, for a config of `bytes`.
    pub async fn open(&self, target: &Target, bytes: usize) -> Result<Store, Fault> {
        let operation = self.left_for_network();
        if operation.is_zero() {
            return Err(self.no_answer());
        }
        // A little longer than we wait ourselves: which of two clocks rings first is not for chance to say.
        self.in_time(Store::open(target, Patience::for_body(bytes, operation + RESERVE))).await
    }

    /// Waits for the network at most as long as the deadline lets it.
    pub async fn in_time<T>(&self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        tokio::time::timeout(self.left_for_network(), work).await.unwrap_or_else(|_| Err(self.no_answer()))
    }

    /// Keeps the config on this machine, before the network is tried.
    pub fn keep_config(&self, config: &Config, subject: &Subject, target: &Target) -> (Item, Result<Kept, Fault>) {
        let item = self.item_of(config, subject, target);
        let kept = self.keep(item.clone(), config.bytes.clone());
        (item, kept)
    }

    /// What an earlier step kept, if it is this config, and on its way to the same place.
    #[must_use]
    pub fn kept_config(&self, config: &Config, subject: &Subject, target: &Target) -> Option<(Item, Result<Kept, Fault>)> {
        let ours = self.item_of(config, subject, target);
        let is_it = |kept: &Kept| Item { at: kept.item.at, backup_id: kept.item.backup_id.clone(), ..ours.clone() } == kept.item;
        let kept = Spool::new(&self.places).of(What::Config, &self.query.deployment_id).into_iter().find(is_it)?;
        self.keeping.borrow_mut().note(&kept);
        Some((kept.item.clone(), Ok(kept)))
    }

    /// Forgets every config that this deployment kept, once the bucket has the one that it is of: a file that changed between
    /// two steps was kept twice.
    pub fn forget_configs(&self) {
        // One that cannot be deleted is sent once more, which does no harm.
        Spool::new(&self.places).of(What::Config, &self.query.deployment_id).into_iter().for_each(|kept| drop(kept.done()));
    }

    fn item_of(&self, config: &Config, subject: &Subject, target: &Target) -> Item {
        let query = &self.query;
        let mut item = Item::new(What::Config, target.clone(), &subject.customer, &query.deployment_id, config.at, &config.bytes);
        item.md5.clone_from(&config.digests.md5);
        item.backup_id = if query.backup_id.is_empty() { host::nonce(config.at) } else { query.backup_id.clone() };
        item
    }

    /// Whether the plan found this config in the bucket.
    #[must_use]
    pub fn in_step_at_plan(&self, config: &Config) -> bool {
        self.query.config_hash == config.digests.md5 && !self.query.backup_key.is_empty()
    }

    /// Whether the plan looked a moment ago, and found another config in the bucket than this one, or none.
    #[must_use]
    pub fn has_just_planned(&self, config: &Config) -> bool {
        let Query { plan_status, config_hash, backup_key, deployment_id, .. } = &self.query;
        let looked = ["ok", "warning"].contains(&plan_status.as_str()) && *config_hash == config.digests.md5 && backup_key.is_empty();
        looked && host::moment_of(deployment_id).is_some_and(|at| (config.at - at).abs() < A_MOMENT)
    }
}

/// Runs `work`, one step of a deployment, as long as the deployment lets it, and gives what it told last; `start` is what to
/// say if that is nothing. An interrupt ends the waiting for the network.
pub fn carry_out(run: Run, start: Journal, work: impl FnOnce(Run, &mut dyn FnMut(Journal)) + Send + 'static) -> Journal {
    let (limit, timeout, clock) = (run.limit(), run.query.timeout, run.clock);
    let (places, id) = (run.places.clone(), run.query.deployment_id.clone());
    let listen = |hurry: Hurry| signals::on_interrupt(move || hurry.up());
    let latest = deadline::latest_within(limit, start, listen, move |tell| work(run, tell));
    let mut journal = latest.state;
    let cause = match latest.end {
        End::Finished => return journal,
        End::Late => no_answer(timeout),
        End::Interrupted => Fault::new(Kind::Timeout, "interrupted before AWS had answered", ""),
        End::Broken => panics::fault(),
    };
    journal.settle(&not_yet(), &cause);
    journal.spent_ms = clock.spent_ms();
    journal.write(&places, &id);
    journal
}

/// What stands in the journal of something until more is known: whoever kills us leaves this there.
#[must_use]
pub fn not_yet() -> Fault {
    Fault::new(Kind::Local, "stopped before AWS had answered", "")
}

fn no_answer(timeout: Duration) -> Fault {
    let text = format!("no answer within the {} s that a deployment may take", timeout.as_secs());
    Fault::new(Kind::Timeout, text, CHECK_NETWORK)
}

/// What to say of a config that is not in the bucket, or not yet.
#[must_use]
pub fn unsent(item: &Item, kept: &Result<Kept, Fault>, fault: Fault) -> journal::Config {
    let backup = if kept.is_ok() { Backup::Spooled } else { Backup::Failed };
    let key = crate::layout::history_key(&item.customer, item.at, &item.md5);
    journal::Config { backup, key, md5: item.md5.clone(), fault: Some(with_what_is_kept(fault, kept)) }
}

/// What to say of a record that is not in the bucket, or not yet.
#[must_use]
pub fn not_sent(kept: &Result<Kept, Fault>, fault: Fault) -> Sent {
    let fault = Some(with_what_is_kept(fault, kept));
    Sent { sent: false, kept: kept.is_ok(), key: String::new(), user: String::new(), fault }
}

fn with_what_is_kept(fault: Fault, kept: &Result<Kept, Fault>) -> Fault {
    match kept {
        Ok(_) => fault,
        Err(local) => fault.and_not_kept(local),
    }
}

/// What to say of a config that could not even be read.
#[must_use]
pub fn unreadable(fault: Fault) -> journal::Config {
    journal::Config { backup: Backup::Failed, key: String::new(), md5: String::new(), fault: Some(fault) }
}

/// Runs asynchronous work on this thread.
pub fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Fault::new(Kind::Local, format!("start the runtime: {error}"), ""))?;
    let done = runtime.block_on(work);
    // Whatever is still stuck in a thread of the runtime must not hold us up.
    runtime.shutdown_background();
    Ok(done)
}

//! What a step came to, as far as the machines that take it can tell: ids, times, and what was said.

use super::steps::Network;

/// What happened in a step.
#[derive(Debug)]
pub(crate) enum Event {
    /// Nothing that the helper takes part in.
    Nothing,
    Planned(Plan),
    Deployed(Deployment),
    Replayed {
        network: Network,
        code: Option<i32>,
        output: String,
    },
}

/// What a plan found out.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Names the deployment.
    pub(crate) id: String,
    pub(crate) backup_id: String,
    /// Whether it found the bucket in step.
    pub(crate) in_step: bool,
    pub(crate) status: String,
    /// What the config held.
    pub(crate) content: usize,
    pub(crate) network: Network,
    /// Whether it used its time up on a busy machine, and may have found out anything or nothing.
    pub(crate) gave_up: bool,
}

/// A deployment.
#[derive(Debug, Clone)]
pub(crate) struct Deployment {
    pub(crate) plan: Plan,
    /// Whether the plan was saved before, and judged then.
    pub(crate) saved: bool,
    /// What the config held at apply.
    pub(crate) content: usize,
    pub(crate) network: Network,
    pub(crate) backup_ran: bool,
    /// Whether one of its steps was killed.
    pub(crate) killed: bool,
    pub(crate) log: String,
    pub(crate) status: String,
    /// Between which seconds it was applied, by the clock of the machine.
    pub(crate) started: i64,
    pub(crate) ended: i64,
    /// When the config was read and when the record was written, as they say themselves; `started` where nothing says so.
    pub(crate) config_at: i64,
    pub(crate) record_at: i64,
}

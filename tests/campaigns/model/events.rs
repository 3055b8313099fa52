//! The result of a step as the machine sees it: ids, times and messages.

use serde_json::Value;

use super::steps::NetworkState;

/// What happened in a step.
#[derive(Debug)]
pub(crate) enum ModelEvent {
    /// Nothing that the helper takes part in.
    Nothing,
    Planned(ModelPlan),
    Deployed(ModelDeployment),
    /// A deployment that had ended was run again.
    Repeated {
        /// What it answered at first.
        first: Value,
        /// What it answers now.
        second: Value,
    },
    Replayed {
        network: NetworkState,
        code: Option<i32>,
        output: String,
    },
}

/// What a plan found out.
#[derive(Debug, Clone)]
pub(crate) struct ModelPlan {
    /// Names the deployment.
    pub(crate) id: String,
    pub(crate) backup_id: String,
    /// Whether it found the bucket in step.
    pub(crate) in_step: bool,
    pub(crate) status: String,
    /// What the config held.
    pub(crate) content: usize,
    pub(crate) network: NetworkState,
    /// Whether it used its time up on a busy machine, and may have found out anything or nothing.
    pub(crate) gave_up: bool,
}

/// A deployment.
#[derive(Debug, Clone)]
pub(crate) struct ModelDeployment {
    pub(crate) plan: ModelPlan,
    /// Whether the plan was saved before, and judged then.
    pub(crate) saved: bool,
    /// What the config held at apply.
    pub(crate) content: usize,
    pub(crate) network: NetworkState,
    /// The status that it answered with; `None` where it was killed and not run again.
    pub(crate) status: Option<String>,
    /// Whether it was killed and run again.
    pub(crate) is_again: bool,
    /// Between which seconds it was applied, by the clock of the machine.
    pub(crate) started: i64,
    pub(crate) ended: i64,
    /// When the config was read and when the record was written, as they say themselves; `started` where nothing says so.
    pub(crate) config_at: i64,
    pub(crate) record_at: i64,
}

//! The result of a step as the machine sees it: ids, times and messages.

use serde_json::Value;

use super::steps::NetworkState;

#[derive(Debug)]
pub(crate) enum ModelEvent {
    /// A step without the helper.
    Nothing,
    Planned(ModelPlan),
    Deployed(ModelDeployment),
    /// A finished deployment ran again.
    Repeated {
        /// Its first answer.
        first: Value,
        /// Its second answer.
        second: Value,
    },
    Replayed {
        network: NetworkState,
        code: Option<i32>,
        output: String,
    },
}

/// The answer of a plan.
#[derive(Debug, Clone)]
pub(crate) struct ModelPlan {
    pub(crate) id: String,
    pub(crate) backup_id: String,
    /// Whether the bucket was up to date.
    pub(crate) in_step: bool,
    pub(crate) status: String,
    /// The content of the config.
    pub(crate) content: usize,
    pub(crate) network: NetworkState,
    /// Whether it ran out of time, so its answer is arbitrary.
    pub(crate) gave_up: bool,
}

/// A deployment.
#[derive(Debug, Clone)]
pub(crate) struct ModelDeployment {
    pub(crate) plan: ModelPlan,
    /// Whether the plan was saved earlier and has been checked.
    pub(crate) saved: bool,
    /// The content of the config at apply.
    pub(crate) content: usize,
    pub(crate) network: NetworkState,
    /// The status of its answer; `None` if it was killed and not run again.
    pub(crate) status: Option<String>,
    /// Whether it was killed and run again.
    pub(crate) is_again: bool,
    /// The seconds between which it was applied, by the clock of the machine.
    pub(crate) started: i64,
    pub(crate) ended: i64,
    /// The times in config and record; `started` if there are none.
    pub(crate) config_at: i64,
    pub(crate) record_at: i64,
}

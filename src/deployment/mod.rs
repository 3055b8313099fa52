//! A deployment: what Terraform asks for, and what becomes of the config and the usage record.
//!
//! Must never block or fail a deployment: every error becomes part of the answer.
//!
//! - `protocol`: the JSON queries and answers of the external data source
//! - `query_fields`: reads and checks the settings of a query
//! - `subject`: who and what is deployed
//! - `runner`: all steps of a deployment, within its deadline
//! - `running`: what the steps share
//! - `caller`: who deployed, also without an answer of STS
//! - `deadline_budget`: how much time is left
//! - `claim`: one record for a deployment that runs twice
//! - `config_upload`, `record_upload`: the two uploads of a deployment
//! - `upload`: the requests of one upload
//! - `spool_replay`: uploads what earlier deployments spooled
//! - `spool_queue`: what waits for which target
//! - `late_upload`: one upload of a replay
//! - `outcome`, `answer`: how far a deployment has come, and its report
//! - `git`, `ci`, `tool_versions`: details for the usage record
//! - `expiry`: which files of the state directory expire

pub mod answer;
pub(crate) mod caller;
pub mod ci;
pub(crate) mod claim;
pub(crate) mod config_upload;
pub(crate) mod deadline_budget;
pub(crate) mod expiry;
pub mod git;
pub(crate) mod late_upload;
pub(crate) mod outcome;
pub mod protocol;
pub(crate) mod query_fields;
pub(crate) mod record_upload;
pub(crate) mod runner;
pub(crate) mod running;
pub(crate) mod spool_queue;
pub(crate) mod spool_replay;
pub mod subject;
pub mod tool_versions;
pub(crate) mod upload;

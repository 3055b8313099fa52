//! A deployment: what Terraform asks for, and what becomes of the config and the usage record.

pub mod answer;
pub mod ci;
pub mod config_upload;
pub mod deployment_claim;
pub mod expiry;
pub mod git;
pub mod outcome;
pub mod protocol;
pub mod record_upload;
pub mod running;
pub mod spool_replay;
pub mod subject;
pub mod tool_versions;
pub mod upload;

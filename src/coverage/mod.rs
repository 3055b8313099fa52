//! What is missing in the bucket: unlogged deployments, unsaved configs.

pub mod collect;
pub mod evidence;
pub mod gaps;
pub mod state_changes;

//! What is missing in the bucket: unlogged deployments, missing configs and records.
//!
//! Reads only. Must not print: the command `coverage` does that.
//!
//! - `collect.rs`: reads the bucket and the spool
//! - `evidence.rs`: what is known of one customer
//! - `gaps.rs`: which gaps follow from it
//! - `state_changes.rs`: which changes of states have no record

pub mod collect;
pub mod evidence;
pub mod gaps;
pub mod state_changes;

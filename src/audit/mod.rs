//! Whether the bucket holds what was written.
//!
//! Compares a snapshot with itself. Must not read the bucket. It cannot tell who changed an object:
//! a profile that may write to the bucket may also rewrite all of it.
//!
//! - `finding.rs`: what is wrong with an object
//! - `checks.rs`: records, copies and `config.yaml`, each against all that names it
//! - `chain_walk.rs`: the chains of records, from their seals to their first records
//! - `retention.rs`: what may be missing because it expired
//! - `known.rs`: what an earlier run of `verify` saw
//! - `known_set.rs`: a set of objects, summed up

pub mod chain_walk;
pub mod checks;
pub mod finding;
pub mod known;
mod known_set;
pub mod retention;

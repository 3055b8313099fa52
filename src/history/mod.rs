//! The versions of a customer's config and the deployments that used them.
//!
//! Reads only. Must not print: the commands `history`, `diff` and `restore` do that.
//!
//! - `change_summary.rs`: which keys changed from one version to the next
//! - `load.rs`: finds all versions, and fetches one
//! - `versions.rs`: which deployment used which version, and which version a user means
//! - `integrity.rs`: whether bytes are those that were backed up

pub mod change_summary;
pub mod integrity;
pub mod load;
pub mod versions;

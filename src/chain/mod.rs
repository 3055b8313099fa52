//! Chains of usage records: each record holds the digest of the record before it, and a seal holds
//! the digest of the last one. A reader can then tell that a record was changed or deleted.
//!
//! Must not know when a deployment uploads, or how a chain is verified.
//!
//! - `claim`: the chains that this machine continues, in local files
//! - `seal`: the seal objects in the bucket

pub mod claim;
pub mod seal;

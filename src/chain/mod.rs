//! Chains of usage records: the claim on this machine, and the seal in the bucket.

pub mod claim;
pub mod seal;

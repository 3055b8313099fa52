//! Whether the bucket holds what was written.

pub mod chain_walk;
pub mod checks;
pub mod inventory;

//! The versions of a customer's config and who used them.

pub mod change_summary;
pub mod integrity;
pub mod load;
pub mod versions;

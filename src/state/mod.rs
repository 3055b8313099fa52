//! The local state directory: the spool, the quarantine, expired files.

pub mod cleanup;
pub mod dirs;
pub mod quarantine;
pub mod spool;
pub mod spool_file;

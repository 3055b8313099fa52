//! `compact` and the archive that it writes.

mod archive;
pub(crate) mod command;

//! The local state directory: uploads that wait for the network, and notes that outlive a process.
//!
//! Must not touch the network, and does not know why an upload waits.
//!
//! - `caller_memory`: who deployed last with a profile
//! - `dirs`: where the state directory is, and the fallback if it cannot be written
//! - `spool`: the queue of pending uploads
//! - `spool_file`: the format of one item in the queue
//! - `put_off`: uploads that are not tried again before some time
//! - `quarantine`: files from the spool that are not readable items
//! - `cleanup`: removes expired files
//! - `note_file`: small JSON files whose loss is harmless
//! - `notice`: what was said once on this machine
//! - `known_file`: what `verify` remembers

pub mod caller_memory;
pub mod cleanup;
pub mod dirs;
pub mod known_file;
mod note_file;
pub mod notice;
pub mod put_off;
pub mod quarantine;
pub mod spool;
pub mod spool_file;

//! The campaigns: very many seeded faults against the real executable, and an oracle that counts what went wrong.
//!
//! `make test` runs each in a small size, `make torture` in full. docs/reliability.md has the results.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::format_collect)] // tests start programs, and stop where something is odd

#[path = "../it/by_hand.rs"]
#[allow(dead_code)] // each binary uses its part
mod by_hand;
#[path = "../it/networks.rs"]
mod networks;
#[path = "../it/oracle.rs"]
#[allow(dead_code)] // each binary uses its part
mod oracle;
#[path = "../support/mod.rs"]
mod support;

mod blow;
mod campaign;
mod controls;
mod disk;
mod kill;
mod shortage;
mod signals;
mod strace;
mod trial;
mod versions;
mod wrongs;

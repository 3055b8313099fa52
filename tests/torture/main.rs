//! The campaigns: very many seeded faults against the real executable, and an oracle that counts what went wrong.
//!
//! `make test` runs each in a small size, `make torture` in full. docs/reliability.md has the results.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::format_collect)] // tests start programs, and stop where something is odd

#[allow(dead_code)] // the campaigns use their part
#[path = "../it/by_hand.rs"]
mod by_hand;
#[path = "../support/mod.rs"]
mod support;

mod campaign;
mod faults;
mod http1;
mod network;
mod network_controls;
mod network_oracle;
mod network_runs;
mod places;
mod points;
mod proxy;
mod tls;

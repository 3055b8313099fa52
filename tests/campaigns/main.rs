//! The campaigns: many seeded faults against the real executable, and oracles that count
//! violations.
//!
//! `make test` runs each campaign in a small size, `make test-strace` those that need strace, and
//! `make torture` all in full.
//! docs/dev/reliability.md has the results.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::format_collect
)] // tests start programs, and stop where something is odd

mod bad_endpoints;
mod bad_objects;
mod bombs;
mod broken_helper;
mod client_streams;
mod compact;
mod concurrency;
mod config_versions;
mod disk;
mod edits;
mod http1;
mod kill;
mod kill_step;
mod late;
mod listings;
mod md5_digest;
mod model;
mod mounts;
mod negative_controls;
mod network;
mod odd_disks;
mod request_faults;
mod request_points;
mod rule_proxy;
mod second_runs;
mod shortage;
mod signals;
mod strace;
mod tamper;
mod tls;
mod trial_runner;
mod violations;
mod wrappers;

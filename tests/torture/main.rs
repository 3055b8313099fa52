//! The campaigns: very many seeded faults against the real executable, and an oracle that counts what went wrong.
//!
//! `make test` runs each in a small size, `make torture` in full. docs/reliability.md has the results.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::format_collect)] // tests start programs, and stop where something is odd

// What is shared with the integration tests, each with more in it than these campaigns use.
#[allow(dead_code)]
#[path = "../it/by_hand.rs"]
mod by_hand;
#[allow(dead_code)]
#[path = "../it/by_s3.rs"]
mod by_s3;
#[allow(dead_code)]
#[path = "../it/networks.rs"]
mod networks;
#[allow(dead_code)]
#[path = "../it/oracle.rs"]
mod oracle;
#[allow(dead_code)]
#[path = "../it/servers.rs"]
mod servers;
#[allow(dead_code, unused_imports, unused_macros)]
#[path = "../it/site.rs"]
mod site;
#[path = "../support/mod.rs"]
mod support;

mod blow;
mod campaign;
mod compact;
mod concurrency;
mod controls;
mod disk;
mod edits;
mod faults;
mod hash;
mod http1;
mod kill;
mod model;
mod network;
mod network_controls;
mod network_oracle;
mod network_runs;
mod places;
mod points;
mod proxy;
mod second_runs;
mod shortage;
mod signals;
mod strace;
mod streams;
mod tls;
mod trial;
mod versions;
mod wrapper;
mod wrongs;

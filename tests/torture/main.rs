//! The campaigns: very many seeded faults against the real executable, and an oracle that counts what went wrong.
//!
//! `make test` runs each in a small size, `make torture` in full. docs/reliability.md has the results.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::format_collect)] // tests start programs, and stop where something is odd

mod blow;
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

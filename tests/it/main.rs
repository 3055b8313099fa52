//! The integration tests: the real executable on the wire, against a real S3 and STS in this process.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // tests start programs, and stop where something is odd

#[path = "../support/mod.rs"]
mod support;

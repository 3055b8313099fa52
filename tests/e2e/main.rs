//! The end-to-end tests: real terragrunt, OpenTofu and terraform, the real external provider and S3 backend, in the
//! customer folder as a user has it.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    clippy::format_collect,
    unreachable_pub,
    missing_docs
)] // tests start programs, and stop where something is odd

#[path = "../support/mod.rs"]
mod support;

mod deployments;
mod moving;
mod plain;
mod plans;
mod secrets;
mod stack;
mod trouble;

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

#[allow(dead_code, clippy::unused_self)] // as `support`: each test binary uses its part
#[path = "../torture/campaign.rs"]
mod campaign;
#[allow(dead_code)]
#[path = "../it/console.rs"]
mod console;
#[allow(dead_code)]
#[path = "../it/networks.rs"]
mod networks;
#[allow(dead_code)]
#[path = "../it/oracle.rs"]
mod oracle;
#[path = "../support/mod.rs"]
mod support;

mod black_box;
mod deployments;
mod examples;
mod fallback;
mod folders;
mod moving;
mod permissions;
mod plain;
mod plans;
mod profiles;
mod provider_cache;
mod readme;
mod secrets;
mod settings;
mod stack;
mod story;
mod traces;
mod trouble;

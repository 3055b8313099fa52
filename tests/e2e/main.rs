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

mod black_box;
mod customer_stack;
mod demo;
mod demo_tools;
mod deployments;
mod examples;
mod failures;
mod fallback;
mod folders;
mod git_source;
mod git_status;
mod hanging;
mod legacy_module;
mod moved_state;
mod permissions;
mod plain_root_module;
mod plans;
mod profiles;
mod provider_cache;
mod quiet_unit;
mod readme_sessions;
mod rendered_backend;
mod secrets;
mod settings;
mod story;
mod traces;
mod yaml;

//! The integration tests: the real executable against an S3 and STS in this process.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // tests start programs, and stop where something is odd

mod architecture;
mod aws_files;
mod bucket_fixture;
mod commands;
mod commit_hooks;
mod compact;
mod compatibility;
mod completions;
mod coverage;
mod deployment;
mod docs;
mod doctor;
mod github_action;
mod history;
mod house_rules;
mod iam;
mod init;
mod properties;
mod report;
mod s3_compat;
mod status;
mod verify;

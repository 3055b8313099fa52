//! config-backup: keeps a deployment's `config.yaml` and a record of every deployment in S3.
//!
//! Terraform calls the commands `context` and `deploy` through its `external` data source, and Terragrunt calls `fallback`
//! where Terraform fails; people call the others. ARCHITECTURE.md shows the data's way. The library exists for the executable
//! and its tests; its API is not a contract.

pub mod archive;
pub mod audit;
pub mod chain;
pub mod cli;
pub mod commands;
pub mod config;
pub mod coverage;
pub mod customer_folder;
pub mod defaults;
pub mod deployment;
pub mod digest;
pub mod doctor;
pub mod error;
pub mod exit_code;
pub mod history;
pub mod iam;
pub mod keys;
pub mod output;
pub mod record;
pub mod redaction;
pub mod report;
pub mod s3;
pub mod state;
pub mod system;
pub mod time_spec;

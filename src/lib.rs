//! Keeps a deployment's `config.yaml` and a record of every deployment in S3.
//!
//! Terraform calls the commands `context` and `deploy` through its `external` data source.
//! Terragrunt calls `fallback` where Terraform fails. People call the other commands.
//! docs/dev/architecture.md shows how the data flows. The library exists for the executable and
//! its tests; its API is not a contract.
//!
//! Commands:
//! - `cli`: the command line
//! - `commands`: one file for each subcommand
//!
//! What they do:
//! - `deployment`: the steps that Terraform runs
//! - `report`, `history`, `coverage`, `audit`, `doctor`, `iam`, `customer_folder`: for people
//! - `archive`, `chain`: the archive of usage records, and the chains that make gaps visible
//!
//! What they share:
//! - `config`, `redaction`: the customer's config, and what of it may be shown
//! - `record`, `keys`, `s3`: the usage record, the keys in the bucket, and requests to it
//! - `state`, `output`, `system`: the state directory, tables, and the machine
//! - `defaults`, `digest`, `error`, `exit_code`, `time_spec`

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
pub mod snapshot;
pub mod state;
pub mod system;
pub mod time_spec;

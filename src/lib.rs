//! config-backup: keeps a deployment's `config.yaml` and a record of every deployment in S3.
//!
//! Terraform calls the machine verbs (`context`, `backup`, `log`, `outcome`) through its `external` data source and
//! `local-exec`; people call the others. ARCHITECTURE.md shows the data's way. The library exists for the executable
//! and its tests; its API is not a contract.

pub mod arguments;
pub mod aws;
pub mod backup;
pub mod cache;
pub mod calendar;
pub mod charts;
pub mod choice;
pub mod cli;
pub mod columns;
pub mod completions;
pub mod config;
pub mod connector;
pub mod context;
pub mod deadline;
pub mod deliver;
pub mod deployment;
pub mod digest;
pub mod facts;
pub mod fault;
pub mod fetch;
pub mod figures;
pub mod files;
pub mod formats;
pub mod gather;
pub mod host;
pub mod init;
pub mod item;
pub mod journal;
pub mod late;
pub mod layout;
pub mod listing;
pub mod log;
pub mod logged;
pub mod names;
pub mod outcome;
pub mod pace;
mod packed;
pub mod page;
pub mod places;
pub mod profiles;
pub mod programs;
pub mod progress;
pub mod protocol;
pub mod quarantine;
pub mod quick;
pub mod reading;
pub mod record;
pub mod replay;
pub mod report;
pub mod retries;
pub mod rows;
pub mod series;
pub mod session;
pub mod sheet;
pub mod signals;
pub mod spans;
pub mod spool;
pub mod status;
pub mod summary;
pub mod text;
pub mod unit;
pub mod verdict;
pub mod yaml;

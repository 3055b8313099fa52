//! The integration tests: the real executable on the wire, against a real S3 and STS in this process.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // tests start programs, and stop where something is odd

#[path = "../support/mod.rs"]
mod support;

#[allow(dead_code)] // the campaigns use it, too
mod by_hand;
#[allow(dead_code)] // the campaigns use it, too
mod by_s3;
mod clean_bucket;
#[allow(dead_code)] // the end-to-end tests use it, too
mod console;
#[allow(dead_code)] // the campaigns use it, too
mod networks;
mod oracle;
mod past;
mod servers;
mod site;
mod troubles;

mod answers;
mod archive;
mod compact;
mod concurrency;
mod context;
mod context_refusals;
mod contract;
mod contract_keys;
mod contract_names;
mod contract_races;
mod contract_throttled;
mod coverage;
mod coverage_properties;
mod deployment;
mod doctor;
mod doctor_bucket;
mod doctor_folder;
mod doctor_machine;
mod doctor_network;
mod documented;
mod environment;
mod expiry;
mod golden;
mod history;
mod iam;
mod iam_bucket;
mod iam_enforced;
mod iam_moto;
mod init;
mod init_roots;
mod init_upgrade;
mod inputs;
mod links;
mod local_trouble;
mod past_diff;
mod past_history;
mod past_overwritten;
mod past_properties;
mod past_restore;
mod past_shapes;
mod past_story;
mod properties;
mod record;
mod region;
mod replay;
mod report;
mod report_bad;
mod report_cache;
mod report_choice;
mod report_failures;
mod report_formats;
mod report_page;
mod report_terminal;
mod secrets;
mod sessions;
mod status;
mod tidy;
mod trouble;
mod verify;
mod versitygw;
mod view_script;
mod waves;

//! `doctor`: checks of the bucket, the machine and the customer folder.
//!
//! Proves what a deployment needs, and names a fix for each problem. Must change nothing but its
//! own canary objects.
//!
//! - `bucket_checks`: runs the checks that ask AWS
//! - `bucket_settings`: what the settings of the bucket mean
//! - `check`: the ids of all checks, and what a check found
//! - `folder_checks`: the customer folder and its config.yaml
//! - `machine_checks`: the helper, Terraform and Terragrunt
//! - `readiness`: whether a deployment would run our unit and be logged
//! - `report`: the results as a table or as JSON
//! - `s3_requests`: the requests to S3 that only `doctor` makes
//! - `s3_results`: what their results mean
//! - `state_checks`: the state directory and the spool
//! - `unit_check`: the files and the settings of our unit
//! - `write_probe`: writes, reads and deletes a canary object

pub(crate) mod bucket_checks;
pub(crate) mod bucket_settings;
pub(crate) mod check;
pub(crate) mod folder_checks;
pub(crate) mod machine_checks;
pub(crate) mod readiness;
pub(crate) mod report;
pub(crate) mod s3_requests;
pub(crate) mod s3_results;
pub(crate) mod state_checks;
pub(crate) mod unit_check;
pub(crate) mod write_probe;

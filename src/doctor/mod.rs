//! Checks of the machine, the bucket and the customer folder.

pub mod bucket_checks;
pub mod bucket_settings;
pub mod check;
pub mod folder_checks;
pub mod machine_checks;
pub mod readiness;
pub mod s3_requests;
pub mod s3_results;

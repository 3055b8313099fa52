//! One file per subcommand: its arguments, what it runs, and how it prints.

pub mod bucket_args;
pub mod compact;
pub mod completions;
pub mod context;
pub mod coverage;
pub mod deploy;
pub mod diff;
pub mod doctor;
pub mod history;
pub mod iam;
pub mod init;
pub mod replay;
pub mod report;
pub mod restore;
pub mod status;
pub mod verify;

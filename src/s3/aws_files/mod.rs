//! `~/.aws/config` and `~/.aws/credentials`, read as the aws CLI and Terraform read them.
//!
//! The SDK for Rust is stricter than both: it refuses a file for one indented line, and ignores a
//! profile whose name is in quotes and a file with a letter in Latin-1. So this folder reads the
//! files, and hands them to the SDK in the form that it understands. Where the aws CLI
//! (botocore) and Terraform (the SDK for Go) differ, the one that finds credentials is right, and
//! an [`AwsFileNote`](note::AwsFileNote) names the line. Must not send a request, and no message
//! may contain a value of these files.
//!
//! - `source`: finds and reads the two files
//! - `ini`: their lines
//! - `section`: which profile or session a section describes
//! - `note`: lines that other tools read otherwise
//! - `profiles`: all profiles of both files, merged
//! - `profile_chain`: the profile that is used, and those that it takes its credentials from
//! - `sdk_text`: the files as the SDK understands them

mod ini;
pub mod note;
pub mod profile_chain;
pub mod profiles;
pub mod sdk_text;
mod section;
mod source;

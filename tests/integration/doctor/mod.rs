//! `doctor`: the problems that it finds, and none in a healthy setup.

mod bucket;
mod customer_folder;
pub(crate) mod healthy;
mod machine;
mod network;
mod terragrunt;

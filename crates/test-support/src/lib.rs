//! What the integration tests, the end-to-end tests and the campaigns share.
//!
//! - [`world`]: a machine and an AWS account, with the helper run as Terraform or a user runs it
//! - [`terraform_steps`]: the two steps of a deployment, as Terraform takes them
//! - [`s3_client`]: objects written, read and deleted with the AWS SDK
//! - [`s3_servers`]: versitygw and moto, as processes of their own
//! - [`s3_backend`]: a world whose S3 is the embedded one, versitygw or moto
//! - [`faulty_proxy`]: a proxy in front of a server that loses, delays or replaces answers
//! - [`fuse_mount`]: a file system that never answers, or too late, or with errors
//! - [`broken_s3`]: an S3 whose answers a test can bend
//! - [`initialized_unit`]: the unit as `init` writes it, copied
//! - [`console_sessions`]: the commands that the documentation shows, run and compared
//! - [`composite_action`]: a GitHub action, run as the runner does
//! - [`release_server`]: the files of a release, over HTTP
//! - [`oracle`]: digests, CSV rows and times that do not come from the product
//! - [`campaign`]: seed, size and threads of a campaign

// Helpers of tests panic on unexpected results, and most return values serve one test.
#![allow(missing_docs)]
#![allow(
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::new_without_default,
    clippy::return_self_not_must_use
)]

pub mod broken_s3;
pub mod campaign;
pub mod composite_action;
pub mod console_sessions;
pub mod faulty_proxy;
pub mod fuse_mount;
pub mod initialized_unit;
pub mod oracle;
pub mod release_server;
pub mod s3_backend;
pub mod s3_client;
pub mod s3_servers;
pub mod terraform_steps;
pub mod world;

pub use initialized_unit::InitializedUnit;
pub use world::{
    BUCKET, CONFIG, CONFIG_MD5, JANE_ARN, JOHN_ARN, MAX_ARN, SECRET_CANARIES, World,
    assert_no_secret, helper_path, project_dir, refused_endpoint, run_with_input, to_text,
};

//! S3 and STS in one process, for tests and demonstrations on one machine.
//!
//! Requests are real ones: clients speak HTTP, signatures are verified (Signature Version 4, by [`s3s`]), errors come with the status,
//! headers and XML that AWS documents. Any difference is an error of this server. An unknown operation gets
//! 501. It only listens on loopback addresses, and every request needs one of the [identities](AwsIdentity).
//!
//! ```no_run
//! use embedded_aws::{BucketConfig, EmbeddedServer, ServerOptions};
//!
//! # fn main() -> std::io::Result<()> {
//! let server = EmbeddedServer::start(ServerOptions {
//!     data: "/tmp/demo".into(),
//!     buckets: vec![BucketConfig { name: "backups".into(), region: "eu-central-1".into() }],
//!     identities: embedded_aws::demo_identities(),
//!     listen: ([127, 0, 0, 1], 0).into(),
//!     log: None,
//! })?;
//! server.put("backups", "team/config.yaml", b"a: 1\n", &[("author", "jane")])?;
//! println!("{}", server.endpoint()); // for AWS_ENDPOINT_URL
//! # Ok(())
//! # }
//! ```
//!
//! # What it does
//!
//! - **Objects**: `PutObject` (with `If-None-Match: *` and `If-Match`, exactly one of several writers wins; `Content-MD5` and
//!   `x-amz-checksum-*` are verified, in headers and trailers), `GetObject` (ranges, conditions), `HeadObject`, `CopyObject`,
//!   `DeleteObject`, `DeleteObjects`. Bodies up to 256 MiB in one request; no multipart uploads.
//! - **Listings**: `ListObjectsV2` and `ListObjects`, in the order of UTF-8 bytes, in time that depends on the page only.
//! - **Buckets**: `ListBuckets`, `HeadBucket`, `GetBucketLocation`, `GetBucketVersioning` (never any), `CreateBucket`.
//! - **STS**: `GetCallerIdentity`, in every region.
//! - **Regions**: a request signed for another region than the bucket's gets 301 `PermanentRedirect` with `x-amz-bucket-region`.
//! - **Permissions**: see [`AwsIdentity::deny`] and [`EmbeddedServer::govern`], with the sentences of S3. All buckets belong to the account 123456789012, and `x-amz-expected-bucket-owner` is
//!   compared with it.
//!
//! # The data folder
//!
//! `<data>/<bucket>/<key>` is the body as a plain file. Unusual keys have an encoded path, never one outside of the folder: `%25` for
//! `%` and so on for control characters, `%-` for an empty part, `%2E%2E` for `..`, parts over 200 bytes in pieces ending in `%+`, and
//! `a%` for `a` where `a/b` exists, too. Everything else about an object is JSON under `<data>/.meta`. The folder is for looking at;
//! a server reads it when it starts, and only one can have it. Keys that differ only in case need a file system that tells them apart.

mod access;
mod checksums;
mod conditions;
mod data_folder;
mod http_service;
mod key_paths;
mod list_outputs;
mod listing;
mod object_outputs;
mod policies;
mod request;
mod request_log;
mod s3_api;
mod server;
mod store;
mod sts;
mod xml;

pub use access::AwsIdentity;
pub use policies::{AccessPolicies, RequestedAccess};
pub use request::RequestSummary;
pub use server::{BucketConfig, EmbeddedServer, ServerOptions, StoredObject};

/// Two identities for demonstrations: an SSO user (`AKIADEMOJOHN00000000`, `demo-secret-john`) and
/// an IAM user (`AKIADEMOJANE00000000`, `demo-secret-jane`), both of the account 123456789012 of
/// the AWS documentation.
#[must_use]
pub fn demo_identities() -> Vec<AwsIdentity> {
    let identity = |access_key: &str, secret_key: &str, arn: &str, user_id: &str| AwsIdentity {
        access_key: access_key.to_owned(),
        secret_key: secret_key.to_owned(),
        arn: arn.to_owned(),
        user_id: user_id.to_owned(),
        account: "123456789012".to_owned(),
        deny: Vec::new(),
    };
    vec![
        identity(
            "AKIADEMOJOHN00000000",
            "demo-secret-john",
            "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Admin_0123456789abcdef/john.doe",
            "AROADEMO0000000000000:john.doe",
        ),
        identity(
            "AKIADEMOJANE00000000",
            "demo-secret-jane",
            "arn:aws:iam::123456789012:user/jane.roe",
            "AIDADEMO0000000000000",
        ),
    ]
}

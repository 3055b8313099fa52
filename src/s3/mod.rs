//! Requests to S3 and STS.
//!
//! Must not know what keys and objects mean, nor why a request is made.
//!
//! - `aws_files`: `~/.aws/config` and `~/.aws/credentials`
//! - `bulk_get`: lists prefixes and fetches many objects concurrently
//! - `caller`: the user behind the ARN of a caller
//! - `client`: the AWS SDK's settings
//! - `concurrency_limit`: how many requests may be in flight
//! - `credential_process`: the credentials that a program prints
//! - `credentials_error`: why there are no credentials
//! - `credentials_id`: which credentials a request was made with
//! - `encryption`: the encryption that a PUT asks for
//! - `error`: translates errors of the SDK
//! - `fast_get`: GET of small objects without the SDK's overhead
//! - `forbidden`: why a request got 403
//! - `get`: reads objects
//! - `http_connector`: TLS, trusted certificates, proxies
//! - `list_answer`: whether the answer to a listing is complete
//! - `list_cursor`: how far a listing has come
//! - `listing`: pages of objects and versions
//! - `object_failures`: objects that cannot be read although others can
//! - `profile_credentials`: the credentials of a profile of the AWS config files
//! - `name_lookup`: the addresses of hosts
//! - `no_proxy`: which hosts `NO_PROXY` excludes
//! - `proxy`: the proxy for a request
//! - `put`: writes objects, with the encryption that the bucket demands
//! - `retry`: which requests are retried, and when
//! - `store`: the requests to one bucket
//! - `target`: which bucket, and with which profile
//! - `types`: answers of S3 and STS
//! - `versions`: noncurrent versions of objects

pub mod aws_files;
pub mod bulk_get;
pub mod caller;
pub(crate) mod client;
mod concurrency_limit;
mod credential_process;
mod credentials_error;
pub mod credentials_id;
pub mod encryption;
pub(crate) mod error;
mod fast_get;
mod forbidden;
mod get;
mod http_connector;
pub(crate) mod list_answer;
pub(crate) mod list_cursor;
pub mod listing;
mod name_lookup;
mod no_proxy;
pub(crate) mod object_failures;
mod profile_credentials;
pub(crate) mod proxy;
mod put;
pub(crate) mod retry;
pub mod store;
pub mod target;
pub mod types;
pub mod versions;

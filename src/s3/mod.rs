//! Requests to S3 and STS.
//!
//! Must not know what keys and objects mean, nor why a request is made.
//!
//! - `bulk_get`: lists prefixes and fetches many objects concurrently
//! - `client`: the AWS SDK's settings
//! - `concurrency_limit`: how many requests may be in flight
//! - `error`: translates errors of the SDK
//! - `fast_get`: GET of small objects without the SDK's overhead
//! - `http_connector`: TLS, trusted certificates, proxies
//! - `listing`: pages of objects and versions
//! - `profiles`: what the AWS config files say about a profile
//! - `retry`: which requests are retried, and when
//! - `store`: the requests to one bucket
//! - `target`: which bucket, and with which profile
//! - `types`: answers of S3 and STS
//! - `versions`: noncurrent versions of objects

pub mod bulk_get;
pub(crate) mod client;
mod concurrency_limit;
pub(crate) mod error;
mod fast_get;
mod http_connector;
pub mod listing;
pub(crate) mod profiles;
pub(crate) mod retry;
pub mod store;
pub mod target;
pub mod types;
pub mod versions;

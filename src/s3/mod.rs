//! Requests to S3 and STS: the client, the store, listings, bulk reads and retries.

pub mod bulk_get;
pub mod client;
pub mod concurrency_limit;
pub mod error;
pub mod fast_get;
pub mod http_connector;
pub mod listing;
pub mod profiles;
pub mod retry;
pub mod store;
pub mod types;
pub mod versions;

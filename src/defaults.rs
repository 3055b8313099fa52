//! Settings that hold where the operator gives none. The module and the unit repeat them; a test compares.

/// The bucket that is used where none is named.
pub const DEFAULT_BUCKET: &str = "mongodb-arena";
/// The region where the bucket is believed to be.
pub const DEFAULT_BUCKET_REGION: &str = "us-east-1";
/// The deadline of a deployment, in seconds.
pub const DEFAULT_TIMEOUT_SECONDS: u64 = 10;

//! Objects written and deleted as anybody would over S3, whatever server that is: signed requests of the SDK.

use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, RequestChecksumCalculation};
use aws_sdk_s3::error::DisplayErrorContext;
use aws_sdk_s3::primitives::ByteStream;
use futures_util::StreamExt as _;
use tokio::runtime::Runtime;

use crate::support::BUCKET;

/// Requests under way at once.
const AT_ONCE: usize = 8;

/// Somebody with the profile `default` and the right to write into the bucket and to delete from it.
#[derive(Clone)]
pub(crate) struct Hand {
    client: Client,
    runtime: Arc<Runtime>,
}

impl Hand {
    /// For the server at `endpoint`.
    pub(crate) fn new(endpoint: &str) -> Self {
        let settings = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(endpoint)
            .force_path_style(true)
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("AKIADEFAULT", "secret-of-default", None, None, "the test"))
            // The signature covers the body, and a second digest of it costs time.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        Self { client: Client::from_conf(settings.build()), runtime: Arc::new(runtime) }
    }

    /// Makes the bucket.
    pub(crate) fn make_bucket(&self) {
        self.runtime.block_on(self.client.create_bucket().bucket(BUCKET).send()).expect("a bucket");
    }

    /// Writes an object; if the server takes no such key, says why.
    pub(crate) fn try_put(&self, key: &str, body: &str) -> Result<(), String> {
        self.runtime.block_on(put(&self.client, key, body))
    }

    /// Writes an object.
    pub(crate) fn put(&self, key: &str, body: &str) {
        self.try_put(key, body).unwrap_or_else(|why| panic!("put {key:?}: {why}"));
    }

    /// Writes many, in no particular order.
    pub(crate) fn put_all(&self, objects: &[(String, String)]) {
        let puts =
            objects.iter().map(|(key, body)| async move { put(&self.client, key, body).await.map_err(|why| format!("{key:?}: {why}")) });
        let done: Vec<_> = self.runtime.block_on(futures_util::stream::iter(puts).buffer_unordered(AT_ONCE).collect());
        for one in done {
            one.expect("an object");
        }
    }

    /// Deletes an object.
    pub(crate) fn delete(&self, key: &str) {
        self.runtime.block_on(self.client.delete_object().bucket(BUCKET).key(key).send()).expect("it is deleted");
    }
}

async fn put(client: &Client, key: &str, body: &str) -> Result<(), String> {
    let request = client.put_object().bucket(BUCKET).key(key).body(ByteStream::from(body.as_bytes().to_vec()));
    request.send().await.map(drop).map_err(|error| DisplayErrorContext(error).to_string())
}

//! A client for any S3 server: it writes, reads and deletes objects with signed requests of the AWS
//! SDK.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, RequestChecksumCalculation};
use aws_sdk_s3::error::DisplayErrorContext;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    BucketVersioningStatus, DefaultRetention, Delete, ObjectIdentifier, ObjectLockConfiguration,
    ObjectLockEnabled, ObjectLockRetentionMode, ObjectLockRule, PublicAccessBlockConfiguration,
    ServerSideEncryption, ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration,
    ServerSideEncryptionRule, VersioningConfiguration,
};
use futures_util::StreamExt as _;
use tokio::runtime::Runtime;

use crate::world::BUCKET;

const CONCURRENT_REQUESTS: usize = 8;

/// An object: its body and its metadata.
pub type BodyAndMetadata = (Vec<u8>, HashMap<String, String>);

/// A client that may write to the bucket and delete from it.
#[derive(Clone)]
pub struct S3TestClient {
    client: Client,
    runtime: Arc<Runtime>,
}

impl S3TestClient {
    /// A client with the credentials of the profile `default`.
    pub fn new(endpoint: &str) -> Self {
        Self::with_credentials(endpoint, "AKIADEFAULT", "secret-of-default")
    }

    pub fn with_credentials(endpoint: &str, access_key: &str, secret: &str) -> Self {
        let settings = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(endpoint)
            .force_path_style(true)
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new(access_key, secret, None, None, "the test"))
            // The signature covers the body, so a second digest is not needed.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        Self {
            client: Client::from_conf(settings.build()),
            runtime: Arc::new(runtime),
        }
    }

    pub fn create_bucket(&self) {
        self.runtime
            .block_on(self.client.create_bucket().bucket(BUCKET).send())
            .expect("a bucket");
    }

    /// Creates another bucket, with an object lock of 30 days.
    pub fn create_locked_bucket(&self, bucket: &str) {
        let held = DefaultRetention::builder()
            .mode(ObjectLockRetentionMode::Governance)
            .days(30)
            .build();
        let rule = ObjectLockRule::builder().default_retention(held).build();
        let lock = ObjectLockConfiguration::builder()
            .object_lock_enabled(ObjectLockEnabled::Enabled)
            .rule(rule)
            .build();
        self.runtime.block_on(async {
            self.client
                .create_bucket()
                .bucket(bucket)
                .object_lock_enabled_for_bucket(true)
                .send()
                .await
                .expect("a bucket");
            let put = self
                .client
                .put_object_lock_configuration()
                .bucket(bucket)
                .object_lock_configuration(lock);
            put.send().await.expect("a lock");
        });
    }

    /// Enables versioning and encryption, and blocks public access.
    pub fn secure_bucket(&self) {
        self.enable_versioning();
        let by_default = ServerSideEncryptionByDefault::builder()
            .sse_algorithm(ServerSideEncryption::Aes256)
            .build()
            .expect("an algorithm");
        let rule = ServerSideEncryptionRule::builder()
            .apply_server_side_encryption_by_default(by_default)
            .build();
        let encryption = ServerSideEncryptionConfiguration::builder()
            .rules(rule)
            .build()
            .expect("a rule");
        let block = PublicAccessBlockConfiguration::builder()
            .block_public_acls(true)
            .ignore_public_acls(true);
        let block = block
            .block_public_policy(true)
            .restrict_public_buckets(true)
            .build();
        self.runtime.block_on(async {
            let put = self
                .client
                .put_bucket_encryption()
                .bucket(BUCKET)
                .server_side_encryption_configuration(encryption);
            put.send().await.expect("encryption");
            let put = self
                .client
                .put_public_access_block()
                .bucket(BUCKET)
                .public_access_block_configuration(block);
            put.send().await.expect("no public access");
        });
    }

    /// Writes an object, or returns the refusal of the server.
    pub fn try_put(&self, key: &str, body: &str) -> Result<(), String> {
        self.runtime.block_on(put_object(&self.client, key, body))
    }

    /// Writes an object.
    pub fn put(&self, key: &str, body: &str) {
        self.try_put(key, body)
            .unwrap_or_else(|why| panic!("put {key:?}: {why}"));
    }

    pub fn put_all(&self, objects: &[(String, String)]) {
        let puts = objects.iter().map(|(key, body)| async move {
            put_object(&self.client, key, body)
                .await
                .map_err(|why| format!("{key:?}: {why}"))
        });
        let done: Vec<_> = self.runtime.block_on(
            futures_util::stream::iter(puts)
                .buffer_unordered(CONCURRENT_REQUESTS)
                .collect(),
        );
        for one in done {
            one.expect("an object");
        }
    }

    /// Writes an object that must not exist yet.
    pub fn try_put_once(&self, key: &str, body: &str) -> Result<(), String> {
        let put = self
            .client
            .put_object()
            .bucket(BUCKET)
            .key(key)
            .if_none_match("*")
            .body(ByteStream::from(body.as_bytes().to_vec()));
        self.runtime
            .block_on(put.send())
            .map(drop)
            .map_err(|error| DisplayErrorContext(error).to_string())
    }

    /// Copies an object over another.
    pub fn try_copy(&self, from: &str, to: &str) -> Result<(), String> {
        let copy = self
            .client
            .copy_object()
            .bucket(BUCKET)
            .key(to)
            .copy_source(format!("{BUCKET}/{from}"));
        self.runtime
            .block_on(copy.send())
            .map(drop)
            .map_err(|error| DisplayErrorContext(error).to_string())
    }

    /// Reads an object.
    pub fn try_get(&self, key: &str) -> Result<(), String> {
        let get = self.client.get_object().bucket(BUCKET).key(key);
        self.runtime
            .block_on(get.send())
            .map(drop)
            .map_err(|error| DisplayErrorContext(error).to_string())
    }

    /// Lists a prefix, or the bucket.
    pub fn try_list(&self, prefix: Option<&str>) -> Result<(), String> {
        let list = self
            .client
            .list_objects_v2()
            .bucket(BUCKET)
            .set_prefix(prefix.map(str::to_owned));
        self.runtime
            .block_on(list.send())
            .map(drop)
            .map_err(|error| DisplayErrorContext(error).to_string())
    }

    /// Deletes an object, alone or as one of many.
    pub fn try_delete(&self, key: &str, of_many: bool) -> Result<(), String> {
        if !of_many {
            let delete = self.client.delete_object().bucket(BUCKET).key(key);
            return self
                .runtime
                .block_on(delete.send())
                .map(drop)
                .map_err(|error| DisplayErrorContext(error).to_string());
        }
        let object = ObjectIdentifier::builder()
            .key(key)
            .build()
            .expect("an object");
        let delete = Delete::builder().objects(object).build().expect("a list");
        let done = self.runtime.block_on(
            self.client
                .delete_objects()
                .bucket(BUCKET)
                .delete(delete)
                .send(),
        );
        let errors = done
            .map_err(|error| DisplayErrorContext(error).to_string())?
            .errors
            .unwrap_or_default();
        if errors.is_empty() {
            Ok(())
        } else {
            Err(format!("{errors:?}"))
        }
    }

    pub fn put_all_with<'a>(
        &self,
        objects: impl Iterator<Item = (&'a str, &'a str, &'a [(&'static str, String)])>,
    ) {
        let puts = objects.map(|(key, body, metadata)| {
            let put = self
                .client
                .put_object()
                .bucket(BUCKET)
                .key(key)
                .body(ByteStream::from(body.as_bytes().to_vec()));
            metadata
                .iter()
                .fold(put, |put, (name, value)| put.metadata(*name, value))
                .send()
        });
        let done: Vec<_> = self.runtime.block_on(
            futures_util::stream::iter(puts)
                .buffer_unordered(CONCURRENT_REQUESTS)
                .collect(),
        );
        for one in done {
            one.expect("an object");
        }
    }

    pub fn enable_versioning(&self) {
        let enabled = VersioningConfiguration::builder()
            .status(BucketVersioningStatus::Enabled)
            .build();
        let asked = self
            .client
            .put_bucket_versioning()
            .bucket(BUCKET)
            .versioning_configuration(enabled)
            .send();
        self.runtime
            .block_on(asked)
            .expect("a bucket with versions");
    }

    /// The ids of all versions of an object, the newest first.
    pub fn version_ids(&self, key: &str) -> Vec<String> {
        let listed = self
            .runtime
            .block_on(
                self.client
                    .list_object_versions()
                    .bucket(BUCKET)
                    .prefix(key)
                    .send(),
            )
            .expect("versions");
        let of_key = listed
            .versions
            .unwrap_or_default()
            .into_iter()
            .filter(|version| version.key.as_deref() == Some(key));
        of_key.filter_map(|version| version.version_id).collect()
    }

    /// Sends `rivals` conditional PUTs of one key at once, and returns how many succeeded.
    pub fn race_puts(&self, key: &str, rivals: usize) -> usize {
        let put = |number: usize| {
            let body = ByteStream::from(format!("{number}\n").into_bytes());
            self.client
                .put_object()
                .bucket(BUCKET)
                .key(key)
                .if_none_match("*")
                .body(body)
                .send()
        };
        let told = self
            .runtime
            .block_on(futures_util::future::join_all((0..rivals).map(put)));
        told.into_iter().flatten().count()
    }

    /// The keys below a prefix.
    pub fn list_keys(&self, prefix: &str) -> Vec<String> {
        let pages = self
            .client
            .list_objects_v2()
            .bucket(BUCKET)
            .prefix(prefix)
            .into_paginator()
            .send();
        let pages = self
            .runtime
            .block_on(pages.collect::<Result<Vec<_>, _>>())
            .expect("all pages");
        pages
            .into_iter()
            .flat_map(|page| page.contents.unwrap_or_default())
            .filter_map(|object| object.key)
            .collect()
    }

    /// The encryption of an object and its KMS key, as S3 names them.
    pub fn encryption_of(&self, key: &str) -> (Option<String>, Option<String>) {
        let head = self.client.head_object().bucket(BUCKET).key(key).send();
        let head = self.runtime.block_on(head).expect("an object");
        let algorithm = head.server_side_encryption.map(|it| it.to_string());
        (algorithm, head.ssekms_key_id)
    }

    /// Reads many objects in the order of `keys`; `None` for a missing one.
    pub fn get_all(&self, keys: &[String]) -> Vec<Option<BodyAndMetadata>> {
        let gets = keys.iter().map(|key| get_object(&self.client, key));
        self.runtime.block_on(
            futures_util::stream::iter(gets)
                .buffered(CONCURRENT_REQUESTS)
                .collect(),
        )
    }

    /// Deletes an object.
    pub fn delete(&self, key: &str) {
        self.runtime
            .block_on(self.client.delete_object().bucket(BUCKET).key(key).send())
            .expect("it is deleted");
    }
}

async fn put_object(client: &Client, key: &str, body: &str) -> Result<(), String> {
    let request = client
        .put_object()
        .bucket(BUCKET)
        .key(key)
        .body(ByteStream::from(body.as_bytes().to_vec()));
    request
        .send()
        .await
        .map(drop)
        .map_err(|error| DisplayErrorContext(error).to_string())
}

async fn get_object(client: &Client, key: &str) -> Option<BodyAndMetadata> {
    let object = client
        .get_object()
        .bucket(BUCKET)
        .key(key)
        .send()
        .await
        .ok()?;
    let metadata = object.metadata.unwrap_or_default();
    Some((
        object.body.collect().await.expect("a body").to_vec(),
        metadata,
    ))
}

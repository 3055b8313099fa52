//! GET requests: whole objects, or the bytes as they come.
//!
//! Must not know what the bytes mean. A server may state any length and send any number of bytes,
//! so each read has a limit.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use tokio::time::{Instant, timeout};

use crate::error::{CHECK_SERVER_HINT, Error, ErrorKind};
use crate::s3::error::root_cause;
use crate::s3::fast_get::{FastGetClient, FastGetOutcome};
use crate::s3::listing::versioned_key;
use crate::s3::store::{GET_VERSION_PERMISSION, ObjectStore, unexpected_s3_response};

const GET_PERMISSION: &str = "s3:GetObject";
/// The longest pause within a body.
const MAX_PAUSE: Duration = Duration::from_secs(20);
/// A body that comes more slowly than this in the long run is given up.
const MIN_BYTES_PER_SECOND: u64 = 4 << 10;
/// How much longer a body may take than at the lowest rate.
const EXTRA_BODY_TIME: Duration = Duration::from_mins(2);

/// Why a body cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    TooLarge,
    Stalled,
    /// It breaks off, or its checksum is not the stated one.
    Damaged(String),
}

/// Reads a body, and passes its parts on.
pub(super) async fn read_body(
    mut stream: ByteStream,
    max_bytes: u64,
    mut visit: impl FnMut(&[u8]),
) -> Result<(), BodyError> {
    let started = Instant::now();
    let mut bytes = 0;
    loop {
        let chunk = match timeout(MAX_PAUSE, stream.next()).await {
            Ok(None) => return Ok(()),
            Ok(Some(Ok(chunk))) => chunk,
            Ok(Some(Err(error))) => return Err(BodyError::Damaged(root_cause(&error))),
            Err(_) => return Err(BodyError::Stalled),
        };
        bytes += chunk.len() as u64;
        if bytes > max_bytes {
            return Err(BodyError::TooLarge);
        }
        let slowest = Duration::from_secs(bytes / MIN_BYTES_PER_SECOND);
        if started.elapsed() > EXTRA_BODY_TIME + slowest {
            return Err(BodyError::Stalled);
        }
        visit(&chunk);
    }
}

impl ObjectStore {
    /// Reads an object of at most `max_bytes`; `None` if it does not exist.
    pub async fn get_object(&self, key: &str, max_bytes: u64) -> Result<Option<Vec<u8>>, Error> {
        self.get_object_version(key, None, max_bytes).await
    }

    /// The current version, or the noncurrent `version`.
    pub async fn get_object_version(
        &self,
        key: &str,
        version: Option<&str>,
        max_bytes: u64,
    ) -> Result<Option<Vec<u8>>, Error> {
        let mut body = Vec::new();
        let add = |part: &[u8]| body.extend_from_slice(part);
        let is_there = self.visit_object(key, version, max_bytes, add).await?;
        Ok(is_there.then_some(body))
    }

    /// Passes the bytes of an object on, without holding them. `false` if it does not exist.
    pub async fn visit_object(
        &self,
        key: &str,
        version: Option<&str>,
        max_bytes: u64,
        visit: impl FnMut(&[u8]),
    ) -> Result<bool, Error> {
        let uri = self.object_uri(&versioned_key(key, version));
        let action = format!("get `{uri}`");
        let permission = match version {
            Some(_) => GET_VERSION_PERMISSION,
            None => GET_PERMISSION,
        };
        let answer = self.send_request(&action, permission, |s3| {
            s3.get_object()
                .bucket(&self.target.bucket)
                .key(key)
                .set_version_id(version.map(str::to_owned))
                .set_expected_bucket_owner(self.expected_owner())
                .send()
        });
        let object = match answer.await {
            Ok(object) => object,
            Err(error) if matches!(error.code.as_str(), "NoSuchKey" | "NoSuchVersion") => {
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        // A captive portal answers 200 to every request, but without an ETag.
        if object.e_tag.is_none() {
            return Err(unexpected_s3_response(&action));
        }
        match read_body(object.body, max_bytes, visit).await {
            Ok(()) => Ok(true),
            Err(BodyError::TooLarge) => Err(self.object_too_large(key, max_bytes)),
            Err(BodyError::Stalled) => Err(bad_body(&action, "its body comes too slowly")),
            Err(BodyError::Damaged(cause)) => Err(bad_body(&action, &cause)),
        }
    }

    /// As [`ObjectStore::get_object`], with less CPU time, for commands that read many objects.
    pub async fn get_small_object(
        &self,
        key: &str,
        max_bytes: u64,
    ) -> Result<Option<Vec<u8>>, Error> {
        let Some(client) = self.fresh_fast_client().await else {
            return self.get_object(key, max_bytes).await;
        };
        match client.get_object(key, max_bytes).await {
            FastGetOutcome::Object(body) => Ok(Some(body)),
            FastGetOutcome::NotFound => Ok(None),
            FastGetOutcome::TooLarge => Err(self.object_too_large(key, max_bytes)),
            FastGetOutcome::Throttled => {
                let uri = self.object_uri(key);
                let message = format!("cannot get `{uri}`: HTTP 503, SlowDown");
                let mut error = Error::new(ErrorKind::Service, message, "");
                error.status = Some(503);
                Err(error)
            }
            FastGetOutcome::RetryWithSdk => self.get_object(key, max_bytes).await,
        }
    }

    async fn fresh_fast_client(&self) -> Option<Arc<FastGetClient>> {
        let mut fast_client = self.fast_client.lock().await;
        if let Some(client) = fast_client.as_ref()
            && client.is_fresh()
        {
            return Some(Arc::clone(client));
        }
        let client = self.lock_client().clone();
        let opened = FastGetClient::open(&self.session, &client, &self.target.bucket).await;
        *fast_client = opened.map(Arc::new);
        fast_client.clone()
    }

    fn object_too_large(&self, key: &str, max_bytes: u64) -> Error {
        let uri = self.object_uri(key);
        let message = format!("cannot get `{uri}`: it has more than {max_bytes} bytes");
        Error::new(ErrorKind::Service, message, "")
    }
}

/// An answer that begins well and has an unusable body.
fn bad_body(action: &str, cause: &str) -> Error {
    let message = format!("cannot {action}: {cause}");
    let mut error = Error::new(ErrorKind::Network, message, CHECK_SERVER_HINT);
    error.has_bad_body = true;
    error
}

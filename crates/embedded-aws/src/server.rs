//! The server a test starts: a thread with its own runtime, stopped and joined when the handle goes.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use s3s::service::S3ServiceBuilder;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;

use crate::access::{AccessGate, AwsIdentity, IdentityTable};
use crate::data_folder::ObjectAttributes;
use crate::http_service::HttpService;
use crate::object_outputs::DEFAULT_TYPE;
use crate::policies::AccessPolicies;
use crate::request::RequestSummary;
use crate::request_log::RequestLog;
use crate::s3_api::S3Api;
use crate::store::ObjectStore;
use crate::sts::StsRoute;

/// The time for current requests after a stop.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

const LISTEN_BACKLOG: u32 = 1024;

/// A bucket of the server.
#[derive(Clone, Debug)]
pub struct BucketConfig {
    /// By S3's rules for bucket names.
    pub name: String,
    /// The only region in which the bucket answers, `eu-central-1`.
    pub region: String,
}

#[derive(Clone)]
pub struct ServerOptions {
    /// The folder with the objects; created if missing.
    pub data: PathBuf,
    /// Buckets to add to those in the folder.
    pub buckets: Vec<BucketConfig>,
    /// The identities that may sign requests; others get 403.
    pub identities: Vec<AwsIdentity>,
    /// A loopback address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// A file to append one JSON object per request to, with the fields of [`RequestSummary`].
    pub log: Option<PathBuf>,
}

/// A stored object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredObject {
    /// The content.
    pub body: Vec<u8>,
    /// User metadata, names in lower case without `x-amz-meta-`.
    pub metadata: BTreeMap<String, String>,
    /// In whole seconds.
    pub last_modified: SystemTime,
    /// The MD5 of the body in lower case hexadecimal, without the quotes of the header.
    pub etag: String,
    /// As sent, or S3's default `binary/octet-stream`.
    pub content_type: String,
    /// The encryption that the PUT asked for, as `AES256`.
    pub encryption: Option<String>,
    /// The KMS key that the PUT asked for.
    pub kms_key: Option<String>,
}

/// A running server. Dropped, it finishes the requests under way, stops and frees the port and the folder.
pub struct EmbeddedServer {
    address: SocketAddr,
    store: Arc<ObjectStore>,
    identities: IdentityTable,
    wire: Arc<HttpService>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl EmbeddedServer {
    /// Starts a server. When this returns, it accepts connections.
    ///
    /// # Errors
    /// If an option is not usable, the folder cannot be read or is served already, or the address is taken.
    pub fn start(options: ServerOptions) -> io::Result<EmbeddedServer> {
        check_options(&options)?;
        let buckets = options
            .buckets
            .iter()
            .map(|bucket| (bucket.name.as_str(), bucket.region.as_str()));
        let store = ObjectStore::open(&options.data, buckets)
            .map_err(|error| with_context(&error, "open data folder", &options.data.display()))?;
        let store = Arc::new(store);
        let log = RequestLog::open(options.log.as_deref())?;
        let identities = IdentityTable::new(options.identities)?;

        let mut builder = S3ServiceBuilder::new(S3Api {
            store: Arc::clone(&store),
            identities: identities.clone(),
        });
        builder.set_auth(identities.clone());
        builder.set_access(AccessGate {
            identities: identities.clone(),
            store: Arc::clone(&store),
        });
        builder.set_route(StsRoute(identities.clone()));
        let wire = Arc::new(HttpService {
            service: builder.build(),
            log,
            answered: AtomicU64::new(0),
        });

        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let listener = {
            let _here = runtime.enter();
            bind_listener(options.listen)
                .map_err(|error| with_context(&error, "listen on", &options.listen))?
        };
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let serving = Arc::clone(&wire);
        let thread = std::thread::Builder::new()
            .name("embedded-aws".to_owned())
            .spawn(move || {
                // The only error is that the listener cannot be registered. Then the thread ends as
                // after a stop.
                let _ = runtime.block_on(accept_connections(listener, serving, stopped));
                runtime.shutdown_timeout(SHUTDOWN_GRACE);
            })?;
        Ok(EmbeddedServer {
            address,
            store,
            identities,
            wire,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// The address for clients, `http://127.0.0.1:PORT`, of S3 and of STS.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Has these policies hold from now on, instead of those before.
    ///
    /// # Errors
    /// If one of them is no policy.
    pub fn govern(&self, policies: &AccessPolicies) -> io::Result<()> {
        self.identities.govern(policies)
    }

    /// Every request answered so far, refused ones included, in the order of the answers.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestSummary> {
        self.wire.log.requests()
    }

    /// An object, without checking permissions; `None` if it is missing or unreadable.
    #[must_use]
    pub fn object(&self, bucket: &str, key: &str) -> Option<StoredObject> {
        let (head, body) = self.store.get(bucket, key).ok()??;
        Some(StoredObject {
            body,
            metadata: head.attributes.metadata,
            last_modified: head.modified,
            etag: head.etag,
            content_type: head
                .attributes
                .content_type
                .unwrap_or_else(|| DEFAULT_TYPE.to_owned()),
            encryption: head.attributes.server_side_encryption,
            kms_key: head.attributes.kms_key_id,
        })
    }

    /// The keys that start with `prefix`, in the order of S3; none if the bucket is missing.
    #[must_use]
    pub fn keys(&self, bucket: &str, prefix: &str) -> Vec<String> {
        let matching = |objects: &crate::store::ObjectIndex| {
            let from_prefix = objects.range::<str, _>((
                std::ops::Bound::Included(prefix),
                std::ops::Bound::Unbounded,
            ));
            from_prefix
                .map(|(key, _)| key)
                .take_while(|key| key.starts_with(prefix))
                .cloned()
                .collect()
        };
        self.store.list(bucket, matching).unwrap_or_default()
    }

    /// Writes an object as of now, past all permissions and the log.
    ///
    /// # Errors
    /// If there is no such bucket, the key is empty or too long, or the files cannot be written.
    pub fn put(
        &self,
        bucket: &str,
        key: &str,
        body: &[u8],
        metadata: &[(&str, &str)],
    ) -> io::Result<()> {
        self.put_at(bucket, key, body, metadata, SystemTime::now())
    }

    /// As [`put`](EmbeddedServer::put), with the time S3 reports as `Last-Modified`, cut to whole seconds.
    ///
    /// # Errors
    /// As for [`put`](EmbeddedServer::put).
    pub fn put_at(
        &self,
        bucket: &str,
        key: &str,
        body: &[u8],
        metadata: &[(&str, &str)],
        modified: SystemTime,
    ) -> io::Result<()> {
        let metadata = metadata
            .iter()
            .map(|(name, value)| (name.to_lowercase(), (*value).to_owned()))
            .collect();
        let attributes = ObjectAttributes {
            metadata,
            ..ObjectAttributes::default()
        };
        let written = self
            .store
            .put(bucket, key, body, attributes, modified, |_| Ok(()));
        written
            .map(drop)
            .map_err(|error| io::Error::other(format!("cannot put `{bucket}/{key}`: {error}")))
    }

    /// Removes an object, past all permissions and the log.
    ///
    /// # Errors
    /// If there is no such bucket, or the files cannot be removed.
    pub fn delete(&self, bucket: &str, key: &str) -> io::Result<()> {
        self.store
            .delete(bucket, key, |_| Ok(()))
            .map_err(|error| io::Error::other(format!("cannot delete `{bucket}/{key}`: {error}")))
    }
}

impl Drop for EmbeddedServer {
    fn drop(&mut self) {
        // Fails only if the thread has already ended.
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn check_options(options: &ServerOptions) -> io::Result<()> {
    let refused = |message| Err(io::Error::new(ErrorKind::InvalidInput, message));
    if !options.listen.ip().is_loopback() {
        return refused(format!(
            "cannot listen on `{}`: not a loopback address, use 127.0.0.1",
            options.listen
        ));
    }
    for BucketConfig { name, region } in &options.buckets {
        if !s3s::path::check_bucket_name(name) {
            return refused(format!(
                "`{name}` is not a bucket name: 3 to 63 of a-z, 0-9, `.` and `-`"
            ));
        }
        if region.is_empty()
            || !region
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        {
            return refused(format!("`{region}` is not a region of bucket `{name}`"));
        }
    }
    Ok(())
}

fn with_context(error: &io::Error, action: &str, subject: &dyn std::fmt::Display) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("cannot {action} `{subject}`: {error}"),
    )
}

/// Needs a Tokio runtime.
fn bind_listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    // A client that opens hundreds of connections at once would otherwise wait a second for some of them.
    socket.listen(LISTEN_BACKLOG)
}

async fn accept_connections(
    listener: TcpListener,
    wire: Arc<HttpService>,
    mut stopped: oneshot::Receiver<()>,
) -> io::Result<()> {
    let connections = GracefulShutdown::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                // The client has disconnected, or file descriptors are exhausted; the next accept
                // may succeed.
                Err(_) => continue,
            },
            _ = &mut stopped => break,
        };
        let wire = Arc::clone(&wire);
        let service = service_fn(move |request| {
            let wire = Arc::clone(&wire);
            async move { wire.serve(request).await }
        });
        let connection = connections
            .watch(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        // The client notices a broken connection.
        tokio::spawn(async { drop(connection.await) });
    }
    drop(listener);
    let _ = tokio::time::timeout(SHUTDOWN_GRACE, connections.shutdown()).await;
    Ok(())
}

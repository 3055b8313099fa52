//! What clients of AWS rely on, asked over the wire with AWS's own SDK. The expected answers are those AWS documents.

use std::time::SystemTime;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use embedded_aws::{AwsIdentity, BucketConfig, EmbeddedServer, ServerOptions, demo_identities};
use tempfile::TempDir;

mod access;
mod listings;
mod objects;
mod policies;
mod program;

pub(crate) const JOHN: (&str, &str) = ("AKIADEMOJOHN00000000", "demo-secret-john");
pub(crate) const JANE: (&str, &str) = ("AKIADEMOJANE00000000", "demo-secret-jane");

/// A server with the buckets `backups` in eu-central-1 and `classic` in us-east-1, on a folder of its own.
pub(crate) struct World {
    pub(crate) server: EmbeddedServer,
    pub(crate) folder: TempDir,
}

impl World {
    pub(crate) fn new() -> World {
        World::with(demo_identities())
    }

    pub(crate) fn with(identities: Vec<AwsIdentity>) -> World {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let server = EmbeddedServer::start(server_options(&folder, identities)).expect("a server");
        World { server, folder }
    }

    /// The same folder under a new server.
    pub(crate) fn restart(self) -> World {
        drop(self.server);
        let server = EmbeddedServer::start(server_options(&self.folder, demo_identities()))
            .expect("a server on the same folder");
        World {
            server,
            folder: self.folder,
        }
    }

    pub(crate) fn s3_client(
        &self,
        (access_key, secret): (&str, &str),
        region: &'static str,
    ) -> Client {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(Credentials::new(access_key, secret, None, None, "test"))
            .region(Region::new(region))
            .endpoint_url(self.server.endpoint())
            .force_path_style(true)
            .retry_config(RetryConfig::disabled())
            .build();
        Client::from_conf(config)
    }

    pub(crate) fn client_of_john(&self) -> Client {
        self.s3_client(JOHN, "eu-central-1")
    }
}

fn server_options(folder: &TempDir, identities: Vec<AwsIdentity>) -> ServerOptions {
    let bucket = |name: &str, region: &str| BucketConfig {
        name: name.to_owned(),
        region: region.to_owned(),
    };
    ServerOptions {
        data: folder.path().join("data"),
        buckets: vec![
            bucket("backups", "eu-central-1"),
            bucket("classic", "us-east-1"),
        ],
        identities,
        listen: ([127, 0, 0, 1], 0).into(),
        log: Some(folder.path().join("requests.jsonl")),
    }
}

/// The status and the error code of a refusal; a HEAD request has no body and so no code but what the SDK makes of the status.
pub(crate) fn status_and_code<T, E: ProvideErrorMetadata>(
    result: Result<T, SdkError<E>>,
) -> (u16, String) {
    let error = result.err().expect("a refusal");
    let status = error.raw_response().expect("an answer").status().as_u16();
    (status, error.code().unwrap_or_default().to_owned())
}

#[test]
fn a_second_server_on_the_same_folder_is_refused() {
    let world = World::new();
    let error = EmbeddedServer::start(server_options(&world.folder, demo_identities()))
        .err()
        .expect("a refusal");
    assert!(
        error
            .to_string()
            .ends_with("another embedded-aws serves this folder"),
        "{error}"
    );
}

// The server gives current requests two seconds; there are none.
#[tokio::test]
async fn a_server_with_idle_clients_stops_at_once() {
    let world = World::new();
    let client = world.client_of_john();
    client.list_buckets().send().await.expect("an answer");
    let silent =
        std::net::TcpStream::connect(world.server.endpoint().trim_start_matches("http://"))
            .expect("a connection");
    let before = std::time::Instant::now();
    drop(world);
    assert!(
        before.elapsed() < std::time::Duration::from_secs(2),
        "{:?}",
        before.elapsed()
    );
    drop((client, silent));
}

#[test]
fn refuses_unusable_options_in_one_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let refused = |change: fn(&mut ServerOptions)| {
        let mut options = server_options(&folder, demo_identities());
        change(&mut options);
        EmbeddedServer::start(options)
            .err()
            .expect("a refusal")
            .to_string()
    };
    assert!(
        refused(|options| options.listen = ([0, 0, 0, 0], 0).into())
            .contains("not a loopback address")
    );
    assert!(
        refused(|options| options.buckets[0].name = "../up".into())
            .contains("is not a bucket name")
    );
    assert!(
        refused(|options| options.buckets[0].region = "Mars\n".into()).contains("is not a region")
    );
    assert!(
        refused(|options| options.log = Some("/nowhere/log".into()))
            .starts_with("cannot open log `/nowhere/log`: No such file")
    );
    assert!(
        refused(|options| options.identities.extend(demo_identities()))
            .contains("two identities have the access key")
    );
}

#[test]
fn puts_an_object_with_a_given_time() {
    let world = World::new();
    let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(1_000_000_000_999);
    world
        .server
        .put_at(
            "backups",
            "a/config.yaml",
            b"a: 1\n",
            &[("Author", "jane")],
            time,
        )
        .expect("seeded");
    let object = world
        .server
        .object("backups", "a/config.yaml")
        .expect("an object");
    assert_eq!(object.body, b"a: 1\n");
    assert_eq!(
        object.metadata.into_iter().collect::<Vec<_>>(),
        [("author".to_owned(), "jane".to_owned())]
    );
    assert_eq!(
        object.last_modified,
        SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000)
    );
    // printf 'a: 1\n' | md5sum
    assert_eq!(object.etag, "e0ccdaf42c593022e15b18cc0e96d201");
    assert_eq!(object.content_type, "binary/octet-stream");
    assert_eq!(world.server.keys("backups", "a/"), ["a/config.yaml"]);
    assert!(world.server.requests().is_empty());
    assert!(world.server.put("nowhere", "a", b"", &[]).is_err());
    assert!(world.server.put("backups", "", b"", &[]).is_err());
}

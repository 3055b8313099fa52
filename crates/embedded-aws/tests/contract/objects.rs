//! Objects and listings: conditions, what comes back, names of every kind.

use std::collections::BTreeSet;
use std::fs;

use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{
    ChecksumMode, Delete, EncodingType, ObjectIdentifier, ServerSideEncryption,
};
use tokio::task::JoinSet;

use crate::{World, status_and_code};

// `a` comes after the keys that need a folder of its name, `x` before them.
pub(crate) const HOSTILE: [&str; 17] = [
    "../../../outside",
    "..",
    ".",
    "/etc/passwd",
    "a//b",
    "a/",
    "a",
    "a/b/c",
    "a/b",
    "%2e%2e/%",
    "ü/日本 +&<>\"'.txt",
    "-/*?[]{}\\|:;",
    ".meta/x",
    "new\nline",
    "x",
    "x/y",
    "x/y/z",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_32_conditional_writers_exactly_one_wins() {
    let world = World::new();
    let mut writers = JoinSet::new();
    for number in 0..32 {
        let client = world.client_of_john();
        writers.spawn(async move {
            let body = ByteStream::from(format!("writer {number}").into_bytes());
            let put = client
                .put_object()
                .bucket("backups")
                .key("once")
                .if_none_match("*")
                .body(body);
            put.send()
                .await
                .map(|_| number)
                .map_err(|error| status_and_code::<(), _>(Err(error)))
        });
    }
    let results = writers.join_all().await;
    let winners: Vec<_> = results.iter().flatten().collect();
    assert_eq!(winners.len(), 1, "{results:?}");
    let losers: BTreeSet<_> = results
        .iter()
        .filter_map(|result| result.as_ref().err())
        .collect();
    assert_eq!(
        losers.into_iter().collect::<Vec<_>>(),
        [&(412, "PreconditionFailed".to_owned())]
    );
    let object = world.server.object("backups", "once").expect("an object");
    assert_eq!(object.body, format!("writer {}", winners[0]).into_bytes());
}

#[tokio::test]
async fn a_write_with_if_match_needs_that_very_object() {
    let world = World::new();
    let put = |condition: &str| {
        world
            .client_of_john()
            .put_object()
            .bucket("backups")
            .key("k")
            .if_match(condition)
            .body(vec![1].into())
    };
    assert_eq!(
        status_and_code(put("*").send().await),
        (404, "NoSuchKey".into())
    );
    world
        .server
        .put("backups", "k", b"hello world", &[])
        .expect("seeded");
    assert_eq!(
        status_and_code(put("\"d41d8cd98f00b204e9800998ecf8427e\"").send().await),
        (412, "PreconditionFailed".into())
    );
    // printf 'hello world' | md5sum
    put("\"5eb63bbbe01eeed093cb22bb8f5acdc3\"")
        .send()
        .await
        .expect("the right entity tag");
    assert_eq!(
        world.server.object("backups", "k").expect("an object").body,
        [1]
    );
}

#[tokio::test]
async fn what_is_put_with_an_object_comes_back() {
    let world = World::new();
    let client = world.client_of_john();
    let put = client
        .put_object()
        .bucket("backups")
        .key("team/config.yaml")
        .body(ByteStream::from_static(b"hello world"));
    let put = put
        .metadata("author", "john.doe")
        .metadata("Reason", "a b=c/ü")
        .content_type("application/yaml");
    let put = put
        .server_side_encryption(ServerSideEncryption::Aes256)
        .send()
        .await
        .expect("written");
    assert_eq!(put.e_tag(), Some("\"5eb63bbbe01eeed093cb22bb8f5acdc3\""));
    assert_eq!(
        put.server_side_encryption(),
        Some(&ServerSideEncryption::Aes256)
    );

    let head = client
        .head_object()
        .bucket("backups")
        .key("team/config.yaml")
        .send()
        .await
        .expect("there");
    assert_eq!(head.content_length(), Some(11));
    assert_eq!(head.content_type(), Some("application/yaml"));
    assert_eq!(head.checksum_crc32(), None);
    let metadata = head.metadata().expect("metadata");
    assert_eq!(metadata.get("author").map(String::as_str), Some("john.doe"));
    assert_eq!(metadata.len(), 2);

    let get = client
        .get_object()
        .bucket("backups")
        .key("team/config.yaml")
        .checksum_mode(ChecksumMode::Enabled);
    let get = get.send().await.expect("there");
    // The SDK sends the CRC-32 by default: zlib.crc32(b"hello world") as Base64.
    assert_eq!(get.checksum_crc32(), Some("DUoRhQ=="));
    assert_eq!(get.last_modified(), head.last_modified());
    assert_eq!(
        &get.body.collect().await.expect("a body").into_bytes()[..],
        b"hello world"
    );

    let part = client
        .get_object()
        .bucket("backups")
        .key("team/config.yaml")
        .range("bytes=6-")
        .send()
        .await
        .expect("there");
    assert_eq!(part.content_range(), Some("bytes 6-10/11"));
    assert_eq!(
        &part.body.collect().await.expect("a body").into_bytes()[..],
        b"world"
    );
    let beyond = client
        .get_object()
        .bucket("backups")
        .key("team/config.yaml")
        .range("bytes=11-")
        .send()
        .await;
    assert_eq!(status_and_code(beyond), (416, "InvalidRange".into()));
}

#[tokio::test]
async fn a_read_can_depend_on_tag_and_time() {
    let world = World::new();
    world
        .server
        .put("backups", "k", b"hello world", &[])
        .expect("seeded");
    let get = || {
        world
            .client_of_john()
            .get_object()
            .bucket("backups")
            .key("k")
    };
    assert_eq!(
        status_and_code(
            get()
                .if_none_match("\"5eb63bbbe01eeed093cb22bb8f5acdc3\"")
                .send()
                .await
        )
        .0,
        304
    );
    assert_eq!(
        status_and_code(get().if_match("\"other\"").send().await),
        (412, "PreconditionFailed".into())
    );
    assert_eq!(
        status_and_code(
            get()
                .if_unmodified_since(DateTime::from_secs(0))
                .send()
                .await
        ),
        (412, "PreconditionFailed".into())
    );
    get()
        .if_modified_since(DateTime::from_secs(0))
        .send()
        .await
        .expect("modified since 1970");
}

#[tokio::test]
async fn a_body_that_is_not_what_was_announced_is_refused() {
    let world = World::new();
    let put = || {
        world
            .client_of_john()
            .put_object()
            .bucket("backups")
            .key("k")
            .body(ByteStream::from_static(b"hello world"))
    };
    assert_eq!(
        status_and_code(put().content_md5("1B2M2Y8AsgTpgAmY7PhCfg==").send().await),
        (400, "BadDigest".into())
    );
    assert_eq!(
        status_and_code(put().checksum_crc32("AAAAAA==").send().await),
        (400, "BadDigest".into())
    );
    assert_eq!(world.server.object("backups", "k"), None);
}

#[tokio::test]
async fn hostile_keys_are_objects_inside_the_folder_and_outlast_a_restart() {
    let world = World::new();
    let client = world.client_of_john();
    for key in HOSTILE {
        let put = client
            .put_object()
            .bucket("backups")
            .key(key)
            .metadata("position", "1")
            .body(key.as_bytes().to_vec().into());
        put.send()
            .await
            .unwrap_or_else(|error| panic!("{key:?}: {error:?}"));
    }
    // The server writes only into its folder.
    let names = |path: &std::path::Path| -> BTreeSet<String> {
        let entries = fs::read_dir(path)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name());
        entries
            .map(|name| name.to_string_lossy().into_owned())
            .collect()
    };
    assert_eq!(
        names(world.folder.path()),
        BTreeSet::from(["data", "requests.jsonl"].map(str::to_owned))
    );
    let own = [".lock", ".meta", ".tmp", "backups", "classic"].map(str::to_owned);
    assert_eq!(
        names(&world.folder.path().join("data")),
        BTreeSet::from(own)
    );
    let plain = fs::read_to_string(world.folder.path().join("data/backups/ü/日本 +&<>\"'.txt"))
        .expect("a plain file");
    assert_eq!(plain, "ü/日本 +&<>\"'.txt");

    let world = world.restart();
    let client = world.client_of_john();
    for key in HOSTILE {
        let get = client
            .get_object()
            .bucket("backups")
            .key(key)
            .send()
            .await
            .unwrap_or_else(|error| panic!("{key:?}: {error:?}"));
        assert_eq!(
            get.metadata()
                .and_then(|metadata| metadata.get("position"))
                .map(String::as_str),
            Some("1"),
            "{key:?}"
        );
        assert_eq!(
            &get.body.collect().await.expect("a body").into_bytes()[..],
            key.as_bytes()
        );
    }
    let listed = client
        .list_objects_v2()
        .bucket("backups")
        .encoding_type(EncodingType::Url)
        .send()
        .await
        .expect("a page");
    assert_eq!(listed.key_count(), Some(17));
    assert!(
        listed
            .contents()
            .iter()
            .any(|object| object.key() == Some("new%0Aline")),
        "{listed:?}"
    );

    let keys = HOSTILE.map(|key| ObjectIdentifier::builder().key(key).build().expect("a key"));
    let delete = Delete::builder()
        .set_objects(Some(keys.to_vec()))
        .build()
        .expect("a list");
    let deleted = client
        .delete_objects()
        .bucket("backups")
        .delete(delete)
        .send()
        .await;
    assert_eq!(deleted.expect("deleted").deleted().len(), 17);
    assert_eq!(world.server.keys("backups", ""), Vec::<String>::new());
    assert_eq!(
        names(&world.folder.path().join("data/backups")),
        BTreeSet::new()
    );
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let world = World::new();
    let client = world.client_of_john();
    assert_eq!(
        status_and_code(client.get_object().bucket("backups").key("k").send().await),
        (404, "NoSuchKey".into())
    );
    assert_eq!(
        status_and_code(client.head_object().bucket("backups").key("k").send().await),
        (404, "NotFound".into())
    );
    assert_eq!(
        status_and_code(client.get_object().bucket("nowhere").key("k").send().await),
        (404, "NoSuchBucket".into())
    );
    assert_eq!(
        status_and_code(client.list_objects_v2().bucket("nowhere").send().await),
        (404, "NoSuchBucket".into())
    );
    assert_eq!(
        status_and_code(client.head_bucket().bucket("nowhere").send().await),
        (404, "NotFound".into())
    );
    client
        .delete_object()
        .bucket("backups")
        .key("k")
        .send()
        .await
        .expect("deleting nothing is not an error");
    let missing = client.get_object().bucket("backups").key("k").send().await;
    assert!(matches!(missing, Err(SdkError::ServiceError(error)) if error.err().is_no_such_key()));
}

#[tokio::test]
async fn an_object_can_be_copied() {
    let world = World::new();
    world
        .server
        .put("backups", "a b", b"hello world", &[("author", "jane")])
        .expect("seeded");
    let copy = world
        .client_of_john()
        .copy_object()
        .bucket("backups")
        .key("c")
        .copy_source("backups/a%20b")
        .send()
        .await
        .expect("copied");
    let tag = copy.copy_object_result().and_then(|result| result.e_tag());
    assert_eq!(tag, Some("\"5eb63bbbe01eeed093cb22bb8f5acdc3\""));
    assert_eq!(
        world
            .server
            .object("backups", "c")
            .expect("an object")
            .metadata["author"],
        "jane"
    );
}

//! Listings: pages, prefixes, delimiters and markers.

use std::collections::BTreeSet;

use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;

use crate::World;
use crate::objects::HOSTILE;

#[tokio::test]
async fn pages_of_2500_keys_are_the_sorted_keys() {
    let world = World::new();
    let mut expected: Vec<String> = (0..2490)
        .map(|number| format!("log/{}/{number:x} ü+%&<>'\"", number % 7))
        .collect();
    expected.extend(
        HOSTILE
            .iter()
            .filter(|key| !key.contains('\n'))
            .map(|key| format!("log/{key}")),
    );
    expected.extend(["log", "lo", "loh"].map(str::to_owned));
    for key in &expected {
        world.server.put("backups", key, b"x", &[]).expect("seeded");
    }
    expected.sort_unstable_by(|one, other| one.as_bytes().cmp(other.as_bytes()));
    assert_eq!(world.server.keys("backups", ""), expected);
    expected.retain(|key| key.starts_with("log/"));

    for page_size in [7, 5000] {
        let pages = world
            .client_of_john()
            .list_objects_v2()
            .bucket("backups")
            .prefix("log/")
            .max_keys(page_size)
            .into_paginator()
            .send();
        let pages = pages.collect::<Result<Vec<_>, _>>().await.expect("pages");
        let size = usize::try_from(page_size).expect("positive").min(1000);
        assert_eq!(pages.len(), expected.len().div_ceil(size));
        let keys: Vec<_> = pages
            .iter()
            .flat_map(ListObjectsV2Output::contents)
            .filter_map(|object| object.key())
            .collect();
        assert_eq!(keys, expected);
    }
    let after = world
        .client_of_john()
        .list_objects_v2()
        .bucket("backups")
        .start_after(&expected[1200])
        .max_keys(1)
        .send()
        .await
        .expect("a page");
    assert_eq!(after.contents()[0].key(), Some(expected[1201].as_str()));
    let rolled_up = world
        .client_of_john()
        .list_objects_v2()
        .bucket("backups")
        .prefix("log/")
        .delimiter("/")
        .send()
        .await
        .expect("a page");
    let prefixes: BTreeSet<_> = expected
        .iter()
        .filter_map(|key| key[4..].find('/').map(|at| key[..at + 5].to_owned()))
        .collect();
    let listed: BTreeSet<_> = rolled_up
        .common_prefixes()
        .iter()
        .filter_map(|common| common.prefix().map(str::to_owned))
        .collect();
    assert_eq!(listed, prefixes);
    assert_eq!(
        rolled_up.key_count(),
        Some(i32::try_from(rolled_up.contents().len() + prefixes.len()).expect("few"))
    );
}

#[tokio::test]
async fn the_first_version_of_listing_works_with_markers() {
    let world = World::new();
    for key in ["a/1", "a/2", "b/1", "c"] {
        world.server.put("backups", key, b"x", &[]).expect("seeded");
    }
    let list = || {
        world
            .client_of_john()
            .list_objects()
            .bucket("backups")
            .max_keys(1)
    };
    let page = list().delimiter("/").send().await.expect("a page");
    assert_eq!(
        (page.is_truncated(), page.next_marker()),
        (Some(true), Some("a/"))
    );
    let page = list()
        .delimiter("/")
        .marker("a/")
        .send()
        .await
        .expect("a page");
    assert_eq!(page.common_prefixes()[0].prefix(), Some("b/"));
    let page = list().marker("a/1").send().await.expect("a page");
    assert_eq!(
        (page.contents()[0].key(), page.next_marker()),
        (Some("a/2"), None)
    );
}

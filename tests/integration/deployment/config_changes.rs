//! Configs that change between deployments, return to an older content, or change between plan and
//! apply.

use std::collections::BTreeMap;

use test_support::oracle::python_digest;
use test_support::terraform_steps::{CustomerUnit, string_field};
use test_support::{BUCKET, CONFIG, CONFIG_MD5, World};

const CONFIG_KEY: &str = "terragrunt/airbnb/config.yaml";
const HISTORY: &str = "terragrunt/airbnb/config-history/";

fn changed_config() -> String {
    CONFIG.replace("instance_size: M30", "instance_size: M40")
}

fn bucket_config(world: &World) -> String {
    String::from_utf8(world.stored_config()).expect("UTF-8")
}

/// The history's bodies by the MD5 in their names.
fn history_copies(world: &World) -> BTreeMap<String, Vec<u8>> {
    let keys = world.server.keys(BUCKET, HISTORY);
    let md5 = |key: &str| {
        key.rsplit_once('_')
            .expect("a digest")
            .1
            .trim_end_matches(".yaml")
            .to_owned()
    };
    keys.iter()
        .map(|key| (md5(key), world.server.object(BUCKET, key).expect("it").body))
        .collect()
}

#[test]
fn a_changed_config_replaces_the_current_one_and_gets_a_history_copy() {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    let first = unit.deploy(&world).expect_success();
    unit.write_config(changed_config());
    let second = unit.deploy(&world).expect_success();
    assert_ne!(first.context["backup_id"], second.context["backup_id"]);
    assert_eq!(bucket_config(&world), changed_config());
    let new_md5 = python_digest("md5", changed_config().as_bytes());
    let expected = [
        (CONFIG_MD5.to_owned(), CONFIG.into()),
        (new_md5.clone(), changed_config().into_bytes()),
    ];
    assert_eq!(history_copies(&world), BTreeMap::from(expected));
    let (_, record) = second.record(&world);
    assert_eq!(
        (
            string_field(&record, "backup"),
            string_field(&record, "config_hash")
        ),
        ("uploaded", new_md5.as_str())
    );
    assert!(string_field(&record, "backup_key").ends_with(&format!("_{new_md5}.yaml")));
    let expected = format!(
        "config.yaml saved ({}, changed), deployment logged for john.doe: s3://",
        &new_md5[..8]
    );
    assert!(second.message().starts_with(&expected), "{second:?}");
}

#[test]
fn a_config_that_returns_to_an_older_content_is_current_again() {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    unit.deploy(&world).expect_success();
    unit.write_config(changed_config());
    unit.deploy(&world).expect_success();
    unit.write_config(CONFIG);
    let third = unit.deploy(&world).expect_success();
    assert_eq!(bucket_config(&world), CONFIG);
    assert_eq!(history_copies(&world).len(), 2, "two distinct versions");
    let (_, record) = third.record(&world);
    assert_eq!(
        (
            string_field(&record, "backup"),
            string_field(&record, "config_hash")
        ),
        ("uploaded", CONFIG_MD5)
    );
    let copy = world
        .server
        .object(BUCKET, string_field(&record, "backup_key"))
        .expect("the copy that the record names");
    assert_eq!(copy.body, CONFIG.as_bytes());
    let fourth = unit.deploy(&world).expect_success();
    assert_eq!(fourth.record(&world).1["backup_key"], record["backup_key"]);
}

#[test]
fn backs_up_and_reports_a_config_that_changes_between_plan_and_apply() {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    let context = unit.plan(&world);
    unit.write_config(changed_config());
    let deployed = unit.apply(&world, context);
    the_new_content_is_everywhere(&world, &deployed);
    assert_eq!(
        history_copies(&world).len(),
        1,
        "what was never deployed is not in the history"
    );
}

#[test]
fn a_config_that_changes_after_a_plan_that_found_it_stored_is_backed_up() {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    unit.deploy(&world).expect_success();
    let context = unit.plan(&world);
    unit.write_config(changed_config());
    let deployed = unit.apply(&world, context);
    the_new_content_is_everywhere(&world, &deployed);
    let next = unit.deploy(&world).expect_success();
    assert_eq!(next.record(&world).1["backup"], "unchanged");
}

fn the_new_content_is_everywhere(
    world: &World,
    deployed: &test_support::terraform_steps::AppliedDeployment,
) {
    let md5 = python_digest("md5", changed_config().as_bytes());
    let said = deployed.expect_warning();
    assert!(
        said.contains("config.yaml changed between plan and apply"),
        "{said}"
    );
    assert_eq!(string_field(&deployed.answer, "status"), "warning");
    assert_eq!(string_field(&deployed.answer, "config_hash"), md5);
    assert_eq!(bucket_config(world), changed_config());
    let (_, record) = deployed.record(world);
    assert_eq!(
        (
            string_field(&record, "config_hash"),
            string_field(&record, "backup")
        ),
        (md5.as_str(), "uploaded")
    );
    let copy = world
        .server
        .object(BUCKET, string_field(&record, "backup_key"))
        .expect("the copy that the record names");
    assert_eq!(copy.body, changed_config().as_bytes());
}

#[test]
fn backs_up_bytes_that_are_not_text() {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    let bytes: Vec<u8> =
        b"customer: {name: airbnb}\r\n# \xef\xbb\xbf end without a newline\t".to_vec();
    unit.write_config(&bytes);
    unit.deploy(&world).expect_success();
    assert_eq!(
        world
            .server
            .object(BUCKET, CONFIG_KEY)
            .expect("config.yaml")
            .body,
        bytes
    );
}

//! Buckets that refuse uploads without encryption, and the setting that asks for it.

use embedded_aws::AccessPolicies;
use serde_json::json;

use crate::compact::command::compact_successfully;
use crate::doctor::healthy::{prepare_customer_folder, run_doctor};
use test_support::faulty_proxy::{FaultyProxy, RequestFate};
use test_support::s3_backend::{S3Backend, S3ServerKind};
use test_support::terraform_steps::CustomerUnit;
use test_support::{BUCKET, World, refused_endpoint, to_text};

const KEY: &str = "alias/config-backup";
/// How S3 names the policy of a bucket (AWS, "Troubleshoot access denied errors in Amazon S3").
const REFUSAL: &str = "with an explicit deny in a resource-based policy";

/// The policy of the AWS documentation that requires `algorithm` of every upload.
fn demand_encryption(world: &World, algorithm: &str) {
    deny_puts(
        world,
        &json!({
            "StringNotEquals": { "s3:x-amz-server-side-encryption": algorithm },
        }),
    );
}

/// Denies uploads to which this condition applies.
fn deny_puts(world: &World, condition: &serde_json::Value) {
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": "arn:aws:s3:::mongodb-arena/*",
            "Condition": condition,
        }],
    });
    world
        .server
        .govern(&AccessPolicies {
            bucket: Some(policy.to_string()),
            ..AccessPolicies::default()
        })
        .expect("a policy");
}

/// Asserts that all objects in the bucket, which are at least `count`, asked for this encryption.
fn assert_encrypted(world: &World, count: usize, algorithm: &str, key: Option<&str>) {
    let keys = world.server.keys(BUCKET, "");
    assert!(keys.len() >= count, "{keys:?}");
    for name in keys {
        let object = world.server.object(BUCKET, &name).expect("an object");
        assert_eq!(object.encryption.as_deref(), Some(algorithm), "{name}");
        assert_eq!(object.kms_key.as_deref(), key, "{name}");
    }
}

fn count_refused_puts(world: &World) -> usize {
    let requests = world.server.requests();
    let refused = requests
        .iter()
        .filter(|it| it.operation == "PutObject" && it.status == 403);
    refused.count()
}

/// Deploys while S3 cannot be reached, so that config and record are spooled.
fn deploy_offline(world: &mut World, unit: &CustomerUnit) {
    world.set_s3_endpoint(&refused_endpoint());
    unit.deploy(world).expect_warning();
    assert_eq!(world.spooled_items().len(), 2);
    world.restore_endpoints();
}

#[test]
fn the_setting_asks_for_encryption_in_every_upload() {
    let key_setting = format!("aws:kms:{KEY}");
    for (setting, algorithm, key) in [
        ("AES256", "AES256", None),
        ("aws:kms", "aws:kms", None),
        (&key_setting, "aws:kms", Some(KEY)),
    ] {
        let world = World::new();
        demand_encryption(&world, algorithm);
        let mut unit = CustomerUnit::new(&world);
        unit.set_variable("bucket_encryption", setting);
        unit.deploy(&world).expect_success();
        // The copy, `config.yaml`, the record and the seal.
        assert_encrypted(&world, 4, algorithm, key);
        assert_eq!(count_refused_puts(&world), 0, "{setting}");
    }
}

#[test]
fn without_the_setting_no_upload_asks_for_encryption() {
    let world = World::new();
    CustomerUnit::new(&world).deploy(&world).expect_success();
    for name in world.server.keys(BUCKET, "") {
        let object = world.server.object(BUCKET, &name).expect("an object");
        assert_eq!(object.encryption, None, "{name}");
    }
}

#[test]
fn another_server_stores_the_encryption_that_is_set() {
    let backend = S3Backend::new(S3ServerKind::Moto);
    let mut unit = CustomerUnit::new(&backend.world);
    unit.set_variable("bucket_encryption", "aws:kms:alias/config-backup");
    unit.deploy(&backend.world).expect_success();
    let keys = backend.client.list_keys("");
    assert!(keys.len() >= 4, "{keys:?}");
    for key in keys {
        let (algorithm, kms_key) = backend.client.encryption_of(&key);
        assert_eq!(algorithm.as_deref(), Some("aws:kms"), "{key}");
        let kms_key = kms_key.unwrap_or_default();
        assert!(kms_key.ends_with(KEY), "{key}: {kms_key}");
    }
}

#[test]
fn finds_the_encryption_that_the_bucket_demands_and_says_so_once() {
    for algorithm in ["AES256", "aws:kms"] {
        let world = World::new();
        demand_encryption(&world, algorithm);
        let unit = CustomerUnit::new(&world);
        let deployed = unit.deploy(&world);
        let setting = format!("set CONFIG_BACKUP_BUCKET_ENCRYPTION={algorithm}, ");
        let said = deployed.expect_warning();
        assert!(said.contains(&setting), "{said}");
        assert!(
            said.contains("config.yaml saved (698bc8b0, new), "),
            "{said}"
        );
        assert_eq!(deployed.record(&world).1["backup"], "uploaded");
        assert_eq!(world.spooled_items(), [""; 0]);
        assert_encrypted(&world, 4, algorithm, None);

        unit.write_config("customer:\n  name: airbnb\n");
        unit.deploy(&world).expect_success();
        assert_encrypted(&world, 6, algorithm, None);
    }
}

#[test]
fn one_refused_upload_is_enough_to_know_the_encryption() {
    let mut world = World::new();
    let unit = CustomerUnit::new(&world);
    for day in 1..=3 {
        unit.write_config(format!("customer:\n  name: airbnb\nday: {day}\n"));
        world.set_s3_endpoint(&refused_endpoint());
        unit.deploy(&world).expect_warning();
        world.restore_endpoints();
    }
    assert_eq!(world.spooled_items().len(), 6);
    demand_encryption(&world, "AES256");
    let replayed = world.helper_command(&["replay"]).output().expect("replay");
    assert_eq!(to_text(&replayed.stdout), "6 sent, 0 left\n");
    assert_encrypted(&world, 7, "AES256", None);
    assert_eq!(count_refused_puts(&world), 1);
}

#[test]
fn a_bucket_that_denies_uploads_with_every_encryption_is_reported_as_before() {
    for condition in [json!({}), json!({ "Null": { "s3:if-match": "true" } })] {
        let world = World::new();
        deny_puts(&world, &condition);
        let deployed = CustomerUnit::new(&world).deploy(&world);
        let said = deployed.expect_warning();
        assert!(said.contains(REFUSAL), "{said}");
        assert!(!said.contains("BUCKET_ENCRYPTION"), "{said}");
        assert_eq!(world.spooled_items().len(), 2);
        assert_eq!(world.server.keys(BUCKET, ""), [""; 0]);
    }
}

#[test]
fn a_missing_permission_is_not_tried_again_with_encryption() {
    let world = World::new();
    let mut unit = CustomerUnit::new(&world);
    unit.set_variable("aws_profile", "reader");
    let deployed = unit.deploy(&world);
    let said = deployed.expect_warning();
    assert!(
        said.contains("ask for the permission s3:PutObject"),
        "{said}"
    );
    // The copy and the record; the seal is not tried without the record.
    assert!(
        count_refused_puts(&world) <= 3,
        "{:?}",
        world.server.requests()
    );
}

#[test]
fn a_refused_key_is_not_avoided_by_another_encryption() {
    const REFUSED_KEY: &str = "<Error><Code>AccessDenied</Code><Message>User: arn:aws:iam::123456789012:user/jane is not \
        authorized to perform: kms:GenerateDataKey on resource: arn:aws:kms:us-east-1:123456789012:key/k \
        with an explicit deny in a resource-based policy</Message></Error>";
    let mut world = World::new();
    let unit = CustomerUnit::new(&world);
    let copies = "PUT /mongodb-arena/terragrunt/airbnb/config-history/";
    let proxy = FaultyProxy::start(&world.server.endpoint(), move |line| {
        if line.starts_with(copies) {
            RequestFate::Answer("403 Forbidden", REFUSED_KEY)
        } else {
            RequestFate::Pass
        }
    });
    world.set_endpoint(&proxy.endpoint());
    let deployed = unit.deploy(&world);
    let said = deployed.expect_warning();
    assert!(said.contains("kms:GenerateDataKey"), "{said}");
    assert_eq!(proxy.count_requests(copies), 1);
}

#[test]
fn a_setting_that_the_bucket_refuses_is_not_replaced() {
    let world = World::new();
    demand_encryption(&world, "aws:kms");
    let mut unit = CustomerUnit::new(&world);
    unit.set_variable("bucket_encryption", "AES256");
    let deployed = unit.deploy(&world);
    assert!(deployed.expect_warning().contains(REFUSAL), "{deployed:?}");
    assert_eq!(world.server.keys(BUCKET, ""), [""; 0]);

    // `replay` replaces the setting of the spooled uploads.
    let replay = |arguments: &[&str]| {
        let output = world.helper_command(arguments).output().expect("replay");
        to_text(&output.stdout)
    };
    assert_eq!(replay(&["replay"]), "0 sent, 2 left\n");
    let arguments = ["replay", "--bucket-encryption", "aws:kms"];
    assert_eq!(replay(&arguments), "2 sent, 0 left\n");
    assert_encrypted(&world, 4, "aws:kms", None);
}

#[test]
fn a_spooled_upload_keeps_its_setting() {
    let mut world = World::new();
    let mut unit = CustomerUnit::new(&world);
    unit.set_variable("bucket_encryption", "aws:kms:alias/config-backup");
    deploy_offline(&mut world, &unit);
    let replayed = world.helper_command(&["replay"]).output().expect("replay");
    assert_eq!(to_text(&replayed.stdout), "2 sent, 0 left\n");
    assert_encrypted(&world, 4, "aws:kms", Some(KEY));

    // The next deployment without the setting sends it, too.
    unit.write_config("customer:\n  name: airbnb\nday: 2\n");
    deploy_offline(&mut world, &unit);
    unit.unset_variable("bucket_encryption");
    unit.write_config("customer:\n  name: airbnb\nday: 3\n");
    unit.deploy(&world).expect_success();
    assert_eq!(world.spooled_items(), [""; 0]);
    let copies = world
        .server
        .keys(BUCKET, "terragrunt/airbnb/config-history/");
    let encryptions: Vec<_> = copies
        .iter()
        .map(|key| world.server.object(BUCKET, key).expect("a copy").kms_key)
        .collect();
    assert_eq!(encryptions.iter().flatten().count(), 2, "{encryptions:?}");
    assert_eq!(encryptions.len(), 3);
}

#[test]
fn an_upload_that_was_spooled_without_the_setting_gets_that_of_the_next_deployment() {
    let mut world = World::new();
    let mut unit = CustomerUnit::new(&world);
    deploy_offline(&mut world, &unit);
    demand_encryption(&world, "aws:kms");
    unit.set_variable("bucket_encryption", "aws:kms");
    unit.deploy(&world).expect_success();
    assert_eq!(world.spooled_items(), [""; 0]);
    assert_eq!(count_refused_puts(&world), 0);
    assert_encrypted(&world, 5, "aws:kms", None);
}

#[test]
fn a_wrong_setting_is_a_warning_and_the_rest_works() {
    let world = World::new();
    let mut unit = CustomerUnit::new(&world);
    unit.set_variable("bucket_encryption", "AES-256");
    let deployed = unit.deploy(&world);
    let said = deployed.expect_warning();
    let problem = "the setting `bucket_encryption` must be AES256, aws:kms or aws:kms:KEY; \
                   the bucket's default is used";
    assert!(
        said.contains(problem) && !said.contains("AES-256"),
        "{said}"
    );
    assert_eq!(deployed.record(&world).1["backup"], "uploaded");
}

#[test]
fn a_command_that_writes_refuses_a_wrong_setting_and_one_that_reads_ignores_it() {
    let mut world = World::new();
    CustomerUnit::new(&world).deploy(&world).expect_success();
    world.set_variable("CONFIG_BACKUP_BUCKET_ENCRYPTION", Some("AES-256"));
    for (command, code) in [("doctor", 2), ("replay", 2), ("compact", 2), ("status", 0)] {
        let output = world.helper_command(&[command]).output().expect("it");
        let said = to_text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{command}: {said}");
        let form = "must be AES256, aws:kms or aws:kms:KEY";
        assert_eq!(said.contains(form), code == 2, "{command}: {said}");
    }
    let arguments = ["report", "--profile", "default"];
    let report = world.helper_command(&arguments).output().expect("report");
    assert_eq!(report.status.code(), Some(0), "{report:?}");
}

#[test]
fn compact_asks_for_the_encryption_that_is_set_or_demanded() {
    for setting in [None, Some("aws:kms:alias/config-backup")] {
        let mut world = World::new();
        let key = "usage-logs/acme/2025-10-30_143052.json";
        let record =
            "{\"timestamp\":\"2025-10-30T14:30:52Z\",\"customer\":\"acme\",\"user\":\"u\"}";
        world
            .server
            .put(BUCKET, key, record.as_bytes(), &[])
            .expect("a record");
        demand_encryption(&world, "aws:kms");
        world.set_variable("CONFIG_BACKUP_BUCKET_ENCRYPTION", setting);
        compact_successfully(&world, &[]);
        let archive = world.server.keys(BUCKET, "usage-logs-archive/");
        assert_eq!(archive.len(), 1, "{archive:?}");
        let file = world.server.object(BUCKET, &archive[0]).expect("a file");
        assert_eq!(file.encryption.as_deref(), Some("aws:kms"));
        assert_eq!(file.kms_key.as_deref(), setting.and(Some(KEY)));
    }
}

#[test]
fn doctor_names_the_setting_that_the_bucket_demands() {
    let mut world = World::new();
    let folder = prepare_customer_folder(&mut world);
    let folder = folder.to_str().expect("UTF-8");
    demand_encryption(&world, "aws:kms");
    run_doctor(&world, &[folder])
        .assert_no_problem()
        .assert_check(
            "encryption",
            "note",
            "aws:kms: the bucket's policy refuses uploads that do not ask for it",
            "set CONFIG_BACKUP_BUCKET_ENCRYPTION=aws:kms",
        );
    world.set_variable("CONFIG_BACKUP_BUCKET_ENCRYPTION", Some("aws:kms"));
    let refused = count_refused_puts(&world);
    run_doctor(&world, &[folder])
        .assert_no_problem()
        .assert_check("encryption", "ok", "aws:kms", "");
    assert_eq!(count_refused_puts(&world), refused);
    run_doctor(&world, &[folder, "--bucket-encryption", "AES256"])
        .assert_failed(5, &["s3:PutObject"])
        .assert_check("s3:PutObject", "bad", REFUSAL, "");
}

//! `context`: its answer to a plan, and that a plan writes nothing.

use std::collections::BTreeSet;
use std::fs;

use serde_json::json;

use test_support::oracle::{python_digest, unix_now, wait_for_next_second};
use test_support::terraform_steps::{CustomerUnit, parse_external_answer, string_field};
use test_support::{
    BUCKET, CONFIG, CONFIG_MD5, JANE_ARN, JOHN_ARN, World, refused_endpoint, run_with_input,
    to_text,
};

#[test]
fn a_plan_for_an_empty_bucket_has_hash_caller_fields_and_a_new_id() {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    let answer = unit.plan(&world);
    // The values of config.yaml, of the profile `default`, and md5sum's.
    let credentials_id = &python_digest("sha256", b"AKIADEFAULT")[..16];
    let expected = json!({
        "status": "ok", "message": "", "config_hash": CONFIG_MD5,
        "account": "123456789012", "caller_arn": JOHN_ARN, "user_id": "AIDADEFAULT", "credentials_id": credentials_id,
        "customer": "airbnb", "project_name": "airbnb-project", "cluster_name": "arena-cluster", "additional_users_count": "5",
        "backup_id": answer["backup_id"], "backup_key": "", "deployment_id": answer["deployment_id"],
        "pending": "0", "spent_ms": answer["spent_ms"], "version": env!("CARGO_PKG_VERSION"),
    });
    assert_eq!(answer, expected);
    assert!(
        string_field(&answer, "backup_id").len() > 20
            && string_field(&answer, "deployment_id").len() > 20,
        "{answer}"
    );
    assert!(
        string_field(&answer, "spent_ms").parse::<u64>().is_ok(),
        "{answer}"
    );
}

#[test]
fn a_plan_for_an_up_to_date_bucket_has_the_stored_id_and_key() {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    let in_bucket = |sha256: &str| {
        let metadata = [
            ("md5", CONFIG_MD5),
            ("sha256", sha256),
            ("backup-id", "of-july"),
            ("deployment-id", "d"),
            ("captured-at", "2026-07-01T10:11:12Z"),
        ];
        world
            .server
            .put(
                BUCKET,
                "terragrunt/airbnb/config.yaml",
                CONFIG.as_bytes(),
                &metadata,
            )
            .expect("an object");
        unit.plan(&world)
    };
    let answer = in_bucket(&python_digest("sha256", CONFIG.as_bytes()));
    assert_eq!(string_field(&answer, "backup_id"), "of-july");
    assert_eq!(
        string_field(&answer, "backup_key"),
        "terragrunt/airbnb/config-history/2026-07-01_101112_698bc8b0da0b9bb6e25a76e112e4bd97.yaml"
    );
    assert_eq!(
        (
            string_field(&answer, "status"),
            string_field(&answer, "message")
        ),
        ("ok", "")
    );

    let answer = in_bucket(&python_digest("sha256", b"other bytes with the same MD5"));
    assert_ne!(
        string_field(&answer, "backup_id"),
        "of-july",
        "MD5 alone does not make two configs the same"
    );
    assert_eq!(string_field(&answer, "backup_key"), "");
}

#[test]
fn a_config_of_the_legacy_module_is_not_up_to_date() {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    world
        .server
        .put(
            BUCKET,
            "terragrunt/airbnb/config.yaml",
            CONFIG.as_bytes(),
            &[],
        )
        .expect("an object");
    let answer = unit.plan(&world);
    assert_eq!(
        (
            string_field(&answer, "status"),
            string_field(&answer, "backup_key")
        ),
        ("ok", "")
    );
}

#[test]
fn a_plan_leaves_no_trace_on_this_machine_or_in_the_bucket() {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    let files = || -> BTreeSet<String> {
        let find = to_text(
            &world
                .command("find")
                .args([".", "-path", "./s3", "-prune", "-o", "-print"])
                .output()
                .expect("find")
                .stdout,
        );
        find.lines().map(str::to_owned).collect()
    };
    let before = files();
    assert!(
        before.contains("./customers of ours/airbnb/config.yaml"),
        "{before:?}"
    );
    unit.plan(&world);
    unit.plan(&world);
    assert_eq!(files(), before);
    assert!(!world.state_dir().exists());
    let mut asked: Vec<String> = world
        .server
        .requests()
        .into_iter()
        .map(|it| it.operation)
        .collect();
    asked.sort();
    assert_eq!(
        asked,
        [
            "GetCallerIdentity",
            "GetCallerIdentity",
            "HeadObject",
            "HeadObject"
        ]
    );
    assert_eq!(world.server.keys(BUCKET, ""), Vec::<String>::new());
}

#[test]
fn every_plan_gets_a_deployment_id_of_its_own_even_within_a_second() {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    unit.deploy(&world).expect_success();
    let (one, two) = (unit.plan(&world), unit.plan(&world));
    assert_ne!(one["deployment_id"], two["deployment_id"]);
    assert_eq!(
        one["backup_id"], two["backup_id"],
        "the bucket's version has one id"
    );
}

#[test]
fn a_plan_counts_pending_items_and_leaves_them() {
    let mut world = World::new();
    let unit = CustomerUnit::new(&world);
    world.set_endpoint(&refused_endpoint());
    unit.deploy(&world);
    let kept = world.spooled_items();
    world.restore_endpoints();
    wait_for_next_second(unix_now());
    assert_eq!(
        (string_field(&unit.plan(&world), "pending"), kept.len()),
        ("2", 2)
    );
    assert_eq!(world.spooled_items(), kept);
    assert_eq!(world.count_requests("PutObject", ""), 0);
}

#[test]
fn without_a_command_a_query_on_a_pipe_is_answered_as_context() {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    unit.deploy(&world).expect_success();
    let output = run_with_input(
        world.helper_command(&[]),
        unit.query().to_string().as_bytes(),
    );
    assert_eq!(
        (output.status.code(), to_text(&output.stderr)),
        (Some(0), String::new())
    );
    let (mut bare, mut named) = (
        parse_external_answer(&to_text(&output.stdout)),
        unit.plan(&world),
    );
    for answer in [&mut bare, &mut named] {
        let fields = answer.as_object_mut().expect("an object");
        assert!(fields.remove("deployment_id").is_some() && fields.remove("spent_ms").is_some());
    }
    assert_eq!(bare, named);
}

#[test]
fn the_modules_variables_override_the_file() {
    let world = World::new();
    let mut unit = CustomerUnit::new(&world);
    for (key, value) in [
        ("customer_name", "other"),
        ("aws_profile", "jane"),
        ("project_name", "p \"2\""),
        ("cluster_name", "c\n3"),
        ("additional_users_count", "0"),
    ] {
        unit.set_variable(key, value);
    }
    let answer = unit.plan(&world);
    for (key, value) in [
        ("customer", "other"),
        ("caller_arn", JANE_ARN),
        ("user_id", "AIDAJANE"),
        ("project_name", "p \"2\""),
        // An answer is in Terraform's state, so each text is one line.
        ("cluster_name", "c 3"),
        ("additional_users_count", "0"),
        ("status", "ok"),
    ] {
        assert_eq!(string_field(&answer, key), value, "{key}");
    }
    let looked_at: Vec<String> = world
        .server
        .requests()
        .into_iter()
        .map(|it| it.key)
        .filter(|key| !key.is_empty())
        .collect();
    assert_eq!(looked_at, ["terragrunt/other/config.yaml"]);
}

#[test]
fn a_config_without_a_customer_is_that_of_its_folder() {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    fs::write(&unit.config, "aws: {profile: default}\n").expect("a config");
    assert_eq!(string_field(&unit.plan(&world), "customer"), "airbnb");
}

#[test]
fn a_customers_odd_name_cannot_leave_its_prefix() {
    let world = World::new();
    let mut unit = CustomerUnit::new(&world);
    for name in ["../../etc", "a/b", "..", "Foo Bar", "é", "a\0b"] {
        unit.set_variable("customer_name", name);
        let deployed = unit.deploy(&world).expect_success();
        let harmless = name.replace('\0', "\u{fffd}");
        assert_eq!(string_field(&deployed.context, "customer"), harmless);
        let (key, record) = deployed.record(&world);
        assert_eq!(record["customer"], name);
        assert_eq!(key.matches('/').count(), 2, "{key}");
    }
    let folders: BTreeSet<String> = world
        .server
        .keys(BUCKET, "terragrunt/")
        .iter()
        .map(|key| key.split('/').nth(1).unwrap().to_owned())
        .collect();
    assert_eq!(folders.len(), 6, "one folder for each name: {folders:?}");
    assert!(
        folders
            .iter()
            .all(|folder| folder != ".." && folder != "." && !folder.is_empty()),
        "{folders:?}"
    );
}

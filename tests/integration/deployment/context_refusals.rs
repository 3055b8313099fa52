//! The answers of `context`, `deploy` and `fallback` to an unusable query: always one answer and
//! exit code 0.

use serde_json::{Value, json};

use test_support::terraform_steps::{
    CustomerUnit, parse_external_answer, run_deploy, string_field,
};
use test_support::{BUCKET, World, run_with_input, to_text};

fn run_command(world: &World, command: &str, input: &[u8]) -> String {
    let output = run_with_input(world.helper_command(&[command]), input);
    assert_eq!(
        (output.status.code(), to_text(&output.stderr)),
        (Some(0), String::new()),
        "{command}"
    );
    to_text(&output.stdout)
}

fn query_with(unit: &CustomerUnit, key: &str, value: Value) -> Value {
    let mut query = unit.query();
    query[key] = value;
    query
}

/// Unreadable queries, and the words that the answer must contain.
fn unreadable_queries(unit: &CustomerUnit) -> Vec<(Vec<u8>, &'static str)> {
    let mut without = unit.query();
    without
        .as_object_mut()
        .expect("an object")
        .remove("config_file_path");
    vec![
        (
            query_with(unit, "config_file_path", json!(""))
                .to_string()
                .into_bytes(),
            "`config_file_path` is missing",
        ),
        (
            without.to_string().into_bytes(),
            "`config_file_path` is missing",
        ),
        (b"".to_vec(), "not JSON"),
        (b"{\"config_file_path\":".to_vec(), "not JSON"),
        (
            b"{\"request\":\"{\"}".to_vec(),
            "`request` in the query on stdin: not JSON",
        ),
        (b"{\"request\":\"7\"}".to_vec(), "not a JSON object"),
        (b"[]".to_vec(), "not a JSON object"),
        (b"\xff\xfe".to_vec(), "not JSON"),
        (vec![b' '; 2 << 20], "longer than"),
    ]
}

/// Invalid settings, and the words that the answer must contain.
fn wrong_settings() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        (
            "buckett",
            json!("b"),
            "the setting `buckett` is unknown and ignored",
        ),
        (
            "timeout",
            json!("ten"),
            "the setting `timeout` must be a whole number of seconds from 1 to 300; 10 is used",
        ),
        (
            "timeout",
            json!("3600"),
            "the setting `timeout` must be a whole number of seconds from 1 to 300; 10 is used",
        ),
        (
            "timeout",
            json!("0"),
            "the setting `timeout` must be a whole number of seconds from 1 to 300; 10 is used",
        ),
        (
            "additional_users_count",
            json!("-1"),
            "the setting `additional_users_count` must be a whole number",
        ),
        (
            "additional_users_count",
            json!([1]),
            "the setting `additional_users_count` must be a whole number",
        ),
        (
            "bucket_region",
            json!("nowhere"),
            "the setting `bucket_region` must be an AWS region",
        ),
        (
            "bucket_region",
            json!(["us-east-1"]),
            "the setting `bucket_region` must be an AWS region",
        ),
        (
            "bucket_encryption",
            json!("aes256"),
            "the setting `bucket_encryption` must be AES256, aws:kms or aws:kms:KEY; \
             the bucket's default is used",
        ),
        (
            "bucket_encryption",
            json!(["aws:kms"]),
            "the setting `bucket_encryption` must be AES256, aws:kms or aws:kms:KEY",
        ),
        (
            "project_name",
            json!({ "a": 1 }),
            "the setting `project_name` must be a text, not an object; the value in config.yaml is used",
        ),
        (
            "customer_name",
            json!("[\"acme\"]"),
            "the setting `customer_name` must be a text, not an array; the value in config.yaml is used",
        ),
        (
            "aws_profile",
            json!(true),
            "the setting `aws_profile` must be a text, not a boolean; the value in config.yaml is used",
        ),
    ]
}

#[test]
fn names_the_problem_of_an_unreadable_query() {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    for (query, words) in unreadable_queries(&unit) {
        for command in ["context", "deploy"] {
            let answer = parse_external_answer(&run_command(&world, command, &query));
            assert_eq!(
                string_field(&answer, "status"),
                "error",
                "{command}: {words}"
            );
            assert!(
                string_field(&answer, "message").contains(words),
                "{command}, {words}: {answer}"
            );
        }
        let line = run_command(&world, "fallback", &query);
        assert!(
            line.starts_with("config-backup: WARNING: the deployment is not logged: ")
                && line.matches('\n').count() == 1,
            "{line}"
        );
    }
    assert_eq!(
        world.server.requests().len(),
        0,
        "no request is made for a query that is not understood"
    );
    assert_eq!(world.spooled_items(), Vec::<String>::new());
}

#[test]
fn warns_of_a_wrong_setting_and_still_backs_up_and_logs() {
    for (key, value, words) in wrong_settings() {
        let world = World::new();
        let unit = CustomerUnit::new(&world);
        let context = parse_external_answer(&run_command(
            &world,
            "context",
            query_with(&unit, key, value.clone()).to_string().as_bytes(),
        ));
        assert_eq!(
            string_field(&context, "status"),
            "warning",
            "{key}: {context}"
        );
        assert!(
            string_field(&context, "message").contains(words),
            "{key}: {context}"
        );
        let mut request = unit.deploy_request(&context);
        request[key] = value;
        let answer = run_deploy(&world, &request);
        assert_eq!(
            string_field(&answer, "status"),
            "warning",
            "{key}: {answer}"
        );
        assert!(
            string_field(&answer, "message").contains(words),
            "{key}: {answer}"
        );
        assert_eq!(
            (world.usage_records().len(), world.spooled_items().len()),
            (1, 0),
            "{key}"
        );
        assert!(
            world
                .server
                .object(BUCKET, "terragrunt/airbnb/config.yaml")
                .is_some(),
            "{key}"
        );
    }
}

#[test]
fn an_invalid_bucket_name_never_becomes_another_bucket() {
    for value in [
        json!(["mongodb-arena"]),
        json!("My_Bucket"),
        json!({ "name": "mongodb-arena" }),
    ] {
        let world = World::new();
        let unit = CustomerUnit::new(&world);
        let mut request = unit.deploy_request(&unit.plan(&world));
        request["bucket"] = value.clone();
        let answer = run_deploy(&world, &request);
        assert_eq!(
            string_field(&answer, "status"),
            "error",
            "{value}: {answer}"
        );
        assert_eq!(
            world.server.keys(BUCKET, ""),
            Vec::<String>::new(),
            "{value}"
        );
        assert_eq!(world.spooled_items().len(), 2, "{value}: both are spooled");
    }
}

#[test]
fn the_fallback_reads_the_settings_that_terragrunt_generates() {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    let mut settings = unit.query();
    settings["timeout"] = json!(10);
    settings["helper"] = json!("config-backup");
    settings["additional_users_count"] = Value::Null;
    settings
        .as_object_mut()
        .expect("an object")
        .remove("unit_version");
    let variables = json!({ "config_file_path": settings["config_file_path"], "bucket": null, "unit_settings": settings });
    let line = run_command(&world, "fallback", variables.to_string().as_bytes());
    assert!(
        line.starts_with(
            "config-backup: config.yaml saved (698bc8b0, new), deployment logged for "
        ) && line.matches('\n').count() == 1,
        "{line}"
    );
    let (_, record) = world.usage_records().remove(0);
    assert_eq!(
        (
            string_field(&record, "customer"),
            &record["additional_users_count"]
        ),
        ("airbnb", &json!(5))
    );
    let tools = &record["tools"];
    assert_eq!(
        (
            string_field(tools, "terraform"),
            string_field(tools, "terragrunt")
        ),
        ("", ""),
        "no tool runs it here"
    );
}

#[test]
fn a_run_that_applies_nothing_is_not_a_deployment() {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    let applied = unit.deploy(&world).expect_success();
    let (records, requests) = (world.usage_records().len(), world.server.requests().len());
    // As in a refresh-only run: the id of the last apply and that of a new plan.
    let mut request = unit.deploy_request(&applied.context);
    request["planned_id"] = unit.plan(&world)["deployment_id"].clone();
    let planning = world.server.requests().len() - requests;
    assert_eq!(
        run_deploy(&world, &request),
        applied.answer,
        "no output changes"
    );
    // Another machine without the last deployment, and a state without a deployment.
    for id in ["20261123T000000Z-0000000000000000", ""] {
        request["deployment_id"] = json!(id);
        let answer = run_deploy(&world, &request);
        assert_eq!(string_field(&answer, "status"), "ok");
        assert!(
            string_field(&answer, "message").starts_with("no deployment: "),
            "{answer}"
        );
    }
    assert_eq!(
        (world.usage_records().len(), world.server.requests().len()),
        (records, requests + planning)
    );
    assert_eq!(world.spooled_items(), Vec::<String>::new());
}

#[test]
fn a_context_that_refuses_still_gives_every_deployment_an_id() {
    let world = World::new();
    let one = parse_external_answer(&run_command(&world, "context", b""));
    let two = parse_external_answer(&run_command(&world, "context", b""));
    assert_ne!(
        string_field(&one, "deployment_id"),
        string_field(&two, "deployment_id")
    );
    assert_eq!(one["config_hash"], "");
}

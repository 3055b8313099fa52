//! The module without Terragrunt: examples/terraform, a plain root module that calls it by path.

use std::fs;

use serde_json::{Value, json};

use crate::customer_stack::{CustomerStack, copy_folder, with_both_tools};
use test_support::oracle::python_digest;
use test_support::{BUCKET, JOHN_ARN, project_dir};

with_both_tools!(a_plain_root_module_can_call_it);

fn a_plain_root_module_can_call_it(stack: CustomerStack) {
    let there = stack.world.path().join("a project");
    for folder in ["terraform", "examples/terraform"] {
        copy_folder(&project_dir().join(folder), &there.join(folder));
    }
    let root = there.join("examples/terraform");
    stack.run_tool(&root, &["init"]).expect_success();
    let applied = stack
        .run_tool(&root, &["apply", "-auto-approve"])
        .expect_success();
    assert!(!applied.has_failed_check(), "{}", applied.output);
    let records = stack.world.usage_records();
    assert_eq!(records.len(), 1);
    let (key, record) = &records[0];
    assert_eq!(
        (
            record["project_name"].as_str(),
            record["cluster_name"].as_str()
        ),
        (Some("acme-production"), Some("arena-cluster"))
    );
    let history = stack
        .world
        .server
        .keys(BUCKET, "terragrunt/acme/config-history/")
        .remove(0);
    let md5 = python_digest("md5", &fs::read(root.join("config.yaml")).unwrap());
    assert_eq!(
        (
            &record["user"],
            &record["config_hash"],
            &record["backup_key"]
        ),
        (&json!(JOHN_ARN), &json!(md5), &json!(history))
    );
    let output = stack
        .run_tool(&root, &["output", "-json", "config_backup"])
        .expect_success()
        .output;
    let output: Value = serde_json::from_str(&output).unwrap();
    let message = format!(
        "config.yaml saved ({}, new), deployment logged for john.doe: s3://{BUCKET}/{key}",
        &md5[..8]
    );
    assert_eq!(output, json!({ "status": "ok", "message": message }));
}

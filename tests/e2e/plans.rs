//! Plans: without warnings in a healthy setup, saved for later, applied by another person, and
//! checked for drift.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::{Value, json};

use crate::customer_stack::{CustomerStack, with_both_tools};
use test_support::{BUCKET, JANE_ARN};

with_both_tools!(
    a_healthy_plan_prints_no_warning,
    a_saved_plan_logs_one_deployment_and_the_drift_check_leaves_the_unit_out,
    a_saved_plan_logs_who_applies_it_and_what_the_config_holds_then,
);

fn a_healthy_plan_prints_no_warning(stack: CustomerStack) {
    stack.apply_all().expect_success();
    for arguments in [
        &["plan", "--all", "--non-interactive"][..],
        &["plan", "--working-dir=config-backup"],
    ] {
        let plan = stack.run_terragrunt(arguments).expect_success();
        assert!(
            !plan.output.to_lowercase().contains("warn"),
            "{}",
            plan.output
        );
    }
    // The plan of the unit is never empty, because each deployment is logged. But it replaces and destroys nothing.
    let plan = stack
        .run_terragrunt(&["plan", "--working-dir=config-backup"])
        .expect_success();
    assert!(
        plan.output
            .contains("Plan: 0 to add, 1 to change, 0 to destroy."),
        "{}",
        plan.output
    );
    assert!(
        plan.output
            .contains("terraform_data.environment will be updated in-place"),
        "{}",
        plan.output
    );
}

fn a_saved_plan_logs_one_deployment_and_the_drift_check_leaves_the_unit_out(stack: CustomerStack) {
    let plans = stack.world.path().join("plans");
    let plans = plans.to_str().unwrap();
    stack
        .run_terragrunt(&["plan", "--all", "--non-interactive", "--out-dir", plans])
        .expect_success();
    assert_eq!(stack.world.usage_records().len(), 0);
    stack
        .run_terragrunt(&["apply", "--all", "--non-interactive", "--out-dir", plans])
        .expect_success()
        .assert_clusters_applied();
    assert_eq!(stack.world.usage_records().len(), 1);
    let drift = [
        "plan",
        "--all",
        "--non-interactive",
        "--filter",
        "!./config-backup",
        "-detailed-exitcode",
    ];
    let drift_free = stack.run_terragrunt(&drift);
    assert_eq!(drift_free.code, 0, "{}", drift_free.output);
    // The exit code 2 reports a change.
    stack.change_config("instance_size: M30", "instance_size: M40");
    assert_eq!(stack.run_terragrunt(&drift).code, 2);
    assert_eq!(stack.world.usage_records().len(), 1);
}

fn a_saved_plan_logs_who_applies_it_and_what_the_config_holds_then(stack: CustomerStack) {
    let plans = stack.world.path().join("plans");
    let plans = plans.to_str().unwrap();
    stack
        .run_terragrunt(&["plan", "--all", "--non-interactive", "--out-dir", plans])
        .expect_success();

    // On the machine of the apply, the profile belongs to another user, and the config has been
    // edited.
    let credentials = stack.world.home().join(".aws/credentials");
    let people = fs::read_to_string(&credentials).unwrap();
    fs::write(
        &credentials,
        people
            .replace("[default]", "[john]")
            .replace("[jane]", "[default]"),
    )
    .unwrap();
    stack.change_config("someone@example.com", "somebody.else@example.com");
    let now = stack.config_md5();

    let applied = stack
        .run_terragrunt(&["apply", "--all", "--non-interactive", "--out-dir", plans])
        .expect_success();
    let records = stack.world.usage_records();
    assert_eq!(records.len(), 1);
    let record = &records[0].1;
    assert_eq!(
        (&record["user"], &record["config_hash"]),
        (&json!(JANE_ARN), &json!(now))
    );
    let uploaded = stack
        .world
        .server
        .object(BUCKET, "terragrunt/airbnb/config.yaml")
        .unwrap();
    assert_eq!(
        uploaded.body,
        fs::read(stack.folder.join("config.yaml")).unwrap()
    );
    assert_eq!(uploaded.metadata["md5"], now);
    assert_eq!(applied.warnings().len(), 1, "{}", applied.output);
    assert!(
        applied.warnings()[0].contains("config.yaml changed between plan and apply"),
        "{:?}",
        applied.warnings()
    );
    assert!(applied.has_failed_check());
}

#[test]
fn the_settings_of_the_unit_are_the_variables_of_the_module() {
    let stack = CustomerStack::new(crate::customer_stack::TerraformTool::Tofu).unwrap();
    let rendered = stack
        .run_terragrunt(&["render", "--json", "--working-dir=config-backup"])
        .expect_success()
        .output;
    let rendered: Value =
        serde_json::from_str(&rendered[rendered.find('{').unwrap()..=rendered.rfind('}').unwrap()])
            .unwrap();
    let settings = rendered["generate"]["config_backup_settings"]["contents"]
        .as_str()
        .unwrap();
    let settings: BTreeMap<String, Value> = serde_json::from_str(settings).unwrap();
    let module = fs::read_to_string(stack.folder.join("config-backup/variables.tf")).unwrap();
    let variables = module
        .lines()
        .filter_map(|line| line.strip_prefix("variable \"")?.strip_suffix("\" {"));
    let variables: BTreeSet<&str> = variables.collect();
    assert_eq!(
        settings.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        variables
    );
    let of_unit = settings["unit_settings"].as_object().unwrap();
    assert_eq!(
        of_unit
            .keys()
            .map(String::as_str)
            .chain(["unit_settings"])
            .collect::<BTreeSet<_>>(),
        variables
    );
}

//! Plans: silent when all is well, saved for later, applied by somebody else, and checked for drift.

use std::fs;

use serde_json::json;

use crate::stack::{Stack, with_both_tools};
use crate::support::{BUCKET, JANE};

with_both_tools!(
    a_healthy_plan_prints_no_warning,
    a_saved_plan_logs_one_deployment_and_the_drift_check_leaves_the_unit_out,
    a_saved_plan_logs_who_applies_it_and_what_the_config_holds_then,
);

fn a_healthy_plan_prints_no_warning(stack: Stack) {
    stack.apply_all().ok();
    for arguments in [&["plan", "--all", "--non-interactive"][..], &["plan", "--working-dir=config-backup"]] {
        let plan = stack.terragrunt(arguments).ok();
        assert!(!plan.output.to_lowercase().contains("warn"), "{}", plan.output);
    }
    // The unit's plan is never empty, but a config in step with the bucket is no part of it.
    let plan = stack.terragrunt(&["plan", "--working-dir=config-backup"]).ok();
    assert!(plan.output.contains("terraform_data.usage_log must be replaced"), "{}", plan.output);
    assert!(!plan.output.contains("terraform_data.config_backup must be replaced"), "{}", plan.output);
}

fn a_saved_plan_logs_one_deployment_and_the_drift_check_leaves_the_unit_out(stack: Stack) {
    let plans = stack.world.path().join("plans");
    let plans = plans.to_str().unwrap();
    stack.terragrunt(&["plan", "--all", "--non-interactive", "--out-dir", plans]).ok();
    assert_eq!(stack.world.records().len(), 0);
    stack.terragrunt(&["apply", "--all", "--non-interactive", "--out-dir", plans]).ok().assert_clusters_applied();
    assert_eq!(stack.world.records().len(), 1);
    let drift = ["plan", "--all", "--non-interactive", "--filter", "!./config-backup", "-detailed-exitcode"];
    let in_step = stack.terragrunt(&drift);
    assert_eq!(in_step.code, 0, "{}", in_step.output);
    // The check is one: a change shows as 2.
    stack.change_config("instance_size: M30", "instance_size: M40");
    assert_eq!(stack.terragrunt(&drift).code, 2);
    assert_eq!(stack.world.records().len(), 1);
}

fn a_saved_plan_logs_who_applies_it_and_what_the_config_holds_then(stack: Stack) {
    let plans = stack.world.path().join("plans");
    let plans = plans.to_str().unwrap();
    stack.terragrunt(&["plan", "--all", "--non-interactive", "--out-dir", plans]).ok();

    // On the machine of whoever applies, the same profile is somebody else's; and the config has been edited.
    let credentials = stack.world.home().join(".aws/credentials");
    let people = fs::read_to_string(&credentials).unwrap();
    fs::write(&credentials, people.replace("[default]", "[john]").replace("[jane]", "[default]")).unwrap();
    stack.change_config("someone@example.com", "somebody.else@example.com");
    let now = stack.config_md5();

    let applied = stack.terragrunt(&["apply", "--all", "--non-interactive", "--out-dir", plans]).ok();
    let records = stack.world.records();
    assert_eq!(records.len(), 1);
    let record = &records[0].1;
    assert_eq!((&record["user"], &record["config_hash"]), (&json!(JANE), &json!(now)));
    let uploaded = stack.world.server.object(BUCKET, "terragrunt/airbnb/config.yaml").unwrap();
    assert_eq!(uploaded.body, fs::read(stack.folder.join("config.yaml")).unwrap());
    assert_eq!(uploaded.metadata["md5"], now);
    assert_eq!(applied.warnings().len(), 1, "{}", applied.output);
    assert!(applied.warnings()[0].contains("config.yaml changed between plan and apply"), "{:?}", applied.warnings());
    assert!(applied.has_failed_check());
}

#[test]
fn the_units_inputs_are_the_modules_variables() {
    let stack = Stack::new(crate::stack::Tool::Tofu).unwrap();
    let checked = stack.terragrunt(&["hcl", "validate", "--inputs", "--strict"]);
    assert_eq!(checked.code, 0, "{}", checked.output);
    // The check is one: an input that the module does not declare is found.
    let unit = stack.folder.join("config-backup/terragrunt.hcl");
    let text = fs::read_to_string(&unit).unwrap().replace("inputs = {", "inputs = {\n  no_such_variable = 1");
    fs::write(&unit, text).unwrap();
    assert_ne!(stack.terragrunt(&["hcl", "validate", "--inputs", "--strict"]).code, 0);
}

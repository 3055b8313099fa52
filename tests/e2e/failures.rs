//! Failures that must not stop a deployment: the exit code of terragrunt, the other units, and the
//! two places of the message: one WARNING line in the output and the failed check at the end.

use std::fs;

use crate::customer_stack::{CustomerStack, TerragruntRun, with_both_tools, write_script};
use test_support::refused_endpoint;

with_both_tools!(
    a_missing_helper_is_told,
    a_helper_that_cannot_be_fetched_is_told,
    a_helper_that_may_not_run_is_told,
    a_helper_that_fails_is_told,
    a_helper_that_answers_garbage_is_told,
    an_s3_that_refuses_is_told_and_what_was_kept_is_sent_by_the_next_deployment,
    a_denied_permission_is_named,
    missing_credentials_are_told,
    a_missing_config_is_told_and_the_deployment_logged,
    an_invalid_config_is_backed_up_logged_and_told,
);

/// Asserts that the run and the clusters succeeded, with `words` in the only WARNING line and in
/// the failed check.
#[track_caller]
fn assert_reported(ran: &TerragruntRun, words: &[&str]) {
    assert_eq!(ran.code, 0, "{}", ran.output);
    ran.assert_clusters_applied();
    let warnings = ran.warnings();
    assert_eq!(warnings.len(), 1, "{}", ran.output);
    for words in words {
        assert!(
            warnings[0].contains(words),
            "`{words}` is not in {}",
            warnings[0]
        );
    }
    assert!(ran.has_failed_check(), "{}", ran.output);
}

fn apply_with_helper(mut stack: CustomerStack, body: &str, executable: bool) -> TerragruntRun {
    let path = stack.world.path().join("stand in");
    write_script(&path, body, executable);
    stack.set_variable("CONFIG_BACKUP_HELPER", path.to_str().unwrap());
    stack.apply_all()
}

fn a_missing_helper_is_told(mut stack: CustomerStack) {
    stack.set_variable("CONFIG_BACKUP_HELPER", "no-such-helper");
    assert_reported(
        &stack.apply_all(),
        &[
            "the helper 'no-such-helper' is not installed",
            "neither backed up nor logged",
            "install the helper",
        ],
    );
    // Also in a second run.
    assert_reported(&stack.apply_all(), &["is not installed"]);
}

fn a_helper_that_cannot_be_fetched_is_told(mut stack: CustomerStack) {
    let url = refused_endpoint() + "/helper";
    stack.set_variable("CONFIG_BACKUP_HELPER", "no-such-helper");
    stack.set_variable("CONFIG_BACKUP_HELPER_URL", &url);
    let absent =
        format!("the helper 'no-such-helper' is not installed, and not to be had from '{url}'");
    assert_reported(
        &stack.apply_all(),
        &[&absent, "helper_sha256 has no sum of 'helper'"],
    );
    stack.set_variable("CONFIG_BACKUP_HELPER_SHA256", &"0".repeat(64));
    assert_reported(
        &stack.apply_all(),
        &[&absent, "curl: (7)", "neither backed up nor logged"],
    );
}

fn a_helper_that_may_not_run_is_told(stack: CustomerStack) {
    assert_reported(
        &apply_with_helper(stack, "exit 0", false),
        &["is not executable", "install the helper"],
    );
}

fn a_helper_that_fails_is_told(stack: CustomerStack) {
    assert_reported(
        &apply_with_helper(stack, "exit 1", true),
        &[
            "failed in 'deploy' with exit code 1",
            "`config-backup doctor` checks the helper",
        ],
    );
}

fn a_helper_that_answers_garbage_is_told(stack: CustomerStack) {
    assert_reported(
        &apply_with_helper(stack, "echo '{\"status\": [1,'; echo garbage", true),
        &["gave no answer of config-backup in 'deploy'"],
    );
}

fn an_s3_that_refuses_is_told_and_what_was_kept_is_sent_by_the_next_deployment(
    stack: CustomerStack,
) {
    let mut stack = stack.with_local_state();
    stack.world.set_endpoint(&refused_endpoint());
    assert_reported(
        &stack.apply_all(),
        &[
            "neither config.yaml nor the usage record is in the bucket",
            "refused",
            "sent with the next deployment",
            "check the network",
        ],
    );
    assert_eq!(stack.world.spooled_items().len(), 2);
    assert_eq!(stack.world.server.requests().len(), 0);

    stack.world.restore_endpoints();
    let healthy = stack.apply_all().expect_success();
    assert!(
        healthy.warnings().is_empty() && !healthy.has_failed_check(),
        "{}",
        healthy.output
    );
    assert_eq!(stack.world.spooled_items(), Vec::<String>::new());
    let records = stack.world.usage_records();
    let late: Vec<_> = records
        .iter()
        .map(|(_, record)| record["late"].as_bool())
        .collect();
    assert_eq!(late, [Some(true), None], "{records:?}");
    assert_eq!(records[0].1["user"], records[1].1["user"]);
}

fn a_denied_permission_is_named(stack: CustomerStack) {
    let stack = stack.with_local_state();
    stack.change_config("profile: default", "profile: reader");
    assert_reported(
        &stack.apply_all(),
        &[
            "access denied",
            "ask for the permission s3:PutObject",
            "spooled in",
        ],
    );
}

fn missing_credentials_are_told(stack: CustomerStack) {
    let stack = stack.with_local_state();
    fs::remove_file(stack.world.home().join(".aws/credentials")).unwrap();
    assert_reported(
        &stack.apply_all(),
        &["no AWS credentials", "log in, or set AWS_PROFILE"],
    );
}

fn a_missing_config_is_told_and_the_deployment_logged(stack: CustomerStack) {
    fs::remove_file(stack.folder.join("config.yaml")).unwrap();
    assert_reported(
        &stack.apply_all(),
        &[
            "config.yaml is not backed up: cannot read `",
            "No such file",
        ],
    );
    assert_eq!(stack.world.usage_records().len(), 1);
}

fn an_invalid_config_is_backed_up_logged_and_told(stack: CustomerStack) {
    stack.change_config("  name: airbnb\n", "  name: [airbnb\n");
    assert_reported(
        &stack.apply_all(),
        &["config.yaml: it is not valid YAML at line "],
    );
    let (_, record) = stack.world.usage_records().remove(0);
    assert_eq!(
        (record["customer"].as_str(), record["backup"].as_str()),
        (Some("airbnb"), Some("uploaded"))
    );
    assert_eq!(
        record["config_hash"].as_str(),
        Some(stack.config_md5().as_str())
    );
}

//! Complete deployments with exactly the printed policy: Terragrunt, its states in S3, and the
//! helper.

use std::collections::BTreeMap;

use embedded_aws::AccessPolicies;

use crate::customer_stack::{CustomerStack, with_both_tools};
use test_support::to_text;

with_both_tools!(the_writers_policy_is_enough_for_all_units_and_their_states);

fn the_writers_policy_is_enough_for_all_units_and_their_states(stack: CustomerStack) {
    let printed = |arguments: &[&str]| {
        let output = stack
            .world
            .helper_command(&["iam"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        to_text(&output.stdout)
    };
    let writer = printed(&[
        "writer",
        "--customer",
        "airbnb",
        "--account",
        "123456789012",
    ]);
    let identities = BTreeMap::from([("AKIADEFAULT".to_owned(), writer)]);
    let policies = AccessPolicies {
        identities,
        bucket: Some(printed(&["bucket"])),
        tls: true,
    };
    stack.world.server.govern(&policies).unwrap();
    let first = stack.apply_all().expect_success();
    first.assert_clusters_applied();
    first.assert_healthy();
    stack.change_config("instance_size: M30", "instance_size: M40");
    let second = stack.apply_all().expect_success();
    second.assert_healthy();
    stack
        .run_terragrunt(&["plan", "--all", "--non-interactive"])
        .expect_success();
    stack
        .run_terragrunt(&["destroy", "--all", "--non-interactive"])
        .expect_success();
    assert_eq!(stack.world.usage_records().len(), 2);
    // The search for other workspaces, which may fail in both tools.
    let refused = stack
        .world
        .server
        .requests()
        .into_iter()
        .filter(|it| it.status == 403);
    let refused: Vec<String> = refused
        .map(|it| format!("{} {} {}", it.operation, it.key, it.query))
        .collect();
    assert!(
        refused
            .iter()
            .all(|it| it.starts_with("ListObjectsV2 ") && it.contains("prefix=env%3A%2F")),
        "{refused:?}"
    );
}

//! Successful deployments: what they write to the bucket, and which commands write nothing.

use serde_json::json;

use crate::customer_stack::{CustomerStack, copy_folder, with_both_tools};
use test_support::{BUCKET, CONFIG, CONFIG_MD5, JOHN_ARN};

with_both_tools!(
    every_deployment_is_logged_and_only_a_changed_config_is_uploaded,
    deployments_of_the_same_second_are_all_logged,
    other_units_plans_and_destroys_write_nothing_of_ours,
    the_report_shows_the_deployment,
);

/// All keys except those of states.
fn written_keys(stack: &CustomerStack) -> Vec<String> {
    let keys = stack.world.server.keys(BUCKET, "");
    keys.into_iter()
        .filter(|key| !key.ends_with(".tfstate"))
        .collect()
}

fn every_deployment_is_logged_and_only_a_changed_config_is_uploaded(stack: CustomerStack) {
    let config = "terragrunt/airbnb/config.yaml";
    let history = "terragrunt/airbnb/config-history/";
    let first = stack.apply_all().expect_success();
    first.assert_clusters_applied();
    first.assert_healthy();
    assert_eq!(
        stack.world.server.object(BUCKET, config).unwrap().body,
        CONFIG.as_bytes()
    );
    let record = stack.world.usage_records().remove(0).1;
    assert_eq!(
        (&record["user"], &record["config_hash"]),
        (&json!(JOHN_ARN), &json!(CONFIG_MD5))
    );
    assert_eq!(
        (&record["backup"], &record["additional_users_count"]),
        (&json!("uploaded"), &json!(5))
    );

    let tools = &record["tools"];
    let product = tools["terraform"].as_str().unwrap();
    assert!(
        first.output.contains("] tofu: ") == product.starts_with("OpenTofu v"),
        "{tools}"
    );
    assert!(stack.version().contains(product), "{tools}");
    assert_eq!(tools["terragrunt"], "1.1.3");

    stack.apply_unit().expect_success();
    stack.apply_unit().expect_success();
    assert_eq!(stack.world.usage_records().len(), 3);
    assert_eq!(
        (
            stack.world.count_requests("PutObject", config),
            stack.world.count_requests("PutObject", history)
        ),
        (1, 1)
    );

    stack.change_config("instance_size: M30", "instance_size: M40");
    let changed = stack.config_md5();
    stack.apply_all().expect_success().assert_clusters_applied();
    let records = stack.world.usage_records();
    assert_eq!(records.len(), 4, "{records:?}");
    // By hash, because it may share its time with the one before.
    let of_changed: Vec<_> = records
        .iter()
        .filter(|(_, record)| record["config_hash"] == changed)
        .collect();
    assert_eq!(of_changed.len(), 1, "{records:?}");
    assert_eq!(of_changed[0].1["backup"], "uploaded");
    assert_eq!(
        (
            stack.world.count_requests("PutObject", config),
            stack.world.count_requests("PutObject", history)
        ),
        (2, 2)
    );
    let versions = stack.world.server.keys(BUCKET, history);
    assert!(
        versions[0].ends_with(&format!("_{CONFIG_MD5}.yaml"))
            && versions[1].ends_with(&format!("_{changed}.yaml")),
        "{versions:?}"
    );
    let hashes: Vec<_> = records
        .iter()
        .map(|(_, record)| record["backup_key"].as_str().unwrap())
        .collect();
    assert!(
        hashes
            .iter()
            .all(|key| versions.iter().any(|version| version == key)),
        "{hashes:?}"
    );
    assert_eq!(stack.world.spooled_items(), Vec::<String>::new());
}

fn deployments_of_the_same_second_are_all_logged(stack: CustomerStack) {
    // Two checkouts of one customer: two states, one name in config.yaml.
    let twin = stack.world.path().join("second checkout");
    copy_folder(&stack.folder, &twin);
    let twin = twin.to_str().unwrap().to_owned();
    stack.apply_unit().expect_success();
    for _ in 0..3 {
        std::thread::scope(|scope| {
            let one = scope.spawn(|| stack.apply_unit().expect_success());
            let other = scope.spawn(|| {
                stack
                    .run_terragrunt(&[
                        "apply",
                        &format!("--working-dir={twin}/config-backup"),
                        "-auto-approve",
                    ])
                    .expect_success()
            });
            for ran in [one, other].map(|run| run.join().unwrap()) {
                ran.assert_healthy();
            }
        });
    }
    let records = stack.world.usage_records();
    assert_eq!(records.len(), 7, "{records:?}");
    let mut ids: Vec<_> = records
        .iter()
        .map(|(_, record)| record["deployment_id"].to_string())
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 7);
    assert_eq!(
        stack
            .world
            .count_requests("PutObject", "terragrunt/airbnb/config.yaml"),
        1
    );
}

fn other_units_plans_and_destroys_write_nothing_of_ours(stack: CustomerStack) {
    stack
        .run_terragrunt(&["apply", "--working-dir=atlas-cluster", "-auto-approve"])
        .expect_success();
    stack
        .run_terragrunt(&["plan", "--all", "--non-interactive"])
        .expect_success();
    assert_eq!(written_keys(&stack), Vec::<String>::new());

    stack.apply_all().expect_success();
    let before = written_keys(&stack);
    assert_eq!(before.len(), 4, "{before:?}");
    stack
        .run_terragrunt(&["plan", "--all", "--non-interactive"])
        .expect_success();
    stack
        .run_terragrunt(&["destroy", "--all", "--non-interactive"])
        .expect_success();
    assert_eq!(written_keys(&stack), before);
    assert_eq!(stack.world.count_deletions(), 0);
}

fn the_report_shows_the_deployment(stack: CustomerStack) {
    stack.apply_all().expect_success();
    let run = stack
        .command(&stack.folder.join("config-backup/view_usage_logs.sh"))
        .args(["airbnb", "-"])
        .output()
        .unwrap();
    let csv = String::from_utf8(run.stdout).unwrap();
    let (head, row) = csv.trim_end().split_once('\n').unwrap();
    assert_eq!(
        head,
        "timestamp,customer,user,additional_users_count,project_name,cluster_name"
    );
    let (date, rest) = row.split_once(',').unwrap();
    assert_eq!(rest, "airbnb,john.doe,5,airbnb-project,arena-cluster");
    let key = stack.world.usage_records().remove(0).0;
    assert_eq!(key[..27], format!("usage-logs/airbnb/{date}")[..27]);
}

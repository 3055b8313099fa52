//! Customer folders whose unit gets another state: that of the legacy module, and a backend that changes.

use std::fs;

use crate::customer_stack::{CustomerStack, with_both_tools};
use crate::folders::{
    LEGACY_STATE, LOCALS, clusters_install_a_provider, count_records, generated_backend,
    generated_versions, replace_in_file,
};
use test_support::BUCKET;

with_both_tools!(
    files_that_the_root_generated_for_the_legacy_module_are_removed,
    a_state_that_moves_is_begun_again_after_init,
);

/// A unit of the legacy module: it merges the root, and its state has the key of the root.
fn legacy_unit(stack: &CustomerStack) {
    let unit = stack.folder.join("config-backup");
    fs::remove_dir_all(&unit).unwrap();
    fs::create_dir(&unit).unwrap();
    fs::write(
        unit.join("terragrunt.hcl"),
        "include \"root\" {\n  path = find_in_parent_folders(\"root.hcl\")\n}\n",
    )
    .unwrap();
    fs::write(
        unit.join("main.tf"),
        "resource \"terraform_data\" \"legacy\" {}\n",
    )
    .unwrap();
}

fn files_that_the_root_generated_for_the_legacy_module_are_removed(mut stack: CustomerStack) {
    clusters_install_a_provider(&mut stack);
    let root = format!("{LOCALS}{}{}", generated_versions(), generated_backend());
    fs::write(stack.folder.join("root.hcl"), root).unwrap();
    legacy_unit(&stack);
    stack.apply_all().expect_success().assert_clusters_applied();
    let legacy = stack
        .world
        .server
        .object(BUCKET, LEGACY_STATE)
        .unwrap()
        .body;

    // The terragrunt copy of the folder still has the generated files and the initialized backend.
    for name in ["terragrunt.hcl", "main.tf"] {
        fs::remove_file(stack.folder.join("config-backup").join(name)).unwrap();
    }
    stack.run_init();
    let applied = stack.apply_all().expect_success();
    applied.assert_clusters_applied();
    applied.assert_healthy();
    stack
        .run_terragrunt(&["destroy", "--all", "--non-interactive"])
        .expect_success();
    assert_eq!(count_records(&stack), 1);
    assert_eq!(
        stack
            .world
            .server
            .object(BUCKET, LEGACY_STATE)
            .unwrap()
            .body,
        legacy
    );
    assert_eq!(stack.world.count_deletions(), 0);
}

fn a_state_that_moves_is_begun_again_after_init(stack: CustomerStack) {
    stack.apply_all().expect_success().assert_healthy();
    replace_in_file(
        &stack.folder.join("root.hcl"),
        "\"terragrunt/${local.customer}/",
        "\"elsewhere/${local.customer}/",
    );
    let stopped = stack.apply_unit().expect_success();
    assert!(
        stopped.ignored_errors()[0].contains("the state of this unit"),
        "{}",
        stopped.output
    );
    assert_eq!(count_records(&stack), 2);
    stack
        .run_terragrunt(&["init", "--all", "--non-interactive", "-reconfigure"])
        .expect_success()
        .assert_healthy();
    stack.apply_all().expect_success().assert_healthy();
    assert_eq!(count_records(&stack), 3);

    replace_in_file(
        &stack.folder.join("root.hcl"),
        "\"elsewhere/${local.customer}/",
        "\"copied/${local.customer}/",
    );
    stack
        .run_terragrunt(&[
            "init",
            "--all",
            "--non-interactive",
            "-migrate-state",
            "-force-copy",
        ])
        .expect_success()
        .assert_healthy();
    let applied = stack.apply_unit().expect_success();
    applied.assert_healthy();
    assert!(
        applied
            .output
            .contains("Resources: 0 added, 1 changed, 0 destroyed"),
        "the state was not copied: {}",
        applied.output
    );
    assert_eq!(count_records(&stack), 4);
    for place in ["terragrunt", "elsewhere", "copied"] {
        let key = format!("{place}/airbnb/config-backup/unit.tfstate");
        assert!(stack.world.server.object(BUCKET, &key).is_some(), "{key}");
    }
}

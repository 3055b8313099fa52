//! What deployments and reports leave in a customer folder, as git sees it.

use std::fs;
use std::path::Path;

use crate::customer_stack::{CustomerStack, with_both_tools};
use test_support::to_text;

with_both_tools!(
    a_deployment_leaves_only_the_lock_file_to_git,
    a_state_in_the_folder_is_not_for_git,
);

/// Runs git in the customer folder; returns its stdout.
fn run_git(stack: &CustomerStack, arguments: &[&str]) -> String {
    let output = stack
        .command(Path::new("git"))
        .args(["-c", "user.name=x", "-c", "user.email=x@example.com"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    to_text(&output.stdout)
}

fn commit_folder(stack: &CustomerStack) {
    run_git(stack, &["init", "--quiet", "--initial-branch=main"]);
    run_git(stack, &["add", "."]);
    run_git(stack, &["commit", "--quiet", "--message=x"]);
    let committed = run_git(stack, &["ls-files", "config-backup"]);
    let written = fs::read_dir(stack.folder.join("config-backup")).unwrap();
    assert_eq!(committed.lines().count(), written.count(), "{committed}");
}

/// Deploys in each way, and writes reports.
fn deploy_and_report(stack: &CustomerStack) {
    stack.apply_all().expect_success();
    stack.apply_unit().expect_success();
    stack.run_terragrunt(&["plan", "--all", "-out=x.tfplan"]);
    let script = stack.folder.join("config-backup/view_usage_logs.sh");
    for arguments in [&[][..], &["airbnb"]] {
        let output = stack.command(&script).args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

/// The files in our unit's folder that git would commit.
fn new_files(stack: &CustomerStack) -> String {
    run_git(
        stack,
        &[
            "status",
            "--porcelain",
            "--untracked-files=all",
            "config-backup",
        ],
    )
}

/// The lock file is for the user to commit or not.
const LOCK_FILE: &str = "?? config-backup/.terraform.lock.hcl\n";

fn a_deployment_leaves_only_the_lock_file_to_git(stack: CustomerStack) {
    commit_folder(&stack);
    deploy_and_report(&stack);
    let ignored = run_git(
        &stack,
        &["status", "--porcelain", "--ignored", "config-backup"],
    );
    for name in [".terragrunt-cache/", "arena-terragrunt-usage.csv"] {
        assert!(
            ignored.contains(&format!("!! config-backup/{name}\n")),
            "{ignored}"
        );
    }
    assert_eq!(new_files(&stack), LOCK_FILE, "{ignored}");
}

fn a_state_in_the_folder_is_not_for_git(stack: CustomerStack) {
    fs::remove_file(stack.folder.join("root.hcl")).unwrap();
    for cluster in ["atlas-cluster", "eks-cluster"] {
        fs::remove_dir_all(stack.folder.join(cluster)).unwrap();
    }
    commit_folder(&stack);
    stack.apply_all().expect_success();
    stack.run_tool(&stack.folder.join("config-backup"), &["init"]);
    assert!(stack.folder.join("config-backup/unit.tfstate").exists());
    assert_eq!(new_files(&stack), LOCK_FILE);
}

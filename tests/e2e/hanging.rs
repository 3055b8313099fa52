//! A helper that hangs, and a state directory and a HOME on a dead mount: a real apply of the module
//! ends in time, with a warning and exit code 0.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::customer_stack::{CustomerStack, TerraformTool, copy_folder, with_both_tools};
use test_support::campaign::Campaign;
use test_support::fuse_mount::{self, FuseMount, MountMode};
use test_support::{helper_path, project_dir};

with_both_tools!(a_hanging_helper_costs_an_apply_the_deadline_and_three_seconds);

/// The default deadline, and what `helper.sh` and the tool add to it.
const LIMIT: Duration = Duration::from_secs(13);
/// What a busy machine may add.
const BUSY_MACHINE_MARGIN: Duration = Duration::from_secs(10);

fn a_hanging_helper_costs_an_apply_the_deadline_and_three_seconds(stack: CustomerStack) {
    let root = new_root(&stack, "exec sleep 3600");
    let message = apply_in_time(&stack, &root);
    assert!(
        message.contains("' did not answer in 'deploy' within "),
        "{message}"
    );
}

#[test]
#[ignore = "needs root and /dev/fuse: make test-mounts"]
fn dead_mounts_cost_an_apply_the_deadline_and_three_seconds() {
    if !fuse_mount::is_possible() {
        return Campaign::start("mounts").print_line("NOT RUN: it needs root and /dev/fuse");
    }
    for tool in [TerraformTool::Tofu, TerraformTool::Terraform] {
        CustomerStack::new(tool)
            .iter()
            .for_each(apply_on_dead_mounts);
    }
}

fn apply_on_dead_mounts(stack: &CustomerStack) {
    for mode in [MountMode::Dead, MountMode::Deaf] {
        for variable in ["XDG_STATE_HOME", "HOME"] {
            let mount = FuseMount::start(mode, &stack.world.path().join("mount"));
            // The tool itself also looks into HOME.
            let script = format!(
                "{variable}='{}' exec '{}' \"$@\"",
                mount.folder().display(),
                helper_path().display()
            );
            let root = new_root(stack, &script);
            let message = apply_in_time(stack, &root);
            assert!(
                message.contains("the deployment is not logged: no answer within"),
                "{message}"
            );
            mount.end();
        }
    }
}

/// A plain root module whose helper is a script.
fn new_root(stack: &CustomerStack, script: &str) -> PathBuf {
    let there = stack.world.path().join("a project");
    let _ = fs::remove_dir_all(&there);
    for folder in ["terraform", "examples/terraform"] {
        copy_folder(&project_dir().join(folder), &there.join(folder));
    }
    let root = there.join("examples/terraform");
    let helper = root.join("helper");
    fs::write(&helper, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    let main = root.join("main.tf");
    let text = fs::read_to_string(&main).unwrap();
    let setting = "  config_file_path = ";
    assert_eq!(text.matches(setting).count(), 1, "{text}");
    let text = text.replace(setting, &format!("  helper = \"./helper\"\n{setting}"));
    fs::write(main, text).unwrap();
    stack.run_tool(&root, &["init"]).expect_success();
    root
}

/// Applies the module and returns the warning of its check.
fn apply_in_time(stack: &CustomerStack, root: &Path) -> String {
    let started = Instant::now();
    let applied = stack
        .run_tool(root, &["apply", "-auto-approve"])
        .expect_success();
    let took = started.elapsed();
    assert!(applied.has_failed_check(), "{}", applied.output);
    assert!(
        took < LIMIT + BUSY_MACHINE_MARGIN,
        "{took:?}: {}",
        applied.output
    );
    // Terraform breaks the lines of a warning.
    let words = applied
        .output
        .split(|c: char| c.is_whitespace() || "\u{2502}\u{2577}\u{2575}".contains(c));
    words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

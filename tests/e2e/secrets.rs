//! The secrets of config.yaml appear in its copies in the bucket and nowhere else.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::customer_stack::{CustomerStack, folder_contents, with_both_tools};
use test_support::{BUCKET, assert_no_secret, to_text};

with_both_tools!(secrets_stay_in_the_configs_own_copies);

/// The command lines of all processes, from `/proc` or, on macOS, from `ps`.
fn process_list() -> String {
    let Ok(processes) = fs::read_dir("/proc") else {
        return to_text(
            &Command::new("ps")
                .args(["-axww", "-o", "args"])
                .output()
                .unwrap()
                .stdout,
        );
    };
    let lines = processes
        .filter_map(Result::ok)
        .filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines
        .map(|line| to_text(&line).replace('\0', " ") + "\n")
        .collect()
}

/// Stops the watch also after a failed test, because a scope waits for its threads.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn secrets_stay_in_the_configs_own_copies(stack: CustomerStack) {
    let plans = stack.world.path().join("plans");
    let plans_path = plans.to_str().unwrap();
    let done = AtomicBool::new(false);
    let processes = thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut seen = String::new();
            while !done.load(Ordering::Relaxed) {
                seen += &process_list();
            }
            seen
        });
        let end = StopOnDrop(&done);
        // `run_terragrunt` checks the output of each run.
        stack.apply_all().expect_success();
        stack.change_config("instance_size: M30", "instance_size: M40");
        stack
            .run_terragrunt(&[
                "plan",
                "--all",
                "--non-interactive",
                "--out-dir",
                plans_path,
            ])
            .expect_success();
        stack
            .run_terragrunt(&[
                "apply",
                "--all",
                "--non-interactive",
                "--out-dir",
                plans_path,
            ])
            .expect_success();
        drop(end);
        watcher.join().unwrap()
    });
    // The watch works: it saw the helper.
    assert!(
        processes.contains("helper.sh deploy"),
        "no helper in the process list"
    );
    assert_no_secret("the process list", &processes);
    assert_no_secret("a plan file", &folder_contents(&plans));
    assert_no_secret(
        "the helper's state",
        &folder_contents(&stack.world.state_dir()),
    );

    for key in stack.world.server.keys(BUCKET, "") {
        assert_no_secret("an object's name", &key);
        let object = stack.world.server.object(BUCKET, &key).unwrap();
        if key.contains("config.yaml") || key.contains("config-history") {
            assert!(
                to_text(&object.body).contains("canary"),
                "{key} is no copy of the config"
            );
        } else {
            assert_no_secret(&key, &to_text(&object.body));
        }
    }
    fs::remove_file(stack.folder.join("config.yaml")).unwrap();
    assert_no_secret(
        "the customer folder without its config",
        &folder_contents(&stack.folder),
    );
}

//! The secrets of config.yaml in verbose output: traces, process lists and environments.

use std::fs;
use std::os::unix::fs::symlink;
use std::panic::catch_unwind;
use std::path::Path;
use std::process::Command;

use crate::customer_stack::{CustomerStack, folder_contents, with_both_tools, write_script};
use test_support::{SECRET_CANARIES, assert_no_secret, helper_path};

with_both_tools!(no_secret_stands_in_a_trace_nor_in_any_process_around_the_helper);

/// Writes the command lines of all processes and the environments of this one and its ancestors,
/// then runs `$real`. A slim container has `/proc` but no `ps`, macOS the reverse.
const NOTING: &str = r#"{
  echo "== $0 $*"
  if [ -r /proc/self/cmdline ]; then
    for process in /proc/[0-9]*; do tr '\0' ' ' <"$process/cmdline"; echo; done
    pid=$$
    while [ "${pid:-0}" -gt 1 ]; do
      tr '\0' '\n' <"/proc/$pid/environ"
      pid=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$pid/status")
    done
  else
    ps -axww -o args; env
  fi
} >>"$SEEN" 2>/dev/null
exec "$real" "$@"
"#;

/// Fills a folder with links to all programs in PATH but one.
fn link_programs_except(name: &str, links: &Path) {
    fs::create_dir(links).unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    for entry in std::env::split_paths(&path).filter_map(|folder| fs::read_dir(folder).ok()) {
        for program in entry
            .flatten()
            .filter(|program| program.file_name() != name)
        {
            // Of two programs with one name, the first one counts.
            let _ = symlink(program.path(), links.join(program.file_name()));
        }
    }
}

fn no_secret_stands_in_a_trace_nor_in_any_process_around_the_helper(mut stack: CustomerStack) {
    let seen = stack.world.path().join("seen");
    let folder = stack.world.path().join("noting");
    fs::create_dir(&folder).unwrap();
    // The helper and its child processes.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let git = std::env::split_paths(&path)
        .map(|folder| folder.join("git"))
        .find(|path| path.is_file())
        .expect("git");
    for (name, real) in [("config-backup", helper_path()), ("git", git.clone())] {
        write_script(
            &folder.join(name),
            &format!(
                "SEEN='{}' real='{}'\n{NOTING}",
                seen.display(),
                real.display()
            ),
            true,
        );
    }
    let committed = Command::new(git)
        .args(["init", "-q"])
        .arg(&stack.folder)
        .status()
        .unwrap();
    assert!(committed.success());
    // The helper prefers a program to a script, so the script must be the only git.
    let others = stack.world.path().join("other programs");
    link_programs_except("git", &others);
    let path = std::env::join_paths([&folder, &others]).unwrap();
    stack.set_variable("PATH", path.to_str().unwrap());
    stack.set_variable(
        "CONFIG_BACKUP_HELPER",
        folder.join("config-backup").to_str().unwrap(),
    );
    for (name, value) in [
        ("TF_LOG", "trace"),
        ("TG_LOG_LEVEL", "trace"),
        ("RUST_LOG", "trace"),
        ("RUST_BACKTRACE", "full"),
    ] {
        stack.set_variable(name, value);
    }

    // `run_terragrunt` checks the output of each run.
    let plans = stack.world.path().join("plans");
    let healthy = stack.apply_all().expect_success();
    assert!(
        healthy.output.contains("[TRACE]") && !healthy.message().is_empty(),
        "no trace:\n{}",
        healthy.output
    );
    stack.change_config("  name: airbnb\n", "  name: [airbnb\n");
    stack
        .run_terragrunt(&[
            "plan",
            "--all",
            "--non-interactive",
            "--out-dir",
            plans.to_str().unwrap(),
        ])
        .expect_success();
    let broken = stack
        .run_terragrunt(&[
            "apply",
            "--all",
            "--non-interactive",
            "--out-dir",
            plans.to_str().unwrap(),
        ])
        .expect_success();
    assert_eq!(broken.warnings().len(), 1, "{}", broken.output);

    let processes = fs::read_to_string(&seen).unwrap();
    for command in ["context", "deploy"] {
        assert!(
            processes.contains(&format!("noting/config-backup {command}\n")),
            "{command} was not seen"
        );
    }
    assert!(
        processes.contains("noting/git --no-optional-locks")
            && processes.contains("helper.sh")
            && processes.contains("HOME=")
    );
    assert_no_secret("the processes around the helper", &processes);
    assert_no_secret("a plan file", &folder_contents(&plans));
    fs::remove_file(stack.folder.join("config.yaml")).unwrap();
    assert_no_secret("states, logs and caches", &folder_contents(&stack.folder));
}

#[test]
fn finds_a_secret_in_the_process_list() {
    let folder = tempfile::tempdir().unwrap();
    let (noting, seen) = (folder.path().join("noting"), folder.path().join("seen"));
    write_script(
        &noting,
        &format!("SEEN='{}' real=true\n{NOTING}", seen.display()),
        true,
    );
    // As an argument it would appear in the process list that other tests check.
    assert!(
        Command::new(&noting)
            .arg("an-argument")
            .env("VARIABLE", SECRET_CANARIES[1])
            .status()
            .unwrap()
            .success()
    );
    let processes = fs::read_to_string(&seen).unwrap();
    assert!(processes.contains("an-argument \n"), "{processes}");
    assert!(catch_unwind(|| assert_no_secret("the processes", &processes)).is_err());
}

//! Disks and containers that refuse what others allow: read-only, full and without inodes; no fsync of
//! folders, no modes, no locks, no threads. With a healthy S3, a deployment is then as good as any.
//!
//! Needs root, for tmpfs, and strace.

use std::fs;

use crate::config_versions::TrialVersions;
use crate::trial_runner::{DeploymentTrial, TrialScene, run_behind_script};
use crate::violations::ViolationCounts;
use test_support::campaign::Campaign;
use test_support::terraform_steps::CustomerUnit;
use test_support::{World, to_text};

/// Makes system calls fail; the rest is the command.
const INJECT: &str = "exec strace -f -qq -o /dev/null";

/// A name, and a script that runs the helper `$1` with the command `$2`.
fn list_odd_disks() -> Vec<(&'static str, String)> {
    let inject = |faults: &str| format!("{INJECT} {faults} \"$1\" \"$2\"");
    let tmpfs = |options: &str, fill: &str| {
        format!(
            "export DISK=\"$HOME/.local/state\" TMPDIR=\"$HOME/.local/state\"; mkdir -p \"$DISK\"; \
             exec unshare -m /bin/sh -c 'mount -t tmpfs -o {options} tmpfs \"$DISK\" && {fill} exec \"$1\" \"$2\"' sh \"$1\" \"$2\""
        )
    };
    vec![
        ("a read-only disk", tmpfs("ro", "")),
        (
            "a full disk",
            tmpfs("size=4k", "head -c 4096 /dev/zero >\"$DISK/fill\";"),
        ),
        ("a disk without inodes", tmpfs("nr_inodes=1", "")),
        (
            "no fsync",
            inject("-e trace=fsync,fdatasync -e inject=fsync,fdatasync:error=EINVAL"),
        ),
        (
            "no modes",
            inject("-e trace=fchmod,chmod,fchmodat -e inject=fchmod,chmod,fchmodat:error=EPERM"),
        ),
        (
            "no locks",
            inject("-e trace=flock -e inject=flock:error=ENOLCK"),
        ),
        (
            "no threads",
            inject("-e trace=clone,clone3 -e inject=clone,clone3:error=EAGAIN"),
        ),
        (
            "one thread",
            inject("-e trace=clone,clone3 -e inject=clone,clone3:error=EAGAIN:when=2+"),
        ),
        (
            "two threads",
            inject("-e trace=clone,clone3 -e inject=clone,clone3:error=EAGAIN:when=3+"),
        ),
    ]
}

#[test]
#[ignore = "needs root and strace: make test-strace"]
fn an_odd_disk_costs_no_upload() {
    let campaign = Campaign::start("odd disks");
    let scenes = [TrialScene::Online, TrialScene::Offline, TrialScene::Late];
    let mut cases = Vec::new();
    for scene in scenes {
        for (name, script) in list_odd_disks() {
            // A disk over the state directory hides the earlier deployment.
            if scene != TrialScene::Late || script.starts_with(INJECT) {
                cases.push((scene, name, script));
            }
        }
    }
    let violations = ViolationCounts::sum(campaign.run_each(cases.len(), 4, |number| {
        let (scene, name, script) = &cases[number];
        let mut trial = DeploymentTrial::new(format!("{name} {scene:?}"), *scene);
        trial.deploy(&TrialVersions::get().hard, &run_behind_script(script));
        let deployed = &trial.deployed[trial.deployed.len() - 1];
        let is_logged = deployed.status() == Some("ok") && deployed.is_logged;
        if *scene != TrialScene::Offline && !is_logged {
            let message = format!("{name} {scene:?}: {}", deployed.message());
            trial.violations.misled.push(message);
        }
        // Only a disk that takes no file has no spool.
        let is_spooled = deployed.message().contains("sent with the next deployment");
        if *scene == TrialScene::Offline && is_spooled != script.starts_with(INJECT) {
            let message = format!("{name} {scene:?}: {}", deployed.message());
            trial.violations.lost.push(message);
        }
        trial.finish()
    }));
    campaign.print_line(format!(
        "{} odd disks: {}",
        cases.len(),
        violations.summary()
    ));
    violations.assert_none(&campaign);
}

/// Runs a command of the helper in which `faults` happen.
fn run_with_faults(world: &World, faults: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = world.command("/bin/sh");
    let script = format!("{INJECT} {faults} \"$@\"");
    command.args(["-c", &script, "sh"]);
    command.arg(test_support::helper_path()).args(arguments);
    let output = command.output().expect("it runs");
    let said = to_text(&output.stdout) + &to_text(&output.stderr);
    (output.status.code(), said)
}

#[test]
#[ignore = "needs strace: make test-strace"]
fn restore_and_report_work_without_modes_and_fsync() {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    unit.deploy(&world).expect_success();
    let path = world.path().join("restored.yaml");
    let output = path.to_str().expect("UTF-8");
    let restore = [
        "restore",
        "airbnb",
        "--profile",
        "default",
        "--output",
        output,
        "--force",
    ];
    let folder = world.path().display();
    let cache = world.home().join(".cache/config-backup");
    // Of folders alone, as on CIFS: a file must be synced.
    let no_sync = format!(
        "-P '{folder}' -P '{}' -e trace=fsync -e inject=fsync:error=EINVAL",
        cache.display()
    );
    for faults in [
        "-e trace=fchmod -e inject=fchmod:error=EPERM",
        no_sync.as_str(),
    ] {
        fs::write(&path, "# mine\n").expect("a file");
        for _ in 0..2 {
            let (code, said) = run_with_faults(&world, faults, &restore);
            assert_eq!(code, Some(0), "{faults}: {said}");
        }
        assert_eq!(fs::read(&path).expect("restored"), world.stored_config());
        let backup = world.path().join("restored.yaml.bak");
        assert_eq!(fs::read_to_string(&backup).expect("a copy"), "# mine\n");
        assert!(!world.path().join("restored.yaml.bak2").exists());
        fs::remove_file(&backup).expect("removed");

        let _ = fs::remove_dir_all(world.home().join(".cache"));
        let gets_before = world.count_requests("GetObject", "usage-logs/");
        let report = ["report", "--profile", "default"];
        for _ in 0..2 {
            let (code, said) = run_with_faults(&world, faults, &report);
            assert_eq!(
                (code, said.lines().count()),
                (Some(0), 2),
                "{faults}: {said}"
            );
        }
        let gets = world.count_requests("GetObject", "usage-logs/") - gets_before;
        assert_eq!(gets, 1, "the second report has a cache");
    }
}

//! Dead, deaf, slow and broken mounts under each path that a step of a deployment touches: in each
//! step, with and without `helper.sh`.
//!
//! A FUSE file system stands for a network file system whose server is gone. Root and /dev/fuse are
//! needed: `make test-mounts`.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::trial_runner::send_signal;
use test_support::campaign::Campaign;
use test_support::fuse_mount::{self, FuseMount, MOUNT_MODES, MountMode};
use test_support::terraform_steps::CustomerUnit;
use test_support::{World, helper_path, project_dir};

/// The deadline of the deployments here.
const DEADLINE: Duration = Duration::from_secs(3);
/// What a busy machine may add to it, and `helper.sh` to a helper that cannot end.
const BUSY_MACHINE_MARGIN: Duration = Duration::from_secs(12);

const STEPS: [&str; 3] = ["context", "deploy", "fallback"];

/// A path that a step touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MountPoint {
    StateDir,
    Home,
    TemporaryFiles,
    FirstFolderOfPath,
    AwsConfig,
    AwsCredentials,
    IdentityToken,
    CaBundle,
    CustomerFolder,
    WorkingDirectory,
}

const MOUNT_POINTS: [MountPoint; 10] = [
    MountPoint::StateDir,
    MountPoint::Home,
    MountPoint::TemporaryFiles,
    MountPoint::FirstFolderOfPath,
    MountPoint::AwsConfig,
    MountPoint::AwsCredentials,
    MountPoint::IdentityToken,
    MountPoint::CaBundle,
    MountPoint::CustomerFolder,
    MountPoint::WorkingDirectory,
];

#[derive(Debug, Clone, Copy)]
struct MountCase {
    mode: MountMode,
    point: MountPoint,
    step: &'static str,
    has_script: bool,
}

/// Violations by promise, with a phrase for each case.
#[derive(Debug, Default)]
struct MountViolations {
    /// The answer came late, or the step did not end where it can.
    blocked: Vec<String>,
    /// Not an answer, or not the exit code 0.
    failed: Vec<String>,
    /// The answer says that all is well, and it is not.
    silent: Vec<String>,
    /// The deployment after the mount's end does not succeed.
    broken: Vec<String>,
}

impl MountViolations {
    fn by_kind(&self) -> [(&'static str, &Vec<String>); 4] {
        [
            ("blocked", &self.blocked),
            ("failed", &self.failed),
            ("silent", &self.silent),
            ("broken afterwards", &self.broken),
        ]
    }

    fn merge(&mut self, other: Self) {
        self.blocked.extend(other.blocked);
        self.failed.extend(other.failed);
        self.silent.extend(other.silent);
        self.broken.extend(other.broken);
    }

    fn counts(&self) -> [usize; 4] {
        self.by_kind().map(|(_, cases)| cases.len())
    }
}

#[test]
#[ignore = "needs root and /dev/fuse: make test-mounts"]
fn no_mount_blocks_or_fails_a_step() {
    let campaign = Campaign::start("mounts");
    if !fuse_mount::is_possible() {
        return campaign.print_line("NOT RUN: it needs root and /dev/fuse");
    }
    let mut cases = all_cases();
    campaign.rng(0).shuffle(&mut cases);
    let all = cases.len();
    cases.truncate(campaign.pick(32, usize::MAX));
    let done = campaign.run_each(cases.len(), 8, |number| {
        run_case(cases[number], &helper_path(), BUSY_MACHINE_MARGIN)
    });
    let mut violations = MountViolations::default();
    for found in done {
        violations.merge(found);
    }
    let summary = violations
        .by_kind()
        .map(|(kind, cases)| format!("{} {kind}", cases.len()))
        .join(", ");
    campaign.print_line(format!("{} mounts (of {all}): {summary}", cases.len()));
    for (kind, cases) in violations.by_kind() {
        for case in cases.iter().take(8) {
            campaign.print_line(format!("{kind}: {case}"));
        }
    }
    assert_eq!(violations.counts(), [0; 4], "the cases stand above");
}

fn all_cases() -> Vec<MountCase> {
    let mut cases = Vec::new();
    for mode in MOUNT_MODES {
        for point in MOUNT_POINTS {
            // No step starts in a folder that cannot be entered.
            if point == MountPoint::WorkingDirectory && mode != MountMode::Half {
                continue;
            }
            for step in STEPS {
                for has_script in [false, true] {
                    cases.push(MountCase {
                        mode,
                        point,
                        step,
                        has_script,
                    });
                }
            }
        }
    }
    cases
}

/// Broken helpers: each counter finds its own.
#[test]
#[ignore = "needs root and /dev/fuse: make test-mounts"]
fn detects_a_helper_that_a_mount_blocks_fails_or_silences() {
    if !fuse_mount::is_possible() {
        return Campaign::start("mounts").print_line("NOT RUN: it needs root and /dev/fuse");
    }
    let ok = "printf '{\"status\":\"ok\",\"message\":\"\",\"deployment_id\":\"12345678\"}\\n'";
    for (script, counts) in [
        (format!("cat >/dev/null; {ok}"), [0, 0, 1, 0]),
        ("\"$HELPER\" \"$1\"; exit 1".to_owned(), [0, 1, 0, 0]),
        ("\"$HELPER\" \"$1\" | tr -d '{'".to_owned(), [0, 1, 0, 0]),
        // It looks at the mount before anything else.
        (
            "ls \"$XDG_STATE_HOME\"; exec \"$HELPER\" \"$1\"".to_owned(),
            [1, 1, 0, 0],
        ),
        // It answers, and cannot end.
        (
            "\"$HELPER\" \"$1\"; ls \"$XDG_STATE_HOME\"; exit 0".to_owned(),
            [1, 0, 0, 0],
        ),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let helper = folder.path().join("helper");
        let text = format!(
            "#!/bin/sh\nHELPER='{}'\n{script}\n",
            helper_path().display()
        );
        write_program(&helper, &text);
        let case = MountCase {
            mode: MountMode::Dead,
            point: MountPoint::StateDir,
            step: "deploy",
            has_script: false,
        };
        let violations = run_case(case, &helper, Duration::from_secs(4));
        assert_eq!(violations.counts(), counts, "{script}: {violations:?}");
    }
}

/// Another process writes it, because a file cannot run while a forked process has it open.
fn write_program(path: &Path, text: &str) {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "cat >\"$0\" && chmod +x \"$0\""])
        .arg(path);
    let written = test_support::run_with_input(command, text.as_bytes());
    assert!(written.status.success());
}

fn run_case(case: MountCase, helper: &Path, margin: Duration) -> MountViolations {
    let name = format!("{case:?}");
    let mut violations = MountViolations::default();
    let mut world = World::new();
    let mut unit = CustomerUnit::new(&world);
    unit.set_variable("timeout", &DEADLINE.as_secs().to_string());
    let mount = FuseMount::start(case.mode, &world.path().join("mount"));
    let folder = mount.folder().to_owned();
    let query = move_to_mount(&mut world, &unit, case.point, &folder);
    let is_on_mount = case.point == MountPoint::WorkingDirectory;
    let working_dir = if is_on_mount { &folder } else { world.path() };

    let started = Instant::now();
    let limit = DEADLINE + margin;
    let step = start_step(&world, case, helper, &query, working_dir);
    let answer = step.answer.recv_timeout(limit).ok();
    if started.elapsed() > limit {
        violations
            .blocked
            .push(format!("{name}: no answer in time"));
    }
    // Only a request that the server has read holds a process until the server is gone. The script
    // does not wait for such a process.
    let may_be_held = matches!(
        case.mode,
        MountMode::Deaf | MountMode::Half | MountMode::Slow
    );
    let mut exit = None;
    if case.has_script || !may_be_held {
        exit = step.exit_until(started + limit);
        if exit.is_none() && answer.is_some() {
            violations.blocked.push(format!("{name}: it did not end"));
        }
    }
    mount.end();
    if exit.is_none() {
        exit = step.exit_until(Instant::now() + margin);
    }
    send_signal("KILL", -i64::from(step.process_id));

    let is_answer = answer
        .as_deref()
        .is_some_and(|text| is_answer(case.step, text));
    if !is_answer || exit != Some(0) {
        violations
            .failed
            .push(format!("{name}: exit code {exit:?}, {answer:?}"));
    }
    let claims_success = answer.is_some_and(|text| {
        text.contains("\"status\":\"ok\"")
            || text.starts_with("config-backup: all is in the bucket")
    });
    if claims_success && case.step != "context" && world.usage_records().is_empty() {
        violations.silent.push(format!("{name}: it said ok"));
    }
    violations.broken.extend(deploy_afterwards(&name));
    violations
}

/// A healthy deployment of another machine state must succeed; the mount leaves nothing behind.
fn deploy_afterwards(name: &str) -> Option<String> {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    let deployed = unit.deploy(&world);
    (deployed.answer["status"] != "ok").then(|| format!("{name}: {deployed:?}"))
}

/// Puts one path of the step on the mount, and returns the query.
fn move_to_mount(
    world: &mut World,
    unit: &CustomerUnit,
    point: MountPoint,
    folder: &Path,
) -> Value {
    let mut query = unit.query();
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    match point {
        MountPoint::StateDir => world.set_variable("XDG_STATE_HOME", Some(&path(""))),
        MountPoint::Home => world.set_variable("HOME", Some(&path(""))),
        MountPoint::TemporaryFiles => world.set_variable("TMPDIR", Some(&path(""))),
        MountPoint::FirstFolderOfPath => {
            let rest = std::env::var("PATH").unwrap_or_default();
            let folders = format!("{}:{rest}", path("bin"));
            world.set_variable("PATH", Some(&folders));
        }
        MountPoint::AwsConfig => world.set_variable("AWS_CONFIG_FILE", Some(&path("config"))),
        MountPoint::AwsCredentials => {
            world.set_variable("AWS_SHARED_CREDENTIALS_FILE", Some(&path("credentials")));
        }
        MountPoint::IdentityToken => {
            fs::remove_file(world.home().join(".aws/credentials")).expect("gone");
            world.set_variable("AWS_WEB_IDENTITY_TOKEN_FILE", Some(&path("token")));
            world.set_variable(
                "AWS_ROLE_ARN",
                Some("arn:aws:iam::123456789012:role/Deployer"),
            );
        }
        MountPoint::CaBundle => world.set_variable("AWS_CA_BUNDLE", Some(&path("bundle.pem"))),
        MountPoint::CustomerFolder => query["config_file_path"] = path("config.yaml").into(),
        MountPoint::WorkingDirectory => {}
    }
    query
}

fn start_step(
    world: &World,
    case: MountCase,
    helper: &Path,
    query: &Value,
    working_dir: &Path,
) -> RunningStep {
    // A shell changes the folder, because this process must not wait for a mount.
    let mut command = world.command("/bin/sh");
    command
        .args(["-c", "cd \"$0\" && exec \"$@\""])
        .arg(working_dir);
    if case.has_script {
        let script = world.path().join("unit/helper.sh");
        fs::create_dir_all(world.path().join("unit")).expect("a folder");
        fs::copy(project_dir().join("terraform/helper.sh"), &script).expect("a script");
        let settings = world.path().join("unit/config_backup.auto.tfvars.json");
        fs::write(settings, settings_of(query).to_string()).expect("settings");
        let seconds = DEADLINE.as_secs().to_string();
        command
            .arg("/bin/sh")
            .arg(script)
            .arg(case.step)
            .arg(helper);
        command.args(["none", "none", &seconds]);
    } else {
        command.arg(helper).arg(case.step);
    }
    let mut step = command
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let input = if case.step == "fallback" {
        settings_of(query)
    } else {
        query.clone()
    };
    let _ = step
        .stdin
        .take()
        .expect("a pipe")
        .write_all(input.to_string().as_bytes());
    watch_step(step)
}

/// A step whose first line and exit code come through channels.
struct RunningStep {
    process_id: u32,
    answer: Receiver<String>,
    exit_code: Receiver<Option<i32>>,
}

impl RunningStep {
    /// The exit code, or `None` at `deadline`.
    fn exit_until(&self, deadline: Instant) -> Option<i32> {
        let time_left = deadline.saturating_duration_since(Instant::now());
        self.exit_code.recv_timeout(time_left).ok().flatten()
    }
}

fn watch_step(mut step: Child) -> RunningStep {
    let process_id = step.id();
    let stdout = step.stdout.take().expect("a pipe");
    let (answer_sender, answer) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        let _ = BufReader::new(stdout).read_line(&mut line);
        let _ = answer_sender.send(line);
    });
    let (exit_sender, exit_code) = mpsc::channel();
    thread::spawn(move || exit_sender.send(step.wait().expect("a child").code()));
    RunningStep {
        process_id,
        answer,
        exit_code,
    }
}

fn settings_of(query: &Value) -> Value {
    json!({ "unit_settings": query })
}

fn is_answer(step: &str, text: &str) -> bool {
    if step == "fallback" {
        return text.starts_with("config-backup: ") && text.ends_with('\n');
    }
    let answer: Option<Value> = serde_json::from_str(text).ok();
    answer.is_some_and(|answer| answer["status"].is_string())
}

//! `action.yml`: the steps that install the helper and send what could not be uploaded, run as
//! GitHub's runner does.

use std::fs;
use std::process::Command;

use serde_json::Value;

use test_support::composite_action::{ActionRun, ActionRunner};
use test_support::release_server::ReleaseServer;
use test_support::terraform_steps::CustomerUnit;
use test_support::{World, assert_no_secret, project_dir, refused_endpoint, to_text};

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn read_action() -> Value {
    let text = fs::read_to_string(project_dir().join("action.yml")).expect("it");
    serde_yaml::from_str(&text).expect("YAML")
}

/// A world in a job of GitHub Actions.
fn job_world() -> World {
    let mut world = World::new();
    for (name, value) in [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_SERVER_URL", "https://github.com"),
        ("GITHUB_REPOSITORY", "acme/my_deployments"),
        ("GITHUB_RUN_ID", "4711"),
        ("AWS_ACCESS_KEY_ID", "AKIADEFAULT"),
        ("AWS_SECRET_ACCESS_KEY", "secret-of-default"),
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
    ] {
        world.set_variable(name, Some(value));
    }
    world
}

/// Runs the action with these inputs.
fn run_action(world: &World, runner: &ActionRunner, inputs: &[(&str, &str)]) -> ActionRun {
    let run = runner.run(&|shell| world.command(shell), inputs);
    assert_no_secret("the log of a job", &run.output);
    assert_no_secret("the summary of a job", &runner.summary());
    run
}

fn new_runner(world: &World) -> ActionRunner {
    ActionRunner::new(&world.path().join("runner"), read_action())
}

fn release_of(world: &World, version: &str) -> ReleaseServer {
    ReleaseServer::start(&world.path().join("release"), version)
}

/// What a later step of the job gets for `config-backup --version`.
fn installed_version(world: &World, runner: &ActionRunner) -> String {
    let mut command: Command = world.command("sh");
    command.args(["-c", "config-backup --version"]);
    runner.prepare(&mut command);
    to_text(&command.output().expect("a shell").stdout)
}

/// Asserts that a run failed with this cause, and installed nothing.
#[track_caller]
fn assert_refused(run: &ActionRun, runner: &ActionRunner, cause: &str) {
    assert_eq!(run.code, Some(1), "{run:?}");
    let annotation = "::error title=config-backup::";
    let lines: Vec<&str> = run
        .output
        .lines()
        .filter_map(|line| line.strip_prefix(annotation))
        .collect();
    assert!(
        lines.len() == 1 && lines[0].contains(cause),
        "{cause}: {run:?}"
    );
    assert!(runner.added_paths().is_empty(), "{run:?}");
}

#[test]
fn installs_the_version_of_the_action_and_checks_it_with_the_sums_of_the_release() {
    let world = job_world();
    let runner = new_runner(&world);
    let release = release_of(&world, VERSION);
    let url = format!("{}/", release.url);
    let run = run_action(&world, &runner, &[("url", &url)]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.output.contains(&release.sha256()), "{run:?}");
    assert_eq!(
        installed_version(&world, &runner),
        format!("config-backup {VERSION}\n")
    );
}

#[test]
fn the_sum_of_the_workflow_counts_before_that_of_the_release() {
    let world = job_world();
    let runner = new_runner(&world);
    let release = release_of(&world, VERSION);
    let (known, wrong) = (release.sha256(), "0".repeat(64));

    let inputs = [("url", release.url.as_str()), ("sha256", wrong.as_str())];
    let run = run_action(&world, &runner, &inputs);
    assert_refused(&run, &runner, &format!("is {known}, not {wrong}"));

    release.write_sums(&format!("{wrong}  {}\n", release.archive));
    let run = run_action(&world, &runner, &[("url", &release.url)]);
    assert_refused(&run, &runner, "nothing is installed");

    let lines = format!("{wrong}  other.tar.gz\n{known}  {}\n", release.archive);
    for sha256 in [&known, &lines] {
        let tagged = format!("v{VERSION}");
        let inputs = [
            ("url", release.url.as_str()),
            ("sha256", sha256.as_str()),
            ("version", tagged.as_str()),
        ];
        let run = run_action(&world, &runner, &inputs);
        assert_eq!(run.code, Some(0), "{run:?}");
    }
}

#[test]
fn an_archive_without_a_sum_is_not_installed() {
    let world = job_world();
    let runner = new_runner(&world);
    let release = release_of(&world, VERSION);
    let inputs = [("url", release.url.as_str())];
    release.write_sums(&format!("{}  other.tar.gz\n", release.sha256()));
    let run = run_action(&world, &runner, &inputs);
    assert_refused(&run, &runner, "the SHA-256 of 'config-backup-");
    release.remove_sums();
    let run = run_action(&world, &runner, &inputs);
    assert_refused(&run, &runner, "/SHA256SUMS': ");
}

#[test]
fn a_missing_version_and_wrong_inputs_name_the_way_out() {
    let world = job_world();
    let runner = new_runner(&world);
    let release = release_of(&world, VERSION);
    let url = release.url.as_str();
    let with_password = url.replace("://", "://me:canary-admin-password@");
    for (inputs, cause) in [
        (
            &[("url", with_password.as_str()), ("version", "9.9.9")][..],
            format!("cannot download '{url}/config-backup-9.9.9-").as_str(),
        ),
        (
            &[("url", url), ("version", "9.9.9")][..],
            "check the inputs version and url",
        ),
        (
            &[("url", url), ("version", "../x")],
            "'../x' is not a version; use one such as",
        ),
        (&[], "set the input url"),
        (&[("command", "reply")], "use install or replay"),
    ] {
        let run = run_action(&world, &runner, inputs);
        assert_refused(&run, &runner, cause);
    }
}

#[test]
fn an_archive_with_another_version_is_not_installed() {
    let world = job_world();
    let runner = new_runner(&world);
    let release = release_of(&world, "9.9.9");
    let inputs = [("url", release.url.as_str()), ("version", "9.9.9")];
    let run = run_action(&world, &runner, &inputs);
    assert_refused(&run, &runner, &format!("has 'config-backup {VERSION}'"));
}

#[test]
fn replay_sends_what_is_queued_and_the_summary_has_the_deployments_of_this_run() {
    let mut world = job_world();
    let runner = new_runner(&world);
    let release = release_of(&world, VERSION);
    let run = run_action(&world, &runner, &[("url", &release.url)]);
    assert_eq!(run.code, Some(0), "{run:?}");

    let unit = CustomerUnit::new(&world);
    world.set_variable("GITHUB_RUN_ID", Some("4710"));
    unit.deploy(&world).expect_success();
    world.set_variable("GITHUB_RUN_ID", Some("4711"));
    world.set_endpoint(&refused_endpoint());
    unit.deploy(&world);
    assert!(!world.spooled_items().is_empty());

    world.restore_endpoints();
    let run = run_action(&world, &runner, &[("command", "replay")]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(world.spooled_items().is_empty());
    let records = world.usage_records();
    assert_eq!(records.len(), 2);
    let summary = runner.summary();
    let rows: Vec<&str> = summary
        .lines()
        .filter(|line| line.starts_with("| 2"))
        .collect();
    assert!(
        rows.len() == 1 && rows[0].contains(" | airbnb | "),
        "{summary}"
    );
    assert!(
        summary.starts_with("### config-backup\n\n| timestamp | customer | user | backup | ")
            && summary.ends_with("\nNothing is queued: all of it is in the bucket.\n"),
        "{summary}"
    );
}

#[test]
fn what_cannot_be_sent_is_in_the_summary_and_fails_the_step() {
    let mut world = job_world();
    let runner = new_runner(&world);
    let release = release_of(&world, VERSION);
    run_action(&world, &runner, &[("url", &release.url)]);
    world.set_endpoint(&refused_endpoint());
    CustomerUnit::new(&world).deploy(&world);
    let queued = world.spooled_items().len();

    let inputs = [("command", "replay"), ("customer", "airbnb")];
    let run = run_action(&world, &runner, &inputs);
    assert_eq!(run.code, Some(6), "{run:?}");
    assert!(
        run.output.contains("::error title=config-backup::"),
        "{run:?}"
    );
    let summary = runner.summary();
    assert!(
        summary.contains("The usage records cannot be listed;")
            && summary.contains(&format!("\n{queued} queued, 0 in quarantine;"))
            && summary.contains("lost when the runner is thrown away:\n\n```text\n"),
        "{summary}"
    );
}

#[test]
fn without_the_helper_the_last_step_says_that_nothing_was_logged() {
    let mut world = job_world();
    let runner = new_runner(&world);
    // `World::command` puts the helper into PATH.
    world.set_variable("PATH", Some("/usr/bin:/bin"));
    let run = run_action(&world, &runner, &[("command", "replay")]);
    assert_refused(&run, &runner, "backed up and logged nothing");
    assert!(runner.summary().contains("nothing was backed up or logged"));
}

#[test]
fn the_action_knows_the_archives_of_a_release() {
    let [script, dist] = ["packaging/action/install.sh", "tools/dist"]
        .map(|path| fs::read_to_string(project_dir().join(path)).expect("it"));
    let targets: Vec<&str> = dist
        .lines()
        .filter(|line| line.starts_with("CROSS = ") || line.starts_with("NATIVE = "))
        .flat_map(|line| line.split('"').skip(1).step_by(2))
        .collect();
    assert_eq!(targets.len(), 4, "{targets:?}");
    for target in targets {
        assert!(script.contains(&format!("target={target} ;;")), "{target}");
    }
}

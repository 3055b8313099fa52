//! Second runs: Terragrunt runs the unit again, or its `error_hook`, after the first helper was
//! killed or while it still runs.
//!
//! A process named `terragrunt` starts both helpers, so both belong to one deployment: it has one
//! record, and the second run completes it. Each run of Terraform brings a new id, and the
//! `error_hook` brings none.

use std::fs;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::trial_runner::send_signal;
use crate::violations::verify_findings;
use test_support::campaign::Campaign;
use test_support::faulty_proxy::{FaultyProxy, RequestFate};
use test_support::oracle::{unix_now, wait_for_next_second};
use test_support::terraform_steps::{CustomerUnit, string_field, wrap_request};
use test_support::{BUCKET, CONFIG, World, helper_path, project_dir, refused_endpoint};

/// The script of the fake Terragrunt: it runs each line that it reads.
const TERRAGRUNT: &str = r#"
helper=$1 folder=$2
first() { "$helper" deploy <"$folder/first.json" >/dev/null 2>&1 & echo "$!"; }
ended() { wait; echo ended; }
hook() { /bin/sh "$folder/helper.sh" fallback "$helper"; }
retry() { "$helper" deploy <"$folder/second.json"; }
while read -r line; do "$line"; done
exit 0
"#;

/// What happens to the first helper while it waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FirstRunFate {
    /// Killed before the server gets the request.
    Killed,
    /// Killed after the server executed the request.
    KilledAfter,
    /// Only Terraform and `helper.sh` are killed: the helper gets its answer during the second run.
    GoesOn,
}

/// The second run of Terragrunt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SecondRunKind {
    Hook,
    Retry,
}

#[derive(Debug, Clone, Copy)]
struct SecondRunCase {
    /// The request of the first run, counted from 0.
    request: usize,
    first: FirstRunFate,
    second: SecondRunKind,
    /// Whether an earlier deployment is in the spool, which both runs would send after their own
    /// record.
    is_late: bool,
    /// Whether one Terragrunt process runs both; otherwise they are two deployments.
    is_one_process: bool,
}

/// A world with a unit, the folder with `helper.sh` and its inputs, and the id of the earlier
/// deployment.
struct PreparedWorld {
    world: World,
    unit: CustomerUnit,
    folder: PathBuf,
    early: Option<String>,
}

/// A process named `terragrunt`.
struct TerragruntProcess {
    process: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl TerragruntProcess {
    fn start(world: &World, folder: &PathBuf) -> Self {
        let program = folder.join("terragrunt");
        if !program.exists() {
            symlink("/bin/sh", &program).expect("a link");
        }
        let mut command = world.command(program);
        command
            .args(["-c", TERRAGRUNT, "sh"])
            .arg(helper_path())
            .arg(folder);
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let (input, output) = (process.stdin.take(), process.stdout.take().expect("a pipe"));
        Self {
            process,
            input,
            output: BufReader::new(output).lines(),
        }
    }

    fn send_line(&mut self, line: &str) {
        writeln!(self.input.as_mut().expect("a pipe"), "{line}").expect("it reads");
    }

    fn read_line(&mut self) -> String {
        self.output.next().expect("a line").expect("text")
    }
}

impl Drop for TerragruntProcess {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.process.wait();
    }
}

fn prepare_world(is_late: bool) -> PreparedWorld {
    let mut world = World::new();
    // No child may inherit the locks of the killed process.
    world.set_variable("PATH", Some("/nonexistent"));
    let mut unit = CustomerUnit::new(&world);
    unit.set_variable("timeout", "60");
    let folder = world.path().join("customers of ours/airbnb/config-backup");
    fs::create_dir_all(&folder).expect("a folder");
    symlink(
        project_dir().join("terraform/helper.sh"),
        folder.join("helper.sh"),
    )
    .expect("a link");
    let settings = json!({ "config_file_path": null, "unit_settings": unit.query() });
    fs::write(
        folder.join("config_backup.auto.tfvars.json"),
        settings.to_string(),
    )
    .expect("settings");
    let early = is_late.then(|| {
        world.set_endpoint(&refused_endpoint());
        unit.write_config(CONFIG.replace("M30", "M40"));
        let id = unit.deploy(&world).deployment_id().to_owned();
        unit.write_config(CONFIG);
        world.restore_endpoints();
        // Records of the same second have other names.
        wait_for_next_second(unix_now());
        id
    });
    PreparedWorld {
        world,
        unit,
        folder,
        early,
    }
}

/// The number of requests of an undisturbed deployment.
fn count_requests(is_late: bool) -> usize {
    let PreparedWorld {
        mut world, unit, ..
    } = prepare_world(is_late);
    let context = unit.plan(&world);
    let proxy = FaultyProxy::start(&world.server.endpoint(), |_| RequestFate::Pass);
    world.set_endpoint(&proxy.endpoint());
    unit.apply(&world, context).expect_success();
    proxy.count_requests("")
}

/// Forwards all requests except that of `case`, which waits until `over`.
fn start_proxy(
    upstream: &str,
    case: SecondRunCase,
    arrival: Sender<()>,
    over: Receiver<()>,
) -> FaultyProxy {
    let (seen, arrival, over) = (
        AtomicUsize::new(0),
        Mutex::new(arrival),
        Arc::new(Mutex::new(over)),
    );
    FaultyProxy::start(upstream, move |_| {
        if seen.fetch_add(1, Ordering::SeqCst) != case.request {
            return RequestFate::Pass;
        }
        let (arrival, over) = (arrival.lock().expect("no panic").clone(), Arc::clone(&over));
        let wait = move || {
            arrival.send(()).expect("the test waits");
            let _ = over.lock().expect("no panic").recv();
        };
        match case.first {
            FirstRunFate::KilledAfter => RequestFate::Instead(Arc::new(wait)),
            FirstRunFate::Killed => {
                wait();
                RequestFate::Silence
            }
            FirstRunFate::GoesOn => {
                wait();
                RequestFate::Pass
            }
        }
    })
}

/// Runs a deployment twice, and returns the violations.
fn run_case(case: SecondRunCase) -> Vec<String> {
    let PreparedWorld {
        mut world,
        unit,
        folder,
        early,
    } = prepare_world(case.is_late);
    let context = unit.plan(&world);
    fs::write(
        folder.join("first.json"),
        wrap_request(&unit.deploy_request(&context)).to_string(),
    )
    .expect("a request");
    fs::write(
        folder.join("second.json"),
        wrap_request(&unit.deploy_request(&unit.plan(&world))).to_string(),
    )
    .expect("a request");
    let ((sender, arrival), (until, over)) = (mpsc::channel(), mpsc::channel());
    let proxy = start_proxy(&world.server.endpoint(), case, sender, over);
    world.set_endpoint(&proxy.endpoint());
    let mut terragrunt = TerragruntProcess::start(&world, &folder);
    let mut other = (!case.is_one_process).then(|| TerragruntProcess::start(&world, &folder));
    terragrunt.send_line("first");
    let pid = terragrunt.read_line().parse().expect("a process");
    arrival.recv().expect("the request comes");
    if case.first != FirstRunFate::GoesOn {
        send_signal("KILL", pid);
        terragrunt.send_line("ended");
        assert_eq!(terragrunt.read_line(), "ended");
    }
    let runs_second = other.as_mut().unwrap_or(&mut terragrunt);
    runs_second.send_line(if case.second == SecondRunKind::Hook {
        "hook"
    } else {
        "retry"
    });
    drop(until);
    let answer = runs_second.read_line();
    terragrunt.send_line("ended");
    assert_eq!(terragrunt.read_line(), "ended");
    world.restore_endpoints();
    let ids: Vec<String> = early
        .into_iter()
        .chain([string_field(&context, "deployment_id").to_owned()])
        .collect();
    check_second_run(&world, &ids, &answer)
        .into_iter()
        .map(|wrong| format!("{case:?}: {wrong}; {answer}"))
        .collect()
}

/// The violations after both runs.
fn check_second_run(world: &World, deployed: &[String], answer: &str) -> Vec<String> {
    let is_well = match serde_json::from_str::<Value>(answer) {
        Ok(answer) => answer["status"] == "ok",
        Err(_) => answer.starts_with("config-backup: ") && !answer.contains("WARNING"),
    };
    let mut ids: Vec<String> = world
        .usage_records()
        .iter()
        .map(|(_, record)| string_field(record, "deployment_id").to_owned())
        .collect();
    ids.sort();
    let copies = world
        .server
        .keys(BUCKET, "terragrunt/airbnb/config-history/");
    let current = world.server.object(BUCKET, "terragrunt/airbnb/config.yaml");
    let mut violations = verify_findings(world);
    let mut check = |holds: bool, wrong: String| violations.extend((!holds).then_some(wrong));
    check(is_well, "the second run reports a failure".to_owned());
    check(ids == deployed, format!("the records are of {ids:?}"));
    check(
        copies.len() == deployed.len(),
        format!("the copies are {copies:?}"),
    );
    check(
        current.is_some_and(|it| it.body == CONFIG.as_bytes()),
        "config.yaml is another one".to_owned(),
    );
    check(
        world.spooled_items().is_empty(),
        format!("{:?} is spooled", world.spooled_items()),
    );
    violations
}

#[test]
fn a_second_run_completes_the_deployment_and_repeats_nothing() {
    let campaign = Campaign::start("second runs");
    let mut cases = Vec::new();
    for is_late in [false, true] {
        for request in 0..count_requests(is_late) {
            for first in [
                FirstRunFate::Killed,
                FirstRunFate::KilledAfter,
                FirstRunFate::GoesOn,
            ] {
                let case = |second| SecondRunCase {
                    request,
                    first,
                    second,
                    is_late,
                    is_one_process: true,
                };
                cases.extend([SecondRunKind::Hook, SecondRunKind::Retry].map(case));
            }
        }
    }
    campaign.rng(0).shuffle(&mut cases);
    // The cases with the latest requests come first; a small campaign has four of them.
    let latest = cases.iter().map(|case| case.request).max();
    cases.sort_by_key(|case| {
        (
            !case.is_late,
            case.first != FirstRunFate::KilledAfter,
            case.request + 1 < latest.unwrap_or_default(),
        )
    });
    let all = cases.len();
    cases.truncate(campaign.pick(8, usize::MAX));
    let violations: Vec<String> = campaign
        .run_each(cases.len(), 4, |number| run_case(cases[number]))
        .concat();
    campaign.print_line(format!(
        "{} second runs (of {all}): {} wrong",
        cases.len(),
        violations.len()
    ));
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn a_second_run_of_another_terragrunt_is_a_deployment_of_its_own() {
    for second in [SecondRunKind::Hook, SecondRunKind::Retry] {
        let violations = run_case(SecondRunCase {
            request: 1,
            first: FirstRunFate::GoesOn,
            second,
            is_late: false,
            is_one_process: false,
        });
        assert!(
            violations
                .iter()
                .any(|wrong| wrong.contains("the records are of")),
            "{violations:?}"
        );
    }
}

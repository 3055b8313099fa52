//! Signals to a step that waits for the network, at each of its requests, before and after S3
//! executed it. The signals are SIGKILL and those of Ctrl-C, CI runners and closed terminals, once
//! or twice. No strace is needed.
//!
//! Terraform starts `helper.sh`, which starts the helper. On Ctrl-C the terminal sends SIGINT to
//! both, and Terraform kills only the script: then the helper continues without it.

use std::cmp::Ordering::{Equal, Greater, Less};
use std::fs;
use std::io::Write as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::kill_step::{
    AfterKill, KILLABLE_STEPS, KillOutcome, expected_spool_files, request_in_query, run_killed_step,
};
use crate::trial_runner::{StepResult, TrialScene, send_signal};
use crate::violations::ViolationCounts;
use test_support::campaign::Campaign;
use test_support::faulty_proxy::{FaultyProxy, RequestFate};
use test_support::terraform_steps::wrap_request;
use test_support::{World, helper_path, project_dir, run_with_input, to_text};

/// The time in which a signalled step must end.
const SOON: Duration = Duration::from_secs(20);
/// The signals, their number and their targets.
const SIGNALS: [SignalKind; 11] = [
    SignalKind {
        name: "KILL",
        number: 9,
        times: 1,
        to: SignalTarget::Helper,
    },
    SignalKind {
        name: "INT",
        number: 2,
        times: 1,
        to: SignalTarget::Helper,
    },
    SignalKind {
        name: "TERM",
        number: 15,
        times: 1,
        to: SignalTarget::Helper,
    },
    SignalKind {
        name: "HUP",
        number: 1,
        times: 1,
        to: SignalTarget::Helper,
    },
    SignalKind {
        name: "INT",
        number: 2,
        times: 2,
        to: SignalTarget::Helper,
    },
    SignalKind {
        name: "TERM",
        number: 15,
        times: 2,
        to: SignalTarget::Helper,
    },
    SignalKind {
        name: "HUP",
        number: 1,
        times: 2,
        to: SignalTarget::Helper,
    },
    SignalKind {
        name: "KILL",
        number: 9,
        times: 1,
        to: SignalTarget::HelperOfScript,
    },
    SignalKind {
        name: "KILL",
        number: 9,
        times: 1,
        to: SignalTarget::Script,
    },
    SignalKind {
        name: "INT",
        number: 2,
        times: 1,
        to: SignalTarget::Both,
    },
    SignalKind {
        name: "TERM",
        number: 15,
        times: 1,
        to: SignalTarget::Both,
    },
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SignalKind {
    name: &'static str,
    number: i32,
    times: usize,
    to: SignalTarget,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SignalTarget {
    /// The helper without `helper.sh`.
    Helper,
    /// The helper below `helper.sh`.
    HelperOfScript,
    /// Only `helper.sh`.
    Script,
    /// `helper.sh` and the helper, as a process group.
    Both,
}

/// The parent of the tests may ignore signals. A shell cannot restore them, and a terminal would
/// not ignore them.
const HEARING: &str = "import os,signal,sys; [signal.signal(it, signal.SIG_DFL) for it in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)]; \
                       os.execv(sys.argv[1], sys.argv[1:])";

#[derive(Debug, Clone, Copy)]
struct SignalCase {
    step: (&'static str, TrialScene),
    /// The request, counted from 0.
    request: usize,
    /// Whether the server executed the request.
    done: bool,
    signal: SignalKind,
}

#[test]
fn no_signal_at_any_request_tears_loses_or_repeats_anything() {
    let campaign = Campaign::start("signals");
    let steps: Vec<_> = KILLABLE_STEPS
        .into_iter()
        .filter(|(_, scene)| *scene != TrialScene::Offline)
        .collect();
    let requests = campaign.run_each(steps.len(), 2, |number| count_requests(steps[number]));
    let mut ends = Vec::new();
    for (step, requests) in steps.into_iter().zip(requests) {
        let moments = (0..requests).flat_map(|request| [(request, false), (request, true)]);
        // `replay` runs without a script.
        let signals = || {
            SIGNALS
                .into_iter()
                .filter(|signal| step.0 == "deploy" || signal.to == SignalTarget::Helper)
        };
        ends.extend(moments.flat_map(|(request, done)| {
            signals().map(move |signal| SignalCase {
                step,
                request,
                done,
                signal,
            })
        }));
    }
    campaign.rng(0).shuffle(&mut ends);
    // Kills come first, so that a small campaign has many of them.
    ends.sort_by_key(|end| end.signal.name != "KILL" && end.request % 2 == 0);
    let all = ends.len();
    ends.truncate(campaign.pick(16, usize::MAX));
    let ended = campaign.run_each(ends.len(), 4, |number| {
        run_signal_case(ends[number], AfterKill::choose(&mut campaign.rng(number)))
    });
    let ended: Vec<ViolationCounts> = ended.into_iter().flatten().collect();
    let count = ended.len();
    let violations = ViolationCounts::sum(ended);
    campaign.print_line(format!(
        "{count} signals (of {all}): {}",
        violations.summary()
    ));
    violations.assert_none(&campaign);
    assert!(
        count * 10 >= ends.len() * 9,
        "requests come again where they came without a signal"
    );
}

/// The number of requests of an undisturbed step.
fn count_requests(step: (&'static str, TrialScene)) -> usize {
    let mut count = 0;
    let passing = |world: &mut World, query: Option<&Value>| {
        let proxy = FaultyProxy::start(&world.server.endpoint(), |_| RequestFate::Pass);
        world.set_endpoint(&proxy.endpoint());
        let (_, ended) = start_step(world, step.0, query, SignalTarget::Helper);
        let output = ended.recv().expect("it ends");
        count = proxy.count_requests("");
        let ran = step_result(&output);
        KillOutcome {
            ran: (step.0 != "replay").then_some(ran),
            was_hit: true,
            is_noted: true,
            spooled: Vec::new(),
        }
    };
    run_killed_step(
        format!("the requests of {step:?}"),
        step,
        AfterKill::NextDeployment,
        passing,
    )
    .expect("it ran");
    count
}

/// Signals a step and continues with `next`; `None` if the step had ended before.
fn run_signal_case(end: SignalCase, next: AfterKill) -> Option<ViolationCounts> {
    let goes_on = if matches!(next, AfterKill::NextDeployment) {
        "then the next deployment"
    } else {
        "then the same one again"
    };
    let name = format!("{end:?}, {goes_on}");
    let mut own = ViolationCounts::default();
    let violations = run_killed_step(name.clone(), end.step, next, |world, query| {
        let ((sender, moment), (until, over)) = (mpsc::channel(), mpsc::channel());
        let proxy = start_proxy_until(&world.server.endpoint(), end, sender.clone(), over);
        world.set_endpoint(&proxy.endpoint());
        let (pid, ended) = start_step(world, end.step.0, query, end.signal.to);
        // Either the request arrives, or the step ends without it.
        let ended = forward_output(ended, sender);
        let was_hit = moment.recv().is_ok_and(|()| ended.try_recv().is_err());
        if !was_hit {
            return KillOutcome {
                ran: None,
                was_hit,
                is_noted: false,
                spooled: Vec::new(),
            };
        }
        for _ in 0..end.signal.times {
            let to = match end.signal.to {
                SignalTarget::Both => -i64::from(pid),
                SignalTarget::HelperOfScript => fs::read_to_string(pid_file(world))
                    .expect("a note")
                    .trim()
                    .parse()
                    .expect("a process"),
                _ => pid.into(),
            };
            send_signal(end.signal.name, to);
        }
        let mut until = Some(until);
        if end.signal.to == SignalTarget::Script {
            // The helper continues alone, so its network must, too.
            drop(until.take());
        }
        let output = ended.recv_timeout(SOON).unwrap_or_else(|_| {
            own.blocked.push(format!("{name}: it went on waiting"));
            send_signal("KILL", -i64::from(pid));
            ended.recv().expect("what is killed ends")
        });
        drop(until);
        world.restore_endpoints();
        let ran = check_output(&name, &output, end, &mut own);
        // The killed script does not forward an answer of the helper.
        let is_noted = ran.is_some() && end.signal.to != SignalTarget::HelperOfScript
            || end.signal.to == SignalTarget::Both;
        KillOutcome {
            ran,
            was_hit,
            is_noted,
            spooled: expected_spool_files(end.step.0, query),
        }
    });
    violations.map(|violations| ViolationCounts::sum([own, violations]))
}

/// A step that ends by itself answers; otherwise the signal ends it.
fn check_output(
    name: &str,
    output: &Output,
    end: SignalCase,
    own: &mut ViolationCounts,
) -> Option<StepResult> {
    // A shell may return a signal as an exit code.
    let is_by_signal = output.status.signal() == Some(end.signal.number);
    if is_by_signal
        || end.signal.to == SignalTarget::Both
            && output.status.code() == Some(128 + end.signal.number)
    {
        return None;
    }
    let ran = step_result(output);
    if end.signal.to == SignalTarget::HelperOfScript
        && !ran
            .output
            .contains("it is unknown whether this deployment is backed up and logged")
    {
        own.misled.push(format!("{name}: {ran:?}"));
    }
    // The exit code of `replay` reports remaining items.
    if end.step.0 == "replay" {
        if ran.exit.is_none_or(|code| code == 101) || ran.errors.contains("panicked") {
            own.failed.push(format!("{name}: {ran:?}"));
        }
        return None;
    }
    Some(ran)
}

/// Forwards requests up to that of `end`, and reports its arrival or execution. From then until
/// `over` it answers nothing; afterwards it forwards requests if only the script was ended.
fn start_proxy_until(
    upstream: &str,
    end: SignalCase,
    tell: Sender<()>,
    over: Receiver<()>,
) -> FaultyProxy {
    let (seen, tell) = (AtomicUsize::new(0), Mutex::new(tell));
    let over = Arc::new(Mutex::new(over));
    let later = move || {
        if end.signal.to == SignalTarget::Script {
            RequestFate::Pass
        } else {
            RequestFate::Silence
        }
    };
    FaultyProxy::start(upstream, move |_| {
        let number = seen.fetch_add(1, Ordering::SeqCst);
        let (tell, over) = (tell.lock().expect("no panic").clone(), Arc::clone(&over));
        let told = move || {
            // The receiver may have ended.
            let _ = tell.send(());
        };
        match number.cmp(&end.request) {
            Less => RequestFate::Pass,
            Equal if end.done => RequestFate::Instead(Arc::new(move || {
                told();
                let _ = over.lock().expect("no panic").recv();
            })),
            Equal => {
                told();
                if end.signal.to == SignalTarget::Script {
                    let _ = over.lock().expect("no panic").recv();
                }
                later()
            }
            Greater => later(),
        }
    })
}

/// Starts a command with a distant deadline; returns its process id and a channel for its output.
/// With `helper.sh` the output ends with the helper, which shares the stdout of the script.
fn start_step(
    world: &World,
    step: &str,
    query: Option<&Value>,
    to: SignalTarget,
) -> (u32, Receiver<Output>) {
    let mut command = world.command("python3");
    command.args(["-c", HEARING]);
    if to == SignalTarget::Helper {
        command.arg(helper_path()).arg(step);
    } else {
        let script = project_dir().join("terraform/helper.sh");
        command
            .args(["/bin/sh", "-c", "exec /bin/sh \"$@\" 9>&1", "sh"])
            .arg(script)
            .arg(step)
            .arg(noting_helper(world));
    }
    let command = command
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut helper = command.spawn().expect("it starts");
    let input = query.map(|query| {
        let mut request = request_in_query(query);
        request["timeout"] = "300".into();
        wrap_request(&request).to_string()
    });
    // `replay` reads no input and may have ended.
    let _ = helper
        .stdin
        .take()
        .expect("a pipe")
        .write_all(input.unwrap_or_default().as_bytes());
    let (pid, (sender, ended)) = (helper.id(), mpsc::channel());
    thread::spawn(move || sender.send(helper.wait_with_output().expect("it ends")));
    (pid, ended)
}

/// A helper that first writes its process id to a file.
fn noting_helper(world: &World) -> PathBuf {
    let path = world.path().join("noting helper");
    let script = format!(
        "#!/bin/sh\necho $$ >'{}'\nexec '{}' \"$@\"\n",
        pid_file(world).display(),
        helper_path().display()
    );
    // Another process writes it, because a file cannot run while a forked process has it open for
    // writing.
    let mut command = world.command("/bin/sh");
    command
        .args(["-c", "cat >\"$0\" && chmod +x \"$0\""])
        .arg(&path);
    assert!(run_with_input(command, script.as_bytes()).status.success());
    path
}

fn pid_file(world: &World) -> PathBuf {
    world.path().join("helper.pid")
}

/// Forwards the output, and signals that the step ended.
fn forward_output(ended: Receiver<Output>, tell: Sender<()>) -> Receiver<Output> {
    let (sender, passed) = mpsc::channel();
    thread::spawn(move || {
        let output = ended.recv().expect("it ends");
        let _ = sender.send(output);
        let _ = tell.send(());
    });
    passed
}

fn step_result(output: &Output) -> StepResult {
    StepResult {
        exit: output.status.code(),
        output: to_text(&output.stdout),
        errors: to_text(&output.stderr),
        took: Duration::ZERO,
    }
}

//! Signals: a step that is ended while it waits for the network, at each of its requests, before and after S3 did what it
//! asks. By SIGKILL, or by what Ctrl-C, a CI runner and a closed terminal send, once or twice. Without strace.
//!
//! Terraform starts `helper.sh` and not the helper. On Ctrl-C the terminal sends SIGINT to both, and Terraform kills the script
//! alone: then the helper goes on without it.

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

use crate::kill_step::{Blow, Next, STEPS, endure, promised, requested};
use crate::trial_runner::{Ran, Scene, send_signal};
use crate::violations::Wrongs;
use test_support::campaign::Campaign;
use test_support::faulty_proxy::{FaultyProxy, RequestFate};
use test_support::terraform_steps::wrap_request;
use test_support::{World, helper_path, project_dir, run_with_input, to_text};

/// What a step that was asked to end may take for it; it waits for nothing any more.
const SOON: Duration = Duration::from_secs(20);
/// What is sent, how often, and to which processes.
const SIGNALS: [Signal; 11] = [
    Signal {
        name: "KILL",
        number: 9,
        times: 1,
        to: To::Helper,
    },
    Signal {
        name: "INT",
        number: 2,
        times: 1,
        to: To::Helper,
    },
    Signal {
        name: "TERM",
        number: 15,
        times: 1,
        to: To::Helper,
    },
    Signal {
        name: "HUP",
        number: 1,
        times: 1,
        to: To::Helper,
    },
    Signal {
        name: "INT",
        number: 2,
        times: 2,
        to: To::Helper,
    },
    Signal {
        name: "TERM",
        number: 15,
        times: 2,
        to: To::Helper,
    },
    Signal {
        name: "HUP",
        number: 1,
        times: 2,
        to: To::Helper,
    },
    Signal {
        name: "KILL",
        number: 9,
        times: 1,
        to: To::HelperOfScript,
    },
    Signal {
        name: "KILL",
        number: 9,
        times: 1,
        to: To::Script,
    },
    Signal {
        name: "INT",
        number: 2,
        times: 1,
        to: To::Both,
    },
    Signal {
        name: "TERM",
        number: 15,
        times: 1,
        to: To::Both,
    },
];

/// A signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Signal {
    name: &'static str,
    number: i32,
    times: usize,
    to: To,
}

/// Which processes get a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    /// The helper, which runs without `helper.sh`.
    Helper,
    /// The helper, which `helper.sh` runs.
    HelperOfScript,
    /// `helper.sh` alone.
    Script,
    /// `helper.sh` and the helper, which are one group of processes.
    Both,
}

/// Whatever started the tests may have left them deaf to signals; a shell cannot undo that, and a terminal would not do it.
const HEARING: &str = "import os,signal,sys; [signal.signal(it, signal.SIG_DFL) for it in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)]; \
                       os.execv(sys.argv[1], sys.argv[1:])";

/// When and how a step is ended.
#[derive(Debug, Clone, Copy)]
struct End {
    step: (&'static str, Scene),
    /// At which request, from 0 on.
    request: usize,
    /// Whether the server has done what was asked.
    done: bool,
    signal: Signal,
}

#[test]
fn no_signal_at_any_request_tears_loses_or_repeats_anything() {
    let campaign = Campaign::start("signals");
    let steps: Vec<_> = STEPS
        .into_iter()
        .filter(|(_, scene)| *scene != Scene::Offline)
        .collect();
    let requests = campaign.run_each(steps.len(), 2, |number| requests_of(steps[number]));
    let mut ends = Vec::new();
    for (step, requests) in steps.into_iter().zip(requests) {
        let moments = (0..requests).flat_map(|request| [(request, false), (request, true)]);
        // People run `replay` without a script.
        let signals = || {
            SIGNALS
                .into_iter()
                .filter(|signal| step.0 == "deploy" || signal.to == To::Helper)
        };
        ends.extend(moments.flat_map(|(request, done)| {
            signals().map(move |signal| End {
                step,
                request,
                done,
                signal,
            })
        }));
    }
    campaign.rng(0).shuffle(&mut ends);
    // Kills first: a small campaign has many of them.
    ends.sort_by_key(|end| end.signal.name != "KILL" && end.request % 2 == 0);
    let all = ends.len();
    ends.truncate(campaign.pick(16, usize::MAX));
    let ended = campaign.run_each(ends.len(), 4, |number| {
        endure_signal(ends[number], Next::choose(&mut campaign.rng(number)))
    });
    let ended: Vec<Wrongs> = ended.into_iter().flatten().collect();
    let count = ended.len();
    let wrongs = Wrongs::sum(ended);
    campaign.print_line(format!("{count} signals (of {all}): {}", wrongs.summary()));
    wrongs.assert_none(&campaign);
    assert!(
        count * 10 >= ends.len() * 9,
        "requests come again where they came without a signal"
    );
}

/// How many requests a step makes when nobody ends it.
fn requests_of(step: (&'static str, Scene)) -> usize {
    let mut count = 0;
    let passing = |world: &mut World, query: Option<&Value>| {
        let proxy = FaultyProxy::start(&world.server.endpoint(), |_| RequestFate::Pass);
        world.set_endpoint(&proxy.endpoint());
        let (_, ended) = start(world, step.0, query, To::Helper);
        let output = ended.recv().expect("it ends");
        count = proxy.count_requests("");
        let ran = ran(&output);
        Blow {
            ran: (step.0 != "replay").then_some(ran),
            struck: true,
            is_noted: true,
            kept: Vec::new(),
        }
    };
    endure(
        format!("the requests of {step:?}"),
        step,
        Next::Heal,
        passing,
    )
    .expect("it ran");
    count
}

/// One step that is ended, and what follows it; `None` if it had ended before.
fn endure_signal(end: End, next: Next) -> Option<Wrongs> {
    let goes_on = if matches!(next, Next::Heal) {
        "then the next deployment"
    } else {
        "then the same one again"
    };
    let name = format!("{end:?}, {goes_on}");
    let mut own = Wrongs::default();
    let wrongs = endure(name.clone(), end.step, next, |world, query| {
        let ((sender, moment), (until, over)) = (mpsc::channel(), mpsc::channel());
        let proxy = start_proxy_until(&world.server.endpoint(), end, sender.clone(), over);
        world.set_endpoint(&proxy.endpoint());
        let (pid, ended) = start(world, end.step.0, query, end.signal.to);
        // Either the request comes, or the step ends without it: then its output waits to be taken.
        let ended = forward(ended, sender);
        let struck = moment.recv().is_ok_and(|()| ended.try_recv().is_err());
        if !struck {
            return Blow {
                ran: None,
                struck,
                is_noted: false,
                kept: Vec::new(),
            };
        }
        for _ in 0..end.signal.times {
            let to = match end.signal.to {
                To::Both => -i64::from(pid),
                To::HelperOfScript => fs::read_to_string(noted_pid(world))
                    .expect("a note")
                    .trim()
                    .parse()
                    .expect("a process"),
                _ => pid.into(),
            };
            send_signal(end.signal.name, to);
        }
        let mut until = Some(until);
        if end.signal.to == To::Script {
            // The helper goes on alone, so its network may as well.
            drop(until.take());
        }
        let output = ended.recv_timeout(SOON).unwrap_or_else(|_| {
            own.blocked.push(format!("{name}: it went on waiting"));
            send_signal("KILL", -i64::from(pid));
            ended.recv().expect("what is killed ends")
        });
        drop(until);
        world.restore_endpoints();
        let ran = judge(&name, &output, end, &mut own);
        // The script does not pass on what the helper may have answered.
        let is_noted =
            ran.is_some() && end.signal.to != To::HelperOfScript || end.signal.to == To::Both;
        Blow {
            ran,
            struck,
            is_noted,
            kept: promised(end.step.0, query),
        }
    });
    wrongs.map(|wrongs| Wrongs::sum([own, wrongs]))
}

/// A step that ends by itself says what it has to say; otherwise it ends by the signal.
fn judge(name: &str, output: &Output, end: End, own: &mut Wrongs) -> Option<Ran> {
    // A shell may pass a signal on as an exit code.
    let is_by_signal = output.status.signal() == Some(end.signal.number);
    if is_by_signal
        || end.signal.to == To::Both && output.status.code() == Some(128 + end.signal.number)
    {
        return None;
    }
    let ran = ran(output);
    if end.signal.to == To::HelperOfScript
        && !ran
            .output
            .contains("it is unknown whether this deployment is backed up and logged")
    {
        own.misled.push(format!("{name}: {ran:?}"));
    }
    // `replay` is for people, and tells them by its exit code that something is left.
    if end.step.0 == "replay" {
        if ran.exit.is_none_or(|code| code == 101) || ran.errors.contains("panicked") {
            own.failed.push(format!("{name}: {ran:?}"));
        }
        return None;
    }
    Some(ran)
}

/// Passes requests on up to that of `end`, and reports when it came, or was done. Until `over` it answers nothing from then on;
/// after that it passes requests on where only the script was ended.
fn start_proxy_until(
    upstream: &str,
    end: End,
    tell: Sender<()>,
    over: Receiver<()>,
) -> FaultyProxy {
    let (seen, tell) = (AtomicUsize::new(0), Mutex::new(tell));
    let over = Arc::new(Mutex::new(over));
    let later = move || {
        if end.signal.to == To::Script {
            RequestFate::Pass
        } else {
            RequestFate::Silence
        }
    };
    FaultyProxy::start(upstream, move |_| {
        let number = seen.fetch_add(1, Ordering::SeqCst);
        let (tell, over) = (tell.lock().expect("no panic").clone(), Arc::clone(&over));
        let told = move || {
            // The receiver may be gone.
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
                if end.signal.to == To::Script {
                    let _ = over.lock().expect("no panic").recv();
                }
                later()
            }
            Greater => later(),
        }
    })
}

/// Starts a command with a deadline that is far away, so that no deadline ends it; returns its process and, once, its end. That
/// of `helper.sh` is the end of the helper as well, which has the script's stdout as another open file.
fn start(world: &World, verb: &str, query: Option<&Value>, to: To) -> (u32, Receiver<Output>) {
    let mut command = world.command("python3");
    command.args(["-c", HEARING]);
    if to == To::Helper {
        command.arg(helper_path()).arg(verb);
    } else {
        let script = project_dir().join("terraform/helper.sh");
        command
            .args(["/bin/sh", "-c", "exec /bin/sh \"$@\" 9>&1", "sh"])
            .arg(script)
            .arg(verb)
            .arg(noting_helper(world));
    }
    let command = command
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut helper = command.spawn().expect("it starts");
    let input = query.map(|query| {
        let mut request = requested(query);
        request["timeout"] = "300".into();
        wrap_request(&request).to_string()
    });
    // `replay` reads nothing and may have ended.
    let _ = helper
        .stdin
        .take()
        .expect("a pipe")
        .write_all(input.unwrap_or_default().as_bytes());
    let (pid, (sender, ended)) = (helper.id(), mpsc::channel());
    thread::spawn(move || sender.send(helper.wait_with_output().expect("it ends")));
    (pid, ended)
}

/// A helper that notes its process first.
fn noting_helper(world: &World) -> PathBuf {
    let path = world.path().join("noting helper");
    let script = format!(
        "#!/bin/sh\necho $$ >'{}'\nexec '{}' \"$@\"\n",
        noted_pid(world).display(),
        helper_path().display()
    );
    // Written by a process of its own: a file that a fork still has open for writing cannot be run.
    let mut command = world.command("/bin/sh");
    command
        .args(["-c", "cat >\"$0\" && chmod +x \"$0\""])
        .arg(&path);
    assert!(run_with_input(command, script.as_bytes()).status.success());
    path
}

fn noted_pid(world: &World) -> PathBuf {
    world.path().join("helper.pid")
}

/// Passes the end on, and tells that something happened.
fn forward(ended: Receiver<Output>, tell: Sender<()>) -> Receiver<Output> {
    let (sender, passed) = mpsc::channel();
    thread::spawn(move || {
        let output = ended.recv().expect("it ends");
        let _ = sender.send(output);
        let _ = tell.send(());
    });
    passed
}

fn ran(output: &Output) -> Ran {
    Ran {
        exit: output.status.code(),
        output: to_text(&output.stdout),
        errors: to_text(&output.stderr),
        took: Duration::ZERO,
    }
}

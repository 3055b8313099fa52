//! Signals: a step that is ended while it waits for the network, at each of its requests, before and after S3 did what it
//! asks. By SIGKILL, or by what Ctrl-C, a CI runner and a closed terminal send, once or twice. Without strace.

use std::cmp::Ordering::{Equal, Greater, Less};
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::blow::{Blow, STEPS, endure};
use crate::campaign::Campaign;
use crate::networks::{Fate, Relay};
use crate::support::{World, text};
use crate::trial::{Ran, Scene, send_signal};
use crate::wrongs::Wrongs;

/// What a step that was asked to end may take for it; it waits for nothing any more.
const SOON: Duration = Duration::from_secs(20);
/// What is sent: a signal, and how often.
const SIGNALS: [(&str, i32, usize); 7] =
    [("KILL", 9, 1), ("INT", 2, 1), ("TERM", 15, 1), ("HUP", 1, 1), ("INT", 2, 2), ("TERM", 15, 2), ("HUP", 1, 2)];

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
    signal: (&'static str, i32, usize),
}

#[test]
fn no_signal_at_any_request_tears_loses_or_repeats_anything() {
    let campaign = Campaign::start("signals");
    let steps: Vec<_> = STEPS.into_iter().filter(|(_, scene)| *scene != Scene::Offline).collect();
    let requests = campaign.each(steps.len(), 2, |number| requests_of(steps[number]));
    let mut ends = Vec::new();
    for (step, requests) in steps.into_iter().zip(requests) {
        let moments = (0..requests).flat_map(|request| [(request, false), (request, true)]);
        ends.extend(moments.flat_map(|(request, done)| SIGNALS.map(|signal| End { step, request, done, signal })));
    }
    campaign.choices(0).shuffle(&mut ends);
    // Kills first: a small campaign has half of them.
    ends.sort_by_key(|end| end.signal.0 != "KILL" && end.request % 2 == 0);
    let all = ends.len();
    ends.truncate(campaign.pick(16, usize::MAX));
    let ended = campaign.each(ends.len(), 4, |number| endure_signal(ends[number], campaign.choices(number).bool()));
    let ended: Vec<Wrongs> = ended.into_iter().flatten().collect();
    let count = ended.len();
    let wrongs = Wrongs::sum(ended);
    campaign.say(format!("{count} signals (of {all}): {}", wrongs.summary()));
    wrongs.assert_none(&campaign);
    assert!(count * 10 >= ends.len() * 9, "requests come again where they came without a signal");
}

/// How many requests a step makes when nobody ends it.
fn requests_of(step: (&'static str, Scene)) -> usize {
    let mut count = 0;
    let passing = |world: &mut World, query: Option<&Value>| {
        let relay = Relay::start(&world.server.endpoint(), |_| Fate::Pass);
        world.set_endpoint(&relay.endpoint());
        let (_, ended) = start(world, step.0, query);
        let output = ended.recv().expect("it ends");
        count = relay.count("");
        let ran = ran(&output);
        Blow { ran: (step.0 != "replay").then_some(ran), struck: true, kept: Vec::new() }
    };
    endure(format!("the requests of {step:?}"), step, true, passing).expect("it ran");
    count
}

/// One step that is ended, and a healthy deployment after it; `None` if it had ended before.
fn endure_signal(end: End, goes_on: bool) -> Option<Wrongs> {
    let name = format!("{end:?}");
    let mut own = Wrongs::default();
    let wrongs = endure(name.clone(), end.step, goes_on, |world, query| {
        let ((sender, moment), (until, over)) = (mpsc::channel(), mpsc::channel());
        let relay = relay_until(&world.server.endpoint(), end, sender.clone(), over);
        world.set_endpoint(&relay.endpoint());
        let (pid, ended) = start(world, end.step.0, query);
        // Either the request comes, or the step ends without it: then its output waits to be taken.
        let ended = forward(ended, sender);
        let struck = moment.recv().is_ok_and(|()| ended.try_recv().is_err());
        if !struck {
            return Blow { ran: None, struck, kept: Vec::new() };
        }
        for _ in 0..end.signal.2 {
            send_signal(end.signal.0, pid);
        }
        let output = ended.recv_timeout(SOON).unwrap_or_else(|_| {
            own.blocked.push(format!("{name}: it went on waiting"));
            send_signal("KILL", pid);
            ended.recv().expect("what is killed ends")
        });
        drop(until);
        world.heal();
        Blow { ran: judge(&name, &output, end, &mut own), struck, kept: promised(end.step.0, query) }
    });
    wrongs.map(|wrongs| Wrongs::sum([own, wrongs]))
}

/// What a step has in the spool before it makes its first request, or has sent: nothing is waited for before it is kept.
fn promised(verb: &str, query: Option<&Value>) -> Vec<String> {
    let id = query.map_or("", |query| query["deployment_id"].as_str().expect("an id"));
    let all = [format!("-config-{id}.item"), format!("-record-{id}.item")];
    all[..["replay", "backup", "log"].iter().position(|it| *it == verb).expect("a verb")].to_vec()
}

/// A step that ends by itself says what it has to say; otherwise it ends by the signal.
fn judge(name: &str, output: &Output, end: End, own: &mut Wrongs) -> Option<Ran> {
    if output.status.signal() == Some(end.signal.1) {
        return None;
    }
    let ran = ran(output);
    // `replay` is for people, and tells them by its exit code that something is left.
    if end.step.0 == "replay" {
        if ran.exit.is_none_or(|code| code == 101) || ran.errors.contains("panicked") {
            own.failed.push(format!("{name}: {ran:?}"));
        }
        return None;
    }
    Some(ran)
}

/// Passes requests on up to that of `end`, tells when it came, or was done, and answers nothing from then on until `over`.
fn relay_until(upstream: &str, end: End, tell: Sender<()>, over: Receiver<()>) -> Relay {
    let (seen, tell) = (AtomicUsize::new(0), Mutex::new(tell));
    let over = Arc::new(Mutex::new(over));
    Relay::start(upstream, move |_| {
        let number = seen.fetch_add(1, Ordering::SeqCst);
        let (tell, over) = (tell.lock().expect("no panic").clone(), Arc::clone(&over));
        let told = move || {
            // Whoever waits for it may have given up.
            let _ = tell.send(());
        };
        match number.cmp(&end.request) {
            Less => Fate::Pass,
            Equal if end.done => Fate::Instead(Arc::new(move || {
                told();
                let _ = over.lock().expect("no panic").recv();
            })),
            Equal => {
                told();
                Fate::Silence
            }
            Greater => Fate::Silence,
        }
    })
}

/// Starts a verb with all the time of the world, so that no deadline ends it; gives its process and, once, its end.
fn start(world: &World, verb: &str, query: Option<&Value>) -> (u32, Receiver<Output>) {
    let mut helper = world.command("python3");
    helper.args(["-c", HEARING]).arg(crate::support::helper()).arg(verb);
    let mut helper = helper.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut query = query.cloned().unwrap_or_default();
    if query.is_object() {
        query["timeout"] = "300".into();
    }
    // `replay` reads nothing and may have ended.
    let _ = helper.stdin.take().expect("a pipe").write_all(query.to_string().as_bytes());
    let (pid, (sender, ended)) = (helper.id(), mpsc::channel());
    thread::spawn(move || sender.send(helper.wait_with_output().expect("it ends")));
    (pid, ended)
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
    Ran { exit: output.status.code(), output: text(&output.stdout), errors: text(&output.stderr), took: Duration::ZERO }
}

//! Disk: an error of the file system at every system call that touches a file of ours, one at a time.
//!
//! A trace of a run without faults says which calls there are; each is then hit with each error, once, and where that
//! makes sense for good. The oracle sees only lines, exit codes and the bucket.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::config_versions::Versions;
use crate::kill_step::items;
use crate::strace::{Call, Trace, traced};
use crate::trial_runner::{Ran, Scene, Trial, helper};
use crate::violations::Wrongs;
use test_support::World;
use test_support::campaign::Campaign;

const ERRORS: [&str; 6] = ["ENOSPC", "EIO", "EROFS", "EACCES", "EMFILE", "EDQUOT"];
/// What a disk may refuse for good, of calls that only files have.
const FOR_GOOD: [(&str, &str); 8] = [
    ("openat", "EROFS"),
    ("openat", "EMFILE"),
    ("mkdir", "EROFS"),
    ("mkdir", "ENOSPC"),
    ("rename", "ENOSPC"),
    ("fsync", "EIO"),
    ("unlink", "EROFS"),
    ("flock", "EIO"),
];
/// Each verb in the scenes in which it does something of its own.
const STEPS: [(&str, Scene); 8] = [
    ("context", Scene::Online),
    ("context", Scene::Late),
    ("deploy", Scene::Online),
    ("deploy", Scene::Offline),
    ("deploy", Scene::Late),
    ("deploy", Scene::Resumed),
    ("replay", Scene::Late),
    ("status", Scene::Late),
];
/// The verbs for people, which read no query.
const FOR_PEOPLE: [&str; 2] = ["replay", "status"];

/// One fault in one call of one step.
#[derive(Debug, Clone)]
struct Fault {
    verb: &'static str,
    scene: Scene,
    /// As strace takes it: `openat:error=EIO:when=3`.
    inject: String,
}

#[test]
#[ignore = "needs strace: make test-campaigns"]
fn no_error_of_the_disk_blocks_fails_or_silently_loses_a_deployment() {
    let campaign = Campaign::start("disk");
    let mut faults: Vec<Fault> = campaign
        .run_each(STEPS.len(), 2, |step| faults_of(STEPS[step]))
        .concat();
    campaign.rng(0).shuffle(&mut faults);
    let all = faults.len();
    faults.truncate(campaign.pick(24, 600));
    let done = campaign.run_each(faults.len(), 4, |number| suffer(&faults[number]));
    let hit = done.iter().filter(|(_, hit)| *hit).count();
    let wrongs = Wrongs::sum(done.into_iter().map(|(wrongs, _)| wrongs));
    campaign.print_line(format!(
        "{hit} disk faults (of {all} that there are): {}",
        wrongs.summary()
    ));
    wrongs.assert_none(&campaign);
    assert!(
        hit * 10 >= faults.len() * 9,
        "calls are found again where the trace had them"
    );
}

/// All faults of one step: those of each call on a file of ours, as a run without faults makes them.
fn faults_of((verb, scene): (&'static str, Scene)) -> Vec<Fault> {
    let mut trial = Trial::begin(format!("a trace of {verb} {scene:?}"), scene);
    let trace = strike(&mut trial, verb, "");
    let folder = trial.world.path();
    let ours = trace
        .calls()
        .filter(|call| call.is_below(folder) && !closes_a_folder(call, &trace));
    let ours: BTreeSet<_> = ours.map(|call| (call.name.clone(), call.number)).collect();
    // The same number in another thread may be no call on a file: such a fault would be none of a disk.
    let strange = |(name, number): &(String, usize)| {
        trace
            .calls()
            .any(|call| call.name == *name && call.number == *number && !call.is_about_a_file())
    };
    let once = ours
        .iter()
        .filter(|call| !strange(call))
        .flat_map(|(name, number)| {
            ERRORS
                .iter()
                .map(move |error| format!("{name}:error={error}:when={number}"))
        });
    let for_good = ours.iter().flat_map(|(name, number)| {
        let errors = FOR_GOOD.iter().filter(move |(refused, _)| refused == name);
        errors.map(move |(_, error)| format!("{name}:error={error}:when={number}+"))
    });
    once.chain(for_good)
        .map(|inject| Fault {
            verb,
            scene,
            inject,
        })
        .collect()
}

/// Such a close fails on no file system, for nothing was written, and Rust's library relies on that.
fn closes_a_folder(call: &Call, trace: &Trace) -> bool {
    let file = |call: &Call| {
        call.rest
            .split_once('<')
            .map(|(_, rest)| rest.split('>').next().unwrap_or_default().to_owned())
    };
    call.name == "close"
        && trace
            .calls()
            .any(|other| other.name == "getdents64" && file(other) == file(call))
}

/// One deployment with the fault, a healthy one after it, and whether the fault came about.
fn suffer(fault: &Fault) -> (Wrongs, bool) {
    let mut trial = Trial::begin(
        format!("{} of `{}` {:?}", fault.inject, fault.verb, fault.scene),
        fault.scene,
    );
    let trace = strike(&mut trial, fault.verb, &fault.inject);
    let mut hits = trace.calls().filter(|call| call.is_hit()).peekable();
    let of_the_disk = hits.peek().is_some() && hits.all(Call::is_about_a_file);
    let wrongs = trial.heal();
    if of_the_disk {
        (wrongs, true)
    } else {
        (Wrongs::default(), false)
    }
}

/// A deployment, or a verb for people, of which `verb` runs under strace.
fn strike(trial: &mut Trial, verb: &str, inject: &str) -> Trace {
    if FOR_PEOPLE.contains(&verb) {
        let (ran, trace) = traced(&trial.world, verb, None, inject);
        check_verb_for_people(trial, verb, &ran);
        return trace;
    }
    let seen = std::cell::RefCell::new(None);
    trial.deploy(
        &Versions::get().hard,
        &|world: &World, step: &str, query: &Value| {
            if step != verb {
                return helper(world, step, query);
            }
            let (ran, trace) = traced(world, step, Some(query), inject);
            seen.replace(Some(trace));
            ran
        },
    );
    seen.into_inner().expect("the step ran")
}

/// It may fail, but must say so, and never by a panic; with 0, what is left is what it names.
fn check_verb_for_people(trial: &mut Trial, verb: &str, ran: &Ran) {
    let unnamed = items(&trial.world)
        .into_iter()
        .find(|item| !ran.output.contains(item));
    let name = &trial.name;
    if ran.exit.is_none_or(|code| code > 7) || ran.errors.contains("panicked") {
        trial
            .wrongs
            .failed
            .push(format!("{name}: `{verb}`: {ran:?}"));
    } else if let (Some(item), Some(0)) = (unnamed, ran.exit) {
        trial.wrongs.lost.push(format!(
            "{name}: {item} is left, and `{verb}` said nothing of it: {ran:?}"
        ));
    }
}

//! File system errors at every system call that touches a file of the helper, one at a time.
//!
//! A trace of a run without faults lists the calls. Each call then fails with each error, once, and
//! permanently where that makes sense. The oracle sees only output, exit codes and the bucket.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::config_versions::TrialVersions;
use crate::kill_step::spooled_files;
use crate::strace::{SystemCall, SystemCallTrace, run_traced};
use crate::trial_runner::{DeploymentTrial, StepResult, TrialScene, run_helper};
use crate::violations::ViolationCounts;
use test_support::World;
use test_support::campaign::Campaign;

const ERRORS: [&str; 6] = ["ENOSPC", "EIO", "EROFS", "EACCES", "EMFILE", "EDQUOT"];
/// The file calls that may fail permanently.
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
/// Each command with the scenes in which it behaves differently.
const STEPS: [(&str, TrialScene); 8] = [
    ("context", TrialScene::Online),
    ("context", TrialScene::Late),
    ("deploy", TrialScene::Online),
    ("deploy", TrialScene::Offline),
    ("deploy", TrialScene::Late),
    ("deploy", TrialScene::Resumed),
    ("replay", TrialScene::Late),
    ("status", TrialScene::Late),
];
/// The commands that read no query.
const FOR_PEOPLE: [&str; 2] = ["replay", "status"];

#[derive(Debug, Clone)]
struct DiskFault {
    command: &'static str,
    scene: TrialScene,
    /// In the syntax of strace: `openat:error=EIO:when=3`.
    inject: String,
}

#[test]
#[ignore = "needs strace: make test-strace"]
fn no_error_of_the_disk_blocks_fails_or_silently_loses_a_deployment() {
    let campaign = Campaign::start("disk");
    let mut faults: Vec<DiskFault> = campaign
        .run_each(STEPS.len(), 2, |step| list_faults(STEPS[step]))
        .concat();
    campaign.rng(0).shuffle(&mut faults);
    let all = faults.len();
    faults.truncate(campaign.pick(24, 600));
    let done = campaign.run_each(faults.len(), 4, |number| deploy_with_fault(&faults[number]));
    let hit = done.iter().filter(|(_, hit)| *hit).count();
    let violations = ViolationCounts::sum(done.into_iter().map(|(violations, _)| violations));
    campaign.print_line(format!(
        "{hit} disk faults (of {all} that there are): {}",
        violations.summary()
    ));
    violations.assert_none(&campaign);
    assert!(
        hit * 10 >= faults.len() * 9,
        "calls are found again where the trace had them"
    );
}

/// All faults of a step: one for each call on a file of the helper in a run without faults.
fn list_faults((command, scene): (&'static str, TrialScene)) -> Vec<DiskFault> {
    let mut trial = DeploymentTrial::new(format!("a trace of {command} {scene:?}"), scene);
    let trace = run_with_fault(&mut trial, command, "");
    let folder = trial.world.path();
    let ours = trace
        .calls()
        .filter(|call| call.is_below(folder) && !closes_a_folder(call, &trace));
    let ours: BTreeSet<_> = ours.map(|call| (call.name.clone(), call.number)).collect();
    // In another thread the same number may be a call without a file, and its fault not one of the
    // disk.
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
        .map(|inject| DiskFault {
            command,
            scene,
            inject,
        })
        .collect()
}

/// Closing a folder cannot fail on real file systems, and the standard library relies on that.
fn closes_a_folder(call: &SystemCall, trace: &SystemCallTrace) -> bool {
    let file = |call: &SystemCall| {
        call.rest
            .split_once('<')
            .map(|(_, rest)| rest.split('>').next().unwrap_or_default().to_owned())
    };
    call.name == "close"
        && trace
            .calls()
            .any(|other| other.name == "getdents64" && file(other) == file(call))
}

/// Deploys with the fault and then without; also returns whether the fault occurred.
fn deploy_with_fault(fault: &DiskFault) -> (ViolationCounts, bool) {
    let mut trial = DeploymentTrial::new(
        format!("{} of `{}` {:?}", fault.inject, fault.command, fault.scene),
        fault.scene,
    );
    let trace = run_with_fault(&mut trial, fault.command, &fault.inject);
    let mut hits = trace.calls().filter(|call| call.is_hit()).peekable();
    let of_the_disk = hits.peek().is_some() && hits.all(SystemCall::is_about_a_file);
    let violations = trial.finish();
    if of_the_disk {
        (violations, true)
    } else {
        (ViolationCounts::default(), false)
    }
}

/// Runs a deployment, or another command, with `command` under strace.
fn run_with_fault(trial: &mut DeploymentTrial, command: &str, inject: &str) -> SystemCallTrace {
    if FOR_PEOPLE.contains(&command) {
        let (ran, trace) = run_traced(&trial.world, command, None, inject);
        check_other_command(trial, command, &ran);
        return trace;
    }
    let seen = std::cell::RefCell::new(None);
    trial.deploy(
        &TrialVersions::get().hard,
        &|world: &World, step: &str, query: &Value| {
            if step != command {
                return run_helper(world, step, query);
            }
            let (ran, trace) = run_traced(world, step, Some(query), inject);
            seen.replace(Some(trace));
            ran
        },
    );
    seen.into_inner().expect("the step ran")
}

/// The command may fail with a message, but not panic. If it exits 0, it names what is left.
fn check_other_command(trial: &mut DeploymentTrial, command: &str, ran: &StepResult) {
    let unnamed = spooled_files(&trial.world)
        .into_iter()
        .find(|item| !ran.output.contains(item));
    let name = &trial.name;
    if ran.exit.is_none_or(|code| code > 7) || ran.errors.contains("panicked") {
        trial
            .violations
            .failed
            .push(format!("{name}: `{command}`: {ran:?}"));
    } else if let (Some(item), Some(0)) = (unnamed, ran.exit) {
        trial.violations.lost.push(format!(
            "{name}: {item} is left, and `{command}` said nothing of it: {ran:?}"
        ));
    }
}

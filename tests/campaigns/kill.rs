//! Kills `deploy` and `replay` at every system call for files and the network.
//!
//! The strace log of the killed run shows which files were durable: those moved into the spool
//! before an fsync of the spool folder returned. Each of them must arrive exactly once, and nothing
//! else may arrive in part. Either the next deployment sends them, or a second run of the same
//! deployment completes it.

use std::collections::BTreeSet;

use crate::kill_step::{
    AfterKill, KILLABLE_STEPS, KillOutcome, expected_spool_files, run_killed_step,
};
use crate::strace::{SystemCall, run_traced};
use crate::trial_runner::TrialScene;
use crate::violations::ViolationCounts;
use test_support::World;
use test_support::campaign::Campaign;

/// A call to die at.
#[derive(Debug, Clone)]
struct KillMoment {
    step: (&'static str, TrialScene),
    name: String,
    number: usize,
}

#[test]
#[ignore = "needs strace: make test-strace"]
fn no_kill_at_any_system_call_tears_loses_or_repeats_anything() {
    let campaign = Campaign::start("kill");
    let mut moments = campaign
        .run_each(KILLABLE_STEPS.len(), 2, |step| {
            list_moments(KILLABLE_STEPS[step])
        })
        .concat();
    campaign.rng(0).shuffle(&mut moments);
    let all = moments.len();
    moments.truncate(campaign.pick(24, usize::MAX));
    let done = campaign.run_each(moments.len(), 4, |number| {
        kill_at(
            &moments[number],
            AfterKill::choose(&mut campaign.rng(number)),
        )
    });
    let tried = done.len();
    let killed: Vec<(ViolationCounts, bool)> = done.into_iter().flatten().collect();
    let (kills, after) = (
        killed.len(),
        killed.iter().filter(|(_, after)| *after).count(),
    );
    let violations = ViolationCounts::sum(killed.into_iter().map(|(violations, _)| violations));
    campaign.print_line(format!(
        "{kills} kills (at {all} system calls), {after} of them after the fsync: {}",
        violations.summary()
    ));
    violations.assert_none(&campaign);
    assert!(
        kills * 10 >= tried * 9,
        "calls are found again where the trace had them"
    );
}

#[test]
#[ignore = "needs strace: make test-strace"]
fn no_interrupt_at_any_system_call_loses_what_there_is_time_to_spool() {
    let campaign = Campaign::start("interrupt");
    let mut moments = list_moments(("deploy", TrialScene::Online));
    campaign.rng(0).shuffle(&mut moments);
    let all = moments.len();
    moments.truncate(campaign.pick(24, usize::MAX));
    let done = campaign.run_each(moments.len(), 4, |number| {
        interrupt_at(
            &moments[number],
            AfterKill::choose(&mut campaign.rng(number)),
        )
    });
    let interrupted: Vec<ViolationCounts> = done.into_iter().flatten().collect();
    let count = interrupted.len();
    let violations = ViolationCounts::sum(interrupted);
    campaign.print_line(format!(
        "{count} interrupts (at {all} system calls): {}",
        violations.summary()
    ));
    violations.assert_none(&campaign);
    assert!(
        count * 10 >= moments.len() * 9,
        "calls are found again where the trace had them"
    );
}

/// The calls of a step on files of ours and on the network, in an undisturbed run.
fn list_moments(step: (&'static str, TrialScene)) -> Vec<KillMoment> {
    let mut seen = BTreeSet::new();
    let traced_step = |world: &mut World, query: Option<&serde_json::Value>| {
        let (ran, trace) = run_traced(world, step.0, query, "");
        let counts = |call: &&SystemCall| call.is_below(world.path()) || call.is_of_the_network();
        seen.extend(
            trace
                .calls()
                .filter(counts)
                .map(|call| (call.name.clone(), call.number)),
        );
        KillOutcome {
            ran: (step.0 != "replay").then_some(ran),
            was_hit: true,
            is_noted: true,
            spooled: Vec::new(),
        }
    };
    run_killed_step(
        format!("a trace of {step:?}"),
        step,
        AfterKill::NextDeployment,
        traced_step,
    )
    .expect("it ran");
    seen.into_iter()
        .map(|(name, number)| KillMoment { step, name, number })
        .collect()
}

/// Dies there; also returns whether something had been spooled for good by then. `None` where the call did not come.
fn kill_at(moment: &KillMoment, next: AfterKill) -> Option<(ViolationCounts, bool)> {
    let KillMoment { step, name, number } = moment;
    let inject = format!("{name}:signal=SIGKILL:when={number}");
    let mut after = false;
    let goes_on = if matches!(next, AfterKill::NextDeployment) {
        "then the next deployment"
    } else {
        "then the same one again"
    };
    let violations = run_killed_step(
        format!("{name} {number} of {step:?}, {goes_on}"),
        *step,
        next,
        |world, query| {
            let (_, trace) = run_traced(world, step.0, query, &inject);
            let kept = trace.spooled_files_in(&world.state_dir().join("spool"));
            after = !kept.is_empty();
            KillOutcome {
                ran: None,
                was_hit: trace.killed,
                is_noted: false,
                spooled: kept,
            }
        },
    );
    violations.map(|violations| (violations, after))
}

/// Gets a SIGINT there. A helper that ends by itself has everything in the spool by then. `None` where the call did not come.
fn interrupt_at(moment: &KillMoment, next: AfterKill) -> Option<ViolationCounts> {
    let KillMoment { step, name, number } = moment;
    let inject = format!("{name}:signal=SIGINT:when={number}");
    let goes_on = if matches!(next, AfterKill::NextDeployment) {
        "then the next deployment"
    } else {
        "then the same one again"
    };
    run_killed_step(
        format!("SIGINT at {name} {number} of {step:?}, {goes_on}"),
        *step,
        next,
        |world, query| {
            let (ran, trace) = run_traced(world, step.0, query, &inject);
            let kept = if trace.killed {
                trace.spooled_files_in(&world.state_dir().join("spool"))
            } else {
                expected_spool_files(step.0, query)
            };
            KillOutcome {
                ran: (!trace.killed).then_some(ran),
                was_hit: trace.interrupted,
                is_noted: !trace.killed,
                spooled: kept,
            }
        },
    )
}

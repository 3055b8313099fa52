//! Kill: SIGKILL at every system call for files and the network that `deploy` and `replay` make.
//!
//! strace's log of the run that was killed shows what it had spooled for good: a file that was moved into the spool before an
//! fsync of the spool's folder came back. That must arrive, once; of what came later, nothing may arrive in part. Either the next
//! deployment sends it, or a second run of the same deployment completes it.

use std::collections::BTreeSet;

use crate::kill_step::{Blow, Next, STEPS, endure, promised};
use crate::strace::{Call, traced};
use crate::trial_runner::Scene;
use crate::violations::Wrongs;
use test_support::World;
use test_support::campaign::Campaign;

/// A call to die at.
#[derive(Debug, Clone)]
struct Moment {
    step: (&'static str, Scene),
    name: String,
    number: usize,
}

#[test]
#[ignore = "needs strace: make test-campaigns"]
fn no_kill_at_any_system_call_tears_loses_or_repeats_anything() {
    let campaign = Campaign::start("kill");
    let mut moments = campaign
        .run_each(STEPS.len(), 2, |step| moments_of(STEPS[step]))
        .concat();
    campaign.rng(0).shuffle(&mut moments);
    let all = moments.len();
    moments.truncate(campaign.pick(24, usize::MAX));
    let done = campaign.run_each(moments.len(), 4, |number| {
        die(&moments[number], Next::choose(&mut campaign.rng(number)))
    });
    let tried = done.len();
    let killed: Vec<(Wrongs, bool)> = done.into_iter().flatten().collect();
    let (kills, after) = (
        killed.len(),
        killed.iter().filter(|(_, after)| *after).count(),
    );
    let wrongs = Wrongs::sum(killed.into_iter().map(|(wrongs, _)| wrongs));
    campaign.print_line(format!(
        "{kills} kills (at {all} system calls), {after} of them after the fsync: {}",
        wrongs.summary()
    ));
    wrongs.assert_none(&campaign);
    assert!(
        kills * 10 >= tried * 9,
        "calls are found again where the trace had them"
    );
}

#[test]
#[ignore = "needs strace: make test-campaigns"]
fn no_interrupt_at_any_system_call_loses_what_there_is_time_to_spool() {
    let campaign = Campaign::start("interrupt");
    let mut moments = moments_of(("deploy", Scene::Online));
    campaign.rng(0).shuffle(&mut moments);
    let all = moments.len();
    moments.truncate(campaign.pick(24, usize::MAX));
    let done = campaign.run_each(moments.len(), 4, |number| {
        interrupt(&moments[number], Next::choose(&mut campaign.rng(number)))
    });
    let interrupted: Vec<Wrongs> = done.into_iter().flatten().collect();
    let count = interrupted.len();
    let wrongs = Wrongs::sum(interrupted);
    campaign.print_line(format!(
        "{count} interrupts (at {all} system calls): {}",
        wrongs.summary()
    ));
    wrongs.assert_none(&campaign);
    assert!(
        count * 10 >= moments.len() * 9,
        "calls are found again where the trace had them"
    );
}

/// The calls of a step on files of ours and on the network, as a run that nobody kills makes them.
fn moments_of(step: (&'static str, Scene)) -> Vec<Moment> {
    let mut seen = BTreeSet::new();
    let traced_step = |world: &mut World, query: Option<&serde_json::Value>| {
        let (ran, trace) = traced(world, step.0, query, "");
        let counts = |call: &&Call| call.is_below(world.path()) || call.is_of_the_network();
        seen.extend(
            trace
                .calls()
                .filter(counts)
                .map(|call| (call.name.clone(), call.number)),
        );
        Blow {
            ran: (step.0 != "replay").then_some(ran),
            struck: true,
            is_noted: true,
            kept: Vec::new(),
        }
    };
    endure(
        format!("a trace of {step:?}"),
        step,
        Next::Heal,
        traced_step,
    )
    .expect("it ran");
    seen.into_iter()
        .map(|(name, number)| Moment { step, name, number })
        .collect()
}

/// Dies there; also returns whether something had been spooled for good by then. `None` where the call did not come.
fn die(moment: &Moment, next: Next) -> Option<(Wrongs, bool)> {
    let Moment { step, name, number } = moment;
    let inject = format!("{name}:signal=SIGKILL:when={number}");
    let mut after = false;
    let goes_on = if matches!(next, Next::Heal) {
        "then the next deployment"
    } else {
        "then the same one again"
    };
    let wrongs = endure(
        format!("{name} {number} of {step:?}, {goes_on}"),
        *step,
        next,
        |world, query| {
            let (_, trace) = traced(world, step.0, query, &inject);
            let kept = trace.kept_in(&world.state_dir().join("spool"));
            after = !kept.is_empty();
            Blow {
                ran: None,
                struck: trace.killed,
                is_noted: false,
                kept,
            }
        },
    );
    wrongs.map(|wrongs| (wrongs, after))
}

/// Gets a SIGINT there. A helper that ends by itself has everything in the spool by then. `None` where the call did not come.
fn interrupt(moment: &Moment, next: Next) -> Option<Wrongs> {
    let Moment { step, name, number } = moment;
    let inject = format!("{name}:signal=SIGINT:when={number}");
    let goes_on = if matches!(next, Next::Heal) {
        "then the next deployment"
    } else {
        "then the same one again"
    };
    endure(
        format!("SIGINT at {name} {number} of {step:?}, {goes_on}"),
        *step,
        next,
        |world, query| {
            let (ran, trace) = traced(world, step.0, query, &inject);
            let kept = if trace.killed {
                trace.kept_in(&world.state_dir().join("spool"))
            } else {
                promised(step.0, query)
            };
            Blow {
                ran: (!trace.killed).then_some(ran),
                struck: trace.interrupted,
                is_noted: !trace.killed,
                kept,
            }
        },
    )
}

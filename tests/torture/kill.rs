//! Kill: SIGKILL at every system call for files and the network that `backup`, `log` and `replay` make.
//!
//! strace's log of the run that was killed tells what it had kept for good: a file that was moved into the spool before
//! an fsync of the spool's folder came back. That must arrive, once; of what came later, nothing may arrive in part.

use std::collections::BTreeSet;

use crate::blow::{Blow, STEPS, endure};
use crate::campaign::Campaign;
use crate::strace::{Call, traced};
use crate::support::World;
use crate::trial::Scene;
use crate::wrongs::Wrongs;

/// A call to die at.
#[derive(Debug, Clone)]
struct Moment {
    step: (&'static str, Scene),
    name: String,
    number: usize,
}

#[test]
#[ignore = "needs strace: make torture"]
fn no_kill_at_any_system_call_tears_loses_or_repeats_anything() {
    let campaign = Campaign::start("kill");
    let mut moments = campaign.each(STEPS.len(), 2, |step| moments_of(STEPS[step])).concat();
    campaign.choices(0).shuffle(&mut moments);
    let all = moments.len();
    moments.truncate(campaign.pick(24, usize::MAX));
    let done = campaign.each(moments.len(), 4, |number| die(&moments[number], campaign.choices(number).bool()));
    let tried = done.len();
    let killed: Vec<(Wrongs, bool)> = done.into_iter().flatten().collect();
    let (kills, after) = (killed.len(), killed.iter().filter(|(_, after)| *after).count());
    let wrongs = Wrongs::sum(killed.into_iter().map(|(wrongs, _)| wrongs));
    campaign.say(format!("{kills} kills (at {all} system calls), {after} of them after the fsync: {}", wrongs.summary()));
    wrongs.assert_none(&campaign);
    assert!(kills * 10 >= tried * 9, "calls are found again where the trace had them");
}

/// The calls of a step on files of ours and on the network, as a run that nobody kills makes them.
fn moments_of(step: (&'static str, Scene)) -> Vec<Moment> {
    let mut seen = BTreeSet::new();
    let traced_step = |world: &mut World, query: Option<&serde_json::Value>| {
        let (ran, trace) = traced(world, step.0, query, "");
        let counts = |call: &&Call| call.is_below(world.path()) || call.is_of_the_network();
        seen.extend(trace.calls().filter(counts).map(|call| (call.name.clone(), call.number)));
        Blow { ran: (step.0 != "replay").then_some(ran), struck: true, kept: Vec::new() }
    };
    endure(format!("a trace of {step:?}"), step, true, traced_step).expect("it ran");
    seen.into_iter().map(|(name, number)| Moment { step, name, number }).collect()
}

/// Dies there; tells, too, whether something had been kept for good by then. `None` where the call did not come.
fn die(moment: &Moment, goes_on: bool) -> Option<(Wrongs, bool)> {
    let Moment { step, name, number } = moment;
    let inject = format!("{name}:signal=SIGKILL:when={number}");
    let mut after = false;
    let wrongs = endure(format!("{name} {number} of {step:?}"), *step, goes_on, |world, query| {
        let (_, trace) = traced(world, step.0, query, &inject);
        let kept = trace.kept_in(&world.state().join("spool"));
        after = !kept.is_empty();
        Blow { ran: None, struck: trace.killed, kept }
    });
    wrongs.map(|wrongs| (wrongs, after))
}

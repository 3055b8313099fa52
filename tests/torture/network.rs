//! The campaign over the network: faults at every request of a deployment, and in every phase of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::by_hand::Unit;
use crate::campaign::Campaign;
use crate::network_oracle::{Deployed, Findings};
use crate::network_runs::{self, BEFORE, Before, Run, Scope, Trouble};
use crate::points::{Point, Shape};
use crate::proxy::{Front, Proxy};
use crate::support::{CONFIG, World};

/// The deadline of a deployment with a fault.
const TIMEOUT: Duration = Duration::from_secs(2);
/// More than a healthy deployment takes on the busiest machine.
const AMPLE: &str = "60";

/// What a run came to.
struct Result {
    findings: Findings,
    took: Duration,
}

fn config(version: usize) -> String {
    CONFIG.replace("additional_users_count: 5", &format!("additional_users_count: {version}"))
}

/// A world where nothing looks for tools, and a unit in it after some beginning.
fn begin(before: Before) -> (World, Unit, Vec<Deployed>) {
    let mut world = World::new();
    world.set_variable("PATH", Some("/usr/bin:/bin"));
    let mut unit = Unit::new(&world);
    unit.set("timeout", AMPLE);
    let mut deployed = Vec::new();
    if before != Before::Nothing {
        unit.write(config(1));
        deployed.push(Deployed { applied: unit.deploy(&world).went_well(), config: config(1) });
    }
    unit.write(now(before));
    (world, unit, deployed)
}

/// The config of the deployment with the fault.
fn now(before: Before) -> String {
    config(if before == Before::AnotherConfig { 2 } else { 1 })
}

/// Deploys under a fault, with `helper` if it is not the real one, and then without; judges both.
fn run(run: &Run, helper: Option<&str>) -> Result {
    let (mut world, mut unit, mut deployed) = begin(run.before);
    let mut findings = Findings::default();
    if let Some(script) = helper {
        world.set_helper(broken(&world, script));
    }
    let timeout = if helper.is_some() { Duration::from_secs(1) } else { TIMEOUT };
    unit.set("timeout", &timeout.as_secs().to_string());
    let proxy = Proxy::start(&world.server.endpoint(), Front::Http, run.rule());
    let site = match run.trouble {
        Trouble::Wire(_) => None,
        Trouble::Place(place) => Some(place.make(&world)),
    };
    let (mut took, mut steps) = (Duration::ZERO, 0);
    let applied = unit.deploy_by(&mut |step, sent| {
        proxy.enter(step);
        match (&site, run.scope) {
            (Some(site), Scope::During(phase, which)) if phase.contains(&step) => site.begin(&mut world, which),
            (None, _) => world.set_endpoint(&proxy.endpoint()),
            _ => {}
        }
        let started = Instant::now();
        let said = world.machine(step, sent);
        took += started.elapsed();
        steps += 1;
        match (&site, run.scope) {
            (Some(site), Scope::During(phase, _)) if phase.contains(&step) => site.end(&mut world),
            _ => world.heal(),
        }
        said
    });
    if site.as_ref().map_or(proxy.hits() == 0, |site| !site.was_met()) {
        findings.odd.push("the fault met nobody".to_owned());
    }
    findings.time(took, timeout, steps);
    deployed.push(Deployed { applied, config: now(run.before) });
    findings.under_fault(&world, deployed.last().expect("it"));
    for head in proxy.heads() {
        findings.secrets("a request's head", &head);
    }

    world.set_helper(crate::support::helper());
    unit.set("timeout", AMPLE);
    let newest = if run.newer { config(3) } else { now(run.before) };
    unit.write(&newest);
    deployed.push(Deployed { applied: unit.deploy(&world), config: newest });
    findings.healed(&world, &deployed);
    Result { findings, took }
}

/// A helper that is broken: a script that finds the real one in `$real`.
fn broken(world: &World, script: &str) -> PathBuf {
    let path = world.path().join("broken-helper");
    let real = crate::support::helper();
    let script = format!("#!/bin/sh\nreal='{}'\n{script}\n", real.display());
    // Written by a process of its own: a file that a fork still has open for writing cannot be run.
    let mut command = world.command("/bin/sh");
    command.args(["-c", "cat >\"$0\" && chmod +x \"$0\""]).arg(&path);
    assert!(crate::support::feed(command, script.as_bytes()).status.success());
    path
}

/// The requests of a healthy deployment, and how long it takes.
fn healthy(before: Before) -> (Vec<(Point, Shape)>, Duration) {
    let (mut world, mut unit, _) = begin(before);
    let proxy = Proxy::start(&world.server.endpoint(), Front::Http, Box::new(|_| None));
    world.set_endpoint(&proxy.endpoint());
    let started = Instant::now();
    let applied = unit.deploy_by(&mut |step, sent| {
        proxy.enter(step);
        world.machine(step, sent)
    });
    let took = started.elapsed();
    applied.went_well();
    (proxy.seen(), took)
}

#[test]
fn no_fault_of_the_network_blocks_loses_duplicates_or_hides_anything() {
    let campaign = Campaign::start("network");
    let healthy: Vec<_> = BEFORE.into_iter().map(|before| (before, healthy(before))).collect();
    let longest = healthy.iter().map(|(_, (_, took))| *took).max().expect("some").max(TIMEOUT);
    let points: Vec<_> = healthy.into_iter().map(|(before, (seen, _))| (before, seen)).collect();
    let all = network_runs::all(&points);
    let count = all.len();
    let runs = network_runs::choose(&campaign, all, campaign.pick(25, 600));
    campaign.say(format!("{} of {count} runs, a healthy one takes {:.1} s at most", runs.len(), longest.as_secs_f64()));
    let results = campaign.each(runs.len(), 4, |number| {
        catch_unwind(AssertUnwindSafe(|| run(&runs[number], None))).unwrap_or_else(|panic| {
            let words = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            Result { findings: Findings { odd: vec![words], ..Findings::default() }, took: Duration::ZERO }
        })
    });
    let count = |found: fn(&Findings) -> &Vec<String>| results.iter().filter(|it| !found(&it.findings).is_empty()).count();
    let added = results.iter().map(|it| it.took.saturating_sub(longest)).max().unwrap_or_default();
    campaign.say(format!(
        "{} faults: {} blocked (max added {:.1} s), {} lost, {} duplicated, {} silent",
        runs.len(),
        count(|it| &it.blocked),
        added.as_secs_f64(),
        count(|it| &it.lost),
        count(|it| &it.duplicated),
        count(|it| &it.silent)
    ));
    let failed: Vec<String> = runs
        .iter()
        .zip(&results)
        .filter(|(_, it)| !it.findings.all().is_empty())
        .map(|(run, it)| format!("{run}\n    {}", it.findings.all().join("\n    ")))
        .collect();
    assert!(failed.is_empty(), "{} of {} runs failed:\n{}", failed.len(), runs.len(), failed.join("\n"));
}

//! The campaign over the network: faults at every request of a deployment, and in every phase of it.
//!
//! What fails is listed by its name; `TORTURE_ONLY` repeats the runs whose names have these words, `""` does them all.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::by_hand::{Applied, Unit, external};
use crate::campaign::Campaign;
use crate::faults::Fault;
use crate::network_oracle::{Deployed, Findings};
use crate::network_runs::{self, BEFORE, Before, Phase, Run, Scope, Trouble};
use crate::places::{Place, Site, Which};
use crate::points::{Point, Shape};
use crate::proxy::{Front, Proxy};
use crate::support::{BUCKET, CONFIG, World};
use crate::tls::{AUTHORITY, Flaw};

/// The deadline of a deployment with a fault.
const TIMEOUT: Duration = Duration::from_secs(3);
/// More than a healthy deployment takes on the busiest machine.
const AMPLE: &str = "60";

const NOBODY: &str = "the fault met nobody";

/// What a run came to.
struct Result {
    findings: Findings,
    took: Duration,
    /// Whether anybody met the fault: a busy machine can use a deadline up before it comes to the request.
    met: bool,
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

/// As [`run`], with a run that panics found, too.
fn judged(it: &Run, helper: Option<&str>, timeout: Duration) -> Result {
    catch_unwind(AssertUnwindSafe(|| run(it, helper, timeout))).unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).to_owned()));
        Result { findings: Findings { odd: vec![words.unwrap_or_default()], ..Findings::default() }, took: Duration::ZERO, met: true }
    })
}

/// As [`judged`], again and again until the fault is met, or something else is found.
fn until_met(it: &Run) -> Result {
    let mut tries = std::iter::repeat_with(|| judged(it, None, TIMEOUT)).take(5);
    let missed = |result: &Result| !result.met && result.findings.all().is_empty();
    tries.find(|result| !missed(result)).unwrap_or_else(|| {
        let findings = Findings { odd: vec![NOBODY.to_owned()], ..Findings::default() };
        Result { findings, took: Duration::ZERO, met: false }
    })
}

/// Deploys under a fault, with a broken helper where there is a script of one, and then without; judges both.
fn run(run: &Run, helper: Option<&str>, timeout: Duration) -> Result {
    let (mut world, mut unit, mut deployed) = begin(run.before);
    let mut findings = Findings::default();
    if let Some(script) = helper {
        world.set_helper(broken(&world, script));
    }
    unit.set("timeout", &timeout.as_secs().to_string());
    let proxy = Proxy::start(&world.server.endpoint(), Front::Http, run.rule());
    let site = match run.trouble {
        Trouble::Wire(_) => None,
        Trouble::Place(place) => Some(place.make(&world)),
    };
    let (mut took, mut steps) = (Duration::ZERO, 0);
    let mut step = |step: &'static str, sent: &Value| {
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
    };
    let context = external(&step("context", &unit.query()));
    let applied = unit.apply_by(context, step);
    let met = site.as_ref().map_or(proxy.hits() > 0, Site::was_met);
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
    Result { findings, took, met }
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
    loop {
        let (seen, took) = try_healthy(before);
        // Two deployments within one second ask whose the record's name is: by chance, so it is no request to count on.
        if !seen.iter().any(|(point, _)| point.to_string().starts_with("GET record")) {
            return (seen, took);
        }
    }
}

fn try_healthy(before: Before) -> (Vec<(Point, Shape)>, Duration) {
    let (mut world, mut unit, _) = begin(before);
    let proxy = Proxy::start(&world.server.endpoint(), Front::Http, Box::new(|_| None));
    world.set_endpoint(&proxy.endpoint());
    let started = Instant::now();
    let step = |step: &'static str, sent: &Value| {
        proxy.enter(step);
        world.machine(step, sent)
    };
    let context = external(&step("context", &unit.query()));
    let applied = unit.apply_by(context, step);
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
    let runs = match std::env::var("TORTURE_ONLY") {
        Ok(words) => all.into_iter().filter(|run| run.to_string().contains(&words)).collect(),
        Err(_) => network_runs::choose(&campaign, all, campaign.pick(41, 600)),
    };
    campaign.say(format!("{} of {count} runs, a healthy one takes {:.1} s at most", runs.len(), longest.as_secs_f64()));
    let results = campaign.each(runs.len(), 8, |number| until_met(&runs[number]));
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

/// What a broken helper is found to do wrong, by the counters.
fn found(script: &str, trouble: Trouble, phase: Phase, timeout: u64) -> Vec<&'static str> {
    let scope = Scope::During(phase, Which::Both);
    let it = Run { kind: "control", trouble, scope, before: Before::Nothing, newer: false };
    let findings = judged(&it, Some(script), Duration::from_secs(timeout)).findings;
    let counters = [
        ("blocked", &findings.blocked),
        ("lost", &findings.lost),
        ("duplicated", &findings.duplicated),
        ("silent", &findings.silent),
        ("odd", &findings.odd),
    ];
    counters.into_iter().filter(|(_, found)| !found.is_empty()).map(|(name, _)| name).collect()
}

const REFUSED: Trouble = Trouble::Place(Place::Nobody);
const SLOW: Trouble = Trouble::Wire(Fault::Slow);

#[test]
fn a_helper_that_is_whole_is_found_to_do_nothing_wrong() {
    assert_eq!(found("exec \"$real\" \"$@\"", REFUSED, &["context", "backup", "log"], 20), [""; 0]);
}

#[test]
fn a_helper_that_sleeps_past_the_deadline_is_found_to_block() {
    let script = "\"$real\" \"$@\"; [ \"$1\" != log ] || sleep 8";
    assert_eq!(found(script, REFUSED, &["log"], 1), ["blocked"]);
}

#[test]
fn a_helper_that_empties_the_spool_is_found_to_lose() {
    let script = "\"$real\" \"$@\"; [ \"$1\" != log ] || rm -f \"$HOME/.local/state/config-backup/spool/\"*";
    assert_eq!(found(script, REFUSED, &["backup", "log"], 20), ["lost"]);
}

#[test]
fn a_helper_that_logs_twice_is_found_to_duplicate() {
    let script = "[ \"$1\" = log ] || exec \"$real\" \"$@\"\nquery=$(cat)\nprintf %s \"$query\" | \"$real\" log\n\
                  rm -rf \"$HOME/.local/state/config-backup/deployments\"\nsleep 1.1\nprintf %s \"$query\" | \"$real\" log >/dev/null";
    assert_eq!(found(script, SLOW, &["context"], 20), ["duplicated"]);
}

#[test]
fn a_helper_that_swallows_its_warning_is_found_to_be_silent() {
    let lie = "s/WARNING: //; s/\"status\":\"error\"/\"status\":\"ok\"/";
    assert_eq!(found(&format!("\"$real\" \"$@\" | sed '{lie}'"), REFUSED, &["log"], 20), ["silent"]);
    // One of the two is not enough: who misses the line in the output relies on the check, and the other way round.
    for lie in ["s/WARNING: //", "/WARNING/!s/\"status\":\"error\"/\"status\":\"ok\"/"] {
        assert_eq!(found(&format!("\"$real\" \"$@\" | sed '{lie}'"), REFUSED, &["log"], 20), ["silent", "odd"]);
    }
}

#[test]
fn a_helper_that_tells_a_secret_or_fails_is_found_to_be_odd() {
    let tells = format!("\"$real\" \"$@\" | sed 's/WARNING: /&{} /'", crate::support::CANARIES[0]);
    assert_eq!(found(&tells, REFUSED, &["log"], 20), ["odd"]);
    assert_eq!(found("\"$real\" \"$@\"; exit 1", REFUSED, &["log"], 20), ["odd"]);
}

#[test]
fn a_fault_that_meets_nobody_is_no_run() {
    let scope = Scope::During(&["outcome"], Which::Both);
    let it = Run { kind: "control", trouble: SLOW, scope, before: Before::Nothing, newer: false };
    let result = until_met(&it);
    assert_eq!((result.met, result.findings.all()), (false, vec![format!("odd: {NOBODY}")]));
}

#[test]
fn an_object_that_is_torn_is_found_to_be_lost() {
    let (world, mut unit, _) = begin(Before::Nothing);
    let deployed = [Deployed { applied: unit.deploy(&world).went_well(), config: now(Before::Nothing) }];
    let findings = || {
        let mut findings = Findings::default();
        findings.healed(&world, &deployed);
        findings.all()
    };
    assert_eq!(findings(), [""; 0]);
    let key = world.server.keys(BUCKET, "terragrunt/airbnb/config-history/").remove(0);
    let object = world.server.object(BUCKET, &key).expect("it");
    let metadata: Vec<_> = object.metadata.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    world.server.put(BUCKET, &key, &object.body[..object.body.len() - 1], &metadata).expect("written");
    let found = findings();
    assert!(found.iter().any(|it| it.contains("is torn")) && found.iter().all(|it| it.starts_with("lost: ")), "{found:?}");
}

/// Deploys over TLS, with the authority's certificate in a variable of this name, if any; gives the requests.
fn over_https(variable: Option<&str>, judge: fn(Applied)) -> usize {
    let (mut world, mut unit, _) = begin(Before::Nothing);
    let proxy = Proxy::start(&world.server.endpoint(), Front::Https(AUTHORITY.server(Flaw::None)), Box::new(|_| None));
    world.set_endpoint(&proxy.endpoint());
    let bundle = world.path().join("authority.pem");
    std::fs::write(&bundle, AUTHORITY.pem()).expect("a bundle");
    if let Some(name) = variable {
        world.set_variable(name, Some(bundle.to_str().expect("UTF-8")));
    }
    judge(unit.deploy(&world));
    proxy.seen().len()
}

#[test]
fn a_deployment_goes_well_over_https() {
    for variable in ["SSL_CERT_FILE", "AWS_CA_BUNDLE"] {
        let requests = over_https(Some(variable), |applied| drop(applied.went_well()));
        assert!(requests > 0, "{variable}");
    }
}

#[test]
fn an_authority_that_nobody_trusts_gets_no_request() {
    let requests = over_https(None, |applied| assert!(applied.warning().contains("certificate"), "{applied:?}"));
    assert_eq!(requests, 0);
}

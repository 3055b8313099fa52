//! Network faults at every request of a deployment and in each of its phases.
//!
//! A failed run is listed by name. `CAMPAIGN_ONLY` repeats the runs whose names contain its value;
//! an empty value repeats all.

mod controls;
mod oracle;
mod runs;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bad_endpoints::{EndpointFault, RefusedPort};
use crate::network::oracle::{NetworkDeployment, NetworkFindings};
use crate::network::runs::{
    ALL_BEFORE, BucketBefore, FaultScope, HealthyRun, NetworkRun, NetworkTrouble,
};
use crate::rule_proxy::{ProxyFront, RuleProxy};
use test_support::campaign::Campaign;
use test_support::terraform_steps::{CustomerUnit, parse_external_answer};
use test_support::{CONFIG, World};

/// The deadline of a deployment with a fault.
const TIMEOUT: Duration = Duration::from_secs(3);
/// More than a healthy deployment needs on a busy machine.
const AMPLE_TIMEOUT_SECONDS: &str = "60";

/// The finding of a run without its fault.
pub(crate) const FAULT_NOT_MET: &str = "the fault did not occur";

/// The result of a run.
pub(crate) struct NetworkResult {
    pub(crate) findings: NetworkFindings,
    /// The time beyond the deadline.
    added: Duration,
    /// Whether the fault occurred. On a busy machine the deadline may pass before the request.
    pub(crate) met: bool,
}

fn config_text(version: usize) -> String {
    CONFIG.replace(
        "additional_users_count: 5",
        &format!("additional_users_count: {version}"),
    )
}

/// A world without tools, and a unit after the given deployments.
pub(crate) fn prepare_world(before: BucketBefore) -> (World, CustomerUnit, Vec<NetworkDeployment>) {
    let mut world = World::new();
    world.set_variable("PATH", Some("/usr/bin:/bin"));
    let mut unit = CustomerUnit::new(&world);
    unit.set_variable("timeout", AMPLE_TIMEOUT_SECONDS);
    let mut deployed = Vec::new();
    let refused = RefusedPort::new();
    if before == BucketBefore::Kept {
        world.set_endpoint(&refused.endpoint());
    }
    if before != BucketBefore::Nothing {
        unit.write_config(config_text(1));
        let applied = unit.deploy(&world);
        let applied = if before == BucketBefore::Kept {
            applied
        } else {
            applied.expect_success()
        };
        deployed.push(NetworkDeployment::new(&world, applied, config_text(1)));
    }
    world.restore_endpoints();
    unit.write_config(config_of_deployment(before));
    (world, unit, deployed)
}

/// The config of the deployment with the fault.
pub(crate) fn config_of_deployment(before: BucketBefore) -> String {
    config_text(
        if matches!(before, BucketBefore::AnotherConfig | BucketBefore::Kept) {
            2
        } else {
            1
        },
    )
}

/// As [`run_once`], with a panic as a finding.
pub(crate) fn run_judged(
    it: &NetworkRun,
    helper: Option<&str>,
    timeout: Duration,
) -> NetworkResult {
    catch_unwind(AssertUnwindSafe(|| run_once(it, helper, timeout))).unwrap_or_else(|panic| {
        let words = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).to_owned()));
        NetworkResult {
            findings: NetworkFindings {
                odd: vec![words.unwrap_or_default()],
                ..NetworkFindings::default()
            },
            added: Duration::ZERO,
            met: true,
        }
    })
}

/// As [`run_judged`], with a growing timeout until the fault occurs or there is a finding.
pub(crate) fn run_until_met(it: &NetworkRun) -> NetworkResult {
    let mut tries = (1..=4).map(|times| run_judged(it, None, TIMEOUT * times));
    tries
        .find(|result| result.met || !result.findings.descriptions().is_empty())
        .unwrap_or_else(|| {
            let findings = NetworkFindings {
                odd: vec![FAULT_NOT_MET.to_owned()],
                ..NetworkFindings::default()
            };
            NetworkResult {
                findings,
                added: Duration::ZERO,
                met: false,
            }
        })
}

/// Deploys with a fault and then without, and checks both. `helper` is a script of a broken helper.
fn run_once(run: &NetworkRun, helper: Option<&str>, timeout: Duration) -> NetworkResult {
    let (mut world, mut unit, mut deployed) = prepare_world(run.before);
    let mut findings = NetworkFindings::default();
    if let Some(script) = helper {
        world.set_helper(write_broken_helper(&world, script));
    }
    unit.set_variable("timeout", &timeout.as_secs().to_string());
    let proxy = RuleProxy::start(&world.server.endpoint(), ProxyFront::Http, run.rule());
    proxy.state_sums(run.states_sums);
    let backend = match run.trouble {
        NetworkTrouble::Wire(_) => None,
        NetworkTrouble::Place(place) => Some(place.prepare(&world)),
    };
    let (mut took, mut steps) = (Duration::ZERO, 0);
    let mut step = |step: &'static str, sent: &Value| {
        proxy.begin_step(step);
        match (&backend, run.scope) {
            (Some(backend), FaultScope::During(phase, which)) if phase.contains(&step) => {
                backend.begin(&mut world, which);
            }
            (None, _) => world.set_endpoint(&proxy.endpoint()),
            _ => {}
        }
        let started = Instant::now();
        let said = world.run_protocol_command(step, sent);
        took += started.elapsed();
        steps += 1;
        match (&backend, run.scope) {
            (Some(backend), FaultScope::During(phase, _)) if phase.contains(&step) => {
                backend.end(&mut world);
            }
            _ => world.restore_endpoints(),
        }
        said
    };
    let context = parse_external_answer(&step("context", &unit.query()));
    let applied = unit.apply_with(context, step);
    let met = backend
        .as_ref()
        .map_or(proxy.hit_count() > 0, EndpointFault::was_met);
    findings.check_duration(took, timeout, steps);
    deployed.push(NetworkDeployment::new(
        &world,
        applied,
        config_of_deployment(run.before),
    ));
    let faulty = deployed.last().expect("it");
    findings.check_under_fault(&world, faulty);
    findings.check_advice(run.kind, faulty.applied.message());
    for head in proxy.request_heads() {
        findings.check_secrets("a request's head", &head);
    }

    world.set_helper(test_support::helper_path());
    unit.set_variable("timeout", AMPLE_TIMEOUT_SECONDS);
    proxy.end_faults();
    if backend.is_none() {
        // The same address, because another endpoint would be another bucket with other chains.
        world.set_endpoint(&proxy.endpoint());
    }
    let newest = if run.newer {
        config_text(3)
    } else {
        config_of_deployment(run.before)
    };
    unit.write_config(&newest);
    deployed.push(NetworkDeployment::new(&world, unit.deploy(&world), newest));
    findings.check_after_healing(&world, &deployed);
    NetworkResult {
        findings,
        added: took.saturating_sub(timeout),
        met,
    }
}

/// Writes a broken helper: a script that finds the real one in `$real`.
fn write_broken_helper(world: &World, script: &str) -> PathBuf {
    let path = world.path().join("broken-helper");
    let real = test_support::helper_path();
    let script = format!("#!/bin/sh\nreal='{}'\n{script}\n", real.display());
    // Another process writes it, because a file cannot run while a forked process has it open for
    // writing.
    let mut command = world.command("/bin/sh");
    command
        .args(["-c", "cat >\"$0\" && chmod +x \"$0\""])
        .arg(&path);
    assert!(
        test_support::run_with_input(command, script.as_bytes())
            .status
            .success()
    );
    path
}

/// A healthy deployment.
fn run_healthy(before: BucketBefore, states_sums: bool) -> HealthyRun {
    loop {
        let (mut world, unit, _) = prepare_world(before);
        let proxy = RuleProxy::start(
            &world.server.endpoint(),
            ProxyFront::Http,
            Box::new(|_| None),
        );
        proxy.state_sums(states_sums);
        world.set_endpoint(&proxy.endpoint());
        let step = |step: &'static str, sent: &Value| {
            proxy.begin_step(step);
            world.run_protocol_command(step, sent)
        };
        let context = parse_external_answer(&step("context", &unit.query()));
        unit.apply_with(context, step).expect_success();
        // Records of the same second need more requests for another name, which would make the run
        // irregular.
        let plain = "usage-logs/airbnb/YYYY-MM-DD_HHMMSS.json".len();
        if world
            .usage_records()
            .iter()
            .all(|(key, _)| key.len() == plain)
        {
            return HealthyRun {
                before,
                states_sums,
                seen: proxy.seen_requests(),
            };
        }
    }
}

#[test]
fn no_fault_of_the_network_blocks_loses_duplicates_or_hides_anything() {
    let campaign = Campaign::start("network");
    let kinds = ALL_BEFORE
        .into_iter()
        .flat_map(|before| [true, false].map(|states_sums| (before, states_sums)));
    let all = runs::list_runs(
        &kinds
            .map(|(before, states_sums)| run_healthy(before, states_sums))
            .collect::<Vec<_>>(),
    );
    let count = all.len();
    let runs = match std::env::var("CAMPAIGN_ONLY") {
        Ok(words) => all
            .into_iter()
            .filter(|run| run.to_string().contains(&words))
            .collect(),
        Err(_) => runs::choose_runs(&campaign, all, campaign.pick(41, 600)),
    };
    campaign.print_line(format!("{} of {count} runs", runs.len()));
    let results = campaign.run_each(runs.len(), 8, |number| run_until_met(&runs[number]));
    let count = |name| {
        results
            .iter()
            .flat_map(|it| it.findings.counters())
            .filter(|(it, found)| *it == name && !found.is_empty())
            .count()
    };
    let added = results
        .iter()
        .map(|it| it.added)
        .max()
        .unwrap_or_default()
        .as_secs_f64();
    let [blocked, lost, duplicated, silent, misled] =
        ["blocked", "lost", "duplicated", "silent", "misled"].map(count);
    campaign.print_line(format!(
        "{} faults: {blocked} blocked (max added {added:.1} s), {lost} lost, {duplicated} duplicated, {silent} silent, {misled} misled",
        runs.len()
    ));
    let failed: Vec<String> = runs
        .iter()
        .zip(&results)
        .filter(|(_, it)| !it.findings.descriptions().is_empty())
        .map(|(run, it)| format!("{run}\n    {}", it.findings.descriptions().join("\n    ")))
        .collect();
    assert!(
        failed.is_empty(),
        "{} of {} runs failed:\n{}",
        failed.len(),
        runs.len(),
        failed.join("\n")
    );
}

//! A network that accepts connections and never answers: complete deployments with the real tools,
//! timed from outside.
//!
//! A healthy deployment follows each black-holed one and must send what the first one spooled.

use std::time::{Duration, Instant};

use crate::customer_stack::{CustomerStack, TerragruntRun, with_both_tools, write_script};
use test_support::campaign::Campaign;
use test_support::faulty_proxy::FaultyProxy;
use test_support::helper_path;

with_both_tools!(a_black_hole_costs_a_deployment_its_deadline_at_most_and_no_record);

/// The difference between two runs without the unit, on a busy machine.
const SLACK: Duration = Duration::from_secs(10);

fn a_black_hole_costs_a_deployment_its_deadline_at_most_and_no_record(stack: CustomerStack) {
    let campaign = Campaign::start("black box");
    let runs = campaign.pick(1, 20);
    let deadline = Duration::from_secs(campaign.pick(3, 10));
    let name = stack
        .version()
        .split_whitespace()
        .next()
        .unwrap()
        .to_lowercase()
        .replace("opentofu", "tofu");
    let seen = run_deployments(stack, deadline, runs);
    let faults = seen.violations();
    let added = seen.added_times();
    campaign.print_line(format!(
        "{name}: {runs} black-holed deployments: {} failed, added p50 {:.1} s, max {:.1} s; {} records late, {} lost",
        faults.len(),
        added[added.len() / 2].as_secs_f64(),
        added[added.len() - 1].as_secs_f64(),
        seen.late,
        seen.count_lost()
    ));
    assert!(
        faults.is_empty() && seen.count_lost() == 0 && seen.twice == 0 && seen.late == runs,
        "{faults:#?} {seen:?}"
    );
}

/// The results of alternating black-holed and healthy deployments.
#[derive(Debug)]
struct BlackBoxResult {
    deadline: Duration,
    black_holed: Vec<(Duration, TerragruntRun)>,
    healthy: Vec<(Duration, TerragruntRun)>,
    /// All records, late records, and second records of a deployment.
    records: usize,
    late: usize,
    twice: usize,
}

fn run_deployments(stack: CustomerStack, deadline: Duration, runs: usize) -> BlackBoxResult {
    let mut stack = stack.with_local_state();
    stack.change_unit(
        "timeout                = 10",
        &format!("timeout                = {}", deadline.as_secs()),
    );
    let timed = |stack: &CustomerStack| {
        let started = Instant::now();
        let ran = stack.apply_all();
        (started.elapsed(), ran)
    };
    let mut seen = BlackBoxResult {
        deadline,
        black_holed: Vec::new(),
        healthy: Vec::new(),
        records: 0,
        late: 0,
        twice: 0,
    };
    // The first run prepares the folders and is not measured.
    stack.apply_all().expect_success();
    for _ in 0..runs {
        let proxy = FaultyProxy::black_hole();
        stack.world.set_endpoint(&proxy.endpoint());
        seen.black_holed.push(timed(&stack));
        drop(proxy);
        stack.world.restore_endpoints();
        seen.healthy.push(timed(&stack));
    }
    let records = stack.world.usage_records();
    let mut ids: Vec<String> = records
        .iter()
        .map(|(_, record)| record["deployment_id"].to_string())
        .collect();
    ids.sort();
    ids.dedup();
    seen.records = ids.len();
    seen.twice = records.len() - ids.len();
    seen.late = records
        .iter()
        .filter(|(_, record)| record["late"] == true)
        .count();
    seen
}

impl BlackBoxResult {
    /// The added times of black-holed deployments over the median of healthy ones, sorted.
    fn added_times(&self) -> Vec<Duration> {
        let mut healthy: Vec<Duration> = self.healthy.iter().map(|(took, _)| *took).collect();
        healthy.sort();
        let usual = healthy[healthy.len() / 2];
        let mut added: Vec<Duration> = self
            .black_holed
            .iter()
            .map(|(took, _)| took.saturating_sub(usual))
            .collect();
        added.sort();
        added
    }

    fn count_lost(&self) -> usize {
        (1 + self.black_holed.len() + self.healthy.len()).saturating_sub(self.records)
    }

    /// The violations of each deployment.
    fn violations(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (place, (_, ran)) in self.black_holed.iter().enumerate() {
            let warnings = count_warnings(ran);
            if ran.code != 0 || !ran.has_clusters() {
                faults.push(format!("{place}: blocked the others: {}", ran.output));
            } else if warnings != 1 {
                faults.push(format!(
                    "{place}: reported in {warnings} warnings: {}",
                    ran.output
                ));
            }
        }
        for (place, (_, ran)) in self.healthy.iter().enumerate() {
            if ran.code != 0
                || !ran.has_clusters()
                || count_warnings(ran) != 0
                || ran.has_failed_check()
            {
                faults.push(format!("{place}: not healthy again: {}", ran.output));
            }
        }
        let late = self
            .added_times()
            .into_iter()
            .filter(|added| *added > self.deadline + SLACK);
        faults.extend(late.map(|added| format!("{added:?} were added")));
        faults
    }
}

/// The number of Terraform warnings about missing objects.
fn count_warnings(ran: &TerragruntRun) -> usize {
    let lines: Vec<&str> = ran.output.lines().collect();
    let is_reason = |line: &&&str| {
        line.contains("config-backup: neither config.yaml nor the usage record is in the bucket: ")
    };
    let reasons = lines.iter().filter(is_reason).count();
    let checks = lines
        .iter()
        .filter(|line| line.contains("Check block assertion failed"))
        .count();
    reasons.min(checks)
}

/// The violations of a broken helper in one black-holed deployment; `body` finds the real helper in
/// `$helper`.
fn with_broken_helper(body: &str) -> BlackBoxResult {
    let mut stack = CustomerStack::new(crate::customer_stack::TerraformTool::Tofu).unwrap();
    let path = stack.world.path().join("broken helper");
    write_script(
        &path,
        &format!("helper='{}'\n{body}", helper_path().display()),
        true,
    );
    stack.set_variable("CONFIG_BACKUP_HELPER", path.to_str().unwrap());
    run_deployments(stack, Duration::from_secs(2), 1)
}

#[test]
fn detects_a_hidden_warning() {
    let seen =
        with_broken_helper("\"$helper\" \"$@\" | sed 's/\"status\":\"[a-z]*\"/\"status\":\"ok\"/'");
    assert!(
        seen.violations()
            .iter()
            .any(|fault| fault.contains("reported in 0 warnings")),
        "{seen:?}"
    );
}

#[test]
fn detects_lost_spool_items() {
    let seen =
        with_broken_helper("\"$helper\" \"$@\"; rm -rf \"$HOME\"/.local/state/config-backup/spool");
    assert!(seen.count_lost() == 1 && seen.late == 0, "{seen:?}");
}

#[test]
fn detects_a_missed_deadline_and_stopped_units() {
    let said = "tofu: Warning: Check block assertion failed\n\
                tofu: config-backup: neither config.yaml nor the usage record is in the bucket: x\n";
    let clusters = "[atlas-cluster] Apply complete!\n[eks-cluster] Apply complete!\n";
    let ran = |code, output: &str| TerragruntRun {
        code,
        output: output.to_owned(),
    };
    let seen = |seconds, black_holed| BlackBoxResult {
        deadline: Duration::from_secs(10),
        black_holed: vec![(Duration::from_secs(seconds), black_holed)],
        healthy: vec![(Duration::from_secs(3), ran(0, clusters))],
        records: 3,
        late: 1,
        twice: 0,
    };
    let told = format!("{clusters}{said}");
    assert_eq!(
        (
            seen(13, ran(0, &told)).violations(),
            seen(13, ran(0, &told)).count_lost()
        ),
        (Vec::new(), 0)
    );
    for bad in [
        seen(24, ran(0, &told)),
        seen(13, ran(1, &told)),
        seen(13, ran(0, said)),
        seen(13, ran(0, clusters)),
    ] {
        assert_eq!(bad.violations().len(), 1, "{bad:?}");
    }
}

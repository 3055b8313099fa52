//! Kills `compact` at every system call for files and the network, and compares the reports before,
//! after, and after the next run.
//!
//! A late record may arrive after the kill, and two processes may run next.

use std::collections::BTreeSet;
use std::process::{Child, Stdio};

use crate::strace::run_traced;
use test_support::campaign::Campaign;
use test_support::s3_backend::{ReportEntry, expected_csv};
use test_support::s3_client::S3TestClient;
use test_support::{BUCKET, World, to_text};

const ARCHIVE: &str = "usage-logs-archive/";
const CUSTOMERS: [&str; 3] = ["acme", "airbnb", "zeta"];
const DEPLOYMENTS: u64 = 4;

/// The result of a kill.
#[derive(Debug, Default)]
struct CompactOutcome {
    killed: bool,
    /// Whether the archive already had an object.
    late: bool,
    /// The number of wrong reports.
    wrong: usize,
    /// The number of records that the later runs did not archive.
    left: usize,
}

/// A bucket of records of a month that has ended, and what a report of it shows.
fn world_with_records() -> (World, Vec<ReportEntry>) {
    let mut world = World::new();
    world.set_variable("AWS_PROFILE", Some("default"));
    let of_customer = |customer: &&str| {
        (0..DEPLOYMENTS)
            .map(|number| ReportEntry::new(customer, number))
            .collect::<Vec<_>>()
    };
    let entries: Vec<ReportEntry> = CUSTOMERS.iter().flat_map(of_customer).collect();
    put_entries(&world, &entries);
    (world, entries)
}

fn put_entries(world: &World, entries: &[ReportEntry]) {
    for entry in entries {
        world
            .server
            .put(
                BUCKET,
                &entry.key(&entry.customer),
                entry.record().as_bytes(),
                &[],
            )
            .expect("a record");
    }
}

fn report_shows(world: &World, arguments: &[&str], entries: &[ReportEntry]) -> bool {
    let output = world
        .helper_command(&["report", "--strict"])
        .args(arguments)
        .output()
        .expect("report");
    output.status.success()
        && to_text(&output.stdout) == expected_csv(entries)
        && output.stderr.is_empty()
}

#[test]
#[ignore = "needs strace: make test-strace"]
fn no_kill_of_compact_at_any_system_call_changes_a_report() {
    let campaign = Campaign::start("compact");
    let (world, entries) = world_with_records();
    let (_, trace) = run_traced(&world, "compact", None, "");
    assert!(
        report_shows(&world, &["--no-cache"], &entries)
            && S3TestClient::new(&world.server.endpoint())
                .list_keys(ARCHIVE)
                .len()
                == CUSTOMERS.len()
    );
    // Earlier calls are those of the loader and the shell.
    let ours = trace
        .calls()
        .filter(|call| call.is_below(world.path()) || call.is_of_the_network());
    let calls: BTreeSet<(String, usize)> =
        ours.map(|call| (call.name.clone(), call.number)).collect();
    let mut calls: Vec<(String, usize)> = calls.into_iter().collect();
    campaign.rng(0).shuffle(&mut calls);
    let all = calls.len();
    calls.truncate(campaign.pick(16, usize::MAX));
    let done = campaign.run_each(calls.len(), 4, |number| {
        kill_compact_at(&calls[number], &mut campaign.rng(number))
    });
    let killed: Vec<&CompactOutcome> = done.iter().filter(|it| it.killed).collect();
    let (late, wrong, left) = (
        killed.iter().filter(|it| it.late).count(),
        killed.iter().map(|it| it.wrong).sum::<usize>(),
        killed.iter().map(|it| it.left).sum::<usize>(),
    );
    campaign.print_line(format!(
        "{} kills (at {all} system calls), {late} of them with something archived: {wrong} reports wrong, {left} records left",
        killed.len()
    ));
    assert_eq!((wrong, left), (0, 0), "CAMPAIGN_SEED={}", campaign.seed);
    assert!(
        killed.len() * 10 >= done.len() * 9,
        "calls are found again where the trace had them"
    );
}

/// Kills `compact` at a call, and runs it again.
fn kill_compact_at((name, number): &(String, usize), chance: &mut fastrand::Rng) -> CompactOutcome {
    let (world, mut entries) = world_with_records();
    let (_, trace) = run_traced(
        &world,
        "compact",
        None,
        &format!("{name}:signal=SIGKILL:when={number}"),
    );
    let client = S3TestClient::new(&world.server.endpoint());
    let mut outcome = CompactOutcome {
        killed: trace.killed,
        late: !client.list_keys(ARCHIVE).is_empty(),
        ..CompactOutcome::default()
    };
    let mut look = |entries: &[ReportEntry]| {
        outcome.wrong += [&[][..], &["--no-cache"]]
            .iter()
            .filter(|arguments| !report_shows(&world, arguments, entries))
            .count();
    };
    look(&entries);
    if chance.bool() {
        let late = ReportEntry::new(CUSTOMERS[chance.usize(..CUSTOMERS.len())], 99);
        put_entries(&world, std::slice::from_ref(&late));
        entries.push(late);
        look(&entries);
    }
    let start = || -> Child {
        world
            .helper_command(&["compact"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts")
    };
    let runs: Vec<Child> = (0..=chance.usize(..2)).map(|_| start()).collect();
    let failed = runs
        .into_iter()
        .map(|mut run| run.wait().expect("it ends").success())
        .filter(|well| !well)
        .count();
    look(&entries);
    for entry in &entries {
        client.delete(&entry.key(&entry.customer));
    }
    // After this only archived records are reported.
    look(&entries);
    let csv = to_text(
        &world
            .helper_command(&["report"])
            .output()
            .expect("report")
            .stdout,
    );
    outcome.left = failed + (expected_csv(&entries).lines().count() - csv.lines().count());
    outcome
}

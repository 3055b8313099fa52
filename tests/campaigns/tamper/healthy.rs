//! Histories without an edit, in which nothing may be found: two machines, runners that begin without
//! a state, late records, wrong clocks, lost answers, an archive, expired records, a lost state
//! directory, and deployments while `verify` runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use test_support::campaign::Campaign;
use test_support::faulty_proxy::{FaultyProxy, RequestFate};
use test_support::oracle::{format_rfc3339, unix_now, unix_time};
use test_support::terraform_steps::{CustomerUnit, string_field, wrap_request};
use test_support::{BUCKET, CONFIG, World, refused_endpoint, run_with_input, to_text};

use super::history::{Deployment, History, Objects, sha256_hex};
use super::put_objects;

/// The number of histories.
const HISTORIES: [usize; 2] = [4, 200];
const STEPS: usize = 12;

/// Clocks may be so wrong.
const MAX_SKEW: u64 = 15 * 60;

/// The findings of one run, with its memory in `known`.
fn find(world: &World, known: &str, more: &[&str]) -> Vec<String> {
    let known = world.path().join(known);
    let known = known.to_str().expect("UTF-8");
    let arguments = [&["verify", "--json", "--known", known], more].concat();
    let output = world.helper_command(&arguments).output().expect("it runs");
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let findings = report["findings"].as_array().expect("findings");
    findings.iter().map(ToString::to_string).collect()
}

/// One deployment of a history that runs for real.
fn deploy_somewhere(world: &mut World, chance: &mut fastrand::Rng, number: usize, is_good: bool) {
    let place = match chance.u8(..4) {
        0 => "machine a".to_owned(),
        1 => "machine b".to_owned(),
        _ => format!("runner {number}"),
    };
    world.move_to(&place);
    if chance.u8(..5) == 0 {
        let _ = std::fs::remove_dir_all(world.state_dir().join("chains"));
    }
    let unit = CustomerUnit::in_folder(world, &format!("{place} folder/airbnb"));
    let size = ["M30", "M40", "M50"][chance.usize(..3)];
    unit.write_config(CONFIG.replace("M30", size));
    if is_good {
        unit.deploy(world).expect_success();
    } else {
        world.set_endpoint(&refused_endpoint());
        unit.deploy(world);
        world.restore_endpoints();
        let replayed = world.helper_command(&["replay"]).output().expect("it runs");
        assert!(replayed.status.success(), "{replayed:?}");
    }
}

/// Random deployments on real machines, and `verify` after each.
fn run_history(campaign: &Campaign, number: usize) -> (usize, Vec<String>) {
    let mut chance = campaign.rng(number);
    let mut world = World::new();
    let mut alarms = Vec::new();
    let mut runs = 0;
    for step in 0..STEPS {
        let is_good = chance.u8(..4) > 0;
        deploy_somewhere(&mut world, &mut chance, step, is_good);
        if chance.u8(..4) == 0 {
            let compacted = world.helper_command(&["compact", "--older-than", "0d"]);
            archive_records(&world, compacted);
        }
        runs += 2;
        alarms.extend(find(&world, "known", &[]));
        alarms.extend(find(&world, &format!("known only at {step}"), &[]));
    }
    (runs, alarms)
}

/// Archives what `compact` takes, and deletes these objects, as a lifecycle rule does.
fn archive_records(world: &World, mut compact: std::process::Command) {
    let output = compact.output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
}

/// Deployments of two months with wrong clocks, of which some are sent later, seen at random times.
fn run_synthetic_history(campaign: &Campaign, number: usize) -> (usize, Vec<String>) {
    let mut chance = campaign.rng(1000 + number);
    let mut history = History::new("acme");
    for deployment in &mut history.deployments {
        let at = deployment.at + chance.u64(..MAX_SKEW);
        let delay = match chance.u8(..4) {
            0 => chance.u64(..20 * 24 * 3600),
            _ => chance.u64(..2 * MAX_SKEW),
        };
        // The clock of the machine is up to 15 minutes ahead.
        *deployment = Deployment {
            at,
            sent_at: (at + delay).saturating_sub(MAX_SKEW),
            ..deployment.clone()
        };
    }
    let all = history.deployments.clone();
    let world = World::new();
    let (mut alarms, mut runs) = (Vec::new(), 0);
    let mut seen_at = all[0].sent_at;
    while seen_at < all[all.len() - 1].sent_at + 40 * 24 * 3600 {
        seen_at += chance.u64(1..12 * 24 * 3600);
        // All that was sent until now, as the bucket has it then.
        let mut until_now = history.clone();
        until_now
            .deployments
            .retain(|it| it.sent_at <= seen_at && !is_pending(it, &all, seen_at));
        let objects: Objects = until_now.render();
        put_objects(&world, &objects);
        runs += 1;
        alarms.extend(find(&world, "known", &[]));
    }
    (runs, alarms)
}

/// Whether the config of a deployment is still queued elsewhere.
fn is_pending(deployment: &Deployment, all: &[Deployment], now: u64) -> bool {
    let mut uploads = all.iter().filter(|it| it.uploads && it.at <= deployment.at);
    uploads.next_back().is_some_and(|it| it.sent_at > now)
}

/// Deployments without a pause while `verify` runs again and again.
fn verify_while_others_deploy(runs: usize) -> Vec<String> {
    let world = World::new();
    let is_done = Arc::new(AtomicBool::new(false));
    let mut alarms = Vec::new();
    std::thread::scope(|scope| {
        for writer in 0..2 {
            let (world, is_done) = (&world, Arc::clone(&is_done));
            scope.spawn(move || {
                let unit = CustomerUnit::in_folder(world, &format!("writer {writer}/airbnb"));
                for number in 0.. {
                    if is_done.load(Ordering::SeqCst) {
                        return;
                    }
                    unit.write_config(format!("{CONFIG}# {writer} {number}\n"));
                    let mut command = world.helper_command(&["deploy"]);
                    let state = world.path().join(format!("state {writer} {}", number % 3));
                    command.env("XDG_STATE_HOME", state);
                    let request = wrap_request(&unit.query()).to_string();
                    run_with_input(command, request.as_bytes());
                }
            });
        }
        for _ in 0..runs {
            alarms.extend(find(&world, "known", &[]));
        }
        is_done.store(true, Ordering::SeqCst);
    });
    alarms.extend(find(&world, "known", &[]));
    alarms
}

/// Answers that are lost at random while two machines deploy; `verify` when all is sent.
fn run_with_lost_answers(campaign: &Campaign, number: usize) -> Vec<String> {
    let mut chance = campaign.rng(2000 + number);
    let mut world = World::new();
    let seed = chance.u64(..);
    let proxy = FaultyProxy::start(&world.server.endpoint(), move |line| {
        let digest =
            sha256_hex(format!("{seed} {line} {:?}", std::time::Instant::now()).as_bytes());
        match &digest[..1] {
            "0" if line.starts_with("PUT ") => RequestFate::LoseAnswer,
            "1" if line.contains("/usage-chain/") => {
                RequestFate::Answer("500 Internal Server Error", "")
            }
            _ => RequestFate::Pass,
        }
    });
    for step in 0..STEPS / 2 {
        world.move_to(["machine a", "machine b"][step % 2]);
        world.set_s3_endpoint(&proxy.endpoint());
        let unit = CustomerUnit::in_folder(&world, &format!("folder {}/airbnb", step % 2));
        unit.deploy(&world);
    }
    for machine in ["machine a", "machine b"] {
        world.move_to(machine);
        world.restore_endpoints();
        world.helper_command(&["replay"]).output().expect("it runs");
        // The next record of a chain seals the one before.
        world.set_s3_endpoint(&proxy.endpoint());
    }
    world.restore_endpoints();
    let mut alarms = forked_places(&world);
    let found = find(&world, "known", &[]);
    alarms.extend(found.into_iter().filter(|it| !it.contains("unsealed")));
    alarms
}

/// Places in chains that two records have.
fn forked_places(world: &World) -> Vec<String> {
    let mut places: Vec<String> = Vec::new();
    let mut forks = Vec::new();
    for (key, record) in world.usage_records() {
        let chain = &record["chain"];
        let place = format!("{} {}", string_field(chain, "writer"), chain["number"]);
        if places.contains(&place) {
            forks.push(format!("{key} has the place {place} again"));
        }
        places.push(place);
    }
    forks
}

#[test]
fn nothing_is_found_in_healthy_histories() {
    let campaign = Campaign::start("tamper healthy");
    let histories = campaign.pick(HISTORIES[0], HISTORIES[1]);
    let real = campaign.run_each(histories, 2, |number| run_history(&campaign, number));
    let synthetic = campaign.run_each(4 * histories, 2, |number| {
        run_synthetic_history(&campaign, number)
    });
    let lost = campaign.run_each(histories, 2, |number| {
        run_with_lost_answers(&campaign, number)
    });
    let busy = verify_while_others_deploy(campaign.pick(8, 200));

    let mut runs = 0;
    let mut alarms = busy;
    for (count, found) in real.into_iter().chain(synthetic) {
        runs += count;
        alarms.extend(found);
    }
    alarms.extend(lost.into_iter().flatten());
    campaign.print_line(format!(
        "{} healthy histories, {runs} runs: {} false alarms",
        6 * histories,
        alarms.len()
    ));
    assert_eq!(alarms, Vec::<String>::new(), "seed {}", campaign.seed);
}

/// The counter of false alarms sees a finding.
#[test]
fn an_alarm_is_counted() {
    let world = World::new();
    let mut objects = History::new("acme").render();
    put_objects(&world, &objects);
    assert_eq!(find(&world, "known", &[]), Vec::<String>::new());
    let newest = objects.keys().filter(|key| key.starts_with("usage-logs/"));
    let newest = newest.last().expect("a record").clone();
    objects.remove(&newest);
    world.server.delete(BUCKET, &newest).expect("deleted");
    assert!(!find(&world, "known", &[]).is_empty());
    let now = format_rfc3339(unix_now());
    assert_eq!(
        find(&world, "nothing", &["--retention", &now]),
        Vec::<String>::new()
    );
    let _ = (to_text(b""), unix_time(0));
}

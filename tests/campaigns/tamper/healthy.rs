//! Histories without an edit, in which nothing may be found: two machines, runners that begin without
//! a state, late records, wrong clocks, lost answers, an archive, expired records, a lost state
//! directory, and deployments while `verify` runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use test_support::campaign::Campaign;
use test_support::faulty_proxy::{FaultyProxy, RequestFate};
use test_support::oracle::{format_rfc3339, unix_now};
use test_support::terraform_steps::{CustomerUnit, string_field, wrap_request};
use test_support::{BUCKET, CONFIG, World, refused_endpoint, run_with_input};

use super::history::{Deployment, History, Object, Objects, sha256_hex};
use super::put_objects;

/// The number of histories.
const HISTORIES: [usize; 2] = [4, 200];
const STEPS: usize = 12;

/// Clocks may be so wrong.
const MAX_SKEW: u64 = 15 * 60;
const DAY: u64 = 24 * 3600;

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
        runs += 2;
        alarms.extend(find(&world, "known", &[]));
        alarms.extend(find(&world, &format!("known only at {step}"), &[]));
    }
    (runs, alarms)
}

/// Deployments of two months with wrong clocks, of which some are sent later and some records are
/// archived, seen at random times. In the end old records expire.
fn run_synthetic_history(campaign: &Campaign, number: usize) -> (usize, Vec<String>) {
    let mut chance = campaign.rng(1000 + number);
    let mut history = History::new("acme");
    for deployment in &mut history.deployments {
        let sent_at = deployment.at + random_delay(&mut chance, deployment);
        // The clock of the machine is up to 15 minutes behind or ahead.
        deployment.at = deployment.at + chance.u64(..2 * MAX_SKEW) - MAX_SKEW;
        deployment.sent_at = sent_at;
    }
    let world = World::new();
    let (mut alarms, mut runs) = (Vec::new(), 0);
    let begin = history.deployments[0].at;
    let end = begin + 90 * DAY;
    let mut seen_at = begin;
    let mut there = Objects::new();
    while seen_at < end {
        seen_at += chance.u64(1..12 * DAY);
        let mut until_now = history.clone();
        until_now.deployments.retain(|it| it.sent_at <= seen_at);
        let objects = until_now.render();
        let added = objects
            .iter()
            .filter(|(key, object)| there.get(*key) != Some(object));
        put_objects(
            &world,
            &added.map(|(key, it)| (key.clone(), it.clone())).collect(),
        );
        there = objects;
        if chance.u8(..4) == 0 {
            archive_records(&world, &mut chance);
        }
        runs += 1;
        alarms.extend(find(&world, "known", &[]));
        set_seen_time(&world, seen_at);
    }
    // The records of a time expire, and the archive, which has none of later months.
    let mut limit = begin + chance.u64(1..80 * DAY);
    for key in world.server.keys(BUCKET, "usage-logs-archive/") {
        world.server.delete(BUCKET, &key).expect("expired");
    }
    let is_record = |(key, _): &(&String, &Object)| key.starts_with("usage-logs/");
    for (key, object) in there.iter().filter(is_record) {
        if world.server.object(BUCKET, key).is_none() {
            limit = limit.max(object.modified + 1);
        }
    }
    for (key, object) in there.iter().filter(is_record) {
        if object.modified < limit {
            world.server.delete(BUCKET, key).expect("expired");
        }
    }
    let limit = format_rfc3339(limit);
    alarms.extend(find(&world, "known", &["--retention", &limit]));
    alarms.extend(find(&world, "nothing", &["--retention", &limit]));
    (runs + 2, alarms)
}

/// How long after its time a deployment is sent. Its config is there before others name it.
fn random_delay(chance: &mut fastrand::Rng, deployment: &Deployment) -> u64 {
    let may_be_late = deployment.writer.is_some() && !deployment.uploads;
    if may_be_late && chance.u8(..4) == 0 {
        chance.u64(7200..20 * DAY)
    } else {
        chance.u64(2..20)
    }
}

/// The months of the history lie in the past, so what was seen was seen then.
fn set_seen_time(world: &World, seen_at: u64) {
    let path = world.path().join("known");
    let mut lines = String::new();
    for line in std::fs::read_to_string(&path).expect("lines").lines() {
        let mut known: Value = serde_json::from_str(line).expect("JSON");
        known["seen"] = json!(format_rfc3339(seen_at));
        lines.push_str(&known.to_string());
        lines.push('\n');
    }
    std::fs::write(path, lines).expect("written");
}

/// Archives the months that ended, and deletes some of these objects.
fn archive_records(world: &World, chance: &mut fastrand::Rng) {
    let compacted = world
        .helper_command(&["compact"])
        .output()
        .expect("it runs");
    assert!(compacted.status.success(), "{compacted:?}");
    for key in world.server.keys(BUCKET, "usage-logs/") {
        let is_archived = key.contains("/2026-09-") || key.contains("/2026-10-");
        if is_archived && chance.bool() {
            world.server.delete(BUCKET, &key).expect("deleted");
        }
    }
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

/// Answers that are lost at random while two machines deploy. Then the network works, and each of
/// them replays and deploys once more.
fn run_with_lost_answers(campaign: &Campaign, number: usize) -> Vec<String> {
    let seed = campaign.rng(2000 + number).u64(..);
    let mut world = World::new();
    let is_bad = Arc::new(AtomicBool::new(true));
    let requests = AtomicUsize::new(0);
    let proxy = FaultyProxy::start(&world.server.endpoint(), {
        let is_bad = Arc::clone(&is_bad);
        move |line| {
            let request = requests.fetch_add(1, Ordering::SeqCst);
            let fate = sha256_hex(format!("{seed} {request}").as_bytes()).as_bytes()[0];
            match fate {
                _ if !is_bad.load(Ordering::SeqCst) => RequestFate::Pass,
                b'0' | b'1' if line.starts_with("PUT ") => RequestFate::LoseAnswer,
                b'2'..=b'4' if line.contains("/usage-chain/") => {
                    RequestFate::Answer("500 Internal Server Error", "")
                }
                _ => RequestFate::Pass,
            }
        }
    });
    world.set_s3_endpoint(&proxy.endpoint());
    let deploy = |world: &World, machine: &str| {
        CustomerUnit::in_folder(world, &format!("folder of {machine}/airbnb")).deploy(world);
    };
    let machines = ["machine a", "machine b"];
    for step in 0..STEPS / 2 {
        world.move_to(machines[step % 2]);
        deploy(&world, machines[step % 2]);
        if step % 3 == 2 {
            world.helper_command(&["replay"]).output().expect("it runs");
        }
    }
    is_bad.store(false, Ordering::SeqCst);
    for machine in machines {
        world.move_to(machine);
        world.helper_command(&["replay"]).output().expect("it runs");
        // The next records of its chains seal those before.
        for _ in 0..STEPS {
            deploy(&world, machine);
        }
    }
    let mut alarms = forked_places(&world);
    alarms.extend(find(&world, "known", &[]));
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
    let newest = newest.max().expect("a record").clone();
    objects.remove(&newest);
    world.server.delete(BUCKET, &newest).expect("deleted");
    assert!(!find(&world, "known", &[]).is_empty());
    let now = format_rfc3339(unix_now());
    assert_eq!(
        find(&world, "nothing", &["--retention", &now]),
        Vec::<String>::new()
    );
}

//! Chains of records as deployments make them, whatever happens to these, and what `verify` says of them.

use std::fs;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use test_support::faulty_proxy::{Fate, Relay};
use test_support::oracle::{pass_the_second, unix_now};
use test_support::s3_backend::{Site, on_each_server};
use test_support::terraform_steps::{Unit, string};
use test_support::{BUCKET, CONFIG, World, nobody_there, text};

const DENIED: &str = "<Error><Code>AccessDenied</Code><Message>no</Message></Error>";

fn verify(world: &World, arguments: &[&str]) -> Output {
    world.helper(&[&["verify"], arguments].concat()).output().expect("it runs")
}

/// The findings, as customer, finding and key.
fn findings(output: &Output) -> Vec<(String, String, String)> {
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let found = report["findings"].as_array().expect("findings");
    let field = |it: &Value, name: &str| string(it, name).to_owned();
    let found: Vec<_> = found.iter().map(|it| (field(it, "customer"), field(it, "finding"), field(it, "key"))).collect();
    assert_eq!(output.status.code(), Some(if found.is_empty() { 0 } else { 7 }), "{output:?}");
    found
}

/// Fails unless nothing is wrong.
fn all_is_well(world: &World) {
    let output = verify(world, &[]);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), ""), "{}", text(&output.stderr));
}

/// The chains of the records: for each record its writer and its number, by time and key.
fn places(world: &World) -> Vec<(String, u64)> {
    let place = |record: &Value| (string(&record["chain"], "writer").to_owned(), record["chain"]["number"].as_u64().expect("a number"));
    world.records().iter().map(|(_, record)| place(record)).collect()
}

fn numbers(world: &World) -> Vec<u64> {
    let mut numbers: Vec<u64> = places(world).into_iter().map(|(_, number)| number).collect();
    numbers.sort_unstable();
    numbers
}

on_each_server!(records_of_one_machine_are_one_chain_and_those_of_two_are_two);
fn records_of_one_machine_are_one_chain_and_those_of_two_are_two(site: &mut Site) {
    let unit = Unit::new(&site.world);
    for size in ["M30", "M40", "M40"] {
        unit.write(CONFIG.replace("M30", size));
        unit.deploy(&site.world).went_well();
    }
    site.world.move_to("another machine");
    unit.deploy(&site.world).went_well();
    let output = verify(&site.world, &["airbnb"]);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), ""), "{output:?}");
    assert_eq!(text(&output.stderr), "config-backup: all is as it was written: 4 records, 2 seals and 3 configs of 1 customer\n");
    let seals = site.hand.keys("terragrunt/airbnb/usage-chain/");
    assert_eq!(seals.len(), 2, "{seals:?}");
    // The first machine's seal is told to know one record less.
    let bodies = site.hand.get_all(&seals).into_iter().map(|object| text(&object.expect("a seal").0));
    let (key, seal) = seals.iter().zip(bodies).find(|(_, seal)| seal.contains("\"number\":3")).expect("the first machine's");
    site.hand.put(key, &seal.replace("\"number\":3", "\"number\":2"));
    let found = findings(&verify(&site.world, &["--json"]));
    assert_eq!(found, [("airbnb".to_owned(), "edited".to_owned(), key.clone())]);
}

on_each_server!(a_seal_that_is_gone_is_set_again_by_the_next_record);
fn a_seal_that_is_gone_is_set_again_by_the_next_record(site: &mut Site) {
    let unit = Unit::new(&site.world);
    unit.deploy(&site.world).went_well();
    let seals = site.hand.keys("terragrunt/airbnb/usage-chain/");
    site.hand.delete(&seals[0]);
    let found = findings(&verify(&site.world, &["--json"]));
    assert!(found.len() == 1 && found[0].1 == "unsealed", "{found:?}");
    unit.deploy(&site.world).went_well();
    all_is_well(&site.world);
    assert_eq!(site.hand.keys("terragrunt/airbnb/usage-chain/"), seals);
}

#[test]
fn a_record_that_is_sent_late_takes_its_place_when_it_is_sent() {
    let mut world = World::new();
    let unit = Unit::new(&world);
    unit.deploy(&world).went_well();
    world.set_endpoint(&nobody_there());
    unit.deploy(&world);
    world.heal();
    unit.deploy(&world).went_well();
    assert_eq!(numbers(&world), [1, 2, 3]);
    let late: Vec<u64> =
        world.records().iter().filter(|(_, it)| it["late"] == true).map(|(_, it)| it["chain"]["number"].as_u64().unwrap()).collect();
    assert_eq!(late, [3], "the one of today was sent before it");
    all_is_well(&world);
}

/// A relay to the world's server with such fates for S3's requests as long as it is told to.
fn relaying(world: &mut World, fate: impl Fn(&str) -> Fate + Send + Sync + 'static) -> (Relay, Arc<AtomicBool>) {
    let on = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&on);
    let relay = Relay::start(&world.server.endpoint(), move |line| if asked.load(Ordering::SeqCst) { fate(line) } else { Fate::Pass });
    world.set_s3_endpoint(&relay.endpoint());
    (relay, on)
}

/// As [`relaying`], with an error where a request begins so.
fn refusing(world: &mut World, head: &'static str, status: &'static str, body: &'static str) -> (Relay, Arc<AtomicBool>) {
    relaying(world, move |line| if line.starts_with(head) { Fate::Answer(status, body) } else { Fate::Pass })
}

/// As [`relaying`]; the answer to each record is lost, and who looks for one gets none.
fn losing_records(world: &mut World) -> (Relay, Arc<AtomicBool>) {
    relaying(world, |line| match line.split_once(" /mongodb-arena/usage-logs/") {
        Some(("PUT", _)) => Fate::LoseAnswer,
        Some(("HEAD", _)) => Fate::Answer("500 Internal Server Error", ""),
        _ => Fate::Pass,
    })
}

#[test]
fn what_is_sent_once_more_does_not_take_the_seal_back() {
    // As a spool leaves it whose file could not be deleted.
    let mut world = World::new();
    let unit = Unit::new(&world);
    world.set_endpoint(&nobody_there());
    unit.deploy(&world);
    let kept = world.state().join("spool");
    let items: Vec<_> = world.spooled().into_iter().map(|name| (kept.join(&name), fs::read(kept.join(&name)).unwrap())).collect();
    world.heal();
    for _ in 0..2 {
        unit.deploy(&world);
    }
    let records = world.records().len();
    for (path, body) in items {
        fs::write(path, body).unwrap();
    }
    unit.deploy(&world);
    assert_eq!((world.records().len(), world.spooled()), (records + 1, Vec::new()));
    all_is_well(&world);
}

#[test]
fn a_record_that_is_there_and_nobody_knows_keeps_its_place() {
    let mut world = World::new();
    let (_relay, refuses) = losing_records(&mut world);
    let unit = Unit::new(&world);
    unit.deploy(&world).went_well();
    refuses.store(true, Ordering::SeqCst);
    // In the same second its name would be taken already.
    pass_the_second(unix_now());
    let deployed = unit.deploy(&world);
    assert_eq!((world.records().len(), world.spooled().len()), (2, 1), "{deployed:?}");
    refuses.store(false, Ordering::SeqCst);
    unit.deploy(&world);
    assert_eq!(world.spooled(), Vec::<String>::new());
    assert_eq!(numbers(&world), [1, 1, 2], "the place of the second was not given again: the third has a chain of its own");
    unit.deploy(&world);
    assert_eq!(world.server.keys(BUCKET, "terragrunt/airbnb/usage-chain/").len(), 2, "and the fourth starts none");
    all_is_well(&world);
}

#[test]
fn a_seal_whose_record_did_not_arrive_tells_of_it_until_it_does() {
    let mut world = World::new();
    let (_relay, refuses) = refusing(&mut world, "PUT /mongodb-arena/usage-logs/", "403 Forbidden", DENIED);
    let unit = Unit::new(&world);
    unit.deploy(&world).went_well();
    refuses.store(true, Ordering::SeqCst);
    // In the same second, its name would be the first one's.
    unit.deploy(&world).warning();
    refuses.store(false, Ordering::SeqCst);
    assert_eq!((world.records().len(), world.spooled().len()), (1, 1));
    let output = verify(&world, &[]);
    let said = text(&output.stdout);
    assert!(said.starts_with("missing: usage-logs/airbnb/") && said.contains("may still be kept on the machine that deployed"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    unit.deploy(&world);
    assert_eq!((world.records().len(), world.spooled().len()), (3, 0));
    all_is_well(&world);
}

#[test]
fn a_record_that_cannot_be_kept_is_sealed_once_it_is_there_and_not_before() {
    let mut world = World::new();
    let (relay, refuses) = refusing(&mut world, "PUT /mongodb-arena/usage-logs/", "403 Forbidden", DENIED);
    let unit = Unit::new(&world);
    fs::create_dir_all(world.state()).expect("a folder");
    let in_the_way = world.state().join("spool");
    fs::write(&in_the_way, "").expect("a file");
    world.set_variable("TMPDIR", Some(in_the_way.to_str().expect("UTF-8")));
    refuses.store(true, Ordering::SeqCst);
    let deployed = unit.deploy(&world);
    assert!(deployed.warning().contains("nothing is kept for later"), "{deployed:?}");
    assert_eq!(relay.count("PUT /mongodb-arena/terragrunt/airbnb/usage-chain/"), 0);
    refuses.store(false, Ordering::SeqCst);
    unit.deploy(&world);
    assert_eq!(relay.count("PUT /mongodb-arena/terragrunt/airbnb/usage-chain/"), 1);
    assert_eq!(world.records().len(), 1);
    world.set_variable("TMPDIR", None);
    all_is_well(&world);
}

#[test]
fn a_machine_that_was_copied_forks_its_chain_and_both_ends_are_sealed() {
    let world = World::new();
    let unit = Unit::new(&world);
    unit.deploy(&world).went_well();
    let state = fs::read_dir(world.state().join("chains")).expect("chains").next().expect("one").expect("one");
    let copy = fs::read(state.path()).expect("its content");
    unit.deploy(&world).went_well();
    fs::write(state.path(), copy).expect("the state of before");
    unit.deploy(&world).went_well();
    unit.deploy(&world).went_well();
    assert_eq!(numbers(&world), [1, 2, 2, 3]);
    assert_eq!(world.server.keys(BUCKET, "terragrunt/airbnb/usage-chain/").len(), 2);
    all_is_well(&world);
}

#[test]
fn without_a_folder_for_its_state_each_record_is_a_chain_of_its_own() {
    let world = World::new();
    let unit = Unit::new(&world);
    fs::create_dir_all(world.state()).expect("a folder");
    fs::write(world.state().join("chains"), "in the way").expect("a file");
    for _ in 0..2 {
        unit.deploy(&world);
    }
    assert_eq!(world.records().len(), 2);
    all_is_well(&world);
}

#[test]
fn who_may_not_write_seals_logs_all_the_same_and_is_told() {
    let mut world = World::new();
    let (_relay, refuses) = refusing(&mut world, "PUT /mongodb-arena/terragrunt/airbnb/usage-chain/", "403 Forbidden", DENIED);
    let unit = Unit::new(&world);
    unit.deploy(&world).went_well();
    refuses.store(true, Ordering::SeqCst);
    let deployed = unit.deploy(&world);
    let said = deployed.warning();
    assert!(
        said.contains("the deployment is logged, but nothing vouches for the record yet: put `s3://mongodb-arena/terragrunt/"),
        "{said}"
    );
    assert_eq!((world.records().len(), world.spooled().len()), (2, 0));
    refuses.store(false, Ordering::SeqCst);
    let found = findings(&verify(&world, &["--json"]));
    assert_eq!(found.iter().map(|(_, what, _)| what.as_str()).collect::<Vec<_>>(), ["unsealed"], "{found:?}");
    // The next record seals what came before it.
    unit.deploy(&world).went_well();
    assert_eq!(numbers(&world), [1, 2, 3]);
    all_is_well(&world);
}

#[test]
fn records_from_before_there_were_chains_are_counted_and_no_alarm() {
    let world = World::new();
    let record = json!({"timestamp": "2025-10-30T14:30:52Z", "customer": "airbnb", "user": "arn:aws:iam::123456789012:user/jane.roe",
        "config_hash": "d188280766a258ccc135ef480b49230c"});
    let key = "usage-logs/airbnb/d188280766a258ccc135ef480b49230c.json";
    world.server.put(BUCKET, key, record.to_string().as_bytes(), &[]).expect("an object");
    world.server.put(BUCKET, "terragrunt/airbnb/config.yaml", b"customer: {}\n", &[]).expect("an object");
    all_is_well(&world);
    Unit::new(&world).deploy(&world).went_well();
    let output = verify(&world, &["airbnb"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = text(&output.stderr);
    assert!(said.contains("2 records, 1 seal and 2 configs") && said.ends_with("nothing vouches for 1 record, in no chain\n"), "{said}");
}

#[test]
fn a_customer_of_whom_there_is_nothing_is_bad_input() {
    let output = verify(&World::new(), &["airbnb"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(text(&output.stderr).contains("look for `airbnb` in `s3://mongodb-arena/`: there is nothing; check the customer's name"));
}

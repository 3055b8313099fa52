//! Chains of records as deployments write them, changes to these records, and what `verify` finds.

mod known;
mod lost_answers;
mod unreadable;

use std::fs;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use test_support::faulty_proxy::{FaultyProxy, RequestFate};
use test_support::oracle::{unix_now, wait_for_next_second};
use test_support::s3_backend::{S3Backend, on_each_server};
use test_support::terraform_steps::{CustomerUnit, string_field};
use test_support::{BUCKET, CONFIG, World, refused_endpoint, to_text};

const DENIED: &str = "<Error><Code>AccessDenied</Code><Message>no</Message></Error>";

fn run_verify(world: &World, arguments: &[&str]) -> Output {
    world
        .helper_command(&[&["verify"], arguments].concat())
        .output()
        .expect("it runs")
}

/// The findings, as customer, finding and key.
fn parse_findings(output: &Output) -> Vec<(String, String, String)> {
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let found = report["findings"].as_array().expect("findings");
    let field = |it: &Value, name: &str| string_field(it, name).to_owned();
    let found: Vec<_> = found
        .iter()
        .map(|it| {
            (
                field(it, "customer"),
                field(it, "finding"),
                field(it, "key"),
            )
        })
        .collect();
    assert_eq!(
        output.status.code(),
        Some(if found.is_empty() { 0 } else { 7 }),
        "{output:?}"
    );
    found
}

/// Asserts that `verify` finds no problem.
fn all_is_well(world: &World) {
    let output = run_verify(world, &[]);
    assert_eq!(
        (output.status.code(), to_text(&output.stdout).as_str()),
        (Some(0), ""),
        "{}",
        to_text(&output.stderr)
    );
}

/// The writer and chain number of each record, by time and key.
fn chain_positions(world: &World) -> Vec<(String, u64)> {
    let place = |record: &Value| {
        (
            string_field(&record["chain"], "writer").to_owned(),
            record["chain"]["number"].as_u64().expect("a number"),
        )
    };
    world
        .usage_records()
        .iter()
        .map(|(_, record)| place(record))
        .collect()
}

fn chain_numbers(world: &World) -> Vec<u64> {
    let mut numbers: Vec<u64> = chain_positions(world)
        .into_iter()
        .map(|(_, number)| number)
        .collect();
    numbers.sort_unstable();
    numbers
}

on_each_server!(each_machine_has_one_chain);
fn each_machine_has_one_chain(backend: &mut S3Backend) {
    let unit = CustomerUnit::new(&backend.world);
    for size in ["M30", "M40", "M40"] {
        unit.write_config(CONFIG.replace("M30", size));
        unit.deploy(&backend.world).expect_success();
    }
    backend.world.move_to("another machine");
    unit.deploy(&backend.world).expect_success();
    let output = run_verify(&backend.world, &["airbnb"]);
    assert_eq!(
        (output.status.code(), to_text(&output.stdout).as_str()),
        (Some(0), ""),
        "{output:?}"
    );
    assert_eq!(
        to_text(&output.stderr),
        "config-backup: verified 4 records, 2 seals and 3 configs of 1 customer: no problems\n"
    );
    let seals = backend.client.list_keys("terragrunt/airbnb/usage-chain/");
    assert_eq!(seals.len(), 2, "{seals:?}");
    // The seal of the first machine is set back by one record.
    let bodies = backend
        .client
        .get_all(&seals)
        .into_iter()
        .map(|object| to_text(&object.expect("a seal").0));
    let (key, seal) = seals
        .iter()
        .zip(bodies)
        .find(|(_, seal)| seal.contains("\"number\":3"))
        .expect("the first machine's");
    backend
        .client
        .put(key, &seal.replace("\"number\":3", "\"number\":2"));
    let found = parse_findings(&run_verify(&backend.world, &["--json"]));
    assert_eq!(
        found,
        [("airbnb".to_owned(), "edited".to_owned(), key.clone())]
    );
}

on_each_server!(the_next_record_restores_a_missing_seal);
fn the_next_record_restores_a_missing_seal(backend: &mut S3Backend) {
    let unit = CustomerUnit::new(&backend.world);
    unit.deploy(&backend.world).expect_success();
    let seals = backend.client.list_keys("terragrunt/airbnb/usage-chain/");
    backend.client.delete(&seals[0]);
    let found = parse_findings(&run_verify(&backend.world, &["--json"]));
    assert!(found.len() == 1 && found[0].1 == "unsealed", "{found:?}");
    unit.deploy(&backend.world).expect_success();
    all_is_well(&backend.world);
    assert_eq!(
        backend.client.list_keys("terragrunt/airbnb/usage-chain/"),
        seals
    );
}

#[test]
fn a_late_record_gets_its_chain_number_when_it_is_sent() {
    let mut world = World::new();
    let unit = CustomerUnit::new(&world);
    unit.deploy(&world).expect_success();
    world.set_endpoint(&refused_endpoint());
    unit.deploy(&world);
    world.restore_endpoints();
    unit.deploy(&world).expect_success();
    assert_eq!(chain_numbers(&world), [1, 2, 3]);
    let late: Vec<u64> = world
        .usage_records()
        .iter()
        .filter(|(_, it)| it["late"] == true)
        .map(|(_, it)| it["chain"]["number"].as_u64().unwrap())
        .collect();
    assert_eq!(late, [3], "the one of today was sent before it");
    all_is_well(&world);
}

/// A proxy that applies `fate` to S3 requests while the returned flag is set.
fn start_proxy(
    world: &mut World,
    fate: impl Fn(&str) -> RequestFate + Send + Sync + 'static,
) -> (FaultyProxy, Arc<AtomicBool>) {
    let on = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&on);
    let proxy = FaultyProxy::start(&world.server.endpoint(), move |line| {
        if asked.load(Ordering::SeqCst) {
            fate(line)
        } else {
            RequestFate::Pass
        }
    });
    world.set_s3_endpoint(&proxy.endpoint());
    (proxy, on)
}

/// As [`start_proxy`], with an error for requests that begin with `head`.
fn refuse_requests(
    world: &mut World,
    head: &'static str,
    status: &'static str,
    body: &'static str,
) -> (FaultyProxy, Arc<AtomicBool>) {
    start_proxy(world, move |line| {
        if line.starts_with(head) {
            RequestFate::Answer(status, body)
        } else {
            RequestFate::Pass
        }
    })
}

/// As [`start_proxy`]; it loses the answers to records and to HEADs of records.
fn lose_record_answers(world: &mut World) -> (FaultyProxy, Arc<AtomicBool>) {
    start_proxy(world, |line| {
        match line.split_once(" /mongodb-arena/usage-logs/") {
            Some(("PUT", _)) => RequestFate::LoseAnswer,
            Some(("HEAD", _)) => RequestFate::Answer("500 Internal Server Error", ""),
            _ => RequestFate::Pass,
        }
    })
}

#[test]
fn a_retry_does_not_move_the_seal_back() {
    // As if a spool file could not be deleted.
    let mut world = World::new();
    let unit = CustomerUnit::new(&world);
    world.set_endpoint(&refused_endpoint());
    unit.deploy(&world);
    let kept = world.state_dir().join("spool");
    let items: Vec<_> = world
        .spooled_items()
        .into_iter()
        .map(|name| (kept.join(&name), fs::read(kept.join(&name)).unwrap()))
        .collect();
    world.restore_endpoints();
    for _ in 0..2 {
        unit.deploy(&world);
    }
    let records = world.usage_records().len();
    for (path, body) in items {
        fs::write(path, body).unwrap();
    }
    unit.deploy(&world);
    assert_eq!(
        (world.usage_records().len(), world.spooled_items()),
        (records + 1, Vec::new())
    );
    all_is_well(&world);
}

#[test]
fn a_record_with_a_lost_answer_keeps_its_chain_number() {
    let mut world = World::new();
    let (_proxy, refuses) = lose_record_answers(&mut world);
    let unit = CustomerUnit::new(&world);
    unit.deploy(&world).expect_success();
    refuses.store(true, Ordering::SeqCst);
    // In the same second its name is already taken.
    wait_for_next_second(unix_now());
    let deployed = unit.deploy(&world);
    assert_eq!(
        (world.usage_records().len(), world.spooled_items().len()),
        (2, 1),
        "{deployed:?}"
    );
    refuses.store(false, Ordering::SeqCst);
    unit.deploy(&world);
    assert_eq!(world.spooled_items(), Vec::<String>::new());
    assert_eq!(
        chain_numbers(&world),
        [1, 1, 2],
        "the place of the second was not given again: the third has a chain of its own"
    );
    unit.deploy(&world);
    assert_eq!(
        world
            .server
            .keys(BUCKET, "terragrunt/airbnb/usage-chain/")
            .len(),
        2,
        "and the fourth starts none"
    );
    all_is_well(&world);
}

#[test]
fn a_seal_reports_its_record_as_missing_until_it_arrives() {
    let mut world = World::new();
    let (_proxy, refuses) = refuse_requests(
        &mut world,
        "PUT /mongodb-arena/usage-logs/",
        "403 Forbidden",
        DENIED,
    );
    let unit = CustomerUnit::new(&world);
    unit.deploy(&world).expect_success();
    refuses.store(true, Ordering::SeqCst);
    // In the same second it has the name of the first one.
    unit.deploy(&world).expect_warning();
    refuses.store(false, Ordering::SeqCst);
    assert_eq!(
        (world.usage_records().len(), world.spooled_items().len()),
        (1, 1)
    );
    let output = run_verify(&world, &[]);
    let said = to_text(&output.stdout);
    assert!(
        said.starts_with("missing: usage-logs/airbnb/")
            && said.contains("may still be queued on the machine that deployed"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
    unit.deploy(&world);
    assert_eq!(
        (world.usage_records().len(), world.spooled_items().len()),
        (3, 0)
    );
    all_is_well(&world);
}

#[test]
fn a_record_that_cannot_be_spooled_is_sealed_only_after_its_upload() {
    let mut world = World::new();
    let (proxy, refuses) = refuse_requests(
        &mut world,
        "PUT /mongodb-arena/usage-logs/",
        "403 Forbidden",
        DENIED,
    );
    let unit = CustomerUnit::new(&world);
    fs::create_dir_all(world.state_dir()).expect("a folder");
    let in_the_way = world.state_dir().join("spool");
    fs::write(&in_the_way, "").expect("a file");
    world.set_variable("TMPDIR", Some(in_the_way.to_str().expect("UTF-8")));
    refuses.store(true, Ordering::SeqCst);
    let deployed = unit.deploy(&world);
    assert!(
        deployed.expect_warning().contains("nothing is spooled"),
        "{deployed:?}"
    );
    assert_eq!(
        proxy.count_requests("PUT /mongodb-arena/terragrunt/airbnb/usage-chain/"),
        0
    );
    refuses.store(false, Ordering::SeqCst);
    unit.deploy(&world);
    assert_eq!(
        proxy.count_requests("PUT /mongodb-arena/terragrunt/airbnb/usage-chain/"),
        1
    );
    assert_eq!(world.usage_records().len(), 1);
    world.set_variable("TMPDIR", None);
    all_is_well(&world);
}

#[test]
fn a_copied_machine_forks_its_chain_and_seals_both_ends() {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    unit.deploy(&world).expect_success();
    let state = fs::read_dir(world.state_dir().join("chains"))
        .expect("chains")
        .next()
        .expect("one")
        .expect("one");
    let copy = fs::read(state.path()).expect("its content");
    unit.deploy(&world).expect_success();
    fs::write(state.path(), copy).expect("the state of before");
    unit.deploy(&world).expect_success();
    unit.deploy(&world).expect_success();
    assert_eq!(chain_numbers(&world), [1, 2, 2, 3]);
    assert_eq!(
        world
            .server
            .keys(BUCKET, "terragrunt/airbnb/usage-chain/")
            .len(),
        2
    );
    all_is_well(&world);
}

#[test]
fn without_a_state_directory_each_record_is_its_own_chain() {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    fs::create_dir_all(world.state_dir()).expect("a folder");
    fs::write(world.state_dir().join("chains"), "in the way").expect("a file");
    for _ in 0..2 {
        unit.deploy(&world);
    }
    assert_eq!(world.usage_records().len(), 2);
    all_is_well(&world);
}

#[test]
fn without_permission_to_write_seals_logs_and_warns() {
    let mut world = World::new();
    let (_proxy, refuses) = refuse_requests(
        &mut world,
        "PUT /mongodb-arena/terragrunt/airbnb/usage-chain/",
        "403 Forbidden",
        DENIED,
    );
    let unit = CustomerUnit::new(&world);
    unit.deploy(&world).expect_success();
    refuses.store(true, Ordering::SeqCst);
    let deployed = unit.deploy(&world);
    let said = deployed.expect_warning();
    assert!(
        said.contains("the deployment is logged, but its record is not sealed yet: cannot put `s3://mongodb-arena/terragrunt/"),
        "{said}"
    );
    assert_eq!(
        (world.usage_records().len(), world.spooled_items().len()),
        (2, 0)
    );
    refuses.store(false, Ordering::SeqCst);
    let found = parse_findings(&run_verify(&world, &["--json"]));
    assert_eq!(
        found
            .iter()
            .map(|(_, what, _)| what.as_str())
            .collect::<Vec<_>>(),
        ["unsealed"],
        "{found:?}"
    );
    // The next record seals the previous ones.
    unit.deploy(&world).expect_success();
    assert_eq!(chain_numbers(&world), [1, 2, 3]);
    all_is_well(&world);
}

#[test]
fn counts_records_without_a_chain_and_gives_no_alarm() {
    let world = World::new();
    let record = json!({"timestamp": "2025-10-30T14:30:52Z", "customer": "airbnb", "user": "arn:aws:iam::123456789012:user/jane.roe",
        "config_hash": "d188280766a258ccc135ef480b49230c"});
    let key = "usage-logs/airbnb/d188280766a258ccc135ef480b49230c.json";
    world
        .server
        .put(BUCKET, key, record.to_string().as_bytes(), &[])
        .expect("an object");
    world
        .server
        .put(
            BUCKET,
            "terragrunt/airbnb/config.yaml",
            b"customer: {}\n",
            &[],
        )
        .expect("an object");
    all_is_well(&world);
    CustomerUnit::new(&world).deploy(&world).expect_success();
    let output = run_verify(&world, &["airbnb"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = to_text(&output.stderr);
    assert!(
        said.contains("2 records, 1 seal and 2 configs")
            && said.ends_with("1 record outside of chains, which nothing can verify\n"),
        "{said}"
    );
}

#[test]
fn an_unknown_customer_is_invalid_input() {
    let output = run_verify(&World::new(), &["airbnb"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(to_text(&output.stderr).contains(
        "cannot verify `airbnb`: there is nothing in `s3://mongodb-arena/`; check the customer's name"
    ));
}

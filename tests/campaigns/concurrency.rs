//! Many concurrent deployments of one customer with two configs, from one machine, on each server.
//!
//! In each round all deployments plan, then all apply at once. The oracle reads the bucket with
//! plain S3 requests: each deployment has one record, its config copy exists, and no object is
//! torn.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Barrier};
use std::thread;

use serde_json::Value;

use crate::broken_helper::wrap_helper;
use crate::md5_digest::md5_hex;
use crate::violations::false_alarms;
use test_support::campaign::Campaign;
use test_support::faulty_proxy::RequestFate;
use test_support::oracle::{unix_now, wait_for_next_second};
use test_support::s3_backend::{S3Backend, S3ServerKind};
use test_support::s3_client::BodyAndMetadata;
use test_support::terraform_steps::{AppliedDeployment, CustomerUnit, string_field};
use test_support::{CONFIG, to_text};

const CONFIG_KEY: &str = "terragrunt/airbnb/config.yaml";
const HISTORY: &str = "terragrunt/airbnb/config-history/";
const LOGS: &str = "usage-logs/airbnb/";

/// Concurrent deployments, and rounds.
type CampaignSize = (usize, usize);

fn two_configs() -> [String; 2] {
    [
        CONFIG.to_owned(),
        CONFIG.replace("instance_size: M30", "instance_size: M40"),
    ]
}

/// Runs all rounds; returns the id of every deployment and whether it warned.
fn deploy_rounds(
    backend: &S3Backend,
    (people, rounds): CampaignSize,
) -> Result<BTreeMap<String, bool>, String> {
    let units: Vec<CustomerUnit> = (0..people)
        .map(|number| CustomerUnit::in_folder(&backend.world, &format!("checkout {number}/airbnb")))
        .collect();
    for (number, unit) in units.iter().enumerate() {
        unit.write_config(&two_configs()[number % 2]);
    }
    let mut deployments = BTreeMap::new();
    for _ in 0..rounds {
        for applied in deploy_round(backend, &units) {
            let warned = string_field(&applied.answer, "status") != "ok";
            if deployments
                .insert(applied.deployment_id().to_owned(), warned)
                .is_some()
            {
                return Err(format!(
                    "two deployments are called {}",
                    applied.deployment_id()
                ));
            }
        }
    }
    Ok(deployments)
}

/// Plans all deployments, then applies them at the start of a second, so that many share it.
fn deploy_round(backend: &S3Backend, units: &[CustomerUnit]) -> Vec<AppliedDeployment> {
    let together = Barrier::new(units.len());
    let deploy = |unit: &CustomerUnit| {
        let context = unit.plan(&backend.world);
        if together.wait().is_leader() {
            wait_for_next_second(unix_now());
        }
        together.wait();
        unit.apply(&backend.world, context)
    };
    thread::scope(|scope| {
        let people: Vec<_> = units
            .iter()
            .map(|unit| scope.spawn(|| deploy(unit)))
            .collect();
        people
            .into_iter()
            .map(|it| {
                it.join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    })
}

/// Replays the spool, which must be empty afterwards.
fn replay_all(backend: &S3Backend) -> Result<(), String> {
    let output = backend
        .world
        .helper_command(&["replay"])
        .output()
        .map_err(|error| error.to_string())?;
    match backend.world.spooled_items() {
        kept if kept.is_empty() => Ok(()),
        kept => Err(format!(
            "{kept:?} stay in the spool: {} {}",
            to_text(&output.stdout),
            to_text(&output.stderr)
        )),
    }
}

/// Checks the bucket, and returns the number of late records.
fn count_distinct_records(
    backend: &S3Backend,
    deployments: &BTreeMap<String, bool>,
) -> Result<usize, String> {
    let copies = read_objects(backend, HISTORY)?;
    let versions: BTreeMap<String, String> = two_configs()
        .into_iter()
        .map(|config| (md5_hex(config.as_bytes()), config))
        .collect();
    let mut there = BTreeSet::new();
    for (key, (body, metadata)) in &copies {
        let named = key
            .rsplit_once('_')
            .and_then(|(_, tail)| tail.strip_suffix(".yaml"))
            .unwrap_or_default();
        if versions.get(named).map(String::as_bytes) != Some(body)
            || metadata.get("md5").map(String::as_str) != Some(named)
        {
            return Err(format!(
                "{key} is torn: {} bytes of MD5 {}, {metadata:?}",
                body.len(),
                md5_hex(body)
            ));
        }
        there.insert(named);
    }
    if there.len() != versions.len() {
        return Err(format!("the history has {} of 2 versions", there.len()));
    }
    let current = read_objects(backend, CONFIG_KEY)?.remove(CONFIG_KEY);
    let current = current.ok_or("there is no config.yaml")?;
    if current.1.get("md5") != Some(&md5_hex(&current.0))
        || !versions.contains_key(&md5_hex(&current.0))
    {
        return Err(format!("config.yaml is torn: {current:?}"));
    }
    let records = read_records(backend)?;
    let distinct: BTreeSet<&str> = records
        .iter()
        .map(|(_, record)| string_field(record, "deployment_id"))
        .collect();
    let planned: BTreeSet<&str> = deployments.keys().map(String::as_str).collect();
    if records.len() != distinct.len() || distinct != planned {
        return Err(format!(
            "{} in, {} records, {} distinct records",
            planned.len(),
            records.len(),
            distinct.len()
        ));
    }
    let mut late = 0;
    for (key, record) in &records {
        let copy = copies.get(string_field(record, "backup_key"));
        if copy
            .and_then(|(_, metadata)| metadata.get("md5"))
            .map(String::as_str)
            != record["config_hash"].as_str()
        {
            return Err(format!("{key} names a copy that is not there: {record}"));
        }
        let (is_late, warned) = (
            record["late"] == true,
            deployments[string_field(record, "deployment_id")],
        );
        if is_late && !warned {
            return Err(format!(
                "{key} was sent late, and its deployment said nothing: {record}"
            ));
        }
        late += usize::from(is_late);
    }
    Ok(late)
}

fn read_objects(
    backend: &S3Backend,
    prefix: &str,
) -> Result<BTreeMap<String, BodyAndMetadata>, String> {
    let keys = backend.client.list_keys(prefix);
    let bodies = backend.client.get_all(&keys);
    keys.into_iter()
        .zip(bodies)
        .map(|(key, object)| Ok((key.clone(), object.ok_or(format!("{key} is gone"))?)))
        .collect()
}

fn read_records(backend: &S3Backend) -> Result<Vec<(String, Value)>, String> {
    let record = |(key, (body, _)): (String, BodyAndMetadata)| {
        let record =
            serde_json::from_slice(&body).map_err(|error| format!("{key} is torn: {error}"))?;
        Ok((key, record))
    };
    read_objects(backend, LOGS)?
        .into_iter()
        .map(record)
        .collect()
}

/// The number of `keys` for which more than one conditional PUT succeeded: 0 if `If-None-Match: *`
/// is atomic.
fn shared_names(backend: &S3Backend, keys: usize) -> usize {
    (0..keys)
        .filter(|number| backend.client.race_puts(&format!("race/{number}"), 16) != 1)
        .count()
}

fn run_campaign(name: &str, kind: S3ServerKind) {
    let campaign = Campaign::start("concurrency");
    let mut backend = S3Backend::new(kind);
    let names = campaign.pick(20, 200);
    let shared = shared_names(&backend, names);
    // versitygw and moto, which look and write in two steps, accept two conditional PUTs of one key,
    // which S3 does not. A proxy that forwards one request at a time prevents that.
    let turn = Arc::default();
    let in_turn = kind != S3ServerKind::Embedded;
    assert!(in_turn || shared == 0, "{name}: {shared} of {names} names");
    let _proxy =
        in_turn.then(|| backend.start_proxy(move |_| RequestFate::InTurn(Arc::clone(&turn))));
    let (people, rounds) = campaign.pick((8, 3), (64, 50));
    let deployments =
        deploy_rounds(&backend, (people, rounds)).unwrap_or_else(|what| panic!("{name}: {what}"));
    let waiting = backend.world.spooled_items().len();
    replay_all(&backend).unwrap_or_else(|what| panic!("{name}: {what}"));
    let late = count_distinct_records(&backend, &deployments)
        .unwrap_or_else(|what| panic!("{name}: {what}"));
    assert_eq!(
        false_alarms(&backend.world),
        Vec::<String>::new(),
        "{name}: all is well, and `verify` finds something"
    );
    let warned = deployments.values().filter(|warned| **warned).count();
    let mut told = format!(
        "{name}: {} in, {} distinct records",
        people * rounds,
        deployments.len()
    );
    if warned + late > 0 {
        let _ = write!(
            told,
            "; {warned} warned, {late} were sent late, {waiting} things were left for the replay"
        );
    }
    if in_turn {
        let _ = write!(
            told,
            "; one request at a time, for its If-None-Match gave {shared} of {names} names to more than one"
        );
    }
    campaign.print_line(told);
}

#[test]
fn every_deployment_is_logged_once_on_the_embedded_server() {
    run_campaign("embedded", S3ServerKind::Embedded);
}

#[test]
fn every_deployment_is_logged_once_on_versitygw() {
    run_campaign("versitygw", S3ServerKind::Versitygw);
}

#[test]
fn every_deployment_is_logged_once_on_moto() {
    run_campaign("moto", S3ServerKind::Moto);
}

/// One deployment is not logged, but every answer is `ok`.
#[test]
fn detects_a_helper_that_drops_a_record() {
    let mut backend = S3Backend::new(S3ServerKind::Embedded);
    wrap_helper(
        &mut backend.world,
        r#"case $1 in
  deploy) mkdir "$folder/once" 2>/dev/null && exec echo '{"status":"ok","message":"done"}' ;;
esac"#,
    );
    let deployments = deploy_rounds(&backend, (4, 1)).unwrap();
    let what = count_distinct_records(&backend, &deployments).expect_err("a difference");
    assert_eq!(what, "4 in, 3 records, 3 distinct records");
}

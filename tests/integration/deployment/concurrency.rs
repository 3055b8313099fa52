//! Deployments that share a second, a bucket and a machine, and lost answers.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use test_support::faulty_proxy::{FaultyProxy, RequestFate};
use test_support::oracle::{key_timestamp, unix_now, wait_for_next_second};
use test_support::terraform_steps::{CustomerUnit, run_deploy, string_field};
use test_support::{BUCKET, CONFIG, CONFIG_MD5, World};

/// Whether a name is `YYYY-MM-DD_HHMMSS.json`, or that with eight hex digits of its own.
fn is_documented(name: &str, timestamp: &str) -> bool {
    let Some(rest) = name
        .strip_prefix(&key_timestamp(timestamp))
        .and_then(|rest| rest.strip_suffix(".json"))
    else {
        return false;
    };
    let hex = |tail: &str| {
        tail.len() == 8
            && tail
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    rest.is_empty() || rest.strip_prefix('-').is_some_and(hex)
}

#[test]
fn twenty_deployments_at_the_same_time_leave_twenty_records() {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    unit.write_config(CONFIG);
    let contexts: Vec<_> = (0..20).map(|_| unit.plan(&world)).collect();
    thread::scope(|scope| {
        for context in &contexts {
            let request = unit.deploy_request(context);
            let world = &world;
            scope.spawn(move || {
                let answer = run_deploy(world, &request);
                assert_eq!(string_field(&answer, "status"), "ok", "{answer}");
            });
        }
    });
    let records = world.usage_records();
    assert_eq!(records.len(), 20);
    let logged: BTreeSet<&str> = records
        .iter()
        .map(|(_, record)| string_field(record, "deployment_id"))
        .collect();
    let planned: BTreeSet<&str> = contexts
        .iter()
        .map(|context| string_field(context, "deployment_id"))
        .collect();
    assert_eq!(logged, planned);
    for (key, record) in &records {
        let name = key
            .strip_prefix("usage-logs/airbnb/")
            .expect("the customer's");
        assert!(
            is_documented(name, string_field(record, "timestamp")),
            "{key}: {record}"
        );
    }
    assert_eq!(world.spooled_items(), Vec::<String>::new());
    assert_eq!(world.stored_config(), CONFIG.as_bytes());
}

#[test]
fn two_people_who_deploy_two_configs_at_the_same_time_leave_both_in_the_history() {
    let world = World::new();
    let units: Vec<CustomerUnit> = (0..6)
        .map(|number| {
            let unit = CustomerUnit::in_folder(&world, &format!("checkout {number}/airbnb"));
            unit.write_config(CONFIG.replace("M30", &format!("M{}0", number % 2 + 3)));
            unit
        })
        .collect();
    thread::scope(|scope| {
        for unit in units {
            let world = &world;
            scope.spawn(move || unit.deploy(world).expect_success());
        }
    });
    let history = world
        .server
        .keys(BUCKET, "terragrunt/airbnb/config-history/");
    let versions: BTreeSet<&str> = history
        .iter()
        .map(|key| key.rsplit_once('_').expect("a digest").1)
        .collect();
    assert_eq!(versions.len(), 2, "{history:?}");
    for (_, record) in world.usage_records() {
        let key = string_field(&record, "backup_key");
        let copy = world
            .server
            .object(BUCKET, key)
            .unwrap_or_else(|| panic!("{key} is named in a record and not there"));
        assert_eq!(copy.metadata["md5"], string_field(&record, "config_hash"));
    }
    assert_eq!(world.usage_records().len(), 6);
}

#[test]
fn a_deployment_that_is_run_twice_is_one_record_and_has_one_answer() {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    let request = unit.deploy_request(&unit.plan(&world));
    let answer = run_deploy(&world, &request);
    wait_for_next_second(unix_now());
    assert_eq!(run_deploy(&world, &request), answer);
    assert_eq!(string_field(&answer, "status"), "ok", "{answer}");
    let keys: Vec<String> = world
        .usage_records()
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    assert_eq!(keys.len(), 1, "{keys:?}");
}

#[test]
fn an_upload_whose_answer_was_lost_is_a_success_and_no_second_record() {
    for lost in [
        "usage-logs/",
        "terragrunt/airbnb/config-history/",
        "terragrunt/airbnb/config.yaml",
    ] {
        let mut world = World::new();
        let unit = CustomerUnit::new(&world);
        let times = AtomicUsize::new(0);
        let head = format!("PUT /{BUCKET}/{lost}");
        let proxy = FaultyProxy::start(&world.server.endpoint(), {
            let head = head.clone();
            move |line| {
                let lose = line.starts_with(&head) && times.fetch_add(1, Ordering::SeqCst) == 0;
                if lose {
                    RequestFate::LoseAnswer
                } else {
                    RequestFate::Pass
                }
            }
        });
        world.set_endpoint(&proxy.endpoint());
        let deployed = unit.deploy(&world).expect_success();
        assert!(proxy.count_requests(&head) >= 2, "it was tried again");
        let (_, record) = deployed.record(&world);
        assert_eq!(world.usage_records().len(), 1, "{lost}");
        assert_eq!(
            (
                string_field(&record, "backup"),
                string_field(&record, "config_hash")
            ),
            ("uploaded", CONFIG_MD5),
            "{lost}"
        );
        assert_eq!(
            world
                .server
                .keys(BUCKET, "terragrunt/airbnb/config-history/")
                .len(),
            1,
            "{lost}"
        );
        assert_eq!(world.spooled_items(), Vec::<String>::new());
    }
}

#[test]
fn a_record_whose_answers_were_all_lost_is_sent_once() {
    let mut world = World::new();
    let unit = CustomerUnit::new(&world);
    let proxy = FaultyProxy::start(&world.server.endpoint(), |line| {
        if line.starts_with("PUT /mongodb-arena/usage-logs/") {
            RequestFate::LoseAnswer
        } else {
            RequestFate::Pass
        }
    });
    world.set_endpoint(&proxy.endpoint());
    let first = unit.deploy(&world);
    assert!(
        first
            .expect_warning()
            .contains("the deployment is not logged"),
        "{first:?}"
    );
    assert_eq!(world.spooled_items().len(), 1);
    world.restore_endpoints();
    let second = unit.deploy(&world).expect_success();
    assert_eq!(world.spooled_items(), Vec::<String>::new());
    first.record(&world);
    second.record(&world);
    assert_eq!(world.usage_records().len(), 2);
}

#[test]
fn does_not_overwrite_a_name_of_another_deployment() {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    let request = unit.deploy_request(&unit.plan(&world));
    // Takes the names of all seconds of the next minute.
    let now = unix_now();
    let names: Vec<String> = (now..now + 60)
        .map(|unix| {
            format!(
                "usage-logs/airbnb/{}.json",
                key_timestamp(&test_support::oracle::format_rfc3339(unix))
            )
        })
        .collect();
    for name in &names {
        world
            .server
            .put(
                BUCKET,
                name,
                b"{\"timestamp\":\"x\",\"deployment_id\":\"another\"}\n",
                &[],
            )
            .expect("an object");
    }
    let answer = run_deploy(&world, &request);
    assert_eq!(string_field(&answer, "status"), "ok", "{answer}");
    let ours: Vec<String> = world
        .server
        .keys(BUCKET, "usage-logs/")
        .into_iter()
        .filter(|key| !names.contains(key))
        .collect();
    assert_eq!(ours.len(), 1);
    let record = world
        .usage_records()
        .into_iter()
        .find(|(key, _)| *key == ours[0])
        .expect("it")
        .1;
    let name = ours[0]
        .strip_prefix("usage-logs/airbnb/")
        .expect("the customer's");
    assert!(
        is_documented(name, string_field(&record, "timestamp"))
            && name.len() == "2026-11-23_101112-12345678.json".len()
    );
    assert_eq!(
        string_field(&record, "deployment_id"),
        string_field(&request, "deployment_id")
    );
}

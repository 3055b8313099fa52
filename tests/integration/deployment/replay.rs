//! Spooled items that are sent later, by the next deployment or by `replay`.

use std::fs;

use serde_json::Value;

use test_support::oracle::{python_digest, unix_now, wait_for_next_second};
use test_support::terraform_steps::{CustomerUnit, string_field};
use test_support::{BUCKET, CONFIG, CONFIG_MD5, World, refused_endpoint, to_text};

const CONFIG_KEY: &str = "terragrunt/airbnb/config.yaml";

/// Deploys without a network, so that everything is spooled.
fn deploy_offline(
    world: &mut World,
    unit: &mut CustomerUnit,
) -> test_support::terraform_steps::AppliedDeployment {
    world.set_endpoint(&refused_endpoint());
    let deployed = unit.deploy(world);
    deployed.expect_warning();
    world.restore_endpoints();
    deployed
}

fn run_replay(world: &World) -> (Option<i32>, String, String) {
    let output = world.helper_command(&["replay"]).output().expect("replay");
    (
        output.status.code(),
        to_text(&output.stdout),
        to_text(&output.stderr),
    )
}

fn bucket_config(world: &World) -> String {
    String::from_utf8(world.stored_config()).expect("UTF-8")
}

fn history_keys(world: &World) -> Vec<String> {
    let keys = world
        .server
        .keys(BUCKET, "terragrunt/airbnb/config-history/");
    let mut md5s: Vec<String> = keys
        .iter()
        .map(|key| {
            key.rsplit_once('_')
                .expect("a digest")
                .1
                .replace(".yaml", "")
        })
        .collect();
    md5s.sort();
    md5s.dedup();
    md5s
}

fn changed_config() -> String {
    CONFIG.replace("M30", "M40")
}

fn both_configs() -> Vec<String> {
    let mut md5s = vec![
        CONFIG_MD5.to_owned(),
        python_digest("md5", changed_config().as_bytes()),
    ];
    md5s.sort();
    md5s
}

#[test]
fn replay_sends_and_reports_everything() {
    let mut world = World::new();
    let mut unit = CustomerUnit::new(&world);
    assert_eq!(
        run_replay(&world),
        (Some(0), "0 sent, 0 left\n".to_owned(), String::new())
    );
    let deployed = deploy_offline(&mut world, &mut unit);
    assert_eq!(
        run_replay(&world),
        (Some(0), "2 sent, 0 left\n".to_owned(), String::new())
    );
    assert_eq!(world.spooled_items(), Vec::<String>::new());
    let (_, record) = deployed.record(&world);
    assert_eq!(
        (&record["late"], string_field(&record, "backup")),
        (&Value::Bool(true), "spooled")
    );
    assert_eq!(
        (bucket_config(&world).as_str(), history_keys(&world)),
        (CONFIG, vec![CONFIG_MD5.to_owned()])
    );
    assert_eq!(run_replay(&world).1, "0 sent, 0 left\n");
    let next = unit.deploy(&world).expect_success();
    assert_eq!(next.record(&world).1["backup"], "unchanged");
}

#[test]
fn a_replay_without_a_network_exits_6_and_counts_all_that_is_left() {
    let mut world = World::new();
    let mut unit = CustomerUnit::new(&world);
    deploy_offline(&mut world, &mut unit);
    world.set_endpoint(&refused_endpoint());
    let kept = world.spooled_items();
    let (code, output, messages) = run_replay(&world);
    assert_eq!(code, Some(6));
    assert!(
        messages.contains("refused") && messages.contains("check the network"),
        "{messages}"
    );
    assert_eq!(world.spooled_items(), kept);
    assert_eq!(output, "0 sent, 2 left\n");
}

#[test]
fn a_replay_keeps_the_time_of_the_deployment() {
    let mut world = World::new();
    let mut unit = CustomerUnit::new(&world);
    let before = unix_now();
    let deployed = deploy_offline(&mut world, &mut unit);
    let after = unix_now();
    wait_for_next_second(after);
    run_replay(&world);
    let (_, record) = deployed.record(&world);
    let times: Vec<String> = (before..=after)
        .map(test_support::oracle::format_rfc3339)
        .collect();
    assert!(
        times
            .iter()
            .any(|time| time == string_field(&record, "timestamp")),
        "{record} is not of {times:?}"
    );
}

#[test]
fn a_replay_never_overwrites_a_newer_config() {
    let mut world = World::new();
    let mut unit = CustomerUnit::new(&world);
    deploy_offline(&mut world, &mut unit);
    wait_for_next_second(unix_now());

    world.move_to("home of a colleague");
    let theirs = CustomerUnit::in_folder(&world, "checkout of a colleague/airbnb");
    theirs.write_config(changed_config());
    theirs.deploy(&world).expect_success();

    world.move_to("home");
    assert_eq!(
        run_replay(&world),
        (Some(0), "2 sent, 0 left\n".to_owned(), String::new())
    );
    assert_eq!(
        (bucket_config(&world), history_keys(&world)),
        (changed_config(), both_configs())
    );
    assert_eq!(world.usage_records().len(), 2);
}

#[test]
fn a_replay_does_not_overwrite_a_config_of_the_same_second() {
    let mut world = World::new();
    let mut unit = CustomerUnit::new(&world);
    deploy_offline(&mut world, &mut unit);
    let spool = world.state_dir().join("spool");
    let name = world
        .spooled_items()
        .into_iter()
        .find(|name| name.contains("-config-"))
        .expect("a config");
    let header: Value = serde_json::from_str(
        to_text(&fs::read(spool.join(name)).expect("it"))
            .lines()
            .next()
            .expect("a line"),
    )
    .expect("JSON");
    let second = string_field(&header, "at");
    world
        .server
        .put(
            BUCKET,
            CONFIG_KEY,
            changed_config().as_bytes(),
            &[("captured-at", second)],
        )
        .expect("an object");
    assert_eq!(run_replay(&world).1, "2 sent, 0 left\n");
    assert_eq!(
        bucket_config(&world),
        changed_config(),
        "which of the two is newer is not known, so what is there stays"
    );
}

#[test]
fn a_replay_does_not_overwrite_a_config_of_the_legacy_module() {
    let mut world = World::new();
    let mut unit = CustomerUnit::new(&world);
    deploy_offline(&mut world, &mut unit);
    world
        .server
        .put(BUCKET, CONFIG_KEY, changed_config().as_bytes(), &[])
        .expect("an object");
    run_replay(&world);
    assert_eq!(
        (bucket_config(&world), history_keys(&world)),
        (changed_config(), vec![CONFIG_MD5.to_owned()])
    );
}

#[test]
fn a_replay_overwrites_an_older_config() {
    let mut world = World::new();
    let mut unit = CustomerUnit::new(&world);
    unit.deploy(&world).expect_success();
    wait_for_next_second(unix_now());
    unit.write_config(changed_config());
    deploy_offline(&mut world, &mut unit);
    run_replay(&world);
    assert_eq!(
        (bucket_config(&world), history_keys(&world)),
        (changed_config(), both_configs())
    );
}

#[test]
fn every_version_that_was_deployed_offline_reaches_the_history() {
    let mut world = World::new();
    let mut unit = CustomerUnit::new(&world);
    deploy_offline(&mut world, &mut unit);
    unit.write_config(changed_config());
    deploy_offline(&mut world, &mut unit);
    assert_eq!(world.spooled_items().len(), 4);
    unit.write_config(CONFIG);
    unit.deploy(&world).expect_success();
    assert_eq!(
        (bucket_config(&world).as_str(), history_keys(&world)),
        (CONFIG, both_configs())
    );
    assert_eq!(
        (world.usage_records().len(), world.spooled_items().len()),
        (3, 0)
    );
}

#[test]
fn a_record_that_was_sent_late_names_a_copy_that_exists() {
    let mut world = World::new();
    let mut unit = CustomerUnit::new(&world);
    let first = deploy_offline(&mut world, &mut unit);
    wait_for_next_second(unix_now());
    unit.deploy(&world).expect_success();
    let key = first.record(&world).1["backup_key"]
        .as_str()
        .expect("a key")
        .to_owned();
    let copy = world
        .server
        .object(BUCKET, &key)
        .unwrap_or_else(|| panic!("{key} is named in a record and not there"));
    assert_eq!(copy.body, CONFIG.as_bytes());
}

#[test]
fn a_late_config_does_not_undo_a_later_return_to_the_old_content() {
    for sent_by in ["the next deployment", "another machine"] {
        let mut world = World::new();
        let mut unit = CustomerUnit::new(&world);
        unit.deploy(&world).expect_success();
        wait_for_next_second(unix_now());
        unit.write_config(changed_config());
        let away = deploy_offline(&mut world, &mut unit);
        wait_for_next_second(unix_now());
        let home = (sent_by == "another machine").then(|| world.home());
        if home.is_some() {
            world.move_to("a second machine");
        }
        unit.write_config(CONFIG);
        let back = unit.deploy(&world).expect_success();
        assert_eq!(string_field(&back.record(&world).1, "backup"), "unchanged");
        if home.is_some() {
            world.move_to("home");
            assert_eq!(run_replay(&world).1, "2 sent, 0 left\n");
        }
        assert_eq!(
            bucket_config(&world),
            CONFIG,
            "the newest deployment's, sent late by {sent_by}"
        );
        assert_eq!(history_keys(&world), both_configs());
        assert_eq!(away.record(&world).1["late"], true);
    }
}

#[test]
fn quarantines_a_torn_spool_file_and_names_it_once() {
    let mut world = World::new();
    let mut unit = CustomerUnit::new(&world);
    deploy_offline(&mut world, &mut unit);
    let torn = world
        .spooled_items()
        .into_iter()
        .find(|name| name.contains("-config-"))
        .expect("a config");
    let path = world.state_dir().join("spool").join(&torn);
    let whole = fs::read(&path).expect("it");
    fs::write(&path, &whole[..whole.len() - 7]).expect("a torn file");
    let deployed = unit.deploy(&world);
    let aside = world.state_dir().join("quarantine").join(&torn);
    let said = deployed.expect_warning();
    assert!(
        said.contains(&torn) && said.contains(aside.to_str().expect("UTF-8")),
        "{said}"
    );
    assert_eq!(string_field(&deployed.answer, "status"), "warning");
    assert_eq!(
        (world.spooled_items(), world.usage_records().len()),
        (Vec::<String>::new(), 2)
    );
    assert_eq!(
        bucket_config(&world),
        CONFIG,
        "the deployment itself is as it should be"
    );
    assert_eq!(
        fs::read(&aside).expect("it"),
        whole[..whole.len() - 7],
        "nothing is lost of it"
    );
    unit.deploy(&world).expect_success();
    // As if a newer version had written it, which is installed later.
    fs::write(&aside, &whole).expect("whole again");
    assert_eq!(
        run_replay(&world),
        (Some(0), "1 sent, 0 left\n".to_owned(), String::new())
    );
    assert!(!aside.exists());
}

#[test]
fn quarantines_a_link_in_the_spool_without_following_it() {
    let mut world = World::new();
    let mut unit = CustomerUnit::new(&world);
    deploy_offline(&mut world, &mut unit);
    let spool = world.state_dir().join("spool");
    let name = world.spooled_items().remove(0);
    fs::rename(spool.join(&name), world.path().join("elsewhere")).expect("moved");
    std::os::unix::fs::symlink(world.path().join("elsewhere"), spool.join(&name)).expect("a link");
    let (code, output, messages) = run_replay(&world);
    assert_eq!(
        (code, output.as_str()),
        (Some(1), "1 sent, 0 left, 1 quarantined\n")
    );
    assert!(
        messages.contains(&name) && messages.lines().count() == 1,
        "{messages}"
    );
    assert!(world.path().join("elsewhere").exists());
    assert!(
        world
            .state_dir()
            .join("quarantine")
            .join(&name)
            .is_symlink()
    );
}

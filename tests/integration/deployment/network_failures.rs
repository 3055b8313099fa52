//! Failures of the network or of AWS: the deployment continues, one line reports the failure, and
//! nothing is lost.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use crate::deployment::failure_cases::{self, FailureCase, end_failure};
use test_support::faulty_proxy::{FaultyProxy, RequestFate};
use test_support::terraform_steps::{CustomerUnit, run_deploy, string_field, wrap_request};
use test_support::{BUCKET, CONFIG, CONFIG_MD5, JOHN_ARN, World, refused_endpoint, to_text};

/// What must be true for every failure.
fn nothing_blocks_and_nothing_is_lost(trouble: &FailureCase) {
    let mut world = World::new();
    let mut unit = CustomerUnit::new(&world);
    let proxy = (trouble.arrange)(&mut world, &mut unit);

    let deployed = unit.deploy(&world);
    assert_eq!(
        string_field(&deployed.context, "status"),
        trouble.plan,
        "{deployed:?}"
    );
    assert_eq!(
        string_field(&deployed.context, "message").is_empty(),
        trouble.plan == "ok",
        "{deployed:?}"
    );
    assert_eq!(
        string_field(&deployed.context, "config_hash"),
        CONFIG_MD5,
        "what this machine knows is told all the same"
    );
    let said = deployed.expect_warning();
    for words in trouble.words {
        assert!(
            said.contains(words),
            "{}: no `{words}` in: {said}",
            trouble.name
        );
    }
    assert_eq!(string_field(&deployed.answer, "status"), "error");
    let spool = world.state_dir().join("spool");
    assert!(
        said.contains(spool.to_str().expect("UTF-8")),
        "it says where things are kept: {said}"
    );
    assert_eq!(world.server.keys(BUCKET, ""), Vec::<String>::new());
    assert_eq!(
        world.spooled_items().len(),
        2,
        "{:?}",
        world.spooled_items()
    );
    let mode =
        |path: &std::path::Path| fs::metadata(path).expect("it").permissions().mode() & 0o777;
    assert_eq!(mode(&spool), 0o700);
    for name in world.spooled_items() {
        assert_eq!(mode(&spool.join(&name)), 0o600, "{name}");
    }

    end_failure(&mut world, &mut unit, proxy);
    let next = unit.deploy(&world);
    if trouble.user.is_empty() {
        let said = next.expect_warning();
        assert!(said.contains("names no user: STS did not answer"), "{said}");
        assert_eq!(string_field(&next.answer, "status"), "warning");
    }
    let next = if trouble.user.is_empty() {
        next
    } else {
        next.expect_success()
    };
    assert_eq!(world.spooled_items(), Vec::<String>::new());
    assert_eq!(world.usage_records().len(), 2);
    let (late, now) = (deployed.record(&world).1, next.record(&world).1);
    assert_eq!(
        (&late["late"], now.get("late")),
        (&serde_json::json!(true), None)
    );
    assert_eq!(
        (
            string_field(&late, "user"),
            string_field(&late, "config_hash")
        ),
        (trouble.user, CONFIG_MD5)
    );
    assert_eq!(string_field(&late, "customer"), "airbnb");
    assert_eq!(world.stored_config(), CONFIG.as_bytes());
}

#[test]
fn refused_connections_lose_nothing() {
    nothing_blocks_and_nothing_is_lost(&failure_cases::REFUSED);
}

#[test]
fn a_black_hole_loses_nothing_even_if_the_plan_took_all_the_time() {
    nothing_blocks_and_nothing_is_lost(&failure_cases::BLACK_HOLE);
}

#[test]
fn a_captive_portal_loses_nothing() {
    nothing_blocks_and_nothing_is_lost(&failure_cases::PORTAL);
}

#[test]
fn an_unavailable_s3_loses_nothing() {
    nothing_blocks_and_nothing_is_lost(&failure_cases::UNAVAILABLE);
}

#[test]
fn names_a_missing_write_permission_and_loses_nothing() {
    nothing_blocks_and_nothing_is_lost(&failure_cases::READ_ONLY);
}

#[test]
fn names_all_needed_permissions_and_loses_nothing() {
    nothing_blocks_and_nothing_is_lost(&failure_cases::FORBIDDEN);
}

#[test]
fn a_wrong_secret_key_loses_nothing() {
    nothing_blocks_and_nothing_is_lost(&failure_cases::WRONG_SECRET);
}

#[test]
fn an_unknown_access_key_loses_nothing() {
    nothing_blocks_and_nothing_is_lost(&failure_cases::UNKNOWN_KEY);
}

#[test]
fn missing_credentials_lose_nothing() {
    nothing_blocks_and_nothing_is_lost(&failure_cases::NO_CREDENTIALS);
}

#[test]
fn names_a_missing_profile_and_loses_nothing() {
    nothing_blocks_and_nothing_is_lost(&failure_cases::NO_SUCH_PROFILE);
}

#[test]
fn spools_everything_when_the_deadline_has_already_passed() {
    for endpoint in [refused_endpoint(), World::new().server.endpoint()] {
        let mut world = World::new();
        let unit = CustomerUnit::new(&world);
        let mut request = unit.deploy_request(&unit.plan(&world));
        request["spent_ms"] = serde_json::json!("10000");
        world.set_endpoint(&endpoint);
        let answer = run_deploy(&world, &request);
        assert_eq!(string_field(&answer, "status"), "error");
        assert!(
            string_field(&answer, "message").contains("10 s"),
            "{answer}"
        );
        assert_eq!(
            world.spooled_items().len(),
            2,
            "{:?}",
            world.spooled_items()
        );
    }
}

#[test]
fn a_black_hole_costs_one_timeout_in_all_steps_together() {
    let mut world = World::new();
    let mut unit = CustomerUnit::new(&world);
    let context = unit.plan(&world);
    let hole = FaultyProxy::black_hole();
    world.set_endpoint(&hole.endpoint());
    unit.set_variable("timeout", "2");
    let deployed = unit.apply(&world, context);
    assert!(
        deployed
            .expect_warning()
            .contains("no answer within the 2 s that a deployment may take"),
        "{deployed:?}"
    );
    assert_eq!(
        hole.count_requests(""),
        4,
        "`deploy` asks for all that it needs first at once, and does not ask again"
    );
    assert_eq!(world.spooled_items().len(), 2);
}

/// Kills `deploy` after this many unanswered requests, and returns the number of spooled items.
fn kill_after_requests(world: &mut World, unit: &CustomerUnit, requests: usize) -> usize {
    let mut request = unit.deploy_request(&unit.plan(world));
    request["timeout"] = serde_json::json!("300");
    let (sender, asked) = mpsc::channel();
    let hole = FaultyProxy::start("", move |_| {
        let _ = sender.send(());
        RequestFate::Silence
    });
    world.set_endpoint(&hole.endpoint());
    let mut helper = world
        .helper_command(&["deploy"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    helper
        .stdin
        .take()
        .expect("a pipe")
        .write_all(wrap_request(&request).to_string().as_bytes())
        .expect("a query");
    for _ in 0..requests {
        asked.recv_timeout(Duration::from_mins(1)).expect("it asks");
    }
    helper.kill().expect("it is killed");
    helper.wait().expect("it ends");
    let kept = world.spooled_items().len();
    world.restore_endpoints();
    assert_eq!(
        world
            .helper_command(&["replay"])
            .output()
            .expect("replay")
            .status
            .code(),
        Some(0)
    );
    assert_eq!(world.stored_config(), CONFIG.as_bytes());
    kept
}

#[test]
fn a_deployment_that_is_killed_while_it_waits_for_the_network_loses_nothing() {
    let mut world = World::new();
    let unit = CustomerUnit::new(&world);
    // It asks STS for the user and S3 for the config at the same time.
    assert_eq!(kill_after_requests(&mut world, &unit, 4), 2);
    let records = world.usage_records();
    assert_eq!(
        (
            records.len(),
            string_field(&records[0].1, "user"),
            &records[0].1["late"]
        ),
        (1, JOHN_ARN, &serde_json::json!(true))
    );
}

#[test]
fn an_unchanged_config_deployed_offline_is_spooled_as_unchanged() {
    let mut world = World::new();
    let unit = CustomerUnit::new(&world);
    unit.deploy(&world).expect_success();
    let context = unit.plan(&world);
    world.set_endpoint(&refused_endpoint());
    let deployed = unit.apply(&world, context);
    assert!(
        deployed
            .expect_warning()
            .contains("the deployment is not logged"),
        "{deployed:?}"
    );
    assert!(
        !deployed
            .expect_warning()
            .contains("config.yaml is not backed up"),
        "it is: {deployed:?}"
    );
    let saved = "; config.yaml saved (698bc8b0, unchanged): s3://mongodb-arena/terragrunt/airbnb/config-history/";
    assert!(deployed.message().contains(saved), "{deployed:?}");
    world.restore_endpoints();
    unit.deploy(&world).expect_success();
    let late = deployed.record(&world).1;
    assert_eq!(
        (string_field(&late, "backup"), &late["late"]),
        ("unchanged", &serde_json::json!(true))
    );
}

#[test]
fn names_a_missing_bucket_and_keeps_its_items_in_the_spool() {
    let world = World::new();
    let mut unit = CustomerUnit::new(&world);
    unit.set_variable("bucket", "mongodb-arena-2");
    let deployed = unit.deploy(&world);
    let said = deployed.expect_warning();
    for words in [
        "mongodb-arena-2",
        "there is no such bucket",
        "check the variable `bucket`",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let kept = world.spooled_items();
    assert_eq!(kept.len(), 2);
    unit.unset_variable("bucket");
    let next = unit.deploy(&world);
    assert_eq!(next.record(&world).1["backup"], "uploaded");
    assert_eq!(world.spooled_items(), kept);
    assert!(
        kept.iter().any(|name| next.expect_warning().contains(name)),
        "{}",
        next.expect_warning()
    );
    let replay = world.helper_command(&["replay"]).output().expect("replay");
    let messages = to_text(&replay.stderr);
    assert_eq!(replay.status.code(), Some(5), "{messages}");
    let waiting = "1 more upload for the bucket `mongodb-arena-2` with the profile `default` waits";
    assert!(messages.contains(waiting), "{messages}");
    assert_eq!(to_text(&replay.stdout), "0 sent, 2 left\n");
    assert_eq!(world.spooled_items(), kept);
}

#[test]
fn the_next_apply_retries_a_failed_upload() {
    let mut world = World::new();
    let unit = CustomerUnit::new(&world);
    world.set_endpoint(&refused_endpoint());
    let first = unit.deploy(&world);
    let second = unit.deploy(&world);
    assert_ne!(first.context["backup_id"], second.context["backup_id"]);
    second.expect_warning();
    world.restore_endpoints();
    let third = unit.deploy(&world).expect_success();
    assert_eq!(third.record(&world).1["backup"], "uploaded");
    assert_eq!(world.usage_records().len(), 3);
    let fourth = unit.deploy(&world).expect_success();
    assert_eq!(fourth.record(&world).1["backup"], "unchanged");
}

#[test]
fn logs_without_the_context_of_the_plan() {
    // Without a helper, helper.sh answers a plan with two ids only; the helper may exist at apply.
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    let mut request = unit.query();
    for key in ["deployment_id", "backup_id", "backup_key", "config_hash"] {
        request[key] = serde_json::json!("");
    }
    request["spent_ms"] = serde_json::json!("0");
    let answer = run_deploy(&world, &request);
    assert_eq!(string_field(&answer, "status"), "ok", "{answer}");
    assert_eq!(
        (
            world.usage_records().len(),
            world.server.keys(BUCKET, "terragrunt/airbnb/config").len()
        ),
        (1, 2)
    );
}

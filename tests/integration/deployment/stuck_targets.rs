//! One stuck upload is stuck alone.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use serde_json::Value;

use test_support::faulty_proxy::{FaultyProxy, RequestFate};
use test_support::terraform_steps::{CustomerUnit, string_field};
use test_support::{World, refused_endpoint, to_text};

/// A world whose profile `hang` has a program for its credentials that never answers.
fn world_with_hanging_profile() -> World {
    let world = World::new();
    let program = world.path().join("hang.sh");
    fs::write(&program, "#!/bin/sh\nexec sleep 3600\n").expect("a program");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("executable");
    let config = format!(
        "[profile hang]\ncredential_process = \"{}\"\n",
        program.display()
    );
    fs::write(world.home().join(".aws/config"), config).expect("written");
    world
}

fn deploy_with_profile(world: &World, customer: &str, profile: &str) -> (String, Duration) {
    let mut unit = CustomerUnit::in_folder(world, customer);
    unit.set_variable("aws_profile", profile);
    unit.set_variable("customer_name", customer);
    unit.set_variable("timeout", "6");
    let began = Instant::now();
    let deployed = unit.deploy(world);
    (deployed.message().to_owned(), began.elapsed())
}

fn status(world: &World) -> (String, Value) {
    let text = world.helper_command(&["status"]).output().expect("status");
    let json = world.helper_command(&["status", "--json"]).output();
    let json = serde_json::from_slice(&json.expect("status").stdout).expect("JSON");
    (to_text(&text.stdout), json)
}

#[test]
fn a_hanging_target_holds_up_neither_others_nor_the_next_deployments() {
    let mut world = world_with_hanging_profile();
    deploy_with_profile(&world, "one", "hang");
    world.set_endpoint(&refused_endpoint());
    deploy_with_profile(&world, "two", "default");
    world.restore_endpoints();
    assert_eq!(world.spooled_items().len(), 4);

    let (said, _) = deploy_with_profile(&world, "three", "default");
    let stuck = world.spooled_items();
    assert_eq!(
        stuck.len(),
        2,
        "only those of the profile that hangs: {stuck:?}"
    );
    assert!(said.contains("no answer within 2.0 s"), "{said}");
    let (text, json) = status(&world);
    let waits = "2 uploads for the bucket `mongodb-arena` with the profile `hang` wait until ";
    assert!(text.contains(waits), "{text}");
    for item in json["kept"].as_array().expect("items") {
        assert!(!string_field(item, "next_try_at").is_empty(), "{json}");
        assert!(
            string_field(item, "problem").contains("no answer"),
            "{json}"
        );
    }

    // The target is left alone now.
    let (said, _) = deploy_with_profile(&world, "three", "default");
    let waits = "2 uploads for the bucket `mongodb-arena` with the profile `hang` wait until ";
    assert!(said.contains(waits), "{said}");

    // A person who asks for it gets another try at once.
    let config = world.home().join(".aws/config");
    fs::write(config, "[profile hang]\nsource_profile = default\n").expect("written");
    let credentials = world.home().join(".aws/credentials");
    let profiles = fs::read_to_string(&credentials).expect("profiles");
    fs::write(&credentials, profiles.replace("[jane]", "[hang]")).expect("written");
    let replay = world.helper_command(&["replay"]).output().expect("replay");
    assert_eq!(to_text(&replay.stdout), "2 sent, 0 left\n", "{replay:?}");
    deploy_with_profile(&world, "three", "default");
    assert_eq!(status(&world).0, "0 queued, 0 in quarantine\n");
}

#[test]
fn a_replay_says_what_waits_for_what() {
    let mut world = World::new();
    world.set_endpoint(&refused_endpoint());
    deploy_with_profile(&world, "one", "default");
    deploy_with_profile(&world, "two", "jane");
    let replay = world.helper_command(&["replay"]).output().expect("replay");
    assert_eq!(to_text(&replay.stdout), "0 sent, 4 left\n");
    let said = to_text(&replay.stderr);
    for profile in ["default", "jane"] {
        let waits = format!(
            "1 more upload for the bucket `mongodb-arena` with the profile `{profile}` waits\n"
        );
        assert!(said.contains(&waits), "{said}");
    }
    assert_eq!(said.matches("cannot upload `").count(), 2, "{said}");
}

#[test]
fn one_bad_item_of_a_healthy_target_holds_up_no_other() {
    let mut world = World::new();
    world.set_endpoint(&refused_endpoint());
    for customer in ["one", "two", "three"] {
        deploy_with_profile(&world, customer, "default");
    }
    world.restore_endpoints();
    let proxy = FaultyProxy::start(&world.server.endpoint(), |line| {
        if line.contains("/usage-logs/two/") {
            RequestFate::Answer("403 Forbidden", "")
        } else {
            RequestFate::Pass
        }
    });
    world.set_endpoint(&proxy.endpoint());
    let replay = world.helper_command(&["replay"]).output().expect("replay");
    assert_eq!(to_text(&replay.stdout), "5 sent, 1 left\n", "{replay:?}");
    world.restore_endpoints();
    let replay = world.helper_command(&["replay"]).output().expect("replay");
    assert_eq!(to_text(&replay.stdout), "1 sent, 0 left\n", "{replay:?}");
}

#[test]
fn a_throttled_server_has_the_whole_deadline() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let mut world = World::new();
    let seen = AtomicUsize::new(0);
    // More than the SDK's own attempts at each of the first requests.
    let proxy = FaultyProxy::start(&world.server.endpoint(), move |line| {
        if line.starts_with("POST ") || seen.fetch_add(1, Ordering::SeqCst) >= 16 {
            RequestFate::Pass
        } else {
            RequestFate::Answer(
                "503 Slow Down",
                "<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>",
            )
        }
    });
    let mut unit = CustomerUnit::new(&world);
    unit.set_variable("timeout", "60");
    let context = unit.plan(&world);
    world.set_endpoint(&proxy.endpoint());
    unit.apply(&world, context).expect_success();
}

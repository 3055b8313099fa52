//! How often a deployment waits for answers: its requests come in waves of concurrent requests.
//!
//! Nothing is timed: a proxy answers no request before the wave is complete. A request that waits
//! without need, a new request and a missing one all change a wave.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use test_support::faulty_proxy::{FaultyProxy, RequestFate};
use test_support::oracle::{python_digest, unix_now, wait_for_next_second};
use test_support::terraform_steps::{CustomerUnit, string_field, wrap_request};
use test_support::{BUCKET, CONFIG, World};

/// After this time no more requests are expected.
const NEVER: Duration = Duration::from_secs(30);

const PLAN: &[&[&str]] = &[&["HEAD config", "POST identity"]];
const LOG: &[&[&str]] = &[
    &["HEAD config", "HEAD seal", "POST identity"],
    &["PUT record", "PUT seal"],
];
const BRING_AND_LOG: &[&[&str]] = &[
    &["HEAD config", "HEAD seal", "POST identity", "PUT copy"],
    &["PUT config", "PUT record", "PUT seal"],
];
/// The first record of a chain: its seal cannot exist, and a listing finds the newest record.
const BRING_AND_START_CHAIN: &[&[&str]] = &[
    &["GET list", "HEAD config", "POST identity", "PUT copy"],
    &["PUT config", "PUT record", "PUT seal"],
];
const START_CHAIN: &[&[&str]] = &[
    &["GET list", "HEAD config", "POST identity"],
    &["PUT record", "PUT seal"],
];
const LOOK_BRING_AND_LOG: &[&[&str]] = &[
    &["HEAD config", "HEAD seal", "POST identity"],
    &["PUT copy"],
    &["PUT config", "PUT record", "PUT seal"],
];

// Without a SHA-256 in the answers, each upload is confirmed by a HEAD.
const WITHOUT_SUMS: [&[&[&str]]; 2] = [
    &[
        &["HEAD config", "HEAD seal", "POST identity"],
        &["PUT record", "PUT seal"],
        &["HEAD record"],
    ],
    &[
        &["GET list", "HEAD config", "POST identity", "PUT copy"],
        &["HEAD copy"],
        &["PUT config", "PUT record", "PUT seal"],
        &["HEAD config", "HEAD record"],
    ],
];

/// The class of a request, by its first line.
fn request_class(line: &str) -> String {
    let (method, path) = line.split_once(' ').expect("a method");
    let path = path.split([' ', '?']).next().expect("a path");
    let known = [
        ("/config-history/", "copy"),
        ("/config.yaml", "config"),
        ("/usage-logs/", "record"),
        ("/usage-chain/", "seal"),
    ];
    let of = known
        .into_iter()
        .find(|(part, _)| path.contains(part))
        .map_or(path, |(_, of)| of);
    let of = match of {
        "/" => "identity",
        "/mongodb-arena/" => "list",
        of => of,
    };
    format!("{method} {of}")
}

#[derive(Default)]
struct ArrivingRequests {
    /// The completed waves, and the one that fills now.
    waves: Vec<Vec<String>>,
    /// A request waited for too long.
    broken: bool,
}

/// Runs one step and asserts that it sends exactly these waves of requests.
fn assert_waves(
    world: &mut World,
    command: &str,
    request: &serde_json::Value,
    expected: &'static [&'static [&'static str]],
) -> String {
    assert_waves_with(world, command, request, expected, || RequestFate::Pass)
}

/// As [`assert_waves`], with `fate` for each request.
fn assert_waves_with(
    world: &mut World,
    command: &str,
    request: &serde_json::Value,
    expected: &'static [&'static [&'static str]],
    fate: impl Fn() -> RequestFate + Send + Sync + 'static,
) -> String {
    let mut request = request.clone();
    // The deadline must not end a request that waits for its wave.
    request["timeout"] = serde_json::json!("300");
    let coming = Arc::new((
        Mutex::new(ArrivingRequests {
            waves: vec![Vec::new()],
            broken: false,
        }),
        Condvar::new(),
    ));
    let proxy = FaultyProxy::start(&world.server.endpoint(), {
        let coming = Arc::clone(&coming);
        move |line| {
            let (coming, changed) = &*coming;
            let mut now = coming.lock().expect("no panic");
            let mine = now.waves.len() - 1;
            now.waves[mine].push(request_class(line));
            if expected
                .get(mine)
                .is_none_or(|wave| now.waves[mine].len() == wave.len())
            {
                now.waves.push(Vec::new());
                changed.notify_all();
            } else {
                let whole = |now: &mut ArrivingRequests| now.waves.len() - 1 == mine && !now.broken;
                let (mut now, waited) = changed
                    .wait_timeout_while(now, NEVER, whole)
                    .expect("no panic");
                // Then the step ends, and the comparison below fails.
                now.broken |= waited.timed_out();
                changed.notify_all();
            }
            fate()
        }
    });
    if expected.iter().any(|wave| wave.contains(&"HEAD seal")) {
        continue_chains_at(world, &proxy.endpoint());
    }
    world.set_endpoint(&proxy.endpoint());
    let query = if command == "deploy" {
        wrap_request(&request)
    } else {
        request
    };
    let said = world.run_protocol_command(command, &query);
    world.restore_endpoints();
    let coming = coming.0.lock().expect("no panic");
    let sorted = |wave: &Vec<String>| {
        let mut wave = wave.clone();
        wave.sort();
        wave
    };
    let waves: Vec<_> = coming
        .waves
        .iter()
        .filter(|wave| !wave.is_empty())
        .map(sorted)
        .collect();
    assert_eq!(
        waves, expected,
        "{command} (gave up waiting: {}): {said}",
        coming.broken
    );
    said
}

/// Makes the chains of this machine those of the bucket at another endpoint. `scope_of` in
/// `src/chain/claim.rs` names their files.
fn continue_chains_at(world: &World, endpoint: &str) {
    let scope = format!("{endpoint} {BUCKET}\nairbnb");
    let scope = python_digest("sha256", scope.as_bytes());
    for file in std::fs::read_dir(world.state_dir().join("chains")).expect("chains") {
        let path = file.expect("a file").path();
        let name = path.file_name().expect("a name").to_string_lossy();
        let (_, rest) = name.split_once('.').expect("a scope");
        let renamed = path.with_file_name(format!("{}.{rest}", &scope[..16]));
        std::fs::rename(&path, renamed).expect("renamed");
    }
}

fn plan_in_waves(world: &mut World, unit: &CustomerUnit) -> serde_json::Value {
    let answer = assert_waves(world, "context", &unit.query(), PLAN);
    let context: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!(string_field(&context, "status"), "ok", "{context}");
    unit.deploy_request(&context)
}

/// Asserts that a deployment succeeds with exactly these waves of requests.
fn deploy_in_waves(
    world: &mut World,
    request: &serde_json::Value,
    expected: &'static [&'static [&'static str]],
) {
    let said = assert_waves(world, "deploy", request, expected);
    assert!(said.starts_with("{\"status\":\"ok\""), "{said}");
    assert_eq!(world.spooled_items(), Vec::<String>::new());
}

#[test]
fn a_deployment_waits_for_three_answers_whether_the_config_changed_or_not() {
    let mut world = World::new();
    let unit = CustomerUnit::new(&world);
    for (content, waves) in [
        (CONFIG.to_owned(), BRING_AND_START_CHAIN),
        (CONFIG.replace("M30", "M40"), BRING_AND_LOG),
    ] {
        unit.write_config(&content);
        let request = plan_in_waves(&mut world, &unit);
        deploy_in_waves(&mut world, &request, waves);
        wait_for_next_second(unix_now());
        let request = plan_in_waves(&mut world, &unit);
        deploy_in_waves(&mut world, &request, LOG);
        wait_for_next_second(unix_now());
    }
    assert_eq!(world.usage_records().len(), 4);
    assert_eq!(
        world
            .server
            .object(BUCKET, "terragrunt/airbnb/config.yaml")
            .expect("it")
            .body,
        CONFIG.replace("M30", "M40").as_bytes()
    );
}

#[test]
fn without_a_stated_checksum_each_upload_is_confirmed_by_a_head() {
    let mut world = World::new();
    let unit = CustomerUnit::new(&world);
    let [unchanged, changed] = WITHOUT_SUMS;
    for waves in [changed, unchanged] {
        let request = plan_in_waves(&mut world, &unit);
        let said = assert_waves_with(&mut world, "deploy", &request, waves, || {
            RequestFate::WithoutChecksum
        });
        assert!(said.starts_with("{\"status\":\"ok\""), "{said}");
        assert_eq!(world.spooled_items(), Vec::<String>::new());
        wait_for_next_second(unix_now());
    }
    assert_eq!(world.usage_records().len(), 2);
}

#[test]
fn checks_the_bucket_again_after_an_old_or_failed_plan() {
    for (key, value) in [
        ("deployment_id", "20261120T080000Z-00000000000000aa"),
        ("plan_status", "error"),
        ("plan_status", ""),
    ] {
        let mut world = World::new();
        let unit = CustomerUnit::new(&world);
        let mut request = plan_in_waves(&mut world, &unit);
        request[key] = serde_json::json!(value);
        request["planned_id"] = request["deployment_id"].clone();
        // Another deployment uploaded the same config meanwhile.
        world.move_to("home of a colleague");
        CustomerUnit::in_folder(&world, "checkout of a colleague/airbnb")
            .deploy(&world)
            .expect_success();
        world.move_to("home");
        wait_for_next_second(unix_now());
        deploy_in_waves(&mut world, &request, START_CHAIN);
        assert_eq!(
            world
                .server
                .keys(BUCKET, "terragrunt/airbnb/config-history/")
                .len(),
            1,
            "{key}"
        );
        let ours = world
            .usage_records()
            .into_iter()
            .map(|(_, record)| record)
            .find(|it| it["deployment_id"] == request["deployment_id"]);
        assert_eq!(
            string_field(&ours.expect("a record"), "backup"),
            "unchanged"
        );
        // Without another deployment.
        unit.write_config(CONFIG.replace("M30", "M40"));
        let mut request = plan_in_waves(&mut world, &unit);
        request[key] = serde_json::json!(value.replace("aa", "bb"));
        request["planned_id"] = request["deployment_id"].clone();
        wait_for_next_second(unix_now());
        deploy_in_waves(&mut world, &request, LOOK_BRING_AND_LOG);
    }
}

#[test]
fn two_uploads_of_one_config_at_once_leave_two_named_copies() {
    let mut world = World::new();
    let unit = CustomerUnit::new(&world);
    let request = plan_in_waves(&mut world, &unit);
    wait_for_next_second(unix_now());
    world.move_to("home of a colleague");
    CustomerUnit::in_folder(&world, "checkout of a colleague/airbnb")
        .deploy(&world)
        .expect_success();
    wait_for_next_second(unix_now());
    world.move_to("home");
    deploy_in_waves(&mut world, &request, BRING_AND_START_CHAIN);
    let named: Vec<String> = world
        .usage_records()
        .iter()
        .map(|(_, record)| string_field(record, "backup_key").to_owned())
        .collect();
    let mut copies = world
        .server
        .keys(BUCKET, "terragrunt/airbnb/config-history/");
    assert_eq!(copies.len(), 2);
    copies.retain(|key| !named.contains(key));
    assert_eq!(copies, Vec::<String>::new(), "{named:?}");
    assert_eq!(
        world
            .helper_command(&["verify", "--profile", "default"])
            .output()
            .expect("verify")
            .status
            .code(),
        Some(0)
    );
}

//! Plays the console sessions of README.md and docs/, and compares their output.

use std::fs;
use std::process::Command;

use test_support::console_sessions::{play_session, read_fences, read_session};
use test_support::oracle::{unix_now, wait_for_next_second};
use test_support::terraform_steps::CustomerUnit;
use test_support::{BUCKET, CONFIG, World, helper_path, project_dir, refused_endpoint, to_text};

const COMMANDS: &str = "docs/commands.md";
/// Sessions with terragrunt, which `tests/e2e/readme_sessions.rs` plays.
const IN_E2E: [&str; 3] = ["deploy", "adopt", "legacy"];
const NIGHT: &str = "docs/operations.md";
const HERE: [&str; 8] = [
    "report", "past", "coverage", "verify", "compact", "doctor", "kept", "check",
];

/// A world with the profile of the documentation and the helper in PATH.
fn session_world() -> World {
    world_in("us-east-1")
}

/// As [`session_world`], with the bucket in this region.
fn world_in(region: &str) -> World {
    let mut world = World::with_bucket_in(region);
    let path = std::env::var("PATH").expect("a PATH");
    let folder = helper_path()
        .parent()
        .expect("a folder")
        .display()
        .to_string();
    world.set_variable("PATH", Some(&format!("{folder}:{path}")));
    let file = world.home().join(".aws/credentials");
    let people = fs::read_to_string(&file).expect("profiles");
    let team = people
        .split("\n\n")
        .next()
        .expect("a profile")
        .replace("[default]", "[team]");
    fs::write(file, format!("{people}{team}\n")).expect("one more");
    world
}

fn session_shell(world: &World) -> Command {
    world.command("bash")
}

fn put_record(world: &World, customer: &str, at: &str, user: &str) {
    let record = format!(
        "{{\"timestamp\":\"{at}\",\"customer\":\"{customer}\",\"user\":\"arn:aws:iam::123456789012:user/{user}\",\
         \"additional_users_count\":5,\"project_name\":\"{customer}-project\",\"cluster_name\":\"arena-cluster\"}}\n"
    );
    let stamp = test_support::oracle::key_timestamp(at);
    world
        .server
        .put(
            BUCKET,
            &format!("usage-logs/{customer}/{stamp}.json"),
            record.as_bytes(),
            &[],
        )
        .expect("a record");
}

/// Deploys `airbnb` with each profile and config, at most once a second so that versions have an
/// order.
fn deploy_as(world: &World, unit: &mut CustomerUnit, deployments: &[(&str, &str)]) {
    for (profile, config) in deployments {
        wait_for_next_second(unix_now());
        unit.write_config(config);
        unit.set_variable("aws_profile", profile);
        unit.deploy(world).expect_success();
    }
}

#[test]
fn every_console_session_is_played_by_a_test() {
    for page in crate::docs::links::markdown_pages() {
        for fence in read_fences(&page)
            .into_iter()
            .filter(|it| it.language == "console")
        {
            let name = fence.name.as_str();
            let is_played = match page.as_str() {
                COMMANDS => HERE.contains(&name),
                NIGHT => ["night", "afterwards"].contains(&name),
                "README.md" | "docs/install.md" => IN_E2E.contains(&name),
                _ => false,
            };
            assert!(
                is_played,
                "{}: no test plays the session `{name}`",
                fence.place
            );
        }
    }
}

#[test]
fn plays_the_sessions_of_report() {
    let world = session_world();
    for (customer, at, user) in [
        ("acme", "2026-11-22T08:12:00Z", "max.muster"),
        ("airbnb", "2026-11-22T09:30:00Z", "jane.roe"),
        ("airbnb", "2026-11-23T07:01:00Z", "john.doe"),
        ("airbnb", "2026-11-23T17:45:00Z", "john.doe"),
    ] {
        put_record(&world, customer, at, user);
    }
    play_session(session_shell(&world), &read_session(COMMANDS, "report"));
}

#[test]
fn plays_the_sessions_of_history_diff_and_restore() {
    let world = session_world();
    let mut unit = CustomerUnit::in_folder(&world, "airbnb");
    let larger = CONFIG.replace("instance_size: M30", "instance_size: M40");
    let elsewhere = larger.replace("cluster_region: US_EAST_2", "cluster_region: EU_WEST_1");
    let last = elsewhere
        .replace("canary-admin-password", "canary-admin-password-2")
        .replace("email: someone@", "mail: someone@");
    let last = last.replace("additional_users_count: 5", "additional_users_count: 6");
    deploy_as(
        &world,
        &mut unit,
        &[
            ("default", CONFIG),
            ("jane", &larger),
            ("jane", &larger),
            ("max", &elsewhere),
            ("jane", &last),
        ],
    );
    play_session(session_shell(&world), &read_session(COMMANDS, "past"));
    let (now, aside) = ("airbnb/config.yaml", "airbnb/config.yaml.bak");
    assert_eq!(
        [now, aside].map(|it| fs::read_to_string(world.path().join(it)).expect("it")),
        [larger, last]
    );
}

#[test]
fn plays_the_session_of_disaster_recovery() {
    let world = session_world();
    let mut unit = CustomerUnit::in_folder(&world, "airbnb");
    let wrong = CONFIG.replace("instance_size: M30", "instance_size: M40");
    deploy_as(&world, &mut unit, &[("default", CONFIG), ("jane", &wrong)]);
    play_session(session_shell(&world), &read_session(NIGHT, "night"));
    let read = |name: &str| fs::read_to_string(world.path().join(name)).expect("a file");
    assert_eq!(
        [
            "restored.yaml",
            "airbnb/config.yaml",
            "airbnb/config.yaml.bak"
        ]
        .map(read),
        [CONFIG, CONFIG, &wrong]
    );
    wait_for_next_second(unix_now());
    unit.deploy(&world).expect_success();
    play_session(session_shell(&world), &read_session(NIGHT, "afterwards"));
}

#[test]
fn plays_the_sessions_of_coverage() {
    let world = session_world();
    let mut unit = CustomerUnit::in_folder(&world, "airbnb");
    deploy_as(&world, &mut unit, &[("default", CONFIG)]);
    for (customer, unit) in [("airbnb", "eks-cluster"), ("acme", "eks-cluster")] {
        let key = format!("terragrunt/{customer}/{unit}/terraform.tfstate");
        world
            .server
            .put(BUCKET, &key, b"{\"serial\":1,\"lineage\":\"x\"}", &[])
            .expect("a state");
    }
    play_session(session_shell(&world), &read_session(COMMANDS, "coverage"));
}

#[test]
fn plays_the_session_of_compact() {
    let world = session_world();
    for (customer, at) in [
        ("acme", "2026-03-02T08:00:00Z"),
        ("acme", "2026-03-30T08:00:00Z"),
        ("airbnb", "2026-03-02T09:00:00Z"),
        ("airbnb", "2026-03-03T09:00:00Z"),
        ("airbnb", "2026-04-01T09:00:00Z"),
    ] {
        put_record(&world, customer, at, "jane.roe");
    }
    play_session(session_shell(&world), &read_session(COMMANDS, "compact"));
}

#[test]
fn plays_the_sessions_of_verify() {
    let world = session_world();
    let mut unit = CustomerUnit::in_folder(&world, "airbnb");
    deploy_as(&world, &mut unit, &[("default", CONFIG), ("jane", CONFIG)]);
    let (key, _) = world.usage_records().remove(0);
    let body = to_text(&world.server.object(BUCKET, &key).expect("it").body)
        .replace("john.doe", "jane.roe");
    world
        .server
        .put(BUCKET, &key, body.as_bytes(), &[])
        .expect("an edit");
    play_session(session_shell(&world), &read_session(COMMANDS, "verify"));
}

#[test]
fn plays_the_sessions_of_doctor() {
    let mut world = world_in("eu-central-1");
    let (helper, tools) = (helper_path(), project_dir().join(".tools/bin"));
    let path = format!(
        "{}:{}:/usr/bin:/bin",
        helper.parent().expect("a folder").display(),
        tools.display()
    );
    world.set_variable("PATH", Some(&path));
    let folder = world.path().join("airbnb");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("config.yaml"), CONFIG).expect("a config");
    fs::copy(
        project_dir().join("terragrunt/airbnb/root.hcl"),
        folder.join("root.hcl"),
    )
    .expect("a root");
    assert!(
        world
            .helper_command(&["init", "airbnb"])
            .output()
            .expect("init")
            .status
            .success()
    );
    play_session(session_shell(&world), &read_session(COMMANDS, "doctor"));
}

#[test]
fn plays_the_sessions_of_status_and_replay() {
    let mut world = session_world();
    let unit = CustomerUnit::in_folder(&world, "airbnb");
    world.set_endpoint(&refused_endpoint());
    unit.deploy(&world).expect_warning();
    world.restore_endpoints();
    play_session(session_shell(&world), &read_session(COMMANDS, "kept"));
}

#[test]
fn plays_the_session_of_init_check() {
    let world = session_world();
    for customer in ["acme", "airbnb"] {
        let folder = world.path().join("deployments").join(customer);
        fs::create_dir_all(&folder).expect("a folder");
        let config = CONFIG.replace("name: airbnb", "name: acme");
        fs::write(folder.join("config.yaml"), config).expect("a config");
        let init = world.helper_command(&["init"]).arg(&folder).output();
        assert!(init.expect("init").status.success());
    }
    let unit = world.path().join("deployments/airbnb/config-backup");
    fs::write(unit.join("main.tf"), "# mine\n").expect("a file");
    fs::remove_file(unit.join("outputs.tf")).expect("gone");
    play_session(session_shell(&world), &read_session(COMMANDS, "check"));
}

//! The sessions that README.md and docs/ show: each is played, and prints what is shown there.

use std::fs;
use std::process::Command;

use test_support::console_sessions::{fences, play, session};
use test_support::oracle::{pass_the_second, unix_now};
use test_support::terraform_steps::Unit;
use test_support::{BUCKET, CONFIG, World, helper, nobody_there, project, text};

const VERBS: &str = "docs/verbs.md";
/// Sessions with terragrunt, which tests/e2e/readme.rs plays.
const IN_E2E: [&str; 3] = ["deploy", "adopt", "legacy"];
const NIGHT: &str = "docs/operations.md";
const HERE: [&str; 7] = ["report", "past", "coverage", "verify", "compact", "doctor", "kept"];

/// A world in which the team's profile is there, and the helper in PATH.
fn world() -> World {
    world_in("us-east-1")
}

/// As [`world`], with the bucket in some region.
fn world_in(region: &str) -> World {
    let mut world = World::with_bucket_in(region);
    let path = std::env::var("PATH").expect("a PATH");
    let folder = helper().parent().expect("a folder").display().to_string();
    world.set_variable("PATH", Some(&format!("{folder}:{path}")));
    let file = world.home().join(".aws/credentials");
    let people = fs::read_to_string(&file).expect("profiles");
    let team = people.split("\n\n").next().expect("a profile").replace("[default]", "[team]");
    fs::write(file, format!("{people}{team}\n")).expect("one more");
    world
}

fn shell(world: &World) -> Command {
    world.command("bash")
}

/// Writes a record of a deployment at some time.
fn record(world: &World, customer: &str, at: &str, user: &str) {
    let record = format!(
        "{{\"timestamp\":\"{at}\",\"customer\":\"{customer}\",\"user\":\"arn:aws:iam::123456789012:user/{user}\",\
         \"additional_users_count\":5,\"project_name\":\"{customer}-project\",\"cluster_name\":\"arena-cluster\"}}\n"
    );
    let stamp = test_support::oracle::stamp(at);
    world.server.put(BUCKET, &format!("usage-logs/{customer}/{stamp}.json"), record.as_bytes(), &[]).expect("a record");
}

/// Deploys `airbnb` with each of these configs, by the owner of each profile; versions of one second would have no order.
fn deploy(world: &World, unit: &mut Unit, deployments: &[(&str, &str)]) {
    for (profile, config) in deployments {
        pass_the_second(unix_now());
        unit.write(config);
        unit.set("aws_profile", profile);
        unit.deploy(world).went_well();
    }
}

#[test]
fn every_session_is_played_somewhere() {
    for page in crate::docs::links::pages() {
        for fence in fences(&page).into_iter().filter(|it| it.language == "console") {
            let name = fence.name.as_str();
            let is_played = match page.as_str() {
                VERBS => HERE.contains(&name),
                NIGHT => ["night", "afterwards"].contains(&name),
                "README.md" => IN_E2E.contains(&name),
                _ => false,
            };
            assert!(is_played, "{}: nobody plays the session `{name}`", fence.place);
        }
    }
}

#[test]
fn the_report() {
    let world = world();
    for (customer, at, user) in [
        ("acme", "2026-11-22T08:12:00Z", "max.muster"),
        ("airbnb", "2026-11-22T09:30:00Z", "jane.roe"),
        ("airbnb", "2026-11-23T07:01:00Z", "john.doe"),
        ("airbnb", "2026-11-23T17:45:00Z", "john.doe"),
    ] {
        record(&world, customer, at, user);
    }
    play(shell(&world), &session(VERBS, "report"));
}

#[test]
fn history_diff_and_restore() {
    let world = world();
    let mut unit = Unit::in_folder(&world, "airbnb");
    let larger = CONFIG.replace("instance_size: M30", "instance_size: M40");
    let elsewhere = larger.replace("cluster_region: US_EAST_2", "cluster_region: EU_WEST_1");
    let last = elsewhere.replace("canary-admin-password", "canary-admin-password-2").replace("email: someone@", "mail: someone@");
    let last = last.replace("additional_users_count: 5", "additional_users_count: 6");
    deploy(&world, &mut unit, &[("default", CONFIG), ("jane", &larger), ("jane", &larger), ("max", &elsewhere), ("jane", &last)]);
    play(shell(&world), &session(VERBS, "past"));
    let (now, aside) = ("airbnb/config.yaml", "airbnb/config.yaml.bak");
    assert_eq!([now, aside].map(|it| fs::read_to_string(world.path().join(it)).expect("it")), [larger, last]);
}

#[test]
fn restoring_at_night() {
    let world = world();
    let mut unit = Unit::in_folder(&world, "airbnb");
    let wrong = CONFIG.replace("instance_size: M30", "instance_size: M40");
    deploy(&world, &mut unit, &[("default", CONFIG), ("jane", &wrong)]);
    play(shell(&world), &session(NIGHT, "night"));
    let read = |name: &str| fs::read_to_string(world.path().join(name)).expect("a file");
    assert_eq!(["restored.yaml", "airbnb/config.yaml", "airbnb/config.yaml.bak"].map(read), [CONFIG, CONFIG, &wrong]);
    pass_the_second(unix_now());
    unit.deploy(&world).went_well();
    play(shell(&world), &session(NIGHT, "afterwards"));
}

#[test]
fn coverage() {
    let world = world();
    let mut unit = Unit::in_folder(&world, "airbnb");
    deploy(&world, &mut unit, &[("default", CONFIG)]);
    for (customer, unit) in [("airbnb", "eks-cluster"), ("acme", "eks-cluster")] {
        let key = format!("terragrunt/{customer}/{unit}/terraform.tfstate");
        world.server.put(BUCKET, &key, b"{\"serial\":1,\"lineage\":\"x\"}", &[]).expect("a state");
    }
    play(shell(&world), &session(VERBS, "coverage"));
}

#[test]
fn compact() {
    let world = world();
    for (customer, at) in [
        ("acme", "2026-03-02T08:00:00Z"),
        ("acme", "2026-03-30T08:00:00Z"),
        ("airbnb", "2026-03-02T09:00:00Z"),
        ("airbnb", "2026-03-03T09:00:00Z"),
        ("airbnb", "2026-04-01T09:00:00Z"),
    ] {
        record(&world, customer, at, "jane.roe");
    }
    play(shell(&world), &session(VERBS, "compact"));
}

#[test]
fn verify() {
    let world = world();
    let mut unit = Unit::in_folder(&world, "airbnb");
    deploy(&world, &mut unit, &[("default", CONFIG), ("jane", CONFIG)]);
    let (key, _) = world.records().remove(0);
    let body = text(&world.server.object(BUCKET, &key).expect("it").body).replace("john.doe", "jane.roe");
    world.server.put(BUCKET, &key, body.as_bytes(), &[]).expect("an edit");
    play(shell(&world), &session(VERBS, "verify"));
}

#[test]
fn doctor() {
    let mut world = world_in("eu-central-1");
    let (helper, tools) = (helper(), project().join(".tools/bin"));
    let path = format!("{}:{}:/usr/bin:/bin", helper.parent().expect("a folder").display(), tools.display());
    world.set_variable("PATH", Some(&path));
    let folder = world.path().join("airbnb");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("config.yaml"), CONFIG).expect("a config");
    fs::copy(project().join("terragrunt/airbnb/root.hcl"), folder.join("root.hcl")).expect("a root");
    assert!(world.helper(&["init", "airbnb"]).output().expect("init").status.success());
    play(shell(&world), &session(VERBS, "doctor"));
}

#[test]
fn what_is_kept_and_sent() {
    let mut world = world();
    let unit = Unit::in_folder(&world, "airbnb");
    world.set_endpoint(&nobody_there());
    unit.deploy(&world).warning();
    world.heal();
    play(shell(&world), &session(VERBS, "kept"));
}

#[test]
fn make_try_shows_three_deployments_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let target = helper().ancestors().nth(2).expect("target").to_owned();
    let script = project().join("tests/demo.sh");
    let output = Command::new(script).arg("--quick").env("TMPDIR", folder.path()).env("CARGO_TARGET_DIR", target).output().expect("bash");
    let shown = text(&output.stdout);
    assert!(output.status.success(), "{shown}{}", text(&output.stderr));
    for line in
        [",airbnb,jane.roe,5,", ",airbnb,john.doe,5,", "~ mongodb.instance_size: M30 -> M40", "config.yaml is unchanged since s3://"]
    {
        assert!(shown.contains(line), "{line} is not in {shown}");
    }
    assert!(text(&output.stderr).contains("all is as it was written: 3 records, 1 seal and 3 configs of 1 customer"), "{output:?}");
    assert_eq!(fs::read_dir(folder.path()).expect("it").count(), 0);
}

//! Which config is `config.yaml` after late uploads: that of the newest deployment.

use test_support::oracle::{unix_now, wait_for_next_second};
use test_support::terraform_steps::{AppliedDeployment, CustomerUnit, string_field};
use test_support::{BUCKET, CONFIG, World, refused_endpoint, to_text};

const CONFIG_KEY: &str = "terragrunt/airbnb/config.yaml";

fn config_of_size(size: &str) -> String {
    CONFIG.replace("M30", size)
}

fn deploy_offline(world: &mut World, unit: &CustomerUnit, size: &str) -> AppliedDeployment {
    unit.write_config(config_of_size(size));
    world.set_endpoint(&refused_endpoint());
    let deployed = unit.deploy(world);
    deployed.expect_warning();
    world.restore_endpoints();
    deployed
}

fn run(world: &World, arguments: &[&str]) -> String {
    let output = world.helper_command(arguments).output().expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    to_text(&output.stdout)
}

fn stored_config(world: &World) -> String {
    to_text(&world.stored_config())
}

fn count_config_writes(world: &World) -> usize {
    world.count_requests("PutObject", CONFIG_KEY)
}

/// What a colleague restores at night.
fn restored(world: &World) -> String {
    run(world, &["restore", "airbnb", "--stdout"])
}

#[test]
fn a_return_to_the_config_of_the_plan_is_not_undone_by_a_late_one() {
    let mut world = World::new();
    let unit = CustomerUnit::new(&world);
    unit.deploy(&world).expect_success();
    wait_for_next_second(unix_now());
    deploy_offline(&mut world, &unit, "M40");
    wait_for_next_second(unix_now());
    // The plan finds the first config in the bucket; the network is gone at apply.
    unit.write_config(CONFIG);
    let context = unit.plan(&world);
    world.set_endpoint(&refused_endpoint());
    let back = unit.apply(&world, context);
    back.expect_warning();
    world.restore_endpoints();
    assert_eq!(
        world.spooled_items().len(),
        4,
        "the config stays until it is confirmed"
    );

    assert_eq!(run(&world, &["replay"]), "4 sent, 0 left\n");
    assert_eq!(stored_config(&world), CONFIG);
    let record = back.record(&world).1;
    assert_eq!(string_field(&record, "backup"), "unchanged");
    assert_eq!(restored(&world), CONFIG);
    run(&world, &["verify"]);
}

#[test]
fn only_the_newest_of_several_late_configs_is_written() {
    let mut world = World::new();
    let unit = CustomerUnit::new(&world);
    // Within a second, too.
    for size in ["M10", "M40", "M50", "M20"] {
        deploy_offline(&mut world, &unit, size);
    }
    assert_eq!(run(&world, &["replay"]), "8 sent, 0 left\n");
    assert_eq!(stored_config(&world), config_of_size("M20"));
    assert_eq!(count_config_writes(&world), 1);
    let copies = world
        .server
        .keys(BUCKET, "terragrunt/airbnb/config-history/");
    assert_eq!(copies.len(), 4, "{copies:?}");
    assert_eq!(restored(&world), config_of_size("M20"));
}

#[test]
fn the_newest_deployment_counts_even_if_its_target_is_out_of_reach() {
    let mut world = World::new();
    let mut unit = CustomerUnit::new(&world);
    deploy_offline(&mut world, &unit, "M40");
    unit.set_variable("aws_profile", "absent");
    deploy_offline(&mut world, &unit, "M50");
    let output = world.helper_command(&["replay"]).output().expect("replay");
    assert_eq!(to_text(&output.stdout), "2 sent, 2 left\n");
    assert_eq!(
        world.server.object(BUCKET, CONFIG_KEY).map(|it| it.body),
        None
    );
    let copies = world
        .server
        .keys(BUCKET, "terragrunt/airbnb/config-history/");
    assert_eq!(copies.len(), 1, "nothing is lost: {copies:?}");
}

#[test]
fn a_late_config_replaces_an_older_one_of_the_legacy_module() {
    let mut world = World::new();
    let unit = CustomerUnit::new(&world);
    let server = &world.server;
    server
        .put(BUCKET, CONFIG_KEY, b"legacy: true\n", &[])
        .expect("an object");
    wait_for_next_second(unix_now());
    deploy_offline(&mut world, &unit, "M40");
    assert_eq!(run(&world, &["replay"]), "2 sent, 0 left\n");
    assert_eq!(stored_config(&world), config_of_size("M40"));
}

#[test]
fn an_id_that_is_the_end_of_another_one_is_another_deployment() {
    let mut world = World::new();
    let unit = CustomerUnit::new(&world);
    world.set_endpoint(&refused_endpoint());
    let mut request = unit.deploy_request(&unit.plan(&world));
    for id in ["config-1-2", "2"] {
        request["deployment_id"] = id.into();
        request["planned_id"] = id.into();
        test_support::terraform_steps::run_deploy(&world, &request);
    }
    world.restore_endpoints();
    // The running deployment's own items are tried by itself, and the other's are late.
    request["deployment_id"] = "1-2".into();
    request["planned_id"] = "1-2".into();
    test_support::terraform_steps::run_deploy(&world, &request);
    assert_eq!(world.spooled_items(), Vec::<String>::new());
    assert_eq!(world.usage_records().len(), 3);
}

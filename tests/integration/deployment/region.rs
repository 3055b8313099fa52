//! A bucket in a region other than the configured one.

use std::cell::RefCell;
use std::fs;

use test_support::terraform_steps::{CustomerUnit, string_field};
use test_support::{BUCKET, CONFIG, World};

#[test]
fn a_wrong_region_costs_one_redirect_in_each_process() {
    let world = World::with_bucket_in("eu-west-1");
    let unit = CustomerUnit::new(&world);
    let redirects = RefCell::new(0);
    // One for each request that is sent before the first answer.
    let more = |what: &str, count: usize| {
        let all = world
            .server
            .requests()
            .iter()
            .filter(|it| it.status == 301)
            .count();
        assert_eq!(all, *redirects.borrow() + count, "{what}");
        *redirects.borrow_mut() = all;
    };
    let context = unit.plan(&world);
    assert_eq!(string_field(&context, "status"), "ok", "{context}");
    more("context", 1);
    let deployed = unit.apply(&world, context).expect_success();
    assert!(
        deployed.message().starts_with("config.yaml saved ("),
        "{deployed:?}"
    );
    more("deploy: the config, its copy and the seal", 3);
    let report = world
        .helper_command(&["report", "--profile", "default"])
        .output()
        .expect("report");
    assert_eq!(report.status.code(), Some(0));
    more("report", 1);

    assert_eq!(
        world
            .server
            .object(BUCKET, "terragrunt/airbnb/config.yaml")
            .expect("config.yaml")
            .body,
        CONFIG.as_bytes()
    );
    assert_eq!(world.usage_records().len(), 1);
    unit.deploy(&world).expect_success();
    let elsewhere = world
        .server
        .requests()
        .into_iter()
        .filter(|it| it.operation != "GetCallerIdentity" && it.status < 300);
    assert!(
        elsewhere
            .map(|it| it.region)
            .all(|region| region == "eu-west-1")
    );
}

#[test]
fn the_right_region_costs_no_redirect() {
    let world = World::with_bucket_in("eu-west-1");
    let mut unit = CustomerUnit::new(&world);
    unit.set_variable("bucket_region", "eu-west-1");
    unit.deploy(&world).expect_success();
    assert!(world.server.requests().iter().all(|it| it.status != 301));
}

#[test]
fn the_region_of_the_environment_or_profile_is_not_the_buckets() {
    let mut world = World::new();
    let unit = CustomerUnit::new(&world);
    world.set_variable("AWS_REGION", Some("ap-southeast-2"));
    world.set_variable("AWS_DEFAULT_REGION", Some("ap-southeast-1"));
    unit.deploy(&world).expect_success();
    // Only the user's region may be reachable for STS.
    for request in world.server.requests() {
        let expected = if request.bucket.is_empty() {
            "ap-southeast-2"
        } else {
            "us-east-1"
        };
        assert_eq!(request.region, expected, "{request:?}");
    }
}

#[test]
fn sts_is_asked_in_the_region_of_the_profile() {
    for (variable, config, expected) in [
        (None, "[default]\nregion = eu-west-1\n", "eu-west-1"),
        (
            Some("eu-north-1"),
            "[default]\nregion = eu-west-1\n",
            "eu-north-1",
        ),
        // The region of an S3-compatible server.
        (Some("auto"), "[default]\nregion = gra\n", "us-east-1"),
        (None, "", "us-east-1"),
    ] {
        let mut world = World::new();
        let unit = CustomerUnit::new(&world);
        fs::write(world.home().join(".aws/config"), config).expect("a profile");
        world.set_variable("AWS_REGION", variable);
        unit.deploy(&world).expect_success();
        let requests = world.server.requests();
        let mut of_sts = requests.iter().filter(|it| it.bucket.is_empty());
        assert!(
            of_sts.all(|it| it.region == expected),
            "{expected}: {requests:?}"
        );
    }
}

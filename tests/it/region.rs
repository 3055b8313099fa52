//! A bucket that is not in the region where it is believed to be.

use crate::by_hand::{Unit, string};
use crate::support::{BUCKET, CONFIG, World};

#[test]
fn a_wrong_region_costs_one_redirect_in_each_process_and_nothing_else() {
    let world = World::with_bucket_in("eu-west-1");
    let mut unit = Unit::new(&world);
    let mut redirects = 0;
    let mut one_more = |what: &str| {
        let all = world.server.requests().iter().filter(|it| it.status == 301).count();
        assert_eq!(all, redirects + 1, "{what}");
        redirects = all;
    };
    let context = unit.plan(&world);
    assert_eq!(string(&context, "status"), "ok", "{context}");
    one_more("context");
    let request = unit.request(&context);
    let backup = world.machine("backup", &request);
    assert!(backup.contains("is backed up as s3://"), "{backup}");
    one_more("backup");
    let log = world.machine("log", &request);
    assert!(!log.contains("WARNING"), "{log}");
    one_more("log");
    let report = world.helper(&["report", "--profile", "default"]).output().expect("report");
    assert_eq!(report.status.code(), Some(0));
    one_more("report");

    assert_eq!(world.server.object(BUCKET, "terragrunt/airbnb/config.yaml").expect("config.yaml").body, CONFIG.as_bytes());
    assert_eq!(world.records().len(), 1);
    unit.deploy(&world).went_well();
    let elsewhere = world.server.requests().into_iter().filter(|it| it.operation != "GetCallerIdentity" && it.status < 300);
    assert!(elsewhere.map(|it| it.region).all(|region| region == "eu-west-1"));
}

#[test]
fn the_right_region_costs_no_redirect() {
    let world = World::with_bucket_in("eu-west-1");
    let mut unit = Unit::new(&world);
    unit.set("bucket_region", "eu-west-1");
    unit.deploy(&world).went_well();
    assert!(world.server.requests().iter().all(|it| it.status != 301));
}

#[test]
fn the_region_of_the_environment_or_profile_is_not_the_buckets() {
    let mut world = World::new();
    let mut unit = Unit::new(&world);
    world.set_variable("AWS_REGION", Some("ap-southeast-2"));
    world.set_variable("AWS_DEFAULT_REGION", Some("ap-southeast-2"));
    unit.deploy(&world).went_well();
    assert!(world.server.requests().iter().all(|it| it.region == "us-east-1"), "{:?}", world.server.requests());
}

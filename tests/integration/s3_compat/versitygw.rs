//! The same deployments against another S3: versitygw, on a folder. STS stays the embedded one, since it has none.

use test_support::oracle::digest;
use test_support::s3_servers::Gateway;
use test_support::terraform_steps::{Unit, string};
use test_support::{CONFIG, CONFIG_MD5, World, nobody_there, text};

#[test]
fn deployments_and_report_are_the_same_on_versitygw() {
    let mut world = World::new();
    let gateway = Gateway::start(&world);
    world.set_s3_endpoint(&gateway.endpoint);
    let unit = Unit::new(&world);
    let current = "terragrunt/airbnb/config.yaml";

    unit.deploy(&world).went_well();
    assert_eq!(gateway.body(current), CONFIG.as_bytes());
    let history = gateway.keys("terragrunt/airbnb/config-history");
    assert_eq!(history.len(), 1);
    assert!(history[0].ends_with(&format!("_{CONFIG_MD5}.yaml")), "{history:?}");
    assert_eq!(gateway.body(&history[0]), CONFIG.as_bytes());
    let records = gateway.records();
    assert_eq!((records.len(), string(&records[0], "backup"), string(&records[0], "backup_key")), (1, "uploaded", history[0].as_str()));

    unit.deploy(&world).went_well();
    assert_eq!(gateway.keys("terragrunt/airbnb/config-history"), history);
    assert_eq!(gateway.records().iter().filter(|it| it["backup"] == "unchanged").count(), 1);

    let changed = CONFIG.replace("M30", "M40");
    unit.write(&changed);
    unit.deploy(&world).went_well();
    assert_eq!(gateway.body(current), changed.as_bytes());
    let history = gateway.keys("terragrunt/airbnb/config-history");
    assert!(history.len() == 2 && history.iter().any(|key| key.ends_with(&format!("_{}.yaml", digest("md5", changed.as_bytes())))));
    assert_eq!(gateway.records().len(), 3, "each under a name of its own, also within a second");

    let report = world.helper(&["report", "airbnb", "--profile", "default"]).output().expect("report");
    let records = gateway.records();
    let day = &string(&records[2], "timestamp")[..10];
    assert!(text(&report.stdout).ends_with(&format!("{day},airbnb,john.doe,5,airbnb-project,arena-cluster\n")), "{report:?}");
    assert!(world.server.requests().iter().all(|it| it.operation == "GetCallerIdentity"), "S3 was the gateway");
}

#[test]
fn what_was_kept_reaches_versitygw_later_and_bad_keys_are_told() {
    let mut world = World::new();
    let gateway = Gateway::start(&world);
    let unit = Unit::new(&world);
    world.set_endpoint(&nobody_there());
    unit.deploy(&world).warning();
    world.heal();
    world.set_s3_endpoint(&gateway.endpoint);
    unit.deploy(&world).went_well();
    assert_eq!((gateway.records().len(), world.spooled().len()), (2, 0));
    assert_eq!(gateway.records().iter().filter(|it| it["late"] == true).count(), 1);
    world.set_variable("AWS_ACCESS_KEY_ID", Some("AKIADEFAULT"));
    world.set_variable("AWS_SECRET_ACCESS_KEY", Some("secret-of-yesterday"));
    let report = world.helper(&["report"]).output().expect("report");
    assert_eq!(report.status.code(), Some(4), "{report:?}");
}

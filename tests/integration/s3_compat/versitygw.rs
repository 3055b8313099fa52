//! The same deployments on versitygw. It has no STS, so STS stays the embedded one.

use test_support::oracle::python_digest;
use test_support::s3_servers::VersityGateway;
use test_support::terraform_steps::{CustomerUnit, string_field};
use test_support::{CONFIG, CONFIG_MD5, World, refused_endpoint, to_text};

#[test]
fn deployments_and_report_are_the_same_on_versitygw() {
    let mut world = World::new();
    let gateway = VersityGateway::start(&world);
    world.set_s3_endpoint(&gateway.endpoint);
    let unit = CustomerUnit::new(&world);
    let current = "terragrunt/airbnb/config.yaml";

    unit.deploy(&world).expect_success();
    assert_eq!(gateway.read_object(current), CONFIG.as_bytes());
    let history = gateway.list_keys("terragrunt/airbnb/config-history");
    assert_eq!(history.len(), 1);
    assert!(
        history[0].ends_with(&format!("_{CONFIG_MD5}.yaml")),
        "{history:?}"
    );
    assert_eq!(gateway.read_object(&history[0]), CONFIG.as_bytes());
    let records = gateway.read_records();
    assert_eq!(
        (
            records.len(),
            string_field(&records[0], "backup"),
            string_field(&records[0], "backup_key")
        ),
        (1, "uploaded", history[0].as_str())
    );

    unit.deploy(&world).expect_success();
    assert_eq!(
        gateway.list_keys("terragrunt/airbnb/config-history"),
        history
    );
    assert_eq!(
        gateway
            .read_records()
            .iter()
            .filter(|it| it["backup"] == "unchanged")
            .count(),
        1
    );

    let changed = CONFIG.replace("M30", "M40");
    unit.write_config(&changed);
    unit.deploy(&world).expect_success();
    assert_eq!(gateway.read_object(current), changed.as_bytes());
    let history = gateway.list_keys("terragrunt/airbnb/config-history");
    assert!(
        history.len() == 2
            && history.iter().any(|key| key.ends_with(&format!(
                "_{}.yaml",
                python_digest("md5", changed.as_bytes())
            )))
    );
    assert_eq!(
        gateway.read_records().len(),
        3,
        "each under a name of its own, also within a second"
    );

    let report = world
        .helper_command(&["report", "airbnb", "--profile", "default"])
        .output()
        .expect("report");
    let records = gateway.read_records();
    let day = &string_field(&records[2], "timestamp")[..10];
    assert!(
        to_text(&report.stdout).ends_with(&format!(
            "{day},airbnb,john.doe,5,airbnb-project,arena-cluster\n"
        )),
        "{report:?}"
    );
    assert!(
        world
            .server
            .requests()
            .iter()
            .all(|it| it.operation == "GetCallerIdentity"),
        "S3 was the gateway"
    );
}

#[test]
fn spooled_items_reach_versitygw_later_and_bad_keys_are_reported() {
    let mut world = World::new();
    let gateway = VersityGateway::start(&world);
    let unit = CustomerUnit::new(&world);
    world.set_endpoint(&refused_endpoint());
    unit.deploy(&world).expect_warning();
    world.restore_endpoints();
    world.set_s3_endpoint(&gateway.endpoint);
    unit.deploy(&world).expect_success();
    assert_eq!(
        (gateway.read_records().len(), world.spooled_items().len()),
        (2, 0)
    );
    assert_eq!(
        gateway
            .read_records()
            .iter()
            .filter(|it| it["late"] == true)
            .count(),
        1
    );
    world.set_variable("AWS_ACCESS_KEY_ID", Some("AKIADEFAULT"));
    world.set_variable("AWS_SECRET_ACCESS_KEY", Some("secret-of-yesterday"));
    let report = world.helper_command(&["report"]).output().expect("report");
    assert_eq!(report.status.code(), Some(4), "{report:?}");
}

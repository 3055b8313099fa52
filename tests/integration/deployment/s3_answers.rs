//! Single answers of S3, or of another server in its place: which are retried, which are trusted,
//! and what is reported.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use test_support::faulty_proxy::{FaultyProxy, RequestFate};
use test_support::terraform_steps::{AppliedDeployment, CustomerUnit, string_field};
use test_support::world::PROFILE_OF_FAILING_PROCESS;
use test_support::{World, refused_endpoint};

/// Lets a proxy answer the first `times` requests that begin with `head`.
fn answer_in_place_of_s3(
    world: &mut World,
    head: &'static str,
    times: usize,
    status: &'static str,
    body: &'static str,
) -> FaultyProxy {
    let seen = AtomicUsize::new(0);
    let proxy = FaultyProxy::start(&world.server.endpoint(), move |line| {
        if line.starts_with(head) && seen.fetch_add(1, Ordering::SeqCst) < times {
            RequestFate::Answer(status, body)
        } else {
            RequestFate::Pass
        }
    });
    world.set_endpoint(&proxy.endpoint());
    proxy
}

/// The answer of S3 to two conditional writes at once (API reference, `PutObject`).
const CONFLICT: &str =
    "<Error><Code>ConditionalRequestConflict</Code><Message>Retry the request</Message></Error>";
const RECORDS: &str = "PUT /mongodb-arena/usage-logs/";
const COPIES: &str = "PUT /mongodb-arena/terragrunt/airbnb/config-history/";

#[test]
fn retries_a_write_conflict_and_too_many_requests() {
    for (head, status) in [
        (RECORDS, "409 Conflict"),
        (COPIES, "409 Conflict"),
        (RECORDS, "429 Too Many Requests\r\nretry-after: 3600"),
    ] {
        let mut world = World::new();
        let unit = CustomerUnit::new(&world);
        let proxy = answer_in_place_of_s3(&mut world, head, 1, status, CONFLICT);
        unit.deploy(&world).expect_success();
        assert_eq!(proxy.count_requests(head), 2, "{head}: {status}");
    }
}

#[test]
fn does_not_wait_for_a_retry_after_of_an_hour() {
    let mut world = World::new();
    let mut unit = CustomerUnit::new(&world);
    unit.set_variable("timeout", "2");
    let _proxy = answer_in_place_of_s3(
        &mut world,
        "PUT ",
        usize::MAX,
        "503 Slow Down\r\nretry-after: 3600\r\nx-amz-retry-after: 3600000",
        "",
    );
    let deployed = unit.deploy(&world);
    assert!(
        deployed.expect_warning().contains("spooled in "),
        "{deployed:?}"
    );
    assert_eq!(world.spooled_items().len(), 2);
}

#[test]
fn spools_an_upload_that_a_head_does_not_find() {
    for head in [
        RECORDS,
        COPIES,
        "PUT /mongodb-arena/terragrunt/airbnb/config.yaml",
    ] {
        let mut world = World::new();
        let unit = CustomerUnit::new(&world);
        let proxy = answer_in_place_of_s3(
            &mut world,
            head,
            1,
            "200 OK\r\netag: \"d41d8cd98f00b204e9800998ecf8427e\"",
            "",
        );
        let deployed = unit.deploy(&world);
        assert!(
            deployed
                .expect_warning()
                .contains("the object differs or is missing"),
            "{deployed:?}"
        );
        assert_eq!(
            world.spooled_items().len(),
            1,
            "{head}: {:?}",
            world.spooled_items()
        );
        drop(proxy);
        world.restore_endpoints();
        unit.deploy(&world).expect_success();
        assert_eq!(
            (world.spooled_items().len(), world.usage_records().len()),
            (0, 2)
        );
    }
}

#[test]
fn does_not_put_config_yaml_if_its_copy_failed() {
    let mut world = World::new();
    let unit = CustomerUnit::new(&world);
    let proxy = answer_in_place_of_s3(&mut world, COPIES, usize::MAX, "403 Forbidden", "");
    let deployed = unit.deploy(&world);
    assert!(
        deployed
            .expect_warning()
            .contains("config.yaml is not backed up"),
        "{deployed:?}"
    );
    assert_eq!(
        (
            proxy.count_requests(COPIES),
            proxy.count_requests("PUT /mongodb-arena/terragrunt/airbnb/config.yaml")
        ),
        (1, 0)
    );
    assert_eq!(
        world
            .server
            .object("mongodb-arena", "terragrunt/airbnb/config.yaml")
            .map(|it| it.body),
        None
    );
    assert_eq!(deployed.record(&world).1["backup"], "spooled");
    drop(proxy);
    world.restore_endpoints();
    unit.deploy(&world).expect_success();
    assert_eq!(
        (world.spooled_items().len(), world.usage_records().len()),
        (0, 2)
    );
}

#[test]
fn records_the_version_if_config_yaml_could_not_be_put() {
    let mut world = World::new();
    let unit = CustomerUnit::new(&world);
    let proxy = answer_in_place_of_s3(
        &mut world,
        "PUT /mongodb-arena/terragrunt/airbnb/config.yaml",
        usize::MAX,
        "403 Forbidden",
        "",
    );
    let deployed = unit.deploy(&world);
    assert!(
        deployed
            .expect_warning()
            .contains("config.yaml is not backed up"),
        "{deployed:?}"
    );
    assert_eq!(world.spooled_items().len(), 1);
    let (_, record) = deployed.record(&world);
    assert_eq!(string_field(&record, "backup"), "uploaded");
    let copy = world
        .server
        .object("mongodb-arena", string_field(&record, "backup_key"))
        .expect("the version that the record names");
    assert_eq!(copy.body, test_support::CONFIG.as_bytes());
    drop(proxy);
    world.restore_endpoints();
    unit.deploy(&world).expect_success();
    assert_eq!(world.spooled_items(), Vec::<String>::new());
    assert_eq!(
        world
            .server
            .object("mongodb-arena", "terragrunt/airbnb/config.yaml")
            .expect("it")
            .body,
        copy.body
    );
}

#[test]
fn a_bucket_of_another_account_gets_nothing() {
    let world = World::new();
    let mut unit = CustomerUnit::new(&world);
    unit.set_variable("expected_bucket_owner", "210987654321");
    let deployed = unit.deploy(&world);
    let said = deployed.expect_warning();
    assert!(
        said.contains("the bucket does not belong to the account 210987654321"),
        "{said}"
    );
    assert_eq!(
        (
            world.server.keys("mongodb-arena", "").len(),
            world.spooled_items().len()
        ),
        (0, 2)
    );
    unit.set_variable("expected_bucket_owner", "123456789012");
    let next = unit.deploy(&world);
    assert_eq!(next.record(&world).1["backup"], "uploaded");
    assert!(
        next.expect_warning().contains("210987654321"),
        "what was meant for another account stays: {next:?}"
    );
    assert_eq!(world.spooled_items().len(), 2);
}

#[test]
fn names_a_wrong_clock_from_a_head_response() {
    let mut world = World::new();
    let unit = CustomerUnit::new(&world);
    let _proxy = answer_in_place_of_s3(
        &mut world,
        "HEAD ",
        usize::MAX,
        "403 Forbidden\r\ndate: Mon, 01 Jan 2024 00:00:00 GMT",
        "",
    );
    let deployed = unit.deploy(&world);
    let said = deployed.expect_warning();
    assert!(
        said.contains("this machine's clock is ")
            && said.contains(" minutes ahead of that of AWS; "),
        "{said}"
    );
    assert!(said.contains("set the clock"), "{said}");
}

#[test]
fn a_server_that_refuses_every_write_is_not_said_to_lack_conditional_writes() {
    let mut world = World::new();
    let unit = CustomerUnit::new(&world);
    let body = "<Error><Code>NotImplemented</Code><Message>No checksums here</Message></Error>";
    let _proxy = answer_in_place_of_s3(&mut world, "PUT ", usize::MAX, "501 Not Implemented", body);
    let deployed = unit.deploy(&world);
    let said = deployed.expect_warning();
    assert!(said.contains("NotImplemented: No checksums here"), "{said}");
    assert!(!said.contains("conditional writes"), "{said}");
}

#[test]
fn the_region_in_a_sentence_is_followed() {
    let mut world = World::with_bucket_in("eu-west-1");
    let unit = CustomerUnit::new(&world);
    let body = "<Error><Code>AuthorizationHeaderMalformed</Code><Message>The authorization header is \
                malformed; the region 'us-east-1' is wrong; expecting 'eu-west-1'</Message></Error>";
    let proxy = answer_in_place_of_s3(&mut world, "PUT ", 1, "400 Bad Request", body);
    unit.deploy(&world).expect_success();
    assert!(proxy.count_requests("PUT ") > 1);
}

#[test]
fn a_server_without_conditional_writes_gets_each_object_once_and_says_so_once() {
    let mut world = World::new();
    let unit = CustomerUnit::new(&world);
    let upstream = world.server.endpoint();
    let proxy = FaultyProxy::start(&upstream, |_| RequestFate::WithoutConditions);
    world.set_endpoint(&proxy.endpoint());
    let first = unit.deploy(&world);
    let said = first.expect_warning();
    assert!(
        said.contains("the server has no conditional writes"),
        "{said}"
    );
    assert_eq!(first.record(&world).1["backup"], "uploaded");

    // Without the look before each write, records of the same second would replace each other.
    let deployments: Vec<_> = (0..4)
        .map(|_| unit.deploy(&world).expect_success())
        .collect();
    assert_eq!(deployments.len() + 1, world.usage_records().len());
    assert_eq!(world.spooled_items(), Vec::<String>::new());
    let puts_of_config = proxy.count_requests("PUT /mongodb-arena/terragrunt/airbnb/config.yaml");
    assert_eq!(puts_of_config, 1);
}

fn deploy_with_profile(profile: &str, cache: Option<(&str, &str)>) -> (World, AppliedDeployment) {
    let world = World::new();
    let mut unit = CustomerUnit::new(&world);
    fs::write(world.home().join(".aws/config"), profile).expect("a profile");
    if let Some((name, content)) = cache {
        fs::create_dir_all(world.home().join(".aws/sso/cache")).expect("a folder");
        fs::write(world.home().join(".aws/sso/cache").join(name), content).expect("a token");
    }
    unit.set_variable("aws_profile", "team");
    let deployed = unit.deploy(&world);
    assert_eq!(world.spooled_items().len(), 2);
    (world, deployed)
}

#[test]
fn names_an_expired_sso_login_and_the_command_that_renews_it() {
    let profile = "[profile team]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = Admin\n\
                   [sso-session corp]\nsso_start_url = https://corp.example/start\nsso_region = us-east-1\n";
    // The file name is the SHA-1 of the SSO session name: printf corp | sha1sum
    let name = "ee0bfd2552fbd840c02cc48b6e823320543c450f.json";
    let token = "{\"accessToken\":\"canary-user-password\",\"expiresAt\":\"2024-01-01T00:00:00Z\"}";
    for cache in [None, Some((name, token))] {
        let (_world, deployed) = deploy_with_profile(profile, cache);
        let said = deployed.expect_warning();
        assert!(
            said.contains("no AWS credentials") && said.contains("`aws sso login --profile team`"),
            "{said}"
        );
        assert!(!format!("{deployed:?}").contains("canary"), "{deployed:?}");
    }
}

#[test]
fn explains_that_a_profile_with_mfa_cannot_prompt() {
    let profile = "[profile team]\nrole_arn = arn:aws:iam::123456789012:role/Admin\nsource_profile = default\n\
                   mfa_serial = arn:aws:iam::123456789012:mfa/john.doe\n";
    let (_world, deployed) = deploy_with_profile(profile, None);
    let said = deployed.expect_warning();
    assert!(
        said.contains("the profile asks for a second factor (mfa_serial)"),
        "{said}"
    );
}

#[test]
fn names_a_failed_credential_process_without_its_output() {
    let (_world, deployed) = deploy_with_profile(PROFILE_OF_FAILING_PROCESS, None);
    let said = deployed.expect_warning();
    assert!(said.contains("no AWS credentials"), "{said}");
    assert!(!format!("{deployed:?}").contains("canary"), "{deployed:?}");
}

#[test]
fn names_an_unreachable_proxy_without_its_password() {
    let mut world = World::new();
    let unit = CustomerUnit::new(&world);
    let proxy = refused_endpoint();
    let address = proxy.trim_start_matches("http://");
    world.set_endpoint("https://s3.us-east-1.amazonaws.com");
    world.set_variable(
        "HTTPS_PROXY",
        Some(&format!("http://jane:canary-user-password@{address}")),
    );
    let deployed = unit.deploy(&world);
    let said = deployed.expect_warning();
    assert!(
        said.contains(&format!("check the network, VPN and proxy ({proxy})")),
        "{said}"
    );
    assert!(!format!("{deployed:?}").contains("canary"), "{deployed:?}");
}

#[test]
fn names_an_unreadable_certificate_bundle() {
    let mut world = World::new();
    let unit = CustomerUnit::new(&world);
    world.set_variable("AWS_CA_BUNDLE", Some("/no/such/bundle.pem"));
    let deployed = unit.deploy(&world);
    let said = deployed.expect_warning();
    assert!(
        said.contains("AWS_CA_BUNDLE, `/no/such/bundle.pem`: No such file"),
        "{said}"
    );
    assert_eq!(string_field(&deployed.answer, "status"), "error");
    assert_eq!(world.spooled_items().len(), 2);
}

#[test]
fn suggests_a_fix_for_missing_certificates() {
    let mut world = World::new();
    let mut unit = CustomerUnit::new(&world);
    unit.set_variable("timeout", "3");
    for name in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
        world.set_variable(name, Some("/nonexistent"));
    }
    let secure = test_support::faulty_proxy::FaultyProxy::black_hole()
        .endpoint()
        .replace("http:", "https:");
    world.set_endpoint(&secure);
    let deployed = unit.deploy(&world);
    deployed.expect_warning();
    assert_eq!(world.spooled_items().len(), 2);
    let replay = world.helper_command(&["replay"]).output().expect("replay");
    assert_eq!(replay.status.code(), Some(6), "{replay:?}");
}

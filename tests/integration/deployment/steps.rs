//! The bucket after a first deployment, an unchanged one and a changed one.

use test_support::oracle::{
    format_rfc3339, key_timestamp, keys_in_order, python_digest, unix_now, wait_for_next_second,
};
use test_support::terraform_steps::{CustomerUnit, string_field};
use test_support::{BUCKET, CONFIG, CONFIG_MD5, JANE_ARN, JOHN_ARN, World};

const CONFIG_KEY: &str = "terragrunt/airbnb/config.yaml";

#[test]
fn the_first_deployment_leaves_config_history_and_record() {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    let before = unix_now();
    let deployed = unit.deploy(&world).expect_success();
    let times: Vec<String> = (before..=unix_now()).map(format_rfc3339).collect();

    let config = world
        .server
        .object(BUCKET, CONFIG_KEY)
        .expect("config.yaml");
    assert_eq!(config.body, CONFIG.as_bytes());
    let captured_at = config.metadata["captured-at"].clone();
    assert!(
        times.contains(&captured_at),
        "{captured_at} is none of {times:?}"
    );
    assert_eq!(config.metadata["md5"], CONFIG_MD5);
    assert_eq!(
        config.metadata["sha256"],
        python_digest("sha256", CONFIG.as_bytes())
    );
    assert_eq!(
        config.metadata["backup-id"],
        string_field(&deployed.context, "backup_id")
    );
    assert_eq!(config.metadata["deployment-id"], deployed.deployment_id());

    let history_key = format!(
        "terragrunt/airbnb/config-history/{}_{CONFIG_MD5}.yaml",
        key_timestamp(&captured_at)
    );
    let history = world
        .server
        .object(BUCKET, &history_key)
        .expect("a history copy");
    assert_eq!(
        (history.body, history.metadata),
        (config.body, config.metadata)
    );

    let (log_key, record) = deployed.record(&world);
    let timestamp = string_field(&record, "timestamp");
    assert!(
        times.iter().any(|time| time == timestamp),
        "{timestamp} is none of {times:?}"
    );
    assert_eq!(
        log_key,
        format!("usage-logs/airbnb/{}.json", key_timestamp(timestamp))
    );
    let seal_key = format!(
        "terragrunt/airbnb/usage-chain/{}.json",
        string_field(&record["chain"], "writer")
    );
    assert_eq!(
        world.server.keys(BUCKET, ""),
        [
            history_key.clone(),
            CONFIG_KEY.to_owned(),
            seal_key,
            log_key.clone()
        ]
    );

    let uri = |key: &str| format!("s3://mongodb-arena/{key}");
    assert_eq!(
        string_field(&deployed.answer, "backup_uri"),
        uri(&history_key)
    );
    assert_eq!(string_field(&deployed.answer, "log_uri"), uri(&log_key));
    assert_eq!(
        (
            string_field(&deployed.answer, "config_hash"),
            string_field(&deployed.answer, "caller_arn")
        ),
        (CONFIG_MD5, JOHN_ARN)
    );
    assert_eq!(
        deployed.message(),
        format!(
            "config.yaml saved (698bc8b0, new), deployment logged for john.doe: {}",
            uri(&log_key)
        )
    );
    assert_eq!(world.spooled_items(), Vec::<String>::new());
}

#[test]
fn a_record_is_one_line_with_its_fields_in_the_documented_order() {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    let deployed = unit.deploy(&world).expect_success();
    let (key, record) = deployed.record(&world);
    let body = world.server.object(BUCKET, &key).expect("it").body;
    let (timestamp, backup_key) = (
        string_field(&record, "timestamp"),
        string_field(&record, "backup_key"),
    );
    let expected = format!(
        "{{\"timestamp\":\"{timestamp}\",\"customer\":\"airbnb\",\"user\":\"{JOHN_ARN}\",\"user_id\":\"AIDADEFAULT\",\
         \"account\":\"123456789012\",\"config_hash\":\"{CONFIG_MD5}\",\"additional_users_count\":5,\
         \"project_name\":\"airbnb-project\",\"cluster_name\":\"arena-cluster\",\"schema\":1,\"deployment_id\":\"{}\",\
         \"backup\":\"uploaded\",\"backup_key\":\"{backup_key}\"",
        deployed.deployment_id()
    );
    let line = String::from_utf8(body.clone()).expect("UTF-8");
    assert!(line.starts_with(&expected), "{line}");
    assert!(
        line.ends_with("}\n") && line.matches('\n').count() == 1,
        "{line}"
    );
    assert!(
        world.server.object(BUCKET, backup_key).is_some(),
        "{backup_key}"
    );
    let order = keys_in_order(&body);
    assert_eq!(
        order[13..],
        ["tools", "chain", "config_sha256"],
        "no checkout, no CI, not late"
    );
    assert_eq!(record["tools"]["config_backup"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn an_unchanged_config_is_logged_and_not_uploaded_again() {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    let first = unit.deploy(&world).expect_success();
    let uploads = world.count_requests("PutObject", "terragrunt/airbnb/config");
    let second = unit.deploy(&world).expect_success();
    assert_eq!(
        world.count_requests("PutObject", "terragrunt/airbnb/config"),
        uploads
    );
    let ((_, one), (_, two)) = (first.record(&world), second.record(&world));
    assert_eq!(
        (string_field(&one, "backup"), string_field(&two, "backup")),
        ("uploaded", "unchanged")
    );
    assert_eq!(one["backup_key"], two["backup_key"]);
    assert_eq!(two["config_hash"], CONFIG_MD5);
}

#[test]
fn another_checkout_does_not_upload_what_is_there() {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    unit.deploy(&world).expect_success();
    let uploads = world.count_requests("PutObject", "terragrunt/airbnb/config");
    // Another checkout of the same customer, without a Terraform state.
    let other = CustomerUnit::in_folder(&world, "checkout of a colleague/airbnb");
    let deployed = other.deploy(&world).expect_success();
    let expected = "config.yaml saved (698bc8b0, unchanged), deployment logged for john.doe: s3://";
    assert!(deployed.message().starts_with(expected), "{deployed:?}");
    assert_eq!(
        world.count_requests("PutObject", "terragrunt/airbnb/config"),
        uploads
    );
    assert_eq!(deployed.record(&world).1["backup"], "unchanged");
}

#[test]
fn the_history_copy_comes_before_whatever_names_it() {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    for content in [CONFIG.to_owned(), CONFIG.replace("M30", "M40")] {
        unit.write_config(content);
        // A record that shares its second with another one is sealed twice.
        wait_for_next_second(unix_now());
        let before = world.server.requests().len();
        unit.deploy(&world).expect_success();
        let requests = world.server.requests().split_off(before);
        let puts: Vec<&str> = requests
            .iter()
            .filter(|it| it.method == "PUT" && it.status == 200)
            .map(|it| it.key.as_str())
            .collect();
        assert_eq!(puts.len(), 4, "{puts:?}");
        assert!(
            puts[0].starts_with("terragrunt/airbnb/config-history/"),
            "{puts:?}"
        );
        let mut others = puts[1..].to_vec();
        others.sort_unstable();
        assert_eq!(others[0], CONFIG_KEY);
        assert!(
            others[1].starts_with("terragrunt/airbnb/usage-chain/")
                && others[2].starts_with("usage-logs/airbnb/"),
            "{puts:?}"
        );
    }
}

#[test]
fn a_deployment_needs_the_three_permissions_and_no_more() {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    unit.deploy(&world).expect_success();
    unit.write_config(CONFIG.replace("M30", "M40"));
    unit.deploy(&world).expect_success();
    for request in world.server.requests() {
        let allowed = [
            "HeadObject",
            "GetObject",
            "PutObject",
            "ListObjectsV2",
            "GetCallerIdentity",
        ]; // s3:GetObject, PutObject, ListBucket
        assert!(allowed.contains(&request.operation.as_str()), "{request:?}");
    }
}

#[test]
fn a_saved_plan_is_logged_under_the_name_of_whoever_applies_it() {
    let world = World::new();
    let mut unit = CustomerUnit::new(&world);
    let context = unit.plan(&world);
    assert_eq!(string_field(&context, "caller_arn"), JOHN_ARN);
    unit.set_variable("aws_profile", "jane");
    let deployed = unit.apply(&world, context).expect_success();
    let (_, record) = deployed.record(&world);
    assert_eq!(
        (
            string_field(&record, "user"),
            string_field(&record, "user_id")
        ),
        (JANE_ARN, "AIDAJANE")
    );
    assert_eq!(string_field(&deployed.answer, "caller_arn"), JANE_ARN);
}

#[test]
fn credentials_of_the_environment_do_where_there_is_no_such_profile() {
    let mut world = World::new();
    let mut unit = CustomerUnit::new(&world);
    unit.set_variable("aws_profile", "of-my-laptop");
    world.set_variable("AWS_ACCESS_KEY_ID", Some("AKIAJANE"));
    world.set_variable("AWS_SECRET_ACCESS_KEY", Some("secret-of-jane"));
    let deployed = unit.deploy(&world).expect_success();
    assert_eq!(deployed.record(&world).1["user"], JANE_ARN);
}

#[test]
fn credentials_of_the_environment_do_where_the_profile_has_none() {
    // As `aws configure set region` leaves it in CI.
    let mut world = World::new();
    std::fs::write(
        world.home().join(".aws/config"),
        "[profile ci]\nregion = eu-west-1\n",
    )
    .unwrap();
    let mut unit = CustomerUnit::new(&world);
    unit.set_variable("aws_profile", "ci");
    world.set_variable("AWS_ACCESS_KEY_ID", Some("AKIAJANE"));
    world.set_variable("AWS_SECRET_ACCESS_KEY", Some("secret-of-jane"));
    assert_eq!(
        unit.deploy(&world).expect_success().record(&world).1["user"],
        JANE_ARN
    );
}

#[test]
fn a_profile_that_is_named_beats_the_environments_credentials() {
    let mut world = World::new();
    let mut unit = CustomerUnit::new(&world);
    unit.set_variable("aws_profile", "jane");
    world.set_variable("AWS_ACCESS_KEY_ID", Some("AKIADEFAULT"));
    world.set_variable("AWS_SECRET_ACCESS_KEY", Some("secret-of-default"));
    assert_eq!(
        unit.deploy(&world).expect_success().record(&world).1["user"],
        JANE_ARN
    );
}

//! A deployment by hand: what lies in the bucket after the first one, an unchanged one and a changed one.

use test_support::oracle::{digest, keys_in_order, pass_the_second, rfc3339, stamp, unix_now};
use test_support::terraform_steps::{Unit, string};
use test_support::{BUCKET, CONFIG, CONFIG_MD5, JANE, JOHN, World};

const CONFIG_KEY: &str = "terragrunt/airbnb/config.yaml";

#[test]
fn the_first_deployment_leaves_config_history_and_record() {
    let world = World::new();
    let unit = Unit::new(&world);
    let before = unix_now();
    let deployed = unit.deploy(&world).went_well();
    let times: Vec<String> = (before..=unix_now()).map(rfc3339).collect();

    let config = world.server.object(BUCKET, CONFIG_KEY).expect("config.yaml");
    assert_eq!(config.body, CONFIG.as_bytes());
    let captured_at = config.metadata["captured-at"].clone();
    assert!(times.contains(&captured_at), "{captured_at} is none of {times:?}");
    assert_eq!(config.metadata["md5"], CONFIG_MD5);
    assert_eq!(config.metadata["sha256"], digest("sha256", CONFIG.as_bytes()));
    assert_eq!(config.metadata["backup-id"], string(&deployed.context, "backup_id"));
    assert_eq!(config.metadata["deployment-id"], deployed.id());

    let history_key = format!("terragrunt/airbnb/config-history/{}_{CONFIG_MD5}.yaml", stamp(&captured_at));
    let history = world.server.object(BUCKET, &history_key).expect("a history copy");
    assert_eq!((history.body, history.metadata), (config.body, config.metadata));

    let (log_key, record) = deployed.record(&world);
    let timestamp = string(&record, "timestamp");
    assert!(times.iter().any(|time| time == timestamp), "{timestamp} is none of {times:?}");
    assert_eq!(log_key, format!("usage-logs/airbnb/{}.json", stamp(timestamp)));
    let seal_key = format!("terragrunt/airbnb/usage-chain/{}.json", string(&record["chain"], "writer"));
    assert_eq!(world.server.keys(BUCKET, ""), [history_key.clone(), CONFIG_KEY.to_owned(), seal_key, log_key.clone()]);

    let uri = |key: &str| format!("s3://mongodb-arena/{key}");
    assert_eq!(string(&deployed.answer, "backup_uri"), uri(&history_key));
    assert_eq!(string(&deployed.answer, "log_uri"), uri(&log_key));
    assert_eq!((string(&deployed.answer, "config_hash"), string(&deployed.answer, "caller_arn")), (CONFIG_MD5, JOHN));
    assert!(deployed.message().contains(&uri(&history_key)) && deployed.message().contains(&uri(&log_key)), "{}", deployed.message());
    assert_eq!(world.spooled(), Vec::<String>::new());
}

#[test]
fn a_record_is_one_line_with_its_fields_in_the_documented_order() {
    let world = World::new();
    let unit = Unit::new(&world);
    let deployed = unit.deploy(&world).went_well();
    let (key, record) = deployed.record(&world);
    let body = world.server.object(BUCKET, &key).expect("it").body;
    let (timestamp, backup_key) = (string(&record, "timestamp"), string(&record, "backup_key"));
    let expected = format!(
        "{{\"timestamp\":\"{timestamp}\",\"customer\":\"airbnb\",\"user\":\"{JOHN}\",\"user_id\":\"AIDADEFAULT\",\
         \"account\":\"123456789012\",\"config_hash\":\"{CONFIG_MD5}\",\"additional_users_count\":5,\
         \"project_name\":\"airbnb-project\",\"cluster_name\":\"arena-cluster\",\"schema\":1,\"deployment_id\":\"{}\",\
         \"backup\":\"uploaded\",\"backup_key\":\"{backup_key}\"",
        deployed.id()
    );
    let line = String::from_utf8(body.clone()).expect("UTF-8");
    assert!(line.starts_with(&expected), "{line}");
    assert!(line.ends_with("}\n") && line.matches('\n').count() == 1, "{line}");
    assert!(world.server.object(BUCKET, backup_key).is_some(), "{backup_key}");
    let order = keys_in_order(&body);
    assert_eq!(order[13..], ["tools", "chain"], "no checkout, no CI, not late");
    assert_eq!(record["tools"]["config_backup"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn an_unchanged_config_is_logged_and_not_uploaded_again() {
    let world = World::new();
    let unit = Unit::new(&world);
    let first = unit.deploy(&world).went_well();
    let uploads = world.count("PutObject", "terragrunt/airbnb/config");
    let second = unit.deploy(&world).went_well();
    assert_eq!(world.count("PutObject", "terragrunt/airbnb/config"), uploads);
    let ((_, one), (_, two)) = (first.record(&world), second.record(&world));
    assert_eq!((string(&one, "backup"), string(&two, "backup")), ("uploaded", "unchanged"));
    assert_eq!(one["backup_key"], two["backup_key"]);
    assert_eq!(two["config_hash"], CONFIG_MD5);
}

#[test]
fn another_checkout_does_not_upload_what_is_there() {
    let world = World::new();
    let unit = Unit::new(&world);
    unit.deploy(&world).went_well();
    let uploads = world.count("PutObject", "terragrunt/airbnb/config");
    // Another checkout of the same customer: its Terraform state knows nothing of the backup yet.
    let other = Unit::in_folder(&world, "checkout of a colleague/airbnb");
    let deployed = other.deploy(&world).went_well();
    assert!(deployed.message().contains("config.yaml is unchanged since s3://mongodb-arena/"));
    assert_eq!(world.count("PutObject", "terragrunt/airbnb/config"), uploads);
    assert_eq!(deployed.record(&world).1["backup"], "unchanged");
}

#[test]
fn the_history_copy_comes_before_whatever_names_it() {
    let world = World::new();
    let unit = Unit::new(&world);
    for content in [CONFIG.to_owned(), CONFIG.replace("M30", "M40")] {
        unit.write(content);
        // A record whose second another one has already is sealed twice.
        pass_the_second(unix_now());
        let before = world.server.requests().len();
        unit.deploy(&world).went_well();
        let requests = world.server.requests().split_off(before);
        let puts: Vec<&str> = requests.iter().filter(|it| it.method == "PUT" && it.status == 200).map(|it| it.key.as_str()).collect();
        assert_eq!(puts.len(), 4, "{puts:?}");
        assert!(puts[0].starts_with("terragrunt/airbnb/config-history/"), "{puts:?}");
        let mut others = puts[1..].to_vec();
        others.sort_unstable();
        assert_eq!(others[0], CONFIG_KEY);
        assert!(others[1].starts_with("terragrunt/airbnb/usage-chain/") && others[2].starts_with("usage-logs/airbnb/"), "{puts:?}");
    }
}

#[test]
fn a_deployment_needs_the_three_permissions_and_no_more() {
    let world = World::new();
    let unit = Unit::new(&world);
    unit.deploy(&world).went_well();
    unit.write(CONFIG.replace("M30", "M40"));
    unit.deploy(&world).went_well();
    for request in world.server.requests() {
        let allowed = ["HeadObject", "GetObject", "PutObject", "ListObjectsV2", "GetCallerIdentity"]; // s3:GetObject, PutObject, ListBucket
        assert!(allowed.contains(&request.operation.as_str()), "{request:?}");
    }
}

#[test]
fn a_saved_plan_is_logged_under_the_name_of_whoever_applies_it() {
    let world = World::new();
    let mut unit = Unit::new(&world);
    let context = unit.plan(&world);
    assert_eq!(string(&context, "caller_arn"), JOHN);
    unit.set("aws_profile", "jane");
    let deployed = unit.apply(&world, context).went_well();
    let (_, record) = deployed.record(&world);
    assert_eq!((string(&record, "user"), string(&record, "user_id")), (JANE, "AIDAJANE"));
    assert_eq!(string(&deployed.answer, "caller_arn"), JANE);
}

#[test]
fn credentials_of_the_environment_do_where_there_is_no_such_profile() {
    let mut world = World::new();
    let mut unit = Unit::new(&world);
    unit.set("aws_profile", "of-my-laptop");
    world.set_variable("AWS_ACCESS_KEY_ID", Some("AKIAJANE"));
    world.set_variable("AWS_SECRET_ACCESS_KEY", Some("secret-of-jane"));
    let deployed = unit.deploy(&world).went_well();
    assert_eq!(deployed.record(&world).1["user"], JANE);
}

#[test]
fn credentials_of_the_environment_do_where_the_profile_has_none() {
    // As `aws configure set region` leaves it in CI.
    let mut world = World::new();
    std::fs::write(world.home().join(".aws/config"), "[profile ci]\nregion = eu-west-1\n").unwrap();
    let mut unit = Unit::new(&world);
    unit.set("aws_profile", "ci");
    world.set_variable("AWS_ACCESS_KEY_ID", Some("AKIAJANE"));
    world.set_variable("AWS_SECRET_ACCESS_KEY", Some("secret-of-jane"));
    assert_eq!(unit.deploy(&world).went_well().record(&world).1["user"], JANE);
}

#[test]
fn a_profile_that_is_named_beats_the_environments_credentials() {
    let mut world = World::new();
    let mut unit = Unit::new(&world);
    unit.set("aws_profile", "jane");
    world.set_variable("AWS_ACCESS_KEY_ID", Some("AKIADEFAULT"));
    world.set_variable("AWS_SECRET_ACCESS_KEY", Some("secret-of-default"));
    assert_eq!(unit.deploy(&world).went_well().record(&world).1["user"], JANE);
}

//! The policies of `iam` on a server that enforces them: each allows its commands, every statement
//! is needed, and other requests are denied. Conditions are evaluated; `iam-rs` reads policies as
//! AWS does.

use std::collections::BTreeMap;

use embedded_aws::AccessPolicies;
use serde_json::Value;

use crate::commands::{command_answer, run_command_as};
use crate::compact::command::compact_successfully;
use test_support::s3_client::S3TestClient;
use test_support::terraform_steps::CustomerUnit;
use test_support::{BUCKET, CONFIG, World, refused_endpoint, to_text};

pub(crate) fn print_policy(world: &World, arguments: &[&str]) -> String {
    let output = world
        .helper_command(&["iam"])
        .args(arguments)
        .output()
        .expect("it starts");
    assert_eq!(
        (output.status.code(), to_text(&output.stderr)),
        (Some(0), String::new()),
        "{arguments:?}"
    );
    to_text(&output.stdout)
}

/// Applies a policy to John, and the bucket policy to every user.
pub(crate) fn enforce_policies(world: &World, john: &str, bucket: Option<&str>) {
    let identities = BTreeMap::from([("AKIADEFAULT".to_owned(), john.to_owned())]);
    world
        .server
        .govern(&AccessPolicies {
            identities,
            bucket: bucket.map(str::to_owned),
            tls: true,
        })
        .expect("policies");
}

#[track_caller]
pub(crate) fn assert_denied(result: Result<(), String>) {
    let why = result.expect_err("it is allowed");
    assert!(why.contains("AccessDenied"), "{why}");
}

/// Two deployments with a change between them, a late one, and a report.
pub(crate) fn deployments_go_well(world: &mut World) -> Result<(), String> {
    let mut unit = CustomerUnit::new(world);
    let deploy = |world: &World, unit: &mut CustomerUnit| {
        let done = unit.deploy(world);
        if done.answer["status"] == "ok" {
            Ok(())
        } else {
            Err(done.message().to_owned())
        }
    };
    deploy(world, &mut unit)?;
    unit.write_config(CONFIG.replace("M30", "M40"));
    deploy(world, &mut unit)?;
    world.set_endpoint(&refused_endpoint());
    unit.write_config(CONFIG.replace("M30", "M50"));
    unit.deploy(world).expect_warning();
    world.restore_endpoints();
    let replayed = world.helper_command(&["replay"]).output().expect("replay");
    if !to_text(&replayed.stdout).starts_with("2 sent, 0 left") {
        return Err(to_text(&replayed.stdout));
    }
    let (code, csv, messages) = run_command_as(world, "default", &["report", "airbnb"]);
    if code == Some(0) && csv.lines().count() > 1 && messages.is_empty() {
        Ok(())
    } else {
        Err(messages)
    }
}

/// Adds a record that only the archive has.
pub(crate) fn with_an_archive(world: &World) {
    let key = "usage-logs/airbnb/2026-01-02_030405.json";
    let record = b"{\"customer\":\"airbnb\",\"user\":\"arn:aws:iam::123456789012:user/jane\",\"timestamp\":\"2026-01-02T03:04:05Z\"}\n";
    world
        .server
        .put(BUCKET, key, record, &[])
        .expect("a record");
    compact_successfully(world, &[]);
    S3TestClient::new(&world.server.endpoint()).delete(key);
}

#[test]
fn the_writer_policy_and_the_bucket_policy_allow_a_deployment() {
    let mut world = World::new();
    let bucket = print_policy(&world, &["bucket"]);
    for arguments in [
        &["writer"][..],
        &[
            "writer",
            "--customer",
            "airbnb",
            "--account",
            "123456789012",
        ],
    ] {
        enforce_policies(&world, &print_policy(&world, arguments), Some(&bucket));
        deployments_go_well(&mut world).unwrap_or_else(|why| panic!("{arguments:?}: {why}"));
    }
    enforce_policies(
        &world,
        &print_policy(&world, &["writer", "--account", "210987654321"]),
        Some(&bucket),
    );
    deployments_go_well(&mut world).expect_err("the bucket is of another account");
}

#[test]
fn the_writer_policy_works_for_a_customer_with_an_odd_name() {
    let world = World::new();
    let earlier = "usage-logs/Foo Bar/d188280766a258ccc135ef480b49230c.json";
    world
        .server
        .put(
            BUCKET,
            earlier,
            b"{\"customer\":\"Foo Bar\",\"user\":\"arn:aws:iam::123456789012:user/jane\",\"timestamp\":\"2026-01-02T03:04:05Z\"}\n",
            &[],
        )
        .expect("a record");
    enforce_policies(
        &world,
        &print_policy(&world, &["writer", "--customer", "Foo Bar"]),
        Some(&print_policy(&world, &["bucket"])),
    );
    let mut unit = CustomerUnit::new(&world);
    unit.set_variable("customer_name", "Foo Bar");
    unit.deploy(&world).expect_success();
    let csv = command_answer(&world, &["report", "Foo Bar"]);
    assert!(
        csv.lines().count() == 3 && csv.contains("2026-01-02,Foo Bar,"),
        "{csv}"
    );
    let client = S3TestClient::new(&world.server.endpoint());
    assert_denied(client.try_put_once("usage-logs/Foo Bar/x.json", "{}"));
    assert_eq!(
        client.try_put("terragrunt/Foo Bar/eks-cluster/terraform.tfstate", "{}"),
        Ok(())
    );
}

/// Every variant of `policy` without one list item or one statement.
pub(crate) fn narrower_policies(policy: &str) -> Vec<(String, String)> {
    let policy: Value = serde_json::from_str(policy).expect("JSON");
    let statements = policy["Statement"].as_array().expect("statements").len();
    let mut all = Vec::new();
    for number in 0..statements {
        let mut without = policy.clone();
        let gone = without["Statement"]
            .as_array_mut()
            .expect("statements")
            .remove(number);
        all.push((gone["Sid"].to_string(), without.to_string()));
        for path in ["/Action", "/Resource", "/Condition/StringLike/s3:prefix"] {
            let path = format!("/Statement/{number}{path}");
            for place in 0..policy
                .pointer(&path)
                .and_then(Value::as_array)
                .map_or(0, Vec::len)
            {
                let mut without = policy.clone();
                let gone = without
                    .pointer_mut(&path)
                    .and_then(Value::as_array_mut)
                    .expect("a list")
                    .remove(place);
                all.push((format!("{gone} of {path}"), without.to_string()));
            }
        }
    }
    all
}

#[test]
fn every_statement_of_the_writer_policy_is_needed() {
    let policy = print_policy(&World::new(), &["writer", "--customer", "airbnb"]);
    let narrower = narrower_policies(&policy);
    assert_eq!(
        narrower.len(),
        3 + 2 + 2 + 3,
        "statements, actions, resources, prefixes"
    );
    for (gone, policy) in narrower {
        let mut world = World::new();
        with_an_archive(&world);
        enforce_policies(&world, &policy, None);
        assert!(
            deployments_go_well(&mut world).is_err(),
            "it went well without {gone}"
        );
    }
}

#[test]
fn a_writer_of_one_customer_cannot_read_another_or_delete() {
    let mut world = World::new();
    deployments_go_well(&mut world).expect("a deployment");
    let client = S3TestClient::new(&world.server.endpoint());
    let (record, config) = (
        world.usage_records().remove(0).0,
        "terragrunt/airbnb/config.yaml",
    );
    let others = [
        "usage-logs/acme/x.json",
        "terragrunt/acme/config.yaml",
        "terragrunt/airbnb-2/config.yaml",
        "usage-logs/airbnb-2/x.json",
    ];
    for key in others {
        client.put(key, "of another");
    }
    enforce_policies(
        &world,
        &print_policy(&world, &["writer", "--customer", "airbnb"]),
        None,
    );
    for key in others {
        assert_denied(client.try_get(key));
        assert_denied(client.try_put(key, "mine"));
        // The answer does not reveal that the object is missing.
        assert_denied(client.try_get(&format!("{key}.bak")));
    }
    for prefix in [
        None,
        Some(""),
        Some("terragrunt/"),
        Some("usage-logs/"),
        Some("usage-logs/acme/"),
        Some("terragrunt/airbnb-2/"),
    ] {
        assert_denied(client.try_list(prefix));
    }
    for key in [record.as_str(), config, "terragrunt/acme/config.yaml"] {
        assert_denied(client.try_delete(key, false));
        assert_denied(client.try_delete(key, true));
    }
    assert_eq!(client.try_list(Some("usage-logs/airbnb/")), Ok(()));
    assert!(
        client
            .try_get("terragrunt/airbnb/gone")
            .is_err_and(|why| why.contains("NoSuchKey"))
    );
    // The message of the deployment.
    let mut unit = CustomerUnit::in_folder(&world, "acme");
    unit.set_variable("customer_name", "acme");
    assert!(
        unit.deploy(&world)
            .expect_warning()
            .contains("access denied")
    );
}

#[test]
fn permission_to_delete_lock_files_deletes_nothing_else() {
    let world = World::new();
    let client = S3TestClient::new(&world.server.endpoint());
    let state = "terragrunt/airbnb/eks-cluster/terraform.tfstate";
    let (own, of_another) = (
        format!("{state}.tflock"),
        format!("{state}.tflock").replace("airbnb", "acme"),
    );
    for arguments in [
        &["writer", "--lock-files"][..],
        &["writer", "--lock-files", "--customer", "airbnb"],
    ] {
        enforce_policies(
            &world,
            &print_policy(&world, arguments),
            Some(&print_policy(&world, &["bucket"])),
        );
        assert_eq!(
            client
                .try_put_once(&own, "{}")
                .and_then(|()| client.try_delete(&own, false)),
            Ok(())
        );
        for key in [
            "usage-logs/airbnb/x.json",
            "terragrunt/airbnb/config.yaml",
            state,
            "usage-logs/airbnb/x.tflock",
        ] {
            assert_denied(client.try_delete(key, false));
        }
    }
    assert_denied(client.try_delete(&of_another, false));
}

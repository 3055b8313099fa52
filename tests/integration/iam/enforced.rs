//! What is printed by `iam`, obeyed by a server: it is enough for the verbs, nothing of it is spare, and what it keeps people
//! from does not happen. Conditions count here; that a policy is read as AWS reads it, `iam-rs` stands for.

use std::collections::BTreeMap;

use embedded_aws::{Asked, Policies};
use serde_json::Value;

use crate::commands::{assert_refused, command_answer, run_command_as};
use crate::compact::command::{compact_successfully, run_compact};
use test_support::s3_client::S3TestClient;
use test_support::terraform_steps::CustomerUnit;
use test_support::{BUCKET, CONFIG, JOHN_ARN, World, refused_endpoint, to_text};

/// What `iam` prints.
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

/// Has John live with a policy, and everybody with that of the bucket.
pub(crate) fn enforce_policies(world: &World, john: &str, bucket: Option<&str>) {
    let identities = BTreeMap::from([("AKIADEFAULT".to_owned(), john.to_owned())]);
    world
        .server
        .govern(&Policies {
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

/// Two deployments with a change between them, one that comes late, and a report.
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

/// Has a record that only the archive has.
fn with_an_archive(world: &World) {
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
fn who_has_the_writers_policy_deploys_and_the_bucket_has_its_own() {
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
fn a_writer_of_a_customer_with_an_odd_name_deploys_and_reports() {
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

/// Each policy that lacks one string of one list, or one statement, of `policy`.
fn narrower_policies(policy: &str) -> Vec<(String, String)> {
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
fn nothing_of_the_writers_policy_is_spare() {
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
fn a_writer_of_one_customer_has_nothing_of_another_and_deletes_nothing() {
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
        // Nor is told what is not there.
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
    // As the deployment tells it.
    let mut unit = CustomerUnit::in_folder(&world, "acme");
    unit.set_variable("customer_name", "acme");
    assert!(
        unit.deploy(&world)
            .expect_warning()
            .contains("access denied")
    );
}

#[test]
fn who_may_take_lock_files_away_deletes_nothing_else() {
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

/// How many of the verbs that look back somebody with a policy can use. What `coverage` and `verify` find is no failure.
fn run_read_commands(world: &World, customer: &str) -> usize {
    let verbs: [&[&str]; ALL_VERBS] = [
        &["report", customer],
        &["history", customer],
        &["diff", customer, "latest", "latest"],
        &["restore", customer, "--stdout"],
        &["coverage", customer],
        &["verify", customer],
    ];
    let goes_well = |verb: &&&[&str]| {
        let (code, _, messages) = run_command_as(world, "default", verb);
        matches!(code, Some(0 | 7)) && !messages.contains("skipped the archive")
    };
    verbs.iter().filter(goes_well).count()
}

/// How many these are.
const ALL_VERBS: usize = 6;

#[test]
fn who_has_the_readers_policy_looks_back_and_writes_nothing() {
    let mut world = World::new();
    deployments_go_well(&mut world).expect("a deployment");
    let client = S3TestClient::new(&world.server.endpoint());
    // Of the earlier module, under the name as it is.
    client.put("terragrunt/Foo Bar/config.yaml", CONFIG);
    client.put(
        "usage-logs/Foo Bar/d188280766a258ccc135ef480b49230c.json",
        "{\"customer\":\"Foo Bar\"}\n",
    );
    client.put("terragrunt/airbnb/eks-cluster/terraform.tfstate", "{}");
    for customer in ["airbnb", "Foo Bar"] {
        enforce_policies(&world, &print_policy(&world, &["reader"]), None);
        assert_eq!(run_read_commands(&world, customer), ALL_VERBS, "{customer}");
        let policy = print_policy(&world, &["reader", "--customer", customer]);
        enforce_policies(&world, &policy, None);
        assert_eq!(run_read_commands(&world, customer), ALL_VERBS, "{customer}");
    }
    enforce_policies(
        &world,
        &print_policy(&world, &["reader", "--customer", "airbnb"]),
        None,
    );
    assert_eq!(run_read_commands(&world, "Foo Bar"), 0);
    assert_denied(client.try_get("terragrunt/airbnb/eks-cluster/terraform.tfstate"));
    assert_denied(client.try_put_once("usage-logs/airbnb/2026-11-24_000000.json", "{}"));
    assert_denied(client.try_put("terragrunt/airbnb/config.yaml", "mine"));
    assert_denied(client.try_delete("terragrunt/airbnb/config.yaml", false));
    assert_denied(client.try_list(None));
    let unit = CustomerUnit::in_folder(&world, "by a reader");
    assert!(
        unit.deploy(&world)
            .expect_warning()
            .contains("s3:PutObject")
    );
}

#[test]
fn nothing_of_the_readers_policy_is_spare() {
    let mut world = World::new();
    deployments_go_well(&mut world).expect("a deployment");
    // Without a copy, as the earlier module left it.
    world
        .server
        .put(BUCKET, "terragrunt/airbnb/config.yaml", b"a: 1\n", &[])
        .expect("an object");
    with_an_archive(&world);
    let narrower = narrower_policies(&print_policy(&world, &["reader", "--customer", "airbnb"]));
    assert_eq!(narrower.len(), 2 + 5 + 3, "statements, resources, prefixes");
    for (gone, policy) in narrower {
        enforce_policies(&world, &policy, None);
        world.move_to(&format!("home without {gone}").replace('/', " "));
        assert!(
            run_read_commands(&world, "airbnb") < ALL_VERBS,
            "all went well without {gone}"
        );
    }
}

#[test]
fn who_has_the_compactors_policy_archives_and_nothing_of_it_is_spare() {
    let world = World::new();
    with_an_archive(&world);
    let client = S3TestClient::new(&world.server.endpoint());
    let bucket = print_policy(&world, &["bucket"]);
    let policy = print_policy(&world, &["compactor", "--customer", "airbnb"]);
    let narrower = narrower_policies(&policy);
    assert_eq!(narrower.len(), 3 + 2 + 2, "statements, resources, prefixes");
    let all = narrower
        .iter()
        .map(|(gone, policy)| (gone.as_str(), policy.as_str(), false))
        .chain([("nothing", policy.as_str(), true)]);
    for (number, (gone, policy, suffices)) in all.enumerate() {
        let record = format!("usage-logs/airbnb/2026-02-02_03040{number}.json");
        world
            .server
            .put(BUCKET, &record, b"{\"customer\":\"airbnb\"}\n", &[])
            .expect("a record");
        enforce_policies(&world, policy, Some(&bucket));
        assert_eq!(
            run_compact(&world, &["airbnb"]).status.success(),
            suffices,
            "without {gone}"
        );
    }
    assert!(
        !run_compact(&world, &[]).status.success(),
        "of all customers"
    );
    let part = client.list_keys("usage-logs-archive/airbnb/").remove(0);
    assert_denied(client.try_put(&part, "over it"));
    assert_denied(client.try_delete(&part, false));
    assert_denied(client.try_put_once("usage-logs/airbnb/2026-02-02_040000.json", "{}"));
    assert_denied(client.try_get("terragrunt/airbnb/config.yaml"));
}

#[test]
fn versions_of_configs_are_read_by_who_may_and_by_no_other_reader() {
    let world = World::new();
    let of = |arguments: &[&str]| Policies {
        identities: BTreeMap::from([("AKIADEFAULT".to_owned(), print_policy(&world, arguments))]),
        tls: true,
        ..Policies::default()
    };
    let may = |policies: &Policies, action: &str, resource: String, prefix: Option<&str>| {
        let says = prefix
            .map(|prefix| ("s3:prefix", prefix.to_owned()))
            .into_iter()
            .collect();
        policies
            .allow(
                "AKIADEFAULT",
                JOHN_ARN,
                &Asked {
                    action: format!("s3:{action}"),
                    resource,
                    says,
                },
            )
            .expect("an answer")
    };
    let get = |policies: &Policies, key: &str| {
        may(
            policies,
            "GetObjectVersion",
            format!("{BUCKET}/{key}"),
            None,
        )
    };
    let list = |policies: &Policies, prefix| {
        may(policies, "ListBucketVersions", BUCKET.to_owned(), prefix)
    };
    for arguments in [
        &["reader", "--versions"][..],
        &["reader", "--versions", "--customer", "airbnb"],
    ] {
        let reader = of(arguments);
        assert!(
            get(&reader, "terragrunt/airbnb/config.yaml")
                && list(&reader, Some("terragrunt/airbnb/config"))
        );
        assert!(
            !get(&reader, "terragrunt/airbnb/eks-cluster/terraform.tfstate")
                && !get(&reader, "usage-logs/airbnb/x.json")
        );
        assert!(!list(&reader, None) && !list(&reader, Some("usage-logs/airbnb/")));
        assert!(may(
            &reader,
            "GetObject",
            format!("{BUCKET}/usage-logs/airbnb/x.json"),
            None
        ));
    }
    assert!(
        !get(&of(&["reader"]), "terragrunt/airbnb/config.yaml")
            && !list(&of(&["reader"]), Some("terragrunt/airbnb/config"))
    );
    assert!(!list(
        &of(&["reader", "--versions", "--customer", "airbnb"]),
        Some("terragrunt/acme/")
    ));
}

#[test]
fn who_may_read_records_only_sees_who_deployed_and_no_config() {
    let mut world = World::new();
    deployments_go_well(&mut world).expect("a deployment");
    let version = world
        .server
        .keys(BUCKET, "terragrunt/airbnb/config-history/")
        .remove(0);
    for arguments in [
        &["reader", "--records-only"][..],
        &["reader", "--records-only", "--customer", "airbnb"],
    ] {
        enforce_policies(&world, &print_policy(&world, arguments), None);
        let csv = command_answer(&world, &["report", "airbnb"]);
        assert!(
            csv.contains(JOHN_ARN.rsplit_once('/').expect("a name").1),
            "{csv}"
        );
        assert_refused(
            run_command_as(&world, "default", &["history", "airbnb"]),
            5,
            "s3:ListBucket",
        );
        let client = S3TestClient::new(&world.server.endpoint());
        for key in ["terragrunt/airbnb/config.yaml", &version] {
            assert_denied(client.try_get(key));
        }
    }
}

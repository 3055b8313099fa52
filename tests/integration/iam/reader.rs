//! The policies of readers and of the compactor, on a server that enforces them.

use std::collections::BTreeMap;

use embedded_aws::{AccessPolicies, RequestedAccess};

use crate::commands::{assert_refused, command_answer, run_command_as};
use crate::compact::command::run_compact;
use crate::iam::enforced::{
    assert_denied, deployments_go_well, enforce_policies, narrower_policies, print_policy,
    with_an_archive,
};
use test_support::s3_client::S3TestClient;
use test_support::terraform_steps::CustomerUnit;
use test_support::{BUCKET, CONFIG, JOHN_ARN, World};

/// The number of read commands that succeed. Findings of `coverage` and `verify` count as success.
fn run_read_commands(world: &World, customer: &str) -> usize {
    let commands: [&[&str]; ALL_COMMANDS] = [
        &["report", customer],
        &["history", customer],
        &["diff", customer, "latest", "latest"],
        &["restore", customer, "--stdout"],
        &["coverage", customer],
        &["verify", customer],
    ];
    let goes_well = |verb: &&&[&str]| {
        let (code, output, messages) = run_command_as(world, "default", verb);
        let has_read_all = !output.contains("unreadable: ") && !messages.contains("the archive: ");
        matches!(code, Some(0 | 7)) && has_read_all
    };
    commands.iter().filter(goes_well).count()
}

const ALL_COMMANDS: usize = 6;

#[test]
fn the_reader_policy_allows_reading_and_no_writing() {
    let mut world = World::new();
    deployments_go_well(&mut world).expect("a deployment");
    let client = S3TestClient::new(&world.server.endpoint());
    // A legacy record, under the unencoded name.
    client.put("terragrunt/Foo Bar/config.yaml", CONFIG);
    client.put(
        "usage-logs/Foo Bar/d188280766a258ccc135ef480b49230c.json",
        "{\"customer\":\"Foo Bar\"}\n",
    );
    client.put("terragrunt/airbnb/eks-cluster/terraform.tfstate", "{}");
    for customer in ["airbnb", "Foo Bar"] {
        enforce_policies(&world, &print_policy(&world, &["reader"]), None);
        assert_eq!(
            run_read_commands(&world, customer),
            ALL_COMMANDS,
            "{customer}"
        );
        let policy = print_policy(&world, &["reader", "--customer", customer]);
        enforce_policies(&world, &policy, None);
        assert_eq!(
            run_read_commands(&world, customer),
            ALL_COMMANDS,
            "{customer}"
        );
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
fn every_statement_of_the_reader_policy_is_needed() {
    let mut world = World::new();
    deployments_go_well(&mut world).expect("a deployment");
    // Without a copy, as the legacy module left it.
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
            run_read_commands(&world, "airbnb") < ALL_COMMANDS,
            "all went well without {gone}"
        );
    }
}

#[test]
fn the_compactor_policy_is_sufficient_and_minimal() {
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
fn only_a_reader_of_versions_reads_noncurrent_configs() {
    let world = World::new();
    let of = |arguments: &[&str]| AccessPolicies {
        identities: BTreeMap::from([("AKIADEFAULT".to_owned(), print_policy(&world, arguments))]),
        tls: true,
        ..AccessPolicies::default()
    };
    let may = |policies: &AccessPolicies, action: &str, resource: String, prefix: Option<&str>| {
        let says = prefix
            .map(|prefix| ("s3:prefix", prefix.to_owned()))
            .into_iter()
            .collect();
        policies
            .allow(
                "AKIADEFAULT",
                JOHN_ARN,
                &RequestedAccess {
                    action: format!("s3:{action}"),
                    resource,
                    says,
                },
            )
            .expect("an answer")
    };
    let get = |policies: &AccessPolicies, key: &str| {
        may(
            policies,
            "GetObjectVersion",
            format!("{BUCKET}/{key}"),
            None,
        )
    };
    let list = |policies: &AccessPolicies, prefix| {
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
fn a_reader_of_records_sees_no_config() {
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

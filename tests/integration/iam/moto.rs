//! The policies of `iam` on the IAM of moto, an independent implementation: users with these
//! policies on S3, with checked signatures. It evaluates actions and resources but not conditions,
//! so it does not limit listings.

use std::fs;
use std::io::Write as _;

use serde_json::Value;

use crate::commands::run_command_as;
use crate::iam::enforced::{assert_denied, print_policy};
use test_support::oracle::python_path;
use test_support::s3_client::S3TestClient;
use test_support::s3_servers::MotoServer;
use test_support::terraform_steps::CustomerUnit;
use test_support::{CONFIG, World, project_dir, run_with_input, to_text};

/// Creates a user with keys for each policy, and sets the bucket policy; then moto enforces IAM.
const SETUP: &str = r#"
import json, sys, urllib.request
sys.path.insert(0, sys.argv[1])
import boto3
endpoint, asked = sys.argv[2], json.load(sys.stdin)
client = lambda service: boto3.client(service, endpoint_url=endpoint, region_name="us-east-1",
                                      aws_access_key_id="AKIASETUP", aws_secret_access_key="setup")
iam, keys = client("iam"), {}
for name, policy in asked["users"].items():
    iam.create_user(UserName=name)
    arn = iam.create_policy(PolicyName=name, PolicyDocument=policy)["Policy"]["Arn"]
    iam.attach_user_policy(UserName=name, PolicyArn=arn)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    keys[name] = [key["AccessKeyId"], key["SecretAccessKey"]]
if asked["bucket"]:
    client("s3").put_bucket_policy(Bucket="mongodb-arena", Policy=asked["bucket"])
urllib.request.urlopen(urllib.request.Request(endpoint + "/moto-api/reset-auth", data=b"0", headers={"Content-Type": "text/plain"})).read()
print(json.dumps(keys))
"#;

/// A world on moto with a user and a profile for each policy, and a client for each user.
fn create_users<const N: usize>(
    world: &mut World,
    moto: &MotoServer,
    users: [(&str, String); N],
    bucket: Option<&str>,
) -> [S3TestClient; N] {
    let asked = serde_json::json!({"users": users.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(), "bucket": bucket});
    let mut python = world.command(python_path());
    python
        .args(["-c", SETUP])
        .arg(project_dir().join(".tools/lib/moto"))
        .arg(&moto.endpoint);
    let done = run_with_input(python, asked.to_string().as_bytes());
    assert!(done.status.success(), "{}", to_text(&done.stderr));
    let keys: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    let mut profiles = fs::OpenOptions::new()
        .append(true)
        .open(world.home().join(".aws/credentials"))
        .expect("profiles");
    world.set_endpoint(&moto.endpoint);
    users.map(|(name, _)| {
        let [id, secret] = [0, 1].map(|place| keys[name][place].as_str().expect("a key"));
        writeln!(
            profiles,
            "[{name}]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n"
        )
        .expect("a profile");
        S3TestClient::with_credentials(&moto.endpoint, id, secret)
    })
}

fn exit_code_as(world: &World, user: &str, arguments: &[&str]) -> Option<i32> {
    run_command_as(world, user, arguments).0
}

#[test]
fn the_printed_policies_allow_each_role_its_work_and_no_more() {
    let mut world = World::new();
    let moto = MotoServer::start(&world);
    // The names are unique because moto also reads the profiles of this machine.
    let policies = [
        (
            "deployer",
            print_policy(
                &world,
                &[
                    "writer",
                    "--customer",
                    "airbnb",
                    "--account",
                    "123456789012",
                ],
            ),
        ),
        ("everybodys", print_policy(&world, &["writer"])),
        (
            "lead",
            print_policy(&world, &["reader", "--customer", "airbnb"]),
        ),
        (
            "auditor",
            print_policy(&world, &["reader", "--records-only"]),
        ),
    ];
    let [writer, everybodys, reader, auditor] = create_users(&mut world, &moto, policies, None);

    let mut unit = CustomerUnit::new(&world);
    unit.set_variable("aws_profile", "deployer");
    unit.deploy(&world).expect_success();
    unit.write_config(CONFIG.replace("M30", "M40"));
    unit.deploy(&world).expect_success();
    let mut other = CustomerUnit::in_folder(&world, "acme");
    other.set_variable("customer_name", "acme");
    other.set_variable("aws_profile", "deployer");
    let denied = other.deploy(&world);
    assert!(
        denied.expect_warning().contains("access denied"),
        "{denied:?}"
    );
    // The next deployment with permission sends what that deployment spooled.
    other.set_variable("aws_profile", "everybodys");
    other.deploy(&world);

    let commands: [&[&str]; 3] = [
        &["report", "airbnb"],
        &["history", "airbnb"],
        &["restore", "airbnb", "--stdout"],
    ];
    for (user, codes) in [
        ("lead", [Some(0); 3]),
        ("everybodys", [Some(0); 3]),
        ("auditor", [Some(0), Some(5), Some(5)]),
    ] {
        assert_eq!(
            commands.map(|command| exit_code_as(&world, user, command)),
            codes,
            "{user}"
        );
    }
    assert_eq!(exit_code_as(&world, "lead", &["history", "acme"]), Some(5));

    let (config, record) = (
        "terragrunt/airbnb/config.yaml",
        reader.list_keys("usage-logs/airbnb/").remove(0),
    );
    for client in [&writer, &everybodys, &reader, &auditor] {
        assert_denied(client.try_delete(config, false));
        assert_denied(client.try_delete(&record, true));
    }
    for client in [&reader, &auditor] {
        assert_denied(client.try_put(config, "mine"));
        assert_denied(client.try_put_once("usage-logs/airbnb/2026-11-24_000000.json", "{}"));
    }
    assert_eq!(
        (
            reader.try_get(config),
            auditor.try_get(&record),
            writer.try_get(config)
        ),
        (Ok(()), Ok(()), Ok(()))
    );
    for denied in [
        auditor.try_get(config),
        writer.try_get("terragrunt/acme/config.yaml"),
        writer.try_put("usage-logs/acme/x.json", "{}"),
    ] {
        assert_denied(denied);
    }
    assert_denied(reader.try_get("terragrunt/airbnb/eks-cluster/terraform.tfstate"));
}

#[test]
fn the_bucket_policy_stops_an_administrator_from_deleting() {
    let mut world = World::new();
    let moto = MotoServer::start(&world);
    // moto ignores conditions, so it would apply the other statements to all requests.
    let mut policy: Value = serde_json::from_str(&print_policy(&world, &["bucket"])).expect("JSON");
    policy["Statement"]
        .as_array_mut()
        .expect("statements")
        .retain(|it| it.get("Condition").is_none());
    assert_eq!(policy["Statement"].as_array().map(Vec::len), Some(1));
    let all = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}"#;
    let [client] = create_users(
        &mut world,
        &moto,
        [("administrator", all.to_owned())],
        Some(&policy.to_string()),
    );
    let ours = [
        "usage-logs/airbnb/x.json",
        "terragrunt/airbnb/config.yaml",
        "terragrunt/airbnb/config-history/x.yaml",
    ];
    let lock = "terragrunt/airbnb/eks-cluster/terraform.tfstate.tflock";
    for key in ours.iter().chain([&lock]) {
        client.put(key, "{}");
        let _ = (client.try_delete(key, false), client.try_delete(key, true));
    }
    let mut kept = client.list_keys("");
    kept.sort();
    assert_eq!(
        kept,
        [
            "terragrunt/airbnb/config-history/x.yaml",
            "terragrunt/airbnb/config.yaml",
            "usage-logs/airbnb/x.json"
        ]
    );
}

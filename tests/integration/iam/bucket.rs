//! The policy of `iam bucket` on a server that evaluates conditions: what it denies to everyone,
//! and what stays allowed.

use std::collections::BTreeMap;

use embedded_aws::{AccessPolicies, RequestedAccess};

use crate::iam::enforced::{assert_denied, deployments_go_well, enforce_policies, print_policy};
use test_support::s3_client::S3TestClient;
use test_support::{BUCKET, CONFIG, JOHN_ARN, World};

#[test]
fn the_bucket_policy_limits_administrators_too() {
    let mut world = World::new();
    deployments_go_well(&mut world).expect("a deployment");
    let record = world.usage_records().remove(0).0;
    let version = world
        .server
        .keys(BUCKET, "terragrunt/airbnb/config-history/")
        .remove(0);
    let (config, lock, state) = (
        "terragrunt/airbnb/config.yaml",
        "terragrunt/airbnb/eks-cluster/terraform.tfstate.tflock",
        "terragrunt/airbnb/eks-cluster/terraform.tfstate",
    );
    let all = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}"#;
    for arguments in [&["bucket"][..], &["bucket", "--customer", "airbnb"]] {
        let policy = print_policy(&world, arguments);
        enforce_policies(&world, all, Some(&policy));
        let client = S3TestClient::new(&world.server.endpoint());
        for key in [record.as_str(), &version, config] {
            assert_denied(client.try_delete(key, false));
            assert_denied(client.try_delete(key, true));
        }
        for key in [record.as_str(), &version] {
            assert_denied(client.try_put(key, "mine"));
            assert_denied(client.try_copy(config, key));
            assert!(
                client
                    .try_put_once(key, "mine")
                    .is_err_and(|why| why.contains("PreconditionFailed"))
            );
        }
        // The requests of a deployment, and those of Terraform for states and locks.
        assert_eq!(client.try_put(config, CONFIG), Ok(()));
        assert_eq!(
            client
                .try_put(state, "{}")
                .and_then(|()| client.try_put(state, "{ }")),
            Ok(())
        );
        assert_eq!(
            client
                .try_put_once(lock, "{}")
                .and_then(|()| client.try_delete(lock, false)),
            Ok(())
        );
        assert_eq!(client.try_list(None), Ok(()));
        let identities = BTreeMap::from([("AKIADEFAULT".to_owned(), all.to_owned())]);
        world
            .server
            .govern(&AccessPolicies {
                identities,
                bucket: Some(policy),
                tls: false,
            })
            .expect("policies");
        for denied in [
            client.try_list(None),
            client.try_get(config),
            client.try_put(state, "{}"),
        ] {
            assert_denied(denied);
        }
    }
    world
        .server
        .govern(&AccessPolicies::default())
        .expect("no policies");
    assert_eq!(
        S3TestClient::new(&world.server.endpoint()).try_delete(&record, false),
        Ok(()),
        "it was the policy"
    );
}

#[test]
fn the_bucket_policy_protects_versions_too() {
    let world = World::new();
    let policies = AccessPolicies {
        bucket: Some(print_policy(&world, &["bucket"])),
        tls: true,
        ..AccessPolicies::default()
    };
    let may = |key: &str| {
        let asked = RequestedAccess {
            action: "s3:DeleteObjectVersion".to_owned(),
            resource: format!("{BUCKET}/{key}"),
            says: Vec::new(),
        };
        policies
            .allow("AKIADEFAULT", JOHN_ARN, &asked)
            .expect("an answer")
    };
    assert!(
        !may("usage-logs/airbnb/x.json")
            && !may("terragrunt/airbnb/config.yaml")
            && !may("terragrunt/airbnb/config-history/x.yaml")
    );
    assert!(may("terragrunt/airbnb/eks-cluster/terraform.tfstate"));
}

#[test]
fn multipart_uploads_cannot_overwrite_an_object() {
    let world = World::new();
    let policies = AccessPolicies {
        bucket: Some(print_policy(&world, &["bucket"])),
        tls: true,
        ..AccessPolicies::default()
    };
    // From the S3 User Guide, "Enforce conditional writes": parts carry no condition and create no
    // object.
    let put = |says: &[(&'static str, &str)]| {
        let says = says
            .iter()
            .map(|(key, value)| (*key, (*value).to_owned()))
            .collect();
        let asked = RequestedAccess {
            action: "s3:PutObject".to_owned(),
            resource: format!("{BUCKET}/usage-logs/airbnb/x.json"),
            says,
        };
        policies
            .allow("AKIADEFAULT", JOHN_ARN, &asked)
            .expect("an answer")
    };
    let creates = ("s3:ObjectCreationOperation", "true");
    assert!(put(&[("s3:ObjectCreationOperation", "false")]), "a part");
    assert!(
        put(&[creates, ("s3:if-none-match", "*")]),
        "the end, where nothing is"
    );
    assert!(!put(&[creates]), "the end, whatever is there");
    assert!(
        !put(&[
            creates,
            ("s3:if-match", "\"d41d8cd98f00b204e9800998ecf8427e\"")
        ]),
        "instead of what is there"
    );
}

#[test]
fn principals_of_other_accounts_may_write_as_writers() {
    let world = World::new();
    let jane = "arn:aws:iam::210987654321:user/jane";
    let policies = AccessPolicies {
        bucket: Some(print_policy(&world, &["bucket", "--principal", jane])),
        tls: true,
        ..AccessPolicies::default()
    };
    let nothing = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:*", "Resource": "*"}]}"#;
    let policies = AccessPolicies {
        identities: BTreeMap::from([("AKIA".to_owned(), nothing.to_owned())]),
        ..policies
    };
    let may = |arn: &str, action: &str, key: &str| {
        let asked = RequestedAccess {
            action: format!("s3:{action}"),
            resource: format!("{BUCKET}/{key}"),
            says: Vec::new(),
        };
        policies.allow("AKIA", arn, &asked).expect("an answer")
    };
    assert!(
        may(jane, "PutObject", "terragrunt/acme/config.yaml")
            && may(jane, "GetObject", "usage-logs/acme/x.json")
    );
    assert!(
        !may(jane, "DeleteObject", "terragrunt/acme/config.yaml")
            && !may(jane, "GetObject", "other/x")
    );
    assert!(!may(
        "arn:aws:iam::210987654321:user/joe",
        "GetObject",
        "usage-logs/acme/x.json"
    ));
}

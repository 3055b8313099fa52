//! Each policy as one line for each statement. Whether servers obey them is tested in tests/integration/iam.

use serde_json::Value;

use super::*;
use crate::iam::scope::{AwsPartition, KmsKey};

const KMS_KEY_ARN: &str =
    "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const KEY_IN_IRELAND: KmsKey<'_> = KmsKey {
    arn: KMS_KEY_ARN,
    region: "eu-west-1",
};
const VIA_S3_IN_IRELAND: &str = "if StringEquals kms:ViaService s3.eu-west-1.amazonaws.com";

fn arena_scope(customers: &[String]) -> PolicyScope<'_> {
    PolicyScope {
        partition: AwsPartition::Aws,
        bucket: "arena",
        customers,
        account: None,
        kms_key: None,
    }
}

fn customer_names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A string as it is, a list with blanks.
fn join_texts(value: &Value) -> String {
    match value {
        Value::Array(list) => list.iter().map(join_texts).collect::<Vec<_>>().join(" "),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| format!("{name} {}", join_texts(value)))
            .collect::<Vec<_>>()
            .join(" "),
        other => other.as_str().expect("a string").to_owned(),
    }
}

/// `Sid: Effect Action` with the principal, on which resources, and if what.
fn statement_lines(policy: &PolicyDocument) -> Vec<String> {
    let policy: Value = serde_json::from_str(&policy.to_json()).expect("JSON");
    assert_eq!(policy["Version"], "2012-10-17");
    let line = |it: &Value| {
        let part = |name: &str, word: &str| {
            it.get(name)
                .map(|value| format!(" {word}{}", join_texts(value)))
                .unwrap_or_default()
        };
        let rest = [
            part("Action", ""),
            part("Principal", "for "),
            part("Resource", "on "),
            part("Condition", "if "),
        ]
        .concat();
        let rest = rest.replace("arn:aws:s3:::", "");
        format!(
            "{}: {}{rest}",
            join_texts(&it["Sid"]),
            join_texts(&it["Effect"])
        )
    };
    policy["Statement"]
        .as_array()
        .expect("statements")
        .iter()
        .map(line)
        .collect()
}

#[test]
fn who_deploys_all_customers_has_the_policy_of_the_readme() {
    let readme = include_str!("../../../docs/permissions.md")
        .split_once("## Who deploys")
        .expect("a chapter")
        .1;
    let shown = readme
        .split_once("```json\n")
        .and_then(|(_, tail)| tail.split_once("\n```"))
        .expect("a policy")
        .0;
    let value = |json: &str| serde_json::from_str::<Value>(json).expect("JSON");
    assert_eq!(
        value(
            &writer_policy(
                &PolicyScope {
                    bucket: "mongodb-arena",
                    ..arena_scope(&[])
                },
                false
            )
            .to_json()
        ),
        value(shown)
    );
}

#[test]
fn who_deploys_one_customer_has_its_folders_and_reads_the_records_of_the_earlier_module() {
    let list = "List: Allow s3:ListBucket on arena if StringLike s3:prefix";
    assert_eq!(
        statement_lines(&writer_policy(&arena_scope(&customer_names(&["airbnb"])), false)),
        [
            "ReadAndWrite: Allow s3:GetObject s3:PutObject on arena/terragrunt/airbnb/* arena/usage-logs/airbnb/*".to_owned(),
            "ReadOnly: Allow s3:GetObject on arena/usage-logs-archive/airbnb/*".to_owned(),
            format!("{list} terragrunt/airbnb/* usage-logs/airbnb/* usage-logs-archive/airbnb/*"),
        ]
    );
    let ours = "terragrunt/~a~20~2a/* terragrunt/a ${*}/* usage-logs/~a~20~2a/*";
    let theirs = "usage-logs/a ${*}/* usage-logs-archive/~a~20~2a/* usage-logs-archive/a ${*}/*";
    let in_arena = |keys: &str| {
        keys.replace("terragrunt", "arena/terragrunt")
            .replace("usage", "arena/usage")
    };
    assert_eq!(
        statement_lines(&writer_policy(&arena_scope(&customer_names(&["a *"])), true)),
        [
            format!("ReadAndWrite: Allow s3:GetObject s3:PutObject on {}", in_arena(ours)),
            format!("ReadOnly: Allow s3:GetObject on {}", in_arena(theirs)),
            format!("{list} {ours} {theirs}"),
            "Unlock: Allow s3:DeleteObject on arena/terragrunt/~a~20~2a/*.tflock arena/terragrunt/a ${*}/*.tflock".to_owned(),
        ]
    );
    // A folder has no `/` in its name, so no states lie there.
    let slash = statement_lines(&writer_policy(
        &arena_scope(&customer_names(&["a/b"])),
        false,
    ));
    assert_eq!(
        slash[0],
        "ReadAndWrite: Allow s3:GetObject s3:PutObject on arena/terragrunt/~a~2fb/* arena/usage-logs/~a~2fb/*"
    );
    assert_eq!(
        statement_lines(&writer_policy(&arena_scope(&[]), true))
            .last()
            .expect("it"),
        "Unlock: Allow s3:DeleteObject on arena/terragrunt/*.tflock"
    );
}

#[test]
fn the_account_is_asked_of_the_bucket_and_the_realm_of_the_key() {
    let whole = PolicyScope {
        account: Some("123456789012"),
        kms_key: Some(KEY_IN_IRELAND),
        ..arena_scope(&[])
    };
    let lines = statement_lines(&writer_policy(&whole, false));
    assert!(
        lines[..3]
            .iter()
            .all(|line| line.contains(" StringEquals aws:ResourceAccount 123456789012")),
        "{lines:?}"
    );
    assert_eq!(
        lines[3..],
        [format!(
            "UseTheKey: Allow kms:GenerateDataKey kms:Decrypt on {KMS_KEY_ARN} {VIA_S3_IN_IRELAND}"
        )]
    );
    assert_eq!(
        statement_lines(&reader_policy(&whole, ConfigAccess::Allowed))
            .last()
            .expect("it"),
        &format!("UseTheKey: Allow kms:Decrypt on {KMS_KEY_ARN} {VIA_S3_IN_IRELAND}")
    );
    for (partition, words, service) in [
        (
            AwsPartition::AwsCn,
            "arn:aws-cn:s3:::arena/terragrunt/*",
            "s3.cn-north-1.amazonaws.com.cn",
        ),
        (
            AwsPartition::AwsUsGov,
            "arn:aws-us-gov:s3:::arena/terragrunt/*",
            "s3.cn-north-1.amazonaws.com\"",
        ),
    ] {
        let json = writer_policy(
            &PolicyScope {
                partition,
                kms_key: Some(KmsKey {
                    arn: "k",
                    region: "cn-north-1",
                }),
                ..whole
            },
            false,
        )
        .to_json();
        assert!(json.contains(words) && json.contains(service), "{json}");
    }
}

#[test]
fn who_looks_back_reads_records_and_as_much_of_the_configs_as_is_shown() {
    let all = arena_scope(&[]);
    let configs = "arena/terragrunt/*/config.yaml arena/terragrunt/*/config-history/*.yaml arena/terragrunt/*/usage-chain/*.json";
    assert_eq!(
        statement_lines(&reader_policy(&all, ConfigAccess::Denied)),
        [
            "Read: Allow s3:GetObject on arena/usage-logs/* arena/usage-logs-archive/*",
            "List: Allow s3:ListBucket on arena if StringLike s3:prefix usage-logs/* usage-logs-archive/*"
        ]
    );
    assert_eq!(
        statement_lines(&reader_policy(&all, ConfigAccess::WithVersions)),
        [
            format!("Read: Allow s3:GetObject on {configs} arena/usage-logs/* arena/usage-logs-archive/*"),
            "List: Allow s3:ListBucket on arena if StringLike s3:prefix terragrunt/* usage-logs/* usage-logs-archive/*".to_owned(),
            format!("ReadVersions: Allow s3:GetObjectVersion on {configs}"),
            "ListVersions: Allow s3:ListBucketVersions on arena if StringLike s3:prefix terragrunt/*".to_owned(),
        ]
    );
    let one = statement_lines(&reader_policy(
        &arena_scope(&customer_names(&["a$"])),
        ConfigAccess::Allowed,
    ));
    assert_eq!(one.len(), 2, "{one:?}");
    let records = "usage-logs/~a~24/* usage-logs/a${$}/* usage-logs-archive/~a~24/* usage-logs-archive/a${$}/*";
    assert!(
        one[1].ends_with(&format!(
            "s3:prefix terragrunt/~a~24/* terragrunt/a${{$}}/* {records}"
        )),
        "{one:?}"
    );
    assert!(
        one[0].contains(
            " arena/terragrunt/a${$}/config.yaml arena/terragrunt/a${$}/config-history/*.yaml "
        ),
        "{one:?}"
    );
}

#[test]
fn who_archives_reads_records_and_adds_to_the_archive_alone() {
    let whole = PolicyScope {
        kms_key: Some(KEY_IN_IRELAND),
        ..arena_scope(&[])
    };
    assert_eq!(
        statement_lines(&compactor_policy(&whole)),
        [
            "Read: Allow s3:GetObject on arena/usage-logs/* arena/usage-logs-archive/*".to_owned(),
            "Archive: Allow s3:PutObject on arena/usage-logs-archive/*".to_owned(),
            "List: Allow s3:ListBucket on arena if StringLike s3:prefix usage-logs/* usage-logs-archive/*".to_owned(),
            format!("UseTheKey: Allow kms:GenerateDataKey kms:Decrypt on {KMS_KEY_ARN} {VIA_S3_IN_IRELAND}"),
        ]
    );
}

#[test]
fn nobody_deletes_or_overwrites_records_and_versions_and_others_may_do_what_a_writer_may() {
    let customers = customer_names(&["airbnb"]);
    let scope = PolicyScope {
        account: Some("123456789012"),
        ..arena_scope(&customers)
    };
    let once = "arena/usage-logs/airbnb/*.json arena/usage-logs-archive/airbnb/*.parquet arena/terragrunt/airbnb/config-history/*.yaml";
    let kept = format!(
        "{once} arena/terragrunt/airbnb/config.yaml arena/terragrunt/airbnb/usage-chain/*.json"
    );
    let own = [
        "OnlyTls: Deny s3:* for * on arena arena/* if Bool aws:SecureTransport false".to_owned(),
        format!("NeverDeleted: Deny s3:DeleteObject s3:DeleteObjectVersion for * on {kept}"),
        format!(
            "WrittenOnce: Deny s3:PutObject for * on {once} if Bool s3:ObjectCreationOperation true Null s3:if-none-match true"
        ),
    ];
    assert_eq!(
        statement_lines(&bucket_policy(&scope, &[])),
        own,
        "no condition asks whose account it is"
    );
    let others = statement_lines(&bucket_policy(
        &scope,
        &customer_names(&["arn:aws:iam::210987654321:root"]),
    ));
    assert_eq!(others[..3], own);
    assert_eq!(
        others[3],
        "ReadAndWrite: Allow s3:GetObject s3:PutObject for AWS arn:aws:iam::210987654321:root \
         on arena/terragrunt/airbnb/* arena/usage-logs/airbnb/*"
    );
    assert!(
        others[4].starts_with("ReadOnly: Allow s3:GetObject for AWS arn:"),
        "{others:?}"
    );
    assert!(
        others.len() == 6 && others[5].starts_with("List: Allow s3:ListBucket for AWS arn:"),
        "{others:?}"
    );
    assert!(
        statement_lines(&bucket_policy(
            &PolicyScope {
                customers: &[],
                ..scope
            },
            &[]
        ))[1]
            .contains(" arena/terragrunt/*/config.yaml ")
    );
}

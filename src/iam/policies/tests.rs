//! Each policy, one line for each statement.
//!
//! Whether servers obey them is tested in tests/integration/iam.

use std::fmt::Write as _;

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
const ACCOUNT: &str = "123456789012";

const ALL_CONFIGS: &str = "arena/terragrunt/*/config.yaml \
    arena/terragrunt/*/config-history/*.yaml arena/terragrunt/*/usage-chain/*.json";
const LIST_ARENA: &str = "List: Allow s3:ListBucket on arena if StringLike s3:prefix";

fn arena_scope(customers: &[String]) -> PolicyScope<'_> {
    PolicyScope {
        partition: AwsPartition::Aws,
        bucket: "arena",
        customers,
        account: None,
        kms_key: None,
    }
}

/// A string as it is, a list with blanks.
fn join_texts(value: &Value) -> String {
    let parts: Vec<String> = match value {
        Value::Array(list) => list.iter().map(join_texts).collect(),
        Value::Object(fields) => {
            let join = |(name, value)| format!("{name} {}", join_texts(value));
            fields.iter().map(join).collect()
        }
        other => vec![other.as_str().expect("a string").to_owned()],
    };
    parts.join(" ")
}

/// `Sid: Effect Action` with the principal, on which resources, and if what.
fn statement_lines(policy: &PolicyDocument) -> Vec<String> {
    let policy: Value = serde_json::from_str(&policy.to_json()).expect("JSON");
    assert_eq!(policy["Version"], "2012-10-17");
    let statements = policy["Statement"].as_array().expect("statements");
    statements.iter().map(statement_line).collect()
}

fn statement_line(statement: &Value) -> String {
    let [sid, effect] = ["Sid", "Effect"].map(|field| join_texts(&statement[field]));
    let mut line = format!("{sid}: {effect}");
    for (field, word) in [
        ("Action", ""),
        ("Principal", "for "),
        ("Resource", "on "),
        ("Condition", "if "),
    ] {
        if let Some(value) = statement.get(field) {
            let _ = write!(line, " {word}{}", join_texts(value));
        }
    }
    line.replace("arn:aws:s3:::", "")
}

/// Keys below the bucket, as resources name them.
fn in_arena(keys: &str) -> String {
    keys.replace("terragrunt", "arena/terragrunt")
        .replace("usage-logs", "arena/usage-logs")
}

#[test]
fn a_writer_for_all_customers_has_the_documented_policy() {
    let page = include_str!("../../../docs/permissions.md");
    let (_, chapter) = page.split_once("## Who deploys").expect("a chapter");
    let (_, block) = chapter.split_once("```json\n").expect("a policy");
    let (shown, _) = block.split_once("\n```").expect("its end");

    let scope = PolicyScope {
        bucket: "mongodb-arena",
        ..arena_scope(&[])
    };
    let printed = writer_policy(&scope, false).to_json();
    let parse = |json: &str| serde_json::from_str::<Value>(json).expect("JSON");
    assert_eq!(parse(&printed), parse(shown));
}

#[test]
fn a_writer_for_one_customer_has_its_folders_and_reads_its_other_records() {
    let lines = statement_lines(&writer_policy(&arena_scope(&["airbnb".to_owned()]), false));
    let expected = [
        "ReadAndWrite: Allow s3:GetObject s3:PutObject \
         on arena/terragrunt/airbnb/* arena/usage-logs/airbnb/*",
        "ReadOnly: Allow s3:GetObject on arena/usage-logs-archive/airbnb/*",
        &format!(
            "{LIST_ARENA} terragrunt/airbnb/* usage-logs/airbnb/* usage-logs-archive/airbnb/*"
        ),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_writer_reads_the_records_of_the_legacy_module_under_the_plain_name() {
    let lines = statement_lines(&writer_policy(&arena_scope(&["a *".to_owned()]), true));
    let written = "terragrunt/~a~20~2a/* terragrunt/a ${*}/* usage-logs/~a~20~2a/*";
    let read_only = "usage-logs/a ${*}/* usage-logs-archive/~a~20~2a/* usage-logs-archive/a ${*}/*";
    let lock_files = "terragrunt/~a~20~2a/*.tflock terragrunt/a ${*}/*.tflock";
    let expected = [
        format!(
            "ReadAndWrite: Allow s3:GetObject s3:PutObject on {}",
            in_arena(written)
        ),
        format!("ReadOnly: Allow s3:GetObject on {}", in_arena(read_only)),
        format!("{LIST_ARENA} {written} {read_only}"),
        format!("Unlock: Allow s3:DeleteObject on {}", in_arena(lock_files)),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_customer_with_a_slash_in_its_name_has_no_folder_of_states() {
    let lines = statement_lines(&writer_policy(&arena_scope(&["a/b".to_owned()]), false));
    let expected = "ReadAndWrite: Allow s3:GetObject s3:PutObject \
                    on arena/terragrunt/~a~2fb/* arena/usage-logs/~a~2fb/*";
    assert_eq!(lines[0], expected);
}

#[test]
fn a_writer_for_all_customers_may_delete_all_lock_files() {
    let lines = statement_lines(&writer_policy(&arena_scope(&[]), true));
    let expected = "Unlock: Allow s3:DeleteObject on arena/terragrunt/*.tflock";
    assert_eq!(lines.last().expect("a statement"), expected);
}

#[test]
fn every_statement_but_that_of_the_key_checks_the_account() {
    let scope = PolicyScope {
        account: Some(ACCOUNT),
        kms_key: Some(KEY_IN_IRELAND),
        ..arena_scope(&[])
    };
    let lines = statement_lines(&writer_policy(&scope, false));
    let (of_key, others) = lines.split_last().expect("statements");
    let condition = format!(" StringEquals aws:ResourceAccount {ACCOUNT}");
    assert!(
        others.iter().all(|line| line.contains(&condition)),
        "{others:?}"
    );
    let use_key = format!("on {KMS_KEY_ARN} {VIA_S3_IN_IRELAND}");
    assert_eq!(
        of_key,
        &format!("UseTheKey: Allow kms:GenerateDataKey kms:Decrypt {use_key}")
    );

    let lines = statement_lines(&reader_policy(&scope, ConfigAccess::Allowed));
    let of_key = lines.last().expect("a statement");
    assert_eq!(of_key, &format!("UseTheKey: Allow kms:Decrypt {use_key}"));
}

#[test]
fn arns_and_the_name_of_s3_follow_the_partition() {
    for (partition, arn, service) in [
        (
            AwsPartition::AwsCn,
            "arn:aws-cn:s3:::arena/terragrunt/*",
            "\"s3.cn-north-1.amazonaws.com.cn\"",
        ),
        (
            AwsPartition::AwsUsGov,
            "arn:aws-us-gov:s3:::arena/terragrunt/*",
            "\"s3.cn-north-1.amazonaws.com\"",
        ),
    ] {
        let kms_key = KmsKey {
            arn: "k",
            region: "cn-north-1",
        };
        let scope = PolicyScope {
            partition,
            kms_key: Some(kms_key),
            ..arena_scope(&[])
        };
        let json = writer_policy(&scope, false).to_json();
        assert!(json.contains(arn) && json.contains(service), "{json}");
    }
}

#[test]
fn a_reader_of_records_sees_no_config() {
    let lines = statement_lines(&reader_policy(&arena_scope(&[]), ConfigAccess::Denied));
    let expected = [
        "Read: Allow s3:GetObject on arena/usage-logs/* arena/usage-logs-archive/*",
        &format!("{LIST_ARENA} usage-logs/* usage-logs-archive/*"),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_reader_of_versions_also_lists_and_reads_noncurrent_ones() {
    let policy = reader_policy(&arena_scope(&[]), ConfigAccess::WithVersions);
    let records = "arena/usage-logs/* arena/usage-logs-archive/*";
    let expected = [
        format!("Read: Allow s3:GetObject on {ALL_CONFIGS} {records}"),
        format!("{LIST_ARENA} terragrunt/* usage-logs/* usage-logs-archive/*"),
        format!("ReadVersions: Allow s3:GetObjectVersion on {ALL_CONFIGS}"),
        "ListVersions: Allow s3:ListBucketVersions on arena if StringLike s3:prefix terragrunt/*"
            .to_owned(),
    ];
    assert_eq!(statement_lines(&policy), expected);
}

#[test]
fn a_reader_of_one_customer_reads_it_under_both_spellings() {
    let scope_of = ["a$".to_owned()];
    let policy = reader_policy(&arena_scope(&scope_of), ConfigAccess::Allowed);
    let lines = statement_lines(&policy);
    let [read, list] = lines.as_slice() else {
        panic!("two statements: {lines:?}")
    };
    let configs =
        " arena/terragrunt/a${$}/config.yaml arena/terragrunt/a${$}/config-history/*.yaml ";
    assert!(read.contains(configs), "{read}");
    let prefixes = "s3:prefix terragrunt/~a~24/* terragrunt/a${$}/* \
                    usage-logs/~a~24/* usage-logs/a${$}/* \
                    usage-logs-archive/~a~24/* usage-logs-archive/a${$}/*";
    assert!(list.ends_with(prefixes), "{list}");
}

#[test]
fn a_compactor_reads_records_and_only_adds_to_the_archive() {
    let scope = PolicyScope {
        kms_key: Some(KEY_IN_IRELAND),
        ..arena_scope(&[])
    };
    let use_key = format!("on {KMS_KEY_ARN} {VIA_S3_IN_IRELAND}");
    let expected = [
        "Read: Allow s3:GetObject on arena/usage-logs/* arena/usage-logs-archive/*",
        "Archive: Allow s3:PutObject on arena/usage-logs-archive/*",
        &format!("{LIST_ARENA} usage-logs/* usage-logs-archive/*"),
        &format!("UseTheKey: Allow kms:GenerateDataKey kms:Decrypt {use_key}"),
    ];
    assert_eq!(statement_lines(&compactor_policy(&scope)), expected);
}

/// What the bucket denies to everyone for the customer `airbnb`.
fn denials_for_airbnb() -> [String; 3] {
    let write_once = "arena/usage-logs/airbnb/*.json arena/usage-logs-archive/airbnb/*.parquet \
                      arena/terragrunt/airbnb/config-history/*.yaml";
    let replaceable =
        "arena/terragrunt/airbnb/config.yaml arena/terragrunt/airbnb/usage-chain/*.json";
    [
        "OnlyTls: Deny s3:* for * on arena arena/* if Bool aws:SecureTransport false".to_owned(),
        format!(
            "NeverDeleted: Deny s3:DeleteObject s3:DeleteObjectVersion for * \
             on {write_once} {replaceable}"
        ),
        format!(
            "WrittenOnce: Deny s3:PutObject for * on {write_once} \
             if Bool s3:ObjectCreationOperation true Null s3:if-none-match true"
        ),
    ]
}

#[test]
fn a_bucket_denies_deletion_and_overwriting_whatever_the_account() {
    let customers = ["airbnb".to_owned()];
    let scope = PolicyScope {
        account: Some(ACCOUNT),
        ..arena_scope(&customers)
    };
    assert_eq!(
        statement_lines(&bucket_policy(&scope, &[])),
        denials_for_airbnb()
    );

    let for_all = statement_lines(&bucket_policy(&arena_scope(&[]), &[]));
    assert!(
        for_all[1].contains(" arena/terragrunt/*/config.yaml "),
        "{for_all:?}"
    );
}

#[test]
fn a_bucket_allows_principals_of_other_accounts_what_a_writer_may() {
    let customers = ["airbnb".to_owned()];
    let scope = PolicyScope {
        account: Some(ACCOUNT),
        ..arena_scope(&customers)
    };
    let principals = ["arn:aws:iam::210987654321:root".to_owned()];
    let lines = statement_lines(&bucket_policy(&scope, &principals));
    let (denials, allowed) = lines.split_at(3);
    assert_eq!(denials, denials_for_airbnb());

    let principal = "for AWS arn:aws:iam::210987654321:root";
    let read_and_write = format!(
        "ReadAndWrite: Allow s3:GetObject s3:PutObject {principal} \
         on arena/terragrunt/airbnb/* arena/usage-logs/airbnb/*"
    );
    assert_eq!(allowed.len(), 3, "{allowed:?}");
    assert_eq!(allowed[0], read_and_write);
    for (line, beginning) in [
        (&allowed[1], "ReadOnly: Allow s3:GetObject"),
        (&allowed[2], "List: Allow s3:ListBucket"),
    ] {
        assert!(
            line.starts_with(&format!("{beginning} {principal}")),
            "{line}"
        );
    }
}

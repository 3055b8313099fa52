//! `doctor` with a profile or bucket that does not fit: it names each problem and a fix.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::doctor::healthy::{Diagnosis, prepare_customer_folder, run_doctor};
use test_support::faulty_proxy::{FaultyProxy, RequestFate};
use test_support::world::PROFILE_OF_FAILING_PROCESS;
use test_support::{BUCKET, World};

/// A healthy world and its customer folder.
fn prepared_world() -> (World, PathBuf) {
    let mut world = World::new();
    let folder = prepare_customer_folder(&mut world);
    (world, folder)
}

fn examine(world: &World, folder: &std::path::Path, arguments: &[&str]) -> Diagnosis {
    let mut all = vec![folder.to_str().expect("UTF-8")];
    all.extend(arguments);
    run_doctor(world, &all)
}

fn nothing_was_written(world: &World) {
    assert_eq!(world.server.keys(BUCKET, ""), Vec::<String>::new());
    assert_eq!(world.count_requests("PutObject", ""), 0);
}

#[test]
fn names_a_missing_profile_and_how_to_create_it() {
    let (world, folder) = prepared_world();
    let found = examine(&world, &folder, &["--profile", "gone"]);
    found.assert_failed(4, &["profile"]).assert_check(
        "profile",
        "bad",
        "`gone`",
        "aws configure sso --profile gone",
    );
    found.assert_check(
        "s3:PutObject",
        "unknown",
        "not asked: there is no such profile",
        "",
    );
    assert_eq!(world.server.requests().len(), 0);
}

#[test]
fn ignores_a_missing_profile_with_credentials_in_the_environment() {
    let (mut world, folder) = prepared_world();
    world.set_variable("AWS_ACCESS_KEY_ID", Some("AKIAJANE"));
    world.set_variable("AWS_SECRET_ACCESS_KEY", Some("secret-of-jane"));
    let found = examine(&world, &folder, &["--profile", "gone"]);
    found
        .assert_no_problem()
        .assert_check(
            "profile",
            "ok",
            "the environment's credentials are used, as in CI",
            "",
        )
        .assert_check("credentials", "ok", "jane.roe", "");
}

#[test]
fn names_expired_credentials_and_how_to_renew_them() {
    const EXPIRED: &str = "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>";
    let (mut world, folder) = prepared_world();
    let proxy = FaultyProxy::start("", |line| {
        if line.starts_with("POST ") {
            RequestFate::Answer(
                "403 Forbidden",
                "<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredToken</Code><Message>The security token included in the request is expired</Message></Error></ErrorResponse>",
            )
        } else {
            RequestFate::Answer("400 Bad Request", EXPIRED)
        }
    });
    world.set_endpoint(&proxy.endpoint());
    let found = examine(&world, &folder, &[]);
    found.assert_failed(4, &["credentials"]).assert_check(
        "credentials",
        "bad",
        "have expired",
        "renew the access key of the profile `default`",
    );
    found.assert_check("network", "ok", "", "").assert_check(
        "s3:PutObject",
        "unknown",
        "not asked: the credentials are not valid",
        "",
    );
    assert_eq!(proxy.count_requests("PUT "), 0);
}

#[test]
fn fetches_credentials_once_and_reports_their_expiry() {
    let (world, folder) = prepared_world();
    let asked = world.path().join("asked");
    let script = world.path().join("fetch");
    let end = chrono::Utc::now() + chrono::TimeDelta::minutes(10);
    let answer = format!(
        "{{\"Version\":1,\"AccessKeyId\":\"AKIADEFAULT\",\"SecretAccessKey\":\"secret-of-default\",\"Expiration\":\"{}\"}}",
        end.format("%Y-%m-%dT%H:%M:%SZ")
    );
    fs::write(
        &script,
        format!("echo asked >>'{}'\necho '{answer}'\n", asked.display()),
    )
    .expect("a script");
    let profile = format!(
        "[profile team]\ncredential_process = /bin/sh \"{}\"\n",
        script.display()
    );
    fs::write(world.home().join(".aws/config"), profile).expect("a profile");
    let found = examine(&world, &folder, &["--profile", "team"]);
    let until = end.format("john.doe, until %Y-%m-%dT%H:%M:%SZ").to_string();
    found
        .assert_no_problem()
        .assert_check("credentials", "note", &until, "log in again");
    assert_eq!(fs::read_to_string(asked).expect("asked"), "asked\n");
}

#[test]
fn names_a_failed_credential_process_without_its_output() {
    let (world, folder) = prepared_world();
    fs::write(world.home().join(".aws/config"), PROFILE_OF_FAILING_PROCESS).expect("a profile");
    let found = examine(&world, &folder, &["--profile", "team"]);
    found.assert_failed(4, &["credentials"]).assert_check(
        "credentials",
        "bad",
        "no AWS credentials",
        "run the credential_process of the profile `team` by hand",
    );
    found.assert_check(
        "network",
        "unknown",
        "not asked: there are no credentials",
        "",
    );
}

#[test]
fn names_a_missing_bucket() {
    let (world, folder) = prepared_world();
    let found = examine(&world, &folder, &["--bucket", "mongodb-arena-2"]);
    found.assert_failed(5, &["bucket"]).assert_check(
        "bucket",
        "bad",
        "there is no such bucket",
        "bucket",
    );
    found.assert_check(
        "s3:ListBucket",
        "unknown",
        "not asked: there is no such bucket",
        "",
    );
    nothing_was_written(&world);
}

#[test]
fn a_bucket_of_another_account_gets_nothing() {
    let (world, folder) = prepared_world();
    let found = examine(
        &world,
        &folder,
        &["--expected-bucket-owner", "210987654321"],
    );
    found.assert_failed(5, &["owner"]).assert_check(
        "owner",
        "bad",
        "not of the account 210987654321",
        "check the bucket's name",
    );
    found.assert_check(
        "s3:PutObject",
        "unknown",
        "not asked: the bucket is another account's",
        "",
    );
    nothing_was_written(&world);
}

#[test]
fn finds_and_names_the_region_of_a_bucket() {
    let mut world = World::with_bucket_in("eu-central-1");
    let folder = prepare_customer_folder(&mut world);
    let found = examine(&world, &folder, &[]);
    found.assert_no_problem().assert_check(
        "region",
        "note",
        "is in eu-central-1 and not in us-east-1",
        "CONFIG_BACKUP_BUCKET_REGION=eu-central-1",
    );
    found.assert_check("s3:PutObject", "ok", "", "");
}

#[test]
fn names_each_missing_permission() {
    for (profile, bad, permission) in [
        ("reader", "s3:PutObject", "s3:PutObject"),
        ("blind", "s3:ListBucket", "s3:ListBucket"),
        ("writer", "s3:GetObject", "s3:GetObject"),
    ] {
        let (world, folder) = prepared_world();
        let found = examine(&world, &folder, &["--profile", profile]);
        found.assert_failed(5, &[bad]).assert_check(
            bad,
            "bad",
            "access denied",
            &format!("ask for the permission {permission}"),
        );
        found.assert_check("bucket", "ok", "", "");
        for check in ["s3:PutObject", "s3:GetObject", "s3:ListBucket"] {
            let status = if check == bad { "bad" } else { "ok" };
            found.assert_check(check, status, "", "");
        }
    }
}

#[test]
fn names_a_missing_kms_permission() {
    const KEY: &str = "<Error><Code>AccessDenied</Code><Message>User: arn:aws:iam::123456789012:user/jane.roe is not authorized to \
                       perform: kms:GenerateDataKey on resource: arn:aws:kms:us-east-1:123456789012:key/1 because no identity-based \
                       policy allows the kms:GenerateDataKey action</Message></Error>";
    let (mut world, folder) = prepared_world();
    let proxy = FaultyProxy::start(&world.server.endpoint(), |line| {
        if line.starts_with("PUT ") {
            RequestFate::Answer("403 Forbidden", KEY)
        } else {
            RequestFate::Pass
        }
    });
    world.set_endpoint(&proxy.endpoint());
    let found = examine(&world, &folder, &[]);
    let fix = "ask for the permission kms:GenerateDataKey on the bucket's KMS key";
    found
        .assert_failed(5, &["s3:PutObject"])
        .assert_check("s3:PutObject", "bad", "access denied", fix)
        .assert_check("s3:GetObject", "ok", "", "");
}

#[test]
fn names_all_needed_permissions_to_a_user_without_any() {
    let (world, folder) = prepared_world();
    let found = examine(&world, &folder, &["--profile", "denied"]);
    found.assert_failed(5, &["s3:ListBucket", "s3:PutObject"]);
    found
        .assert_check("credentials", "ok", "user/denied", "")
        .assert_check("bucket", "unknown", "access is denied", "");
    found
        .assert_check("s3:GetObject", "unknown", "without s3:ListBucket", "")
        .assert_check("canary", "unknown", "nothing could be written", "");
    found.assert_check(
        "versioning",
        "unknown",
        "permission missing (not needed to deploy)",
        "",
    );
}

#[test]
fn detects_a_server_without_conditional_writes() {
    let (mut world, folder) = prepared_world();
    let seen = AtomicUsize::new(0);
    let proxy = FaultyProxy::start(&world.server.endpoint(), move |line| {
        let again = line.starts_with("PUT /mongodb-arena/usage-logs/")
            && seen.fetch_add(1, Ordering::SeqCst) > 0;
        if again {
            RequestFate::Answer("200 OK\r\netag: \"d41d8cd98f00b204e9800998ecf8427e\"", "")
        } else {
            RequestFate::Pass
        }
    });
    world.set_endpoint(&proxy.endpoint());
    let found = examine(&world, &folder, &[]);
    found.assert_failed(1, &["conditions"]).assert_check(
        "conditions",
        "bad",
        "If-None-Match",
        "conditional writes",
    );
}

#[test]
fn an_object_deleted_in_between_is_not_a_problem() {
    let (mut world, folder) = prepared_world();
    let seen = AtomicUsize::new(0);
    // Another doctor has just deleted the object, so one conditional write succeeds.
    let proxy = FaultyProxy::start(&world.server.endpoint(), move |line| {
        let second = line.starts_with("PUT /mongodb-arena/usage-logs/")
            && seen.fetch_add(1, Ordering::SeqCst) == 1;
        if second {
            RequestFate::Answer("200 OK\r\netag: \"d41d8cd98f00b204e9800998ecf8427e\"", "")
        } else {
            RequestFate::Pass
        }
    });
    world.set_endpoint(&proxy.endpoint());
    examine(&world, &folder, &[])
        .assert_no_problem()
        .assert_check("conditions", "ok", "", "");
}

#[test]
fn detects_a_server_that_returns_other_bytes() {
    let (mut world, folder) = prepared_world();
    let proxy = FaultyProxy::start(&world.server.endpoint(), |line| {
        let lost = line.starts_with("HEAD /mongodb-arena/terragrunt/");
        if lost {
            RequestFate::Answer("200 OK\r\netag: \"d41d8cd98f00b204e9800998ecf8427e\"", "")
        } else {
            RequestFate::Pass
        }
    });
    world.set_endpoint(&proxy.endpoint());
    let found = examine(&world, &folder, &[]);
    found.assert_failed(1, &["read back"]).assert_check(
        "read back",
        "bad",
        "below terragrunt/airbnb/ comes back changed: its metadata",
        "check the S3 endpoint or proxy",
    );
}

//! Who gets in, where, and what the log says about it.

use std::fs;

use aws_sdk_s3::types::BucketLocationConstraint;
use aws_sdk_sts::config::retry::RetryConfig;
use aws_sdk_sts::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sts::error::ProvideErrorMetadata as _;
use embedded_aws::{AwsIdentity, RequestSummary, demo_identities};

use crate::{JANE, JOHN, World, status_and_code};

fn sts_client(
    world: &World,
    (access_key, secret): (&str, &str),
    region: &'static str,
) -> aws_sdk_sts::Client {
    let config = aws_sdk_sts::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(Credentials::new(access_key, secret, None, None, "test"))
        .region(Region::new(region))
        .endpoint_url(world.server.endpoint())
        .retry_config(RetryConfig::disabled())
        .build();
    aws_sdk_sts::Client::from_conf(config)
}

fn john_without(deny: &[&str]) -> Vec<AwsIdentity> {
    let mut identities = demo_identities();
    identities[0].deny = deny.iter().map(|name| (*name).to_owned()).collect();
    identities
}

#[tokio::test]
async fn sts_knows_who_signed_in_every_region() {
    let world = World::new();
    for region in ["eu-central-1", "us-east-1"] {
        let john = sts_client(&world, JOHN, region)
            .get_caller_identity()
            .send()
            .await
            .expect("an identity");
        let arn =
            "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Admin_0123456789abcdef/john.doe";
        assert_eq!(john.arn(), Some(arn));
        assert_eq!(john.user_id(), Some("AROADEMO0000000000000:john.doe"));
        assert_eq!(john.account(), Some("123456789012"));
    }
    let jane = sts_client(&world, JANE, "us-east-1")
        .get_caller_identity()
        .send()
        .await
        .expect("an identity");
    assert_eq!(jane.arn(), Some("arn:aws:iam::123456789012:user/jane.roe"));
    assert_eq!(jane.user_id(), Some("AIDADEMO0000000000000"));
}

#[tokio::test]
async fn sts_refuses_in_its_own_words() {
    let world = World::new();
    let code = async |who| {
        let error = sts_client(&world, who, "us-east-1")
            .get_caller_identity()
            .send()
            .await
            .expect_err("a refusal");
        (
            error.raw_response().map(|answer| answer.status().as_u16()),
            error.code().unwrap_or_default().to_owned(),
        )
    };
    assert_eq!(
        code((JOHN.0, "wrong")).await,
        (Some(403), "SignatureDoesNotMatch".into())
    );
    assert_eq!(
        code(("AKIADENIED0000000000", "x")).await,
        (Some(403), "InvalidClientTokenId".into())
    );
    let other = sts_client(&world, JOHN, "us-east-1")
        .get_session_token()
        .send()
        .await
        .expect_err("a refusal");
    assert_eq!(
        other.raw_response().map(|answer| answer.status().as_u16()),
        Some(400)
    );
    assert_eq!(other.code(), Some("InvalidAction"));
}

#[tokio::test]
async fn a_wrong_secret_and_an_unknown_key_are_refused() {
    let world = World::new();
    let put = |who| {
        world
            .s3_client(who, "eu-central-1")
            .put_object()
            .bucket("backups")
            .key("k")
            .body(vec![0; 3 << 20].into())
            .send()
    };
    assert_eq!(
        status_and_code(put((JOHN.0, "wrong")).await),
        (403, "SignatureDoesNotMatch".into())
    );
    assert_eq!(
        status_and_code(put(("AKIADENIED0000000000", "x")).await),
        (403, "InvalidAccessKeyId".into())
    );
    assert_eq!(world.server.keys("backups", ""), Vec::<String>::new());
}

#[tokio::test]
async fn another_region_is_redirected_and_told_where_to() {
    let world = World::new();
    let client = world.s3_client(JOHN, "us-east-1");
    let get = client
        .get_object()
        .bucket("backups")
        .key("k")
        .send()
        .await
        .expect_err("a redirect");
    let answer = get.raw_response().expect("an answer");
    assert_eq!(
        answer.headers().get("x-amz-bucket-region"),
        Some("eu-central-1")
    );
    let xml = String::from_utf8_lossy(answer.body().bytes().expect("a body"));
    let endpoint = world.server.endpoint().replace("http://", "");
    assert!(
        xml.contains(&format!(
            "<Endpoint>{endpoint}</Endpoint><Bucket>backups</Bucket>"
        )),
        "{xml}"
    );
    assert_eq!(
        status_and_code::<(), _>(Err(get)),
        (301, "PermanentRedirect".into())
    );

    let head = client
        .head_bucket()
        .bucket("backups")
        .send()
        .await
        .expect_err("a redirect");
    let answer = head.raw_response().expect("an answer");
    assert_eq!(answer.status().as_u16(), 301);
    assert_eq!(
        answer.headers().get("x-amz-bucket-region"),
        Some("eu-central-1")
    );
    assert_eq!(answer.body().bytes(), Some(&b""[..]));

    let put = client
        .put_object()
        .bucket("backups")
        .key("k")
        .body(vec![0; 3 << 20].into())
        .send()
        .await;
    assert_eq!(status_and_code(put), (301, "PermanentRedirect".into()));
}

#[tokio::test]
async fn a_bucket_tells_its_region() {
    let world = World::new();
    let head = world
        .client_of_john()
        .head_bucket()
        .bucket("backups")
        .send()
        .await
        .expect("a bucket");
    assert_eq!(head.bucket_region(), Some("eu-central-1"));
    let location = world
        .client_of_john()
        .get_bucket_location()
        .bucket("backups")
        .send()
        .await
        .expect("a bucket");
    assert_eq!(
        location
            .location_constraint()
            .map(BucketLocationConstraint::as_str),
        Some("eu-central-1")
    );
    // Buckets in Region us-east-1 have a LocationConstraint of null.
    let location = world
        .s3_client(JOHN, "us-east-1")
        .get_bucket_location()
        .bucket("classic")
        .send()
        .await
        .expect("a bucket");
    assert_eq!(
        location
            .location_constraint()
            .map(BucketLocationConstraint::as_str)
            .unwrap_or_default(),
        ""
    );
    let versioning = world
        .client_of_john()
        .get_bucket_versioning()
        .bucket("backups")
        .send()
        .await
        .expect("a bucket");
    assert_eq!(versioning.status(), None);
    let buckets = world
        .client_of_john()
        .list_buckets()
        .send()
        .await
        .expect("buckets");
    let names: Vec<_> = buckets
        .buckets()
        .iter()
        .filter_map(|bucket| bucket.name())
        .collect();
    assert_eq!(names, ["backups", "classic"]);
}

#[tokio::test]
async fn a_denied_operation_is_refused_and_the_others_are_not() {
    let world = World::with(john_without(&["PutObject"]));
    let client = world.client_of_john();
    let put = || {
        client
            .put_object()
            .bucket("backups")
            .key("k")
            .body(vec![1].into())
    };
    let error = put().send().await.expect_err("a refusal");
    let message = error
        .as_service_error()
        .and_then(|error| error.meta().message())
        .unwrap_or_default()
        .to_owned();
    assert!(message.contains("john.doe is not authorized to perform: s3:PutObject on resource: \"arn:aws:s3:::backups/k\""), "{message}");
    assert_eq!(
        status_and_code::<(), _>(Err(error)),
        (403, "AccessDenied".into())
    );
    client
        .list_objects_v2()
        .bucket("backups")
        .send()
        .await
        .expect("not denied");
    world
        .s3_client(JANE, "eu-central-1")
        .put_object()
        .bucket("backups")
        .key("k")
        .body(vec![1].into())
        .send()
        .await
        .expect("not denied");
}

#[tokio::test]
async fn an_identity_can_be_denied_all_of_s3_but_not_sts() {
    let world = World::with(john_without(&["*"]));
    assert_eq!(
        status_and_code(world.client_of_john().list_buckets().send().await),
        (403, "AccessDenied".into())
    );
    assert_eq!(
        status_and_code(
            world
                .client_of_john()
                .head_bucket()
                .bucket("backups")
                .send()
                .await
        )
        .0,
        403
    );
    sts_client(&world, JOHN, "us-east-1")
        .get_caller_identity()
        .send()
        .await
        .expect("always allowed");
}

// Without s3:ListBucket, S3 returns 403 for a missing object: API reference of GetObject and
// HeadObject.
#[tokio::test]
async fn who_may_not_list_is_not_told_that_a_key_is_missing() {
    let world = World::with(john_without(&["ListObjectsV2"]));
    world
        .server
        .put("backups", "there", b"", &[])
        .expect("seeded");
    let client = world.client_of_john();
    client
        .head_object()
        .bucket("backups")
        .key("there")
        .send()
        .await
        .expect("not denied");
    assert_eq!(
        status_and_code(client.head_object().bucket("backups").key("k").send().await).0,
        403
    );
    assert_eq!(
        status_and_code(client.get_object().bucket("backups").key("k").send().await),
        (403, "AccessDenied".into())
    );
}

#[tokio::test]
async fn every_request_is_logged_with_what_became_of_it() {
    let world = World::new();
    let key = "team a/ü+%.yaml";
    let wrong = world.s3_client((JOHN.0, "wrong"), "eu-central-1");
    status_and_code(
        wrong
            .put_object()
            .bucket("backups")
            .key(key)
            .body(vec![1].into())
            .send()
            .await,
    );
    world
        .client_of_john()
        .put_object()
        .bucket("backups")
        .key(key)
        .body(vec![1].into())
        .send()
        .await
        .expect("written");
    status_and_code(
        world
            .s3_client(JANE, "us-east-1")
            .head_object()
            .bucket("backups")
            .key(key)
            .send()
            .await,
    );
    world
        .client_of_john()
        .list_objects_v2()
        .bucket("backups")
        .prefix("team a/")
        .send()
        .await
        .expect("a page");
    sts_client(&world, JANE, "us-east-1")
        .get_caller_identity()
        .send()
        .await
        .expect("an identity");

    let requests = world.server.requests();
    let seen: Vec<_> = requests
        .iter()
        .map(|seen| {
            (
                seen.method.as_str(),
                seen.operation.as_str(),
                seen.key.as_str(),
                seen.status,
            )
        })
        .collect();
    let expected = [
        ("PUT", "PutObject", key, 403),
        ("PUT", "PutObject", key, 200),
        ("HEAD", "HeadObject", key, 301),
        ("GET", "ListObjectsV2", "", 200),
        ("POST", "GetCallerIdentity", "", 200),
    ];
    assert_eq!(seen, expected);
    let signers: Vec<_> = requests
        .iter()
        .map(|seen| (seen.access_key.as_str(), seen.region.as_str()))
        .collect();
    let (john, jane) = ((JOHN.0, "eu-central-1"), (JANE.0, "us-east-1"));
    assert_eq!(signers, [john, john, jane, john, jane]);
    assert!(
        requests[3].query.contains("prefix=team%20a%2F"),
        "{}",
        requests[3].query
    );
    assert_eq!(
        requests
            .iter()
            .filter(|seen| seen.bucket == "backups")
            .count(),
        4
    );

    let lines = fs::read_to_string(world.folder.path().join("requests.jsonl")).expect("a log");
    let lines: Vec<RequestSummary> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("a JSON line"))
        .collect();
    assert_eq!(lines, requests);
}

// The policies follow the examples of the IAM User Guide (a folder for each user) and the S3 User
// Guide (conditional writes).

//! Policies of identities and buckets, in the form in which IAM has them.

use std::collections::BTreeMap;

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::types::ServerSideEncryption;
use embedded_aws::AccessPolicies;

use crate::{JANE, JOHN, World, status_and_code};

#[tokio::test]
async fn policies_of_identities_and_of_buckets_are_obeyed() {
    let world = World::new();
    let policy = r#"{"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::backups",
         "Condition": {"StringLike": {"s3:prefix": ["home/john/*"]}}},
        {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::backups/home/john/*"}]}"#;
    let of_bucket = r#"{"Version": "2012-10-17", "Statement": [
        {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::backups/home/john/once/*",
         "Condition": {"Null": {"s3:if-none-match": "true"}, "Bool": {"s3:ObjectCreationOperation": "true"}}}]}"#;
    for key in ["home/john/a", "home/jane/a"] {
        world
            .server
            .put("backups", key, b"a", &[])
            .expect("an object");
    }
    let identities = BTreeMap::from([(JOHN.0.to_owned(), policy.to_owned())]);
    world
        .server
        .govern(&AccessPolicies {
            identities,
            bucket: Some(of_bucket.to_owned()),
            tls: true,
        })
        .expect("policies");
    let john = world.client_of_john();
    let denied = (403, "AccessDenied".to_owned());
    assert!(
        john.get_object()
            .bucket("backups")
            .key("home/john/a")
            .send()
            .await
            .is_ok()
    );
    assert_eq!(
        status_and_code(
            john.get_object()
                .bucket("backups")
                .key("home/jane/a")
                .send()
                .await
        ),
        denied
    );
    // A missing key gives 404 only within the prefix.
    assert_eq!(
        status_and_code(
            john.get_object()
                .bucket("backups")
                .key("home/john/b")
                .send()
                .await
        ),
        (404, "NoSuchKey".to_owned())
    );
    assert_eq!(
        status_and_code(
            john.get_object()
                .bucket("backups")
                .key("home/jane/b")
                .send()
                .await
        ),
        denied
    );
    assert!(
        john.list_objects_v2()
            .bucket("backups")
            .prefix("home/john/")
            .send()
            .await
            .is_ok()
    );
    for prefix in [
        None,
        Some("home/".to_owned()),
        Some("home/jane/".to_owned()),
    ] {
        assert_eq!(
            status_and_code(
                john.list_objects_v2()
                    .bucket("backups")
                    .set_prefix(prefix)
                    .send()
                    .await
            ),
            denied
        );
    }
    let put = || john.put_object().bucket("backups").key("home/john/once/a");
    assert_eq!(status_and_code(put().send().await), denied);
    assert!(put().if_none_match("*").send().await.is_ok());
    assert_eq!(
        status_and_code(put().if_none_match("*").send().await),
        (412, "PreconditionFailed".to_owned())
    );
    // Without an identity policy, only the bucket policy applies.
    let jane = world.s3_client(JANE, "eu-central-1");
    assert!(
        jane.get_object()
            .bucket("backups")
            .key("home/john/a")
            .send()
            .await
            .is_ok()
    );
    assert_eq!(
        status_and_code(
            jane.put_object()
                .bucket("backups")
                .key("home/john/once/b")
                .send()
                .await
        ),
        denied
    );
    assert!(
        world
            .server
            .govern(&AccessPolicies {
                bucket: Some("{}".to_owned()),
                ..AccessPolicies::default()
            })
            .is_err()
    );
    world
        .server
        .govern(&AccessPolicies::default())
        .expect("none");
    assert!(
        john.get_object()
            .bucket("backups")
            .key("home/jane/a")
            .send()
            .await
            .is_ok()
    );
}

/// The form of the AWS documentation, "Requiring the use of server-side encryption".
#[tokio::test]
async fn a_bucket_that_demands_encryption_says_that_its_policy_denies() {
    let world = World::new();
    let policy = r#"{"Version": "2012-10-17", "Statement": [
        {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::backups/*",
         "Condition": {"Null": {"s3:x-amz-server-side-encryption": "true"}}},
        {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::backups/*",
         "Condition": {"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}}}]}"#;
    world
        .server
        .govern(&AccessPolicies {
            bucket: Some(policy.to_owned()),
            ..AccessPolicies::default()
        })
        .expect("a policy");
    let john = world.client_of_john();
    let put = || john.put_object().bucket("backups").key("a");
    for request in [
        put(),
        put().server_side_encryption(ServerSideEncryption::Aes256),
    ] {
        let refused = request.send().await.expect_err("denied");
        let message = refused.meta().message().unwrap_or_default();
        assert!(
            message.ends_with("with an explicit deny in a resource-based policy"),
            "{message}"
        );
    }
    let written = put()
        .server_side_encryption(ServerSideEncryption::AwsKms)
        .ssekms_key_id("alias/k")
        .send()
        .await
        .expect("written");
    let head = john.head_object().bucket("backups").key("a").send().await;
    let head = head.expect("an object");
    let kms = Some(&ServerSideEncryption::AwsKms);
    assert_eq!(
        (
            written.server_side_encryption(),
            head.server_side_encryption()
        ),
        (kms, kms)
    );
    assert_eq!(head.ssekms_key_id(), Some("alias/k"));
    let stored = world.server.object("backups", "a").expect("an object");
    assert_eq!(stored.encryption.as_deref(), Some("aws:kms"));
    assert_eq!(stored.kms_key.as_deref(), Some("alias/k"));
}

//! The failures outside of a deployment: how to cause each, and the words that its message must
//! contain.

use std::fs;

use test_support::faulty_proxy::{FaultyProxy, RequestFate};
use test_support::terraform_steps::CustomerUnit;
use test_support::{World, refused_endpoint};

/// A failure in which nothing reaches the bucket and everything is spooled.
pub(crate) struct FailureCase {
    pub(crate) name: &'static str,
    /// Causes the failure, which lasts as long as the returned value.
    pub(crate) arrange: fn(&mut World, &mut CustomerUnit) -> Option<FaultyProxy>,
    /// The status of the plan, which only reads.
    pub(crate) plan: &'static str,
    /// What the warning must contain.
    pub(crate) words: &'static [&'static str],
    /// The user in the late record: STS may have answered although S3 did not. Empty where the
    /// credentials of the deployment are not those that send it.
    pub(crate) user: &'static str,
}

pub(crate) const REFUSED: FailureCase = FailureCase {
    name: "connections are refused",
    arrange: |world, _| {
        world.set_endpoint(&refused_endpoint());
        None
    },
    plan: "error",
    words: &[
        "refused",
        "check the network, VPN and proxy",
        "config-backup replay",
    ],
    user: test_support::JOHN_ARN,
};

pub(crate) const BLACK_HOLE: FailureCase = FailureCase {
    name: "connections are taken and nothing is answered",
    arrange: |world, unit| {
        unit.set_variable("timeout", "1");
        Some(put_behind(world, FaultyProxy::black_hole()))
    },
    plan: "error",
    words: &["no answer", "check the network, VPN and proxy"],
    user: test_support::JOHN_ARN,
};

pub(crate) const PORTAL: FailureCase = FailureCase {
    name: "a captive portal answers 200 and HTML",
    arrange: |world, _| Some(put_behind(world, FaultyProxy::captive_portal())),
    plan: "error",
    words: &["captive portal"],
    user: test_support::JOHN_ARN,
};

pub(crate) const UNAVAILABLE: FailureCase = FailureCase {
    name: "S3 answers 503",
    arrange: |world, _| {
        let proxy = FaultyProxy::start("", |_| RequestFate::Answer("503 Slow Down", SLOW_DOWN));
        world.set_s3_endpoint(&proxy.endpoint());
        Some(proxy)
    },
    plan: "error",
    words: &["503"],
    user: test_support::JOHN_ARN,
};

pub(crate) const READ_ONLY: FailureCase = FailureCase {
    name: "the user may not write",
    arrange: |_, unit| {
        unit.set_variable("aws_profile", "reader");
        None
    },
    plan: "ok",
    words: &["access denied", "s3:PutObject"],
    user: "arn:aws:iam::123456789012:user/reader",
};

pub(crate) const FORBIDDEN: FailureCase = FailureCase {
    name: "the user may do nothing",
    arrange: |_, unit| {
        unit.set_variable("aws_profile", "denied");
        None
    },
    plan: "error",
    words: &[
        "access denied",
        "s3:PutObject",
        "s3:GetObject",
        "s3:ListBucket",
    ],
    user: "arn:aws:iam::123456789012:user/denied",
};

pub(crate) const WRONG_SECRET: FailureCase = FailureCase {
    name: "the secret key is wrong",
    arrange: |world, _| {
        edit_profiles(world, |profiles| {
            profiles.replace("secret-of-default", "secret-of-yesterday")
        });
        None
    },
    plan: "error",
    words: &["the secret key does not match", "SignatureDoesNotMatch"],
    user: test_support::JOHN_ARN,
};

pub(crate) const UNKNOWN_KEY: FailureCase = FailureCase {
    name: "AWS does not know the access key",
    arrange: |world, _| {
        edit_profiles(world, |profiles| {
            profiles.replace("AKIADEFAULT", "AKIADELETED")
        });
        None
    },
    plan: "error",
    words: &[
        "AWS does not know these credentials",
        "renew the access key of the profile `default`",
    ],
    user: "",
};

pub(crate) const NO_CREDENTIALS: FailureCase = FailureCase {
    name: "there are no credentials at all",
    arrange: |world, _| {
        fs::rename(
            world.home().join(".aws"),
            world.home().join(".aws-of-before"),
        )
        .expect("no profiles");
        None
    },
    plan: "error",
    words: &["no AWS credentials found", "log in, or set AWS_PROFILE"],
    user: "",
};

pub(crate) const NO_SUCH_PROFILE: FailureCase = FailureCase {
    name: "the profile does not exist",
    arrange: |_, unit| {
        unit.set_variable("aws_profile", "gone");
        None
    },
    plan: "error",
    words: &[
        "find the AWS profile `gone`",
        "aws configure sso --profile gone",
    ],
    user: "",
};

pub(crate) const ALL_FAILURES: [FailureCase; 10] = [
    REFUSED,
    BLACK_HOLE,
    PORTAL,
    UNAVAILABLE,
    READ_ONLY,
    FORBIDDEN,
    WRONG_SECRET,
    UNKNOWN_KEY,
    NO_CREDENTIALS,
    NO_SUCH_PROFILE,
];

/// Ends the failure: restores the network, and gives all permissions to every profile in use.
pub(crate) fn end_failure(world: &mut World, unit: &mut CustomerUnit, proxy: Option<FaultyProxy>) {
    drop(proxy);
    world.restore_endpoints();
    let away = world.home().join(".aws-of-before");
    if away.exists() {
        fs::rename(away, world.home().join(".aws")).expect("profiles");
    }
    edit_profiles(world, |profiles| {
        let mut profiles = profiles
            .replace("secret-of-yesterday", "secret-of-default")
            .replace("AKIADELETED", "AKIADEFAULT")
            .replace("AKIAREADER", "AKIADEFAULT")
            .replace("secret-of-reader", "secret-of-default")
            .replace("AKIADENIED", "AKIADEFAULT")
            .replace("secret-of-denied", "secret-of-default");
        profiles.push_str(
            "[gone]\naws_access_key_id = AKIADEFAULT\naws_secret_access_key = secret-of-default\n",
        );
        profiles
    });
    unit.set_variable("timeout", "10");
    unit.unset_variable("aws_profile");
}

/// The answer of S3 to too many requests, from its documentation of error responses.
const SLOW_DOWN: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>SlowDown</Code>\
                         <Message>Reduce your request rate</Message><RequestId>4442587FB7D0A2F9</RequestId></Error>";

fn put_behind(world: &mut World, proxy: FaultyProxy) -> FaultyProxy {
    world.set_endpoint(&proxy.endpoint());
    proxy
}

fn edit_profiles(world: &World, edit: impl Fn(&str) -> String) {
    let path = world.home().join(".aws/credentials");
    let profiles = fs::read_to_string(&path).expect("profiles");
    fs::write(&path, edit(&profiles)).expect("profiles");
}

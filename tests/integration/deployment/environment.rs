//! Variables of the shell, of CI and of a git hook that are not meant for the helper.

use std::fs;

use test_support::terraform_steps::{CustomerUnit, string_field};
use test_support::{BUCKET, JOHN_ARN, World, refused_endpoint, to_text};

/// Variables of the AWS SDK. `docker compose` and CI set them to an empty text if they have no
/// value.
const SDK_VARIABLES: [&str; 22] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_CA_BUNDLE",
    "AWS_CONFIG_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_STS",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_MAX_ATTEMPTS",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_REQUEST_CHECKSUM_CALCULATION",
    "AWS_RETRY_MODE",
    "AWS_ROLE_ARN",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_STS_REGIONAL_ENDPOINTS",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
];

/// A world that configures only the common AWS endpoint.
fn world_with_profile_file() -> World {
    let mut world = World::new();
    let endpoint = world.server.endpoint();
    world.set_variable("AWS_ENDPOINT_URL", Some(&endpoint));
    world.set_variable("AWS_ENDPOINT_URL_S3", None);
    world.set_variable("AWS_ENDPOINT_URL_STS", None);
    world
}

#[test]
fn empty_variables_of_the_sdk_count_as_unset() {
    for name in SDK_VARIABLES {
        let mut world = world_with_profile_file();
        let unit = CustomerUnit::new(&world);
        world.set_variable(name, Some(""));
        let deployed = unit.deploy(&world).expect_success();
        assert_eq!(
            string_field(&deployed.context, "caller_arn"),
            JOHN_ARN,
            "{name}"
        );
        assert_eq!(
            string_field(&deployed.record(&world).1, "user"),
            JOHN_ARN,
            "{name}"
        );
        let report = world
            .helper_command(&["report", "--profile", "default"])
            .output()
            .expect("report");
        assert_eq!(
            (report.status.code(), to_text(&report.stderr)),
            (Some(0), String::new()),
            "{name}"
        );
    }
}

#[test]
fn all_variables_of_the_sdk_may_be_empty_at_once() {
    let mut world = world_with_profile_file();
    let unit = CustomerUnit::new(&world);
    for name in SDK_VARIABLES {
        world.set_variable(name, Some(""));
    }
    unit.deploy(&world).expect_success();
    let folder = unit.config.parent().expect("a folder");
    let doctor = world
        .helper_command(&["doctor", "--json"])
        .arg(folder)
        .output()
        .expect("doctor");
    let found: serde_json::Value = serde_json::from_slice(&doctor.stdout).expect("JSON");
    let checks = found["checks"].as_array().expect("checks");
    let credentials = checks
        .iter()
        .find(|check| check["check"] == "credentials")
        .expect("it");
    assert_eq!(credentials["status"], "ok", "{found}");
}

#[test]
fn empty_variables_of_config_backup_count_as_unset() {
    let mut world = World::new();
    CustomerUnit::new(&world).deploy(&world).expect_success();
    for name in [
        "CONFIG_BACKUP_BUCKET",
        "CONFIG_BACKUP_BUCKET_REGION",
        "CONFIG_BACKUP_BUCKET_OWNER",
        "CONFIG_BACKUP_BUCKET_ENCRYPTION",
        "CONFIG_BACKUP_HELPER",
    ] {
        world.set_variable(name, Some(""));
    }
    let report = world
        .helper_command(&["report", "--profile", "default"])
        .output()
        .expect("report");
    assert_eq!(
        (report.status.code(), to_text(&report.stderr)),
        (Some(0), String::new())
    );
    assert_eq!(to_text(&report.stdout).lines().count(), 2);
}

#[test]
fn a_variable_that_is_set_still_counts() {
    let mut world = world_with_profile_file();
    let unit = CustomerUnit::new(&world);
    world.set_variable("AWS_SESSION_TOKEN", Some(""));
    world.set_variable("AWS_ENDPOINT_URL_S3", Some(&refused_endpoint()));
    assert!(unit.deploy(&world).expect_warning().contains("refused"));
    assert_eq!(world.server.keys(BUCKET, ""), Vec::<String>::new());
}

/// Creates a git repository with one commit and returns the id of the commit.
fn create_repository(world: &World, folder: &std::path::Path) -> String {
    fs::create_dir_all(folder).expect("a folder");
    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"];
        let output = world
            .command("git")
            .arg("-C")
            .arg(folder)
            .args(identity)
            .args(arguments)
            .output()
            .expect("git");
        assert!(output.status.success(), "{output:?}");
        to_text(&output.stdout).trim().to_owned()
    };
    git(&["init", "--quiet", "--initial-branch", "main"]);
    git(&[
        "commit",
        "--quiet",
        "--allow-empty",
        "--message",
        &folder.display().to_string(),
    ]);
    git(&["rev-parse", "HEAD"])
}

#[test]
fn in_a_git_hook_the_record_still_names_the_commit_of_the_customer_folder() {
    let mut world = World::new();
    let unit = CustomerUnit::new(&world);
    let ours = create_repository(&world, unit.config.parent().expect("a folder"));
    let elsewhere = world.path().join("elsewhere");
    let other = create_repository(&world, &elsewhere);
    assert_ne!(ours, other);
    // As git sets them for a hook of the other repository.
    world.set_variable("GIT_DIR", elsewhere.join(".git").to_str());
    world.set_variable("GIT_INDEX_FILE", elsewhere.join(".git/index").to_str());
    world.set_variable("GIT_WORK_TREE", elsewhere.to_str());
    world.set_variable("GIT_PREFIX", Some(""));
    let deployed = unit.deploy(&world).expect_success();
    assert_eq!(
        string_field(&deployed.record(&world).1["git"], "commit"),
        ours
    );
}

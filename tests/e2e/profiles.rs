//! AWS profiles in common spellings. The root.hcl of the template leaves profiles to the S3
//! backend, so states and records belong to the same person.

use std::fs;

use crate::customer_stack::{CustomerStack, with_both_tools};
use test_support::s3_servers::MotoServer;
use test_support::{BUCKET, JANE_ARN, JOHN_ARN, to_text};

with_both_tools!(
    a_profile_in_any_spelling_is_found,
    credentials_of_the_environment_need_no_profile,
    deployments_with_a_role_of_terragrunt_are_of_one_user,
);

const JANES_KEYS: &str = "aws_access_key_id = AKIAJANE\naws_secret_access_key = secret-of-jane\n";

fn a_profile_in_any_spelling_is_found(stack: CustomerStack) {
    let credentials = stack.world.home().join(".aws/credentials");
    for (name, file) in [
        ("jane+admin", format!("[jane+admin]\n{JANES_KEYS}")),
        ("team", format!("[team]\n# see [wiki]\n{JANES_KEYS}")),
        (
            "team",
            format!(
                "[other]\nregion = us-east-1\n\n[team]\n{}",
                JANES_KEYS.replace("aws_access_key_id", "AWS_ACCESS_KEY_ID")
            ),
        ),
        (
            "Team.User-123456789012",
            format!("[Team.User-123456789012]\n{JANES_KEYS}"),
        ),
    ] {
        fs::write(&credentials, file).unwrap();
        let config = fs::read_to_string(stack.folder.join("config.yaml")).unwrap();
        let profile = config
            .lines()
            .find(|line| line.trim().starts_with("profile: "))
            .unwrap();
        fs::write(
            stack.folder.join("config.yaml"),
            config.replace(profile, &format!("  profile: {name}")),
        )
        .unwrap();
        // Another profile changes the backend, which must be initialized again.
        for unit in ["atlas-cluster", "eks-cluster", "config-backup"] {
            let _ = fs::remove_dir_all(stack.folder.join(unit).join(".terragrunt-cache"));
        }
        let before = stack.world.usage_records().len();
        let applied = stack.apply_all().expect_success();
        applied.assert_clusters_applied();
        let records = stack.world.usage_records();
        assert_eq!(records.len(), before + 1, "{name}: {}", applied.output);
        assert_eq!(records.last().unwrap().1["user"], JANE_ARN, "{name}");
    }
}

fn credentials_of_the_environment_need_no_profile(mut stack: CustomerStack) {
    fs::remove_file(stack.world.home().join(".aws/credentials")).unwrap();
    stack.set_variable("AWS_ACCESS_KEY_ID", "AKIADEFAULT");
    stack.set_variable("AWS_SECRET_ACCESS_KEY", "secret-of-default");
    stack.apply_all().expect_success().assert_clusters_applied();
    assert_eq!(stack.world.usage_records()[0].1["user"], JOHN_ARN);
    assert!(
        stack
            .world
            .server
            .object(BUCKET, "terragrunt/airbnb/eks-cluster/terraform.tfstate")
            .is_some()
    );
}

/// Terragrunt assumes the role itself, with another session name in each run.
fn deployments_with_a_role_of_terragrunt_are_of_one_user(mut stack: CustomerStack) {
    let moto = MotoServer::start(&stack.world);
    stack.world.set_endpoint(&moto.endpoint);
    stack.set_variable("AWS_REGION", "us-east-1");
    let root = stack.folder.join("root.hcl");
    let text = fs::read_to_string(&root).unwrap();
    let role = "iam_role = \"arn:aws:iam::123456789012:role/Deployer\"\n";
    fs::write(&root, format!("{text}\n{role}")).unwrap();
    let config = fs::read_to_string(stack.folder.join("config.yaml")).unwrap();
    let is_kept = |line: &&str| !line.trim().starts_with("profile: ");
    let config: Vec<&str> = config.lines().filter(is_kept).collect();
    fs::write(stack.folder.join("config.yaml"), config.join("\n")).unwrap();

    for _ in 0..2 {
        stack.apply_unit().expect_success();
    }
    let mut report = stack.world.helper_command(&["report"]);
    let rows = |report: &mut std::process::Command| to_text(&report.output().unwrap().stdout);
    report.args(["--profile", "default"]);
    let days = rows(&mut report);
    assert_eq!(days.lines().count(), 2, "{days}");
    assert!(days.contains(",airbnb,Deployer,"), "{days}");
    let all = rows(report.arg("--all"));
    assert_eq!(
        all.matches(":assumed-role/Deployer/terragrunt-").count(),
        2,
        "{all}"
    );
}

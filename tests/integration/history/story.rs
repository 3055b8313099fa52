//! Ten deployments by three people with seven configs, one of them offline, and what `history` and
//! `restore` return later.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::commands::{command_answer, md5_of};
use test_support::oracle::{parse_csv_rows, unix_now, wait_for_next_second};
use test_support::terraform_steps::CustomerUnit;
use test_support::{
    CONFIG, JANE_ARN, JOHN_ARN, MAX_ARN, World, helper_path, refused_endpoint, to_text,
};

/// A deployment, with a copy of its config.
struct StoryDeployment {
    id: String,
    arn: &'static str,
    config: String,
}

/// Seven configs, which differ in the keys that `history` must name.
fn seven_configs() -> [String; 7] {
    let hidden = CONFIG.replace("canary-admin-password", "canary-admin-password-2");
    [
        CONFIG.to_owned(),
        CONFIG.replace("instance_size: M30", "instance_size: M40"),
        CONFIG
            .replace("instance_size: M30", "instance_size: M40")
            .replace("cluster_region: US_EAST_2", "cluster_region: EU_WEST_1"),
        format!(
            "# only a comment\n{}",
            CONFIG.replace("instance_size: M30", "instance_size: M40")
        ),
        hidden.clone(),
        hidden
            .replace("additional_users_count: 5", "additional_users_count: 6")
            .replace("email: someone@", "mail: someone@"),
        "mongodb: [torn".to_owned(),
    ]
}

/// The config and user of each deployment; the fifth is offline, and the seventh returns to an old
/// config.
const PLAN: [(usize, &str, &str); 10] = [
    (0, "default", JOHN_ARN),
    (1, "jane", JANE_ARN),
    (1, "jane", JANE_ARN),
    (2, "max", MAX_ARN),
    (3, "default", JOHN_ARN),
    (4, "max", MAX_ARN),
    (0, "jane", JANE_ARN),
    (5, "jane", JANE_ARN),
    (6, "default", JOHN_ARN),
    (6, "max", MAX_ARN),
];

fn deploy_ten_times(world: &mut World) -> Vec<StoryDeployment> {
    let mut unit = CustomerUnit::new(world);
    // The last config is cut off, so the customer name is a setting.
    unit.set_variable("customer_name", "airbnb");
    let configs = seven_configs();
    let mut deployed = Vec::new();
    for (number, (config, profile, arn)) in PLAN.into_iter().enumerate() {
        // Versions of the same second have no order.
        wait_for_next_second(unix_now());
        unit.write_config(&configs[config]);
        unit.set_variable("aws_profile", profile);
        let is_offline = number == 4;
        if is_offline {
            world.set_endpoint(&refused_endpoint());
        }
        let applied = unit.deploy(world);
        if is_offline {
            applied.expect_warning();
            world.restore_endpoints();
            assert!(
                to_text(
                    &world
                        .helper_command(&["replay"])
                        .output()
                        .expect("replay")
                        .stdout
                )
                .starts_with("2 sent, 0 left")
            );
        }
        deployed.push(StoryDeployment {
            id: applied.deployment_id().to_owned(),
            arn,
            config: configs[config].clone(),
        });
    }
    deployed
}

/// Restores the config of each deployment with `program` and compares it with its copy.
fn each_deployment_comes_back(
    world: &World,
    program: &Path,
    deployed: &[StoryDeployment],
) -> Result<(), String> {
    for (number, it) in deployed.iter().enumerate() {
        let file = world.path().join(format!(
            "{number}-{}.yaml",
            program.file_name().unwrap().display()
        ));
        let mut restore = world.command(program);
        restore
            .args([
                "restore",
                "airbnb",
                "--profile",
                "default",
                "--deployment",
                &it.id,
                "--output",
            ])
            .arg(&file);
        let output = restore.output().expect("it starts");
        let said = to_text(&output.stderr);
        if !output.status.success()
            || !said.contains(it.arn)
            || !said.contains("md5, sha256 and size verified")
        {
            return Err(format!("deployment {number}: {said}"));
        }
        if fs::read(&file).expect("a file") != it.config.as_bytes() {
            return Err(format!("deployment {number} came back as something else"));
        }
    }
    Ok(())
}

/// A script as the helper, which finds the real one in `$HELPER`.
fn write_broken_helper(world: &World, name: &str, script: &str) -> PathBuf {
    let path = world.path().join(name);
    fs::write(
        &path,
        format!(
            "#!/bin/sh\nHELPER='{}'\n{script}\n",
            helper_path().display()
        ),
    )
    .expect("a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a program");
    path
}

#[test]
fn lists_ten_deployments_and_restores_each_config() {
    let mut world = World::new();
    let deployed = deploy_ten_times(&mut world);
    let table = parse_csv_rows(command_answer(&world, &["history", "airbnb"]).as_bytes());
    let user = |arn: &str| arn.rsplit_once('/').expect("a name").1.to_owned();
    // Newest first, from the plan above: the config, its first user, the number of deployments, and
    // the changes.
    let expected: Vec<Vec<String>> = [
        (6, JOHN_ARN, "2", "not YAML: bytes differ"),
        (
            5,
            JANE_ARN,
            "1",
            "4 keys changed: domain.email, domain.mail, … (+2)",
        ),
        (
            0,
            JANE_ARN,
            "1",
            "1 key changed: mongodb.database_admin_password",
        ),
        (
            4,
            MAX_ARN,
            "1",
            "2 keys changed: mongodb.database_admin_password, mongodb.instance_size",
        ),
        (3, JOHN_ARN, "1", "1 key changed: mongodb.cluster_region"),
        (2, MAX_ARN, "1", "1 key changed: mongodb.cluster_region"),
        (1, JANE_ARN, "2", "1 key changed: mongodb.instance_size"),
        (0, JOHN_ARN, "1", "first version"),
    ]
    .into_iter()
    .map(|(config, arn, count, change)| {
        vec![
            user(arn),
            count.to_owned(),
            md5_of(&seven_configs()[config]),
            change.to_owned(),
        ]
    })
    .collect();
    let told: Vec<Vec<String>> = table[1..]
        .iter()
        .map(|row| [1, 2, 4, 5].map(|place| row[place].clone()).to_vec())
        .collect();
    assert_eq!(told, expected);
    assert_eq!(
        each_deployment_comes_back(&world, &helper_path(), &deployed),
        Ok(())
    );
    // From the second deployment to the eighth, without fingerprints, which differ in each run.
    let shown = command_answer(
        &world,
        &["diff", "airbnb", &deployed[1].id, &deployed[7].id],
    );
    let names: Vec<&str> = shown
        .lines()
        .skip(2)
        .map(|line| line.split(" (masked").next().expect("words"))
        .collect();
    let expected = [
        "- domain.email: someone@example.com",
        "+ domain.mail: someone@example.com",
        "~ mongodb.additional_users_count: 5 -> 6",
        "~ mongodb.database_admin_password: changed",
        "~ mongodb.instance_size: M40 -> M30",
    ];
    assert_eq!(names, expected);
    // An older local file, compared with the latest deployment.
    assert_eq!(
        command_answer(
            &world,
            &["diff", "airbnb", &deployed[1].id, &deployed[2].id]
        ),
        ""
    );

    // Negative controls: a helper that adds a byte, and one that always restores the latest config.
    let adds = write_broken_helper(
        &world,
        "adds",
        "\"$HELPER\" \"$@\"; for last; do :; done; printf x >>\"$last\"",
    );
    let forgets = write_broken_helper(
        &world,
        "forgets",
        "shift 6; exec \"$HELPER\" restore airbnb --profile default \"$@\"",
    );
    for broken in [adds, forgets] {
        each_deployment_comes_back(&world, &broken, &deployed).expect_err("it is broken");
    }
}

//! Ten deployments by three people with seven configs. Each person has a machine and a checkout,
//! and one of them has no connection to S3. `history`, `diff` and `restore` are then compared with
//! copies made during the deployments.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::customer_stack::{
    CustomerStack, TerragruntRun, copy_folder, with_both_tools, write_script,
};
use test_support::oracle::{
    format_rfc3339, parse_csv_rows, python_digest, unix_now, wait_for_next_second,
};
use test_support::{
    BUCKET, CONFIG, JANE_ARN, JOHN_ARN, MAX_ARN, helper_path, refused_endpoint, to_text,
};

with_both_tools!(lists_ten_deployments_and_restores_each_config);

/// A person with a machine; all have the profile name `default`, as in the config.
struct StoryPerson {
    home: &'static str,
    key: &'static str,
    arn: &'static str,
}

const PEOPLE: [StoryPerson; 3] = [
    StoryPerson {
        home: "home of john",
        key: "default",
        arn: JOHN_ARN,
    },
    StoryPerson {
        home: "home of jane",
        key: "jane",
        arn: JANE_ARN,
    },
    StoryPerson {
        home: "home of max",
        key: "max",
        arn: MAX_ARN,
    },
];
const JOHN_AT: usize = 0;
const JANE_AT: usize = 1;
const MAX_AT: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ApplyVariant {
    /// All units of the customer folder.
    All,
    /// This unit alone.
    Alone,
    /// This unit alone, without a connection of the helper to AWS; the backend works.
    CutOff,
}

/// The user, config and way of each deployment. The fifth stays in the spool until the next
/// deployment of John, the ninth. The seventh returns to an old config.
const PLAN: [(usize, usize, ApplyVariant); 10] = [
    (0, JOHN_AT, ApplyVariant::All),
    (1, JANE_AT, ApplyVariant::Alone),
    (1, JANE_AT, ApplyVariant::Alone),
    (2, MAX_AT, ApplyVariant::Alone),
    (3, JOHN_AT, ApplyVariant::CutOff),
    (4, MAX_AT, ApplyVariant::All),
    (0, JANE_AT, ApplyVariant::Alone),
    (5, JANE_AT, ApplyVariant::Alone),
    (6, JOHN_AT, ApplyVariant::Alone),
    (6, MAX_AT, ApplyVariant::All),
];

/// The seven configs; the last one is cut off after the used fields.
fn seven_configs() -> [String; 7] {
    let larger = CONFIG.replace("instance_size: M30", "instance_size: M40");
    let hidden = CONFIG.replace("canary-admin-password", "canary-admin-password-2");
    [
        CONFIG.to_owned(),
        larger.clone(),
        larger.replace("cluster_region: US_EAST_2", "cluster_region: EU_WEST_1"),
        format!("# only a comment\r\n{larger}"),
        hidden.clone(),
        hidden
            .replace("additional_users_count: 5", "additional_users_count: 6")
            .replace("email: someone@", "mail: someone@"),
        "customer:\n  name: airbnb\naws:\n  profile: default\nmongodb: [torn".to_owned(),
    ]
}

/// A deployment as the test knows it.
struct StoryDeployment {
    id: String,
    person: usize,
    config: usize,
    /// The first and last second of the run, in the form of records.
    during: [String; 2],
    /// A copy of the deployed config.
    copy: PathBuf,
}

/// Switches to the machine and checkout of a person.
fn switch_person(stack: &mut CustomerStack, person: &StoryPerson) {
    stack.world.move_to(person.home);
    let keys = format!(
        "[default]\naws_access_key_id = AKIA{}\naws_secret_access_key = secret-of-{}\n",
        person.key.to_uppercase(),
        person.key
    );
    fs::write(stack.world.home().join(".aws/credentials"), keys).unwrap();
    // State keys contain the folder name.
    let checkout = stack.world.home().join("work/airbnb");
    if !checkout.exists() {
        copy_folder(&stack.folder, &checkout);
    }
    stack.folder = checkout;
}

fn run_deployment(stack: &mut CustomerStack, how: ApplyVariant) -> TerragruntRun {
    if how == ApplyVariant::CutOff {
        let path = stack.world.path().join("cut off");
        let refused = refused_endpoint();
        let real = helper_path();
        write_script(
            &path,
            &format!(
                "AWS_ENDPOINT_URL_S3={refused} AWS_ENDPOINT_URL_STS={refused} exec '{}' \"$@\"",
                real.display()
            ),
            true,
        );
        stack.set_variable("CONFIG_BACKUP_HELPER", path.to_str().unwrap());
    } else {
        stack.set_variable("CONFIG_BACKUP_HELPER", helper_path().to_str().unwrap());
    }
    if how == ApplyVariant::All {
        stack.apply_all().expect_success()
    } else {
        stack.apply_unit().expect_success()
    }
}

/// The ids of late records, or of all others.
fn deployment_ids(stack: &CustomerStack, late: bool) -> BTreeSet<String> {
    let records = stack
        .world
        .usage_records()
        .into_iter()
        .map(|(_, record)| record);
    let wanted = records.filter(|record| (record["late"] == Value::Bool(true)) == late);
    wanted
        .map(|record| record["deployment_id"].as_str().expect("an id").to_owned())
        .collect()
}

/// Deploys ten times, and copies each config.
fn deploy_ten_times(stack: &mut CustomerStack) -> Vec<StoryDeployment> {
    let configs = seven_configs();
    let mut deployed: Vec<StoryDeployment> = Vec::new();
    for (number, (config, person, how)) in PLAN.into_iter().enumerate() {
        switch_person(stack, &PEOPLE[person]);
        fs::write(stack.folder.join("config.yaml"), &configs[config]).unwrap();
        let aside = stack.world.path().join(format!("kept aside {number}.yaml"));
        fs::copy(stack.folder.join("config.yaml"), &aside).unwrap();
        let (before, kept) = (deployment_ids(stack, false), deployment_ids(stack, true));
        // Versions of the same second have no order.
        wait_for_next_second(unix_now());
        let from = format_rfc3339(unix_now());
        let ran = run_deployment(stack, how);
        let during = [from, format_rfc3339(unix_now())];
        let news: Vec<String> = deployment_ids(stack, false)
            .difference(&before)
            .cloned()
            .collect();
        let late: Vec<String> = deployment_ids(stack, true)
            .difference(&kept)
            .cloned()
            .collect();
        match how {
            ApplyVariant::CutOff => {
                assert!(
                    ran.warnings().len() == 1 && ran.warnings()[0].contains("refused"),
                    "{}",
                    ran.output
                );
                assert_eq!(
                    (news.len(), late.len(), stack.world.spooled_items().len()),
                    (0, 0, 2)
                );
            }
            ApplyVariant::All => ran.assert_clusters_applied(),
            ApplyVariant::Alone => {}
        }
        // The ninth sends two: its own, and the spooled one of John.
        assert_eq!(
            (news.len(), late.len()),
            (
                usize::from(how != ApplyVariant::CutOff),
                usize::from(number == 8)
            ),
            "{number}: {}",
            ran.output
        );
        if let [id] = &late[..] {
            let cut_off = deployed
                .iter_mut()
                .find(|it| it.id.is_empty())
                .expect("one was cut off");
            id.clone_into(&mut cut_off.id);
        }
        deployed.push(StoryDeployment {
            id: news.first().cloned().unwrap_or_default(),
            person,
            config,
            during,
            copy: aside,
        });
    }
    deployed
}

/// Runs a command in the last folder, which must exit with this code.
#[track_caller]
fn run_command(stack: &CustomerStack, arguments: &[&str], code: i32) -> String {
    let output = stack
        .world
        .helper_command(arguments)
        .args(["--profile", "default"])
        .output()
        .unwrap();
    assert_eq!(
        output.status.code(),
        Some(code),
        "{arguments:?}: {}",
        to_text(&output.stderr)
    );
    to_text(&output.stdout)
}

/// Restores each config, and compares it with the copies of all deployments.
fn assert_each_config_comes_back(stack: &CustomerStack, deployed: &[StoryDeployment]) {
    for (number, it) in deployed.iter().enumerate() {
        let back = stack.world.path().join(format!("back {number}.yaml"));
        run_command(
            stack,
            &[
                "restore",
                "airbnb",
                "--deployment",
                &it.id,
                "--output",
                back.to_str().unwrap(),
            ],
            0,
        );
        assert!(
            fs::read(&back).unwrap() == fs::read(&it.copy).unwrap(),
            "deployment {number} came back as something else"
        );
        // The text difference to each copy is empty exactly if the bytes are equal.
        for other in deployed {
            let differs = i32::from(fs::read(&other.copy).unwrap() != fs::read(&it.copy).unwrap());
            let local = other.copy.to_str().unwrap();
            let shown = run_command(
                stack,
                &[
                    "diff",
                    "airbnb",
                    &it.id,
                    "local",
                    "--config-file",
                    local,
                    "--text",
                    "--show-secrets",
                    "--exit-code",
                ],
                differs,
            );
            assert_eq!(shown.is_empty(), differs == 0, "{shown}");
        }
    }
}

fn lists_ten_deployments_and_restores_each_config(mut stack: CustomerStack) {
    let deployed = deploy_ten_times(&mut stack);
    assert_eq!(
        deployed
            .iter()
            .map(|it| it.id.as_str())
            .collect::<BTreeSet<_>>()
            .len(),
        10
    );
    let current = stack
        .world
        .server
        .object(BUCKET, "terragrunt/airbnb/config.yaml")
        .expect("a config")
        .body;
    assert_eq!(
        current,
        fs::read(&deployed[9].copy).unwrap(),
        "what came late replaced what is newer"
    );

    // The versions: a new one starts where the config differs from the one before.
    let mut versions: Vec<(usize, u64)> = Vec::new();
    for (number, it) in deployed.iter().enumerate() {
        match versions.last_mut() {
            Some((first, count)) if deployed[*first].config == it.config => *count += 1,
            _ => versions.push((number, 1)),
        }
    }
    let table = parse_csv_rows(run_command(&stack, &["history", "airbnb"], 0).as_bytes());
    let column = |name: &str| {
        table[0]
            .iter()
            .position(|it| it == name)
            .unwrap_or_else(|| panic!("no {name}"))
    };
    let cell = |row: &[String], name: &str| row[column(name)].clone();
    let told: Vec<_> = table[1..]
        .iter()
        .map(|row| {
            ["arn", "deployments", "config_hash", "deployment_id"].map(|name| cell(row, name))
        })
        .collect();
    let known = versions.iter().rev().map(|&(first, count)| {
        let it = &deployed[first];
        [
            PEOPLE[it.person].arn.to_owned(),
            count.to_string(),
            python_digest("md5", &fs::read(&it.copy).unwrap()),
            it.id.clone(),
        ]
    });
    assert_eq!(told, known.collect::<Vec<_>>());
    for (row, (first, _)) in table[1..].iter().zip(versions.iter().rev()) {
        let (at, [from, to]) = (cell(row, "timestamp"), &deployed[*first].during);
        assert!(
            *from <= at && at <= *to,
            "{at} is not between {from} and {to}"
        );
    }

    assert_each_config_comes_back(&stack, &deployed);
    for command in ["coverage", "verify"] {
        assert_eq!(
            run_command(&stack, &[command, "airbnb"], 0),
            "",
            "{command}"
        );
    }
}

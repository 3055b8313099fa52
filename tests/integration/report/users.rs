//! `report`: who deployed, for all ways to get credentials.

use std::collections::BTreeSet;
use std::fs;

use crate::commands::run_command_as;
use crate::compact::command::compact_successfully;
use crate::report::csv::run_report;
use test_support::oracle::{parse_csv_rows, unix_time};
use test_support::{BUCKET, World, project_dir};

const DEPLOYER: &str = "arn:aws:sts::123456789012:assumed-role/Deployer";

/// Deployments of one customer on one day, one for each ARN and in this order.
fn world_with_callers(arns: &[String]) -> World {
    let world = World::new();
    for (second, arn) in arns.iter().enumerate() {
        let time = format!("08:{:02}:{:02}", second / 60, second % 60);
        let key = format!("usage-logs/acme/2026-03-02_{}.json", time.replace(':', ""));
        let record = format!(
            "{{\"timestamp\":\"2026-03-02T{time}Z\",\"customer\":\"acme\",\"user\":\"{arn}\",\
             \"additional_users_count\":{second}}}\n"
        );
        world
            .server
            .put_at(BUCKET, &key, record.as_bytes(), &[], unix_time(1))
            .expect("a record");
    }
    world
}

/// The cells of a column of the CSV, in the order of the rows.
fn column(world: &World, arguments: &[&str], name: &str) -> Vec<String> {
    let (csv, _) = run_report(world, arguments);
    let mut rows = parse_csv_rows(csv.as_bytes());
    let header = rows.remove(0);
    let index = header.iter().position(|it| it == name).expect("the column");
    rows.iter().map(|row| row[index].clone()).collect()
}

/// Three people and five CI systems, with the ARNs of their deployments of one day.
fn callers() -> Vec<(&'static str, Vec<String>)> {
    let in_role = |sessions: &[&str], role: &str| -> Vec<String> {
        let arn = format!("arn:aws:sts::123456789012:assumed-role/{role}");
        let sessions = sessions.iter();
        sessions.map(|session| format!("{arn}/{session}")).collect()
    };
    let john = [
        in_role(&["john.doe"], "AWSReservedSSO_Admin_0123456789abcdef"),
        in_role(&["john.doe"], "Deployer"),
        vec!["arn:aws:iam::123456789012:user/john.doe".to_owned()],
    ];
    let jane = [
        vec!["arn:aws:iam::123456789012:user/staff/jane-roe".to_owned()],
        vec!["arn:aws:sts::123456789012:federated-user/jane-roe".to_owned()],
        in_role(&["jane-roe"], "Deployer"),
    ];
    vec![
        ("john.doe", john.concat()),
        ("jane-roe", jane.concat()),
        ("123456", in_role(&["123456", "123456"], "Deployer")),
        (
            "github-ci",
            in_role(
                &[
                    "GitHubActions",
                    "GitHubActions-9876543210",
                    "9876543211",
                    "web-identity-token-1632246085998",
                    "terragrunt-1700000000000000000",
                    "terragrunt-1700000000000000001",
                ],
                "github-ci",
            ),
        ),
        (
            "gitlab-ci",
            in_role(
                &[
                    "GitLabRunner-42-1001",
                    "GitLabRunner-42-1002",
                    "botocore-session-1521558860",
                ],
                "gitlab-ci",
            ),
        ),
        (
            "jenkins-ci",
            in_role(
                &[
                    "i-0123456789abcdef0",
                    "i-0fedcba9876543210",
                    "Jenkins-deploy-acme-17",
                    "Jenkins-deploy-acme-18",
                    "assume-role-from-profile-1632246085998",
                ],
                "jenkins-ci",
            ),
        ),
        (
            "codebuild-ci",
            in_role(
                &[
                    "AWSCodeBuild-146ccba7-69a4-42b1-935b-e5ea50fc7535",
                    "AWSCodeBuild-ca05ab28-a5c3-4a1c-86e7-01c4ec684710",
                    "0f9de17a6465404e8b1b2356dc13c2f8",
                ],
                "codebuild-ci",
            ),
        ),
        (
            "eks-ci",
            in_role(
                &[
                    "eks-prod-runner-5d9f-7c9e6679-7425-40de-944b-e07fc1f90ae7",
                    "eks-prod-runner-77b1-0184990a-477b-4fa8-9968-496074483cee",
                    "aws-go-sdk-1700000000000000000",
                    "1700000000000000000",
                ],
                "eks-ci",
            ),
        ),
    ]
}

#[test]
fn each_person_and_each_ci_system_has_one_row_a_day() {
    let callers = callers();
    let arns: Vec<String> = callers.iter().flat_map(|(_, arns)| arns.clone()).collect();
    let world = world_with_callers(&arns);

    let mut expected: Vec<(&str, String)> = Vec::new();
    let mut deployed = 0;
    for (name, arns) in &callers {
        deployed += arns.len();
        // The last deployment of the day.
        expected.push((name, (deployed - 1).to_string()));
    }
    expected.sort_unstable();
    let users = column(&world, &[], "user");
    let counts = column(&world, &[], "additional_users_count");
    let got: Vec<(&str, String)> = users.iter().map(String::as_str).zip(counts).collect();
    assert_eq!(got, expected);

    let all: BTreeSet<&String> = arns.iter().collect();
    let by_arn = column(&world, &["--by", "arn"], "user");
    assert_eq!(by_arn.iter().collect::<Vec<_>>(), Vec::from_iter(all));
}

#[test]
fn all_forms_of_the_report_show_the_same_users() {
    let callers = callers();
    let arns: Vec<String> = callers.iter().flat_map(|(_, arns)| arns.clone()).collect();
    let world = world_with_callers(&arns);
    let names: BTreeSet<&str> = callers.iter().map(|(name, _)| *name).collect();

    let (json, _) = run_report(&world, &["-f", "json"]);
    let rows: Vec<serde_json::Value> = serde_json::from_str(&json).expect("JSON");
    let in_json = rows.iter().map(|row| row["user"].as_str().expect("a text"));
    assert_eq!(in_json.collect::<Vec<_>>(), Vec::from_iter(names.clone()));

    let (summary, _) = run_report(&world, &["--summary"]);
    let totals = parse_csv_rows(summary.as_bytes());
    let users = totals.iter().filter(|row| row[0] == "user");
    assert_eq!(
        users.map(|row| row[1].as_str()).collect::<Vec<_>>(),
        Vec::from_iter(names.clone())
    );

    let every_deployment: BTreeSet<String> =
        column(&world, &["--all"], "user").into_iter().collect();
    assert!(every_deployment.iter().map(String::as_str).eq(names));

    let (page, _) = run_report(&world, &["-f", "html"]);
    assert!(page.contains("jenkins-ci") && page.contains("john.doe"));
    for session in ["Jenkins-deploy-acme-18", "terragrunt-17", "AWSCodeBuild"] {
        assert!(!page.contains(session), "{session}");
    }
}

/// An archive has the whole record. Its column `user` is not read, because an older version may
/// have written it.
#[test]
fn archived_records_show_the_same_users() {
    let callers = callers();
    let arns: Vec<String> = callers.iter().flat_map(|(_, arns)| arns.clone()).collect();
    let world = world_with_callers(&arns);
    let before = run_report(&world, &["--all"]);
    compact_successfully(&world, &[]);
    for key in world.server.keys(BUCKET, "usage-logs/") {
        world.server.delete(BUCKET, &key).expect("a record");
    }
    assert_eq!(run_report(&world, &["--all"]), before);
    assert_eq!(run_report(&world, &["--all", "--no-cache"]), before);
}

#[test]
fn history_shows_the_same_user() {
    let arn = format!("{DEPLOYER}/terragrunt-1700000000000000000");
    let world = world_with_callers(&[]);
    let version =
        "terragrunt/acme/config-history/2026-03-02_080000_d41d8cd98f00b204e9800998ecf8427e.yaml";
    let record = format!(
        "{{\"timestamp\":\"2026-03-02T08:00:05Z\",\"customer\":\"acme\",\"user\":\"{arn}\",\
         \"deployment_id\":\"d\",\"backup_key\":\"{version}\"}}\n"
    );
    for (key, body) in [
        (version, ""),
        ("usage-logs/acme/2026-03-02_080005.json", record.as_str()),
    ] {
        world
            .server
            .put_at(BUCKET, key, body.as_bytes(), &[], unix_time(1))
            .expect("an object");
    }
    let (code, csv, messages) =
        run_command_as(&world, "default", &["history", "acme", "-f", "csv"]);
    assert_eq!(code, Some(0), "{messages}");
    let rows = parse_csv_rows(csv.as_bytes());
    assert_eq!(rows[1][1], "Deployer");
    assert_eq!(rows[1][6], arn);
}

/// A role is one ARN however often it was assumed; else each CI job would be named with all its
/// runs.
#[test]
fn only_names_of_different_people_or_roles_are_ambiguous() {
    let world = world_with_callers(&[
        format!("{DEPLOYER}/terragrunt-1700000000000000000"),
        format!("{DEPLOYER}/terragrunt-1700000000000000001"),
        format!("{DEPLOYER}/jane"),
        "arn:aws:iam::123456789012:user/jane".to_owned(),
    ]);
    let (_, messages) = run_report(&world, &[]);
    assert_eq!(
        messages,
        format!(
            "config-backup: jane stands for arn:aws:iam::123456789012:user/jane and {DEPLOYER}/jane; \
             `--by arn` distinguishes them\n"
        )
    );
}

#[test]
fn a_user_is_found_by_role_session_and_arn() {
    let session = "terragrunt-1700000000000000000";
    let arn = format!("{DEPLOYER}/{session}");
    let world = world_with_callers(&[
        arn.clone(),
        format!("{DEPLOYER}/terragrunt-1700000000000000001"),
        format!("{DEPLOYER}/jane"),
    ]);
    for (user, count) in [
        ("Deployer", 2),
        (session, 1),
        (&arn, 1),
        ("jane", 1),
        ("x", 0),
    ] {
        let users = column(&world, &["--all", "--user", user], "user");
        assert_eq!(users.len(), count, "{user}");
    }
}

/// The rows of the table in docs/reference/formats.md: the ARN and the user.
fn documented_users() -> Vec<(String, String)> {
    let page = fs::read_to_string(project_dir().join("docs/reference/formats.md")).expect("a page");
    let (_, section) = page.split_once("\n### Users\n").expect("the section");
    let (_, table) = section.split_once("\n|---|---|---|\n").expect("a table");
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [_, arn, user] = cells[..] else {
            panic!("not three cells: {line}");
        };
        let plain = |cell: &str| cell.trim_matches('`').to_owned();
        (plain(arn), plain(user))
    })
    .collect()
}

#[test]
fn the_documented_ways_to_get_credentials_give_the_documented_users() {
    let documented = documented_users();
    assert!(documented.len() >= 20, "{documented:?}");
    let arns: Vec<String> = documented.iter().map(|(arn, _)| arn.clone()).collect();
    let world = world_with_callers(&arns);
    let arguments = ["--all", "--sort", "timestamp"];
    let users = column(&world, &arguments, "user");
    assert_eq!(column(&world, &arguments, "arn"), arns);
    let got: Vec<(String, String)> = arns.into_iter().zip(users).collect();
    assert_eq!(got, documented);
}

/// What a word in braces of a pattern is as a regular expression.
const PLACEHOLDERS: [(&str, &str); 8] = [
    ("{any}", "[A-Za-z0-9_+=,.@-]{1,64}"),
    ("{number}", "[0-9]{1,20}"),
    ("{time}", "[0-9]{10,20}"),
    ("{uuid}", "[0-9A-Fa-f-]{36}"),
    ("{id}", "[0-9A-Fa-f]{8,17}"),
    ("{hash}", "[0-9A-Fa-f]{32,64}"),
    ("{base64}", "[A-Za-z0-9]{48}"),
    ("{ulid}", "[0-9A-Z]{26}"),
];

#[test]
fn the_sql_views_have_the_same_list_of_session_names() {
    let mut regexes = Vec::new();
    for pattern in config_backup::s3::caller::TOOL_SESSIONS {
        let mut regex = pattern.to_owned();
        for (word, class) in PLACEHOLDERS {
            regex = regex.replace(word, class);
        }
        regexes.push(regex);
    }
    let expected = format!("        || '{}'\n", regexes.join("'\n        || '|"));
    for file in ["sql/duckdb.sql", "sql/trino_views.sql"] {
        let views = fs::read_to_string(project_dir().join(file)).expect("views");
        assert!(
            views.contains(&format!(
                "assumed-role/[^/]+/(?:'\n{expected}        || ')\\z'\n"
            )),
            "{file} has another list than this one:\n{expected}"
        );
    }
}

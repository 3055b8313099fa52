//! `~/.aws/config` and `~/.aws/credentials`: the identity that the aws CLI finds in them, or a message
//! that names the line.

mod sessions;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};
use test_support::oracle::python_path;
use test_support::s3_servers::MotoServer;
use test_support::{World, helper_path, project_dir, run_with_input, to_text};

/// How many of the pairs lead to the same identity. The others have none, or a message.
const MIN_SAME_IDENTITIES: usize = 53;

/// What botocore makes of a pair of files.
#[derive(Debug, Deserialize)]
struct BotocoreResult {
    name: String,
    /// The profile that is asked for; empty for none.
    profile: String,
    environment: BTreeMap<String, String>,
    arn: Option<String>,
    error: Option<String>,
}

/// What `context` makes of it.
#[derive(Debug)]
struct HelperResult {
    arn: String,
    message: String,
}

impl BotocoreResult {
    /// Runs `context` with the same files.
    fn ask_helper(&self, world: &World, endpoint: &str) -> HelperResult {
        let home = &self.environment["HOME"];
        let config = Path::new(home).join("config.yaml");
        let text = json!({"customer": {"name": "acme"}, "aws": {"profile": self.profile}});
        std::fs::write(&config, text.to_string()).expect("a config");
        let mut command = world.command(helper_path());
        command
            .env_clear()
            .envs(&self.environment)
            .env("AWS_ENDPOINT_URL_S3", endpoint)
            .arg("context");
        let query = json!({"config_file_path": config});
        let output = run_with_input(command, query.to_string().as_bytes());
        assert_eq!(output.status.code(), Some(0), "{}: {output:?}", self.name);
        let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let text_of = |field: &str| answer[field].as_str().expect("text").to_owned();
        HelperResult {
            arn: text_of("caller_arn"),
            message: text_of("message"),
        }
    }

    /// Whether both have found the same, or the message says why not.
    fn is_same_or_named(&self, helper: &HelperResult) -> bool {
        let home = &self.environment["HOME"];
        let has_message = helper.message.contains(&format!("`{home}/"))
            || helper
                .message
                .contains("AWS_PROFILE and AWS_DEFAULT_PROFILE differ");
        match &self.arn {
            Some(arn) if identity_of(arn) == identity_of(&helper.arn) => true,
            None if helper.arn.is_empty() => !helper.message.is_empty(),
            _ => has_message,
        }
    }
}

/// An ARN without the name of a role's session, which differs from tool to tool.
fn identity_of(arn: &str) -> &str {
    match arn.rsplit_once('/') {
        Some((role, _)) if arn.contains(":assumed-role/") => role,
        _ => arn,
    }
}

fn ask_botocore(world: &World, moto: &MotoServer) -> Vec<BotocoreResult> {
    let folder = world.path().join("pairs");
    let mut python = world.command(python_path());
    python
        .arg(project_dir().join("tests/integration/aws_files/pairs.py"))
        .arg(project_dir().join(".tools/lib/moto"))
        .arg(&moto.endpoint)
        .arg(folder);
    let output = run_with_input(python, b"");
    assert!(output.status.success(), "{}", to_text(&output.stderr));
    let lines = to_text(&output.stdout);
    let results = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("a result"));
    results.collect()
}

#[test]
fn the_aws_files_lead_to_the_same_identity_as_in_the_aws_cli() {
    let world = World::new();
    let moto = MotoServer::start(&world);
    let pairs = ask_botocore(&world, &moto);
    assert!(pairs.len() >= 90, "{} pairs", pairs.len());

    let mut same = 0;
    let mut failures = Vec::new();
    for pair in &pairs {
        let helper = pair.ask_helper(&world, &moto.endpoint);
        if pair.arn.is_some()
            && identity_of(pair.arn.as_deref().unwrap()) == identity_of(&helper.arn)
        {
            same += 1;
        }
        if !pair.is_same_or_named(&helper) {
            let BotocoreResult {
                name, arn, error, ..
            } = pair;
            failures.push(format!(
                "{name}: botocore {arn:?} {error:?}, but {helper:?}"
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(same >= MIN_SAME_IDENTITIES, "{same} same identities");
}

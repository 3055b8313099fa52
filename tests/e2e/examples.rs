//! The folders of examples/, run unchanged: a stack, and a GitHub Actions workflow without its OIDC
//! step.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use embedded_aws::AccessPolicies;
use serde_json::Value;

use crate::customer_stack::{CustomerStack, TerraformTool, copy_folder, with_both_tools};
use test_support::composite_action::{ActionRun, ActionRunner};
use test_support::release_server::ReleaseServer;
use test_support::{BUCKET, JOHN_ARN, assert_no_secret, project_dir, to_text};

with_both_tools!(a_stack_deploys_its_units_and_this_one);

fn a_stack_deploys_its_units_and_this_one(mut stack: CustomerStack) {
    let there = stack.world.path().join("a project");
    for folder in ["terraform", "terragrunt", "examples/stack"] {
        copy_folder(&project_dir().join(folder), &there.join(folder));
    }
    stack.folder = there.join("examples/stack/acme");
    let first = stack.apply_all().expect_success();
    first.assert_healthy();
    let second = stack.apply_all().expect_success();
    assert!(
        second
            .output
            .contains(", unchanged), deployment logged for john.doe: s3://"),
        "{}",
        second.output
    );
    assert_eq!(stack.world.usage_records().len(), 2);
    let config = stack
        .world
        .server
        .object(BUCKET, "terragrunt/acme/config.yaml")
        .unwrap();
    assert_eq!(
        config.body,
        fs::read(stack.folder.join("config.yaml")).unwrap()
    );
    let state = "terragrunt/acme/.terragrunt-stack/atlas-cluster/terraform.tfstate";
    assert!(
        stack.world.server.object(BUCKET, state).is_some(),
        "the other unit was not deployed"
    );
    for command in ["coverage", "verify"] {
        let output = stack
            .world
            .helper_command(&[command, "acme", "--profile", "default"])
            .output()
            .unwrap();
        assert_eq!(
            (output.status.code(), to_text(&output.stdout)),
            (Some(0), String::new()),
            "{command}"
        );
    }
    let csv = stack
        .command(&stack.folder.join("config-backup/view_usage_logs.sh"))
        .args(["acme", "-"])
        .output()
        .unwrap();
    assert_eq!(to_text(&csv.stdout).lines().count(), 2, "{csv:?}");
}

#[test]
fn the_stack_has_the_root_file_of_the_customer_folder() {
    let [one, other] = ["terragrunt/airbnb/root.hcl", "examples/stack/acme/root.hcl"]
        .map(|path| fs::read(project_dir().join(path)).unwrap());
    assert!(one == other);
}

/// Our own action, of the version of this project. The user replaces the placeholder.
const OUR_ACTION: &str = concat!("OWNER/REPOSITORY@v", env!("CARGO_PKG_VERSION"));

/// Each action of others is pinned by its hash and says its version.
fn assert_actions_are_pinned(source: &str, steps: &[Value]) {
    let actions: Vec<&str> = steps
        .iter()
        .filter_map(|step| step["uses"].as_str())
        .filter(|action| *action != OUR_ACTION)
        .collect();
    for action in &actions {
        let hash = action.split_once('@').unwrap().1;
        assert!(
            hash.len() == 40 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{action} is not pinned by its hash"
        );
        assert!(
            source.contains(&format!("{action} # v")),
            "{action} does not say its version"
        );
    }
    assert!(
        actions
            .iter()
            .any(|action| action.starts_with("aws-actions/configure-aws-credentials@"))
    );
}

/// The environment after the step with OIDC, on a runner without any profile, with the policy of the role.
fn enter_runner_with_role(stack: &mut CustomerStack, workspace: &Path) {
    fs::remove_dir_all(stack.world.home().join(".aws")).unwrap();
    stack.set_variable("AWS_ACCESS_KEY_ID", "AKIADEFAULT");
    stack.set_variable("AWS_SECRET_ACCESS_KEY", "secret-of-default");
    stack.set_variable("AWS_REGION", "us-east-1");
    for (name, value) in [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_WORKSPACE", workspace.to_str().unwrap()),
        ("GITHUB_SERVER_URL", "https://github.com"),
        ("GITHUB_REPOSITORY", "acme/deployments"),
        ("GITHUB_RUN_ID", "4711"),
    ] {
        stack.set_variable(name, value);
    }
    let writer = to_text(
        &stack
            .world
            .helper_command(&["iam", "writer", "--customer", "airbnb"])
            .output()
            .unwrap()
            .stdout,
    );
    let identities = BTreeMap::from([("AKIADEFAULT".to_owned(), writer)]);
    stack
        .world
        .server
        .govern(&AccessPolicies {
            identities,
            bucket: None,
            tls: false,
        })
        .unwrap();
}

/// The inputs that a step gives to our action, with the address of a release on this machine.
fn action_inputs<'a>(step: &'a Value, url: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut inputs = vec![("url", url)];
    for (name, value) in step["with"].as_object().into_iter().flatten() {
        inputs.push((name, value.as_str().unwrap()));
    }
    inputs
}

/// Runs the scripts of the workflow and our action; returns the summary of the job.
fn run_steps(stack: &CustomerStack, workspace: &Path, steps: &[Value]) -> String {
    let action = fs::read_to_string(project_dir().join("action.yml")).unwrap();
    let action = serde_yaml::from_str(&action).unwrap();
    let runner = ActionRunner::new(&stack.world.path().join("runner"), action);
    let release = stack.world.path().join("release");
    let release = ReleaseServer::start(&release, env!("CARGO_PKG_VERSION"));

    let mut ran = [0, 0];
    for step in steps {
        let run = if step["uses"] == OUR_ACTION {
            ran[0] += 1;
            let new_command = |shell: &str| {
                let mut command = stack.command(Path::new(shell));
                command.current_dir(workspace);
                command
            };
            runner.run(&new_command, &action_inputs(step, &release.url))
        } else if let Some(script) = step["run"].as_str() {
            ran[1] += 1;
            assert!(!script.contains("${{"), "an expression: {script}");
            let mut shell = stack.command(Path::new("bash"));
            let folder = step["working-directory"].as_str().unwrap_or_default();
            shell.current_dir(workspace.join(folder));
            runner.prepare(&mut shell);
            let output = shell
                .args(["-e", "-o", "pipefail", "-c", script])
                .output()
                .unwrap();
            ActionRun {
                code: output.status.code(),
                output: to_text(&output.stdout) + &to_text(&output.stderr),
            }
        } else {
            continue;
        };
        assert_eq!(run.code, Some(0), "{step}: {}", run.output);
        assert_no_secret("a run's log", &run.output);
    }
    assert_eq!(ran, [2, 2], "our action, and scripts");
    runner.summary()
}

#[test]
fn the_workflow_deploys_with_the_writers_policy_and_says_which_run_it_was() {
    let mut stack = CustomerStack::without_unit(TerraformTool::Tofu, "deployments/airbnb").unwrap();
    let source =
        fs::read_to_string(project_dir().join("examples/github-actions/deploy.yml")).unwrap();
    let workflow: Value = serde_yaml::from_str(&source).unwrap();
    assert_eq!(
        (
            &workflow["permissions"]["id-token"],
            &workflow["permissions"]["contents"]
        ),
        (&"write".into(), &"read".into())
    );
    let steps = workflow["jobs"]["deploy"]["steps"].as_array().unwrap();
    assert_actions_are_pinned(&source, steps);

    let workspace = stack.world.path().to_owned();
    assert!(
        stack
            .world
            .helper_command(&["init", "deployments/airbnb"])
            .output()
            .unwrap()
            .status
            .success()
    );
    for arguments in [
        &["init", "--quiet", "--initial-branch=main"][..],
        &["add", "deployments"],
        &[
            "-c",
            "user.name=x",
            "-c",
            "user.email=x@example.com",
            "commit",
            "--quiet",
            "--message=x",
        ],
    ] {
        assert!(
            stack
                .world
                .command("git")
                .args(arguments)
                .status()
                .unwrap()
                .success()
        );
    }
    enter_runner_with_role(&mut stack, &workspace);

    let summary = run_steps(&stack, &workspace, steps);
    assert!(
        summary.contains(" | airbnb | john.doe | uploaded | ")
            && summary.ends_with("Nothing is queued: all of it is in the bucket.\n"),
        "{summary}"
    );
    let records = stack.world.usage_records();
    assert_eq!(records.len(), 1, "{records:?}");
    let record = &records[0].1;
    assert_eq!(
        (&record["user"], &record["backup"]),
        (&JOHN_ARN.into(), &"uploaded".into())
    );
    assert_eq!(
        record["ci"]["run_url"],
        "https://github.com/acme/deployments/actions/runs/4711"
    );
    assert_eq!(
        (&record["ci"]["provider"], &record["git"]["branch"]),
        (&"github".into(), &"main".into())
    );
}

#[test]
fn the_role_is_for_one_branch_of_one_repository() {
    let policy = fs::read(project_dir().join("examples/github-actions/trust-policy.json")).unwrap();
    let policy: Value = serde_json::from_slice(&policy).unwrap();
    let condition = &policy["Statement"][0]["Condition"]["StringEquals"];
    assert_eq!(
        condition["token.actions.githubusercontent.com:aud"],
        "sts.amazonaws.com"
    );
    let subject = condition["token.actions.githubusercontent.com:sub"]
        .as_str()
        .unwrap();
    assert!(
        subject.starts_with("repo:")
            && subject.contains(":ref:refs/heads/")
            && !subject.contains('*'),
        "{subject}"
    );
}

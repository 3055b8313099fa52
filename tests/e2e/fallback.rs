//! Terraform cannot start or fails in the unit, so the `error_hook` deploys without it. Each
//! deployment has one record, other commands have none, and a WARN names the cause.

use std::fs;

use crate::customer_stack::{CustomerStack, TerragruntRun, with_both_tools, write_script};
use test_support::{BUCKET, CONFIG, helper_path, refused_endpoint};

with_both_tools!(
    a_terraform_that_is_killed_before_or_after_its_deployment_leaves_one_record,
    without_a_provider_a_deployment_is_backed_up_and_logged_once,
    a_lock_file_that_does_not_fit_costs_no_record,
    a_state_out_of_reach_costs_no_record,
    a_failing_module_costs_no_record,
    without_a_provider_and_a_helper_the_run_says_so,
    an_apply_that_is_not_approved_is_no_deployment,
    only_an_apply_leaves_a_record,
    no_other_command_leaves_a_record_where_terraform_cannot_start,
);

fn count_records(stack: &CustomerStack) -> usize {
    stack.world.usage_records().len()
}

/// Asserts that the run succeeded with one ignored error, whose reason contains these words.
#[track_caller]
fn assert_ignored_error(ran: &TerragruntRun, words: &str) {
    assert_eq!(ran.code, 0, "{}", ran.output);
    let reasons = ran.ignored_errors();
    assert!(
        reasons.len() == 1 && reasons[0].contains(words),
        "{}",
        ran.output
    );
    assert!(!ran.output.contains("did not run"), "{}", ran.output);
}

/// The line of the helper.
fn helper_line(ran: &TerragruntRun) -> &str {
    ran.output
        .lines()
        .find(|line| line.starts_with("config-backup: "))
        .unwrap_or_else(|| panic!("no line:\n{}", ran.output))
}

fn without_a_provider_a_deployment_is_backed_up_and_logged_once(mut stack: CustomerStack) {
    stack.remove_providers();
    let first = stack.apply_all();
    assert_ignored_error(
        &first,
        "the provider hashicorp/external cannot be installed",
    );
    first.assert_clusters_applied();
    assert!(
        helper_line(&first)
            .contains("deployment logged for john.doe: s3://mongodb-arena/usage-logs/airbnb/"),
        "{}",
        first.output
    );
    assert_eq!(count_records(&stack), 1);
    assert_eq!(stack.world.stored_config(), CONFIG.as_bytes());
    assert_ignored_error(
        &stack.apply_unit(),
        "the provider hashicorp/external cannot be installed",
    );
    let records = stack.world.usage_records();
    assert_eq!(records.len(), 2);
    assert_ne!(records[0].1["deployment_id"], records[1].1["deployment_id"]);
    assert_eq!(
        stack
            .world
            .count_requests("PutObject", "terragrunt/airbnb/config.yaml"),
        1
    );
}

/// The helper kills Terraform. The `error_hook` then finds a deployment that has not started, or
/// one that has ended.
fn a_terraform_that_is_killed_before_or_after_its_deployment_leaves_one_record(
    mut stack: CustomerStack,
) {
    let path = stack.world.path().join("killing helper");
    let kill = "pid=$$\n\
                until case $(ps -o comm= -p $pid) in *tofu | *terraform) true ;; *) false ;; esac; do\n\
                \x20 pid=$(ps -o ppid= -p $pid | tr -d ' ')\n\
                done\n\
                kill -9 $pid";
    let real = format!("'{}' \"$@\"", helper_path().display());
    for (body, expected) in [
        (format!("[ \"$1\" = deploy ] || exec {real}\n{kill}"), 1),
        (
            format!("[ \"$1\" = deploy ] || exec {real}\n{real}\n{kill}"),
            2,
        ),
    ] {
        write_script(&path, &body, true);
        stack.set_variable("CONFIG_BACKUP_HELPER", path.to_str().unwrap());
        let applied = stack.apply_all().expect_success();
        applied.assert_clusters_applied();
        assert_ignored_error(&applied, "this unit failed");
        assert!(
            helper_line(&applied).contains(", deployment logged for john.doe: s3://"),
            "{}",
            applied.output
        );
        assert_eq!(count_records(&stack), expected, "{}", applied.output);
    }
    assert_eq!(stack.world.spooled_items(), Vec::<String>::new());
}

fn a_lock_file_that_does_not_fit_costs_no_record(stack: CustomerStack) {
    // A version that the module does not allow, and a checksum of no provider.
    for (version, hash) in [
        ("0.9.0", "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ("1.2.0", "h1:BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA="),
    ] {
        let _ = fs::remove_dir_all(stack.folder.join("config-backup/.terragrunt-cache"));
        let block = |registry: &str| {
            format!(
                "provider \"{registry}/hashicorp/external\" {{\n  version     = \"{version}\"\n  constraints = \">= {version}\"\n  hashes = [\n    \"{hash}\",\n  ]\n}}\n"
            )
        };
        let lock = block("registry.terraform.io") + &block("registry.opentofu.org");
        fs::write(stack.folder.join("config-backup/.terraform.lock.hcl"), lock).unwrap();
        let before = count_records(&stack);
        assert_ignored_error(
            &stack.run_terragrunt(&["plan", "--working-dir=config-backup"]),
            ".terraform.lock.hcl of this unit does not fit",
        );
        assert_eq!(count_records(&stack), before);
        let applied = stack.apply_all();
        assert_ignored_error(&applied, ".terraform.lock.hcl of this unit does not fit");
        applied.assert_clusters_applied();
        assert_eq!(count_records(&stack), before + 1);
    }
}

fn a_state_out_of_reach_costs_no_record(mut stack: CustomerStack) {
    stack.world.set_endpoint(&refused_endpoint());
    let applied = stack.apply_unit();
    assert_ignored_error(&applied, "the state of this unit cannot be reached");
    assert!(
        helper_line(&applied).starts_with("config-backup: WARNING: "),
        "{}",
        applied.output
    );
    assert_eq!(
        (count_records(&stack), stack.world.spooled_items().len()),
        (0, 2)
    );
    stack.world.restore_endpoints();
    stack.apply_unit().expect_success().assert_healthy();
    assert_eq!(
        (count_records(&stack), stack.world.spooled_items().len()),
        (2, 0)
    );
}

fn a_failing_module_costs_no_record(stack: CustomerStack) {
    fs::write(
        stack.folder.join("config-backup/broken.tf"),
        "resource \"terraform_data\" \"x\" {\n",
    )
    .unwrap();
    let applied = stack.apply_all();
    assert_ignored_error(&applied, "this unit failed");
    applied.assert_clusters_applied();
    assert_eq!(count_records(&stack), 1);
}

fn without_a_provider_and_a_helper_the_run_says_so(mut stack: CustomerStack) {
    stack.remove_providers();
    stack.set_variable("CONFIG_BACKUP_HELPER", "no-such-helper");
    let applied = stack.apply_all();
    assert_eq!(applied.code, 0, "{}", applied.output);
    applied.assert_clusters_applied();
    assert!(
        helper_line(&applied).contains("neither backed up nor logged"),
        "{}",
        applied.output
    );
}

fn an_apply_that_is_not_approved_is_no_deployment(stack: CustomerStack) {
    let arguments = ["apply", "--working-dir=config-backup"];
    for answer in ["no\n", ""] {
        assert_ignored_error(
            &stack.terragrunt_with_input(&arguments, answer),
            "where an apply is not approved",
        );
        assert_eq!(count_records(&stack), 0);
    }
    stack
        .terragrunt_with_input(&arguments, "yes\n")
        .expect_success()
        .assert_healthy();
    assert_eq!(count_records(&stack), 1);
}

/// Commands that deploy nothing.
const OTHER_COMMANDS: [&[&str]; 11] = [
    &["plan", "--all", "--non-interactive"],
    &["plan", "--working-dir=config-backup", "-refresh-only"],
    &["plan", "--working-dir=config-backup", "-destroy"],
    &[
        "apply",
        "--working-dir=config-backup",
        "-auto-approve",
        "-refresh-only",
    ],
    &[
        "run",
        "--working-dir=config-backup",
        "--",
        "apply",
        "-auto-approve",
        "-refresh-only=true",
    ],
    &["refresh", "--working-dir=config-backup"],
    &["validate", "--all", "--non-interactive"],
    &["output", "--working-dir=config-backup"],
    &[
        "import",
        "--working-dir=config-backup",
        "terraform_data.environment",
        "an-id",
    ],
    &[
        "run",
        "--working-dir=config-backup",
        "--",
        "apply",
        "-auto-approve",
        "-destroy=true",
    ],
    &["destroy", "--all", "--non-interactive"],
];

fn only_an_apply_leaves_a_record(mut stack: CustomerStack) {
    stack.apply_all().expect_success().assert_healthy();
    let before = stack.world.server.keys(BUCKET, "").len();
    for arguments in OTHER_COMMANDS {
        // The import fails because the address exists.
        stack.run_terragrunt(arguments).expect_success();
        assert_eq!(
            (
                count_records(&stack),
                stack.world.server.keys(BUCKET, "").len()
            ),
            (1, before),
            "{arguments:?}"
        );
    }
    stack.set_variable("TF_CLI_ARGS_apply", "-no-color -destroy");
    stack.apply_unit().expect_success();
    assert_eq!(count_records(&stack), 1);
}

fn no_other_command_leaves_a_record_where_terraform_cannot_start(mut stack: CustomerStack) {
    stack.remove_providers();
    for arguments in OTHER_COMMANDS {
        let ran = stack.run_terragrunt(arguments).expect_success();
        assert!(
            ran.ignored_errors()
                .iter()
                .all(|reason| reason.contains("hashicorp/external")),
            "{}",
            ran.output
        );
        assert_eq!(count_records(&stack), 0, "{arguments:?}: {}", ran.output);
    }
    // The hook gets no details of the error.
    let seen = stack.world.path().join("seen");
    let helper = stack.world.path().join("noting helper");
    write_script(
        &helper,
        &format!(
            "{{ echo \"$0 $*\"; env; cat; }} >>'{}'\necho 'config-backup: noted'",
            seen.display()
        ),
        true,
    );
    stack.set_variable("CONFIG_BACKUP_HELPER", helper.to_str().unwrap());
    assert_eq!(
        helper_line(&stack.apply_unit().expect_success()),
        "config-backup: noted"
    );
    let seen = fs::read_to_string(seen).unwrap();
    assert!(
        seen.contains("noting helper fallback\n") && seen.contains("\"config_file_path\""),
        "{seen}"
    );
    assert!(
        !seen.contains("Failed to") && !seen.contains("Error"),
        "{seen}"
    );
}

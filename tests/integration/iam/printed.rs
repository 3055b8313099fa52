//! `iam`: its output formats, its refusals, and the documents that must agree with it. The other
//! tests of this folder enforce the policies.

use std::fs;

use serde_json::Value;

use test_support::{World, project_dir, refused_endpoint, to_text};

/// Runs `iam` without a network; returns exit code, stdout and stderr.
fn run_iam(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut world = World::new();
    world.set_endpoint(&refused_endpoint());
    let output = world
        .helper_command(&["iam"])
        .args(arguments)
        .output()
        .expect("it starts");
    assert!(world.server.requests().is_empty() && !world.state_dir().exists());
    (
        output.status.code(),
        to_text(&output.stdout),
        to_text(&output.stderr),
    )
}

/// Runs `iam`, which must print a policy and no message.
fn print_policy(arguments: &[&str]) -> String {
    let (code, policy, messages) = run_iam(arguments);
    assert_eq!((code, messages.as_str()), (Some(0), ""), "{arguments:?}");
    policy
}

const KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
#[test]
fn the_documents_show_the_policies_that_are_printed() {
    let shown = |text: &str| -> Vec<String> {
        text.split("```json\n")
            .skip(1)
            .map(|tail| tail.split_once("```").expect("an end").0.to_owned())
            .collect()
    };
    let page =
        fs::read_to_string(project_dir().join("docs/permissions.md")).expect("docs/permissions.md");
    let [writer, reader, bucket] = shown(&page).try_into().expect("three policies");

    // The page has fewer line breaks in the policy of the writer.
    let value = |json: &str| serde_json::from_str::<Value>(json).expect("JSON");
    assert_eq!(value(&writer), value(&print_policy(&["writer"])));
    assert_eq!(reader, print_policy(&["reader", "--customer", "airbnb"]));
    assert_eq!(bucket, print_policy(&["bucket"]));
}

#[test]
fn a_customer_name_is_not_a_pattern_or_prefix() {
    for kind in [&["writer"][..], &["reader"], &["bucket"]] {
        let policy = print_policy(&[kind, &["--customer", "a*?$c"]].concat());
        let policy: Value = serde_json::from_str(&policy).expect("JSON");
        let said = policy.to_string();
        assert!(
            said.contains("terragrunt/a${*}${?}${$}c/")
                && said.contains("terragrunt/~a~2a~3f~24c/"),
            "{said}"
        );
        assert!(!said.contains("a*"), "{said}");
    }
    assert!(!print_policy(&["writer", "--customer", "acme"]).contains("acme*"));
    // The segment of another customer is not an older spelling of this one.
    assert!(
        !print_policy(&["reader", "--customer", "~Foo~20Bar"]).contains("terragrunt/~Foo~20Bar/")
    );
    // `terragrunt/a/b/` is in the folder of `a`.
    assert!(!print_policy(&["writer", "--customer", "a/b"]).contains("terragrunt/a/b"));
}

#[test]
fn refuses_invalid_arguments_in_one_line() {
    let refused: [(&[&str], i32, &str); 11] = [
        (
            &["writer", "--bucket", "My_Bucket"],
            3,
            "cannot use `--bucket My_Bucket`: a bucket name has only a-z",
        ),
        (
            &["bucket", "--bucket", "a\u{1b}[2Jb"],
            3,
            "cannot use `--bucket a\u{fffd}[2Jb`",
        ),
        (&["reader", "--bucket", "arena*"], 3, "check the name"),
        (&["writer", "--account", "12345"], 3, "give its 12 digits"),
        (
            &["writer", "--kms-key", "alias/x"],
            3,
            "give `arn:aws:kms:<region>:<account>:key/<id>`",
        ),
        (
            &["writer", "--partition", "aws-cn", "--kms-key", KEY],
            3,
            "arn:aws-cn:kms:",
        ),
        (
            &["bucket", "--principal", "*"],
            3,
            "cannot use `--principal *`",
        ),
        (&["bucket", "--kms-key", KEY], 2, "unexpected argument"),
        (&["writer", "--customer", ""], 2, "a value is required"),
        (
            &["reader", "--versions", "--records-only"],
            2,
            "cannot be used with",
        ),
        (&["somebody"], 2, "unrecognized subcommand"),
    ];
    for (arguments, exit, words) in refused {
        let (code, output, messages) = run_iam(arguments);
        assert_eq!(
            (code, output.as_str()),
            (Some(exit), ""),
            "{arguments:?}: {messages}"
        );
        assert!(
            messages.contains(words) && !messages.contains('\u{1b}'),
            "{messages}"
        );
        assert!(exit == 2 || messages.lines().count() == 1, "{messages}");
    }
}

#[test]
fn warns_of_a_policy_that_is_too_large_for_aws() {
    let customers: Vec<String> = (0..60)
        .map(|number| format!("customer-number-{number}"))
        .collect();
    let arguments: Vec<&str> = ["writer"]
        .into_iter()
        .chain(customers.iter().flat_map(|it| ["--customer", it.as_str()]))
        .collect();
    let (code, policy, messages) = run_iam(&arguments);
    let size = policy.chars().filter(|c| !c.is_whitespace()).count();
    assert_eq!((code, messages.lines().count()), (Some(0), 1));
    assert!(
        size > 6144
            && messages.contains(&format!(
                "this policy has {size} characters, and AWS takes 6144 as a managed policy"
            )),
        "{messages}"
    );
    assert_eq!(
        print_policy(&arguments[..37])
            .matches("customer-number-")
            .count(),
        18 * 6
    );
}

#[test]
fn bucket_and_account_come_from_the_environment_too() {
    let mut world = World::new();
    world.set_variable("CONFIG_BACKUP_BUCKET", Some("elsewhere"));
    world.set_variable("CONFIG_BACKUP_BUCKET_OWNER", Some("210987654321"));
    let policy = to_text(
        &world
            .helper_command(&["iam", "writer"])
            .output()
            .expect("it starts")
            .stdout,
    );
    assert!(
        policy.contains("arn:aws:s3:::elsewhere/usage-logs/*")
            && policy.contains("\"aws:ResourceAccount\": \"210987654321\""),
        "{policy}"
    );
    world.set_variable("CONFIG_BACKUP_BUCKET_OWNER", Some(""));
    let policy = to_text(
        &world
            .helper_command(&["iam", "writer"])
            .output()
            .expect("it starts")
            .stdout,
    );
    assert!(
        policy.contains("elsewhere") && !policy.contains("aws:ResourceAccount"),
        "{policy}"
    );
}

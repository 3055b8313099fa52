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
const ODD: &str = "Foo ${Bar}*\"%{x}é株";

/// Command lines that cover all policies.
const ALL: [&[&str]; 10] = [
    &["writer"],
    &[
        "writer",
        "--customer",
        "airbnb",
        "--kms-key",
        KEY,
        "--account",
        "123456789012",
    ],
    &["writer", "--customer", "airbnb", "--customer", ODD],
    &[
        "writer",
        "--customer",
        ODD,
        "--partition",
        "aws-cn",
        "--lock-files",
    ],
    &["reader"],
    &["reader", "--customer", "acme.de", "--kms-key", KEY],
    &["reader", "--records-only", "--customer", "a/b"],
    &[
        "reader",
        "--versions",
        "--customer",
        "airbnb",
        "--account",
        "123456789012",
    ],
    &["bucket", "--bucket", "arena.of-others"],
    &[
        "bucket",
        "--customer",
        ODD,
        "--principal",
        "arn:aws:iam::210987654321:role/ci",
        "--principal",
        "arn:aws:iam::210987654321:root",
    ],
];

#[test]
fn the_documents_show_the_policies_that_are_printed() {
    let shown = |text: &str| -> Vec<String> {
        text.split("```json\n")
            .skip(1)
            .map(|tail| tail.split_once("```").expect("an end").0.to_owned())
            .collect()
    };
    let readme = fs::read_to_string(project_dir().join("README.md")).expect("README.md");
    let permissions = readme
        .split_once("## Permissions")
        .expect("a chapter")
        .1
        .split_once("\n## ")
        .expect("an end")
        .0;
    // The document has fewer line breaks.
    let value = |json: &String| serde_json::from_str::<Value>(json).expect("JSON");
    assert_eq!(
        shown(permissions).iter().map(value).collect::<Vec<_>>(),
        [value(&print_policy(&["writer"]))]
    );
    let page =
        fs::read_to_string(project_dir().join("docs/permissions.md")).expect("docs/permissions.md");
    assert_eq!(
        shown(&page),
        [
            print_policy(&["reader", "--customer", "airbnb"]),
            print_policy(&["bucket"])
        ]
    );
}

#[test]
fn the_hcl_is_formatted_and_gives_the_same_policy() {
    let world = World::new();
    let tofu = || {
        let mut command = world.command(project_dir().join(".tools/bin/tofu"));
        command
            .env("TF_CLI_CONFIG_FILE", project_dir().join(".tools/tofurc"))
            .env("CHECKPOINT_DISABLE", "1");
        command
    };
    let folder = world.path().join("policies");
    fs::create_dir(&folder).expect("a folder");
    let mut expected = Vec::new();
    for (number, arguments) in ALL.iter().enumerate() {
        let resource = print_policy(&[arguments, &["--format", "terraform"][..]].concat());
        assert_eq!(resource.matches("resource \"aws_").count(), 1, "{resource}");
        fs::write(folder.join(format!("{number}.tf")), &resource).expect("a file");
        expected.push(serde_json::from_str::<Value>(&print_policy(arguments)).expect("JSON"));
    }
    let formatted = tofu()
        .args(["fmt", "-check", "-diff"])
        .arg(&folder)
        .output()
        .expect("tofu");
    assert_eq!(
        (formatted.status.code(), to_text(&formatted.stdout).as_str()),
        (Some(0), ""),
        "{}",
        to_text(&formatted.stderr)
    );
    // Without the AWS provider: the expression of each resource as an output.
    for number in 0..ALL.len() {
        let path = folder.join(format!("{number}.tf"));
        let resource = fs::read_to_string(&path).expect("a file");
        let policy = resource
            .split_once("  policy = ")
            .expect("a policy")
            .1
            .strip_suffix("\n}\n")
            .expect("an end")
            .to_owned();
        fs::write(
            path,
            format!("output \"policy_{number}\" {{\n  value = {policy}\n}}\n"),
        )
        .expect("a file");
    }
    for arguments in [
        &["init", "-input=false"][..],
        &["validate"],
        &["apply", "-auto-approve", "-input=false"],
    ] {
        let done = tofu()
            .current_dir(&folder)
            .args(arguments)
            .output()
            .expect("tofu");
        assert!(done.status.success(), "{arguments:?}: {done:?}");
    }
    let outputs = tofu()
        .current_dir(&folder)
        .args(["output", "-json"])
        .output()
        .expect("tofu");
    let outputs: Value = serde_json::from_slice(&outputs.stdout).expect("JSON");
    for (number, expected) in expected.iter().enumerate() {
        let computed = outputs[format!("policy_{number}")]["value"]
            .as_str()
            .expect("a string");
        assert_eq!(
            &serde_json::from_str::<Value>(computed).expect("JSON"),
            expected,
            "{:?}",
            ALL[number]
        );
    }
}

#[test]
fn resources_of_several_customers_do_not_share_a_name() {
    let name = |arguments: &[&str]| {
        print_policy(arguments)
            .lines()
            .take(2)
            .collect::<Vec<_>>()
            .join("\n")
    };
    let of = |customer| name(&["writer", "-f", "terraform", "--customer", customer]);
    assert_eq!(
        of("acme.de"),
        "resource \"aws_iam_policy\" \"config_backup_writer_acme_de\" {\n  name = \"config-backup-writer-acme.de\""
    );
    assert_ne!(of("airbnb"), name(&["writer", "-f", "terraform"]));
    assert_ne!(
        of("airbnb"),
        name(&["reader", "-f", "terraform", "--customer", "airbnb"])
    );
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
            "read `--bucket My_Bucket`: no bucket can be called so",
        ),
        (
            &["bucket", "--bucket", "a\u{1b}[2Jb"],
            3,
            "read `--bucket a\u{fffd}[2Jb`",
        ),
        (&["reader", "--bucket", "192.168.5.4"], 3, "host name"),
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
        (&["bucket", "--principal", "*"], 3, "read `--principal *`"),
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
                "this has {size} characters, and AWS takes 6144 as a managed policy"
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

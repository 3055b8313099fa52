//! `completions`: TAB in real shells, against a bucket with two customers.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::process::Command;

use test_support::oracle::python_path;
use test_support::{BUCKET, World, to_text};

const COMMANDS: [&str; 14] = [
    "report",
    "history",
    "diff",
    "restore",
    "verify",
    "coverage",
    "compact",
    "init",
    "doctor",
    "replay",
    "status",
    "iam",
    "completions",
    "help",
];
const VERSIONS: [&str; 2] = ["2026-10-02_080000", "2026-10-01_080000"];

/// The bucket of two customers with names that begin with `a`.
fn world_of_two_customers() -> World {
    let world = World::new();
    for (customer, at) in [
        ("airbnb", "2026-10-01_080000"),
        ("airbnb", "2026-10-02_080000"),
        ("acme", "2026-10-03_080000"),
    ] {
        let version = format!(
            "terragrunt/{customer}/config-history/{at}_d188280766a258ccc135ef480b49230c.yaml"
        );
        put(&world, &version, "customer: {}\n");
        let record = format!(
            "{{\"timestamp\":\"{}\",\"customer\":\"{customer}\",\"user\":\"{}\",\"config_hash\":\"\",\
             \"deployment_id\":\"id-{at}\",\"backup_key\":\"{version}\"}}\n",
            "2026-10-03T08:00:00Z",
            test_support::JANE_ARN,
        );
        put(&world, &format!("usage-logs/{customer}/{at}.json"), &record);
    }
    world
}

fn put(world: &World, key: &str, body: &str) {
    let stored = world.server.put(BUCKET, key, body.as_bytes(), &[]);
    stored.expect("an object");
}

/// What bash's function for config-backup makes of a line: the content of COMPREPLY.
fn bash_replies(world: &World, line: &str) -> Vec<String> {
    let script = "tests/integration/completions/reply.bash";
    let mut command = world.command("bash");
    command
        .arg(test_support::project_dir().join(script))
        .arg(line);
    let output = command.output().expect("bash");
    assert_eq!(to_text(&output.stderr), "", "{line}");
    assert!(output.status.success(), "{line}: {output:?}");
    to_text(&output.stdout).lines().map(str::to_owned).collect()
}

/// The answer to a script: what the candidates are, and the candidates.
fn answer(world: &World, words: &[&str]) -> Vec<String> {
    let fixed = ["completions", "elvish", "--", "config-backup"];
    let mut command = world.helper_command(&[&fixed, words].concat());
    let output = command.output().expect("an answer");
    assert_eq!(to_text(&output.stderr), "", "{words:?}");
    assert_eq!(output.status.code(), Some(0), "{words:?}");
    to_text(&output.stdout).lines().map(str::to_owned).collect()
}

fn count_requests(world: &World) -> usize {
    world.server.requests().len()
}

#[test]
fn bash_completes_commands_options_and_values() {
    let world = world_of_two_customers();
    for (line, replies) in [
        ("config-backup ", &COMMANDS[..]),
        ("config-backup re", &["report", "restore", "replay"]),
        ("config-backup report --for", &["--format"]),
        ("config-backup report -f ta", &["table"]),
        // bash takes what stands behind the `=` for a word of its own.
        (
            "config-backup report --format=",
            &["csv", "table", "json", "ndjson", "html", "markdown"],
        ),
        ("config-backup report --format=ta", &["table"]),
        (
            "config-backup history x --format=",
            &["table", "json", "csv"],
        ),
        (
            "config-backup report --sort customer,-us",
            &["customer,-user"],
        ),
        ("config-backup report --by ", &["name", "arn"]),
        (
            "config-backup iam ",
            &["writer", "reader", "compactor", "bucket", "help"],
        ),
        ("config-backup iam writer --part", &["--partition"]),
        ("config-backup completions po", &["powershell"]),
        ("config-backup restore air", &["airbnb"]),
        ("config-backup restore \"air", &["airbnb"]),
        ("config-backup restore --force a", &["acme", "airbnb"]),
        ("config-backup report acme air", &["airbnb"]),
        ("config-backup report -- air", &["airbnb"]),
        ("config-backup iam writer --customer=ac", &["acme"]),
        ("config-backup restore airbnb --version ", &VERSIONS),
        ("config-backup diff airbnb la", &["latest"]),
        (
            "config-backup diff airbnb latest 2026-10-01",
            &VERSIONS[1..],
        ),
        ("config-backup status x y", &[]),
        ("config-backup report --since ", &[]),
    ] {
        assert_eq!(bash_replies(&world, line), replies, "{line}");
    }
}

#[test]
fn no_shell_is_offered_what_the_help_hides() {
    let world = World::new();
    assert_eq!(answer(&world, &[""])[1..], COMMANDS);
    let help = to_text(
        &world
            .helper_command(&["--help"])
            .output()
            .expect("help")
            .stdout,
    );
    for command in COMMANDS {
        assert!(help.contains(&format!("\n  {command} ")), "{command}");
    }
    for words in [
        &["context"][..],
        &["dep"],
        &["fall"],
        &["deploy", ""],
        &["deploy", "-"],
        &["fallback", "--"],
        &["help", "cont"],
        &["completions", "bash", "--", ""],
        &["completions", "bash", "--w"],
    ] {
        assert_eq!(answer(&world, words), ["words"], "{words:?}");
    }
}

#[test]
fn paths_are_completed_by_the_shell() {
    let world = World::new();
    fs::create_dir(world.path().join("my folder")).expect("a folder");
    fs::write(world.path().join("my file"), "").expect("a file");
    for (line, replies) in [
        ("config-backup report -o my", &["my file", "my folder"][..]),
        (
            "config-backup report --output=my",
            &["my file", "my folder"],
        ),
        (
            "config-backup restore acme --config-file my",
            &["my file", "my folder"],
        ),
        ("config-backup init my", &["my folder"]),
        ("config-backup doctor my", &["my folder"]),
    ] {
        let mut found = bash_replies(&world, line);
        found.sort();
        assert_eq!(found, replies, "{line}");
    }
}

#[test]
fn profiles_are_those_of_both_files() {
    let world = World::new();
    let config = world.home().join(".aws/config");
    fs::write(config, "[profile jill:prod]\nregion = us-east-1\n").expect("profiles");
    assert_eq!(
        answer(&world, &["report", "--profile", "j"]),
        ["words", "jill:prod", "jane"]
    );
    // bash begins a new word behind the colon.
    let replies = bash_replies(&world, "config-backup report --profile jill:p");
    assert_eq!(replies, ["prod"]);
}

#[test]
fn unusual_customers_are_quoted_and_dangerous_ones_are_not_offered() {
    let world = World::new();
    for name in ["Foo Bar", "$(x)", "--force", "esc\u{1b}[31m"] {
        let segment = config_backup::keys::customer_segment(name);
        put(
            &world,
            &format!("usage-logs/{segment}/2026-10-01_080000.json"),
            "{}",
        );
    }
    let replies = bash_replies(&world, "config-backup restore ");
    assert_eq!(replies, [r"\$\(x\)", r"Foo\ Bar"]);
    assert_eq!(
        bash_replies(&world, "config-backup restore 'Foo B"),
        ["Foo Bar"]
    );
    assert_eq!(
        bash_replies(&world, r"config-backup restore Foo\ B"),
        [r"Foo\ Bar"]
    );
}

#[test]
fn what_this_machine_knows_needs_no_request() {
    let world = world_of_two_customers();
    let report = world
        .helper_command(&["report", "--profile", "default"])
        .output();
    assert!(report.expect("a report").status.success());
    let folder = world.path().join("deployments/local");
    fs::create_dir_all(folder.join("config-backup")).expect("a folder");
    fs::write(folder.join("config.yaml"), "customer:\n  name: aardvark\n").expect("a config");

    let requests = count_requests(&world);
    assert_eq!(
        answer(&world, &["restore", "a"]),
        ["words", "acme", "airbnb"]
    );
    let versions = answer(&world, &["restore", "airbnb", "--version", ""]);
    assert_eq!(versions[1..], VERSIONS);
    assert_eq!(
        answer(
            &world,
            &["restore", "airbnb", "--deployment", "id-2026-10-01"]
        ),
        ["words", "id-2026-10-01_080000"]
    );
    for current in [
        "deployments",
        "deployments/local",
        "deployments/local/config-backup",
    ] {
        let mut command = world.helper_command(&["completions", "fish", "--", "c", "diff", "aa"]);
        let output = command.current_dir(world.path().join(current)).output();
        assert_eq!(
            to_text(&output.expect("it").stdout),
            "words\naardvark\t\n",
            "{current}"
        );
    }
    assert_eq!(count_requests(&world), requests, "a request was sent");

    put(&world, "usage-logs/zeta/2026-10-01_080000.json", "{}");
    assert_eq!(answer(&world, &["restore", "z"]), ["words", "zeta"]);
}

#[test]
fn an_error_is_not_printed_and_not_waited_for() {
    let mut world = world_of_two_customers();
    for words in [
        &["restore", "--profile", "denied", "air"][..],
        &["restore", "--profile", "no-such-profile", "air"],
        &["restore", "--config-file", "no-such-file", "air"],
        &["restore", "--bucket", "no-such-bucket", "air"],
        &["no-such-command", "air"],
        &["restore", "--no-such-option=x", "--format", "x", "y"],
    ] {
        assert_eq!(answer(&world, words), ["words"], "{words:?}");
    }
    // It accepts connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("its address");
    world.set_endpoint(&format!("http://{address}"));
    assert_eq!(answer(&world, &["restore", "air"]), ["words"]);
}

#[test]
fn no_program_is_started_and_no_login_is_used_for_a_name() {
    let world = world_of_two_customers();
    let trace = world.path().join("started");
    let key = "aws_access_key_id = AKIADEFAULT\naws_secret_access_key = secret-of-default\n";
    let config = format!(
        "[profile tool]\ncredential_process = touch '{trace}'\n\
         [profile both]\n{key}credential_process = touch '{trace}'\n\
         [profile chained]\nrole_arn = arn:aws:iam::123456789012:role/x\nsource_profile = tool\n\
         [profile mfa]\nrole_arn = arn:aws:iam::123456789012:role/x\nsource_profile = default\n\
         mfa_serial = arn:aws:iam::123456789012:mfa/x\n\
         [profile login]\nsso_session = s\nsso_account_id = 123456789012\nsso_role_name = x\n\
         [sso-session s]\nsso_start_url = {url}\nsso_region = us-east-1\n",
        trace = trace.display(),
        url = world.server.endpoint(),
    );
    fs::write(world.home().join(".aws/config"), config).expect("profiles");
    let requests = count_requests(&world);
    for profile in ["tool", "both", "chained", "mfa", "login"] {
        let words = ["restore", "--profile", profile, "air"];
        assert_eq!(answer(&world, &words), ["words"], "{profile}");
    }
    assert!(!trace.exists(), "credential_process was started");
    assert_eq!(count_requests(&world), requests, "a request was sent");
    let words = ["restore", "--profile", "default", "air"];
    assert_eq!(answer(&world, &words), ["words", "airbnb"]);
}

#[test]
fn every_shell_gets_its_script() {
    let world = World::new();
    for (shell, part) in [
        ("bash", "complete -F _config_backup config-backup"),
        ("elvish", "edit:completion:arg-completer[config-backup]"),
        ("fish", "complete --command config-backup"),
        ("powershell", "-CommandName config-backup"),
        ("zsh", "#compdef config-backup"),
    ] {
        let output = world.helper_command(&["completions", shell]).output();
        let script = to_text(&output.expect("a script").stdout);
        assert!(script.contains(part), "{shell}");
        let call = format!("config-backup completions {shell} -- ");
        assert!(script.contains(&call), "{shell} does not ask us");
    }
    let unknown = world.helper_command(&["completions", "cmd.exe"]).output();
    assert_eq!(unknown.expect("it").status.code(), Some(2));
}

/// Each shell with what a user has in its start-up file, and how its script is called as a file.
const INTERACTIVE_SHELLS: [(&str, &str); 3] = [
    ("bash", "source <(config-backup completions bash)"),
    (
        "zsh",
        "autoload -U compinit; compinit -u -D; source <(config-backup completions zsh)",
    ),
    ("fish", "config-backup completions fish | source"),
];

#[test]
fn tab_completes_in_interactive_shells() {
    let world = world_of_two_customers();
    for (shell, setup) in INTERACTIVE_SHELLS {
        if !is_installed(shell) {
            continue;
        }
        for (line, completed) in [
            (
                "config-backup report --for",
                "config-backup report --format",
            ),
            (
                "config-backup report --format=ta",
                "config-backup report --format=table",
            ),
            ("config-backup restore air", "config-backup restore airbnb"),
            (
                "config-backup restore airbnb --version 2026-10-01",
                "config-backup restore airbnb --version 2026-10-01_080000",
            ),
        ] {
            assert_eq!(press_tab(&world, shell, setup, line), completed, "{shell}");
        }
    }
}

/// As the archive's file in a folder of `$fpath`, as package managers install it.
#[test]
fn zsh_loads_the_script_from_its_functions() {
    if !is_installed("zsh") {
        return;
    }
    let world = world_of_two_customers();
    let script = world.helper_command(&["completions", "zsh"]).output();
    let folder = world.home().join("functions");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("_config-backup"), script.expect("it").stdout).expect("a script");
    let setup = "fpath=(~/functions $fpath); autoload -U compinit; compinit -u -D";
    let completed = press_tab(&world, "zsh", setup, "config-backup restore air");
    assert_eq!(completed, "config-backup restore airbnb");
}

fn press_tab(world: &World, shell: &str, setup: &str, line: &str) -> String {
    let script = "tests/integration/completions/tab.py";
    let mut command = world.command(python_path());
    command
        .arg(test_support::project_dir().join(script))
        .args([shell, setup, line]);
    let output = command.output().expect("python3");
    assert!(output.status.success(), "{shell}, {line}: {output:?}");
    to_text(&output.stdout).trim_end().to_owned()
}

/// Only bash is on every machine that builds. Another shell that is absent is named on stderr, past
/// the capture of the test's output.
fn is_installed(shell: &str) -> bool {
    let is_found = Command::new(shell).arg("--version").output().is_ok();
    assert!(is_found || shell != "bash", "bash is not in PATH");
    if !is_found {
        let line = format!("completions: {shell} was not tested, because it is not in PATH\n");
        std::io::stderr()
            .write_all(line.as_bytes())
            .expect("stderr");
    }
    is_found
}

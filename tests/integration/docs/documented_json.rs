//! The JSON of docs/reference/protocol.md and docs/reference/formats.md: valid but for its comments, and with exactly the keys of a real run.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use clap::error::ErrorKind;
use serde_json::Value;

use test_support::console_sessions::read_fences;
use test_support::oracle::{format_rfc3339, key_timestamp, keys_in_order, unix_now};
use test_support::terraform_steps::CustomerUnit;
use test_support::terraform_steps::wrap_request;
use test_support::{BUCKET, CONFIG, World, project_dir, refused_endpoint, run_with_input, to_text};

const PROTOCOL: &str = "docs/reference/protocol.md";
const FORMATS: &str = "docs/reference/formats.md";
/// The commands that answer in JSON.
const ANSWERS: [&str; 5] = ["coverage", "verify", "history", "status", "doctor"];

fn read_examples(page: &str) -> BTreeMap<String, String> {
    let fences = read_fences(page)
        .into_iter()
        .filter(|it| it.language == "jsonc");
    let found: Vec<(String, String)> = fences
        .map(|it| {
            (
                it.name,
                it.body
                    .lines()
                    .map(|line| without_comment(line) + "\n")
                    .collect(),
            )
        })
        .collect();
    let by_name: BTreeMap<String, String> = found.iter().cloned().collect();
    assert_eq!(found.len(), by_name.len(), "a name of {page} stands twice");
    by_name
}

fn without_comment(line: &str) -> String {
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            b'"' if !escaped => quoted = !quoted,
            b'/' if !quoted && line[at..].starts_with("//") => {
                return line[..at].trim_end().to_owned();
            }
            _ => {}
        }
        escaped = byte == b'\\' && !escaped;
    }
    line.to_owned()
}

/// The top-level keys in order, and the paths and types of all values.
fn json_shape(json: &str) -> (Vec<String>, Vec<String>) {
    let value: Value = serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"));
    let mut paths = Vec::new();
    collect_paths(&value, "", &mut paths);
    // All items of a list have the same shape.
    paths.sort();
    paths.dedup();
    let order = if value.is_object() {
        keys_in_order(json.as_bytes())
    } else {
        Vec::new()
    };
    (order, paths)
}

fn collect_paths(value: &Value, path: &str, paths: &mut Vec<String>) {
    let kind = match value {
        Value::Object(fields) => {
            fields
                .iter()
                .for_each(|(key, value)| collect_paths(value, &format!("{path}.{key}"), paths));
            "object"
        }
        Value::Array(items) => {
            for item in items {
                collect_paths(item, &format!("{path}[]"), paths);
            }
            "list"
        }
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) => "boolean",
        Value::Null => "null",
    };
    paths.push(format!("{path}: {kind}"));
}

/// Reads the only file of a state folder whose name has this end.
fn read_state_file(world: &World, folder: &str, end: &str) -> String {
    let entries = fs::read_dir(world.state_dir().join(folder))
        .expect("a folder")
        .map(|it| it.expect("an entry").path());
    let found: Vec<_> = entries
        .filter(|path| path.to_string_lossy().ends_with(end))
        .collect();
    assert_eq!(found.len(), 1, "{found:?}");
    to_text(&fs::read(&found[0]).expect("a file"))
}

fn read_object(world: &World, key: &str) -> String {
    to_text(
        &world
            .server
            .object(BUCKET, key)
            .unwrap_or_else(|| panic!("no {key}"))
            .body,
    )
}

#[test]
fn the_messages_have_exactly_the_documented_keys() {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    let config = unit.config.to_str().expect("UTF-8").to_owned();
    let shown = read_examples(PROTOCOL);
    let told = |name: &str| shown[name].replace("/deployments/airbnb/config.yaml", &config);

    // The documented messages are those that the module sends, and the helper accepts them.
    let keys = |json: &str| keys_in_order(json.as_bytes());
    let all = config_backup::deployment::protocol::QUERY_KEYS
        .map(str::to_owned)
        .to_vec();
    assert_eq!(keys(&told("query")), all[..12]);
    assert_eq!(keys(&told("request")), all);
    let ask = |command: &str, message: &str| {
        let output = run_with_input(world.helper_command(&[command]), message.as_bytes());
        assert_eq!(
            (output.status.code(), to_text(&output.stderr)),
            (Some(0), String::new()),
            "{command}"
        );
        to_text(&output.stdout)
    };
    let context = ask("context", &told("query"));
    assert_eq!(json_shape(&context), json_shape(&shown["context-answer"]));
    let answer = ask(
        "deploy",
        &wrap_request(&serde_json::from_str(&told("request")).expect("JSON")).to_string(),
    );
    assert_eq!(json_shape(&answer), json_shape(&shown["deploy-answer"]));
    let page =
        fs::read_to_string(project_dir().join("docs/reference/protocol.md")).expect("the page");
    let message = "config.yaml saved (698bc8b0, new), deployment logged for john.doe: s3://";
    assert!(
        answer.contains(message) && page.contains(message),
        "{answer}"
    );
}

#[test]
fn helper_sh_answers_as_documented_where_there_is_no_helper() {
    let shown = read_examples(PROTOCOL);
    let script = project_dir().join("terraform/helper.sh");
    for (command, name) in [
        ("context", "fallback-context"),
        ("deploy", "fallback-deploy"),
    ] {
        let output = Command::new("/bin/sh")
            .arg(&script)
            .args([command, "config-backup"])
            .env("PATH", "/usr/bin:/bin")
            .output()
            .expect("sh");
        let answer = to_text(&output.stdout);
        assert_eq!(
            (output.status.code(), json_shape(&answer)),
            (Some(0), json_shape(&shown[name])),
            "{answer}"
        );
        let (said, documented) = [&answer, &shown[name]]
            .map(|json| serde_json::from_str::<Value>(json).expect("JSON")["message"].clone())
            .into();
        assert_eq!(said, documented);
    }
}

/// Makes the customer folder a git checkout and the environment that of a CI job, so that records
/// have all optional fields.
fn enter_checkout_and_ci_job(world: &mut World, unit: &CustomerUnit) {
    let folder = unit.config.parent().expect("a folder").to_owned();
    for arguments in [
        &["init", "--quiet"][..],
        &[
            "-c",
            "user.name=x",
            "-c",
            "user.email=x@example.com",
            "commit",
            "--quiet",
            "--allow-empty",
            "--message=x",
        ],
    ] {
        assert!(
            world
                .command("git")
                .arg("-C")
                .arg(&folder)
                .args(arguments)
                .status()
                .expect("git")
                .success()
        );
    }
    for (name, value) in [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_SERVER_URL", "https://github.com"),
        ("GITHUB_REPOSITORY", "a/b"),
        ("GITHUB_RUN_ID", "1"),
    ] {
        world.set_variable(name, Some(value));
    }
}

/// Compares the table of object metadata with the config, a record and a seal in the bucket.
fn assert_documented_metadata(world: &World, record: &str, seal: &str) {
    let page = fs::read_to_string(project_dir().join(FORMATS)).expect(FORMATS);
    for (key, row) in [
        (
            "terragrunt/airbnb/config.yaml",
            "| `config.yaml` and its copies |",
        ),
        (record, "| record |"),
        (seal, "| seal |"),
    ] {
        let line = page
            .lines()
            .find(|line| line.starts_with(row))
            .unwrap_or_else(|| panic!("no {row}"));
        let mut documented: Vec<&str> = line
            .split('|')
            .nth(3)
            .expect("a cell")
            .split('`')
            .skip(1)
            .step_by(2)
            .collect();
        documented.sort_unstable();
        let object = world.server.object(BUCKET, key).expect("it");
        let mut written: Vec<String> = object.metadata.keys().cloned().collect();
        written.sort();
        assert_eq!(written, documented, "{row}");
    }
}

#[test]
fn written_files_have_exactly_the_documented_keys() {
    let mut world = World::new();
    let unit = CustomerUnit::new(&world);
    enter_checkout_and_ci_job(&mut world, &unit);
    let shown = read_examples(FORMATS);
    world.set_endpoint(&refused_endpoint());
    unit.deploy(&world).expect_warning();
    assert_eq!(
        json_shape(&read_state_file(&world, "deployments", ".json")),
        json_shape(&shown["claim"])
    );
    let configs: Vec<String> = world
        .spooled_items()
        .into_iter()
        .filter(|name| name.contains("-config-"))
        .collect();
    let item = read_state_file(&world, "spool", &configs[0]);
    // As docs/operations.md says, the bytes of the config follow the first line.
    let (header, config) = item.split_once('\n').expect("a line");
    assert_eq!(
        (json_shape(header), config),
        (json_shape(&shown["item"]), CONFIG)
    );

    world.restore_endpoints();
    // Of another machine. The first record of a chain names it.
    let yesterday = key_timestamp(&format_rfc3339(unix_now() - 24 * 3600));
    let newest = format!("usage-logs/airbnb/{yesterday}.json");
    world
        .server
        .put(BUCKET, &newest, b"{}", &[])
        .expect("an object");
    assert!(
        world
            .helper_command(&["replay"])
            .output()
            .expect("replay")
            .status
            .success()
    );
    let record = world.server.keys(BUCKET, "usage-logs/").pop().expect("it");
    assert_eq!(
        json_shape(&read_object(&world, &record)),
        json_shape(&shown["record"])
    );
    let seal = world
        .server
        .keys(BUCKET, "terragrunt/airbnb/usage-chain/")
        .remove(0);
    assert_eq!(
        json_shape(&read_object(&world, &seal)),
        json_shape(&shown["seal"])
    );
    assert_eq!(
        json_shape(&read_state_file(&world, "chains", ".free")),
        json_shape(&shown["end"])
    );
    assert_eq!(
        shown.len(),
        6 + ANSWERS.len(),
        "an example is compared with nothing"
    );

    assert_documented_metadata(&world, &record, &seal);

    // The object of yesterday is damaged, and only what is intact is learned.
    world.server.delete(BUCKET, &newest).expect("deleted");
    world
        .helper_command(&["verify", "--retention", "0m"])
        .output()
        .expect("verify");
    let known = read_state_file(&world, "known", ".jsonl");
    assert_eq!(
        json_shape(&without_object_names(&known)),
        json_shape(&without_object_names(&shown["known"]))
    );
}

/// The memory of `verify` without the names of objects and months.
fn without_object_names(known: &str) -> String {
    let mut known: Value = serde_json::from_str(known).expect("JSON");
    for set in ["records", "configs"] {
        for map in ["recent", "months"] {
            known[set][map] = Value::Object(serde_json::Map::new());
        }
    }
    known.to_string()
}

#[test]
fn the_columns_stand_in_the_documented_order() {
    let world = World::new();
    let page = fs::read_to_string(project_dir().join(FORMATS)).expect(FORMATS);
    let header = |arguments: &[&str]| {
        let output = world
            .helper_command(&["report", "--profile", "default"])
            .args(arguments)
            .output()
            .expect("report");
        to_text(&output.stdout)
            .lines()
            .next()
            .expect("a header")
            .to_owned()
    };
    let (rows, all) = (header(&[]), header(&["--all"]));
    let more = all
        .strip_prefix(&rows)
        .and_then(|more| more.strip_prefix(','))
        .expect("the same columns first");
    for columns in [&rows, more, &header(&["--summary"])] {
        assert!(page.contains(&format!("`{columns}`")), "{columns}");
    }
}

#[test]
fn answers_in_json_have_exactly_the_documented_keys() {
    let mut world = World::new();
    let unit = CustomerUnit::in_folder(&world, "airbnb");
    unit.deploy(&world).expect_success();
    unit.deploy(&world).expect_success();
    // A state without a deployment, an edited record, and a spooled deployment.
    world
        .server
        .put(
            BUCKET,
            "terragrunt/acme/eks-cluster/terraform.tfstate",
            b"{\"serial\":1,\"lineage\":\"x\"}",
            &[],
        )
        .expect("a state");
    let (key, _) = world.usage_records().remove(0);
    let edited = read_object(&world, &key).replace("john.doe", "jane.roe");
    world
        .server
        .put(BUCKET, &key, edited.as_bytes(), &[])
        .expect("an edit");
    world.set_endpoint(&refused_endpoint());
    unit.deploy(&world).expect_warning();
    world.restore_endpoints();
    let shown = read_examples(FORMATS);
    for command in ANSWERS {
        let arguments: &[&str] = match command {
            "status" => &["status", "--json"],
            "history" => &[
                "history",
                "airbnb",
                "--profile",
                "default",
                "--format",
                "json",
            ],
            "doctor" => &["doctor", "airbnb", "--json"],
            _ => &[command, "--json", "--profile", "default"],
        };
        let answer = to_text(
            &world
                .helper_command(arguments)
                .output()
                .expect("it starts")
                .stdout,
        );
        assert_eq!(
            json_shape(&answer),
            json_shape(&shown[command]),
            "{command}: {answer}"
        );
    }
}

/// Splits a command line as a shell does, as far as the pages need it.
fn shell_words(line: &str) -> Vec<String> {
    let line = line
        .split(" #")
        .next()
        .unwrap_or_default()
        .split([';', '|', '>'])
        .next()
        .unwrap_or_default();
    let quoted = line.split('\'').enumerate();
    quoted
        .flat_map(|(index, part)| {
            if index % 2 == 1 {
                vec![part]
            } else {
                part.split_whitespace().collect()
            }
        })
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_command_shown_in_the_documentation_exists() {
    let mut count = 0;
    for page in crate::docs::links::markdown_pages() {
        let of_fences = read_fences(&page)
            .into_iter()
            .filter(|it| ["sh", "console"].contains(&it.language.as_str()));
        let lines: Vec<String> = of_fences
            .flat_map(|it| it.body.lines().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        let prose = crate::docs::links::prose_lines(&page).join("\n");
        let inline = prose.split('`').skip(1).step_by(2).map(str::to_owned);
        let commands = lines
            .into_iter()
            .map(|line| line.trim_start_matches("$ ").to_owned())
            .chain(inline);
        // Placeholders are not commands: `report [CUSTOMER]`, `completions bash|zsh`, `…`.
        for command in commands.filter(|it| {
            it.starts_with("config-backup ")
                && !it.contains(['[', '…', '|'])
                && !it.contains(" did not run")
        }) {
            let words = shell_words(&command);
            if words
                .get(1)
                .is_some_and(|word| word.starts_with(|c: char| c.is_ascii_lowercase() || c == '-'))
            {
                count += 1;
                let parsed = config_backup::cli::cli_command().try_get_matches_from(&words);
                // A command may be named without its arguments.
                let incomplete = [
                    ErrorKind::MissingRequiredArgument,
                    ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
                ];
                let wrong = parsed
                    .err()
                    .filter(|error| error.use_stderr() && !incomplete.contains(&error.kind()));
                assert!(
                    wrong.is_none(),
                    "{page}: `{command}`: {}",
                    wrong.map(|it| it.to_string()).unwrap_or_default()
                );
            }
        }
    }
    assert!(count > 60, "only {count} were found");
}

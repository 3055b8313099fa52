//! Rules for the repository: facts that must agree in two places, and properties of every file.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use test_support::{World, project_dir, to_text};

use crate::docs::links::find_files;

fn read_file(path: &str) -> String {
    fs::read_to_string(project_dir().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub(crate) fn rust_files(folder: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![project_dir().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else if entry.path().extension().is_some_and(|it| it == "rs") {
                files.push(entry.path());
            }
        }
    }
    files
}

/// The keys of the HCL block that starts with `head`.
fn keys_of_block(hcl: &str, head: &str) -> BTreeSet<String> {
    let block = hcl
        .split_once(head)
        .unwrap_or_else(|| panic!("no `{head}`"))
        .1;
    let block = block.split_once("\n  }").unwrap().0;
    block
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .map(|(key, _)| key.trim().to_owned())
        .collect()
}

/// Names behind a dotted path, as `local.context.NAME`.
fn names_behind(text: &str, path: &str) -> BTreeSet<String> {
    let tails = text.split(path).skip(1);
    tails
        .map(|tail| {
            tail.chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect()
        })
        .collect()
}

/// The names under which the fields of a struct are serialized.
fn serialized_fields(source: &str, type_name: &str) -> BTreeSet<String> {
    let head = format!("struct {type_name} {{\n");
    let (_, tail) = source
        .split_once(&head)
        .unwrap_or_else(|| panic!("no `{head}`"));
    let (body, _) = tail.split_once("\n}").unwrap();
    let mut fields = BTreeSet::new();
    let mut renamed = None;
    for line in body.lines().map(str::trim) {
        if let Some((_, name)) = line.split_once("rename = \"") {
            renamed = name.split('"').next();
        }
        let declaration = line
            .strip_prefix("pub(crate) ")
            .or(line.strip_prefix("pub "));
        if let Some((name, _)) = declaration.and_then(|declaration| declaration.split_once(':')) {
            fields.insert(renamed.take().unwrap_or(name).to_owned());
        }
    }
    fields
}

#[test]
fn every_file_has_a_purpose_line_and_at_most_500_lines() {
    for folder in [
        "src",
        "crates",
        "tests",
        "examples",
        "fuzz/src",
        "fuzz/fuzz_targets",
    ] {
        for path in rust_files(folder) {
            let text = fs::read_to_string(&path).unwrap();
            let lines = text.lines().count();
            assert!(
                text.starts_with("//!"),
                "{} does not say what it is for",
                path.display()
            );
            assert!(lines <= 500, "{} has {lines} lines", path.display());
        }
    }
    assert!(read_file("src/main.rs").lines().count() < 30);
}

#[test]
fn the_module_sends_exactly_the_keys_that_the_helper_reads() {
    let main = read_file("terraform/main.tf");
    let mut asked = keys_of_block(&main, "  settings = merge({\n");
    asked.retain(|key| !key.starts_with("helper"));
    asked.extend(keys_of_block(&main, "jsonencode(merge(local.query, {\n"));
    asked.extend(
        names_behind(&main, "{ unit_")
            .iter()
            .map(|name| format!("unit_{name}")),
    );
    let known: BTreeSet<String> = config_backup::deployment::protocol::QUERY_KEYS
        .iter()
        .map(|key| (*key).to_owned())
        .collect();
    assert_eq!(asked, known);
}

#[test]
fn the_module_reads_only_keys_that_the_helper_answers_with() {
    let main = read_file("terraform/main.tf");
    let context = names_behind(&main, "local.context.");
    assert!(
        !context.is_empty()
            && context.is_subset(&serialized_fields(
                &read_file("src/commands/context.rs"),
                "ContextAnswer"
            )),
        "{context:?}"
    );
    let answer = names_behind(
        &(main + &read_file("terraform/outputs.tf")),
        "data.external.deploy.result.",
    );
    assert!(
        answer.len() == 2
            && answer.is_subset(&serialized_fields(
                &read_file("src/deployment/answer.rs"),
                "DeployAnswer"
            )),
        "{answer:?}"
    );
}

#[test]
fn the_variables_of_the_module_are_documented_and_inputs_of_the_unit() {
    let variables = names_behind(&read_file("terraform/variables.tf"), "variable \"");
    let readme = read_file("terraform/README.md");
    for variable in &variables {
        assert!(
            readme.contains(&format!("| {variable} |")),
            "{variable} is not in the table"
        );
    }
    let mut settings = keys_of_block(&read_file("terraform/terragrunt.hcl"), "settings = {\n");
    settings.insert("unit_settings".to_owned());
    assert_eq!(settings, variables, "the unit has all of them");
    let unit = read_file("terraform/terragrunt.hcl");
    let listed = unit
        .split_once("variable_names = [")
        .unwrap()
        .1
        .split_once(']')
        .unwrap()
        .0;
    let mut listed: BTreeSet<String> = listed
        .split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect();
    listed.extend(["config_file_path", "unit_settings"].map(str::to_owned));
    assert_eq!(
        listed, variables,
        "each of them reaches the module in the file"
    );
}

#[test]
fn every_variable_has_type_description_and_validation() {
    let text = read_file("terraform/variables.tf");
    for block in text
        .split("\nvariable ")
        .map(|block| block.trim_start_matches("variable "))
    {
        let name = block.split('"').nth(1).unwrap();
        // The helper checks the settings of the unit, so that an invalid one is a warning.
        let parts = if name == "unit_settings" { 2 } else { 4 };
        for part in &[
            "description = ",
            "type        = ",
            "validation {",
            "error_message = ",
        ][..parts]
        {
            assert!(block.contains(part), "{name} has no {part}");
        }
    }
}

#[test]
fn every_file_has_the_same_version() {
    let version = env!("CARGO_PKG_VERSION");
    assert!(read_file("CHANGELOG.md").contains(&format!("## [{version}]")));
    assert!(read_file("terraform/main.tf").contains(&format!("unit_version = \"{version}\"")));
    let install = read_file("docs/install.md");
    for (head, count) in [("OWNER/REPOSITORY@v", 2), ("rev: v", 1), ("?ref=v", 2)] {
        let tagged = format!("{head}{version}");
        assert_eq!(install.matches(head).count(), count, "{head}");
        assert_eq!(install.matches(&tagged).count(), count, "{tagged}");
    }
    let world = World::new();
    let said = world.helper_command(&["--version"]).output().unwrap();
    assert_eq!(to_text(&said.stdout), format!("config-backup {version}\n"));
}

#[test]
fn defaults_are_the_same_in_the_module_and_the_helper() {
    let variables = read_file("terraform/variables.tf");
    for default in [
        config_backup::defaults::DEFAULT_BUCKET,
        config_backup::defaults::DEFAULT_BUCKET_REGION,
    ] {
        assert!(
            variables.contains(&format!("default     = \"{default}\"")),
            "{default}"
        );
        assert!(
            read_file("terraform/terragrunt.hcl").contains(&format!("\"{default}\"")),
            "{default}"
        );
        assert!(
            read_file("terragrunt/airbnb/root.hcl").contains(&format!("\"{default}\"")),
            "{default}"
        );
    }
    assert!(variables.contains(&format!(
        "default     = {}\n",
        config_backup::defaults::DEFAULT_TIMEOUT_SECONDS
    )));
}

#[test]
fn the_documentation_names_every_command_exit_code_and_field() {
    let readme = read_file("docs/commands.md");
    let world = World::new();
    let help = to_text(&world.helper_command(&["--help"]).output().unwrap().stdout);
    let commands = help
        .split_once("Commands:\n")
        .unwrap()
        .1
        .split_once("\n\n")
        .unwrap()
        .0;
    for command in commands
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|command| !["", "help"].contains(command))
    {
        assert!(
            readme.contains(&format!("`{command}"))
                || readme.contains(&format!("config-backup {command}")),
            "{command}"
        );
    }
    for command in ["context", "deploy", "fallback"] {
        assert!(readme.contains(&format!("`{command}`")), "{command}");
    }
    for code in ["0", "1", "2", "3", "4", "5", "6", "7", "130"] {
        assert!(readme.contains(&format!("| {code} |")), "exit code {code}");
    }
    let makefile = read_file("Makefile");
    for target in (read_file("README.md") + &read_file("CONTRIBUTING.md"))
        .split("`make ")
        .skip(1)
        .filter_map(|tail| tail.split(['`', ' ']).next())
    {
        assert!(makefile.contains(&format!("\n{target}:")), "make {target}");
    }
    let formats = read_file("docs/reference/formats.md");
    for field in serialized_fields(&read_file("src/record/mod.rs"), "UsageRecord") {
        assert!(
            formats.contains(&format!("\n| `{field}` |")),
            "the field {field}"
        );
    }
}

#[test]
fn only_system_modules_read_environment_clock_and_programs() {
    let system = project_dir().join("src/system");
    for path in rust_files("src")
        .iter()
        .filter(|path| !path.starts_with(&system))
    {
        let text = fs::read_to_string(path).unwrap();
        let product = text.split("#[cfg(test)]").next().unwrap();
        for call in ["env::var", "Utc::now", "Command::new"] {
            assert!(!product.contains(call), "{call} in {}", path.display());
        }
    }
}

#[test]
fn the_architecture_fits_on_a_page_and_names_every_folder() {
    let page = read_file("docs/dev/architecture.md");
    assert!(page.lines().count() < 110);
    for entry in fs::read_dir(project_dir().join("src")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy();
        let is_named = ["main", "lib"].contains(&name.as_ref()) || page.contains(name.as_ref());
        assert!(is_named, "{name} is not in the page");
    }
}

#[test]
fn both_readmes_name_the_settings_of_the_unit() {
    // The unit lists the names without their prefix.
    let unit = read_file("terraform/terragrunt.hcl");
    let names = keys_of_block(
        &unit.replace("\n  } :", "\n  }"),
        "variables = { for name, default in {\n",
    );
    assert!(names.len() > 5, "{names:?}");
    for variable in names.iter().map(|name| format!("CONFIG_BACKUP_{name}")) {
        for readme in ["docs/install.md", "terraform/README.md"] {
            assert!(
                read_file(readme).contains(&format!("\n| `{variable}` |")),
                "{variable} is not in {readme}"
            );
        }
    }
}

/// The words of CONTRIBUTING.md in backquotes.
#[test]
fn every_test_program_is_in_a_suite() {
    let makefile = read_file("Makefile");
    let (_, line) = makefile.split_once("\nSUITES := ").expect("the suites");
    let suites: Vec<&str> = line.lines().next().expect("a line").split(' ').collect();
    let recipes: String = makefile
        .split("\n\n")
        .filter(|target| {
            suites
                .iter()
                .any(|it| target.starts_with(&format!("{it}:")))
        })
        .collect();
    for folder in ["tests", "crates/embedded-aws/tests"] {
        let folders = fs::read_dir(project_dir().join(folder)).expect("a folder");
        for program in folders.map(|entry| entry.expect("an entry").path()) {
            if program.join("main.rs").exists() {
                let name = program.file_name().expect("a name").to_string_lossy();
                assert!(
                    recipes.contains(&format!("--test {name}")),
                    "Makefile: `--test {name}` is in none of {suites:?}"
                );
            }
        }
    }
}

fn quoted_code(page: &str) -> Vec<&str> {
    page.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_file_and_type_that_contributing_names_exists() {
    const FILE_KINDS: [&str; 3] = ["rs", "md", "py"];
    let mut names = BTreeSet::new();
    for kind in FILE_KINDS {
        for path in find_files(kind) {
            names.extend(path.rsplit('/').next().map(ToOwned::to_owned));
        }
    }
    let sources: String = rust_files("src")
        .into_iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();

    let page = read_file("CONTRIBUTING.md").replace("```", "");
    let mut count = 0;
    for code in quoted_code(&page) {
        let is_file = FILE_KINDS
            .iter()
            .any(|suffix| code.ends_with(&format!(".{suffix}")));
        let is_placeholder = code.contains("NAME") || code.contains('<') || code.contains('*');
        let is_word = code.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let is_code =
            is_word && (code.contains('_') || code.starts_with(|c: char| c.is_ascii_uppercase()));
        let exists = match () {
            () if is_placeholder || code.contains(' ') => continue,
            () if code.contains('/') => project_dir().join(code).exists(),
            () if is_file => names.contains(code),
            () if is_code => sources.contains(code),
            () => continue,
        };
        assert!(exists, "CONTRIBUTING.md names `{code}`");
        count += 1;
    }
    assert!(count > 40, "{count}");
}

/// A message with `…` in place of its variable parts and their quotes.
fn message_template(text: &str) -> String {
    let mut template = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let end = match next {
            '{' => rest
                .find(|c: char| !c.is_ascii_alphanumeric() && !"{_:.#?".contains(c))
                .filter(|end| rest[*end..].starts_with('}'))
                .map(|end| end + 1),
            '$' => rest[1..]
                .find(|c: char| !c.is_ascii_alphanumeric())
                .map(|end| end + 1),
            _ => None,
        };
        template.push(if end.is_some() { '…' } else { next });
        rest = &rest[end.unwrap_or(next.len_utf8())..];
    }
    template.replace("'…'", "…").replace("\\\n", "")
}

#[test]
fn every_message_explained_in_the_readmes_exists() {
    let sources = rust_files("src")
        .into_iter()
        .map(|path| fs::read_to_string(path).unwrap());
    let of_unit =
        ["helper.sh", "terragrunt.hcl"].map(|name| read_file(&format!("terraform/{name}")));
    let said = message_template(&sources.chain(of_unit).collect::<Vec<_>>().join("\n"));
    // Words of rustls, and of Terraform and its provider.
    let of_others = [
        "UnknownIssuer",
        "provider hashicorp/aws",
        "invalid AWS Region",
    ];
    let mut count = 0;
    for readme in ["docs/troubleshooting.md", "terraform/README.md"] {
        let page = read_file(readme);
        for row in page
            .split_once("| Message |")
            .unwrap()
            .1
            .lines()
            .skip(2)
            .take_while(|line| line.starts_with('|'))
        {
            let message = row.split('|').nth(1).unwrap();
            for phrase in message
                .split('`')
                .skip(1)
                .step_by(2)
                .filter(|phrase| !of_others.iter().any(|other| phrase.contains(other)))
            {
                let spelled = phrase
                    .replace("'config-backup'", "…")
                    .replace("'…'", "…")
                    .replace("'deploy'", "…")
                    .replace("the 10 s", "the … s");
                for part in spelled
                    .split('…')
                    .flat_map(|part| part.split(": "))
                    .map(str::trim)
                    .filter(|part| part.len() > 3 && !part.starts_with('/'))
                {
                    count += 1;
                    assert!(
                        said.contains(part),
                        "{readme}: no message has `{part}`, of `{phrase}`"
                    );
                }
            }
        }
    }
    assert!(count > 30, "only {count} were found");
}

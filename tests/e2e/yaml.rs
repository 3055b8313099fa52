//! `config.yaml` is read as Terraform reads it: a corpus of small files, parsed by our reader and by
//! `yamldecode` of OpenTofu and Terraform.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use config_backup::config::fields::{ConfigFields, parse_config_fields};
use serde::Deserialize;
use test_support::{project_dir, to_text};

use crate::customer_stack::TerraformTool;

/// What `yamldecode` makes of a file. A field that is missing, or is neither text, number nor
/// boolean, is `None`.
#[derive(Deserialize)]
struct TerraformFields {
    is_read: bool,
    customer: Option<String>,
    profile: Option<String>,
    project: Option<String>,
    cluster: Option<String>,
    count: Option<String>,
}

/// Refused by Terraform and read by us: our parser is of a later libyaml, which knows `"\/"`.
const ONLY_READ_BY_US: [&str; 1] = ["whole-escape-slash.yaml"];

/// Read by OpenTofu and by us. Terraform 1.11 has an older `yamldecode`, which refuses lists of
/// merged mappings.
const REFUSED_BY_TERRAFORM: [&str; 5] = [
    "whole-escape-slash.yaml",
    "whole-merge-list-block.yaml",
    "whole-merge-list-empty.yaml",
    "whole-merge-list.yaml",
    "whole-merge-tag.yaml",
];

const EXPRESSION: &str = r#"
jsonencode({ for name in fileset("corpus", "*.yaml") : name => {
  is_read  = can(yamldecode(file("corpus/${name}"))),
  customer = try(tostring(yamldecode(file("corpus/${name}")).customer.name), null),
  profile  = try(tostring(yamldecode(file("corpus/${name}")).aws.profile), null),
  project  = try(tostring(yamldecode(file("corpus/${name}")).mongodb.project_name), null),
  cluster  = try(tostring(yamldecode(file("corpus/${name}")).mongodb.cluster_name), null),
  count    = try(tostring(yamldecode(file("corpus/${name}")).mongodb.additional_users_count), null)
} })
"#;

fn write_corpus(folder: &Path) {
    let script = project_dir().join("tests/e2e/yaml_corpus/generate.py");
    let status = Command::new("python3")
        .arg(script)
        .arg(folder.join("corpus"))
        .status();
    assert!(status.unwrap().success());
}

fn evaluate_corpus(tool: &Path, folder: &Path) -> BTreeMap<String, TerraformFields> {
    let expression = folder.join("expression");
    // The console evaluates each line for itself.
    fs::write(&expression, EXPRESSION.trim().replace('\n', " ")).unwrap();
    let output = Command::new(tool)
        .arg("console")
        .current_dir(folder)
        .env("TF_CLI_CONFIG_FILE", "/dev/null")
        .stdin(Stdio::from(fs::File::open(&expression).unwrap()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", to_text(&output.stderr));
    // A JSON text as a string of HCL.
    let text: String = serde_json::from_str(to_text(&output.stdout).trim()).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// What is wrong with our reading, if anything: a value that Terraform does not see, or a missing
/// one that no problem names.
fn find_difference(ours: &ConfigFields, theirs: &TerraformFields) -> Option<String> {
    let count = ours.additional_users_count.map(|count| count.to_string());
    for (field, ours_value, their_value) in [
        ("customer", &ours.customer, &theirs.customer),
        ("profile", &ours.profile, &theirs.profile),
        ("project", &ours.project_name, &theirs.project),
        ("cluster", &ours.cluster_name, &theirs.cluster),
        ("count", &count, &theirs.count),
    ] {
        let is_named = !ours.problems.is_empty();
        let is_same = match (ours_value, their_value) {
            (Some(ours), Some(theirs)) => ours == theirs,
            (None, Some(_)) => is_named,
            // A file that Terraform refuses deploys nothing; what can be read of it is salvaged.
            (Some(_), None) => !theirs.is_read && is_named,
            (None, None) => true,
        };
        if !is_same {
            return Some(format!(
                "{field}: we {ours_value:?}, Terraform {their_value:?}"
            ));
        }
    }
    (!theirs.is_read && ours.problems.is_empty()).then(|| "Terraform refuses the file".to_owned())
}

fn compare_with(tool: TerraformTool, exceptions: &[&str]) {
    let Some(tool) = tool.find() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    write_corpus(folder.path());
    let evaluated = evaluate_corpus(&tool, folder.path());
    assert!(evaluated.len() >= 400, "{}", evaluated.len());

    let mut differences = Vec::new();
    for (name, theirs) in &evaluated {
        let bytes = fs::read(folder.path().join("corpus").join(name)).unwrap();
        let is_exception = exceptions.contains(&name.as_str());
        match find_difference(&parse_config_fields(&bytes), theirs) {
            Some(difference) if !is_exception => {
                differences.push(format!("{name}: {difference}\n{}", to_text(&bytes)));
            }
            None if is_exception => differences.push(format!("{name}: no difference any more")),
            _ => {}
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn opentofu_and_we_read_the_same_values() {
    compare_with(TerraformTool::Tofu, &ONLY_READ_BY_US);
}

#[test]
fn terraform_and_we_read_the_same_values() {
    compare_with(TerraformTool::Terraform, &REFUSED_BY_TERRAFORM);
}

//! Customer folders with root files other than the template. In each folder, every way to deploy
//! leaves one record, the other units are deployed, and the changes of the root file to its units
//! do not affect this unit.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::customer_stack::{CustomerStack, with_both_tools, write_script};
use test_support::{BUCKET, CONFIG};

with_both_tools!(
    a_root_that_validates_and_leaves_the_backend_to_the_modules,
    a_root_that_generates_versions_providers_and_the_backend,
    a_root_with_sources_and_required_var_files,
    a_root_that_generates_files_named_like_ours,
    a_root_called_terragrunt_hcl,
    a_root_called_common_hcl,
    a_root_three_folders_up,
    no_root_at_all,
    spaces_and_unicode_in_the_path,
    the_roots_binary_and_role_are_used,
);

const CONFIG_KEY: &str = "terragrunt/airbnb/config.yaml";
const UNIT_STATE: &str = "terragrunt/airbnb/config-backup/unit.tfstate";
pub(crate) const LEGACY_STATE: &str = "terragrunt/airbnb/config-backup/terraform.tfstate";

/// The usual way to read the config.
pub(crate) const LOCALS: &str =
    "locals {\n  config = yamldecode(file(\"${get_terragrunt_dir()}/../config.yaml\"))\n}\n\n";

/// The config as read by a root file beside it.
const LOCALS_BESIDE_CONFIG: &str =
    "locals {\n  config = yamldecode(file(\"./config.yaml\"))\n}\n\n";

/// The state keys in S3, by the customer name.
const STATE_CONFIG: &str = r#"{
    bucket         = "mongodb-arena"
    key            = "terragrunt/${local.config.customer.name}/${basename(get_terragrunt_dir())}/terraform.tfstate"
    region         = "us-east-1"
    encrypt        = true
    use_path_style = true
  }"#;

/// A `remote_state` block that writes the backend.
fn remote_state() -> String {
    format!(
        "remote_state {{\n  backend  = \"s3\"\n  generate = {{ path = \"backend.tf\", if_exists = \"overwrite_terragrunt\" }}\n  config = {STATE_CONFIG}\n}}\n"
    )
}

/// A `generate` block.
pub(crate) fn generate_block(path: &str, contents: &str) -> String {
    let name = path.replace(['.', '/'], "_");
    format!(
        "generate \"{name}\" {{\n  path      = \"{path}\"\n  if_exists = \"overwrite\"\n  contents  = <<-END\n{contents}\n  END\n}}\n\n"
    )
}

/// Replaces the root file of the template, and writes the unit.
fn write_root(stack: &CustomerStack, root: &Path, text: &str) {
    fs::remove_file(stack.folder.join("root.hcl")).unwrap();
    fs::remove_dir_all(stack.folder.join("config-backup")).unwrap();
    fs::write(root, text).unwrap();
    let name = root.file_name().unwrap().to_str().unwrap();
    for cluster in ["atlas-cluster", "eks-cluster"] {
        replace_in_file(
            &stack.folder.join(cluster).join("terragrunt.hcl"),
            "\"root.hcl\"",
            &format!("\"{name}\""),
        );
    }
    stack.run_init();
}

/// Moves the customer folder.
fn move_folder(stack: &mut CustomerStack, place: &str) {
    let folder = stack.world.path().join(place);
    fs::create_dir_all(folder.parent().unwrap()).unwrap();
    fs::rename(&stack.folder, &folder).unwrap();
    stack.folder = folder;
}

pub(crate) fn replace_in_file(path: &Path, from: &str, to: &str) {
    let before = fs::read_to_string(path).unwrap();
    assert!(
        before.contains(from),
        "`{from}` is not in {}",
        path.display()
    );
    fs::write(path, before.replace(from, to)).unwrap();
}

pub(crate) fn count_records(stack: &CustomerStack) -> usize {
    stack.world.usage_records().len()
}

/// Deploys in every way, with plans in between; `source` is for `--source`.
fn deploy_in_every_way(stack: &CustomerStack, source: &Path) {
    let plans = stack.world.path().join("plans");
    let plans = plans.to_str().unwrap();
    let all = |arguments: &[&str]| {
        stack
            .run_terragrunt(&[arguments, &["--all", "--non-interactive"]].concat())
            .expect_success()
    };

    all(&["plan"]).assert_healthy();
    assert_eq!(count_records(stack), 0);
    let applied = all(&["apply"]);
    applied.assert_clusters_applied();
    applied.assert_healthy();
    assert_eq!(count_records(stack), 1, "{}", applied.output);
    stack.apply_unit().expect_success().assert_healthy();
    assert_eq!(count_records(stack), 2);

    all(&["plan", "--out-dir", plans]).assert_healthy();
    assert_eq!(count_records(stack), 2);
    let applied = all(&["apply", "--out-dir", plans]);
    applied.assert_clusters_applied();
    applied.assert_healthy();
    assert_eq!(count_records(stack), 3, "{}", applied.output);
    let applied = all(&["apply", "--source", source.to_str().unwrap()]);
    applied.assert_clusters_applied();
    applied.assert_healthy();
    assert_eq!(count_records(stack), 4, "{}", applied.output);

    all(&["destroy"]).assert_healthy();
    assert_eq!(count_records(stack), 4);
    assert_eq!(
        stack.world.server.object(BUCKET, CONFIG_KEY).unwrap().body,
        CONFIG.as_bytes()
    );
}

/// As [`deploy_in_every_way`], with the state of the unit in S3 under its own key.
fn deploy_in_every_way_with_state_in_s3(stack: &CustomerStack, source: &Path) {
    deploy_in_every_way(stack, source);
    let keys = stack
        .world
        .server
        .keys(BUCKET, "terragrunt/airbnb/config-backup/");
    assert_eq!(keys, [UNIT_STATE]);
    assert!(
        stack
            .world
            .server
            .object(BUCKET, "terragrunt/airbnb/atlas-cluster/terraform.tfstate")
            .is_some()
    );
}

fn a_root_that_validates_and_leaves_the_backend_to_the_modules(stack: CustomerStack) {
    let validate = "import os, sys\n\
                    if os.path.basename(sys.argv[1]) not in ('atlas-cluster', 'eks-cluster'):\n    sys.exit('ERROR: placeholder values found')\n";
    fs::write(stack.folder.join("validate_config.py"), validate).unwrap();
    let hook = r#"terraform {
  before_hook "validate_config" {
    commands = ["apply", "plan", "init"]
    execute  = ["python3", "${get_parent_terragrunt_dir("root")}/validate_config.py", get_terragrunt_dir()]
  }
}
"#;
    let root = format!(
        "{LOCALS_BESIDE_CONFIG}{hook}\nremote_state {{\n  backend = \"s3\"\n  config = {STATE_CONFIG}\n}}\n"
    );
    for cluster in ["atlas-cluster", "eks-cluster"] {
        let version = "required_version = \">= 1.10\"";
        replace_in_file(
            &stack.folder.join(cluster).join("main.tf"),
            version,
            &format!("{version}\n  backend \"s3\" {{}}"),
        );
    }
    let eks = stack.folder.join("eks-cluster/terragrunt.hcl");
    let text = fs::read_to_string(&eks).unwrap();
    fs::write(
        &eks,
        text + "\ndependencies {\n  paths = [\"../atlas-cluster\"]\n}\n",
    )
    .unwrap();
    write_root(&stack, &stack.folder.join("root.hcl"), &root);
    deploy_in_every_way_with_state_in_s3(&stack, &stack.folder);
}

/// A generated backend with other `terraform` settings in the same block.
pub(crate) fn generated_backend() -> String {
    generate_block(
        "backend.tf",
        r#"terraform {
  # Not this one: backend "local" { path = "terraform.tfstate" }
  backend "s3" {
    bucket         = "mongodb-arena"
    key            = "terragrunt/airbnb/${path_relative_to_include()}/terraform.tfstate"
    region         = "us-east-1"
    use_path_style = true
    endpoints      = {}
  }
  required_version = ">= 1.9"
}"#,
    )
}

pub(crate) fn generated_versions() -> String {
    let versions = "terraform {\n  required_providers {\n    external = {\n      source  = \"hashicorp/external\"\n      version = \"~> 1.1\"\n    }\n  }\n}";
    generate_block("versions.tf", versions)
        + &generate_block("provider.tf", "provider \"external\" {}")
}

/// With a shared provider cache, a cluster fails sometimes; see `provider_cache.rs`.
pub(crate) fn clusters_install_a_provider(stack: &mut CustomerStack) {
    stack.set_variable("TG_NO_AUTO_PROVIDER_CACHE_DIR", "true");
}

fn a_root_that_generates_versions_providers_and_the_backend(mut stack: CustomerStack) {
    clusters_install_a_provider(&mut stack);
    let root = format!("{LOCALS}{}{}", generated_versions(), generated_backend());
    write_root(&stack, &stack.folder.join("root.hcl"), &root);
    deploy_in_every_way_with_state_in_s3(&stack, &stack.folder);
}

fn a_root_with_sources_and_required_var_files(stack: CustomerStack) {
    let modules = stack.world.path().join("modules");
    for cluster in ["atlas-cluster", "eks-cluster"] {
        fs::create_dir_all(modules.join(cluster)).unwrap();
        fs::rename(
            stack.folder.join(cluster).join("main.tf"),
            modules.join(cluster).join("main.tf"),
        )
        .unwrap();
    }
    fs::write(
        stack.folder.join("common.tfvars"),
        "# Nothing that all clusters share.\n",
    )
    .unwrap();
    let terraform = format!(
        r#"terraform {{
  source = "{}//${{path_relative_to_include()}}"

  extra_arguments "common" {{
    commands           = get_terraform_commands_that_need_vars()
    required_var_files = ["${{get_parent_terragrunt_dir("root")}}/common.tfvars"]
  }}
}}

"#,
        modules.display()
    );
    write_root(
        &stack,
        &stack.folder.join("root.hcl"),
        &format!("{LOCALS}{terraform}{}", remote_state()),
    );
    deploy_in_every_way_with_state_in_s3(&stack, &modules);
}

fn a_root_that_generates_files_named_like_ours(stack: CustomerStack) {
    let remote_state = remote_state().replace("backend.tf", "outputs.tf");
    for cluster in ["atlas-cluster", "eks-cluster"] {
        let folder = stack.folder.join(cluster);
        fs::rename(folder.join("main.tf"), folder.join("cluster.tf")).unwrap();
    }
    let names = [
        "main.tf",
        "variables.tf",
        "requirements.tf",
        "requirements.tofu",
        "helper.sh",
        "README.md",
    ];
    let files: String = names
        .iter()
        .map(|name| generate_block(name, "# The root's."))
        .collect();
    write_root(
        &stack,
        &stack.folder.join("root.hcl"),
        &format!("{LOCALS}{files}{remote_state}"),
    );
    deploy_in_every_way_with_state_in_s3(&stack, &stack.folder);
}

fn a_root_called_terragrunt_hcl(stack: CustomerStack) {
    write_root(
        &stack,
        &stack.folder.join("terragrunt.hcl"),
        &format!("{LOCALS_BESIDE_CONFIG}{}", remote_state()),
    );
    deploy_in_every_way_with_state_in_s3(&stack, &stack.folder);
}

fn a_root_called_common_hcl(stack: CustomerStack) {
    write_root(
        &stack,
        &stack.folder.join("common.hcl"),
        &format!("{LOCALS}{}", remote_state()),
    );
    deploy_in_every_way_with_state_in_s3(&stack, &stack.folder);
}

fn a_root_three_folders_up(mut stack: CustomerStack) {
    move_folder(&mut stack, "repository/deployments/eu/airbnb");
    let root = stack.world.path().join("repository/root.hcl");
    write_root(&stack, &root, &format!("{LOCALS}{}", remote_state()));
    deploy_in_every_way_with_state_in_s3(&stack, &stack.folder);
}

fn no_root_at_all(stack: CustomerStack) {
    fs::remove_file(stack.folder.join("root.hcl")).unwrap();
    let inputs = |values: &str| format!("inputs = {{\n  name = \"a name\"\n  {values}\n}}\n");
    fs::write(
        stack.folder.join("atlas-cluster/terragrunt.hcl"),
        inputs("instance_size = \"M10\""),
    )
    .unwrap();
    fs::write(
        stack.folder.join("eks-cluster/terragrunt.hcl"),
        inputs("region = \"us-east-2\""),
    )
    .unwrap();
    fs::remove_dir_all(stack.folder.join("config-backup")).unwrap();
    stack.run_init();
    deploy_in_every_way(&stack, &stack.folder);
    // The state survives the terragrunt copy of the folder.
    assert!(stack.folder.join("config-backup/unit.tfstate").is_file());
    assert_eq!(
        stack
            .world
            .server
            .keys(BUCKET, "terragrunt/airbnb/config-backup/"),
        [""; 0]
    );
}

fn spaces_and_unicode_in_the_path(mut stack: CustomerStack) {
    move_folder(&mut stack, "Kunden & Söhne/日本 – it's/airbnb");
    deploy_in_every_way_with_state_in_s3(&stack, &stack.folder);
}

fn the_roots_binary_and_role_are_used(mut stack: CustomerStack) {
    let calls = stack.world.path().join("calls");
    let binary = stack.world.path().join("wrapper of the tool");
    write_script(
        &binary,
        &format!(
            "echo \"$PWD $*\" >>'{}'\nexec '{}' \"$@\"",
            calls.display(),
            stack.tool_path().display()
        ),
        true,
    );
    let root = stack.folder.join("root.hcl");
    let text = fs::read_to_string(&root).unwrap();
    fs::write(
        &root,
        format!("terraform_binary = \"{}\"\n\n{text}", binary.display()),
    )
    .unwrap();
    stack.unset_variable("TG_TF_PATH");
    stack.apply_all().expect_success().assert_healthy();
    stack.apply_unit().expect_success().assert_healthy();
    assert_eq!(count_records(&stack), 2);
    let calls = fs::read_to_string(calls).unwrap();
    let is_ours = |line: &&str| {
        line.contains("/config-backup/.terragrunt-cache/") && line.contains(" apply ")
    };
    assert_eq!(calls.lines().filter(is_ours).count(), 2, "{calls}");

    // No server here issues roles, so the log of terragrunt shows the attempt.
    let role = "iam_role = \"arn:aws:iam::123456789012:role/deployer\"\niam_assume_role_duration = 900\niam_assume_role_session_name = \"a-session\"\n";
    let text = fs::read_to_string(&root).unwrap();
    fs::write(&root, format!("{role}\n{text}")).unwrap();
    let rendered = stack
        .run_terragrunt(&["render", "--json", "--working-dir=config-backup"])
        .expect_success()
        .output;
    let json = &rendered[rendered.find('{').unwrap()..=rendered.rfind('}').unwrap()];
    let rendered: Value = serde_json::from_str(json).unwrap();
    assert_eq!(
        rendered["iam_role"],
        "arn:aws:iam::123456789012:role/deployer"
    );
    assert_eq!(rendered["iam_assume_role_duration"], 900);
    assert_eq!(rendered["iam_assume_role_session_name"], "a-session");
}

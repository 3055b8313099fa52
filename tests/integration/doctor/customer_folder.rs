//! `doctor` and `init` on common customer folders, with the real Terragrunt: which of them log a
//! deployment.

use std::fs;
use std::path::{Path, PathBuf};

use crate::doctor::healthy::{Diagnosis, run_doctor};
use crate::init::new_folder::{embedded_unit_files, read_files, run_init_with_path};
use test_support::{CONFIG, InitializedUnit, World, assert_no_secret, helper_path, project_dir};

/// A root file as in real customer folders: without `generate`, with the profile from config.yaml.
const REAL_ROOT: &str = "locals {\n  config = yamldecode(file(\"${get_parent_terragrunt_dir(\"root\")}/CONFIG\"))\n}\n\n\
                         remote_state {\n  backend = \"s3\"\n  config = {\n    bucket  = \"mongodb-arena\"\n    \
                         key     = \"terragrunt/${local.config.customer.name}/${path_relative_to_include()}/terraform.tfstate\"\n    \
                         region  = \"us-east-1\"\n    profile = local.config.aws.profile\n  }\n}\n";

/// A PATH with the pinned tools and the helper.
pub(crate) fn search_path() -> String {
    let bin = helper_path();
    format!(
        "{}:{}:/usr/bin:/bin",
        bin.parent().expect("a folder").display(),
        project_dir().join(".tools/bin").display()
    )
}

/// A world with the tools, and a customer folder without the unit; two other units include a root
/// file with `include`.
fn world_with_root(folder: &str, include: &str) -> (World, PathBuf) {
    let mut world = World::new();
    world.set_variable("PATH", Some(&search_path()));
    let folder = world.path().join(folder);
    for unit in ["atlas-cluster", "eks-cluster"] {
        fs::create_dir_all(folder.join(unit)).expect("a folder");
        fs::write(
            folder.join(unit).join("main.tf"),
            "terraform {\n  backend \"s3\" {}\n}\n",
        )
        .expect("a file");
        let include = if include.is_empty() {
            String::new()
        } else {
            format!("include \"root\" {{\n  path   = {include}\n  expose = true\n}}\n")
        };
        fs::write(folder.join(unit).join("terragrunt.hcl"), include).expect("a file");
    }
    fs::write(folder.join("config.yaml"), CONFIG).expect("a config");
    (world, folder)
}

/// A healthy customer folder with the unit.
pub(crate) fn prepared_world() -> (World, PathBuf) {
    static UNIT: InitializedUnit = InitializedUnit::new();
    let (world, folder) = world_with_root("airbnb", "find_in_parent_folders(\"root.hcl\")");
    fs::write(
        folder.join("root.hcl"),
        REAL_ROOT.replace("CONFIG", "config.yaml"),
    )
    .expect("a root file");
    UNIT.create_in(&folder, || {
        let arguments = [&*folder.display().to_string()];
        let (code, said) = run_init_with_path(&world, &search_path(), &arguments);
        assert_eq!(code, Some(0), "{said}");
    });
    (world, folder)
}

pub(crate) fn examine(world: &World, folder: &Path) -> Diagnosis {
    run_doctor(world, &[folder.to_str().expect("UTF-8")])
}

/// Runs `init`, which must not say that the folder is ready, and returns its messages.
pub(crate) fn init_refusal(world: &World, folder: &Path) -> String {
    let (code, said) = run_init_with_path(world, &search_path(), &[&folder.display().to_string()]);
    assert_no_secret("init", &said);
    assert!(code == Some(1) && !said.contains("Deploy with"), "{said}");
    said
}

pub(crate) fn append_text(path: &Path, text: &str) {
    let before = fs::read_to_string(path).unwrap_or_default();
    fs::write(path, before + text).expect("written");
}

#[test]
fn common_customer_folders_are_ready() {
    let named = |name: &str| format!("find_in_parent_folders(\"{name}\")");
    for (folder, include, root) in [
        ("airbnb", named("root.hcl"), "airbnb/root.hcl"),
        (
            "airbnb",
            "find_in_parent_folders()".to_owned(),
            "terragrunt.hcl",
        ),
        ("airbnb", named("common.hcl"), "common.hcl"),
        (
            "airbnb",
            "\"../common.hcl\"".to_owned(),
            "airbnb/common.hcl",
        ),
        ("one/two/airbnb", named("root.hcl"), "root.hcl"),
        (
            "Kunden é/my customer/airbnb",
            named("root.hcl"),
            "Kunden é/root.hcl",
        ),
        ("airbnb", String::new(), ""),
    ] {
        let (world, folder) = world_with_root(folder, &include);
        if !root.is_empty() {
            let config = folder.join("config.yaml");
            let below = config
                .strip_prefix(world.path().join(root).parent().expect("a folder"))
                .expect("below")
                .display()
                .to_string();
            fs::write(world.path().join(root), REAL_ROOT.replace("CONFIG", &below))
                .expect("a root file");
        }
        let (code, said) =
            run_init_with_path(&world, &search_path(), &[&folder.display().to_string()]);
        assert!(
            code == Some(0)
                && said.contains("Deploy with `terragrunt apply --all`")
                && !said.contains("Not checked"),
            "{include}: {said}"
        );
        let found = examine(&world, &folder);
        found
            .assert_no_problem()
            .assert_check("unit", "ok", "is as version", "")
            .assert_check("dependents", "ok", "", "");
        let seen = if root.is_empty() {
            "neither this folder nor one above has a root file"
        } else {
            root
        };
        found.assert_check("root.hcl", "ok", seen, "");
        assert_eq!(
            read_files(&folder.join("config-backup")).len(),
            embedded_unit_files().len(),
            "nothing else is written"
        );
        assert!(
            !folder.join("config-backup/.terragrunt-cache").exists()
                && !folder.join("atlas-cluster/.terragrunt-cache").exists()
        );
    }
}

#[test]
fn a_folder_that_stops_or_excludes_the_unit_is_not_ready() {
    for (file, text, check, seen, fix) in [
        (
            "config-backup/terragrunt.hcl",
            "locals {\n",
            "unit",
            "cannot evaluate `config-backup/terragrunt.hcl`, line ",
            "correct that line",
        ),
        (
            "config-backup/terragrunt.hcl",
            "exclude {\n  if      = true\n  actions = [\"apply\"]\n}\n",
            "unit",
            "`exclude`",
            "remove it",
        ),
        (
            "config-backup/terragrunt.hcl",
            "dependencies {\n  paths = [\"../eks-cluster\"]\n}\n",
            "unit",
            "depends on other units",
            "remove ",
        ),
        (
            "config-backup/provider.tf",
            "provider \"aws\" {}\n",
            "unit",
            "`provider.tf` needs the provider `aws`",
            "--force",
        ),
        (
            "root.hcl",
            "locals {\n",
            "root.hcl",
            "cannot evaluate `root.hcl`, line ",
            "terragrunt hcl validate",
        ),
        (
            "root.hcl",
            "iam_role = get_env(\"NO_SUCH_VARIABLE\")\n",
            "root.hcl",
            "cannot evaluate `root.hcl`, line 14",
            "correct that line",
        ),
        (
            "config.yaml",
            "\n  - [\n",
            "root.hcl",
            "cannot evaluate `root.hcl`, line 2",
            "or the file that it reads",
        ),
        (
            "atlas-cluster/terragrunt.hcl",
            "locals {\n",
            "unit",
            "cannot evaluate `atlas-cluster/terragrunt.hcl`",
            "correct that line",
        ),
        (
            ".terragrunt-excludes",
            "config-backup\n",
            "unit",
            "leaves the unit out because of `.terragrunt-excludes`",
            "include",
        ),
        (
            ".terragrunt-filters",
            "!./config-backup\n",
            "unit",
            "leaves the unit out because of `.terragrunt-filters`",
            "include",
        ),
        (
            "eks-cluster/terragrunt.hcl",
            "dependencies {\n  paths = [\"../config-backup\"]\n}\n",
            "dependents",
            "eks-cluster/terragrunt.hcl",
            "remove",
        ),
    ] {
        let (world, folder) = prepared_world();
        append_text(&folder.join(file), text);
        let found = examine(&world, &folder);
        assert!(
            found.code != Some(0) && found.checks_with_status("bad").contains(&check),
            "{file}: {found:#?}"
        );
        found.assert_check(check, "bad", seen, fix);
        if file != "config.yaml" {
            found.assert_failed(1, &[check]);
        }
        let said = init_refusal(&world, &folder);
        assert!(
            said.contains(&format!("Not ready: {check}: "))
                && said.contains(seen)
                && said.contains(fix),
            "{said}"
        );
    }
}

#[test]
fn names_an_environment_that_excludes_the_unit() {
    for (name, value) in [
        ("TG_QUEUE_EXCLUDE_DIR", "config-backup"),
        ("TG_QUEUE_EXCLUDE_DIR", "conf*"),
        ("TG_QUEUE_INCLUDE_DIR", "atlas-cluster"),
        ("TERRAGRUNT_EXCLUDE_DIR", "config-backup"),
        ("TG_FILTER", "!./config-backup"),
    ] {
        let (mut world, folder) = prepared_world();
        world.set_variable(name, Some(value));
        let seen = format!("leaves the unit out because of `{name}`");
        examine(&world, &folder)
            .assert_failed(1, &["unit"])
            .assert_check("unit", "bad", &seen, "include `config-backup`");
        assert!(init_refusal(&world, &folder).contains(&seen));
    }
    let (mut world, folder) = prepared_world();
    for (name, value) in [
        ("TG_QUEUE_EXCLUDE_DIR", "eks-cluster"),
        ("TG_WORKING_DIR", "/"),
        ("TG_LOG_LEVEL", "trace"),
        ("TG_RENDER_WRITE", "true"),
    ] {
        world.set_variable(name, Some(value));
    }
    examine(&world, &folder)
        .assert_no_problem()
        .assert_check("unit", "ok", "", "");
    assert_eq!(
        read_files(&folder.join("config-backup")),
        embedded_unit_files(),
        "nothing is written"
    );
}

#[test]
fn names_a_helper_that_the_unit_does_not_find() {
    let (mut world, folder) = prepared_world();
    world.set_variable("CONFIG_BACKUP_HELPER", Some("/no/such/helper"));
    examine(&world, &folder).assert_failed(1, &["helper"]);
    assert!(
        init_refusal(&world, &folder)
            .contains("Not ready: helper: `/no/such/helper` is not an executable file")
    );
    world.set_variable("CONFIG_BACKUP_HELPER", Some(""));
    examine(&world, &folder).assert_no_problem();

    let file = folder.join("config-backup/terragrunt.hcl");
    let text = fs::read_to_string(&file).expect("it");
    let changed = text.replace(
        "= local.variables.HELPER\n",
        "= \"/opt/none/config-backup\"\n",
    );
    assert_ne!(text, changed);
    fs::write(&file, changed).expect("a change");
    examine(&world, &folder)
        .assert_failed(1, &["unit"])
        .assert_check(
            "unit",
            "bad",
            "`/opt/none/config-backup` is not an executable file",
            "install",
        );
    assert!(init_refusal(&world, &folder).contains("`/opt/none/config-backup`"));
}

#[test]
fn detects_changes_that_disable_parts_of_the_unit() {
    for (from, to, status, seen) in [
        (
            "config_backup_settings = {\n",
            "config_backup_settings = {\n      disable = true\n",
            "bad",
            "does not generate",
        ),
        (
            "config_file_path       = abspath(\"${get_terragrunt_dir()}/../config.yaml\")",
            "config_file_path = \"/elsewhere/config.yaml\"",
            "note",
            "is not the config.yaml of this folder",
        ),
        (
            "\nterraform {\n",
            "\nterraform {\n  source = \"../atlas-cluster\"\n",
            "bad",
            "sets a `source`",
        ),
        (
            "  error_hook \"fallback\" {\n",
            "",
            "note",
            "has no `error_hook`",
        ),
        (
            "\nremote_state = {\n",
            "\ninputs = {\n",
            "note",
            "has no `remote_state`",
        ),
    ] {
        let (world, folder) = prepared_world();
        let file = folder.join("config-backup/terragrunt.hcl");
        let text = fs::read_to_string(&file).expect("it");
        let (before, after) = text.split_once(from).unwrap_or_else(|| panic!("no {from}"));
        // An empty replacement removes the whole block.
        let after = if to.is_empty() {
            after.split_once("\n  }\n").expect("its end").1
        } else {
            after
        };
        fs::write(&file, [before, to, after].concat()).expect("a change");
        examine(&world, &folder).assert_check("unit", status, seen, "");
        let (code, said) =
            run_init_with_path(&world, &search_path(), &[&folder.display().to_string()]);
        assert_eq!(
            (code == Some(1), said.contains("Deploy with")),
            (status == "bad", status != "bad"),
            "{to}: {said}"
        );
    }
}

#[test]
fn names_and_repairs_windows_line_ends_and_missing_files() {
    let (world, folder) = prepared_world();
    for (name, content) in embedded_unit_files() {
        fs::write(
            folder.join("config-backup").join(name),
            String::from_utf8_lossy(&content).replace('\n', "\r\n"),
        )
        .expect("a file");
    }
    let found = examine(&world, &folder);
    found
        .assert_failed(1, &["unit"])
        .assert_check(
            "unit",
            "bad",
            "line ends of Windows (CR LF)",
            "config-backup init",
        )
        .assert_check("unit", "bad", "helper.sh", "");
    let (code, said) = run_init_with_path(&world, &search_path(), &[&folder.display().to_string()]);
    assert!(
        code == Some(0) && said.contains("repaired line ends of config-backup/helper.sh\n"),
        "{said}"
    );
    examine(&world, &folder)
        .assert_no_problem()
        .assert_check("unit", "ok", "", "");
    assert_eq!(
        read_files(&folder.join("config-backup")),
        embedded_unit_files()
    );

    fs::remove_file(folder.join("config-backup/helper.sh")).expect("gone");
    examine(&world, &folder)
        .assert_failed(1, &["unit"])
        .assert_check(
            "unit",
            "bad",
            "files are missing: helper.sh",
            "config-backup init",
        );
    fs::remove_dir_all(folder.join("config-backup")).expect("gone");
    examine(&world, &folder)
        .assert_failed(1, &["unit"])
        .assert_check("unit", "bad", "there is no folder", "config-backup init");
}

#[test]
fn notes_another_root_file_and_settings_that_are_not_inherited() {
    let (world, folder) = prepared_world();
    append_text(
        &folder.join("root.hcl"),
        "terraform {\n  before_hook \"log in\" {\n    commands = [\"apply\"]\n    execute  = [\"false\"]\n  }\n  \
         extra_arguments \"env\" {\n    commands = [\"apply\"]\n    env_vars = { AWS_PROFILE = \"x\" }\n  }\n  \
         extra_arguments \"lock\" {\n    commands  = [\"apply\"]\n    arguments = [\"-lock=false\"]\n  }\n}\n\
         exclude {\n  if      = true\n  actions = [\"all\"]\n}\n",
    );
    let found = examine(&world, &folder);
    found.assert_no_problem().assert_check(
        "root.hcl",
        "note",
        "has before_hook `log in`, extra_arguments `env`, which this unit does not inherit",
        "log in before",
    );
    found.assert_check("unit", "ok", "", "");

    let (world, folder) = prepared_world();
    for unit in ["atlas-cluster", "eks-cluster"] {
        fs::write(
            folder.join(unit).join("terragrunt.hcl"),
            "include \"root\" {\n  path = find_in_parent_folders(\"common.hcl\")\n}\n",
        )
        .expect("it");
    }
    fs::copy(folder.join("root.hcl"), folder.join("common.hcl")).expect("a root file");
    let found = examine(&world, &folder);
    found.assert_no_problem().assert_check(
        "root.hcl",
        "note",
        "and this unit includes `root.hcl`: its state is elsewhere",
        "config-backup init --root common.hcl",
    );
}

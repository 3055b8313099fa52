//! `init` and the root file: which file the unit includes, and that its name does not count as a
//! change.

use std::fs;
use std::path::{Path, PathBuf};

use crate::init::new_folder::{embedded_unit_files, run_init};
use test_support::oracle::python_digest;
use test_support::{CONFIG, World, to_text};

/// A customer folder two folders below the world's own, with these files; paths are relative to the folder.
fn customer_folder_with(world: &World, files: &[(&str, &str)]) -> PathBuf {
    let folder = world.path().join("live/airbnb");
    fs::create_dir_all(&folder).expect("a folder");
    for (path, content) in [("config.yaml", CONFIG)].iter().chain(files) {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, content).expect("a file");
    }
    folder
}

fn unit_including(path: &str) -> String {
    format!("include \"root\" {{\n  path   = {path}\n  expose = true\n}}\n")
}

/// The root file that the unit includes; also checks the line and the digests.
fn included_root(folder: &Path) -> String {
    let unit_folder = folder.join("config-backup");
    let written = fs::read_to_string(unit_folder.join("terragrunt.hcl")).expect("it");
    let after = "\", \"${get_terragrunt_dir()}/no_root.hcl\")";
    let before = written.split(after).next().expect("the line");
    let name = before
        .rsplit("find_in_parent_folders(\"")
        .next()
        .expect("the line")
        .to_owned();
    let output = std::process::Command::new("sha256sum")
        .args(["-c", "unit.sha256"])
        .current_dir(&unit_folder)
        .output()
        .expect("sha256sum");
    assert!(output.status.success(), "{}", to_text(&output.stdout));
    let line = format!("# terragrunt.hcl includes the root file: {name}\n");
    assert!(
        fs::read_to_string(unit_folder.join("unit.sha256"))
            .expect("it")
            .contains(&line),
        "{line}"
    );
    let shipped = String::from_utf8_lossy(&embedded_unit_files()["terragrunt.hcl"]).into_owned();
    assert_eq!(
        written,
        shipped.replacen(
            &format!("\"root.hcl{after}"),
            &format!("\"{name}{after}"),
            1
        ),
        "only the name differs"
    );
    name
}

#[test]
fn the_unit_includes_what_the_other_units_include() {
    for (path, place, expected) in [
        (
            "find_in_parent_folders(\"root.hcl\")",
            "../root.hcl",
            "root.hcl",
        ),
        (
            "find_in_parent_folders()",
            "../terragrunt.hcl",
            "terragrunt.hcl",
        ),
        (
            "find_in_parent_folders(\"common.hcl\")",
            "../../common.hcl",
            "common.hcl",
        ),
        (
            "find_in_parent_folders(\"Wurzel é.hcl\")",
            "Wurzel é.hcl",
            "Wurzel é.hcl",
        ),
        ("\"../base.hcl\"", "base.hcl", "base.hcl"),
        (
            "\"${get_terragrunt_dir()}/../../common.hcl\"",
            "../common.hcl",
            "common.hcl",
        ),
        (
            "\"../../shared/common.hcl\"",
            "../shared/common.hcl",
            "shared/common.hcl",
        ),
    ] {
        let world = World::new();
        let folder = customer_folder_with(
            &world,
            &[
                ("atlas-cluster/terragrunt.hcl", &unit_including(path)),
                (place, "remote_state {}\n"),
            ],
        );
        let (code, said) = run_init(&world, &["live/airbnb"]);
        assert_eq!(
            (code, included_root(&folder).as_str()),
            (Some(0), expected),
            "{path}: {said}"
        );
        let file = folder.join(place).canonicalize().expect("it");
        assert!(
            said.contains(&format!(
                "The unit's state is where the root file `{}` says.",
                file.display()
            )),
            "{said}"
        );
        assert!(!said.contains("Note:"), "{said}");
        assert!(
            run_init(&world, &["live/airbnb"])
                .1
                .contains("config-backup/terragrunt.hcl is up to date\n")
        );
    }
}

#[test]
fn takes_and_names_the_most_frequent_root_file() {
    let world = World::new();
    let (common, root) = (
        unit_including("find_in_parent_folders(\"common.hcl\")"),
        unit_including("find_in_parent_folders(\"root.hcl\")"),
    );
    let none = unit_including("find_in_parent_folders(\"none.hcl\", \"none.hcl\")");
    let folder = customer_folder_with(
        &world,
        &[
            ("a/terragrunt.hcl", &root),
            ("b/terragrunt.hcl", &common),
            ("c/deeper/terragrunt.hcl", &common),
            ("d/terragrunt.hcl", &none),
            ("e/terragrunt.hcl", &none),
            ("f/terragrunt.hcl", &none),
            ("root.hcl", "remote_state {}\n"),
            ("../common.hcl", "remote_state {}\n"),
        ],
    );
    let (code, said) = run_init(&world, &["live/airbnb"]);
    assert_eq!(
        (code, included_root(&folder).as_str()),
        (Some(0), "common.hcl"),
        "{said}"
    );
    assert!(said.contains("Note: the other units include different root files: `common.hcl` (2 units), `root.hcl` (1 unit)"), "{said}");
    assert!(
        said.contains("this unit includes `common.hcl`, --root changes that.\n"),
        "{said}"
    );
}

#[test]
fn the_user_may_name_the_root_file_and_a_wrong_name_writes_nothing() {
    let world = World::new();
    let root = unit_including("find_in_parent_folders(\"root.hcl\")");
    let folder = customer_folder_with(
        &world,
        &[
            ("a/terragrunt.hcl", &root),
            ("root.hcl", ""),
            ("../env.hcl", ""),
        ],
    );
    for (name, words) in [
        ("none.hcl", "no folder above the unit has it"),
        ("x\"y.hcl", "it is not the plain name of a file"),
        ("/root.hcl", "it is not the plain name of a file"),
        ("a", "it is not a file"),
    ] {
        let (code, said) = run_init(&world, &["live/airbnb", "--root", name]);
        assert!(
            code == Some(3)
                && said.contains(&format!("cannot use `{name}` as the root file: {words}; ")),
            "{said}"
        );
        assert!(!folder.join("config-backup").exists());
    }
    let (code, said) = run_init(&world, &["live/airbnb", "--root", "env.hcl"]);
    assert_eq!(
        (code, included_root(&folder).as_str()),
        (Some(0), "env.hcl"),
        "{said}"
    );
    let (_, said) = run_init(&world, &["live/airbnb"]);
    assert_eq!(included_root(&folder), "env.hcl", "a second run keeps it");
    assert!(
        said.contains("Note: the other units include `")
            && said.contains("`--root root.hcl` changes that.\n"),
        "{said}"
    );
    let (_, said) = run_init(&world, &["live/airbnb", "--root", "root.hcl"]);
    assert_eq!(included_root(&folder), "root.hcl");
    assert!(
        said.contains("config-backup/terragrunt.hcl includes `root.hcl` now\n")
            && !said.contains("Note:"),
        "{said}"
    );
}

#[test]
fn an_upgrade_keeps_the_name_that_init_or_the_user_wrote() {
    for by_hand in [false, true] {
        let world = World::new();
        let folder = customer_folder_with(&world, &[("../common.hcl", ""), ("../env.hcl", "")]);
        assert_eq!(
            run_init(&world, &["live/airbnb", "--root", "common.hcl"]).0,
            Some(0)
        );
        // As an older version would have left it.
        let unit_folder = folder.join("config-backup");
        let older =
            fs::read_to_string(unit_folder.join("terragrunt.hcl")).expect("it") + "# older\n";
        let manifest = fs::read_to_string(unit_folder.join("unit.sha256")).expect("it");
        let lines = manifest
            .lines()
            .map(|line| match line.split_once("  terragrunt.hcl") {
                Some(_) => format!(
                    "{}  terragrunt.hcl\n",
                    python_digest("sha256", older.as_bytes())
                ),
                None => format!("{line}\n"),
            });
        fs::write(unit_folder.join("unit.sha256"), lines.collect::<String>()).expect("a manifest");
        let there = if by_hand {
            older.replace("\"common.hcl\"", "\"env.hcl\"")
        } else {
            older
        };
        fs::write(unit_folder.join("terragrunt.hcl"), there).expect("a file");
        let (code, said) = run_init(&world, &["live/airbnb"]);
        assert_eq!(code, Some(0), "{said}");
        assert!(
            said.contains("upgraded config-backup/terragrunt.hcl\n"),
            "{said}"
        );
        assert_eq!(
            included_root(&folder),
            if by_hand { "env.hcl" } else { "common.hcl" }
        );
    }
}

#[test]
fn the_name_of_the_root_file_is_not_a_change_by_the_user() {
    let world = World::new();
    let folder = customer_folder_with(&world, &[("root.hcl", ""), ("../env.hcl", "")]);
    run_init(&world, &["live/airbnb"]);
    let file = folder.join("config-backup/terragrunt.hcl");
    let renamed = fs::read_to_string(&file)
        .expect("it")
        .replace("\"root.hcl\"", "\"env.hcl\"");
    fs::write(&file, &renamed).expect("a change");
    let (_, said) = run_init(&world, &["live/airbnb"]);
    assert!(
        said.contains("config-backup/terragrunt.hcl is up to date\n") && !said.contains("kept"),
        "{said}"
    );
    assert_eq!(included_root(&folder), "env.hcl");

    fs::write(&file, renamed + "# mine\n").expect("a change");
    let (_, said) = run_init(&world, &["live/airbnb", "--root", "root.hcl"]);
    assert!(
        said.contains("kept config-backup/terragrunt.hcl, which was changed since it was written, and includes `root.hcl` now"),
        "{said}"
    );
    let there = fs::read_to_string(&file).expect("it");
    assert!(
        there.contains("find_in_parent_folders(\"root.hcl\", ") && there.ends_with("# mine\n"),
        "{there}"
    );
}

#[test]
fn without_other_units_the_root_file_is_found_by_its_usual_names() {
    for (files, expected, note) in [
        (
            &[("../root.hcl", ""), ("common.hcl", "remote_state {}\n")][..],
            "root.hcl",
            false,
        ),
        (
            &[("../terragrunt.hcl", "remote_state {}\n")],
            "terragrunt.hcl",
            false,
        ),
        (
            &[(
                "../../common.hcl",
                "generate \"b\" {\n  contents = \"terraform {\\n backend \"s3\" {} }\"\n}\nremote_state {}\n",
            )],
            "common.hcl",
            false,
        ),
        (&[("../terragrunt.hcl", "inputs = {}\n")], "root.hcl", true),
        (&[], "root.hcl", true),
    ] {
        let world = World::new();
        let folder = customer_folder_with(&world, files);
        let (code, said) = run_init(&world, &["live/airbnb"]);
        assert_eq!(
            (code, included_root(&folder).as_str()),
            (Some(0), expected),
            "{files:?}: {said}"
        );
        let local = "Note: neither this folder nor one above has the root file `root.hcl`; \
                     the unit keeps its state in its own folder.\n";
        assert_eq!(said.contains(local), note, "{said}");
        assert!(said.contains("Deploy with"), "{said}");
    }
}

#[test]
fn reports_a_root_file_that_needs_evaluation() {
    let world = World::new();
    let folder = customer_folder_with(
        &world,
        &[
            ("a/terragrunt.hcl", &unit_including("local.root")),
            ("root.hcl", ""),
        ],
    );
    let (code, said) = run_init(&world, &["live/airbnb"]);
    assert_eq!(
        (code, included_root(&folder).as_str()),
        (Some(0), "root.hcl"),
        "{said}"
    );
    assert!(said.contains("Note: cannot find the root file that `a/terragrunt.hcl` includes; name it with --root.\n"), "{said}");
}

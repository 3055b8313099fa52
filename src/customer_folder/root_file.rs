//! Which root file our unit includes: it says where the unit's state is.

use std::path::{Path, PathBuf};

use crate::customer_folder::hcl::{self, HclBlock, HclToken};
use crate::customer_folder::include_path::{find_in_parents, resolve_include_path};
use crate::customer_folder::sibling_units::{
    IncludedRoot, SiblingUnits, has_remote_state, read_small_text,
};
use crate::customer_folder::terragrunt::SourcePosition;
use crate::customer_folder::unit_files::{
    DEFAULT_ROOT_NAME, TERRAGRUNT_HCL, UNIT_FOLDER_NAME, is_valid_root_name,
};
use crate::doctor::check::CheckResult;
use crate::error::{Error, ErrorKind};

/// Other usual names of root files. A file of such a name may also be a unit, so it counts only where it has a state.
const USUAL_ROOT_NAMES: [&str; 2] = ["terragrunt.hcl", "common.hcl"];

/// The root file of our unit, and why it is this one.
#[derive(Debug, PartialEq, Eq)]
pub struct RootFile {
    /// Its name in `terragrunt.hcl`.
    pub name: String,
    /// Where it is; `None` where no folder above has it.
    pub path: Option<PathBuf>,
    /// What the user should know about the choice, one sentence each.
    pub notes: Vec<String>,
}

/// Chooses the root file: `asked` by the user, `written` in `terragrunt.hcl`, that of the other units, or a usual name.
pub fn choose_root_file(
    customer: &Path,
    asked: Option<&str>,
    written: Option<&str>,
    neighbours: &SiblingUnits,
) -> Result<RootFile, Error> {
    let unit = customer.join(UNIT_FOLDER_NAME);
    let root = |name: &str, notes| RootFile {
        name: name.to_owned(),
        path: find_in_parents(&unit, name),
        notes,
    };
    if let Some(name) = asked {
        return validate_requested_root(name, &unit).map(|()| root(name, Vec::new()));
    }
    if let Some(name) = written {
        let other = find_different_root(find_in_parents(&unit, name).as_deref(), neighbours);
        let note = other.map(|other| {
            let theirs = other.path.display();
            format!("the other units include `{theirs}` and this unit includes `{name}`; `--root {}` changes that", other.name)
        });
        return Ok(root(name, note.into_iter().collect()));
    }
    if let [first, others @ ..] = neighbours.roots.as_slice() {
        return Ok(root(
            &first.name,
            describe_ambiguity(first, others).into_iter().collect(),
        ));
    }
    let usual = USUAL_ROOT_NAMES
        .iter()
        .find(|name| find_in_parents(&unit, name).is_some_and(|path| has_remote_state(&path)));
    let name = match usual {
        Some(name) if find_in_parents(&unit, DEFAULT_ROOT_NAME).is_none() => *name,
        _ => DEFAULT_ROOT_NAME,
    };
    let unclear = neighbours.unresolved.first().map(|file| {
        format!("cannot find the root file that `{file}` includes; name it with --root")
    });
    Ok(root(name, unclear.into_iter().collect()))
}

fn validate_requested_root(name: &str, unit: &Path) -> Result<(), Error> {
    let refused = |cause: &str, hint: &str| {
        Err(Error::new(
            ErrorKind::Input,
            format!("cannot use `{name}` as the root file: {cause}"),
            hint,
        ))
    };
    if !is_valid_root_name(name) {
        return refused(
            "it is not the plain name of a file",
            "give a name such as `root.hcl`, or a path below a folder above",
        );
    }
    match find_in_parents(unit, name) {
        None => refused("no folder above the unit has it", "check the name"),
        Some(path) if !path.is_file() => refused("it is not a file", "check the name"),
        Some(_) => Ok(()),
    }
}

/// The root file of the other units, where it is not the file `ours`.
fn find_different_root<'a>(
    ours: Option<&Path>,
    neighbours: &'a SiblingUnits,
) -> Option<&'a IncludedRoot> {
    let ours = ours.and_then(|path| path.canonicalize().ok());
    neighbours
        .roots
        .first()
        .filter(|root| ours.as_ref() != Some(&root.path))
}

fn describe_ambiguity(first: &IncludedRoot, others: &[IncludedRoot]) -> Option<String> {
    if others.is_empty() {
        return None;
    }
    let count = |root: &IncludedRoot| format!("`{}` ({} units)", root.name, root.unit_count);
    let all: Vec<String> = std::iter::once(first)
        .chain(others)
        .map(|root| count(root).replace("(1 units)", "(1 unit)"))
        .collect();
    Some(format!(
        "the other units include different root files: {}; this unit includes `{}`, --root changes that",
        all.join(", "),
        first.name
    ))
}

/// The root file that our unit includes: by its name, or as the rewritten line says.
fn find_our_root(folder: &Path, name: Option<&str>) -> (String, Option<PathBuf>) {
    let unit = folder.join(UNIT_FOLDER_NAME);
    if let Some(name) = name {
        return (name.to_owned(), find_in_parents(&unit, name));
    }
    let blocks =
        hcl::parse_blocks(&read_small_text(&unit.join(TERRAGRUNT_HCL)).unwrap_or_default());
    let include = blocks.iter().find(|block| block.kind == "include");
    let path =
        include.and_then(|include| resolve_include_path(include.attribute_tokens("path"), &unit));
    let name = path.as_ref().and_then(|path| path.file_name()).map_or_else(
        || DEFAULT_ROOT_NAME.to_owned(),
        |name| name.display().to_string(),
    );
    (name, path.filter(|path| path.exists()))
}

/// Whether an error is in the root file.
#[must_use]
pub fn is_in_root_file(position: &SourcePosition, folder: &Path, name: Option<&str>) -> bool {
    let root = find_our_root(folder, name)
        .1
        .and_then(|path| path.canonicalize().ok());
    root.is_some() && root == position.file.canonicalize().ok()
}

/// Whether the root file is the one of the other units, for `doctor`.
#[must_use]
pub fn check_root_file(
    folder: &Path,
    name: Option<&str>,
    neighbours: &SiblingUnits,
) -> CheckResult {
    let (name, path) = find_our_root(folder, name);
    if let Some(other) = find_different_root(path.as_deref(), neighbours) {
        let seen = format!(
            "the other units include `{}`, and this unit includes `{name}`: its state is elsewhere",
            other.path.display()
        );
        return CheckResult::warning(
            "root.hcl",
            seen,
            format!(
                "if that is not intended, run `config-backup init --root {}` in the customer folder",
                other.name
            ),
        );
    }
    let Some(path) = path else {
        return CheckResult::ok(
            "root.hcl",
            "there is no root file here or above: the unit keeps its state in its own folder",
        );
    };
    match list_not_inherited(&path).as_slice() {
        [] => CheckResult::ok("root.hcl", format!("`{}`", path.display())),
        blocks => {
            let seen = format!(
                "`{}` has {}, which this unit does not inherit",
                path.display(),
                blocks.join(", ")
            );
            CheckResult::warning(
                "root.hcl",
                seen,
                "if the state can only be reached with that, such as after a login, log in before you deploy",
            )
        }
    }
}

/// The hooks and variables that the root file adds to Terraform, which may be what logs in.
fn list_not_inherited(root: &Path) -> Vec<String> {
    let blocks = hcl::parse_blocks(&read_small_text(root).unwrap_or_default());
    let inner = blocks
        .iter()
        .filter(|block| block.kind == "terraform")
        .flat_map(HclBlock::nested_blocks);
    let counts = |block: &HclBlock| match block.kind.as_str() {
        "before_hook" | "after_hook" | "error_hook" => true,
        "extra_arguments" => !block.attribute_tokens("env_vars").is_empty(),
        _ => false,
    };
    inner
        .filter(counts)
        .map(|block| format!("{} `{}`", block.kind, block.labels.join(" ")))
        .collect()
}

/// The quoted texts of the root file: the names of the files that it writes are among them.
#[must_use]
pub fn list_root_texts(folder: &Path, name: Option<&str>) -> Vec<String> {
    let root = find_our_root(folder, name)
        .1
        .and_then(|path| read_small_text(&path))
        .unwrap_or_default();
    let texts = hcl::tokenize(&root).into_iter().filter_map(|token| {
        if let HclToken::Text(text) = token {
            Some(text)
        } else {
            None
        }
    });
    texts.collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn create_customer_tree(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let top = folder.path().canonicalize().expect("it");
        fs::create_dir_all(top.join("acme/config-backup")).expect("folders");
        for (name, text) in files {
            fs::write(top.join(name), text).expect("a file");
        }
        (folder, top)
    }

    #[test]
    fn without_other_units_a_usual_name_counts_where_it_has_a_state() {
        for (files, expected) in [
            (&[][..], "root.hcl"),
            (
                &[("root.hcl", ""), ("terragrunt.hcl", "remote_state {}")],
                "root.hcl",
            ),
            (&[("terragrunt.hcl", "remote_state {}")], "terragrunt.hcl"),
            (
                &[
                    ("terragrunt.hcl", "inputs = {}"),
                    ("acme/common.hcl", "remote_state {}"),
                ],
                "common.hcl",
            ),
            (&[("terragrunt.hcl", "inputs = {}")], "root.hcl"),
        ] {
            let (_folder, top) = create_customer_tree(files);
            let root = choose_root_file(&top.join("acme"), None, None, &SiblingUnits::default())
                .expect("one");
            assert_eq!(
                (root.name.as_str(), root.notes.len()),
                (expected, 0),
                "{files:?}"
            );
        }
    }

    #[test]
    fn the_user_comes_first_and_then_what_is_written() {
        let (_folder, top) =
            create_customer_tree(&[("root.hcl", ""), ("common.hcl", ""), ("acme/env.hcl", "")]);
        let customer = top.join("acme");
        let common = IncludedRoot {
            name: "common.hcl".into(),
            path: top.join("common.hcl"),
            unit_count: 2,
        };
        let env = IncludedRoot {
            name: "env.hcl".into(),
            path: customer.join("env.hcl"),
            unit_count: 1,
        };
        let neighbours = SiblingUnits {
            roots: vec![common, env],
            unresolved: Vec::new(),
        };
        let chosen = |asked, written| {
            choose_root_file(&customer, asked, written, &neighbours).expect("a root file")
        };
        assert_eq!(
            chosen(Some("env.hcl"), Some("root.hcl")),
            RootFile {
                name: "env.hcl".into(),
                path: Some(customer.join("env.hcl")),
                notes: vec![]
            }
        );
        let root = chosen(None, Some("root.hcl"));
        assert!(
            root.name == "root.hcl" && root.notes[0].contains("`--root common.hcl` changes that"),
            "{root:?}"
        );
        assert_eq!(chosen(None, Some("common.hcl")).notes, Vec::<String>::new());
        let root = chosen(None, None);
        let expected = "the other units include different root files: `common.hcl` (2 units), `env.hcl` (1 unit); this unit includes `common.hcl`, --root changes that";
        assert_eq!(
            (root.name.as_str(), root.notes),
            ("common.hcl", vec![expected.to_owned()])
        );
        for name in ["none.hcl", "a\"b.hcl", "/root.hcl", "acme"] {
            let refused =
                choose_root_file(&customer, Some(name), None, &neighbours).expect_err("a refusal");
            assert_eq!(
                (
                    refused.exit_code(),
                    refused.message.starts_with("cannot use `")
                ),
                (3, true),
                "{refused}"
            );
        }
    }
}

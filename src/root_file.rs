//! Which root file our unit includes: it says where the unit's state is.

use std::path::{Path, PathBuf};

use crate::fault::{Fault, Kind};
use crate::finding::Finding;
use crate::hcl::{self, Block, Token};
use crate::include_path::{find_in_parents, resolve};
use crate::neighbours::{IncludedRoot, Neighbours, has_state, read_text};
use crate::terragrunt::Position;
use crate::unit::{DEFAULT_ROOT, TERRAGRUNT_HCL, UNIT, is_root_name};

/// Other usual names of root files. A file of such a name may also be a unit, so it counts only where it has a state.
const USUAL_NAMES: [&str; 2] = ["terragrunt.hcl", "common.hcl"];

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
pub fn choose(customer: &Path, asked: Option<&str>, written: Option<&str>, neighbours: &Neighbours) -> Result<RootFile, Fault> {
    let unit = customer.join(UNIT);
    let root = |name: &str, notes| RootFile { name: name.to_owned(), path: find_in_parents(&unit, name), notes };
    if let Some(name) = asked {
        return asked_for(name, &unit).map(|()| root(name, Vec::new()));
    }
    if let Some(name) = written {
        let other = other_root(find_in_parents(&unit, name).as_deref(), neighbours);
        let note = other.map(|other| {
            let theirs = other.path.display();
            format!("the other units include `{theirs}` and this unit includes `{name}`; `--root {}` changes that", other.name)
        });
        return Ok(root(name, note.into_iter().collect()));
    }
    if let [first, others @ ..] = neighbours.roots.as_slice() {
        return Ok(root(&first.name, ambiguity(first, others).into_iter().collect()));
    }
    let usual = USUAL_NAMES.iter().find(|name| find_in_parents(&unit, name).is_some_and(|path| has_state(&path)));
    let name = match usual {
        Some(name) if find_in_parents(&unit, DEFAULT_ROOT).is_none() => *name,
        _ => DEFAULT_ROOT,
    };
    let unclear = neighbours.unclear.first().map(|file| format!("cannot find the root file that `{file}` includes; name it with --root"));
    Ok(root(name, unclear.into_iter().collect()))
}

fn asked_for(name: &str, unit: &Path) -> Result<(), Fault> {
    let refused = |cause: &str, hint: &str| Err(Fault::new(Kind::Input, format!("cannot use `{name}` as the root file: {cause}"), hint));
    if !is_root_name(name) {
        return refused("it is not the plain name of a file", "give a name such as `root.hcl`, or a path below a folder above");
    }
    match find_in_parents(unit, name) {
        None => refused("no folder above the unit has it", "check the name"),
        Some(path) if !path.is_file() => refused("it is not a file", "check the name"),
        Some(_) => Ok(()),
    }
}

/// The root file of the other units, where it is not the file `ours`.
fn other_root<'a>(ours: Option<&Path>, neighbours: &'a Neighbours) -> Option<&'a IncludedRoot> {
    let ours = ours.and_then(|path| path.canonicalize().ok());
    neighbours.roots.first().filter(|root| ours.as_ref() != Some(&root.path))
}

fn ambiguity(first: &IncludedRoot, others: &[IncludedRoot]) -> Option<String> {
    if others.is_empty() {
        return None;
    }
    let count = |root: &IncludedRoot| format!("`{}` ({} units)", root.name, root.units);
    let all: Vec<String> = std::iter::once(first).chain(others).map(|root| count(root).replace("(1 units)", "(1 unit)")).collect();
    Some(format!(
        "the other units include different root files: {}; this unit includes `{}`, --root changes that",
        all.join(", "),
        first.name
    ))
}

/// The root file that our unit includes: by its name, or as the rewritten line says.
fn our_root(folder: &Path, name: Option<&str>) -> (String, Option<PathBuf>) {
    let unit = folder.join(UNIT);
    if let Some(name) = name {
        return (name.to_owned(), find_in_parents(&unit, name));
    }
    let blocks = hcl::blocks(&read_text(&unit.join(TERRAGRUNT_HCL)).unwrap_or_default());
    let include = blocks.iter().find(|block| block.kind == "include");
    let path = include.and_then(|include| resolve(include.attribute("path"), &unit));
    let name = path.as_ref().and_then(|path| path.file_name()).map_or_else(|| DEFAULT_ROOT.to_owned(), |name| name.display().to_string());
    (name, path.filter(|path| path.exists()))
}

/// Whether an error is in the root file.
#[must_use]
pub fn is_at(position: &Position, folder: &Path, name: Option<&str>) -> bool {
    let root = our_root(folder, name).1.and_then(|path| path.canonicalize().ok());
    root.is_some() && root == position.file.canonicalize().ok()
}

/// Whether the root file is the one of the other units, for `doctor`.
#[must_use]
pub fn check(folder: &Path, name: Option<&str>, neighbours: &Neighbours) -> Finding {
    let (name, path) = our_root(folder, name);
    if let Some(other) = other_root(path.as_deref(), neighbours) {
        let seen = format!("the other units include `{}`, and this unit includes `{name}`: its state is elsewhere", other.path.display());
        return Finding::note(
            "root.hcl",
            seen,
            format!("if that is not intended, run `config-backup init --root {}` in the customer folder", other.name),
        );
    }
    let Some(path) = path else {
        return Finding::ok("root.hcl", "there is no root file here or above: the unit keeps its state in its own folder");
    };
    match not_inherited(&path).as_slice() {
        [] => Finding::ok("root.hcl", format!("`{}`", path.display())),
        blocks => {
            let seen = format!("`{}` has {}, which this unit does not inherit", path.display(), blocks.join(", "));
            Finding::note("root.hcl", seen, "if the state can only be reached with that, such as after a login, log in before you deploy")
        }
    }
}

/// The hooks and variables that the root file adds to Terraform, which may be what logs in.
fn not_inherited(root: &Path) -> Vec<String> {
    let blocks = hcl::blocks(&read_text(root).unwrap_or_default());
    let inner = blocks.iter().filter(|block| block.kind == "terraform").flat_map(Block::nested);
    let counts = |block: &Block| match block.kind.as_str() {
        "before_hook" | "after_hook" | "error_hook" => true,
        "extra_arguments" => !block.attribute("env_vars").is_empty(),
        _ => false,
    };
    inner.filter(counts).map(|block| format!("{} `{}`", block.kind, block.labels.join(" "))).collect()
}

/// The quoted texts of the root file: the names of the files that it writes are among them.
#[must_use]
pub fn texts(folder: &Path, name: Option<&str>) -> Vec<String> {
    let root = our_root(folder, name).1.and_then(|path| read_text(&path)).unwrap_or_default();
    let texts = hcl::tokens(&root).into_iter().filter_map(|token| if let Token::Text(text) = token { Some(text) } else { None });
    texts.collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
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
            (&[("root.hcl", ""), ("terragrunt.hcl", "remote_state {}")], "root.hcl"),
            (&[("terragrunt.hcl", "remote_state {}")], "terragrunt.hcl"),
            (&[("terragrunt.hcl", "inputs = {}"), ("acme/common.hcl", "remote_state {}")], "common.hcl"),
            (&[("terragrunt.hcl", "inputs = {}")], "root.hcl"),
        ] {
            let (_folder, top) = folder(files);
            let root = choose(&top.join("acme"), None, None, &Neighbours::default()).expect("one");
            assert_eq!((root.name.as_str(), root.notes.len()), (expected, 0), "{files:?}");
        }
    }

    #[test]
    fn the_user_comes_first_and_then_what_is_written() {
        let (_folder, top) = folder(&[("root.hcl", ""), ("common.hcl", ""), ("acme/env.hcl", "")]);
        let customer = top.join("acme");
        let common = IncludedRoot { name: "common.hcl".into(), path: top.join("common.hcl"), units: 2 };
        let env = IncludedRoot { name: "env.hcl".into(), path: customer.join("env.hcl"), units: 1 };
        let neighbours = Neighbours { roots: vec![common, env], unclear: Vec::new() };
        let chosen = |asked, written| choose(&customer, asked, written, &neighbours).expect("a root file");
        assert_eq!(
            chosen(Some("env.hcl"), Some("root.hcl")),
            RootFile { name: "env.hcl".into(), path: Some(customer.join("env.hcl")), notes: vec![] }
        );
        let root = chosen(None, Some("root.hcl"));
        assert!(root.name == "root.hcl" && root.notes[0].contains("`--root common.hcl` changes that"), "{root:?}");
        assert_eq!(chosen(None, Some("common.hcl")).notes, Vec::<String>::new());
        let root = chosen(None, None);
        let expected = "the other units include different root files: `common.hcl` (2 units), `env.hcl` (1 unit); this unit includes `common.hcl`, --root changes that";
        assert_eq!((root.name.as_str(), root.notes), ("common.hcl", vec![expected.to_owned()]));
        for name in ["none.hcl", "a\"b.hcl", "/root.hcl", "acme"] {
            let refused = choose(&customer, Some(name), None, &neighbours).expect_err("a refusal");
            assert_eq!((refused.exit_code(), refused.text.starts_with("cannot use `")), (3, true), "{refused}");
        }
    }
}

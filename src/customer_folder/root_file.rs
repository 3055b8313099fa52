//! Which root file our unit includes: it says where the unit's state is.

use std::path::{Path, PathBuf};

use hcl_edit::structure::Block;

use crate::customer_folder::hcl::{block_labels, list_texts};
use crate::customer_folder::hcl_files::read_hcl_file;
use crate::customer_folder::include_path::{find_in_parents, is_same_file, resolve_include_path};
use crate::customer_folder::sibling_units::{IncludedRoot, SiblingUnits, has_remote_state};
use crate::customer_folder::terragrunt_output::SourcePosition;
use crate::customer_folder::unit_files::{
    DEFAULT_ROOT_NAME, TERRAGRUNT_HCL, UNIT_FOLDER_NAME, is_valid_root_name,
};
use crate::error::{Error, ErrorKind};

/// Other usual names of root files.
///
/// A unit may have such a name too, so the file counts only if it says where the state is.
const USUAL_ROOT_NAMES: [&str; 2] = ["terragrunt.hcl", "common.hcl"];

/// The root file of our unit, and why it is this one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RootFile {
    /// Its name in `terragrunt.hcl`.
    pub(crate) name: String,
    /// Where it is; `None` if no folder above has it.
    pub(crate) path: Option<PathBuf>,
    /// What the user should know about the choice: a sentence without its full stop.
    pub(crate) note: Option<String>,
}

/// Chooses the root file.
///
/// The first one counts: `requested` by the user, `written` in `terragrunt.hcl`, included by the
/// other units, or of a usual name.
pub(crate) fn choose_root_file(
    customer: &Path,
    requested: Option<&str>,
    written: Option<&str>,
    siblings: &SiblingUnits,
) -> Result<RootFile, Error> {
    let unit = customer.join(UNIT_FOLDER_NAME);
    if let Some(name) = requested {
        validate_requested_root(name, &unit)?;
        return Ok(RootFile::find(name, &unit, None));
    }

    if let Some(name) = written {
        let root = RootFile::find(name, &unit, None);
        let note = describe_difference(&root, siblings);
        return Ok(RootFile { note, ..root });
    }

    if let [first, ..] = siblings.roots.as_slice() {
        let note = describe_ambiguity(&siblings.roots);
        return Ok(RootFile::find(&first.name, &unit, note));
    }

    let name = find_usual_root_name(&unit);
    let note = describe_unresolved(siblings);
    Ok(RootFile::find(name, &unit, note))
}

impl RootFile {
    fn find(name: &str, unit: &Path, note: Option<String>) -> Self {
        Self {
            name: name.to_owned(),
            path: find_in_parents(unit, name),
            note,
        }
    }
}

fn validate_requested_root(name: &str, unit: &Path) -> Result<(), Error> {
    let (cause, hint) = if is_valid_root_name(name) {
        match find_in_parents(unit, name) {
            Some(path) if path.is_file() => return Ok(()),
            Some(_) => ("it is not a file", "check the name"),
            None => ("no folder above the unit has it", "check the name"),
        }
    } else {
        (
            "it is not the plain name of a file",
            "give a name such as `root.hcl`, or a path below a folder above",
        )
    };
    Err(Error::new(
        ErrorKind::Input,
        format!("cannot use `{name}` as the root file: {cause}"),
        hint,
    ))
}

fn find_usual_root_name(unit: &Path) -> &'static str {
    if find_in_parents(unit, DEFAULT_ROOT_NAME).is_some() {
        return DEFAULT_ROOT_NAME;
    }
    for name in USUAL_ROOT_NAMES {
        if let Some(path) = find_in_parents(unit, name)
            && has_remote_state(&path)
        {
            return name;
        }
    }
    DEFAULT_ROOT_NAME
}

/// The root file of the other units, if it is not the file `ours`.
fn find_different_root<'a>(
    ours: Option<&Path>,
    siblings: &'a SiblingUnits,
) -> Option<&'a IncludedRoot> {
    let theirs = siblings.roots.first()?;
    match ours {
        Some(ours) if is_same_file(ours, &theirs.path) => None,
        _ => Some(theirs),
    }
}

fn describe_difference(ours: &RootFile, siblings: &SiblingUnits) -> Option<String> {
    let theirs = find_different_root(ours.path.as_deref(), siblings)?;
    Some(format!(
        "the other units include `{}` and this unit includes `{}`; `--root {}` changes that",
        theirs.path.display(),
        ours.name,
        theirs.name
    ))
}

fn describe_ambiguity(roots: &[IncludedRoot]) -> Option<String> {
    let [first, _, ..] = roots else {
        return None;
    };
    let mut counted_roots = Vec::new();
    for root in roots {
        let units = if root.unit_count == 1 {
            "unit"
        } else {
            "units"
        };
        counted_roots.push(format!("`{}` ({} {units})", root.name, root.unit_count));
    }
    Some(format!(
        "the other units include different root files: {}; \
         this unit includes `{}`, --root changes that",
        counted_roots.join(", "),
        first.name
    ))
}

fn describe_unresolved(siblings: &SiblingUnits) -> Option<String> {
    let file = siblings.unresolved.first()?;
    Some(format!(
        "cannot find the root file that `{file}` includes; name it with --root"
    ))
}

/// The root file that our unit includes, as it is on disk.
#[derive(Debug)]
pub(crate) struct OurRoot {
    name: String,
    path: Option<PathBuf>,
}

/// How our root file compares with that of the other units.
#[derive(Debug)]
pub(crate) enum RootFileState {
    /// The other units include another one.
    Different {
        name: String,
        other: IncludedRoot,
    },
    Missing,
    Found {
        path: PathBuf,
        /// The hooks and variables that it adds to Terraform in the other units.
        not_inherited: Vec<String>,
    },
}

impl OurRoot {
    /// Finds the file by its name in `terragrunt.hcl`, or by the rewritten `include` block.
    pub(crate) fn find(customer: &Path, name: Option<&str>) -> Self {
        let unit = customer.join(UNIT_FOLDER_NAME);
        if let Some(name) = name {
            let path = find_in_parents(&unit, name);
            let name = name.to_owned();
            return Self { name, path };
        }

        let path = find_included_path(&unit);
        let file_name = path.as_ref().and_then(|path| path.file_name());
        let name = match file_name {
            Some(name) => name.display().to_string(),
            None => DEFAULT_ROOT_NAME.to_owned(),
        };
        let path = path.filter(|path| path.exists());
        Self { name, path }
    }

    /// Whether an error is in this file.
    pub(crate) fn contains(&self, position: &SourcePosition) -> bool {
        match &self.path {
            Some(path) => is_same_file(path, &position.file),
            None => false,
        }
    }

    pub(crate) fn compare(&self, siblings: &SiblingUnits) -> RootFileState {
        let other = find_different_root(self.path.as_deref(), siblings);
        if let Some(other) = other {
            return RootFileState::Different {
                name: self.name.clone(),
                other: other.clone(),
            };
        }
        match &self.path {
            None => RootFileState::Missing,
            Some(path) => RootFileState::Found {
                path: path.clone(),
                not_inherited: list_not_inherited(path),
            },
        }
    }

    /// The texts in the file: the names of the files that it generates are among them.
    pub(crate) fn list_texts(&self) -> Vec<String> {
        match &self.path {
            Some(path) => list_texts(&read_hcl_file(path)),
            None => Vec::new(),
        }
    }
}

fn find_included_path(unit: &Path) -> Option<PathBuf> {
    let body = read_hcl_file(&unit.join(TERRAGRUNT_HCL));
    let include = body.get_blocks("include").next()?;
    let path = include.body.get_attribute("path")?;
    resolve_include_path(&path.value, unit)
}

/// The hooks and variables that a root file adds to Terraform, which may be what logs in.
fn list_not_inherited(root: &Path) -> Vec<String> {
    let mut not_inherited = Vec::new();
    for terraform in read_hcl_file(root).get_blocks("terraform") {
        for block in terraform.body.blocks() {
            if is_hook_or_environment(block) {
                let labels = block_labels(block).join(" ");
                not_inherited.push(format!("{} `{labels}`", block.ident.as_str()));
            }
        }
    }
    not_inherited
}

fn is_hook_or_environment(block: &Block) -> bool {
    match block.ident.as_str() {
        "before_hook" | "after_hook" | "error_hook" => true,
        "extra_arguments" => block.body.has_attribute("env_vars"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::exit_code::ExitCode;

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
                (root.name.as_str(), root.note),
                (expected, None),
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
        let siblings = SiblingUnits {
            roots: vec![common, env],
            unresolved: Vec::new(),
        };
        let chosen = |asked, written| {
            choose_root_file(&customer, asked, written, &siblings).expect("a root file")
        };
        assert_eq!(
            chosen(Some("env.hcl"), Some("root.hcl")),
            RootFile {
                name: "env.hcl".into(),
                path: Some(customer.join("env.hcl")),
                note: None
            }
        );
        let root = chosen(None, Some("root.hcl"));
        let note = root.note.expect("a note");
        assert!(note.contains("`--root common.hcl` changes that"), "{note}");
        assert_eq!(root.name, "root.hcl");
        assert_eq!(chosen(None, Some("common.hcl")).note, None);

        let root = chosen(None, None);
        let expected = "the other units include different root files: \
                        `common.hcl` (2 units), `env.hcl` (1 unit); \
                        this unit includes `common.hcl`, --root changes that";
        assert_eq!(root.name, "common.hcl");
        assert_eq!(root.note.as_deref(), Some(expected));

        for name in ["none.hcl", "a\"b.hcl", "/root.hcl", "acme"] {
            let refused =
                choose_root_file(&customer, Some(name), None, &siblings).expect_err("a refusal");
            assert_eq!(refused.exit_code(), ExitCode::InvalidInput);
            assert!(refused.message.starts_with("cannot use `"), "{refused}");
        }
    }
}

//! The other units of a customer folder: which root files they include.
//!
//! Reads the text of their files, and evaluates no more than the path of an include.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hcl_edit::structure::Block;

use crate::customer_folder::hcl::list_texts;
use crate::customer_folder::hcl_files::{list_hcl_files, read_hcl_file};
use crate::customer_folder::include_path::{find_in_parents, is_same_file, resolve_include_path};
use crate::customer_folder::unit_files::{
    DEFAULT_ROOT_NAME, TERRAGRUNT_HCL, UNIT_FOLDER_NAME, is_valid_root_name,
};

/// A root file that units include.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IncludedRoot {
    /// Its name as our unit finds it in its parent folders.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) unit_count: usize,
}

/// Which root files the units of a customer folder include.
#[derive(Debug, Default)]
pub(crate) struct SiblingUnits {
    /// Most frequent first.
    pub(crate) roots: Vec<IncludedRoot>,
    /// Files of units whose root file our unit cannot find, or only Terragrunt can.
    pub(crate) unresolved: Vec<String>,
}

impl SiblingUnits {
    /// Reads the units below `customer`.
    ///
    /// `legacy` is a `terragrunt.hcl` in our unit's folder that `init` did not write.
    pub(crate) fn read(customer: &Path, legacy: Option<&Path>) -> Self {
        let unit = customer.join(UNIT_FOLDER_NAME);
        let mut files = list_hcl_files(customer);
        files.retain(|path| path.ends_with(TERRAGRUNT_HCL));
        files.extend(legacy.map(Path::to_owned));

        let mut unit_counts: BTreeMap<(String, PathBuf), usize> = BTreeMap::new();
        let mut unresolved = Vec::new();
        for file in files {
            match find_included_root(&file, &unit) {
                IncludeTarget::Root(name, path) => {
                    *unit_counts.entry((name, path)).or_default() += 1;
                }
                IncludeTarget::Unresolved => {
                    let name = file.strip_prefix(customer).unwrap_or(&file);
                    unresolved.push(name.display().to_string());
                }
                IncludeTarget::Nothing => {}
            }
        }

        Self {
            roots: rank_roots(unit_counts),
            unresolved,
        }
    }
}

fn rank_roots(unit_counts: BTreeMap<(String, PathBuf), usize>) -> Vec<IncludedRoot> {
    let mut roots = Vec::new();
    for ((name, path), unit_count) in unit_counts {
        roots.push(IncludedRoot {
            name,
            path,
            unit_count,
        });
    }
    roots.sort_by_key(|root| {
        let has_no_state = !has_remote_state(&root.path);
        let has_other_name = root.name != DEFAULT_ROOT_NAME;
        (Reverse(root.unit_count), has_no_state, has_other_name)
    });
    roots
}

enum IncludeTarget {
    Root(String, PathBuf),
    Unresolved,
    Nothing,
}

/// One `include` of a unit whose file our unit can find.
struct RootCandidate {
    name: String,
    path: PathBuf,
    has_remote_state: bool,
    is_labeled_root: bool,
}

/// The root file of one unit.
///
/// Of several includes, it is the one that says where the state is, or else the one called `root`.
fn find_included_root(file: &Path, our_unit: &Path) -> IncludeTarget {
    let body = read_hcl_file(file);
    let folder = file.parent().unwrap_or(Path::new("."));

    let mut candidates = Vec::new();
    for include in body.get_blocks("include") {
        candidates.extend(read_candidate(include, folder, our_unit));
    }
    // A stable sort: the first of several equal ones stays the first.
    candidates.sort_by_key(|root| (!root.has_remote_state, !root.is_labeled_root));

    match candidates.into_iter().next() {
        Some(root) => IncludeTarget::Root(root.name, root.path),
        None if body.has_blocks("include") => IncludeTarget::Unresolved,
        None => IncludeTarget::Nothing,
    }
}

fn read_candidate(include: &Block, folder: &Path, our_unit: &Path) -> Option<RootCandidate> {
    let expression = &include.body.get_attribute("path")?.value;
    let path = resolve_include_path(expression, folder)?;
    let path = path.canonicalize().ok()?;
    let is_labeled_root = match include.labels.first() {
        Some(label) => label.as_str() == "root",
        None => true,
    };
    Some(RootCandidate {
        name: root_name_for_unit(&path, our_unit)?,
        has_remote_state: has_remote_state(&path),
        is_labeled_root,
        path,
    })
}

/// The name by which `find_in_parent_folders` of our unit finds the file `path`.
fn root_name_for_unit(path: &Path, unit: &Path) -> Option<String> {
    for folder in unit.ancestors().skip(1) {
        let Ok(relative) = path.strip_prefix(folder) else {
            continue;
        };
        let Some(name) = relative.to_str() else {
            continue;
        };
        let is_found = match find_in_parents(unit, name) {
            Some(found) => is_same_file(&found, path),
            None => false,
        };
        if is_found && is_valid_root_name(name) {
            return Some(name.to_owned());
        }
    }
    None
}

/// Whether a root file says where the state is: by itself, or by a file that it generates.
pub(crate) fn has_remote_state(root: &Path) -> bool {
    let body = read_hcl_file(root);
    if body.has_blocks("remote_state") || body.has_attribute("remote_state") {
        return true;
    }
    list_texts(&body)
        .iter()
        .any(|text| text.contains("backend \""))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A tree of files in a temporary folder.
    fn create_file_tree(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let top = folder.path().canonicalize().expect("it");
        for (path, text) in files {
            let path = top.join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
            fs::write(path, text).expect("a file");
        }
        (folder, top)
    }

    fn include_block(path: &str) -> String {
        format!("include \"root\" {{\n  path = {path}\n}}\n")
    }

    #[test]
    fn the_root_file_of_most_units_comes_first() {
        let (_folder, top) = create_file_tree(&[
            ("common.hcl", "inputs = {}\n"),
            ("acme/root.hcl", "remote_state {\n  backend = \"s3\"\n}\n"),
            (
                "acme/a/terragrunt.hcl",
                &include_block("find_in_parent_folders(\"common.hcl\")"),
            ),
            (
                "acme/b/terragrunt.hcl",
                &include_block("\"../../common.hcl\""),
            ),
            (
                "acme/c/terragrunt.hcl",
                &include_block("find_in_parent_folders(\"root.hcl\")"),
            ),
            ("acme/d/terragrunt.hcl", &include_block("local.root")),
            ("acme/e/terragrunt.hcl", "inputs = {}\n"),
            (
                "acme/.terragrunt-cache/x/terragrunt.hcl",
                &include_block("find_in_parent_folders(\"root.hcl\")"),
            ),
        ]);
        let found = SiblingUnits::read(&top.join("acme"), None);
        let roots: Vec<_> = found
            .roots
            .iter()
            .map(|root| (root.name.as_str(), root.path.clone(), root.unit_count))
            .collect();
        assert_eq!(
            roots,
            [
                ("common.hcl", top.join("common.hcl"), 2),
                ("root.hcl", top.join("acme/root.hcl"), 1)
            ]
        );
        assert_eq!(found.unresolved, ["d/terragrunt.hcl"]);
        let legacy = top.join("acme/c/terragrunt.hcl");
        assert_eq!(
            SiblingUnits::read(&top.join("acme"), Some(&legacy)).roots[0].name,
            "root.hcl",
            "of as many units, the one with the state"
        );
    }

    #[test]
    fn of_several_includes_the_one_with_the_state_counts() {
        let both = include_block("find_in_parent_folders(\"root.hcl\")")
            + "include \"live\" {\n  path = \"${dirname(find_in_parent_folders(\"root.hcl\"))}/shared/live.hcl\"\n}\n";
        let (_folder, top) = create_file_tree(&[
            ("root.hcl", "locals {}\n"),
            ("shared/live.hcl", "remote_state {}\n"),
            ("live/acme/a/terragrunt.hcl", &both),
        ]);
        let found = SiblingUnits::read(&top.join("live/acme"), None);
        assert_eq!(
            found.roots[0].name, "shared/live.hcl",
            "as found from the folder that both are in"
        );
    }

    #[test]
    fn a_root_file_that_our_unit_would_not_find_is_unclear() {
        let (_folder, top) = create_file_tree(&[
            ("acme/root.hcl", "remote_state {}\n"),
            ("acme/deep/root.hcl", "remote_state {}\n"),
            (
                "acme/deep/a/terragrunt.hcl",
                &include_block("find_in_parent_folders(\"root.hcl\")"),
            ),
            (
                "acme/b/terragrunt.hcl",
                &include_block("find_in_parent_folders(\"none.hcl\")"),
            ),
        ]);
        let found = SiblingUnits::read(&top.join("acme"), None);
        assert_eq!(
            found
                .roots
                .iter()
                .map(|root| root.name.as_str())
                .collect::<Vec<_>>(),
            ["deep/root.hcl"]
        );
        assert_eq!(found.unresolved, ["b/terragrunt.hcl"]);
    }

    #[test]
    fn a_root_file_may_write_its_backend_by_a_generate_block() {
        let backend = "generate \"backend\" {\n  contents = <<EOF\nterraform {\n  backend \"s3\" {}\n}\nEOF\n}\n";
        let (_folder, top) = create_file_tree(&[
            ("a.hcl", backend),
            ("b.hcl", "# remote_state\ninputs = {}\n"),
        ]);
        assert_eq!(
            (
                has_remote_state(&top.join("a.hcl")),
                has_remote_state(&top.join("b.hcl"))
            ),
            (true, false)
        );
    }
}

//! The other units of a customer folder, read as text: which root files they include, and whether they depend on our unit.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::customer_folder::hcl::{self, HclBlock, HclToken};
use crate::customer_folder::include_path::{find_in_parents, resolve_include_path};
use crate::customer_folder::unit_files::{
    DEFAULT_ROOT_NAME, TERRAGRUNT_HCL, UNIT_FOLDER_NAME, is_valid_root_name,
};

/// How deep below the customer folder, and how many, files are read.
const MAX_DEPTH: usize = 8;
const MAX_FILES: usize = 2000;
/// The largest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// A root file that units include.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncludedRoot {
    /// Its name as our unit finds it in its parent folders.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// How many units include it.
    pub unit_count: usize,
}

/// Which root files the units of a customer folder include.
#[derive(Debug, Default)]
pub struct SiblingUnits {
    /// Most frequent first.
    pub roots: Vec<IncludedRoot>,
    /// Units whose root file our unit cannot find, or whose `path` has to be evaluated.
    pub unresolved: Vec<String>,
}

impl SiblingUnits {
    /// Reads the units below `customer`, and `legacy`, a `terragrunt.hcl` in the folder of our unit that is not ours.
    #[must_use]
    pub fn read(customer: &Path, legacy: Option<&Path>) -> Self {
        let unit = customer.join(UNIT_FOLDER_NAME);
        let files = list_hcl_files(customer)
            .into_iter()
            .filter(|path| path.file_name().is_some_and(|name| name == TERRAGRUNT_HCL));
        let mut counts: BTreeMap<(String, PathBuf), usize> = BTreeMap::new();
        let mut unclear = Vec::new();
        for file in files.chain(legacy.map(Path::to_owned)) {
            match find_included_root(&file, &unit) {
                IncludeTarget::Root(name, path) => *counts.entry((name, path)).or_default() += 1,
                IncludeTarget::Unresolved => unclear.push(
                    file.strip_prefix(customer)
                        .unwrap_or(&file)
                        .display()
                        .to_string(),
                ),
                IncludeTarget::Nothing => {}
            }
        }
        let roots = counts
            .into_iter()
            .map(|((name, path), units)| IncludedRoot {
                name,
                path,
                unit_count: units,
            });
        let mut roots: Vec<_> = roots.collect();
        roots.sort_by_key(|root| {
            (
                std::cmp::Reverse(root.unit_count),
                !has_remote_state(&root.path),
                root.name != DEFAULT_ROOT_NAME,
            )
        });
        Self {
            roots,
            unresolved: unclear,
        }
    }
}

enum IncludeTarget {
    Root(String, PathBuf),
    Unresolved,
    Nothing,
}

/// The root file of one unit: of several includes, the one that says where the state is, or the one called `root`.
fn find_included_root(file: &Path, our_unit: &Path) -> IncludeTarget {
    let blocks = hcl::parse_blocks(&read_small_text(file).unwrap_or_default());
    let includes: Vec<&HclBlock> = blocks
        .iter()
        .filter(|block| block.kind == "include")
        .collect();
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut found: Vec<(bool, bool, String, PathBuf)> = Vec::new();
    for include in &includes {
        let path = resolve_include_path(include.attribute_tokens("path"), folder)
            .and_then(|path| path.canonicalize().ok());
        if let Some((name, path)) =
            path.and_then(|path| Some((root_name_for_unit(&path, our_unit)?, path)))
        {
            let is_called_root = include.labels.first().is_none_or(|label| label == "root");
            found.push((!has_remote_state(&path), !is_called_root, name, path));
        }
    }
    found.sort_by_key(|(has_no_state, is_called_otherwise, ..)| {
        (*has_no_state, *is_called_otherwise)
    });
    match found.into_iter().next() {
        Some((_, _, name, path)) => IncludeTarget::Root(name, path),
        None if includes.is_empty() => IncludeTarget::Nothing,
        None => IncludeTarget::Unresolved,
    }
}

/// The name by which `find_in_parent_folders` of our unit finds the file `path`.
fn root_name_for_unit(path: &Path, unit: &Path) -> Option<String> {
    let names = unit
        .ancestors()
        .skip(1)
        .filter_map(|folder| path.strip_prefix(folder).ok()?.to_str());
    let is_found = |name: &&str| {
        let found = find_in_parents(unit, name).and_then(|found| found.canonicalize().ok());
        is_valid_root_name(name) && found.as_deref() == Some(path)
    };
    names.into_iter().find(is_found).map(str::to_owned)
}

/// Whether a root file says where the state is.
#[must_use]
pub fn has_remote_state(root: &Path) -> bool {
    let text = read_small_text(root).unwrap_or_default();
    let is_backend =
        |token: &HclToken| matches!(token, HclToken::Text(text) if text.contains("backend \""));
    hcl::tokenize(&text)
        .iter()
        .any(|token| *token == HclToken::Word("remote_state".to_owned()) || is_backend(token))
}

/// The units that run only after ours, and that a failure of ours would stop; `None` where there are too many files.
#[must_use]
pub fn find_dependents(customer: &Path) -> Option<Vec<String>> {
    let files = list_hcl_files(customer);
    if files.len() >= MAX_FILES {
        return None;
    }
    let unit = customer.join(UNIT_FOLDER_NAME);
    let depends_on_ours = |file: &&PathBuf| {
        let blocks = hcl::parse_blocks(&read_small_text(file).unwrap_or_default());
        blocks
            .iter()
            .any(|block| is_dependency_on(block, file, &unit))
    };
    let names = files.iter().filter(depends_on_ours).map(|file| {
        file.strip_prefix(customer)
            .unwrap_or(file)
            .display()
            .to_string()
    });
    Some(names.collect())
}

/// Whether a block of `file` makes a unit depend on ours.
fn is_dependency_on(block: &HclBlock, file: &Path, unit: &Path) -> bool {
    let paths = match block.kind.as_str() {
        "dependency" => block.attribute_texts("config_path"),
        "dependencies" => block.attribute_texts("paths"),
        _ => return false,
    };
    let here = file.parent().unwrap_or(Path::new("."));
    paths.into_iter().any(|path| {
        let path = path
            .trim_end_matches("/terragrunt.hcl")
            .trim_end_matches('/');
        let path = path.replace("${get_terragrunt_dir()}", &here.display().to_string());
        if path.contains("${") {
            // Whatever comes before the name, a customer folder has one unit of this name.
            return path.rsplit('/').next() == Some(UNIT_FOLDER_NAME);
        }
        match (here.join(&path).canonicalize(), unit.canonicalize()) {
            (Ok(path), Ok(unit)) => path == unit,
            _ => false,
        }
    })
}

/// The HCL files below a customer folder, without those of our unit and of hidden folders such as `.terragrunt-cache`.
fn list_hcl_files(customer: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    collect_hcl_files(customer, MAX_DEPTH, &mut files);
    files
}

fn collect_hcl_files(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if name.to_string_lossy().starts_with('.') || files.len() >= MAX_FILES {
            continue;
        }
        if kind.is_dir() && depth > 0 && name != UNIT_FOLDER_NAME {
            collect_hcl_files(&path, depth - 1, files);
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "hcl") {
            files.push(path);
        }
    }
}

/// A file's text; `None` where it cannot be read, or is far too large for a file that people write.
#[must_use]
pub fn read_small_text(path: &Path) -> Option<String> {
    let is_small =
        fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() <= MAX_FILE_BYTES);
    is_small
        .then(|| fs::read(path).ok())
        .flatten()
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
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

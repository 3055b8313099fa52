//! The units of a customer folder that depend on ours, read from their files.

use std::path::{Path, PathBuf};

use hcl_edit::expr::Expression;
use hcl_edit::structure::Block;
use hcl_edit::template::Element;

use crate::customer_folder::hcl_files::{MAX_FILES, list_hcl_files, read_hcl_file};
use crate::customer_folder::include_path::{evaluate_text, is_same_file};
use crate::customer_folder::unit_files::{TERRAGRUNT_HCL, UNIT_FOLDER_NAME};

/// The files of the units that run only after our unit, and that its failure would stop.
///
/// `None` if the folder has too many files to read.
pub(crate) fn find_dependents(customer: &Path) -> Option<Vec<String>> {
    let files = list_hcl_files(customer);
    if files.len() >= MAX_FILES {
        return None;
    }

    let unit = customer.join(UNIT_FOLDER_NAME);
    let mut dependents = Vec::new();
    for file in files {
        if has_dependency_on(&file, &unit) {
            let name = file.strip_prefix(customer).unwrap_or(&file);
            dependents.push(name.display().to_string());
        }
    }
    Some(dependents)
}

fn has_dependency_on(file: &Path, unit: &Path) -> bool {
    let folder = file.parent().unwrap_or(Path::new("."));
    for block in read_hcl_file(file).blocks() {
        let mut paths = Vec::new();
        if let Some(value) = dependency_paths(block) {
            collect_paths(value, folder, &mut paths);
        }
        for path in paths {
            if is_path_of_unit(path, folder, unit) {
                return true;
            }
        }
    }
    false
}

fn dependency_paths(block: &Block) -> Option<&Expression> {
    let name = match block.ident.as_str() {
        "dependency" => "config_path",
        "dependencies" => "paths",
        _ => return None,
    };
    let attribute = block.body.get_attribute(name)?;
    Some(&attribute.value)
}

/// The paths in a list, or in a call such as `concat` that Terragrunt has to evaluate.
fn collect_paths<'a>(value: &'a Expression, folder: &Path, paths: &mut Vec<&'a Expression>) {
    match value {
        Expression::Array(items) => {
            for item in items {
                collect_paths(item, folder, paths);
            }
        }
        Expression::FuncCall(call) if evaluate_text(value, folder).is_none() => {
            for argument in &call.args {
                collect_paths(argument, folder, paths);
            }
        }
        _ => paths.push(value),
    }
}

fn is_path_of_unit(path: &Expression, folder: &Path, unit: &Path) -> bool {
    let Some(text) = evaluate_text(path, folder) else {
        return ends_with_unit_name(path);
    };
    is_same_file(&folder.join(without_file_name(&text)), unit)
}

/// Only Terragrunt can evaluate what comes before the name, but a customer folder has one unit of
/// this name.
fn ends_with_unit_name(path: &Expression) -> bool {
    let Expression::StringTemplate(template) = path else {
        return false;
    };
    let Some(Element::Literal(literal)) = template.iter().last() else {
        return false;
    };
    let path = PathBuf::from(without_file_name(literal));
    literal.starts_with('/') && path.file_name() == Some(UNIT_FOLDER_NAME.as_ref())
}

fn without_file_name(path: &str) -> &str {
    let folder = match path.strip_suffix(TERRAGRUNT_HCL) {
        Some(folder) if folder.ends_with('/') => folder,
        _ => path,
    };
    folder.trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn finds_the_units_that_depend_on_ours() {
        let folder = tempfile::tempdir().expect("a folder");
        let customer = folder.path();
        fs::create_dir_all(customer.join(UNIT_FOLDER_NAME)).expect("folders");
        for (name, text, is_dependent) in [
            (
                "a",
                "dependency \"x\" {\n  config_path = \"../config-backup\"\n}\n",
                true,
            ),
            (
                "b",
                "dependency \"x\" {\n  config_path = \"../a\"\n}\n",
                false,
            ),
            (
                "c",
                "dependencies {\n  paths = [\"../a\", \"../config-backup/\"]\n}\n",
                true,
            ),
            (
                "d",
                "dependencies {\n  paths = concat([\"${local.x}/config-backup\"], local.y)\n}\n",
                true,
            ),
            (
                "e",
                "dependencies {\n  paths = [\"${local.x}/other\", \"${local.x}config-backup\"]\n}\n",
                false,
            ),
            (
                "f",
                "dependency \"x\" {\n  config_path = \"${get_terragrunt_dir()}/../config-backup/terragrunt.hcl\"\n}\n",
                true,
            ),
            (
                "g",
                "dependency \"x\" {\n  config_path = \"../config-backup\"\n  mock_outputs = {\n",
                true,
            ),
            (
                "h",
                "inputs = { config_path = \"../config-backup\" }\n",
                false,
            ),
        ] {
            let unit = customer.join(name);
            fs::create_dir(&unit).expect("a folder");
            fs::write(unit.join(TERRAGRUNT_HCL), text).expect("a file");
            let name = format!("{name}/{TERRAGRUNT_HCL}");
            let dependents = find_dependents(customer).expect("few files");
            assert_eq!(dependents.contains(&name), is_dependent, "{text}");
        }
    }
}

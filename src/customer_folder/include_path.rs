//! Where the `path` of an `include` block points.
//!
//! Evaluates texts and the functions of Terragrunt that such paths use, and looks only which files
//! exist. Any other expression gives `None`, because a wrong root file is worse than none.

use std::path::{Path, PathBuf};

use hcl_edit::expr::{Expression, FuncCall};
use hcl_edit::template::{Element, StringTemplate};

/// The name that `find_in_parent_folders()` looks for.
const DEFAULT_PARENT_FILE: &str = "terragrunt.hcl";
/// How many folders above are searched, as Terragrunt does.
const MAX_PARENT_FOLDERS: usize = 100;

/// The nearest file called `name` above a unit's folder, never one in the folder itself.
pub(crate) fn find_in_parents(unit: &Path, name: &str) -> Option<PathBuf> {
    for folder in unit.ancestors().skip(1).take(MAX_PARENT_FOLDERS) {
        let path = folder.join(name);
        if path.exists() {
            return Some(path);
        }
    }
    None
}

/// The file that `expression` names in the `terragrunt.hcl` of `unit`.
pub(crate) fn resolve_include_path(expression: &Expression, unit: &Path) -> Option<PathBuf> {
    let path = evaluate_text(expression, unit)?;
    if path.is_empty() {
        return None;
    }
    Some(unit.join(path))
}

/// Whether two existing paths lead to the same file or folder.
pub(crate) fn is_same_file(first: &Path, second: &Path) -> bool {
    match (first.canonicalize(), second.canonicalize()) {
        (Ok(first), Ok(second)) => first == second,
        _ => false,
    }
}

/// The text that an expression in the `terragrunt.hcl` of `unit` gives.
pub(crate) fn evaluate_text(expression: &Expression, unit: &Path) -> Option<String> {
    match expression {
        Expression::String(text) => Some(text.as_str().to_owned()),
        Expression::StringTemplate(template) => evaluate_template(template, unit),
        Expression::FuncCall(call) => evaluate_call(call, unit),
        _ => None,
    }
}

fn evaluate_template(template: &StringTemplate, unit: &Path) -> Option<String> {
    let mut text = String::new();
    for element in template {
        match element {
            Element::Literal(literal) => text.push_str(literal),
            Element::Interpolation(inner) => text.push_str(&evaluate_text(&inner.expr, unit)?),
            Element::Directive(_) => return None,
        }
    }
    Some(text)
}

fn evaluate_call(call: &FuncCall, unit: &Path) -> Option<String> {
    if call.name.is_namespaced() || call.args.expand_final() {
        return None;
    }
    let mut arguments = Vec::new();
    for argument in &call.args {
        arguments.push(evaluate_text(argument, unit)?);
    }

    let path = match (call.name.name.as_str(), arguments.as_slice()) {
        ("find_in_parent_folders", []) => find_in_parents(unit, DEFAULT_PARENT_FILE)?,
        ("find_in_parent_folders", [name]) => find_in_parents(unit, name)?,
        ("find_in_parent_folders", [name, fallback]) => match find_in_parents(unit, name) {
            Some(path) => path,
            None => PathBuf::from(fallback),
        },
        ("get_terragrunt_dir" | "get_original_terragrunt_dir", []) => unit.to_owned(),
        ("get_repo_root" | "get_path_to_repo_root", []) => find_repository(unit)?,
        ("dirname", [path]) => Path::new(path).parent()?.to_owned(),
        ("abspath", [path]) => unit.join(path),
        _ => return None,
    };
    Some(path.display().to_string())
}

fn find_repository(unit: &Path) -> Option<PathBuf> {
    for folder in unit.ancestors() {
        if folder.join(".git").exists() {
            return Some(folder.to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::customer_folder::hcl::parse_hcl;

    fn resolve_in_include(path: &str, unit: &Path) -> Option<String> {
        let text = format!("include \"root\" {{\n  path = {path}\n  expose = true\n}}\n");
        let body = parse_hcl(&text);
        let include = body.get_blocks("include").next().expect("a block");
        let path = include.body.get_attribute("path")?;
        let found = resolve_include_path(&path.value, unit)?;
        Some(found.display().to_string())
    }

    #[test]
    fn paths_are_found_as_terragrunt_finds_them() {
        let world = tempfile::tempdir().expect("a folder");
        let top = world.path();
        let unit = top.join("live/ac me/atlas");
        std::fs::create_dir_all(&unit).expect("folders");
        std::fs::create_dir(top.join(".git")).expect("a folder");
        for name in [
            "live/root.hcl",
            "live/terragrunt.hcl",
            "live/ac me/root.hcl",
        ] {
            std::fs::write(top.join(name), "").expect("a file");
        }
        let at = |path: &str| Some(top.join(path).display().to_string());
        for (expression, expected) in [
            (
                "find_in_parent_folders(\"root.hcl\")",
                at("live/ac me/root.hcl"),
            ),
            ("find_in_parent_folders()", at("live/terragrunt.hcl")),
            (
                "\"${find_in_parent_folders(\"root.hcl\")}\"",
                at("live/ac me/root.hcl"),
            ),
            (
                "find_in_parent_folders(\"none.hcl\", \"x.hcl\")",
                at("live/ac me/atlas/x.hcl"),
            ),
            (
                "find_in_parent_folders(\"none.hcl\", find_in_parent_folders(\"terragrunt.hcl\"))",
                at("live/terragrunt.hcl"),
            ),
            ("\"${get_repo_root()}/live/root.hcl\"", at("live/root.hcl")),
            (
                "\"${dirname(find_in_parent_folders())}/{x}.hcl\"",
                at("live/{x}.hcl"),
            ),
            ("\"../root.hcl\"", at("live/ac me/atlas/../root.hcl")),
            (
                "\"${get_terragrunt_dir()}/../root.hcl\"",
                at("live/ac me/atlas/../root.hcl"),
            ),
            (
                "abspath(\"../root.hcl\")",
                at("live/ac me/atlas/../root.hcl"),
            ),
            ("find_in_parent_folders(\"none.hcl\")", None),
            ("\"${local.root}/root.hcl\"", None),
            ("\"%{ if true }x%{ endif }\"", None),
            ("local.root", None),
            ("find_in_parent_folders(\"a\") + f(\"b\")", None),
            ("\"${\"", None),
            ("\"\"", None),
        ] {
            let found = resolve_in_include(expression, &unit);
            assert_eq!(found, expected, "{expression}");
        }
    }
}

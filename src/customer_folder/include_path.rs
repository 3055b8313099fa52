//! Where the `path` of an `include` block points: literal paths, and the functions of Terragrunt that such paths use.
//!
//! Reads only which files exist. An expression of another kind gives nothing, because a wrong root file is worse than none.

use std::path::{Path, PathBuf};

use crate::customer_folder::hcl::{HclToken, tokenize};

/// The name that `find_in_parent_folders()` looks for.
const DEFAULT_PARENT_FILE: &str = "terragrunt.hcl";
/// How many folders above are searched, as Terragrunt does.
const MAX_PARENT_FOLDERS: usize = 100;

/// The nearest file called `name` above a unit's folder, as `find_in_parent_folders` finds it: never in the folder itself.
#[must_use]
pub fn find_in_parents(unit: &Path, name: &str) -> Option<PathBuf> {
    unit.ancestors()
        .skip(1)
        .take(MAX_PARENT_FOLDERS)
        .map(|folder| folder.join(name))
        .find(|path| path.exists())
}

/// The file that `expression` in the `terragrunt.hcl` of `unit` names; `None` where it cannot be known without evaluating it.
#[must_use]
pub fn resolve_include_path(expression: &[HclToken], unit: &Path) -> Option<PathBuf> {
    let path = evaluate_expression(expression, unit)?;
    (!path.is_empty()).then(|| unit.join(path))
}

fn evaluate_expression(expression: &[HclToken], unit: &Path) -> Option<String> {
    match expression {
        [HclToken::Text(text)] => evaluate_template(text, unit),
        [
            HclToken::Word(function),
            HclToken::Sign('('),
            inside @ ..,
            HclToken::Sign(')'),
        ] => {
            let arguments = split_arguments(inside)
                .into_iter()
                .map(|argument| evaluate_expression(argument, unit));
            evaluate_call(function, &arguments.collect::<Option<Vec<_>>>()?, unit)
        }
        _ => None,
    }
}

fn evaluate_call(function: &str, arguments: &[String], unit: &Path) -> Option<String> {
    let found = |name: &str| find_in_parents(unit, name).map(|path| path.display().to_string());
    match (function, arguments) {
        ("find_in_parent_folders", []) => found(DEFAULT_PARENT_FILE),
        ("find_in_parent_folders", [name]) => found(name),
        ("find_in_parent_folders", [name, otherwise]) => {
            found(name).or_else(|| Some(otherwise.clone()))
        }
        ("get_terragrunt_dir" | "get_original_terragrunt_dir", []) => {
            Some(unit.display().to_string())
        }
        ("get_repo_root" | "get_path_to_repo_root", []) => {
            let root = unit
                .ancestors()
                .find(|folder| folder.join(".git").exists())?;
            Some(root.display().to_string())
        }
        ("dirname", [path]) => Some(Path::new(path).parent()?.display().to_string()),
        ("abspath", [path]) => Some(unit.join(path).display().to_string()),
        _ => None,
    }
}

/// The arguments of a call, without the commas between them.
fn split_arguments(inside: &[HclToken]) -> Vec<&[HclToken]> {
    let mut found = Vec::new();
    let (mut start, mut depth) = (0, 0_usize);
    for (at, token) in inside.iter().enumerate() {
        match token {
            HclToken::Sign('(' | '[' | '{') => depth += 1,
            HclToken::Sign(')' | ']' | '}') => depth = depth.saturating_sub(1),
            HclToken::Sign(',') if depth == 0 => {
                found.push(&inside[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if start < inside.len() {
        found.push(&inside[start..]);
    }
    found
}

/// A quoted text with the values of its `${...}`.
fn evaluate_template(text: &str, unit: &Path) -> Option<String> {
    if text.contains("%{") || text.contains("$${") || text.contains('\\') {
        return None;
    }
    let mut filled = String::new();
    let mut rest = text;
    while let Some((literal, tail)) = rest.split_once("${") {
        let end = find_template_end(tail)?;
        filled.push_str(literal);
        filled.push_str(&evaluate_expression(&tokenize(&tail[..end]), unit)?);
        rest = &tail[end + 1..];
    }
    filled.push_str(rest);
    Some(filled)
}

/// Where the brace is that ends a template; braces in its quoted texts do not count.
fn find_template_end(text: &str) -> Option<usize> {
    let (mut depth, mut is_quoted) = (0_usize, false);
    for (at, sign) in text.char_indices() {
        match sign {
            '"' => is_quoted = !is_quoted,
            '{' if !is_quoted => depth += 1,
            '}' if !is_quoted && depth == 0 => return Some(at),
            '}' if !is_quoted => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::customer_folder::hcl::parse_blocks;

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
        let found = |path: &str| {
            let include = parse_blocks(&format!(
                "include \"root\" {{\n  path = {path}\n  expose = true\n}}\n"
            ));
            resolve_include_path(include[0].attribute_tokens("path"), &unit)
                .map(|path| path.display().to_string())
        };
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
            assert_eq!(found(expression), expected, "{expression}");
        }
    }
}

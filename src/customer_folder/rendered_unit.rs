//! Our unit as Terragrunt renders it: whether a deployment would be logged with it. Pure.
//!
//! A rendering has values of config.yaml. Nothing of it is shown but the name of the helper.

use std::path::Path;

use serde_json::Value;

/// The file by which the settings reach Terraform.
const SETTINGS_FILE: &str = "config_backup.auto.tfvars.json";

/// Something that is wrong with the unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitProblem {
    /// Whether deployments are not logged because of it.
    pub is_failure: bool,
    /// What is wrong.
    pub seen: &'static str,
    /// What to do.
    pub fix: &'static str,
}

impl UnitProblem {
    const fn failure(seen: &'static str, fix: &'static str) -> Self {
        Self {
            is_failure: true,
            seen,
            fix,
        }
    }

    const fn warning(seen: &'static str, fix: &'static str) -> Self {
        Self {
            is_failure: false,
            seen,
            fix,
        }
    }
}

const UNIT_EXCLUDED: UnitProblem = UnitProblem::failure(
    "`terragrunt.hcl` excludes the unit: it does not run, and nothing is logged",
    "remove the `exclude` block; check for drift with `--filter '!./config-backup'`",
);
const SOURCE_SET: UnitProblem = UnitProblem::failure(
    "`terragrunt.hcl` sets a `source`: Terraform does not run the module of this folder",
    "remove the `source`",
);
const DEPENDS_ON_UNITS: UnitProblem = UnitProblem::failure(
    "`terragrunt.hcl` depends on other units: if one fails, nothing is logged",
    "remove its `dependency` and `dependencies` blocks",
);
const NO_SETTINGS: UnitProblem = UnitProblem::failure(
    "`terragrunt.hcl` does not generate `config_backup.auto.tfvars.json` with `config_file_path`: Terraform fails in the unit",
    "restore the `generate` block with `config-backup init --force`",
);
const OTHER_CONFIG: UnitProblem = UnitProblem::warning(
    "`config_file_path` is not the config.yaml of this folder: another file is backed up",
    "if that is not intended, correct `config_file_path`",
);
const NO_STATE: UnitProblem = UnitProblem::warning(
    "`terragrunt.hcl` has no `remote_state`: the unit's state is lost with `.terragrunt-cache`",
    "restore it with `config-backup init --force`",
);
const NO_HOOK: UnitProblem = UnitProblem::warning(
    "`terragrunt.hcl` has no `error_hook`: where Terraform fails in the unit, nothing is logged",
    "restore it with `config-backup init --force`",
);
const NO_IGNORE: UnitProblem = UnitProblem::warning(
    "`terragrunt.hcl` has no `errors` block that ignores errors: an error of the unit fails the run",
    "restore it with `config-backup init --force`",
);

/// What is wrong with the rendered unit of the customer folder `customer`, failures first.
#[must_use]
pub fn find_problems_in_unit(unit: &Value, customer: &Path) -> Vec<UnitProblem> {
    let is_empty = |value: &Value| {
        value.is_null()
            || value == ""
            || value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(serde_json::Map::is_empty)
    };
    let mut problems = Vec::new();
    let mut add =
        |is_found: bool, problem: UnitProblem| problems.extend(is_found.then_some(problem));
    add(unit["exclude"]["if"] == true, UNIT_EXCLUDED);
    add(!is_empty(&unit["terraform"]["source"]), SOURCE_SET);
    add(
        !is_empty(&unit["dependencies"]["paths"]) || !is_empty(&unit["dependency"]),
        DEPENDS_ON_UNITS,
    );
    let config = parse_unit_settings(unit)
        .and_then(|settings| settings["config_file_path"].as_str().map(str::to_owned))
        .filter(|path| !path.is_empty());
    add(config.is_none(), NO_SETTINGS);
    let is_other = |path: String| {
        let folder = Path::new(&path)
            .parent()
            .and_then(|folder| folder.canonicalize().ok());
        !path.ends_with("/config.yaml") || folder != customer.canonicalize().ok()
    };
    add(config.is_some_and(is_other), OTHER_CONFIG);
    add(is_empty(&unit["remote_state"]["backend"]), NO_STATE);
    add(is_empty(&unit["terraform"]["error_hook"]), NO_HOOK);
    add(is_empty(&unit["errors"]["ignore"]), NO_IGNORE);
    problems.sort_by_key(|problem| !problem.is_failure);
    problems
}

/// The helper that the unit runs, and whether it downloads one that is missing.
#[must_use]
pub fn find_helper(unit: &Value) -> Option<(String, bool)> {
    let settings = parse_unit_settings(unit)?;
    let text = |name: &str| {
        settings[name]
            .as_str()
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    Some((
        text("helper").unwrap_or_else(|| "config-backup".to_owned()),
        text("helper_url").is_some() && text("helper_sha256").is_some(),
    ))
}

/// The files of the unit's folder that Terragrunt overwrites or removes in its copy, so that older ones cannot clash.
#[must_use]
pub fn list_overwritten_files(unit: &Value) -> Vec<String> {
    let blocks = unit["generate"]
        .as_object()
        .into_iter()
        .flat_map(serde_json::Map::values)
        .chain([&unit["remote_state"]["generate"]]);
    let replaces = |block: &&Value| {
        if block["disable"] == true {
            block["if_disabled"] == "remove"
        } else {
            block["if_exists"] == "overwrite"
        }
    };
    blocks
        .filter(replaces)
        .filter_map(|block| block["path"].as_str())
        .map(str::to_owned)
        .collect()
}

/// The settings that reach the module: the generated file, and its object `unit_settings`, which replaces them.
fn parse_unit_settings(unit: &Value) -> Option<Value> {
    let blocks = unit["generate"].as_object()?.values();
    let block = blocks
        .into_iter()
        .find(|block| block["path"] == SETTINGS_FILE && block["disable"] != true)?;
    let file: Value = serde_json::from_str(block["contents"].as_str()?).ok()?;
    let mut all = file.as_object()?.clone();
    let inner = all.remove("unit_settings").unwrap_or_default();
    all.extend(inner.as_object().cloned().unwrap_or_default());
    Some(Value::Object(all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// What is looked at of a rendering by terragrunt 1.1.3, with nothing wrong.
    fn intact_rendering(customer: &Path) -> Value {
        let settings = json!({"config_file_path": customer.join("config.yaml"), "helper": "config-backup", "helper_url": ""});
        let contents =
            json!({"config_file_path": customer.join("config.yaml"), "unit_settings": settings})
                .to_string();
        json!({
            "dependencies": null,
            "dependency": {},
            "errors": {"ignore": [{"name": "other"}]},
            "generate": {
                "config_backup_settings": {"path": SETTINGS_FILE, "disable": false, "if_exists": "overwrite", "contents": contents},
                "config_backup_backend": {"path": "unused.tf", "disable": true, "if_exists": "overwrite", "if_disabled": "skip", "contents": ""},
                "remove_provider.tf": {"path": "provider.tf", "disable": true, "if_exists": "overwrite", "if_disabled": "remove", "contents": ""},
            },
            "remote_state": {"backend": "s3", "config": {}, "generate": {"path": "backend.tf", "if_exists": "overwrite"}},
            "terraform": {"error_hook": {"fallback": {}}, "source": ""},
        })
    }

    #[test]
    fn each_problem_is_noticed() {
        let folder = tempfile::tempdir().expect("a folder");
        let customer = folder.path();
        let good = intact_rendering(customer);
        assert_eq!(find_problems_in_unit(&good, customer), []);
        assert_eq!(
            find_helper(&good),
            Some(("config-backup".to_owned(), false))
        );
        assert_eq!(
            list_overwritten_files(&good),
            [SETTINGS_FILE, "provider.tf", "backend.tf"]
        );
        let changed = |pointer: &str, value: Value| {
            let mut unit = good.clone();
            *unit.pointer_mut(pointer).expect("it") = value;
            find_problems_in_unit(&unit, customer)
        };
        let mut excluded = good.clone();
        excluded["exclude"] = json!({"if": true, "actions": ["plan"]});
        assert_eq!(find_problems_in_unit(&excluded, customer), [UNIT_EXCLUDED]);
        excluded["exclude"]["if"] = json!(false);
        assert_eq!(find_problems_in_unit(&excluded, customer), []);
        let elsewhere = json!({"config_file_path": "/elsewhere/config.yaml"}).to_string();
        for (pointer, value, problem) in [
            ("/terraform/source", json!("git::x"), SOURCE_SET),
            (
                "/dependencies",
                json!({"paths": ["../x"]}),
                DEPENDS_ON_UNITS,
            ),
            ("/dependency", json!({"x": {}}), DEPENDS_ON_UNITS),
            ("/generate", json!({}), NO_SETTINGS),
            (
                "/generate/config_backup_settings/disable",
                json!(true),
                NO_SETTINGS,
            ),
            (
                "/generate/config_backup_settings/contents",
                json!("{}"),
                NO_SETTINGS,
            ),
            (
                "/generate/config_backup_settings/contents",
                json!(elsewhere),
                OTHER_CONFIG,
            ),
            ("/remote_state", Value::Null, NO_STATE),
            ("/terraform/error_hook", Value::Null, NO_HOOK),
            ("/errors", Value::Null, NO_IGNORE),
        ] {
            assert_eq!(changed(pointer, value), [problem], "{pointer}");
        }
        let found = changed("/terraform", json!({"source": "x"}));
        assert_eq!(found, [SOURCE_SET, NO_HOOK], "failures come first");
    }
}

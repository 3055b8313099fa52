//! Our unit as Terragrunt renders it: whether a deployment would be logged with it.
//!
//! A rendering has values of config.yaml. Must show nothing of it but the name of the helper.

use std::path::Path;

use serde_json::{Map, Value};

use crate::customer_folder::include_path::is_same_file;
use crate::customer_folder::unit_problem::{
    DEPENDS_ON_UNITS, NO_HOOK, NO_IGNORE, NO_SETTINGS, NO_STATE, OTHER_CONFIG, SOURCE_SET,
    UNIT_EXCLUDED, UnitProblem,
};

/// The file by which the settings reach Terraform.
const SETTINGS_FILE: &str = "config_backup.auto.tfvars.json";
const DEFAULT_HELPER: &str = "config-backup";

/// The helper that a unit runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnitHelper {
    /// A path, or a name to look up in PATH.
    pub(crate) program: String,
    /// Whether the unit downloads the helper if it is missing.
    pub(crate) is_downloadable: bool,
}

/// What is wrong with the rendered unit of the customer folder `customer`, failures first.
pub(crate) fn find_problems_in_unit(unit: &Value, customer: &Path) -> Vec<UnitProblem> {
    let mut problems = Vec::new();
    if unit["exclude"]["if"] == true {
        problems.push(UNIT_EXCLUDED);
    }
    if !is_empty(&unit["terraform"]["source"]) {
        problems.push(SOURCE_SET);
    }
    if !is_empty(&unit["dependencies"]["paths"]) || !is_empty(&unit["dependency"]) {
        problems.push(DEPENDS_ON_UNITS);
    }
    match find_config_path(unit) {
        None => problems.push(NO_SETTINGS),
        Some(path) if !is_config_of(&path, customer) => problems.push(OTHER_CONFIG),
        Some(_) => {}
    }
    if is_empty(&unit["remote_state"]["backend"]) {
        problems.push(NO_STATE);
    }
    if is_empty(&unit["terraform"]["error_hook"]) {
        problems.push(NO_HOOK);
    }
    if is_empty(&unit["errors"]["ignore"]) {
        problems.push(NO_IGNORE);
    }
    problems.sort_by_key(|problem| !problem.is_failure);
    problems
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

fn is_config_of(path: &str, customer: &Path) -> bool {
    match Path::new(path).parent() {
        Some(folder) => path.ends_with("/config.yaml") && is_same_file(folder, customer),
        None => false,
    }
}

fn find_config_path(unit: &Value) -> Option<String> {
    let settings = parse_unit_settings(unit)?;
    text_setting(&settings, "config_file_path")
}

/// The helper that the unit runs; `None` if its settings are not generated.
pub(crate) fn find_helper(unit: &Value) -> Option<UnitHelper> {
    let settings = parse_unit_settings(unit)?;
    let program = text_setting(&settings, "helper");
    let url = text_setting(&settings, "helper_url");
    let sha256 = text_setting(&settings, "helper_sha256");
    Some(UnitHelper {
        program: program.unwrap_or_else(|| DEFAULT_HELPER.to_owned()),
        is_downloadable: url.is_some() && sha256.is_some(),
    })
}

/// The files that Terragrunt overwrites or removes in its copy of the unit's folder.
///
/// Older files of these names cannot clash with the unit.
pub(crate) fn list_overwritten_files(unit: &Value) -> Vec<String> {
    let mut blocks = Vec::new();
    if let Some(generate) = unit["generate"].as_object() {
        blocks.extend(generate.values());
    }
    blocks.push(&unit["remote_state"]["generate"]);

    let mut names = Vec::new();
    for block in blocks {
        let is_replaced = if block["disable"] == true {
            block["if_disabled"] == "remove"
        } else {
            block["if_exists"] == "overwrite"
        };
        if let Some(name) = block["path"].as_str()
            && is_replaced
        {
            names.push(name.to_owned());
        }
    }
    names
}

/// The settings that reach the module.
///
/// The object `unit_settings` of the generated file replaces the settings beside it.
fn parse_unit_settings(unit: &Value) -> Option<Map<String, Value>> {
    for block in unit["generate"].as_object()?.values() {
        if block["path"] != SETTINGS_FILE || block["disable"] == true {
            continue;
        }
        let mut settings: Map<String, Value> =
            serde_json::from_str(block["contents"].as_str()?).ok()?;
        if let Some(Value::Object(inner)) = settings.remove("unit_settings") {
            settings.extend(inner);
        }
        return Some(settings);
    }
    None
}

/// A setting that is not empty.
fn text_setting(settings: &Map<String, Value>, name: &str) -> Option<String> {
    match settings.get(name)?.as_str()? {
        "" => None,
        text => Some(text.to_owned()),
    }
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
            Some(UnitHelper {
                program: "config-backup".to_owned(),
                is_downloadable: false
            })
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

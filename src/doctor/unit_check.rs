//! The check `unit`: whether our unit is complete, runs, and does all that it should.

use std::path::Path;

use crate::customer_folder::hcl_files::read_small_text;
use crate::customer_folder::rendered_unit::{find_problems_in_unit, list_overwritten_files};
use crate::customer_folder::root_file::OurRoot;
use crate::customer_folder::terragrunt::{FILTER_VARIABLES, TerragruntFindings, TerragruntRefusal};
use crate::customer_folder::unit_files::{FileAction, TERRAGRUNT_HCL, UNIT_FOLDER_NAME};
use crate::customer_folder::unit_folder::{UnitFolder, UnitOrigin};
use crate::customer_folder::unit_problem::{DEPENDS_ON_UNITS, UnitProblem, find_problem_in_text};
use crate::doctor::check::{CheckId, CheckResult};
use crate::doctor::readiness::{CORRECT_LINE_FIX, CheckedFolder, describe_refusal};
use crate::system::env::env_var;

/// The files in a customer folder that leave units out of a run.
const FILTER_FILES: [&str; 2] = [".terragrunt-excludes", ".terragrunt-filters"];
const WINDOWS_LINE_ENDS: &str = "the line ends of Windows (CR LF)";

/// What `init` has to repair before anything else can be checked.
pub(crate) fn check_completeness(folder: &CheckedFolder, unit: &UnitFolder) -> Option<CheckResult> {
    if unit.is_foreign() {
        let content = match unit.origin {
            UnitOrigin::LegacyModule => "the legacy module",
            _ => "files that config-backup did not write",
        };
        let seen = format!("`{}` has {content}", unit.path.display());
        return Some(unit_failure(seen, set_aside_fix(folder)));
    }

    let scripts_fail = format!("files have {WINDOWS_LINE_ENDS}, with which the scripts do not run");
    for (action, problem) in [
        (FileAction::Create, "files are missing"),
        (FileAction::RepairLineEnds, scripts_fail.as_str()),
        (FileAction::Upgrade, "files are of another version"),
    ] {
        let names = unit.files_needing(action);
        if !names.is_empty() {
            let seen = format!("{problem}: {}", names.join(", "));
            return Some(unit_failure(seen, folder.init_fix("")));
        }
    }

    if unit.has_crlf_manifest {
        let seen = format!("unit.sha256 has {WINDOWS_LINE_ENDS}");
        return Some(unit_failure(seen, folder.init_fix("")));
    }
    None
}

/// Checks a complete unit; `root` is what was found of its root file.
pub(crate) fn check_unit(
    folder: &CheckedFolder,
    unit: &UnitFolder,
    terragrunt: &TerragruntFindings,
    root: &CheckResult,
    our_root: &OurRoot,
) -> CheckResult {
    let mut problems = Vec::new();
    if let Some(rendered) = &terragrunt.rendered_unit {
        problems = find_problems_in_unit(rendered, &folder.path);
    }
    let text = read_small_text(&unit.path.join(TERRAGRUNT_HCL)).unwrap_or_default();
    if let Some(problem) = find_problem_in_text(&text) {
        problems.insert(0, problem);
    }

    if let Some(result) = check_refusal(folder, terragrunt, root) {
        return result;
    }
    if let Some(failure) = problems.iter().find(|problem| problem.is_failure) {
        return unit_failure(failure.message, failure.fix);
    }
    if let Some(result) = check_graph(&folder.path, terragrunt) {
        return result;
    }
    let overwritten = match &terragrunt.rendered_unit {
        Some(rendered) => list_overwritten_files(rendered),
        None => our_root.list_texts(),
    };
    if let Some(result) = check_clashes(folder, unit, &overwritten) {
        return result;
    }
    check_changes(folder, unit, terragrunt, &problems)
}

fn unit_failure(seen: impl Into<String>, fix: impl Into<String>) -> CheckResult {
    CheckResult::failed(CheckId::Unit, seen, fix)
}

fn set_aside_fix(folder: &CheckedFolder) -> String {
    folder.init_fix(" --force") + ", which sets them aside as *.bak"
}

/// An error by which Terragrunt stops before a unit runs.
fn check_refusal(
    folder: &CheckedFolder,
    terragrunt: &TerragruntFindings,
    root: &CheckResult,
) -> Option<CheckResult> {
    let refusal = terragrunt.refusal.as_ref()?;
    if root.has_failed() {
        let seen = "not checked, because Terragrunt cannot read the root file";
        return Some(CheckResult::unknown(CheckId::Unit, seen));
    }
    let failure = match refusal {
        TerragruntRefusal::At(position) => {
            unit_failure(describe_refusal(folder, position), CORRECT_LINE_FIX)
        }
        TerragruntRefusal::Unknown => unit_failure(
            "`terragrunt apply --all` stops before a unit runs",
            "run `terragrunt hcl validate` in the customer folder, and correct what it shows",
        ),
    };
    Some(failure)
}

/// Whether a run of all units leaves ours out, or runs it only after others.
fn check_graph(customer: &Path, terragrunt: &TerragruntFindings) -> Option<CheckResult> {
    let graph = terragrunt.graph.as_ref()?;
    if terragrunt.has_dependencies() {
        let UnitProblem { message, fix, .. } = DEPENDS_ON_UNITS;
        return Some(unit_failure(message, fix));
    }
    if graph.has_unit(UNIT_FOLDER_NAME) {
        return None;
    }
    let seen = format!(
        "`terragrunt apply --all` leaves the unit out because of {}: nothing is logged",
        list_filters(customer)
    );
    Some(unit_failure(seen, "let it include `config-backup`"))
}

/// The files and variables that may leave units out of a run.
fn list_filters(customer: &Path) -> String {
    let mut filters = Vec::new();
    for name in FILTER_FILES {
        if customer.join(name).exists() {
            filters.push(format!("`{name}`"));
        }
    }
    for name in FILTER_VARIABLES {
        if env_var(name).is_some() {
            filters.push(format!("`{name}`"));
        }
    }
    if filters.is_empty() {
        return "a filter of Terragrunt".to_owned();
    }
    filters.join(" or ")
}

fn check_clashes(
    folder: &CheckedFolder,
    unit: &UnitFolder,
    overwritten: &[String],
) -> Option<CheckResult> {
    let clashes = unit.list_clashes(overwritten);
    if clashes.is_empty() {
        return None;
    }
    let seen = format!(
        "other Terraform files in the folder make Terraform fail: {}",
        clashes.join(", ")
    );
    Some(unit_failure(seen, set_aside_fix(folder)))
}

/// What is left where nothing failed: changed files, and problems that let deployments work.
fn check_changes(
    folder: &CheckedFolder,
    unit: &UnitFolder,
    terragrunt: &TerragruntFindings,
    warnings: &[UnitProblem],
) -> CheckResult {
    let unchecked = match &terragrunt.unavailable {
        Some(cause) => format!("; not checked by terragrunt: {cause}"),
        None => String::new(),
    };

    let changed = unit.files_needing(FileAction::Keep);
    if !changed.is_empty() {
        let names = changed.join(", ");
        let mut seen = format!("changed since they were written: {names}{unchecked}");
        for warning in warnings {
            seen.push_str("; ");
            seen.push_str(warning.message);
        }
        let fix = format!("if that is not intended, {}", folder.init_fix(" --force"));
        return CheckResult::warning(CheckId::Unit, seen, fix);
    }

    if let Some(warning) = warnings.first() {
        return CheckResult::warning(CheckId::Unit, warning.message, warning.fix);
    }
    let path = unit.path.display();
    let version = env!("CARGO_PKG_VERSION");
    let seen = format!("`{path}` is as version {version} writes it{unchecked}");
    CheckResult::ok(CheckId::Unit, seen)
}

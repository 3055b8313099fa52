//! Whether a deployment of a customer folder would run our unit and be logged: for `doctor`, and for the last word of `init`.
//!
//! Terragrunt itself is asked where it is in PATH; otherwise only the text of the files is checked. Reads only.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::customer_folder::hcl::{self, HclBlock};
use crate::customer_folder::rendered_unit::{self, UnitProblem};
use crate::customer_folder::root_file;
use crate::customer_folder::sibling_units::{self, SiblingUnits, read_small_text};
use crate::customer_folder::terragrunt::{
    FILTER_VARIABLES, SourcePosition, TerragruntAnswer, TerragruntProgram, TerragruntRefusal,
    UnitGraph,
};
use crate::customer_folder::unit_files::{FileAction, TERRAGRUNT_HCL, UNIT_FOLDER_NAME};
use crate::customer_folder::unit_folder::{UnitFolder, UnitOrigin};
use crate::doctor::check::CheckResult;
use crate::system::host;

/// The files in a customer folder that leave units out of a run.
const FILTER_FILES: [&str; 2] = [".terragrunt-excludes", ".terragrunt-filters"];

/// What was found.
#[derive(Debug)]
pub struct UnitReadiness {
    /// Whether the unit is complete and runs.
    pub unit: CheckResult,
    /// Whether the root file is the one of the other units, and can be read.
    pub root: CheckResult,
    /// Whether other units depend on ours.
    pub dependents: CheckResult,
    /// The helper that the unit runs, where it is known, and whether it downloads one that is missing.
    pub helper: Option<(String, bool)>,
    /// Why Terragrunt was not asked, or did not answer.
    pub unchecked_reason: Option<String>,
}

/// What Terragrunt said.
#[derive(Debug, Default)]
struct TerragruntFindings {
    graph: Option<UnitGraph>,
    rendered: Option<Value>,
    /// An error that stops the run.
    refusal: Option<TerragruntRefusal>,
    /// Why there is no answer.
    unavailable_reason: Option<String>,
}

/// Checks the customer folder; Terragrunt may take `limit` for its answers.
#[must_use]
pub fn check_readiness(customer: &Path, limit: Duration) -> UnitReadiness {
    let folder = customer
        .canonicalize()
        .unwrap_or_else(|_| customer.to_owned());
    let unit = customer.join(UNIT_FOLDER_NAME);
    let dependents = check_dependents(&folder, None);
    let neighbours = SiblingUnits::read(&folder, None);
    let not_ready = |unit: CheckResult, root: Option<&str>| {
        let root = root_file::check_root_file(&folder, root, &neighbours);
        UnitReadiness {
            unit,
            root,
            dependents: dependents.clone(),
            helper: None,
            unchecked_reason: None,
        }
    };
    if !unit.is_dir() {
        let seen = format!(
            "there is no folder `{}`: deployments here are not backed up",
            unit.display()
        );
        return not_ready(
            CheckResult::failed("unit", 1, seen, init_fix(customer, "")),
            None,
        );
    }
    let state = match UnitFolder::read(&unit) {
        Ok(state) => state,
        Err(fault) => return not_ready(CheckResult::from_error("unit", &fault), None),
    };
    if let Some(finding) = check_completeness(customer, &state) {
        return not_ready(finding, state.root_name.as_deref());
    }
    let said = ask_terragrunt(&folder, limit);
    let root = match &said.refusal {
        Some(TerragruntRefusal::At(position))
            if root_file::is_in_root_file(position, &folder, state.root_name.as_deref()) =>
        {
            CheckResult::failed(
                "root.hcl",
                1,
                describe_refusal(&folder, position),
                CORRECT_ERROR_FIX,
            )
        }
        _ => root_file::check_root_file(&folder, state.root_name.as_deref(), &neighbours),
    };
    UnitReadiness {
        unit: check_unit(customer, &folder, &state, &said, &root),
        root,
        dependents: self::check_dependents(&folder, said.graph.as_ref()),
        helper: said.rendered.as_ref().and_then(rendered_unit::find_helper),
        unchecked_reason: said.unavailable_reason,
    }
}

const CORRECT_ERROR_FIX: &str =
    "correct that line, or the file that it reads; `terragrunt hcl validate` shows the error";

fn init_fix(customer: &Path, option: &str) -> String {
    format!("run `config-backup init {}{option}`", customer.display())
}

fn ask_terragrunt(folder: &Path, limit: Duration) -> TerragruntFindings {
    let terragrunt = match TerragruntProgram::find(limit) {
        Ok(terragrunt) => terragrunt,
        Err(why) => {
            return TerragruntFindings {
                unavailable_reason: Some(why),
                ..TerragruntFindings::default()
            };
        }
    };
    let mut said = TerragruntFindings::default();
    said.graph = said.note_refusal(terragrunt.read_graph(folder));
    // Terragrunt would run Terraform in the other units to render their outputs.
    if !said.depends_on_others() && said.unavailable_reason.is_none() {
        said.rendered = said.note_refusal(terragrunt.render_unit(&folder.join(UNIT_FOLDER_NAME)));
    }
    if said.unavailable_reason.is_none() && said.refusal.is_none() {
        let _ = said.note_refusal(terragrunt.validate_all_units(folder));
    }
    said
}

impl TerragruntFindings {
    fn note_refusal<T>(&mut self, answer: TerragruntAnswer<T>) -> Option<T> {
        match answer {
            TerragruntAnswer::Received(answer) => return Some(answer),
            TerragruntAnswer::Refused(refusal) => self.refusal = Some(refusal),
            TerragruntAnswer::Unavailable(why) => self.unavailable_reason = Some(why),
        }
        None
    }

    fn depends_on_others(&self) -> bool {
        self.graph.as_ref().is_some_and(|graph| {
            graph
                .dependencies
                .iter()
                .any(|(unit, _)| unit == UNIT_FOLDER_NAME)
        })
    }
}

/// What `init` has to repair first.
fn check_completeness(customer: &Path, state: &UnitFolder) -> Option<CheckResult> {
    let bad = |seen: String, fix: String| Some(CheckResult::failed("unit", 1, seen, fix));
    if state.is_foreign() {
        let whose = if state.origin == UnitOrigin::LegacyModule {
            "the legacy module"
        } else {
            "files that config-backup did not write"
        };
        let fix = init_fix(customer, " --force") + ", which sets them aside as *.bak";
        return bad(format!("`{}` has {whose}", state.path.display()), fix);
    }
    let listed = |action| state.files_needing(action).join(", ");
    for (action, what) in [
        (FileAction::Create, "files are missing"),
        (
            FileAction::RepairLineEnds,
            "files have the line ends of Windows (CR LF), with which the scripts do not run",
        ),
        (FileAction::Upgrade, "files are of another version"),
    ] {
        if !state.files_needing(action).is_empty() {
            return bad(
                format!("{what}: {}", listed(action)),
                init_fix(customer, ""),
            );
        }
    }
    if state.has_crlf_manifest {
        return bad(
            "unit.sha256 has the line ends of Windows (CR LF)".to_owned(),
            init_fix(customer, ""),
        );
    }
    None
}

fn check_unit(
    customer: &Path,
    folder: &Path,
    state: &UnitFolder,
    said: &TerragruntFindings,
    root: &CheckResult,
) -> CheckResult {
    let text = read_small_text(&state.path.join(TERRAGRUNT_HCL)).unwrap_or_default();
    let rendered = said
        .rendered
        .as_ref()
        .map(|unit| rendered_unit::find_problems_in_unit(unit, folder))
        .unwrap_or_default();
    let (failures, notes): (Vec<UnitProblem>, Vec<UnitProblem>) =
        rendered.into_iter().partition(|problem| problem.is_failure);
    let textual = hcl::parse_blocks(&text)
        .iter()
        .find_map(find_blocking_block);
    if let Some(finding) = check_refusal(folder, said, root) {
        return finding;
    }
    if let Some((seen, fix)) =
        textual.or_else(|| failures.first().map(|failure| (failure.seen, failure.fix)))
    {
        return CheckResult::failed("unit", 1, seen, fix);
    }
    if let Some(finding) = check_graph(folder, said) {
        return finding;
    }
    let overwritten = said
        .rendered
        .as_ref()
        .map(rendered_unit::list_overwritten_files);
    let clashes = state.list_clashes(
        &overwritten
            .unwrap_or_else(|| root_file::list_root_texts(folder, state.root_name.as_deref())),
    );
    if !clashes.is_empty() {
        let seen = format!(
            "other Terraform files in the folder make Terraform fail: {}",
            clashes.join(", ")
        );
        return CheckResult::failed(
            "unit",
            1,
            seen,
            init_fix(customer, " --force") + ", which sets them aside as *.bak",
        );
    }
    let unchecked = said
        .unavailable_reason
        .as_ref()
        .map_or_else(String::new, |why| {
            format!("; not checked by terragrunt: {why}")
        });
    let changed = state.files_needing(FileAction::Keep);
    if !changed.is_empty() {
        let mut seen = format!(
            "changed since they were written: {}{unchecked}",
            changed.join(", ")
        );
        for note in notes {
            seen = seen + "; " + note.seen;
        }
        return CheckResult::warning(
            "unit",
            seen,
            "if that is not intended, ".to_owned() + &init_fix(customer, " --force"),
        );
    }
    if let Some(note) = notes.first() {
        return CheckResult::warning("unit", note.seen, note.fix);
    }
    CheckResult::ok(
        "unit",
        format!(
            "`{}` is as version {} writes it{unchecked}",
            state.path.display(),
            env!("CARGO_PKG_VERSION")
        ),
    )
}

/// A block of our `terragrunt.hcl` by which the unit may not run; a condition may hold on another machine only.
fn find_blocking_block(block: &HclBlock) -> Option<(&'static str, &'static str)> {
    match block.kind.as_str() {
        "exclude" if !block.has_attribute_value("if", "false") => Some((
            "`terragrunt.hcl` has an `exclude` block: the unit may not run, and then nothing is logged",
            "remove it; check for drift with `--filter '!./config-backup'`",
        )),
        "dependency" | "dependencies" => Some((
            "`terragrunt.hcl` depends on other units: if one fails, nothing is logged",
            "remove its `dependency` and `dependencies` blocks",
        )),
        _ => None,
    }
}

/// An error by which Terragrunt stops before a unit runs.
fn check_refusal(
    folder: &Path,
    said: &TerragruntFindings,
    root: &CheckResult,
) -> Option<CheckResult> {
    let refusal = said.refusal.as_ref()?;
    if root.exit != 0 {
        return Some(CheckResult::unknown(
            "unit",
            "not checked, because Terragrunt cannot read the root file",
        ));
    }
    let finding = match refusal {
        TerragruntRefusal::At(position) => CheckResult::failed(
            "unit",
            1,
            describe_refusal(folder, position),
            CORRECT_ERROR_FIX,
        ),
        TerragruntRefusal::Unknown => {
            let fix =
                "run `terragrunt hcl validate` in the customer folder, and correct what it shows";
            CheckResult::failed(
                "unit",
                1,
                "`terragrunt apply --all` stops before a unit runs",
                fix,
            )
        }
    };
    Some(finding)
}

fn describe_refusal(folder: &Path, position: &SourcePosition) -> String {
    let file = position
        .file
        .strip_prefix(folder)
        .unwrap_or(&position.file)
        .display();
    format!(
        "`terragrunt apply --all` stops before a unit runs: Terragrunt cannot evaluate `{file}`, line {}",
        position.line
    )
}

/// Whether a run of all units leaves ours out.
fn check_graph(folder: &Path, said: &TerragruntFindings) -> Option<CheckResult> {
    let graph = said.graph.as_ref()?;
    if said.depends_on_others() {
        let blocks = "remove its `dependency` and `dependencies` blocks";
        return Some(CheckResult::failed(
            "unit",
            1,
            "the unit depends on other units: if one fails, nothing is logged",
            blocks,
        ));
    }
    if graph.units.iter().any(|unit| unit == UNIT_FOLDER_NAME) {
        return None;
    }
    let files = FILTER_FILES
        .iter()
        .filter(|name| folder.join(name).exists());
    let variables = FILTER_VARIABLES
        .iter()
        .filter(|name| host::env_var(name).is_some());
    let causes: Vec<String> = files
        .chain(variables)
        .map(|name| format!("`{name}`"))
        .collect();
    let causes = if causes.is_empty() {
        "a filter of Terragrunt".to_owned()
    } else {
        causes.join(" or ")
    };
    let seen = format!(
        "`terragrunt apply --all` leaves the unit out because of {causes}: nothing is logged"
    );
    Some(CheckResult::failed(
        "unit",
        1,
        seen,
        "let it include `config-backup`",
    ))
}

/// Units that would run only after ours, and that a failure of ours would stop.
fn check_dependents(folder: &Path, graph: Option<&UnitGraph>) -> CheckResult {
    let Some(mut names) = sibling_units::find_dependents(folder) else {
        return CheckResult::unknown("dependents", "there are too many files to read");
    };
    for (unit, other) in graph
        .map(|graph| graph.dependencies.as_slice())
        .unwrap_or_default()
    {
        let file = format!("{unit}/{TERRAGRUNT_HCL}");
        if other == UNIT_FOLDER_NAME && !names.contains(&file) {
            names.push(file);
        }
    }
    if names.is_empty() {
        return CheckResult::ok("dependents", "no unit of this folder depends on it");
    }
    let seen = format!(
        "units depend on it, so they wait for it and need its outputs: `{}`",
        names.join("`, `")
    );
    CheckResult::failed(
        "dependents",
        1,
        seen,
        "remove those `dependency` blocks and `dependencies` paths",
    )
}

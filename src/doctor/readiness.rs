//! Whether a deployment of a customer folder would run our unit and be logged.
//!
//! `init` ends with these checks too. Asks Terragrunt if it is in PATH, and otherwise checks only
//! the text of the files. Reads only.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::customer_folder::dependents::find_dependents;
use crate::customer_folder::rendered_unit::{UnitHelper, find_helper};
use crate::customer_folder::root_file::{OurRoot, RootFileState};
use crate::customer_folder::sibling_units::SiblingUnits;
use crate::customer_folder::terragrunt::{
    TerragruntFindings, TerragruntRefusal, TerragruntUnavailable,
};
use crate::customer_folder::terragrunt_output::{SourcePosition, UnitGraph};
use crate::customer_folder::unit_files::{TERRAGRUNT_HCL, UNIT_FOLDER_NAME};
use crate::customer_folder::unit_folder::UnitFolder;
use crate::doctor::check::{CheckId, CheckResult};
use crate::doctor::unit_check::{check_completeness, check_unit};

pub(crate) const CORRECT_LINE_FIX: &str =
    "correct that line, or the file that it reads; `terragrunt hcl validate` shows the error";

/// Whether a deployment would be logged.
#[derive(Debug)]
pub(crate) struct UnitReadiness {
    /// Whether the unit is complete and runs.
    pub(crate) unit: CheckResult,
    /// Whether the root file can be read and is the one of the other units.
    pub(crate) root: CheckResult,
    /// Whether other units depend on ours.
    pub(crate) dependents: CheckResult,
    /// The helper that the unit runs; `None` if it is unknown.
    pub(crate) helper: Option<UnitHelper>,
    /// Why Terragrunt did not check the folder.
    pub(crate) terragrunt_unavailable: Option<TerragruntUnavailable>,
}

/// The customer folder that is checked.
pub(crate) struct CheckedFolder {
    /// As the user named it, for messages.
    pub(crate) named_path: PathBuf,
    /// Without links, as Terragrunt names it.
    pub(crate) path: PathBuf,
}

impl CheckedFolder {
    fn new(customer: &Path) -> Self {
        let path = customer.canonicalize();
        Self {
            named_path: customer.to_owned(),
            path: path.unwrap_or_else(|_| customer.to_owned()),
        }
    }

    pub(crate) fn init_fix(&self, option: &str) -> String {
        let folder = self.named_path.display();
        format!("run `config-backup init {folder}{option}`")
    }
}

/// Checks the customer folder; Terragrunt may take `limit` for its answers.
pub(crate) fn check_readiness(customer: &Path, limit: Duration) -> UnitReadiness {
    let folder = CheckedFolder::new(customer);
    let siblings = SiblingUnits::read(&folder.path, None);

    let unit = match read_complete_unit(&folder) {
        Ok(unit) => unit,
        Err(IncompleteUnit { result, root_name }) => {
            let root = OurRoot::find(&folder.path, root_name.as_deref());
            return UnitReadiness {
                unit: result,
                root: check_root_file(root.compare(&siblings)),
                dependents: check_dependents(&folder.path, None),
                helper: None,
                terragrunt_unavailable: None,
            };
        }
    };

    let terragrunt = TerragruntFindings::gather(&folder.path, limit);
    let our_root = OurRoot::find(&folder.path, unit.root_name.as_deref());
    let root = match &terragrunt.refusal {
        Some(TerragruntRefusal::At(position)) if our_root.contains(position) => {
            let seen = describe_refusal(&folder, position);
            CheckResult::failed(CheckId::RootHcl, seen, CORRECT_LINE_FIX)
        }
        _ => check_root_file(our_root.compare(&siblings)),
    };

    UnitReadiness {
        unit: check_unit(&folder, &unit, &terragrunt, &root, &our_root),
        root,
        dependents: check_dependents(&folder.path, terragrunt.graph.as_ref()),
        helper: terragrunt.rendered_unit.as_ref().and_then(find_helper),
        terragrunt_unavailable: terragrunt.unavailable,
    }
}

/// A unit that `init` has to repair before Terragrunt can check it.
struct IncompleteUnit {
    result: CheckResult,
    root_name: Option<String>,
}

fn read_complete_unit(folder: &CheckedFolder) -> Result<UnitFolder, IncompleteUnit> {
    let path = folder.named_path.join(UNIT_FOLDER_NAME);
    let incomplete = |result, root_name| IncompleteUnit { result, root_name };
    if !path.is_dir() {
        let seen = format!(
            "there is no folder `{}`: deployments here are not backed up",
            path.display()
        );
        let result = CheckResult::failed(CheckId::Unit, seen, folder.init_fix(""));
        return Err(incomplete(result, None));
    }

    let unit = match UnitFolder::read(&path) {
        Ok(unit) => unit,
        Err(error) => {
            let result = CheckResult::from_error(CheckId::Unit, &error);
            return Err(incomplete(result, None));
        }
    };
    match check_completeness(folder, &unit) {
        Some(result) => Err(incomplete(result, unit.root_name)),
        None => Ok(unit),
    }
}

fn check_root_file(state: RootFileState) -> CheckResult {
    match state {
        RootFileState::Different { name, other } => CheckResult::warning(
            CheckId::RootHcl,
            format!(
                "the other units include `{}`, and this unit includes `{name}`: \
                 its state is elsewhere",
                other.path.display()
            ),
            format!(
                "if that is not intended, run `config-backup init --root {}` \
                 in the customer folder",
                other.name
            ),
        ),
        RootFileState::Missing => CheckResult::ok(
            CheckId::RootHcl,
            "neither this folder nor one above has a root file: \
             the unit keeps its state in its own folder",
        ),
        RootFileState::Found {
            path,
            not_inherited,
        } if not_inherited.is_empty() => {
            CheckResult::ok(CheckId::RootHcl, format!("`{}`", path.display()))
        }
        RootFileState::Found {
            path,
            not_inherited,
        } => CheckResult::warning(
            CheckId::RootHcl,
            format!(
                "`{}` has {}, which this unit does not inherit",
                path.display(),
                not_inherited.join(", ")
            ),
            "if the state can only be reached with that, such as after a login, \
             log in before you deploy",
        ),
    }
}

/// An error by which Terragrunt stops before a unit runs.
pub(crate) fn describe_refusal(folder: &CheckedFolder, position: &SourcePosition) -> String {
    let file = &position.file;
    let file = file.strip_prefix(&folder.path).unwrap_or(file);
    format!(
        "`terragrunt apply --all` stops before a unit runs: \
         Terragrunt cannot evaluate `{}`, line {}",
        file.display(),
        position.line
    )
}

/// Checks for units that run only after our unit, and that its failure would stop.
fn check_dependents(customer: &Path, graph: Option<&UnitGraph>) -> CheckResult {
    let Some(mut files) = find_dependents(customer) else {
        let seen = "there are too many files to read";
        return CheckResult::unknown(CheckId::Dependents, seen);
    };
    if let Some(graph) = graph {
        for (unit, other) in &graph.dependencies {
            let file = format!("{unit}/{TERRAGRUNT_HCL}");
            if other == UNIT_FOLDER_NAME && !files.contains(&file) {
                files.push(file);
            }
        }
    }

    if files.is_empty() {
        let seen = "no unit of this folder depends on it";
        return CheckResult::ok(CheckId::Dependents, seen);
    }
    let seen = format!(
        "units depend on it, so they wait for it and need its outputs: `{}`",
        files.join("`, `")
    );
    CheckResult::failed(
        CheckId::Dependents,
        seen,
        "remove those `dependency` blocks and `dependencies` paths",
    )
}

//! The checks of a customer folder: its config.yaml, and whether a deployment would be logged.
//!
//! Reads only. Must never show a value of the config.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::fields::{self, ConfigFields};
use crate::config::file;
use crate::customer_folder::rendered_unit::UnitHelper;
use crate::customer_folder::unit_files::UNIT_FOLDER_NAME;
use crate::doctor::check::{CheckId, CheckResult};
use crate::doctor::machine_checks::{check_helper_is_found, helper_of_environment};
use crate::doctor::readiness;
use crate::error::Error;
use crate::exit_code::ExitCode;

const FOLDER_CHECKS: [CheckId; 4] = [
    CheckId::ConfigYaml,
    CheckId::Unit,
    CheckId::RootHcl,
    CheckId::Dependents,
];

/// A folder, and what its config says.
#[derive(Debug)]
pub(crate) struct CustomerFolder {
    path: PathBuf,
    config_fields: Result<ConfigFields, Error>,
    /// Whether the user named it, so that it must be a customer folder.
    is_named: bool,
}

impl CustomerFolder {
    /// Reads the folder that is named, or the current one.
    pub(crate) fn read(named: Option<&Path>) -> Self {
        let path = named.unwrap_or(Path::new(".")).to_owned();
        let config_fields = match file::read_config_file(&path.join("config.yaml")) {
            Ok(config) => Ok(fields::parse_config_fields(&config.bytes)),
            Err(error) => Err(error),
        };
        Self {
            path,
            config_fields,
            is_named: named.is_some(),
        }
    }

    /// The profile of its config, or nothing.
    pub(crate) fn profile(&self) -> String {
        match &self.config_fields {
            Ok(fields) => fields.profile.clone().unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// The customer, as a deployment would have it; `None` outside of a customer folder.
    pub(crate) fn customer_name(&self) -> Option<String> {
        if !self.is_customer_folder() {
            return None;
        }
        let named = match &self.config_fields {
            Ok(fields) => fields.customer.clone(),
            Err(_) => None,
        };
        named.or_else(|| self.folder_name())
    }

    fn folder_name(&self) -> Option<String> {
        let path = self.path.canonicalize().ok()?;
        let name = path.file_name()?;
        Some(name.to_string_lossy().into_owned())
    }

    /// The current folder may be any folder.
    fn is_customer_folder(&self) -> bool {
        let has_unit = self.path.join(UNIT_FOLDER_NAME).is_dir();
        self.is_named || self.config_fields.is_ok() || has_unit
    }

    /// Checks the folder; Terragrunt may take `limit` for its answers.
    pub(crate) fn run_checks(&self, limit: Duration) -> Vec<CheckResult> {
        if !self.is_customer_folder() {
            let cause = "not checked: this is not a customer folder";
            return FOLDER_CHECKS
                .map(|check| CheckResult::unknown(check, cause))
                .into();
        }

        let readiness = readiness::check_readiness(&self.path, limit);
        let mut unit = readiness.unit;
        if let Some(helper) = readiness.helper
            && !unit.has_failed()
            && let Some(missing) = check_helper_of_unit(&helper)
        {
            unit = missing;
        }
        vec![
            self.check_config(),
            unit,
            readiness.root,
            readiness.dependents,
        ]
    }

    /// Checks its config.yaml, without a look at anything else.
    pub(crate) fn check_config(&self) -> CheckResult {
        let fields = match &self.config_fields {
            Ok(fields) => fields,
            Err(error) => {
                let fix = "put the customer's config.yaml there, or name the customer folder";
                return CheckResult::failed(CheckId::ConfigYaml, &error.message, fix)
                    .with_exit_code(error.exit_code());
            }
        };
        if !fields.problems.is_empty() {
            let seen = fields.problems.join("; ");
            let fix = "correct it: it is backed up all the same, \
                       but the usage records lack what cannot be read";
            return CheckResult::failed(CheckId::ConfigYaml, seen, fix)
                .with_exit_code(ExitCode::InvalidInput);
        }

        let folder = self.folder_name().unwrap_or_default();
        let Some(customer) = &fields.customer else {
            let seen = format!("it names no customer, so the folder's name `{folder}` is used");
            return CheckResult::warning(CheckId::ConfigYaml, seen, "set customer.name");
        };
        if !folder.is_empty() && *customer != folder {
            let seen = "customer.name is not the folder's name, under which the states are kept";
            let fix = "give both the same name";
            return CheckResult::warning(CheckId::ConfigYaml, seen, fix);
        }
        let seen = "it can be read, and has what a usage record needs";
        CheckResult::ok(CheckId::ConfigYaml, seen)
    }
}

/// Checks the helper that `terragrunt.hcl` names.
///
/// The check `helper` looks for the one of the environment, so only another one is checked here.
fn check_helper_of_unit(helper: &UnitHelper) -> Option<CheckResult> {
    if helper.program == helper_of_environment() {
        return None;
    }
    let missing = check_helper_is_found(helper)?;
    Some(CheckResult {
        check: CheckId::Unit,
        ..missing
    })
}

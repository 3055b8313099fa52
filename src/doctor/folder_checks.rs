//! A customer folder for `doctor`: its config.yaml, and whether a deployment of it would be logged.
//!
//! Reads only, and never shows a value of the config.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::fields::{self, ConfigFields};
use crate::config::file;
use crate::customer_folder::unit_files::UNIT_FOLDER_NAME;
use crate::doctor::check::{CheckResult, CheckStatus};
use crate::doctor::machine_checks;
use crate::doctor::readiness;
use crate::error::Error;
use crate::system::host;

/// A folder, and what its config says.
#[derive(Debug)]
pub struct CustomerFolder {
    path: PathBuf,
    /// The facts, or why there are none.
    config_fields: Result<ConfigFields, Error>,
    /// Whether the user named it, so that it must be a customer folder.
    is_named: bool,
}

impl CustomerFolder {
    /// The folder that is named, or the one we are in.
    #[must_use]
    pub fn read(named: Option<&Path>) -> Self {
        let path = named.unwrap_or(Path::new(".")).to_owned();
        let facts = file::read_config_file(&path.join("config.yaml"))
            .map(|config| fields::parse_config_fields(&config.bytes));
        Self {
            path,
            config_fields: facts,
            is_named: named.is_some(),
        }
    }

    /// The profile of its config, or nothing.
    #[must_use]
    pub fn profile(&self) -> String {
        self.config_fields
            .as_ref()
            .map(|facts| facts.profile.clone())
            .unwrap_or_default()
    }

    /// The customer, as a deployment would have it; `None` outside of a customer folder.
    #[must_use]
    pub fn customer_name(&self) -> Option<String> {
        if !self.is_customer_folder() {
            return None;
        }
        let said = self
            .config_fields
            .as_ref()
            .map(|facts| facts.customer.clone())
            .unwrap_or_default();
        Some(said)
            .filter(|said| !said.is_empty())
            .or_else(|| self.folder_name())
    }

    fn folder_name(&self) -> Option<String> {
        Some(
            self.path
                .canonicalize()
                .ok()?
                .file_name()?
                .to_string_lossy()
                .into_owned(),
        )
    }

    fn unit_path(&self) -> PathBuf {
        self.path.join(UNIT_FOLDER_NAME)
    }

    /// Where nothing was named, there may be no customer here.
    fn is_customer_folder(&self) -> bool {
        self.is_named || self.config_fields.is_ok() || self.unit_path().is_dir()
    }

    /// Everything that is found in it and around it; Terragrunt may take `limit` for its answers.
    #[must_use]
    pub fn run_checks(&self, limit: Duration) -> Vec<CheckResult> {
        if !self.is_customer_folder() {
            let why = "not asked: this is no customer folder";
            return ["config.yaml", "unit", "root.hcl", "dependents"]
                .map(|check| CheckResult::unknown(check, why))
                .into();
        }
        let mut ready = readiness::check_readiness(&self.path, limit);
        // The check `helper` looks for the helper of the environment; `terragrunt.hcl` may name another one.
        let usual =
            host::env_var("CONFIG_BACKUP_HELPER").unwrap_or_else(|| "config-backup".to_owned());
        let other = ready
            .helper
            .filter(|(name, _)| *name != usual && ready.unit.status != CheckStatus::Bad);
        if let Some(missing) = other
            .and_then(|(name, is_fetched)| machine_checks::check_helper_is_found(&name, is_fetched))
        {
            ready.unit = CheckResult {
                check: "unit",
                ..missing
            };
        }
        vec![
            self.check_config(),
            ready.unit,
            ready.root,
            ready.dependents,
        ]
    }

    fn check_config(&self) -> CheckResult {
        let facts = match &self.config_fields {
            Ok(facts) => facts,
            Err(fault) => {
                let fix = "put the customer's config.yaml there, or name the customer folder";
                return CheckResult::failed("config.yaml", fault.exit_code(), &fault.message, fix);
            }
        };
        if !facts.problems.is_empty() {
            let fix = "correct it: it is backed up all the same, but the usage records lack what cannot be read";
            return CheckResult::failed("config.yaml", 3, facts.problems.join("; "), fix);
        }
        let folder = self.folder_name().unwrap_or_default();
        if facts.customer.is_empty() {
            return CheckResult::warning(
                "config.yaml",
                format!("it names no customer: the folder's name is taken, `{folder}`"),
                "set customer.name",
            );
        }
        if !folder.is_empty() && facts.customer != folder {
            let seen = "customer.name is not the folder's name, under which the states are kept";
            return CheckResult::warning("config.yaml", seen, "let the two agree");
        }
        CheckResult::ok(
            "config.yaml",
            "it can be read, and has what a usage record needs",
        )
    }
}

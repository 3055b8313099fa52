//! A customer folder for `doctor`: its config.yaml, and whether a deployment of it would be logged.
//!
//! Reads only, and never shows a value of the config.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::facts::{self, Facts};
use crate::fault::Fault;
use crate::finding::{Finding, Status};
use crate::unit::UNIT;
use crate::{config, host, machine, readiness};

/// A folder, and what its config says.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// The facts, or why there are none.
    facts: Result<Facts, Fault>,
    /// Whether the user named it, so that it must be a customer folder.
    named: bool,
}

impl Folder {
    /// The folder that is named, or the one we are in.
    #[must_use]
    pub fn read(named: Option<&Path>) -> Self {
        let path = named.unwrap_or(Path::new(".")).to_owned();
        let facts = config::read(&path.join("config.yaml")).map(|config| facts::read(&config.bytes));
        Self { path, facts, named: named.is_some() }
    }

    /// The profile of its config, or nothing.
    #[must_use]
    pub fn profile(&self) -> String {
        self.facts.as_ref().map(|facts| facts.profile.clone()).unwrap_or_default()
    }

    /// The customer, as a deployment would have it; `None` outside of a customer folder.
    #[must_use]
    pub fn customer(&self) -> Option<String> {
        if !self.is_customers() {
            return None;
        }
        let said = self.facts.as_ref().map(|facts| facts.customer.clone()).unwrap_or_default();
        Some(said).filter(|said| !said.is_empty()).or_else(|| self.name())
    }

    fn name(&self) -> Option<String> {
        Some(self.path.canonicalize().ok()?.file_name()?.to_string_lossy().into_owned())
    }

    fn unit(&self) -> PathBuf {
        self.path.join(UNIT)
    }

    /// Where nothing was named, there may be no customer here.
    fn is_customers(&self) -> bool {
        self.named || self.facts.is_ok() || self.unit().is_dir()
    }

    /// Everything that is found in it and around it; Terragrunt may take `limit` for its answers.
    #[must_use]
    pub fn findings(&self, limit: Duration) -> Vec<Finding> {
        if !self.is_customers() {
            let why = "not asked: this is no customer folder";
            return ["config.yaml", "unit", "root.hcl", "dependents"].map(|check| Finding::unknown(check, why)).into();
        }
        let mut ready = readiness::check(&self.path, limit);
        // The check `helper` looks for the helper of the environment; `terragrunt.hcl` may name another one.
        let usual = host::var("CONFIG_BACKUP_HELPER").unwrap_or_else(|| "config-backup".to_owned());
        let other = ready.helper.filter(|(name, _)| *name != usual && ready.unit.status != Status::Bad);
        if let Some(missing) = other.and_then(|(name, is_fetched)| machine::missing_helper(&name, is_fetched)) {
            ready.unit = Finding { check: "unit", ..missing };
        }
        vec![self.config(), ready.unit, ready.root, ready.dependents]
    }

    fn config(&self) -> Finding {
        let facts = match &self.facts {
            Ok(facts) => facts,
            Err(fault) => {
                let fix = "put the customer's config.yaml there, or name the customer folder";
                return Finding::bad("config.yaml", fault.exit_code(), &fault.text, fix);
            }
        };
        if !facts.problems.is_empty() {
            let fix = "correct it: it is backed up all the same, but the usage records lack what cannot be read";
            return Finding::bad("config.yaml", 3, facts.problems.join("; "), fix);
        }
        let folder = self.name().unwrap_or_default();
        if facts.customer.is_empty() {
            return Finding::note(
                "config.yaml",
                format!("it names no customer: the folder's name is taken, `{folder}`"),
                "set customer.name",
            );
        }
        if !folder.is_empty() && facts.customer != folder {
            let seen = "customer.name is not the folder's name, under which the states are kept";
            return Finding::note("config.yaml", seen, "let the two agree");
        }
        Finding::ok("config.yaml", "it can be read, and has what a usage record needs")
    }
}

//! What can be wrong with our unit's `terragrunt.hcl`, and what its text alone shows of it.

use hcl_edit::structure::Block;

use crate::customer_folder::hcl::parse_hcl;

/// Something that is wrong with the unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnitProblem {
    /// Whether deployments are not logged because of it.
    pub(crate) is_failure: bool,
    pub(crate) message: &'static str,
    pub(crate) fix: &'static str,
}

impl UnitProblem {
    const fn failure(message: &'static str, fix: &'static str) -> Self {
        Self {
            is_failure: true,
            message,
            fix,
        }
    }

    const fn warning(message: &'static str, fix: &'static str) -> Self {
        Self {
            is_failure: false,
            message,
            fix,
        }
    }
}

const RESTORE_FIX: &str = "restore it with `config-backup init --force`";

pub(crate) const UNIT_EXCLUDED: UnitProblem = UnitProblem::failure(
    "`terragrunt.hcl` has an `exclude` block, so the unit may not run and nothing is logged",
    "remove it; check for drift with `--filter '!./config-backup'`",
);
pub(crate) const SOURCE_SET: UnitProblem = UnitProblem::failure(
    "`terragrunt.hcl` sets a `source`: Terraform does not run the module of this folder",
    "remove the `source`",
);
pub(crate) const DEPENDS_ON_UNITS: UnitProblem = UnitProblem::failure(
    "`terragrunt.hcl` depends on other units: if one fails, nothing is logged",
    "remove its `dependency` and `dependencies` blocks",
);
pub(crate) const NO_SETTINGS: UnitProblem = UnitProblem::failure(
    "`terragrunt.hcl` does not generate `config_backup.auto.tfvars.json` with \
     `config_file_path`: Terraform fails in the unit",
    "restore the `generate` block with `config-backup init --force`",
);
pub(crate) const OTHER_CONFIG: UnitProblem = UnitProblem::warning(
    "`config_file_path` is not the config.yaml of this folder: another file is backed up",
    "if that is not intended, correct `config_file_path`",
);
pub(crate) const NO_STATE: UnitProblem = UnitProblem::warning(
    "`terragrunt.hcl` has no `remote_state`: the unit's state is lost with `.terragrunt-cache`",
    RESTORE_FIX,
);
pub(crate) const NO_HOOK: UnitProblem = UnitProblem::warning(
    "`terragrunt.hcl` has no `error_hook`: if Terraform fails in the unit, nothing is logged",
    RESTORE_FIX,
);
pub(crate) const NO_IGNORE: UnitProblem = UnitProblem::warning(
    "`terragrunt.hcl` has no `errors` block that ignores errors: \
     an error of the unit fails the run",
    RESTORE_FIX,
);

/// The first problem that the text of our `terragrunt.hcl` shows.
///
/// An `exclude` block counts unless its condition is the word `false`: another condition may hold
/// on another machine.
pub(crate) fn find_problem_in_text(terragrunt_hcl: &str) -> Option<UnitProblem> {
    for block in parse_hcl(terragrunt_hcl).blocks() {
        match block.ident.as_str() {
            "exclude" if !is_disabled(block) => return Some(UNIT_EXCLUDED),
            "dependency" | "dependencies" => return Some(DEPENDS_ON_UNITS),
            _ => {}
        }
    }
    None
}

fn is_disabled(exclude: &Block) -> bool {
    match exclude.body.get_attribute("if") {
        Some(condition) => condition.value.as_bool() == Some(false),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exclude_block_counts_unless_its_condition_is_false() {
        for (text, expected) in [
            (
                "exclude {\n  if = true\n  actions = [\"all\"]\n}\n",
                Some(UNIT_EXCLUDED),
            ),
            (
                "exclude {\n  if = get_env(\"CI\", \"\") != \"\"\n}\n",
                Some(UNIT_EXCLUDED),
            ),
            ("exclude {\n  if = false\n}\n", None),
            ("# exclude {\n# }\ninputs = {}\n", None),
            (
                "dependencies {\n  paths = [\"../a\"]\n}\n",
                Some(DEPENDS_ON_UNITS),
            ),
        ] {
            assert_eq!(find_problem_in_text(text), expected, "{text}");
        }
    }
}

//! The programs that a deployment needs on this machine: the helper, Terraform and Terragrunt.
//!
//! Runs them only to ask for their versions. Must send nothing.

use std::path::Path;

use crate::customer_folder::rendered_unit::UnitHelper;
use crate::customer_folder::terragrunt;
use crate::doctor::check::{CheckId, CheckResult};
use crate::system::env::env_var;
use crate::system::process;

/// The name of the helper if no other is set.
const DEFAULT_HELPER: &str = "config-backup";
/// The oldest versions that run the module; docs/install.md names them too.
const MIN_TERRAFORM_VERSION: [u64; 3] = [1, 10, 0];
const MIN_OPENTOFU_VERSION: [u64; 3] = [1, 11, 0];
/// The first Terragrunt that knows `errors`, which the unit has.
const MIN_TERRAGRUNT_VERSION: [u64; 3] = [0, 69, 6];
/// The first one of the line that the unit is tested with.
const MIN_TESTED_TERRAGRUNT_VERSION: [u64; 3] = [1, 0, 0];

const INSTALL_HELPER_FIX: &str = "install it with `cargo install --locked --path .`, \
                                  or set CONFIG_BACKUP_HELPER to its absolute path";
const INSTALL_TERRAFORM_FIX: &str = "install OpenTofu 1.11 or later, or Terraform 1.10 or later";
const INSTALL_TERRAGRUNT_FIX: &str = "install Terragrunt 1.0 or later";

/// The helper that the environment names.
pub(crate) fn helper_of_environment() -> String {
    match env_var("CONFIG_BACKUP_HELPER") {
        Some(program) => program,
        None => DEFAULT_HELPER.to_owned(),
    }
}

/// Checks the helper that Terraform will run.
pub(crate) fn check_helper() -> CheckResult {
    let has_url = env_var("CONFIG_BACKUP_HELPER_URL").is_some();
    let has_sha256 = env_var("CONFIG_BACKUP_HELPER_SHA256").is_some();
    let helper = UnitHelper {
        program: helper_of_environment(),
        is_downloadable: has_url && has_sha256,
    };
    if let Some(missing) = check_helper_is_found(&helper) {
        return missing;
    }

    let program = &helper.program;
    let Some(path) = process::find_program(program) else {
        let place = describe_missing_program(program);
        let seen = format!(
            "`{program}` is {place}: deployments use the one from CONFIG_BACKUP_HELPER_URL"
        );
        let fix = "install it to have it without the network";
        return CheckResult::warning(CheckId::Helper, seen, fix);
    };
    check_helper_version(&path)
}

fn check_helper_version(path: &Path) -> CheckResult {
    let ours = env!("CARGO_PKG_VERSION");
    let answer = process::query_program_interactive(path, &["--version"]).unwrap_or_default();
    let path = path.display();

    match answer.trim().strip_prefix("config-backup ") {
        Some(version) if version == ours => {
            CheckResult::ok(CheckId::Helper, format!("`{path}`, {ours}"))
        }
        Some(version) => CheckResult::failed(
            CheckId::Helper,
            format!("`{path}` is version {version}, and this is {ours}"),
            "install this version in its place, \
             and run `config-backup init` in the customer folder",
        ),
        None => CheckResult::failed(
            CheckId::Helper,
            format!("`{path}` does not say which version of config-backup it is"),
            INSTALL_HELPER_FIX,
        ),
    }
}

/// A failure if Terraform neither finds the helper nor downloads it.
pub(crate) fn check_helper_is_found(helper: &UnitHelper) -> Option<CheckResult> {
    let program = &helper.program;
    let failure = |seen: String| CheckResult::failed(CheckId::Helper, seen, INSTALL_HELPER_FIX);

    if program.contains('/') && !Path::new(program).is_absolute() {
        let seen = format!("`{program}` is relative to a folder of Terraform's own");
        return Some(failure(seen));
    }
    if helper.is_downloadable || process::find_program(program).is_some() {
        return None;
    }
    let place = describe_missing_program(program);
    let seen = format!("`{program}` is {place}: deployments are neither backed up nor logged");
    Some(failure(seen))
}

fn describe_missing_program(program: &str) -> &'static str {
    if program.contains('/') {
        "not an executable file"
    } else {
        "not in PATH"
    }
}

/// Checks what Terragrunt runs: the program in `TG_TF_PATH`, or `tofu`, or `terraform`.
pub(crate) fn check_terraform() -> CheckResult {
    let names = match env_var("TG_TF_PATH") {
        Some(name) => vec![name],
        None => vec!["tofu".to_owned(), "terraform".to_owned()],
    };
    let found = names.iter().find_map(|name| process::find_program(name));
    let Some(path) = found else {
        let seen = format!("there is no program `{}`", names.join("` and no `"));
        return CheckResult::failed(CheckId::Terraform, seen, INSTALL_TERRAFORM_FIX);
    };

    let answer = process::query_program_interactive(&path, &["version"]).unwrap_or_default();
    let (product, version, oldest) = if let Some(version) = find_version(&answer, "OpenTofu") {
        ("OpenTofu", version, MIN_OPENTOFU_VERSION)
    } else if let Some(version) = find_version(&answer, "Terraform") {
        ("Terraform", version, MIN_TERRAFORM_VERSION)
    } else {
        return unknown_version(CheckId::Terraform, &path);
    };
    check_version(
        CheckId::Terraform,
        product,
        version,
        oldest,
        INSTALL_TERRAFORM_FIX,
    )
}

fn find_version<'a>(answer: &'a str, product: &str) -> Option<&'a str> {
    for line in answer.lines() {
        if let Some(rest) = line.trim().strip_prefix(product)
            && let Some(version) = rest.strip_prefix(" v")
        {
            return Some(version);
        }
    }
    None
}

/// Checks the Terragrunt in PATH.
pub(crate) fn check_terragrunt() -> CheckResult {
    let Some(path) = process::find_program("terragrunt") else {
        let seen = "there is no program `terragrunt` in PATH, which runs the unit";
        return CheckResult::failed(CheckId::Terragrunt, seen, INSTALL_TERRAGRUNT_FIX);
    };
    let Some(version) = terragrunt::query_version(&path) else {
        return unknown_version(CheckId::Terragrunt, &path);
    };

    let untested = MIN_TERRAGRUNT_VERSION..MIN_TESTED_TERRAGRUNT_VERSION;
    if let Some(parsed) = parse_version(version)
        && untested.contains(&parsed)
    {
        let seen = format!("{version}, older than any that the unit is tested with");
        return CheckResult::warning(CheckId::Terragrunt, seen, INSTALL_TERRAGRUNT_FIX);
    }
    check_version(
        CheckId::Terragrunt,
        "Terragrunt",
        version,
        MIN_TERRAGRUNT_VERSION,
        INSTALL_TERRAGRUNT_FIX,
    )
}

fn unknown_version(check: CheckId, path: &Path) -> CheckResult {
    let seen = format!("`{}` does not say its version", path.display());
    CheckResult::unknown(check, seen)
}

fn check_version(
    check: CheckId,
    product: &str,
    version: &str,
    oldest: [u64; 3],
    fix: &str,
) -> CheckResult {
    match parse_version(version) {
        Some(parsed) if parsed >= oldest => CheckResult::ok(check, format!("{product} {version}")),
        Some(_) => {
            let seen = format!("{product} {version} is too old for the unit");
            CheckResult::failed(check, seen, fix)
        }
        None => CheckResult::unknown(check, format!("`{version}` is not a version of {product}")),
    }
}

/// Major, minor and patch; what follows a `-` or a `+` is ignored.
fn parse_version(version: &str) -> Option<[u64; 3]> {
    let release = version.split(['-', '+']).next()?;
    let mut numbers = release.split('.');
    let mut version = [0; 3];
    for number in &mut version {
        *number = numbers.next()?.parse().ok()?;
    }
    Some(version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::CheckStatus;

    #[test]
    fn versions_are_compared_as_numbers() {
        for (version, status) in [
            ("1.9.8", CheckStatus::Failed),
            ("1.10.0", CheckStatus::Ok),
            ("1.10.0-rc1", CheckStatus::Ok),
            ("1.11.4+build", CheckStatus::Ok),
            ("2.0.0", CheckStatus::Ok),
            ("1.10", CheckStatus::Unknown),
            ("latest", CheckStatus::Unknown),
        ] {
            assert_eq!(
                check_version(
                    CheckId::Terraform,
                    "Terraform",
                    version,
                    MIN_TERRAFORM_VERSION,
                    ""
                )
                .status,
                status,
                "{version}"
            );
        }
    }
}

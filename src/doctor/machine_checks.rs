//! What a deployment needs of this machine, for `doctor`: the helper, the tools, and a place to keep things.
//!
//! Sends nothing, and leaves no file behind.

use std::io::Write as _;
use std::path::Path;

use crate::doctor::check::CheckResult;
use crate::error::Error;
use crate::record::format_rfc3339;
use crate::state::dirs::StateDirs;
use crate::state::quarantine;
use crate::state::spool::{SPOOL_DIR, Spool};
use crate::system::host;
use crate::system::process;

/// The name of the helper where no other is set.
const DEFAULT_HELPER: &str = "config-backup";
/// The oldest versions that run the module: README.md, "Adopt it".
const MIN_TERRAFORM_VERSION: [u64; 3] = [1, 10, 0];
const MIN_OPENTOFU_VERSION: [u64; 3] = [1, 11, 0];
/// The first Terragrunt that knows `errors`, which the unit has.
const MIN_TERRAGRUNT_VERSION: [u64; 3] = [0, 69, 6];
/// The first one of the line that the unit is tested with.
const MIN_TESTED_TERRAGRUNT_VERSION: [u64; 3] = [1, 0, 0];

const INSTALL_HELPER_FIX: &str = "install it with `cargo install --locked --path .`, or set CONFIG_BACKUP_HELPER to its absolute path";

/// The helper that Terraform will run.
#[must_use]
pub fn check_helper() -> CheckResult {
    let set = host::env_var("CONFIG_BACKUP_HELPER");
    let name = set.as_deref().unwrap_or(DEFAULT_HELPER);
    let is_fetched = ["CONFIG_BACKUP_HELPER_URL", "CONFIG_BACKUP_HELPER_SHA256"]
        .iter()
        .all(|name| host::env_var(name).is_some());
    if let Some(finding) = check_helper_is_found(name, is_fetched) {
        return finding;
    }
    let Some(path) = process::find_program(name) else {
        let seen = format!(
            "`{name}` is {}: deployments use what they fetch from CONFIG_BACKUP_HELPER_URL",
            describe_missing_program(name)
        );
        return CheckResult::warning("helper", seen, "install it to have it without the network");
    };
    let ours = env!("CARGO_PKG_VERSION");
    let said = process::query_program_interactive(&path, &["--version"]).unwrap_or_default();
    match said.trim().strip_prefix("config-backup ") {
        Some(version) if version == ours => {
            CheckResult::ok("helper", format!("`{}`, {ours}", path.display()))
        }
        Some(version) => {
            let seen = format!(
                "`{}` is version {version}, and this is {ours}",
                path.display()
            );
            CheckResult::failed(
                "helper",
                1,
                seen,
                "install this version in its place, and run `config-backup init` in the customer folder",
            )
        }
        None => {
            let seen = format!(
                "`{}` does not say which version of config-backup it is",
                path.display()
            );
            CheckResult::failed("helper", 1, seen, INSTALL_HELPER_FIX)
        }
    }
}

/// What is wrong where Terraform finds no helper of this name, and downloads none.
#[must_use]
pub fn check_helper_is_found(name: &str, is_fetched: bool) -> Option<CheckResult> {
    if name.contains('/') && !Path::new(name).is_absolute() {
        return Some(CheckResult::failed(
            "helper",
            1,
            format!("`{name}` is relative to a folder of Terraform's own"),
            INSTALL_HELPER_FIX,
        ));
    }
    if is_fetched || process::find_program(name).is_some() {
        return None;
    }
    let seen = format!(
        "`{name}` is {}: deployments are neither backed up nor logged",
        describe_missing_program(name)
    );
    Some(CheckResult::failed("helper", 1, seen, INSTALL_HELPER_FIX))
}

fn describe_missing_program(helper: &str) -> &'static str {
    if helper.contains('/') {
        "not an executable file"
    } else {
        "not in PATH"
    }
}

/// The tool that Terragrunt runs: what `TG_TF_PATH` names, or `tofu`, or `terraform`.
#[must_use]
pub fn check_terraform() -> CheckResult {
    let set = host::env_var("TG_TF_PATH");
    let names = set
        .as_ref()
        .map_or_else(|| vec!["tofu", "terraform"], |name| vec![name.as_str()]);
    let fix = "install OpenTofu 1.11 or later, or Terraform 1.10 or later";
    let Some(path) = names.iter().find_map(|name| process::find_program(name)) else {
        return CheckResult::failed(
            "terraform",
            1,
            format!("there is no program `{}`", names.join("` and no `")),
            fix,
        );
    };
    let said = process::query_program_interactive(&path, &["version"]).unwrap_or_default();
    let version = |product: &str| {
        said.lines()
            .find_map(|line| line.trim().strip_prefix(product)?.strip_prefix(" v"))
    };
    match (version("OpenTofu"), version("Terraform")) {
        (Some(version), _) => {
            check_version("terraform", "OpenTofu", version, MIN_OPENTOFU_VERSION, fix)
        }
        (None, Some(version)) => check_version(
            "terraform",
            "Terraform",
            version,
            MIN_TERRAFORM_VERSION,
            fix,
        ),
        (None, None) => CheckResult::unknown(
            "terraform",
            format!("`{}` does not say its version", path.display()),
        ),
    }
}

/// Terragrunt.
#[must_use]
pub fn check_terragrunt() -> CheckResult {
    let fix = "install Terragrunt 1.0 or later";
    let Some(path) = process::find_program("terragrunt") else {
        return CheckResult::failed(
            "terragrunt",
            1,
            "there is no program `terragrunt` in PATH, which runs the unit",
            fix,
        );
    };
    let said = process::query_program_interactive(&path, &["--version"]).unwrap_or_default();
    let Some(version) = said
        .split_whitespace()
        .next_back()
        .map(|version| version.trim_start_matches('v'))
    else {
        return CheckResult::unknown(
            "terragrunt",
            format!("`{}` does not say its version", path.display()),
        );
    };
    if parse_version(version).is_some_and(|version| {
        (MIN_TERRAGRUNT_VERSION..MIN_TESTED_TERRAGRUNT_VERSION).contains(&version)
    }) {
        return CheckResult::warning(
            "terragrunt",
            format!("{version}, older than any that the unit is tested with"),
            fix,
        );
    }
    check_version(
        "terragrunt",
        "Terragrunt",
        version,
        MIN_TERRAGRUNT_VERSION,
        fix,
    )
}

fn check_version(
    check: &'static str,
    product: &str,
    version: &str,
    least: [u64; 3],
    fix: &str,
) -> CheckResult {
    match parse_version(version) {
        Some(parsed) if parsed >= least => CheckResult::ok(check, format!("{product} {version}")),
        Some(_) => CheckResult::failed(
            check,
            1,
            format!("{product} {version} is too old for the unit"),
            fix,
        ),
        None => CheckResult::unknown(check, format!("`{version}` is no version of {product}")),
    }
}

/// Major, minor and patch; what follows a `-` plays no part.
fn parse_version(version: &str) -> Option<[u64; 3]> {
    let mut numbers = version
        .split(['-', '+'])
        .next()?
        .split('.')
        .map(|number| number.parse().ok());
    let mut next = || numbers.next().flatten();
    Some([next()?, next()?, next()?])
}

/// Whether a deployment could keep what it cannot send.
#[must_use]
pub fn check_state_dir(places: &StateDirs) -> CheckResult {
    // A folder that is made for it stays: a deployment may just be about to put something there.
    let written = places.write_in(SPOOL_DIR, |folder| {
        // Hidden, so that nobody takes it for something kept.
        let path = folder.join(format!(".doctor-{}", host::unique_id(host::utc_now())));
        let done = std::fs::File::create_new(&path)
            .and_then(|mut file| file.write_all(b"x").and_then(|()| file.sync_all()));
        let gone = std::fs::remove_file(&path);
        done.and(gone).map(|()| folder.to_owned())
    });
    match written {
        Ok(written) => match written.primary_dir_error {
            None => CheckResult::ok(
                "state folder",
                format!("`{}` can be written", written.value.display()),
            ),
            Some(fault) => {
                let seen = format!(
                    "{fault}: things are kept in `{}`, which a restart may empty",
                    written.value.display()
                );
                CheckResult::warning(
                    "state folder",
                    seen,
                    "make the usual folder writable, or set HOME or XDG_STATE_HOME",
                )
            }
        },
        Err(fault) => {
            let seen = format!("{}: what cannot be sent is lost", fault.message);
            CheckResult::from_error(
                "state folder",
                &Error {
                    hint: "make it writable, or set HOME or XDG_STATE_HOME".to_owned(),
                    message: seen,
                    ..fault
                },
            )
        }
    }
}

/// What is kept here and waits.
#[must_use]
pub fn check_spool(places: &StateDirs) -> CheckResult {
    let contents = Spool::new(places).list();
    let aside = quarantine::list_quarantine(places).len();
    if let Some(fault) = contents.errors.first() {
        return CheckResult::failed(
            "spool",
            fault.exit_code(),
            &fault.message,
            "make the folder readable",
        );
    }
    let items: Vec<_> = contents
        .items
        .iter()
        .map(|path| Spool::read_item(path))
        .collect();
    let kept: Vec<_> = items
        .iter()
        .filter_map(|item| item.as_ref().ok()?.as_ref())
        .collect();
    let others = contents.foreign.len() + items.iter().filter(|item| item.is_err()).count() + aside;
    if kept.is_empty() && others == 0 {
        return CheckResult::ok("spool", "nothing waits to be sent");
    }
    let since = kept
        .iter()
        .map(|(item, _)| item.at)
        .min()
        .map_or_else(String::new, |at| format!(", since {}", format_rfc3339(at)));
    let damaged = if others == 0 {
        String::new()
    } else {
        format!("; {others} set aside, damaged, or not of ours")
    };
    let fix = match (kept.len(), others) {
        (_, 0) => "send it with `config-backup replay`, or deploy",
        (0, _) => "look at it with `config-backup status`",
        _ => {
            "send it with `config-backup replay`, and look at the rest with `config-backup status`"
        }
    };
    CheckResult::warning(
        "spool",
        format!("{} kept to be sent{since}{damaged}", kept.len()),
        fix,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::CheckStatus;

    #[test]
    fn versions_are_compared_as_numbers() {
        for (version, status) in [
            ("1.9.8", CheckStatus::Bad),
            ("1.10.0", CheckStatus::Ok),
            ("1.10.0-rc1", CheckStatus::Ok),
            ("1.11.4+build", CheckStatus::Ok),
            ("2.0.0", CheckStatus::Ok),
            ("1.10", CheckStatus::Unknown),
            ("latest", CheckStatus::Unknown),
        ] {
            assert_eq!(
                check_version("terraform", "Terraform", version, MIN_TERRAFORM_VERSION, "").status,
                status,
                "{version}"
            );
        }
    }
}

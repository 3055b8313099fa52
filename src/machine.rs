//! What a deployment needs of this machine, for `doctor`: the helper, the tools, and a place to keep things.
//!
//! Sends nothing, and leaves no file behind.

use std::io::Write as _;
use std::path::Path;

use crate::fault::Fault;
use crate::finding::Finding;
use crate::places::Places;
use crate::record::timestamp;
use crate::spool::{SPOOL, Spool};
use crate::{host, programs, quarantine};

/// The name of the helper where no other is set.
const HELPER: &str = "config-backup";
/// The oldest versions that run the module: README.md, "Adopt it".
const TERRAFORM: [u64; 3] = [1, 10, 0];
const OPENTOFU: [u64; 3] = [1, 11, 0];
/// The first Terragrunt that knows `errors`, which the unit has.
const TERRAGRUNT: [u64; 3] = [0, 69, 6];
/// The first one of the line that the unit is tested with.
const TESTED_TERRAGRUNT: [u64; 3] = [1, 0, 0];

const INSTALL_HELPER: &str = "install it with `cargo install --locked --path .`, or set CONFIG_BACKUP_HELPER to its absolute path";

/// The helper that Terraform will run.
#[must_use]
pub fn helper() -> Finding {
    let set = host::var("CONFIG_BACKUP_HELPER");
    let name = set.as_deref().unwrap_or(HELPER);
    let is_fetched = ["CONFIG_BACKUP_HELPER_URL", "CONFIG_BACKUP_HELPER_SHA256"].iter().all(|name| host::var(name).is_some());
    if let Some(finding) = missing_helper(name, is_fetched) {
        return finding;
    }
    let Some(path) = programs::find(name) else {
        let seen = format!("`{name}` is {}: deployments use what they fetch from CONFIG_BACKUP_HELPER_URL", where_it_is_not(name));
        return Finding::note("helper", seen, "install it to have it without the network");
    };
    let ours = env!("CARGO_PKG_VERSION");
    let said = programs::answer(&path, &["--version"]).unwrap_or_default();
    match said.trim().strip_prefix("config-backup ") {
        Some(version) if version == ours => Finding::ok("helper", format!("`{}`, {ours}", path.display())),
        Some(version) => {
            let seen = format!("`{}` is version {version}, and this is {ours}", path.display());
            Finding::bad("helper", 1, seen, "install this version in its place, and run `config-backup init` in the customer folder")
        }
        None => {
            let seen = format!("`{}` does not say which version of config-backup it is", path.display());
            Finding::bad("helper", 1, seen, INSTALL_HELPER)
        }
    }
}

/// What is wrong where Terraform finds no helper of this name, and downloads none.
#[must_use]
pub fn missing_helper(name: &str, is_fetched: bool) -> Option<Finding> {
    if name.contains('/') && !Path::new(name).is_absolute() {
        return Some(Finding::bad("helper", 1, format!("`{name}` is relative to a folder of Terraform's own"), INSTALL_HELPER));
    }
    if is_fetched || programs::find(name).is_some() {
        return None;
    }
    let seen = format!("`{name}` is {}: deployments are neither backed up nor logged", where_it_is_not(name));
    Some(Finding::bad("helper", 1, seen, INSTALL_HELPER))
}

fn where_it_is_not(helper: &str) -> &'static str {
    if helper.contains('/') { "not an executable file" } else { "not in PATH" }
}

/// The tool that Terragrunt runs: what `TG_TF_PATH` names, or `tofu`, or `terraform`.
#[must_use]
pub fn terraform() -> Finding {
    let set = host::var("TG_TF_PATH");
    let names = set.as_ref().map_or_else(|| vec!["tofu", "terraform"], |name| vec![name.as_str()]);
    let fix = "install OpenTofu 1.11 or later, or Terraform 1.10 or later";
    let Some(path) = names.iter().find_map(|name| programs::find(name)) else {
        return Finding::bad("terraform", 1, format!("there is no program `{}`", names.join("` and no `")), fix);
    };
    let said = programs::answer(&path, &["version"]).unwrap_or_default();
    let version = |product: &str| said.lines().find_map(|line| line.trim().strip_prefix(product)?.strip_prefix(" v"));
    match (version("OpenTofu"), version("Terraform")) {
        (Some(version), _) => judged("terraform", "OpenTofu", version, OPENTOFU, fix),
        (None, Some(version)) => judged("terraform", "Terraform", version, TERRAFORM, fix),
        (None, None) => Finding::unknown("terraform", format!("`{}` does not say its version", path.display())),
    }
}

/// Terragrunt.
#[must_use]
pub fn terragrunt() -> Finding {
    let fix = "install Terragrunt 1.0 or later";
    let Some(path) = programs::find("terragrunt") else {
        return Finding::bad("terragrunt", 1, "there is no program `terragrunt` in PATH, which runs the unit", fix);
    };
    let said = programs::answer(&path, &["--version"]).unwrap_or_default();
    let Some(version) = said.split_whitespace().next_back().map(|version| version.trim_start_matches('v')) else {
        return Finding::unknown("terragrunt", format!("`{}` does not say its version", path.display()));
    };
    if parse(version).is_some_and(|version| (TERRAGRUNT..TESTED_TERRAGRUNT).contains(&version)) {
        return Finding::note("terragrunt", format!("{version}, older than any that the unit is tested with"), fix);
    }
    judged("terragrunt", "Terragrunt", version, TERRAGRUNT, fix)
}

fn judged(check: &'static str, product: &str, version: &str, least: [u64; 3], fix: &str) -> Finding {
    match parse(version) {
        Some(parsed) if parsed >= least => Finding::ok(check, format!("{product} {version}")),
        Some(_) => Finding::bad(check, 1, format!("{product} {version} is too old for the unit"), fix),
        None => Finding::unknown(check, format!("`{version}` is no version of {product}")),
    }
}

/// Major, minor and patch; what follows a `-` plays no part.
fn parse(version: &str) -> Option<[u64; 3]> {
    let mut numbers = version.split(['-', '+']).next()?.split('.').map(|number| number.parse().ok());
    let mut next = || numbers.next().flatten();
    Some([next()?, next()?, next()?])
}

/// Whether a deployment could keep what it cannot send.
#[must_use]
pub fn state(places: &Places) -> Finding {
    // A folder that is made for it stays: a deployment may just be about to put something there.
    let written = places.write(SPOOL, |folder| {
        // Hidden, so that nobody takes it for something kept.
        let path = folder.join(format!(".doctor-{}", host::nonce(host::now())));
        let done = std::fs::File::create_new(&path).and_then(|mut file| file.write_all(b"x").and_then(|()| file.sync_all()));
        let gone = std::fs::remove_file(&path);
        done.and(gone).map(|()| folder.to_owned())
    });
    match written {
        Ok(written) => match written.instead_of {
            None => Finding::ok("state folder", format!("`{}` can be written", written.result.display())),
            Some(fault) => {
                let seen = format!("{fault}: things are kept in `{}`, which a restart may empty", written.result.display());
                Finding::note("state folder", seen, "make the usual folder writable, or set HOME or XDG_STATE_HOME")
            }
        },
        Err(fault) => {
            let seen = format!("{}: what cannot be sent is lost", fault.text);
            Finding::fault(
                "state folder",
                &Fault { advice: "make it writable, or set HOME or XDG_STATE_HOME".to_owned(), text: seen, ..fault },
            )
        }
    }
}

/// What is kept here and waits.
#[must_use]
pub fn spool(places: &Places) -> Finding {
    let contents = Spool::new(places).look();
    let aside = quarantine::list(places).len();
    if let Some(fault) = contents.faults.first() {
        return Finding::bad("spool", fault.exit_code(), &fault.text, "make the folder readable");
    }
    let items: Vec<_> = contents.items.iter().map(|path| Spool::peek(path)).collect();
    let kept: Vec<_> = items.iter().filter_map(|item| item.as_ref().ok()?.as_ref()).collect();
    let others = contents.foreign.len() + items.iter().filter(|item| item.is_err()).count() + aside;
    if kept.is_empty() && others == 0 {
        return Finding::ok("spool", "nothing waits to be sent");
    }
    let since = kept.iter().map(|(item, _)| item.at).min().map_or_else(String::new, |at| format!(", since {}", timestamp(at)));
    let damaged = if others == 0 { String::new() } else { format!("; {others} set aside, damaged, or not of ours") };
    let fix = match (kept.len(), others) {
        (_, 0) => "send it with `config-backup replay`, or deploy",
        (0, _) => "look at it with `config-backup status`",
        _ => "send it with `config-backup replay`, and look at the rest with `config-backup status`",
    };
    Finding::note("spool", format!("{} kept to be sent{since}{damaged}", kept.len()), fix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Status;

    #[test]
    fn versions_are_compared_as_numbers() {
        for (version, status) in [
            ("1.9.8", Status::Bad),
            ("1.10.0", Status::Ok),
            ("1.10.0-rc1", Status::Ok),
            ("1.11.4+build", Status::Ok),
            ("2.0.0", Status::Ok),
            ("1.10", Status::Unknown),
            ("latest", Status::Unknown),
        ] {
            assert_eq!(judged("terraform", "Terraform", version, TERRAFORM, "").status, status, "{version}");
        }
    }
}

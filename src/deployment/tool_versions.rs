//! The programs that drive a deployment: which run of Terragrunt this is, and the versions of Terragrunt and Terraform.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::digest::sha256_hex;
use crate::record::ToolVersions;
use crate::state::dirs::StateDirs;
use crate::system::atomic_file::{self, FileMode};
use crate::system::host;
use crate::system::process::{find_program, list_ancestors, program_name, query_program};

/// The name of the folder with the versions that programs told.
pub(crate) const TOOL_VERSIONS_DIR: &str = "versions";

/// The versions of the programs that drive us, by asking those among our ancestors.
///
/// An answer is noted in `places` and holds as long as the program's file is the same: asking costs more than all
/// the rest of a deployment's step.
pub(crate) fn detect_tool_versions(places: &StateDirs) -> ToolVersions {
    let mut tools = ToolVersions::own_version_only();
    for (pid, command) in list_ancestors() {
        let name = program_name(&command);
        let program = || {
            std::fs::read_link(format!("/proc/{pid}/exe"))
                .unwrap_or_else(|_| PathBuf::from(&command))
        };
        match name.as_str() {
            name if is_terraform_name(name) && tools.terraform.is_empty() => {
                tools.terraform = cached_terraform_version(places, &program(), name);
            }
            name if is_terragrunt_name(name) && tools.terragrunt.is_empty() => {
                tools.terragrunt = cached_version(places, &program(), query_terragrunt_version);
            }
            _ => {}
        }
    }
    if let (true, false, Some(tool)) = (
        tools.terraform.is_empty(),
        tools.terragrunt.is_empty(),
        host::env_var("TG_CTX_TF_PATH"),
    ) {
        // A hook of Terragrunt has no such ancestor, and is told which tool the unit uses.
        tools.terraform = find_program(&tool)
            .map(|program| cached_terraform_version(places, &program, &program_name(&tool)))
            .unwrap_or_default();
    }
    tools
}

fn cached_terraform_version(places: &StateDirs, program: &Path, name: &str) -> String {
    let product = if name == "tofu" {
        "OpenTofu"
    } else {
        "Terraform"
    };
    cached_version(places, program, |program| {
        query_terraform_version(program, product)
    })
}

/// The run of Terragrunt that we work for: the machine's boot, the process and its start, which no other run shares. `None`
/// without Terragrunt, or where the system does not tell.
pub(crate) fn find_terragrunt_run() -> Option<String> {
    let (pid, _) = list_ancestors()
        .into_iter()
        .find(|(_, command)| is_terragrunt_name(&program_name(command)))?;
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let start = match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => parse_process_start(&stat)?,
        Err(_) => query_program(Path::new("ps"), &["-o", "lstart=", "-p", &pid.to_string()])?,
    };
    Some(format!("{} {pid} {}", boot.trim(), start.trim()))
}

/// The start of a process out of `/proc/PID/stat`: field 22, in ticks since the boot (proc(5)).
fn parse_process_start(stat: &str) -> Option<String> {
    let (_, tail) = stat.rsplit_once(')')?;
    tail.split_whitespace().nth(19).map(str::to_owned)
}

/// Also `terragrunt_linux_amd64`, as the release's file is called.
fn is_terragrunt_name(name: &str) -> bool {
    name.starts_with("terragrunt")
}

fn is_terraform_name(name: &str) -> bool {
    ["terraform", "tofu"].contains(&name)
}

fn query_terraform_version(program: &Path, product: &str) -> Option<String> {
    parse_terraform_version(&query_program(program, &["version", "-json"])?)
        .map(|version| format!("{product} v{version}"))
}

fn query_terragrunt_version(program: &Path) -> Option<String> {
    let answer = query_program(program, &["--version"])?;
    answer
        .split_whitespace()
        .next_back()
        .map(|version| version.trim_start_matches('v').to_owned())
}

/// The version of a program as noted, or as it says now; empty where it does not say.
fn cached_version(
    places: &StateDirs,
    program: &Path,
    version: impl Fn(&Path) -> Option<String>,
) -> String {
    let Some(name) = fingerprint_program(program) else {
        return version(program).unwrap_or_default();
    };
    if let Some(noted) = places
        .subdirs(TOOL_VERSIONS_DIR)
        .find_map(|folder| std::fs::read_to_string(folder.join(&name)).ok())
    {
        return noted;
    }
    let version = version(program).unwrap_or_default();
    if !version.is_empty() {
        // Without a note it is asked again.
        let _ = places.write_in(TOOL_VERSIONS_DIR, |folder| {
            atomic_file::write_atomically(
                &folder.join(&name),
                &[version.as_bytes()],
                FileMode::Private,
            )
        });
    }
    version
}

/// Stands for a program's file as it is now.
fn fingerprint_program(program: &Path) -> Option<String> {
    let file = std::fs::metadata(program).ok()?;
    let modified = file
        .modified()
        .ok()?
        .duration_since(std::time::UNIX_EPOCH)
        .ok()?;
    let identity = format!(
        "{}\n{}\n{}",
        program.display(),
        file.len(),
        modified.as_nanos()
    );
    Some(sha256_hex(identity.as_bytes()))
}

fn parse_terraform_version(answer: &str) -> Option<String> {
    let answer: Value = serde_json::from_str(answer).ok()?;
    answer.get("terraform_version")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_of_a_process_is_read_as_proc_shows_it() {
        let stat = "200 (a b) S 10 200 200 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 123456 7 8";
        assert_eq!(parse_process_start(stat).as_deref(), Some("123456"));
        assert_eq!(parse_process_start("200 (tofu) S 10"), None);
    }

    #[test]
    fn a_version_is_asked_once_for_each_state_of_a_program() {
        let folder = tempfile::tempdir().expect("a folder");
        let places = StateDirs::from_private_dirs([folder.path().to_owned()]);
        let program = folder.path().join("tofu");
        let asked = std::cell::Cell::new(0);
        let ask = |_: &Path| {
            asked.set(asked.get() + 1);
            Some(format!("v{}", asked.get()))
        };
        for (content, version) in [
            ("one", "v1"),
            ("one", "v1"),
            ("another", "v2"),
            ("another", "v2"),
        ] {
            if std::fs::read_to_string(&program).ok().as_deref() != Some(content) {
                std::fs::write(&program, content).expect("written");
            }
            assert_eq!(cached_version(&places, &program, ask), version);
        }
        assert_eq!(cached_version(&StateDirs::default(), &program, ask), "v3");
        assert_eq!(cached_version(&places, &program, |_| None), "v2");
    }

    #[test]
    fn versions_are_read_out_of_what_the_tools_print() {
        // As `terraform version -json` and `tofu version -json` print it.
        let answer =
            "{\n  \"terraform_version\": \"1.11.4\",\n  \"platform\": \"linux_amd64\"\n}\n";
        assert_eq!(parse_terraform_version(answer).as_deref(), Some("1.11.4"));
        assert_eq!(parse_terraform_version("Terraform v1.11.4"), None);
    }
}

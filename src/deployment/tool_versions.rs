//! The programs that run a deployment: which run of Terragrunt this is, and the versions of
//! Terragrunt and Terraform.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde_json::Value;

use crate::digest::sha256_hex;
use crate::record::ToolVersions;
use crate::state::dirs::StateDirs;
use crate::system::ancestors::{AncestorProcess, list_ancestors};
use crate::system::atomic_file::{FileMode, write_atomically};
use crate::system::env::env_var;
use crate::system::process::{
    find_trusted_file, find_trusted_program, program_name, query_program_alone, query_ps,
};

/// The folder with the cached versions, in the state directory.
pub(crate) const TOOL_VERSIONS_DIR: &str = "versions";

/// How the files of the tools begin, as in `terragrunt_linux_amd64` and `terraform-1.11.4`.
const TOOL_NAMES: [&str; 3] = ["terraform", "tofu", "terragrunt"];
/// A longer answer of a tool is not a version.
const MAX_VERSION_BYTES: usize = 64;

/// Names the tool that a unit uses, in the hooks of Terragrunt.
const TERRAFORM_PATH_VARIABLE: &str = "TG_CTX_TF_PATH";

/// The versions of the programs that run this one, found among its ancestors.
///
/// Only a tool in PATH is asked, and only if it is the very file that runs. A script with a tool's
/// name runs as its shell, and `sh version -json` would run the file `version`. Nothing in `folder`,
/// which is the customer's, is run. They are cached in `state_dirs` as long as the program's file is
/// the same, because asking takes longer than the rest of a deployment.
pub(crate) fn detect_tool_versions(state_dirs: &StateDirs, folder: &Path) -> ToolVersions {
    let mut versions = ToolVersions::own_version_only();
    for ancestor in list_ancestors() {
        let name = program_name(&ancestor.command);
        if is_terraform_name(&name) && versions.terraform.is_empty() {
            if let Some(program) = find_running_program(&ancestor, folder) {
                versions.terraform = cached_terraform_version(state_dirs, &program, &name);
            }
        } else if is_terragrunt_name(&name)
            && versions.terragrunt.is_empty()
            && let Some(program) = find_running_program(&ancestor, folder)
        {
            versions.terragrunt = cached_version(state_dirs, &program, query_terragrunt_version);
        }
    }

    // A hook of Terragrunt does not run below Terraform.
    let is_in_hook = versions.terraform.is_empty() && !versions.terragrunt.is_empty();
    if is_in_hook
        && let Some(tool) = env_var(TERRAFORM_PATH_VARIABLE)
        && let Some(program) = find_hook_program(&tool, folder)
    {
        let name = program_name(&tool);
        versions.terraform = cached_terraform_version(state_dirs, &program, &name);
    }
    versions
}

/// The file of a running tool, if PATH has it under the tool's name.
fn find_running_program(ancestor: &AncestorProcess, folder: &Path) -> Option<PathBuf> {
    let link = format!("/proc/{}/exe", ancestor.process_id);
    // Without /proc, `ps` shows the path.
    let file = fs::read_link(link).unwrap_or_else(|_| PathBuf::from(&ancestor.command));
    let file_name = program_name(&file.to_string_lossy());
    let name = program_name(&ancestor.command);
    // A link with the name of a tool may lead to any program.
    let is_tool = |prefix: &str| name.starts_with(prefix) && file_name.starts_with(prefix);
    if !file.is_absolute() || !TOOL_NAMES.iter().any(|tool| is_tool(tool)) {
        return None;
    }
    // The kernel cuts the names of processes.
    let mut names = [name, file_name].into_iter();
    names.find_map(|name| find_trusted_file(&name, &file, folder))
}

/// The tool that a hook of Terragrunt names: as it is in PATH, never a script.
fn find_hook_program(tool: &str, folder: &Path) -> Option<PathBuf> {
    let name = program_name(tool);
    if !is_terraform_name(&name) {
        return None;
    }
    let file = if tool.contains('/') {
        PathBuf::from(tool)
    } else {
        find_trusted_program(&name, folder)?
    };
    if !file.is_absolute() {
        return None;
    }
    find_trusted_file(&name, &file, folder)
}

fn cached_terraform_version(state_dirs: &StateDirs, program: &Path, name: &str) -> String {
    let product = match name {
        "tofu" => "OpenTofu",
        _ => "Terraform",
    };
    cached_version(state_dirs, program, |program| {
        query_terraform_version(program, product)
    })
}

/// Identifies the run of Terragrunt that this program belongs to: the machine's boot, the namespace
/// of process ids, the process and its start. `None` without Terragrunt.
pub(crate) fn find_terragrunt_run() -> Option<String> {
    let is_terragrunt =
        |ancestor: &AncestorProcess| is_terragrunt_name(&program_name(&ancestor.command));
    let terragrunt = list_ancestors().into_iter().find(is_terragrunt)?;
    let process_id = terragrunt.process_id;

    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    // Two containers with one state directory can have the same ids.
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let namespace = namespace.display();
    let start = find_process_start(process_id)?;
    let (boot_id, start) = (boot_id.trim(), start.trim());
    Some(format!("{boot_id} {namespace} {process_id} {start}"))
}

fn find_process_start(process_id: u32) -> Option<String> {
    if let Ok(stat) = fs::read_to_string(format!("/proc/{process_id}/stat")) {
        return parse_process_start(&stat);
    }
    let arguments = ["-o", "lstart=", "-p", &process_id.to_string()];
    query_ps(&arguments)
}

/// Field 22 of `/proc/PID/stat`: the start in ticks since the boot (proc(5)).
fn parse_process_start(stat: &str) -> Option<String> {
    let (_, tail) = stat.rsplit_once(')')?;
    tail.split_whitespace().nth(19).map(str::to_owned)
}

/// Also matches `terragrunt_linux_amd64`, the name of the released file.
fn is_terragrunt_name(name: &str) -> bool {
    name.starts_with("terragrunt")
}

fn is_terraform_name(name: &str) -> bool {
    matches!(name, "terraform" | "tofu")
}

fn query_terraform_version(program: &Path, product: &str) -> Option<String> {
    let answer = query_program_alone(program, &["version", "-json"])?;
    let version = parse_terraform_version(&answer)?;
    Some(format!("{product} v{version}"))
}

fn parse_terraform_version(answer: &str) -> Option<String> {
    let answer: Value = serde_json::from_str(answer).ok()?;
    let version = answer.get("terraform_version")?.as_str()?;
    parse_version(version)
}

/// A version as tools print it. Other text is not a version.
fn parse_version(text: &str) -> Option<String> {
    let version = text.trim_start_matches('v');
    let is_version_char = |c: char| c.is_ascii_alphanumeric() || ".-+_".contains(c);
    let is_version = version.starts_with(|c: char| c.is_ascii_digit())
        && version.len() <= MAX_VERSION_BYTES
        && version.chars().all(is_version_char);
    is_version.then(|| version.to_owned())
}

fn query_terragrunt_version(program: &Path) -> Option<String> {
    let answer = query_program_alone(program, &["--version"])?;
    parse_version(answer.split_whitespace().next_back()?)
}

/// The cached version of a program, or the one that `query` finds; empty if unknown.
fn cached_version(
    state_dirs: &StateDirs,
    program: &Path,
    query: impl Fn(&Path) -> Option<String>,
) -> String {
    let Some(file_name) = fingerprint_program(program) else {
        return query(program).unwrap_or_default();
    };
    for folder in state_dirs.subdirs(TOOL_VERSIONS_DIR) {
        if let Ok(version) = fs::read_to_string(folder.join(&file_name)) {
            return version;
        }
    }

    let version = query(program).unwrap_or_default();
    if !version.is_empty() {
        // If it cannot be cached, the program is asked again next time.
        let _ = state_dirs.write_in(TOOL_VERSIONS_DIR, |folder| {
            let path = folder.join(&file_name);
            write_atomically(&path, &[version.as_bytes()], FileMode::Private)
        });
    }
    version
}

/// Changes when the program's file does.
fn fingerprint_program(program: &Path) -> Option<String> {
    let file = fs::metadata(program).ok()?;
    let modified = file.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    let path = program.display();
    let size = file.len();
    let modified = modified.as_nanos();
    Some(sha256_hex(format!("{path}\n{size}\n{modified}").as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn the_start_of_a_process_is_parsed_as_proc_shows_it() {
        let stat = "200 (a b) S 10 200 200 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 123456 7 8";
        assert_eq!(parse_process_start(stat).as_deref(), Some("123456"));
        assert_eq!(parse_process_start("200 (tofu) S 10"), None);
    }

    #[test]
    fn a_program_is_asked_once_for_each_state_of_its_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let state_dirs = StateDirs::from_private_dirs([folder.path().to_owned()]);
        let program = folder.path().join("tofu");
        let asked = Cell::new(0);
        let query = |_: &Path| {
            asked.set(asked.get() + 1);
            Some(format!("v{}", asked.get()))
        };

        for (content, version) in [("one", "v1"), ("another", "v2")] {
            fs::write(&program, content).expect("written");
            for _ in 0..2 {
                assert_eq!(cached_version(&state_dirs, &program, query), version);
            }
        }
        assert_eq!(cached_version(&StateDirs::default(), &program, query), "v3");
        assert_eq!(cached_version(&state_dirs, &program, |_| None), "v2");
    }

    #[test]
    fn versions_are_parsed_from_the_tools_output() {
        // As `terraform version -json` and `tofu version -json` print it.
        let answer =
            "{\n  \"terraform_version\": \"1.11.4\",\n  \"platform\": \"linux_amd64\"\n}\n";
        assert_eq!(parse_terraform_version(answer).as_deref(), Some("1.11.4"));
        assert_eq!(parse_terraform_version("Terraform v1.11.4"), None);
        assert_eq!(
            parse_terraform_version("{\"terraform_version\": \"1.11\\n4\"}"),
            None
        );

        assert_eq!(parse_version("v1.1.3-rc1").as_deref(), Some("1.1.3-rc1"));
        for text in ["", "v", "failed", "1\u{1b}[8m", &"1".repeat(65)] {
            assert_eq!(parse_version(text), None, "{text}");
        }
    }
}

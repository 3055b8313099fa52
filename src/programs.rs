//! Other programs that are asked something: git, ps, and the tools that drive us. The only module that runs any.
//!
//! Each is asked for a second at most, with nothing on stdin and its stderr thrown away; no answer is an answer, too.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::deadline;
use crate::record::{Git, Tools};

const PATIENCE: Duration = Duration::from_secs(1);

/// The commit of the checkout that `folder` lies in; `None` without git or a checkout.
#[must_use]
pub fn git(folder: &Path) -> Option<Git> {
    let folder = folder.to_string_lossy().into_owned();
    // A look must not write to the user's checkout, as refreshing its index would.
    let arguments = ["--no-optional-locks", "-C", &folder, "status", "--porcelain=v2", "--branch", "--untracked-files=no"];
    parse_git(&ask(Path::new("git"), &arguments)?)
}

/// The versions of the programs that drive us, by asking those among our ancestors.
#[must_use]
pub fn tools() -> Tools {
    let ancestors = ask(Path::new("ps"), &["-axo", "pid=,ppid=,comm="]).map(|list| ancestors(&list, std::process::id()));
    let mut tools = Tools::ours();
    for (pid, command) in ancestors.unwrap_or_default() {
        let name = Path::new(&command).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let program = || std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_else(|_| PathBuf::from(&command));
        match name.as_str() {
            "terraform" | "tofu" if tools.terraform.is_empty() => {
                let product = if name == "tofu" { "OpenTofu" } else { "Terraform" };
                let version = ask(&program(), &["version", "-json"]).and_then(|answer| parse_version(&answer));
                tools.terraform = version.map(|version| format!("{product} v{version}")).unwrap_or_default();
            }
            "terragrunt" if tools.terragrunt.is_empty() => {
                let answer = ask(&program(), &["--version"]).unwrap_or_default();
                let version = answer.split_whitespace().next_back().unwrap_or_default();
                version.trim_start_matches('v').clone_into(&mut tools.terragrunt);
            }
            _ => {}
        }
    }
    tools
}

/// What a program prints, if it ends well and in time.
fn ask(program: &Path, arguments: &[&str]) -> Option<String> {
    #[allow(clippy::disallowed_methods)] // the one place that runs other programs
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null());
    // The user's flags are for the user's commands, and nobody shall look for a newer release now.
    command.env_remove("TF_CLI_ARGS").env_remove("TF_LOG").env("CHECKPOINT_DISABLE", "1");
    let output = deadline::within(PATIENCE, move || command.output().ok()).flatten()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The ancestors of a process, nearest first: process id and command, out of what `ps -o pid=,ppid=,comm=` prints.
fn ancestors(list: &str, of: u32) -> Vec<(u32, String)> {
    let processes: HashMap<u32, (u32, &str)> = list
        .lines()
        .filter_map(|line| {
            let (pid, rest) = line.trim_start().split_once(' ')?;
            let (parent, command) = rest.trim_start().split_once(' ')?;
            Some((pid.parse().ok()?, (parent.parse().ok()?, command.trim())))
        })
        .collect();
    let mut found = Vec::new();
    let mut pid = of;
    // A list that was taken while processes came and went may hold a loop.
    while let Some((parent, _)) = processes.get(&pid).filter(|_| found.len() < 32) {
        pid = *parent;
        if let Some((_, command)) = processes.get(&pid) {
            found.push((pid, (*command).to_owned()));
        }
    }
    found
}

fn parse_version(answer: &str) -> Option<String> {
    let answer: Value = serde_json::from_str(answer).ok()?;
    answer.get("terraform_version")?.as_str().map(str::to_owned)
}

fn parse_git(status: &str) -> Option<Git> {
    let mut git = Git { commit: String::new(), branch: String::new(), dirty: false };
    for line in status.lines() {
        match line.strip_prefix("# ") {
            Some(header) => match header.split_once(' ') {
                Some(("branch.oid", oid)) if oid != "(initial)" => oid.clone_into(&mut git.commit),
                Some(("branch.head", head)) if head != "(detached)" => head.clone_into(&mut git.branch),
                _ => {}
            },
            None => git.dirty = true,
        }
    }
    (!git.commit.is_empty()).then_some(git)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_status_gives_commit_branch_and_dirtiness() {
        let clean = "# branch.oid 1234\n# branch.head main\n# branch.ab +0 -0\n";
        assert_eq!(parse_git(clean), Some(Git { commit: "1234".into(), branch: "main".into(), dirty: false }));
        let dirty = "# branch.oid 1234\n# branch.head (detached)\n1 .M N... 100644 100644 100644 a b x\n";
        assert_eq!(parse_git(dirty), Some(Git { commit: "1234".into(), branch: String::new(), dirty: true }));
        assert_eq!(parse_git("# branch.oid (initial)\n# branch.head main\n"), None);
    }

    #[test]
    fn ancestors_are_found_in_the_lists_of_linux_and_macos() {
        let list = "    1     0 systemd\n   10     1 terragrunt\n  200    10 tofu\n 3000   200 sh\n 3001  3000 config-backup\n";
        let names: Vec<_> = ancestors(list, 3001).into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["sh", "tofu", "terragrunt", "systemd"]);
        let list = "1 0 /sbin/launchd\n7 1 /Users/jane roe/bin/terraform\n8 7 /bin/sh\n";
        assert_eq!(ancestors(list, 8)[0], (7, "/Users/jane roe/bin/terraform".to_owned()));
        assert_eq!(ancestors("2 3 a\n3 2 b\n", 2).len(), 32);
        assert_eq!(ancestors("garbage\n", 2), []);
    }

    #[test]
    fn versions_are_read_out_of_what_the_tools_print() {
        // As `terraform version -json` and `tofu version -json` print it.
        let answer = "{\n  \"terraform_version\": \"1.11.4\",\n  \"platform\": \"linux_amd64\"\n}\n";
        assert_eq!(parse_version(answer).as_deref(), Some("1.11.4"));
        assert_eq!(parse_version("Terraform v1.11.4"), None);
    }
}

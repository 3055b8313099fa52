//! Other programs that are asked something: git, ps, and the tools that drive us. The only module that runs any.
//!
//! Each is asked for a second at most, or five where people wait for it, with nothing on stdin and its stderr thrown away; no answer is an answer, too.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::digest::sha256_hex;
use crate::record::{GitCommit, ToolVersions};
use crate::state::dirs::StateDirs;
use crate::system::atomic_file::{self, FileMode};
use crate::system::deadline;
use crate::system::host;

const QUERY_TIMEOUT: Duration = Duration::from_secs(1);
/// For people, who wait for the answer.
const INTERACTIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// The name of the folder with the versions that programs told.
pub const TOOL_VERSIONS_DIR: &str = "versions";

/// Starts this program again without the variables that are set but empty, so that they count as not set everywhere, in the SDK
/// and in the programs that it runs, too. Does nothing where there are none. A process cannot change its own environment safely.
pub fn restart_without_empty_env_vars() {
    let empty = host::empty_env_vars();
    let Some(program) = std::env::current_exe().ok().filter(|_| !empty.is_empty()) else { return };
    #[allow(clippy::disallowed_methods)] // the one place that runs other programs
    let mut command = Command::new(program);
    command.args(std::env::args_os().skip(1));
    for name in &empty {
        command.env_remove(name);
    }
    // Where that fails, the program goes on as it is.
    #[cfg(unix)]
    let _ = std::os::unix::process::CommandExt::exec(&mut command);
}

/// What git calls local to a repository (`git rev-parse --local-env-vars`): with these variables, as a git hook has them, git
/// looks at another repository than that of the folder.
const GIT_LOCAL_VARIABLES: [&str; 16] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_COUNT",
    "GIT_OBJECT_DIRECTORY",
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_REPLACE_REF_BASE",
    "GIT_PREFIX",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_COMMON_DIR",
];

/// The commit of the checkout that `folder` lies in; `None` without git or a checkout.
#[must_use]
pub fn read_git_state(folder: &Path) -> Option<GitCommit> {
    let folder = folder.to_string_lossy().into_owned();
    // A look must not write to the user's checkout, as refreshing its index would.
    let arguments = ["--no-optional-locks", "-C", &folder, "status", "--porcelain=v2", "--branch", "--untracked-files=no"];
    parse_git_status(&query_program(Path::new("git"), &arguments)?)
}

/// The versions of the programs that drive us, by asking those among our ancestors.
///
/// An answer is noted in `places` and holds as long as the program's file is the same: asking costs more than all
/// the rest of a deployment's step.
#[must_use]
pub fn detect_tool_versions(places: &StateDirs) -> ToolVersions {
    let mut tools = ToolVersions::own_version_only();
    for (pid, command) in list_ancestors() {
        let name = program_name(&command);
        let program = || std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_else(|_| PathBuf::from(&command));
        match name.as_str() {
            name if is_terraform_name(name) && tools.terraform.is_empty() => {
                tools.terraform = cached_terraform_version(places, &program(), name)
            }
            name if is_terragrunt_name(name) && tools.terragrunt.is_empty() => {
                tools.terragrunt = cached_version(places, &program(), query_terragrunt_version)
            }
            _ => {}
        }
    }
    if let (true, false, Some(tool)) = (tools.terraform.is_empty(), tools.terragrunt.is_empty(), host::env_var("TG_CTX_TF_PATH")) {
        // A hook of Terragrunt has no such ancestor, and is told which tool the unit uses.
        tools.terraform =
            find_program(&tool).map(|program| cached_terraform_version(places, &program, &program_name(&tool))).unwrap_or_default();
    }
    tools
}

fn cached_terraform_version(places: &StateDirs, program: &Path, name: &str) -> String {
    let product = if name == "tofu" { "OpenTofu" } else { "Terraform" };
    cached_version(places, program, |program| query_terraform_version(program, product))
}

/// The run of Terragrunt that we work for: the machine's boot, the process and its start, which no other run shares. `None`
/// without Terragrunt, or where the system does not tell.
#[must_use]
pub fn find_terragrunt_run() -> Option<String> {
    let (pid, _) = list_ancestors().into_iter().find(|(_, command)| is_terragrunt_name(&program_name(command)))?;
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

fn program_name(command: &str) -> String {
    Path::new(command).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn query_terraform_version(program: &Path, product: &str) -> Option<String> {
    parse_terraform_version(&query_program(program, &["version", "-json"])?).map(|version| format!("{product} v{version}"))
}

fn query_terragrunt_version(program: &Path) -> Option<String> {
    let answer = query_program(program, &["--version"])?;
    answer.split_whitespace().next_back().map(|version| version.trim_start_matches('v').to_owned())
}

/// Where the program called `name` is, as a shell finds it: by its path, or in a folder of PATH.
#[must_use]
pub fn find_program(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|path| is_executable_file(path));
    }
    let path = host::env_var("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| is_executable_file(path))
}

fn is_executable_file(path: &Path) -> bool {
    #[cfg(unix)]
    return rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok() && path.is_file();
    #[cfg(not(unix))]
    path.is_file()
}

/// What a program prints when it is asked so; `None` where it fails, or takes longer than people wait.
#[must_use]
pub fn query_program_interactive(program: &Path, arguments: &[&str]) -> Option<String> {
    query_program_within(INTERACTIVE_TIMEOUT, program, arguments)
}

/// Runs a program in `folder` without the variables `unset`, and returns what it printed; `None` where it does not start or
/// does not end within `limit`. Then it is killed with the programs that it started.
#[must_use]
pub fn run_in_dir(folder: &Path, program: &Path, arguments: &[&str], unset: &[&str], limit: Duration) -> Option<Output> {
    #[allow(clippy::disallowed_methods)] // the one place that runs other programs
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env("CHECKPOINT_DISABLE", "1");
    for name in unset {
        command.env_remove(name);
    }
    // A group of its own: what it starts is killed with it, and cannot ask anything on the terminal.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let child = command.spawn().ok()?;
    #[cfg(unix)]
    let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    let output = deadline::run_with_timeout(limit, move || child.wait_with_output().ok()).flatten();
    #[cfg(unix)]
    if let (None, Some(group)) = (&output, group) {
        // It may have ended just now.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    output
}

/// The version of a program as noted, or as it says now; empty where it does not say.
fn cached_version(places: &StateDirs, program: &Path, version: impl Fn(&Path) -> Option<String>) -> String {
    let Some(name) = fingerprint_program(program) else { return version(program).unwrap_or_default() };
    if let Some(noted) = places.subdirs(TOOL_VERSIONS_DIR).find_map(|folder| std::fs::read_to_string(folder.join(&name)).ok()) {
        return noted;
    }
    let version = version(program).unwrap_or_default();
    if !version.is_empty() {
        // Without a note it is asked again.
        let _ = places.write_in(TOOL_VERSIONS_DIR, |folder| {
            atomic_file::write_atomically(&folder.join(&name), &[version.as_bytes()], FileMode::Private)
        });
    }
    version
}

/// Stands for a program's file as it is now.
fn fingerprint_program(program: &Path) -> Option<String> {
    let file = std::fs::metadata(program).ok()?;
    let modified = file.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    let identity = format!("{}\n{}\n{}", program.display(), file.len(), modified.as_nanos());
    Some(sha256_hex(identity.as_bytes()))
}

/// What a program prints, if it ends well and in time.
fn query_program(program: &Path, arguments: &[&str]) -> Option<String> {
    query_program_within(QUERY_TIMEOUT, program, arguments)
}

fn query_program_within(patience: Duration, program: &Path, arguments: &[&str]) -> Option<String> {
    #[allow(clippy::disallowed_methods)] // the one place that runs other programs
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null());
    // The user's flags are for the user's commands, and nobody shall look for a newer release now.
    command.env_remove("TF_CLI_ARGS").env_remove("TF_LOG").env("CHECKPOINT_DISABLE", "1");
    for name in GIT_LOCAL_VARIABLES {
        command.env_remove(name);
    }
    let output = deadline::run_with_timeout(patience, move || command.output().ok()).flatten()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Our ancestors, nearest first: process id and command.
fn list_ancestors() -> Vec<(u32, String)> {
    walk_ancestors(std::process::id(), process_lookup())
}

/// Tells a process's parent and command. A slim container has `/proc` but no `ps`, macOS the reverse.
fn process_lookup() -> impl Fn(u32) -> Option<(u32, String)> {
    let has_proc = Path::new("/proc/self/stat").exists();
    let list = (!has_proc).then(|| parse_ps_output(&query_program(Path::new("ps"), &["-axo", "pid=,ppid=,comm="]).unwrap_or_default()));
    move |pid| match &list {
        Some(list) => list.get(&pid).cloned(),
        None => parse_proc_stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?),
    }
}

/// The ancestors of a process, where `look` gives a process's parent and command.
fn walk_ancestors(of: u32, look: impl Fn(u32) -> Option<(u32, String)>) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    let mut next = look(of).map(|(parent, _)| parent);
    // Processes come and go while one looks, so that there may even be a loop.
    while let Some(pid) = next.filter(|_| found.len() < 32) {
        let Some((parent, command)) = look(pid) else { break };
        found.push((pid, command));
        next = Some(parent);
    }
    found
}

/// Parent and command out of `/proc/PID/stat` (proc(5)); the command stands in brackets and may hold any character.
fn parse_proc_stat(stat: &str) -> Option<(u32, String)> {
    let (head, tail) = stat.rsplit_once(')')?;
    let command = head.split_once('(')?.1;
    Some((tail.split_whitespace().nth(1)?.parse().ok()?, command.to_owned()))
}

/// Parent and command by process id, out of what `ps -o pid=,ppid=,comm=` prints.
fn parse_ps_output(list: &str) -> HashMap<u32, (u32, String)> {
    let parse = |line: &str| {
        let (pid, rest) = line.trim_start().split_once(' ')?;
        let (parent, command) = rest.trim_start().split_once(' ')?;
        Some((pid.parse().ok()?, (parent.parse().ok()?, command.trim().to_owned())))
    };
    list.lines().filter_map(parse).collect()
}

fn parse_terraform_version(answer: &str) -> Option<String> {
    let answer: Value = serde_json::from_str(answer).ok()?;
    answer.get("terraform_version")?.as_str().map(str::to_owned)
}

fn parse_git_status(status: &str) -> Option<GitCommit> {
    let mut git = GitCommit { commit: String::new(), branch: String::new(), dirty: false };
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
        assert_eq!(parse_git_status(clean), Some(GitCommit { commit: "1234".into(), branch: "main".into(), dirty: false }));
        let dirty = "# branch.oid 1234\n# branch.head (detached)\n1 .M N... 100644 100644 100644 a b x\n";
        assert_eq!(parse_git_status(dirty), Some(GitCommit { commit: "1234".into(), branch: String::new(), dirty: true }));
        assert_eq!(parse_git_status("# branch.oid (initial)\n# branch.head main\n"), None);
    }

    #[test]
    fn ancestors_are_found_nearest_first() {
        let list =
            parse_ps_output("    1     0 systemd\n   10     1 terragrunt\n  200    10 tofu\n 3000   200 sh\n 3001  3000 config-backup\n");
        let names: Vec<_> = walk_ancestors(3001, |pid| list.get(&pid).cloned()).into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["sh", "tofu", "terragrunt", "systemd"]);
        let list = parse_ps_output("1 0 /sbin/launchd\n7 1 /Users/jane roe/bin/terraform\n8 7 /bin/sh\n");
        assert_eq!(walk_ancestors(8, |pid| list.get(&pid).cloned())[0], (7, "/Users/jane roe/bin/terraform".to_owned()));
        assert_eq!(walk_ancestors(2, |pid| Some((5 - pid, "loop".to_owned()))).len(), 32);
        assert_eq!(parse_ps_output("garbage\n").len(), 0);
    }

    #[test]
    fn a_process_is_read_as_proc_shows_it() {
        assert_eq!(parse_proc_stat("200 (tofu) S 10 200 200 0 -1 4194304"), Some((10, "tofu".to_owned())));
        assert_eq!(parse_proc_stat("7 (a) b (c)) R 1 7 7 0"), Some((1, "a) b (c)".to_owned())));
        assert_eq!(parse_proc_stat(""), None);
    }

    #[test]
    #[allow(clippy::disallowed_methods)] // git itself says which variables these are
    fn the_variables_that_git_calls_local_are_removed() {
        let output = Command::new("git").args(["rev-parse", "--local-env-vars"]).output().expect("git");
        let names = String::from_utf8_lossy(&output.stdout).into_owned();
        let missing: Vec<&str> = names.lines().filter(|name| !GIT_LOCAL_VARIABLES.contains(name)).collect();
        assert_eq!(missing, [""; 0]);
    }

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
        for (content, version) in [("one", "v1"), ("one", "v1"), ("another", "v2"), ("another", "v2")] {
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
        let answer = "{\n  \"terraform_version\": \"1.11.4\",\n  \"platform\": \"linux_amd64\"\n}\n";
        assert_eq!(parse_terraform_version(answer).as_deref(), Some("1.11.4"));
        assert_eq!(parse_terraform_version("Terraform v1.11.4"), None);
    }
}

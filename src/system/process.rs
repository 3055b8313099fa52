//! Other programs: git, ps, Terraform and Terragrunt. The only file that runs any.
//!
//! Each gets a time limit and nothing on stdin. Callers must expect that there is no answer.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::system::deadline;
use crate::system::env;

const QUERY_TIMEOUT: Duration = Duration::from_secs(1);
/// For commands whose user waits for the answer.
const INTERACTIVE_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_ANCESTORS: usize = 32;

/// Restarts this program without the variables that are set but empty, so that they count as not
/// set in the SDK and in child processes, too.
///
/// A process cannot safely change its own environment. Does nothing if there are no such variables
/// or if the restart fails.
pub fn restart_without_empty_env_vars() {
    let empty = env::empty_env_vars();
    if empty.is_empty() {
        return;
    }
    let Ok(program) = std::env::current_exe() else {
        return;
    };
    let mut command = new_command(&program);
    command.args(std::env::args_os().skip(1));
    for name in &empty {
        command.env_remove(name);
    }
    #[cfg(unix)]
    let _ = std::os::unix::process::CommandExt::exec(&mut command);
}

/// The variables that are local to a repository (`git rev-parse --local-env-vars`). A git hook sets
/// them, and git would then look at that repository instead of the folder's.
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

#[allow(clippy::disallowed_methods)] // the only file that runs other programs
fn new_command(program: &Path) -> Command {
    Command::new(program)
}

/// The name of a program, without its folder.
#[must_use]
pub fn program_name(command: &str) -> String {
    match Path::new(command).file_name() {
        Some(name) => name.to_string_lossy().into_owned(),
        None => String::new(),
    }
}

/// Finds a program as a shell does: by its path, or in a folder of PATH.
#[must_use]
pub fn find_program(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        let path = PathBuf::from(name);
        return is_executable_file(&path).then_some(path);
    }
    let folders = env::env_var("PATH")?;
    std::env::split_paths(&folders)
        .map(|folder| folder.join(name))
        .find(|path| is_executable_file(path))
}

fn is_executable_file(path: &Path) -> bool {
    #[cfg(unix)]
    return rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok() && path.is_file();
    #[cfg(not(unix))]
    path.is_file()
}

/// What a program prints, if it succeeds within a second.
#[must_use]
pub fn query_program(program: &Path, arguments: &[&str]) -> Option<String> {
    query_program_within(QUERY_TIMEOUT, program, arguments)
}

/// What a program prints, if it succeeds within five seconds.
#[must_use]
pub fn query_program_interactive(program: &Path, arguments: &[&str]) -> Option<String> {
    query_program_within(INTERACTIVE_TIMEOUT, program, arguments)
}

fn query_program_within(limit: Duration, program: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = new_command(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    // The user's flags are meant for the user's own commands.
    command.env_remove("TF_CLI_ARGS").env_remove("TF_LOG");
    // Terraform would otherwise look for a newer release.
    command.env("CHECKPOINT_DISABLE", "1");
    for name in GIT_LOCAL_VARIABLES {
        command.env_remove(name);
    }

    let output = deadline::run_with_timeout(limit, move || command.output())?.ok()?;
    if !output.status.success() {
        return None;
    }
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a program in `folder` without the variables `unset`, and returns what it printed.
///
/// Returns `None` if it does not start, or does not end within `limit`. In that case it is killed
/// with the programs that it started.
#[must_use]
pub fn run_in_dir(
    folder: &Path,
    program: &Path,
    arguments: &[&str],
    unset: &[&str],
    limit: Duration,
) -> Option<Output> {
    let mut command = new_command(program);
    command
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env("CHECKPOINT_DISABLE", "1");
    for name in unset {
        command.env_remove(name);
    }
    // In a process group of its own it can be killed with its children, and cannot read from the
    // terminal.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);

    let child = command.spawn().ok()?;
    #[cfg(unix)]
    let process_id = i32::try_from(child.id()).ok();
    let result = deadline::run_with_timeout(limit, move || child.wait_with_output());
    let output = result.and_then(Result::ok);

    #[cfg(unix)]
    if output.is_none()
        && let Some(group) = process_id.and_then(rustix::process::Pid::from_raw)
    {
        // Fails if the program has ended in the meantime.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    output
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AncestorProcess {
    pub process_id: u32,
    pub command: String,
}

/// The ancestors of this process, nearest first.
#[must_use]
pub fn list_ancestors() -> Vec<AncestorProcess> {
    let table = ProcessTable::load();
    walk_ancestors(std::process::id(), |process_id| table.find(process_id))
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct ProcessEntry {
    parent_id: u32,
    command: String,
}

/// Slim containers have `/proc` but no `ps`; macOS has `ps` but no `/proc`.
enum ProcessTable {
    Proc,
    Ps(HashMap<u32, ProcessEntry>),
}

impl ProcessTable {
    fn load() -> Self {
        if Path::new("/proc/self/stat").exists() {
            return Self::Proc;
        }
        let list = query_program(Path::new("ps"), &["-axo", "pid=,ppid=,comm="]);
        Self::Ps(parse_ps_output(&list.unwrap_or_default()))
    }

    fn find(&self, process_id: u32) -> Option<ProcessEntry> {
        match self {
            Self::Proc => {
                let stat = std::fs::read_to_string(format!("/proc/{process_id}/stat")).ok()?;
                parse_proc_stat(&stat)
            }
            Self::Ps(entries) => entries.get(&process_id).cloned(),
        }
    }
}

fn walk_ancestors(
    process_id: u32,
    find: impl Fn(u32) -> Option<ProcessEntry>,
) -> Vec<AncestorProcess> {
    let mut ancestors = Vec::new();
    let Some(entry) = find(process_id) else {
        return ancestors;
    };
    let mut process_id = entry.parent_id;
    // Processes start and end meanwhile, so ids may be reused and even form a loop.
    while ancestors.len() < MAX_ANCESTORS {
        let Some(entry) = find(process_id) else {
            break;
        };
        ancestors.push(AncestorProcess {
            process_id,
            command: entry.command,
        });
        process_id = entry.parent_id;
    }
    ancestors
}

/// Parses `/proc/PID/stat` (proc(5)). The command is in parentheses and may contain any character.
fn parse_proc_stat(stat: &str) -> Option<ProcessEntry> {
    let (head, tail) = stat.rsplit_once(')')?;
    let (_, command) = head.split_once('(')?;
    let parent_id = tail.split_whitespace().nth(1)?;
    Some(ProcessEntry {
        parent_id: parent_id.parse().ok()?,
        command: command.to_owned(),
    })
}

/// Parses the output of `ps -o pid=,ppid=,comm=`.
fn parse_ps_output(list: &str) -> HashMap<u32, ProcessEntry> {
    list.lines().filter_map(parse_ps_line).collect()
}

fn parse_ps_line(line: &str) -> Option<(u32, ProcessEntry)> {
    let (process_id, rest) = line.trim_start().split_once(' ')?;
    let (parent_id, command) = rest.trim_start().split_once(' ')?;
    let entry = ProcessEntry {
        parent_id: parent_id.parse().ok()?,
        command: command.trim().to_owned(),
    };
    Some((process_id.parse().ok()?, entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ancestor_commands(list: &str, process_id: u32) -> Vec<String> {
        let entries = parse_ps_output(list);
        let ancestors = walk_ancestors(process_id, |id| entries.get(&id).cloned());
        ancestors.into_iter().map(|it| it.command).collect()
    }

    fn entry(parent_id: u32, command: &str) -> ProcessEntry {
        ProcessEntry {
            parent_id,
            command: command.to_owned(),
        }
    }

    #[test]
    fn ancestors_are_found_nearest_first() {
        let list = "    1     0 systemd\n   10     1 terragrunt\n  200    10 tofu\n\
                    \x20 3000   200 sh\n 3001  3000 config-backup\n";
        assert_eq!(
            ancestor_commands(list, 3001),
            ["sh", "tofu", "terragrunt", "systemd"]
        );

        let list = "1 0 /sbin/launchd\n7 1 /Users/jane roe/bin/terraform\n8 7 /bin/sh\n";
        assert_eq!(
            ancestor_commands(list, 8),
            ["/Users/jane roe/bin/terraform", "/sbin/launchd"]
        );
        assert_eq!(parse_ps_output("garbage\n").len(), 0);
    }

    #[test]
    fn a_loop_of_parents_ends() {
        let ancestors = walk_ancestors(2, |id| Some(entry(5 - id, "loop")));
        assert_eq!(ancestors.len(), MAX_ANCESTORS);
    }

    #[test]
    fn a_process_is_parsed_as_proc_shows_it() {
        let stat = "200 (tofu) S 10 200 200 0 -1 4194304";
        assert_eq!(parse_proc_stat(stat), Some(entry(10, "tofu")));
        let stat = "7 (a) b (c)) R 1 7 7 0";
        assert_eq!(parse_proc_stat(stat), Some(entry(1, "a) b (c)")));
        assert_eq!(parse_proc_stat(""), None);
    }

    #[test]
    fn the_variables_that_git_calls_local_are_removed() {
        let mut git = new_command(Path::new("git"));
        let output = git.args(["rev-parse", "--local-env-vars"]).output();
        let names = String::from_utf8(output.expect("git").stdout).expect("names");
        for name in names.lines() {
            assert!(GIT_LOCAL_VARIABLES.contains(&name), "{name}");
        }
    }
}

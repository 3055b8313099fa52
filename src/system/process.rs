//! Other programs that are asked something: git, ps, and the tools that drive us. The only module that runs any.
//!
//! Each is asked for a second at most, or five where people wait for it, with nothing on stdin and its stderr thrown away; no answer is an answer, too.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::system::deadline;
use crate::system::host;

const QUERY_TIMEOUT: Duration = Duration::from_secs(1);
/// For people, who wait for the answer.
const INTERACTIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Starts this program again without the variables that are set but empty, so that they count as not set everywhere, in the SDK
/// and in the programs that it runs, too. Does nothing where there are none. A process cannot change its own environment safely.
pub fn restart_without_empty_env_vars() {
    let empty = host::empty_env_vars();
    let Some(program) = std::env::current_exe().ok().filter(|_| !empty.is_empty()) else {
        return;
    };
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

#[must_use]
/// The name of a program, without its folder.
pub fn program_name(command: &str) -> String {
    Path::new(command)
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Where the program called `name` is, as a shell finds it: by its path, or in a folder of PATH.
#[must_use]
pub fn find_program(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|path| is_executable_file(path));
    }
    let path = host::env_var("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| is_executable_file(path))
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
pub fn run_in_dir(
    folder: &Path,
    program: &Path,
    arguments: &[&str],
    unset: &[&str],
    limit: Duration,
) -> Option<Output> {
    #[allow(clippy::disallowed_methods)] // the one place that runs other programs
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.env("CHECKPOINT_DISABLE", "1");
    for name in unset {
        command.env_remove(name);
    }
    // A group of its own: what it starts is killed with it, and cannot ask anything on the terminal.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let child = command.spawn().ok()?;
    #[cfg(unix)]
    let group = i32::try_from(child.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    let output = deadline::run_with_timeout(limit, move || child.wait_with_output().ok()).flatten();
    #[cfg(unix)]
    if let (None, Some(group)) = (&output, group) {
        // It may have ended just now.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    output
}

/// What a program prints, if it ends well and in time.
#[must_use]
pub fn query_program(program: &Path, arguments: &[&str]) -> Option<String> {
    query_program_within(QUERY_TIMEOUT, program, arguments)
}

fn query_program_within(patience: Duration, program: &Path, arguments: &[&str]) -> Option<String> {
    #[allow(clippy::disallowed_methods)] // the one place that runs other programs
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    // The user's flags are for the user's commands, and nobody shall look for a newer release now.
    command
        .env_remove("TF_CLI_ARGS")
        .env_remove("TF_LOG")
        .env("CHECKPOINT_DISABLE", "1");
    for name in GIT_LOCAL_VARIABLES {
        command.env_remove(name);
    }
    let output = deadline::run_with_timeout(patience, move || command.output().ok()).flatten()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Our ancestors, nearest first: process id and command.
#[must_use]
pub fn list_ancestors() -> Vec<(u32, String)> {
    walk_ancestors(std::process::id(), process_lookup())
}

/// Tells a process's parent and command. A slim container has `/proc` but no `ps`, macOS the reverse.
fn process_lookup() -> impl Fn(u32) -> Option<(u32, String)> {
    let has_proc = Path::new("/proc/self/stat").exists();
    let list = (!has_proc).then(|| {
        parse_ps_output(
            &query_program(Path::new("ps"), &["-axo", "pid=,ppid=,comm="]).unwrap_or_default(),
        )
    });
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
        let Some((parent, command)) = look(pid) else {
            break;
        };
        found.push((pid, command));
        next = Some(parent);
    }
    found
}

/// Parent and command out of `/proc/PID/stat` (proc(5)); the command stands in brackets and may hold any character.
fn parse_proc_stat(stat: &str) -> Option<(u32, String)> {
    let (head, tail) = stat.rsplit_once(')')?;
    let command = head.split_once('(')?.1;
    Some((
        tail.split_whitespace().nth(1)?.parse().ok()?,
        command.to_owned(),
    ))
}

/// Parent and command by process id, out of what `ps -o pid=,ppid=,comm=` prints.
fn parse_ps_output(list: &str) -> HashMap<u32, (u32, String)> {
    let parse = |line: &str| {
        let (pid, rest) = line.trim_start().split_once(' ')?;
        let (parent, command) = rest.trim_start().split_once(' ')?;
        Some((
            pid.parse().ok()?,
            (parent.parse().ok()?, command.trim().to_owned()),
        ))
    };
    list.lines().filter_map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ancestors_are_found_nearest_first() {
        let list = parse_ps_output(
            "    1     0 systemd\n   10     1 terragrunt\n  200    10 tofu\n 3000   200 sh\n 3001  3000 config-backup\n",
        );
        let names: Vec<_> = walk_ancestors(3001, |pid| list.get(&pid).cloned())
            .into_iter()
            .map(|(_, name)| name)
            .collect();
        assert_eq!(names, ["sh", "tofu", "terragrunt", "systemd"]);
        let list =
            parse_ps_output("1 0 /sbin/launchd\n7 1 /Users/jane roe/bin/terraform\n8 7 /bin/sh\n");
        assert_eq!(
            walk_ancestors(8, |pid| list.get(&pid).cloned())[0],
            (7, "/Users/jane roe/bin/terraform".to_owned())
        );
        assert_eq!(
            walk_ancestors(2, |pid| Some((5 - pid, "loop".to_owned()))).len(),
            32
        );
        assert_eq!(parse_ps_output("garbage\n").len(), 0);
    }

    #[test]
    fn a_process_is_read_as_proc_shows_it() {
        assert_eq!(
            parse_proc_stat("200 (tofu) S 10 200 200 0 -1 4194304"),
            Some((10, "tofu".to_owned()))
        );
        assert_eq!(
            parse_proc_stat("7 (a) b (c)) R 1 7 7 0"),
            Some((1, "a) b (c)".to_owned()))
        );
        assert_eq!(parse_proc_stat(""), None);
    }

    #[test]
    #[allow(clippy::disallowed_methods)] // git itself says which variables these are
    fn the_variables_that_git_calls_local_are_removed() {
        let output = Command::new("git")
            .args(["rev-parse", "--local-env-vars"])
            .output()
            .expect("git");
        let names = String::from_utf8_lossy(&output.stdout).into_owned();
        let missing: Vec<&str> = names
            .lines()
            .filter(|name| !GIT_LOCAL_VARIABLES.contains(name))
            .collect();
        assert_eq!(missing, [""; 0]);
    }
}

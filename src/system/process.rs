//! Other programs: git, ps, Terraform and Terragrunt. The only file that runs any.
//!
//! Each is run by its absolute path, gets a time limit and nothing on stdin. Callers must expect that
//! the answer is missing.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::system::child_group::{ChildGroup, run_child};
use crate::system::env;

const QUERY_TIMEOUT: Duration = Duration::from_secs(1);
/// For commands whose user waits for the answer.
const INTERACTIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// A program that prints more is ended. `git status` prints a line for each changed file.
const MAX_OUTPUT_BYTES: u64 = 16 << 20;
/// How executables begin (ELF, and Mach-O in both byte orders, for one or several processors).
/// Others are scripts.
const EXECUTABLE_MAGIC: [[u8; 4]; 6] = [
    [0x7f, b'E', b'L', b'F'],
    [0xfe, 0xed, 0xfa, 0xce],
    [0xfe, 0xed, 0xfa, 0xcf],
    [0xce, 0xfa, 0xed, 0xfe],
    [0xcf, 0xfa, 0xed, 0xfe],
    [0xca, 0xfe, 0xba, 0xbe],
];

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
    let Some(mut command) = new_command(&program) else {
        return;
    };
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

/// `None` for a relative path: it would be looked up in PATH or in the current folder, where anybody
/// may have put another program.
#[allow(clippy::disallowed_methods)] // the only file that runs other programs
fn new_command(program: &Path) -> Option<Command> {
    program.is_absolute().then(|| Command::new(program))
}

/// The name of a program, without its folder.
#[must_use]
pub fn program_name(command: &str) -> String {
    match Path::new(command).file_name() {
        Some(name) => name.to_string_lossy().into_owned(),
        None => String::new(),
    }
}

/// Finds a program by its absolute path, or in an absolute folder of PATH. A shell also looks into
/// the current folder if PATH names it, and into a customer's.
#[must_use]
pub fn find_program(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        let path = PathBuf::from(name);
        return (path.is_absolute() && is_executable_file(&path)).then_some(path);
    }
    match find_customer_folder() {
        Some(folder) => list_trusted_programs(name, &folder).into_iter().next(),
        None => list_programs(name).into_iter().next(),
    }
}

/// The customer's folder in which, or in whose unit, this program runs.
fn find_customer_folder() -> Option<PathBuf> {
    let folders = [".", ".."].map(PathBuf::from);
    folders
        .into_iter()
        .find(|folder| folder.join("config.yaml").exists())
}

/// The absolute folders of PATH.
fn absolute_path_folders() -> Vec<PathBuf> {
    let folders = env::env_var("PATH").unwrap_or_default();
    std::env::split_paths(&folders)
        .filter(|folder| folder.is_absolute())
        .collect()
}

/// The programs called `name` in the absolute folders of PATH.
fn list_programs(name: &str) -> Vec<PathBuf> {
    absolute_path_folders()
        .into_iter()
        .map(|folder| folder.join(name))
        .filter(|path| is_executable_file(path))
        .collect()
}

/// The programs called `name` in PATH that may run during a deployment: not those in `folder`, nor
/// in the current folder. Who writes a customer's files must not choose what runs.
fn list_trusted_programs(name: &str, folder: &Path) -> Vec<PathBuf> {
    if name.is_empty() || name.contains('/') {
        return Vec::new();
    }
    let untrusted_folders = [folder.canonicalize(), Path::new(".").canonicalize()];
    let mut programs = list_programs(name);
    programs.retain(|path| {
        let places = [path.canonicalize().ok(), canonical_parent(path)];
        let is_trusted = |place: &PathBuf| {
            let mut untrusted = untrusted_folders.iter().flatten();
            // The root folder holds everything.
            !untrusted.any(|folder| folder.parent().is_some() && place.starts_with(folder))
        };
        places
            .iter()
            .all(|place| place.as_ref().is_some_and(is_trusted))
    });
    programs
}

fn canonical_parent(path: &Path) -> Option<PathBuf> {
    path.parent()?.canonicalize().ok()
}

/// Finds a program in PATH for a deployment of the customer in `folder`. Prefers an executable to a
/// script that wraps it, because a script may run anything.
#[must_use]
pub fn find_trusted_program(name: &str, folder: &Path) -> Option<PathBuf> {
    let programs = list_trusted_programs(name, folder);
    let executable = programs.iter().find(|path| is_native_executable(path));
    executable.or(programs.first()).cloned()
}

/// As [`find_trusted_program`], but only `file` itself, which may have another name behind a link.
/// `None` if it is a script, or not in PATH.
#[must_use]
pub fn find_trusted_file(name: &str, file: &Path, folder: &Path) -> Option<PathBuf> {
    let file = file.canonicalize().ok()?;
    let programs = list_trusted_programs(name, folder);
    programs
        .into_iter()
        .find(|path| is_native_executable(path) && path.canonicalize().is_ok_and(|it| it == file))
}

/// Whether a file is a program itself, and not a script that another program reads.
fn is_native_executable(path: &Path) -> bool {
    let mut magic = [0; 4];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    read.is_ok() && EXECUTABLE_MAGIC.contains(&magic)
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
    query_program_within(
        QUERY_TIMEOUT,
        program,
        arguments,
        QueryEnvironment::Inherited,
    )
}

/// As [`query_program`], for a program that has to find no other file or program: `terragrunt
/// --version` would run what PATH has as `tofu`.
#[must_use]
pub fn query_program_alone(program: &Path, arguments: &[&str]) -> Option<String> {
    let environment = QueryEnvironment::Alone;
    query_program_within(QUERY_TIMEOUT, program, arguments, environment)
}

/// What a program prints, if it succeeds within five seconds.
#[must_use]
pub fn query_program_interactive(program: &Path, arguments: &[&str]) -> Option<String> {
    query_program_within(
        INTERACTIVE_TIMEOUT,
        program,
        arguments,
        QueryEnvironment::Inherited,
    )
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum QueryEnvironment {
    /// The folder of this program, and the absolute folders of its PATH.
    Inherited,
    /// The root folder, and nothing in PATH.
    Alone,
}

fn query_program_within(
    limit: Duration,
    program: &Path,
    arguments: &[&str],
    environment: QueryEnvironment,
) -> Option<String> {
    let mut command = new_command(program)?;
    command.args(arguments).stderr(Stdio::null());
    match environment {
        QueryEnvironment::Inherited => {
            if let Ok(folders) = std::env::join_paths(absolute_path_folders()) {
                command.env("PATH", folders);
            }
        }
        QueryEnvironment::Alone => {
            command.current_dir("/").env("PATH", "/nonexistent");
        }
    }
    // The user's flags are meant for the user's own commands.
    for name in ["TF_CLI_ARGS", "TF_CLI_ARGS_version", "TF_LOG"] {
        command.env_remove(name);
    }
    // Terraform would otherwise look for a newer release.
    command.env("CHECKPOINT_DISABLE", "1");
    for name in GIT_LOCAL_VARIABLES {
        command.env_remove(name);
    }

    let output = run_child(command, limit, MAX_OUTPUT_BYTES)?;
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
    let mut command = new_command(program)?;
    command
        .args(arguments)
        .current_dir(folder)
        .stderr(Stdio::piped())
        .env("CHECKPOINT_DISABLE", "1");
    for name in unset {
        command.env_remove(name);
    }
    // In a process group of its own it cannot read from the terminal, either.
    run_child(command, limit, MAX_OUTPUT_BYTES)
}

#[allow(clippy::disallowed_methods)] // the only file that runs other programs
fn shell_command(line: &str) -> Command {
    #[cfg(not(windows))]
    {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", line]);
        command
    }
    #[cfg(windows)]
    {
        let mut command = Command::new("cmd.exe");
        std::os::windows::process::CommandExt::raw_arg(&mut command, format!("/C \"{line}\""));
        command
    }
}

/// Runs a line of the shell and returns what it printed. If the future is dropped, all that it
/// started ends.
///
/// # Errors
/// It cannot be started, or prints too much.
pub async fn run_shell_line(line: &str) -> io::Result<Output> {
    let mut command = shell_command(line);
    command.stderr(Stdio::piped());
    let group = ChildGroup::default();
    let _guard = group.end_on_drop();
    let run = move || group.run(command, MAX_OUTPUT_BYTES);
    match tokio::task::spawn_blocking(run).await {
        Ok(output) => output,
        Err(error) => Err(io::Error::other(error)),
    }
}

/// Asks `ps`.
#[must_use]
pub fn query_ps(arguments: &[&str]) -> Option<String> {
    query_program(&find_program("ps")?, arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_path_is_never_run() {
        for name in ["git", "./git", "bin/git", ""] {
            assert!(new_command(Path::new(name)).is_none(), "{name}");
        }
        assert_eq!(find_program("./Cargo.toml"), None);
        assert_eq!(find_trusted_program("/bin/sh", Path::new("/nowhere")), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_script_is_told_from_an_executable() {
        let shell = find_program("sh").expect("a shell");
        assert!(is_native_executable(&shell));
        assert!(!is_native_executable(Path::new("/dev/null")));
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        assert!(!is_native_executable(Path::new(manifest)));
    }

    #[cfg(unix)]
    #[test]
    fn a_hanging_or_endless_program_gives_no_answer() {
        let shell = find_program("sh").expect("a shell");
        let ask = |script: &str| query_program(&shell, &["-c", script]);
        assert_eq!(ask("echo 1").as_deref(), Some("1\n"));
        assert_eq!(ask("echo 1; exit 1"), None);
        assert_eq!(ask("echo 1; sleep 600"), None);
        assert_eq!(ask("while :; do echo 1234567890; done"), None);
    }

    #[test]
    fn the_variables_that_git_calls_local_are_removed() {
        let git = find_program("git").expect("git in PATH");
        let mut git = new_command(&git).expect("an absolute path");
        let output = git.args(["rev-parse", "--local-env-vars"]).output();
        let names = String::from_utf8(output.expect("git").stdout).expect("names");
        for name in names.lines() {
            assert!(GIT_LOCAL_VARIABLES.contains(&name), "{name}");
        }
    }
}

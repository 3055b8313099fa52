//! Runs the helper under strace: it records every system call for files and the network, and can
//! make one of them fail.
//!
//! strace counts the calls of each thread from the moment it attaches. It attaches when the helper
//! waits for its query, so calls of the dynamic loader are never hit. Linux only.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;

use crate::trial_runner::StepResult;
use test_support::{World, helper_path};

/// Starts the helper, waits until it reads its query, and becomes strace, because only a parent may
/// trace it everywhere. `PATH` is empty, so that the helper starts no programs whose calls would
/// count. The folder is `/`, so that no call names another.
const ATTACH_SCRIPT: &str = r#"
out=$1 inject=$2
shift 2
cd /
case $(uname -m) in x86_64) read=0 ;; *) read=63 ;; esac
exec 3<&0
PATH=/nonexistent "$@" <&3 3<&- >"$out/stdout" 2>"$out/stderr" &
reads() {
  for thread in "/proc/$!/task"/*/syscall; do
    ! { IFS= read -r call <"$thread" && [ "${call#"$read 0x0 "}" != "$call" ]; } || return 0
  done
  return 1
}
while [ -d "/proc/$!" ] && ! reads; do :; done
exec 3<&-
exec strace -f -ff -y -s 0 -e signal=KILL,INT -e trace=%file,%desc,%network ${inject:+-e "inject=$inject"} -o "$out/trace" -p $!
"#;

/// The same for a command that reads no query: the trace includes the loader, but none of its files
/// belong to the helper.
const START_SCRIPT: &str = r#"
out=$1 inject=$2
shift 2
cd /
exec 9>&2
exec strace -f -ff -y -s 0 -e signal=KILL,INT -e trace=%file,%desc,%network ${inject:+-e "inject=$inject"} -o "$out/trace" \
    /bin/sh -c 'echo attached >&9; exec 9>&-; out=$1; shift; PATH=/nonexistent; export PATH; exec "$@" >"$out/stdout" 2>"$out/stderr"' sh "$out" "$@"
"#;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SystemCall {
    pub(crate) name: String,
    /// The number among calls of its name in its thread, counted from 1 as by `when=` of strace.
    pub(crate) number: usize,
    /// Arguments and result, with the paths of files.
    pub(crate) rest: String,
}

/// The system calls of a run of the helper.
#[derive(Debug)]
pub(crate) struct SystemCallTrace {
    /// The calls of each thread, in order.
    pub(crate) threads: Vec<Vec<SystemCall>>,
    /// Whether a signal killed it.
    pub(crate) killed: bool,
    /// Whether it got a SIGINT.
    pub(crate) interrupted: bool,
}

impl SystemCall {
    /// Whether strace put a fault into it.
    pub(crate) fn is_hit(&self) -> bool {
        self.rest.contains("(INJECTED)")
    }

    /// Whether it is about a file below `folder`.
    pub(crate) fn is_below(&self, folder: &Path) -> bool {
        self.rest.contains(folder.to_str().expect("UTF-8"))
    }

    /// Whether it is about a file, and not a socket, pipe or event queue.
    pub(crate) fn is_about_a_file(&self) -> bool {
        self.rest.contains("</") || self.rest.contains("\"/")
    }

    /// Whether it uses or creates a socket.
    pub(crate) fn is_of_the_network(&self) -> bool {
        self.rest.contains("<socket:") || self.rest.contains("<TCP") || self.name == "socket"
    }

    pub(crate) fn succeeded(&self) -> bool {
        self.rest
            .rsplit_once(" = ")
            .is_some_and(|(_, result)| result.starts_with(|first: char| first.is_ascii_digit()))
    }
}

impl SystemCallTrace {
    pub(crate) fn calls(&self) -> impl Iterator<Item = &SystemCall> {
        self.threads.iter().flatten()
    }

    /// The files that were renamed into `folder` before an fsync of it returned: these are durable.
    pub(crate) fn spooled_files_in(&self, folder: &Path) -> Vec<String> {
        let folder = folder.to_str().expect("UTF-8");
        let mut kept = Vec::new();
        for thread in &self.threads {
            let mut moved = Vec::new();
            for call in thread.iter().filter(|call| call.succeeded()) {
                if call.name.starts_with("rename") {
                    let to = call.rest.rsplit('"').nth(1).unwrap_or_default();
                    moved.extend(
                        to.strip_prefix(folder)
                            .map(|name| name.trim_start_matches('/').to_owned()),
                    );
                } else if call.name == "fsync" && call.rest.contains(&format!("<{folder}>")) {
                    kept.append(&mut moved);
                }
            }
        }
        kept
    }
}

/// Runs a command of the helper under strace; `inject` is a fault for `-e inject=`, or empty.
pub(crate) fn run_traced(
    world: &World,
    step: &str,
    query: Option<&Value>,
    inject: &str,
) -> (StepResult, SystemCallTrace) {
    let out = tempfile::tempdir().expect("a folder");
    let mut command = world.command("/bin/sh");
    command
        .args([
            "-c",
            if query.is_some() {
                ATTACH_SCRIPT
            } else {
                START_SCRIPT
            },
            "sh",
        ])
        .arg(out.path())
        .arg(inject)
        .arg(helper_path())
        .arg(step);
    let started = Instant::now();
    let said = feed_when_attached(command, query);
    let took = started.elapsed();
    let read = |name: &str| fs::read_to_string(out.path().join(name)).unwrap_or_default();
    let (trace, exit) = read_traces(out.path());
    assert!(
        exit.is_some() || trace.killed,
        "strace saw no end of `{step}`: {said}"
    );
    (
        StepResult {
            exit,
            output: read("stdout"),
            errors: read("stderr"),
            took,
        },
        trace,
    )
}

/// Sends the query once strace is attached, and waits for the end.
fn feed_when_attached(mut command: Command, query: Option<&Value>) -> String {
    let mut shell = command
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("a shell");
    let mut messages = BufReader::new(shell.stderr.take().expect("a pipe"));
    let mut said = String::new();
    while messages.read_line(&mut said).expect("text") > 0 && !said.contains("attached") {}
    assert!(
        said.contains("attached"),
        "strace cannot look at the helper; is it installed (tools/install strace)? {said}"
    );
    let mut input = shell.stdin.take().expect("a pipe");
    // A helper that was killed before it read its query has closed the pipe.
    let _ = query.map(|query| input.write_all(query.to_string().as_bytes()));
    drop(input);
    messages.read_to_string(&mut said).expect("text");
    shell.wait().expect("it ends");
    said
}

/// Reads the trace of each thread, and the exit code of the helper, which each trace has.
fn read_traces(folder: &Path) -> (SystemCallTrace, Option<i32>) {
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.retain(|path| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("trace."))
    });
    // The main thread comes first. It starts with `execve`; thread ids do not show the order
    // because they wrap around.
    files.sort_by_key(|path| {
        let is_started_by_strace = fs::read_to_string(path)
            .expect("a trace")
            .starts_with("execve(");
        (
            !is_started_by_strace,
            path.extension()
                .and_then(|number| number.to_str()?.parse::<u32>().ok()),
        )
    });
    let (mut trace, mut exit) = (
        SystemCallTrace {
            threads: Vec::new(),
            killed: false,
            interrupted: false,
        },
        None,
    );
    for path in files {
        let text = fs::read_to_string(path).expect("a trace");
        let mut counts = BTreeMap::new();
        trace.threads.push(
            text.lines()
                .filter_map(|line| parse_call(line, &mut counts))
                .collect(),
        );
        trace.killed |= text.contains("+++ killed by SIG");
        trace.interrupted |= text.contains("--- SIGINT ");
        let code = text
            .rsplit_once("+++ exited with ")
            .and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
        exit = exit.or(code);
    }
    (trace, exit)
}

fn parse_call(line: &str, counts: &mut BTreeMap<String, usize>) -> Option<SystemCall> {
    let (name, rest) = line.split_once('(')?;
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return None;
    }
    let number = counts.entry(name.to_owned()).or_default();
    *number += 1;
    Some(SystemCall {
        name: name.to_owned(),
        number: *number,
        rest: rest.to_owned(),
    })
}

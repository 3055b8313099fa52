//! Runs a program in a process group of its own, with a limit on its time and its output. When the
//! wait for it ends, the whole group ends: what the program started must not stay behind.

use std::io::{self, Read};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

#[cfg(unix)]
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::system::{deadline, panics, signals};

/// The groups that run now.
static RUNNING_GROUPS: Mutex<Vec<ChildGroup>> = Mutex::new(Vec::new());
/// Whether this program ends, so that it must not start another one.
static IS_ENDING: AtomicBool = AtomicBool::new(false);
/// How many children are being started, which no group knows yet.
static STARTING_COUNT: Mutex<usize> = Mutex::new(0);
static STARTING_CHANGED: Condvar = Condvar::new();
/// How long the end of this program waits for them. A start on a dead mount takes for ever.
const MAX_START_TIME: Duration = Duration::from_millis(200);

/// The process group of a child. A clone is the same group.
#[derive(Debug, Clone, Default)]
pub(super) struct ChildGroup(Arc<Mutex<GroupState>>);

/// Ends a group when it is dropped.
#[derive(Debug)]
pub(super) struct GroupGuard(ChildGroup);

#[derive(Debug, Default)]
enum GroupState {
    #[default]
    NotStarted,
    #[cfg_attr(not(unix), allow(dead_code))]
    Running(u32),
    Ended,
}

/// Runs a program and returns its output. Returns `None` if it cannot be started, takes longer than
/// `limit`, or prints more than `max_bytes`.
pub(super) fn run_child(command: Command, limit: Duration, max_bytes: u64) -> Option<Output> {
    let group = ChildGroup::default();
    let _guard = group.end_on_drop();
    deadline::run_with_timeout(limit, move || group.run(command, max_bytes))?.ok()
}

/// Ends all groups, before this program ends.
pub fn end_all_children() {
    IS_ENDING.store(true, Ordering::SeqCst);
    let count = lock(&STARTING_COUNT);
    drop(STARTING_CHANGED.wait_timeout_while(count, MAX_START_TIME, |count| *count > 0));
    let groups = lock(&RUNNING_GROUPS).clone();
    for group in groups {
        group.end();
    }
}

impl ChildGroup {
    pub(super) fn end_on_drop(&self) -> GroupGuard {
        GroupGuard(self.clone())
    }

    /// Runs a program until it ends and closes its output, or until [`ChildGroup::end`].
    ///
    /// # Errors
    /// It cannot be started, or prints more than `max_bytes`.
    pub(super) fn run(&self, mut command: Command, max_bytes: u64) -> io::Result<Output> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        signals::end_children_on_interrupt();

        let mut child = self.spawn(command)?;
        let output = self.collect(&mut child, max_bytes);
        // The child has not been waited for, so its id still belongs to it and to its group.
        self.end();
        let status = child.wait()?;
        let (stdout, stderr) = output?;
        Ok(Output {
            status,
            stdout,
            stderr,
        })
    }

    /// Starts a child so that [`end_all_children`] cannot miss it.
    fn spawn(&self, mut command: Command) -> io::Result<Child> {
        *lock(&STARTING_COUNT) += 1;
        let started = if IS_ENDING.load(Ordering::SeqCst) {
            Err(io::Error::other("this program ends"))
        } else {
            command.spawn()
        };
        if let Ok(child) = &started {
            self.begin(child.id());
        }
        *lock(&STARTING_COUNT) -= 1;
        STARTING_CHANGED.notify_all();
        started
    }

    fn collect(&self, child: &mut Child, max_bytes: u64) -> io::Result<(Vec<u8>, Vec<u8>)> {
        let stdout = self.spawn_reader(child.stdout.take(), max_bytes)?;
        let stderr = self.spawn_reader(child.stderr.take(), max_bytes)?;
        wait_without_reaping(child);
        // What it started and left behind may hold its pipes open.
        self.end();
        let receive = |reader: mpsc::Receiver<Option<io::Result<Vec<u8>>>>| match reader.recv() {
            Ok(Some(bytes)) => bytes,
            _ => Err(io::Error::other("the thread that reads a pipe ended")),
        };
        Ok((receive(stdout)?, receive(stderr)?))
    }

    /// Reads a pipe on a thread of its own. Too much output ends the group.
    fn spawn_reader(
        &self,
        pipe: Option<impl Read + Send + 'static>,
        max_bytes: u64,
    ) -> io::Result<mpsc::Receiver<Option<io::Result<Vec<u8>>>>> {
        let group = self.clone();
        panics::spawn_for_result(move || {
            let bytes = read_limited(pipe, max_bytes);
            if bytes.is_err() {
                group.end();
            }
            bytes
        })
    }

    fn begin(&self, process_id: u32) {
        let was_ended = {
            let mut state = lock(&self.0);
            let was_ended = matches!(*state, GroupState::Ended);
            *state = GroupState::Running(process_id);
            was_ended
        };
        lock(&RUNNING_GROUPS).push(self.clone());
        if was_ended || IS_ENDING.load(Ordering::SeqCst) {
            self.end();
        }
    }

    /// Ends what runs in the group, and what is started later.
    fn end(&self) {
        let mut state = lock(&self.0);
        #[cfg(unix)]
        if let GroupState::Running(process_id) = *state
            && let Some(group) = to_pid(process_id)
        {
            // Fails if all of it has ended in the meantime.
            let _ = kill_process_group(group, Signal::KILL);
        }
        *state = GroupState::Ended;
        drop(state);
        lock(&RUNNING_GROUPS).retain(|other| !Arc::ptr_eq(&other.0, &self.0));
    }
}

impl Drop for GroupGuard {
    fn drop(&mut self) {
        self.0.end();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(unix)]
fn to_pid(process_id: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(process_id).ok()?)
}

#[cfg_attr(not(unix), allow(unused_variables))]
fn wait_without_reaping(child: &Child) {
    #[cfg(unix)]
    if let Some(process_id) = to_pid(child.id()) {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(process_id), options) {}
    }
}

fn read_limited(pipe: Option<impl Read>, max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let Some(pipe) = pipe else {
        return Ok(bytes);
    };
    pipe.take(max_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        let message = format!("it printed more than {max_bytes} bytes");
        return Err(io::Error::other(message));
    }
    Ok(bytes)
}

#[cfg(all(test, unix))]
mod tests {
    use std::time::Instant;

    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    #[allow(clippy::disallowed_methods)] // a test of what runs programs
    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).stderr(Stdio::piped());
        command
    }

    /// Whether a process group ends soon.
    fn has_ended(group: &str) -> bool {
        let group = to_pid(group.trim().parse().expect("an id")).expect("a group");
        let started = Instant::now();
        while started.elapsed() < LONG {
            if rustix::process::test_kill_process_group(group).is_err() {
                return true;
            }
            std::thread::yield_now();
        }
        false
    }

    #[test]
    fn a_program_returns_its_output_and_what_it_started_ends() {
        let script = "sleep 300 >/dev/null 2>&1 & echo $$; echo error >&2; exit 3";
        let output = run_child(shell(script), LONG, 100).expect("an output");
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(output.stderr, b"error\n");
        assert!(has_ended(&String::from_utf8_lossy(&output.stdout)));
    }

    #[test]
    fn a_program_that_hangs_ends_with_what_it_started() {
        let folder = tempfile::tempdir().expect("a folder");
        let note = folder.path().join("group");
        let script = format!("echo $$ >'{}'; sleep 300 & wait", note.display());
        // Long enough to begin on a busy machine.
        let output = run_child(shell(&script), Duration::from_secs(2), 100);
        assert!(output.is_none());
        assert!(has_ended(&std::fs::read_to_string(note).expect("a note")));
    }

    #[test]
    fn endless_output_ends_the_program() {
        for script in ["yes", "yes >&2"] {
            let started = Instant::now();
            assert!(run_child(shell(script), LONG, 1 << 16).is_none());
            assert!(started.elapsed() < LONG);
        }
    }
}

//! A helper process that can be killed while it runs.

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Processes that run one after the other; a thread of the proxy may kill one while this one waits for what it prints.
#[derive(Clone, Default)]
pub(crate) struct KillableHelper {
    child: Arc<Mutex<Option<Child>>>,
    killed: Arc<AtomicBool>,
}

impl KillableHelper {
    /// Runs a command to its end; gives nothing if it was killed.
    pub(crate) fn run(&self, mut command: Command, input: &[u8]) -> Option<Output> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let (mut stdin, mut out, mut err) = (
            child.stdin.take().expect("a pipe"),
            child.stdout.take().expect("a pipe"),
            child.stderr.take().expect("a pipe"),
        );
        *self.child.lock().expect("no panic") = Some(child);
        // Whoever does not read its input may close it: that is its right.
        let _ = stdin.write_all(input);
        drop(stdin);
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        out.read_to_end(&mut stdout).expect("what it prints");
        err.read_to_end(&mut stderr).expect("what it prints");
        let mut child = self
            .child
            .lock()
            .expect("no panic")
            .take()
            .expect("it runs");
        let status = child.wait().expect("it ends");
        status.code().is_some().then_some(Output {
            status,
            stdout,
            stderr,
        })
    }

    /// Kills it, if it still runs.
    pub(crate) fn kill(&self) {
        if let Some(child) = self.child.lock().expect("no panic").as_mut() {
            child.kill().expect("it is killed");
            self.killed.store(true, Ordering::SeqCst);
        }
    }

    /// Whether one was killed.
    pub(crate) fn was_killed(&self) -> bool {
        self.killed.load(Ordering::SeqCst)
    }
}

//! A helper process that can be killed while it runs.

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Runs one process at a time, which a thread of the proxy may kill meanwhile.
#[derive(Clone, Default)]
pub(crate) struct KillableHelper {
    child: Arc<Mutex<Option<Child>>>,
    killed: Arc<AtomicBool>,
}

impl KillableHelper {
    /// Runs a command; `None` if it was killed.
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
        // A process may close its input without reading it.
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

    pub(crate) fn kill(&self) {
        if let Some(child) = self.child.lock().expect("no panic").as_mut() {
            child.kill().expect("it is killed");
            self.killed.store(true, Ordering::SeqCst);
        }
    }

    pub(crate) fn was_killed(&self) -> bool {
        self.killed.load(Ordering::SeqCst)
    }
}

//! After a panic: one line, and the thread does not continue.
//!
//! The release is built without unwinding (`panic = "abort"`), because that makes the executable a
//! tenth smaller. So nothing can catch a panic. Instead, the panic hook stops a thread of
//! [`spawn_thread`] for good, and on any other thread it ends the program.
//!
//! The panic's message is dropped, because it may contain a secret.

use std::cell::Cell;
use std::io;
use std::panic::{self, Location, PanicHookInfo};
use std::process;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind};
use crate::exit_code::ExitCode;
use crate::system::{child_group, pipes};

/// How long a message that no process reads may delay the end.
const MAX_MESSAGE_TIME: Duration = Duration::from_millis(300);

static LAST_PANIC_LOCATION: Mutex<String> = Mutex::new(String::new());

type PanicHandler = Box<dyn FnOnce()>;

thread_local! {
    static PANIC_HANDLER: Cell<Option<PanicHandler>> = const { Cell::new(None) };
}

/// From now on a panic on a thread of [`spawn_thread`] stops that thread. On any other thread it
/// prints one line and ends the program with `exit_code`.
pub fn install_panic_hook(exit_code: ExitCode) {
    panic::set_hook(Box::new(move |panic| {
        if !stop_spawned_thread(panic) {
            let line = format!("config-backup: {}\n", last_panic_error());
            let deadline = Instant::now() + MAX_MESSAGE_TIME;
            let _ = pipes::write_until(io::stderr(), line.into_bytes(), deadline);
            child_group::end_all_children();
            process::exit(exit_code.code().into());
        }
    }));
}

/// Whether this is a thread of [`spawn_thread`]. In a release it does not return on such a thread.
fn stop_spawned_thread(panic: &PanicHookInfo<'_>) -> bool {
    let location = match panic.location() {
        Some(location) => describe_location(location),
        None => String::new(),
    };
    *LAST_PANIC_LOCATION
        .lock()
        .unwrap_or_else(PoisonError::into_inner) = location;

    let Ok(Some(tell_panic)) = PANIC_HANDLER.try_with(Cell::take) else {
        return false;
    };
    tell_panic();
    // Where there is unwinding, as in tests, it ends the thread.
    while cfg!(panic = "abort") {
        thread::park();
    }
    true
}

fn describe_location(location: &Location<'_>) -> String {
    let file = location.file();
    // The folder before `src` is that of the machine that built the program.
    let file = match file.rsplit_once("/src/") {
        Some((_, file)) => file,
        None => file,
    };
    format!(" at {file}:{}", location.line())
}

/// The error that stands for the last panic.
#[must_use]
pub fn last_panic_error() -> Error {
    let location = LAST_PANIC_LOCATION
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let message = format!("cannot continue: internal error of config-backup{location}");
    let hint = "report it with the version and the command; \
                or try again with a higher limit on open files (`ulimit -n`)";
    Error::new(ErrorKind::Local, message, hint)
}

/// Starts a thread for `work`. If `work` panics, the thread calls `tell_panic`. In a release it then
/// never ends, and what it holds is not dropped.
///
/// # Errors
/// The thread cannot be started.
pub fn spawn_thread(
    work: impl FnOnce() + Send + 'static,
    tell_panic: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    let run = move || {
        PANIC_HANDLER.set(Some(Box::new(tell_panic)));
        work();
        PANIC_HANDLER.take();
    };
    thread::Builder::new().spawn(run).map(drop)
}

/// As [`spawn_thread`], with a value for `work`.
///
/// # Errors
/// No thread can be started, as at a limit on processes. The value is given back.
pub(super) fn spawn_thread_with<V: Send + 'static>(
    value: V,
    work: impl FnOnce(V) + Send + 'static,
    tell_panic: impl FnOnce() + Send + 'static,
) -> Result<(), V> {
    // A thread that does not start drops what it was given.
    let (sender, receiver) = mpsc::channel();
    let run = move || {
        if let Ok(value) = receiver.recv() {
            work(value);
        }
    };
    if spawn_thread(run, tell_panic).is_err() {
        return Err(value);
    }
    let _ = sender.send(value);
    Ok(())
}

/// As [`spawn_thread`], but without a thread `work` runs on this one. Then a panic is one of this
/// thread.
pub fn spawn_thread_or_run(
    work: impl FnOnce() + Send + 'static,
    tell_panic: impl FnOnce() + Send + 'static,
) {
    if let Err(work) = spawn_thread_with(work, |work| work(), tell_panic) {
        work();
    }
}

/// The two parts of a thread that computes a result: what it does, and what its panic does. `send`
/// gets the result, or `None` after a panic.
pub(super) fn send_result<T>(
    work: impl FnOnce() -> T + Send + 'static,
    send: impl Fn(Option<T>) + Clone + Send + 'static,
) -> (
    impl FnOnce() + Send + 'static,
    impl FnOnce() + Send + 'static,
) {
    let send_panic = send.clone();
    (move || send(Some(work())), move || send_panic(None))
}

/// Runs `work` on a thread of its own, which sends its result, or `None` after a panic.
///
/// # Errors
/// The thread cannot be started.
pub(super) fn spawn_for_result<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<mpsc::Receiver<Option<T>>> {
    let (sender, receiver) = mpsc::channel();
    let (run, tell_panic) = send_result(work, move |result| drop(sender.send(result)));
    spawn_thread(run, tell_panic)?;
    Ok(receiver)
}

/// Runs `work` on a thread of its own, waits for it, and converts a panic to an error. Without a
/// thread, `work` runs on this one.
///
/// # Errors
/// `work` panics.
pub fn catch_panic<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let (sender, receiver) = mpsc::channel();
    let (run, tell_panic) = send_result(work, move |result| drop(sender.send(result)));
    spawn_thread_or_run(run, tell_panic);
    receiver.recv().ok().flatten().ok_or_else(last_panic_error)
}

/// As [`install_panic_hook`], but other threads panic as usual, because a failing test must not
/// end the others.
#[cfg(test)]
pub(crate) fn install_test_panic_hook() {
    static INSTALLED: std::sync::Once = std::sync::Once::new();
    INSTALLED.call_once(|| {
        let panic_as_usual = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !stop_spawned_thread(panic) {
                panic_as_usual(panic);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_with_its_location_and_without_its_message() {
        install_test_panic_hook();
        let result = catch_panic(|| -> u8 { panic!("canary {}", 1) });
        let error = result.expect_err("a panic");
        assert_eq!(error.kind, ErrorKind::Local);
        assert!(error.message.contains("config-backup at "), "{error}");
        assert!(error.message.contains(".rs:"), "{error}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }

    #[test]
    fn work_without_a_panic_returns_its_result() {
        assert_eq!(catch_panic(|| 1), Ok(1));
    }
}

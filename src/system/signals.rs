//! Ctrl-C, SIGTERM and SIGHUP.

#[cfg(unix)]
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether [`on_interrupt`] has been called.
#[cfg(unix)]
static IS_HANDLED: AtomicBool = AtomicBool::new(false);

/// Calls `on_signal` for each of these signals, on a thread of its own. They no longer end the
/// process by themselves, so that a started upload can still be spooled.
#[cfg(unix)]
pub fn on_interrupt(on_signal: impl Fn() + Send + 'static) {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;

    IS_HANDLED.store(true, Ordering::SeqCst);
    // Without a handler they end the process at once, and the spool keeps what it has.
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGHUP]) else {
        return;
    };
    let _ = std::thread::Builder::new().spawn(move || {
        for _ in signals.forever() {
            on_signal();
        }
    });
}

/// Lets a signal end the program's children before it ends the program: they are in process groups
/// of their own, which Ctrl-C does not reach. Does nothing after [`on_interrupt`].
#[cfg(unix)]
pub(super) fn end_children_on_interrupt() {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;

    if IS_HANDLED.swap(true, Ordering::SeqCst) {
        return;
    }
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM]) else {
        return;
    };
    let _ = std::thread::Builder::new().spawn(move || {
        for signal in signals.forever() {
            super::child_group::end_all_children();
            let _ = signal_hook::low_level::emulate_default_handler(signal);
        }
    });
}

/// On other systems they end the process.
#[cfg(not(unix))]
pub fn on_interrupt(_: impl Fn() + Send + 'static) {}

#[cfg(not(unix))]
pub(super) fn end_children_on_interrupt() {}

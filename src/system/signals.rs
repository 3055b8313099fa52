//! Ctrl-C, SIGTERM and SIGHUP.

/// Calls `on_signal` for each of these signals, on a thread of its own. They no longer end the
/// process by themselves, so that a started upload can still be spooled.
#[cfg(unix)]
pub fn on_interrupt(on_signal: impl Fn() + Send + 'static) {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;

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

/// On other systems they end the process.
#[cfg(not(unix))]
pub fn on_interrupt(_: impl Fn() + Send + 'static) {}

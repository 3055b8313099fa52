//! Ctrl-C, SIGTERM and SIGHUP: heard, so that what is being kept is kept before the process ends.

/// Calls `hurry` at each of them from now on, on a thread of its own; they no longer end the process by themselves.
#[cfg(unix)]
pub fn on_interrupt(hurry: impl Fn() + Send + 'static) {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    // Where they cannot be heard, they end the process as before: what is in the spool by then is not lost.
    if let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP]) {
        let _ = std::thread::Builder::new().spawn(move || signals.forever().for_each(|_| hurry()));
    }
}

/// Elsewhere than on Unix they end the process.
#[cfg(not(unix))]
pub fn on_interrupt(_: impl Fn() + Send + 'static) {}

//! Converts panics to errors: no backtrace on stderr, but the location is reported.
//!
//! The panic's message is dropped, because it may contain a secret.

use std::panic::{self, AssertUnwindSafe, Location};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, ErrorKind};

static LAST_PANIC_LOCATION: Mutex<String> = Mutex::new(String::new());

/// From now on the location of a panic is stored, and nothing is printed.
pub fn install_panic_hook() {
    panic::set_hook(Box::new(|panic| {
        let location = match panic.location() {
            Some(location) => describe_location(location),
            None => String::new(),
        };
        let mut last = LAST_PANIC_LOCATION
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *last = location;
    }));
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

/// Runs `work` and converts a panic to an error.
pub fn catch_panic<T>(work: impl FnOnce() -> T) -> Result<T, Error> {
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|_| last_panic_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_with_its_location_and_without_its_message() {
        install_panic_hook();
        let result = catch_panic(|| -> u8 { panic!("canary {}", 1) });
        drop(panic::take_hook());
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

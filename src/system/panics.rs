//! Panics of our own or of a library: nobody shall see one, and nobody shall miss one.
//!
//! A panic's words may hold anything, a secret included, so only its place in the source is told.

use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, ErrorKind};

/// Where the last one happened.
static LAST_PANIC_LOCATION: Mutex<String> = Mutex::new(String::new());

/// From now on a panic is noted and not printed.
pub fn install_panic_hook() {
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|place| {
            // Not where somebody once built it.
            let file = place
                .file()
                .rsplit_once("/src/")
                .map_or(place.file(), |(_, file)| file);
            format!(" at {file}:{}", place.line())
        });
        *LAST_PANIC_LOCATION
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = place.unwrap_or_default();
    }));
}

/// The fault that the last one is.
#[must_use]
pub fn last_panic_error() -> Error {
    let place = LAST_PANIC_LOCATION
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let advice = "report this, with the version and what was done; or try again with more open files allowed (`ulimit -n`)";
    Error::new(
        ErrorKind::Local,
        format!("stopped by an error of config-backup itself{place}"),
        advice,
    )
}

/// Does `work`; a panic in it is a fault.
pub fn catch_panic<T>(work: impl FnOnce() -> T) -> Result<T, Error> {
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|_| last_panic_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_fault_that_tells_its_place_and_none_of_its_words() {
        install_panic_hook();
        let result = catch_panic(|| -> u8 { panic!("canary {}", 1) });
        drop(panic::take_hook());
        let fault = result.expect_err("a panic");
        assert_eq!(fault.kind, ErrorKind::Local);
        assert!(
            fault
                .message
                .starts_with("stopped by an error of config-backup itself at ")
                && fault.message.contains(".rs:"),
            "{fault}"
        );
        assert!(!fault.to_string().contains("canary"), "{fault}");
        assert_eq!(catch_panic(|| 1), Ok(1));
    }
}

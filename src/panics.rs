//! Panics of our own or of a library: nobody shall see one, and nobody shall miss one.
//!
//! A panic's words may hold anything, a secret included, so only its place in the source is told.

use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, PoisonError};

use crate::fault::{Fault, Kind};

/// Where the last one happened.
static LAST: Mutex<String> = Mutex::new(String::new());

/// From now on a panic is noted and not printed.
pub fn silence() {
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|place| {
            // Not where somebody once built it.
            let file = place.file().rsplit_once("/src/").map_or(place.file(), |(_, file)| file);
            format!(" at {file}:{}", place.line())
        });
        *LAST.lock().unwrap_or_else(PoisonError::into_inner) = place.unwrap_or_default();
    }));
}

/// The fault that the last one is.
#[must_use]
pub fn fault() -> Fault {
    let place = LAST.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let advice = "report this, with the version and what was done; or try again with more open files allowed (`ulimit -n`)";
    Fault::new(Kind::Local, format!("stopped by an error of config-backup itself{place}"), advice)
}

/// Does `work`; a panic in it is a fault.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Fault> {
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|_| fault())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_fault_that_tells_its_place_and_none_of_its_words() {
        silence();
        let result = caught(|| -> u8 { panic!("canary {}", 1) });
        drop(panic::take_hook());
        let fault = result.expect_err("a panic");
        assert_eq!(fault.kind, Kind::Local);
        assert!(fault.text.starts_with("stopped by an error of config-backup itself at ") && fault.text.contains(".rs:"), "{fault}");
        assert!(!fault.to_string().contains("canary"), "{fault}");
        assert_eq!(caught(|| 1), Ok(1));
    }
}

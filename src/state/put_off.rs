//! Uploads that failed and are not tried again before some time, so that they do not hold up others.
//!
//! One note for each target or item. Without it, the upload is tried earlier.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::output::sanitize::sanitize;
use crate::state::dirs::StateDirs;
use crate::state::note_file::{read_note, remove_note, write_note};

/// The subdirectory of the state directory.
pub const PUT_OFF_DIR: &str = "retries";

const FIRST_DELAY: Duration = Duration::from_mins(1);
const MAX_DELAY: Duration = Duration::from_hours(1);
/// So many failures in a row of one upload may be a bad moment each.
const MAX_PASSING_FAILURES: u32 = 2;

/// Why and how long something is not tried. The field names are part of the file format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutOff {
    pub next_try_at: DateTime<Utc>,
    /// The number of failures without a success between them.
    pub failures: u32,
    /// One line.
    pub reason: String,
}

impl PutOff {
    /// Whether it is too early for another try.
    #[must_use]
    pub fn is_waiting(&self, now: DateTime<Utc>) -> bool {
        // A clock that was set back must not stop an upload for longer than the longest delay.
        now < self.next_try_at && self.next_try_at <= now + MAX_DELAY
    }
}

/// The last failure of `name`, if it was not followed by a success.
#[must_use]
pub fn read_put_off(state_dirs: &StateDirs, name: &str) -> Option<PutOff> {
    read_note(state_dirs, PUT_OFF_DIR, name)
}

/// Notes a failure and puts off the next try. The delay doubles with each failure.
pub fn put_off(state_dirs: &StateDirs, name: &str, now: DateTime<Utc>, reason: &str) {
    note_failure(state_dirs, name, now, reason, delay_after);
}

/// Notes a failure that may pass at once. Until it has happened several times, it costs no time but
/// its place before others.
pub fn put_last(state_dirs: &StateDirs, name: &str, now: DateTime<Utc>, reason: &str) {
    note_failure(state_dirs, name, now, reason, |failures| {
        match failures.checked_sub(MAX_PASSING_FAILURES) {
            None | Some(0) => Duration::ZERO,
            Some(more) => delay_after(more),
        }
    });
}

fn delay_after(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    MAX_DELAY.min(FIRST_DELAY.saturating_mul(1 << doublings))
}

fn note_failure(
    state_dirs: &StateDirs,
    name: &str,
    now: DateTime<Utc>,
    reason: &str,
    delay_of: impl FnOnce(u32) -> Duration,
) {
    let failures = match read_put_off(state_dirs, name) {
        Some(earlier) => earlier.failures.saturating_add(1),
        None => 1,
    };
    let put_off = PutOff {
        next_try_at: now + delay_of(failures),
        failures,
        reason: sanitize(reason).into_owned(),
    };
    // If it cannot be written, the next deployment tries at once.
    write_note(state_dirs, PUT_OFF_DIR, name, &put_off);
}

/// Forgets the failures of `name` after a success.
pub fn clear_put_off(state_dirs: &StateDirs, name: &str) {
    remove_note(state_dirs, PUT_OFF_DIR, name);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_that_may_pass_is_put_off_from_the_third_time_on() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let state_dirs = StateDirs::from_private_dirs([dir.path().to_owned()]);
        let now = DateTime::from_timestamp(1_761_834_652, 0).expect("a time");
        for minutes in [0, 0, 1, 2, 4] {
            put_last(&state_dirs, "item", now, "no answer");
            let put_off = read_put_off(&state_dirs, "item").expect("noted");
            assert_eq!((put_off.next_try_at - now).num_minutes(), minutes);
        }
    }

    #[test]
    fn the_delay_doubles_until_a_success() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let state_dirs = StateDirs::from_private_dirs([dir.path().to_owned()]);
        let now = DateTime::from_timestamp(1_761_834_652, 0).expect("a time");
        let read = || read_put_off(&state_dirs, "target");
        assert_eq!(read(), None);
        for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
            put_off(&state_dirs, "target", now, "no\nanswer");
            let put_off = read().expect("put off");
            let delay = put_off.next_try_at - now;
            assert_eq!(delay.num_minutes(), minutes);
            assert!(put_off.is_waiting(now) && !put_off.is_waiting(put_off.next_try_at));
            assert_eq!(put_off.reason.lines().count(), 1);
            let set_back = now - chrono::TimeDelta::days(1);
            assert!(!put_off.is_waiting(set_back));
        }
        assert_eq!(read_put_off(&state_dirs, "another"), None);
        clear_put_off(&state_dirs, "target");
        assert_eq!(read(), None);
    }
}

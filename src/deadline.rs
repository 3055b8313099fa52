//! Deadlines that hold whatever the work is stuck in.
//!
//! A future's timeout cannot cut a name look-up, a `credential_process` or the read of a dead network mount. So
//! the work runs on a thread of its own, the caller waits for it with a clock in hand, and a thread that is still
//! stuck when the process ends, ends with it. Must not write anywhere.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Gives what `work` returns, or `None` when it is not done within `limit` (or cannot be started, or panics).
pub fn within<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, receiver) = mpsc::channel();
    let worker = thread::Builder::new().spawn(move || {
        let _ = sender.send(work());
    });
    worker.ok().and_then(|_| receiver.recv_timeout(limit).ok())
}

/// How far `work` of [`latest_within`] came.
#[derive(Debug, PartialEq, Eq)]
pub struct Latest<T> {
    /// The newest state that it told.
    pub state: T,
    /// Whether it came to its end.
    pub finished: bool,
}

/// Runs `work`, which tells each state that it reaches, and gives the newest one after `limit` at the latest.
pub fn latest_within<T: Send + 'static>(limit: Duration, start: T, work: impl FnOnce(&mut dyn FnMut(T)) + Send + 'static) -> Latest<T> {
    let until = Instant::now() + limit;
    let (sender, receiver) = mpsc::channel();
    let worker = thread::Builder::new().spawn(move || {
        work(&mut |state| {
            let _ = sender.send(Some(state));
        });
        let _ = sender.send(None);
    });
    let mut latest = Latest { state: start, finished: false };
    if worker.is_err() {
        return latest;
    }
    loop {
        match receiver.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(Some(state)) => latest.state = state,
            Ok(None) => return Latest { finished: true, ..latest },
            Err(_) => return latest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn work_that_ends_gives_its_result() {
        assert_eq!(within(LONG, || 7), Some(7));
        let latest = latest_within(LONG, 0, |tell| (1..=3).for_each(tell));
        assert_eq!(latest, Latest { state: 3, finished: true });
    }

    #[test]
    fn work_that_hangs_gives_the_newest_state() {
        // A thread that is parked for ever stands for a name look-up or a mount that never answers.
        assert_eq!(
            within(Duration::from_millis(20), || loop {
                thread::park();
            }),
            None::<()>
        );
        let latest = latest_within(Duration::from_millis(200), 0, |tell| {
            tell(1);
            loop {
                thread::park();
            }
        });
        assert_eq!(latest, Latest { state: 1, finished: false });
    }

    #[test]
    fn work_that_panics_is_as_good_as_work_that_hangs() {
        assert_eq!(within(LONG, || -> u8 { std::panic::resume_unwind(Box::new("told")) }), None);
        let latest = latest_within(LONG, 0, |tell| {
            tell(1);
            std::panic::resume_unwind(Box::new("told"));
        });
        assert_eq!(latest, Latest { state: 1, finished: false });
    }
}

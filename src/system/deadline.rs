//! Deadlines that hold whatever the work is stuck in.
//!
//! A future's timeout cannot cut a name look-up, a `credential_process` or the read of a dead network mount. So
//! the work runs on a thread of its own, the caller waits for it with a clock in hand, and a thread that is still
//! stuck when the process ends, ends with it. Must not write anywhere.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// Gives what `work` returns, or `None` when it is not done within `limit` (or cannot be started, or panics).
pub fn run_with_timeout<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (sender, receiver) = mpsc::channel();
    let worker = thread::Builder::new().spawn(move || {
        let _ = sender.send(work());
    });
    worker.ok().and_then(|_| receiver.recv_timeout(limit).ok())
}

/// A piece of work that tells things one by one.
pub type ReportingTask<T> = Box<dyn FnOnce(&mpsc::Sender<T>) + Send>;

/// Runs several `works` side by side, and gives what they told within `limit`, or until all of them ended; and whether they did.
#[must_use]
pub fn collect_until<T: Send + 'static>(
    limit: Duration,
    works: Vec<ReportingTask<T>>,
) -> (Vec<T>, bool) {
    let until = Instant::now() + limit;
    let (sender, receiver) = mpsc::channel();
    for work in works {
        let sender = sender.clone();
        // One that cannot be started tells nothing.
        let _ = thread::Builder::new().spawn(move || work(&sender));
    }
    drop(sender);
    let mut told = Vec::new();
    loop {
        match receiver.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(one) => told.push(one),
            Err(error) => return (told, error == mpsc::RecvTimeoutError::Disconnected),
        }
    }
}

/// How far `work` of [`latest_within`] came.
#[derive(Debug, PartialEq, Eq)]
pub struct LatestState<T> {
    /// The newest state that it told.
    pub state: T,
    /// Why nobody waited any longer.
    pub stop_reason: StopReason,
}

/// Why [`latest_within`] stopped waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The work came to its end.
    Finished,
    /// The time was over.
    TimedOut,
    /// The work panicked, or could not even be started.
    Panicked,
    /// Somebody was in a hurry, see [`Hurry`].
    Interrupted,
}

enum WorkerEvent<T> {
    StateReported(T),
    Finished,
    ThreadEnded,
    CancelRequested,
}

/// Tells that the work's thread is gone, also where it panics: the channel stays open for [`Hurry`].
struct ThreadEndGuard<T>(mpsc::Sender<WorkerEvent<T>>);

impl<T> Drop for ThreadEndGuard<T> {
    fn drop(&mut self) {
        let _ = self.0.send(WorkerEvent::ThreadEnded);
    }
}

/// A state that work reports to [`latest_within`].
pub trait WorkState {
    /// Whether an interrupt may end the waiting in this state.
    fn is_interruptible(&self) -> bool {
        true
    }
}

/// Ends the waiting early: as soon as the work is in an interruptible state, and within `Hurry::PATIENCE`.
#[derive(Clone)]
pub struct CancelHandle(Arc<dyn Fn() + Send + Sync>);

impl CancelHandle {
    /// How long the work may take to get there even then.
    const GRACE_PERIOD: Duration = Duration::from_secs(1);

    /// Do hurry.
    pub fn cancel(&self) {
        (self.0)();
    }
}

/// Runs `work`, which tells each state that it reaches, and gives the newest one after `limit` at the latest. `listen` gets
/// what ends the waiting before.
pub fn run_with_deadline<T: WorkState + Send + 'static>(
    limit: Duration,
    start: T,
    listen: impl FnOnce(CancelHandle),
    work: impl FnOnce(&mut dyn FnMut(T)) + Send + 'static,
) -> LatestState<T> {
    let mut until = Instant::now() + limit;
    let (sender, receiver) = mpsc::channel();
    let hurry = sender.clone();
    listen(CancelHandle(Arc::new(move || {
        drop(hurry.send(WorkerEvent::CancelRequested));
    })));
    let worker = thread::Builder::new().spawn(move || {
        let gone = ThreadEndGuard(sender);
        work(&mut |state| drop(gone.0.send(WorkerEvent::StateReported(state))));
        let _ = gone.0.send(WorkerEvent::Finished);
    });
    let mut latest = LatestState {
        state: start,
        stop_reason: StopReason::TimedOut,
    };
    if worker.is_err() {
        return LatestState {
            stop_reason: StopReason::Panicked,
            ..latest
        };
    }
    let mut hurried = false;
    loop {
        match receiver.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(WorkerEvent::StateReported(state)) => latest.state = state,
            Ok(WorkerEvent::Finished) => {
                return LatestState {
                    stop_reason: StopReason::Finished,
                    ..latest
                };
            }
            Ok(WorkerEvent::CancelRequested) => {
                (hurried, until) = (true, until.min(Instant::now() + CancelHandle::GRACE_PERIOD));
            }
            Ok(WorkerEvent::ThreadEnded) => {
                return LatestState {
                    stop_reason: StopReason::Panicked,
                    ..latest
                };
            }
            Err(_) if hurried => {
                return LatestState {
                    stop_reason: StopReason::Interrupted,
                    ..latest
                };
            }
            Err(_) => return latest,
        }
        if hurried && latest.state.is_interruptible() {
            return LatestState {
                stop_reason: StopReason::Interrupted,
                ..latest
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    impl WorkState for i32 {
        fn is_interruptible(&self) -> bool {
            *self >= 2
        }
    }

    #[test]
    fn work_that_ends_gives_its_result() {
        assert_eq!(run_with_timeout(LONG, || 7), Some(7));
        let latest = run_with_deadline(LONG, 0, drop, |tell| (1..=3).for_each(tell));
        assert_eq!(
            latest,
            LatestState {
                state: 3,
                stop_reason: StopReason::Finished
            }
        );
    }

    #[test]
    fn work_that_hangs_gives_the_newest_state() {
        // A thread that is parked for ever stands for a name look-up or a mount that never answers.
        assert_eq!(
            run_with_timeout(Duration::from_millis(20), || loop {
                thread::park();
            }),
            None::<()>
        );
        let latest = run_with_deadline(Duration::from_millis(200), 0, drop, |tell| {
            tell(1);
            loop {
                thread::park();
            }
        });
        assert_eq!(
            latest,
            LatestState {
                state: 1,
                stop_reason: StopReason::TimedOut
            }
        );
    }

    #[test]
    fn of_several_works_all_is_had_that_was_told_in_time() {
        let tells = |number: u8| -> ReportingTask<u8> {
            Box::new(move |sender| sender.send(number).expect("a listener"))
        };
        let (mut told, all) = collect_until(LONG, vec![tells(1), tells(2)]);
        told.sort_unstable();
        assert_eq!((told, all), (vec![1, 2], true));
        let hangs: ReportingTask<u8> = Box::new(|sender| {
            let _ = sender.send(3);
            loop {
                thread::park();
            }
        });
        assert_eq!(
            collect_until(Duration::from_millis(200), vec![hangs]),
            (vec![3], false)
        );
    }

    #[test]
    fn an_early_end_waits_for_a_state_that_is_interruptible_and_no_longer() {
        let (sender, receiver) = mpsc::channel::<()>();
        let latest = run_with_deadline(
            LONG,
            0,
            |hurry| {
                hurry.cancel();
                hurry.cancel();
                drop(sender);
            },
            move |tell| {
                // Until the hurry is heard of.
                let _ = receiver.recv();
                tell(1);
                tell(2);
                loop {
                    thread::park();
                }
            },
        );
        assert_eq!(
            latest,
            LatestState {
                state: 2,
                stop_reason: StopReason::Interrupted
            }
        );
    }

    #[test]
    fn an_interrupt_of_work_that_hangs_is_not_taken_for_the_deadline() {
        let hang = |_: &mut dyn FnMut(i32)| loop {
            thread::park();
        };
        let latest = run_with_deadline(LONG, 0, |hurry| hurry.cancel(), hang);
        assert_eq!(
            latest,
            LatestState {
                state: 0,
                stop_reason: StopReason::Interrupted
            }
        );
    }

    #[test]
    fn work_that_panics_is_as_good_as_work_that_hangs() {
        assert_eq!(
            run_with_timeout(LONG, || -> u8 {
                std::panic::resume_unwind(Box::new("told"))
            }),
            None
        );
        let latest = run_with_deadline(LONG, 0, drop, |tell| {
            tell(1);
            std::panic::resume_unwind(Box::new("told"));
        });
        assert_eq!(
            latest,
            LatestState {
                state: 1,
                stop_reason: StopReason::Panicked
            }
        );
    }
}

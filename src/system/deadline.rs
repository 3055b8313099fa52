//! Deadlines that hold even if the work is stuck.
//!
//! A future's timeout cannot interrupt a name lookup, a `credential_process` or a read from a dead
//! network mount. So the work runs on a thread of its own and the caller waits with a timeout. A
//! thread that is still stuck ends with the process. Must not write anything.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use crate::system::panics;

/// Returns the result of `work`, or `None` if it takes longer than `limit`, cannot be started, or
/// panics.
pub fn run_with_timeout<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let result = panics::spawn_for_result(work).ok()?;
    result.recv_timeout(limit).ok().flatten()
}

/// Work that reports its results one by one.
pub type ReportingTask<T> = Box<dyn FnOnce(&TaskReporter<T>) + Send>;

enum TaskEvent<T> {
    ResultReported(T),
    Ended,
}

/// Takes the results of a task of [`collect_until`].
pub struct TaskReporter<T>(mpsc::Sender<TaskEvent<T>>);

impl<T> TaskReporter<T> {
    /// After the limit the result is dropped.
    pub fn report(&self, result: T) {
        let _ = self.0.send(TaskEvent::ResultReported(result));
    }

    fn report_end(&self) {
        let _ = self.0.send(TaskEvent::Ended);
    }
}

/// Runs `tasks` concurrently and returns what they report within `limit`, and whether all of them
/// ended in time. A task that panics ends there.
#[must_use]
pub fn collect_until<T: Send + 'static>(
    limit: Duration,
    tasks: Vec<ReportingTask<T>>,
) -> (Vec<T>, bool) {
    let deadline = Instant::now() + limit;
    let (sender, receiver) = mpsc::channel();
    let mut running_count = 0;
    for task in tasks {
        let reporter = TaskReporter(sender.clone());
        let panic_reporter = TaskReporter(sender.clone());
        let run = move || {
            task(&reporter);
            reporter.report_end();
        };
        panics::spawn_thread_or_run(run, move || panic_reporter.report_end());
        running_count += 1;
    }

    let mut reported = Vec::new();
    while running_count > 0 {
        match receiver.recv_timeout(time_until(deadline)) {
            Ok(TaskEvent::ResultReported(result)) => reported.push(result),
            Ok(TaskEvent::Ended) => running_count -= 1,
            Err(_) => return (reported, false),
        }
    }
    (reported, true)
}

/// How far the work of [`run_with_deadline`] came.
#[derive(Debug, PartialEq, Eq)]
pub struct LatestState<T> {
    /// The last state that the work reported.
    pub state: T,
    pub stop_reason: StopReason,
}

/// Why [`run_with_deadline`] returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    Finished,
    TimedOut,
    /// The work panicked.
    Panicked,
    /// [`CancelHandle::cancel`] was called.
    Interrupted,
}

enum WorkerEvent<T> {
    StateReported(T),
    Finished,
    Panicked,
    CancelRequested,
}

/// A state that work reports to [`run_with_deadline`].
pub trait WorkState {
    /// Whether an interrupt may end the wait in this state.
    fn is_interruptible(&self) -> bool {
        true
    }
}

/// Ends the wait of [`run_with_deadline`] early.
#[derive(Clone)]
pub struct CancelHandle(Arc<dyn Fn() + Send + Sync>);

impl CancelHandle {
    /// How long the work may take to reach an interruptible state.
    const GRACE_PERIOD: Duration = Duration::from_secs(1);

    pub fn cancel(&self) {
        (self.0)();
    }
}

/// Runs `work`, which reports each state that it reaches, and returns the last one after `limit`
/// at the latest. `listen` receives a handle that ends the wait early.
pub fn run_with_deadline<T: WorkState + Send + 'static>(
    limit: Duration,
    initial_state: T,
    listen: impl FnOnce(CancelHandle),
    work: impl FnOnce(&mut dyn FnMut(T)) + Send + 'static,
) -> LatestState<T> {
    let deadline = Instant::now() + limit;
    let (sender, receiver) = mpsc::channel();
    let cancel_sender = sender.clone();
    listen(CancelHandle(Arc::new(move || {
        let _ = cancel_sender.send(WorkerEvent::CancelRequested);
    })));

    let panic_sender = sender.clone();
    let run = move || {
        work(&mut |state| {
            let _ = sender.send(WorkerEvent::StateReported(state));
        });
        let _ = sender.send(WorkerEvent::Finished);
    };
    let tell_panic = move || {
        let _ = panic_sender.send(WorkerEvent::Panicked);
    };
    // Without a thread the work runs here: only its requests keep the deadline then.
    panics::spawn_thread_or_run(run, tell_panic);
    wait_for_worker(&receiver, deadline, initial_state)
}

fn wait_for_worker<T: WorkState>(
    receiver: &mpsc::Receiver<WorkerEvent<T>>,
    mut deadline: Instant,
    mut state: T,
) -> LatestState<T> {
    let mut is_cancelled = false;
    let stop_reason = loop {
        match receiver.recv_timeout(time_until(deadline)) {
            Ok(WorkerEvent::StateReported(reported)) => state = reported,
            Ok(WorkerEvent::Finished) => break StopReason::Finished,
            Ok(WorkerEvent::Panicked) => break StopReason::Panicked,
            Ok(WorkerEvent::CancelRequested) => {
                is_cancelled = true;
                deadline = deadline.min(Instant::now() + CancelHandle::GRACE_PERIOD);
            }
            Err(_) if is_cancelled => break StopReason::Interrupted,
            Err(_) => break StopReason::TimedOut,
        }
        if is_cancelled && state.is_interruptible() {
            break StopReason::Interrupted;
        }
    };
    LatestState { state, stop_reason }
}

fn time_until(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_mins(1);
    const SHORT: Duration = Duration::from_millis(200);

    impl WorkState for i32 {
        fn is_interruptible(&self) -> bool {
            *self >= 2
        }
    }

    /// Stands for a name lookup or a network mount that never answers.
    fn hang() -> ! {
        loop {
            thread::park();
        }
    }

    fn latest(state: i32, stop_reason: StopReason) -> LatestState<i32> {
        LatestState { state, stop_reason }
    }

    #[test]
    fn finished_work_returns_its_result() {
        assert_eq!(run_with_timeout(LONG, || 7), Some(7));
        let result = run_with_deadline(LONG, 0, drop, |report| (1..=3).for_each(report));
        assert_eq!(result, latest(3, StopReason::Finished));
    }

    #[test]
    fn stuck_work_returns_its_last_state() {
        assert_eq!(run_with_timeout(SHORT, || -> u8 { hang() }), None);
        let result = run_with_deadline(SHORT, 0, drop, |report| {
            report(1);
            hang();
        });
        assert_eq!(result, latest(1, StopReason::TimedOut));
    }

    #[test]
    fn concurrent_tasks_return_all_that_they_report_in_time() {
        let task =
            |number: u8| -> ReportingTask<u8> { Box::new(move |reporter| reporter.report(number)) };
        let (mut reported, all_ended) = collect_until(LONG, vec![task(1), task(2)]);
        reported.sort_unstable();
        assert_eq!((reported, all_ended), (vec![1, 2], true));

        let stuck: ReportingTask<u8> = Box::new(|reporter| {
            reporter.report(3);
            hang();
        });
        assert_eq!(collect_until(SHORT, vec![stuck]), (vec![3], false));
    }

    #[test]
    fn an_interrupt_waits_for_an_interruptible_state_and_no_longer() {
        let (sender, receiver) = mpsc::channel::<()>();
        let listen = |handle: CancelHandle| {
            handle.cancel();
            handle.cancel();
            drop(sender);
        };
        let result = run_with_deadline(LONG, 0, listen, move |report| {
            // Returns when the cancellation has been requested.
            let _ = receiver.recv();
            report(1);
            report(2);
            hang();
        });
        assert_eq!(result, latest(2, StopReason::Interrupted));
    }

    #[test]
    fn an_interrupt_of_stuck_work_is_not_reported_as_a_timeout() {
        let result = run_with_deadline(LONG, 0, |handle| handle.cancel(), |_| hang());
        assert_eq!(result, latest(0, StopReason::Interrupted));
    }

    #[test]
    fn a_panic_ends_the_wait() {
        panics::install_test_panic_hook();
        assert_eq!(run_with_timeout(LONG, || -> u8 { panic!("work") }), None);

        let result = run_with_deadline(LONG, 0, drop, |report| {
            report(1);
            panic!("work");
        });
        assert_eq!(result, latest(1, StopReason::Panicked));

        let panicking: ReportingTask<i32> = Box::new(|reporter| {
            reporter.report(3);
            panic!("work");
        });
        assert_eq!(collect_until(LONG, vec![panicking]), (vec![3], true));
    }
}

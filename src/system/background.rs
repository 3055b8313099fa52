//! Work on a thread of its own, for which asynchronous work waits.
//!
//! tokio has the same, but panics where no thread can be started, as at a limit on processes.

use std::future::Future;

use tokio::sync::mpsc;

use crate::system::panics;

/// Starts `work` at once. The result is `None` after a panic, or if no thread can be started: for work
/// that a deployment can do without.
pub fn run_in_background<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = Option<T>> {
    let (run, tell_panic, mut receiver) = with_channel(work);
    // Without a thread both senders are dropped, and nothing is received.
    let _ = panics::spawn_thread(run, tell_panic);
    async move { receiver.recv().await.flatten() }
}

/// As [`run_in_background`], but without a thread `work` runs on this one.
pub fn run_in_background_or_here<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = Option<T>> {
    let (run, tell_panic, mut receiver) = with_channel(work);
    panics::spawn_thread_or_run(run, tell_panic);
    async move { receiver.recv().await.flatten() }
}

fn with_channel<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> (
    impl FnOnce() + Send + 'static,
    impl FnOnce() + Send + 'static,
    mpsc::UnboundedReceiver<Option<T>>,
) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let (run, tell_panic) = panics::send_result(work, move |result| drop(sender.send(result)));
    (run, tell_panic, receiver)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::runtime::block_on;

    #[test]
    fn returns_the_result_or_nothing_after_a_panic() {
        panics::install_test_panic_hook();
        let both = async {
            let result = run_in_background(|| 7).await;
            let here = run_in_background_or_here(|| 8).await;
            let panic = run_in_background(|| -> u8 { panic!("work") }).await;
            (result, here, panic)
        };
        assert_eq!(block_on(both), Ok((Some(7), Some(8), None)));
    }
}

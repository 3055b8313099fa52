//! Which requests are retried, and when.
//!
//! The SDK retries each request within the time that the operation has. [`retry_with_backoff`]
//! retries on top of that, for commands that send many requests. `Retry-After` is ignored.

use std::time::{Duration, Instant};

use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};

use crate::error::Error;

const MAX_ATTEMPTS: u32 = 4;
const MAX_ATTEMPTS_WHEN_THROTTLED: u32 = 10;
const INITIAL_BACKOFF: Duration = Duration::from_millis(200);
const MAX_BACKOFF: Duration = Duration::from_secs(5);
/// The SDK's own attempts in one go take longer than this where the server refuses at once.
const MIN_ATTEMPT_TIME: Duration = Duration::from_secs(1);

/// Counts the failed attempts of one request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RetryState {
    failed_attempts: u32,
}

impl RetryState {
    /// Counts an attempt that failed with `error`.
    ///
    /// # Errors
    /// `error`, if another attempt makes no sense.
    pub(super) fn record_failure(&mut self, error: Error) -> Result<(), Error> {
        let max_attempts = if error.is_throttled() {
            MAX_ATTEMPTS_WHEN_THROTTLED
        } else {
            MAX_ATTEMPTS
        };
        self.failed_attempts += 1;
        if error.is_retryable() && self.failed_attempts < max_attempts {
            Ok(())
        } else {
            Err(error)
        }
    }

    /// Waits before the next attempt; returns at once before the first one.
    pub(super) async fn wait(self) {
        tokio::time::sleep(self.backoff_delay()).await;
    }

    /// Doubles with each failed attempt. The jitter spreads requests that failed at once.
    fn backoff_delay(self) -> Duration {
        if self.failed_attempts == 0 {
            return Duration::ZERO;
        }
        let doublings = (self.failed_attempts - 1).min(16);
        let longest = MAX_BACKOFF.min(INITIAL_BACKOFF.saturating_mul(1 << doublings));
        let half = longest / 2;
        half + half.mul_f64(fastrand::f64())
    }
}

/// The wait of one request for a server that is throttled.
#[derive(Debug)]
pub(super) struct ThrottlingRetry {
    /// `None`: the request is not sent again.
    deadline: Option<Instant>,
    retry: RetryState,
}

impl ThrottlingRetry {
    pub(super) fn until(deadline: Option<Instant>) -> Self {
        Self {
            deadline,
            retry: RetryState::default(),
        }
    }

    /// Waits before the next attempt.
    ///
    /// # Errors
    /// `error`, if the deadline leaves no time for another attempt.
    pub(super) async fn wait_after(&mut self, error: Error) -> Result<(), Error> {
        self.retry.failed_attempts += 1;
        let delay = self.retry.backoff_delay();
        match self.deadline {
            Some(deadline) if Instant::now() + delay + MIN_ATTEMPT_TIME < deadline => {
                tokio::time::sleep(delay).await;
                Ok(())
            }
            _ => Err(error),
        }
    }
}

/// Sends a request, and again while it fails for reasons that may pass.
///
/// # Errors
/// The error of the last attempt.
pub(crate) async fn retry_with_backoff<T, F>(request: impl Fn() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut retry = RetryState::default();
    loop {
        match request().await {
            Ok(answer) => return Ok(answer),
            Err(error) => retry.record_failure(error)?,
        }
        retry.wait().await;
    }
}

/// Makes the SDK retry two statuses that it does not retry by itself.
#[derive(Debug)]
pub(super) struct TransientStatusClassifier;

impl ClassifyRetry for TransientStatusClassifier {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let Some(response) = context.response() else {
            return RetryAction::NoActionIndicated;
        };
        let is_error = matches!(context.output_or_error(), Some(Err(_)));
        match response.status().as_u16() {
            // `ConditionalRequestConflict`: another process writes the same key, and S3 has not
            // decided yet which of them wins.
            409 if is_error => RetryAction::transient_error(),
            429 => RetryAction::throttling_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "transient status"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn error_with_status(status: u16) -> Error {
        Error {
            status: Some(status),
            ..Error::new(ErrorKind::Service, "failed", "")
        }
    }

    #[test]
    fn a_request_has_more_attempts_when_the_server_is_throttled() {
        for (status, retries) in [(404, 0), (500, 3), (503, 9)] {
            let mut retry = RetryState::default();
            let mut count = 0;
            while retry.record_failure(error_with_status(status)).is_ok() {
                count += 1;
            }
            assert_eq!(count, retries, "HTTP {status}");
        }
    }

    #[test]
    fn the_delay_doubles_up_to_the_longest() {
        let delay = |failed_attempts| RetryState { failed_attempts }.backoff_delay();
        assert_eq!(delay(0), Duration::ZERO);
        for (failed_attempts, longest_ms) in [(1, 200), (2, 400), (3, 800), (6, 5000), (40, 5000)] {
            let longest = Duration::from_millis(longest_ms);
            let delay = delay(failed_attempts);
            assert!(longest / 2 <= delay && delay <= longest, "{delay:?}");
        }
    }
}

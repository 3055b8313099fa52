//! What is worth another try beside what the SDK tries again by itself: two writers at once, and too many requests.
//!
//! When and how often is the SDK's business: exponential backoff with jitter, within the time that the operation has.
//! `Retry-After` plays no part.

use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};

/// Answers that may be others a moment later.
#[derive(Debug)]
pub struct TransientStatusClassifier;

impl ClassifyRetry for TransientStatusClassifier {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let status = context
            .response()
            .map(|response| response.status().as_u16());
        match status {
            // `ConditionalRequestConflict`: somebody else is writing the same key, and who wins is not settled yet.
            Some(409) if context.output_or_error().is_some_and(|it| it.is_err()) => {
                RetryAction::transient_error()
            }
            Some(429) => RetryAction::throttling_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "what may pass"
    }
}

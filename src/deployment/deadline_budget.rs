//! How long a deployment may take, and what is left of it.

use std::time::{Duration, Instant};

use crate::deployment::protocol::ModuleQuery;
use crate::error::{CHECK_NETWORK_HINT, Error, ErrorKind};

/// Time that is reserved to report the result if the network takes all the rest.
pub(crate) const REPORT_TIME: Duration = Duration::from_millis(300);
/// Time to read the config and to spool it, even if the deadline has passed.
const MIN_LOCAL_TIME: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy)]
pub(crate) struct DeadlineBudget {
    started: Instant,
    timeout: Duration,
    spent_at_plan: Duration,
}

impl DeadlineBudget {
    /// The budget of a deployment whose command began at `started`.
    pub(crate) fn start(query: &ModuleQuery, started: Instant) -> Self {
        Self {
            started,
            timeout: query.timeout,
            spent_at_plan: query.spent_at_plan,
        }
    }

    fn time_left(&self) -> Duration {
        let spent = self.spent_at_plan + self.started.elapsed();
        self.timeout.saturating_sub(spent)
    }

    /// The time left, but always enough to spool everything.
    pub(crate) fn time_limit(&self) -> Duration {
        self.time_left().max(MIN_LOCAL_TIME)
    }

    pub(crate) fn network_time_left(&self) -> Duration {
        self.time_left().saturating_sub(REPORT_TIME)
    }

    pub(crate) fn timeout_error(&self) -> Error {
        let message = format!(
            "no answer within the {} s that a deployment may take",
            self.timeout.as_secs()
        );
        Error::new(ErrorKind::Timeout, message, CHECK_NETWORK_HINT)
    }
}

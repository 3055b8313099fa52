//! How many requests may be in flight: more while the server keeps up, half of them when it
//! does not.
//!
//! Pure: callers report the result of each request. Additive increase and multiplicative decrease
//! with a slow start, as in TCP (RFC 5681), find the share of a server that others use, too.

/// More connections cost more than they gain.
pub(super) const MAX_CONCURRENT_REQUESTS: usize = 512;
/// Low enough for a server of unknown capacity.
const INITIAL_CONCURRENT_REQUESTS: usize = 64;

#[derive(Debug)]
pub(super) struct AimdLimit {
    limit: usize,
    maximum: usize,
    /// Up to here the limit doubles within the time of one answer.
    slow_start_threshold: usize,
    /// Counts answers above `slow_start_threshold`.
    answers_since_raise: usize,
    /// Requests up to this number were sent before the last decrease, which covers them.
    last_backoff_request: u64,
    requests_sent: u64,
}

impl AimdLimit {
    /// A limit that never exceeds `maximum` or [`MAX_CONCURRENT_REQUESTS`].
    pub(super) fn new(maximum: usize) -> Self {
        let maximum = maximum.clamp(1, MAX_CONCURRENT_REQUESTS);
        Self {
            limit: INITIAL_CONCURRENT_REQUESTS.min(maximum),
            maximum,
            slow_start_threshold: maximum,
            answers_since_raise: 0,
            last_backoff_request: 0,
            requests_sent: 0,
        }
    }

    pub(super) fn current_limit(&self) -> usize {
        self.limit
    }

    /// Counts a request that is sent now and returns its number.
    pub(super) fn register_request(&mut self) -> u64 {
        self.requests_sent += 1;
        self.requests_sent
    }

    pub(super) fn record_answer(&mut self) {
        if self.limit < self.slow_start_threshold {
            self.limit += 1;
            return;
        }
        self.answers_since_raise += 1;
        if self.answers_since_raise >= self.limit {
            self.answers_since_raise = 0;
            self.limit = self.maximum.min(self.limit + 1);
        }
    }

    /// The server or the network could not cope with the request of this number.
    pub(super) fn record_overload(&mut self, request_number: u64) {
        if request_number <= self.last_backoff_request {
            return;
        }
        self.limit = (self.limit / 2).max(1);
        self.slow_start_threshold = self.limit;
        self.answers_since_raise = 0;
        self.last_backoff_request = self.requests_sent;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record_answers(limit: &mut AimdLimit, count: usize) {
        for _ in 0..count {
            limit.record_answer();
        }
    }

    #[test]
    fn it_doubles_with_every_round_of_answers_up_to_the_maximum() {
        let mut limit = AimdLimit::new(MAX_CONCURRENT_REQUESTS);
        let mut limits = vec![limit.current_limit()];
        for _ in 0..4 {
            let answers = limit.current_limit();
            record_answers(&mut limit, answers);
            limits.push(limit.current_limit());
        }
        assert_eq!(limits, [64, 128, 256, 512, 512]);
    }

    #[test]
    fn one_burst_of_refusals_halves_it_once_and_then_it_grows_by_one_a_round() {
        let mut limit = AimdLimit::new(MAX_CONCURRENT_REQUESTS);
        let numbers: Vec<u64> = (0..64).map(|_| limit.register_request()).collect();
        for number in numbers {
            limit.record_overload(number);
        }
        assert_eq!(limit.current_limit(), 32);

        record_answers(&mut limit, 32);
        assert_eq!(limit.current_limit(), 33);

        let later = limit.register_request();
        limit.record_overload(later);
        assert_eq!(limit.current_limit(), 16);
    }

    #[test]
    fn it_stays_between_one_and_what_the_machine_allows() {
        let mut limit = AimdLimit::new(MAX_CONCURRENT_REQUESTS);
        for _ in 0..10 {
            let number = limit.register_request();
            limit.record_overload(number);
        }
        assert_eq!(limit.current_limit(), 1);

        let mut small = AimdLimit::new(100);
        record_answers(&mut small, 1000);
        assert_eq!(small.current_limit(), 100);
    }
}

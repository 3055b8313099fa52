//! How many requests to have under way: more while the server keeps up, half of them when it says that it does not.
//!
//! Pure: told what became of each request, it says how many there may be. Additive increase and multiplicative
//! decrease with a slow start, as TCP has them (RFC 5681), for they find the share of a server that others use, too.

/// The most requests at once: beyond, connections cost more than they bring.
pub const MAX_CONCURRENT_REQUESTS: usize = 512;
/// What a start may burden a server with that nobody knows yet.
const INITIAL_CONCURRENT_REQUESTS: usize = 64;

/// The number of requests that may be under way.
#[derive(Debug)]
pub struct AimdLimit {
    limit: usize,
    maximum: usize,
    /// Up to here the limit doubles in the time of an answer.
    slow_start_threshold: usize,
    /// Answers since the limit was raised, above `doubles_until`.
    answers_since_raise: usize,
    /// A request with a lesser number was sent before the last cut: what it tells has been acted on.
    last_backoff_request: u64,
    requests_sent: u64,
}

impl AimdLimit {
    /// The pace at the start, which will never be more than `most`, nor than [`MOST`].
    #[must_use]
    pub fn new(most: usize) -> Self {
        let most = most.clamp(1, MAX_CONCURRENT_REQUESTS);
        Self {
            limit: INITIAL_CONCURRENT_REQUESTS.min(most),
            maximum: most,
            slow_start_threshold: most,
            answers_since_raise: 0,
            last_backoff_request: 0,
            requests_sent: 0,
        }
    }

    /// How many requests may be under way now.
    #[must_use]
    pub fn current_limit(&self) -> usize {
        self.limit
    }

    /// Counts a request that is sent now, and gives its number.
    pub fn register_request(&mut self) -> u64 {
        self.requests_sent += 1;
        self.requests_sent
    }

    /// A request was answered.
    pub fn record_answer(&mut self) {
        if self.limit < self.slow_start_threshold {
            self.limit += 1;
            return;
        }
        self.answers_since_raise += 1;
        if self.answers_since_raise >= self.limit {
            self.answers_since_raise = 0;
            self.limit = (self.limit + 1).min(self.maximum);
        }
    }

    /// The server or the network could not cope with the request of this number.
    pub fn record_overload(&mut self, number: u64) {
        if number <= self.last_backoff_request {
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

    #[test]
    fn it_doubles_with_every_round_of_answers_up_to_the_most() {
        let mut pace = AimdLimit::new(MAX_CONCURRENT_REQUESTS);
        let mut limits = vec![pace.current_limit()];
        for _ in 0..4 {
            (0..pace.current_limit()).for_each(|_| pace.record_answer());
            limits.push(pace.current_limit());
        }
        assert_eq!(limits, [64, 128, 256, 512, 512]);
    }

    #[test]
    fn one_burst_of_refusals_halves_it_once_and_then_it_grows_by_one_a_round() {
        let mut pace = AimdLimit::new(MAX_CONCURRENT_REQUESTS);
        let numbers: Vec<u64> = (0..64).map(|_| pace.register_request()).collect();
        for number in numbers {
            pace.record_overload(number);
        }
        assert_eq!(pace.current_limit(), 32);
        (0..32).for_each(|_| pace.record_answer());
        assert_eq!(pace.current_limit(), 33);
        let later = pace.register_request();
        pace.record_overload(later);
        assert_eq!(pace.current_limit(), 16);
    }

    #[test]
    fn there_is_always_one_and_never_more_than_the_machine_allows() {
        let mut pace = AimdLimit::new(MAX_CONCURRENT_REQUESTS);
        for _ in 0..10 {
            let number = pace.register_request();
            pace.record_overload(number);
        }
        assert_eq!(pace.current_limit(), 1);
        let mut small = AimdLimit::new(100);
        (0..1000).for_each(|_| small.record_answer());
        assert_eq!(small.current_limit(), 100);
    }
}

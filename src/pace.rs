//! How many requests to have under way: more while the server keeps up, half of them when it says that it does not.
//!
//! Pure: told what became of each request, it says how many there may be. Additive increase and multiplicative
//! decrease with a slow start, as TCP has them (RFC 5681), for they find the share of a server that others use, too.

/// The most requests at once: beyond, connections cost more than they bring.
const MOST: usize = 256;
/// What a start may burden a server with that nobody knows yet.
const FIRST: usize = 16;

/// The number of requests that may be under way.
#[derive(Debug)]
pub struct Pace {
    limit: usize,
    /// Up to here the limit doubles in the time of an answer.
    doubles_until: usize,
    /// Answers since the limit was raised, above `doubles_until`.
    answers: usize,
    /// A request with a lesser number was sent before the last cut: what it tells has been acted on.
    cut_at: u64,
    sent: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { limit: FIRST, doubles_until: MOST, answers: 0, cut_at: 0, sent: 0 }
    }
}

impl Pace {
    /// How many requests may be under way now.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Counts a request that is sent now, and gives its number.
    pub fn send(&mut self) -> u64 {
        self.sent += 1;
        self.sent
    }

    /// A request was answered.
    pub fn answered(&mut self) {
        if self.limit < self.doubles_until {
            self.limit += 1;
            return;
        }
        self.answers += 1;
        if self.answers >= self.limit {
            self.answers = 0;
            self.limit = (self.limit + 1).min(MOST);
        }
    }

    /// The server or the network could not cope with the request of this number.
    pub fn overloaded(&mut self, number: u64) {
        if number <= self.cut_at {
            return;
        }
        self.limit = (self.limit / 2).max(1);
        self.doubles_until = self.limit;
        self.answers = 0;
        self.cut_at = self.sent;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_with_every_round_of_answers_up_to_the_most() {
        let mut pace = Pace::default();
        let mut limits = vec![pace.limit()];
        for _ in 0..6 {
            (0..pace.limit()).for_each(|_| pace.answered());
            limits.push(pace.limit());
        }
        assert_eq!(limits, [16, 32, 64, 128, 256, 256, 256]);
    }

    #[test]
    fn one_burst_of_refusals_halves_it_once_and_then_it_grows_by_one_a_round() {
        let mut pace = Pace::default();
        let numbers: Vec<u64> = (0..16).map(|_| pace.send()).collect();
        for number in numbers {
            pace.overloaded(number);
        }
        assert_eq!(pace.limit(), 8);
        (0..8).for_each(|_| pace.answered());
        assert_eq!(pace.limit(), 9);
        let later = pace.send();
        pace.overloaded(later);
        assert_eq!(pace.limit(), 4);
    }

    #[test]
    fn there_is_always_one() {
        let mut pace = Pace::default();
        for _ in 0..10 {
            let number = pace.send();
            pace.overloaded(number);
        }
        assert_eq!(pace.limit(), 1);
    }
}

//! How many requests to have under way: more while the server keeps up, half of them when it says that it does not.
//!
//! Pure: told what became of each request, it says how many there may be. Additive increase and multiplicative
//! decrease with a slow start, as TCP has them (RFC 5681), for they find the share of a server that others use, too.

/// The most requests at once: beyond, connections cost more than they bring.
pub const MOST: usize = 512;
/// What a start may burden a server with that nobody knows yet.
const FIRST: usize = 64;

/// The number of requests that may be under way.
#[derive(Debug)]
pub struct Pace {
    limit: usize,
    most: usize,
    /// Up to here the limit doubles in the time of an answer.
    doubles_until: usize,
    /// Answers since the limit was raised, above `doubles_until`.
    answers: usize,
    /// A request with a lesser number was sent before the last cut: what it tells has been acted on.
    cut_at: u64,
    sent: u64,
}

impl Pace {
    /// The pace at the start, which will never be more than `most`, nor than [`MOST`].
    #[must_use]
    pub fn new(most: usize) -> Self {
        let most = most.clamp(1, MOST);
        Self { limit: FIRST.min(most), most, doubles_until: most, answers: 0, cut_at: 0, sent: 0 }
    }

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
            self.limit = (self.limit + 1).min(self.most);
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
        let mut pace = Pace::new(MOST);
        let mut limits = vec![pace.limit()];
        for _ in 0..4 {
            (0..pace.limit()).for_each(|_| pace.answered());
            limits.push(pace.limit());
        }
        assert_eq!(limits, [64, 128, 256, 512, 512]);
    }

    #[test]
    fn one_burst_of_refusals_halves_it_once_and_then_it_grows_by_one_a_round() {
        let mut pace = Pace::new(MOST);
        let numbers: Vec<u64> = (0..64).map(|_| pace.send()).collect();
        for number in numbers {
            pace.overloaded(number);
        }
        assert_eq!(pace.limit(), 32);
        (0..32).for_each(|_| pace.answered());
        assert_eq!(pace.limit(), 33);
        let later = pace.send();
        pace.overloaded(later);
        assert_eq!(pace.limit(), 16);
    }

    #[test]
    fn there_is_always_one_and_never_more_than_the_machine_allows() {
        let mut pace = Pace::new(MOST);
        for _ in 0..10 {
            let number = pace.send();
            pace.overloaded(number);
        }
        assert_eq!(pace.limit(), 1);
        let mut small = Pace::new(100);
        (0..1000).for_each(|_| small.answered());
        assert_eq!(small.limit(), 100);
    }
}

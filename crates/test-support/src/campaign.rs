//! What all campaigns share: a seed, a size, threads for both cores, and the summary line.

use std::fmt::Display;
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// A running campaign.
#[derive(Debug, Clone, Copy)]
pub struct Campaign {
    name: &'static str,
    /// The seed of all random choices.
    pub seed: u64,
    full: bool,
}

impl Campaign {
    /// Starts a campaign and prints its seed. `CAMPAIGN_SIZE=full` runs it in full, `CAMPAIGN_SEED`
    /// repeats an earlier run.
    pub fn start(name: &'static str) -> Self {
        let full = std::env::var("CAMPAIGN_SIZE").is_ok_and(|size| size == "full");
        let seed = match std::env::var("CAMPAIGN_SEED") {
            Ok(seed) => seed.parse().expect("CAMPAIGN_SEED is a whole number"),
            Err(_) => 20_261_124,
        };
        let campaign = Self { name, seed, full };
        campaign.print_line(format!(
            "seed {seed}, {}",
            if full { "full" } else { "small" }
        ));
        campaign
    }

    /// Returns `small` or `full`, by the size of the campaign.
    pub fn pick<T>(&self, small: T, full: T) -> T {
        if self.full { full } else { small }
    }

    /// The random generator of part `number`; it does not depend on the order in which the parts
    /// run.
    pub fn rng(&self, number: usize) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.seed ^ (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// Prints a line to stderr directly, because the test runner captures the output of tests.
    pub fn print_line(&self, line: impl Display) {
        let _ = writeln!(std::io::stderr(), "{}: {line}", self.name);
    }

    /// Runs `work` for all numbers below `count` on `workers` threads, and returns the results in
    /// order.
    #[allow(clippy::unused_self)] // it is the campaign that does it
    pub fn run_each<T: Send>(
        &self,
        count: usize,
        workers: usize,
        work: impl Fn(usize) -> T + Sync,
    ) -> Vec<T> {
        let next = AtomicUsize::new(0);
        let done: Vec<Vec<(usize, T)>> = thread::scope(|scope| {
            let worker = || {
                let take =
                    || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|number| *number < count);
                std::iter::from_fn(take)
                    .map(|number| (number, work(number)))
                    .collect()
            };
            let workers: Vec<_> = (0..workers.min(count))
                .map(|_| scope.spawn(worker))
                .collect();
            workers
                .into_iter()
                .map(|worker| {
                    worker
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                })
                .collect()
        });
        let mut done: Vec<(usize, T)> = done.into_iter().flatten().collect();
        done.sort_by_key(|(number, _)| *number);
        done.into_iter().map(|(_, result)| result).collect()
    }
}

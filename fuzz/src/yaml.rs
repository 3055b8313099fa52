//! YAML that is costly to parse: a pattern said over and over, up to a size at which any cost that grows faster shows.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use config_backup::facts;

/// The size at which a quadratic cost would take half a minute.
pub const LARGE: usize = 1 << 18;
/// What a plan may take in all.
const LIMIT: Duration = Duration::from_secs(3);

/// The bytes are what comes first, what is repeated, and what comes last, with NULs between them.
pub fn run(data: &[u8], size: usize) {
    let [head, unit, tail] = super::texts(data);
    if unit.is_empty() {
        return;
    }
    let text = head + &unit.repeat(size / unit.len()) + &tail;
    let started = Instant::now();
    drop(facts::read(text.as_bytes()));
    judge(&data, started.elapsed());
}

/// Panics at more than a plan may take.
pub fn judge(of: &impl Debug, took: Duration) {
    assert!(took < LIMIT, "{of:?} took {took:?}");
}

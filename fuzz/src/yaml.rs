//! YAML that is costly to parse: a pattern said over and over, up to a size at which any cost that grows faster shows.

use std::fmt::Debug;
use std::fs;
use std::time::{Duration, Instant};

use config_backup::facts;

/// The size at which a quadratic cost would take half a minute.
pub const LARGE: usize = 1 << 18;
/// What the parser may take, also where it counts its own steps for the fuzzer: some twice of what its guards let pass.
const LIMIT: Duration = Duration::from_secs(5);

/// The bytes are what comes first, what is repeated, and what comes last, with NULs between them.
pub fn run(data: &[u8], size: usize) {
    let [head, unit, tail] = super::texts(data);
    if unit.is_empty() {
        return;
    }
    let text = head + &unit.repeat(size / unit.len()) + &tail;
    let (wall, processor) = (Instant::now(), processor());
    drop(facts::read(text.as_bytes()));
    let took = self::processor().zip(processor).map_or_else(|| wall.elapsed(), |(after, before)| after - before);
    judge(&data, took);
}

/// The time that this thread had on a processor, since the machine does other things, too; only Linux tells.
fn processor() -> Option<Duration> {
    let statistics = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    statistics.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// Panics at more than the limit.
pub fn judge(of: &impl Debug, took: Duration) {
    assert!(took < LIMIT, "{of:?} took {took:?}");
}

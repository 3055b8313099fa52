//! YAML that is costly to parse: a pattern said over and over, up to a size at which any cost that grows faster shows.

use std::fs;
use std::time::{Duration, Instant};

use config_backup::config::fields;

/// A size at which no cost shows, unless it grows faster than the size.
pub const SMALL: usize = 1 << 14;
/// What the parser may take, also where it counts its own steps for the fuzzer: some twice of what its guards let pass.
const LIMIT: Duration = Duration::from_secs(5);

/// Lets a pattern grow, and to `largest` if it would take too long there were the cost quadratic.
pub fn run(data: &[u8], largest: usize) {
    let growth = u32::try_from(largest / SMALL).expect("a small number");
    if read(data, SMALL) * growth * growth > LIMIT {
        read(data, largest);
    }
}

/// Reads what grows to this size: the bytes are what comes first, what is repeated, and what comes last, with NULs
/// between them. Gives the time that it took.
fn read(data: &[u8], size: usize) -> Duration {
    let [head, unit, tail] = super::texts(data);
    let text = head + &unit.repeat(size / unit.len().max(1)) + &tail;
    let (wall, before) = (Instant::now(), processor());
    drop(fields::parse_config_fields(text.as_bytes()));
    let took = processor().zip(before).map_or_else(
        || wall.elapsed(),
        |(after, before)| after.saturating_sub(before),
    );
    judge(data, took);
    took
}

/// The time that this thread had on a processor, since the machine does other things, too; only Linux tells.
fn processor() -> Option<Duration> {
    let statistics = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    statistics
        .split(' ')
        .next()?
        .parse()
        .ok()
        .map(Duration::from_nanos)
}

/// Panics at more than the limit.
pub fn judge(data: &[u8], took: Duration) {
    assert!(took < LIMIT, "`{}` took {took:?}", data.escape_ascii());
}

//! What is fuzzed: for each target a function that takes any bytes and panics where the product breaks a promise.
//!
//! libFuzzer calls them through `fuzz_targets/`; `tests/fuzz` replays the corpus through them with any Rust.

pub mod arn;
pub mod cell;
pub mod config;
pub mod key;
pub mod part;
pub mod phrase;
pub mod query;
pub mod record;
pub mod yaml;

/// Cuts `data` at NUL bytes into `N` texts; what is missing is empty, and the last takes the rest.
#[must_use]
pub fn texts<const N: usize>(data: &[u8]) -> [String; N] {
    let mut parts = data.splitn(N, |byte| *byte == 0);
    std::array::from_fn(|_| String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned())
}

//! `coverage`: changes and states without a usage record.

mod gaps;
mod properties;

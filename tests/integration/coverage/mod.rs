//! `coverage`: changes and states of which there is no usage record.

mod gaps;
mod properties;

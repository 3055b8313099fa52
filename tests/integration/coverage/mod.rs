//! `coverage`: changes and states without a usage record.

mod evidence;
mod gaps;
mod properties;

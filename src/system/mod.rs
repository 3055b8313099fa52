//! The machine: environment, clock, processes, deadlines, signals, files.

pub mod atomic_file;
pub mod deadline;
pub mod host;
pub mod panics;
pub mod process;
pub mod runtime;
pub mod signals;

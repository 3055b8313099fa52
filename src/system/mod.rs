//! The machine: its environment, clock, processes, signals and files.
//!
//! Must not know what the program does with them.
//!
//! - `ancestors`: the processes above this one
//! - `atomic_file`: writes files so that readers never see a mix of old and new content
//! - `background`: work on another thread, for asynchronous work
//! - `child_group`: runs a program with a limit, and ends what it started
//! - `clock`: the only file that reads the clock
//! - `deadline`: deadlines that hold even if the work is stuck
//! - `dirs`: where state and cache live
//! - `env`: the only file that reads the environment
//! - `open_files`: the limit on open files
//! - `panics`: turns panics into errors
//! - `pipes`: reads and writes that end, whatever is at the other end
//! - `process`: the only file that runs other programs
//! - `random`: unique ids and random keys
//! - `runtime`: runs asynchronous work
//! - `signals`: interrupts
//! - `url`: URLs of variables, and what of them may be shown

pub mod ancestors;
pub mod atomic_file;
pub mod background;
pub mod child_group;
pub mod clock;
pub mod deadline;
pub mod dirs;
pub mod env;
pub mod open_files;
pub mod panics;
pub mod pipes;
pub mod process;
pub mod random;
pub mod runtime;
pub mod signals;
pub mod url;

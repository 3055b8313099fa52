//! The executable: names the standard streams, and nothing else.

use std::io::{stderr, stdin, stdout};

fn main() -> ! {
    let exit = config_backup::cli::run(std::env::args_os(), stdin(), stdout(), stderr());
    // Not a return: a thread that is stuck in the network must not keep the process alive.
    std::process::exit(exit.0.into())
}

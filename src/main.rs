//! The executable: cleans its environment and names the standard streams.

use std::io::{stderr, stdin, stdout};

fn main() -> ! {
    config_backup::system::process::restart_without_empty_env_vars();
    let exit_code = config_backup::cli::run_cli(std::env::args_os(), stdin(), stdout(), stderr());
    config_backup::system::child_group::end_all_children();
    // Not a return: a thread that is stuck in the network must not keep the process alive.
    std::process::exit(exit_code.code().into())
}

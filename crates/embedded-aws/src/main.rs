//! The server as a program, for demonstrations and end-to-end tests; see `embedded-aws --help`.

use std::io::{Write as _, stderr, stdin, stdout};
use std::process::ExitCode;

use clap::Parser as _;

mod cli;

fn main() -> ExitCode {
    match cli::run_server(&cli::ServerArguments::parse(), stdin(), &mut stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A closed stderr cannot report errors.
            let _ = writeln!(stderr(), "embedded-aws: {error}");
            ExitCode::FAILURE
        }
    }
}

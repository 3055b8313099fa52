//! Writes the manual pages into a folder: `cargo run --example man -- FOLDER`, which is `make man`.

#![allow(clippy::disallowed_methods)] // no part of the product

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let folder = std::env::args_os()
        .nth(1)
        .map_or_else(|| PathBuf::from("target/man"), PathBuf::from);
    std::fs::create_dir_all(&folder)?;
    clap_mangen::generate_to(config_backup::cli::cli_command(), folder)
}

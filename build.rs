//! Leaves the unwind tables out of the release on Linux: a tenth of the executable.
//!
//! The release aborts on a panic (src/system/panics.rs) and prints no backtrace, so nothing reads
//! them. The compiler omits them only by a flag that a profile cannot set.

#![allow(
    clippy::disallowed_methods,
    reason = "Cargo talks to build scripts by the environment"
)]

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is_set_to = |name, expected| env::var(name).is_ok_and(|value| value == expected);
    if is_set_to("PROFILE", "release")
        && is_set_to("CARGO_CFG_TARGET_OS", "linux")
        && is_set_to("CARGO_CFG_TARGET_ENV", "gnu")
    {
        let folder = env::var("CARGO_MANIFEST_DIR").expect("Cargo sets it");
        println!("cargo:rerun-if-changed=packaging/no-unwind-tables.ld");
        println!("cargo:rustc-link-arg-bins={folder}/packaging/no-unwind-tables.ld");
    }
}

//! Exit codes of the commands for people. README.md, "Exit codes", lists them.

/// An exit code; README.md, "Exit codes", lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitCode(pub u8);

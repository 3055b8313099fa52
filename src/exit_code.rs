//! Exit codes of the commands for people. docs/commands.md, "Exit codes", lists them.

use serde::ser::{Serialize, Serializer};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    Ok = 0,
    /// Something failed; or `diff --exit-code` found a difference.
    Error = 1,
    /// The command line is wrong.
    Usage = 2,
    /// A file or an option has wrong content.
    InvalidInput = 3,
    Credentials = 4,
    /// A permission is missing, or the bucket.
    Denied = 5,
    Network = 6,
    /// The command did its work, and something is missing or wrong.
    FindingsReported = 7,
}

impl ExitCode {
    /// What the process returns.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// In JSON it is the number.
impl Serialize for ExitCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.code())
    }
}

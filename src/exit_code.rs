//! Exit codes of the commands for people. docs/commands.md, "Exit codes", lists them.

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

/// The exit code with a number; an unknown one is an error.
#[expect(non_snake_case, reason = "stands in for the tuple struct that it was")]
#[must_use]
pub const fn ExitCode(code: u8) -> ExitCode {
    match code {
        0 => ExitCode::Ok,
        2 => ExitCode::Usage,
        3 => ExitCode::InvalidInput,
        4 => ExitCode::Credentials,
        5 => ExitCode::Denied,
        6 => ExitCode::Network,
        7 => ExitCode::FindingsReported,
        _ => ExitCode::Error,
    }
}

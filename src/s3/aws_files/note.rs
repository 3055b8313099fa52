//! Lines of the AWS files that other tools read otherwise, or not at all.

use std::fmt;
use std::path::{Path, PathBuf};

/// A line of one of the two files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsFileLine {
    pub path: PathBuf,
    /// Counts from 1. `None` stands for the whole file.
    pub number: Option<usize>,
}

/// What is unusual about a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsFileNote {
    pub line: AwsFileLine,
    /// A clause without a full stop, and without a value of the file.
    pub text: String,
}

impl AwsFileLine {
    #[must_use]
    pub fn new(path: &Path, number: usize) -> Self {
        Self {
            path: path.to_owned(),
            number: Some(number),
        }
    }

    #[must_use]
    pub fn whole_file(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            number: None,
        }
    }
}

impl AwsFileNote {
    #[must_use]
    pub fn new(line: AwsFileLine, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { line, text }
    }
}

impl fmt::Display for AwsFileLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            Some(number) => write!(f, "line {number} of `{}`", self.path.display()),
            None => write!(f, "`{}`", self.path.display()),
        }
    }
}

impl fmt::Display for AwsFileNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.line, self.text)
    }
}

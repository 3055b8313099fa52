//! Limits of YAML, so that the size of a file bounds the time and memory that it takes.
//!
//! Nodes, aliases and depth are counted while the tree is built, in `yaml_tree.rs`.

use std::fmt;

/// The largest file that is parsed.
pub const MAX_YAML_BYTES: usize = 1 << 20;
/// The deepest nesting of lists and mappings.
pub(crate) const MAX_YAML_DEPTH: usize = 64;
/// The parser compares `%TAG` lines with each other.
const MAX_DIRECTIVES: usize = 100;

/// Why a file cannot be used as YAML. No variant holds a part of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum YamlError {
    Empty,
    TooLarge {
        bytes: usize,
    },
    NotUtf8 {
        line: usize,
    },
    Utf16,
    TooDeep,
    TooManyDirectives,
    OtherVersion {
        line: usize,
    },
    TooManyAliases,
    AliasInItself {
        line: usize,
    },
    UnknownAlias {
        line: usize,
    },
    SeveralDocuments {
        line: usize,
    },
    UnusableKey {
        line: usize,
    },
    UnusableMerge {
        line: usize,
    },
    /// Such as `.nan`, or a text with the tag of numbers.
    UnusableValue {
        line: usize,
    },
    Syntax {
        line: usize,
        column: usize,
    },
    SyntaxSomewhere,
    NotMapping,
}

impl fmt::Display for YamlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::TooLarge { bytes } => {
                write!(
                    f,
                    "it has {bytes} bytes, and at most {MAX_YAML_BYTES} are parsed"
                )
            }
            Self::NotUtf8 { line } => write!(f, "it is not valid UTF-8 at line {line}"),
            Self::Utf16 => f.write_str("it is UTF-16, and Terraform reads UTF-8 only"),
            Self::TooDeep => write!(f, "it is nested deeper than {MAX_YAML_DEPTH} levels"),
            Self::TooManyDirectives => f.write_str("it has too many lines that begin with `%`"),
            Self::OtherVersion { line } => {
                write!(
                    f,
                    "its `%YAML` at line {line} is not 1.1, and Terraform refuses that"
                )
            }
            Self::TooManyAliases => f.write_str("its aliases stand for too much data"),
            Self::AliasInItself { line } => {
                write!(f, "an alias at line {line} is inside of what it stands for")
            }
            Self::UnknownAlias { line } => {
                write!(f, "the alias at line {line} stands for nothing above it")
            }
            Self::SeveralDocuments { line } => {
                write!(
                    f,
                    "a second document begins at line {line}, and only one is allowed"
                )
            }
            Self::UnusableKey { line } => write!(f, "a key at line {line} is not a text"),
            Self::UnusableMerge { line } => {
                write!(f, "what `<<` merges at line {line} is not a mapping")
            }
            Self::UnusableValue { line } => {
                write!(
                    f,
                    "a value at line {line} is not what its tag says, or not a number"
                )
            }
            Self::Syntax { line, column } => {
                write!(f, "it is not valid YAML at line {line}, column {column}")
            }
            Self::SyntaxSomewhere => f.write_str("it is not valid YAML"),
            Self::NotMapping => f.write_str("it is not a mapping of keys to values"),
        }
    }
}

/// Decodes a file, without its byte order mark.
pub(crate) fn decode_yaml(bytes: &[u8]) -> Result<&str, YamlError> {
    if bytes.len() > MAX_YAML_BYTES {
        return Err(YamlError::TooLarge { bytes: bytes.len() });
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(YamlError::Utf16);
    }
    let text = std::str::from_utf8(bytes).map_err(|error| YamlError::NotUtf8 {
        line: line_at(bytes, error.valid_up_to()),
    })?;
    let directives = text.lines().filter(|line| line.starts_with('%')).count();
    if directives > MAX_DIRECTIVES {
        return Err(YamlError::TooManyDirectives);
    }
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

fn line_at(bytes: &[u8], offset: usize) -> usize {
    let line_ends = bytes[..offset].iter().filter(|byte| **byte == b'\n');
    line_ends.count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_thousands_of_directives() {
        let directives = "%TAG !x! x\n".repeat(MAX_DIRECTIVES + 1);
        let refused = decode_yaml(directives.as_bytes());
        assert_eq!(refused, Err(YamlError::TooManyDirectives));
        assert!(decode_yaml(&directives.as_bytes()[11..]).is_ok());
    }

    #[test]
    fn a_byte_order_mark_tells_utf8_from_utf16() {
        assert_eq!(decode_yaml("\u{feff}a: 1".as_bytes()), Ok("a: 1"));
        for start in [b"\xff\xfea\0", b"\xfe\xff\0a"] {
            assert_eq!(decode_yaml(start), Err(YamlError::Utf16));
        }
    }

    #[test]
    fn bounds_the_size() {
        let comment = |bytes: usize| "#".repeat(bytes);
        assert!(decode_yaml(comment(MAX_YAML_BYTES).as_bytes()).is_ok());
        let larger = comment(MAX_YAML_BYTES + 1);
        let refused = decode_yaml(larger.as_bytes()).map(str::len);
        assert_eq!(refused, Err(YamlError::TooLarge { bytes: 1_048_577 }));
    }

    #[test]
    fn names_the_line_that_is_not_utf8() {
        let refused = decode_yaml(b"a: 1\nb: \xff");
        assert_eq!(refused, Err(YamlError::NotUtf8 { line: 2 }));
    }
}

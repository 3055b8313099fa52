//! Limits of YAML, so that the size of a file bounds the time and memory that it takes.
//!
//! # Why brackets are counted
//!
//! The parser compares each token with every bracket that is still open. A mebibyte of brackets
//! takes it an hour. A guard that counts the parser's events would be exact, but it cannot run
//! early enough:
//!
//! - `serde_yaml` reads all events of a document before it hands out the first one. The parser
//!   below it has only an unsafe interface, which this workspace forbids.
//! - Another parser as the guard reads another language. In YAML 1.2, U+0085 and U+2028 do not end
//!   a comment; here they do. Brackets behind one would be a comment to the guard, and nested
//!   brackets to the parser.
//! - A closing bracket may stand in a string or a comment and close nothing (`[']',`), so the depth
//!   cannot be told without a parser.
//!
//! The number of opening brackets is an upper bound of the depth that needs no parser, so it stays.
//! The older guard for deep indentation and `- - -` is gone: with all patterns of the fuzz corpus,
//! grown to a mebibyte, they take less than half a second. Nodes, aliases and depth are counted
//! while the tree is built, in `document.rs`.

use std::fmt;

/// The largest file that is parsed.
pub const MAX_YAML_BYTES: usize = 1 << 20;
/// The deepest nesting of lists and mappings.
pub(crate) const MAX_YAML_DEPTH: usize = 64;
/// The largest product of brackets and bytes, which takes the parser a second.
const MAX_BRACKET_COST: usize = 1 << 28;

/// Why a file cannot be used as YAML. No variant holds a part of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum YamlError {
    Empty,
    TooLarge { bytes: usize },
    NotUtf8 { line: usize },
    TooManyBrackets,
    TooDeep,
    TooManyAliases,
    Syntax { line: usize, column: usize },
    SyntaxSomewhere,
    NotMapping,
}

impl YamlError {
    /// The parser's own words may quote the file, so only the place is taken over.
    pub(crate) fn from_parser(error: &serde_yaml::Error) -> Self {
        match error.location() {
            Some(place) => Self::Syntax {
                line: place.line(),
                column: place.column(),
            },
            None => Self::SyntaxSomewhere,
        }
    }
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
            Self::TooManyBrackets => f.write_str("it has too many brackets for its size"),
            Self::TooDeep => write!(f, "it is nested deeper than {MAX_YAML_DEPTH} levels"),
            Self::TooManyAliases => f.write_str("its aliases stand for too much data"),
            Self::Syntax { line, column } => {
                write!(f, "it is not valid YAML at line {line}, column {column}")
            }
            Self::SyntaxSomewhere => f.write_str("it is not valid YAML"),
            Self::NotMapping => f.write_str("it is not a mapping of keys to values"),
        }
    }
}

/// Decodes a file that the parser can read in bounded time.
pub(crate) fn decode_yaml(bytes: &[u8]) -> Result<&str, YamlError> {
    if bytes.len() > MAX_YAML_BYTES {
        return Err(YamlError::TooLarge { bytes: bytes.len() });
    }

    let text = std::str::from_utf8(bytes).map_err(|error| YamlError::NotUtf8 {
        line: line_at(bytes, error.valid_up_to()),
    })?;

    if bracket_cost(text) > MAX_BRACKET_COST {
        return Err(YamlError::TooManyBrackets);
    }
    Ok(text)
}

fn line_at(bytes: &[u8], offset: usize) -> usize {
    let line_ends = bytes[..offset].iter().filter(|byte| **byte == b'\n');
    line_ends.count() + 1
}

/// An upper bound of the parser's comparisons. `%TAG` lines are compared with each other, so they
/// count like brackets.
fn bracket_cost(text: &str) -> usize {
    let is_bracket = |byte: &u8| matches!(byte, b'[' | b'{');
    let brackets = text.bytes().filter(is_bracket).count();

    let lines = text.split(['\n', '\r']);
    let directives = lines.filter(|line| line.starts_with('%')).count();

    (brackets + directives).saturating_mul(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_brackets_that_strings_or_comments_seem_to_close() {
        for hidden in ["[']',", "[\"]\",", "{']':", "[ #]\n"] {
            let repeats = MAX_YAML_BYTES / hidden.len() - 1;
            let bomb = format!("a: {}", hidden.repeat(repeats));
            let refused = decode_yaml(bomb.as_bytes());
            assert_eq!(refused, Err(YamlError::TooManyBrackets), "{hidden}");
        }
    }

    #[test]
    fn refuses_thousands_of_directives() {
        let directives: Vec<String> = (0..40_000)
            .map(|number| format!("%TAG !{number}! x\n"))
            .collect();
        let directives = directives.concat();
        let refused = decode_yaml(directives.as_bytes());
        assert_eq!(refused, Err(YamlError::TooManyBrackets));
    }

    #[test]
    fn takes_a_list_of_two_thousand_short_mappings() {
        let item = "  - {cidr: \"10.0.0.0/8\", comment: \"an office\"}\n";
        let list = format!("x:\n{}", item.repeat(2000));
        assert!(decode_yaml(list.as_bytes()).is_ok());
    }

    #[test]
    fn bounds_the_product_of_brackets_and_bytes() {
        let padded =
            |brackets: usize| "[".repeat(brackets) + &" ".repeat(MAX_YAML_BYTES - brackets);
        assert!(decode_yaml(padded(256).as_bytes()).is_ok());
        let refused = padded(257);
        assert_eq!(
            decode_yaml(refused.as_bytes()),
            Err(YamlError::TooManyBrackets)
        );
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

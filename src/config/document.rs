//! A YAML file as a tree, with the values that Terraform reads. The order of keys and comments
//! play no part.
//!
//! Must not put a word of the file into an error.

use std::collections::BTreeMap;
use std::fmt;

use crate::config::yaml_limits::{YamlError, decode_yaml};
use crate::config::yaml_tree::TreeBuilder;
use crate::system::panics;

/// A node of a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum YamlNode {
    Null,
    Bool(bool),
    /// As Terraform writes it: `16` also for `0x10`, and `1` also for `1.0`.
    Number(String),
    Text(String),
    List(Vec<YamlNode>),
    /// The keys are texts.
    Map(BTreeMap<YamlNode, YamlNode>),
    /// A node with a tag of its own, like `!secret`.
    Tagged(String, Box<YamlNode>),
}

impl YamlNode {
    pub(crate) fn has_children(&self) -> bool {
        match self {
            Self::Map(map) => !map.is_empty(),
            Self::List(list) => !list.is_empty(),
            _ => false,
        }
    }

    /// The node below its tags.
    pub(crate) fn untagged(&self) -> &Self {
        match self {
            Self::Tagged(_, node) => node.untagged(),
            node => node,
        }
    }

    /// The value of a key, also below a tag.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match self.untagged() {
            Self::Map(map) => map.get(&Self::Text(key.to_owned())),
            _ => None,
        }
    }
}

/// A file that was parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedYaml {
    pub root: YamlNode,
    pub warnings: Vec<YamlWarning>,
}

/// What is probably a mistake, or what Terraform refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum YamlWarning {
    DuplicateKey { key: String, line: usize },
    UnknownTag { line: usize },
}

impl fmt::Display for YamlWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateKey { key, line } if is_plain_word(key) => {
                write!(
                    f,
                    "its key `{key}` is there again at line {line}, and the last one counts"
                )
            }
            Self::DuplicateKey { line, .. } => {
                write!(
                    f,
                    "a key is there again at line {line}, and the last one counts"
                )
            }
            Self::UnknownTag { line } => {
                write!(f, "it has a tag at line {line} that Terraform refuses")
            }
        }
    }
}

/// Whether a key may be named: no password is a plain lower-case word.
fn is_plain_word(key: &str) -> bool {
    let is_word_byte = |byte: u8| byte.is_ascii_lowercase() || b"_-".contains(&byte);
    key.len() <= 40 && key.bytes().all(is_word_byte)
}

/// Parses a file with one document. A file without any is null.
pub fn parse_document(bytes: &[u8]) -> Result<YamlNode, YamlError> {
    parse_yaml(bytes).map(|parsed| parsed.root)
}

/// As [`parse_document`], with warnings.
///
/// The parser has assertions that some malformed files break, so a panic is treated as a mistake in
/// the file.
pub(crate) fn parse_yaml(bytes: &[u8]) -> Result<ParsedYaml, YamlError> {
    let text = decode_yaml(bytes)?.to_owned();
    match panics::catch_panic(move || TreeBuilder::new(&text).build()) {
        Ok(parsed) => parsed,
        Err(_) => Err(YamlError::SyntaxSomewhere),
    }
}

/// On one line, with texts in quotes.
impl fmt::Display for YamlNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(flag) => write!(f, "{flag}"),
            Self::Number(number) => f.write_str(number),
            Self::Text(text) => f.write_str(&serde_json::to_string(text).unwrap_or_default()),
            Self::List(list) => {
                f.write_str("[")?;
                let mut separator = "";
                for node in list {
                    write!(f, "{separator}{node}")?;
                    separator = ", ";
                }
                f.write_str("]")
            }
            Self::Map(map) => {
                f.write_str("{")?;
                let mut separator = "";
                for (key, node) in map {
                    write!(f, "{separator}{key}: {node}")?;
                    separator = ", ";
                }
                f.write_str("}")
            }
            Self::Tagged(tag, node) => write!(f, "!{tag} {node}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::config::yaml_limits::MAX_YAML_BYTES;

    fn parse_tree(text: &str) -> YamlNode {
        parse_document(text.as_bytes()).expect(text)
    }

    #[test]
    fn refuses_aliases_that_stand_for_much_more_than_the_file() {
        let mut laughs = "a0: &a0 [x, x]\n".to_owned();
        for level in 0..39 {
            let next = level + 1;
            let _ = writeln!(
                laughs,
                "a{next}: &a{next} [*a{level}, *a{level}, *a{level}]"
            );
        }
        let refused = parse_document(laughs.as_bytes());
        assert_eq!(refused, Err(YamlError::TooManyAliases));

        let wide = format!(
            "a: &a {}\nb: [{}]\n",
            "x".repeat(100_000),
            "*a,".repeat(1000)
        );
        assert_eq!(
            parse_document(wide.as_bytes()),
            Err(YamlError::TooManyAliases)
        );
    }

    #[test]
    fn refuses_more_than_64_levels_however_they_are_written() {
        let brackets = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        let dashes = |levels: usize| "- ".repeat(levels) + "x";
        let indented = |levels: usize| {
            let mut text = String::new();
            for level in 0..levels {
                let _ = writeln!(text, "{}a:", " ".repeat(level));
            }
            text
        };
        let aliases = |levels: usize| {
            let mut text = "a1: &a1 [x]\n".to_owned();
            for level in 1..levels {
                let _ = writeln!(text, "a{}: &a{} [*a{level}]", level + 1, level + 1);
            }
            text
        };
        // The root is a level, too.
        for text in [brackets(64), dashes(64), indented(64), aliases(63)] {
            assert!(parse_document(text.as_bytes()).is_ok(), "{text}");
        }
        for text in [brackets(65), dashes(65), indented(65), aliases(64)] {
            assert_eq!(
                parse_document(text.as_bytes()),
                Err(YamlError::TooDeep),
                "{text}"
            );
        }
    }

    #[test]
    fn parses_a_file_of_the_largest_size_without_aliases() {
        let large = format!("a:\n{}", "- x\n".repeat(MAX_YAML_BYTES / 4 - 1));
        let tree = parse_tree(&large);
        let Some(YamlNode::List(list)) = tree.get("a") else {
            panic!("a list")
        };
        assert_eq!(list.len(), (1 << 18) - 1);
    }

    #[test]
    fn counts_what_aliases_stand_for_down_to_the_nulls() {
        let copies_of_nulls = |copies| {
            let nulls = "~,".repeat(1000);
            format!("a: &a [{nulls}]\nb: [{}]\n", "*a,".repeat(copies))
        };
        let refused = parse_document(copies_of_nulls(2200).as_bytes());
        assert_eq!(refused, Err(YamlError::TooManyAliases));
        assert!(parse_tree(&copies_of_nulls(1500)).has_children());
    }

    #[test]
    fn a_file_without_a_document_is_null_up_to_the_largest() {
        let largest = format!("#{}", "x".repeat(MAX_YAML_BYTES - 1));
        for text in ["", "\n \n", "# a\n  # b\n", &largest] {
            assert_eq!(parse_tree(text), YamlNode::Null);
        }
    }

    #[test]
    fn writes_a_tree_on_one_line() {
        let text = "b: [1, 1.0, 0x10, -5, 340282366920938463463374607431768211455]\n\
                    a: {c: !t 'x\"', d: ~, e: true, f: [], g: {}}\n";
        let written = "{\"a\": {\"c\": !t \"x\\\"\", \"d\": null, \"e\": true, \"f\": [], \"g\": {}}, \
                       \"b\": [1, 1, 16, -5, 340282366920938463463374607431768211455]}";
        assert_eq!(parse_tree(text).to_string(), written);
    }

    #[test]
    fn only_lists_and_mappings_with_content_have_children() {
        for text in ["[x]", "{x: y}"] {
            assert!(parse_tree(text).has_children(), "{text}");
        }
        for text in ["[]", "{}", "x"] {
            assert!(!parse_tree(text).has_children(), "{text}");
        }
    }

    #[test]
    fn finds_the_value_of_a_key_also_behind_tags_and_aliases() {
        let tree = parse_tree("!config\nx: &x {name: a}\ncustomer: !c {copy: *x}\n");
        let copy = tree.get("customer").and_then(|node| node.get("copy"));
        let name = copy.and_then(|node| node.get("name"));
        assert_eq!(name, Some(&YamlNode::Text("a".to_owned())));
        assert_eq!(tree.get("name"), None);
    }

    #[test]
    fn refuses_what_terraform_refuses_without_a_word_of_it() {
        for (text, expected) in [
            ("a: [canary", "it is not valid YAML at line "),
            (
                "canary: *canary\n",
                "the alias at line 1 stands for nothing above it",
            ),
            (
                "a: &canary [*canary]\n",
                "an alias at line 1 is inside of what it stands for",
            ),
            ("a: 1\n--- canary\n", "a second document begins at line 2, "),
            ("? [canary]\n: 1\n", "a key at line 1 is not a text"),
            ("~: canary\n", "a key at line 1 is not a text"),
            (
                "<<: canary\n",
                "what `<<` merges at line 1 is not a mapping",
            ),
            (
                "a: !!int canary\n",
                "a value at line 1 is not what its tag says",
            ),
            (
                "%YAML 1.2\n--- canary\n",
                "its `%YAML` at line 1 is not 1.1",
            ),
        ] {
            let refused = parse_document(text.as_bytes()).expect_err(text).to_string();
            assert!(refused.starts_with(expected), "{refused}");
            assert!(!refused.contains("canary"), "{refused}");
        }
    }

    #[test]
    fn the_last_of_equal_keys_counts_and_is_told_by_its_line() {
        let warnings = |text: &str| {
            let parsed = parse_yaml(text.as_bytes()).expect(text);
            let mut warnings = String::new();
            for warning in &parsed.warnings {
                let _ = write!(warnings, "{warning}; ");
            }
            warnings
        };
        let text = "name: one\nx: y\nname: two\n";
        let name = parse_tree(text).get("name").cloned();
        assert_eq!(name, Some(YamlNode::Text("two".to_owned())));
        let again = "its key `name` is there again at line 3, and the last one counts; ";
        assert_eq!(warnings(text), again);
        let unnamed = "a key is there again at line 2, and the last one counts; ";
        assert_eq!(warnings("S3cret: 1\nS3cret: 2\n"), unnamed);
        let tagged = "it has a tag at line 1 that Terraform refuses; ";
        assert_eq!(warnings("name: !own x\n"), tagged);
    }

    #[test]
    fn merged_keys_are_those_of_the_mapping() {
        let name_in = |text: &str| {
            let tree = parse_tree(&format!(
                "a: &a {{name: one}}\nb: &b {{name: two}}\nc: {text}\n"
            ));
            let name = tree.get("c").and_then(|node| node.get("name"));
            name.expect(text).to_string()
        };
        for (text, expected) in [
            ("{<<: *a}", "\"one\""),
            ("{<<: [*a, *b]}", "\"two\""),
            ("{<<: *a, name: own}", "\"own\""),
            ("{name: own, <<: *a}", "\"one\""),
            ("{<<: {<<: *b}}", "\"two\""),
        ] {
            assert_eq!(name_in(text), expected, "{text}");
        }
    }
}

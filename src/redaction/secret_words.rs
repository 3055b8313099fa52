//! The words of a document's secrets. An alias or a copy may have any name, so they are redacted
//! wherever they stand.

use std::collections::HashSet;

use crate::config::document::YamlNode;
use crate::config::path::PathStep;
use crate::redaction::detect::{is_secret_key, is_secret_word};
use crate::redaction::policy::{is_secret_key_node, must_redact_subtree};

/// Shorter words may mean anything elsewhere, so they are not remembered.
const MIN_SECRET_WORD_BYTES: usize = 4;

/// The words of the secrets of two documents.
#[derive(Debug, Default)]
pub struct SecretWords {
    words: HashSet<String>,
}

impl SecretWords {
    #[must_use]
    pub fn from_documents(documents: [&YamlNode; 2]) -> Self {
        let mut secrets = Self::default();
        for document in documents {
            let is_secret = must_redact_subtree(&[], [Some(document), None]);
            secrets.add_words_below(document, is_secret);
        }
        secrets
    }

    /// Adds the words of the secrets below a node, or of all texts if the node `is_secret`.
    fn add_words_below(&mut self, node: &YamlNode, is_secret: bool) {
        match node {
            YamlNode::Null | YamlNode::Bool(_) => {}
            YamlNode::Text(text) | YamlNode::Number(text) => self.add_words(text, is_secret),
            YamlNode::List(list) => {
                for item in list {
                    let is_opaque = must_redact_subtree(&[], [Some(item), None]);
                    self.add_words_below(item, is_secret || is_opaque);
                }
            }
            YamlNode::Map(map) => {
                for (key, value) in map {
                    // The names of secrets, and of what lies below them, are not secrets.
                    if is_secret_key_node(key) {
                        self.add_words_below(key, true);
                    }
                    let path = [PathStep::Key(key)];
                    let is_opaque = must_redact_subtree(&path, [Some(value), None]);
                    self.add_words_below(value, is_secret || is_opaque);
                }
            }
            YamlNode::Tagged(_, node) => self.add_words_below(node, true),
        }
    }

    fn add_words(&mut self, text: &str, is_secret: bool) {
        for word in split_words(text) {
            // A word that is a secret by itself may stand among words that are not.
            if is_secret || is_secret_key(word) {
                self.words.insert(word.to_owned());
            }
        }
    }

    /// Whether a text holds a word of a secret.
    #[must_use]
    pub fn occur_in(&self, text: &str) -> bool {
        !self.words.is_empty() && split_words(text).any(|word| self.words.contains(word))
    }

    pub(crate) fn occur_in_node(&self, node: &YamlNode) -> bool {
        match node {
            YamlNode::Text(text) | YamlNode::Number(text) => self.occur_in(text),
            _ => false,
        }
    }

    /// Whether a key is a secret or holds one.
    pub(crate) fn must_redact_key(&self, key: &YamlNode) -> bool {
        is_secret_key_node(key) || self.occur_in_node(key)
    }
}

/// The words of a text that can be recognised elsewhere. Each is tried twice: as it stands between
/// blanks, and parted at everything but letters, digits, `-` and `_`.
fn split_words(text: &str) -> impl Iterator<Item = &str> {
    let is_outer = |c: char| !c.is_alphanumeric();
    let is_separator = |c: char| !c.is_alphanumeric() && !matches!(c, '-' | '_');

    let between_blanks = text.split_whitespace();
    let trimmed = between_blanks.map(move |word| word.trim_matches(is_outer));
    let parted = text.split(is_separator);
    trimmed.chain(parted).filter(|word| is_recognisable(word))
}

fn is_recognisable(word: &str) -> bool {
    word.len() >= MIN_SECRET_WORD_BYTES
        && !matches!(word, "true" | "false" | "null")
        && !is_secret_word(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::document::parse_document;

    fn secrets_of(text: &str) -> SecretWords {
        let document = parse_document(text.as_bytes()).expect(text);
        SecretWords::from_documents([&document, &YamlNode::Null])
    }

    #[test]
    fn recognises_a_secret_and_not_the_words_around_it() {
        let secrets = secrets_of(
            "password: hunter2\nurl: call airbnb with AKIAIOSFODNN7EXAMPLE as password\npin: 123\n",
        );
        for copy in [
            "hunter2",
            "a (hunter2)",
            "user:hunter2@host",
            "AKIAIOSFODNN7EXAMPLE",
        ] {
            assert!(secrets.occur_in(copy), "{copy}");
        }
        for other in ["airbnb", "password", "hunter", "123", ""] {
            assert!(!secrets.occur_in(other), "{other}");
        }
    }

    #[test]
    fn recognises_a_secret_with_special_characters_only_as_a_whole() {
        let secrets = secrets_of("password: p@ss.w9");
        assert!(secrets.occur_in("(p@ss.w9)"));
        assert!(!secrets.occur_in("p ss w9"));

        let dashed = secrets_of("password: hunter2-x_9z");
        assert!(dashed.occur_in("user:hunter2-x_9z@host"));
        assert!(!dashed.occur_in("hunter2"));
    }

    #[test]
    fn forgets_words_that_mean_nothing_by_themselves() {
        let secrets = secrets_of("{password: [abcde, secret], token: true, pin: 'null'}");
        assert!(secrets.occur_in("abcde"));
        assert!(!secrets.occur_in("true or null or secret"));
    }
}

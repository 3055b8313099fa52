//! What may be shown of a difference between two configs, and in which words: paths always, values unless they are secret.
//!
//! Pure. What is secret stands in no word of it, and neither does anything below it.

use std::collections::HashSet;
use std::fmt::Write as _;

use crate::config::diff::{PathStep, diff_documents};
use crate::config::document::{self, YamlNode};
use crate::output::sanitize::sanitize;
use crate::redaction::detect::{is_secret_key, is_secret_name, is_secret_text, is_secret_word};

/// What is shown in the place of a key that is a secret itself.
const REDACTED_KEY: &str = "(masked key)";
/// How many keys a phrase names.
const MAX_NAMED_KEYS: usize = 2;
/// Shorter words of secrets, in bytes, are not known again elsewhere.
const MIN_SECRET_WORD_BYTES: usize = 4;

/// Keys beside whose value a name stands, as in `{name: DB_PASSWORD, value: …}`.
const NAME_KEYS: [&str; 7] = [
    "name",
    "key",
    "id",
    "variable",
    "parameter",
    "field",
    "header",
];
/// The keys of such values.
const VALUE_KEYS: [&str; 7] = [
    "value", "values", "val", "default", "content", "data", "text",
];

/// Whether what lies at a path is to be taken as one, for it is a secret or may hold one anywhere.
#[must_use]
pub fn must_redact_subtree(path: &[PathStep<'_>], nodes: [Option<&YamlNode>; 2]) -> bool {
    let by_key = path
        .last()
        .is_some_and(|step| matches!(step, PathStep::Key(key) if !is_harmless_key(key)));
    by_key
        || nodes
            .into_iter()
            .flatten()
            .any(|node| matches!(node, YamlNode::Tagged(..)) || is_secret_pair(node))
}

/// Whether a key may be looked below.
fn is_harmless_key(key: &YamlNode) -> bool {
    !is_secret_key_node(key) && !matches!(key, YamlNode::Text(name) if is_secret_name(name))
}

/// Whether a key is a secret itself.
#[must_use]
pub fn is_secret_key_node(key: &YamlNode) -> bool {
    match key {
        YamlNode::Text(name) => is_secret_key(name),
        YamlNode::Null | YamlNode::Bool(_) => false,
        YamlNode::Number(number) => number.len() >= 10,
        YamlNode::List(_) | YamlNode::Map(_) | YamlNode::Tagged(..) => true,
    }
}

/// Whether a mapping is a pair of a secret's name and the secret, as environments have them.
fn is_secret_pair(node: &YamlNode) -> bool {
    let YamlNode::Map(map) = node else {
        return false;
    };
    let has_value = map.keys().any(|key| matches!(key, YamlNode::Text(key) if VALUE_KEYS.contains(&key.to_lowercase().as_str())));
    has_value
        && map.iter().any(|(key, value)| match (key, value) {
            (YamlNode::Text(key), YamlNode::Text(name)) => {
                NAME_KEYS.contains(&key.to_lowercase().as_str()) && is_secret_name(name)
            }
            _ => false,
        })
}

/// Whether a node that is no mapping or sequence of others is a secret, or may hold one anywhere.
#[must_use]
pub fn is_secret_node(node: &YamlNode) -> bool {
    match node {
        YamlNode::Text(text) | YamlNode::Number(text) => is_secret_text(text),
        YamlNode::Null | YamlNode::Bool(_) => false,
        YamlNode::List(list) => !list.is_empty(),
        YamlNode::Map(map) => !map.is_empty(),
        YamlNode::Tagged(..) => true,
    }
}

/// The words of the secrets of documents, which are secret wherever they stand: an alias or a copy may have any name.
#[derive(Debug, Default)]
pub struct SecretWords {
    words: HashSet<String>,
    /// Shorter words are let pass.
    min_word_bytes: usize,
}

impl SecretWords {
    /// The secrets of these documents, but for short words, which may mean anything elsewhere.
    #[must_use]
    pub fn from_documents(documents: [&YamlNode; 2]) -> Self {
        Self::collect_words(documents, MIN_SECRET_WORD_BYTES)
    }

    /// The secrets of these documents, to the shortest word: for those who see no more than words.
    #[must_use]
    pub fn from_documents_with_short_words(documents: [&YamlNode; 2]) -> Self {
        Self::collect_words(documents, 1)
    }

    fn collect_words(documents: [&YamlNode; 2], shortest: usize) -> Self {
        let mut known = Self {
            min_word_bytes: shortest,
            ..Self::default()
        };
        for node in documents {
            known.add_words_below(node, must_redact_subtree(&[], [Some(node), None]));
        }
        known
    }

    /// Takes in what is secret below a node, or all of it.
    fn add_words_below(&mut self, node: &YamlNode, all: bool) {
        match node {
            YamlNode::Text(text) | YamlNode::Number(text) => {
                // What is secret by itself may stand in a sentence of words that are not.
                let is_secret = |word: &&str| all || is_secret_key(word);
                self.words.extend(
                    split_secret_words(text, self.min_word_bytes)
                        .filter(is_secret)
                        .map(str::to_owned),
                );
            }
            YamlNode::Null | YamlNode::Bool(_) => {}
            YamlNode::List(list) => list.iter().for_each(|item| {
                self.add_words_below(item, all || must_redact_subtree(&[], [Some(item), None]));
            }),
            YamlNode::Map(map) => {
                for (key, value) in map {
                    // The names of secrets, and of what lies below them, are no secrets.
                    if is_secret_key_node(key) {
                        self.add_words_below(key, true);
                    }
                    self.add_words_below(
                        value,
                        all || must_redact_subtree(&[PathStep::Key(key)], [Some(value), None]),
                    );
                }
            }
            YamlNode::Tagged(_, node) => self.add_words_below(node, true),
        }
    }

    /// Whether a text holds a word of a secret.
    #[must_use]
    pub fn occur_in(&self, text: &str) -> bool {
        !self.words.is_empty()
            && split_secret_words(text, self.min_word_bytes).any(|word| self.words.contains(word))
    }

    /// Whether a key is a secret or holds one.
    #[must_use]
    pub fn must_redact_key(&self, key: &YamlNode) -> bool {
        is_secret_key_node(key)
            || matches!(key, YamlNode::Text(text) | YamlNode::Number(text) if self.occur_in(text))
    }
}

/// The words of a text that are long enough to be known again, with what stands between letters in them, and without.
fn split_secret_words(text: &str, shortest: usize) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_alphanumeric();
    let whole = text
        .split_whitespace()
        .map(move |word| word.trim_matches(|c: char| !is_part(c)));
    let dashed = text.split(move |c: char| !is_part(c) && !matches!(c, '-' | '_'));
    whole.chain(dashed).filter(move |word| {
        word.len() >= shortest
            && !matches!(*word, "true" | "false" | "null")
            && !is_secret_word(word)
    })
}

/// What changed from one version to the next, in a phrase that names keys and no values.
#[must_use]
pub fn summarize_changes(before: &[u8], after: &[u8]) -> String {
    if before == after {
        return "the same bytes again".to_owned();
    }
    let (Ok(before), Ok(after)) = (
        document::parse_document(before),
        document::parse_document(after),
    ) else {
        return "not YAML: bytes differ".to_owned();
    };
    let known = SecretWords::from_documents([&before, &after]);
    let changes = diff_documents(&before, &after, &must_redact_subtree);
    let mut names: Vec<String> = changes
        .iter()
        .map(|change| format_path(&change.path, &|key| known.must_redact_key(key)))
        .collect();
    names.dedup();
    match names.len() {
        0 => "comments or order only".to_owned(),
        1 => format!("1 key changed: {}", names[0]),
        count if count <= MAX_NAMED_KEYS => format!("{count} keys changed: {}", names.join(", ")),
        count => format!(
            "{count} keys changed: {}, … (+{})",
            names[..MAX_NAMED_KEYS].join(", "),
            count - MAX_NAMED_KEYS
        ),
    }
}

/// A path as people write it: `mongodb.users[2].name`. What is no plain name stands in quotes.
#[must_use]
pub fn format_path(steps: &[PathStep<'_>], hides: &dyn Fn(&YamlNode) -> bool) -> String {
    let mut text = String::new();
    for step in steps {
        let key = match step {
            PathStep::Item(place) => {
                let _ = write!(text, "[{place}]");
                continue;
            }
            PathStep::Key(key) if hides(key) => REDACTED_KEY.to_owned(),
            PathStep::Key(YamlNode::Text(name))
                if !name.is_empty()
                    && name
                        .chars()
                        .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-')) =>
            {
                name.clone()
            }
            PathStep::Key(key) => sanitize(&key.to_string()).into_owned(),
        };
        text += if text.is_empty() { "" } else { "." };
        text += &key;
    }
    if text.is_empty() {
        "(the whole document)".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summarize_texts(before: &str, after: &str) -> String {
        summarize_changes(before.as_bytes(), after.as_bytes())
    }

    #[test]
    fn a_phrase_names_keys_and_no_values() {
        for (before, after, expected) in [
            ("a: 1\n", "a: 1\n", "the same bytes again"),
            (
                "a: 1\nb: 2\n",
                "b: 2 # two\na: 1\n",
                "comments or order only",
            ),
            ("a: [", "a: 1\n", "not YAML: bytes differ"),
            (
                "m: {size: M30}\n",
                "m: {size: M40}\n",
                "1 key changed: m.size",
            ),
            (
                "m: {size: M30, r: 1}\n",
                "m: {size: M40, s: 1}\n",
                "3 keys changed: m.r, m.s, … (+1)",
            ),
            (
                "m: {a: 1, b: 1}\n",
                "m: {a: 2, b: 2}\n",
                "2 keys changed: m.a, m.b",
            ),
            (
                "l: [{a.b: 1}, 2]\n",
                "l: [{a.b: 2}, 2]\n",
                "1 key changed: l[0].\"a.b\"",
            ),
            ("a: 1\n", "a: {b: 1}\n", "2 keys changed: a, a.b"),
            ("x\n", "y\n", "1 key changed: (the whole document)"),
            ("1: a\n", "1: b\n", "1 key changed: 1"),
        ] {
            assert_eq!(
                summarize_texts(before, after),
                expected,
                "{before:?} and {after:?}"
            );
        }
    }

    #[test]
    fn below_a_secret_nothing_is_named() {
        assert_eq!(
            summarize_texts("api_key: {canary: 1}\n", "api_key: {other: 1}\n"),
            "1 key changed: api_key"
        );
        assert_eq!(
            summarize_texts("AKIAIOSFODNN7EXAMPLE: 1\n", "AKIAIOSFODNN7EXAMPLE: 2\n"),
            "1 key changed: (masked key)"
        );
        assert_eq!(
            summarize_texts("? [canary]\n: 1\n", "? [canary]\n: 2\n"),
            "1 key changed: (masked key)"
        );
        assert_eq!(
            summarize_texts("name: token-shop\nsize: 1\n", "name: token-shop\nsize: 2\n"),
            "1 key changed: size",
            "no pair of name and value"
        );
        assert_eq!(
            summarize_texts(
                "- {name: DB_PASSWORD, value: a}\n",
                "- {name: DB_PASSWORD, value: b}\n"
            ),
            "1 key changed: [0]"
        );
        for pair in ["name: SHOP", "purpose: DB_PASSWORD"] {
            let [a, b] = ["a", "b"].map(|value| format!("- {{{pair}, value: {value}}}\n"));
            assert_eq!(
                summarize_texts(&a, &b),
                "1 key changed: [0].value",
                "{pair} is no name of a secret"
            );
        }
    }

    #[test]
    fn a_secret_is_known_again_and_the_words_around_it_are_not() {
        let text =
            "password: hunter2\nurl: call airbnb with AKIAIOSFODNN7EXAMPLE as password\npin: 123\n";
        let document = document::parse_document(text.as_bytes()).expect("YAML");
        let known = SecretWords::from_documents([&document, &YamlNode::Null]);
        for copy in [
            "hunter2",
            "a (hunter2)",
            "user:hunter2@host",
            "AKIAIOSFODNN7EXAMPLE",
        ] {
            assert!(known.occur_in(copy), "{copy}");
        }
        for other in ["airbnb", "password", "hunter", "123", ""] {
            assert!(!known.occur_in(other), "{other}");
        }
        assert!(
            SecretWords::from_documents_with_short_words([&document, &YamlNode::Null])
                .occur_in("a: 123")
        );
        let short = document::parse_document(b"password: p@ss.w9").expect("YAML");
        assert!(
            SecretWords::from_documents([&short, &YamlNode::Null]).occur_in("(p@ss.w9)")
                && !SecretWords::from_documents([&short, &YamlNode::Null]).occur_in("p ss w9")
        );
        let dashed =
            document::parse_document(b"{password: hunter2-x_9z, token: true, pin: 'null'}")
                .expect("YAML");
        let known = SecretWords::from_documents_with_short_words([&dashed, &YamlNode::Null]);
        assert!(
            known.occur_in("user:hunter2-x_9z@host")
                && !known.occur_in("hunter2")
                && !known.occur_in("true or null")
        );
    }

    #[test]
    fn a_value_is_secret_by_its_text_or_as_far_as_it_may_hold_one() {
        for (text, expected) in [
            ("'my secret phrase'", true),
            ("AKIAIOSFODNN7EXAMPLE", true),
            ("1234567890123456", true),
            ("[a]", true),
            ("{a: b}", true),
            ("!t a", true),
            ("a phrase", false),
            ("12", false),
            ("true", false),
            ("~", false),
            ("[]", false),
            ("{}", false),
        ] {
            assert_eq!(
                is_secret_node(&document::parse_document(text.as_bytes()).expect("YAML")),
                expected,
                "{text}"
            );
        }
    }
}

//! Which nodes of a document must be redacted: secrets, and what may hold one anywhere.

use crate::config::document::YamlNode;
use crate::config::path::PathStep;
use crate::redaction::detect::{is_secret_key, is_secret_name, is_secret_text};

/// Numbers with this many digits may be secrets where they stand as a key.
const MIN_SECRET_NUMBER_DIGITS: usize = 10;

/// Keys of the name in a pair like `{name: DB_PASSWORD, value: …}`.
const NAME_KEYS: [&str; 7] = [
    "name",
    "key",
    "id",
    "variable",
    "parameter",
    "field",
    "header",
];
/// Keys of the value in such a pair.
const VALUE_KEYS: [&str; 7] = [
    "value", "values", "val", "default", "content", "data", "text",
];

/// Whether everything at and below a path is redacted as one.
#[must_use]
pub fn must_redact_subtree(path: &[PathStep<'_>], nodes: [Option<&YamlNode>; 2]) -> bool {
    if let Some(PathStep::Key(key)) = path.last()
        && must_redact_below(key)
    {
        return true;
    }
    let is_opaque = |node: &YamlNode| matches!(node, YamlNode::Tagged(..)) || is_secret_pair(node);
    nodes.into_iter().flatten().any(is_opaque)
}

fn must_redact_below(key: &YamlNode) -> bool {
    match key {
        YamlNode::Text(name) => is_secret_key(name) || is_secret_name(name),
        other => is_secret_key_node(other),
    }
}

/// Whether a key is a secret itself, not only the name of one.
pub(crate) fn is_secret_key_node(key: &YamlNode) -> bool {
    match key {
        YamlNode::Text(name) => is_secret_key(name),
        YamlNode::Null | YamlNode::Bool(_) => false,
        YamlNode::Number(number) => number.len() >= MIN_SECRET_NUMBER_DIGITS,
        YamlNode::List(_) | YamlNode::Map(_) | YamlNode::Tagged(..) => true,
    }
}

/// Whether a mapping is a pair of a secret's name and the secret, as lists of variables have them.
fn is_secret_pair(node: &YamlNode) -> bool {
    let YamlNode::Map(map) = node else {
        return false;
    };
    let mut has_value = false;
    let mut has_secret_name = false;
    for (key, value) in map {
        let YamlNode::Text(key) = key else {
            continue;
        };
        let key = key.to_lowercase();
        has_value |= VALUE_KEYS.contains(&key.as_str());
        if let YamlNode::Text(name) = value {
            has_secret_name |= NAME_KEYS.contains(&key.as_str()) && is_secret_name(name);
        }
    }
    has_value && has_secret_name
}

/// Whether a node is a secret, or may hold one anywhere.
pub(crate) fn is_secret_node(node: &YamlNode) -> bool {
    match node {
        YamlNode::Text(text) | YamlNode::Number(text) => is_secret_text(text),
        YamlNode::Null | YamlNode::Bool(_) => false,
        YamlNode::List(_) | YamlNode::Map(_) => node.has_children(),
        YamlNode::Tagged(..) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::document::parse_document;

    fn parse_tree(text: &str) -> YamlNode {
        parse_document(text.as_bytes()).expect(text)
    }

    #[test]
    fn a_node_is_secret_by_its_text_or_if_it_may_hold_a_secret() {
        for text in [
            "'my secret phrase'",
            "AKIAIOSFODNN7EXAMPLE",
            "1234567890123456",
            "[a]",
            "{a: b}",
            "!t a",
        ] {
            assert!(is_secret_node(&parse_tree(text)), "{text}");
        }
        for text in ["a phrase", "12", "true", "~", "[]", "{}"] {
            assert!(!is_secret_node(&parse_tree(text)), "{text}");
        }
    }

    #[test]
    fn only_pairs_of_a_secret_name_and_a_value_are_secret() {
        for text in [
            "{name: DB_PASSWORD, value: a}",
            "{Variable: api_key, Default: 1}",
        ] {
            assert!(is_secret_pair(&parse_tree(text)), "{text}");
        }
        for text in [
            "{name: token-shop, size: 1}",
            "{name: SHOP, value: a}",
            "{purpose: DB_PASSWORD, value: a}",
            "[DB_PASSWORD, value]",
        ] {
            assert!(!is_secret_pair(&parse_tree(text)), "{text}");
        }
    }
}

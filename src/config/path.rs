//! The way from the root of a document to one of its nodes, and how it is written.

use std::fmt::Write as _;

use crate::config::document::YamlNode;
use crate::output::sanitize::sanitize;

/// Stands in the place of a key that must not be shown.
const REDACTED_KEY: &str = "(masked key)";

/// One step towards a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathStep<'a> {
    /// To the value of this key.
    Key(&'a YamlNode),
    /// To the item at this place, counted from 0.
    Item(usize),
}

/// Writes a path like `mongodb.users[2].name`. A key that is not a plain name stands in quotes.
pub fn format_path(path: &[PathStep<'_>], must_redact: &dyn Fn(&YamlNode) -> bool) -> String {
    if path.is_empty() {
        return "(the whole document)".to_owned();
    }

    let mut text = String::new();
    for step in path {
        match step {
            PathStep::Item(index) => {
                let _ = write!(text, "[{index}]");
            }
            PathStep::Key(key) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text += &format_key(key, must_redact(key));
            }
        }
    }
    text
}

fn format_key(key: &YamlNode, is_redacted: bool) -> String {
    if is_redacted {
        return REDACTED_KEY.to_owned();
    }
    match key {
        YamlNode::Text(name) if is_plain_name(name) => name.clone(),
        other => sanitize(&other.to_string()).into_owned(),
    }
}

fn is_plain_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    !name.is_empty() && name.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_key(name: &str) -> YamlNode {
        YamlNode::Text(name.to_owned())
    }

    #[test]
    fn quotes_only_keys_that_are_not_plain_names() {
        let [users, dotted, empty] = ["users", "a.b", ""].map(text_key);
        let path = [
            PathStep::Key(&users),
            PathStep::Item(2),
            PathStep::Key(&dotted),
            PathStep::Key(&empty),
        ];
        assert_eq!(format_path(&path, &|_| false), "users[2].\"a.b\".\"\"");
        assert_eq!(format_path(&[], &|_| false), "(the whole document)");
    }

    #[test]
    fn redacts_the_keys_that_it_is_told_to() {
        let [outer, inner] = ["outer", "inner"].map(text_key);
        let path = [PathStep::Key(&outer), PathStep::Key(&inner)];
        let shown = format_path(&path, &|key| key == &outer);
        assert_eq!(shown, "(masked key).inner");
    }
}

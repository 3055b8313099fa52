//! What changed from one version of a config to the next, by keys and without values.

use crate::config::diff::diff_documents;
use crate::config::document::parse_document;
use crate::config::path::format_path;
use crate::redaction::policy::must_redact_subtree;
use crate::redaction::secret_words::SecretWords;

/// How many keys a summary names.
const MAX_NAMED_KEYS: usize = 2;

/// Summarizes the changes from one version to the next.
#[must_use]
pub fn summarize_changes(before: &[u8], after: &[u8]) -> String {
    if before == after {
        return "the same bytes again".to_owned();
    }
    let (Ok(before), Ok(after)) = (parse_document(before), parse_document(after)) else {
        return "not YAML: bytes differ".to_owned();
    };

    let secrets = SecretWords::from_documents([&before, &after]);
    let must_redact_key = |key: &_| secrets.must_redact_key(key);
    let mut paths = Vec::new();
    for change in diff_documents(&before, &after, &must_redact_subtree) {
        paths.push(format_path(&change.path, &must_redact_key));
    }
    paths.dedup();

    match paths.as_slice() {
        [] => "comments or order only".to_owned(),
        [path] => format!("1 key changed: {path}"),
        all if all.len() <= MAX_NAMED_KEYS => {
            format!("{} keys changed: {}", all.len(), all.join(", "))
        }
        all => {
            let first = all[..MAX_NAMED_KEYS].join(", ");
            let others = all.len() - MAX_NAMED_KEYS;
            format!("{} keys changed: {first}, … (+{others})", all.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summarize_texts(before: &str, after: &str) -> String {
        summarize_changes(before.as_bytes(), after.as_bytes())
    }

    #[test]
    fn names_keys_and_no_values() {
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
            let summary = summarize_texts(before, after);
            assert_eq!(summary, expected, "{before:?} and {after:?}");
        }
    }

    #[test]
    fn names_nothing_below_a_secret() {
        for (before, after, expected) in [
            ("api_key: {canary: 1}\n", "api_key: {other: 1}\n", "api_key"),
            (
                "AKIAIOSFODNN7EXAMPLE: 1\n",
                "AKIAIOSFODNN7EXAMPLE: 2\n",
                "(masked key)",
            ),
            (
                "- {name: DB_PASSWORD, value: a}\n",
                "- {name: DB_PASSWORD, value: b}\n",
                "[0]",
            ),
        ] {
            let summary = summarize_texts(before, after);
            assert_eq!(summary, format!("1 key changed: {expected}"));
        }
    }
}

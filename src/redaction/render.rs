//! The lines of a difference between two documents: values in clear, or a fingerprint in the place of a secret.
//!
//! Pure: the fingerprints' key is an argument, new in each run, so that nothing can be learnt from two runs.

use crate::config::diff::{NodeChange, diff_documents};
use crate::config::document::YamlNode;
use crate::config::unified_diff::ChangeKind;
use crate::digest::sha256_hex;
use crate::output::sanitize::{escape_json, sanitize};
use crate::redaction::policy::{SecretWords, format_path, is_secret_node, must_redact_subtree};

/// Whether secrets are shown, and how they are told apart where they are not.
#[derive(Debug, Clone, Copy)]
pub enum RedactionMode {
    /// Everything is shown.
    ShowSecrets,
    /// Secrets have fingerprints by this key; without a key they have none.
    Redact(Option<[u8; 32]>),
}

impl RedactionMode {
    /// The lines that tell what differs: none exactly if the documents are equal.
    #[must_use]
    pub fn render_changes(&self, before: &YamlNode, after: &YamlNode) -> Vec<(ChangeKind, String)> {
        let changes = match self {
            Self::ShowSecrets => diff_documents(before, after, &|_, _| false),
            Self::Redact(_) => diff_documents(before, after, &must_redact_subtree),
        };
        let known = SecretWords::from_documents([before, after]);
        changes
            .iter()
            .map(|change| self.render_change(change, &known))
            .collect()
    }

    fn render_change(&self, change: &NodeChange<'_>, known: &SecretWords) -> (ChangeKind, String) {
        let nodes = [change.before, change.after];
        let is_masked = matches!(self, Self::Redact(_));
        let is_known = |node: &YamlNode| {
            is_secret_node(node)
                || matches!(node, YamlNode::Text(text) | YamlNode::Number(text) if known.occur_in(text))
        };
        let hides = is_masked
            && (must_redact_subtree(&change.path, nodes)
                || nodes.into_iter().flatten().any(is_known));
        let shown = |node: &YamlNode| {
            if hides {
                self.fingerprint_secret(&format!("{node:?}"))
            } else {
                format_value(node)
            }
        };
        let path = format_path(&change.path, &|key| is_masked && known.must_redact_key(key));
        let (mark, change, word) = match (change.before, change.after) {
            (Some(before), Some(after)) => (
                ChangeKind::Changed,
                format!("{} -> {}", shown(before), shown(after)),
                "changed",
            ),
            (Some(before), None) => (ChangeKind::Removed, shown(before), "removed"),
            (None, after) => (
                ChangeKind::Added,
                after.map(shown).unwrap_or_default(),
                "added",
            ),
        };
        let what = match self {
            _ if !hides => change,
            Self::Redact(Some(_)) => format!("{word} (masked, {change})"),
            _ => format!("{word} (masked)"),
        };
        (mark, format!("{} {path}: {what}", mark.sign()))
    }

    /// What is shown in the place of a secret.
    #[must_use]
    pub fn redact_text(&self, secret: &str) -> String {
        match self {
            Self::Redact(Some(_)) => format!("(masked, {})", self.fingerprint_secret(secret)),
            _ => "(masked)".to_owned(),
        }
    }

    /// What tells a secret from others in this run, and nobody anything in another.
    fn fingerprint_secret(&self, secret: &str) -> String {
        match self {
            Self::Redact(Some(key)) => {
                sha256_hex(&[key.as_slice(), secret.as_bytes()].concat())[..8].to_owned()
            }
            _ => String::new(),
        }
    }
}

/// A value as it is shown: a text without quotes where nobody could take it for something else.
fn format_value(node: &YamlNode) -> String {
    match node {
        YamlNode::Text(text) if is_plain_word(text) => text.clone(),
        other => sanitize(&escape_json(&other.to_string())).into_owned(),
    }
}

fn is_plain_word(text: &str) -> bool {
    const OTHERS: [&str; 9] = [
        "true", "false", "null", "yes", "no", "on", "off", "nan", "inf",
    ];
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '@'))
        && !OTHERS.contains(&text.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::document::parse_document;

    fn render_texts(masks: RedactionMode, before: &str, after: &str) -> Vec<String> {
        let [before, after] =
            [before, after].map(|text| parse_document(text.as_bytes()).expect(text));
        masks
            .render_changes(&before, &after)
            .into_iter()
            .map(|(_, line)| line)
            .collect()
    }

    #[test]
    fn values_are_shown_so_that_nobody_takes_one_for_another() {
        for (before, after, expected) in [
            ("a: M30\n", "a: M40\n", "~ a: M30 -> M40"),
            ("a: 1\n", "a: '1'\n", "~ a: 1 -> \"1\""),
            ("a: true\n", "a: 'true'\n", "~ a: true -> \"true\""),
            ("a: \n", "a: ''\n", "~ a: null -> \"\""),
            ("a: {b: x}\n", "a: {}\n", "- a.b: x"),
            ("a: []\n", "a: {}\n", "~ a: [] -> {}"),
            ("a: [x]\n", "a: [x, y z]\n", "+ a[1]: \"y z\""),
            (
                "a: x\n",
                "a: \"\\e[2J\\u202e\"\n",
                "~ a: x -> \"\\u001b[2J\\u202e\"",
            ),
            (
                "{a: 1, \"b\\u202e\": 1}\n",
                "{a: 1, \"b\\u202e\": 2}\n",
                "~ \"b\u{fffd}\": 1 -> 2",
            ),
        ] {
            assert_eq!(
                render_texts(RedactionMode::Redact(None), before, after),
                [expected],
                "{before:?} and {after:?}"
            );
        }
    }

    #[test]
    fn a_secret_has_a_fingerprint_that_only_this_run_knows() {
        let told = |key| {
            render_texts(
                RedactionMode::Redact(Some([key; 32])),
                "{password: one, token: two}\n",
                "{password: two, token: one}\n",
            )
        };
        let [password, token] = &told(1)[..] else {
            panic!("two lines")
        };
        let prints = |line: &str| {
            line.split_once("(masked, ")
                .expect(line)
                .1
                .trim_end_matches(')')
                .replace(" -> ", " ")
        };
        let (one, two) = (prints(password), prints(token));
        assert!(
            password.starts_with("~ password: changed (masked, ") && one.len() == 17,
            "{password}"
        );
        assert_eq!(
            one.split(' ').rev().collect::<Vec<_>>(),
            two.split(' ').collect::<Vec<_>>(),
            "the same secret has the same one"
        );
        assert_ne!(told(1), told(2));
        assert_eq!(
            render_texts(RedactionMode::Redact(None), "password: a\n", "x: 1\n"),
            ["- password: removed (masked)", "+ x: 1"]
        );
    }

    #[test]
    fn a_secret_is_masked_under_whatever_name_it_stands() {
        for (before, after, path) in [
            (
                "url: 'postgres://admin:a@db/x'\n",
                "url: 'postgres://admin:b@db/x'\n",
                "url",
            ),
            (
                "{password: hunter2, note: x}\n",
                "{password: hunter2, note: it is hunter2}\n",
                "note",
            ),
            ("a: !x {b: 1}\n", "a: !x {b: 2}\n", "a"),
        ] {
            assert_eq!(
                render_texts(RedactionMode::Redact(None), before, after),
                [format!("~ {path}: changed (masked)")]
            );
            assert!(
                !render_texts(RedactionMode::ShowSecrets, before, after)
                    .concat()
                    .contains("masked")
            );
        }
        for (before, after) in [("a: [x]\n", "a: 1\n"), ("a: {x: y}\n", "a: 1\n")] {
            assert!(
                !render_texts(RedactionMode::Redact(None), before, after)
                    .concat()
                    .contains("masked"),
                "{before:?} holds none"
            );
        }
    }

    #[test]
    fn a_mask_is_the_beginning_of_a_digest_of_key_and_secret() {
        // (printf '\1%.0s' {1..32}; printf secret) | sha256sum
        assert_eq!(
            RedactionMode::Redact(Some([1; 32])).redact_text("secret"),
            "(masked, 2a3b4db2)"
        );
        assert_eq!(
            RedactionMode::Redact(None).redact_text("secret"),
            "(masked)"
        );
    }

    #[test]
    fn nothing_below_a_secret_is_shown_unless_all_is() {
        let (before, after) = (
            "credentials: {user: canary, n: 1}\n",
            "credentials: {user: canary, n: 2}\n",
        );
        assert_eq!(
            render_texts(RedactionMode::Redact(None), before, after),
            ["~ credentials: changed (masked)"]
        );
        assert_eq!(
            render_texts(RedactionMode::ShowSecrets, before, after),
            ["~ credentials.n: 1 -> 2"]
        );
    }
}

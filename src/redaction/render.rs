//! The changes between two documents as lines, with fingerprints in place of secrets.

use crate::config::diff::{NodeChange, diff_documents};
use crate::config::document::YamlNode;
use crate::config::path::format_path;
use crate::config::unified_diff::{ChangeKind, DiffLine};
use crate::digest::sha256_hex;
use crate::output::sanitize::{escape_json, sanitize};
use crate::redaction::policy::{is_secret_node, must_redact_subtree};
use crate::redaction::secret_words::SecretWords;

/// Hex digits of a fingerprint.
const FINGERPRINT_DIGITS: usize = 8;
/// A new one in each run, so that nothing can be learnt from the fingerprints of two runs.
type FingerprintKey = [u8; 32];

/// Whether secrets are shown.
#[derive(Debug, Clone, Copy)]
pub enum RedactionMode {
    ShowSecrets,
    /// Secrets have fingerprints by this key; without a key they have none.
    Redact(Option<FingerprintKey>),
}

impl RedactionMode {
    /// One line for each change. There are none exactly if the documents are equal.
    #[must_use]
    pub fn render_changes(self, before: &YamlNode, after: &YamlNode) -> Vec<DiffLine> {
        let fingerprint_key = match self {
            Self::ShowSecrets => return render_in_clear(before, after),
            Self::Redact(key) => key,
        };
        let renderer = RedactingRenderer {
            fingerprint_key,
            secrets: SecretWords::from_documents([before, after]),
        };
        let changes = diff_documents(before, after, &must_redact_subtree);
        changes
            .iter()
            .map(|change| renderer.render_change(change))
            .collect()
    }
}

fn render_in_clear(before: &YamlNode, after: &YamlNode) -> Vec<DiffLine> {
    let mut lines = Vec::new();
    for change in diff_documents(before, after, &|_, _| false) {
        let path = format_path(&change.path, &|_| false);
        lines.push(render_line(
            &change,
            &path,
            &join_sides(&change, format_value),
        ));
    }
    lines
}

struct RedactingRenderer {
    fingerprint_key: Option<FingerprintKey>,
    secrets: SecretWords,
}

impl RedactingRenderer {
    fn render_change(&self, change: &NodeChange<'_>) -> DiffLine {
        let path = format_path(&change.path, &|key| self.secrets.must_redact_key(key));
        if !self.must_redact(change) {
            return render_line(change, &path, &join_sides(change, format_value));
        }

        let happened = match (change.before, change.after) {
            (Some(_), Some(_)) => "changed",
            (Some(_), None) => "removed",
            (None, _) => "added",
        };
        let content = match &self.fingerprint_key {
            Some(key) => {
                let fingerprints = join_sides(change, |node| fingerprint_node(key, node));
                format!("{happened} (masked, {fingerprints})")
            }
            None => format!("{happened} (masked)"),
        };
        render_line(change, &path, &content)
    }

    fn must_redact(&self, change: &NodeChange<'_>) -> bool {
        let nodes = [change.before, change.after];
        if must_redact_subtree(&change.path, nodes) {
            return true;
        }
        let is_secret = |node: &YamlNode| is_secret_node(node) || self.secrets.occur_in_node(node);
        nodes.into_iter().flatten().any(is_secret)
    }
}

fn render_line(change: &NodeChange<'_>, path: &str, content: &str) -> DiffLine {
    let kind = match (change.before, change.after) {
        (Some(_), Some(_)) => ChangeKind::Changed,
        (Some(_), None) => ChangeKind::Removed,
        (None, _) => ChangeKind::Added,
    };
    DiffLine::new(kind, format!("{} {path}: {content}", kind.sign()))
}

fn join_sides(change: &NodeChange<'_>, format_node: impl Fn(&YamlNode) -> String) -> String {
    match (change.before, change.after) {
        (Some(before), Some(after)) => {
            format!("{} -> {}", format_node(before), format_node(after))
        }
        (Some(node), None) | (None, Some(node)) => format_node(node),
        (None, None) => String::new(),
    }
}

/// Tells a secret from others in one run.
fn fingerprint_node(key: &FingerprintKey, node: &YamlNode) -> String {
    fingerprint_secret(key, &format!("{node:?}"))
}

fn fingerprint_secret(key: &FingerprintKey, secret: &str) -> String {
    let keyed = [key.as_slice(), secret.as_bytes()].concat();
    let mut digest = sha256_hex(&keyed);
    digest.truncate(FINGERPRINT_DIGITS);
    digest
}

/// A value as it is shown. A text has no quotes where it cannot be taken for something else.
fn format_value(node: &YamlNode) -> String {
    match node {
        YamlNode::Text(text) if is_plain_word(text) => text.clone(),
        other => sanitize(&escape_json(&other.to_string())).into_owned(),
    }
}

fn is_plain_word(text: &str) -> bool {
    const OTHER_MEANINGS: [&str; 9] = [
        "true", "false", "null", "yes", "no", "on", "off", "nan", "inf",
    ];

    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./@".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(is_plain)
        && !OTHER_MEANINGS.contains(&text.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::document::parse_document;

    const WITHOUT_FINGERPRINTS: RedactionMode = RedactionMode::Redact(None);

    fn render_texts(mode: RedactionMode, before: &str, after: &str) -> Vec<String> {
        let [before, after] =
            [before, after].map(|text| parse_document(text.as_bytes()).expect(text));
        let lines = mode.render_changes(&before, &after);
        lines.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn different_values_never_look_the_same() {
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
            let lines = render_texts(WITHOUT_FINGERPRINTS, before, after);
            assert_eq!(lines, [expected], "{before:?} and {after:?}");
        }
    }

    #[test]
    fn equal_secrets_have_equal_fingerprints_in_one_run_only() {
        let render = |key| {
            let before = "{password: one, token: two}\n";
            let after = "{password: two, token: one}\n";
            render_texts(RedactionMode::Redact(Some([key; 32])), before, after)
        };
        let lines = render(1);
        let [password, token] = lines.as_slice() else {
            panic!("two lines: {lines:?}")
        };

        let fingerprints = password.strip_prefix("~ password: changed (masked, ");
        let fingerprints = fingerprints.expect(password).trim_end_matches(')');
        let (one, two) = fingerprints.split_once(" -> ").expect(password);
        assert_eq!(one.len(), 8);
        assert_eq!(token, &format!("~ token: changed (masked, {two} -> {one})"));
        assert_ne!(lines, render(2));
    }

    #[test]
    fn a_fingerprint_is_the_beginning_of_a_digest_of_key_and_secret() {
        // (printf '\1%.0s' {1..32}; printf secret) | sha256sum
        assert_eq!(fingerprint_secret(&[1; 32], "secret"), "2a3b4db2");
    }

    #[test]
    fn says_what_happened_to_a_secret() {
        let lines = render_texts(WITHOUT_FINGERPRINTS, "password: a\n", "x: 1\n");
        assert_eq!(lines, ["- password: removed (masked)", "+ x: 1"]);
    }

    #[test]
    fn redacts_a_secret_under_any_name() {
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
            let lines = render_texts(WITHOUT_FINGERPRINTS, before, after);
            assert_eq!(lines, [format!("~ {path}: changed (masked)")]);
            let in_clear = render_texts(RedactionMode::ShowSecrets, before, after).concat();
            assert!(!in_clear.contains("masked"), "{in_clear}");
        }
    }

    #[test]
    fn a_list_or_mapping_without_secrets_is_not_redacted() {
        for (before, after) in [("a: [x]\n", "a: 1\n"), ("a: {x: y}\n", "a: 1\n")] {
            let lines = render_texts(WITHOUT_FINGERPRINTS, before, after).concat();
            assert!(!lines.contains("masked"), "{lines}");
        }
    }

    #[test]
    fn shows_nothing_below_a_secret_unless_secrets_are_shown() {
        let before = "credentials: {user: canary, count: 1}\n";
        let after = "credentials: {user: canary, count: 2}\n";
        let redacted = render_texts(WITHOUT_FINGERPRINTS, before, after);
        assert_eq!(redacted, ["~ credentials: changed (masked)"]);
        let in_clear = render_texts(RedactionMode::ShowSecrets, before, after);
        assert_eq!(in_clear, ["~ credentials.count: 1 -> 2"]);
    }
}

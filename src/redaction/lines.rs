//! A config's lines as they may be shown. A line is hidden unless it is surely harmless: one key or item with one plain value,
//! no secret by its name or by itself, and not within anything that goes over several lines.
//!
//! Pure. It is no parser: where it cannot follow, it hides more. What the parser found to be secret, [`Known`] knows.

use crate::config::unified_diff::split_lines;
use crate::output::sanitize::sanitize;
use crate::redaction::detect::{is_secret_key, is_secret_name, is_secret_text};
use crate::redaction::policy::SecretWords;
use crate::redaction::render::RedactionMode;

/// The lines of a document that the parser takes, as they may be shown.
#[must_use]
pub fn lines(text: &str, known: &SecretWords, masks: &RedactionMode) -> Vec<String> {
    let mut reader = Reader {
        known,
        block: None,
        below: None,
        open: Open::default(),
        lost: false,
    };
    let shown = |line: &str| match reader.read(line.trim_end_matches(['\n', '\r'])) {
        Sight::Clear => sanitize(line.trim_end_matches('\n')).into_owned(),
        Sight::HiddenFrom(start) => {
            format!("{}{}", sanitize(&line[..start]), masks.redact_text(line))
        }
    };
    split_lines(text).into_iter().map(shown).collect()
}

/// What may be seen of a line.
enum Sight {
    /// All of it.
    Clear,
    /// What comes before this byte.
    HiddenFrom(usize),
}

/// How far the lines have been read.
struct Reader<'a> {
    known: &'a SecretWords,
    /// Within a block of text (`|`, `>`): lines that are indented deeper than this.
    block: Option<usize>,
    /// Below a secret: lines that are indented deeper than this.
    below: Option<usize>,
    open: Open,
    /// What came is beyond following.
    lost: bool,
}

impl Reader<'_> {
    fn read(&mut self, line: &str) -> Sight {
        let indent = line.len() - line.trim_start_matches(' ').len();
        let body = &line[indent..];
        // These end a line for the parser, too; and a document may begin on the line of its marker.
        let is_odd =
            line.contains(['\r', '\u{85}', '\u{2028}', '\u{2029}']) || line.starts_with('%');
        self.lost |= is_odd || (line.starts_with("---") && line.trim_end() != "---");
        if self.lost {
            return Sight::HiddenFrom(0);
        }
        if self.open.is_open() {
            self.open.follow(body);
            return Sight::HiddenFrom(indent);
        }
        if body.trim().is_empty() {
            return Sight::Clear;
        }
        if self.block.is_some_and(|limit| indent > limit) {
            return Sight::HiddenFrom(indent);
        }
        self.block = None;
        if body.starts_with('#') {
            let is_below = self.below.is_some_and(|limit| indent > limit);
            return if is_below || !self.is_harmless(body) {
                Sight::HiddenFrom(indent)
            } else {
                Sight::Clear
            };
        }
        let entry = Entry::of(body);
        let column = indent + entry.lead;
        // A list may stand no deeper than its key.
        let is_below = self
            .below
            .is_some_and(|limit| indent > limit || (indent == limit && entry.lead > 0));
        self.follow(
            entry.value,
            if entry.key.is_some() {
                column
            } else {
                indent + entry.dash
            },
        );
        if is_below {
            return Sight::HiddenFrom(indent);
        }
        self.below = None;
        match entry.key {
            Some(key) if is_secret_key(key) || self.known.occur_in(key) => {
                self.below = Some(column);
                Sight::HiddenFrom(column)
            }
            Some(key) if is_secret_name(key) => {
                self.below = Some(column);
                if entry.value.is_empty() {
                    Sight::Clear
                } else {
                    Sight::HiddenFrom(line.len() - entry.value.len())
                }
            }
            None if entry.lead == 0 && !matches!(body.trim_end(), "---" | "...") => {
                // The rest of a text that began before, or a form that is not known here.
                self.below = Some(indent);
                Sight::HiddenFrom(indent)
            }
            _ if self.open.is_open() || !self.is_plain(entry.value) => {
                Sight::HiddenFrom(line.len() - entry.value.len())
            }
            _ => Sight::Clear,
        }
    }

    /// Notes what goes on in the next lines.
    fn follow(&mut self, value: &str, column: usize) {
        let mut value = value;
        while value.starts_with(['&', '!']) {
            value = value
                .split_once(' ')
                .map_or("", |(_, rest)| rest.trim_start());
        }
        if value.starts_with(['|', '>']) {
            self.block = Some(column);
        } else if value.starts_with(['"', '\'', '[', '{']) {
            self.open.follow(value);
        }
    }

    /// Whether a value can be taken as it stands there.
    fn is_plain(&self, value: &str) -> bool {
        let is_escaped = (value.starts_with('"') && value.contains('\\'))
            || (value.starts_with('\'') && value.contains("''"));
        !value.starts_with(['&', '*', '!']) && !is_escaped && self.is_harmless(value)
    }

    fn is_harmless(&self, text: &str) -> bool {
        !is_secret_text(text) && !self.known.occur_in(text)
    }
}

/// A line taken apart.
struct Entry<'a> {
    /// The bytes of the dashes that it begins with.
    lead: usize,
    /// Where the last of them is.
    dash: usize,
    key: Option<&'a str>,
    value: &'a str,
}

impl<'a> Entry<'a> {
    fn of(body: &'a str) -> Self {
        let (mut rest, mut dash) = (body, 0);
        while rest == "-" || rest.starts_with("- ") {
            dash = body.len() - rest.len();
            rest = rest[1..].trim_start_matches(' ');
        }
        let lead = body.len() - rest.len();
        match key(rest) {
            Some((key, value)) => Self {
                lead,
                dash,
                key: Some(key),
                value,
            },
            None => Self {
                lead,
                dash,
                key: None,
                value: rest,
            },
        }
    }
}

/// The key that a text begins with, plain or in quotes, and what follows.
fn key(text: &str) -> Option<(&str, &str)> {
    let (key, rest) = match text.chars().next()? {
        quote @ ('"' | '\'') => {
            let (key, rest) = text[1..].split_once(quote)?;
            (
                key,
                rest.trim_start()
                    .strip_prefix(':')
                    .filter(|_| !key.contains('\\'))?,
            )
        }
        '?' => return None,
        _ => {
            let end = text
                .match_indices(':')
                .map(|(at, _)| at)
                .find(|at| text[at + 1..].is_empty() || text[at + 1..].starts_with([' ', '\t']))?;
            (&text[..end], &text[end + 1..])
        }
    };
    let is_name = !key.is_empty()
        && !key.contains([
            '#', '"', '\'', '{', '}', '[', ']', ',', '&', '*', '!', '|', '%', '@', '`',
        ]);
    (is_name && (rest.is_empty() || rest.starts_with([' ', '\t'])))
        .then(|| (key, rest.trim_start()))
}

/// Quotes and brackets that were opened and not closed yet.
#[derive(Debug, Default)]
struct Open {
    brackets: usize,
    quote: Option<char>,
}

impl Open {
    fn is_open(&self) -> bool {
        self.brackets > 0 || self.quote.is_some()
    }

    fn follow(&mut self, text: &str) {
        let mut before = ' ';
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            match (self.quote, c) {
                (Some('"'), '\\') => drop(rest.next()),
                (Some(quote), _) if quote == c => self.quote = None,
                // In the middle of a word they mean themselves.
                (None, '"' | '\'') if matches!(before, ' ' | '\t' | '[' | '{' | ',' | ':') => {
                    self.quote = Some(c);
                }
                // Twice, in single quotes, it is one of them.
                (None, '\'') if before == '\'' => self.quote = Some(c),
                (None, '[' | '{') => self.brackets += 1,
                (None, ']' | '}') => self.brackets = self.brackets.saturating_sub(1),
                (None, '#') if before == ' ' => return,
                _ => {}
            }
            before = c;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::document::parse_document;

    /// The lines as they are shown, with `#` in the place of what is hidden.
    fn shown(text: &str) -> Vec<String> {
        let document = parse_document(text.as_bytes()).expect(text);
        lines(
            text,
            &SecretWords::from_documents_with_short_words([&document, &document]),
            &RedactionMode::Redact(None),
        )
        .iter()
        .map(|line| line.replace("(masked)", "#"))
        .collect()
    }

    #[test]
    fn lines_without_secrets_are_shown_as_they_are() {
        let text = "---\n# The customer's\ncustomer:\n  name: airbnb\n  'display name': \"Air, B & B\"\n\nzones: [a, b]\nusers:\n- ann\n-   - bob\n- name: eve # late\n  since: 2026-10-01\nnote: it's fine\nquoted: 'a b'\n";
        assert_eq!(shown(text), text.lines().collect::<Vec<_>>());
    }

    #[test]
    fn what_is_secret_or_cannot_be_followed_is_hidden() {
        for (text, expected) in [
            (
                "a: 1\npassword: x1\nb: 2\n",
                &["a: 1", "password: #", "b: 2"][..],
            ),
            (
                "a:\n  token:\n    x: y\n    # z\n  b: 2\n",
                &["a:", "  token:", "    #", "    #", "  b: 2"],
            ),
            (
                "a:\n  token:\n    x: y\n  # z\n",
                &["a:", "  token:", "    #", "  # z"],
            ),
            (
                "AKIAIOSFODNN7EXAMPLE:\n  a: 1\nb: 2\n",
                &["#", "  #", "b: 2"],
            ),
            ("token: abcd\nabcd: 1\nb: 2\n", &["token: #", "#", "b: 2"]),
            (
                "- |\n  x: y\n- - >\n    x: y\n",
                &["- |", "  #", "- - >", "    #"],
            ),
            ("? a: b\n: c\nd: 3\n", &["#", "#", "d: 3"]),
            ("a: \"x\\\" y\n  z: 1\"\nb: 2\n", &["a: #", "  #", "b: 2"]),
            ("a: ['it''], s',\n  b: 1]\nc: 3\n", &["a: #", "  #", "c: 3"]),
            ("a: [x, # y]\n  b: 1]\nc: 3\n", &["a: #", "  #", "c: 3"]),
            ("a: [x#y]\nc: 3\n", &["a: [x#y]", "c: 3"]),
            ("a: [it's, b]\nc: 3\n", &["a: [it's, b]", "c: 3"]),
            ("keys:\n- x\n- y\nb: 2\n", &["keys:", "#", "#", "b: 2"]),
            (
                "- token: x\n  b: 2\n- c: 3\n",
                &["- token: #", "  b: 2", "- c: 3"],
            ),
            (
                "a: |\n  x: y\n\n  z\nb: 2\n",
                &["a: |", "  #", "", "  #", "b: 2"],
            ),
            ("- - |\n   x\n  - y\n", &["- - |", "   #", "  - y"]),
            ("a: \"x\n  y\"\nb: 2\n", &["a: #", "  #", "b: 2"]),
            ("a: {x: 1,\nb: 2}\nc: 3\n", &["a: #", "#", "c: 3"]),
            ("a: [x, 'it''s', ']',\ny]\nc: 3\n", &["a: #", "#", "c: 3"]),
            ("a: x\n  y\nb: 2\n", &["a: x", "  #", "b: 2"]),
            ("a: &b x\nc: *b\n", &["a: #", "c: #"]),
            ("? a\n: b\nc: 3\n", &["#", "#", "c: 3"]),
            ("a: \"\\x70\"\n", &["a: #"]),
            ("a: 'it''s'\n", &["a: #"]),
            ("%YAML 1.1\n---\na: 1\n", &["#", "#", "#"]),
            ("--- a\n", &["#"]),
            (
                "password: \t x1 \t \nb: 2\n",
                &["password: \u{fffd} #", "b: 2"],
            ),
            ("b: \"\\x70\"  \n", &["b: #"]),
            ("a: 1\rb: 2\nc: 3\n", &["#", "#"]),
            ("# pwd: x\na: 1\n", &["#", "a: 1"]),
            ("token: abcd\nb: abcd\n# abcd\n", &["token: #", "b: #", "#"]),
            (
                "- {name: DB_PASSWORD,\n   value: xyzw}\n- xyzw\n",
                &["- #", "   #", "- #"],
            ),
            (
                "- {name: DB_PIN, value: 12}\n- name: DB_PIN\n  value: 34\n",
                &["- #", "- name: #", "  value: #"],
            ),
            (
                "e:\n  - name: DB_PASSWORD\n    value: xyzw\n",
                &["e:", "  - name: #", "    value: #"],
            ),
        ] {
            assert_eq!(shown(text), expected, "{text:?}");
        }
    }
}

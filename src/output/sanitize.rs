//! Makes text from records safe to show in terminals, spreadsheets, browsers and JSON.
//!
//! Pure. Anyone with write access to the bucket chooses the text of a record: it may hold terminal
//! escapes or formulas.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};

pub use crate::error::is_unsafe_for_display;

/// Replaces each unsafe character by U+FFFD.
#[must_use]
pub fn sanitize(text: &str) -> Cow<'_, str> {
    if text.contains(is_unsafe_for_display) {
        Cow::Owned(text.replace(is_unsafe_for_display, "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Sanitizes a spreadsheet cell and adds a leading `'` where the text would run as a formula
/// (OWASP, "CSV Injection").
///
/// Spreadsheets also run formulas in full-width characters and after white space.
#[must_use]
pub fn escape_formula(text: &str) -> Cow<'_, str> {
    let sanitized = sanitize(text);
    let formula_starts = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
    if sanitized.trim_start().starts_with(formula_starts) {
        Cow::Owned(format!("'{sanitized}"))
    } else {
        sanitized
    }
}

/// Sanitizes and escapes text for HTML, between tags or in a quoted attribute.
#[must_use]
pub fn escape_html(text: &str) -> Cow<'_, str> {
    let sanitized = sanitize(text);
    if !sanitized.contains(['&', '<', '>', '"', '\'']) {
        return sanitized;
    }

    let mut escaped = String::with_capacity(sanitized.len() + 16);
    for c in sanitized.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

/// Escapes the unsafe characters in a JSON text; its strings keep their values.
#[must_use]
pub fn escape_json(json: &str) -> Cow<'_, str> {
    if !json.contains(is_unsafe_for_display) {
        return Cow::Borrowed(json);
    }

    let mut escaped = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_unsafe_for_display(c) {
            // One escape is enough because all of them lie below U+10000.
            let _ = write!(escaped, "\\u{:04x}", u32::from(c));
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// `1 change`, `2 changes`. `count` is a number, or a number that is formatted already.
#[must_use]
pub fn count_noun(count: impl Display, noun: &str) -> String {
    let count = count.to_string();
    if count == "1" {
        format!("{count} {noun}")
    } else {
        format!("{count} {noun}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_run_no_formula_and_hide_nothing() {
        assert_eq!(escape_formula("=HYPERLINK(\"x\")"), "'=HYPERLINK(\"x\")");
        assert_eq!(escape_formula(" \u{a0}+1"), "' \u{a0}+1");
        assert_eq!(escape_formula("＝1"), "'＝1");
        assert_eq!(
            escape_formula("a\u{1b}[2J\r\n\u{202e}b\u{200f}"),
            "a\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}b\u{fffd}"
        );
        assert_eq!(
            escape_formula("plain, \"quoted\" = x"),
            "plain, \"quoted\" = x"
        );
    }

    #[test]
    fn only_one_is_singular() {
        assert_eq!(
            [0, 1, 2].map(|number| count_noun(number, "change")),
            ["0 changes", "1 change", "2 changes"]
        );
    }

    #[test]
    fn html_shows_the_text_as_it_is() {
        assert_eq!(
            escape_html("<b title=\"x\">'&amp;'"),
            "&lt;b title=&quot;x&quot;&gt;&#39;&amp;amp;&#39;"
        );
        assert_eq!(escape_html("a\u{202e}<\r"), "a\u{fffd}&lt;\u{fffd}");
        assert_eq!(escape_html("株式会社 = 1"), "株式会社 = 1");
    }

    #[test]
    fn json_keeps_its_values_without_unsafe_characters() {
        let text = "é\u{9b}\u{7f}\u{202e}\u{2028}\n\"\\";
        let json = serde_json::to_string(text).expect("JSON");
        let escaped = escape_json(&json);
        assert!(!escaped.contains(is_unsafe_for_display), "{escaped}");
        assert_eq!(
            serde_json::from_str::<String>(&escaped).expect("JSON"),
            text
        );
    }
}

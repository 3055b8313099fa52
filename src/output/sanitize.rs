//! Text from records, made harmless for whoever shows it: terminals, spreadsheets, browsers, readers of JSON.
//!
//! Pure. Records are written by others; their text may hold what a terminal obeys or a spreadsheet runs.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Control characters (Unicode `Cc`), line separators, and marks that turn the writing direction: what makes a reader see
/// something else than what is there.
#[must_use]
pub fn is_unsafe_for_display(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `text` with U+FFFD in the place of whatever is unruly.
#[must_use]
pub fn sanitize(text: &str) -> Cow<'_, str> {
    if text.contains(is_unsafe_for_display) {
        text.replace(is_unsafe_for_display, "\u{fffd}").into()
    } else {
        text.into()
    }
}

/// A spreadsheet's cell that is text: plain, and with a leading `'` where it would be run as a formula (OWASP, "CSV
/// Injection"), also in full-width characters or behind white space.
#[must_use]
pub fn escape_formula(text: &str) -> Cow<'_, str> {
    let plain = sanitize(text);
    if plain
        .trim_start()
        .starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
    {
        format!("'{plain}").into()
    } else {
        plain
    }
}

/// Text for HTML, between tags or in a quoted attribute: plain, and no part of it is markup.
#[must_use]
pub fn escape_html(text: &str) -> Cow<'_, str> {
    let plain = sanitize(text);
    if !plain.contains(['&', '<', '>', '"', '\'']) {
        return plain;
    }
    let mut escaped = String::with_capacity(plain.len() + 16);
    for c in plain.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(c),
        }
    }
    escaped.into()
}

/// JSON whose strings say the same, but in which nothing is unruly as it stands there.
#[must_use]
pub fn escape_json(json: &str) -> Cow<'_, str> {
    if !json.contains(is_unsafe_for_display) {
        return json.into();
    }
    let mut escaped = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_unsafe_for_display(c) {
            // All of them lie below U+10000, where one escape is enough.
            let _ = write!(escaped, "\\u{:04x}", u32::from(c));
        } else {
            escaped.push(c);
        }
    }
    escaped.into()
}

/// `1 change`, `2 changes`.
#[must_use]
pub fn count_noun(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_run_nothing_and_hide_nothing() {
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
    fn one_is_counted_without_an_s() {
        assert_eq!(
            [0, 1, 2].map(|number| count_noun(number, "change")),
            ["0 changes", "1 change", "2 changes"]
        );
    }

    #[test]
    fn html_shows_the_text_and_runs_nothing() {
        assert_eq!(
            escape_html("<b title=\"x\">'&amp;'"),
            "&lt;b title=&quot;x&quot;&gt;&#39;&amp;amp;&#39;"
        );
        assert_eq!(escape_html("a\u{202e}<\r"), "a\u{fffd}&lt;\u{fffd}");
        assert_eq!(escape_html("株式会社 = 1"), "株式会社 = 1");
    }

    #[test]
    fn json_says_the_same_without_unruly_characters() {
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

//! A command line as bash hands it to a completion: one text, with its quotes.
//!
//! Pure. bash replaces only a part of the word at the cursor, and takes candidates as they are: so
//! they are cut and quoted here.

/// Bytes that stand for themselves in a word. All beyond ASCII do, too.
const PLAIN_MARKS: &str = "_./,+%@:=^-";

#[derive(Debug, PartialEq, Eq)]
pub(super) struct BashLine {
    /// Without their quotes. The last one is the word at the cursor, and may be empty.
    pub(super) words: Vec<String>,
    /// How much of the last word bash keeps.
    kept_bytes: usize,
    /// The quote that is open at the cursor.
    open_quote: Option<char>,
}

impl BashLine {
    /// Parses the line up to the cursor. `breaks` is `COMP_WORDBREAKS`: behind one of them bash
    /// begins a new word, which we do not, because `--format=table` is one argument.
    pub(super) fn parse(line: &str, breaks: &str) -> Self {
        let mut parsed = Self {
            words: vec![String::new()],
            kept_bytes: 0,
            open_quote: None,
        };
        let mut is_in_word = false;
        let mut characters = line.chars();
        while let Some(character) = characters.next() {
            if parsed.open_quote.is_none() && character.is_ascii_whitespace() {
                if is_in_word {
                    parsed.words.push(String::new());
                    parsed.kept_bytes = 0;
                }
                is_in_word = false;
                continue;
            }
            is_in_word = true;
            match (character, parsed.open_quote) {
                ('\\', None) => parsed.push(characters.next()),
                ('\\', Some('"')) => parsed.push_quoted(&mut characters),
                (quote, Some(open)) if quote == open => parsed.open_quote = None,
                ('\'' | '"', None) => {
                    parsed.keep();
                    parsed.open_quote = Some(character);
                }
                (_, None) if breaks.contains(character) => {
                    parsed.push(Some(character));
                    parsed.keep();
                }
                _ => parsed.push(Some(character)),
            }
        }
        parsed
    }

    fn push(&mut self, character: Option<char>) {
        if let Some(word) = self.words.last_mut() {
            word.extend(character);
        }
    }

    /// Notes that bash keeps what the last word has so far.
    fn keep(&mut self) {
        self.kept_bytes = self.words.last().map_or(0, String::len);
    }

    /// In double quotes, a backslash stands for itself before most characters.
    fn push_quoted(&mut self, characters: &mut impl Iterator<Item = char>) {
        let next = characters.next();
        if !matches!(next, Some('"' | '\\' | '$' | '`')) {
            self.push(Some('\\'));
        }
        self.push(next);
    }

    /// The part of a candidate that bash puts in place of what it does not keep; `None` if the open
    /// quote cannot hold it.
    pub(super) fn quote(&self, candidate: &str) -> Option<String> {
        let part = candidate.get(self.kept_bytes..)?;
        let mut quoted = String::new();
        for character in part.chars() {
            let must_escape = match self.open_quote {
                Some('\'') if character == '\'' => return None,
                Some('\'') => false,
                Some(_) => "\"\\$`".contains(character),
                None => is_special(character),
            };
            if must_escape {
                quoted.push('\\');
            }
            quoted.push(character);
        }
        Some(quoted)
    }
}

fn is_special(character: char) -> bool {
    character.is_ascii() && !character.is_ascii_alphanumeric() && !PLAIN_MARKS.contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BREAKS: &str = " \t\n\"'@><=;|&(:";

    fn words_of(line: &str) -> Vec<String> {
        BashLine::parse(line, BREAKS).words
    }

    fn quote(line: &str, candidate: &str) -> Option<String> {
        BashLine::parse(line, BREAKS).quote(candidate)
    }

    #[test]
    fn words_are_those_that_bash_would_pass_to_the_program() {
        for (line, words) in [
            ("cb", vec!["cb"]),
            ("cb  report ", vec!["cb", "report", ""]),
            ("cb report --format=ta", vec!["cb", "report", "--format=ta"]),
            (r"cb restore Foo\ B", vec!["cb", "restore", "Foo B"]),
            (r#"cb "a\"b\c" 'it is"#, vec!["cb", r#"a"b\c"#, "it is"]),
            ("cb '' x", vec!["cb", "", "x"]),
            ("cb a''b", vec!["cb", "ab"]),
        ] {
            assert_eq!(words_of(line), words, "{line}");
        }
    }

    #[test]
    fn a_candidate_is_cut_and_quoted_as_its_word_is() {
        for (line, candidate, quoted) in [
            ("cb re", "report", Some("report")),
            ("cb report --format=ta", "--format=table", Some("table")),
            ("cb --profile a:b", "a:bc", Some("bc")),
            (r"cb --profile a\:b", "a:bc", Some("a:bc")),
            (r"cb restore Foo\ B", "Foo Bar", Some(r"Foo\ Bar")),
            ("cb restore 'Foo B", "Foo Bar", Some("Foo Bar")),
            ("cb restore 'it", "it's", None),
            ("cb restore \"a", "a$b c", Some("a\\$b c")),
            ("cb restore --version=\"a", "--version=ab", Some("ab")),
            ("cb restore ", "~x", Some(r"\~x")),
            ("cb restore ", "Zürich", Some("Zürich")),
        ] {
            assert_eq!(quote(line, candidate).as_deref(), quoted, "{line}");
        }
    }
}

//! As much of HCL as `init` and `doctor` need: the blocks of a file, their attributes, and which texts they have.
//!
//! Pure. It reads the text and evaluates nothing, so it also works where Terragrunt is missing.

/// A block at the top of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HclBlock {
    /// Its type, such as `dependency`.
    pub kind: String,
    /// Its labels, such as the name of an `include`.
    pub labels: Vec<String>,
    /// What stands in it and below, in order.
    pub tokens: Vec<HclToken>,
}

/// What stands in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HclToken {
    /// A name, a keyword or a number.
    Word(String),
    /// A quoted text or a heredoc, with its templates as they are written.
    Text(String),
    /// Any other character that is no white space.
    Sign(char),
}

impl HclBlock {
    /// The expression of the attribute `name` of the block itself; empty without that attribute.
    #[must_use]
    pub fn attribute_tokens(&self, name: &str) -> &[HclToken] {
        let is_assigned = |at: usize| {
            matches!(
                (&self.tokens[at], self.tokens.get(at + 1)),
                (HclToken::Word(_), Some(HclToken::Sign('=')))
            ) && self.tokens.get(at + 2) != Some(&HclToken::Sign('='))
        };
        let mut start = None;
        let mut at = 0;
        while at < self.tokens.len() {
            if is_assigned(at) {
                match start {
                    Some(start) => return &self.tokens[start..at],
                    None if self.tokens[at] == HclToken::Word(name.to_owned()) => {
                        start = Some(at + 2);
                    }
                    None => {}
                }
            }
            at = if matches!(self.tokens[at], HclToken::Sign('{' | '[' | '(')) {
                index_after_closing(&self.tokens, at)
            } else {
                at + 1
            };
        }
        start.map_or(&[], |start| &self.tokens[start..])
    }

    /// The blocks in the block.
    #[must_use]
    pub fn nested_blocks(&self) -> Vec<Self> {
        collect_blocks(&self.tokens)
    }

    /// The texts of the attribute `name`, up to the next attribute.
    #[must_use]
    pub fn attribute_texts(&self, name: &str) -> Vec<&str> {
        let assigned = |at: usize| {
            matches!(
                (&self.tokens[at], self.tokens.get(at + 1)),
                (HclToken::Word(_), Some(HclToken::Sign('=')))
            )
        };
        let is_it = |token: &HclToken| matches!(token, HclToken::Word(word) if word == name);
        let Some(start) =
            (0..self.tokens.len()).find(|at| assigned(*at) && is_it(&self.tokens[*at]))
        else {
            return Vec::new();
        };
        let end = (start + 1..self.tokens.len())
            .find(|at| assigned(*at))
            .unwrap_or(self.tokens.len());
        self.tokens[start..end]
            .iter()
            .filter_map(|token| {
                if let HclToken::Text(text) = token {
                    Some(text.as_str())
                } else {
                    None
                }
            })
            .collect()
    }

    /// Whether an attribute is this one word.
    #[must_use]
    pub fn has_attribute_value(&self, name: &str, value: &str) -> bool {
        let word =
            |token: &HclToken, text: &str| matches!(token, HclToken::Word(word) if word == text);
        self.tokens.windows(3).any(|three| {
            word(&three[0], name) && three[1] == HclToken::Sign('=') && word(&three[2], value)
        })
    }
}

/// The blocks at the top of a file. What is no HCL gives whatever can be made out.
#[must_use]
pub fn parse_blocks(text: &str) -> Vec<HclBlock> {
    collect_blocks(&tokenize(text))
}

fn collect_blocks(tokens: &[HclToken]) -> Vec<HclBlock> {
    let mut blocks = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let HclToken::Word(kind) = &tokens[at] else {
            at = if matches!(tokens[at], HclToken::Sign('{' | '[' | '(')) {
                index_after_closing(tokens, at)
            } else {
                at + 1
            };
            continue;
        };
        let labels = tokens[at + 1..].iter().map_while(|token| {
            if let HclToken::Text(text) = token {
                Some(text.clone())
            } else {
                None
            }
        });
        let labels: Vec<String> = labels.collect();
        let open = at + 1 + labels.len();
        if tokens.get(open) == Some(&HclToken::Sign('{')) {
            let end = index_after_closing(tokens, open);
            let inside = tokens[open + 1..end.saturating_sub(1).max(open + 1)].to_vec();
            blocks.push(HclBlock {
                kind: kind.clone(),
                labels,
                tokens: inside,
            });
            at = end;
        } else {
            at += 1;
        }
    }
    blocks
}

/// The place behind the bracket that closes the one at `open`.
fn index_after_closing(tokens: &[HclToken], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token {
            HclToken::Sign('{' | '[' | '(') => depth += 1,
            HclToken::Sign('}' | ']' | ')') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

/// The tokens of a text, without comments.
#[must_use]
pub fn tokenize(text: &str) -> Vec<HclToken> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start_matches('\u{feff}');
    while let Some(first) = rest.chars().next() {
        if rest.starts_with('#') || rest.starts_with("//") {
            rest = rest.split_once('\n').map_or("", |(_, tail)| tail);
        } else if rest.starts_with("/*") {
            rest = rest[2..].split_once("*/").map_or("", |(_, tail)| tail);
        } else if first == '"' {
            let end = quoted_text_len(rest);
            tokens.push(HclToken::Text(rest[..end].trim_matches('"').to_owned()));
            rest = &rest[end..];
        } else if let Some((body, tail)) = split_heredoc(rest) {
            tokens.push(HclToken::Text(body.to_owned()));
            rest = tail;
        } else if first.is_alphanumeric() || first == '_' {
            let end = rest
                .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-' || c == '.'))
                .unwrap_or(rest.len());
            tokens.push(HclToken::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        } else {
            if !first.is_whitespace() {
                tokens.push(HclToken::Sign(first));
            }
            rest = &rest[first.len_utf8()..];
        }
    }
    tokens
}

/// The length of the quoted text that `text` begins with; templates in it may hold quotes of their own.
fn quoted_text_len(text: &str) -> usize {
    // What encloses the place we are at: a text, or the braces of a template.
    let mut inside = vec!['"'];
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        let in_text = inside.last() == Some(&'"');
        match c {
            '\\' if in_text => drop(chars.next()),
            '"' if in_text => {
                inside.pop();
                if inside.is_empty() {
                    return at + 1;
                }
            }
            '"' => inside.push('"'),
            '$' | '%'
                if in_text
                    && chars.peek().is_some_and(|(_, next)| *next == '{')
                    && !text[..at].ends_with(c) =>
            {
                inside.push('{');
                chars.next();
            }
            '{' if !in_text => inside.push('{'),
            '}' if !in_text => drop(inside.pop()),
            // A quoted text ends with its line, if nothing else ends it.
            '\n' if inside.len() == 1 => return at,
            _ => {}
        }
    }
    text.len()
}

/// The body of the heredoc that `text` begins with, and what follows.
fn split_heredoc(text: &str) -> Option<(&str, &str)> {
    let after = text.strip_prefix("<<")?;
    let (name, lines) = after.strip_prefix('-').unwrap_or(after).split_once('\n')?;
    let name = name.trim();
    if name.is_empty()
        || !name
            .chars()
            .all(|c| c.is_alphanumeric() || c == '_' || c == '-')
    {
        return None;
    }
    let mut at = 0;
    for line in lines.split_inclusive('\n') {
        if line.trim() == name {
            return Some((&lines[..at], &lines[at + line.len()..]));
        }
        at += line.len();
    }
    Some((lines, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_whatever_stands_between_them() {
        let text = "\u{feff}# dependency \"a\" { config_path = \"../no\" }\n/* dependency \"b\" {\n} */\n\
            locals {\n  x = \"dependency \\\"c\\\" {\"\n  y = <<-EOT\n    dependency \"d\" { config_path = \"../no\" }\n    EOT\n}\n\
            inputs = { a = { b = \"}\" } }\n\
            dependency \"e\" {\n  config_path = \"${get_env(\"A\", \"}\")}/../config-backup\" // why\n  mock_outputs = { p = \"../no\" }\n}\n\
            dependencies {\n  paths = [\"../x\", # and\n    \"../config-backup\"]\n}\nexclude {\n  if = false\n  actions = [\"all\"]\n}\n";
        let found = parse_blocks(text);
        assert_eq!(
            found
                .iter()
                .map(|block| block.kind.as_str())
                .collect::<Vec<_>>(),
            ["locals", "dependency", "dependencies", "exclude"]
        );
        assert_eq!(
            found[1].attribute_texts("config_path"),
            ["${get_env(\"A\", \"}\")}/../config-backup"]
        );
        assert_eq!(
            found[2].attribute_texts("paths"),
            ["../x", "../config-backup"]
        );
        assert!(
            found[3].has_attribute_value("if", "false")
                && !found[3].has_attribute_value("if", "true")
        );
    }

    fn word_token(text: &str) -> HclToken {
        HclToken::Word(text.to_owned())
    }

    #[test]
    fn comments_are_no_tokens_and_a_quoted_text_ends_where_it_ends() {
        assert_eq!(
            tokenize("# x\na.b-c_1 // y\n/* z\n } */ é=5"),
            [
                word_token("a.b-c_1"),
                word_token("é"),
                HclToken::Sign('='),
                word_token("5")
            ]
        );
        for (text, length) in [
            (r#""a" b"#, 3),
            (r#""a\"b" c"#, 6),
            (r#""${x("}")}" d"#, 11),
            (r#""$${a" e"#, 6),
            (r#""%%{a" f"#, 6),
            (r#""%{ if x }" g"#, 11),
            (r#""${{a}}" h"#, 8),
            (r#""$a{b" i"#, 6),
            (r#""${\"}"}" k"#, 9),
            (r#""${{a}"}"}" l"#, 11),
            ("\"${\"\n\"}\" j", 8),
            ("\"a\nb", 2),
            ("\"a", 2),
        ] {
            assert_eq!(quoted_text_len(text), length, "{text}");
        }
    }

    #[test]
    fn a_heredoc_ends_with_its_name_alone_on_a_line() {
        for (text, expected) in [
            ("<<EOT\na EOT\nEOT\nb", Some(("a EOT\n", "b"))),
            ("<<-A-b_1\n  a\n  A-b_1", Some(("  a\n", ""))),
            ("<<EOT\nno end\n", Some(("no end\n", ""))),
            ("<< \na", None),
            ("<<a b\nc", None),
            ("<EOT\nEOT", None),
        ] {
            assert_eq!(split_heredoc(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_block_holds_what_stands_between_its_braces_and_an_attribute_ends_with_the_next() {
        let found = parse_blocks("x = [a { b }]\na \"x\" \"y\" { b { c } }\nd \"x\" e {}\n");
        let tokens = vec![
            word_token("b"),
            HclToken::Sign('{'),
            word_token("c"),
            HclToken::Sign('}'),
        ];
        let labels = vec!["x".to_owned(), "y".to_owned()];
        let expected = [
            HclBlock {
                kind: "a".into(),
                labels,
                tokens,
            },
            HclBlock {
                kind: "e".into(),
                labels: Vec::new(),
                tokens: Vec::new(),
            },
        ];
        assert_eq!(found, expected);
        assert_eq!(found[0].nested_blocks().len(), 1);
        let block =
            &parse_blocks("b { one = [\"x\", \"y\"]\n two = \"z\"\n three = one\n four three }")[0];
        assert_eq!(
            [
                block.attribute_texts("one"),
                block.attribute_texts("two"),
                block.attribute_texts("three"),
                block.attribute_texts("four")
            ],
            [vec!["x", "y"], vec!["z"], vec![], vec![]]
        );
        assert!(
            block.has_attribute_value("three", "one")
                && !block.has_attribute_value("four", "three")
                && !block.has_attribute_value("two", "one")
                && !block.has_attribute_value("three", "two")
        );
    }

    #[test]
    fn an_attribute_is_the_one_of_the_block_itself() {
        let block = &parse_blocks(
            "include \"root\" {\n a = { path = \"no\" }\n path = f(\"x\", g)\n expose = a == b ? { d = 1 } : c\n inner { e = 2 }\n}",
        )[0];
        assert_eq!(block.attribute_tokens("path"), tokenize("f(\"x\", g)"));
        assert_eq!(
            block.attribute_tokens("expose").first(),
            Some(&word_token("a"))
        );
        assert_eq!(
            (
                block.attribute_tokens("e"),
                block.attribute_tokens("d"),
                block.attribute_tokens("none")
            ),
            (&[][..], &[][..], &[][..])
        );
        assert_eq!(
            (
                block.labels.as_slice(),
                block.nested_blocks()[0].kind.as_str()
            ),
            (&["root".to_owned()][..], "inner")
        );
    }

    #[test]
    fn what_is_no_hcl_gives_what_can_be_made_out_and_ends() {
        for text in [
            "",
            "{",
            "}",
            "\"",
            "a \"",
            "a \"b\" {",
            "<<EOT",
            "<<",
            "/*",
            "a { b = \"${",
            "é = \"é\" {",
            "\\\"",
            "a {}}}}} b {",
        ] {
            let _ = parse_blocks(text);
        }
        assert_eq!(parse_blocks("a {}}} b {}").len(), 2);
        assert_eq!(
            parse_blocks("dependency \"x\" { config_path = \"../y\"").len(),
            1
        );
    }

    #[test]
    fn no_text_makes_it_stop_or_hang() {
        let parts: Vec<&str> =
            "dependency~ ~\"~\\~{~}~[~]~${~%{~$${~=~\n~#~//~/*~*/~<<EOT\n~EOT\n~é~if~,"
                .split('~')
                .collect();
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let text: String = (0..random.usize(..40))
                .map(|_| parts[random.usize(..parts.len())])
                .collect();
            for block in parse_blocks(&text) {
                let _ = (
                    block.attribute_texts("if"),
                    block.has_attribute_value("if", "dependency"),
                    block.attribute_tokens("if").len(),
                    block.nested_blocks().len(),
                );
            }
        }
    }
}

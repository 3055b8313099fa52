//! As much of HCL as `init` and `doctor` need: the blocks of a file, their attributes, and which texts they have.
//!
//! Pure. It reads the text and evaluates nothing, so it also works where Terragrunt is missing.

/// A block at the top of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Its type, such as `dependency`.
    pub kind: String,
    /// Its labels, such as the name of an `include`.
    pub labels: Vec<String>,
    /// What stands in it and below, in order.
    pub tokens: Vec<Token>,
}

/// What stands in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// A name, a keyword or a number.
    Word(String),
    /// A quoted text or a heredoc, with its templates as they are written.
    Text(String),
    /// Any other character that is no white space.
    Sign(char),
}

impl Block {
    /// The expression of the attribute `name` of the block itself; empty without that attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> &[Token] {
        let is_assigned = |at: usize| {
            matches!((&self.tokens[at], self.tokens.get(at + 1)), (Token::Word(_), Some(Token::Sign('='))))
                && self.tokens.get(at + 2) != Some(&Token::Sign('='))
        };
        let mut start = None;
        let mut at = 0;
        while at < self.tokens.len() {
            if is_assigned(at) {
                match start {
                    Some(start) => return &self.tokens[start..at],
                    None if self.tokens[at] == Token::Word(name.to_owned()) => start = Some(at + 2),
                    None => {}
                }
            }
            at = if matches!(self.tokens[at], Token::Sign('{' | '[' | '(')) { behind(&self.tokens, at) } else { at + 1 };
        }
        start.map_or(&[], |start| &self.tokens[start..])
    }

    /// The blocks in the block.
    #[must_use]
    pub fn nested(&self) -> Vec<Self> {
        blocks_of(&self.tokens)
    }

    /// The texts of the attribute `name`, up to the next attribute.
    #[must_use]
    pub fn texts(&self, name: &str) -> Vec<&str> {
        let assigned = |at: usize| matches!((&self.tokens[at], self.tokens.get(at + 1)), (Token::Word(_), Some(Token::Sign('='))));
        let is_it = |token: &Token| matches!(token, Token::Word(word) if word == name);
        let Some(start) = (0..self.tokens.len()).find(|at| assigned(*at) && is_it(&self.tokens[*at])) else { return Vec::new() };
        let end = (start + 1..self.tokens.len()).find(|at| assigned(*at)).unwrap_or(self.tokens.len());
        self.tokens[start..end].iter().filter_map(|token| if let Token::Text(text) = token { Some(text.as_str()) } else { None }).collect()
    }

    /// Whether an attribute is this one word.
    #[must_use]
    pub fn is(&self, name: &str, value: &str) -> bool {
        let word = |token: &Token, text: &str| matches!(token, Token::Word(word) if word == text);
        self.tokens.windows(3).any(|three| word(&three[0], name) && three[1] == Token::Sign('=') && word(&three[2], value))
    }
}

/// The blocks at the top of a file. What is no HCL gives whatever can be made out.
#[must_use]
pub fn blocks(text: &str) -> Vec<Block> {
    blocks_of(&tokens(text))
}

fn blocks_of(tokens: &[Token]) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let Token::Word(kind) = &tokens[at] else {
            at = if matches!(tokens[at], Token::Sign('{' | '[' | '(')) { behind(tokens, at) } else { at + 1 };
            continue;
        };
        let labels = tokens[at + 1..].iter().map_while(|token| if let Token::Text(text) = token { Some(text.clone()) } else { None });
        let labels: Vec<String> = labels.collect();
        let open = at + 1 + labels.len();
        if tokens.get(open) == Some(&Token::Sign('{')) {
            let end = behind(tokens, open);
            let inside = tokens[open + 1..end.saturating_sub(1).max(open + 1)].to_vec();
            blocks.push(Block { kind: kind.clone(), labels, tokens: inside });
            at = end;
        } else {
            at += 1;
        }
    }
    blocks
}

/// The place behind the bracket that closes the one at `open`.
fn behind(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token {
            Token::Sign('{' | '[' | '(') => depth += 1,
            Token::Sign('}' | ']' | ')') => depth = depth.saturating_sub(1),
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
pub fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start_matches('\u{feff}');
    while let Some(first) = rest.chars().next() {
        if rest.starts_with('#') || rest.starts_with("//") {
            rest = rest.split_once('\n').map_or("", |(_, tail)| tail);
        } else if rest.starts_with("/*") {
            rest = rest[2..].split_once("*/").map_or("", |(_, tail)| tail);
        } else if first == '"' {
            let end = quoted(rest);
            tokens.push(Token::Text(rest[..end].trim_matches('"').to_owned()));
            rest = &rest[end..];
        } else if let Some((body, tail)) = heredoc(rest) {
            tokens.push(Token::Text(body.to_owned()));
            rest = tail;
        } else if first.is_alphanumeric() || first == '_' {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-' || c == '.')).unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        } else {
            if !first.is_whitespace() {
                tokens.push(Token::Sign(first));
            }
            rest = &rest[first.len_utf8()..];
        }
    }
    tokens
}

/// The length of the quoted text that `text` begins with; templates in it may hold quotes of their own.
fn quoted(text: &str) -> usize {
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
            '$' | '%' if in_text && chars.peek().is_some_and(|(_, next)| *next == '{') && !text[..at].ends_with(c) => {
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
fn heredoc(text: &str) -> Option<(&str, &str)> {
    let after = text.strip_prefix("<<")?;
    let (name, lines) = after.strip_prefix('-').unwrap_or(after).split_once('\n')?;
    let name = name.trim();
    if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') {
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
        let found = blocks(text);
        assert_eq!(found.iter().map(|block| block.kind.as_str()).collect::<Vec<_>>(), ["locals", "dependency", "dependencies", "exclude"]);
        assert_eq!(found[1].texts("config_path"), ["${get_env(\"A\", \"}\")}/../config-backup"]);
        assert_eq!(found[2].texts("paths"), ["../x", "../config-backup"]);
        assert!(found[3].is("if", "false") && !found[3].is("if", "true"));
    }

    fn word(text: &str) -> Token {
        Token::Word(text.to_owned())
    }

    #[test]
    fn comments_are_no_tokens_and_a_quoted_text_ends_where_it_ends() {
        assert_eq!(tokens("# x\na.b-c_1 // y\n/* z\n } */ é=5"), [word("a.b-c_1"), word("é"), Token::Sign('='), word("5")]);
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
            assert_eq!(quoted(text), length, "{text}");
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
            assert_eq!(heredoc(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_block_holds_what_stands_between_its_braces_and_an_attribute_ends_with_the_next() {
        let found = blocks("x = [a { b }]\na \"x\" \"y\" { b { c } }\nd \"x\" e {}\n");
        let tokens = vec![word("b"), Token::Sign('{'), word("c"), Token::Sign('}')];
        let labels = vec!["x".to_owned(), "y".to_owned()];
        let expected = [Block { kind: "a".into(), labels, tokens }, Block { kind: "e".into(), labels: Vec::new(), tokens: Vec::new() }];
        assert_eq!(found, expected);
        assert_eq!(found[0].nested().len(), 1);
        let block = &blocks("b { one = [\"x\", \"y\"]\n two = \"z\"\n three = one\n four three }")[0];
        assert_eq!(
            [block.texts("one"), block.texts("two"), block.texts("three"), block.texts("four")],
            [vec!["x", "y"], vec!["z"], vec![], vec![]]
        );
        assert!(block.is("three", "one") && !block.is("four", "three") && !block.is("two", "one") && !block.is("three", "two"));
    }

    #[test]
    fn an_attribute_is_the_one_of_the_block_itself() {
        let block = &blocks(
            "include \"root\" {\n a = { path = \"no\" }\n path = f(\"x\", g)\n expose = a == b ? { d = 1 } : c\n inner { e = 2 }\n}",
        )[0];
        assert_eq!(block.attribute("path"), tokens("f(\"x\", g)"));
        assert_eq!(block.attribute("expose").first(), Some(&word("a")));
        assert_eq!((block.attribute("e"), block.attribute("d"), block.attribute("none")), (&[][..], &[][..], &[][..]));
        assert_eq!((block.labels.as_slice(), block.nested()[0].kind.as_str()), (&["root".to_owned()][..], "inner"));
    }

    #[test]
    fn what_is_no_hcl_gives_what_can_be_made_out_and_ends() {
        for text in ["", "{", "}", "\"", "a \"", "a \"b\" {", "<<EOT", "<<", "/*", "a { b = \"${", "é = \"é\" {", "\\\"", "a {}}}}} b {"]
        {
            let _ = blocks(text);
        }
        assert_eq!(blocks("a {}}} b {}").len(), 2);
        assert_eq!(blocks("dependency \"x\" { config_path = \"../y\"").len(), 1);
    }

    #[test]
    fn no_text_makes_it_stop_or_hang() {
        let parts: Vec<&str> = "dependency~ ~\"~\\~{~}~[~]~${~%{~$${~=~\n~#~//~/*~*/~<<EOT\n~EOT\n~é~if~,".split('~').collect();
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let text: String = (0..random.usize(..40)).map(|_| parts[random.usize(..parts.len())]).collect();
            for block in blocks(&text) {
                let _ = (block.texts("if"), block.is("if", "dependency"), block.attribute("if").len(), block.nested().len());
            }
        }
    }
}

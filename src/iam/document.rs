//! A policy as a tree, and the two ways to write it down: JSON, and the argument of Terraform's `jsonencode`.
//!
//! Pure. Must not know what a policy says. Both texts give the same value, and the second is one that `terraform fmt`
//! leaves as it is.

use std::fmt::Write as _;

use serde::ser::{Serialize, SerializeMap as _, Serializer};

use crate::output::sanitize::is_unsafe_for_display;

/// What a policy is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyNode {
    /// A string.
    Text(String),
    /// Several terms.
    List(Vec<PolicyNode>),
    /// Named terms, in the order in which they are written.
    Object(Vec<(String, PolicyNode)>),
}

impl PolicyNode {
    /// A string.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// One string as it is, several as a list: IAM takes both for the same.
    #[must_use]
    pub fn one_or_many<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        let mut texts: Vec<Self> = texts.into_iter().map(Self::text).collect();
        if texts.len() == 1 {
            texts.remove(0)
        } else {
            Self::List(texts)
        }
    }

    /// Named terms.
    #[must_use]
    pub fn object<const N: usize>(fields: [(&str, Self); N]) -> Self {
        Self::Object(fields.map(|(name, term)| (name.to_owned(), term)).into())
    }

    /// The JSON, indented, in ASCII: IAM takes no character beyond U+00FF as it is.
    ///
    /// # Panics
    /// Never: strings, lists and objects are always JSON.
    #[must_use]
    pub fn json(&self) -> String {
        ascii(&serde_json::to_string_pretty(self).expect("a tree of strings"))
    }

    /// The HCL expression, with all lines but the first indented by `indent` spaces or more.
    #[must_use]
    pub fn hcl(&self, indent: usize) -> String {
        let mut text = String::new();
        self.write_hcl(indent, &mut text);
        text
    }

    fn write_hcl(&self, indent: usize, text: &mut String) {
        let (inner, outer) = (" ".repeat(indent + 2), " ".repeat(indent));
        match self {
            Self::Text(it) => text.push_str(&quoted(it)),
            Self::List(terms) => {
                text.push_str("[\n");
                for term in terms {
                    text.push_str(&inner);
                    term.write_hcl(indent + 2, text);
                    text.push_str(",\n");
                }
                text.push_str(&outer);
                text.push(']');
            }
            Self::Object(fields) => {
                text.push_str("{\n");
                for (place, (name, term)) in fields.iter().enumerate() {
                    let name = name_in_hcl(name);
                    text.push_str(&inner);
                    text.push_str(&name);
                    // Those that take one line each are aligned, as long as nothing comes between them.
                    text.push_str(
                        &" ".repeat(width(fields, place).saturating_sub(name.chars().count())),
                    );
                    text.push_str(" = ");
                    term.write_hcl(indent + 2, text);
                    text.push('\n');
                }
                text.push_str(&outer);
                text.push('}');
            }
        }
    }
}

impl Serialize for PolicyNode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(terms) => serializer.collect_seq(terms),
            Self::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, term) in fields {
                    map.serialize_entry(name, term)?;
                }
                map.end()
            }
        }
    }
}

/// The widest name of those around a place that `terraform fmt` aligns.
fn width(fields: &[(String, PolicyNode)], place: usize) -> usize {
    let is_short = |(_, term): &&(String, PolicyNode)| matches!(term, PolicyNode::Text(_));
    if !is_short(&&fields[place]) {
        return 0;
    }
    let before = fields[..place].iter().rev().take_while(is_short);
    let behind = fields[place..].iter().take_while(is_short);
    before
        .chain(behind)
        .map(|(name, _)| name_in_hcl(name).chars().count())
        .max()
        .unwrap_or_default()
}

fn name_in_hcl(name: &str) -> String {
    let is_identifier = name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_identifier {
        name.to_owned()
    } else {
        quoted(name)
    }
}

/// A string of HCL, in which nothing is a template.
fn quoted(text: &str) -> String {
    let escaped = serde_json::to_string(text)
        .expect("a string")
        .replace("${", "$${")
        .replace("%{", "%%{");
    if escaped.contains(is_unsafe_for_display) {
        ascii(&escaped)
    } else {
        escaped
    }
}

/// JSON that says the same in ASCII.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        // A line break stands between the strings, never in one; and DEL is ASCII, but no text.
        if c == '\n' || (c.is_ascii() && !c.is_ascii_control()) {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_say_the_same_in_json_and_are_no_templates_in_hcl() {
        let text = "a${*}%{if}\"\\\u{1b}é株\u{1f600}";
        assert_eq!(
            PolicyNode::text(text).json(),
            r#""a${*}%{if}\"\\\u001b\u00e9\u682a\ud83d\ude00""#
        );
        assert_eq!(
            serde_json::from_str::<String>(&PolicyNode::text(text).json()).expect("JSON"),
            text
        );
        assert_eq!(PolicyNode::text("a${*}%{if}é").hcl(0), r#""a$${*}%%{if}é""#);
    }

    #[test]
    fn hcl_is_indented_and_aligned_as_terraform_fmt_leaves_it() {
        let condition = PolicyNode::object([
            ("s3:prefix", PolicyNode::text("a*")),
            ("aws:é", PolicyNode::text("b")),
        ]);
        let tree = PolicyNode::object([
            ("Sid", PolicyNode::text("Read")),
            ("Effect", PolicyNode::text("Allow")),
            (
                "Resource",
                PolicyNode::List(vec![PolicyNode::text("x"), PolicyNode::text("y")]),
            ),
            ("Condition", condition),
            ("V", PolicyNode::text("1")),
        ]);
        let expected = r#"{
    Sid    = "Read"
    Effect = "Allow"
    Resource = [
      "x",
      "y",
    ]
    Condition = {
      "s3:prefix" = "a*"
      "aws:é"     = "b"
    }
    V = "1"
  }"#;
        assert_eq!(tree.hcl(2), expected);
        let list = || PolicyNode::object([("A", PolicyNode::List(vec![PolicyNode::text("x")]))]);
        assert_eq!(list().hcl(0), "{\n  A = [\n    \"x\",\n  ]\n}");
        let nested = PolicyNode::List(vec![list()]);
        assert_eq!(
            nested.hcl(0),
            "[\n  {\n    A = [\n      \"x\",\n    ]\n  },\n]"
        );
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&tree.json()).expect("JSON")["Condition"]["aws:é"],
            "b"
        );
    }

    #[test]
    fn one_string_is_no_list() {
        assert_eq!(PolicyNode::one_or_many(["a"]), PolicyNode::text("a"));
        assert_eq!(
            PolicyNode::one_or_many(["a", "b"]),
            PolicyNode::List(vec![PolicyNode::text("a"), PolicyNode::text("b")])
        );
    }
}

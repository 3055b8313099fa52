//! A YAML file as a tree. The order of keys and comments play no part.
//!
//! Must not put a word of the file into an error.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess as _,
    Visitor,
};

use crate::config::yaml_limits::{MAX_YAML_BYTES, MAX_YAML_DEPTH, YamlError, decode_yaml};

/// The largest tree, in bytes of text plus one for each node. A file without aliases stays
/// below it.
const MAX_TREE_WEIGHT: usize = 2 * MAX_YAML_BYTES;

/// A node of a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum YamlNode {
    Null,
    Bool(bool),
    /// As Rust writes it: `16` also for `0x10`, and `1.0` is not `1`.
    Number(String),
    Text(String),
    List(Vec<YamlNode>),
    Map(BTreeMap<YamlNode, YamlNode>),
    /// A node with a tag of its own, like `!secret`.
    Tagged(String, Box<YamlNode>),
}

impl YamlNode {
    pub(crate) fn has_children(&self) -> bool {
        match self {
            Self::Map(map) => !map.is_empty(),
            Self::List(list) => !list.is_empty(),
            _ => false,
        }
    }

    /// The value of a key, also below a tag.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(map) => map.get(&Self::Text(key.to_owned())),
            Self::Tagged(_, node) => node.get(key),
            _ => None,
        }
    }
}

/// Parses a file with one document. A file without any is null.
pub fn parse_document(bytes: &[u8]) -> Result<YamlNode, YamlError> {
    let text = decode_yaml(bytes)?;
    if is_without_document(text) {
        return Ok(YamlNode::Null);
    }

    let limits = TreeLimits {
        budget: Cell::new(MAX_TREE_WEIGHT),
        exceeded: Cell::new(None),
    };
    let builder = TreeBuilder {
        limits: &limits,
        depth: 0,
    };
    let tree = builder.deserialize(serde_yaml::Deserializer::from_str(text));
    tree.map_err(|error| match limits.exceeded.get() {
        Some(limit) => limit,
        None => YamlError::from_parser(&error),
    })
}

/// The parser takes a file of nothing but comments for an error.
fn is_without_document(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim_start);
    lines.all(|line| line.is_empty() || line.starts_with('#'))
}

/// What all builders of a tree share.
struct TreeLimits {
    budget: Cell<usize>,
    /// Why the tree is not built any further.
    exceeded: Cell<Option<YamlError>>,
}

/// Builds a node and what lies below it.
#[derive(Clone, Copy)]
struct TreeBuilder<'a> {
    limits: &'a TreeLimits,
    depth: usize,
}

impl TreeBuilder<'_> {
    fn enter_collection<E: de::Error>(self) -> Result<Self, E> {
        if self.depth == MAX_YAML_DEPTH {
            return Err(self.stop(YamlError::TooDeep));
        }
        self.spend_budget(0)?;
        Ok(Self {
            depth: self.depth + 1,
            ..self
        })
    }

    fn spend_budget<E: de::Error>(self, text_bytes: usize) -> Result<(), E> {
        match self.limits.budget.get().checked_sub(text_bytes + 1) {
            Some(left) => {
                self.limits.budget.set(left);
                Ok(())
            }
            None => Err(self.stop(YamlError::TooManyAliases)),
        }
    }

    /// The parser adds its own words to an error, so the limit itself is remembered beside it.
    fn stop<E: de::Error>(self, limit: YamlError) -> E {
        self.limits.exceeded.set(Some(limit));
        E::custom("a limit is exceeded")
    }

    fn number_node<E: de::Error>(self, number: impl fmt::Debug) -> Result<YamlNode, E> {
        self.spend_budget(0)?;
        Ok(YamlNode::Number(format!("{number:?}")))
    }
}

impl<'de> DeserializeSeed<'de> for TreeBuilder<'_> {
    type Value = YamlNode;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<YamlNode, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TreeBuilder<'_> {
    type Value = YamlNode;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_unit<E: de::Error>(self) -> Result<YamlNode, E> {
        self.spend_budget(0)?;
        Ok(YamlNode::Null)
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<YamlNode, E> {
        self.spend_budget(0)?;
        Ok(YamlNode::Bool(flag))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<YamlNode, E> {
        self.number_node(number)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<YamlNode, E> {
        self.number_node(number)
    }

    fn visit_u128<E: de::Error>(self, number: u128) -> Result<YamlNode, E> {
        self.number_node(number)
    }

    fn visit_i128<E: de::Error>(self, number: i128) -> Result<YamlNode, E> {
        self.number_node(number)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<YamlNode, E> {
        self.number_node(number)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<YamlNode, E> {
        self.spend_budget(text.len())?;
        Ok(YamlNode::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<YamlNode, A::Error> {
        let inner = self.enter_collection()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            list.push(item);
        }
        Ok(YamlNode::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<YamlNode, A::Error> {
        let inner = self.enter_collection()?;
        let mut map = BTreeMap::new();
        while let Some(key) = entries.next_key_seed(inner)? {
            let value = entries.next_value_seed(inner)?;
            if map.insert(key, value).is_some() {
                return Err(de::Error::custom("a key stands there twice"));
            }
        }
        Ok(YamlNode::Map(map))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<YamlNode, A::Error> {
        let (tag, content): (String, _) = tagged.variant()?;
        self.spend_budget(tag.len())?;
        let node = content.newtype_variant_seed(self)?;
        Ok(YamlNode::Tagged(tag, Box::new(node)))
    }
}

/// On one line, with texts in quotes.
impl fmt::Display for YamlNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(flag) => write!(f, "{flag}"),
            Self::Number(number) => f.write_str(number),
            Self::Text(text) => f.write_str(&serde_json::to_string(text).unwrap_or_default()),
            Self::List(list) => {
                f.write_str("[")?;
                let mut separator = "";
                for node in list {
                    write!(f, "{separator}{node}")?;
                    separator = ", ";
                }
                f.write_str("]")
            }
            Self::Map(map) => {
                f.write_str("{")?;
                let mut separator = "";
                for (key, node) in map {
                    write!(f, "{separator}{key}: {node}")?;
                    separator = ", ";
                }
                f.write_str("}")
            }
            Self::Tagged(tag, node) => write!(f, "!{tag} {node}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn parse_tree(text: &str) -> YamlNode {
        parse_document(text.as_bytes()).expect(text)
    }

    #[test]
    fn refuses_aliases_that_stand_for_much_more_than_the_file() {
        let mut laughs = "a0: &a0 [x, x]\n".to_owned();
        for level in 0..39 {
            let next = level + 1;
            let _ = writeln!(
                laughs,
                "a{next}: &a{next} [*a{level}, *a{level}, *a{level}]"
            );
        }
        let refused = parse_document(laughs.as_bytes()).expect_err("a bomb");
        assert!(
            matches!(
                refused,
                YamlError::TooManyAliases | YamlError::Syntax { .. } | YamlError::SyntaxSomewhere
            ),
            "{refused}"
        );

        let wide = format!(
            "a: &a {}\nb: [{}]\n",
            "x".repeat(100_000),
            "*a,".repeat(1000)
        );
        assert_eq!(
            parse_document(wide.as_bytes()),
            Err(YamlError::TooManyAliases)
        );
    }

    #[test]
    fn refuses_more_than_64_levels_however_they_are_written() {
        let brackets = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        let dashes = |levels: usize| "- ".repeat(levels) + "x";
        let indented = |levels: usize| {
            let mut text = String::new();
            for level in 0..levels {
                let _ = writeln!(text, "{}a:", " ".repeat(level));
            }
            text
        };
        for text in [brackets(64), dashes(64), indented(64)] {
            assert!(parse_document(text.as_bytes()).is_ok(), "{text}");
        }
        let in_itself = "a: &a [*a]\n".to_owned();
        for text in [brackets(65), dashes(65), indented(65), in_itself] {
            assert_eq!(
                parse_document(text.as_bytes()),
                Err(YamlError::TooDeep),
                "{text}"
            );
        }
    }

    #[test]
    fn parses_a_file_of_the_largest_size_without_aliases() {
        let large = format!("a:\n{}", "- x\n".repeat(MAX_YAML_BYTES / 4 - 1));
        let tree = parse_tree(&large);
        let Some(YamlNode::List(list)) = tree.get("a") else {
            panic!("a list")
        };
        assert_eq!(list.len(), (1 << 18) - 1);
    }

    #[test]
    fn counts_what_aliases_stand_for_down_to_the_nulls() {
        let copies_of_nulls = |copies| {
            let nulls = "~,".repeat(1000);
            format!("a: &a [{nulls}]\nb: [{}]\n", "*a,".repeat(copies))
        };
        let refused = parse_document(copies_of_nulls(2200).as_bytes());
        assert_eq!(refused, Err(YamlError::TooManyAliases));
        assert!(parse_tree(&copies_of_nulls(1500)).has_children());
    }

    #[test]
    fn a_file_without_a_document_is_null_up_to_the_largest() {
        let largest = format!("#{}", "x".repeat(MAX_YAML_BYTES - 1));
        for text in ["", "\n \n", "# a\n  # b\n", &largest] {
            assert_eq!(parse_tree(text), YamlNode::Null);
        }
    }

    #[test]
    fn writes_a_tree_on_one_line() {
        let text = "b: [1, 1.0, 0x10, -5, 340282366920938463463374607431768211455]\n\
                    a: {c: !t 'x\"', d: ~, e: true, f: [], g: {}}\n";
        let written = "{\"a\": {\"c\": !t \"x\\\"\", \"d\": null, \"e\": true, \"f\": [], \"g\": {}}, \
                       \"b\": [1, 1.0, 16, -5, 340282366920938463463374607431768211455]}";
        assert_eq!(parse_tree(text).to_string(), written);
    }

    #[test]
    fn only_lists_and_mappings_with_content_have_children() {
        for text in ["[x]", "{x: y}"] {
            assert!(parse_tree(text).has_children(), "{text}");
        }
        for text in ["[]", "{}", "x"] {
            assert!(!parse_tree(text).has_children(), "{text}");
        }
    }

    #[test]
    fn finds_the_value_of_a_key_also_behind_tags_and_aliases() {
        let tree = parse_tree("!config\nx: &x {name: a}\ncustomer: !c {copy: *x}\n");
        let copy = tree.get("customer").and_then(|node| node.get("copy"));
        let name = copy.and_then(|node| node.get("name"));
        assert_eq!(name, Some(&YamlNode::Text("a".to_owned())));
        assert_eq!(tree.get("name"), None);
    }

    #[test]
    fn refuses_what_is_not_yaml_without_a_word_of_it() {
        for (text, expected) in [
            ("a: [canary", "it is not valid YAML at line "),
            ("canary: 1\ncanary: 2\n", "it is not valid YAML"),
        ] {
            let refused = parse_document(text.as_bytes()).expect_err(text).to_string();
            assert!(refused.starts_with(expected), "{refused}");
            assert!(!refused.contains("canary"), "{refused}");
        }
    }
}

//! A YAML file as a tree, in memory that its size bounds. The order of keys and comments play no part.
//!
//! Pure. Must not put a word of the file into an error.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess as _,
    Visitor,
};

use crate::config::yaml_lookup::{check_yaml_limits, describe_yaml_error};

/// The most that is parsed, in bytes.
const MAX_DOCUMENT_BYTES: usize = 1 << 20;
/// The most that a tree may hold: a file without aliases never comes to more.
const MAX_TREE_WEIGHT: usize = 2 * MAX_DOCUMENT_BYTES;

/// A node of a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum YamlNode {
    /// Nothing, or null.
    Null,
    /// True or false.
    Bool(bool),
    /// A number, as Rust writes it: `16` also for `0x10`, and `1.0` is not `1`.
    Number(String),
    /// A text.
    Text(String),
    /// A sequence.
    List(Vec<YamlNode>),
    /// A mapping.
    Map(BTreeMap<YamlNode, YamlNode>),
    /// A node with a tag of its own.
    Tagged(String, Box<YamlNode>),
}

/// Reads a document.
///
/// # Errors
/// Why it is none: one phrase, which quotes nothing of it.
pub fn parse_document(bytes: &[u8]) -> Result<YamlNode, String> {
    if bytes.len() > MAX_DOCUMENT_BYTES {
        return Err(format!(
            "it has {} bytes, and at most {MAX_DOCUMENT_BYTES} are read as YAML",
            bytes.len()
        ));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not valid UTF-8".to_owned())?;
    check_yaml_limits(text)?;
    // The parser finds no document there, and an empty file is as good as null.
    if text
        .lines()
        .map(str::trim_start)
        .all(|line| line.is_empty() || line.starts_with('#'))
    {
        return Ok(YamlNode::Null);
    }
    let room = Cell::new(MAX_TREE_WEIGHT);
    let tree = TreeBuilder { budget: &room }.deserialize(serde_yaml::Deserializer::from_str(text));
    tree.map_err(|error| {
        if room.get() == 0 {
            "its aliases stand for too much".to_owned()
        } else {
            describe_yaml_error(&error)
        }
    })
}

/// Builds a tree as long as there is room for it.
#[derive(Clone, Copy)]
struct TreeBuilder<'a> {
    budget: &'a Cell<usize>,
}

impl TreeBuilder<'_> {
    fn spend_budget<E: de::Error>(self, weight: usize) -> Result<(), E> {
        let left = self.budget.get().saturating_sub(weight + 1);
        self.budget.set(left);
        if left == 0 {
            Err(E::custom("too much"))
        } else {
            Ok(())
        }
    }

    fn copy_text<E: de::Error>(self, text: &str) -> Result<String, E> {
        self.spend_budget(text.len()).map(|()| text.to_owned())
    }

    fn number_node<E: de::Error>(self, number: impl fmt::Debug) -> Result<YamlNode, E> {
        self.spend_budget(0)
            .map(|()| YamlNode::Number(format!("{number:?}")))
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

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("YAML")
    }

    fn visit_unit<E: de::Error>(self) -> Result<YamlNode, E> {
        self.spend_budget(0).map(|()| YamlNode::Null)
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<YamlNode, E> {
        self.spend_budget(0).map(|()| YamlNode::Bool(flag))
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
        self.copy_text(text).map(YamlNode::Text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<YamlNode, A::Error> {
        self.spend_budget(0)?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(YamlNode::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<YamlNode, A::Error> {
        self.spend_budget(0)?;
        let mut map = BTreeMap::new();
        while let Some(key) = entries.next_key_seed(self)? {
            if map.insert(key, entries.next_value_seed(self)?).is_some() {
                return Err(de::Error::custom("a key stands there twice"));
            }
        }
        Ok(YamlNode::Map(map))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<YamlNode, A::Error> {
        let (tag, node): (String, _) = tagged.variant()?;
        self.spend_budget(tag.len())?;
        Ok(YamlNode::Tagged(
            tag,
            Box::new(node.newtype_variant_seed(self)?),
        ))
    }
}

/// As YAML would have it on one line, texts in quotes.
impl fmt::Display for YamlNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(flag) => write!(f, "{flag}"),
            Self::Number(number) => f.write_str(number),
            Self::Text(text) => f.write_str(&serde_json::to_string(text).unwrap_or_default()),
            Self::List(list) => {
                f.write_str("[")?;
                list.iter().enumerate().try_for_each(|(place, node)| {
                    write!(f, "{}{node}", if place == 0 { "" } else { ", " })
                })?;
                f.write_str("]")
            }
            Self::Map(map) => {
                f.write_str("{")?;
                map.iter()
                    .enumerate()
                    .try_for_each(|(place, (key, node))| {
                        write!(f, "{}{key}: {node}", if place == 0 { "" } else { ", " })
                    })?;
                f.write_str("}")
            }
            Self::Tagged(tag, node) => write!(f, "!{tag} {node}"),
        }
    }
}

impl YamlNode {
    /// Whether something lies below it.
    #[must_use]
    pub fn has_children(&self) -> bool {
        matches!(self, Self::Map(map) if !map.is_empty())
            || matches!(self, Self::List(list) if !list.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::YamlNode::Null;
    use super::*;

    fn parse_tree(text: &str) -> YamlNode {
        parse_document(text.as_bytes()).expect(text)
    }

    #[test]
    fn aliases_cannot_stand_for_more_than_a_few_times_the_file() {
        let laugh = |level| format!("a{}: &a{0} [*a{level}, *a{level}, *a{level}]\n", level + 1);
        let laughs = ["a0: &a0 [x, x]\n".to_owned()]
            .into_iter()
            .chain((0..39).map(laugh))
            .collect::<Vec<_>>()
            .concat();
        let wide = format!(
            "a: &a {}\nb: [{}]\n",
            "x".repeat(100_000),
            "*a,".repeat(1000)
        );
        for bomb in [&laughs, &wide] {
            let refused = parse_document(bomb.as_bytes()).expect_err("a bomb");
            assert!(
                refused == "its aliases stand for too much"
                    || refused.starts_with("it is not valid YAML"),
                "{refused}"
            );
        }
        for deep in ["[".repeat(65), "a: &a [*a]\n".to_owned()] {
            parse_document(deep.as_bytes()).expect_err("too deep");
        }
    }

    #[test]
    fn a_file_of_the_largest_size_without_aliases_is_read() {
        let large = format!("a:\n{}", "- x\n".repeat((1 << 20) / 4 - 1));
        let YamlNode::Map(map) = parse_tree(&large) else {
            panic!("a mapping")
        };
        assert!(
            matches!(map.values().next(), Some(YamlNode::List(list)) if list.len() == (1 << 18) - 1)
        );
        assert!(
            parse_document(format!("{large}12345").as_bytes())
                .is_err_and(|why| why.starts_with("it has "))
        );
    }

    #[test]
    fn what_aliases_stand_for_is_counted_down_to_the_nulls() {
        let nulls = |copies| {
            format!(
                "a: &a [{}]\nb: [{}]\n",
                "~,".repeat(1000),
                "*a,".repeat(copies)
            )
        };
        assert_eq!(
            parse_document(nulls(2200).as_bytes()),
            Err("its aliases stand for too much".to_owned())
        );
        assert!(parse_tree(&nulls(1500)).has_children());
    }

    #[test]
    fn a_file_without_a_document_is_null_up_to_the_largest() {
        for text in [
            "",
            "\n \n",
            "# a\n  # b\n",
            &format!("#{}", "x".repeat(MAX_DOCUMENT_BYTES - 1)),
        ] {
            assert_eq!(parse_tree(text), Null);
        }
        let larger = parse_document("#".repeat(MAX_DOCUMENT_BYTES + 1).as_bytes());
        assert_eq!(
            larger,
            Err("it has 1048577 bytes, and at most 1048576 are read as YAML".to_owned())
        );
    }

    #[test]
    fn a_tree_is_told_on_one_line_and_has_branches_where_something_lies_below() {
        let text = "b: [1, 1.0, 0x10, -5, 340282366920938463463374607431768211455]\na: {c: !t 'x\"', d: ~, e: true, f: [], g: {}}\n";
        let told = "{\"a\": {\"c\": !t \"x\\\"\", \"d\": null, \"e\": true, \"f\": [], \"g\": {}}, \
                    \"b\": [1, 1.0, 16, -5, 340282366920938463463374607431768211455]}";
        assert_eq!(parse_tree(text).to_string(), told);
        for (text, expected) in [
            ("[x]", true),
            ("{x: y}", true),
            ("[]", false),
            ("{}", false),
            ("x", false),
        ] {
            assert_eq!(parse_tree(text).has_children(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_yaml_is_refused_without_a_word_of_it() {
        for (bytes, why) in [
            (&b"a: [canary"[..], "it is not valid YAML at line "),
            (b"canary: 1\ncanary: 2\n", "it is not valid YAML"),
            (b"\xff", "it is not valid UTF-8"),
        ] {
            let refused = parse_document(bytes).expect_err("no YAML");
            assert!(
                refused.starts_with(why) && !refused.contains("canary"),
                "{refused}"
            );
        }
    }
}

//! Single values out of a YAML file, in time and memory that the file's size bounds.
//!
//! Pure. Parsers of the libyaml family take time that grows with the nesting at each token, and one line of aliases
//! can stand for gigabytes: the guards come first, and only what is wanted is ever built.

use std::collections::HashSet;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, EnumAccess, IgnoredAny, MapAccess, SeqAccess, VariantAccess as _, Visitor};
use serde_yaml::Number;

/// The deepest nesting that is parsed.
pub const DEEPEST: usize = 64;
/// The most that brackets and directives may cost: their number times the bytes of the file. It takes a second.
const COSTLIEST: usize = 1 << 28;

/// What lies at a path.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// Nothing, or null.
    Nothing,
    /// A text.
    Text(String),
    /// A number.
    Number(Number),
    /// A whole number that only 128 bits hold, as it stands there.
    Large(String),
    /// True or false.
    Flag(bool),
    /// A sequence, a mapping, or something with a tag of its own.
    Other,
}

/// What is at each of the `wanted` paths (section and key).
///
/// # Errors
/// What is wrong with the file as a whole: one phrase, which quotes nothing of it.
pub fn read<const N: usize>(text: &str, wanted: [(&str, &str); N]) -> Result<[Found; N], String> {
    guard(text)?;
    let mut found = [const { Found::Nothing }; N];
    let root = Node { wanted: &wanted, path: Path::Root, found: &mut found };
    let is_mapping = root.deserialize(serde_yaml::Deserializer::from_str(text)).map_err(|error| not_valid(&error))?;
    if is_mapping { Ok(found) } else { Err("it is no mapping of keys to values at line 1".to_owned()) }
}

/// Refuses what would keep the parser busy; must come before it.
///
/// # Errors
/// What is wrong: one phrase, which quotes nothing of the file.
pub fn guard(text: &str) -> Result<(), String> {
    if let Some(line) = too_deep(text) {
        return Err(format!("it is nested deeper than {DEEPEST} levels at line {line}"));
    }
    if is_too_costly(text) {
        return Err("it has too many brackets for its size".to_owned());
    }
    Ok(())
}

/// What to say of an error of the parser: its own words may quote the file, so only the place is passed on.
#[must_use]
pub fn not_valid(error: &serde_yaml::Error) -> String {
    match error.location() {
        Some(place) => format!("it is not valid YAML at line {}, column {}", place.line(), place.column()),
        None => "it is not valid YAML".to_owned(),
    }
}

/// The first line where nesting could be deeper than [`DEEPEST`]: open brackets, indentation or `- - -`.
/// Brackets in strings count too: a guard may be strict where nobody writes such a file.
fn too_deep(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    let mut indents: Vec<usize> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let body = line.trim_start_matches(['-', ' ', '?', ':']);
        let lead = &line[..line.len() - body.len()];
        let markers = lead.bytes().filter(|byte| *byte != b' ').count();
        if !body.is_empty() {
            while indents.last().is_some_and(|indent| *indent >= lead.len()) {
                indents.pop();
            }
            indents.push(lead.len());
        }
        for byte in body.bytes() {
            match byte {
                b'[' | b'{' => open += 1,
                b']' | b'}' => open = open.saturating_sub(1),
                _ => {}
            }
            if open > DEEPEST {
                return Some(number + 1);
            }
        }
        if markers > DEEPEST || indents.len() > DEEPEST {
            return Some(number + 1);
        }
    }
    None
}

/// Whether the parser could take longer than a deployment has. A bracket that closes may stand in a string or a comment
/// and close nothing: all that counts is how many open, each of which every later token may be compared with. `%TAG`
/// lines are compared with each other.
fn is_too_costly(text: &str) -> bool {
    let brackets = text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count();
    let directives = text.split(['\n', '\r']).filter(|line| line.starts_with('%')).count();
    (brackets + directives).saturating_mul(text.len()) > COSTLIEST
}

/// A node on the way to what is wanted. Nothing else is built, and an alias is followed on that way only.
struct Node<'a> {
    wanted: &'a [(&'a str, &'a str)],
    path: Path<'a>,
    found: &'a mut [Found],
}

#[derive(Clone, Copy)]
enum Path<'a> {
    Root,
    Section(&'a str),
    /// The place of what is wanted.
    Value(usize),
}

impl Node<'_> {
    /// The node behind a key, if anything below it is wanted.
    fn below<'b>(&'b mut self, key: &'b str) -> Option<Node<'b>> {
        let path = match self.path {
            Path::Root => self.wanted.iter().any(|(section, _)| *section == key).then_some(Path::Section(key)),
            Path::Section(section) => self.wanted.iter().position(|path| *path == (section, key)).map(Path::Value),
            Path::Value(_) => None,
        }?;
        Some(Node { wanted: self.wanted, path, found: self.found })
    }

    /// Notes what is there, if it is wanted; it is no mapping.
    fn note(self, found: Found) -> bool {
        if let Path::Value(place) = self.path {
            self.found[place] = found;
        }
        false
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    /// Whether the node is a mapping.
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("YAML")
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(self.note(Found::Nothing))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<bool, E> {
        Ok(self.note(Found::Flag(flag)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<bool, E> {
        Ok(self.note(Found::Number(number.into())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<bool, E> {
        Ok(self.note(Found::Number(number.into())))
    }

    fn visit_u128<E>(self, number: u128) -> Result<bool, E> {
        Ok(self.note(Found::Large(number.to_string())))
    }

    fn visit_i128<E>(self, number: i128) -> Result<bool, E> {
        Ok(self.note(Found::Large(number.to_string())))
    }

    fn visit_f64<E>(self, number: f64) -> Result<bool, E> {
        Ok(self.note(Found::Number(number.into())))
    }

    fn visit_str<E>(self, text: &str) -> Result<bool, E> {
        Ok(self.note(Found::Text(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(self.note(Found::Other))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<bool, A::Error> {
        let mut seen = HashSet::new();
        while let Some(Key(key)) = entries.next_key()? {
            match key.as_deref().and_then(|key| self.below(key)) {
                Some(node) => drop(entries.next_value_seed(node)?),
                None => drop(entries.next_value::<IgnoredAny>()?),
            }
            if key.is_some_and(|key| !seen.insert(key)) {
                return Err(de::Error::custom("a key stands there twice"));
            }
        }
        self.note(Found::Other);
        Ok(true)
    }

    /// A node with a tag of its own is what is behind the tag, but no text.
    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<bool, A::Error> {
        let (_, node) = tagged.variant::<IgnoredAny>()?;
        match self.path {
            Path::Value(_) => {
                node.newtype_variant::<IgnoredAny>()?;
                Ok(self.note(Found::Other))
            }
            Path::Root | Path::Section(_) => node.newtype_variant_seed(self),
        }
    }
}

/// A mapping's key, if it is a text.
struct Key(Option<String>);

impl<'de> de::Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut found = [Found::Nothing];
        Node { wanted: &[], path: Path::Value(0), found: &mut found }.deserialize(deserializer)?;
        let [found] = found;
        Ok(Self(if let Found::Text(key) = found { Some(key) } else { None }))
    }
}

#[cfg(test)]
#[path = "yaml/tests.rs"]
mod tests;

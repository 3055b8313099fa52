//! Single values out of a YAML file, in time and memory that the file's size bounds.
//!
//! Pure. Parsers of the libyaml family take time that grows with the nesting at each token, and one line of aliases
//! can stand for gigabytes: the guards come first, and only what is wanted is ever built.

use std::collections::HashSet;
use std::fmt;

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IgnoredAny, MapAccess, SeqAccess,
    VariantAccess as _, Visitor,
};
use serde_yaml::Number;

/// The deepest nesting that is parsed.
pub const MAX_YAML_DEPTH: usize = 64;
/// The most that brackets and directives may cost: their number times the bytes of the file. It takes a second.
const MAX_BRACKET_COST: usize = 1 << 28;

/// What lies at a path.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldValue {
    /// Nothing, or null.
    Absent,
    /// A text.
    Text(String),
    /// A number.
    Number(Number),
    /// A whole number that only 128 bits hold, as it stands there.
    LargeInteger(String),
    /// True or false.
    Bool(bool),
    /// A sequence, a mapping, or something with a tag of its own.
    NotScalar,
}

/// What is at each of the `wanted` paths (section and key).
///
/// # Errors
/// What is wrong with the file as a whole: one phrase, which quotes nothing of it.
pub fn look_up_values<const N: usize>(
    text: &str,
    wanted: [(&str, &str); N],
) -> Result<[FieldValue; N], String> {
    check_yaml_limits(text)?;
    let mut found = [const { FieldValue::Absent }; N];
    let root = LookupNode {
        wanted: &wanted,
        path: LookupPosition::Root,
        found: &mut found,
    };
    let is_mapping = root
        .deserialize(serde_yaml::Deserializer::from_str(text))
        .map_err(|error| describe_yaml_error(&error))?;
    if is_mapping {
        Ok(found)
    } else {
        Err("it is no mapping of keys to values at line 1".to_owned())
    }
}

/// Refuses what would keep the parser busy; must come before it.
///
/// # Errors
/// What is wrong: one phrase, which quotes nothing of the file.
pub fn check_yaml_limits(text: &str) -> Result<(), String> {
    if let Some(line) = find_too_deep_line(text) {
        return Err(format!(
            "it is nested deeper than {MAX_YAML_DEPTH} levels at line {line}"
        ));
    }
    if has_too_many_brackets(text) {
        return Err("it has too many brackets for its size".to_owned());
    }
    Ok(())
}

/// What to say of an error of the parser: its own words may quote the file, so only the place is passed on.
#[must_use]
pub fn describe_yaml_error(error: &serde_yaml::Error) -> String {
    match error.location() {
        Some(place) => format!(
            "it is not valid YAML at line {}, column {}",
            place.line(),
            place.column()
        ),
        None => "it is not valid YAML".to_owned(),
    }
}

/// The first line where nesting could be deeper than [`DEEPEST`]: open brackets, indentation or `- - -`.
/// Brackets in strings count too: a guard may be strict where nobody writes such a file.
fn find_too_deep_line(text: &str) -> Option<usize> {
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
            if open > MAX_YAML_DEPTH {
                return Some(number + 1);
            }
        }
        if markers > MAX_YAML_DEPTH || indents.len() > MAX_YAML_DEPTH {
            return Some(number + 1);
        }
    }
    None
}

/// Whether the parser could take longer than a deployment has. A bracket that closes may stand in a string or a comment
/// and close nothing: all that counts is how many open, each of which every later token may be compared with. `%TAG`
/// lines are compared with each other.
fn has_too_many_brackets(text: &str) -> bool {
    let brackets = text
        .bytes()
        .filter(|byte| matches!(byte, b'[' | b'{'))
        .count();
    let directives = text
        .split(['\n', '\r'])
        .filter(|line| line.starts_with('%'))
        .count();
    (brackets + directives).saturating_mul(text.len()) > MAX_BRACKET_COST
}

/// A node on the way to what is wanted. Nothing else is built, and an alias is followed on that way only.
struct LookupNode<'a> {
    wanted: &'a [(&'a str, &'a str)],
    path: LookupPosition<'a>,
    found: &'a mut [FieldValue],
}

#[derive(Clone, Copy)]
enum LookupPosition<'a> {
    Root,
    Section(&'a str),
    /// The place of what is wanted.
    Value(usize),
}

impl LookupNode<'_> {
    /// The node behind a key, if anything below it is wanted.
    fn wanted_child<'b>(&'b mut self, key: &'b str) -> Option<LookupNode<'b>> {
        let path = match self.path {
            LookupPosition::Root => self
                .wanted
                .iter()
                .any(|(section, _)| *section == key)
                .then_some(LookupPosition::Section(key)),
            LookupPosition::Section(section) => self
                .wanted
                .iter()
                .position(|path| *path == (section, key))
                .map(LookupPosition::Value),
            LookupPosition::Value(_) => None,
        }?;
        Some(LookupNode {
            wanted: self.wanted,
            path,
            found: self.found,
        })
    }

    /// Notes what is there, if it is wanted; it is no mapping.
    fn store_value(self, found: FieldValue) -> bool {
        if let LookupPosition::Value(place) = self.path {
            self.found[place] = found;
        }
        false
    }
}

impl<'de> DeserializeSeed<'de> for LookupNode<'_> {
    /// Whether the node is a mapping.
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for LookupNode<'_> {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("YAML")
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(self.store_value(FieldValue::Absent))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<bool, E> {
        Ok(self.store_value(FieldValue::Bool(flag)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<bool, E> {
        Ok(self.store_value(FieldValue::Number(number.into())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<bool, E> {
        Ok(self.store_value(FieldValue::Number(number.into())))
    }

    fn visit_u128<E>(self, number: u128) -> Result<bool, E> {
        Ok(self.store_value(FieldValue::LargeInteger(number.to_string())))
    }

    fn visit_i128<E>(self, number: i128) -> Result<bool, E> {
        Ok(self.store_value(FieldValue::LargeInteger(number.to_string())))
    }

    fn visit_f64<E>(self, number: f64) -> Result<bool, E> {
        Ok(self.store_value(FieldValue::Number(number.into())))
    }

    fn visit_str<E>(self, text: &str) -> Result<bool, E> {
        Ok(self.store_value(FieldValue::Text(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(self.store_value(FieldValue::NotScalar))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<bool, A::Error> {
        let mut seen = HashSet::new();
        while let Some(TextKey(key)) = entries.next_key()? {
            match key.as_deref().and_then(|key| self.wanted_child(key)) {
                Some(node) => drop(entries.next_value_seed(node)?),
                None => drop(entries.next_value::<IgnoredAny>()?),
            }
            if key.is_some_and(|key| !seen.insert(key)) {
                return Err(de::Error::custom("a key stands there twice"));
            }
        }
        self.store_value(FieldValue::NotScalar);
        Ok(true)
    }

    /// A node with a tag of its own is what is behind the tag, but no text.
    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<bool, A::Error> {
        let (_, node) = tagged.variant::<IgnoredAny>()?;
        match self.path {
            LookupPosition::Value(_) => {
                node.newtype_variant::<IgnoredAny>()?;
                Ok(self.store_value(FieldValue::NotScalar))
            }
            LookupPosition::Root | LookupPosition::Section(_) => node.newtype_variant_seed(self),
        }
    }
}

/// A mapping's key, if it is a text.
struct TextKey(Option<String>);

impl<'de> de::Deserialize<'de> for TextKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut found = [FieldValue::Absent];
        LookupNode {
            wanted: &[],
            path: LookupPosition::Value(0),
            found: &mut found,
        }
        .deserialize(deserializer)?;
        let [found] = found;
        Ok(Self(if let FieldValue::Text(key) = found {
            Some(key)
        } else {
            None
        }))
    }
}

#[cfg(test)]
mod tests;

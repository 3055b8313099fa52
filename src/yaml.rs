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
mod tests {
    use super::*;

    const NAME: [(&str, &str); 1] = [("customer", "name")];

    fn name(text: &str) -> Found {
        let [found] = read(text, NAME).expect("YAML");
        found
    }

    #[test]
    fn brackets_that_close_nothing_do_not_let_the_next_ones_in() {
        // Each would keep the parser busy for minutes.
        for hidden in ["[']',", "[\"]\",", "{']':", "[ #]\n"] {
            let bomb = format!("a: {}", hidden.repeat((1 << 20) / hidden.len() - 1));
            assert_eq!(read(&bomb, NAME), Err("it has too many brackets for its size".to_owned()), "{hidden}");
        }
        let directives = (0..40_000).map(|number| format!("%TAG !{number}! x\n")).collect::<Vec<_>>().concat();
        assert!(read(&directives, NAME).is_err_and(|problem| problem == "it has too many brackets for its size"));
        let long =
            format!("customer: {{name: a}}\n{}", "- {cidr: \"10.0.0.0/8\", comment: \"an office\"}\n".repeat(2000).replace("- ", "  - "));
        assert_eq!(name(&long.replacen('\n', "\nx:\n", 1)), Found::Text("a".to_owned()), "a long list is none of these");
    }

    #[test]
    fn sixty_four_levels_are_read_and_the_first_line_with_more_is_named() {
        let blocks = |levels: usize| (0..levels).map(|level| format!("{}a:\n\n", " ".repeat(level))).collect::<Vec<_>>().concat();
        for (text, expected) in [
            (format!("a:\n {}", "[".repeat(64)), None),
            (format!("a:\n {}", "[".repeat(65)), Some(2)),
            ("{".repeat(65), Some(1)),
            ("[]{}".repeat(100), None),
            (format!("{}x", "- ".repeat(64)), None),
            (format!("a\n{}x", "- ".repeat(65)), Some(2)),
            (blocks(64), None),
            (blocks(66), Some(129)),
            ("a:\n  b:\n".repeat(100), None),
        ] {
            assert_eq!(too_deep(&text), expected, "{text}");
        }
        assert_eq!(guard(&format!("a:\n {}", "[".repeat(65))), Err("it is nested deeper than 64 levels at line 2".to_owned()));
    }

    #[test]
    fn brackets_times_bytes_have_a_bound() {
        let text = |brackets: usize| "[".repeat(brackets) + &" ".repeat((1 << 20) - brackets);
        assert_eq!((is_too_costly(&text(256)), is_too_costly(&text(257))), (false, true));
    }

    #[test]
    fn aliases_are_followed_only_to_what_is_wanted() {
        let lines = (1..40).map(|level| format!("a{level}: &a{level} [*a{0}, *a{0}, *a{0}]\n", level - 1));
        let laughs = std::iter::once("a0: &a0 [x, x]\n".to_owned()).chain(lines).collect::<Vec<_>>().concat();
        for more in [&laughs, "a: &a [*a]\n", ""] {
            assert_eq!(name(&format!("{more}x: &x {{name: &n airbnb}}\ncustomer: *x\n")), Found::Text("airbnb".to_owned()), "{more}");
        }
        assert_eq!(name(&format!("{laughs}customer: {{name: *a39}}\n")), Found::Other);
        assert!(read("customer: &c {name: &n [*n]}\n", NAME).is_ok());
    }

    #[test]
    fn a_number_of_any_size_anywhere_is_no_mistake() {
        assert_eq!(name("id: 123456789012345678901\nlow: -123456789012345678901\ncustomer: {name: a}\n"), Found::Text("a".to_owned()));
        assert_eq!(name("customer: {name: 123456789012345678901}\n"), Found::Large("123456789012345678901".to_owned()));
    }

    #[test]
    fn what_has_a_tag_of_its_own_is_looked_into_but_is_no_value() {
        assert_eq!(name("!config\ncustomer: !c {name: a}\n"), Found::Text("a".to_owned()));
        assert_eq!(name("customer: {name: !n a}\n"), Found::Other);
        assert_eq!(name("customer: {name: !!str 7}\n"), Found::Text("7".to_owned()));
    }

    #[test]
    fn a_key_that_stands_there_twice_is_a_mistake() {
        for text in ["customer: {name: a}\ncustomer: {name: b}\n", "customer: {name: a, name: b}\n", "x: 1\nx: 2\n"] {
            assert!(read(text, NAME).is_err_and(|problem| problem.starts_with("it is not valid YAML at line ")), "{text}");
        }
    }
}

//! Customer names as path segments of keys, reversibly.
//!
//! Every name has a segment, and no segment can leave its prefix.

use std::fmt;

use crate::digest::sha256_hex;

/// Leaves room for the rest of a key in the 1,024 bytes that S3 allows.
const MAX_SEGMENT_BYTES: usize = 400;

/// Marks a segment that is not the plain name.
const ESCAPE: char = '~';

/// Begins a segment that is the SHA-256 of a name too long for a key.
const DIGEST_MARK: &str = "~~h";

const SHA256_HEX_DIGITS: usize = 64;

/// The path segment that stands for a customer in keys.
///
/// It is the name itself where that is plain (`[A-Za-z0-9][A-Za-z0-9._-]{0,62}`). Otherwise it is
/// `~` and the name, with every other byte as `~XX`. No segment contains `/` or is `.` or `..`.
/// A name whose segment would be too long becomes `~~h` and its SHA-256. Only the usage record
/// holds such a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CustomerSegment(String);

impl CustomerSegment {
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        if is_plain_name(name) {
            return Self(name.to_owned());
        }

        let escaped = escape_name(name);
        if escaped.len() > MAX_SEGMENT_BYTES {
            return Self(format!("{DIGEST_MARK}{}", sha256_hex(name.as_bytes())));
        }
        Self(escaped)
    }

    /// The customer that a folder of records or configs belongs to.
    ///
    /// Our folders are segments already. The legacy module named its folders after the customer,
    /// so any other text is a name.
    #[must_use]
    pub fn from_folder(folder: &str) -> Self {
        if is_digest_segment(folder) || parse_customer_segment(folder).is_some() {
            return Self(folder.to_owned());
        }
        Self::from_name(folder)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name that this segment stands for; `None` for a digest.
    #[must_use]
    pub fn customer_name(&self) -> Option<String> {
        parse_customer_segment(&self.0)
    }
}

impl fmt::Display for CustomerSegment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// See [`CustomerSegment::from_name`].
#[must_use]
pub fn customer_segment(name: &str) -> String {
    CustomerSegment::from_name(name).to_string()
}

/// See [`CustomerSegment::from_folder`].
#[must_use]
pub fn canonical_segment(folder: &str) -> String {
    CustomerSegment::from_folder(folder).to_string()
}

/// The customer whose records lie in `folder`, where a record claims to be of `claimed`.
///
/// The key wins, because permissions are given by prefix: a writer cannot choose it freely. The
/// claim only spells the name out where the folder is its digest.
#[must_use]
pub fn effective_customer(folder: &str, claimed: &str) -> String {
    if CustomerSegment::from_name(claimed).as_str() == folder {
        return claimed.to_owned();
    }
    parse_customer_segment(folder).unwrap_or_else(|| folder.to_owned())
}

/// The customer that a path segment spells.
///
/// `None` for a digest, and for text that [`CustomerSegment::from_name`] never returns.
#[must_use]
pub fn parse_customer_segment(segment: &str) -> Option<String> {
    if is_plain_name(segment) {
        return Some(segment.to_owned());
    }

    let name = unescape_name(segment)?;
    // Any other spelling of the same name would give one customer two folders.
    let is_canonical = CustomerSegment::from_name(&name).as_str() == segment;
    is_canonical.then_some(name)
}

fn is_plain_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes[0].is_ascii_alphanumeric()
        && bytes.iter().copied().all(is_plain_byte)
}

fn is_plain_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-".contains(&byte)
}

fn is_digest_segment(segment: &str) -> bool {
    match segment.strip_prefix(DIGEST_MARK) {
        Some(digest) => digest.len() == SHA256_HEX_DIGITS,
        None => false,
    }
}

fn escape_name(name: &str) -> String {
    let mut segment = String::from(ESCAPE);
    for &byte in name.as_bytes() {
        if is_plain_byte(byte) {
            segment.push(char::from(byte));
        } else {
            segment.push(ESCAPE);
            segment.push_str(&hex::encode([byte]));
        }
    }
    segment
}

fn unescape_name(segment: &str) -> Option<String> {
    let mut rest = segment.strip_prefix(ESCAPE)?.as_bytes();
    let mut name = Vec::with_capacity(rest.len());
    while let [first, tail @ ..] = rest {
        if *first == ESCAPE as u8 {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            name.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            name.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment_of(name: &str) -> String {
        CustomerSegment::from_name(name).to_string()
    }

    #[test]
    fn unusual_names_stay_inside_their_prefix_and_parse_back() {
        let long = "x".repeat(64);
        let names = [
            "..", ".", "", "a/b", "../x", "Foo Bar", "~", "~20", "é", "e\u{301}", "a\0b", &long,
            "%2F",
        ];
        for name in names {
            let segment = segment_of(name);
            let is_safe = !segment.contains('/') && !["", ".", ".."].contains(&segment.as_str());
            assert!(is_safe, "{name:?}");
            assert_eq!(
                parse_customer_segment(&segment).as_deref(),
                Some(name),
                "{segment}"
            );
        }
        assert_eq!(segment_of("Foo Bar"), "~Foo~20Bar");
        assert_eq!(segment_of("../x"), "~..~2fx");
        let longest = "x".repeat(399);
        assert_eq!(
            segment_of(&longest),
            format!("~{longest}"),
            "400 bytes are spelled out"
        );
    }

    #[test]
    fn a_name_longer_than_a_key_gets_a_digest() {
        let long = segment_of(&"x".repeat(1025));
        assert!(long.starts_with("~~h"));
        assert_eq!(parse_customer_segment(&long), None);
        assert_ne!(long, segment_of(&"x".repeat(1026)));
    }

    #[test]
    fn rejects_segments_that_are_never_written() {
        for segment in ["~~2", "~~zz", "~acme", "~~41", "~~2F", "a b", "-a", ""] {
            assert_eq!(parse_customer_segment(segment), None, "{segment}");
        }
    }

    #[test]
    fn a_folder_and_its_segment_belong_to_one_customer() {
        let long_name = "é".repeat(120);
        let digest = segment_of(&long_name);
        for (folder, expected) in [
            ("acme", "acme"),
            ("Foo Bar", "~Foo~20Bar"),
            ("~Foo~20Bar", "~Foo~20Bar"),
            ("~2", "~~7e2"),
            (&long_name, &digest),
            (&digest, &digest),
        ] {
            assert_eq!(CustomerSegment::from_folder(folder).as_str(), expected);
        }
    }

    #[test]
    fn the_folder_of_a_record_decides_whose_it_is() {
        let long_name = "é".repeat(120);
        let digest = segment_of(&long_name);
        assert_eq!(effective_customer("acme", "other"), "acme");
        assert_eq!(effective_customer("~Foo~20Bar", ""), "Foo Bar");
        assert_eq!(
            effective_customer("Foo Bar", "Foo Bar"),
            "Foo Bar",
            "the legacy module's folder"
        );
        assert_eq!(effective_customer(&digest, &long_name), long_name);
        assert_eq!(effective_customer(&digest, "other"), digest);
    }
}

//! Customers' names as path segments of keys, reversibly: no name is refused, and none can leave its prefix.
//!
//! Pure.

use crate::digest::sha256_hex;

/// The longest customer segment, in bytes: leaves room for the rest of a key in S3's 1,024 bytes.
const MAX_SEGMENT_BYTES: usize = 400;

/// The path segment that stands for a customer: the name itself where it is plain
/// (`[A-Za-z0-9][A-Za-z0-9._-]{0,62}`), otherwise `~` and the name with every other byte as `~XX`.
///
/// No segment holds a `/` or is `.` or `..`, so no name can leave its prefix. A name whose segment would be
/// longer than S3's keys allow becomes `~~h` and its SHA-256; such a name stands in the record alone.
#[must_use]
pub fn customer_segment(customer: &str) -> String {
    if is_plain_name(customer) {
        return customer.to_owned();
    }
    let mut text = String::from("~");
    for &byte in customer.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push('~');
            text.push_str(&crate::digest::hex(&[byte]));
        }
    }
    if text.len() > MAX_SEGMENT_BYTES {
        format!("~~h{}", sha256_hex(customer.as_bytes()))
    } else {
        text
    }
}

/// The customer that a path segment stands for; `None` where the segment alone does not tell
/// (a digest, or a segment that [`segment`] never makes).
#[must_use]
pub fn parse_customer_segment(segment: &str) -> Option<String> {
    if is_plain_name(segment) {
        return Some(segment.to_owned());
    }
    let mut rest = segment.strip_prefix('~')?.as_bytes();
    let mut name = Vec::with_capacity(rest.len());
    while let [first, tail @ ..] = rest {
        if *first == b'~' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            name.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            name.push(*first);
            rest = tail;
        }
    }
    // A spelling that is not the one that is written would give one customer two names.
    String::from_utf8(name)
        .ok()
        .filter(|name| self::customer_segment(name) == segment)
}

fn is_plain_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes[0].is_ascii_alphanumeric()
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusual_names_stay_inside_their_prefix_and_parse_back() {
        for name in [
            "..",
            ".",
            "",
            "a/b",
            "../x",
            "Foo Bar",
            "~",
            "~20",
            "é",
            "e\u{301}",
            "a\0b",
            &"x".repeat(64),
            "%2F",
        ] {
            let segment = customer_segment(name);
            assert!(
                !segment.contains('/') && segment != ".." && segment != "." && !segment.is_empty(),
                "{name:?}"
            );
            assert_eq!(
                parse_customer_segment(&segment).as_deref(),
                Some(name),
                "{segment}"
            );
        }
        assert_eq!(customer_segment("Foo Bar"), "~Foo~20Bar");
        assert_eq!(customer_segment("../x"), "~..~2fx");
        let longest = "x".repeat(399);
        assert_eq!(
            customer_segment(&longest),
            format!("~{longest}"),
            "400 bytes are spelled out"
        );
    }

    #[test]
    fn rejects_segments_that_are_never_written() {
        for segment in ["~~2", "~~zz", "~acme", "~~41", "~~2F", "a b", "-a", ""] {
            assert_eq!(parse_customer_segment(segment), None, "{segment}");
        }
    }
}

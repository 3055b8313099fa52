//! What a scalar means, by the rules of Terraform's `yamldecode`.
//!
//! Source: `resolve.go` of github.com/zclconf/go-cty-yaml, which Terraform, OpenTofu and Terragrunt
//! use. Its rules are a mixture of YAML 1.1 (`yes` is true) and 1.2 (`0o17` is octal).

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat};

use crate::config::document::YamlNode;

/// More digits than this are no number that anybody meant.
const MAX_NUMBER_DIGITS: usize = 1000;

/// A tag of YAML itself, like `!!str`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScalarTag {
    Text,
    Bool,
    Int,
    Float,
    Null,
    Timestamp,
    Binary,
}

impl ScalarTag {
    /// `name` is what follows `!!`.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "str" => Self::Text,
            "bool" => Self::Bool,
            "int" => Self::Int,
            "float" => Self::Float,
            "null" => Self::Null,
            "timestamp" => Self::Timestamp,
            "binary" => Self::Binary,
            _ => return None,
        })
    }
}

/// Returns `None` if the text does not match its tag, or is not a number (`.nan`).
pub(super) fn resolve_scalar(
    text: &str,
    is_quoted: bool,
    tag: Option<ScalarTag>,
) -> Option<YamlNode> {
    let is_text_tag = matches!(tag, Some(ScalarTag::Text | ScalarTag::Binary));
    if !is_text_tag && may_be_special(text) {
        if is_quoted {
            return Some(YamlNode::Text(text.to_owned()));
        }
        if let Some(node) = resolve_word(text) {
            return Some(node);
        }
        if tag.is_none() {
            return resolve_plain(text);
        }
    }
    match tag {
        None | Some(ScalarTag::Text) => Some(YamlNode::Text(text.to_owned())),
        Some(ScalarTag::Binary) => is_base64(text).then(|| YamlNode::Text(text.to_owned())),
        Some(ScalarTag::Int | ScalarTag::Float) => {
            parse_number(&text.replace('_', "")).map(YamlNode::Number)
        }
        Some(ScalarTag::Timestamp) => parse_timestamp(text).map(YamlNode::Text),
        Some(ScalarTag::Null) => Some(YamlNode::Null),
        Some(ScalarTag::Bool) => None,
    }
}

/// Whether a text may be more than text, by its first character.
fn may_be_special(text: &str) -> bool {
    let is_hint = |c: char| c.is_ascii_digit() || "+-.yntfo~".contains(c.to_ascii_lowercase());
    text.chars().next().is_none_or(is_hint)
}

fn resolve_word(text: &str) -> Option<YamlNode> {
    Some(match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            YamlNode::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            YamlNode::Bool(false)
        }
        "" | "~" | "null" | "Null" | "NULL" => YamlNode::Null,
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            YamlNode::Number("+Inf".to_owned())
        }
        "-.inf" | "-.Inf" | "-.INF" => YamlNode::Number("-Inf".to_owned()),
        _ => return None,
    })
}

fn resolve_plain(text: &str) -> Option<YamlNode> {
    if matches!(text, ".nan" | ".NaN" | ".NAN") {
        return None;
    }
    if let Some(time) = parse_timestamp(text) {
        return Some(YamlNode::Text(time));
    }
    if looks_like_number(text) {
        return parse_number(text).map(YamlNode::Number);
    }
    Some(YamlNode::Text(text.to_owned()))
}

fn looks_like_number(text: &str) -> bool {
    let is_octal = |digits: &str| all_match(digits, |byte| (b'0'..=b'7').contains(&byte));
    let is_hex = |digits: &str| all_match(digits, |byte| byte.is_ascii_hexdigit());
    text.strip_prefix("0o").is_some_and(is_octal)
        || text.strip_prefix("0x").is_some_and(is_hex)
        || split_decimal(text).is_some()
}

fn all_match(text: &str, is_match: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(is_match)
}

/// A decimal number in parts, as in `-12.50e3`.
struct DecimalParts<'a> {
    is_negative: bool,
    whole: &'a str,
    fraction: &'a str,
    exponent: i64,
}

fn split_decimal(text: &str) -> Option<DecimalParts<'_>> {
    let (is_negative, unsigned) = split_sign(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_digits = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    let has_digits = !whole.is_empty() || !fraction.is_empty();
    (has_digits && is_digits(whole) && is_digits(fraction)).then_some(DecimalParts {
        is_negative,
        whole,
        fraction,
        exponent,
    })
}

fn split_sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn parse_exponent(text: &str) -> Option<i64> {
    let (is_negative, digits) = split_sign(text);
    if !all_match(digits, |byte| byte.is_ascii_digit()) {
        return None;
    }
    // Beyond these digits the number is refused by its size.
    let exponent = digits.parse().unwrap_or(i64::MAX / 2);
    Some(if is_negative { -exponent } else { exponent })
}

/// A number as Terraform writes it: without an exponent and without zeros that say nothing.
fn parse_number(text: &str) -> Option<String> {
    if let Some(parts) = split_decimal(text) {
        return expand_decimal(&parts);
    }
    let (is_negative, unsigned) = split_sign(text);
    let (digits, radix) = match unsigned.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&unsigned[2..], 16),
        [b'0', b'o' | b'O', ..] => (&unsigned[2..], 8),
        [b'0', b'b' | b'B', ..] => (&unsigned[2..], 2),
        _ => return None,
    };
    let number = u64::from_str_radix(digits, radix).ok()?;
    if !is_negative {
        return Some(number.to_string());
    }
    (number <= i64::MIN.unsigned_abs()).then(|| format!("-{number}"))
}

fn expand_decimal(parts: &DecimalParts<'_>) -> Option<String> {
    let mut digits = format!("{}{}", parts.whole, parts.fraction);
    let point = i64::try_from(parts.whole.len()).ok()? + parts.exponent;
    let limit = i64::try_from(MAX_NUMBER_DIGITS).ok()?;
    if point.abs() > limit || digits.len() > MAX_NUMBER_DIGITS {
        return None;
    }

    if point <= 0 {
        let zeros = usize::try_from(1 - point).ok()?;
        digits.insert_str(0, &"0".repeat(zeros));
    }
    let whole_length = usize::try_from(point.max(1)).ok()?;
    while digits.len() < whole_length {
        digits.push('0');
    }
    let (whole, fraction) = digits.split_at(whole_length);
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    let fraction = fraction.trim_end_matches('0');

    let sign = if parts.is_negative { "-" } else { "" };
    Some(match fraction {
        "" => format!("{sign}{whole}"),
        fraction => format!("{sign}{whole}.{fraction}"),
    })
}

fn is_base64(text: &str) -> bool {
    // Line ends are allowed in between.
    let encoded: Vec<u8> = text
        .bytes()
        .filter(|byte| !b"\r\n".contains(byte))
        .collect();
    let padding = encoded
        .iter()
        .rev()
        .take_while(|byte| **byte == b'=')
        .count();
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    encoded.len().is_multiple_of(4)
        && padding <= 2
        && encoded[..encoded.len() - padding].iter().all(is_digit)
}

/// A time in RFC 3339 in whole seconds. Terraform makes such a text out of each value that looks
/// like a date.
fn parse_timestamp(text: &str) -> Option<String> {
    let (date, rest) = match text.find(['T', 't', ' ']) {
        Some(end) => text.split_at(end),
        None => (text, ""),
    };
    let date = parse_date(date)?;
    let Some(separator) = rest.chars().next() else {
        return Some(format!("{}T00:00:00Z", date.format("%Y-%m-%d")));
    };
    let (clock, offset) = match (separator, rest[1..].find(['Z', '+', '-'])) {
        (' ', None) => (&rest[1..], FixedOffset::east_opt(0)?),
        ('T' | 't', Some(end)) => {
            let (clock, zone) = rest[1..].split_at(end);
            (clock, parse_zone(zone)?)
        }
        _ => return None,
    };
    let local = NaiveDateTime::new(date, parse_clock(clock)?);
    let time: DateTime<FixedOffset> = local.and_local_timezone(offset).single()?;
    Some(time.to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// One or two digits.
fn parse_short(text: &str) -> Option<u32> {
    let is_number = matches!(text.len(), 1 | 2) && all_match(text, |byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

fn parse_date(text: &str) -> Option<NaiveDate> {
    let mut parts = text.split('-');
    let year = parts.next()?;
    if year.len() != 4 || !all_match(year, |byte| byte.is_ascii_digit()) {
        return None;
    }
    let month = parse_short(parts.next()?)?;
    let day = parse_short(parts.next()?)?;
    if parts.next().is_some() {
        return None;
    }
    NaiveDate::from_ymd_opt(year.parse().ok()?, month, day)
}

fn parse_clock(text: &str) -> Option<NaiveTime> {
    let mut parts = text.splitn(3, ':');
    let hour = parse_short(parts.next()?)?;
    let minute = parse_short(parts.next()?)?;
    let seconds = parts.next()?;
    let seconds = match seconds.split_once(['.', ',']) {
        Some((whole, fraction)) => {
            if !all_match(fraction, |byte| byte.is_ascii_digit()) {
                return None;
            }
            whole
        }
        None => seconds,
    };
    NaiveTime::from_hms_opt(hour, minute, parse_short(seconds)?)
}

/// `Z` or `+02:00`.
fn parse_zone(text: &str) -> Option<FixedOffset> {
    if text == "Z" {
        return FixedOffset::east_opt(0);
    }
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes) = (parse_short(hours)?, parse_short(minutes)?);
    if hours > 24 || minutes >= 60 {
        return None;
    }
    let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
    match text.as_bytes()[0] {
        b'+' => FixedOffset::east_opt(seconds),
        _ => FixedOffset::west_opt(seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve_all(texts: &[&str]) -> Vec<String> {
        let mut resolved = Vec::new();
        for text in texts {
            let node = resolve_scalar(text, false, None);
            resolved.push(match node {
                Some(node) => node.to_string(),
                None => "refused".to_owned(),
            });
        }
        resolved
    }

    // tests/e2e/yaml.rs compares hundreds of texts with Terraform itself.
    #[test]
    fn numbers_are_written_as_terraform_writes_them() {
        let texts = [
            "7", "007", "+7", "-7.50", ".5", "5.", "1.5e3", "125e-2", "0x1F", "0o17",
        ];
        let numbers = [
            "7", "7", "7", "-7.5", "0.5", "5", "1500", "1.25", "31", "15",
        ];
        assert_eq!(resolve_all(&texts), numbers);
    }

    #[test]
    fn what_only_looks_like_a_number_is_a_text() {
        for text in [
            "1_000", "0b11", "0X10", "1e", "1.2.3", "--1", "0x", "e1", "+",
        ] {
            assert_eq!(resolve_all(&[text]), [format!("\"{text}\"")], "{text}");
        }
    }

    #[test]
    fn words_and_times_are_resolved() {
        let texts = [
            "yes",
            "Off",
            "tRUE",
            "~",
            "",
            "2026-1-2",
            "2026-01-02 03:04:05.6",
        ];
        let resolved = resolve_all(&texts);
        let words = ["true", "false", "\"tRUE\"", "null", "null"];
        let times = ["\"2026-01-02T00:00:00Z\"", "\"2026-01-02T03:04:05Z\""];
        assert_eq!(resolved[..5], words);
        assert_eq!(resolved[5..], times);
    }

    #[test]
    fn quotes_and_tags_decide() {
        let quoted = resolve_scalar("7", true, None);
        assert_eq!(quoted, Some(YamlNode::Text("7".to_owned())));
        let tagged = |text, tag| resolve_scalar(text, false, ScalarTag::parse(tag));
        assert_eq!(tagged("7", "str"), Some(YamlNode::Text("7".to_owned())));
        assert_eq!(
            tagged("1_000", "int"),
            Some(YamlNode::Number("1000".to_owned()))
        );
        assert_eq!(tagged("acme", "null"), Some(YamlNode::Null));
        for (text, tag) in [("acme", "int"), ("acme", "bool"), ("a!", "binary")] {
            assert_eq!(tagged(text, tag), None, "{text}");
        }
        assert_eq!(resolve_all(&[".nan"]), ["refused"]);
    }

    #[test]
    fn a_number_of_thousands_of_digits_is_refused() {
        assert_eq!(
            resolve_all(&["1e999999999999", "-1e-99999"]),
            ["refused", "refused"]
        );
        assert_eq!(resolve_all(&["1e999"])[0].len(), 1000);
    }
}

//! Which texts look random, as keys, tokens and passwords do.

/// Whether letters and digits are no words: a long run, or one in which they alternate.
pub(crate) fn is_random_run(run: &str) -> bool {
    if run.len() < 10 {
        return false;
    }
    let digits = run.bytes().filter(u8::is_ascii_digit).count();
    if digits == run.len() {
        return run.len() >= 16;
    }
    if digits == 0 {
        let has_odd_capitals = count_kind_changes(run) > run.len() / 4;
        return run.len() >= 16 && (has_odd_capitals || is_unpronounceable(run));
    }
    run.len() >= 20 || (digits > 1 && count_kind_changes(run) > 2)
}

/// Whether this looks like a secret key of AWS, which may hold `/` and `+`.
pub(crate) fn is_access_key_like(run: &str) -> bool {
    let has = |is_kind: fn(&u8) -> bool| run.bytes().any(|byte| is_kind(&byte));
    let is_mixed =
        has(u8::is_ascii_digit) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    run.len() >= 32 && is_mixed && count_kind_changes(run) > run.len() / 5
}

/// Whether these are at least four groups of hex digits.
pub(crate) fn is_uuid_like(part: &str) -> bool {
    let is_hex_group =
        |group: &str| group.len() >= 4 && group.bytes().all(|byte| byte.is_ascii_hexdigit());
    part.split('-').count() >= 4 && part.split('-').all(is_hex_group)
}

/// Whether this has what rules for passwords ask for: a special character, and two kinds of others.
pub(crate) fn is_password_like(part: &str) -> bool {
    let has = |is_kind: fn(char) -> bool| part.chars().any(is_kind);
    let kinds = u8::from(has(char::is_lowercase))
        + u8::from(has(char::is_uppercase))
        + u8::from(has(char::is_numeric));
    kinds >= 2 && has(is_special) && part.chars().count() >= 8
}

/// These stand in names, paths and addresses, too: `-_./:@`.
fn is_special(c: char) -> bool {
    !c.is_alphanumeric() && !"-_./:@".contains(c)
}

#[derive(PartialEq, Clone, Copy)]
enum CharKind {
    Digit,
    Capital,
    Small,
}

/// How often small letters, capitals and digits alternate. The capital that begins a word does not
/// count.
fn count_kind_changes(run: &str) -> usize {
    let kind_of = |byte: u8| match byte {
        b'0'..=b'9' => CharKind::Digit,
        b'A'..=b'Z' => CharKind::Capital,
        _ => CharKind::Small,
    };
    let mut changes = 0;
    let mut previous = None;
    for byte in run.bytes() {
        let kind = kind_of(byte);
        match (previous, kind) {
            (None, _) | (Some(CharKind::Capital), CharKind::Small) => {}
            (Some(previous), kind) if previous == kind => {}
            _ => changes += 1,
        }
        previous = Some(kind);
    }
    changes
}

/// Whether more than five letters in a row are no vowels.
fn is_unpronounceable(run: &str) -> bool {
    let mut consonants = run.split(|c: char| "aeiouyAEIOUY".contains(c));
    consonants.any(|run| run.len() > 5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_random_runs_from_words() {
        for (run, expected) in [
            ("a1b2c3d4e", false),
            ("a1b2c3d4e5", true),
            ("123456789012345", false),
            ("1234567890123456", true),
            ("12ab345678", false), // digits and letters take turns twice
            ("aBcDe1fGhI", false), // one digit
            ("instances12abcd3456", true),
            ("instances1234567890", false),
            ("instances12345678901", true), // twenty
            ("aaaBaaaBaaaBaaaB", false),
            ("aaBaaBaaBaaBaaaB", true), // a capital in more than every fourth place
            ("eXeXeXeXeXeXeXeX", true),
            ("eXeXeXeXeXeXeXe", false),
            ("internationalisation", false),
            ("abcdfgabcdfgabcd", false), // five consonants
            ("abcdfghbcdfgabcd", true),
            ("abcdfghbcdfgabc", false),
        ] {
            assert_eq!(is_random_run(run), expected, "{run}");
        }
    }

    #[test]
    fn an_access_key_alternates_three_kinds_of_characters() {
        let six = "11111aaaaaAAAAA11111aaaaaAAAAA11";
        let seven = "11111aaaaaAAAAA11111aaaaaAAAAA1a";
        assert!(
            !is_access_key_like(six)
                && is_access_key_like(seven)
                && !is_access_key_like(&seven[1..])
        );
        for two_of_three in ["1a", "aA", "1A"] {
            assert!(
                !is_access_key_like(&two_of_three.repeat(16)),
                "{two_of_three}"
            );
        }
    }
}

//! What looks like a secret: by the name that it goes by, or by what it is.
//!
//! Pure. It may well take something harmless for a secret: that costs a reader a value, the opposite costs a customer more.

/// What stands somewhere in the names of secrets, written small and without anything between its letters.
const SECRET_WORDS: [&str; 31] = [
    "accesskey",
    "accountkey",
    "apikey",
    "authkey",
    "bearer",
    "clientkey",
    "connectionstring",
    "cookie",
    "credential",
    "deploykey",
    "encryptionkey",
    "hmac",
    "kennwort",
    "licensekey",
    "licencekey",
    "masterkey",
    "passcode",
    "passphrase",
    "passwd",
    "password",
    "passwort",
    "privatekey",
    "publickey",
    "secret",
    "sessionid",
    "sessionkey",
    "sharedkey",
    "signingkey",
    "sshkey",
    "storagekey",
    "token",
];
/// What is the name of a secret as a word of its own.
const SECRET_WHOLE_WORDS: [&str; 16] = [
    "auth", "cred", "creds", "dsn", "jwt", "key", "keys", "mfa", "otp", "pass", "pat", "pin",
    "psk", "pw", "pwd", "salt",
];
/// The longest key that is taken for a name, in bytes.
const MAX_KEY_NAME_BYTES: usize = 80;
/// Deeper than this, Base64 in Base64 is not looked into.
const MAX_BASE64_DEPTH: u8 = 3;

/// Whether a key with this name holds a secret, in whatever style it is written (`apiKey`, `API-KEY`, `api key`).
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    contains_secret_word(name)
        || split_name_words(name)
            .iter()
            .any(|word| SECRET_WHOLE_WORDS.contains(&word.as_str()))
}

/// Whether a word is what secrets are called, and nothing more.
#[must_use]
pub fn is_secret_word(word: &str) -> bool {
    let small = word.to_lowercase();
    SECRET_WORDS.contains(&small.as_str()) || SECRET_WHOLE_WORDS.contains(&small.as_str())
}

/// Whether a text looks like a secret, or holds one.
#[must_use]
pub fn is_secret_text(text: &str) -> bool {
    is_secret_at_depth(text, 0)
}

/// Whether a key is a secret itself, and not the name of one: a name is short and made of a few letters.
#[must_use]
pub fn is_secret_key(name: &str) -> bool {
    let is_plain = name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':' | ' '));
    name.len() > MAX_KEY_NAME_BYTES
        || (contains_secret_word(name) && !is_plain)
        || has_secret_pattern(name, 0)
}

fn is_secret_at_depth(text: &str, depth: u8) -> bool {
    contains_secret_word(text) || has_secret_pattern(text, depth)
}

fn has_secret_pattern(text: &str, depth: u8) -> bool {
    text.contains("-----BEGIN")
        || has_userinfo(text)
        || has_secret_assignment(text)
        || text
            .split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ';'))
            .any(|part| has_random_part(part, depth))
}

fn contains_secret_word(text: &str) -> bool {
    let small: String = text
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    SECRET_WORDS.iter().any(|word| small.contains(word))
}

/// The words of a name, small: parted by what is no letter or digit, and before a capital behind a small letter.
fn split_name_words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && before.is_lowercase()) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    words
}

/// A URL with a user name before its host, as in `mongodb://user:word@host`.
fn has_userinfo(text: &str) -> bool {
    text.split("://").skip(1).any(|rest| {
        let host_at = rest
            .find(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\''))
            .unwrap_or(rest.len());
        // A password may hold any of these, unescaped by mistake.
        rest[..host_at].contains('@')
            || rest
                .split_whitespace()
                .next()
                .is_some_and(|all| all.contains(':') && all.contains('@'))
    })
}

/// Something like `pwd=x` or `"pin": 1`.
fn has_secret_assignment(text: &str) -> bool {
    text.match_indices([':', '=']).any(|(at, _)| {
        let head = text[..at]
            .trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '\\'));
        let name = head
            .rsplit(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.')))
            .next()
            .unwrap_or_default();
        split_name_words(name)
            .iter()
            .any(|word| SECRET_WHOLE_WORDS.contains(&word.as_str()))
    })
}

/// Whether a text without blanks is nothing that a person would have called something.
fn has_random_part(part: &str, depth: u8) -> bool {
    part.split(|c: char| !c.is_ascii_alphanumeric())
        .any(is_random_run)
        || part
            .split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '/')))
            .any(is_access_key_like)
        || is_uuid_like(part)
        || is_password_like(part)
        || part
            .split(|c: char| {
                !(c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_' | '='))
            })
            .any(|part| is_base64_text(part, depth))
}

/// Letters and digits without a word among them: long, or with letters and digits in turn.
fn is_random_run(run: &str) -> bool {
    let digits = run.bytes().filter(u8::is_ascii_digit).count();
    let letters = run.len() - digits;
    match (letters, digits) {
        _ if run.len() < 10 => false,
        (0, _) => run.len() >= 16,
        (_, 0) => {
            run.len() >= 16 && (count_kind_changes(run) > run.len() / 4 || is_unpronounceable(run))
        }
        _ => run.len() >= 20 || (digits > 1 && count_kind_changes(run) > 2),
    }
}

/// As the secret keys of AWS, which hold `/` and `+`.
fn is_access_key_like(run: &str) -> bool {
    let has = |kind: fn(&u8) -> bool| run.bytes().any(|byte| kind(&byte));
    let is_mixed =
        has(u8::is_ascii_digit) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    run.len() >= 32 && is_mixed && count_kind_changes(run) > run.len() / 5
}

/// How often small letters, capitals and digits take turns; a capital at the beginning of a word is none.
fn count_kind_changes(run: &str) -> usize {
    let kind = |byte: u8| match byte {
        b'0'..=b'9' => 0,
        b'A'..=b'Z' => 1,
        _ => 2,
    };
    let kinds: Vec<u8> = run.bytes().map(kind).collect();
    kinds
        .windows(2)
        .filter(|pair| pair[0] != pair[1] && **pair != [1, 2])
        .count()
}

/// Whether no vowel comes for long.
fn is_unpronounceable(run: &str) -> bool {
    run.split(|c: char| "aeiouyAEIOUY".contains(c))
        .any(|consonants| consonants.len() > 5)
}

/// Hex digits in groups, five or more bytes in all.
fn is_uuid_like(part: &str) -> bool {
    let groups: Vec<&str> = part.split('-').collect();
    groups.len() >= 4
        && groups
            .iter()
            .all(|group| group.len() >= 4 && group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// What rules for passwords ask for: small and capital letters, digits, and something else.
fn is_password_like(part: &str) -> bool {
    let has = |kind: fn(char) -> bool| part.chars().any(kind);
    let odd = has(|c| !c.is_alphanumeric() && !matches!(c, '-' | '_' | '.' | '/' | ':' | '@'));
    let kinds = [
        has(char::is_lowercase),
        has(char::is_uppercase),
        has(char::is_numeric),
    ]
    .iter()
    .filter(|has| **has)
    .count();
    part.chars().count() >= 8 && odd && kinds >= 2
}

/// Whether it is the Base64 of text, which nobody would write so who does not hide it.
fn is_base64_text(part: &str, depth: u8) -> bool {
    let bare = part.trim_end_matches('=');
    let padded = bare.len() < part.len();
    if bare.len() < 7 || (!padded && bare.len() < 12) || depth > MAX_BASE64_DEPTH {
        return false;
    }
    let standard: String = bare
        .chars()
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    let full = format!("{standard}{}", &"==="[..(4 - standard.len() % 4) % 4]);
    let Ok(decoded) = aws_smithy_types::base64::decode(full) else {
        return false;
    };
    match std::str::from_utf8(&decoded) {
        Ok(text) => {
            padded
                || text.chars().all(|c| !c.is_control() || c.is_whitespace())
                || is_secret_at_depth(text, depth + 1)
        }
        Err(_) => padded,
    }
}

#[cfg(test)]
mod tests;

//! Which names and texts look like secrets.
//!
//! When in doubt, it is a secret.

use crate::redaction::command_line::{has_login_pair, has_secret_option};
use crate::redaction::languages::{has_unmistakable_word, is_foreign_secret_word};
use crate::redaction::letters::{fold_diacritics, squeeze_letters};
use crate::redaction::random_text::{
    is_access_key_like, is_password_like, is_random_run, is_uuid_like,
};

/// Parts of the names of secrets, in small letters and without anything between them.
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
/// Names of secrets that must stand as words of their own: `key` is one, `monkey` is not.
const SECRET_WHOLE_WORDS: [&str; 16] = [
    "auth", "cred", "creds", "dsn", "jwt", "key", "keys", "mfa", "otp", "pass", "pat", "pin",
    "psk", "pw", "pwd", "salt",
];
/// It identifies a public key and opens nothing.
const PUBLIC_KEY_ID: &str = "publickeyid";
/// A longer key is not the name of anything.
const MAX_KEY_NAME_BYTES: usize = 80;
/// How often Base64 in Base64 is decoded.
const MAX_BASE64_DEPTH: u8 = 3;
const MIN_BASE64_CHARS: usize = 12;
/// With `=` at its end, Base64 is unmistakable even if it is short.
const MIN_PADDED_BASE64_CHARS: usize = 7;

/// Whether a key with this name holds a secret, in any style (`apiKey`, `API-KEY`, `api key`).
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    contains_secret_word(name) || has_secret_whole_word(name)
}

/// Whether a word is what secrets are called, and nothing more.
#[must_use]
pub fn is_secret_word(word: &str) -> bool {
    let word = squeeze_letters(word);
    SECRET_WORDS.contains(&word.as_str()) || is_secret_whole_word(&word)
}

/// Whether a text looks like a secret, or holds one.
#[must_use]
pub fn is_secret_text(text: &str) -> bool {
    is_secret_at_depth(text, 0)
}

/// Whether a key is a secret itself. The name of a secret is short and made of a few letters.
#[must_use]
pub fn is_secret_key(name: &str) -> bool {
    let is_plain_char = |c: char| c.is_alphanumeric() || "_-./: ".contains(c);
    if name.len() > MAX_KEY_NAME_BYTES || has_secret_pattern(name, 0) {
        return true;
    }
    contains_secret_word(name) && !fold_diacritics(name).chars().all(is_plain_char)
}

fn is_secret_at_depth(text: &str, depth: u8) -> bool {
    contains_secret_word(text) || has_secret_pattern(text, depth)
}

fn has_secret_pattern(text: &str, depth: u8) -> bool {
    if text.contains("-----BEGIN") || has_userinfo(text) || has_secret_assignment(text) {
        return true;
    }
    if has_login_pair(text) || has_secret_option(text) {
        return true;
    }
    let is_separator = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ';');
    let mut parts = text.split(is_separator);
    parts.any(|part| is_random_part(part, depth))
}

pub(super) fn contains_secret_word(text: &str) -> bool {
    let mut letters = squeeze_letters(text);
    if letters.contains(PUBLIC_KEY_ID) {
        letters = letters.replace(PUBLIC_KEY_ID, "");
    }
    SECRET_WORDS.iter().any(|word| letters.contains(word)) || has_unmistakable_word(&letters)
}

pub(super) fn has_secret_whole_word(name: &str) -> bool {
    let words = split_name_words(name);
    let letters = words.concat();
    if letters.trim_end_matches('s').ends_with(PUBLIC_KEY_ID) {
        return false;
    }
    words.iter().any(|word| is_secret_whole_word(word))
}

fn is_secret_whole_word(word: &str) -> bool {
    SECRET_WHOLE_WORDS.contains(&word) || is_foreign_secret_word(word)
}

/// The words of a name, in small letters without diacritics. A word ends before anything but a letter
/// or digit, before a capital behind a small letter, and where another script begins.
fn split_name_words(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut previous = ' ';
    for c in fold_diacritics(name).chars() {
        let is_next_word = c.is_uppercase() && previous.is_lowercase();
        let is_other_script = c.is_ascii() != previous.is_ascii();
        if !c.is_alphanumeric() || is_next_word || is_other_script {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        previous = c;
    }
    words.push(word);
    words
}

/// Whether a text holds a URL with a user name before its host, as in `mongodb://user:word@host`.
fn has_userinfo(text: &str) -> bool {
    let mut after_schemes = text.split("://").skip(1);
    after_schemes.any(begins_with_userinfo)
}

fn begins_with_userinfo(rest: &str) -> bool {
    let ends_host = |c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\'');
    let authority = rest.split(ends_host).next().unwrap_or_default();
    if authority.contains('@') {
        return true;
    }
    // A password may hold what ends a host, unescaped by mistake.
    let word = rest.split_whitespace().next().unwrap_or_default();
    word.contains(':') && word.contains('@')
}

/// Whether a text holds something like `pwd=x` or `"pin": 1`.
fn has_secret_assignment(text: &str) -> bool {
    let mut operators = text.match_indices([':', '=']);
    operators.any(|(at, _)| has_secret_whole_word(last_name(&text[..at])))
}

/// The name that a text ends with, without quotes around it.
fn last_name(text: &str) -> &str {
    let is_quote = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '\\');
    let is_outside_name = |c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-' | '.');
    let text = text.trim_end_matches(is_quote);
    text.rsplit(is_outside_name).next().unwrap_or_default()
}

/// Whether a text without blanks holds something that no person would choose as a name.
fn is_random_part(part: &str, depth: u8) -> bool {
    let split_at_others = |allowed: &'static str| {
        part.split(move |c: char| !c.is_ascii_alphanumeric() && !allowed.contains(c))
    };
    is_uuid_like(part)
        || is_password_like(part)
        || split_at_others("").any(is_random_run)
        || split_at_others("+/").any(is_access_key_like)
        || split_at_others("+/-_=").any(|run| is_base64_text(run, depth))
}

/// Whether this is Base64 of readable text, which usually means an encoded secret.
fn is_base64_text(run: &str, depth: u8) -> bool {
    let unpadded = run.trim_end_matches('=');
    let is_padded = unpadded.len() < run.len();
    let min_chars = if is_padded {
        MIN_PADDED_BASE64_CHARS
    } else {
        MIN_BASE64_CHARS
    };
    if unpadded.len() < min_chars || depth > MAX_BASE64_DEPTH {
        return false;
    }
    let Some(decoded) = decode_base64(unpadded) else {
        return false;
    };
    if is_padded {
        return true;
    }
    let Ok(text) = std::str::from_utf8(&decoded) else {
        return false;
    };
    let is_readable = |c: char| !c.is_control() || c.is_whitespace();
    text.chars().all(is_readable) || is_secret_at_depth(text, depth + 1)
}

/// Decodes Base64 in the standard or the URL-safe alphabet.
fn decode_base64(unpadded: &str) -> Option<Vec<u8>> {
    let mut standard = unpadded.replace('-', "+").replace('_', "/");
    while !standard.len().is_multiple_of(4) {
        standard.push('=');
    }
    aws_smithy_types::base64::decode(standard).ok()
}

#[cfg(test)]
mod tests;

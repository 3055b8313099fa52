//! Letters in one form, so that the names of secrets are found in any spelling.

/// The letters and digits of a text: small, without diacritics, and without anything between them.
pub(super) fn squeeze_letters(text: &str) -> String {
    let mut letters = String::with_capacity(text.len());
    for c in fold_diacritics(text).chars() {
        if c.is_alphanumeric() {
            letters.extend(c.to_lowercase());
        }
    }
    letters
}

/// A text without diacritics, which people often do not type, and in one of the forms that Unicode
/// has for the same letter. Keeps capitals.
pub(super) fn fold_diacritics(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let mut folded = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_uppercase() {
            let small: String = c.to_lowercase().collect();
            let mut plain = String::new();
            for c in small.chars() {
                push_folded(c, &mut plain);
            }
            folded.extend(plain.chars().flat_map(char::to_uppercase));
        } else {
            push_folded(c, &mut folded);
        }
    }
    folded
}

/// Letters with diacritics, behind the letter without.
const FOLDED_LETTERS: [(&str, &str); 26] = [
    ("a", "áàâäãåāăąǎ"),
    ("c", "çćčĉċ"),
    ("d", "ďđð"),
    ("e", "éèêëěēėęĕəẽ"),
    ("g", "ğģĝġ"),
    ("h", "ĥħ"),
    ("i", "íìîïīįıĭĩ"),
    ("k", "ķ"),
    ("l", "łľļĺ"),
    ("n", "ñńňņ"),
    ("o", "óòôöõőøōơŏ"),
    ("r", "ŕřŗ"),
    ("s", "śšşșŝ"),
    ("t", "ťțţŧ"),
    ("u", "úùûüůűūųưũŭ"),
    ("y", "ýÿŷ"),
    ("z", "źżž"),
    ("ss", "ß"),
    ("ae", "æ"),
    ("oe", "œ"),
    ("th", "þ"),
    ("и", "й"),
    ("е", "ё"),
    ("ا", "أإآ"),
    ("ه", "ة"),
    ("ي", "یى"),
];
/// Vowels of Vietnamese with two diacritics, by the first letter of each row of their block.
const VIETNAMESE_ROWS: [(u32, &str); 6] = [
    (0x1ea0, "a"),
    (0x1eb8, "e"),
    (0x1ec8, "i"),
    (0x1ecc, "o"),
    (0x1ee4, "u"),
    (0x1ef2, "y"),
];
const GREEK_ACCENTS: [(char, char); 9] = [
    ('ά', 'α'),
    ('έ', 'ε'),
    ('ή', 'η'),
    ('ί', 'ι'),
    ('ϊ', 'ι'),
    ('ό', 'ο'),
    ('ύ', 'υ'),
    ('ώ', 'ω'),
    ('ς', 'σ'),
];

fn push_folded(c: char, folded: &mut String) {
    let code = u32::from(c);
    match c {
        // Marks that stand behind their letter, and joiners.
        '\u{300}'..='\u{36f}'
        | '\u{591}'..='\u{5c7}'
        | '\u{640}'
        | '\u{64b}'..='\u{65f}'
        | '\u{670}'
        | '\u{200c}'
        | '\u{200d}'
        | '\u{3099}'
        | '\u{309a}' => {}
        '\u{1ea0}'..='\u{1ef9}' => {
            let mut rows = VIETNAMESE_ROWS.iter().rev();
            let row = rows.find(|(first, _)| *first <= code);
            folded.push_str(row.map_or("", |(_, letter)| letter));
        }
        'ک' => folded.push('ك'),
        // Full-width forms of ASCII.
        '\u{ff01}'..='\u{ff5e}' => folded.extend(char::from_u32(code - 0xfee0)),
        '\u{3041}'..='\u{30fa}' => folded.push(fold_kana(c)),
        _ => {
            if let Some((_, plain)) = GREEK_ACCENTS.iter().find(|(accented, _)| *accented == c) {
                folded.push(*plain);
            } else if let Some((plain, _)) = FOLDED_LETTERS
                .iter()
                .find(|(_, letters)| letters.contains(c))
            {
                folded.push_str(plain);
            } else {
                folded.push(c);
            }
        }
    }
}

/// The kana without its voicing mark. macOS separates both in the names of files.
fn fold_kana(c: char) -> char {
    let code = u32::from(c);
    // Hiragana and katakana have the same order.
    let (block, place) = match code {
        0x30a1..=0x30fa => (0x30a0, code - 0x30a0),
        _ => (0x3040, code - 0x3040),
    };
    let plain = match place {
        0x0b..=0x22 => place - (place + 1) % 2,
        0x24..=0x29 => place - place % 2,
        0x2f..=0x3d => place - (place - 0x2f) % 3,
        _ => place,
    };
    char::from_u32(block + plain).unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diacritics_and_forms_of_a_letter_make_no_difference() {
        for (text, squeezed) in [
            ("Contraseña", "contrasena"),
            ("contrasen\u{303}a", "contrasena"),
            ("MOT_DE_PASSÉ", "motdepasse"),
            ("Mật khẩu", "matkhau"),
            ("Schlüssel", "schlussel"),
            ("ŞİFRE", "sifre"),
            ("ｐａｓｓ", "pass"),
            ("пароли\u{306}", "пароли"),
            ("パスワード", "ハスワート"),
            ("ハ\u{309a}スワート\u{3099}", "ハスワート"),
            ("ぱすわーど", "はすわーと"),
            ("グヅデボ", "クツテホ"),
            ("Κωδικός", "κωδικοσ"),
            ("كلمة السرّ", "كلمهالسر"),
        ] {
            assert_eq!(squeeze_letters(text), squeezed, "{text}");
        }
    }
}

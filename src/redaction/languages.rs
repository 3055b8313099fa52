//! What secrets are called in other languages, with and without diacritics.
//!
//! The words for a password are those of the message files of Django 5.2, which has them for
//! 92 locales. Words for a key, a token and a secret, inflected forms and other spellings were added.

use std::sync::LazyLock;

use crate::redaction::letters::squeeze_letters;

/// Words that mean nothing else, in names and in texts.
const UNMISTAKABLE_WORDS: [&str; 102] = [
    "adgangskode",
    "anmeldedaten",
    "contraseña",
    "contrasenya",
    "contrasigno",
    "contrasinal",
    "credencia",
    "credenziali",
    "cyfrinair",
    "facal-faire",
    "fjalëkalim",
    "focal faire",
    "ger-tremen",
    "inloggegevens",
    "jelszav",
    "jelszó",
    "kata laluan",
    "kata sandi",
    "kodeord",
    "lösenord",
    "loesenord",
    "lozink",
    "lykilorð",
    "lykilord",
    "mật khẩu",
    "mot de passe",
    "mots de passe",
    "nenosiri",
    "palavra-passe",
    "palavras-passe",
    "pasahitz",
    "pasfhocal",
    "pasvorto",
    "paswoord",
    "passwoord",
    "salasana",
    "salasõna",
    "slaptažod",
    "wachtwoord",
    "wagwoord",
    "zugangsdaten",
    "κωδικός πρόσβασης",
    "συνθηματικ",
    "құпия сөз",
    "код доступа",
    "лозинк",
    "нууц үг",
    "парол",
    "серсүз",
    "сырсөз",
    "токен",
    "учётные данные",
    "գաղտնաբառ",
    "סיסמ",
    "ססמ",
    "אסימון",
    "الرقم السري",
    "كلمة السر",
    "كلمة المرور",
    "كلمة سر",
    "كلمة مرور",
    "لفظ اجازت",
    "پارول",
    "پاس ورڈ",
    "پسورد",
    "تێپەڕەوشە",
    "رمز عبور",
    "گذرواژه",
    "कूटशब्द",
    "गुप्तशब्द",
    "टोकन",
    "पासवर्ड",
    "शब्दकूट",
    "পাসওয়ার্ড",
    "ਪਾਸਵਰਡ",
    "પાસવર્ડ",
    "கடவுச்சொல்",
    "సంకేతపదం",
    "ಪ್ರವೇಶಪದ",
    "പാസ്സ്‌വേഡ്",
    "പാസ്‌വേഡ്",
    "รหัสผ่าน",
    "โทเค็น",
    "ລະຫັດຜ່ານ",
    "စကားဝှက်",
    "პაროლ",
    "ពាក្យសំងាត់",
    "ពាក្យសម្ងាត់",
    "合言葉",
    "シークレット",
    "トークン",
    "パスフレーズ",
    "パスワード",
    "暗証番号",
    "認証情報",
    "비밀",
    "토큰",
    "패스워드",
    "인증키",
    "令牌",
    "口令",
    "密码",
];
/// The same in Han characters, where a word is a few characters.
const UNMISTAKABLE_HAN_WORDS: [&str; 16] = [
    "密碼",
    "密钥",
    "密鑰",
    "金鑰",
    "秘钥",
    "秘鑰",
    "秘密",
    "機密",
    "凭据",
    "凭证",
    "憑證",
    "權杖",
    "暗号鍵",
    "認証鍵",
    "共通鍵",
    "公開鍵",
];
/// Words that must stand alone in a name: `clave` is one, `enclave` is not.
const WHOLE_WORDS: [&str; 131] = [
    // Passwords.
    "geslo",
    "gesla",
    "gronidło",
    "hasło",
    "hasła",
    "heslo",
    "hesla",
    "hesło",
    "lozinka",
    "parol",
    "parola",
    "parole",
    "parolă",
    "parolar",
    "passord",
    "passordet",
    "sandi",
    "senha",
    "senhas",
    "şifra",
    "şifrə",
    "şifre",
    "şifreler",
    "шифра",
    "рамз",
    "رمز",
    "암호",
    "pincode",
    "codepin",
    "pinkod",
    "pinkode",
    "sshpass",
    "passkey",
    "passkeys",
    "pswd",
    "pword",
    // Keys.
    "açar",
    "anahtar",
    "atslēga",
    "avain",
    "avaimet",
    "çelës",
    "chave",
    "chaves",
    "cheie",
    "chei",
    "chiave",
    "chiavi",
    "clau",
    "claus",
    "clave",
    "claves",
    "clé",
    "clés",
    "clef",
    "clefs",
    "gako",
    "khóa",
    "klíč",
    "klíče",
    "ključ",
    "ključevi",
    "kľúč",
    "kľúče",
    "klucz",
    "klucze",
    "kulcs",
    "kulcsok",
    "kunci",
    "llave",
    "llaves",
    "lykill",
    "nøgle",
    "nøgler",
    "nøkkel",
    "nøkler",
    "nyckel",
    "nycklar",
    "raktas",
    "schlüssel",
    "schluessel",
    "sleutel",
    "sleutels",
    "võti",
    "κλειδί",
    "κλειδιά",
    "ключ",
    "ключи",
    "ключі",
    "кључ",
    "клуч",
    "գաղտնիք",
    "מפתח",
    "مفتاح",
    "المفتاح",
    "کلید",
    "चाबी",
    "कुंजी",
    "กุญแจ",
    "გასაღები",
    "キー",
    "鍵",
    "키",
    "열쇠",
    // Secrets and tokens.
    "geheim",
    "geheimnis",
    "geheimnisse",
    "gizli",
    "hemlig",
    "hemlighet",
    "hemmelig",
    "hemmelighed",
    "hemmelighet",
    "jeton",
    "jetons",
    "rahasia",
    "saladus",
    "salaisuus",
    "segreto",
    "segreti",
    "segredo",
    "segredos",
    "sekret",
    "sekrety",
    "тајна",
    "секрет",
    "секреты",
    "секрети",
    "тайна",
    "таємниця",
    "سر",
];
/// How compound words of Germanic languages, and English abbreviations, end.
const WORD_ENDINGS: [&str; 12] = [
    "kennwort",
    "nyckel",
    "passord",
    "passwd",
    "passwort",
    "pwd",
    "schluessel",
    "schlussel",
    "sleutel",
    "geheimnis",
    "dbpw",
    "pass",
];
/// English words that end as the abbreviation of a password.
const OTHER_PASS_WORDS: [&str; 14] = [
    "allpass",
    "bandpass",
    "bypass",
    "compass",
    "encompass",
    "highpass",
    "lowpass",
    "multipass",
    "overpass",
    "surpass",
    "trespass",
    "twopass",
    "underpass",
    "onepass",
];

static UNMISTAKABLE: LazyLock<Vec<String>> = LazyLock::new(|| {
    let words = UNMISTAKABLE_WORDS.iter().chain(&UNMISTAKABLE_HAN_WORDS);
    words.map(|word| squeeze_letters(word)).collect()
});
static WHOLE: LazyLock<Vec<String>> = LazyLock::new(|| {
    let folded = WHOLE_WORDS.iter().map(|word| squeeze_letters(word));
    folded.collect()
});

/// Whether letters of [`squeeze_letters`] hold a word that can only be a secret's.
pub(super) fn has_unmistakable_word(letters: &str) -> bool {
    UNMISTAKABLE
        .iter()
        .any(|word| letters.contains(word.as_str()))
}

/// Whether a word of a name, in small folded letters, is what secrets are called.
pub(super) fn is_foreign_secret_word(word: &str) -> bool {
    if OTHER_PASS_WORDS.contains(&word) {
        return false;
    }
    WORD_ENDINGS.iter().any(|ending| word.ends_with(ending))
        || WHOLE.iter().any(|known| known == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_found_as_it_is_written() {
        for word in UNMISTAKABLE_WORDS.iter().chain(&UNMISTAKABLE_HAN_WORDS) {
            assert!(has_unmistakable_word(&squeeze_letters(word)), "{word}");
        }
        for word in WHOLE_WORDS {
            assert!(is_foreign_secret_word(&squeeze_letters(word)), "{word}");
        }
        for word in OTHER_PASS_WORDS {
            assert!(!is_foreign_secret_word(word), "{word}");
        }
    }
}

//! Where the object with a given key lies below its bucket's folder.
//!
//! The mapping is reversible, keeps ordinary keys readable as they are, and never yields a path that leaves the folder: no component
//! it produces is empty, `.` or `..`, contains a separator or is longer than a file name may be. It knows nothing of files that exist.
//!
//! | in the key | on disk |
//! |---|---|
//! | `%`, control characters | `%25`, `%0A` ... |
//! | an empty segment (`a//b`, a leading or trailing `/`) | `%-` |
//! | a segment `.` or `..` | `%2E`, `%2E%2E` |
//! | a segment of more than 200 bytes | pieces, each but the last a folder that ends in `%+` |
//! | a key that is also the folder of another key, when it is set aside | the name with a single `%` at its end |

use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;

/// Leaves room for markers within the 255 bytes of a file name on common file systems.
const PIECE: usize = 200;

/// The path of `key` relative to the folder of its bucket. `aside` selects the other path, for a
/// key that is also a folder.
pub(crate) fn path_of_key(key: &str, aside: bool) -> PathBuf {
    let mut path: PathBuf = key.split('/').flat_map(split_segment).collect();
    if aside {
        path.as_mut_os_string().push("%");
    }
    path
}

/// The key of a path made by [`path_of_key`], and whether it is set aside; `None` for any other
/// path.
pub(crate) fn key_of_path(relative: &Path) -> Option<(String, bool)> {
    let text = relative.to_str()?;
    let (plain, aside) = match text.strip_suffix('%') {
        Some(plain) => (plain, true),
        None => (text, false),
    };
    let joined = plain.replace("%+/", "").replace("%-", "");
    let key = percent_decode_str(&joined).decode_utf8().ok()?.into_owned();
    (path_of_key(&key, aside) == relative).then_some((key, aside))
}

/// The path components of one segment of a key.
fn split_segment(segment: &str) -> Vec<String> {
    if segment.is_empty() {
        return vec!["%-".to_owned()];
    }
    let mut components = vec![String::new()];
    for character in segment.chars() {
        let encoded = encode_char(character);
        let full = components
            .last()
            .is_none_or(|piece| piece.len() + encoded.len() > PIECE);
        if full {
            components.push(String::new());
        }
        if let Some(piece) = components.last_mut() {
            piece.push_str(&encoded);
        }
    }
    // Only the last piece has no marker, so only that one could be `.` or `..`.
    let last = components.len() - 1;
    for piece in &mut components[..last] {
        piece.push_str("%+");
    }
    if matches!(components[last].as_str(), "." | "..") {
        components[last] = components[last].replace('.', "%2E");
    }
    components
}

fn encode_char(character: char) -> String {
    if character == '%' || character.is_control() {
        let mut bytes = [0; 4];
        character
            .encode_utf8(&mut bytes)
            .bytes()
            .map(percent_encoding::percent_encode_byte)
            .collect()
    } else {
        character.to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Component;

    use super::*;

    #[test]
    fn ordinary_keys_are_their_own_path() {
        for plain in [
            "config.yaml",
            "team/app/2024-05-01T10:00:00Z config.yaml",
            "über/日本/é.txt",
            ".hidden/..x",
        ] {
            assert_eq!(path_of_key(plain, false), Path::new(plain));
        }
    }

    #[test]
    fn hostile_keys_stay_below_the_folder_and_come_back() {
        let long = "x".repeat(1024);
        let dots = format!("{}..", "x".repeat(PIECE));
        let wide = "é".repeat(512);
        let slashes = "/".repeat(1024);
        let controls = "\n".repeat(1024);
        let keys = [
            "..",
            "../../etc/passwd",
            "/etc/passwd",
            "a/../b",
            "a/./b",
            "a//b",
            "a/",
            "/",
            "//",
            "%",
            "a%",
            "%-",
            "%+",
            "a%/b",
            "%2E",
            "%2e%2e/x",
            "a\0b",
            "a\\b",
            "C:\\x",
            "\u{85}",
            "🦀/🦀",
            &long,
            &dots,
            &wide,
            &slashes,
            &controls,
        ];
        for hostile in keys {
            for aside in [false, true] {
                let path = path_of_key(hostile, aside);
                assert!(
                    path.components()
                        .all(|part| matches!(part, Component::Normal(_))),
                    "{path:?}"
                );
                assert!(path.iter().all(|part| part.len() <= 255), "{path:?}");
                assert!(path.as_os_str().len() < 3500, "{path:?}");
                assert_eq!(
                    key_of_path(&path),
                    Some((hostile.to_owned(), aside)),
                    "{path:?}"
                );
            }
        }
    }

    #[test]
    fn different_keys_have_different_paths() {
        let keys = [
            "", "a", "a/", "a//", "/a", "a%", "a%-", "%2E", ".", "..", "%", "%%", "%25",
        ];
        for one in keys {
            for other in keys.iter().filter(|other| **other != one) {
                assert_ne!(path_of_key(one, false), path_of_key(other, false));
                assert_ne!(path_of_key(one, true), path_of_key(other, false));
            }
        }
    }

    #[test]
    fn rejects_file_names_of_other_programs() {
        for foreign in ["100%.txt", "a%2Eb", "%41", "..", "a/%zz"] {
            assert_eq!(key_of_path(Path::new(foreign)), None, "{foreign}");
        }
    }
}

//! Whether bytes from the bucket are those that were backed up, by all that is known of them.
//!
//! Pure.

use crate::digest::ContentDigests;

/// What the object's metadata says of its bytes; empty where it says nothing, as that of the earlier module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatedDigests {
    /// MD5, hex.
    pub md5: String,
    /// SHA-256, hex.
    pub sha256: String,
    /// The bytes as the listing counted them.
    pub size: u64,
    /// MD5 by the object's name or a usage record.
    pub known_md5: String,
}

/// Compares bytes with all that is said of them; gives what agreed, as words: empty where nothing vouches for them.
///
/// # Errors
/// What does not agree.
pub fn verify_digests(
    stated: &StatedDigests,
    digests: &ContentDigests,
    length: u64,
) -> Result<String, String> {
    let said = |text: &str| !text.is_empty();
    let checks = [
        (
            "md5",
            said(&stated.known_md5) || said(&stated.md5),
            [&stated.known_md5, &stated.md5]
                .into_iter()
                .all(|it| it.is_empty() || *it == digests.md5),
        ),
        (
            "sha256",
            said(&stated.sha256),
            stated.sha256 == digests.sha256,
        ),
        ("size", true, stated.size == length),
    ];
    let wrong: Vec<&str> = checks
        .iter()
        .filter(|(_, is_said, agrees)| *is_said && !agrees)
        .map(|(name, ..)| *name)
        .collect();
    if !wrong.is_empty() {
        return Err(format!("its {} is not what it was", wrong.join(" and ")));
    }
    let agreed: Vec<&str> = checks
        .iter()
        .filter(|(_, is_said, _)| *is_said)
        .map(|(name, ..)| *name)
        .collect();
    Ok(if agreed.len() == 1 {
        String::new()
    } else {
        agreed.join(", ")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::compute_digests;

    #[test]
    fn bytes_are_compared_with_all_that_is_said_of_them() {
        // RFC 1321, appendix A.5, and FIPS 180-4: both of `abc`.
        let (md5, sha256) = (
            "900150983cd24fb0d6963f7d28e17f72",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        );
        let ours = compute_digests(b"abc");
        let stated = |md5: &str, sha256: &str, size, known: &str| StatedDigests {
            md5: md5.into(),
            sha256: sha256.into(),
            size,
            known_md5: known.into(),
        };
        for (stated, expected) in [
            (stated(md5, sha256, 3, md5), Ok("md5, sha256, size")),
            (stated("", "", 3, md5), Ok("md5, size")),
            (stated("", "", 3, ""), Ok("")),
            (
                stated("x", sha256, 3, md5),
                Err("its md5 is not what it was"),
            ),
            (
                stated(md5, sha256, 3, "x"),
                Err("its md5 is not what it was"),
            ),
            (
                stated(md5, "x", 4, md5),
                Err("its sha256 and size is not what it was"),
            ),
        ] {
            assert_eq!(
                verify_digests(&stated, &ours, 3),
                expected.map(str::to_owned).map_err(str::to_owned),
                "{stated:?}"
            );
        }
    }
}

//! Whether bytes from the bucket are those that were backed up, by all that is known of them.

use std::fmt;

use crate::snapshot::{ConfigContent, ConfigMetadata};

/// What is known of a config's bytes without reading them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatedDigests {
    /// By the object's metadata. The legacy module wrote none.
    pub md5: Option<String>,
    /// By the object's metadata.
    pub sha256: Option<String>,
    /// By a listing or a HEAD.
    pub size: u64,
    /// By the object's key or a usage record.
    pub known_md5: Option<String>,
}

impl StatedDigests {
    pub(crate) fn new(metadata: &ConfigMetadata, size: u64, known_md5: Option<&str>) -> Self {
        Self {
            md5: metadata.md5.clone(),
            sha256: metadata.sha256.clone(),
            size,
            known_md5: known_md5.map(str::to_owned),
        }
    }
}

/// What is not as stated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestMismatch {
    fields: Vec<&'static str>,
}

impl fmt::Display for DigestMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} mismatch", self.fields.join(" and "))
    }
}

/// Compares bytes with all that is stated of them, and returns what was compared.
///
/// The result is empty if only the size is stated, which proves nothing.
pub fn verify_digests(
    stated: &StatedDigests,
    content: &ConfigContent,
) -> Result<Vec<&'static str>, DigestMismatch> {
    let digests = &content.digests;
    let comparisons = [
        ("md5", stated.known_md5.as_deref(), digests.md5.as_str()),
        ("md5", stated.md5.as_deref(), digests.md5.as_str()),
        ("sha256", stated.sha256.as_deref(), digests.sha256.as_str()),
    ];

    let (mut verified, mut different) = (Vec::new(), Vec::new());
    for (field, stated, actual) in comparisons {
        let Some(stated) = stated else {
            continue;
        };
        let fields = if stated == actual {
            &mut verified
        } else {
            &mut different
        };
        if !fields.contains(&field) {
            fields.push(field);
        }
    }
    if stated.size != content.size {
        different.push("size");
    }
    if !different.is_empty() {
        return Err(DigestMismatch { fields: different });
    }
    if !verified.is_empty() {
        verified.push("size");
    }
    Ok(verified)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_bytes_with_all_that_is_stated_of_them() {
        // RFC 1321, appendix A.5, and FIPS 180-4: both of `abc`.
        let md5 = "900150983cd24fb0d6963f7d28e17f72";
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let content = ConfigContent::from_bytes(b"abc");
        let optional = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let verify = |md5: &str, sha256: &str, size, known_md5: &str| {
            let stated = StatedDigests {
                md5: optional(md5),
                sha256: optional(sha256),
                size,
                known_md5: optional(known_md5),
            };
            match verify_digests(&stated, &content) {
                Ok(fields) => fields.join(", "),
                Err(mismatch) => mismatch.to_string(),
            }
        };

        assert_eq!(verify(md5, sha256, 3, md5), "md5, sha256, size");
        assert_eq!(verify("", "", 3, md5), "md5, size");
        assert_eq!(verify("", "", 3, ""), "");
        assert_eq!(verify("x", sha256, 3, md5), "md5 mismatch");
        assert_eq!(verify(md5, sha256, 3, "x"), "md5 mismatch");
        assert_eq!(verify("y", sha256, 3, "x"), "md5 mismatch");
        assert_eq!(verify(md5, "x", 4, md5), "sha256 and size mismatch");
    }
}

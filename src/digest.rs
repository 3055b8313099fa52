//! Digests, in the spellings that records, object metadata and S3's headers use.
//!
//! Pure: must not read files, the clock or the environment.

use md5::Md5;
use sha2::{Digest as _, Sha256};

/// The length of a [`short_digest`].
pub const SHORT_DIGEST_HEX_DIGITS: usize = 16;

/// Two digests of the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentDigests {
    /// 32 lower-case hex digits (RFC 1321); users compare it with `md5sum`.
    pub md5: String,
    /// 64 lower-case hex digits (FIPS 180-4); decides whether two configs are the same.
    pub sha256: String,
}

/// Computes digests of bytes that come in parts.
#[derive(Debug, Clone, Default)]
pub(crate) struct ContentHasher {
    md5: Md5,
    sha256: Sha256,
    byte_count: u64,
}

impl ContentHasher {
    pub(crate) fn update(&mut self, part: &[u8]) {
        self.md5.update(part);
        self.sha256.update(part);
        self.byte_count += part.len() as u64;
    }

    /// The digests and the number of bytes.
    pub(crate) fn finish(self) -> (ContentDigests, u64) {
        let digests = ContentDigests {
            md5: hex::encode(self.md5.finalize()),
            sha256: hex::encode(self.sha256.finalize()),
        };
        (digests, self.byte_count)
    }
}

#[must_use]
pub fn compute_digests(bytes: &[u8]) -> ContentDigests {
    let mut hasher = ContentHasher::default();
    hasher.update(bytes);
    hasher.finish().0
}

/// SHA-256 as 64 lower-case hex digits.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The first 16 hex digits of the SHA-256, which tell some thousand names apart.
#[must_use]
pub fn short_digest(bytes: &[u8]) -> String {
    let mut digest = sha256_hex(bytes);
    digest.truncate(SHORT_DIGEST_HEX_DIGITS);
    digest
}

/// SHA-256 in Base64 (RFC 4648), as `x-amz-checksum-sha256` carries it.
#[must_use]
pub fn sha256_base64(bytes: &[u8]) -> String {
    aws_smithy_types::base64::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn md5_matches_rfc_1321() {
        // RFC 1321, appendix A.5.
        assert_eq!(compute_digests(b"").md5, "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(
            compute_digests(b"message digest").md5,
            "f96b697d7cb7938d525a2f31aaf161d0"
        );
    }

    #[test]
    fn sha256_matches_fips_180() {
        // FIPS 180-4's example "abc", in hex and in Base64.
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(compute_digests(b"abc").sha256, hex);
        assert_eq!(
            sha256_base64(b"abc"),
            "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
        );
    }
}

//! Whether a body is the one its sender meant: `Content-MD5` and `x-amz-checksum-*`, from the headers or from the trailer.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use s3s::crypto::{Checksum, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

type DigestFunction = fn(&[u8]) -> Vec<u8>;

/// Every algorithm by the end of its header's name.
const ALGORITHMS: [(&str, DigestFunction); 5] = [
    ("crc32", compute_digest::<Crc32>),
    ("crc32c", compute_digest::<Crc32c>),
    ("crc64nvme", compute_digest::<Crc64Nvme>),
    ("sha1", compute_digest::<Sha1>),
    ("sha256", compute_digest::<Sha256>),
];

fn compute_digest<C: Checksum>(body: &[u8]) -> Vec<u8> {
    C::checksum(body).as_ref().to_vec()
}

/// Verifies `body` against what the request declares, and returns the declared checksums (algorithm to Base64) to keep with the object.
pub(crate) fn verify_checksums(
    body: &[u8],
    headers: &HeaderMap,
    trailer: Option<&HeaderMap>,
) -> S3Result<BTreeMap<String, String>> {
    if let Some(declared) = headers.get("content-md5") {
        match STANDARD.decode(declared) {
            Ok(declared) if declared == compute_digest::<Md5>(body) => {}
            Ok(declared) if declared.len() == 16 => {
                return Err(s3_error!(
                    BadDigest,
                    "The Content-MD5 you specified did not match what we received."
                ));
            }
            _ => {
                return Err(s3_error!(
                    InvalidDigest,
                    "The Content-MD5 you specified was invalid."
                ));
            }
        }
    }
    let mut checksums = BTreeMap::new();
    for (algorithm, digest) in ALGORITHMS {
        let name = format!("x-amz-checksum-{algorithm}");
        let Some(declared) = headers.get(&name).or_else(|| trailer?.get(&name)) else {
            continue;
        };
        let computed = STANDARD.encode(digest(body));
        if declared.as_bytes() != computed.as_bytes() {
            let name = algorithm.to_uppercase();
            return Err(s3_error!(
                BadDigest,
                "The {name} you specified did not match the calculated checksum."
            ));
        }
        checksums.insert(algorithm.to_owned(), computed);
    }
    Ok(checksums)
}

/// The error for a body that could not be read. Only `cause` shows that s3s found a wrong signature
/// or digest.
pub(crate) fn unreadable_body_error(cause: &str) -> S3Error {
    if cause.contains("SignatureMismatch") {
        return s3_error!(
            SignatureDoesNotMatch,
            "The signature of a chunk does not match its content"
        );
    }
    if !cause.contains("Sha256Mismatch") {
        return s3_error!(
            IncompleteBody,
            "The body is not what its headers announce: {cause}"
        );
    }
    let mut error = S3Error::new(S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into()));
    error.set_message(
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
    );
    error.set_status_code(http::StatusCode::BAD_REQUEST);
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(
            http::HeaderName::from_static(name),
            value.parse().expect("a header"),
        )])
    }

    // Of the text `123456789`: the check values of the CRC catalogue, md5sum, sha1sum and sha256sum, each as Base64.
    const SAMPLES: [(&str, &str); 5] = [
        ("x-amz-checksum-crc32", "y/Q5Jg=="),
        ("x-amz-checksum-crc32c", "4waSgw=="),
        ("x-amz-checksum-crc64nvme", "rosUhgp5mIg="),
        ("x-amz-checksum-sha1", "98O8HYCOBHMq32eZZczDTKeuNEE="),
        (
            "x-amz-checksum-sha256",
            "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
        ),
    ];

    #[test]
    fn verifies_and_stores_the_checksum_sent() {
        for (name, value) in SAMPLES {
            let kept = verify_checksums(b"123456789", &headers(name, value), None).expect(name);
            assert_eq!(
                kept.into_iter().collect::<Vec<_>>(),
                [(name["x-amz-checksum-".len()..].to_owned(), value.to_owned())]
            );
            let refused =
                verify_checksums(b"12345678", &headers(name, value), None).expect_err(name);
            assert_eq!(refused.code().as_str(), "BadDigest");
        }
    }

    #[test]
    fn accepts_a_checksum_in_the_trailer() {
        let trailer = headers("x-amz-checksum-crc32", "y/Q5Jg==");
        assert!(verify_checksums(b"123456789", &HeaderMap::new(), Some(&trailer)).is_ok());
        assert!(verify_checksums(b"x", &HeaderMap::new(), Some(&trailer)).is_err());
    }

    #[test]
    fn verifies_content_md5_without_storing_it() {
        let code = |body: &[u8], value| {
            verify_checksums(body, &headers("content-md5", value), None)
                .map_err(|error| error.code().as_str().to_owned())
        };
        assert_eq!(
            code(b"123456789", "JfnnlDI7RTiF9RgfG2JNCw=="),
            Ok(BTreeMap::new())
        );
        assert_eq!(
            code(b"x", "JfnnlDI7RTiF9RgfG2JNCw=="),
            Err("BadDigest".to_owned())
        );
        assert_eq!(code(b"x", "no digest"), Err("InvalidDigest".to_owned()));
    }
}

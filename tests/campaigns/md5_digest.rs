//! MD5 for the oracles, by the crate itself and none of the product's code.

use md5::{Digest as _, Md5};

/// The MD5 of `bytes`, as `md5sum` prints it.
pub(crate) fn md5_hex(bytes: &[u8]) -> String {
    Md5::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[test]
fn agrees_with_md5sum() {
    assert_eq!(
        md5_hex(test_support::CONFIG.as_bytes()),
        test_support::CONFIG_MD5
    );
}

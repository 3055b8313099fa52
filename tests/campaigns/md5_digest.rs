//! MD5 for the oracles, computed without the code of the product.

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

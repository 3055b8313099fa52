//! The versions of the config that a trial deploys, each with its MD5 by somebody else than the product.

use std::sync::OnceLock;

use test_support::CONFIG;
use test_support::oracle::python_digest;

/// One version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) bytes: Vec<u8>,
    /// By python3's hashlib, hex.
    pub(crate) md5: String,
}

/// One of each deployment of a trial: what is lost can then come from nowhere else.
#[derive(Debug)]
pub(crate) struct Versions {
    /// Of the deployment that came before the hardship and was kept.
    pub(crate) early: Version,
    /// Of the one that has the hardship.
    pub(crate) hard: Version,
    /// Of the healthy one at the end.
    pub(crate) healed: Version,
}

impl Versions {
    pub(crate) fn get() -> &'static Self {
        static VERSIONS: OnceLock<Versions> = OnceLock::new();
        VERSIONS.get_or_init(|| Self {
            early: version("early"),
            hard: version("hard"),
            healed: version("healed"),
        })
    }

    /// The one with this MD5.
    pub(crate) fn with_md5(&self, md5: &str) -> Option<&Version> {
        [&self.early, &self.hard, &self.healed]
            .into_iter()
            .find(|version| version.md5 == md5)
    }
}

/// The sample, told apart by a comment and large enough to be cut in many places.
fn version(name: &str) -> Version {
    let bytes = format!(
        "{CONFIG}{}",
        format!("# the {name} version of this config\n").repeat(60)
    )
    .into_bytes();
    let md5 = python_digest("md5", &bytes);
    Version { bytes, md5 }
}

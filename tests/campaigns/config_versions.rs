//! The config versions that a trial deploys, each with an MD5 that does not come from the product.

use std::sync::OnceLock;

use test_support::CONFIG;
use test_support::oracle::python_digest;

/// One version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfigVersion {
    pub(crate) bytes: Vec<u8>,
    /// By python3's hashlib, hex.
    pub(crate) md5: String,
}

/// One of each deployment of a trial: what is lost can then come from nowhere else.
#[derive(Debug)]
pub(crate) struct TrialVersions {
    /// Of the deployment that came before the hardship and was kept.
    pub(crate) early: ConfigVersion,
    /// Of the one that has the hardship.
    pub(crate) hard: ConfigVersion,
    /// Of the healthy one at the end.
    pub(crate) healed: ConfigVersion,
}

impl TrialVersions {
    pub(crate) fn get() -> &'static Self {
        static VERSIONS: OnceLock<TrialVersions> = OnceLock::new();
        VERSIONS.get_or_init(|| Self {
            early: make_version("early"),
            hard: make_version("hard"),
            healed: make_version("healed"),
        })
    }

    /// The one with this MD5.
    pub(crate) fn with_md5(&self, md5: &str) -> Option<&ConfigVersion> {
        [&self.early, &self.hard, &self.healed]
            .into_iter()
            .find(|version| version.md5 == md5)
    }
}

/// The sample, told apart by a comment and large enough to be cut in many places.
fn make_version(name: &str) -> ConfigVersion {
    let bytes = format!(
        "{CONFIG}{}",
        format!("# the {name} version of this config\n").repeat(60)
    )
    .into_bytes();
    let md5 = python_digest("md5", &bytes);
    ConfigVersion { bytes, md5 }
}
